//! Every pair as it was measured, in run order: one thin line from before to after, so that the eye can check the
//! estimate and see a drifting host.

use super::scale::LogScale;
use super::svg::Anchor;
use super::{Svg, WIDTH};
use crate::report::view::PairPoint;
use crate::report::words;

const HEIGHT: f64 = 270.0;
const LEFT: f64 = 76.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = HEIGHT - 34.0;

/// The drawing; nothing without a point.
pub(in crate::report) fn render(points: &[PairPoint], names: (&str, &str)) -> Option<String> {
    let values = points
        .iter()
        .flat_map(|p| p.before.into_iter().chain(p.after).chain(p.again.iter().copied()));
    let scale = LogScale::covering(values, BOTTOM, TOP)?;
    let title = "Throughput of each pair, in run order";
    let desc = format!(
        "{}; circles are {}, triangles are {}, hollow circles are second trials for A/A; the axis is logarithmic",
        words::count(points.len(), "pair", "pairs"),
        names.0,
        names.1
    );
    let mut svg = Svg::new(WIDTH, HEIGHT, title, &desc);
    axis(&mut svg, &scale);
    let step = (WIDTH - LEFT - 10.0) / points.len() as f64;
    for (place, point) in points.iter().enumerate() {
        let x = LEFT + step * (place as f64 + 0.5);
        pair(&mut svg, &scale, x, point, names);
        if points.len() <= 40 || place % 10 == 0 {
            svg.text("small", (x, BOTTOM + 18.0), Anchor::Middle, &point.block.to_string());
        }
    }
    svg.text("small", (LEFT - 8.0, BOTTOM + 18.0), Anchor::End, "block");
    Some(svg.finish())
}

fn axis(svg: &mut Svg, scale: &LogScale) {
    for tick in scale.ticks() {
        let y = scale.at(tick);
        svg.line("grid", (LEFT, y), (WIDTH - 10.0, y));
        svg.text("small", (LEFT - 8.0, y + 4.0), Anchor::End, &words::rate(tick));
    }
    svg.text("small", (LEFT - 8.0, 14.0), Anchor::End, "ops/s");
}

fn pair(svg: &mut Svg, scale: &LogScale, x: f64, point: &PairPoint, names: (&str, &str)) {
    let tip = |name: &str, rate: f64| {
        format!("block {}: {name} {} ops/s", point.block, words::rate(rate))
    };
    if let (Some(before), Some(after)) = (point.before, point.after) {
        svg.line("pair", (x, scale.at(before)), (x, scale.at(after)));
    }
    for rate in &point.again {
        svg.circle("again", (x + 9.0, scale.at(*rate)), 3.5, &tip("second trial", *rate));
    }
    if let Some(before) = point.before {
        svg.circle("before", (x, scale.at(before)), 4.5, &tip(names.0, before));
    }
    if let Some(after) = point.after {
        svg.triangle("after", (x, scale.at(after)), 5.5, &tip(names.1, after));
    }
}
