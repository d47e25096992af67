//! Same log, same bytes: every path, engine, number of workers, hash seed, batch cut and order of claims gives the
//! responses, events and state that an independent oracle gives. Compared after every batch.
//!
//! `KVBENCH_DIFFERENTIAL=20000000 cargo test --release --test equivalence` runs more requests than the two million of CI;
//! of a difference the seed is printed, and the shortest log found that shows it.

use crate::logs::log_of;
use crate::subject::{first_difference, shortest};
use kvbench::store::{Config, EngineKind, Parallelism, PathKind, ShardLayout};

/// Requests compared on the memory engine, each store's counted.
const MEMORY_REQUESTS: u64 = 2_000_000;
/// The same on RocksDB.
#[cfg(feature = "rocksdb")]
const ROCKSDB_REQUESTS: u64 = 200_000;

/// The stores of one seed: both paths, and the parallel one with every number of workers.
fn stores(engine: EngineKind, seed: u64) -> Vec<Config> {
    let parallel = |workers| {
        let parallelism =
            Parallelism { parallel_from: Some(1), shuffled_claims: Some(seed ^ 0x5eed) };
        let path = PathKind::Sharded { shards: 1 << (seed % 10), workers };
        Config { engine, hash_seed: seed, parallelism, ..Config::in_memory(path) }
    };
    let unshuffled = |workers| {
        let parallelism = Parallelism { parallel_from: Some(1), shuffled_claims: None };
        Config { parallelism, ..parallel(workers) }
    };
    let serial = |path| Config { engine, hash_seed: seed, ..Config::in_memory(path) };
    let packed = |config| Config { shard_layout: ShardLayout::Packed, ..config };
    vec![
        serial(PathKind::GlobalMutex),
        serial(PathKind::Sharded { shards: 16, workers: 1 }),
        parallel(2),
        parallel(3),
        parallel(4),
        packed(serial(PathKind::Sharded { shards: 16, workers: 1 })),
        packed(unshuffled(2)),
    ]
}

/// Runs one seed's log on every store and gives the number of requests compared.
fn run(seed: u64, configs: &[Config]) -> u64 {
    let log = log_of(seed);
    for config in configs {
        if let Some(difference) = first_difference(*config, &log) {
            panic!("seed {seed}, {config:?}: {}", shortest(*config, log, difference));
        }
    }
    (log.iter().map(Vec::len).sum::<usize>() * configs.len()) as u64
}

/// At least `wanted` requests, or as many as the environment asks for.
#[expect(clippy::print_stdout, reason = "how much was compared is a result")]
fn compare(wanted: u64, stores: impl Fn(u64) -> Vec<Config>) {
    let asked = std::env::var("KVBENCH_DIFFERENTIAL").ok().and_then(|text| text.parse().ok());
    let wanted: u64 = asked.unwrap_or(wanted);
    let (mut done, mut seed) = (0, 0);
    while done < wanted {
        done += run(seed, &stores(seed));
        seed += 1;
    }
    println!("{done} requests over {seed} logs, 0 differences");
}

#[test]
fn every_store_in_memory_is_the_oracle() {
    compare(MEMORY_REQUESTS, |seed| stores(EngineKind::Memory, seed));
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
        stores(EngineKind::RocksDb { state_sync }, seed)
    });
}
