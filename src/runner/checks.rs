//! Questions about answers, not speed: do all arms reach the same state, is every acknowledged write there, does the
//! log give back what was acknowledged?

use super::{RunError, Stage, audit, block, prepare, sampled};
use crate::model::{Request, Response};
use crate::record::{Cell, Check, Run, Trial, WatchCell};
use crate::scenario::spec::{Arm, KeyDist, Keys, Op, Scenario, TxnKind, Values, WeightedOp};
use crate::store::Digest;
use crate::target::{Answer, Launch, Target};
use crate::units::ByteSize;
use crate::workload::Workload;

/// Requests sent to every arm in one order. A slow disk bounds it: one arm may sync each of them.
const REQUESTS: usize = 500;
/// Few keys, so that overwriting, deleting and recreating happen.
const KEYS: u64 = 64;

/// Every arm executes the same requests in the same order, from empty: states and responses must be equal.
pub(super) fn same_state<L: Launch>(stage: &mut Stage<'_, L>) -> Result<Option<Check>, RunError> {
    let ops =
        if stage.launch.answers_everything() { every_write() } else { own_writes(stage.scenario) };
    if ops.is_empty() {
        return Ok(None);
    }
    let requests = requests(stage.scenario, ops);
    let mut answers: Vec<(String, Answers)> = Vec::new();
    for arm in &stage.scenario.arms {
        if stage.stopped() {
            return Ok(None);
        }
        stage.step(&format!("checking answers of {}", arm.name));
        answers.push((arm.name.clone(), execute(stage, arm, &requests)?));
    }
    Ok(Some(compare(&answers, stage.launch.answers_everything())))
}

/// What an arm made of the requests.
#[derive(PartialEq)]
struct Answers {
    digest: Digest,
    writes: Vec<Response>,
    reads: Vec<Response>,
}

/// Writes in an order that matters. No reads: they need no place in the order, so what they find among writes that are
/// under way may differ.
fn requests(scenario: &Scenario, ops: Vec<WeightedOp>) -> Vec<Request> {
    let checked = Scenario {
        keys: Keys {
            space: KEYS,
            size: ByteSize(8),
            dist: KeyDist::Uniform,
            preload: 0,
            leases: 0,
        },
        values: Values::Lognormal { median: ByteSize(32), p99: ByteSize(512) },
        ops,
        ..scenario.clone()
    };
    let mut stream = Workload::of(&checked).stream(scenario.seed.child("checks", 0), 0);
    (0..REQUESTS).map(|_| stream.next_operation().request).collect()
}

/// The operations of the scenario that only write. A transfer reads first, so it is left out.
fn own_writes(scenario: &Scenario) -> Vec<WeightedOp> {
    let writes = |op: &&WeightedOp| {
        let is_read = matches!(op.op, Op::Get | Op::Range(_)) || op.op.is_transfer();
        !is_read
    };
    scenario.ops.iter().filter(writes).copied().collect()
}

fn every_write() -> Vec<WeightedOp> {
    let txn = |kind| Op::Txn { kind, keys: 3 };
    let ops = [
        (Op::Put, 6.0),
        (Op::Delete, 2.0),
        (Op::DeleteRange { keys: 4 }, 1.0),
        (txn(TxnKind::Create), 2.0),
        (txn(TxnKind::Cas), 1.0),
        (Op::LeaseCycle { keys: 5 }, 4.0),
    ];
    ops.map(|(op, weight)| WeightedOp { op, weight }).into()
}

fn execute<L: Launch>(
    stage: &Stage<'_, L>,
    arm: &Arm,
    requests: &[Request],
) -> Result<Answers, RunError> {
    let folder = tempfile::Builder::new().prefix("check-").tempdir_in(&stage.options.scratch)?;
    let target = prepare::start_target(stage, arm, &prepare::data_folder(folder.path()))?;
    let failed = |first: String| RunError::Operations {
        arm: arm.name.clone(),
        cell: "checks".to_owned(),
        errors: 1,
        first,
    };
    let answered = |answers: Vec<Answer>| {
        let answers = answers.into_iter().map(|answer| answer.map(|answer| answer.reply));
        answers.collect::<Result<Vec<_>, _>>().map_err(|error| failed(error.to_string()))
    };
    let writes = answered(target.call_all(requests))?;
    let gets = (0..KEYS).map(|key| Request::get(format!("{key:08x}")));
    let leases = stage.launch.answers_everything().then_some(Request::Leases);
    let questions: Vec<_> = gets.chain(leases).collect();
    let reads = answered(target.call_all(&questions))?;
    Ok(Answers { digest: block::digests(&target, &arm.name)?[0], writes, reads })
}

fn compare(answers: &[(String, Answers)], has_leases: bool) -> Check {
    let leases = if has_leases { ", leases" } else { "" };
    let differing: Vec<_> = answers
        .iter()
        .skip(1)
        .filter(|(_, other)| Some(other) != answers.first().map(|(_, first)| first))
        .map(|(name, _)| name.as_str())
        .collect();
    let detail = match differing.as_slice() {
        [] => format!(
            "{} arms gave the same {REQUESTS} responses, {KEYS} keys{leases} and state hash",
            answers.len()
        ),
        names => format!("differs from {}: {}", answers[0].0, names.join(", ")),
    };
    Check::decided("same-state", differing.is_empty(), detail)
}

/// What the finished trials show, those of voided blocks among them: a disturbed host excuses no wrong answer.
pub(super) fn of_trials(run: &Run) -> Vec<Check> {
    let voided = run.voided.iter().flat_map(|voided| &voided.trials);
    let trials: &[Trial] = &run.trials.iter().chain(voided).cloned().collect::<Vec<_>>();
    if trials.is_empty() {
        return Vec::new();
    }
    let mut checks = vec![acked_once(trials)];
    if trials.iter().any(|trial| trial.end.replayed.is_some()) {
        checks.push(log_gives_back(trials));
    }
    if trials.iter().any(|trial| trial.end.members.len() > 1) {
        checks.push(members_agree(trials));
    }
    if trials.iter().any(|trial| trial.end.bank.is_some()) {
        checks.push(bank(trials));
    }
    checks.extend(audit::checks(trials));
    if trials.iter().any(|trial| trial.end.sampled.is_some()) {
        checks.push(sampled::check(trials));
    }
    if watched(trials).next().is_some() {
        checks.push(watch_complete(trials));
    }
    checks
}

/// A fresh store is at revision 1, and each acknowledged change used up one revision. A revoked lease used up one if it
/// still had keys, which its answer does not say: there the count is a bound.
fn acked_once(trials: &[Trial]) -> Check {
    let explained = |trial: &&Trial| {
        let end = &trial.end;
        let used = end.revision - 1;
        let least = end.changes_acked as i64;
        (least..=least + end.revokes_acked as i64).contains(&used)
    };
    let wrong: Vec<_> = trials
        .iter()
        .filter(|trial| !explained(trial))
        .map(|trial| format!("{} in block {}", trial.arm, trial.block))
        .collect();
    let acked: u64 = trials.iter().map(|trial| trial.end.changes_acked).sum();
    let revoked: u64 = trials.iter().map(|trial| trial.end.revokes_acked).sum();
    let detail = match (wrong.as_slice(), revoked) {
        ([], 0) => {
            format!("{acked} acknowledged changes used up as many revisions: none lost, none twice")
        }
        ([], revoked) => format!(
            "{acked} acknowledged changes used up a revision each, {revoked} revoked leases at most one each"
        ),
        (trials, _) => {
            format!("revisions and acknowledged changes differ: {}", trials.join(", "))
        }
    };
    Check::decided("acked-once", wrong.is_empty(), detail)
}

/// Transfers neither made nor lost money, and no account is gone.
fn bank(trials: &[Trial]) -> Check {
    let counted = || trials.iter().filter_map(|trial| Some((trial, trial.end.bank?)));
    let wrong: Vec<_> = counted()
        .filter(|(_, bank)| (bank.found, bank.sum) != (bank.accounts, bank.money))
        .map(|(trial, bank)| {
            let (arm, block) = (&trial.arm, trial.block);
            format!("{arm} in block {block} has {} in {} accounts", bank.sum, bank.found)
        })
        .collect();
    let detail = match (wrong.as_slice(), counted().next()) {
        ([], Some((_, bank))) => format!(
            "the {} accounts of each of {} trials hold {} together, as at first",
            bank.accounts,
            counted().count(),
            bank.money
        ),
        (trials, _) => format!("money was made or lost: {}", trials.join(", ")),
    };
    Check::decided("bank", wrong.is_empty(), detail)
}

/// Every measurement with watchers, and the trial it is of.
fn watched(trials: &[Trial]) -> impl Iterator<Item = (&Trial, &Cell, &WatchCell)> {
    let cells = trials.iter().flat_map(|trial| trial.cells.iter().map(move |cell| (trial, cell)));
    cells.filter_map(|(trial, cell)| Some((trial, cell, cell.watch.as_ref()?)))
}

/// Every watcher was given every revision of its span once, in order and whole, but for those that a compaction took, as
/// it was told.
fn watch_complete(trials: &[Trial]) -> Check {
    let wrong: Vec<_> = watched(trials)
        .filter(|(_, _, watch)| {
            watch.revisions + watch.compacted != watch.due || watch.misplaced > 0
        })
        .map(|(trial, cell, watch)| {
            let (at, due) = (format!("{}@{}", cell.phase, cell.clients), watch.due);
            let missing = due.saturating_sub(watch.revisions + watch.compacted);
            let (arm, block, misplaced) = (&trial.arm, trial.block, watch.misplaced);
            format!(
                "{arm} in block {block} at {at}: {missing} of {due} missing, {misplaced} misplaced"
            )
        })
        .collect();
    let sum =
        |of: fn(&WatchCell) -> u64| watched(trials).map(|(_, _, watch)| of(watch)).sum::<u64>();
    let (revisions, compacted) = (sum(|watch| watch.revisions), sum(|watch| watch.compacted));
    let detail = match (wrong.as_slice(), compacted) {
        ([], 0) => {
            format!("each watcher was given each revision once, in order: {revisions} together")
        }
        ([], _) => format!(
            "each watcher was given each revision once, in order, or told of its compaction: {revisions} and {compacted}"
        ),
        (cells, _) => {
            format!("revisions that watchers should have been given: {}", cells.join("; "))
        }
    };
    Check::decided("watch-complete", wrong.is_empty(), detail)
}

/// Every member of a group ends in the same state.
fn members_agree(trials: &[Trial]) -> Check {
    let groups = || trials.iter().filter(|trial| trial.end.members.len() > 1);
    let wrong: Vec<_> = groups()
        .filter(|trial| trial.end.members.iter().any(|hash| *hash != trial.end.state_hash))
        .map(|trial| trial.arm.as_str())
        .collect();
    let members: usize = groups().map(|trial| trial.end.members.len()).sum();
    let detail = match wrong.as_slice() {
        [] => format!("{members} members of {} groups: each group in one state", groups().count()),
        arms => format!("members of a group ended in different states: {}", arms.join(", ")),
    };
    Check::decided("members-agree", wrong.is_empty(), detail)
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
    Check::decided("log-replays", wrong.is_empty(), detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Bank, Counters, Latency, Replayed, TrialEnd};

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
            sharing: None,
            cells: Vec::new(),
            end: TrialEnd {
                revision,
                keys: 1,
                members: vec![state_hash.clone()],
                state_hash,
                writes_acked: changes_acked,
                changes_acked,
                revokes_acked: 0,
                bank: None,
                versions: None,
                leases: None,
                sampled: None,
                replayed,
            },
        }
    }

    #[test]
    fn a_lost_write_and_a_forgetful_log_are_seen() {
        assert!(acked_once(&[trial(11, 10, 11)]).passed);
        assert!(!acked_once(&[trial(11, 10, 11), trial(10, 10, 10)]).passed);
        let mut revoked = trial(11, 10, 11);
        revoked.end.revokes_acked = 1;
        assert!(acked_once(&[revoked.clone()]).passed);
        revoked.end.revision = 13;
        assert!(!acked_once(&[revoked]).passed);
        assert!(log_gives_back(&[trial(11, 10, 11)]).passed);
        assert!(!log_gives_back(&[trial(11, 10, 9)]).passed);
    }

    #[test]
    fn money_that_comes_or_goes_is_seen() {
        let with = |found, sum| {
            let mut trial = trial(11, 10, 11);
            trial.end.bank = Some(Bank { accounts: 3, found, money: 3000, sum });
            trial
        };
        assert!(bank(&[with(3, 3000), trial(11, 10, 11)]).passed);
        for wrong in [with(3, 3001), with(2, 3000), with(3, 2999)] {
            let check = bank(&[with(3, 3000), wrong]);
            assert!(!check.passed && check.detail.contains("made or lost"), "{}", check.detail);
        }
    }

    /// What watchers were given: revisions due, given, compacted and misplaced.
    fn watched(due: u64, revisions: u64, compacted: u64, misplaced: u64) -> Trial {
        let service = Latency {
            count: 1,
            mean_ns: 1.0,
            p50_ns: 1,
            p90_ns: 1,
            p99_ns: 1,
            p999_ns: 1,
            max_ns: 1,
            histogram: String::new(),
        };
        let watch = WatchCell {
            watchers: 2,
            events: revisions,
            events_per_s: revisions as f64,
            resyncs: 0,
            lag_s: 0.0,
            due,
            revisions,
            compacted,
            misplaced,
        };
        let cell = Cell {
            phase: "fanout".to_owned(),
            clients: 7,
            position: 0,
            started_s: 0.0,
            elapsed_s: 1.0,
            ops: 1,
            errors: 0,
            throughput_per_s: 1.0,
            service,
            open: None,
            search: None,
            by_op: Vec::new(),
            series: None,
            watch: Some(watch),
            in_flight_mean: 1.0,
            thinking_mean: 0.0,
            stages: Vec::new(),
            counters: Counters::default(),
            locks: Vec::new(),
            appliers_max: None,
            cpu: Vec::new(),
            syscalls_absent: None,
            load_threads: 1,
            process: None,
            allocations: None,
            host: None,
            agents: Vec::new(),
        };
        Trial { cells: vec![cell], ..trial(11, 10, 11) }
    }

    #[test]
    fn what_watchers_miss_or_get_twice_is_seen() {
        let right = || watched(20, 20, 0, 0);
        assert!(watch_complete(&[right(), watched(20, 15, 5, 0), trial(11, 10, 11)]).passed);
        for (wrong, why) in [
            (watched(20, 19, 0, 0), "fanout@7: 1 of 20 missing, 0 misplaced"),
            (watched(20, 20, 0, 1), "fanout@7: 0 of 20 missing, 1 misplaced"),
            (watched(20, 19, 2, 0), "0 of 20 missing"),
            (watched(20, 21, 0, 0), "0 of 20 missing"),
        ] {
            let check = watch_complete(&[right(), wrong]);
            assert!(!check.passed && check.detail.contains(why), "{}", check.detail);
        }
    }

    #[test]
    fn members_in_different_states_are_a_wrong_answer() {
        let mut trial = trial(10, 9, 10);
        trial.end.members = vec![trial.end.state_hash.clone(); 3];
        assert!(members_agree(&[trial.clone()]).passed);
        trial.end.members[2] = "another".to_owned();
        assert!(!members_agree(&[trial]).passed);
    }
}
