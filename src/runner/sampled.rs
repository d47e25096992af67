//! A few keys whose every operation is written down while the load is measured, and questioned when the measurement is over: is there an
//! order that explains what clients saw, and do the revisions name one?

use super::Stage;
use crate::load::{Sample, Seen};
use crate::record::{Check, Sampled, Trial};
use crate::seed::Seed;
use crate::verify::sampled;
use crate::workload::Workload;
use std::sync::Arc;

/// Clients whose streams name the keys, at most.
const CLIENTS_MAX: u32 = 64;
/// Findings that a check quotes, at most.
const QUOTED_MAX: usize = 3;

/// The keys of a measurement, if the scenario asks for that. Clients of agents have clocks of their own, so that nobody could say what
/// came first.
pub(super) fn keys<L>(stage: &Stage<'_, L>, seed: Seed, clients: u32) -> Option<Arc<Sample>> {
    let is_asked = stage.scenario.checks.linearizable && stage.fleet.is_none();
    is_asked.then(|| {
        let workload = Workload::of(stage.scenario);
        let clients = 0..clients.min(CLIENTS_MAX);
        let streams = clients.map(|client| workload.stream(seed, u64::from(client)));
        Arc::new(Sample::of(streams.collect()))
    })
}

/// Questions what a measurement left.
pub(super) fn question(seen: &Seen) -> Sampled {
    let found = sampled::check(&seen.sampled);
    let all = (seen.sampled.before.len() + seen.sampled.during.len()) as u64;
    Sampled {
        keys: found.keys,
        operations: all.saturating_sub(seen.sampled_reads),
        reads: seen.sampled_reads,
        unknown: found.unknown,
        cut: found.cut,
        undecided: found.undecided,
        wrong: found.wrong,
    }
}

/// What all trials show.
pub(super) fn check(trials: &[Trial]) -> Check {
    let all = || trials.iter().filter_map(|trial| Some((trial, trial.end.sampled.as_ref()?)));
    let wrong: Vec<String> = all()
        .flat_map(|(trial, sampled)| {
            let (arm, block) = (&trial.arm, trial.block);
            sampled.wrong.iter().map(move |words| format!("{arm} in block {block}, {words}"))
        })
        .collect();
    let mut sum = Sampled::default();
    all().for_each(|(_, sampled)| sum.add(sampled));
    decide(&sum, &wrong)
}

/// The check of trials that sum up to `sum`, in which `wrong` was found.
fn decide(sum: &Sampled, wrong: &[String]) -> Check {
    let Sampled { keys, operations, reads, undecided, cut, .. } = sum;
    let undecided_words = format!("the search was given up for {undecided} of {keys} keys");
    let more = match (wrong.len(), cut) {
        (0, 0) => String::new(),
        (0, _) => format!("; of {cut} keys only the first operations, since there were too many"),
        (..) => String::new(),
    };
    let (is_open, detail) = match (wrong, undecided) {
        ([], 0) if *operations == 0 => (
            true,
            "no operation of a client was written down; clients of agents have clocks of their own"
                .to_owned(),
        ),
        ([], 0) => (
            false,
            format!(
                "{operations} operations and {reads} reads beside them, on {keys} sampled keys: an order explains each key's, and the revisions name one{more}"
            ),
        ),
        ([], _) => {
            (true, format!("{undecided_words}; nothing wrong was found in the others{more}"))
        }
        (wrong, _) => {
            let quoted: Vec<&str> = wrong.iter().take(QUOTED_MAX).map(String::as_str).collect();
            let others = wrong.len().saturating_sub(QUOTED_MAX);
            let others = if others == 0 { String::new() } else { format!("; and {others} more") };
            (false, format!("{}{others}", quoted.join("; ")))
        }
    };
    let passed = wrong.is_empty() && !is_open;
    Check { undecided: is_open, ..Check::decided("linearizable", passed, detail) }
}

/// The check of a measurement that did not end as it should, so that its trial is not kept; nothing if nothing is wrong with its answers.
pub(super) fn of_lost(wrong: &[String]) -> Option<Check> {
    (!wrong.is_empty()).then(|| decide(&Sampled::default(), wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled() -> Sampled {
        Sampled { keys: 64, operations: 500, reads: 140, ..Sampled::default() }
    }

    #[test]
    fn only_what_was_decided_passes() {
        let fine = decide(&sampled(), &[]);
        assert!(fine.passed && fine.detail.starts_with("500 operations and 140 reads"), "{fine:?}");
        let cut = decide(&Sampled { cut: 3, ..sampled() }, &[]);
        assert!(cut.passed && cut.detail.contains("of 3 keys only the first"), "{cut:?}");
        for open in [Sampled { undecided: 2, ..sampled() }, Sampled::default()] {
            let open = decide(&open, &[]);
            assert!(!open.passed && open.undecided && !open.is_wrong(), "{open:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_wrong_whatever_is_undecided() {
        let wrong: Vec<String> = (0..5).map(|number| format!("key {number}: no order")).collect();
        let check = decide(&Sampled { undecided: 2, ..sampled() }, &wrong);
        assert!(check.is_wrong() && check.detail.ends_with("; and 2 more"), "{check:?}");
        assert!(of_lost(&wrong).is_some_and(|check| check.is_wrong()));
        assert_eq!(of_lost(&[]), None);
    }
}
