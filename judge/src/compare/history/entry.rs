//! What a run leaves in a history: every trial of the metrics that are judged.

use crate::compare::contrast::{self, Entrant};
use crate::compare::{fitness, invalid};
use crate::record::Run;
use crate::record::history::{
    Conditions, HISTORY_SCHEMA, HistoryCell, RunLine, is_utc_time, run_id,
};

/// Why a run has no place in a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEntry {
    /// It cannot be put in order.
    #[error("its start is no time such as 2026-11-03T14:12:00Z")]
    NoTime,
    /// There is nothing to keep.
    #[error("nothing was measured in it")]
    Empty,
}

/// The line of a run: for each arm the metrics that `compare` holds against each other and those that targets name.
///
/// Blocks that count for nothing in its verdicts do not count here either, and what carries no verdict leaves its reason in place of
/// its values.
pub fn entry(run: &Run) -> Result<RunLine, NoEntry> {
    if !is_utc_time(&run.started_at) {
        return Err(NoEntry::NoTime);
    }
    let cells = cells(&invalid::undisturbed(run));
    if cells.is_empty() {
        return Err(NoEntry::Empty);
    }
    Ok(RunLine {
        schema: HISTORY_SCHEMA,
        id: run_id(run),
        started_at: run.started_at.clone(),
        revision: run.build.revision.clone(),
        dirty: match run.build.details.tree.as_str() {
            "clean" => Some(false),
            "dirty" => Some(true),
            _ => None,
        },
        kvbench_version: run.kvbench_version.clone(),
        grade: fitness::grade(run).letter.to_string(),
        complete: run.complete,
        conditions: Conditions::of(run),
        cells,
    })
}

fn cells(run: &Run) -> Vec<HistoryCell> {
    let metrics = contrast::judged_metrics(run);
    let failed = contrast::failure("the run", run);
    let of_arm = |arm: &str| -> Vec<HistoryCell> {
        let side = Entrant { bundle: "", run, arm };
        let cell = |metric: &contrast::Asked<'_>| {
            let measured = contrast::sample(side, metric.metric)?;
            let sample = match failed.first() {
                Some(why) => Err(why.clone()),
                None => measured,
            };
            Some(HistoryCell {
                arm: arm.to_owned(),
                metric: metric.name.clone(),
                unit: metric.metric.measure.unit().into(),
                higher_is_better: metric.higher_is_better,
                invalid: sample.as_ref().err().cloned(),
                values: sample.unwrap_or_default(),
            })
        };
        metrics.iter().filter_map(cell).collect()
    };
    run.arms.iter().flat_map(|arm| of_arm(&arm.name)).collect()
}
