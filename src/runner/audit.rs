//! What the keys say for themselves when the load is over: how often each was put, and on which lease it hangs. Read as
//! any client could, and compared with what was acknowledged and with what the leases say.

use super::prepare::{AT_ONCE, answers};
use super::{RunError, Stage};
use crate::model::{Body, KeyValue, LeaseId, Request, Response};
use crate::record::{Check, LeasesFound, Trial, Versions};
use crate::target::Launch;
use crate::workload::Workload;
use std::collections::{BTreeMap, BTreeSet};

/// Reads the version of every key.
pub(super) fn versions<L: Launch>(
    stage: &Stage<'_, L>,
    target: &L::Target,
    arm: &str,
) -> Result<Versions, RunError> {
    let mut found = Versions::default();
    let mut changes = BTreeSet::new();
    each_key(stage, target, arm, |kv| {
        let is_right = kv.version >= 1
            && kv.create_revision <= kv.mod_revision
            && changes.insert(kv.mod_revision);
        found.keys += 1;
        found.sum = found.sum.saturating_add(kv.version.unsigned_abs());
        found.wrong += u64::from(!is_right);
        found.newest = found.newest.max(kv.mod_revision);
    })?;
    Ok(found)
}

/// Reads every lease and its keys, and the lease of every key.
pub(super) fn leases<L: Launch>(
    stage: &Stage<'_, L>,
    target: &L::Target,
    arm: &str,
) -> Result<LeasesFound, RunError> {
    let mut by_key = BTreeMap::new();
    each_key(stage, target, arm, |kv| {
        if kv.lease != 0 {
            by_key.insert(kv.key, kv.lease);
        }
    })?;
    let listed = answers(target, &[Request::Leases], arm, "leases")?;
    let ids = listed.into_iter().flat_map(lease_ids).collect::<Vec<_>>();
    let ask = |id: &LeaseId| Request::LeaseTimeToLive { id: *id, keys: true };
    let mut by_lease = BTreeMap::new();
    for some in ids.chunks(AT_ONCE) {
        let questions: Vec<_> = some.iter().map(ask).collect();
        for (id, response) in some.iter().zip(answers(target, &questions, arm, "leases")?) {
            by_lease.extend(keys_of_lease(response).into_iter().map(|key| (key, *id)));
        }
    }
    let differ = |a: &BTreeMap<Vec<u8>, LeaseId>, b: &BTreeMap<Vec<u8>, LeaseId>| {
        a.iter().filter(|(key, lease)| b.get(*key) != Some(*lease)).count() as u64
    };
    let wrong = differ(&by_key, &by_lease).max(differ(&by_lease, &by_key));
    Ok(LeasesFound { leases: ids.len() as u64, attached: by_key.len() as u64, wrong })
}

fn each_key<L: Launch>(
    stage: &Stage<'_, L>,
    target: &L::Target,
    arm: &str,
    mut look: impl FnMut(KeyValue),
) -> Result<(), RunError> {
    for request in Workload::of(stage.scenario).read_all() {
        for response in answers(target, &[request], arm, "keys")? {
            if let Ok(Body::Range(range)) = response.result {
                range.kvs.into_iter().for_each(&mut look);
            }
        }
    }
    Ok(())
}

fn lease_ids(response: Response) -> Vec<LeaseId> {
    match response.result {
        Ok(Body::Leases(ids)) => ids,
        _ => Vec::new(),
    }
}

fn keys_of_lease(response: Response) -> Vec<Vec<u8>> {
    match response.result {
        Ok(Body::LeaseTimeToLive(status)) => status.keys,
        _ => Vec::new(),
    }
}

/// What the finished trials show of it.
pub(super) fn checks(trials: &[Trial]) -> Vec<Check> {
    let has_versions = trials.iter().any(|trial| trial.end.versions.is_some());
    let has_leases = trials.iter().any(|trial| trial.end.leases.is_some());
    let versions = has_versions.then(|| versions_count_puts(trials));
    versions.into_iter().chain(has_leases.then(|| leases_agree(trials))).collect()
}

/// Every acknowledged put made one version of one key, and the last of them has the newest revision.
fn versions_count_puts(trials: &[Trial]) -> Check {
    let read = || trials.iter().filter_map(|trial| Some((trial, trial.end.versions?)));
    let wrong: Vec<_> = read()
        .filter(|(trial, found)| {
            let none_lost = found.sum == trial.end.changes_acked;
            let is_newest = found.newest == trial.end.revision || found.keys == 0;
            !none_lost || !is_newest || found.wrong > 0
        })
        .map(|(trial, found)| {
            let (arm, block, acked) = (&trial.arm, trial.block, trial.end.changes_acked);
            let Versions { keys, sum, wrong, .. } = found;
            format!("{arm} in block {block}: {keys} keys with {sum} versions after {acked} puts, {wrong} impossible")
        })
        .collect();
    let sum = |of: fn(&Versions) -> u64| read().map(|(_, found)| of(&found)).sum::<u64>();
    let (keys, versions) = (sum(|found| found.keys), sum(|found| found.sum));
    let detail = match wrong.as_slice() {
        [] => format!(
            "{keys} keys of {} trials hold {versions} versions, one for each acknowledged put",
            read().count()
        ),
        trials => format!("versions and acknowledged puts differ: {}", trials.join("; ")),
    };
    Check::decided("versions", wrong.is_empty(), detail)
}

/// A key hangs on a lease exactly if the lease lists it.
fn leases_agree(trials: &[Trial]) -> Check {
    let read = || trials.iter().filter_map(|trial| Some((trial, trial.end.leases?)));
    let wrong: Vec<_> = read()
        .filter(|(_, found)| found.wrong > 0)
        .map(|(trial, found)| {
            format!("{} in block {}: {} keys", trial.arm, trial.block, found.wrong)
        })
        .collect();
    let sum = |of: fn(&LeasesFound) -> u64| read().map(|(_, found)| of(&found)).sum::<u64>();
    let revoked: u64 = trials.iter().map(|trial| trial.end.revokes_acked).sum();
    let detail = match wrong.as_slice() {
        [] => format!(
            "after {revoked} revoked leases the {} that are left and the {} keys on them name each other",
            sum(|found| found.leases),
            sum(|found| found.attached)
        ),
        trials => format!("a key and its lease do not name each other: {}", trials.join("; ")),
    };
    Check::decided("leases", wrong.is_empty(), detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TrialEnd;

    fn trial(versions: Option<Versions>, leases: Option<LeasesFound>) -> Trial {
        Trial {
            block: 3,
            arm: "after".to_owned(),
            aa: false,
            started_s: 0.0,
            prepare_s: 0.0,
            sharing: None,
            cells: Vec::new(),
            end: TrialEnd {
                revision: 11,
                keys: 2,
                state_hash: String::new(),
                members: Vec::new(),
                writes_acked: 10,
                changes_acked: 10,
                revokes_acked: 0,
                bank: None,
                versions,
                leases,
                sampled: None,
                replayed: None,
            },
        }
    }

    #[test]
    fn a_lost_version_is_seen() {
        let right = Versions { keys: 2, sum: 10, wrong: 0, newest: 11 };
        let check = |versions| checks(&[trial(Some(right), None), trial(Some(versions), None)]);
        assert!(check(right)[0].passed);
        for wrong in [
            Versions { sum: 9, ..right },
            Versions { sum: 11, ..right },
            Versions { wrong: 1, ..right },
            Versions { newest: 10, ..right },
        ] {
            let check = check(wrong).remove(0);
            assert!(!check.passed && check.detail.contains("after in block 3"), "{}", check.detail);
        }
        assert!(checks(&[trial(None, None)]).is_empty());
    }

    #[test]
    fn a_key_that_its_lease_forgot_is_seen() {
        let right = LeasesFound { leases: 1, attached: 2, wrong: 0 };
        assert!(checks(&[trial(None, Some(right))])[0].passed);
        let check = checks(&[trial(None, Some(LeasesFound { wrong: 1, ..right }))]).remove(0);
        assert!(!check.passed && check.detail.contains("after in block 3: 1 keys"));
    }
}
