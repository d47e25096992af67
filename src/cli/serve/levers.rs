//! The levers of a node as flags, with the words that scenarios use for them.

use crate::node::{self, Compaction};
use crate::raft::{self, ApplyOn, Batch, Fsync, Linger, Publish};
use crate::store::{self, EngineKind, Parallelism, PathKind, StateSync};
use crate::units::ByteSize;
use clap::{Args, ValueEnum};
use std::hash::{BuildHasher, RandomState};

/// Most shards there can be.
const SHARDS_MAX: u32 = 65_536;

/// How requests are packed where that is not set: as in scenarios.
const BATCH: Batch =
    Batch { ops_max: 1024, bytes_max: ByteSize(1 << 20), linger: Linger::None, in_flight: 1 };

/// A seed that strangers do not know, so that they cannot choose keys that all fall into one shard.
fn unpredictable() -> u64 {
    RandomState::new().hash_one(())
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Levers of the store")]
pub(super) struct LeverArgs {
    /// Who may touch the store at once
    #[arg(long, value_enum, default_value_t = Apply::Sharded)]
    apply: Apply,
    /// Locks of the sharded store, a power of two
    #[arg(long, value_name = "COUNT", default_value_t = 512)]
    shards: u32,
    /// Threads of the sharded store that execute the requests of a batch
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    apply_workers: u32,
    /// What keeps the state
    #[arg(long, value_enum, default_value_t = Engine::Memory)]
    engine: Engine,
    /// When RocksDB has kept what was applied
    #[arg(long, value_enum, default_value_t = Sync::RaftLogOnly)]
    state_sync: Sync,
    /// How requests become log entries
    #[arg(long, value_enum, default_value_t = Propose::Batched)]
    propose: Propose,
    /// What a sync of the log does; off loses writes when the machine fails
    #[arg(long, value_enum, default_value_t = SyncOfLog::Real)]
    fsync: SyncOfLog,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Apply {
    GlobalMutex,
    Sharded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Engine {
    Memory,
    Rocksdb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sync {
    PerOp,
    PerBatch,
    RaftLogOnly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Propose {
    Serial,
    Pipelined,
    Batched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SyncOfLog {
    Real,
    Off,
}

impl LeverArgs {
    /// What cannot be.
    pub(super) fn check(&self) -> Result<(), String> {
        if !self.shards.is_power_of_two() || self.shards > SHARDS_MAX {
            return Err(format!(
                "--shards {} is not a power of two up to {SHARDS_MAX}\n  hint: 512 is a good start",
                self.shards
            ));
        }
        if self.engine == Engine::Memory && self.state_sync != Sync::RaftLogOnly {
            return Err("--state-sync is for an engine on disk\n  hint: --engine rocksdb".into());
        }
        if self.apply == Apply::GlobalMutex && self.apply_workers > 1 {
            return Err("--apply-workers share the sharded store\n  hint: --apply sharded".into());
        }
        Ok(())
    }

    /// The node they describe.
    pub(super) fn config(&self) -> node::Config {
        let pipeline = raft::Config {
            propose: match self.propose {
                Propose::Serial => raft::Propose::Serial,
                Propose::Pipelined => raft::Propose::Pipelined,
                Propose::Batched => raft::Propose::Batched(BATCH),
            },
            apply_on: ApplyOn::RaftThread,
            publish: Publish::Ready,
            fsync: match self.fsync {
                SyncOfLog::Real => Fsync::Real,
                SyncOfLog::Off => Fsync::Off,
            },
        };
        node::Config { store: self.store(), compaction: Compaction::NEVER, pipeline }
    }

    fn store(&self) -> store::Config {
        store::Config {
            path: match self.apply {
                Apply::GlobalMutex => PathKind::GlobalMutex,
                Apply::Sharded => {
                    PathKind::Sharded { shards: self.shards, workers: self.apply_workers }
                }
            },
            engine: match self.engine {
                Engine::Memory => EngineKind::Memory,
                Engine::Rocksdb => EngineKind::RocksDb { state_sync: self.state_sync() },
            },
            hash_seed: unpredictable(),
            parallelism: Parallelism::default(),
        }
    }

    fn state_sync(&self) -> StateSync {
        match self.state_sync {
            Sync::PerOp => StateSync::PerOp,
            Sync::PerBatch => StateSync::PerBatch,
            Sync::RaftLogOnly => StateSync::RaftLogOnly,
        }
    }
}
