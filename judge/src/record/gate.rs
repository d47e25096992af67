//! What a gate measured, as data: base against head, what a second set of trials said of what looked worse, and what could not be
//! measured. `gate` judges it.

use super::contrast::Contrasts;
use serde::{Deserialize, Serialize};

/// Name of the file in a gate's folder.
pub const GATE: &str = "gate.json";

/// One call of the gate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GateRecord {
    /// Layout version, [`super::SCHEMA`].
    pub schema: u32,
    /// Version of kvbench that wrote it.
    pub kvbench_version: String,
    /// Start, UTC, `YYYY-MM-DDTHH:MM:SSZ`.
    pub started_at: String,
    /// Wall time, seconds.
    pub elapsed_s: f64,
    /// False if it was interrupted.
    pub complete: bool,
    /// What is the base, e.g. `git:main 9f8e7d6`.
    pub base: String,
    /// What is held against it, e.g. `a1b2c3d`.
    pub head: String,
    /// How the trials of both were joined.
    pub sitting: Sitting,
    /// The scenarios, in the order they ran.
    pub scenarios: Vec<GatedScenario>,
    /// Base against head, one contrast for each gated arm.
    pub first: Contrasts,
    /// Whether what looks worse has to be found again by fresh trials.
    #[serde(default)]
    pub confirms: bool,
    /// The same once more with fresh trials, of those metrics alone that looked worse; absent if none did, or if it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<Contrasts>,
    /// What is done about what is not decided.
    pub inconclusive: Inconclusive,
}

/// How the trials of base and head were joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sitting {
    /// Both in one sitting, by turns, in random pairs.
    #[default]
    Interleaved,
    /// The base was measured before.
    Stored,
    /// The base is the level of the runs of a history.
    Level,
}

/// What is done about what is not decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inconclusive {
    /// It has an exit code of its own.
    #[default]
    Tell,
    /// It passes.
    Pass,
    /// It fails as a regression does.
    Fail,
}

/// One scenario of a gate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GatedScenario {
    /// Its name.
    pub name: String,
    /// Its path as it was named.
    pub path: String,
    /// Folders of its raw trials, beside this record, one for each gated arm.
    pub bundles: Vec<String>,
    /// Why it was not measured, or not to its end; empty if it was.
    pub failure: String,
    /// Why base and head cannot be compared in it; empty if they can.
    pub not_comparable: String,
    /// Checks that failed at head, each with its evidence.
    pub wrong: Vec<String>,
    /// Where base and head shared one CPU by slices of time, how long a slice was, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice_ms: Option<f64>,
}

impl GateRecord {
    /// As it stands in its folder: JSON, indented, with a line end.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }

    /// Reads what [`GateRecord::to_json`] wrote.
    pub fn from_json(json: &[u8]) -> Result<GateRecord, serde_json::Error> {
        serde_json::from_slice(json)
    }
}
