//! Two sides against each other, in words and in two forms. What is said of a metric is said the same in both.

pub mod markdown;
#[cfg(test)]
mod sample;
pub mod terminal;

use crate::compare::Unit;
use crate::record::contrast::{
    Basis, Contrast, ContrastRow, Contrasts, RowVerdict, Side, SideMean,
};
use crate::report::words::{self, NOTHING, count, percent, significant};

/// What two sittings cannot tell apart.
const SITTINGS_NOTE: &str = "A and B are two sittings. Whatever changed on the host in between (neighbours, heat, the disk) is in these \
     ratios, and no interval knows of it: believe a large change, and prove a small one with both as arms of one run, whose pairs are interleaved.";
/// What a level can tell.
const HISTORY_NOTE: &str = "A is the level of stored runs, B one more: how far runs differ from day to day is in the interval, so it is as wide as the \
     host is moody.";
/// What pairs can.
const PAIRS_NOTE: &str = "A and B are arms of one run: the ratios are of interleaved pairs, which share the host's drift.";

/// `✘`, `✔`, `·`, `?` or `–`.
fn mark(verdict: RowVerdict) -> &'static str {
    match verdict {
        RowVerdict::Worse => "✘",
        RowVerdict::Better => "✔",
        RowVerdict::NotWorse => "·",
        RowVerdict::Undecided => "?",
        RowVerdict::Shown => NOTHING,
    }
}

fn word(verdict: RowVerdict) -> &'static str {
    match verdict {
        RowVerdict::Worse => "worse",
        RowVerdict::Better => "better",
        RowVerdict::NotWorse => "not worse",
        RowVerdict::Undecided => "undecided",
        RowVerdict::Shown => "shown only",
    }
}

/// `✘ worse`.
fn verdict(row: &ContrastRow) -> String {
    format!("{} {}", mark(row.verdict), word(row.verdict))
}

/// `46 900/s ± 2.0 %`: the mean and half its interval.
pub(super) fn mean(mean: Option<&SideMean>, unit: Unit) -> String {
    let Some(mean) = mean else { return NOTHING.to_owned() };
    let value = words::quantity(mean.value, unit);
    match mean.interval {
        Some((lower, upper)) => {
            format!("{value} ± {}", percent((upper - lower) / 2.0 / mean.value))
        }
        None => format!("{value} ± ?"),
    }
}

fn ratio(row: &ContrastRow) -> String {
    row.ratio.map_or(NOTHING.to_owned(), words::ratio)
}

/// Rounded outwards.
fn interval(row: &ContrastRow) -> String {
    row.interval.map_or(NOTHING.to_owned(), |(lower, upper)| {
        format!("[{}, {}]", words::lower_bound(lower), words::upper_bound(upper))
    })
}

pub(super) fn q_value(row: &ContrastRow) -> String {
    match row.q_value {
        None => NOTHING.to_owned(),
        Some(q) if q < 0.001 => "< .001".to_owned(),
        Some(q) => format!("{q:.3}"),
    }
}

/// `A  reports/x · arm after · 8 trials · 2026-11-03T14:12:00Z · a1b2c3d · grade B`.
fn side(side: &Side) -> String {
    format!(
        "{} · arm {} · {} · {} · {} · grade {}",
        side.bundle,
        side.arm,
        count(side.trials as usize, "trial", "trials"),
        side.started_at,
        side.revision,
        side.grade
    )
}

fn method(contrast: &Contrast, all: &Contrasts) -> String {
    let test = match contrast.basis {
        Basis::Pairs => "signed-rank test of pairs",
        Basis::Sittings => "Mann-Whitney test",
        Basis::History => "Student's test of one run against those of the level",
    };
    format!("B / A, {test}; counts beyond {} and at q <= 0.05", percent(all.floor))
}

fn basis_note(contrast: &Contrast) -> &'static str {
    match contrast.basis {
        Basis::Pairs => PAIRS_NOTE,
        Basis::Sittings => SITTINGS_NOTE,
        Basis::History => HISTORY_NOTE,
    }
}

/// Why a row has no judgement, with its metric.
fn reasons(contrast: &Contrast) -> impl Iterator<Item = String> {
    let unsaid =
        |row: &&ContrastRow| !row.why.is_empty() && row.ratio.is_none_or(|_| row.p_value.is_none());
    contrast.rows.iter().filter(unsaid).map(|row| format!("{}: {}", row.metric, row.why))
}

fn stamp(contrast: &Contrast, all: &Contrasts) -> Option<&'static str> {
    match (contrast.not_comparable.is_empty(), all.forced) {
        (true, _) => None,
        (false, true) => Some("NOT COMPARABLE, compared all the same (--force)"),
        (false, false) => Some("NOT COMPARABLE"),
    }
}

/// The whole in a sentence.
fn conclusion(all: &Contrasts) -> String {
    let refused = all.contrasts.iter().filter(|contrast| stamp(contrast, all).is_some()).count();
    let metrics = |verdict| all.count(verdict);
    let [worse, better, kept, undecided] =
        [RowVerdict::Worse, RowVerdict::Better, RowVerdict::NotWorse, RowVerdict::Undecided]
            .map(metrics);
    let judged = worse + better + kept + undecided;
    let begin = match (worse, undecided) {
        _ if judged == 0 => "Nothing was compared.".to_owned(),
        (0, 0) => format!("Nothing got worse by more than {}.", percent(all.floor)),
        (0, _) => "Whether anything got worse is undecided.".to_owned(),
        (_, _) => format!("{} got worse.", count(worse, "metric", "metrics")),
    };
    let mut text = begin;
    if judged > 0 {
        text.push_str(&format!(
            " Of {}: {worse} worse, {better} better, {kept} not worse, {undecided} undecided.",
            count(judged, "metric", "metrics")
        ));
    }
    if refused > 0 && !all.forced {
        let pairs = count(refused, "pair of sides is", "pairs of sides are");
        text.push_str(&format!(" {pairs} not comparable; --force compares all the same."));
    }
    text
}

/// Three digits of a floor beyond the one asked for.
fn raised_floor(contrast: &Contrast, all: &Contrasts) -> Option<String> {
    let raised = contrast.rows.iter().filter(|row| row.floor > all.floor);
    let most = raised.max_by(|a, b| a.floor.total_cmp(&b.floor))?;
    Some(format!(
        "Arms differed from themselves by up to {} % ({}): a change within that is not called one.",
        significant(100.0 * most.floor),
        most.metric
    ))
}
