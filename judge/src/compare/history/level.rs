//! The level a series has now: which runs make it up, and how one is accepted.

use super::series::{self, Series};
use crate::record::history::{Bless, HISTORY_SCHEMA, History, HistoryCell, RunLine, SeriesName};

/// A run that a new one may be held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part<'a> {
    /// The run.
    pub run: &'a RunLine,
    /// The metric with the value of each trial.
    pub cell: &'a HistoryCell,
}

/// The newest runs of a series, at most `runs_max`, none of them older than its last change of level or the last run from which on
/// a level was accepted; the oldest first. Only runs with values, so nothing if there are none.
///
/// `floor` is the least change that counts, fraction. A change that nobody accepted is one, too: it is for the caller to say what
/// it means that the level is no longer what it was.
pub fn baseline<'a>(
    history: &'a History,
    name: &SeriesName,
    floor: f64,
    runs_max: usize,
) -> Vec<Part<'a>> {
    let found = series::all(history, |run, cell| {
        run.conditions == name.conditions && cell.arm == name.arm && cell.metric == name.metric
    });
    let Some(series) = found.first() else { return Vec::new() };
    let points = series.points();
    let blesses = series.blesses(history);
    let changed = series::changes(&points, floor).last().map_or(0, |change| change.at);
    let accepted = points.iter().rposition(|point| series::accepted(&blesses, point.run).is_some());
    let level = &points[changed.max(accepted.unwrap_or(0))..];
    let newest = &level[level.len().saturating_sub(runs_max)..];
    newest.iter().map(|point| Part { run: point.run, cell: point.cell }).collect()
}

/// Which level is to be accepted.
#[derive(Clone, Copy, Debug)]
pub struct Blessing<'a> {
    /// Name of the scenario.
    pub scenario: &'a str,
    /// The metric.
    pub metric: &'a str,
    /// The arm; none for the last one of the ladder.
    pub arm: Option<&'a str>,
    /// From which run on: its id, its start, or its revision, of which the first run counts; none for the first run of the
    /// newest level.
    pub since: Option<&'a str>,
    /// Least change that counts, fraction.
    pub floor: f64,
    /// Why.
    pub why: &'a str,
}

/// Why nothing can be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLevel {
    /// Nobody would know later.
    #[error("a reason is missing")]
    NoReason,
    /// No run has the metric.
    #[error("no run of \"{scenario}\" has a value of {metric}")]
    NoSeries {
        /// The scenario.
        scenario: String,
        /// The metric, with its arm if one was named.
        metric: String,
    },
    /// The run is not there.
    #[error("no run \"{0}\" has a value of it")]
    NoRun(String),
}

/// The line that says so, about the series that the newest run, or the one asked for, belongs to.
pub fn bless(history: &History, asked: &Blessing<'_>) -> Result<Bless, NoLevel> {
    if asked.why.trim().is_empty() {
        return Err(NoLevel::NoReason);
    }
    let series = newest_series(history, asked)?;
    let points = series.points();
    let at = match asked.since {
        Some(run) => points.iter().position(|point| is_named(point.run, run)),
        None => match series::changes(&points, asked.floor).last() {
            Some(change) => Some(change.at),
            None => points.len().checked_sub(1),
        },
    };
    let since = at.and_then(|at| points.get(at));
    let since = since.ok_or_else(|| NoLevel::NoRun(asked.since.unwrap_or("").to_owned()))?;
    Ok(Bless {
        schema: HISTORY_SCHEMA,
        series: series.name(),
        since: since.run.id.clone(),
        why: asked.why.trim().to_owned(),
    })
}

fn is_named(run: &RunLine, name: &str) -> bool {
    [&run.id, &run.started_at, &run.revision].into_iter().any(|known| known == name)
}

/// Of the series with the metric the one with the newest run, or with the newest run of the name.
fn newest_series<'a>(history: &'a History, asked: &Blessing<'_>) -> Result<Series<'a>, NoLevel> {
    let is_asked = |run: &RunLine, cell: &HistoryCell| {
        run.conditions.scenario == asked.scenario
            && cell.metric == asked.metric
            && cell.invalid.is_none()
            && asked.arm.is_none_or(|arm| arm == cell.arm)
            && asked.since.is_none_or(|name| is_named(run, name))
    };
    let runs = history.runs.iter().rev();
    let newest = runs.filter_map(|run| {
        // Cells stand in the order of the ladder, so the last one is of its last arm.
        let cell = run.cells.iter().rev().find(|cell| is_asked(run, cell))?;
        Some((run, cell))
    });
    let Some((run, cell)) = newest.into_iter().next() else {
        return Err(missing(history, asked));
    };
    let found = series::all(history, |other, one| {
        other.conditions == run.conditions && one.arm == cell.arm && one.metric == cell.metric
    });
    found.into_iter().next().ok_or_else(|| missing(history, asked))
}

/// What is missing: the run that was named, or the metric altogether.
fn missing(history: &History, asked: &Blessing<'_>) -> NoLevel {
    let is_measured = |run: &RunLine| {
        let is_it = |cell: &HistoryCell| {
            cell.metric == asked.metric && asked.arm.is_none_or(|arm| arm == cell.arm)
        };
        run.conditions.scenario == asked.scenario && run.cells.iter().any(is_it)
    };
    match asked.since {
        Some(run) if history.runs.iter().any(is_measured) => NoLevel::NoRun(run.to_owned()),
        _ => NoLevel::NoSeries {
            scenario: asked.scenario.to_owned(),
            metric: match asked.arm {
                Some(arm) => format!("{} of arm {arm}", asked.metric),
                None => asked.metric.to_owned(),
            },
        },
    }
}
