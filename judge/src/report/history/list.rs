//! What a history holds: its runs, and the levels that were accepted, on the terminal.

use super::{minute, revision, run_name};
use crate::record::history::{Bless, History, RunLine};
use crate::report::terminal::{Grid, Page, Style};
use crate::report::words::{self, NOTHING, count};

/// Runs and accepted levels, of one scenario or of all, with a line end after each line.
pub fn render(history: &History, scenario: Option<&str>, style: Style) -> String {
    let wanted = |name: &str| scenario.is_none_or(|scenario| scenario == name);
    let runs: Vec<&RunLine> =
        history.runs.iter().filter(|run| wanted(&run.conditions.scenario)).collect();
    let blesses: Vec<&Bless> =
        history.blesses.iter().filter(|bless| wanted(&bless.series.conditions.scenario)).collect();
    let mut page = Page::new(style);
    if !runs.is_empty() {
        page.heading("RUNS", "the oldest first");
        page.grid(&[wide(&runs), narrow(&runs)]);
    }
    if !blesses.is_empty() {
        page.heading("ACCEPTED", "");
        blesses.iter().for_each(|bless| page.prose(&accepted(history, bless)));
    }
    page.blank();
    page.prose_at(1, &format!("{}.", count(runs.len(), "run", "runs")));
    page.finish()
}

fn wide(runs: &[&RunLine]) -> Grid {
    let head = ["start, UTC", "scenario", "revision", "grade", "machine", "text", "metrics", ""];
    let mut grid = Grid::new("llllllrl", &head);
    for run in runs {
        let conditions = &run.conditions;
        grid.row(vec![
            minute(&run.started_at),
            conditions.scenario.clone(),
            words::short(&revision(&run.revision, run.dirty), 16),
            run.grade.clone(),
            short_hash(&conditions.machine_key),
            short_hash(&conditions.scenario_hash),
            metrics(run),
            marks(run),
        ]);
    }
    grid
}

fn narrow(runs: &[&RunLine]) -> Grid {
    let mut grid = Grid::new("lllll", &["start, UTC", "scenario", "revision", "grade", ""]);
    for run in runs {
        grid.row(vec![
            minute(&run.started_at),
            words::short(&run.conditions.scenario, 20),
            words::short(&revision(&run.revision, run.dirty), 14),
            run.grade.clone(),
            marks(run),
        ]);
    }
    grid
}

/// As much of a hash as tells a few apart.
fn short_hash(hash: &str) -> String {
    match hash.trim_start_matches("facts-") {
        "" => NOTHING.to_owned(),
        digits => digits.chars().take(8).collect(),
    }
}

/// `98`, or `96 of 98` if some have no number.
fn metrics(run: &RunLine) -> String {
    let (all, valid) =
        (run.cells.len(), run.cells.iter().filter(|cell| cell.invalid.is_none()).count());
    if valid == all { all.to_string() } else { format!("{valid} of {all}") }
}

/// What sets a run apart.
fn marks(run: &RunLine) -> String {
    let marks = [
        (run.conditions.quick, "quick"),
        (!run.complete, "incomplete"),
        (run.conditions.profile != "release", "not a release build"),
    ];
    let set = marks.into_iter().filter(|(is_set, _)| *is_set).map(|(_, mark)| mark);
    set.collect::<Vec<_>>().join(", ")
}

fn accepted(history: &History, bless: &Bless) -> String {
    let since = history.runs.iter().find(|run| run.id == bless.since);
    let since = since.map_or_else(
        || format!("run {}, which is not here", bless.since),
        |run| run_name(&run.started_at, &revision(&run.revision, run.dirty)),
    );
    let series = &bless.series;
    format!(
        "{}: {} of {} from {since} on: {}",
        series.conditions.scenario, series.metric, series.arm, bless.why
    )
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    const STYLE: Style = Style { color: false, width: 80 };

    #[test]
    fn runs_and_accepted_levels_are_listed() {
        let history = sample::history("put_parallel", "because it is worth it");
        let text = render(&history, None, STYLE);
        for wanted in ["2026-11-02 03:00", "5d6e7f8-dirty", "quick, incomplete", "3 runs."] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        assert!(text.contains("because it is worth it"), "{text}");
        assert_eq!(render(&history, Some("another"), STYLE).trim(), "0 runs.");
        assert_eq!(render(&History::default(), None, STYLE).trim(), "0 runs.");
    }

    #[test]
    fn lines_fit_whatever_stands_in_them() {
        let bad = crate::report::sample::HOSTILE;
        for width in [60, 80, 100] {
            let text = render(&sample::history(bad, bad), None, Style { width, ..STYLE });
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            assert!(
                text.chars().all(|c| c == '\n' || !c.is_control()) && !text.contains('\u{202e}')
            );
        }
    }
}
