//! The scoreboard in GitHub's Markdown: one table.

use super::{
    OVERALL_NOTE, REFUTED_NOTE, claims, is_any_refuted, mark, overall, subject, totals, word,
};
use crate::record::scoreboard::{BoardTarget, Scoreboard};
use crate::report::markdown::{escape, line, table_head, table_row};

/// The whole board.
pub fn render(board: &Scoreboard) -> String {
    let mut out = String::new();
    line(&mut out, &format!("## Scoreboard: {}\n", escape(&totals(board))));
    if let Some(claims) = claims(board) {
        line(&mut out, &format!("**{}.**\n", escape(&claims)));
    }
    if is_any_refuted(board) {
        line(&mut out, &format!("{}\n", escape(REFUTED_NOTE)));
    }
    table_head(&mut out, &["", "claim or target", "scenario", "measured", "why"], "lllll");
    for run in &board.runs {
        for target in &run.targets {
            table_row(&mut out, &row(&run.scenario, target));
        }
    }
    line(&mut out, "");
    for run in &board.runs {
        for stamp in &run.stamps {
            line(&mut out, &format!("- {}: **{}**", escape(&run.scenario), escape(stamp)));
        }
        for check in &run.failed_checks {
            let wrong = format!("WRONG ANSWER: {check}");
            line(&mut out, &format!("- {}: **{}**", escape(&run.scenario), escape(&wrong)));
        }
    }
    for left_out in &board.not_measured {
        let (scenario, reason) = (escape(&left_out.scenario), escape(&left_out.reason));
        line(&mut out, &format!("- not measured: {scenario}: {reason}"));
    }
    if !board.overall.is_empty() {
        line(&mut out, &format!("\n{}\n", escape(OVERALL_NOTE)));
        for figure in &board.overall {
            line(&mut out, &format!("- {}", escape(&overall(figure))));
        }
    }
    line(&mut out, &format!("\n{} · {}", escape(&board.host), escape(&board.build)));
    out
}

fn row(scenario: &str, target: &BoardTarget) -> [String; 5] {
    [
        format!("{} {}", mark(target), word(target)),
        subject(target).to_owned(),
        scenario.to_owned(),
        format!("{} ({})", target.measured, target.asked),
        target.why.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn every_target_has_a_row() {
        let text = render(&sample::board());
        assert!(text.contains("✘ claim refuted") && text.contains("1 claim holds, 1 is refuted"));
        assert_eq!(text.lines().filter(|line| line.starts_with("| ")).count(), 6);
    }

    #[test]
    fn text_stands_for_itself() {
        let text = render(&sample::hostile());
        for raw in ["<script", "\u{1b}", "\u{202e}", "@all", "![a](b)", "\n# h", " |`"] {
            assert!(!text.contains(raw), "{raw:?}");
        }
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    }
}
