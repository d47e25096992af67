//! Points of two arms over a logarithmic axis each: throughput by clients, latency by throughput, latency by percentile. Equal
//! distances are equal ratios on both axes, so a straight line is a power law and a gap between the arms is their ratio.

use super::scale::LogScale;
use super::svg::Anchor;
use super::{Svg, WIDTH};

const HEIGHT: f64 = 320.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = HEIGHT - 52.0;
const CAP: f64 = 4.0;

/// Which arm a line is of: its colour and the shape of its marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Side {
    /// The first arm: orange circles.
    Before,
    /// The last arm: blue triangles.
    After,
}

/// One mark.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Point {
    pub(in crate::report) x: f64,
    pub(in crate::report) y: f64,
    /// Ends of its interval, if it has one.
    pub(in crate::report) interval: Option<(f64, f64)>,
    /// What is written beside it; may be empty.
    pub(in crate::report) label: String,
    /// What a pointer on it shows.
    pub(in crate::report) tip: String,
}

/// Marks joined by a line.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Line {
    pub(in crate::report) side: Side,
    /// For the legend; empty for none.
    pub(in crate::report) name: String,
    /// A law or a second figure of the same arm: dashed, without marks.
    pub(in crate::report) is_dashed: bool,
    pub(in crate::report) points: Vec<Point>,
}

/// Title, description, axes.
pub(in crate::report) struct Frame<'a> {
    pub(in crate::report) title: &'a str,
    pub(in crate::report) desc: &'a str,
    pub(in crate::report) x_name: &'a str,
    pub(in crate::report) y_name: &'a str,
    /// Marks of the x axis in place of round numbers; empty for round numbers.
    pub(in crate::report) x_ticks: Vec<(f64, String)>,
    pub(in crate::report) x_word: fn(f64) -> String,
    pub(in crate::report) y_word: fn(f64) -> String,
}

/// The drawing; nothing unless there are two marks to compare.
pub(in crate::report) fn render(frame: &Frame<'_>, lines: &[Line]) -> Option<String> {
    let points = || lines.iter().flat_map(|line| &line.points);
    if points().count() < 2 {
        return None;
    }
    let x = LogScale::covering(points().map(|point| point.x), LEFT, RIGHT)?;
    let ends = |point: &Point| point.interval.map_or([point.y; 2], |(low, high)| [low, high]);
    let y = LogScale::covering(points().flat_map(ends), BOTTOM, TOP)?;
    let mut svg = Svg::new(WIDTH, HEIGHT, frame.title, frame.desc);
    axes(&mut svg, frame, &x, &y);
    for line in lines {
        draw(&mut svg, line, &x, &y);
    }
    legend(&mut svg, lines);
    Some(svg.finish())
}

fn axes(svg: &mut Svg, frame: &Frame<'_>, x: &LogScale, y: &LogScale) {
    for tick in y.ticks() {
        let at = y.at(tick);
        svg.line("grid", (LEFT, at), (RIGHT, at));
        svg.text("small", (LEFT - 8.0, at + 4.0), Anchor::End, &(frame.y_word)(tick));
    }
    svg.text("small", (LEFT - 8.0, TOP - 14.0), Anchor::End, frame.y_name);
    svg.line("axis", (LEFT, BOTTOM), (RIGHT, BOTTOM));
    let round = || x.ticks().into_iter().map(|tick| (tick, (frame.x_word)(tick))).collect();
    let ticks = if frame.x_ticks.is_empty() { round() } else { frame.x_ticks.clone() };
    for (tick, word) in ticks.into_iter().filter(|(tick, _)| x.covers(*tick)) {
        let at = x.at(tick);
        svg.line("axis", (at, BOTTOM), (at, BOTTOM + 5.0));
        svg.text("small", (at, BOTTOM + 20.0), Anchor::Middle, &word);
    }
    svg.text("small", (RIGHT, BOTTOM + 38.0), Anchor::End, frame.x_name);
}

fn draw(svg: &mut Svg, line: &Line, x: &LogScale, y: &LogScale) {
    let class = match line.side {
        Side::Before => "before",
        Side::After => "after",
    };
    let at = |point: &Point| (x.at(point.x), y.at(point.y));
    let stroke = format!("curve {class}{}", if line.is_dashed { " dashed" } else { "" });
    for pair in line.points.windows(2) {
        svg.line(&stroke, at(&pair[0]), at(&pair[1]));
    }
    if line.is_dashed {
        return;
    }
    for point in &line.points {
        let (across, up) = at(point);
        if let Some((low, high)) = point.interval {
            let (low, high) = (y.at(low), y.at(high));
            svg.line(&format!("curve {class}"), (across, low), (across, high));
            for end in [low, high] {
                svg.line(&format!("curve {class}"), (across - CAP, end), (across + CAP, end));
            }
        }
        match line.side {
            Side::Before => svg.circle(class, (across, up), 4.5, &point.tip),
            Side::After => svg.triangle(class, (across, up), 5.5, &point.tip),
        }
        if !point.label.is_empty() {
            svg.text("small", (across + 8.0, up - 7.0), Anchor::Start, &point.label);
        }
    }
}

fn legend(svg: &mut Svg, lines: &[Line]) {
    let mut across = LEFT;
    for line in lines.iter().filter(|line| !line.name.is_empty()) {
        let y = HEIGHT - 12.0;
        match (line.side, line.is_dashed) {
            (Side::Before, false) => svg.circle("before", (across + 6.0, y - 4.0), 4.5, ""),
            (Side::After, false) => svg.triangle("after", (across + 6.0, y - 4.0), 5.5, ""),
            (Side::Before, true) => {
                svg.line("curve before dashed", (across, y - 4.0), (across + 14.0, y - 4.0));
            }
            (Side::After, true) => {
                svg.line("curve after dashed", (across, y - 4.0), (across + 14.0, y - 4.0));
            }
        }
        svg.text("small", (across + 18.0, y), Anchor::Start, &line.name);
        // About the width of a letter.
        across += 40.0 + 6.6 * line.name.chars().count() as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f64, y: f64) -> Point {
        let interval = Some((y * 0.9, y * 1.1));
        Point { x, y, interval, label: "<b>".into(), tip: String::new() }
    }

    fn frame<'a>() -> Frame<'a> {
        Frame {
            title: "t",
            desc: "d",
            x_name: "clients",
            y_name: "ops/s",
            x_ticks: vec![],
            x_word: |x| x.to_string(),
            y_word: |y| y.to_string(),
        }
    }

    #[test]
    fn marks_that_are_no_numbers_are_no_drawing() {
        let line =
            |points| Line { side: Side::Before, name: "before".into(), is_dashed: false, points };
        assert_eq!(render(&frame(), &[]), None);
        assert_eq!(render(&frame(), &[line(vec![point(1.0, 1.0)])]), None);
        let nothing = vec![point(f64::NAN, f64::NAN), point(-1.0, 0.0)];
        assert_eq!(render(&frame(), &[line(nothing)]), None);
    }

    #[test]
    fn arms_differ_in_shape_as_well_as_in_colour() {
        let points = vec![point(1.0, 10.0), point(10.0, 80.0)];
        let line =
            |side, is_dashed| Line { side, name: "n".into(), is_dashed, points: points.clone() };
        let lines = [line(Side::Before, false), line(Side::After, false), line(Side::After, true)];
        let drawing = render(&frame(), &lines).unwrap();
        assert_eq!(drawing.matches("<circle").count(), 3);
        assert_eq!(drawing.matches("<polygon").count(), 3);
        assert!(drawing.contains("dashed") && drawing.contains("&lt;b&gt;"));
        assert!(!drawing.contains("NaN"));
    }
}
