//! Same log, same bytes: every path, engine, number of workers, hash seed, batch cut and order of claims gives the
//! responses, events and state that an independent oracle gives. Compared after every batch.
//!
//! `KVBENCH_DIFFERENTIAL=20000000 cargo test --release --test equivalence` runs more requests than the two million of CI;
//! of a difference the seed is printed, and the shortest log found that shows it.

use crate::generate::{Generator, Hint, Shape};
use crate::oracle::Oracle;
use crate::subject::{first_difference, shortest};
use kvbench::model::{Request, RequestOp, Txn};
use kvbench::seed::Seed;
use kvbench::store::{Config, EngineKind, Parallelism, PathKind};
use rand::Rng;

/// Requests compared on the memory engine, each store's counted.
const MEMORY_REQUESTS: u64 = 2_000_000;
/// The same on RocksDB.
#[cfg(feature = "rocksdb")]
const ROCKSDB_REQUESTS: u64 = 200_000;
/// Requests per seed, each on a fresh store.
const CASE_REQUESTS: u64 = 4_000;

/// The stores of one seed: both paths, and the parallel one with every number of workers.
fn stores(engine: EngineKind, seed: u64) -> Vec<Config> {
    let parallel = |workers| {
        let parallelism =
            Parallelism { parallel_from: Some(1), shuffled_claims: Some(seed ^ 0x5eed) };
        let path = PathKind::Sharded { shards: 1 << (seed % 10), workers };
        Config { path, engine, hash_seed: seed, parallelism }
    };
    let unshuffled = |workers| {
        let parallelism = Parallelism { parallel_from: Some(1), shuffled_claims: None };
        Config { parallelism, ..parallel(workers) }
    };
    let serial =
        |path| Config { path, engine, hash_seed: seed, parallelism: Parallelism::default() };
    vec![
        serial(PathKind::GlobalMutex),
        serial(PathKind::Sharded { shards: 16, workers: 1 }),
        parallel(2),
        parallel(3),
        parallel(4),
        unshuffled(2),
    ]
}

/// The log of one seed, as batches.
pub(crate) fn log_of(seed: u64) -> Vec<Vec<Request>> {
    let (mut case, mut oracle) = (Case::new(seed), Oracle::new());
    let mut log: Vec<Vec<Request>> = Vec::new();
    let mut requests = 0;
    while requests < CASE_REQUESTS {
        let batch = case.batch(&oracle);
        requests += batch.len() as u64;
        batch.iter().for_each(|request| drop(oracle.apply(request)));
        log.push(batch);
    }
    log
}

/// What one seed's log is made of.
struct Case {
    seed: u64,
    generator: Generator,
    random: rand_chacha::ChaCha8Rng,
}

impl Case {
    fn new(seed: u64) -> Case {
        let shape = Shape { keys: 3 + (seed % 58) as usize, leases: 1 + (seed % 7) as usize };
        Case {
            seed,
            generator: Generator::new(Seed(seed), shape),
            random: Seed(seed).stream("differential", 0),
        }
    }

    fn batch(&mut self, oracle: &Oracle) -> Vec<Request> {
        let hint = Hint { revision: oracle.revision(), compacted: oracle.compacted() };
        let size = match self.random.random_range(0..4) {
            0 => 1,
            1 => self.random.random_range(2..=8),
            _ => self.random.random_range(9..=90),
        };
        // A read cuts a batch, and so does what walks over an interval; where neither is, workers have most to share.
        let narrow = size > 1 && self.seed % 2 == 1;
        let mut next = || self.generator.next(hint);
        let requests = std::iter::from_fn(|| Some(next()));
        requests.filter(|request| !narrow || is_narrow(request)).take(size).collect()
    }
}

/// Whether it writes and names single keys only.
fn is_narrow(request: &Request) -> bool {
    match request {
        Request::DeleteRange(delete) => delete.interval.is_point(),
        Request::Txn(txn) => txn.is_write() && txn_is_narrow(txn),
        Request::Compact { .. } => false,
        other => other.is_write(),
    }
}

fn txn_is_narrow(txn: &Txn) -> bool {
    let op_is_narrow = |op: &RequestOp| match op {
        RequestOp::Put(_) => true,
        RequestOp::Range(range) => range.interval.is_point(),
        RequestOp::DeleteRange(delete) => delete.interval.is_point(),
        RequestOp::Txn(inner) => txn_is_narrow(inner),
    };
    txn.compares.iter().all(|compare| compare.interval.is_point())
        && txn.success.iter().chain(&txn.failure).all(op_is_narrow)
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
