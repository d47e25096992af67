//! The levers of a node as flags, with the words that scenarios use for them.

use crate::node::{self, Compaction};
use crate::raft::{self, ApplyOn, Batch, Fsync, Linger, Publish};
use crate::store::{self, EngineKind, Parallelism, PathKind, StateSync};
use crate::units::{ByteSize, Nanos, parse_bytes, parse_nanos};
use clap::{Args, ValueEnum};
use std::hash::{BuildHasher, RandomState};

/// Fewest and most bytes of a batch, as in scenarios.
const BATCH_BYTES: (u64, u64) = (1 << 10, 64 << 20);
/// Longest wait that can be asked for, as in scenarios.
const TIME_NS_MAX: u64 = 10_000_000_000;
/// Most shards there can be.
const SHARDS_MAX: u32 = 65_536;

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
    /// Most requests in one log entry
    #[arg(long, value_name = "COUNT", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_ops_max: u32,
    /// Most bytes in one log entry
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = batch_bytes)]
    batch_bytes_max: ByteSize,
    /// How long a batch waits for company: 0s, ticker:TIME, armed:TIME or siblings:TIME
    #[arg(long, value_name = "WAIT", default_value = "0s", value_parser = linger)]
    batch_linger: Linger,
    /// Most batches proposed and not yet applied
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch_in_flight: u32,
    /// Which thread applies committed entries
    #[arg(long, value_enum, default_value_t = Thread::RaftThread)]
    apply_on: Thread,
    /// When committed entries go to apply
    #[arg(long, value_enum, default_value_t = Published::Ready)]
    commit_publish: Published,
    /// What a sync of the log does: real, off (loses writes when the machine fails) or delay:TIME (models another disk)
    #[arg(long, value_name = "SYNC", default_value = "real", value_parser = fsync)]
    fsync: Fsync,
    /// Revisions of history that stay readable, at least; 0 keeps all
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    keep_revisions: u64,
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
enum Thread {
    RaftThread,
    ApplyThread,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Published {
    Ready,
    NextReady,
}

fn batch_bytes(text: &str) -> Result<ByteSize, String> {
    let size = match text.parse() {
        Ok(bytes) => ByteSize(bytes),
        Err(_) => parse_bytes(text).map_err(|error| error.to_string())?,
    };
    match (BATCH_BYTES.0..=BATCH_BYTES.1).contains(&size.0) {
        true => Ok(size),
        false => Err("allowed: 1KiB to 64MiB".to_owned()),
    }
}

fn linger(text: &str) -> Result<Linger, String> {
    match text.split_once(':') {
        Some(("ticker", span)) => time(span).map(Linger::Ticker),
        Some(("armed", span)) => time(span).map(Linger::Armed),
        Some(("siblings", span)) => time(span).map(Linger::Siblings),
        None if parse_nanos(text) == Ok(Nanos::ZERO) => Ok(Linger::None),
        _ => Err("allowed: 0s, ticker:5ms, armed:1ms, siblings:50us".to_owned()),
    }
}

fn fsync(text: &str) -> Result<Fsync, String> {
    match (text, text.strip_prefix("delay:")) {
        ("real", _) => Ok(Fsync::Real),
        ("off", _) => Ok(Fsync::Off),
        (_, Some(span)) => time(span).map(Fsync::Delay),
        _ => Err("allowed: real, off, delay:TIME, e.g. delay:22ms".to_owned()),
    }
}

fn time(text: &str) -> Result<Nanos, String> {
    let span = parse_nanos(text).map_err(|error| error.to_string())?;
    match (1_000..=TIME_NS_MAX).contains(&span.0) {
        true => Ok(span),
        false => Err("allowed: 1us to 10s".to_owned()),
    }
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
                Propose::Batched => raft::Propose::Batched(self.batch()),
            },
            apply_on: match self.apply_on {
                Thread::RaftThread => ApplyOn::RaftThread,
                Thread::ApplyThread => ApplyOn::ApplyThread,
            },
            publish: match self.commit_publish {
                Published::Ready => Publish::Ready,
                Published::NextReady => Publish::NextReady,
            },
            fsync: self.fsync,
        };
        let compaction = Compaction { keep_revisions: self.keep_revisions };
        node::Config { store: self.store(), compaction, pipeline }
    }

    fn batch(&self) -> Batch {
        Batch {
            ops_max: self.batch_ops_max as usize,
            bytes_max: self.batch_bytes_max,
            linger: self.batch_linger,
            in_flight: self.batch_in_flight as usize,
        }
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
