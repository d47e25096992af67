//! How metrics went over time.

use super::series::{self, Point, Series};
use crate::compare::history::RUNS_MAX;
use crate::record::NOT_VISIBLE;
use crate::record::contrast::SideMean;
use crate::record::history::{Bless, Conditions, HISTORY_SCHEMA, History, HistoryCell, RunLine};
use crate::record::trend::{
    Direction, InvalidRun, Trend, TrendChange, TrendLevel, TrendPoint, Trends,
};
use crate::stats::{CHANGE_ALPHA, LEVEL_RUNS_MIN, LevelChange};
use std::collections::BTreeMap;

/// Which series, and what counts.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Of this scenario alone.
    pub scenario: Option<&'a str>,
    /// Of these metrics alone; empty for all.
    pub metrics: &'a [String],
    /// Of these arms alone; empty for all.
    pub arms: &'a [String],
    /// Least change that counts, fraction above zero.
    pub floor: f64,
}

impl Question<'_> {
    fn wants(&self, run: &RunLine, cell: &HistoryCell) -> bool {
        let is_any = |names: &[String], name: &String| names.is_empty() || names.contains(name);
        self.scenario.is_none_or(|name| name == run.conditions.scenario)
            && is_any(self.metrics, &cell.metric)
            && is_any(self.arms, &cell.arm)
    }
}

/// All that were asked for.
pub fn trends(history: &History, question: &Question<'_>) -> Trends {
    let all = series::all(history, |run, cell| question.wants(run, cell));
    let mut trends: Vec<Trend> = Vec::with_capacity(all.len());
    for series in &all {
        let mut trend = trend(history, series, question.floor);
        if let Some(before) = trends.last().filter(|before| is_same_metric(before, &trend)) {
            trend.parted_by = parted(&before.name.conditions, series.conditions);
        }
        trends.push(trend);
    }
    let together = changed_together(&trends);
    for (trend, others) in trends.iter_mut().zip(together) {
        for (change, arms) in trend.changes.iter_mut().zip(others) {
            change.other_arms = arms;
        }
    }
    Trends {
        schema: HISTORY_SCHEMA,
        kvbench_version: env!("CARGO_PKG_VERSION").to_owned(),
        floor: question.floor,
        alpha: CHANGE_ALPHA,
        series: trends,
    }
}

fn is_same_metric(a: &Trend, b: &Trend) -> bool {
    (&a.name.conditions.scenario, &a.name.arm, &a.name.metric)
        == (&b.name.conditions.scenario, &b.name.arm, &b.name.metric)
}

/// For each change of each series the other arms that changed at the same run.
fn changed_together(trends: &[Trend]) -> Vec<Vec<Vec<String>>> {
    let mut arms: BTreeMap<(&Conditions, &str, &str), Vec<&str>> = BTreeMap::new();
    fn key<'a>(
        trend: &'a Trend,
        change: &TrendChange,
    ) -> Option<(&'a Conditions, &'a str, &'a str)> {
        let run = trend.points.get(usize::try_from(change.at).ok()?)?;
        Some((&trend.name.conditions, &trend.name.metric, &run.id))
    }
    for trend in trends {
        for key in trend.changes.iter().filter_map(|change| key(trend, change)) {
            arms.entry(key).or_default().push(&trend.name.arm);
        }
    }
    let others = |trend: &Trend, change: &TrendChange| -> Vec<String> {
        let arms = key(trend, change).and_then(|key| arms.get(&key));
        let others = arms.into_iter().flatten().filter(|arm| **arm != trend.name.arm);
        others.map(|arm| (*arm).to_owned()).collect()
    };
    trends
        .iter()
        .map(|trend| trend.changes.iter().map(|change| others(trend, change)).collect())
        .collect()
}

fn trend(history: &History, series: &Series<'_>, floor: f64) -> Trend {
    let points = series.points();
    let blesses = series.blesses(history);
    let changes = series::changes(&points, floor);
    let (numbers, invalid): (Vec<_>, Vec<_>) =
        series.runs.iter().partition(|(_, cell)| cell.invalid.is_none());
    let newest = numbers.last().or(invalid.last());
    let (unit, higher_is_better) = newest
        .map(|(_, cell)| (cell.unit, cell.higher_is_better))
        .expect("a series begins with its first run");
    let least = 2 * LEVEL_RUNS_MIN;
    Trend {
        name: series.name(),
        parted_by: Vec::new(),
        unit,
        higher_is_better,
        changes: told(&points, &changes, &blesses, higher_is_better),
        levels: levels(&points, &changes),
        points: points.iter().map(|point| trend_point(point, &blesses)).collect(),
        invalid: invalid.iter().map(|(run, cell)| invalid_run(run, cell)).collect(),
        left_out: numbers.len().saturating_sub(RUNS_MAX) as u64,
        why: match points.len() < least {
            true => format!("a change of level needs {least} runs"),
            false => String::new(),
        },
    }
}

fn trend_point(point: &Point<'_>, blesses: &[&Bless]) -> TrendPoint {
    let Point { run, cell, mean } = point;
    TrendPoint {
        id: run.id.clone(),
        started_at: run.started_at.clone(),
        revision: run.revision.clone(),
        dirty: run.dirty,
        grade: run.grade.clone(),
        complete: run.complete,
        mean: SideMean {
            value: mean.value,
            interval: mean.interval,
            trials: cell.values.len() as u64,
        },
        blessed: series::accepted(blesses, run).map(str::to_owned),
    }
}

fn invalid_run(run: &RunLine, cell: &HistoryCell) -> InvalidRun {
    InvalidRun {
        started_at: run.started_at.clone(),
        revision: run.revision.clone(),
        reason: cell.invalid.clone().unwrap_or_default(),
    }
}

/// Each change taken back from logarithms, and accepted if its new level is, at whichever of its runs.
fn told(
    points: &[Point<'_>],
    changes: &[LevelChange],
    blesses: &[&Bless],
    higher_is_better: bool,
) -> Vec<TrendChange> {
    let ends = changes.iter().skip(1).map(|next| next.at).chain([points.len()]);
    let told = |(change, end): (&LevelChange, usize)| TrendChange {
        at: change.at as u64,
        ratio: change.difference.exp(),
        interval: (change.interval.lower.exp(), change.interval.upper.exp()),
        p_value: change.p_value,
        direction: match (change.difference > 0.0) == higher_is_better {
            true => Direction::Better,
            false => Direction::Worse,
        },
        blessed: points[change.at..end]
            .iter()
            .rev()
            .find_map(|point| series::accepted(blesses, point.run))
            .map(str::to_owned),
        other_arms: Vec::new(),
    };
    changes.iter().zip(ends).map(told).collect()
}

fn levels(points: &[Point<'_>], changes: &[LevelChange]) -> Vec<TrendLevel> {
    let cuts = || changes.iter().map(|change| change.at);
    let parts = std::iter::once(0).chain(cuts()).zip(cuts().chain([points.len()]));
    let level = |(from, to): (usize, usize)| {
        let logs = points[from..to].iter().map(|point| point.mean.value.ln());
        let value = (logs.sum::<f64>() / (to - from) as f64).exp();
        TrendLevel { from: from as u64, to: to as u64, value }
    };
    parts.filter(|(from, to)| from < to).map(level).collect()
}

/// What differs, each in a line.
fn parted(before: &Conditions, after: &Conditions) -> Vec<String> {
    let word = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    let known = |fact: &str| if fact.is_empty() { NOT_VISIBLE } else { fact }.to_owned();
    let facts = |of: &Conditions| {
        [
            ("scenario text", known(&of.scenario_hash)),
            ("machine", known(&of.machine_key)),
            ("method version", of.method.to_string()),
            ("quick", word(of.quick)),
            ("system calls counted", word(of.counts_syscalls)),
            ("cargo profile", known(&of.profile)),
            ("load machines", of.agents.to_string()),
        ]
    };
    let pairs = facts(before).into_iter().zip(facts(after));
    let differ = pairs.filter(|((_, a), (_, b))| a != b);
    differ.map(|((what, a), (_, b))| format!("{what}: {a} → {b}")).collect()
}
