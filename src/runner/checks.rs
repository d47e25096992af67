//! Questions about answers, not speed: do all arms reach the same state, is every acknowledged write there, does the
//! log give back what was acknowledged?

use super::{RunError, Stage, block};
use crate::model::{Request, Response};
use crate::node::Outcome;
use crate::record::{Check, Run, Trial};
use crate::scenario::spec::{Arm, KeyDist, Keys, OpKind, Scenario, Values, WeightedOp};
use crate::store::Digest;
use crate::units::ByteSize;
use crate::workload::Workload;

/// Requests sent to every arm in one order. A slow disk bounds it: one arm may sync each of them.
const REQUESTS: usize = 500;
/// Few keys, so that overwriting, deleting and recreating happen.
const KEYS: u64 = 64;

/// Every arm executes the same requests in the same order, from empty: states and responses must be equal.
pub(super) fn same_state(stage: &mut Stage<'_>) -> Result<Option<Check>, RunError> {
    let requests = requests(stage.scenario);
    let mut answers: Vec<(String, Answers)> = Vec::new();
    for arm in &stage.scenario.arms {
        if stage.stopped() {
            return Ok(None);
        }
        stage.step(&format!("checking answers of {}", arm.name));
        answers.push((arm.name.clone(), execute(stage, arm, &requests)?));
    }
    Ok(Some(compare(&answers)))
}

/// What an arm made of the requests.
#[derive(PartialEq)]
struct Answers {
    digest: Digest,
    writes: Vec<Response>,
    reads: Vec<Response>,
}

/// Puts and deletes in an order that matters.
fn requests(scenario: &Scenario) -> Vec<Request> {
    let op = |kind, weight| WeightedOp { kind, weight };
    let checked = Scenario {
        keys: Keys { space: KEYS, size: ByteSize(8), dist: KeyDist::Uniform },
        values: Values::Lognormal { median: ByteSize(32), p99: ByteSize(512) },
        ops: vec![op(OpKind::Put, 3.0), op(OpKind::Delete, 1.0)],
        ..scenario.clone()
    };
    let mut stream = Workload::of(&checked).stream(scenario.seed.child("checks", 0), 0);
    (0..REQUESTS).map(|_| stream.next_request()).collect()
}

fn execute(stage: &Stage<'_>, arm: &Arm, requests: &[Request]) -> Result<Answers, RunError> {
    let folder = tempfile::Builder::new().prefix("check-").tempdir_in(&stage.options.scratch)?;
    let target = block::start_target(stage, arm, &block::data_folder(folder.path()))?;
    let failed = |first: String| RunError::Operations {
        arm: arm.name.clone(),
        cell: "checks".to_owned(),
        errors: 1,
        first,
    };
    let answered = |outcomes: Vec<Outcome>| {
        let outcomes = outcomes.into_iter().map(|outcome| outcome.map(|answer| answer.reply));
        outcomes.collect::<Result<Vec<_>, _>>().map_err(|rejected| failed(rejected.to_string()))
    };
    let writes = answered(target.call_all(requests))?;
    let gets: Vec<_> =
        (0..KEYS).map(|key| Request::Get { key: format!("{key:08x}").into_bytes() }).collect();
    let reads = answered(target.call_all(&gets))?;
    Ok(Answers { digest: target.digest(), writes, reads })
}

fn compare(answers: &[(String, Answers)]) -> Check {
    let differing: Vec<_> = answers
        .iter()
        .skip(1)
        .filter(|(_, other)| Some(other) != answers.first().map(|(_, first)| first))
        .map(|(name, _)| name.as_str())
        .collect();
    let detail = match differing.as_slice() {
        [] => format!(
            "{} arms gave the same {REQUESTS} responses, {KEYS} reads and state hash",
            answers.len()
        ),
        names => format!("differs from {}: {}", answers[0].0, names.join(", ")),
    };
    Check { id: "same-state".to_owned(), passed: differing.is_empty(), detail }
}

/// What the finished trials show.
pub(super) fn of_trials(run: &Run) -> Vec<Check> {
    if run.trials.is_empty() {
        return Vec::new();
    }
    let mut checks = vec![acked_once(&run.trials)];
    if run.trials.iter().any(|trial| trial.end.replayed.is_some()) {
        checks.push(log_gives_back(&run.trials));
    }
    checks
}

/// A fresh store is at revision 1, and each acknowledged change used up one revision.
fn acked_once(trials: &[Trial]) -> Check {
    let wrong: Vec<_> = trials
        .iter()
        .filter(|trial| trial.end.revision - 1 != trial.end.changes_acked as i64)
        .map(|trial| format!("{} in block {}", trial.arm, trial.block))
        .collect();
    let acked: u64 = trials.iter().map(|trial| trial.end.changes_acked).sum();
    let detail = match wrong.as_slice() {
        [] => {
            format!("{acked} acknowledged changes used up as many revisions: none lost, none twice")
        }
        trials => format!("revisions and acknowledged changes differ: {}", trials.join(", ")),
    };
    Check { id: "acked-once".to_owned(), passed: wrong.is_empty(), detail }
}

/// A node started again on the log reaches the same state.
fn log_gives_back(trials: &[Trial]) -> Check {
    let restarted =
        || trials.iter().filter_map(|trial| Some((trial, trial.end.replayed.as_ref()?)));
    let wrong: Vec<_> = restarted()
        .filter(|(trial, replayed)| {
            replayed.revision != trial.end.revision || replayed.state_hash != trial.end.state_hash
        })
        .map(|(trial, _)| trial.arm.as_str())
        .collect();
    let writes: u64 = restarted().map(|(trial, _)| trial.end.changes_acked).sum();
    let detail = match wrong.as_slice() {
        [] => format!(
            "{} restarted nodes replayed {writes} writes to the same state",
            restarted().count()
        ),
        arms => format!("another state after a restart: {}", arms.join(", ")),
    };
    Check { id: "log-replays".to_owned(), passed: wrong.is_empty(), detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Replayed, TrialEnd};

    fn trial(revision: i64, changes_acked: u64, replayed: i64) -> Trial {
        let state_hash = format!("{revision:032x}");
        let replayed =
            Some(Replayed { revision: replayed, state_hash: format!("{replayed:032x}") });
        Trial {
            block: 0,
            arm: "before".to_owned(),
            aa: false,
            started_s: 0.0,
            prepare_s: 0.0,
            cells: Vec::new(),
            end: TrialEnd {
                revision,
                keys: 1,
                state_hash,
                writes_acked: changes_acked,
                changes_acked,
                replayed,
            },
        }
    }

    #[test]
    fn a_lost_write_and_a_forgetful_log_are_seen() {
        assert!(acked_once(&[trial(11, 10, 11)]).passed);
        assert!(!acked_once(&[trial(11, 10, 11), trial(10, 10, 10)]).passed);
        assert!(log_gives_back(&[trial(11, 10, 11)]).passed);
        assert!(!log_gives_back(&[trial(11, 10, 9)]).passed);
    }
}
