//! What a target names: `phase.measure@clients` and a bound, read back from the record, and the value of a
//! measure in one cell. It refuses a percentile that too few observations lie beyond.

use super::align::{Pair, Place};
use crate::record::{Cell, Run};
use crate::stats::{self, Admission};

/// What can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// Operations per second.
    Throughput,
    /// Latency, ns, at this percentile.
    Percentile(Percentile),
    /// The highest rate that met the condition of a search, operations per second.
    MaxRate,
    /// CPU time per operation of everybody, ns.
    CpuPerOp,
    /// CPU time per operation of the system under test alone, ns.
    SystemCpuPerOp,
    /// Syncs of the log per operation.
    FsyncsPerOp,
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

/// `phase.measure@clients`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Metric<'a> {
    /// Where.
    pub(super) place: Place<'a>,
    /// What.
    pub(super) measure: Measure,
}

/// The good side of a ratio; the bound itself is good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    /// `>= ratio`.
    AtLeast(f64),
    /// `<= ratio`.
    AtMost(f64),
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
    /// Reads `saturate.throughput@50`, or `paced.p99` where the load was open: such a phase was measured at one place only.
    /// The phase is all before the last dot.
    pub(super) fn parse(text: &'a str, run: &Run) -> Option<Metric<'a>> {
        let (path, clients) = match text.trim().rsplit_once('@') {
            Some((path, clients)) => (path, Some(clients.parse().ok()?)),
            None => (text.trim(), None),
        };
        let (phase, measure) = path.rsplit_once('.')?;
        let measure = Measure::parse(measure)?;
        let cells = || run.trials.iter().flat_map(|trial| &trial.cells);
        let measured = || cells().find(|cell| cell.phase == phase && cell.open.is_some());
        // Nothing was measured at a place that nobody runs.
        let clients = clients.or_else(|| measured().map(|cell| cell.clients)).unwrap_or(0);
        Some(Metric { place: Place { phase, clients }, measure })
    }
}

impl Measure {
    fn parse(word: &str) -> Option<Measure> {
        Some(match word {
            "throughput" => Measure::Throughput,
            "p50" => Measure::Percentile(Percentile::P50),
            "p90" => Measure::Percentile(Percentile::P90),
            "p99" => Measure::Percentile(Percentile::P99),
            "p999" => Measure::Percentile(Percentile::P999),
            "max_rate" => Measure::MaxRate,
            "cpu_per_op" => Measure::CpuPerOp,
            "system_cpu_per_op" => Measure::SystemCpuPerOp,
            "fsyncs_per_op" => Measure::FsyncsPerOp,
            "watch_events" => Measure::WatchEvents,
            _ => return None,
        })
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

    /// How many of a cell's observations lie beyond.
    pub(super) fn beyond(self, cell: &Cell) -> u64 {
        stats::beyond(cell.latency().count, self.one_in())
    }

    /// Whether enough observations lie beyond for the value to be shown, and the queue was not growing meanwhile.
    pub(super) fn shown(self, cell: &Cell) -> bool {
        Admission::of(self.beyond(cell)) >= Admission::Shown && cell.is_sustained()
    }

    /// The trial of these pairs with the fewest observations beyond. None without pairs.
    pub(super) fn scarcest(self, pairs: &[Pair<'_>]) -> Option<Scarcest> {
        let cells = pairs.iter().flat_map(|pair| [pair.base, pair.other]);
        let scarcest = cells.min_by_key(|cell| self.beyond(cell))?;
        Some(Scarcest { beyond: self.beyond(scarcest), elapsed_s: scarcest.elapsed_s })
    }

    pub(super) fn ns(self, cell: &Cell) -> u64 {
        let latency = cell.latency();
        match self {
            Percentile::P50 => latency.p50_ns,
            Percentile::P90 => latency.p90_ns,
            Percentile::P99 => latency.p99_ns,
            Percentile::P999 => latency.p999_ns,
        }
    }
}

impl Bound {
    /// Reads `>= 10` or `<= 0.1`; the ratio must be above zero.
    pub(super) fn parse(text: &str) -> Option<Bound> {
        let text = text.trim();
        let (make, number): (fn(f64) -> Bound, &str) = match text.strip_prefix(">=") {
            Some(number) => (Bound::AtLeast, number),
            None => (Bound::AtMost, text.strip_prefix("<=")?),
        };
        let ratio: f64 = number.trim().parse().ok()?;
        (ratio.is_normal() && ratio > 0.0).then(|| make(ratio))
    }

    /// The ratio at the bound.
    pub(super) fn ratio(self) -> f64 {
        match self {
            Bound::AtLeast(ratio) | Bound::AtMost(ratio) => ratio,
        }
    }

    /// Whether all of an interval is on the good side; touching the bound is good.
    pub(super) fn holds(self, (lower, upper): (f64, f64)) -> bool {
        match self {
            Bound::AtLeast(ratio) => ratio <= lower,
            Bound::AtMost(ratio) => upper <= ratio,
        }
    }

    /// Whether all of an interval is on the bad side.
    pub(super) fn broken(self, (lower, upper): (f64, f64)) -> bool {
        match self {
            Bound::AtLeast(ratio) => upper < ratio,
            Bound::AtMost(ratio) => ratio < lower,
        }
    }
}

/// The value of a measure in a cell, if it has one above zero.
pub(super) fn value(cell: &Cell, measure: Measure) -> Option<f64> {
    let value = match measure {
        Measure::Throughput => cell.throughput_per_s,
        Measure::Percentile(_) if !cell.is_sustained() => return None,
        Measure::Percentile(percentile) => percentile.ns(cell) as f64,
        Measure::MaxRate => cell.search.as_ref()?.found_per_s?,
        Measure::CpuPerOp => cpu_ns(cell) / cell.ops as f64,
        Measure::SystemCpuPerOp => system_cpu_ns(cell) / cell.ops as f64,
        Measure::FsyncsPerOp => cell.counters.fsyncs as f64 / cell.ops as f64,
        Measure::WatchEvents => cell.watch.as_ref()?.events_per_s,
    };
    (value.is_finite() && value > 0.0).then_some(value)
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
        let bound = Bound::parse(">= 10").unwrap();
        assert!(bound.holds((10.0, 11.0)) && !bound.broken((10.0, 11.0)));
        assert!(!bound.holds((9.9, 10.1)) && !bound.broken((9.9, 10.1)));
        assert!(!bound.holds((9.0, 10.0)) && !bound.broken((9.0, 10.0)));
        assert!(bound.broken((9.0, 9.9)));
        let bound = Bound::parse("<=0.1").unwrap();
        assert!(bound.holds((0.05, 0.1)) && bound.broken((0.11, 0.2)));
        for broken in ["10", "> 10", ">= ten", ">= 0", "<= -1", ">= inf", ">= NaN"] {
            assert_eq!(Bound::parse(broken), None, "{broken}");
        }
    }
}
