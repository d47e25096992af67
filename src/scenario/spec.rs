//! A checked scenario: whatever can be built here can be run.
//! Only `check` makes these from what was typed.

use crate::seed::Seed;
use crate::units::{ByteSize, Nanos};
use std::fmt;

/// One question with its setup and its expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// File-name-safe name, `[A-Za-z0-9._-]{1,64}`.
    pub name: String,
    /// The question in words; may be empty.
    pub analysis: String,
    /// Root of all randomness.
    pub seed: Seed,
    /// What runs: `before` first, the ladder's rungs between, `after` last; at least two.
    pub arms: Vec<Arm>,
    /// Which keys are touched.
    pub keys: Keys,
    /// How large the values are.
    pub values: Values,
    /// What is sent, with weights; never empty.
    pub ops: Vec<WeightedOp>,
    /// How it is sent; never empty.
    pub phases: Vec<Phase>,
    /// How often, and in which order.
    pub trials: Trials,
    /// What is expected; may be empty.
    pub targets: Vec<Target>,
    /// The text of the file after `--set`, kept for the record.
    pub text: String,
}

/// One configuration under comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// `before`, `after`, or `rung-1`, `rung-2`, … for the steps between.
    pub name: String,
    /// The lever moved since the arm before it in the list, e.g. `propose pipelined`; empty for the first arm.
    pub lever: String,
    /// The levers.
    pub system: System,
}

/// The levers of one arm.
#[derive(Clone, Debug, PartialEq)]
pub struct System {
    /// Where the load enters.
    pub layer: Layer,
    /// What stores the state.
    pub engine: Engine,
    /// Who may touch the store at once.
    pub apply: Apply,
    /// Shard locks of the sharded path, a power of two in 1..=65536.
    pub shards: u32,
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
    /// Raft group size.
    pub nodes: u8,
    /// Whether the per-request stage clock and lock clocks run.
    pub instruments: bool,
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
}

/// State machine storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Hash tables in memory.
    Memory,
}

/// The two apply paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apply {
    /// One lock around each request.
    GlobalMutex,
    /// One lock per shard.
    Sharded,
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
    /// Wait for the clients that were just answered, at most this long.
    Siblings(Nanos),
}

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

/// Which keys are touched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keys {
    /// Number of distinct keys.
    pub space: u64,
    /// Length of every key; large enough to tell `space` keys apart.
    pub size: ByteSize,
    /// How they are drawn.
    pub dist: KeyDist,
}

/// How keys are drawn from the space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyDist {
    /// All equally likely.
    Uniform,
    /// Zipf with this exponent, > 0.
    Zipf(f64),
    /// 90 % of the draws from 10 % of the keys.
    Hotspot,
    /// One after the other, each client from a place of its own.
    Sequential,
    /// All clients the same uniform sequence.
    Shared,
}

/// How large the values are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values {
    /// All the same size.
    Fixed(ByteSize),
    /// Lognormal, given by two of its quantiles.
    Lognormal {
        /// Half the values are smaller.
        median: ByteSize,
        /// 99 % of the values are smaller.
        p99: ByteSize,
    },
}

/// One kind of operation and its share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightedOp {
    /// What is sent.
    pub kind: OpKind,
    /// Relative frequency, > 0.
    pub weight: f64,
}

/// The kinds of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    /// Write a key.
    Put,
    /// Read a key, linearizably.
    Get,
    /// Delete a key.
    Delete,
}

/// One way of sending the load.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Unique within the scenario.
    pub name: String,
    /// Closed loop: each client sends its next request when the last was answered. Sorted, distinct.
    pub clients: Vec<u32>,
    /// Load before each measurement that is not measured.
    pub warmup: Nanos,
    /// Length of each measurement.
    pub duration: Nanos,
}

/// How often and in which order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trials {
    /// Blocks at least.
    pub pairs_min: u32,
    /// Blocks at most.
    pub pairs_max: u32,
    /// Half-width of the judged ratios at which no more pairs are added, as a fraction.
    pub precision: f64,
    /// Whether the scenario asks for that precision (then a target that does not get it stays undecided).
    pub precision_required: bool,
    /// Whether arms are also compared with themselves.
    pub aa: bool,
}

/// One expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Unique within the scenario.
    pub id: String,
    /// What is judged.
    pub metric: MetricRef,
    /// The bound on after / before.
    pub bound: Bound,
}

/// `phase.measure@clients`, e.g. `saturate.throughput@50`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricRef {
    /// Name of a phase of the scenario.
    pub phase: String,
    /// What of it.
    pub measure: Measure,
    /// One of the phase's client counts.
    pub clients: u32,
}

/// What can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Operations per second.
    Throughput,
    /// Median service time.
    P50,
    /// 90th percentile of service time.
    P90,
    /// 99th percentile of service time.
    P99,
    /// 99.9th percentile of service time.
    P999,
    /// CPU time of the whole process per operation.
    CpuPerOp,
    /// Syncs of the log per operation.
    FsyncsPerOp,
}

/// A bound on a ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The ratio must be at least this.
    AtLeast(f64),
    /// The ratio must be at most this.
    AtMost(f64),
}

impl Scenario {
    /// The configuration the comparison starts from.
    pub fn before(&self) -> &Arm {
        &self.arms[0]
    }

    /// The configuration under test.
    pub fn after(&self) -> &Arm {
        &self.arms[self.arms.len() - 1]
    }
}

/// Gives an enum of plain words its spelling in scenario files, both ways, from one table.
macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// Every spelling, in the order of the documentation.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The spelling in scenario files and reports.
            pub fn as_str(self) -> &'static str {
                match self { $($type::$variant => $word),+ }
            }

            /// The value spelled `word`.
            pub fn from_word(word: &str) -> Option<$type> {
                match word { $($word => Some($type::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(Layer { Store = "store", Apply = "apply", Raft = "raft" });
words!(Engine { Memory = "memory" });
words!(Apply { GlobalMutex = "global-mutex", Sharded = "sharded" });
words!(ApplyOn { RaftThread = "raft-thread", ApplyThread = "apply-thread" });
words!(Propose { Serial = "serial", Pipelined = "pipelined", Batched = "batched" });
words!(CommitPublish { Ready = "ready", NextReady = "next-ready" });
words!(OpKind { Put = "put", Get = "get", Delete = "delete" });
words!(Measure {
    Throughput = "throughput",
    P50 = "p50",
    P90 = "p90",
    P99 = "p99",
    P999 = "p999",
    CpuPerOp = "cpu_per_op",
    FsyncsPerOp = "fsyncs_per_op",
});

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

impl fmt::Display for Fsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fsync::Real => f.write_str("real"),
            Fsync::Off => f.write_str("off"),
            Fsync::Delay(span) => write!(f, "delay:{span}"),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::AtLeast(ratio) => write!(f, ">= {ratio}"),
            Bound::AtMost(ratio) => write!(f, "<= {ratio}"),
        }
    }
}

impl System {
    /// Every lever with its value as spelled in scenario files, in a fixed order.
    pub fn levers(&self) -> Vec<(&'static str, String)> {
        vec![
            ("layer", self.layer.to_string()),
            ("engine", self.engine.to_string()),
            ("nodes", self.nodes.to_string()),
            ("apply", self.apply.to_string()),
            ("shards", self.shards.to_string()),
            ("apply_on", self.apply_on.to_string()),
            ("propose", self.propose.to_string()),
            ("batch.ops_max", self.batch.ops_max.to_string()),
            ("batch.bytes_max", self.batch.bytes_max.to_string()),
            ("batch.linger", self.batch.linger.to_string()),
            ("batch.in_flight", self.batch.in_flight.to_string()),
            ("commit_publish", self.commit_publish.to_string()),
            ("fsync", self.fsync.to_string()),
            ("instruments", self.instruments.to_string()),
        ]
    }
}

impl fmt::Display for MetricRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}@{}", self.phase, self.measure.as_str(), self.clients)
    }
}
