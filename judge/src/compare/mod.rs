//! From a record to verdicts: arms aligned block by block, one ratio per pair, an interval, a judgement.
//! It reads the record and nothing else, so any report can be recomputed from the raw trials.
//! It never pools trials: the trial is the unit of replication. It never fails: a record without pairs gives a
//! comparison without intervals.

mod align;
mod bound;
mod by_op;
pub mod contrast;
mod costs;
pub mod fitness;
pub mod history;
mod invalid;
mod judge;
mod ladder;
mod looks;
mod measured;
mod metric;
mod open;
mod overall;
mod percentiles;
mod reading;
mod scaling;
mod steadiness;
#[cfg(test)]
pub(crate) mod tests;
mod value;
mod watch;

pub use crate::stats::{Figure, Scalability, Unfit};
pub use invalid::{Invalid, disturbed, invalid_target, invalidates, left_out};
pub use looks::{looks, precision_reached};
pub use measured::{Measured, Reading, Withheld, is_shown, measured};
pub use overall::{Kind, Share, overall, shares};
pub use percentiles::{PercentilePoint, percentiles};

use crate::record;
pub use crate::units::Unit;
use align::Place;

/// Everything that can be said about a run, from its record alone. All numbers in it are finite.
///
/// Where more than a quarter of the blocks are disturbed, and at least six are not, it rests on the latter alone.
pub fn compare(run: &record::Run) -> Comparison {
    let run = &*invalid::undisturbed(run);
    let phases = tables(run);
    let ladders = ladder::ladders(run, &phases);
    let verdicts: Vec<TargetVerdict> =
        run.targets.iter().map(|target| judge::verdict(run, target, &ladders)).collect();
    let outcome = judge::outcome(run, &verdicts);
    Comparison { phases, ladders, verdicts, outcome }
}

/// Everything a report says about a run, computed from its record.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// One table per phase, in scenario order.
    pub phases: Vec<PhaseTable>,
    /// The gain lever by lever, one per (phase, client count) that a target names (else the largest of the first phase).
    pub ladders: Vec<Ladder>,
    /// One per target, in scenario order.
    pub verdicts: Vec<TargetVerdict>,
    /// The run's answer.
    pub outcome: Outcome,
}

/// Throughput of every arm in one phase.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseTable {
    /// Phase name.
    pub phase: String,
    /// One per client count, ascending.
    pub rows: Vec<Row>,
    /// How throughput grows with clients, one per measured arm; empty if too few client counts were measured for a law.
    pub scaling: Vec<Scaling>,
}

/// How one arm's throughput grows with clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    /// Arm name.
    pub arm: String,
    /// Trials that measured every client count.
    pub trials: usize,
    /// The law, or why there is none.
    pub law: Result<Scalability, Unfit>,
}

/// One client count of one phase.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Closed-loop clients; streams of an open load.
    pub clients: u32,
    /// What clients of an open load waited for; absent in a closed loop.
    pub open: Option<OpenRow>,
    /// One per arm of the record, in its order.
    pub arms: Vec<ArmSummary>,
    /// Throughput after / before.
    pub ratio: Estimate,
    /// How far an arm differs from itself: the larger |ln| bound of the A/A interval as a fraction; needs >= 6 A/A pairs.
    pub aa_floor: Option<f64>,
    /// One per kind of operation if there is more than one, in the order of the record; none if the ratio is invalid.
    pub ops: Vec<OpRow>,
    /// What watchers got meanwhile; absent if there were none, and if the ratio is invalid.
    pub watch: Option<WatchRow>,
}

/// An open load: the same operations at the same instants for all arms.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenRow {
    /// Operations due per second, median over trials; of a search the rates that it found.
    pub offered_per_s: f64,
    /// `poisson at 2k/s` and the like.
    pub course: String,
    /// One per arm that was measured, in the record's order.
    pub arms: Vec<OpenArm>,
    /// Latency at each percentile, after / before, in the order of [`OpenArm::latency_ns`]; none where an arm has none.
    pub ratios: [Option<Estimate>; 4],
    /// What a search found.
    pub search: Option<SearchRow>,
}

/// What one arm made of an open load: medians over trials.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenArm {
    /// Arm name.
    pub arm: String,
    /// Why its latencies are no numbers, if they are not.
    pub invalid: Option<Invalid>,
    /// Trials.
    pub trials: usize,
    /// Those of them in which it kept up.
    pub sustained: usize,
    /// Share of what was due that was answered in time, the least over trials.
    pub achieved: f64,
    /// p50, p90, p99, p99.9 from the intended send time, ns; none if a trial did not keep up, or had fewer than 10
    /// observations beyond it.
    pub latency_ns: [Option<f64>; 4],
    /// 99th percentile from the intended to the real send time, ns.
    pub lag_p99_ns: f64,
}

/// The highest rates that met a condition.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchRow {
    /// `p99 <= 5ms`.
    pub condition: String,
    /// One per arm that was measured: its name, the Hodges-Lehmann location of the rates found, operations per second (0 if
    /// none was), the half-width of its 95 % interval as a fraction, and whether a trial found the highest rate there was to find.
    pub arms: Vec<FoundRate>,
    /// After / before.
    pub ratio: Estimate,
}

/// What the searches of one arm found.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundRate {
    /// Arm name.
    pub arm: String,
    /// Hodges-Lehmann location over trials, operations per second; 0 if none found any.
    pub rate_per_s: f64,
    /// Half-width of its 95 % interval, as a fraction; absent below 6 trials.
    pub half_width: Option<f64>,
    /// Whether a trial found the highest rate there was to find, so that the truth may be above.
    pub is_at_limit: bool,
}

/// The watchers of one place.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchRow {
    /// How many there were.
    pub watchers: u32,
    /// One per arm that was measured, in the record's order.
    pub arms: Vec<WatchArm>,
    /// Events per second, after / before.
    pub events: Estimate,
}

/// What the watchers of one arm got: medians over trials.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchArm {
    /// Arm name.
    pub arm: String,
    /// Events given to all of them per second.
    pub events_per_s: f64,
    /// Times one fell behind, per trial.
    pub resyncs: f64,
    /// From the end of the load until the last of them had everything, ns.
    pub lag_ns: f64,
}

/// One kind of operation at one client count: before against after.
#[derive(Clone, Debug, PartialEq)]
pub struct OpRow {
    /// `put`, `get`, …
    pub op: String,
    /// The first arm.
    pub before: OpArm,
    /// The last arm.
    pub after: OpArm,
    /// Throughput after / before.
    pub throughput: Estimate,
    /// Median service time after / before.
    pub p50: Estimate,
    /// 99th percentile after / before.
    pub p99: Estimate,
}

/// One kind of operation on one arm; zeros where it was not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OpArm {
    /// Hodges-Lehmann location of throughput, ops/s.
    pub throughput_per_s: f64,
    /// Median over trials of the median service time, ns.
    pub p50_ns: f64,
    /// Median over trials of the 99th percentile, ns; absent if any trial had fewer than 10 observations beyond it.
    pub p99_ns: Option<f64>,
}

/// One arm at one client count over all its (non-A/A) trials.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmSummary {
    /// Arm name.
    pub arm: String,
    /// Trials.
    pub trials: usize,
    /// Hodges-Lehmann location of throughput (of its logarithm), ops/s; 0 without trials, and if it is invalid.
    pub throughput_per_s: f64,
    /// Half-width of its 95 % interval, as a fraction; absent below 6 trials.
    pub half_width: Option<f64>,
    /// How throughput went within its trials.
    pub steadiness: Steadiness,
    /// What an operation costs.
    pub costs: Costs,
    /// Why neither its rate nor its times are numbers.
    pub invalid: Option<Invalid>,
}

/// How many trials went how (Barrett et al. 2017, "Virtual Machine Warmup Blows Hot and Cold", applied to time windows).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steadiness {
    /// One level from begin to end.
    pub flat: usize,
    /// The level rose and then stayed: the warm-up was too short.
    pub warmed: usize,
    /// The level fell.
    pub slowed: usize,
    /// No level lasted.
    pub unsteady: usize,
}

/// Per-operation costs: medians over trials; service mean and stages, which have to add up, are means over trials.
/// 0 where no trial has the value.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    /// Syncs of the log per operation.
    pub fsyncs_per_op: f64,
    /// CPU of the whole process per operation, µs.
    pub cpu_us_per_op: f64,
    /// The same by thread role (`load`, `raft`, `apply`, `watch`, `other`), µs per operation.
    pub cpu_roles: Vec<(String, f64)>,
    /// CPU of the process over elapsed time.
    pub cores_busy: f64,
    /// Requests per Ready round that had entries.
    pub requests_per_ready: f64,
    /// Log entries per Ready round.
    pub entries_per_ready: f64,
    /// Mean service time, ns.
    pub service_mean_ns: f64,
    /// Per-trial median service time, ns.
    pub p50_ns: f64,
    /// Per-trial 99th percentile, ns; absent if any trial had fewer than 10 observations beyond it.
    pub p99_ns: Option<f64>,
    /// Mean ns per stage, pipeline order.
    pub stages: Vec<(String, f64)>,
    /// Stage name with its p50 and p99, ns, medians over trials; stages that took no time are left out.
    pub stage_spreads: Vec<(String, f64, f64)>,
    /// Per lock name: wait ns per op, hold ns per op, share of acquisitions contended.
    pub locks: Vec<LockCost>,
    /// The most resident memory within the span, bytes; absent where that cannot be seen.
    pub resident_peak_bytes: Option<f64>,
    /// Calls of read and write and their kin per operation; absent where that cannot be seen.
    pub io_calls_per_op: Option<f64>,
    /// System calls per operation; absent unless they were counted.
    pub syscalls_per_op: Option<f64>,
    /// Bytes sent to storage per operation; absent where that cannot be seen.
    pub disk_bytes_per_op: Option<f64>,
    /// Allocations per operation; absent unless the build counts them.
    pub allocs_per_op: Option<f64>,
    /// Bytes allocated per operation; absent unless the build counts them.
    pub alloc_bytes_per_op: Option<f64>,
    /// Share of load threads' time on CPU, 0..=1.
    pub load_share: f64,
    /// Share of load threads' time that they were ready and had no CPU, 0..=1.
    pub load_wait: f64,
    /// Relative gap of Little's law.
    pub littles_gap: f64,
    /// Cores that others kept busy or that the hypervisor gave away; absent where that cannot be seen.
    pub disturbance: Option<f64>,
    /// Share of the span in which some task on the machine was ready and had no CPU, 0..=1; absent where that cannot be seen.
    pub cpu_pressure: Option<f64>,
}

/// What one lock name costs per operation.
#[derive(Clone, Debug, PartialEq)]
pub struct LockCost {
    /// `store`, `leases`, `publication`, `turnstile`, `inbox` and others: METHODOLOGY says what each guards.
    pub name: String,
    /// Waiting, ns per op.
    pub wait_ns_per_op: f64,
    /// Holding, ns per op; absent if that was not timed.
    pub hold_ns_per_op: Option<f64>,
    /// Acquisitions that had to wait, fraction.
    pub contended: f64,
}

/// A ratio with what is known about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Hodges-Lehmann estimate of B / A; 1 if `pairs` is 0, when nothing is known.
    pub ratio: f64,
    /// Exact signed-rank interval at >= 95 %; absent below 6 pairs.
    pub interval: Option<(f64, f64)>,
    /// Pairs it rests on: blocks with a value above zero on both sides.
    pub pairs: usize,
    /// Why it is no number; then it rests on no pair.
    pub invalid: Option<Invalid>,
}

/// One arm's own value, in the unit of its measure.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmValue {
    /// Arm name.
    pub arm: String,
    /// What it is measured in.
    pub unit: Unit,
    /// Hodges-Lehmann location over the arm's trials, A/A left out.
    pub value: f64,
    /// Exact signed-rank interval at >= 95 %; absent below 6 trials.
    pub interval: Option<(f64, f64)>,
    /// Trials it rests on.
    pub trials: usize,
}

/// The arms one after the other at one client count.
#[derive(Clone, Debug, PartialEq)]
pub struct Ladder {
    /// Phase name.
    pub phase: String,
    /// Closed-loop clients.
    pub clients: u32,
    /// One per arm, first = before.
    pub rungs: Vec<Rung>,
    /// Each step first and last, if they were measured so.
    pub both_ways: Vec<BothWays>,
    /// Best throughput of all rungs, with the arm's name.
    pub best: (String, f64),
    /// The fastest other rung, and after over it, if the whole interval is below 1. Being picked as the fastest
    /// favours that rung, so this is a hint and decides no verdict.
    pub simpler_is_faster: Option<(String, Estimate)>,
    /// `1 / (1 - f)` (Amdahl 1967), f = share of the `queue` stage in the sum of the before arm's stages: the gain if
    /// waiting its turn vanished and every other stage kept its length; absent without a stage clock.
    pub ceiling: Option<f64>,
    /// The same with f = wait for the store lock as a share of a before operation; absent without lock clocks.
    pub lock_ceiling: Option<f64>,
}

/// What a step does without the others, and with all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct BothWays {
    /// Lever moved.
    pub lever: String,
    /// `before` with this step alone against `before`.
    pub first: Estimate,
    /// `after` against all steps but this one. Absent if that is `after` itself: other steps make it superfluous.
    pub last: Option<Estimate>,
}

/// One step of the ladder.
#[derive(Clone, Debug, PartialEq)]
pub struct Rung {
    /// Arm name.
    pub arm: String,
    /// Lever moved; empty for the first.
    pub lever: String,
    /// Throughput, ops/s; 0 if it is invalid.
    pub throughput_per_s: f64,
    /// Why it is no number.
    pub invalid: Option<Invalid>,
    /// Against the rung before; absent for the first.
    pub step: Option<Estimate>,
    /// Against the first rung; absent for the first.
    pub total: Option<Estimate>,
}

/// The judgement of one target.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetVerdict {
    /// The target as recorded.
    pub target: record::Target,
    /// Its ratio; absent if nothing was measured for it, or if fewer than 10 observations lie beyond its percentile
    /// in some trial.
    pub estimate: Option<Estimate>,
    /// The arm's own value, if the target is about one and it may be shown.
    pub value: Option<ArmValue>,
    /// The check, if the target is about one that ran.
    pub check: Option<record::Check>,
    /// The judgement.
    pub verdict: Verdict,
    /// Why it is inconclusive, what would decide it, or why it could not be met. Lower case, no full stop.
    pub reason: String,
}

/// Three values; "not enough evidence" is not "no".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The whole interval is on the good side of the bound.
    Met,
    /// The whole interval is on the bad side.
    Missed,
    /// Neither.
    Inconclusive,
}

/// The run's answer, in order of precedence when several hold: wrong answer, missed, inconclusive, met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All targets met, all checks passed.
    Met,
    /// At least one target missed.
    Missed,
    /// No target missed and no check failed; at least one of them undecided.
    Inconclusive,
    /// A check failed.
    WrongAnswer,
    /// The scenario has no target; checks passed.
    NoTarget,
}

fn tables(run: &record::Run) -> Vec<PhaseTable> {
    let places = places(run);
    let phases = costs::distinct(places.iter().map(|place| place.phase));
    let rows = |phase: &str| places.iter().filter(|place| place.phase == phase).collect::<Vec<_>>();
    let table = |phase: &str| {
        let rows = rows(phase);
        let clients: Vec<u32> = rows.iter().map(|place| place.clients).collect();
        PhaseTable {
            phase: phase.to_string(),
            rows: rows.iter().map(|place| row(run, **place)).collect(),
            scaling: scaling::of_phase(run, phase, &clients),
        }
    };
    phases.map(table).collect()
}

/// Every place measured: phases in the order they ran, client counts ascending within each.
fn places(run: &record::Run) -> Vec<Place<'_>> {
    let cells = || run.trials.iter().flat_map(|trial| &trial.cells);
    let phases: Vec<&str> = costs::distinct(cells().map(|cell| cell.phase.as_str())).collect();
    let in_phase = |phase| {
        let mut clients: Vec<u32> =
            cells().filter(|cell| cell.phase == phase).map(|cell| cell.clients).collect();
        clients.sort_unstable();
        clients.dedup();
        clients.into_iter().map(move |clients| Place { phase, clients })
    };
    phases.into_iter().flat_map(in_phase).collect()
}

fn row(run: &record::Run, place: Place<'_>) -> Row {
    let ratio = match run.arms.as_slice() {
        [before, .., after] => Estimate::of_throughput(run, &before.name, &after.name, place),
        _ => Estimate::from_log_ratios(&[]),
    };
    let is_valid = ratio.invalid.is_none();
    Row {
        clients: place.clients,
        open: open::row(run, place),
        arms: run.arms.iter().map(|arm| costs::summary(run, &arm.name, place)).collect(),
        ratio,
        aa_floor: align::aa_floor(run, place).filter(|_| is_valid),
        ops: if is_valid { by_op::rows(run, place) } else { Vec::new() },
        watch: watch::row(run, place).filter(|_| is_valid),
    }
}
