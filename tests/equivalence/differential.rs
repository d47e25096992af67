//! Same log, same bytes: every path, engine, number of workers, hash seed, batch cut and order of claims gives the
//! responses, events and state that an independent oracle gives. Compared after every batch.
//!
//! `KVBENCH_DIFFERENTIAL=20000000 cargo test --release --test equivalence` runs more requests than the two million of CI;
//! of a difference the seed is printed, and the shortest log found that shows it.

use kvbench::store::EngineKind;
use kvbench::verify::equivalence;

/// Requests compared on the memory engine, each store's counted.
const MEMORY_REQUESTS: u64 = 2_000_000;
/// The same on RocksDB.
#[cfg(feature = "rocksdb")]
const ROCKSDB_REQUESTS: u64 = 200_000;

/// At least `wanted` requests, or as many as the environment asks for.
#[expect(clippy::print_stdout, reason = "how much was compared is a result")]
fn compare(wanted: u64, engine: impl Fn(u64) -> EngineKind) {
    let asked = std::env::var("KVBENCH_DIFFERENTIAL").ok().and_then(|text| text.parse().ok());
    let wanted: u64 = asked.unwrap_or(wanted);
    let (mut done, mut seed) = (0, 0);
    while done < wanted {
        let compared = equivalence::compare(engine(seed), seed);
        if let Some(difference) = compared.difference {
            panic!("{difference}");
        }
        done += compared.requests;
        seed += 1;
    }
    println!("{done} requests over {seed} logs, 0 differences");
}

#[test]
fn every_store_in_memory_is_the_oracle() {
    compare(MEMORY_REQUESTS, |_| EngineKind::Memory);
}

/// All that RocksDB may sync, in turn.
#[cfg(feature = "rocksdb")]
#[test]
fn every_store_in_rocksdb_is_the_oracle() {
    use kvbench::store::StateSync;
    compare(ROCKSDB_REQUESTS, |seed| {
        let state_sync = match seed % 8 {
            0 => StateSync::PerOp,
            1 => StateSync::PerBatch,
            _ => StateSync::RaftLogOnly,
        };
        EngineKind::RocksDb { state_sync }
    });
}
