//! The scoreboard of a sitting: every target of several runs with its verdict, as data. It is made from the bundles it names and
//! can be made from them again; nothing is in it that they do not say.

use serde::{Deserialize, Serialize};

/// Name of the file in a scoreboard's folder.
pub const SCOREBOARD: &str = "scoreboard.json";

/// Several runs at a glance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scoreboard {
    /// Layout version, [`super::SCHEMA`].
    pub schema: u32,
    /// Version of kvbench that wrote it.
    pub kvbench_version: String,
    /// Start of the first run, UTC.
    pub started_at: String,
    /// Where the first run was; all of a sitting were there.
    pub host: String,
    /// What ran.
    pub build: String,
    /// The runs, in their order.
    pub runs: Vec<BoardRun>,
    /// Scenarios that were asked for and not measured.
    pub not_measured: Vec<NotMeasured>,
    /// Ratios of several scenarios as one figure.
    pub overall: Vec<OverallRatio>,
}

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BoardRun {
    /// Name of the scenario.
    pub scenario: String,
    /// What is sent.
    pub workload: String,
    /// Its bundle, relative to the scoreboard's folder.
    pub bundle: String,
    /// What a reader must know before any number: cut short, shortened, not synced.
    pub stamps: Vec<String>,
    /// Checks of answers that failed.
    pub failed_checks: Vec<String>,
    /// Its targets, in scenario order.
    pub targets: Vec<BoardTarget>,
}

/// One target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BoardTarget {
    /// Its name.
    pub id: String,
    /// The claim it decides; empty if it decides nobody's.
    pub claim: String,
    /// What was asked.
    pub asked: String,
    /// What was measured, in words.
    pub measured: String,
    /// Ratio, or value in ns, 1/s, as a fraction or a count; absent for a check, or where nothing was measured.
    pub estimate: Option<f64>,
    /// Its 95 % interval; absent below 6 pairs or trials.
    pub interval: Option<(f64, f64)>,
    /// Pairs or trials behind it; 0 for a check.
    pub n: u64,
    /// `met`, `missed` or `inconclusive`.
    pub verdict: BoardVerdict,
    /// What explains it, from the run's own figures; may be empty.
    pub why: String,
}

/// The judgement of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoardVerdict {
    /// The claim holds.
    Met,
    /// The claim is refuted.
    Missed,
    /// Neither is shown.
    #[default]
    Inconclusive,
}

/// A scenario that was not measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotMeasured {
    /// Its name.
    pub scenario: String,
    /// Why.
    pub reason: String,
}

/// The geometric mean of the ratios of several scenarios.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OverallRatio {
    /// Of what, e.g. `throughput`.
    pub measure: String,
    /// At which layer.
    pub layer: String,
    /// With which `fsync`; empty where there is no log.
    pub fsync: String,
    /// Geometric mean of after / before.
    pub ratio: f64,
    /// Its 95 % interval; absent if a scenario has fewer than 6 pairs.
    pub interval: Option<(f64, f64)>,
    /// Scenarios in it.
    pub scenarios: u64,
}

impl Scoreboard {
    /// As it stands in its file: JSON, indented, with a line end.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }

    /// Reads what [`Scoreboard::to_json`] wrote.
    pub fn from_json(json: &[u8]) -> Result<Scoreboard, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Every target of every run.
    pub fn targets(&self) -> impl Iterator<Item = &BoardTarget> {
        self.runs.iter().flat_map(|run| &run.targets)
    }
}
