//! Fixed trends and a fixed history, made up but plausible, for the tests of every form.

use crate::record::contrast::{ContrastUnit, SideMean};
use crate::record::history::{
    Bless, Conditions, HISTORY_SCHEMA, History, HistoryCell, RunLine, SeriesName,
};
use crate::record::trend::{
    Direction, InvalidRun, Trend, TrendChange, TrendLevel, TrendPoint, Trends,
};
use crate::report::sample::HOSTILE;

fn point(at: usize, value: f64) -> TrendPoint {
    TrendPoint {
        id: format!("{at:016x}"),
        started_at: format!("2026-11-{:02}T03:00:00Z", at + 1),
        revision: if at < 12 { "1a2b3c4".into() } else { "5d6e7f8".into() },
        dirty: Some(at == 13),
        grade: "B".into(),
        complete: at != 3,
        mean: SideMean { value, interval: Some((value * 0.97, value * 1.03)), trials: 8 },
        blessed: None,
    }
}

/// Fell by an eighth in the middle, and rose a little at the end.
fn throughput() -> Trend {
    let wobble = [1.0, 1.01, 0.99, 1.02, 1.0, 0.98];
    let level = |at: usize| match at {
        0..12 => 129_000.0,
        12..20 => 113_500.0,
        _ => 121_400.0,
    };
    let mut points: Vec<TrendPoint> =
        (0..26).map(|at| point(at, level(at) * wobble[at % wobble.len()])).collect();
    points[13].blessed = Some("durable by default since 5d6e7f8".into());
    let change = |at: u64, ratio: f64, direction| TrendChange {
        at,
        ratio,
        interval: (ratio - 0.02, ratio + 0.02),
        p_value: 0.000_02,
        direction,
        other_arms: Vec::new(),
        blessed: None,
    };
    let fell = TrendChange {
        blessed: points[13].blessed.clone(),
        other_arms: vec!["before".into()],
        ..change(12, 0.88, Direction::Worse)
    };
    let cuts = [0, 12, 20, 26];
    Trend {
        name: SeriesName {
            conditions: Conditions {
                scenario: "put_parallel".into(),
                scenario_hash: "0123456789abcdef".into(),
                machine_key: "fedcba987654".into(),
                method: 2,
                quick: false,
                counts_syscalls: false,
                profile: "release".into(),
                agents: 0,
            },
            arm: "after".into(),
            metric: "saturate.throughput@50".into(),
        },
        parted_by: Vec::new(),
        unit: ContrastUnit::PerSecond,
        higher_is_better: true,
        changes: vec![fell, change(20, 1.07, Direction::Better)],
        levels: cuts
            .windows(2)
            .map(|cut| TrendLevel { from: cut[0], to: cut[1], value: level(cut[0] as usize) })
            .collect(),
        points,
        invalid: Vec::new(),
        left_out: 0,
        why: String::new(),
    }
}

/// A latency that got worse; a short series on another machine.
fn latency() -> [Trend; 2] {
    let base = throughput();
    let mut points: Vec<TrendPoint> =
        (0..9).map(|at| point(at, if at < 5 { 1.2e6 } else { 1.9e6 })).collect();
    points.iter_mut().for_each(|point| point.mean.trials = 6);
    let worse = TrendChange {
        at: 5,
        ratio: 1.58,
        interval: (1.51, 1.66),
        p_value: 0.0042,
        ..base.changes[1].clone()
    };
    let worse = TrendChange { direction: Direction::Worse, ..worse };
    let latency = Trend {
        name: SeriesName { metric: "saturate.p99@50".into(), ..base.name.clone() },
        unit: ContrastUnit::Ns,
        higher_is_better: false,
        levels: vec![
            TrendLevel { from: 0, to: 5, value: 1.2e6 },
            TrendLevel { from: 5, to: 9, value: 1.9e6 },
        ],
        changes: vec![worse],
        points,
        invalid: vec![InvalidRun {
            started_at: "2026-11-10T03:00:00Z".into(),
            revision: "5d6e7f8".into(),
            reason: "the load of after is invalid: its generator was the bottleneck".into(),
        }],
        ..base.clone()
    };
    let short = Trend {
        parted_by: vec!["machine: fedcba987654 → 0f0f0f0f0f0f".into()],
        points: vec![point(10, 1.1e6), point(11, 1.3e6)],
        changes: Vec::new(),
        levels: vec![TrendLevel { from: 0, to: 2, value: 1.2e6 }],
        invalid: Vec::new(),
        why: "a change of level needs 6 runs".into(),
        ..latency.clone()
    };
    [latency, short]
}

/// Several series.
pub(super) fn trends() -> Trends {
    let mut trends = one();
    trends.series.extend(latency());
    let before = SeriesName { arm: "before".into(), ..trends.series[0].name.clone() };
    let steady = Trend {
        name: before,
        points: (0..26).map(|at| point(at, 8_800.0)).collect(),
        changes: Vec::new(),
        levels: vec![TrendLevel { from: 0, to: 26, value: 8_800.0 }],
        ..trends.series[0].clone()
    };
    trends.series.push(steady);
    trends
}

/// One series.
pub(super) fn one() -> Trends {
    Trends {
        schema: HISTORY_SCHEMA,
        kvbench_version: "0.1.0".into(),
        floor: 0.05,
        alpha: 0.01,
        series: vec![throughput()],
    }
}

/// [`HOSTILE`] wherever text comes from a file.
pub(super) fn hostile() -> Trends {
    let mut trends = trends();
    let bad = || HOSTILE.to_owned();
    for trend in &mut trends.series {
        let conditions = &mut trend.name.conditions;
        (conditions.scenario, conditions.machine_key, conditions.profile) = (bad(), bad(), bad());
        (trend.name.arm, trend.name.metric) = (bad(), bad());
        for point in &mut trend.points {
            (point.revision, point.grade, point.started_at) = (bad(), bad(), bad());
            point.blessed = Some(bad());
        }
        for change in &mut trend.changes {
            (change.blessed, change.other_arms) = (Some(bad()), vec![bad()]);
        }
        trend.parted_by.iter_mut().for_each(|line| *line = bad());
        for run in &mut trend.invalid {
            (run.started_at, run.revision, run.reason) = (bad(), bad(), bad());
        }
    }
    trends
}

/// Three runs of a scenario, and why the level of the second was accepted.
pub(super) fn history(scenario: &str, why: &str) -> History {
    let trend = throughput();
    let conditions = Conditions { scenario: scenario.to_owned(), ..trend.name.conditions };
    let run = |at: usize| {
        let point = point(at, 1.0);
        RunLine {
            schema: HISTORY_SCHEMA,
            id: point.id,
            started_at: point.started_at,
            revision: point.revision,
            dirty: point.dirty,
            kvbench_version: "0.1.0".into(),
            grade: point.grade,
            complete: point.complete,
            conditions: Conditions { quick: at == 3, ..conditions.clone() },
            cells: vec![HistoryCell {
                arm: "after".into(),
                metric: "saturate.throughput@50".into(),
                unit: ContrastUnit::PerSecond,
                higher_is_better: true,
                values: vec![129_000.0; 8],
                invalid: None,
            }],
        }
    };
    let series = SeriesName { conditions: conditions.clone(), ..trend.name };
    History {
        runs: vec![run(1), run(3), run(13)],
        blesses: vec![Bless {
            schema: HISTORY_SCHEMA,
            series,
            since: format!("{:016x}", 13),
            why: why.to_owned(),
        }],
        torn: None,
    }
}
