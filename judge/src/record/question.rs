//! What was asked: the scenario, the configurations compared, what was expected of them, and how many pairs were planned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioText {
    /// Name from the file.
    pub name: String,
    /// The question in words.
    pub analysis: String,
    /// Path as given on the command line.
    pub path: String,
    /// The whole file, after `--set`.
    pub text: String,
    /// One line on the workload, e.g. `PUT 16 B / 256 B`.
    pub workload: String,
    /// Root of all randomness.
    pub seed: u64,
}

/// One configuration under comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Arm {
    /// `before`, `rung-1`, …, `after`; `alone-2`, `without-2`.
    pub name: String,
    /// The lever moved since the arm before it; empty for the first. Of an arm that is no rung: what it is.
    pub lever: String,
    /// Whether it is no rung of the ladder: one step alone, or all but one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub apart: bool,
    /// Every lever with its value.
    pub levers: BTreeMap<String, String>,
}

/// A step of the ladder, and the arms that show what it does first and last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepBothWays {
    /// The lever it moves.
    pub lever: String,
    /// Name of the arm that is `before` with this step alone.
    pub alone: String,
    /// Name of the arm that is all steps but this one.
    pub without: String,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// One expectation: of the ratio after / before, of one arm's own value, or of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// Its name.
    pub id: String,
    /// The claim it decides, in a line; empty if it decides nobody's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub claim: String,
    /// `phase.measure@clients` or `phase.op.measure@clients`; empty for a check.
    pub metric: String,
    /// `>= 10`, `<= 0.1` or `2 .. 5`, with a unit if it bounds a value; empty for a check.
    pub bound: String,
    /// The arm whose own value is bounded; absent for a ratio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<String>,
    /// The check that has to pass, in place of a metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
}

/// One metric that may not get worse from revision to revision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GatedMetric {
    /// `phase.measure@clients`.
    pub metric: String,
    /// Whose.
    pub arm: String,
    /// Least change that counts, fraction.
    pub worse: f64,
    /// The same in the metric's own unit; 0 for any.
    pub least: f64,
}

/// How many pairs were planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Blocks at least.
    pub pairs_min: u32,
    /// Blocks at most.
    pub pairs_max: u32,
    /// Half-width (fraction of the ratio) at which no more pairs were added.
    pub precision: f64,
    /// Whether the scenario demanded that precision.
    pub precision_required: bool,
    /// What was to happen to a disturbed block: `retry`, `keep` or `abort`; empty in records of versions that did not look.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub on_disturbed: String,
}
