//! The state machine once more, as plainly as it can be written: what every store must answer.
//!
//! It shares only the vocabulary (`model`) with the stores. Nothing here is fast or clever on purpose: a key is a
//! list of versions, "as of revision r" is the last of them that is not newer, and a transaction first decides all it will
//! do and only then does it. A difference between this and a store is a bug in one of them, and this one can be read in a
//! few minutes.

use crate::model::{
    Alarm, AlarmKind, Body, Compare, CompareResult, DeleteRange, Event, EventKind, Interval,
    KeyValue, LEASE_TTL_MAX_S, LeaseId, LeaseStatus, MainRevision, OpResponse, Operand, Put, Range,
    RangeResult, Refusal, Request, RequestOp, Response, Revision, SortOrder, SortTarget, Txn,
};
use crate::store::Dump;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Shortest time to live that is granted, seconds.
const TTL_MIN_S: i64 = 2;

/// Later than any revision: what is there now, changes of the running request included.
const NOW: MainRevision = MainRevision::MAX;

/// The model of a store.
#[derive(Clone)]
pub struct Oracle {
    revision: MainRevision,
    compacted: MainRevision,
    /// Ascending by revision; as far back as reads are answered.
    keys: BTreeMap<Vec<u8>, Vec<Version>>,
    leases: BTreeMap<LeaseId, Lease>,
    alarms: BTreeSet<Alarm>,
    /// Every change since the compaction, without `prev_kv`.
    changes: Vec<Event>,
    /// Changes of the running request so far; the first of them takes a new revision.
    changes_of_request: u32,
}

/// What a key was from a revision on; `None` if it was deleted there.
#[derive(Clone)]
struct Version {
    main: MainRevision,
    kv: Option<KeyValue>,
}

#[derive(Clone, Default)]
struct Lease {
    ttl_s: i64,
    keys: BTreeSet<Vec<u8>>,
}

/// A transaction with its comparisons done: the branches taken, all the way down.
struct Decided<'a> {
    succeeded: bool,
    steps: Vec<Step<'a>>,
}

enum Step<'a> {
    Put(&'a Put),
    Range(&'a Range),
    DeleteRange(&'a DeleteRange),
    Txn(Decided<'a>),
}

impl Oracle {
    /// An empty store.
    #[expect(clippy::new_without_default, reason = "an empty store is a choice, not a default")]
    pub fn new() -> Oracle {
        Oracle {
            revision: 1,
            compacted: 0,
            keys: BTreeMap::new(),
            leases: BTreeMap::new(),
            alarms: BTreeSet::new(),
            changes: Vec::new(),
            changes_of_request: 0,
        }
    }

    /// Executes `request`, be it a read or a write.
    pub fn apply(&mut self, request: &Request) -> Response {
        self.changes_of_request = 0;
        let result = match self.refusal(request) {
            Some(refusal) => Err(refusal),
            None => self.execute_alone(request),
        };
        Response { revision: self.revision, result }
    }

    fn execute_alone(&mut self, request: &Request) -> Result<Body, Refusal> {
        match request {
            Request::Put(put) => self.put_alone(put),
            Request::Range(range) => self.range_alone(range),
            Request::DeleteRange(delete) => Ok(self.delete_range(delete)),
            Request::Txn(txn) => self.txn(txn),
            Request::Compact { revision } => self.compact(*revision),
            Request::LeaseGrant { id, ttl_s } => self.grant(*id, *ttl_s),
            Request::LeaseRevoke { id } => self.revoke(*id),
            Request::LeaseTimeToLive { id, keys } => {
                Ok(Body::LeaseTimeToLive(self.time_to_live(*id, *keys)))
            }
            Request::Leases => Ok(Body::Leases(self.leases.keys().copied().collect())),
            Request::AlarmActivate(alarm) => {
                self.alarms.insert(*alarm);
                Ok(Body::Alarms(vec![*alarm]))
            }
            Request::AlarmDeactivate(alarm) => {
                Ok(Body::Alarms(self.alarms.take(alarm).into_iter().collect()))
            }
            Request::Alarms => Ok(Body::Alarms(self.alarms.iter().copied().collect())),
        }
    }

    /// What the alarms forbid. A transaction that only reads is no write, and one that only deletes needs no space.
    fn refusal(&self, request: &Request) -> Option<Refusal> {
        let is_raised = |kind| self.alarms.iter().any(|alarm| alarm.kind == kind);
        let is_alarm = matches!(request, Request::AlarmActivate(_) | Request::AlarmDeactivate(_));
        if is_raised(AlarmKind::Corrupt) && request.is_write() && !is_alarm {
            return Some(Refusal::Corrupt);
        }
        let needs_space = match request {
            Request::Put(_) | Request::LeaseGrant { .. } => true,
            Request::Txn(txn) => has_put(txn),
            _ => false,
        };
        (is_raised(AlarmKind::NoSpace) && needs_space).then_some(Refusal::NoSpace)
    }

    /// Whether there is such a lease.
    pub fn has_lease(&self, id: LeaseId) -> bool {
        self.leases.contains_key(&id)
    }

    /// Keys that hang on a lease, ascending; nothing if there is no such lease.
    pub fn keys_of(&self, id: LeaseId) -> Option<Vec<Vec<u8>>> {
        Some(self.leases.get(&id)?.keys.iter().cloned().collect())
    }

    /// The whole state as of now.
    pub fn dump(&self) -> Dump {
        Dump {
            revision: self.revision,
            compacted: self.compacted,
            keys: self.present(&Interval::everything(), NOW).into_iter().cloned().collect(),
            leases: self.leases.keys().map(|id| self.time_to_live(*id, true)).collect(),
            alarms: self.alarms.iter().copied().collect(),
        }
    }

    /// Changes of the revisions `from..=to`, each with what was there before if that can still be read; the revision of the
    /// compaction if `from` is below it.
    pub fn events(&self, from: MainRevision, to: MainRevision) -> Result<Vec<Event>, MainRevision> {
        if from < self.compacted {
            return Err(self.compacted);
        }
        let start = self.changes.partition_point(|event| event.kv.mod_revision < from);
        let changes = self.changes.iter().skip(start);
        let wanted = changes.take_while(|event| event.kv.mod_revision <= to);
        Ok(wanted.map(|event| Event { prev_kv: self.before(event), ..event.clone() }).collect())
    }

    /// Main revision.
    pub fn revision(&self) -> MainRevision {
        self.revision
    }

    /// Revision of the last compaction, 0 if none.
    pub fn compacted(&self) -> MainRevision {
        self.compacted
    }

    /// What the key of `event` was one revision earlier. Not one change earlier: changes of one request have no
    /// "before" among themselves.
    fn before(&self, event: &Event) -> Option<KeyValue> {
        let revision = event.kv.mod_revision - 1;
        match revision >= 1 && revision >= self.compacted {
            true => self.get(&event.kv.key, revision).cloned(),
            false => None,
        }
    }

    // What there is.

    fn get(&self, key: &[u8], revision: MainRevision) -> Option<&KeyValue> {
        self.keys.get(key).and_then(|versions| as_of(versions, revision))
    }

    /// Keys of `interval` that lived at `revision`, ascending.
    fn present(&self, interval: &Interval, revision: MainRevision) -> Vec<&KeyValue> {
        let from = (Bound::Included(interval.key.as_slice()), Bound::Unbounded);
        let keys = self.keys.range::<[u8], _>(from);
        let within = keys.take_while(|(key, _)| interval.contains(key));
        within.filter_map(|(_, versions)| as_of(versions, revision)).collect()
    }

    // What changes. Every change of a key passes through `change`.

    /// The place of the next change; a request's first one opens a new revision.
    fn next_change(&mut self) -> Revision {
        if self.changes_of_request == 0 {
            self.revision += 1;
        }
        let sub = self.changes_of_request;
        self.changes_of_request += 1;
        Revision { main: self.revision, sub }
    }

    /// Sets what `key` is from `at` on, `None` for deleted, and moves it from its old lease to its new one.
    fn change(&mut self, key: &[u8], kv: Option<KeyValue>, at: Revision) {
        let old_lease = self.get(key, NOW).map_or(0, |old| old.lease);
        if let Some(lease) = self.leases.get_mut(&old_lease) {
            lease.keys.remove(key);
        }
        let new_lease = kv.as_ref().map_or(0, |kv| kv.lease);
        if let Some(lease) = self.leases.get_mut(&new_lease) {
            lease.keys.insert(key.to_vec());
        }
        self.changes.push(event(key, kv.as_ref(), at));
        self.keys.entry(key.to_vec()).or_default().push(Version { main: at.main, kv });
    }

    fn put(&mut self, put: &Put) -> Body {
        let old = self.get(&put.key, NOW).cloned();
        let at = self.next_change();
        let mut kv = KeyValue {
            key: put.key.clone(),
            value: put.value.clone(),
            create_revision: at.main,
            mod_revision: at.main,
            version: 1,
            lease: put.lease,
        };
        if let Some(old) = &old {
            kv.create_revision = old.create_revision;
            kv.version = old.version + 1;
            if put.ignore_value {
                kv.value.clone_from(&old.value);
            }
            if put.ignore_lease {
                kv.lease = old.lease;
            }
        }
        self.change(&put.key, Some(kv), at);
        Body::Put { prev_kv: old.filter(|_| put.prev_kv) }
    }

    fn delete_range(&mut self, delete: &DeleteRange) -> Body {
        let gone = self.present(&delete.interval, NOW);
        let gone: Vec<KeyValue> = gone.into_iter().cloned().collect();
        for kv in &gone {
            let at = self.next_change();
            self.change(&kv.key, None, at);
        }
        let deleted = count(gone.len());
        Body::DeleteRange { deleted, prev_kvs: if delete.prev_kv { gone } else { Vec::new() } }
    }

    // Requests that stand alone.

    fn put_alone(&mut self, put: &Put) -> Result<Body, Refusal> {
        self.check_lease(put)?;
        self.check_kept(put)?;
        Ok(self.put(put))
    }

    fn range_alone(&self, range: &Range) -> Result<Body, Refusal> {
        self.check_revision(range)?;
        Ok(self.range(range))
    }

    fn compact(&mut self, revision: MainRevision) -> Result<Body, Refusal> {
        if revision > self.revision {
            return Err(Refusal::FutureRevision);
        }
        if revision <= self.compacted {
            return Err(Refusal::Compacted);
        }
        self.compacted = revision;
        self.forget();
        Ok(Body::Compact)
    }

    /// Drops what can no longer be asked for: changes before the compaction, and versions that were superseded by then.
    fn forget(&mut self) {
        let compacted = self.compacted;
        self.changes.retain(|event| event.kv.mod_revision >= compacted);
        for versions in self.keys.values_mut() {
            let old = versions.partition_point(|version| version.main <= compacted);
            versions.drain(..old.saturating_sub(1));
        }
        self.keys.retain(|_, versions| {
            !versions.iter().all(|version| version.kv.is_none() && version.main <= compacted)
        });
    }

    fn grant(&mut self, id: LeaseId, ttl_s: i64) -> Result<Body, Refusal> {
        if id == 0 {
            return Err(Refusal::LeaseNotFound);
        }
        if ttl_s > LEASE_TTL_MAX_S {
            return Err(Refusal::LeaseTtlTooLarge);
        }
        if self.leases.contains_key(&id) {
            return Err(Refusal::LeaseExists);
        }
        let ttl_s = ttl_s.max(TTL_MIN_S);
        self.leases.insert(id, Lease { ttl_s, keys: BTreeSet::new() });
        Ok(Body::LeaseGrant { id, ttl_s })
    }

    fn revoke(&mut self, id: LeaseId) -> Result<Body, Refusal> {
        let lease = self.leases.remove(&id).ok_or(Refusal::LeaseNotFound)?;
        for key in &lease.keys {
            let at = self.next_change();
            self.change(key, None, at);
        }
        Ok(Body::LeaseRevoke)
    }

    fn time_to_live(&self, id: LeaseId, keys: bool) -> LeaseStatus {
        match self.leases.get(&id) {
            None => LeaseStatus { id, granted_ttl_s: -1, keys: Vec::new() },
            Some(lease) => LeaseStatus {
                id,
                granted_ttl_s: lease.ttl_s,
                keys: lease.keys.iter().filter(|_| keys).cloned().collect(),
            },
        }
    }

    // Reasons to refuse.

    fn check_lease(&self, put: &Put) -> Result<(), Refusal> {
        match put.lease == 0 || self.leases.contains_key(&put.lease) {
            true => Ok(()),
            false => Err(Refusal::LeaseNotFound),
        }
    }

    /// What `put` wants to keep must be there.
    fn check_kept(&self, put: &Put) -> Result<(), Refusal> {
        let keeps = put.ignore_value || put.ignore_lease;
        match keeps && self.get(&put.key, NOW).is_none() {
            true => Err(Refusal::KeyNotFound),
            false => Ok(()),
        }
    }

    fn check_revision(&self, range: &Range) -> Result<(), Refusal> {
        if range.revision > self.revision {
            return Err(Refusal::FutureRevision);
        }
        match range.revision > 0 && range.revision < self.compacted {
            true => Err(Refusal::Compacted),
            false => Ok(()),
        }
    }

    // Transactions: decide, check, do. Only the last step changes anything, so the first two see the state before.

    fn txn(&mut self, txn: &Txn) -> Result<Body, Refusal> {
        let decided = self.decide(txn);
        self.check(&decided)?;
        Ok(self.execute(&decided))
    }

    fn decide<'a>(&self, txn: &'a Txn) -> Decided<'a> {
        let succeeded = txn.compares.iter().all(|compare| self.holds(compare));
        let ops = if succeeded { &txn.success } else { &txn.failure };
        let steps = ops.iter().map(|op| match op {
            RequestOp::Put(put) => Step::Put(put),
            RequestOp::Range(range) => Step::Range(range),
            RequestOp::DeleteRange(delete) => Step::DeleteRange(delete),
            RequestOp::Txn(inner) => Step::Txn(self.decide(inner)),
        });
        Decided { succeeded, steps: steps.collect() }
    }

    fn holds(&self, compare: &Compare) -> bool {
        let present = self.present(&compare.interval, NOW);
        if present.is_empty() {
            let is_value = matches!(compare.operand, Operand::Value(_));
            return !is_value && holds_for(compare, &KeyValue::default());
        }
        present.into_iter().all(|kv| holds_for(compare, kv))
    }

    /// Note the order at a put: the reverse of a put that stands alone, as in etcd.
    fn check(&self, decided: &Decided<'_>) -> Result<(), Refusal> {
        decided.steps.iter().try_for_each(|step| match step {
            Step::Put(put) => self.check_kept(put).and_then(|()| self.check_lease(put)),
            Step::Range(range) => self.check_revision(range),
            Step::DeleteRange(_) => Ok(()),
            Step::Txn(inner) => self.check(inner),
        })
    }

    fn execute(&mut self, decided: &Decided<'_>) -> Body {
        let mut responses = Vec::new();
        for step in &decided.steps {
            let body = match step {
                Step::Put(put) => self.put(put),
                Step::Range(range) => self.range(range),
                Step::DeleteRange(delete) => self.delete_range(delete),
                Step::Txn(inner) => self.execute(inner),
            };
            responses.push(OpResponse { revision: self.revision, body });
        }
        Body::Txn { succeeded: decided.succeeded, responses }
    }

    // Reads.

    fn range(&self, range: &Range) -> Body {
        let revision = if range.revision > 0 { range.revision } else { NOW };
        let mut kvs = self.present(&range.interval, revision);
        let total = count(kvs.len());
        if range.count_only {
            return Body::Range(RangeResult { count: total, ..RangeResult::default() });
        }
        let has_filters = [
            range.min_mod_revision,
            range.max_mod_revision,
            range.min_create_revision,
            range.max_create_revision,
        ] != [0; 4];
        if range.limit > 0 && range.sort_order == SortOrder::None && !has_filters {
            // etcd fetches one more than the limit and sorts just those, whatever the target.
            kvs.truncate(usize::try_from(range.limit + 1).unwrap_or(usize::MAX));
        }
        kvs.retain(|kv| passes(range, kv));
        kvs.sort_by(|a, b| order(range, a, b));
        let more = range.limit > 0 && count(kvs.len()) > range.limit;
        if more {
            kvs.truncate(usize::try_from(range.limit).unwrap_or(usize::MAX));
        }
        let kvs = kvs.into_iter().map(|kv| shown(range, kv)).collect();
        Body::Range(RangeResult { kvs, more, count: total })
    }
}

/// In either list, however deep.
fn has_put(txn: &Txn) -> bool {
    txn.success.iter().chain(&txn.failure).any(|op| match op {
        RequestOp::Put(_) => true,
        RequestOp::Txn(inner) => has_put(inner),
        RequestOp::Range(_) | RequestOp::DeleteRange(_) => false,
    })
}

fn count(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

fn as_of(versions: &[Version], revision: MainRevision) -> Option<&KeyValue> {
    let newer = versions.partition_point(|version| version.main <= revision);
    versions[..newer].last().and_then(|version| version.kv.as_ref())
}

fn event(key: &[u8], kv: Option<&KeyValue>, at: Revision) -> Event {
    let (kind, kv) = match kv {
        Some(kv) => (EventKind::Put, kv.clone()),
        None => {
            let name = KeyValue { key: key.to_vec(), ..KeyValue::default() };
            (EventKind::Delete, KeyValue { mod_revision: at.main, ..name })
        }
    };
    Event { kind, kv, prev_kv: None, sub: at.sub }
}

fn holds_for(compare: &Compare, kv: &KeyValue) -> bool {
    let order = match &compare.operand {
        Operand::Version(version) => kv.version.cmp(version),
        Operand::Create(revision) => kv.create_revision.cmp(revision),
        Operand::Mod(revision) => kv.mod_revision.cmp(revision),
        Operand::Value(value) => kv.value.cmp(value),
        Operand::Lease(lease) => kv.lease.cmp(lease),
    };
    match compare.result {
        CompareResult::Equal => order == Ordering::Equal,
        CompareResult::Greater => order == Ordering::Greater,
        CompareResult::Less => order == Ordering::Less,
        CompareResult::NotEqual => order != Ordering::Equal,
    }
}

fn passes(range: &Range, kv: &KeyValue) -> bool {
    let within = |revision: MainRevision, min: MainRevision, max: MainRevision| {
        (min == 0 || revision >= min) && (max == 0 || revision <= max)
    };
    within(kv.mod_revision, range.min_mod_revision, range.max_mod_revision)
        && within(kv.create_revision, range.min_create_revision, range.max_create_revision)
}

/// Ties are equal in either direction, so that a stable sort leaves them ascending by key.
fn order(range: &Range, a: &KeyValue, b: &KeyValue) -> Ordering {
    let ascending = match range.sort_target {
        SortTarget::Key => a.key.cmp(&b.key),
        SortTarget::Version => a.version.cmp(&b.version),
        SortTarget::Create => a.create_revision.cmp(&b.create_revision),
        SortTarget::Mod => a.mod_revision.cmp(&b.mod_revision),
        SortTarget::Value => a.value.cmp(&b.value),
    };
    match range.sort_order {
        SortOrder::None | SortOrder::Ascend => ascending,
        SortOrder::Descend => ascending.reverse(),
    }
}

fn shown(range: &Range, kv: &KeyValue) -> KeyValue {
    let mut kv = kv.clone();
    if range.keys_only {
        kv.value.clear();
    }
    kv
}
