//! A checked scenario: whatever can be built here can be run.
//! Only `check` makes these from what was typed.

mod load;
mod op;
mod system;

use crate::seed::Seed;
use crate::units::{ByteSize, Nanos};
pub use load::{Arrival, Capacity, Condition, Course, Load, Open, Rate, Search, SearchPercentile};
pub use op::{Op, OpKind, Range, RangeAnswer, TxnKind, WeightedOp};
use std::fmt;
pub use system::{
    Apply, ApplyOn, Batch, CommitPublish, Connections, Engine, Etcd, FSYNC_DELAY, Fsync, LINGER,
    Layer, Linger, Propose, StateSync, System,
};

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
use words;

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
    /// What is sent, with weights; never empty, each operation once.
    pub ops: Vec<WeightedOp>,
    /// How it is sent; never empty.
    pub phases: Vec<Phase>,
    /// How often, and in which order.
    pub trials: Trials,
    /// What is expected; may be empty.
    pub targets: Vec<Target>,
    /// What is checked besides what every run checks.
    pub checks: Checks,
    /// The text of the file after `--set`, kept for the record.
    pub text: String,
    /// What `--set` laid over it, as typed.
    pub set: Vec<String>,
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

/// Which keys are touched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keys {
    /// Number of distinct keys.
    pub space: u64,
    /// Length of every key; large enough to tell `space` keys apart.
    pub size: ByteSize,
    /// How they are drawn.
    pub dist: KeyDist,
    /// The first so many of them are there before the warm-up; 0 for an empty store.
    pub preload: u64,
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
    /// Each client writes one key after the other and reads those it wrote last, by their age as Zipf with exponent 0.99.
    Latest,
}

/// How large the values are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values {
    /// All the same size.
    Fixed(ByteSize),
    /// All sizes from `min` to `max` equally likely.
    Uniform {
        /// The smallest.
        min: ByteSize,
        /// The largest, not below it.
        max: ByteSize,
    },
    /// Lognormal, given by two of its quantiles.
    Lognormal {
        /// Half the values are smaller.
        median: ByteSize,
        /// 99 % of the values are smaller.
        p99: ByteSize,
    },
}

/// One way of sending the load.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Unique within the scenario.
    pub name: String,
    /// When requests are sent.
    pub load: Load,
    /// By how many clients, one measurement each; sorted, distinct. An open load has one count: of the streams that its
    /// operations are taken from in turn.
    pub clients: Vec<u32>,
    /// Load before each measurement that is not measured.
    pub warmup: Nanos,
    /// Length of each measurement; of each try of a search.
    pub duration: Nanos,
    /// Watchers of the whole key space while it runs.
    pub watchers: u32,
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
    /// What happens to a block in which the host was disturbed.
    pub on_disturbed: OnDisturbed,
}

/// What happens to a block in which others used the host, or in which its disk changed its pace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDisturbed {
    /// It is measured again, as often as the plan allows; then it is kept and marked.
    #[default]
    Retry,
    /// It is kept and marked, and the verdict stands.
    Keep,
    /// The run ends.
    Abort,
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

/// `phase.measure@clients`, e.g. `saturate.throughput@50`; `phase.measure` where the load is open, e.g. `paced.p99`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricRef {
    /// Name of a phase of the scenario.
    pub phase: String,
    /// What of it.
    pub measure: Measure,
    /// One of the phase's client counts; none if its load is open.
    pub clients: Option<u32>,
}

/// What can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Operations per second.
    Throughput,
    /// Median latency: service time in a closed loop, from the intended send time in an open one.
    P50,
    /// 90th percentile of latency.
    P90,
    /// 99th percentile of latency.
    P99,
    /// 99.9th percentile of latency.
    P999,
    /// The highest rate that met the condition of a search.
    MaxRate,
    /// CPU time per operation of everybody: load, watchers, system.
    CpuPerOp,
    /// CPU time of the system under test per operation, without those who offer load and watch.
    SystemCpuPerOp,
    /// Syncs of the log per operation.
    FsyncsPerOp,
    /// Events given to all watchers per second.
    WatchEvents,
}

/// Checks that a scenario asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// Transfers neither make nor lose money.
    pub bank: bool,
}

/// A bound on a ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The ratio must be at least this.
    AtLeast(f64),
    /// The ratio must be at most this.
    AtMost(f64),
}

impl Phase {
    /// Its name with one of its client counts, as in metrics: `saturate@50`, or `paced` where the load is open.
    pub fn place(&self, clients: u32) -> String {
        match self.load.is_closed() {
            true => format!("{}@{clients}", self.name),
            false => self.name.clone(),
        }
    }
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

    /// Whether its keys are accounts and money moves between them.
    pub fn is_bank(&self) -> bool {
        self.ops.iter().any(|weighted| weighted.op.is_transfer())
    }
}

words!(Measure {
    Throughput = "throughput",
    P50 = "p50",
    P90 = "p90",
    P99 = "p99",
    P999 = "p999",
    MaxRate = "max_rate",
    CpuPerOp = "cpu_per_op",
    SystemCpuPerOp = "system_cpu_per_op",
    FsyncsPerOp = "fsyncs_per_op",
    WatchEvents = "watch_events",
});

words!(OnDisturbed { Retry = "retry", Keep = "keep", Abort = "abort" });

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::AtLeast(ratio) => write!(f, ">= {ratio}"),
            Bound::AtMost(ratio) => write!(f, "<= {ratio}"),
        }
    }
}

impl fmt::Display for MetricRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.phase, self.measure.as_str())?;
        self.clients.map_or(Ok(()), |clients| write!(f, "@{clients}"))
    }
}
