//! What a target names: `phase.measure@clients`, read back from the record, and what there is to know about a measure.
//! It refuses a percentile that too few observations lie beyond.

use super::align::Place;
use super::reading;
use crate::record::{Cell, Latency, OpCell, Run};
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
    /// System calls per operation, of everybody.
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
    /// Memory that the processes held at the end of the span over that at its begin.
    ResidentDrift,
    /// The most memory that the processes held within the span, bytes.
    ResidentPeak,
    /// Calls of read and write and their kin per operation, of everybody.
    IoCallsPerOp,
    /// Bytes sent to storage per operation.
    DiskBytesPerOp,
    /// Allocations per operation, of everybody in this process.
    AllocsPerOp,
    /// Bytes allocated per operation, of everybody in this process.
    AllocBytesPerOp,
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
            None => reading::of(cell, self.measure),
            Some(op) => reading::of_op(of_kind(cell, op)?, self.measure),
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
pub(super) const MEASURES: [(&str, Measure); 32] = [
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
    ("syscalls_per_op", Measure::SyscallsPerOp),
    ("in_flight", Measure::InFlight),
    ("appliers_mean", Measure::AppliersMean),
    ("appliers_max", Measure::AppliersMax),
    ("lock_wait_share", Measure::LockWaitShare),
    ("lock_contended", Measure::LockContended),
    ("locks_per_op", Measure::LocksPerOp),
    ("watch_events", Measure::WatchEvents),
    ("throughput_drift", Measure::ThroughputDrift),
    ("p99_drift", Measure::P99Drift),
    ("resident_drift", Measure::ResidentDrift),
    ("resident_peak", Measure::ResidentPeak),
    ("io_calls_per_op", Measure::IoCallsPerOp),
    ("disk_bytes_per_op", Measure::DiskBytesPerOp),
    ("allocs_per_op", Measure::AllocsPerOp),
    ("alloc_bytes_per_op", Measure::AllocBytesPerOp),
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
            Measure::Throughput
            | Measure::MaxRate
            | Measure::WatchEvents
            | Measure::ThroughputDrift => Some(true),
            Measure::Mean
            | Measure::Percentile(_)
            | Measure::Max
            | Measure::CpuPerOp
            | Measure::SystemCpuPerOp
            | Measure::FsyncsPerOp
            | Measure::EntriesPerOp
            | Measure::LogBytesPerOp
            | Measure::SwitchesPerOp
            | Measure::SyscallsPerOp
            | Measure::LockWaitShare
            | Measure::LockContended
            | Measure::LocksPerOp
            | Measure::P99Drift
            | Measure::ResidentDrift
            | Measure::ResidentPeak
            | Measure::IoCallsPerOp
            | Measure::DiskBytesPerOp
            | Measure::AllocsPerOp
            | Measure::AllocBytesPerOp => Some(false),
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
    fn one_kind_of_operation_may_be_meant() {
        let run = crate::compare::tests::empty(&["before", "after"]);
        let metric = Metric::parse("mix.get.max@8", &run).unwrap();
        assert_eq!((metric.place.phase, metric.op), ("mix", Some("get")));
        let metric = Metric::parse("warm.start.max@8", &run).unwrap();
        assert_eq!((metric.place.phase, metric.op), ("warm.start", None));
    }
}
