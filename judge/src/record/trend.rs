//! How metrics went over many runs, and where their level changed, as data. It is computed from a history, and nothing is in it
//! that the history does not say.

use super::contrast::{ContrastUnit, SideMean};
use super::history::SeriesName;
use serde::{Deserialize, Serialize};

/// Series that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trends {
    /// Layout version, [`super::history::HISTORY_SCHEMA`].
    pub schema: u32,
    /// Version of kvbench that computed it.
    pub kvbench_version: String,
    /// Least change that counts, fraction: at 0.05 a factor of 1.05 either way.
    pub floor: f64,
    /// Chance at most of a change found in a series that has none.
    pub alpha: f64,
    /// Scenarios by name, arms in the order of their ladder, metrics in that of their runs, series by their first run.
    pub series: Vec<Trend>,
}

/// One metric of one arm under the same conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// Which.
    pub name: SeriesName,
    /// What differs from the conditions of the series of this metric that began before it, each in a line; empty for the first.
    pub parted_by: Vec<String>,
    /// Of the means.
    pub unit: ContrastUnit,
    /// Which way is good.
    pub higher_is_better: bool,
    /// Its runs, the oldest first.
    pub points: Vec<TrendPoint>,
    /// Changes of level, the oldest first.
    pub changes: Vec<TrendChange>,
    /// The levels between them, one more than there are changes; none without points.
    pub levels: Vec<TrendLevel>,
    /// Runs that measured it and have no number.
    pub invalid: Vec<InvalidRun>,
    /// Runs older than those looked at.
    pub left_out: u64,
    /// Why no change could be looked for; empty if it was.
    pub why: String,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrendPoint {
    /// Of the run, as in the history.
    pub id: String,
    /// Its start, UTC.
    pub started_at: String,
    /// Git revision of what ran.
    pub revision: String,
    /// Whether the source differed from it; absent if that is not known.
    pub dirty: Option<bool>,
    /// How fit machine and program were.
    pub grade: String,
    /// False if the run was interrupted.
    pub complete: bool,
    /// Mean over its trials, with Student's interval.
    pub mean: SideMean,
    /// Why the level is accepted from this run on, if somebody said so.
    pub blessed: Option<String>,
}

/// A change of level between two runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrendChange {
    /// Index of the first point of the new level.
    pub at: u64,
    /// New level over the old one, geometric means over runs.
    pub ratio: f64,
    /// Its 95 % interval.
    pub interval: (f64, f64),
    /// Two-sided p that there is no change, for the most striking of all places; at most 1.
    pub p_value: f64,
    /// Which way it went.
    pub direction: Direction,
    /// Other arms, of those asked for, whose same metric changed at the same run: if the arm that is there to stay the same is among
    /// them, it may be the host that changed.
    pub other_arms: Vec<String>,
    /// Why the new level is accepted, if somebody said so.
    pub blessed: Option<String>,
}

/// Runs between two changes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrendLevel {
    /// Index of its first point.
    pub from: u64,
    /// Index of the point behind its last.
    pub to: u64,
    /// Geometric mean of the means of its runs.
    pub value: f64,
}

/// Which way a change went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// It got better.
    Better,
    /// It got worse.
    Worse,
}

/// A run without a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidRun {
    /// Its start, UTC.
    pub started_at: String,
    /// Git revision of what ran.
    pub revision: String,
    /// Why.
    pub reason: String,
}

impl Trends {
    /// As it is printed: JSON, indented, with a line end.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }
}
