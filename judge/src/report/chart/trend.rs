//! One metric over many runs: a point for each with its interval, a line for each level, a mark where the level changed.

use super::scale::LogScale;
use super::svg::Anchor;
use super::{Svg, WIDTH};
use crate::compare::Unit;
use crate::record::trend::{Direction, Trend, TrendChange, TrendPoint};
use crate::report::history::{day, p_value, run, size, subject, told};
use crate::report::words;

/// Height of a drawing.
pub(in crate::report) const HEIGHT: f64 = 250.0;
const LEFT: f64 = 88.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 44.0;
/// The same where no change needs a mark above.
const TOP_UNMARKED: f64 = 8.0;
const BOTTOM: f64 = HEIGHT - 34.0;
/// Room that a date takes.
const DATE: f64 = 96.0;
/// Room that the name of a change takes.
const NAME: f64 = 62.0;
/// Points beyond which intervals would run into each other.
const WHISKERS_MAX: usize = 250;

/// The drawing; nothing without a point.
pub(in crate::report) fn render(trend: &Trend) -> Option<String> {
    let unit = Unit::from(trend.unit);
    let ends = |point: &TrendPoint| {
        let (low, high) = point.mean.interval.unwrap_or((point.mean.value, point.mean.value));
        [point.mean.value, low, high]
    };
    let top = if trend.changes.is_empty() { TOP_UNMARKED } else { TOP };
    let scale = LogScale::covering(trend.points.iter().flat_map(ends), BOTTOM, top)?;
    let mut svg =
        Svg::new(WIDTH, HEIGHT, &format!("{} over time", subject(trend)), &describe(trend));
    axis(&mut svg, &scale, unit);
    dates(&mut svg, trend);
    for level in &trend.levels {
        let edge = |at: u64| place(trend, at as f64 - 0.5);
        let y = scale.at(level.value);
        svg.line("level", (edge(level.from), y), (edge(level.to), y));
    }
    let mut free = LEFT;
    for change in &trend.changes {
        free = mark(&mut svg, trend, change, free);
    }
    for (at, point) in trend.points.iter().enumerate() {
        dot(&mut svg, &scale, place(trend, at as f64), point, (unit, trend.points.len()));
    }
    Some(svg.finish())
}

/// For those who cannot see it: how many runs, from when to when, and each change.
fn describe(trend: &Trend) -> String {
    let n = words::count(trend.points.len(), "run", "runs");
    let (first, last) = (trend.points.first(), trend.points.last());
    let from = |point: Option<&TrendPoint>| point.map_or(String::new(), run);
    let changes: Vec<String> = trend.changes.iter().map(|change| told(trend, change)).collect();
    let changes = match changes.is_empty() {
        true if trend.why.is_empty() => "no change of level".to_owned(),
        true => trend.why.clone(),
        false => changes.join("; "),
    };
    format!(
        "{n} from {} to {}; bars are 95 % intervals, lines are levels, the axis is logarithmic; {changes}",
        from(first),
        from(last)
    )
}

/// Where the point with an index is drawn; those between two lie between them.
fn place(trend: &Trend, at: f64) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * (at + 0.5) / trend.points.len() as f64
}

fn axis(svg: &mut Svg, scale: &LogScale, unit: Unit) {
    for tick in scale.ticks() {
        let y = scale.at(tick);
        svg.line("grid", (LEFT, y), (WIDTH - RIGHT, y));
        svg.text("small", (LEFT - 8.0, y + 4.0), Anchor::End, &words::quantity(tick, unit));
    }
}

/// The day of as many runs as there is room for.
fn dates(svg: &mut Svg, trend: &Trend) {
    let mut free = f64::NEG_INFINITY;
    let mut last = "";
    for (at, point) in trend.points.iter().enumerate() {
        let (x, day) = (place(trend, at as f64), day(&point.started_at));
        if x < free || day == last || x > WIDTH - RIGHT - DATE / 2.0 {
            continue;
        }
        svg.line("axis", (x, BOTTOM), (x, BOTTOM + 5.0));
        svg.text("small", (x, BOTTOM + 20.0), Anchor::Middle, &words::short(day, 12));
        (free, last) = (x + DATE, day);
    }
}

/// A line between two runs, with a triangle for where the metric went and what it is worth; names that would run into the one
/// before are left to the table. Returns from where on there is room for the next.
fn mark(svg: &mut Svg, trend: &Trend, change: &TrendChange, free: f64) -> f64 {
    let x = place(trend, change.at as f64 - 0.5);
    let class = match (&change.blessed, change.direction) {
        (Some(_), _) => "again",
        (None, Direction::Better) => "after",
        (None, Direction::Worse) => "before",
    };
    let tip = format!("{}, {}", size(change), p_value(change.p_value));
    svg.line("even", (x, TOP - 10.0), (x, BOTTOM));
    match change.ratio >= 1.0 {
        true => svg.triangle(class, (x, TOP - 16.0), 6.0, &tip),
        false => svg.triangle_down(class, (x, TOP - 16.0), 6.0, &tip),
    }
    if x - NAME / 2.0 < free {
        return free;
    }
    svg.text("small", (x, TOP - 28.0), Anchor::Middle, &words::ratio(change.ratio));
    x + NAME / 2.0
}

fn dot(svg: &mut Svg, scale: &LogScale, x: f64, point: &TrendPoint, (unit, n): (Unit, usize)) {
    let y = scale.at(point.mean.value);
    if let Some((low, high)) = point.mean.interval.filter(|_| n <= WHISKERS_MAX) {
        svg.line("whisker", (x, scale.at(low)), (x, scale.at(high)));
    }
    let radius = if n <= 100 { 4.0 } else { 2.6 };
    let value = words::quantity(point.mean.value, unit);
    if let Some(why) = &point.blessed {
        svg.circle("again", (x, y), radius + 4.5, &format!("accepted: {why}"));
    }
    svg.circle("point", (x, y), radius, &format!("{}: {value}", run(point)));
}
