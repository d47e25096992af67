//! The whole run on one axis of time: what was measured, and what the host did meanwhile. A dip of both arms with a peak below it is
//! the host's; crossed out are trials that were measured again.

use super::scale::LogScale;
use super::svg::Anchor;
use super::{Svg, WIDTH};
use crate::report::view::{Instant, Strip};
use crate::report::words;

const LEFT: f64 = 84.0;
const RIGHT: f64 = WIDTH - 14.0;
const LANE: f64 = 92.0;
const TOP: f64 = 20.0;
const ROOM: f64 = 26.0;

/// The drawing; nothing without two trials.
pub(in crate::report) fn render(strip: &Strip, names: (&str, &str)) -> Option<String> {
    let instants = || strip.trials.iter();
    if instants().count() < 2 {
        return None;
    }
    let end = instants().map(|one| one.until_s).fold(0.0, f64::max);
    let across = |seconds: f64| LEFT + (RIGHT - LEFT) * (seconds / end).clamp(0.0, 1.0);
    let lanes = [
        ("ops/s", Lane::Throughput),
        ("p99, ms", Lane::Tail),
        ("cores lost", Lane::Lost),
        ("fsync, ms", Lane::Sync),
    ];
    let shown: Vec<_> = lanes.into_iter().filter(|(_, lane)| lane.is_known(strip)).collect();
    let height = TOP + (LANE + ROOM) * shown.len() as f64 + 30.0;
    let desc = format!(
        "{} over {:.0} s; circles are {}, triangles are {}; crosses were measured again",
        words::count(strip.trials.len(), "trial", "trials"),
        end,
        names.0,
        names.1
    );
    let mut svg = Svg::new(WIDTH, height, "The run over time", &desc);
    for (place, (name, lane)) in shown.iter().enumerate() {
        let top = TOP + (LANE + ROOM) * place as f64;
        draw(&mut svg, *lane, strip, (top, top + LANE), &across);
        svg.text("small", (LEFT - 8.0, top - 4.0), Anchor::End, name);
    }
    let bottom = height - 26.0;
    svg.line("axis", (LEFT, bottom), (RIGHT, bottom));
    for part in 0..=4 {
        let seconds = end * f64::from(part) / 4.0;
        let text = format!("{seconds:.0} s");
        svg.text("small", (across(seconds), bottom + 18.0), Anchor::Middle, &text);
    }
    Some(svg.finish())
}

#[derive(Clone, Copy)]
enum Lane {
    Throughput,
    Tail,
    Lost,
    Sync,
}

impl Lane {
    fn value(self, one: &Instant) -> Option<f64> {
        match self {
            Lane::Throughput => Some(one.throughput_per_s),
            Lane::Tail => one.p99_ms,
            Lane::Lost => one.cores_lost,
            Lane::Sync => None,
        }
    }

    fn is_known(self, strip: &Strip) -> bool {
        match self {
            Lane::Sync => strip.syncs.len() > 1,
            _ => strip.trials.iter().any(|one| self.value(one).is_some()),
        }
    }

    fn word(self, value: f64) -> String {
        match self {
            Lane::Throughput => words::rate(value),
            Lane::Tail | Lane::Lost | Lane::Sync => words::significant(value),
        }
    }
}

fn draw(
    svg: &mut Svg,
    lane: Lane,
    strip: &Strip,
    (top, bottom): (f64, f64),
    across: &impl Fn(f64) -> f64,
) {
    let of_trials = strip.trials.iter().filter_map(|one| lane.value(one));
    let of_syncs = strip.syncs.iter().map(|(_, ms)| *ms);
    let values: Vec<f64> = match lane {
        Lane::Sync => of_syncs.collect(),
        _ => of_trials.collect(),
    };
    svg.line("grid", (LEFT, bottom), (RIGHT, bottom));
    // Cores that were lost are often none, which has no logarithm.
    let most = values.iter().copied().fold(0.0, f64::max);
    let scale = LogScale::covering(values.iter().copied(), bottom - 4.0, top + 4.0);
    let up = |value: f64| match (lane, &scale) {
        (Lane::Lost, _) => bottom - (LANE - 8.0) * (value / most.max(0.2)).clamp(0.0, 1.0),
        (_, Some(scale)) => scale.at(value),
        (_, None) => bottom,
    };
    let ticks = match (lane, &scale) {
        (Lane::Lost, _) => vec![0.0, most.max(0.2)],
        (_, Some(scale)) => {
            let ticks = scale.ticks();
            let (first, last) = (ticks.first().copied(), ticks.last().copied());
            first.into_iter().chain(last).collect()
        }
        (_, None) => Vec::new(),
    };
    for tick in ticks {
        svg.line("grid", (LEFT, up(tick)), (RIGHT, up(tick)));
        svg.text("small", (LEFT - 8.0, up(tick) + 4.0), Anchor::End, &lane.word(tick));
    }
    if matches!(lane, Lane::Sync) {
        for (at_s, ms) in &strip.syncs {
            let tip = format!("without load, a sync took {} ms", words::significant(*ms));
            svg.circle("again", (across(*at_s), up(*ms)), 2.5, &tip);
        }
        return;
    }
    for one in &strip.trials {
        let Some(value) = lane.value(one) else { continue };
        let (x, y) = (across((one.from_s + one.until_s) / 2.0), up(value));
        let tip = format!("block {}, {}: {}", one.block, one.arm, lane.word(value));
        match () {
            () if one.is_voided => {
                svg.line("cross", (x - 4.0, y - 4.0), (x + 4.0, y + 4.0));
                svg.line("cross", (x - 4.0, y + 4.0), (x + 4.0, y - 4.0));
            }
            () if one.is_first_arm => svg.circle("before", (x, y), 3.5, &tip),
            () => svg.triangle("after", (x, y), 4.5, &tip),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(from_s: f64, cores_lost: Option<f64>, is_voided: bool) -> Instant {
        Instant {
            block: 0,
            arm: "before".into(),
            is_first_arm: true,
            is_voided,
            from_s,
            until_s: from_s + 1.0,
            throughput_per_s: 1000.0,
            p99_ms: None,
            cores_lost,
        }
    }

    #[test]
    fn lanes_of_what_nobody_saw_are_left_out() {
        let strip = |lost| Strip {
            trials: vec![one(0.0, lost, false), one(2.0, lost, true)],
            syncs: vec![],
        };
        let without = render(&strip(None), ("before", "after")).unwrap();
        assert!(without.contains("ops/s") && !without.contains("cores lost"));
        assert_eq!(without.matches("class=\"cross\"").count(), 2);
        let with = render(&strip(Some(0.0)), ("before", "after")).unwrap();
        assert!(with.contains("cores lost") && !with.contains("NaN"));
        assert_eq!(
            render(&Strip { trials: vec![one(0.0, None, false)], syncs: vec![] }, ("a", "b")),
            None
        );
    }
}
