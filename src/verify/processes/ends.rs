//! What members have once everything is well again: every change, as one tells it to a watcher, and the whole state of each, as it is read
//! there.

use super::group::Group;
use super::wire::Wire;
use crate::model::{
    Alarm, Body, Event, Interval, LeaseStatus, MainRevision, Range, RangeResult, Request,
};
use crate::raft::MemberId;
use crate::rpc::etcdserverpb::{HashKvRequest, HashKvResponse};
use crate::store::Dump;
use crate::units::Nanos;
use crate::verify::faults::system::{Called, End, Told, Way};
use std::sync::Arc;
use std::time::Duration;

/// How long the whole history may take to be told.
const TRUTH_MAX: Nanos = Nanos::from_millis(60_000);
/// Attempts at a question: a host that stands still for a while is nobody's fault.
const ATTEMPTS: u32 = 20;
/// How long a hash of all keys may take.
const HASH_MAX: Duration = Duration::from_secs(5);

/// All of it, or why members do not agree.
pub(super) fn of(group: &Group, way: &mut Wire<'_>) -> Result<End, String> {
    let silent = |me: MemberId| format!("member {me} does not answer any more");
    let revision = again(|| way.revision(1)).ok_or_else(|| silent(1))?;
    let truth = truth(group, way, revision)?;
    let mut hashes = Vec::new();
    let mut members = Vec::new();
    for me in group.all() {
        let hash = again(|| hash(way, me, revision)).ok_or_else(|| silent(me))?;
        hashes.push(hash.hash);
        let dump = again(|| dump(way, me, hash.compact_revision)).ok_or_else(|| silent(me))?;
        members.push((format!("member {me}"), dump));
    }
    match hashes.iter().all(|hash| *hash == hashes[0]) {
        true => Ok(End { truth, members }),
        false => Err(format!("the members' hashes at revision {revision} differ: {hashes:?}")),
    }
}

fn again<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    (0..ATTEMPTS).find_map(|_| ask())
}

fn hash(way: &mut Wire<'_>, me: MemberId, revision: MainRevision) -> Option<HashKvResponse> {
    let asked = HashKvRequest { revision };
    way.ask(me, "/etcdserverpb.Maintenance/HashKV", &asked, HASH_MAX)
}

/// Every change up to `last`, as the first member tells it.
fn truth(group: &Group, way: &mut Wire<'_>, last: MainRevision) -> Result<Vec<Event>, String> {
    let began = group.clock.now();
    let mut truth: Vec<Event> = Vec::new();
    if last < 2 {
        return Ok(truth);
    }
    let cannot = || "member 1 does not tell its history".to_owned();
    let mut stream = again(|| way.watch_all(1)).ok_or_else(cannot)?;
    while truth.last().is_none_or(|event| event.kv.mod_revision < last) {
        match way.told(&mut stream) {
            Some(Told::Events(told)) => {
                let events = told.into_iter().flat_map(|(_, events)| events);
                truth.extend(events.map(Arc::unwrap_or_clone));
            }
            Some(Told::Progress(_)) => {}
            // It was late or has ended: from the beginning.
            None => {
                truth.clear();
                stream = again(|| way.watch_all(1)).ok_or_else(cannot)?;
            }
        }
        if group.clock.now().since(began) > TRUTH_MAX {
            return Err(cannot());
        }
    }
    Ok(truth)
}

fn dump(way: &mut Wire<'_>, me: MemberId, compacted: MainRevision) -> Option<Dump> {
    let here = Range { interval: Interval::everything(), serializable: true, ..Range::default() };
    let (revision, keys) = match answer(way, me, Request::Range(here))? {
        (revision, Body::Range(RangeResult { kvs, .. })) => (revision, kvs),
        _ => return None,
    };
    let ids = match answer(way, me, Request::Leases)? {
        (_, Body::Leases(ids)) => ids,
        _ => return None,
    };
    let leases = ids.into_iter().map(|id| lease(way, me, id)).collect::<Option<Vec<_>>>()?;
    let alarms: Vec<Alarm> = match answer(way, me, Request::Alarms)? {
        (_, Body::Alarms(alarms)) => alarms,
        _ => return None,
    };
    Some(Dump { revision, compacted, keys, leases, alarms })
}

/// Its keys are the leader's account: which hang on it by this member's own is in the keys.
fn lease(way: &mut Wire<'_>, me: MemberId, id: i64) -> Option<LeaseStatus> {
    match answer(way, me, Request::LeaseTimeToLive { id, keys: true })? {
        (_, Body::LeaseTimeToLive(status)) => Some(status),
        _ => None,
    }
}

fn answer(way: &mut Wire<'_>, me: MemberId, request: Request) -> Option<(MainRevision, Body)> {
    match way.call(me, request) {
        Called::Answered(response) => Some((response.revision, response.result.ok()?)),
        Called::Refused | Called::Unknown => None,
    }
}
