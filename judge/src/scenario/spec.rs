//! A checked scenario: whatever can be built here can be run.
//! Only `check` makes these from what was typed.

mod load;
mod op;
mod system;

use crate::seed::Seed;
use crate::units::{ByteSize, Nanos, Unit};
pub use load::{Arrival, Capacity, Condition, Course, Load, Open, Rate, Search, SearchPercentile};
pub use op::{Op, OpKind, Range, RangeAnswer, TxnKind, WeightedOp};
use std::fmt;
pub use system::{
    Apply, ApplyOn, Batch, CommitPublish, Connections, Consistency, Engine, Etcd, FSYNC_DELAY,
    Fsync, LINGER, Layer, Linger, Propose, Reads, ShardLayout, StateSync, System,
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
    /// The steps of the ladder if they are measured both ways; none else.
    pub both_ways: Vec<StepBothWays>,
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
    /// What may not get worse from revision to revision; may be empty.
    pub gates: Vec<Gate>,
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
    /// `before`, `after`, or `rung-1`, `rung-2`, … for the steps between; `alone-2`, `without-2` for steps measured both ways.
    pub name: String,
    /// The lever moved since the arm before it in the list, e.g. `propose pipelined`; empty for the first arm. Of an arm that is no
    /// rung: what it is, e.g. `propose pipelined alone`.
    pub lever: String,
    /// Whether it is no rung of the ladder: one step alone, or all but one.
    pub apart: bool,
    /// The levers.
    pub system: System,
}

/// A step of the ladder, and the arms that show what it does first and last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepBothWays {
    /// The lever it moves, as the rung says it.
    pub lever: String,
    /// Name of the arm that is `before` with this step alone.
    pub alone: String,
    /// Name of the arm that is all steps but this one.
    pub without: String,
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
    /// So many leases are held from before the warm-up on; the preloaded keys hang on them in turn,
    /// until they are put again.
    pub leases: u64,
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
    /// The claim that it decides, in a line; empty if it decides nobody's.
    pub claim: String,
    /// What is expected of what.
    pub expectation: Expectation,
}

/// One metric that may not get worse than at the base.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Of what.
    pub metric: MetricRef,
    /// Name of the arm.
    pub arm: String,
    /// Least change that counts, fraction above 0.
    pub worse: f64,
    /// Least change that counts, in the measure's own unit; 0 for any.
    pub least: f64,
}

/// What a target expects.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// After / before is within the bound.
    Ratio {
        /// Of what.
        metric: MetricRef,
        /// Where it has to be.
        bound: Bound,
    },
    /// One arm's own value is within the bound.
    Value {
        /// Of what.
        metric: MetricRef,
        /// Name of the arm.
        arm: String,
        /// Where it has to be, in the measure's own unit.
        bound: Bound,
    },
    /// A check of the answers holds.
    Check(CheckId),
}

/// `phase.measure@clients`, e.g. `saturate.throughput@50`; `phase.op.measure@clients` is of one kind of operation. Where the load
/// is open there are no clients, e.g. `paced.p99`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricRef {
    /// Name of a phase of the scenario.
    pub phase: String,
    /// Of which kind of operation alone.
    pub op: Option<OpKind>,
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
    /// Mean latency.
    Mean,
    /// Median latency: service time in a closed loop, from the intended send time in an open one.
    P50,
    /// 90th percentile of latency.
    P90,
    /// 99th percentile of latency.
    P99,
    /// 99.9th percentile of latency.
    P999,
    /// Longest latency.
    Max,
    /// The highest rate that met the condition of a search.
    MaxRate,
    /// CPU time per operation of everybody: load, watchers, system.
    CpuPerOp,
    /// CPU time of the system under test per operation, without those who offer load and watch.
    SystemCpuPerOp,
    /// CPU time of everybody over elapsed time.
    CoresBusy,
    /// CPU time of the system under test over elapsed time.
    SystemCoresBusy,
    /// Syncs of the log per operation.
    FsyncsPerOp,
    /// Log entries per operation.
    EntriesPerOp,
    /// Bytes written to the log per operation.
    LogBytesPerOp,
    /// Times that threads were put on a CPU, per operation, of everybody.
    SwitchesPerOp,
    /// System calls per operation, of everybody, where they are counted.
    SyscallsPerOp,
    /// Mean number of operations between being taken for the log and being committed.
    InFlight,
    /// Mean number of requests under execution in the store.
    AppliersMean,
    /// Most requests found under execution in the store at once.
    AppliersMax,
    /// Wait for all locks of the store as a share of the time the operations took.
    LockWaitShare,
    /// Share of the acquisitions of the store's lock that found it taken.
    LockContended,
    /// Locks of the store taken per operation.
    LocksPerOp,
    /// Events given to all watchers per second.
    WatchEvents,
    /// Throughput of the last third of the span over that of the first.
    ThroughputDrift,
    /// The typical 99th percentile of a slot of the last third of the span over that of the first.
    P99Drift,
    /// Resident memory at the end of the span over that at its begin.
    ResidentDrift,
    /// The most resident memory within the span.
    ResidentPeak,
    /// Calls of read and write and their kin per operation, of everybody.
    IoCallsPerOp,
    /// Bytes sent to storage per operation.
    DiskBytesPerOp,
    /// Allocations per operation, where the build counts them.
    AllocsPerOp,
    /// Bytes allocated per operation, where the build counts them.
    AllocBytesPerOp,
}

impl Measure {
    /// The unit of its values.
    pub fn unit(self) -> Unit {
        match self {
            Measure::Throughput | Measure::MaxRate | Measure::WatchEvents => Unit::PerSecond,
            Measure::Mean
            | Measure::P50
            | Measure::P90
            | Measure::P99
            | Measure::P999
            | Measure::Max
            | Measure::CpuPerOp
            | Measure::SystemCpuPerOp => Unit::Time,
            Measure::LockWaitShare | Measure::LockContended => Unit::Share,
            Measure::ResidentPeak => Unit::Bytes,
            Measure::CoresBusy
            | Measure::SystemCoresBusy
            | Measure::FsyncsPerOp
            | Measure::EntriesPerOp
            | Measure::LogBytesPerOp
            | Measure::SwitchesPerOp
            | Measure::SyscallsPerOp
            | Measure::InFlight
            | Measure::AppliersMean
            | Measure::AppliersMax
            | Measure::LocksPerOp
            | Measure::ThroughputDrift
            | Measure::P99Drift
            | Measure::ResidentDrift
            | Measure::IoCallsPerOp
            | Measure::DiskBytesPerOp
            | Measure::AllocsPerOp
            | Measure::AllocBytesPerOp => Unit::Count,
        }
    }

    /// Whether more or less of it is better; else it cannot get worse.
    pub fn has_a_good_side(self) -> bool {
        use Measure::{AppliersMax, AppliersMean, CoresBusy, InFlight, SystemCoresBusy};
        !matches!(self, CoresBusy | SystemCoresBusy | InFlight | AppliersMean | AppliersMax)
    }

    /// Whether it is known for each kind of operation apart.
    pub fn is_of_op(self) -> bool {
        self == Measure::Throughput || self.is_service_time()
    }

    /// Whether it is about how long operations took.
    pub fn is_service_time(self) -> bool {
        use Measure::{Max, Mean, P50, P90, P99, P999};
        matches!(self, Mean | P50 | P90 | P99 | P999 | Max)
    }
}

/// Checks that a scenario asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// Transfers neither make nor lose money.
    pub bank: bool,
    /// Each key's version is the number of puts to it that were acknowledged.
    pub versions: bool,
    /// Every key of a lease that was revoked is gone, and no lease is left.
    pub leases: bool,
    /// What clients see of a few keys while they are measured is what some order of the operations explains.
    pub linearizable: bool,
}

/// The checks of a run that a target can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckId {
    /// All arms answer the same requests alike.
    SameState,
    /// Each acknowledged change used up one revision.
    AckedOnce,
    /// The log gives the same state again.
    LogReplays,
    /// Every member of a group ends in the same state.
    MembersAgree,
    /// Money is neither made nor lost.
    Bank,
    /// Watchers were given every revision once, in order.
    WatchComplete,
    /// Versions count the puts.
    Versions,
    /// Leases take their keys along.
    Leases,
    /// An order explains what clients saw of a few keys.
    Linearizable,
}

/// A bound on a ratio or a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// It must be at least this.
    AtLeast(f64),
    /// It must be at most this.
    AtMost(f64),
    /// It must be from the first to the second.
    Within(f64, f64),
}

impl Bound {
    /// As it is typed, with values in `unit`; a ratio has none.
    pub fn text(self, unit: Option<Unit>) -> String {
        let number = |value: f64| unit.map_or_else(|| value.to_string(), |unit| unit.show(value));
        match self {
            Bound::AtLeast(least) => format!(">= {}", number(least)),
            Bound::AtMost(most) => format!("<= {}", number(most)),
            Bound::Within(least, most) => format!("{} .. {}", number(least), number(most)),
        }
    }
}

impl Target {
    /// What it judges, unless that is a check.
    pub fn metric(&self) -> Option<&MetricRef> {
        match &self.expectation {
            Expectation::Ratio { metric, .. } | Expectation::Value { metric, .. } => Some(metric),
            Expectation::Check(_) => None,
        }
    }
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

    /// Whether a target or a gate is about one of the measures that `is_it` picks.
    pub fn judges(&self, is_it: impl Fn(Measure) -> bool) -> bool {
        let of_targets = self.targets.iter().filter_map(Target::metric);
        let of_gates = self.gates.iter().map(|gate| &gate.metric);
        of_targets.chain(of_gates).any(|metric| is_it(metric.measure))
    }

    /// Whether its keys are accounts and money moves between them.
    pub fn is_bank(&self) -> bool {
        self.ops.iter().any(|weighted| weighted.op.is_transfer())
    }
}

words!(Measure {
    Throughput = "throughput",
    Mean = "mean",
    P50 = "p50",
    P90 = "p90",
    P99 = "p99",
    P999 = "p999",
    MaxRate = "max_rate",
    Max = "max",
    CpuPerOp = "cpu_per_op",
    SystemCpuPerOp = "system_cpu_per_op",
    CoresBusy = "cores_busy",
    SystemCoresBusy = "system_cores_busy",
    FsyncsPerOp = "fsyncs_per_op",
    EntriesPerOp = "entries_per_op",
    LogBytesPerOp = "log_bytes_per_op",
    SwitchesPerOp = "switches_per_op",
    SyscallsPerOp = "syscalls_per_op",
    InFlight = "in_flight",
    AppliersMean = "appliers_mean",
    AppliersMax = "appliers_max",
    LockWaitShare = "lock_wait_share",
    LockContended = "lock_contended",
    LocksPerOp = "locks_per_op",
    WatchEvents = "watch_events",
    ThroughputDrift = "throughput_drift",
    P99Drift = "p99_drift",
    ResidentDrift = "resident_drift",
    ResidentPeak = "resident_peak",
    IoCallsPerOp = "io_calls_per_op",
    DiskBytesPerOp = "disk_bytes_per_op",
    AllocsPerOp = "allocs_per_op",
    AllocBytesPerOp = "alloc_bytes_per_op",
});

words!(OnDisturbed { Retry = "retry", Keep = "keep", Abort = "abort" });
words!(CheckId {
    SameState = "same-state",
    AckedOnce = "acked-once",
    LogReplays = "log-replays",
    MembersAgree = "members-agree",
    Bank = "bank",
    WatchComplete = "watch-complete",
    Versions = "versions",
    Leases = "leases",
    Linearizable = "linearizable",
});

impl fmt::Display for MetricRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.phase)?;
        if let Some(op) = self.op {
            write!(f, "{op}.")?;
        }
        write!(f, "{}", self.measure)?;
        self.clients.map_or(Ok(()), |clients| write!(f, "@{clients}"))
    }
}
