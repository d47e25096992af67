//! The scoreboard for people at a terminal: a few lines per target, the count last.

use super::{
    OVERALL_NOTE, REFUTED_NOTE, claims, is_any_refuted, mark, overall, subject, totals, word,
};
use crate::record::scoreboard::{BoardRun, BoardTarget, Scoreboard};
use crate::report::terminal::{Page, Style};

/// Where the text of a target begins.
const COLUMN: usize = 18;

/// The whole board as text, with a line end after each line.
pub fn render(board: &Scoreboard, style: Style) -> String {
    let mut page = Page::new(style);
    page.heading("SCOREBOARD", &totals(board));
    page.item("host", &board.host);
    page.item("build", &board.build);
    for run in &board.runs {
        of_run(&mut page, run);
    }
    if !board.not_measured.is_empty() {
        page.heading("NOT MEASURED", "");
        for left_out in &board.not_measured {
            page.prose(&format!("{}: {}", left_out.scenario, left_out.reason));
        }
    }
    if !board.overall.is_empty() {
        page.heading("OVERALL", "");
        page.prose(OVERALL_NOTE);
        for figure in &board.overall {
            page.prose(&overall(figure));
        }
    }
    page.blank();
    page.prose_at(1, &totals(board));
    if let Some(claims) = claims(board) {
        page.prose_at(1, &claims);
    }
    if is_any_refuted(board) {
        page.prose_at(1, REFUTED_NOTE);
    }
    page.finish()
}

fn of_run(page: &mut Page, run: &BoardRun) {
    page.blank();
    page.title(&format!("{} · {}", run.scenario, run.workload));
    for stamp in &run.stamps {
        page.stamp(stamp);
    }
    for check in &run.failed_checks {
        page.stamp(&format!("WRONG ANSWER: {check}"));
    }
    if run.targets.is_empty() {
        page.prose("no target set");
    }
    for target in &run.targets {
        of_target(page, target);
    }
}

fn of_target(page: &mut Page, target: &BoardTarget) {
    page.verdict(mark(target), word(target), subject(target));
    page.prose_at(COLUMN, &target.measured);
    page.prose_at(COLUMN, &target.asked);
    if !target.why.is_empty() {
        page.prose_at(COLUMN, &format!("why: {}", target.why));
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn looks_as_agreed() {
        for width in [80, 100] {
            let text = render(&sample::board(), Style { color: false, width });
            crate::report::sample::check_golden(&format!("scoreboard-{width}.txt"), &text);
        }
    }

    #[test]
    fn lines_fit_whatever_stands_in_them() {
        for board in [sample::board(), sample::hostile(), Scoreboard::default()] {
            for width in [60, 72, 80, 100] {
                let text = render(&board, Style { color: false, width });
                for line in text.lines() {
                    assert!(line.chars().count() <= width, "{width}: {line}");
                    assert_eq!(line.trim_end(), line);
                }
                assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
                assert!(!text.contains('\u{202e}'));
            }
        }
    }
}
