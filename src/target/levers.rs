//! The levers of a scenario as the system's own words.

use crate::node::{self, Compaction};
use crate::raft;
use crate::scenario::spec;
use crate::store::{self, EngineKind, Parallelism, PathKind, ShardLayout, StateSync};

/// What keys are hashed with in a run; no answer depends on it.
const HASH_SEED: u64 = 0;

/// The node that `system` describes.
pub fn node(system: &spec::System) -> node::Config {
    let compaction = compaction(system);
    node::Config { store: store(system), compaction, pipeline: pipeline(system) }
}

pub(super) fn compaction(system: &spec::System) -> Compaction {
    Compaction { keep_revisions: system.auto_compaction }
}

pub(super) fn store(system: &spec::System) -> store::Config {
    store::Config {
        path: match system.apply {
            spec::Apply::GlobalMutex => PathKind::GlobalMutex,
            spec::Apply::Sharded => {
                PathKind::Sharded { shards: system.shards, workers: system.apply_workers }
            }
        },
        engine: match system.engine {
            spec::Engine::Memory => EngineKind::Memory,
            spec::Engine::Rocksdb => {
                EngineKind::RocksDb { state_sync: state_sync(system.state_sync) }
            }
        },
        shard_layout: match system.shard_layout {
            spec::ShardLayout::Padded => ShardLayout::Padded,
            spec::ShardLayout::Packed => ShardLayout::Packed,
        },
        hash_seed: HASH_SEED,
        parallelism: Parallelism::default(),
    }
}

/// The flags of `kvbench serve` that say the same.
pub fn flags(system: &spec::System) -> Vec<String> {
    let mut flags = vec![
        format!("--apply={}", system.apply),
        format!("--shards={}", system.shards),
        format!("--engine={}", system.engine),
        format!("--state-sync={}", system.state_sync),
        format!("--apply-on={}", system.apply_on),
        format!("--propose={}", system.propose),
        format!("--batch-ops-max={}", system.batch.ops_max),
        format!("--batch-bytes-max={}", system.batch.bytes_max.0),
        format!("--batch-linger={}", system.batch.linger),
        format!("--batch-in-flight={}", system.batch.in_flight),
        format!("--commit-publish={}", system.commit_publish),
        format!("--fsync={}", system.fsync),
        format!("--reads={}", system.reads),
        format!("--keep-revisions={}", system.auto_compaction),
    ];
    if system.apply == spec::Apply::Sharded {
        flags.push(format!("--apply-workers={}", system.apply_workers));
        flags.push(format!("--shard-layout={}", system.shard_layout));
    }
    flags
}

fn state_sync(state_sync: spec::StateSync) -> StateSync {
    match state_sync {
        spec::StateSync::PerOp => StateSync::PerOp,
        spec::StateSync::PerBatch => StateSync::PerBatch,
        spec::StateSync::RaftLogOnly => StateSync::RaftLogOnly,
    }
}

fn pipeline(system: &spec::System) -> raft::Config {
    raft::Config {
        propose: match system.propose {
            spec::Propose::Serial => raft::Propose::Serial,
            spec::Propose::Pipelined => raft::Propose::Pipelined,
            spec::Propose::Batched => raft::Propose::Batched(batch(system.batch)),
        },
        apply_on: match system.apply_on {
            spec::ApplyOn::RaftThread => raft::ApplyOn::RaftThread,
            spec::ApplyOn::ApplyThread => raft::ApplyOn::ApplyThread,
        },
        publish: match system.commit_publish {
            spec::CommitPublish::Ready => raft::Publish::Ready,
            spec::CommitPublish::NextReady => raft::Publish::NextReady,
        },
        fsync: match system.fsync {
            spec::Fsync::Real => raft::Fsync::Real,
            spec::Fsync::Off => raft::Fsync::Off,
            spec::Fsync::Delay(span) => raft::Fsync::Delay(span),
        },
        reads: match system.reads {
            spec::Reads::ReadIndex => raft::Reads::Index,
            spec::Reads::Lease => raft::Reads::Lease,
        },
    }
}

fn batch(batch: spec::Batch) -> raft::Batch {
    raft::Batch {
        ops_max: batch.ops_max as usize,
        bytes_max: batch.bytes_max,
        linger: match batch.linger {
            spec::Linger::None => raft::Linger::None,
            spec::Linger::Ticker(every) => raft::Linger::Ticker(every),
            spec::Linger::Armed(span) => raft::Linger::Armed(span),
            spec::Linger::Siblings(span) => raft::Linger::Siblings(span),
        },
        in_flight: batch.in_flight as usize,
    }
}
