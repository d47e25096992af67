//! The levers of an arm, with their spelling in scenario files and reports.

use super::words;
use crate::units::{ByteSize, Nanos};
use std::fmt;

/// The levers of one arm.
#[derive(Clone, Debug, PartialEq)]
pub struct System {
    /// Where the load enters.
    pub layer: Layer,
    /// What stores the state.
    pub engine: Engine,
    /// When the engine syncs its own files.
    pub state_sync: StateSync,
    /// Who may touch the store at once.
    pub apply: Apply,
    /// Shard locks of the sharded path, a power of two in 1..=65536.
    pub shards: u32,
    /// How the shard locks lie in memory.
    pub shard_layout: ShardLayout,
    /// Threads of the sharded path that evaluate the requests of a batch, 1..=64.
    pub apply_workers: u32,
    /// Revisions of history that stay readable, at least; 0 for all.
    pub auto_compaction: u64,
    /// Which thread applies.
    pub apply_on: ApplyOn,
    /// How requests become proposals.
    pub propose: Propose,
    /// How the batched proposer packs.
    pub batch: Batch,
    /// When committed entries go to apply.
    pub commit_publish: CommitPublish,
    /// What a sync of the log means.
    pub fsync: Fsync,
    /// How reads are made linearizable.
    pub reads: Reads,
    /// What clients ask of reads.
    pub consistency: Consistency,
    /// Raft group size.
    pub nodes: u8,
    /// Whether the per-request stage clock and lock clocks run.
    pub instruments: bool,
    /// Whether locks take call stacks of who waits for them and who holds them.
    pub lock_profile: bool,
    /// Connections that clients share, where there are any.
    pub connections: Connections,
    /// The etcd that is measured.
    pub etcd: Etcd,
}

/// Where the load enters; a store-only ratio is never an end-to-end one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Client threads call the apply path directly.
    Store,
    /// Requests queue for one applier; no log.
    Apply,
    /// In-process, propose to reply, through the log.
    Raft,
    /// gRPC to servers of this program in processes of their own.
    Rpc,
    /// gRPC to etcd.
    Etcd,
}

/// How clients share connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// So many, each used by clients in turn, 1..=10000.
    Count(u32),
    /// Each client has one of its own.
    PerClient,
}

/// Which etcd is measured. Without endpoints one is started for each trial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Etcd {
    /// Running servers of one empty group, `http://host:port`.
    pub endpoints: Vec<String>,
    /// PEM file of who signed the servers' certificates.
    pub ca_file: Option<String>,
    /// PEM file of the clients' certificate, together with its key.
    pub cert_file: Option<String>,
    /// PEM file of that key.
    pub key_file: Option<String>,
    /// Who the clients are.
    pub user: Option<String>,
    /// The environment variable that holds the user's password.
    pub password_env: Option<String>,
}

/// State machine storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Hash tables in memory.
    Memory,
    /// RocksDB, in the data folder.
    Rocksdb,
}

/// When an engine that keeps its state on disk syncs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateSync {
    /// Never: what it lost, the log gives back. The only one there is for an engine in memory.
    RaftLogOnly,
    /// One synced write per batch.
    PerBatch,
    /// One synced write per request, under its lock.
    PerOp,
}

/// The two apply paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apply {
    /// One lock around each request.
    GlobalMutex,
    /// One lock per shard.
    Sharded,
}

/// How the locks of the sharded path lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardLayout {
    /// Each on a cache line of its own.
    Padded,
    /// Without gaps, so that neighbours share cache lines.
    Packed,
}

/// Which thread applies committed entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyOn {
    /// Inline, on the thread that runs the Ready loop.
    RaftThread,
    /// On a thread of its own, behind a bounded queue.
    ApplyThread,
}

/// How requests become raft proposals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propose {
    /// One proposal in the pipeline at a time.
    Serial,
    /// Every request its own entry; entries share fsyncs by group commit.
    Pipelined,
    /// Many requests packed into one entry.
    Batched,
}

/// Bounds of the batched proposer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Most requests in one entry, 1..=65536.
    pub ops_max: u32,
    /// Most bytes in one entry, 1 KiB..=64 MiB.
    pub bytes_max: ByteSize,
    /// How long to wait for company.
    pub linger: Linger,
    /// Most batches proposed and not yet applied, 1..=1024.
    pub in_flight: u32,
}

/// How long the batched proposer waits before it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linger {
    /// Never: take what is there.
    None,
    /// Send on the beats of a fixed ticker.
    Ticker(Nanos),
    /// Send this long after the first request of the batch came.
    Armed(Nanos),
    /// Wait for the clients that were just answered, where that pays, at most this long.
    Siblings(Nanos),
}

/// Shortest and longest wait of a batch.
pub const LINGER: (Nanos, Nanos) = (Nanos(1_000), Nanos::from_millis(1_000));

impl Linger {
    /// The wait called `kind` that lasts `span`.
    pub fn of(kind: &str, span: Nanos) -> Option<Linger> {
        match kind {
            "ticker" => Some(Linger::Ticker(span)),
            "armed" => Some(Linger::Armed(span)),
            "siblings" => Some(Linger::Siblings(span)),
            _ => None,
        }
    }
}

/// Shortest and longest sleep in place of a sync.
pub const FSYNC_DELAY: (Nanos, Nanos) = (Nanos(1_000), Nanos::from_millis(10_000));

/// When committed entries go to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitPublish {
    /// As soon as they are committed.
    Ready,
    /// After the next Ready has been persisted, as the upstream system did.
    NextReady,
}

/// What a sync of the log means. Anything but `Real` is stamped on every report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// fdatasync.
    Real,
    /// Nothing at all.
    Off,
    /// A sleep of this length in place of the sync: models another disk.
    Delay(Nanos),
}

/// How reads are made linearizable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// A quorum confirms each time that the leader leads.
    ReadIndex,
    /// The leader answers by itself while a quorum has confirmed it shortly before; takes clocks for granted.
    Lease,
}

/// What clients ask of reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// The answer holds every write that was answered before the read was sent.
    Linearizable,
    /// The answer is the state of whoever is asked, which may be behind.
    Serializable,
}

words!(Layer {
    Store = "store",
    Apply = "apply",
    Raft = "raft",
    Rpc = "rpc",
    Etcd = "etcd",
});
words!(Engine { Memory = "memory", Rocksdb = "rocksdb" });
words!(Apply { GlobalMutex = "global-mutex", Sharded = "sharded" });
words!(ApplyOn { RaftThread = "raft-thread", ApplyThread = "apply-thread" });
words!(Propose { Serial = "serial", Pipelined = "pipelined", Batched = "batched" });
words!(CommitPublish { Ready = "ready", NextReady = "next-ready" });
words!(Reads { ReadIndex = "read-index", Lease = "lease" });
words!(ShardLayout { Padded = "padded", Packed = "packed" });
words!(Consistency { Linearizable = "linearizable", Serializable = "serializable" });
words!(StateSync { RaftLogOnly = "raft-log-only", PerBatch = "per-batch", PerOp = "per-op" });

impl fmt::Display for Linger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Linger::None => f.write_str("0s"),
            Linger::Ticker(every) => write!(f, "ticker:{every}"),
            Linger::Armed(span) => write!(f, "armed:{span}"),
            Linger::Siblings(span) => write!(f, "siblings:{span}"),
        }
    }
}

impl Layer {
    /// Whether requests go through a log that is synced.
    pub fn has_log(self) -> bool {
        matches!(self, Layer::Raft | Layer::Rpc | Layer::Etcd)
    }

    /// Whether the system runs in processes of its own, behind gRPC.
    pub fn is_remote(self) -> bool {
        matches!(self, Layer::Rpc | Layer::Etcd)
    }
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Connections::Count(count) => write!(f, "{count}"),
            Connections::PerClient => f.write_str("per-client"),
        }
    }
}

impl fmt::Display for Fsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fsync::Real => f.write_str("real"),
            Fsync::Off => f.write_str("off"),
            Fsync::Delay(span) => write!(f, "delay:{span}"),
        }
    }
}

impl fmt::Display for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.endpoints.as_slice() {
            [] => f.write_str("started for each trial"),
            endpoints => f.write_str(&endpoints.join(" ")),
        }
    }
}

impl Default for System {
    /// What an arm has where nothing was typed: the optimised write path on real fsyncs.
    fn default() -> System {
        System {
            layer: Layer::Raft,
            engine: Engine::Memory,
            state_sync: StateSync::RaftLogOnly,
            apply: Apply::Sharded,
            shards: 512,
            apply_workers: 1,
            auto_compaction: 100_000,
            apply_on: ApplyOn::RaftThread,
            propose: Propose::Batched,
            shard_layout: ShardLayout::Padded,
            batch: Batch {
                ops_max: 1024,
                bytes_max: ByteSize(1 << 20),
                linger: Linger::None,
                in_flight: 1,
            },
            commit_publish: CommitPublish::Ready,
            fsync: Fsync::Real,
            reads: Reads::ReadIndex,
            consistency: Consistency::Linearizable,
            nodes: 1,
            instruments: true,
            lock_profile: false,
            connections: Connections::Count(1),
            etcd: Etcd::default(),
        }
    }
}

impl System {
    /// Every lever that its system has, with the value as spelled in scenario files, in a fixed order.
    pub fn levers(&self) -> Vec<(&'static str, String)> {
        self.all_levers().into_iter().filter(|(lever, _)| self.has_lever(lever)).collect()
    }

    fn has_lever(&self, lever: &str) -> bool {
        match self.layer {
            Layer::Store | Layer::Apply | Layer::Raft => lever != "connections" && lever != "etcd",
            Layer::Rpc => !["etcd", "instruments", "lock_profile"].contains(&lever),
            Layer::Etcd => {
                ["layer", "consistency", "connections", "etcd"].contains(&lever)
                    || self.etcd.endpoints.is_empty()
                        && ["nodes", "auto_compaction"].contains(&lever)
            }
        }
    }

    fn all_levers(&self) -> Vec<(&'static str, String)> {
        vec![
            ("layer", self.layer.to_string()),
            ("engine", self.engine.to_string()),
            ("state_sync", self.state_sync.to_string()),
            ("nodes", self.nodes.to_string()),
            ("apply", self.apply.to_string()),
            ("shards", self.shards.to_string()),
            ("shard_layout", self.shard_layout.to_string()),
            ("apply_workers", self.apply_workers.to_string()),
            ("auto_compaction", self.auto_compaction.to_string()),
            ("apply_on", self.apply_on.to_string()),
            ("propose", self.propose.to_string()),
            ("batch.ops_max", self.batch.ops_max.to_string()),
            ("batch.bytes_max", self.batch.bytes_max.to_string()),
            ("batch.linger", self.batch.linger.to_string()),
            ("batch.in_flight", self.batch.in_flight.to_string()),
            ("commit_publish", self.commit_publish.to_string()),
            ("fsync", self.fsync.to_string()),
            ("reads", self.reads.to_string()),
            ("consistency", self.consistency.to_string()),
            ("instruments", self.instruments.to_string()),
            ("lock_profile", self.lock_profile.to_string()),
            ("connections", self.connections.to_string()),
            ("etcd", self.etcd.to_string()),
        ]
    }
}
