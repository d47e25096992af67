//! By how much each metric changed: its interval, against no change and against what is let pass.

use super::scale::LogScale;
use super::svg::Anchor;
use super::{Svg, WIDTH};
use crate::report::words;

const LEFT: f64 = 250.0;
const MARGIN: f64 = 16.0;
const TOP: f64 = 14.0;
const LINE: f64 = 30.0;
/// Ratios beyond these are drawn at the edge: one wild metric must not squeeze all others into a point.
const RATIOS: std::ops::RangeInclusive<f64> = 0.25..=4.0;
const NAME_LENGTH: usize = 34;

/// One line.
pub(in crate::report) struct Change {
    pub(in crate::report) name: String,
    pub(in crate::report) said: String,
    /// Head over base, with its interval.
    pub(in crate::report) ratio: f64,
    pub(in crate::report) lower: f64,
    pub(in crate::report) upper: f64,
    /// What is let pass, fraction.
    pub(in crate::report) floor: f64,
    pub(in crate::report) higher_is_better: bool,
    pub(in crate::report) is_bad: bool,
}

/// The drawing; nothing without a line.
pub(in crate::report) fn changes(lines: &[Change]) -> String {
    let clamp = |ratio: f64| ratio.clamp(*RATIOS.start(), *RATIOS.end());
    let values = lines.iter().flat_map(|line| [line.lower, line.upper, worst_allowed(line), 1.0]);
    let Some(scale) = LogScale::covering(values.map(clamp), LEFT, WIDTH - MARGIN) else {
        return String::new();
    };
    let axis = TOP + LINE * lines.len() as f64;
    let title = "change from base to head, by metric";
    let said: Vec<&str> = lines.iter().map(|line| line.said.as_str()).collect();
    let mut svg = Svg::new(WIDTH, axis + 44.0, title, &said.join("; "));
    for (place, line) in lines.iter().enumerate() {
        draw(&mut svg, &scale, line, TOP + LINE * (place as f64 + 0.5));
    }
    svg.line("even", (scale.at(1.0), TOP), (scale.at(1.0), axis));
    svg.line("axis", (LEFT, axis), (WIDTH - MARGIN, axis));
    for tick in scale.ticks() {
        let x = scale.at(tick);
        svg.line("axis", (x, axis), (x, axis + 5.0));
        svg.text("small", (x, axis + 20.0), Anchor::Middle, &words::factor(tick));
    }
    let legend = "head / base; shaded: worse by no more than is let pass, or better";
    svg.text("small", (LEFT, axis + 38.0), Anchor::Start, legend);
    svg.finish()
}

/// The last ratio that is let pass.
fn worst_allowed(line: &Change) -> f64 {
    if line.higher_is_better { 1.0 / (1.0 + line.floor) } else { 1.0 + line.floor }
}

fn draw(svg: &mut Svg, scale: &LogScale, line: &Change, y: f64) {
    svg.text("small", (LEFT - 10.0, y + 4.0), Anchor::End, &words::short(&line.name, NAME_LENGTH));
    let edge = scale.at(worst_allowed(line));
    let (from, to) = match line.higher_is_better {
        true => (edge, WIDTH - MARGIN),
        false => (LEFT, edge),
    };
    svg.rect("good", (from, y - 12.0), (to - from, 24.0), "");
    let (from, to) = (scale.at(line.lower), scale.at(line.upper));
    let class = if line.is_bad { "ci bad" } else { "ci" };
    svg.rect(class, (from, y - 6.0), ((to - from).max(2.0), 12.0), &line.said);
    svg.circle("point", (scale.at(line.ratio), y), 4.0, &line.said);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ratio: f64, higher_is_better: bool) -> Change {
        Change {
            name: "m".into(),
            said: "said".into(),
            ratio,
            lower: ratio * 0.98,
            upper: ratio * 1.02,
            floor: 0.25,
            higher_is_better,
            is_bad: ratio < 1.0,
        }
    }

    #[test]
    fn what_is_let_pass_lies_on_the_side_that_is_worse() {
        assert!((worst_allowed(&line(1.0, true)) - 0.8).abs() < 1e-12);
        assert!((worst_allowed(&line(1.0, false)) - 1.25).abs() < 1e-12);
    }

    #[test]
    fn a_wild_metric_leaves_room_for_the_others() {
        let drawing = changes(&[line(1e6, true), line(0.9, false)]);
        assert!(drawing.contains("ci bad") && drawing.matches("<circle").count() == 2);
        assert!(!drawing.contains("NaN") && !drawing.contains("inf"));
        assert_eq!(changes(&[]), "");
    }
}
