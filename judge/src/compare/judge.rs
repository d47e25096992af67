//! Verdicts: a target is met or missed only if the whole interval says so; everything else is inconclusive,
//! with the reason and what would decide it.
//!
//! It refuses to decide from a point estimate, from fewer than six pairs, from a percentile with too few
//! observations beyond it, or below the precision that the scenario demanded.

use super::bound::Bound;
use super::metric::{Measure, Metric, Percentile, Scarcest};
use super::{Estimate, Ladder, Outcome, TargetVerdict, Verdict, align, invalid, value};
use crate::record::{Cell, Check, Plan, Run, Target, Warning};
use crate::stats::{self, BEYOND_JUDGED_MIN, BEYOND_SHOWN_MIN};

/// The judgement of one target.
pub(super) fn verdict(run: &Run, target: &Target, ladders: &[Ladder]) -> TargetVerdict {
    match (&target.check, &target.arm) {
        (Some(check), _) => of_check(run, target, check),
        (None, Some(arm)) => value::verdict(run, target, arm),
        (None, None) => of_ratio(run, target, ladders),
    }
}

/// A target with its judgement and nothing measured.
pub(super) fn unmeasured(target: &Target, (verdict, reason): (Verdict, String)) -> TargetVerdict {
    let target = target.clone();
    TargetVerdict { target, estimate: None, value: None, check: None, verdict, reason }
}

/// Met if the check ran and passed.
fn of_check(run: &Run, target: &Target, id: &str) -> TargetVerdict {
    let Some(check) = run.checks.iter().find(|check| check.id == id) else {
        return unmeasured(target, undecided(format!("the check {id} did not run")));
    };
    let verdict = match (check.passed, check.undecided) {
        (true, _) => Verdict::Met,
        (false, true) => Verdict::Inconclusive,
        (false, false) => Verdict::Missed,
    };
    TargetVerdict { check: Some(check.clone()), ..unmeasured(target, (verdict, String::new())) }
}

fn of_ratio(run: &Run, target: &Target, ladders: &[Ladder]) -> TargetVerdict {
    let judged = |estimate, judgement| TargetVerdict { estimate, ..unmeasured(target, judgement) };
    let Some(metric) = Metric::parse(&target.metric, run) else {
        return unmeasured(target, cannot_read_metric(target));
    };
    let Some(bound) = Bound::of_ratio(&target.bound) else {
        return unmeasured(target, cannot_read_bound(target));
    };
    if let Some(reason) = invalid::of_target(run, metric) {
        return judged(None, undecided(reason));
    }
    let pairs = align::before_after(run, metric.place);
    let logs = align::log_ratios_of(&pairs, |cell| metric.reading(cell));
    let ends = [run.arms.first(), run.arms.last()];
    let ends: Vec<&str> = ends.into_iter().flatten().map(|arm| arm.name.as_str()).collect();
    if let Some(reason) = unsustained(run, metric, &ends).or_else(|| uncounted(run, metric)) {
        return judged(None, undecided(reason));
    }
    if logs.is_empty() {
        return judged(
            None,
            undecided(format!("no block has a value of {} in both arms", target.metric)),
        );
    }
    let estimate = Estimate::from_log_ratios(&logs);
    let cells = || pairs.iter().flat_map(|pair| [pair.base, pair.other]);
    if let Some((is_shown, reason)) = scarce(metric, cells()) {
        return judged(is_shown.then_some(estimate), undecided(reason));
    }
    if let Some(reason) = invalid::by_host(run) {
        return judged(Some(estimate), undecided(reason));
    }
    let ceiling = ceiling_reason(ladders, metric, bound);
    let decided = decide(&run.plan, bound, &estimate, &logs, ceiling);
    judged(Some(estimate), unless_waits_matter(run, metric, bound, &estimate, decided))
}

/// The same, if it would be the same had the load generator never waited for a CPU.
fn unless_waits_matter(
    run: &Run,
    metric: Metric<'_>,
    bound: Bound,
    estimate: &Estimate,
    decided: (Verdict, String),
) -> (Verdict, String) {
    let without = |interval| invalid::without_waits(run, metric, interval);
    let Some((low, high)) = estimate.interval.and_then(without) else { return decided };
    let stands = match decided.0 {
        Verdict::Met => bound.holds((low, high)),
        Verdict::Missed => bound.broken((low, high)),
        Verdict::Inconclusive => true,
    };
    if stands {
        return decided;
    }
    let (low, high) = (times(low), times(high));
    undecided(format!(
        "the load generator waited for a CPU; without that the ratio may lie anywhere from {low} to {high}"
    ))
}

pub(super) fn cannot_read_metric(target: &Target) -> (Verdict, String) {
    undecided(format!("cannot read the metric \"{}\"", target.metric))
}

pub(super) fn cannot_read_bound(target: &Target) -> (Verdict, String) {
    undecided(format!("cannot read the bound \"{}\"", target.bound))
}

/// Whether a percentile may be shown at least, and why it is not judged; nothing if enough observations lie beyond it.
pub(super) fn scarce<'a>(
    metric: Metric<'_>,
    cells: impl Iterator<Item = &'a Cell>,
) -> Option<(bool, String)> {
    let Measure::Percentile(percentile) = metric.measure else { return None };
    let scarcest = metric.scarcest(percentile, cells)?;
    (scarcest.beyond < BEYOND_JUDGED_MIN)
        .then(|| (scarcest.beyond >= BEYOND_SHOWN_MIN, too_scarce(percentile, scarcest)))
}

/// The run's answer from its parts, the gravest first.
pub(super) fn outcome(run: &Run, verdicts: &[TargetVerdict]) -> Outcome {
    let any = |wanted| verdicts.iter().any(|verdict| verdict.verdict == wanted);
    match () {
        () if run.checks.iter().any(Check::is_wrong) => Outcome::WrongAnswer,
        () if any(Verdict::Missed) => Outcome::Missed,
        () if any(Verdict::Inconclusive) => Outcome::Inconclusive,
        () if run.checks.iter().any(|check| check.undecided) => Outcome::Inconclusive,
        () if verdicts.is_empty() => Outcome::NoTarget,
        () => Outcome::Met,
    }
}

fn decide(
    plan: &Plan,
    bound: Bound,
    estimate: &Estimate,
    logs: &[f64],
    ceiling: Option<String>,
) -> (Verdict, String) {
    let (Some(interval), Some(half_width)) = (estimate.interval, estimate.half_width()) else {
        return undecided(too_few(estimate.pairs));
    };
    match () {
        () if plan.precision_required && half_width > plan.precision => {
            undecided(too_wide(plan.precision, half_width, logs))
        }
        () if bound.holds(interval) => (Verdict::Met, String::new()),
        () if bound.broken(interval) => (Verdict::Missed, ceiling.unwrap_or_default()),
        () => undecided(straddles(estimate.ratio, bound, logs)),
    }
}

pub(super) fn undecided(reason: String) -> (Verdict, String) {
    (Verdict::Inconclusive, reason)
}

fn too_few(n_pairs: usize) -> String {
    let level = percent(stats::ALPHA);
    format!("cannot decide with {}; {} are needed at {level}", pairs(n_pairs), stats::PAIRS_MIN)
}

fn too_scarce(percentile: Percentile, scarcest: Scarcest) -> String {
    let wanted_s = scarcest.elapsed_s * BEYOND_JUDGED_MIN as f64 / scarcest.beyond as f64;
    let advice = match wanted_s.is_finite() && wanted_s > 0.0 {
        true => format!(" to about {:.0} s", wanted_s.ceil()),
        false => String::new(),
    };
    format!(
        "{} needs {BEYOND_JUDGED_MIN} observations beyond it in each trial; the smallest had {}: \
         lengthen the phase's duration{advice}",
        percentile.word(),
        scarcest.beyond
    )
}

fn too_wide(precision: f64, half_width: f64, logs: &[f64]) -> String {
    let (asked, reached) = (percent(precision), percent(half_width));
    let state = format!("asked for ±{asked}, reached ±{reached} after {}", pairs(logs.len()));
    match more_pairs(logs, precision.ln_1p()) {
        Some(more) => format!("{state}; about {more} more would reach it"),
        None => format!("{state}; more than {} would be needed", stats::PAIRS_NEEDED_MAX),
    }
}

/// What would decide: a half-width no larger than the distance from the estimate to the bound, both as logarithms.
fn straddles(ratio: f64, bound: Bound, logs: &[f64]) -> String {
    let distance = (ratio / bound.nearest(ratio)).ln().abs();
    match more_pairs(logs, distance) {
        Some(more) => format!("about {} would decide it at this noise", more_pairs_text(more)),
        None if distance > f64::EPSILON => format!(
            "the estimate is so close to the bound that more than {} pairs would be needed",
            stats::PAIRS_NEEDED_MAX
        ),
        None => "the estimate lies on the bound, so no number of pairs can be named".to_string(),
    }
}

/// Pairs on top of those there are, at least one.
pub(super) fn more_pairs(logs: &[f64], half_width_wanted: f64) -> Option<usize> {
    let needed = stats::pairs_needed(logs, half_width_wanted)?;
    Some(needed.saturating_sub(logs.len()).max(1))
}

/// Why a throughput could not rise further, if the before arm's stages say so.
fn ceiling_reason(ladders: &[Ladder], metric: Metric<'_>, bound: Bound) -> Option<String> {
    let (Bound::AtLeast(wanted) | Bound::Within(wanted, _)) = bound else { return None };
    if metric.measure != Measure::Throughput || metric.op.is_some() {
        return None;
    }
    let place = metric.place;
    let here = |ladder: &&Ladder| ladder.phase == place.phase && ladder.clients == place.clients;
    let ceiling = ladders.iter().find(here)?.ceiling.filter(|ceiling| *ceiling < wanted)?;
    Some(format!(
        "the ceiling was {}: {} of a before operation was waiting its turn, and the rest stays",
        times(ceiling),
        percent(1.0 - 1.0 / ceiling)
    ))
}

/// Why there is no latency at the metric's place, if one of `arms` did not keep up with the load there in some trial.
pub(super) fn unsustained(run: &Run, metric: Metric<'_>, arms: &[&str]) -> Option<String> {
    if !metric.measure.is_latency() {
        return None;
    }
    let place = align::name(run, metric.place);
    run.warnings.iter().find_map(|warning| match warning {
        Warning::Unsustained { arm, cell, trials, of, achieved, .. }
            if *cell == place && arms.contains(&arm.as_str()) =>
        {
            Some(format!(
                "{arm} did not keep up with the offered rate in {trials} of {of} trials (at least once only {} was \
                 answered in time), so its latency has no limit: offer less",
                percent(*achieved)
            ))
        }
        _ => None,
    })
}

/// Why the metric has no value, if it is about system calls that were not counted.
pub(super) fn uncounted(run: &Run, metric: Metric<'_>) -> Option<String> {
    let is_about_calls = metric.measure == Measure::SyscallsPerOp;
    let mut reasons = run.warnings.iter().filter_map(|warning| match warning {
        Warning::SyscallsNotCounted { reason } => Some(reason),
        _ => None,
    });
    let reason = reasons.next().filter(|_| is_about_calls)?;
    Some(format!("system calls were not counted: {reason}"))
}

fn pairs(n: usize) -> String {
    format!("{n} {}", if n == 1 { "pair" } else { "pairs" })
}

fn more_pairs_text(n: usize) -> String {
    format!("{n} more {}", if n == 1 { "pair" } else { "pairs" })
}

/// `5 %`, `8.2 %`.
pub(super) fn percent(fraction: f64) -> String {
    let text = format!("{:.1}", fraction * 100.0);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

/// `3.40×`, `18.3×`, `120×`.
fn times(ratio: f64) -> String {
    match ratio {
        r if r >= 99.95 => format!("{r:.0}×"),
        r if r >= 9.995 => format!("{r:.1}×"),
        r => format!("{r:.2}×"),
    }
}
