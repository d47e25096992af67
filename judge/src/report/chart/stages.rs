//! Where an operation spends its time: stages laid end to end, both arms on one scale, then each to its full width.

use super::svg::Anchor;
use super::{Svg, WIDTH};
use crate::compare::ArmSummary;
use crate::report::view;
use crate::report::words::{self, micros, percent};

const LEFT: f64 = 96.0;
const RIGHT: f64 = 84.0;
const BAR: f64 = 26.0;
const STEP: f64 = 36.0;
/// Top of the first bar of the bars on one scale, and of those at full width.
const FIRST: f64 = 30.0;
const SECOND: f64 = 130.0;
/// Narrowest segment that carries its own name.
const LABEL_MIN: f64 = 52.0;
/// Stages with a colour of their own; others share one.
const KNOWN: [&str; 9] = [
    "queue",
    "propose",
    "append",
    "fsync",
    "replicate",
    "commit",
    "apply_wait",
    "apply",
    "respond",
];

/// The drawing; nothing without a stage clock. `ceiling` is marked on the queue of the first bar.
pub(in crate::report) fn render(arms: [&ArmSummary; 2], ceiling: Option<f64>) -> Option<String> {
    let longest = arms.iter().map(|arm| view::stage_sum_ns(arm)).fold(0.0, f64::max);
    if !longest.is_finite() || longest <= 0.0 {
        return None;
    }
    let desc = arms.map(describe).join("; ");
    let mut svg = Svg::new(WIDTH, 270.0, "Mean time per operation by stage", &desc);
    svg.text("small", (0.0, 14.0), Anchor::Start, "one scale");
    for (place, arm) in arms.iter().enumerate() {
        bar(&mut svg, arm, FIRST + STEP * place as f64, longest);
    }
    if let Some(ceiling) = ceiling {
        bracket(&mut svg, arms[0], longest, ceiling);
    }
    svg.text("small", (0.0, SECOND - 10.0), Anchor::Start, "each to its full width");
    for (place, arm) in arms.iter().enumerate() {
        bar(&mut svg, arm, SECOND + STEP * place as f64, view::stage_sum_ns(arm));
    }
    legend(&mut svg, arms);
    Some(svg.finish())
}

fn describe(arm: &ArmSummary) -> String {
    let stages = arm.costs.stages.iter().map(|(name, ns)| format!("{name} {} µs", micros(*ns)));
    format!("{}: {}", arm.arm, stages.collect::<Vec<_>>().join(", "))
}

fn bar(svg: &mut Svg, arm: &ArmSummary, y: f64, full_ns: f64) {
    svg.text("label", (LEFT - 8.0, y + 18.0), Anchor::End, &words::short(&arm.arm, 12));
    if full_ns <= 0.0 {
        return;
    }
    let sum = view::stage_sum_ns(arm);
    let mut x = LEFT;
    for (name, ns) in arm.costs.stages.iter().filter(|(_, ns)| *ns > 0.0) {
        let width = ns / full_ns * (WIDTH - LEFT - RIGHT);
        let tip = format!("{name}: {} µs, {}", micros(*ns), percent(ns / sum));
        svg.rect(&format!("stage {}", class(name)), (x, y), (width, BAR), &tip);
        if width >= LABEL_MIN {
            svg.text(
                &format!("in {}", class(name)),
                (x + 6.0, y + 17.5),
                Anchor::Start,
                &words::short(name, 12),
            );
        }
        x += width;
    }
    svg.text("label", (x + 6.0, y + 18.0), Anchor::Start, &format!("{} µs", micros(sum)));
}

/// What the ceiling is made of: the queue of the first bar, marked above it.
fn bracket(svg: &mut Svg, arm: &ArmSummary, longest: f64, ceiling: f64) {
    let Some(queue) = view::stage_ns(arm, "queue").filter(|ns| *ns > 0.0) else { return };
    let (from, to) = (LEFT, LEFT + queue / longest * (WIDTH - LEFT - RIGHT));
    let (y, bar) = (FIRST - 8.0, FIRST - 2.0);
    svg.line("even", (from, bar), (from, y));
    svg.line("even", (to, bar), (to, y));
    svg.line("even", (from, y), (to, y));
    let text = format!("waiting its turn; without it at most {}", words::ratio(ceiling));
    svg.text("small", (LEFT, y - 6.0), Anchor::Start, &text);
}

fn legend(svg: &mut Svg, arms: [&ArmSummary; 2]) {
    for (place, name) in view::stage_names(arms[0], arms[1]).iter().enumerate() {
        let (column, line) = (place % 6, place / 6);
        let (x, y) = (LEFT + 128.0 * column as f64, 216.0 + 24.0 * line as f64);
        svg.rect(&format!("stage {}", class(name)), (x, y), (14.0, 14.0), "");
        svg.text("small", (x + 20.0, y + 12.0), Anchor::Start, &words::short(name, 16));
    }
}

/// The style sheet's class of a stage.
fn class(stage: &str) -> String {
    match KNOWN.iter().position(|known| *known == stage) {
        Some(place) => format!("s{place}"),
        None => "s9".to_string(),
    }
}
