//! Arms of several bundles held against each other, metric by metric, as data. It is computed from the raw trials of the bundles
//! it names, and nothing is in it that they do not say.

use crate::units::Unit;
use serde::{Deserialize, Serialize};

/// One base and all that is held against it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Contrasts {
    /// Layout version, [`super::SCHEMA`].
    pub schema: u32,
    /// Version of kvbench that computed it.
    pub kvbench_version: String,
    /// Least change that counts, fraction: at 0.05 a factor of 1.05 either way.
    pub floor: f64,
    /// Whether sides that are not comparable were compared all the same, because that was asked for.
    pub forced: bool,
    /// Each arm of each bundle against the base.
    pub contrasts: Vec<Contrast>,
}

/// Two sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// What is divided by.
    pub base: Side,
    /// What is divided.
    pub other: Side,
    /// What joins their trials.
    pub basis: Basis,
    /// Why they are not comparable; then there are no rows, unless that was forced.
    pub not_comparable: Vec<String>,
    /// What else a reader should know.
    pub notes: Vec<String>,
    /// One per metric.
    pub rows: Vec<ContrastRow>,
    /// Metrics that too few observations lie beyond to be shown, each with why.
    pub withheld: Vec<String>,
}

/// One arm of one bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// The bundle as it was named.
    pub bundle: String,
    /// Name of the arm.
    pub arm: String,
    /// Start of its run, UTC.
    pub started_at: String,
    /// Git revision of what ran.
    pub revision: String,
    /// Version of kvbench that measured.
    pub kvbench_version: String,
    /// How fit machine and program were, `A` to `D`.
    pub grade: String,
    /// Trials, A/A left out.
    pub trials: u64,
}

/// What joins the trials of two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Two arms of one run: pairs of the same block, in random order, the signed-rank test.
    Pairs,
    /// Two sittings: nothing joins them, the Mann-Whitney test.
    Sittings,
    /// One run against the level of those before it, by Student's test of the runs' means.
    History,
}

/// One metric on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContrastRow {
    /// `phase.measure@clients`, as in targets.
    pub metric: String,
    /// Of the means.
    pub unit: ContrastUnit,
    /// Which way is good.
    pub higher_is_better: bool,
    /// Mean over the base's trials; absent without values.
    pub base: Option<SideMean>,
    /// Mean over the other's trials; absent without values.
    pub other: Option<SideMean>,
    /// Other over base, by Hodges and Lehmann on logarithms; absent if a side has no number.
    pub ratio: Option<f64>,
    /// Its 95 % interval; absent with too few trials.
    pub interval: Option<(f64, f64)>,
    /// Two-sided p that there is no difference; absent if the metric is not judged.
    pub p_value: Option<f64>,
    /// The same, adjusted for all metrics that are judged at once (Benjamini and Hochberg).
    pub q_value: Option<f64>,
    /// Least change that counts, as it was asked for; fraction.
    #[serde(default)]
    pub asked_floor: f64,
    /// Least change of the means that counts, in the row's unit; 0 for any.
    #[serde(default)]
    pub least: f64,
    /// What the ratio has to exceed to be called a change: the floor asked for, or what the arms of either run differed from
    /// themselves by, whichever is larger; fraction.
    pub floor: f64,
    /// The judgement.
    pub verdict: RowVerdict,
    /// Why there is no judgement, or what would bring one; empty if there is one.
    pub why: String,
}

/// An arithmetic mean over trials.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SideMean {
    /// In the row's unit.
    pub value: f64,
    /// BCa bootstrap interval at 95 %; absent below 6 trials.
    pub interval: Option<(f64, f64)>,
    /// Trials that have a value.
    pub trials: u64,
}

/// What means are measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContrastUnit {
    /// Events per second.
    PerSecond,
    /// Nanoseconds.
    Ns,
    /// A fraction of a whole.
    Share,
    /// Bytes.
    Bytes,
    /// A count, or a ratio of counts.
    Count,
}

/// The judgement of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowVerdict {
    /// Significantly worse, and by more than the floor.
    Worse,
    /// Significantly better, and by more than the floor.
    Better,
    /// The whole interval leaves no room for worse by more than the floor asked for.
    NotWorse,
    /// None of these: not enough evidence.
    Undecided,
    /// Shown and not judged: too few observations lie beyond the percentile.
    Shown,
}

impl Contrasts {
    /// As it is printed: JSON, indented, with a line end.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }

    /// How many metrics were judged so.
    pub fn count(&self, verdict: RowVerdict) -> usize {
        let rows = self.contrasts.iter().flat_map(|contrast| &contrast.rows);
        rows.filter(|row| row.verdict == verdict).count()
    }
}

impl From<Unit> for ContrastUnit {
    fn from(unit: Unit) -> ContrastUnit {
        match unit {
            Unit::PerSecond => ContrastUnit::PerSecond,
            Unit::Time => ContrastUnit::Ns,
            Unit::Share => ContrastUnit::Share,
            Unit::Bytes => ContrastUnit::Bytes,
            Unit::Count => ContrastUnit::Count,
        }
    }
}

impl From<ContrastUnit> for Unit {
    fn from(unit: ContrastUnit) -> Unit {
        match unit {
            ContrastUnit::PerSecond => Unit::PerSecond,
            ContrastUnit::Ns => Unit::Time,
            ContrastUnit::Share => Unit::Share,
            ContrastUnit::Bytes => Unit::Bytes,
            ContrastUnit::Count => Unit::Count,
        }
    }
}
