//! Contrasts on the terminal.

use super::{
    basis_note, conclusion, interval, mean, method, q_value, raised_floor, ratio, reasons, side,
    stamp, verdict,
};
use crate::record::contrast::{Contrast, Contrasts};
use crate::report::terminal::{Grid, Page, Style};

/// All of them as text, with a line end after each line.
pub fn render(all: &Contrasts, style: Style) -> String {
    let mut page = Page::new(style);
    for contrast in &all.contrasts {
        of_contrast(&mut page, contrast, all);
    }
    page.blank();
    page.prose_at(1, &conclusion(all));
    page.finish()
}

fn of_contrast(page: &mut Page, contrast: &Contrast, all: &Contrasts) {
    page.blank();
    page.item("A", &side(&contrast.base));
    page.item("B", &side(&contrast.other));
    if let Some(stamp) = stamp(contrast, all) {
        page.stamp(stamp);
    }
    for reason in &contrast.not_comparable {
        page.item("because", reason);
    }
    for note in &contrast.notes {
        page.item("note", note);
    }
    if contrast.rows.is_empty() && contrast.withheld.is_empty() {
        return;
    }
    page.heading("METRICS", &method(contrast, all));
    page.grid(&[wide(contrast), narrow(contrast)]);
    for reason in reasons(contrast) {
        page.prose(&reason);
    }
    for withheld in &contrast.withheld {
        page.prose(&format!("withheld: {withheld}"));
    }
    if let Some(raised) = raised_floor(contrast, all) {
        page.prose(&raised);
    }
    page.prose(basis_note(contrast));
}

fn wide(contrast: &Contrast) -> Grid {
    let head = ["", "A, mean", "B, mean", "B / A", "95 % CI", "q", ""];
    let mut grid = Grid::new("lrrrrrl", &head);
    for row in &contrast.rows {
        let unit = row.unit.into();
        grid.row(vec![
            row.metric.clone(),
            mean(row.base.as_ref(), unit),
            mean(row.other.as_ref(), unit),
            ratio(row),
            interval(row),
            q_value(row),
            verdict(row),
        ]);
    }
    grid
}

fn narrow(contrast: &Contrast) -> Grid {
    let mut grid = Grid::new("lrrrl", &["", "B / A", "95 % CI", "q", ""]);
    for row in &contrast.rows {
        grid.row(vec![row.metric.clone(), ratio(row), interval(row), q_value(row), verdict(row)]);
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn looks_as_agreed() {
        for width in [80, 100] {
            let text = render(&sample::contrasts(), Style { color: false, width });
            crate::report::sample::check_golden(&format!("compare-{width}.txt"), &text);
        }
    }

    #[test]
    fn lines_fit_whatever_stands_in_them() {
        for all in [sample::contrasts(), sample::hostile(), Contrasts::default()] {
            for width in [60, 72, 80, 100] {
                let text = render(&all, Style { color: false, width });
                for line in text.lines() {
                    assert!(line.chars().count() <= width, "{width}: {line}");
                    assert_eq!(line.trim_end(), line);
                }
                assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
                assert!(!text.contains('\u{202e}'));
            }
        }
    }

    #[test]
    fn nothing_compared_is_not_nothing_worse() {
        let text = render(&Contrasts::default(), Style { color: false, width: 100 });
        assert_eq!(text.trim(), "Nothing was compared.");
    }
}
