//! Same log, same bytes: every path, engine, number of workers, hash seed, batch cut and order of claims gives the responses, events and
//! state that the oracle gives. Compared after every batch.

mod logs;
mod subject;

pub use logs::log_of;
pub use subject::{
    Difference, Subject, difference_in, first_difference, shortest, state_difference,
};

use crate::store::{Config, EngineKind, Parallelism, PathKind, ShardLayout};

/// What came of one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Requests whose answers were compared, each store's counted.
    pub requests: u64,
    /// Batches, each store's counted.
    pub batches: u64,
    /// The first difference, with the shortest log found that shows it.
    pub difference: Option<String>,
}

/// The stores of one seed: both paths, and the parallel one with every number of workers.
pub fn stores(engine: EngineKind, seed: u64) -> Vec<Config> {
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

/// Runs one seed's log on every store of `engine`.
///
/// # Panics
/// If no store can be opened in a temporary folder.
pub fn compare(engine: EngineKind, seed: u64) -> Compared {
    let (log, configs) = (log_of(seed), stores(engine, seed));
    let of_one = log.iter().map(Vec::len).sum::<usize>();
    let (mut requests, mut batches) = (0, 0);
    for config in configs {
        if let Some(difference) = first_difference(config, &log) {
            let difference =
                format!("seed {seed}, {config:?}: {}", shortest(config, log, difference));
            return Compared { requests, batches, difference: Some(difference) };
        }
        requests += of_one as u64;
        batches += log.len() as u64;
    }
    Compared { requests, batches, difference: None }
}
