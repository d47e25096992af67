//! Which metrics are compared: those asked for, or the usual ones of every place that both sides measured.

use super::UnknownMetric;
use crate::compare::align::{self, Place};
use crate::compare::metric::{Measure, Metric};
use crate::compare::places;
use crate::record::Run;

/// What a closed loop, an open one and a search say about speed, and what it cost. Means are left out: in a closed loop they are the
/// throughput turned over (Little 1961). Throughput is left out where the load is open and gives it.
const CLOSED: [&str; 5] = ["throughput", "p50", "p99", "p999", "cpu_per_op"];
const OPEN: [&str; 4] = ["p50", "p99", "p999", "cpu_per_op"];
const SEARCH: [&str; 1] = ["max_rate"];

/// One metric to compare.
pub(in crate::compare) struct Asked<'a> {
    /// As in targets.
    pub(in crate::compare) name: String,
    pub(in crate::compare) metric: Metric<'a>,
    pub(in crate::compare) higher_is_better: bool,
    /// Whether somebody asked for it by name, and so is told if it is not there.
    pub(super) is_explicit: bool,
}

/// Those of `names`, or the usual ones if there are none. Fails if a name is no metric that can get worse.
pub(super) fn of<'a>(
    base: &'a Run,
    other: &'a Run,
    names: &'a [String],
) -> Result<Vec<Asked<'a>>, UnknownMetric> {
    if names.is_empty() {
        return Ok(usual(base, other));
    }
    let explicit = |name: &'a String| {
        let wrong = |reason| UnknownMetric { metric: name.clone(), reason };
        let metric = Metric::parse(name, base).ok_or_else(|| wrong("it is no metric"))?;
        // A phase with an open load may be known to one side alone.
        let metric = match metric.place.clients {
            0 => Metric::parse(name, other).unwrap_or(metric),
            _ => metric,
        };
        let higher_is_better = metric
            .measure
            .higher_is_better()
            .ok_or_else(|| wrong("more of it is neither better nor worse"))?;
        Ok(Asked { name: name.clone(), metric, higher_is_better, is_explicit: true })
    };
    names.iter().map(explicit).collect()
}

/// The usual ones of one run, and those that its targets name, each once.
pub(in crate::compare) fn judged(run: &Run) -> Vec<Asked<'_>> {
    let mut judged = usual(run, run);
    for target in &run.targets {
        let name = std::slice::from_ref(&target.metric);
        // A target of a check names no metric, and one on a plain count none that gets worse.
        let asked = of(run, run, name).unwrap_or_default();
        if judged.iter().all(|known| known.name != target.metric) {
            judged.extend(asked);
        }
    }
    judged
}

fn usual<'a>(base: &'a Run, other: &'a Run) -> Vec<Asked<'a>> {
    let there = places(other);
    let shared = places(base).into_iter().filter(|place| there.contains(place));
    shared.flat_map(|place| of_place(base, place)).collect()
}

fn of_place<'a>(run: &'a Run, place: Place<'a>) -> Vec<Asked<'a>> {
    let cells = || run.trials.iter().filter_map(move |trial| align::cell(trial, place));
    let words: &[&str] = match () {
        () if cells().any(|cell| cell.search.is_some()) => &SEARCH,
        () if cells().any(|cell| cell.open.is_some()) => &OPEN,
        () => &CLOSED,
    };
    let watch: &[&str] =
        if cells().any(|cell| cell.watch.is_some()) { &["watch_events"] } else { &[] };
    let asked = |word: &&str| {
        let measure = Measure::parse(word)?;
        Some(Asked {
            name: name(run, place, word),
            metric: Metric { place, op: None, measure },
            higher_is_better: measure.higher_is_better()?,
            is_explicit: false,
        })
    };
    words.iter().chain(watch).filter_map(asked).collect()
}

/// `saturate.p99@50`, or `paced.p99` where the load was open.
fn name(run: &Run, place: Place<'_>, word: &str) -> String {
    let place = align::name(run, place);
    match place.rsplit_once('@') {
        Some((phase, clients)) => format!("{phase}.{word}@{clients}"),
        None => format!("{place}.{word}"),
    }
}
