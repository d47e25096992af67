//! What really happened, as the fake wrote it down, against what kvbench says of the same calls.

use crate::fake::Notes;
use kvbench::record::{Cell, Latency};
use kvbench::units::Nanos;

/// One call as the fake saw it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) arrived: Nanos,
    pub(crate) started: Nanos,
    pub(crate) finished: Nanos,
    /// When the client had its answer: `finished`, and what the host took to wake it.
    pub(crate) returned: Nanos,
}

/// A part of a call's time.
type Span = fn(&Call) -> Nanos;

/// Two clock reads lie between what the fake and what kvbench calls the end of a call.
const BETWEEN_CLOCKS_NS: f64 = 5_000.0;
/// A busy host may stop a thread just between those two, now and then: so much time may lie there over a whole span.
const INTERRUPTED_NS: f64 = 50e6;
/// Resolution of the histogram.
const HISTOGRAM: f64 = 0.001;
/// How long after its first reading a span may open: all instruments are read in between, by a thread that may have to wait.
const OPENS_WITHIN: Nanos = Nanos::from_millis(300);
/// Calls at the edges of a span that the two clocks may put on different sides.
const EDGE: usize = 2;

/// The calls that ended within a span, and the span.
#[derive(Clone, Debug)]
pub(crate) struct Within<'a> {
    calls: &'a [Call],
    all: &'a [Call],
    from: Nanos,
    to: Nanos,
}

/// Finds the calls that `cell` is about and compares. The record says when the instruments were first read, how long the span was
/// and how many calls it holds; some span that fits must agree with everything that is said.
pub(crate) fn agree<'a>(
    calls: &'a [Call],
    cell: &Cell,
    says: impl Fn(&Within<'a>) -> Result<(), String>,
) -> Within<'a> {
    let started = nanos(cell.started_s);
    let length = nanos(cell.elapsed_s);
    // Which calls a span holds changes where its begin or its end passes one.
    let ends = calls.iter().map(|call| call.returned.after(Nanos(1)));
    let begins = ends.clone().map(|at| at.since(length));
    let openings = std::iter::once(started).chain(ends).chain(begins);
    let in_reach = |from: &Nanos| *from >= started && *from <= started.after(OPENS_WITHIN);
    let mut whys = Vec::new();
    for from in openings.filter(in_reach) {
        let within = Within::of(calls, from, from.after(length));
        if within.calls.len().abs_diff(cell.ops as usize) > EDGE {
            continue;
        }
        match says(&within) {
            Ok(()) => return within,
            Err(why) => whys.push(why),
        }
    }
    panic!("{} calls in {} s: no span of that length agrees: {whys:?}", cell.ops, cell.elapsed_s);
}

fn nanos(seconds: f64) -> Nanos {
    Nanos((seconds * 1e9).round() as u64)
}

/// The calls of a fake in the order in which they ended.
pub(crate) fn ended(notes: &Notes) -> Vec<Call> {
    let mut calls = notes.calls();
    calls.sort_by_key(|call| call.returned);
    calls
}

impl<'a> Within<'a> {
    fn of(all: &'a [Call], from: Nanos, to: Nanos) -> Within<'a> {
        let index = |at: Nanos| all.partition_point(|call| call.returned < at);
        Within { calls: &all[index(from)..index(to)], all, from, to }
    }

    /// Mean of a span of each call, ns.
    pub(crate) fn mean_ns(&self, span: Span) -> f64 {
        let sum: u64 = self.calls.iter().map(|call| span(call).0).sum();
        sum as f64 / self.calls.len() as f64
    }

    /// By how much a mean may differ.
    fn between_clocks_ns(&self) -> f64 {
        BETWEEN_CLOCKS_NS + INTERRUPTED_NS / self.calls.len() as f64
    }

    /// Calls under way at once, on average over the span: those too that had not ended by its end.
    pub(crate) fn in_flight(&self) -> f64 {
        let inside = |call: &Call| call.returned.min(self.to).since(call.arrived.max(self.from)).0;
        let sum: u64 = self.all.iter().map(inside).sum();
        sum as f64 / self.to.since(self.from).0 as f64
    }

    /// Whether a distribution says the same of `span` as the calls do: its mean, each percentile within the histogram's 0.1 %
    /// of an observation next to that rank, and its maximum.
    pub(crate) fn has(&self, said: &Latency, span: Span) -> Result<(), String> {
        let mean = self.mean_ns(span);
        near("mean", said.mean_ns, mean, HISTOGRAM, self.between_clocks_ns())?;
        let mut sorted: Vec<u64> = self.calls.iter().map(|call| span(call).0).collect();
        sorted.sort_unstable();
        for (quantile, said) in
            [(0.5, said.p50_ns), (0.9, said.p90_ns), (0.99, said.p99_ns), (0.999, said.p999_ns)]
        {
            // The smallest value that such a share does not exceed.
            let rank = (quantile * sorted.len() as f64).ceil() as usize;
            let lowest = sorted[rank.saturating_sub(1 + EDGE)] as f64;
            let highest = sorted[(rank.saturating_sub(1) + EDGE).min(sorted.len() - 1)] as f64;
            let (said, name) = (said as f64, format!("p{}", 100.0 * quantile));
            let nearest = said.clamp(lowest, highest);
            near(&name, said, nearest, HISTOGRAM, BETWEEN_CLOCKS_NS)?;
        }
        let largest = sorted[sorted.len() - 1] as f64;
        match said.max_ns as f64 >= largest * (1.0 - HISTOGRAM) {
            true => Ok(()),
            false => Err(format!("max: {} said, {largest} true", said.max_ns)),
        }
    }

    /// Whether the stages say the same.
    pub(crate) fn has_stages(&self, cell: &Cell) -> Result<(), String> {
        let spans: [(&str, Span); 3] = [
            ("queue", |call| call.started.since(call.arrived)),
            ("apply", |call| call.finished.since(call.started)),
            ("respond", |call| call.returned.since(call.finished)),
        ];
        for (name, span) in spans {
            let said = cell.stages.iter().find(|stage| stage.stage == name);
            let said = said.map_or(0.0, |stage| stage.mean_ns);
            near(name, said, self.mean_ns(span), 0.005, self.between_clocks_ns())?;
        }
        Ok(())
    }
}

/// Whether what is said lies within a share and so much more of the truth.
pub(crate) fn near(
    what: &str,
    said: f64,
    truth: f64,
    relative: f64,
    absolute: f64,
) -> Result<(), String> {
    let off = (said - truth).abs();
    if off <= relative * truth.abs() + absolute {
        return Ok(());
    }
    Err(format!("{what}: {said} said, {truth} true"))
}

/// Calls under way at once on average over the span of a cell, to within the moment it took to open.
pub(crate) fn in_flight(calls: &[Call], cell: &Cell) -> f64 {
    let from = nanos(cell.started_s);
    let to = from.after(nanos(cell.elapsed_s));
    Within { calls, all: calls, from, to }.in_flight()
}

/// The time a call took.
pub(crate) fn service(call: &Call) -> Nanos {
    call.returned.since(call.arrived)
}
