//! Contrasts in GitHub's Markdown, for a pull request.

use super::{
    basis_note, conclusion, interval, mean, method, q_value, raised_floor, ratio, reasons, side,
    stamp, verdict,
};
use crate::record::contrast::{Contrast, Contrasts};
use crate::report::markdown::{escape, line, table_head, table_row};

/// All of them.
pub fn render(all: &Contrasts) -> String {
    let mut out = String::new();
    line(&mut out, &format!("## {}\n", escape(&conclusion(all))));
    for contrast in &all.contrasts {
        of_contrast(&mut out, contrast, all);
    }
    out
}

fn of_contrast(out: &mut String, contrast: &Contrast, all: &Contrasts) {
    line(out, &format!("- A: {}", escape(&side(&contrast.base))));
    line(out, &format!("- B: {}\n", escape(&side(&contrast.other))));
    if let Some(stamp) = stamp(contrast, all) {
        line(out, &format!("> **{}**\n", escape(stamp)));
    }
    list(out, contrast.not_comparable.iter().cloned());
    list(out, contrast.notes.iter().map(|note| format!("note: {note}")));
    if contrast.rows.is_empty() && contrast.withheld.is_empty() {
        return;
    }
    line(out, &format!("{}\n", escape(&method(contrast, all))));
    table_head(out, &["metric", "A, mean", "B, mean", "B / A", "95 % CI", "q", ""], "lrrrrrl");
    for row in &contrast.rows {
        let unit = row.unit.into();
        let cells = [
            row.metric.clone(),
            mean(row.base.as_ref(), unit),
            mean(row.other.as_ref(), unit),
            ratio(row),
            interval(row),
            q_value(row),
            verdict(row),
        ];
        table_row(out, &cells);
    }
    line(out, "");
    let withheld = contrast.withheld.iter().map(|why| format!("withheld: {why}"));
    list(out, reasons(contrast).chain(withheld).chain(raised_floor(contrast, all)));
    line(out, &format!("{}\n", escape(basis_note(contrast))));
}

fn list(out: &mut String, items: impl Iterator<Item = String>) {
    let mut is_any = false;
    for item in items {
        line(out, &format!("- {}", escape(&item)));
        is_any = true;
    }
    if is_any {
        line(out, "");
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn looks_as_agreed() {
        crate::report::sample::check_golden("compare.md", &render(&sample::contrasts()));
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
