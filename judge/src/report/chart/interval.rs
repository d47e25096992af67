//! One target: its interval drawn against its bound, on an axis of its own so that the distance can be seen.

use super::scale::LogScale;
use super::svg::Anchor;
use super::{Svg, WIDTH};
use crate::compare::{Estimate, TargetVerdict};
use crate::report::story;
use crate::report::words;

const HEIGHT: f64 = 96.0;
const MARGIN: f64 = 16.0;
const AXIS_Y: f64 = 70.0;
const BAR_Y: f64 = 44.0;

/// The drawing; nothing if there is no estimate to draw.
pub(in crate::report) fn render(verdict: &TargetVerdict) -> Option<String> {
    let estimate =
        verdict.estimate.filter(|e| e.pairs > 0 && e.ratio.is_finite() && e.ratio > 0.0)?;
    let (least, most) = edges(&verdict.target.bound);
    let (low, high) = estimate.interval.unwrap_or((estimate.ratio, estimate.ratio));
    let values = [Some(estimate.ratio), Some(low), Some(high), least, most];
    let scale = LogScale::covering(values.into_iter().flatten(), MARGIN, WIDTH - MARGIN)?;
    let title = format!("{}: ratio against its bound", verdict.target.id);
    let desc = format!("{}; {}", story::evidence(verdict), story::asked(&verdict.target));
    let mut svg = Svg::new(WIDTH, HEIGHT, &title, &desc);
    if least.or(most).is_some() {
        good_side(&mut svg, &scale, (least, most), &verdict.target.bound);
    }
    axis(&mut svg, &scale);
    if estimate.interval.is_some() {
        let (from, to) = (scale.at(low), scale.at(high));
        svg.rect(
            "ci",
            (from, BAR_Y - 7.0),
            ((to - from).max(2.0), 14.0),
            &words::interval(&estimate),
        );
    }
    svg.circle("point", (scale.at(estimate.ratio), BAR_Y), 5.0, &words::ratio(estimate.ratio));
    label(&mut svg, &scale, &estimate);
    Some(svg.finish())
}

/// Shades where the target is met and draws its edges.
fn good_side(
    svg: &mut Svg,
    scale: &LogScale,
    (least, most): (Option<f64>, Option<f64>),
    bound: &str,
) {
    let from = least.map_or(MARGIN, |least| scale.at(least));
    let to = most.map_or(WIDTH - MARGIN, |most| scale.at(most));
    svg.rect("good", (from, 20.0), ((to - from).max(0.0), AXIS_Y - 20.0), "");
    for edge in [least, most].into_iter().flatten() {
        svg.line("target", (scale.at(edge), 12.0), (scale.at(edge), AXIS_Y));
    }
    let x = if least.is_some() { from } else { to };
    let (anchor, shift) = if x > WIDTH / 2.0 { (Anchor::End, -6.0) } else { (Anchor::Start, 6.0) };
    svg.text("small", (x + shift, 14.0), anchor, &format!("target {bound}"));
}

fn axis(svg: &mut Svg, scale: &LogScale) {
    svg.line("axis", (MARGIN, AXIS_Y), (WIDTH - MARGIN, AXIS_Y));
    for tick in scale.ticks() {
        let x = scale.at(tick);
        svg.line("axis", (x, AXIS_Y), (x, AXIS_Y + 5.0));
        svg.text("small", (x, AXIS_Y + 20.0), Anchor::Middle, &words::factor(tick));
    }
    if scale.covers(1.0) {
        svg.line("even", (scale.at(1.0), 20.0), (scale.at(1.0), AXIS_Y));
    }
}

fn label(svg: &mut Svg, scale: &LogScale, estimate: &Estimate) {
    let joint = if estimate.interval.is_some() { "" } else { "interval " };
    let text = format!("{} {joint}{}", words::ratio(estimate.ratio), words::interval(estimate));
    let end = scale.at(estimate.interval.map_or(estimate.ratio, |(_, high)| high));
    let start = scale.at(estimate.interval.map_or(estimate.ratio, |(low, _)| low));
    // Beside the bar where there is room, else below it.
    match () {
        () if end < WIDTH * 0.7 => {
            svg.text("strong", (end + 12.0, BAR_Y + 5.0), Anchor::Start, &text);
        }
        () if start > WIDTH * 0.3 => {
            svg.text("strong", (start - 12.0, BAR_Y + 5.0), Anchor::End, &text);
        }
        () => svg.text("strong", ((start + end) / 2.0, BAR_Y + 21.0), Anchor::Middle, &text),
    }
}

/// The least and the most that are good: both in `2 .. 5`, one in `>= 10`.
fn edges(text: &str) -> (Option<f64>, Option<f64>) {
    let number = |text: &str| text.trim().parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0);
    let text = text.trim();
    match (text.strip_prefix(">="), text.strip_prefix("<="), text.split_once("..")) {
        (Some(least), ..) => (number(least), None),
        (_, Some(most), _) => (None, number(most)),
        (.., Some((least, most))) => (number(least), number(most)),
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_from_their_text() {
        assert_eq!(edges(">= 10"), (Some(10.0), None));
        assert_eq!(edges("<= 0.1"), (None, Some(0.1)));
        assert_eq!(edges("2 .. 5"), (Some(2.0), Some(5.0)));
        assert_eq!(edges("<= x"), (None, None));
        assert_eq!(edges(">= -1"), (None, None));
    }
}
