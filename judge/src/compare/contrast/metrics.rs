//! Which metrics are compared: those asked for, or the usual ones of every place that both sides measured.

use super::{FLOOR, Limit, UnknownMetric};
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
    /// Least change that counts, fraction.
    pub(super) floor: f64,
    /// The same in the metric's own unit.
    pub(super) least: f64,
}

/// Those of `limits`, or the usual ones against `floor` if there are none. Fails if a name is no metric that can get worse.
pub(super) fn of<'a>(
    base: &'a Run,
    other: &'a Run,
    limits: &'a [Limit],
    floor: f64,
) -> Result<Vec<Asked<'a>>, UnknownMetric> {
    if limits.is_empty() {
        return Ok(usual(base, other, floor));
    }
    let each = limits.iter();
    each.map(|limit| named(base, other, &limit.metric, limit.floor, limit.least)).collect()
}

/// A metric that somebody asked for.
fn named<'a>(
    base: &'a Run,
    other: &'a Run,
    name: &'a str,
    floor: f64,
    least: f64,
) -> Result<Asked<'a>, UnknownMetric> {
    let wrong = |reason| UnknownMetric { metric: name.to_owned(), reason };
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
    let name = name.to_owned();
    Ok(Asked { name, metric, higher_is_better, is_explicit: true, floor, least })
}

/// The usual ones of one run, and those that its targets and its gates name, each once.
pub(in crate::compare) fn judged(run: &Run) -> Vec<Asked<'_>> {
    let mut judged = usual(run, run, FLOOR);
    let of_targets = run.targets.iter().map(|target| &target.metric);
    for name in of_targets.chain(run.gates.iter().map(|gate| &gate.metric)) {
        // A target of a check names no metric, and one on a plain count none that gets worse.
        let asked = named(run, run, name, FLOOR, 0.0);
        if judged.iter().all(|known| known.name != *name) {
            judged.extend(asked);
        }
    }
    judged
}

fn usual<'a>(base: &'a Run, other: &'a Run, floor: f64) -> Vec<Asked<'a>> {
    let there = places(other);
    let shared = places(base).into_iter().filter(|place| there.contains(place));
    shared.flat_map(|place| of_place(base, place, floor)).collect()
}

fn of_place<'a>(run: &'a Run, place: Place<'a>, floor: f64) -> Vec<Asked<'a>> {
    let asked = |word: &'static str| {
        let measure = Measure::parse(word)?;
        Some(Asked {
            name: name(run, place, word),
            metric: Metric { place, op: None, measure },
            higher_is_better: measure.higher_is_better()?,
            is_explicit: false,
            floor,
            least: 0.0,
        })
    };
    usual_words(run, place).into_iter().filter_map(asked).collect()
}

/// The usual measures of a place, as in targets.
pub(in crate::compare) fn usual_words(run: &Run, place: Place<'_>) -> Vec<&'static str> {
    let cells = || run.trials.iter().filter_map(move |trial| align::cell(trial, place));
    let words: &[&str] = match () {
        () if cells().any(|cell| cell.search.is_some()) => &SEARCH,
        () if cells().any(|cell| cell.open.is_some()) => &OPEN,
        () => &CLOSED,
    };
    let watch: &[&str] =
        if cells().any(|cell| cell.watch.is_some()) { &["watch_events"] } else { &[] };
    words.iter().chain(watch).copied().collect()
}

/// `saturate.p99@50`, or `paced.p99` where the load was open.
fn name(run: &Run, place: Place<'_>, word: &str) -> String {
    let place = align::name(run, place);
    match place.rsplit_once('@') {
        Some((phase, clients)) => format!("{phase}.{word}@{clients}"),
        None => format!("{place}.{word}"),
    }
}
