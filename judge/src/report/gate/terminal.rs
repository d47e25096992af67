//! A gate on the terminal: a row for each gated metric, the verdict at the end.

use super::{change, conclusion, interval, problems, remarks, rows_of, sides, sitting, verdict};
use crate::record::gate::GateRecord;
use crate::report::contrast::{mean, q_value};
use crate::report::terminal::{Grid, Page, Style};
use crate::report::words::short;

/// Longest heading, letters: the narrowest page has sixty.
const NAME_LENGTH: usize = 56;

/// All of it as text, with a line end after each line.
pub fn render(record: &GateRecord, style: Style) -> String {
    let mut page = Page::new(style);
    page.blank();
    for (name, what) in sides(record) {
        page.item(name, &what);
    }
    for contrast in &record.first.contrasts {
        page.heading(&short(&contrast.base.bundle, NAME_LENGTH), "");
        for reason in &contrast.not_comparable {
            page.item("because", reason);
        }
        let rows = rows_of(record, contrast);
        let head = ["", "base, mean", "head, mean", "change", "95 % CI", "q", ""];
        let mut wide = Grid::new("lrrrrrl", &head);
        let head = ["", "base, mean", "head, mean", "change", "q", ""];
        let mut middle = Grid::new("lrrrrl", &head);
        let mut narrow = Grid::new("lrrrl", &["", "change", "95 % CI", "q", ""]);
        for row in &rows {
            let unit = row.first.unit.into();
            let (first, metric) = (row.first, row.first.metric.clone());
            let (base, head) = (mean(first.base.as_ref(), unit), mean(first.other.as_ref(), unit));
            let said = [change(first), interval(first), q_value(first), verdict(row)];
            wide.row([vec![metric.clone(), base.clone(), head.clone()], said.to_vec()].concat());
            let [change, _, q, verdict] = said.clone();
            middle.row(vec![metric.clone(), base, head, change, q, verdict]);
            narrow.row([vec![metric], said.to_vec()].concat());
        }
        if !rows.is_empty() {
            page.grid(&[wide, middle, narrow]);
        }
        remarks(record, contrast).iter().for_each(|remark| page.prose(remark));
    }
    page.blank();
    for problem in record.scenarios.iter().flat_map(problems) {
        page.prose(&problem);
    }
    page.prose(&sitting(record));
    page.blank();
    page.prose_at(1, &conclusion(record));
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn looks_as_agreed() {
        for width in [80, 100] {
            let text = render(&sample::gate(), Style { color: false, width });
            crate::report::sample::check_golden(&format!("gate-{width}.txt"), &text);
        }
    }

    #[test]
    fn lines_fit_whatever_stands_in_them() {
        for record in [sample::gate(), sample::hostile(), GateRecord::default()] {
            for width in [60, 80, 100] {
                let text = render(&record, Style { color: false, width });
                for line in text.lines() {
                    assert!(line.chars().count() <= width, "{width}: {line}");
                }
                assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
                assert!(!text.contains('\u{202e}'));
            }
        }
    }
}
