//! What arms made of an open load, and what they were found to bear.
//!
//! An arm that did not keep up in some trial has no percentile there: its queue grew for as long as the load lasted, so
//! whatever is read off says how long that was.

use super::align::{self, Place};
use super::metric::{Measure, Percentile};
use super::reading;
use super::{Estimate, FoundRate, OpenArm, OpenRow, SearchRow, invalid};
use crate::record::{Cell, OpenCell, Run};
use crate::stats;

const PERCENTILES: [Percentile; 4] =
    [Percentile::P50, Percentile::P90, Percentile::P99, Percentile::P999];

/// None where the load was no open one.
pub(super) fn row(run: &Run, place: Place<'_>) -> Option<OpenRow> {
    let pairs = align::before_after(run, place);
    let all = || run.trials.iter().filter_map(|trial| align::cell(trial, place));
    let first = all().find_map(|cell| cell.open.as_ref())?;
    let offered: Vec<f64> =
        all().filter_map(|cell| Some(cell.open.as_ref()?.offered_per_s())).collect();
    let arms: Vec<OpenArm> =
        run.arms.iter().filter_map(|known| arm(run, &known.name, place)).collect();
    let has = |at: usize| arms.len() > 1 && arms.iter().all(|arm| arm.latency_ns[at].is_some());
    let invalid = arms.iter().find_map(|arm| invalid::of_arm(run, &arm.arm, place));
    let ratio = |(at, percentile): (usize, Percentile)| {
        if let Some(why) = invalid {
            return Some(Estimate::refused(why));
        }
        let logs = || align::log_ratios(&pairs, Measure::Percentile(percentile));
        has(at).then(|| Estimate::from_log_ratios(&logs()))
    };
    let ratios = [0, 1, 2, 3].map(|at| ratio((at, PERCENTILES[at])));
    Some(OpenRow {
        offered_per_s: stats::median(&offered).unwrap_or(0.0),
        course: course(first),
        arms,
        ratios,
        search: search(run, place),
    })
}

/// How operations were spaced, and how the rate went.
fn course(open: &OpenCell) -> String {
    match open.rates_per_s.len() {
        0 | 1 => open.arrival.clone(),
        n => format!("{}, {n} {}", open.arrival, open.course),
    }
}

fn of_arm<'a>(run: &'a Run, arm: &str, place: Place<'_>) -> Vec<&'a Cell> {
    let trials = run.trials.iter().filter(|trial| trial.arm == arm && !trial.aa);
    trials.filter_map(|trial| align::cell(trial, place)).collect()
}

fn arm(run: &Run, name: &str, place: Place<'_>) -> Option<OpenArm> {
    let cells = of_arm(run, name, place);
    let opens: Vec<&OpenCell> = cells.iter().filter_map(|cell| cell.open.as_ref()).collect();
    let invalid = invalid::of_arm(run, name, place);
    let median = |values: Vec<f64>| stats::median(&values);
    let latency = |percentile: Percentile| {
        let is_shown = invalid.is_none() && cells.iter().all(|cell| percentile.shown(cell));
        let values = cells.iter().map(|cell| percentile.ns(cell.latency()) as f64).collect();
        is_shown.then(|| median(values)).flatten()
    };
    (!opens.is_empty()).then(|| OpenArm {
        arm: name.to_owned(),
        invalid,
        trials: opens.len(),
        sustained: opens.iter().filter(|open| open.is_sustained()).count(),
        achieved: opens.iter().map(|open| open.achieved()).fold(1.0, f64::min),
        latency_ns: PERCENTILES.map(latency),
        lag_p99_ns: median(opens.iter().map(|open| open.lag.p99_ns as f64).collect())
            .unwrap_or(0.0),
    })
}

fn search(run: &Run, place: Place<'_>) -> Option<SearchRow> {
    let all = run.trials.iter().filter_map(|trial| align::cell(trial, place));
    let condition = all.filter_map(|cell| cell.search.as_ref()).next()?.condition.clone();
    let found = |name: &str| {
        let cells = of_arm(run, name, place);
        let rates: Vec<f64> =
            cells.iter().filter_map(|cell| reading::value(cell, Measure::MaxRate)).collect();
        let location = stats::geometric_location(&rates);
        let is_at_limit = |cell: &&Cell| {
            let search = cell.search.as_ref();
            search
                .is_some_and(|s| s.found_per_s.is_some_and(|rate| rate >= s.highest_per_s * 0.999))
        };
        (!cells.is_empty()).then(|| FoundRate {
            arm: name.to_owned(),
            rate_per_s: location.map_or(0.0, |location| location.value),
            half_width: location.and_then(|location| location.half_width()),
            is_at_limit: cells.iter().any(is_at_limit),
        })
    };
    let logs = align::log_ratios(&align::before_after(run, place), Measure::MaxRate);
    Some(SearchRow {
        condition,
        arms: run.arms.iter().filter_map(|arm| found(&arm.name)).collect(),
        ratio: Estimate::from_log_ratios(&logs),
    })
}
