//! Results over time, in words and in four forms: terminal, SVG, HTML and the index of bundles. What is said of a change is said
//! the same in all of them.

pub mod html;
pub mod index;
pub mod list;
#[cfg(test)]
mod sample;
pub mod svg;
pub mod terminal;

use crate::record::history::Torn;
use crate::record::trend::{Direction, InvalidRun, Trend, TrendChange, TrendPoint, Trends};
use crate::report::words::{self, count, percent};
use std::collections::BTreeSet;

/// What no interval knows of.
const NOTE: &str = "Runs of different days share no block. A host that changed within one machine key looks like a change of the \
     program, so prove what is found here with both revisions as arms of one run.";

/// `✔` for better, `✘` for worse, `·` for a change that was accepted.
fn mark(change: &TrendChange) -> &'static str {
    match (&change.blessed, change.direction) {
        (Some(_), _) => "·",
        (None, Direction::Better) => "✔",
        (None, Direction::Worse) => "✘",
    }
}

/// `worse`, or `worse, accepted`.
fn word(change: &TrendChange) -> String {
    let word = match change.direction {
        Direction::Better => "better",
        Direction::Worse => "worse",
    };
    if change.blessed.is_some() { format!("{word}, accepted") } else { word.to_owned() }
}

/// `saturate.p99@50 of after`.
pub(super) fn subject(trend: &Trend) -> String {
    format!("{} of {}", trend.name.metric, trend.name.arm)
}

/// `0.877× [0.86, 0.90]`, the interval rounded outwards.
pub(super) fn size(change: &TrendChange) -> String {
    let (lower, upper) = change.interval;
    format!(
        "{} [{}, {}]",
        words::ratio(change.ratio),
        words::lower_bound(lower),
        words::upper_bound(upper)
    )
}

/// `p < 0.001`, `p = 0.004`.
pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") }
}

/// Changes that happened at one run, under the same conditions.
struct Event<'a> {
    /// The last run of the old levels and the first one of the new.
    around: (&'a TrendPoint, &'a TrendPoint),
    changes: Vec<(&'a Trend, &'a TrendChange)>,
}

/// All changes by the run at which they happened, the oldest first.
fn by_run(trends: &Trends) -> Vec<Event<'_>> {
    let mut events: Vec<Event<'_>> = Vec::new();
    for trend in &trends.series {
        for change in &trend.changes {
            let Some(around) = around(trend, change) else { continue };
            let is_here = |event: &&mut Event<'_>| {
                let ids = |(a, b): (&TrendPoint, &TrendPoint)| (a.id.clone(), b.id.clone());
                ids(event.around) == ids(around)
            };
            match events.iter_mut().find(is_here) {
                Some(event) => event.changes.push((trend, change)),
                None => events.push(Event { around, changes: vec![(trend, change)] }),
            }
        }
    }
    events.sort_by(|a, b| a.around.1.started_at.cmp(&b.around.1.started_at));
    events
}

/// That several arms changed at once, if they did: then it may not be the program.
fn host_hint(event: &Event<'_>) -> Option<String> {
    let of_change = |(trend, change): &(&Trend, &TrendChange)| {
        let own = std::iter::once(&trend.name.arm).filter(|_| !change.other_arms.is_empty());
        own.chain(&change.other_arms).cloned().collect::<Vec<_>>()
    };
    let arms: BTreeSet<String> = event.changes.iter().flat_map(of_change).collect();
    let arms: Vec<String> = arms.into_iter().collect();
    let hint = || format!("arms {} changed at the same run: was it the host?", arms.join(", "));
    (!arms.is_empty()).then(hint)
}

/// Between which runs, and what else is known: by how much, how surely, why it is accepted, who changed with it.
pub(super) fn told(trend: &Trend, change: &TrendChange) -> String {
    let mut text = format!("{}: {}, {}", word(change), size(change), p_value(change.p_value));
    if let Some((before, after)) = around(trend, change) {
        text.push_str(&format!(", from {} to {}", run(before), run(after)));
    }
    if let Some(why) = &change.blessed {
        text.push_str(&format!("; accepted: {why}"));
    }
    if !change.other_arms.is_empty() {
        let arms = change.other_arms.join(", ");
        text.push_str(&format!("; so did {arms} at the same run: was it the host?"));
    }
    text
}

/// The last run of the old level and the first one of the new.
fn around<'a>(trend: &'a Trend, change: &TrendChange) -> Option<(&'a TrendPoint, &'a TrendPoint)> {
    let at = usize::try_from(change.at).ok()?;
    Some((trend.points.get(at.checked_sub(1)?)?, trend.points.get(at)?))
}

/// `a1b2c3d (2026-11-03 14:12)`.
pub(super) fn run(point: &TrendPoint) -> String {
    format!("{} ({})", revision(&point.revision, point.dirty), minute(&point.started_at))
}

/// The revision; with `-dirty` if the source differed from it and it does not say so itself.
fn revision(revision: &str, dirty: Option<bool>) -> String {
    let says_so = revision.ends_with("-dirty");
    let suffix = if dirty == Some(true) && !says_so { "-dirty" } else { "" };
    format!("{revision}{suffix}")
}

/// `2026-11-03` of a time in UTC.
pub(super) fn day(started_at: &str) -> &str {
    started_at.get(..10).unwrap_or(started_at)
}

/// `2026-11-03 14:12` of a time in UTC.
fn minute(started_at: &str) -> String {
    started_at.get(..16).unwrap_or(started_at).replacen('T', " ", 1)
}

/// Where series were parted: the day, by what, and how many it was; each once, though many metrics were parted alike.
fn partings(trends: &Trends) -> Vec<String> {
    let mut found: Vec<(&str, &str, &[String], usize)> = Vec::new();
    for trend in trends.series.iter().filter(|trend| !trend.parted_by.is_empty()) {
        let since = trend.points.first().map_or("", |point| &point.started_at);
        let scenario = trend.name.conditions.scenario.as_str();
        let known = |other: &&mut (&str, &str, &[String], usize)| {
            (other.0, other.1, other.2) == (scenario, since, trend.parted_by.as_slice())
        };
        match found.iter_mut().find(known) {
            Some((.., metrics)) => *metrics += 1,
            None => found.push((scenario, since, &trend.parted_by, 1)),
        }
    }
    let parting = |(scenario, since, by, n): (&str, &str, &[String], usize)| {
        let since = if since.is_empty() { "runs without a number".into() } else { minute(since) };
        format!(
            "{scenario}, {since}: {} not joined with earlier runs, since these differ: {}",
            count(n, "series", "series"),
            by.join("; ")
        )
    };
    found.into_iter().map(parting).collect()
}

/// Series without an answer and runs without a number, each reason once.
fn remarks(trends: &Trends) -> Vec<String> {
    let mut series: Vec<(String, usize)> = Vec::new();
    let mut note = |remark: String| match series.iter_mut().find(|(known, _)| *known == remark) {
        Some((_, times)) => *times += 1,
        None => series.push((remark, 1)),
    };
    for trend in &trends.series {
        if !trend.why.is_empty() && !trend.points.is_empty() {
            note(trend.why.clone());
        }
        if trend.left_out > 0 {
            note(format!(
                "the oldest {} left out",
                count(trend.left_out as usize, "run is", "runs are")
            ));
        }
    }
    let told = |(remark, times): (String, usize)| {
        format!("{}: {remark}", count(times, "series", "series"))
    };
    series.into_iter().map(told).chain(missing_numbers(trends)).collect()
}

/// Why numbers are missing: each reason with how many, and the metric and run that had it last.
fn missing_numbers(trends: &Trends) -> Vec<String> {
    let mut reasons: Vec<(&InvalidRun, &Trend, usize)> = Vec::new();
    for trend in &trends.series {
        for run in &trend.invalid {
            match reasons.iter_mut().find(|(known, ..)| known.reason == run.reason) {
                Some((last, of, times)) => {
                    *times += 1;
                    if run.started_at >= last.started_at {
                        (*last, *of) = (run, trend);
                    }
                }
                None => reasons.push((run, trend, 1)),
            }
        }
    }
    let told = |(run, trend, times): (&InvalidRun, &Trend, usize)| {
        format!(
            "{} missing: {}; at last {} in {}",
            count(times, "number is", "numbers are"),
            run.reason,
            subject(trend),
            run_name(&run.started_at, &run.revision)
        )
    };
    reasons.into_iter().map(told).collect()
}

fn run_name(started_at: &str, revision: &str) -> String {
    format!("{revision} ({})", minute(started_at))
}

/// The whole in a sentence.
fn conclusion(trends: &Trends) -> String {
    let n = trends.series.len();
    let looked_at = trends.series.iter().filter(|trend| trend.why.is_empty()).count();
    let changes = || trends.series.iter().flat_map(|trend| &trend.changes);
    let beyond = percent(trends.floor);
    match (n, looked_at, changes().count()) {
        (0, ..) => "No run has a number to show.".to_owned(),
        (_, 0, _) => "Too few runs to look for a change.".to_owned(),
        (_, _, 0) => format!("No change beyond {beyond} in {} series.", looked_at),
        (_, _, found) => {
            let open = |way| {
                let is_open =
                    |change: &&TrendChange| change.blessed.is_none() && change.direction == way;
                changes().filter(is_open).count()
            };
            let (worse, better) = (open(Direction::Worse), open(Direction::Better));
            format!(
                "{} beyond {beyond} in {looked_at} series: {worse} worse, {better} better, {} accepted.",
                count(found, "change", "changes"),
                found - worse - better
            )
        }
    }
}

/// How changes are found.
fn method(trends: &Trends) -> String {
    format!(
        "E-divisive on the logarithm of each run's mean; counts beyond {} and at p <= {}, the search allowed for",
        percent(trends.floor),
        trends.alpha
    )
}

/// That a line was not finished.
pub fn torn(torn: Torn) -> String {
    format!(
        "line {} was not finished ({}) and is left out; whoever wrote it was stopped",
        torn.line,
        count(torn.bytes, "byte", "bytes")
    )
}
