//! What a target names: `phase.measure@clients` and a bound, read back from the record, and the value of a
//! measure in one cell. It refuses a percentile that too few observations lie beyond.

use super::align::Place;
use crate::record::{Cell, Latency, LockUse, OpCell, Run};
use crate::stats::{self, Admission};
use crate::units::Unit;

/// Kinds of operation, as the record names them.
const OPS: [&str; 9] = [
    "put",
    "get",
    "range",
    "delete",
    "delete_range",
    "txn",
    "transfer",
    "lease_grant",
    "lease_revoke",
];

/// What can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// Operations per second.
    Throughput,
    /// Mean latency, ns.
    Mean,
    /// Latency, ns, at this percentile.
    Percentile(Percentile),
    /// Longest latency, ns.
    Max,
    /// The highest rate that met the condition of a search, operations per second.
    MaxRate,
    /// CPU time per operation of everybody, ns.
    CpuPerOp,
    /// CPU time per operation of the system under test alone, ns.
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
}

/// A percentile that the record summarises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Percentile {
    /// Half are beyond.
    P50,
    /// One in 10 is beyond.
    P90,
    /// One in 100 is beyond.
    P99,
    /// One in 1000 is beyond.
    P999,
}

/// `phase.measure@clients`, or `phase.op.measure@clients` for one kind of operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Metric<'a> {
    /// Where.
    pub(super) place: Place<'a>,
    /// Of which kind of operation alone.
    pub(super) op: Option<&'a str>,
    /// What.
    pub(super) measure: Measure,
}

/// The good side of a ratio or a value; the bound itself is good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    /// `>= least`.
    AtLeast(f64),
    /// `<= most`.
    AtMost(f64),
    /// `least .. most`.
    Within(f64, f64),
}

/// The trial with the fewest observations beyond a percentile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scarcest {
    /// Observations beyond.
    pub(super) beyond: u64,
    /// Measured span, seconds.
    pub(super) elapsed_s: f64,
}

impl<'a> Metric<'a> {
    /// Reads `saturate.throughput@50` or `saturate.get.p99@50`, or `paced.p99` where the load was open: such a phase was measured
    /// at one place only. The phase is all before the measure and the kind of operation.
    pub(super) fn parse(text: &'a str, run: &Run) -> Option<Metric<'a>> {
        let (path, clients) = match text.trim().rsplit_once('@') {
            Some((path, clients)) => (path, Some(clients.parse().ok()?)),
            None => (text.trim(), None),
        };
        let (phase, measure) = path.rsplit_once('.')?;
        let measure = Measure::parse(measure)?;
        let (phase, op) = match phase.rsplit_once('.') {
            Some((before, op)) if OPS.contains(&op) => (before, Some(op)),
            _ => (phase, None),
        };
        let cells = || run.trials.iter().flat_map(|trial| &trial.cells);
        let measured = || cells().find(|cell| cell.phase == phase && cell.open.is_some());
        // Nothing was measured at a place that nobody runs.
        let clients = clients.or_else(|| measured().map(|cell| cell.clients)).unwrap_or(0);
        Some(Metric { place: Place { phase, clients }, op, measure })
    }

    /// Its reading in a cell: finite and not below zero.
    pub(super) fn reading(&self, cell: &Cell) -> Option<f64> {
        match self.op {
            None => reading(cell, self.measure),
            Some(op) => reading_of_op(of_kind(cell, op)?, self.measure),
        }
    }

    /// How many observations of a cell lie beyond `percentile`.
    pub(super) fn beyond(&self, cell: &Cell, percentile: Percentile) -> u64 {
        let count = match self.op {
            None => cell.latency().count,
            Some(op) => of_kind(cell, op).map_or(0, |op| op.service.count),
        };
        stats::beyond(count, percentile.one_in())
    }

    /// The cell with the fewest observations beyond `percentile`. None without cells.
    pub(super) fn scarcest<'c>(
        &self,
        percentile: Percentile,
        cells: impl Iterator<Item = &'c Cell>,
    ) -> Option<Scarcest> {
        let beyond = |cell: &Cell| self.beyond(cell, percentile);
        let scarcest = cells.min_by_key(|cell| beyond(cell))?;
        Some(Scarcest { beyond: beyond(scarcest), elapsed_s: scarcest.elapsed_s })
    }
}

/// What a cell has of one kind of operation.
fn of_kind<'a>(cell: &'a Cell, kind: &str) -> Option<&'a OpCell> {
    cell.by_op.iter().find(|op| op.op == kind)
}

/// Every measure with its word in target files: speed first, then cost, then what goes on inside.
pub(super) const MEASURES: [(&str, Measure); 23] = [
    ("throughput", Measure::Throughput),
    ("mean", Measure::Mean),
    ("p50", Measure::Percentile(Percentile::P50)),
    ("p90", Measure::Percentile(Percentile::P90)),
    ("p99", Measure::Percentile(Percentile::P99)),
    ("p999", Measure::Percentile(Percentile::P999)),
    ("max", Measure::Max),
    ("max_rate", Measure::MaxRate),
    ("cpu_per_op", Measure::CpuPerOp),
    ("system_cpu_per_op", Measure::SystemCpuPerOp),
    ("cores_busy", Measure::CoresBusy),
    ("system_cores_busy", Measure::SystemCoresBusy),
    ("fsyncs_per_op", Measure::FsyncsPerOp),
    ("entries_per_op", Measure::EntriesPerOp),
    ("log_bytes_per_op", Measure::LogBytesPerOp),
    ("switches_per_op", Measure::SwitchesPerOp),
    ("in_flight", Measure::InFlight),
    ("appliers_mean", Measure::AppliersMean),
    ("appliers_max", Measure::AppliersMax),
    ("lock_wait_share", Measure::LockWaitShare),
    ("lock_contended", Measure::LockContended),
    ("locks_per_op", Measure::LocksPerOp),
    ("watch_events", Measure::WatchEvents),
];

impl Measure {
    /// As in target files.
    pub(super) fn parse(word: &str) -> Option<Measure> {
        MEASURES.iter().find(|(known, _)| *known == word).map(|(_, measure)| *measure)
    }
}

impl Measure {
    /// Whether it is about how long operations took.
    pub(super) fn is_latency(self) -> bool {
        matches!(self, Measure::Mean | Measure::Percentile(_) | Measure::Max)
    }

    /// Which percentile, if it is one.
    pub(super) fn percentile(self) -> Option<Percentile> {
        match self {
            Measure::Percentile(percentile) => Some(percentile),
            _ => None,
        }
    }

    /// Whether more is better; none where more is neither.
    pub(super) fn higher_is_better(self) -> Option<bool> {
        match self {
            Measure::Throughput | Measure::MaxRate | Measure::WatchEvents => Some(true),
            Measure::Mean
            | Measure::Percentile(_)
            | Measure::Max
            | Measure::CpuPerOp
            | Measure::SystemCpuPerOp
            | Measure::FsyncsPerOp
            | Measure::EntriesPerOp
            | Measure::LogBytesPerOp
            | Measure::SwitchesPerOp
            | Measure::LockWaitShare
            | Measure::LockContended
            | Measure::LocksPerOp => Some(false),
            Measure::CoresBusy
            | Measure::SystemCoresBusy
            | Measure::InFlight
            | Measure::AppliersMean
            | Measure::AppliersMax => None,
        }
    }

    /// What its values are measured in.
    pub(super) fn unit(self) -> Unit {
        match self {
            Measure::Throughput | Measure::MaxRate | Measure::WatchEvents => Unit::PerSecond,
            Measure::Mean
            | Measure::Percentile(_)
            | Measure::Max
            | Measure::CpuPerOp
            | Measure::SystemCpuPerOp => Unit::Time,
            Measure::LockWaitShare | Measure::LockContended => Unit::Share,
            Measure::CoresBusy
            | Measure::SystemCoresBusy
            | Measure::FsyncsPerOp
            | Measure::EntriesPerOp
            | Measure::LogBytesPerOp
            | Measure::SwitchesPerOp
            | Measure::InFlight
            | Measure::AppliersMean
            | Measure::AppliersMax
            | Measure::LocksPerOp => Unit::Count,
        }
    }
}

impl Percentile {
    /// As in target files.
    pub(super) fn word(self) -> &'static str {
        match self {
            Percentile::P50 => "p50",
            Percentile::P90 => "p90",
            Percentile::P99 => "p99",
            Percentile::P999 => "p999",
        }
    }

    /// One in how many observations lies beyond.
    fn one_in(self) -> u64 {
        match self {
            Percentile::P50 => 2,
            Percentile::P90 => 10,
            Percentile::P99 => 100,
            Percentile::P999 => 1000,
        }
    }

    /// Whether enough observations lie beyond for the value to be shown, and the queue was not growing meanwhile.
    pub(super) fn shown(self, cell: &Cell) -> bool {
        let beyond = stats::beyond(cell.latency().count, self.one_in());
        Admission::of(beyond) >= Admission::Shown && cell.is_sustained()
    }

    pub(super) fn ns(self, latency: &Latency) -> u64 {
        match self {
            Percentile::P50 => latency.p50_ns,
            Percentile::P90 => latency.p90_ns,
            Percentile::P99 => latency.p99_ns,
            Percentile::P999 => latency.p999_ns,
        }
    }
}

impl Bound {
    /// Reads the bound of a ratio: `>= 10`, `<= 0.1` or `2 .. 5`, all above zero.
    pub(super) fn of_ratio(text: &str) -> Option<Bound> {
        Bound::parse(text, |text| {
            let ratio: f64 = text.trim().parse().ok()?;
            (ratio.is_normal() && ratio > 0.0).then_some(ratio)
        })
    }

    /// Reads the bound of a value: `<= 5ms`, `1% .. 2%`.
    pub(super) fn of_value(text: &str, unit: Unit) -> Option<Bound> {
        Bound::parse(text, |text| unit.parse(text).ok())
    }

    fn parse(text: &str, number: impl Fn(&str) -> Option<f64>) -> Option<Bound> {
        let text = text.trim();
        if let Some(least) = text.strip_prefix(">=") {
            return number(least).map(Bound::AtLeast);
        }
        if let Some(most) = text.strip_prefix("<=") {
            return number(most).map(Bound::AtMost);
        }
        let (least, most) = text.split_once("..")?;
        let (least, most) = (number(least)?, number(most)?);
        (least <= most).then_some(Bound::Within(least, most))
    }

    /// The edge that a ratio is nearer to, by factors.
    pub(super) fn nearest(self, ratio: f64) -> f64 {
        match self {
            Bound::AtLeast(edge) | Bound::AtMost(edge) => edge,
            Bound::Within(least, most) if ratio * ratio < least * most => least,
            Bound::Within(_, most) => most,
        }
    }

    /// How far a value is from the nearer edge.
    pub(super) fn distance(self, value: f64) -> f64 {
        match self {
            Bound::AtLeast(edge) | Bound::AtMost(edge) => (value - edge).abs(),
            Bound::Within(least, most) => (value - least).abs().min((value - most).abs()),
        }
    }

    /// The larger edge: the scale on which a value is wanted.
    pub(super) fn scale(self) -> f64 {
        match self {
            Bound::AtLeast(edge) | Bound::AtMost(edge) | Bound::Within(_, edge) => edge,
        }
    }

    /// Whether all of an interval is on the good side; touching the bound is good.
    pub(super) fn holds(self, (lower, upper): (f64, f64)) -> bool {
        match self {
            Bound::AtLeast(least) => least <= lower,
            Bound::AtMost(most) => upper <= most,
            Bound::Within(least, most) => least <= lower && upper <= most,
        }
    }

    /// Whether all of an interval is on the bad side.
    pub(super) fn broken(self, (lower, upper): (f64, f64)) -> bool {
        match self {
            Bound::AtLeast(least) => upper < least,
            Bound::AtMost(most) => most < lower,
            Bound::Within(least, most) => upper < least || most < lower,
        }
    }
}

/// The value of a measure in a cell, if it has one above zero.
pub(super) fn value(cell: &Cell, measure: Measure) -> Option<f64> {
    reading(cell, measure).filter(|value| *value > 0.0)
}

/// The value of a measure in a cell, if it has one that is finite and not below zero.
fn reading(cell: &Cell, measure: Measure) -> Option<f64> {
    let value = match measure {
        Measure::Throughput => cell.throughput_per_s,
        Measure::Mean | Measure::Percentile(_) | Measure::Max if !cell.is_sustained() => {
            return None;
        }
        Measure::Mean => cell.latency().mean_ns,
        Measure::Percentile(percentile) => percentile.ns(cell.latency()) as f64,
        Measure::Max => cell.latency().max_ns as f64,
        Measure::MaxRate => cell.search.as_ref()?.found_per_s?,
        Measure::CpuPerOp => cpu_ns(cell) / cell.ops as f64,
        Measure::SystemCpuPerOp => system_cpu_ns(cell) / cell.ops as f64,
        Measure::CoresBusy => cpu_ns(cell) / 1e9 / cell.elapsed_s,
        Measure::SystemCoresBusy => system_cpu_ns(cell) / 1e9 / cell.elapsed_s,
        Measure::FsyncsPerOp => cell.counters.fsyncs as f64 / cell.ops as f64,
        Measure::EntriesPerOp => cell.counters.entries as f64 / cell.ops as f64,
        Measure::LogBytesPerOp => cell.counters.log_bytes as f64 / cell.ops as f64,
        Measure::SwitchesPerOp => {
            let switches: Option<u64> = cell.cpu.iter().map(|role| role.switches).sum();
            switches? as f64 / cell.ops as f64
        }
        Measure::InFlight => in_stages(cell, &IN_THE_LOG)?,
        Measure::AppliersMean => in_stages(cell, &["apply"])?,
        Measure::AppliersMax => f64::from(cell.appliers_max?),
        Measure::LockWaitShare => {
            let waited: u64 = store_locks(cell)?.map(|lock| lock.wait_ns).sum();
            waited as f64 / cell.ops as f64 / cell.service.mean_ns
        }
        Measure::LockContended => {
            let lock = store_lock(cell)?;
            lock.contended as f64 / lock.acquisitions as f64
        }
        Measure::LocksPerOp => store_lock(cell)?.acquisitions as f64 / cell.ops as f64,
        Measure::WatchEvents => cell.watch.as_ref()?.events_per_s,
    };
    (value.is_finite() && value >= 0.0).then_some(value)
}

/// The same for one kind of operation; costs and counts are known for the whole mix alone.
fn reading_of_op(op: &OpCell, measure: Measure) -> Option<f64> {
    let value = match measure {
        Measure::Throughput => op.throughput_per_s,
        Measure::Mean => op.service.mean_ns,
        Measure::Percentile(percentile) => percentile.ns(&op.service) as f64,
        Measure::Max => op.service.max_ns as f64,
        _ => return None,
    };
    (value.is_finite() && value >= 0.0).then_some(value)
}

/// From being taken by the proposer to being committed.
const IN_THE_LOG: [&str; 5] = ["propose", "append", "fsync", "replicate", "commit"];

/// Mean number of operations in these stages: their rate times the mean time in them (Little 1961). None without stages.
fn in_stages(cell: &Cell, stages: &[&str]) -> Option<f64> {
    let within = cell.stages.iter().filter(|stage| stages.contains(&stage.stage.as_str()));
    let ns: f64 = within.map(|stage| stage.mean_ns).sum();
    (!cell.stages.is_empty()).then_some(cell.throughput_per_s * ns / 1e9)
}

/// Every lock of the state machine. None if they do not show.
fn store_locks(cell: &Cell) -> Option<impl Iterator<Item = &LockUse>> {
    let of_the_store = |lock: &&LockUse| lock.name != "inbox";
    store_lock(cell).map(|_| cell.locks.iter().filter(of_the_store))
}

/// The locks that guard keys.
fn store_lock(cell: &Cell) -> Option<&LockUse> {
    cell.locks.iter().find(|lock| lock.name == "store")
}

/// CPU time of everybody in a cell, ns.
pub(super) fn cpu_ns(cell: &Cell) -> f64 {
    cell.cpu.iter().map(|role| role.cpu_ns as f64).sum()
}

/// Roles that are the harness's own. What is left over in this process counts as the system's: an engine has threads too.
const OF_HARNESS: [&str; 2] = ["load", "watch"];

/// CPU time of the system under test in a cell, ns.
fn system_cpu_ns(cell: &Cell) -> f64 {
    let of_system = cell.cpu.iter().filter(|role| !OF_HARNESS.contains(&role.role.as_str()));
    of_system.map(|role| role.cpu_ns as f64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_phase_measure_and_clients() {
        let run = crate::compare::tests::empty(&["before", "after"]);
        let parse = |text| Metric::parse(text, &run);
        let metric = parse("warm.start.p99@50").unwrap();
        assert_eq!(metric.place, Place { phase: "warm.start", clients: 50 });
        assert_eq!(metric.measure, Measure::Percentile(Percentile::P99));
        let watch = parse("fanout.watch_events@50").unwrap();
        assert_eq!(watch.measure, Measure::WatchEvents);
        assert_eq!(parse("paced.p99").unwrap().place, Place { phase: "paced", clients: 0 });
        for broken in ["", "saturate", "throughput@5", "a.speed@5", "a.speed", "a.p99@-1"] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_bound_holds_includes_itself() {
        let bound = Bound::of_ratio(">= 10").unwrap();
        assert!(bound.holds((10.0, 11.0)) && !bound.broken((10.0, 11.0)));
        assert!(!bound.holds((9.9, 10.1)) && !bound.broken((9.9, 10.1)));
        assert!(!bound.holds((9.0, 10.0)) && !bound.broken((9.0, 10.0)));
        assert!(bound.broken((9.0, 9.9)));
        let bound = Bound::of_ratio("<=0.1").unwrap();
        assert!(bound.holds((0.05, 0.1)) && bound.broken((0.11, 0.2)));
        let within = Bound::of_ratio("2 .. 5").unwrap();
        assert!(within.holds((2.0, 5.0)) && !within.holds((1.9, 3.0)) && !within.holds((3.0, 5.1)));
        assert!(
            within.broken((1.0, 1.9)) && within.broken((5.1, 6.0)) && !within.broken((1.0, 2.0))
        );
        assert_eq!((within.nearest(3.0), within.nearest(4.0)), (2.0, 5.0));
        for broken in
            ["10", "> 10", ">= ten", ">= 0", "<= -1", ">= inf", ">= NaN", "5 .. 2", "1 ..", ".."]
        {
            assert_eq!(Bound::of_ratio(broken), None, "{broken}");
        }
    }

    #[test]
    fn values_are_bounded_in_their_unit() {
        let share = Measure::parse("lock_wait_share").unwrap().unit();
        assert_eq!(Bound::of_value("<= 1%", share), Some(Bound::AtMost(0.01)));
        assert_eq!(Bound::of_value("<= 0%", share), Some(Bound::AtMost(0.0)));
        assert_eq!(Bound::of_value("<= 1", share), None);
        let count = Measure::parse("locks_per_op").unwrap().unit();
        assert_eq!(Bound::of_value("1 .. 5", count), Some(Bound::Within(1.0, 5.0)));
        assert!((Bound::Within(1.0, 5.0).distance(4.5) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn one_kind_of_operation_may_be_meant() {
        let run = crate::compare::tests::empty(&["before", "after"]);
        let metric = Metric::parse("mix.get.max@8", &run).unwrap();
        assert_eq!((metric.place.phase, metric.op), ("mix", Some("get")));
        let metric = Metric::parse("warm.start.max@8", &run).unwrap();
        assert_eq!((metric.place.phase, metric.op), ("warm.start", None));
    }
}
