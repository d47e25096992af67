//! What watchers got at one place, arm by arm, and before against after over the same pairs as the whole.

use super::align::{self, Place};
use super::metric::Measure;
use super::{Estimate, WatchArm, WatchRow};
use crate::record::{Run, WatchCell};
use crate::stats;

/// Nothing if nobody watched.
pub(super) fn row(run: &Run, place: Place<'_>) -> Option<WatchRow> {
    let all = run.arms.iter().flat_map(|arm| cells(run, &arm.name, place));
    let watchers = all.map(|watch| watch.watchers).max()?;
    let events = align::log_ratios(&align::before_after(run, place), Measure::WatchEvents);
    Some(WatchRow {
        watchers,
        arms: run.arms.iter().filter_map(|arm| summary(run, &arm.name, place)).collect(),
        events: Estimate::from_log_ratios(&events),
    })
}

fn cells<'a>(run: &'a Run, arm: &str, place: Place<'_>) -> Vec<&'a WatchCell> {
    let trials = run.trials.iter().filter(|trial| trial.arm == arm && !trial.aa);
    trials.filter_map(|trial| align::cell(trial, place)?.watch.as_ref()).collect()
}

fn summary(run: &Run, arm: &str, place: Place<'_>) -> Option<WatchArm> {
    let cells = cells(run, arm, place);
    let median = |value: fn(&WatchCell) -> f64| {
        let values = cells.iter().map(|watch| value(watch)).filter(|value| value.is_finite());
        stats::median(&values.collect::<Vec<_>>())
    };
    Some(WatchArm {
        arm: arm.to_owned(),
        events_per_s: median(|watch| watch.events_per_s)?,
        resyncs: median(|watch| watch.resyncs as f64)?,
        lag_ns: median(|watch| watch.lag_s * 1e9)?,
    })
}
