//! A gate in GitHub's Markdown: the summary of a job, or a comment.

use super::{change, conclusion, interval, problems, remarks, rows_of, sides, sitting, verdict};
use crate::record::gate::GateRecord;
use crate::report::contrast::{mean, q_value};
use crate::report::markdown::{escape, line, table_head, table_row};

/// All of it.
pub fn render(record: &GateRecord) -> String {
    let mut out = String::new();
    line(&mut out, &format!("## {}\n", escape(&conclusion(record))));
    for (name, what) in sides(record) {
        line(&mut out, &format!("- {name}: {}", escape(&what)));
    }
    line(&mut out, "");
    for problem in record.scenarios.iter().flat_map(problems) {
        line(&mut out, &format!("> **{}**\n", escape(&problem)));
    }
    for contrast in &record.first.contrasts {
        line(&mut out, &format!("### {}\n", escape(&contrast.base.bundle)));
        for reason in &contrast.not_comparable {
            line(&mut out, &format!("- not comparable: {}", escape(reason)));
        }
        let rows = rows_of(record, contrast);
        if !rows.is_empty() {
            let head = ["metric", "base, mean", "head, mean", "change", "95 % CI", "q", ""];
            table_head(&mut out, &head, "lrrrrrl");
        }
        for row in rows {
            let (first, unit) = (row.first, row.first.unit.into());
            let cells = [
                first.metric.clone(),
                mean(first.base.as_ref(), unit),
                mean(first.other.as_ref(), unit),
                change(first),
                interval(first),
                q_value(first),
                verdict(&row),
            ];
            table_row(&mut out, &cells);
        }
        line(&mut out, "");
        for remark in remarks(record, contrast) {
            line(&mut out, &format!("- {}", escape(&remark)));
        }
        line(&mut out, "");
    }
    line(&mut out, &sitting(record));
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn looks_as_agreed() {
        crate::report::sample::check_golden("gate.md", &render(&sample::gate()));
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
