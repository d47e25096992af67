//! The answer of a gate in five forms: the terminal, Markdown for a job's summary, a page, JUnit's XML, and the lines that GitHub turns
//! into annotations. What is said of a metric is said the same in all.

pub mod github;
pub mod html;
pub mod junit;
pub mod markdown;
#[cfg(test)]
mod sample;
pub mod terminal;

use crate::gate::{self, GateOutcome, GateRow, GateVerdict, Tally};
use crate::record::contrast::{Contrast, ContrastRow};
use crate::record::gate::{GateRecord, GatedScenario, Inconclusive, Sitting};
use crate::report::words::{NOTHING, count, percent, significant};

/// What interleaved trials can tell.
const INTERLEAVED: &str = "Base and head were measured in one sitting, by turns and in random order, so that whatever the host did met both: each ratio is of \
     pairs that lie seconds apart.";
/// What a second set is for.
const CONFIRMED: &str = "What looks worse is measured once more with fresh trials, and counts only if it is worse again.";
/// What lacks without one.
const UNCONFIRMED: &str = "What looks worse was not measured once more, so one look decides.";
/// What they cannot.
const STORED: &str = "The base was measured in another sitting. Whatever changed on the host in between is in these ratios, and no interval knows of it: \
     believe a large change, and prove a small one with --base git:REF, which measures both by turns.";

/// What a level can.
const LEVEL: &str = "The base is the level of the stored runs since it last changed or was accepted. How far runs differ from day to day is in the \
     intervals, so they are as wide as the host is moody: a small change is proven with --base git:REF, which measures both by turns.";

fn mark(verdict: GateVerdict) -> &'static str {
    match verdict {
        GateVerdict::Regressed => "✘",
        GateVerdict::Improved => "✔",
        GateVerdict::Unchanged => "·",
        GateVerdict::NotConfirmed => "○",
        GateVerdict::Suspected => "!",
        GateVerdict::Undecided | GateVerdict::NoNumber => "?",
        GateVerdict::Shown => NOTHING,
    }
}

fn word(verdict: GateVerdict) -> &'static str {
    match verdict {
        GateVerdict::Regressed => "worse",
        GateVerdict::Improved => "better",
        GateVerdict::Unchanged => "not worse",
        GateVerdict::NotConfirmed => "not confirmed",
        GateVerdict::Suspected => "suspected",
        GateVerdict::Undecided => "undecided",
        GateVerdict::NoNumber => "no number",
        GateVerdict::Shown => "shown only",
    }
}

/// `✘ worse > 5.00 %`.
fn verdict(row: &GateRow<'_>) -> String {
    let said = format!("{} {}", mark(row.verdict), word(row.verdict));
    match row.verdict {
        GateVerdict::Regressed => format!("{said} > {}", percent(row.first.floor)),
        _ => said,
    }
}

/// By how much head differs from base: `-1.20 %`.
fn change(row: &ContrastRow) -> String {
    row.ratio.map_or(NOTHING.to_owned(), |ratio| signed_percent(ratio - 1.0))
}

/// `[-2.10 %, -0.40 %]`.
fn interval(row: &ContrastRow) -> String {
    row.interval.map_or(NOTHING.to_owned(), |(lower, upper)| {
        format!("[{}, {}]", signed_percent(lower - 1.0), signed_percent(upper - 1.0))
    })
}

fn signed_percent(fraction: f64) -> String {
    let sign = if fraction < 0.0 { "-" } else { "+" };
    format!("{sign}{} %", significant(100.0 * fraction.abs()))
}

/// What the second set of trials said.
fn again(row: &GateRow<'_>) -> Option<String> {
    let second = row.second?;
    let said = format!("again: {} {}", change(second), interval(second));
    Some(match row.verdict {
        GateVerdict::NotConfirmed => format!("{}: {said}, so not confirmed", row.first.metric),
        GateVerdict::Suspected => format!("{}: {said}, which decides nothing", row.first.metric),
        _ => format!("{}: {said}", row.first.metric),
    })
}

/// Why a row has no number, with its metric.
fn why(row: &GateRow<'_>) -> Option<String> {
    let has_to_be_told =
        matches!(row.verdict, GateVerdict::NoNumber | GateVerdict::Undecided | GateVerdict::Shown)
            && !row.first.why.is_empty();
    has_to_be_told.then(|| format!("{}: {}", row.first.metric, row.first.why))
}

/// The rows of one contrast.
fn rows_of<'a>(record: &'a GateRecord, contrast: &'a Contrast) -> Vec<GateRow<'a>> {
    let rows = gate::rows(record).into_iter();
    rows.filter(|row| std::ptr::eq(row.contrast, contrast)).collect()
}

/// All that a reader of a contrast's table should know besides.
fn remarks(record: &GateRecord, contrast: &Contrast) -> Vec<String> {
    let rows = rows_of(record, contrast);
    let withheld = contrast.withheld.iter().map(|why| format!("withheld: {why}"));
    let of_rows = rows.iter().flat_map(|row| [again(row), why(row)]).flatten();
    let notes = contrast.notes.iter().map(|note| format!("note: {note}"));
    of_rows.chain(withheld).chain(notes).collect()
}

/// What kept a scenario from being gated, and what it answered wrongly.
fn problems(scenario: &GatedScenario) -> Vec<String> {
    let failure = Some(&scenario.failure).filter(|failure| !failure.is_empty());
    let failure = failure.map(|failure| format!("{}: {failure}", scenario.name));
    let refused = Some(&scenario.not_comparable).filter(|why| !why.is_empty());
    let refused = refused.map(|why| format!("{}: not comparable: {why}", scenario.name));
    let wrong = scenario.wrong.iter();
    let wrong = wrong.map(|check| format!("{}: WRONG ANSWER: {check}", scenario.name));
    wrong.chain(failure).chain(refused).collect()
}

/// What is compared; reasons call them A and B.
fn sides(record: &GateRecord) -> [(&'static str, String); 2] {
    [("base, A", record.base.clone()), ("head, B", record.head.clone())]
}

fn sitting(record: &GateRecord) -> String {
    let second = if record.confirms { CONFIRMED } else { UNCONFIRMED };
    let second = format!("{}{second}", slices(record));
    let first = match record.sitting {
        Sitting::Interleaved => INTERLEAVED,
        Sitting::Stored => STORED,
        Sitting::Level => LEVEL,
    };
    format!("{first} {second}")
}

/// Which scenarios were measured by slices, and what that means for their figures; nothing if none was.
fn slices(record: &GateRecord) -> String {
    let by_slices = || record.scenarios.iter().filter(|one| one.slice_ms.is_some());
    let Some(slice_ms) = by_slices().find_map(|one| one.slice_ms) else { return String::new() };
    let names: Vec<&str> = by_slices().map(|one| one.name.as_str()).collect();
    format!(
        "In {} the runs of a turn shared one CPU by slices of {slice_ms:.0} ms, so that what the host did met all of them within milliseconds: a rate \
         there is about a third of what a program does alone, and the longest times contain pauses. ",
        names.join(", ")
    )
}

/// The whole in a sentence or two.
fn conclusion(record: &GateRecord) -> String {
    let tally = gate::tally(record);
    let outcome = gate::outcome(record);
    let begin = match outcome {
        GateOutcome::Passed => "Nothing got worse.".to_owned(),
        GateOutcome::Regressed if tally.regressed == 0 => {
            "Not everything is decided, which counts as a failure here.".to_owned()
        }
        GateOutcome::Regressed => {
            format!("{} got worse.", count(tally.regressed, "metric", "metrics"))
        }
        GateOutcome::WrongAnswer => {
            "Head gave a wrong answer; its speed does not matter.".to_owned()
        }
        GateOutcome::Failed => "A program could not be measured.".to_owned(),
        GateOutcome::Inconclusive if tally.judged() + tally.open() == 0 => {
            "Nothing was compared, so nothing is said to be well.".to_owned()
        }
        GateOutcome::Inconclusive => "Whether anything got worse is not decided.".to_owned(),
    };
    let mut text = begin;
    if tally.judged() + tally.open() > 0 {
        text.push_str(&format!(" {}.", counted(tally)));
    }
    if record.inconclusive == Inconclusive::Pass
        && outcome == GateOutcome::Passed
        && tally.open() > 0
    {
        text.push_str(" What is not decided was let pass (--inconclusive pass).");
    }
    if !record.complete {
        text.push_str(" It was cut short: only finished turns are in it.");
    }
    text
}

/// `1 worse, 0 better, 22 not worse, 1 not confirmed`.
fn counted(tally: Tally) -> String {
    let all = tally.judged() + tally.open();
    let always = format!(
        "Of {}: {} worse, {} better, {} not worse",
        count(all, "metric", "metrics"),
        tally.regressed,
        tally.improved,
        tally.unchanged
    );
    let sometimes = [
        (tally.not_confirmed, "looked worse once and not again"),
        (tally.suspected, "looked worse, and nothing cleared or confirmed it"),
        (tally.undecided, "undecided"),
        (tally.no_number, "without a number"),
    ];
    let sometimes =
        sometimes.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!(", {n} {what}"));
    std::iter::once(always).chain(sometimes).collect()
}
