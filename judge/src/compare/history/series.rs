//! Runs sorted into series, and the changes within one.

use super::RUNS_MAX;
use crate::record::history::{Bless, Conditions, History, HistoryCell, RunLine, SeriesName};
use crate::stats::{self, LevelChange};
use std::collections::{BTreeMap, HashMap};

/// One metric of one arm under the same conditions.
pub(super) struct Series<'a> {
    pub(super) conditions: &'a Conditions,
    pub(super) arm: &'a str,
    pub(super) metric: &'a str,
    /// Runs that measured it, the oldest first.
    pub(super) runs: Vec<(&'a RunLine, &'a HistoryCell)>,
}

/// A run of a series that has a number.
#[derive(Clone, Copy)]
pub(super) struct Point<'a> {
    pub(super) run: &'a RunLine,
    pub(super) cell: &'a HistoryCell,
    pub(super) mean: stats::Mean,
}

/// Every series of a history whose run and cell are `wanted`: scenarios by name, arms and metrics as they came up, and what was
/// parted by its conditions by its first run.
pub(super) fn all(
    history: &History,
    wanted: impl Fn(&RunLine, &HistoryCell) -> bool,
) -> Vec<Series<'_>> {
    let mut found: BTreeMap<(&str, usize), Vec<Series<'_>>> = BTreeMap::new();
    let mut ranks: HashMap<(&str, &str, &str), usize> = HashMap::new();
    for run in &history.runs {
        let scenario = run.conditions.scenario.as_str();
        for cell in run.cells.iter().filter(|cell| wanted(run, cell)) {
            let (arm, metric) = (cell.arm.as_str(), cell.metric.as_str());
            let next = ranks.len();
            let rank = *ranks.entry((scenario, arm, metric)).or_insert(next);
            let parts = found.entry((scenario, rank)).or_default();
            let conditions = &run.conditions;
            match parts.iter_mut().find(|part| part.conditions == conditions) {
                Some(part) => part.runs.push((run, cell)),
                None => parts.push(Series { conditions, arm, metric, runs: vec![(run, cell)] }),
            }
        }
    }
    found.into_values().flatten().collect()
}

impl<'a> Series<'a> {
    pub(super) fn name(&self) -> SeriesName {
        SeriesName {
            conditions: self.conditions.clone(),
            arm: self.arm.to_owned(),
            metric: self.metric.to_owned(),
        }
    }

    /// The newest runs that have a number, the oldest of them first.
    pub(super) fn points(&self) -> Vec<Point<'a>> {
        let point = |(run, cell): &(&'a RunLine, &'a HistoryCell)| {
            let mean = stats::student_mean(&cell.values)?;
            Some(Point { run, cell, mean })
        };
        let mut points: Vec<_> = self.runs.iter().filter_map(point).collect();
        points.drain(..points.len().saturating_sub(RUNS_MAX));
        points
    }

    /// Levels of this series that were accepted.
    pub(super) fn blesses<'h>(&self, history: &'h History) -> Vec<&'h Bless> {
        let is_here = |bless: &&Bless| {
            let SeriesName { conditions, arm, metric } = &bless.series;
            conditions == self.conditions && arm == self.arm && metric == self.metric
        };
        history.blesses.iter().filter(is_here).collect()
    }
}

/// Changes of the logarithm of the mean by at least a factor of 1 + `floor` either way.
pub(super) fn changes(points: &[Point<'_>], floor: f64) -> Vec<LevelChange> {
    let logs: Vec<f64> = points.iter().map(|point| point.mean.value.ln()).collect();
    stats::level_changes(&logs, floor.ln_1p()).unwrap_or_default()
}

/// The newest reason to accept the level from this run on.
pub(super) fn accepted<'h>(blesses: &[&'h Bless], run: &RunLine) -> Option<&'h str> {
    let here = blesses.iter().rev().find(|bless| bless.since == run.id);
    here.map(|bless| bless.why.as_str())
}
