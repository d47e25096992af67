//! The state machine: a multi-version key space with leases and watches, as etcd has them, on one of two engines,
//! reached by one of two paths.
//!
//! A request is *evaluated* (`evaluate`) on the newest state by whoever holds its locks; what it changes becomes
//! versions (`Kv`) that carry a stamp in place of a revision. Then its revision is *published* (`publication`): the stamps
//! become that number, the engine commits, watchers are told, and only then may a reader name the revision. Readers
//! look at the newest published revision and skip what is newer, so they never see the middle of a request.
//!
//! The paths differ in who may evaluate at once: `GlobalMutex` one request, readers included; `Sharded` whoever
//! holds other shards, and with several workers also the requests of one batch (`parallel`). Both use the same evaluator, so
//! that neither is favoured. The store knows no raft and no log.
//!
//! Invariants: `1 <= create <= mod <= published` and `version >= 1` for every live key a reader sees; a key's
//! versions ascend; the lease table holds key `k` under lease `l` exactly when the newest version of `k` names `l`.

use crate::measure::lock::Visit;
use crate::measure::stage::{Probe, Stamps};
use crate::model::{
    Alarm, Event, KeyValue, LeaseStatus, MainRevision, Position, Range, Refusal, Request, Response,
};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64_with_seed;

mod ahead;
mod alarms;
mod appliers;
mod calibration;
mod compare;
mod core;
mod effects;
mod engine;
mod evaluate;
mod footprint;
mod global;
mod history;
mod image;
mod index;
mod kv;
mod layout;
mod leases;
mod look;
mod memory;
mod parallel;
mod pool;
mod prepare;
mod publication;
mod range;
mod reading;
mod record;
#[cfg(feature = "rocksdb")]
mod rocks;
#[cfg(feature = "seeded-bugs")]
mod seeded;
mod sharded;
mod size;
#[cfg(feature = "slowed-apply")]
mod slowed;
mod spare;
mod tickets;
mod watch;

pub use calibration::Calibration;
pub use image::{ImageError, check_image, position_of_image};
pub use range::{HeldRange, Portion};
#[cfg(feature = "seeded-bugs")]
pub use seeded::{SeededBug, open_seeded};
pub use watch::{
    BUFFER_BYTES_MAX, BUFFER_EVENTS_MAX, FRAGMENT_BYTES_MAX, HISTORY_REVISIONS_MAX, Present,
    SharedEvent, WatchCounts, WatchHub, WatchLimits, WatchResponse, WatchSpec, Watcher, watch,
};

/// The levers of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who may touch it at once.
    pub path: PathKind,
    /// What keeps it.
    pub engine: EngineKind,
    /// How the locks of the sharded path lie in memory. No answer depends on it.
    pub shard_layout: ShardLayout,
    /// What keys are hashed with, to spread them over shards and tables. No answer depends on it.
    pub hash_seed: u64,
    /// How several workers share a batch. No answer depends on it.
    pub parallelism: Parallelism,
}

impl Config {
    /// A store in memory, with everything that no answer depends on as usual.
    pub fn in_memory(path: PathKind) -> Config {
        Config {
            path,
            engine: EngineKind::Memory,
            shard_layout: ShardLayout::default(),
            hash_seed: 0,
            parallelism: Parallelism::default(),
        }
    }
}

/// How several workers share a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parallelism {
    /// Requests from which a batch is shared; measured if not given.
    pub parallel_from: Option<u32>,
    /// Claim the requests of a batch in an order shuffled by this seed, so that a dependency that is missing shows
    /// whatever the threads do. For tests.
    pub shuffled_claims: Option<u64>,
}

/// Which apply path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// One lock around each request.
    GlobalMutex,
    /// One lock per shard.
    Sharded {
        /// How many, a power of two.
        shards: u32,
        /// How many threads evaluate the requests of a batch, 1..=64.
        workers: u32,
    },
}

/// How locks lie in memory, one beside the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShardLayout {
    /// Each on a cache line of its own.
    #[default]
    Padded,
    /// Without gaps.
    Packed,
}

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// Hash tables and an ordered index in memory.
    Memory,
    /// The same for keys, and their values with all that a restart needs in RocksDB, in the store's folder; only in builds with feature
    /// `rocksdb`.
    RocksDb {
        /// When what was applied is on disk.
        state_sync: StateSync,
    },
}

/// When an engine on disk has kept what was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateSync {
    /// A synced write for each request, before it is answered.
    PerOp,
    /// A synced write for each apply batch, before its requests are answered.
    PerBatch,
    /// By and by: the log is synced, and what was lost is applied again from it.
    RaftLogOnly,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Built without the feature that the engine needs.
    #[error(
        "engine rocksdb is not in this build\n  hint: ./scripts/setup rocksdb, then cargo build --release --features rocksdb"
    )]
    NotBuilt,
    /// RocksDB says no.
    #[error("{}: {message}", folder.display())]
    RocksDb {
        /// Where the database is.
        folder: PathBuf,
        /// What it says.
        message: String,
    },
    /// A worker thread could not be started.
    #[error("a worker thread could not be started: {0}")]
    Thread(std::io::Error),
    /// A database of something else.
    #[error("{} holds a RocksDB database that is not of kvbench, left as it is", .0.display())]
    Foreign(PathBuf),
    /// One that a later version wrote.
    #[error("{} is of a later version of kvbench, left as it is\n  hint: take that version, or a folder of its own for this one", .0.display())]
    Later(PathBuf),
}

/// Opens the store that `config` describes; only an engine that keeps things on disk touches `folder`.
pub fn open(config: Config, folder: &Path, probe: Probe) -> Result<Arc<dyn ApplyPath>, StoreError> {
    match config.engine {
        EngineKind::Memory => {
            let engine = memory::Memory::new(config.hash_seed, probe);
            reached_by(config, engine, engine::Kept::default(), probe)
        }
        EngineKind::RocksDb { state_sync } => open_rocksdb(config, folder, state_sync, probe),
    }
}

#[cfg(feature = "rocksdb")]
fn open_rocksdb(
    config: Config,
    folder: &Path,
    state_sync: StateSync,
    probe: Probe,
) -> Result<Arc<dyn ApplyPath>, StoreError> {
    let (engine, kept) = rocks::RocksDb::open(folder, state_sync, config.hash_seed, probe)?;
    reached_by(config, engine, kept, probe)
}

#[cfg(not(feature = "rocksdb"))]
fn open_rocksdb(
    _: Config,
    _: &Path,
    _: StateSync,
    _: Probe,
) -> Result<Arc<dyn ApplyPath>, StoreError> {
    Err(StoreError::NotBuilt)
}

/// Opens the store that `config` describes with the state in an image; an engine on disk makes `folder`, which is absent.
pub fn load(
    config: Config,
    folder: &Path,
    probe: Probe,
    from: &mut dyn Read,
) -> Result<Arc<dyn ApplyPath>, ImageError> {
    match config.engine {
        EngineKind::Memory => {
            let mut versions = Vec::new();
            let kept = image::read(from, &mut |kv| {
                versions.push(kv);
                Ok(())
            })?;
            let kept = engine::Kept { versions, ..kept };
            let engine = memory::Memory::new(config.hash_seed, probe);
            Ok(reached_by(config, engine, kept, probe).map_err(Box::new)?)
        }
        EngineKind::RocksDb { state_sync } => {
            load_rocksdb(folder, from)?;
            Ok(open_rocksdb(config, folder, state_sync, probe).map_err(Box::new)?)
        }
    }
}

#[cfg(feature = "rocksdb")]
fn load_rocksdb(folder: &Path, from: &mut dyn Read) -> Result<(), ImageError> {
    rocks::RocksDb::load(folder, from)
}

#[cfg(not(feature = "rocksdb"))]
fn load_rocksdb(_: &Path, _: &mut dyn Read) -> Result<(), ImageError> {
    Err(Box::new(StoreError::NotBuilt).into())
}

/// The path to an engine and what it had kept.
fn reached_by(
    config: Config,
    engine: impl engine::Engine,
    kept: engine::Kept,
    probe: Probe,
) -> Result<Arc<dyn ApplyPath>, StoreError> {
    Ok(match config.path {
        PathKind::GlobalMutex => {
            Arc::new(global::GlobalMutex::new(engine, kept, config.hash_seed, probe))
        }
        PathKind::Sharded { shards, workers } => {
            let of = (shards, workers);
            match config.shard_layout {
                ShardLayout::Padded => sharded::<layout::Padded>(config, of, engine, kept, probe)?,
                ShardLayout::Packed => sharded::<layout::Packed>(config, of, engine, kept, probe)?,
            }
        }
    })
}

/// The sharded path with locks laid out as `L` says.
fn sharded<L: layout::Layout>(
    config: Config,
    (shards, workers): (u32, u32),
    engine: impl engine::Engine,
    kept: engine::Kept,
    probe: Probe,
) -> Result<Arc<dyn ApplyPath>, StoreError> {
    let serial: sharded::Sharded<_, L> =
        sharded::Sharded::new(engine, kept, shards, config.hash_seed, probe);
    Ok(match workers {
        0 | 1 => Arc::new(serial),
        _ => Arc::new(parallel::Parallel::new(serial, workers, config.parallelism, probe)?),
    })
}

/// The hash of a key: chooses its shard and its place in a table.
fn hash(key: &[u8], seed: u64) -> u64 {
    xxh3_64_with_seed(key, seed)
}

/// Executes committed requests and answers questions. Any number of threads may call it at once; each request is
/// atomic.
pub trait ApplyPath: Send + Sync {
    /// Executes every command of `batch` in order, which leaves it empty, and appends one answer each to `answers`. Commands at or before
    /// [`ApplyPath::applied`] were executed before: they change nothing and are answered as if they asked nothing.
    fn apply(&self, batch: &mut Vec<Command>, answers: &mut Vec<Answer>);

    /// Answers a request that changes nothing, at the newest published revision.
    ///
    /// # Panics
    /// If it is a write.
    fn read(&self, request: &Request) -> Answer;

    /// Answers `range` as [`ApplyPath::read`] does, unless that is more than `portion`; it ends at the key that is too much.
    fn read_within(&self, portion: Portion, range: &Range) -> Option<Response>;

    /// Finds what `range` asks for at the newest published revision, which is told with it, and holds on to it where it lies: a large
    /// answer can then be made piece by piece.
    fn hold(&self, range: &Range) -> (MainRevision, Result<HeldRange, Refusal>);

    /// The last command whose effects are kept; after a restart, what the engine had kept. Waits for a publication that
    /// is under way.
    fn applied(&self) -> Position;

    /// Newest revision a reader may name.
    fn published(&self) -> MainRevision;

    /// Changes of the revisions in `from..=to`, in order. `from` below the compaction gives the compaction's revision.
    fn events(&self, from: MainRevision, to: MainRevision) -> Result<Vec<Event>, MainRevision>;

    /// The state as a reader would find it now. Locks everything; meant for checks, not for the hot path.
    fn digest(&self) -> Digest;

    /// Everything a reader could find out, for comparing stores byte by byte.
    fn dump(&self) -> Dump;

    /// Writes an image of the state as it is now, between two calls of [`ApplyPath::apply`]; `held` is called when the next one may come,
    /// which is soon.
    fn write_image(&self, to: &mut dyn Write, held: &mut dyn FnMut()) -> io::Result<()>;

    /// How large the state is that is held: as large as an image of it without alarms, that is keys, values and numbers of every version,
    /// history included, and leases. What a compaction covers counts until it is forgotten, which is by and by.
    fn bytes(&self) -> u64;

    /// Forgets at once what compactions cover.
    fn defragment(&self);

    /// Who watches, and the way to become one.
    fn watches(&self) -> &WatchHub;

    /// Shows the path's locks: `store` for those that guard keys, `leases`, those that order what becomes visible, and those within the
    /// engine, of watchers and of workers.
    fn visit_locks(&self, visit: Visit<'_>);

    /// The most requests that were found under execution at once since this was last asked; none if nobody looks.
    fn take_most_appliers(&self) -> Option<u32> {
        None
    }

    /// What sharing a batch among workers costs here; none where nothing is shared.
    fn calibration(&self) -> Option<Calibration> {
        None
    }
}

/// A committed request, with its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Grows from command to command; at index 0 if it comes from no log.
    pub position: Position,
    /// What to do.
    pub request: Request,
}

/// A response, with what of the stage clock only the apply path knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the client gets.
    pub response: Response,
    /// When it had its lock and was done.
    pub stamps: Stamps,
}

/// A summary of the whole state that two stores share exactly when they hold the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Main revision.
    pub revision: MainRevision,
    /// Revision of the last compaction, 0 if none.
    pub compacted: MainRevision,
    /// Keys present.
    pub keys: u64,
    /// Sum of a 128-bit hash of each key with its value, lease and revisions, of each lease with its time to live, and of each alarm;
    /// the order does not matter.
    pub hash: u128,
}

/// Everything a reader could find out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    /// Main revision.
    pub revision: MainRevision,
    /// Revision of the last compaction, 0 if none.
    pub compacted: MainRevision,
    /// Keys present, ascending.
    pub keys: Vec<KeyValue>,
    /// Leases with their keys, ascending.
    pub leases: Vec<LeaseStatus>,
    /// Alarms, ascending.
    pub alarms: Vec<Alarm>,
}
