//! One arm's own value against a bound: the trials of that arm, their location, and its exact signed-rank interval.
//!
//! A value is of this host and this hour, which a ratio is less; so it is for shares and counts that the host does not
//! set, and for reading, not for speed.

use super::align;
use super::bound::Bound;
use super::judge::{self, undecided};
use super::metric::Metric;
use super::{ArmValue, TargetVerdict, Verdict, invalid};
use crate::record::{Cell, Plan, Run, Target};
use crate::stats;

/// The judgement of a target on the value of `arm`.
pub(super) fn verdict(run: &Run, target: &Target, arm: &str) -> TargetVerdict {
    let Some(metric) = Metric::parse(&target.metric, run) else {
        return judge::unmeasured(target, judge::cannot_read_metric(target));
    };
    let Some(bound) = Bound::of_value(&target.bound, metric.measure.unit()) else {
        return judge::unmeasured(target, judge::cannot_read_bound(target));
    };
    let reason = invalid::of_value(run, metric, arm)
        .or_else(|| judge::unsustained(run, metric, &[arm]))
        .or_else(|| judge::uncounted(run, metric));
    if let Some(reason) = reason {
        return judge::unmeasured(target, undecided(reason));
    }
    let values = values(run, metric, arm);
    let Some(value) = ArmValue::of(arm, metric, &values) else {
        let reason = format!("no trial of {arm} has a value of {}", target.metric);
        return judge::unmeasured(target, undecided(reason));
    };
    let judged = |value: Option<ArmValue>, judgement| TargetVerdict {
        value,
        ..judge::unmeasured(target, judgement)
    };
    if let Some((is_shown, reason)) = judge::scarce(metric, cells(run, metric, arm)) {
        return judged(is_shown.then_some(value), undecided(reason));
    }
    if let Some(reason) = invalid::by_host(run) {
        return judged(Some(value), undecided(reason));
    }
    let judgement = decide(&run.plan, bound, &value, &values);
    judged(Some(value), judgement)
}

/// Whether the value is known as well as planned: the half-width of its interval is within the planned fraction of the bound.
/// The bound gives the scale, since many shares are zero; on which side of it the value lies does not matter.
pub(super) fn is_narrow(run: &Run, target: &Target, arm: &str) -> bool {
    let narrow = || {
        let metric = Metric::parse(&target.metric, run)?;
        let bound = Bound::of_value(&target.bound, metric.measure.unit())?;
        let value = ArmValue::of(arm, metric, &values(run, metric, arm))?;
        Some(value.half_width()? <= run.plan.precision * bound.scale())
    };
    narrow().unwrap_or(false)
}

fn cells<'a>(run: &'a Run, metric: Metric<'a>, arm: &'a str) -> impl Iterator<Item = &'a Cell> {
    let trials = run.trials.iter().filter(move |trial| trial.arm == arm && !trial.aa);
    trials.filter_map(move |trial| align::cell(trial, metric.place))
}

fn values(run: &Run, metric: Metric<'_>, arm: &str) -> Vec<f64> {
    cells(run, metric, arm).filter_map(|cell| metric.reading(cell)).collect()
}

impl ArmValue {
    /// Hodges-Lehmann of the trials' values with the signed-rank interval at [`stats::ALPHA`]; none without values.
    pub(super) fn of(arm: &str, metric: Metric<'_>, values: &[f64]) -> Option<ArmValue> {
        let interval = stats::signed_rank_interval(values, stats::ALPHA);
        Some(ArmValue {
            arm: arm.to_owned(),
            unit: metric.measure.unit(),
            value: stats::hodges_lehmann(values)?,
            interval: interval.map(|interval| (interval.lower, interval.upper)),
            trials: values.len(),
        })
    }

    /// Half of the interval's width, in the value's unit.
    fn half_width(&self) -> Option<f64> {
        self.interval.map(|(lower, upper)| (upper - lower) / 2.0)
    }
}

fn decide(plan: &Plan, bound: Bound, value: &ArmValue, values: &[f64]) -> (Verdict, String) {
    let (Some(interval), Some(half_width)) = (value.interval, value.half_width()) else {
        let (trials, needed) = (trials(values.len()), stats::PAIRS_MIN);
        return undecided(format!("cannot decide with {trials}; {needed} are needed"));
    };
    let wanted = plan.precision * bound.scale();
    match () {
        () if plan.precision_required && half_width > wanted => {
            undecided(too_wide(plan, bound, half_width))
        }
        () if bound.holds(interval) => (Verdict::Met, String::new()),
        () if bound.broken(interval) => (Verdict::Missed, String::new()),
        () => undecided(match judge::more_pairs(values, bound.distance(value.value)) {
            Some(more) => format!("about {} would decide it at this noise", more_trials(more)),
            None => "the value is too close to the bound for any number of trials to be named"
                .to_owned(),
        }),
    }
}

fn too_wide(plan: &Plan, bound: Bound, half_width: f64) -> String {
    let reached = match bound.scale() {
        scale if scale > 0.0 => judge::percent(half_width / scale),
        _ => "more".to_owned(),
    };
    format!("asked for ±{} of the bound, reached ±{reached}", judge::percent(plan.precision))
}

fn trials(n: usize) -> String {
    format!("{n} {}", if n == 1 { "trial" } else { "trials" })
}

fn more_trials(n: usize) -> String {
    format!("{n} more {}", if n == 1 { "trial" } else { "trials" })
}
