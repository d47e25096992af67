//! What each request does, written once for both paths and both engines. Whoever calls holds the locks of everything
//! the request may touch (`footprint`), so the newest state is the state before it.
//!
//! New versions carry the caller's stamp. A stamp compares like the revision it will become with any number a client can
//! know; a request that names a number beyond that is run alone, with its revision in place of a stamp.

use super::compare;
use super::effects::{Change, Effects, LeaseChange, Outcome, Step};
use super::kv::{Kv, Written};
use super::look::{At, Flow, Look};
use super::range::{self, Bounds};
use crate::model::{
    Body, DeleteRange, LEASE_TTL_MAX_S, LeaseId, MainRevision, Put, Range, Refusal, Request,
    RequestOp, Txn,
};
use smallvec::SmallVec;
use std::borrow::Cow;

/// Shorter times to live are raised to this, seconds: etcd's minimum, one and a half election timeouts rounded up.
const LEASE_TTL_MIN_S: i64 = 2;

/// The state under the caller's locks.
pub(super) trait State: Look {
    /// Makes the newest version of `key`.
    fn write(&mut self, key: &[u8], value: Cow<'_, [u8]>, written: Written) -> Kv;

    /// Whether there is such a lease, before this request.
    fn lease_exists(&mut self, id: LeaseId) -> bool;

    /// Every key that may hang on lease `id` and some that may not, ascending.
    fn keys_of_lease(&mut self, id: LeaseId) -> Vec<Vec<u8>>;

    /// The bug of the store.
    #[cfg(feature = "seeded-bugs")]
    fn seeded(&self) -> super::seeded::Seeded;
}

/// What a request is evaluated with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// What new versions are marked with.
    pub(super) stamp: MainRevision,
    /// The revisions it may name.
    pub(super) bounds: Bounds,
}

/// Executes `request`. Compactions and alarms are not for here: they change no key.
pub(super) fn evaluate(request: Request, state: &mut impl State, turn: Turn) -> Effects {
    let mut evaluation = Evaluation { state, turn, changes: SmallVec::new() };
    let mut lease = LeaseChange::None;
    let outcome = match request {
        Request::Put(put) => evaluation.checked_put(put),
        Request::Range(range) => evaluation.range(&range).map(Outcome::Range),
        Request::DeleteRange(delete) => Ok(evaluation.delete_range(&delete)),
        Request::Txn(txn) => evaluation.txn(txn),
        Request::LeaseGrant { id, ttl_s } => evaluation.grant(id, ttl_s, &mut lease),
        Request::LeaseRevoke { id } => evaluation.revoke(id, &mut lease),
        Request::Compact { .. }
        | Request::LeaseTimeToLive { .. }
        | Request::Leases
        | Request::AlarmActivate(_)
        | Request::AlarmDeactivate(_)
        | Request::Alarms => {
            unreachable!("neither compactions nor alarms nor questions about leases are evaluated")
        }
    };
    Effects { changes: evaluation.changes, lease, outcome }
}

struct Evaluation<'s, S> {
    state: &'s mut S,
    turn: Turn,
    changes: SmallVec<[Change; 1]>,
}

impl<S: State> Evaluation<'_, S> {
    fn checked_put(&mut self, put: Put) -> Result<Outcome, Refusal> {
        if put.lease != 0 && !self.state.lease_exists(put.lease) {
            return Err(Refusal::LeaseNotFound);
        }
        let old = self.state.get(&put.key, At::Now);
        if old.is_none() && (put.ignore_value || put.ignore_lease) {
            return Err(Refusal::KeyNotFound);
        }
        Ok(self.put(put, old))
    }

    /// `old`: the live version there is.
    fn put(&mut self, put: Put, old: Option<Kv>) -> Outcome {
        let before = old.as_ref();
        let written = Written {
            create: before.map_or(self.turn.stamp, Kv::create),
            modified: self.turn.stamp,
            version: before.map_or(0, Kv::version) + 1,
            lease: match before {
                Some(old) if put.ignore_lease => old.lease(),
                _ => put.lease,
            },
            sub: self.next_sub(),
        };
        let value = match before {
            Some(old) if put.ignore_value => old.value(),
            _ => Cow::Owned(put.value),
        };
        let kv = self.state.write(&put.key, value, written);
        let prev = put.prev_kv.then(|| old.clone().map(Kv::taken_down)).flatten();
        self.changes.push(Change { kv, prev: old });
        Outcome::Put { prev }
    }

    fn range(&self, range: &Range) -> Result<range::Found, Refusal> {
        let at = self.turn.bounds.at(range.revision, At::Now)?;
        Ok(range::find(self.state, range, at))
    }

    fn delete_range(&mut self, delete: &DeleteRange) -> Outcome {
        let mut doomed = Vec::new();
        self.state.each(&delete.interval, At::Now, &mut |kv| {
            doomed.push(kv);
            Flow::On
        });
        let prevs = match delete.prev_kv {
            true => doomed.iter().cloned().map(Kv::taken_down).collect(),
            false => Vec::new(),
        };
        let deleted = doomed.len() as i64;
        // Seeded bug: UnsortedRangeDelete.
        #[cfg(feature = "seeded-bugs")]
        self.state.seeded().disorder(&mut doomed);
        doomed.into_iter().for_each(|kv| self.delete(kv));
        Outcome::DeleteRange { deleted, prevs }
    }

    fn delete(&mut self, old: Kv) {
        let written = Written {
            create: 0,
            modified: self.turn.stamp,
            version: 0,
            lease: 0,
            sub: self.next_sub(),
        };
        let kv = self.state.write(old.key(), Cow::Borrowed(&[]), written);
        self.changes.push(Change { kv, prev: Some(old) });
    }

    fn next_sub(&self) -> u32 {
        self.changes.len() as u32
    }

    fn txn(&mut self, txn: Txn) -> Result<Outcome, Refusal> {
        let path = compare::path(self.state, &txn, At::Now);
        self.check(&txn, &mut path.iter())?;
        Ok(self.run(txn, &mut path.iter()))
    }

    /// Finds out whether any step on the way that is taken would be refused, before the first one changes anything.
    fn check(&mut self, txn: &Txn, path: &mut std::slice::Iter<'_, bool>) -> Result<(), Refusal> {
        for op in compare::taken(txn, next(path)) {
            match op {
                RequestOp::Put(put) => self.check_put(put)?,
                RequestOp::Range(range) => {
                    self.turn.bounds.at(range.revision, At::Now)?;
                }
                RequestOp::DeleteRange(_) => {}
                RequestOp::Txn(inner) => self.check(inner, path)?,
            }
        }
        Ok(())
    }

    fn check_put(&mut self, put: &Put) -> Result<(), Refusal> {
        let needs_key = put.ignore_value || put.ignore_lease;
        if needs_key && self.state.get(&put.key, At::Now).is_none() {
            return Err(Refusal::KeyNotFound);
        }
        if put.lease != 0 && !self.state.lease_exists(put.lease) {
            return Err(Refusal::LeaseNotFound);
        }
        Ok(())
    }

    fn run(&mut self, txn: Txn, path: &mut std::slice::Iter<'_, bool>) -> Outcome {
        let succeeded = next(path);
        let ops = if succeeded { txn.success } else { txn.failure };
        let steps = ops.into_iter().map(|op| self.step(op, path)).collect();
        Outcome::Txn { succeeded, steps }
    }

    fn step(&mut self, op: RequestOp, path: &mut std::slice::Iter<'_, bool>) -> Step {
        let outcome = match op {
            RequestOp::Put(put) => {
                let old = self.state.get(&put.key, At::Now);
                self.put(put, old)
            }
            RequestOp::Range(range) => {
                Outcome::Range(self.range(&range).expect("its revision was checked"))
            }
            RequestOp::DeleteRange(delete) => self.delete_range(&delete),
            RequestOp::Txn(inner) => self.run(inner, path),
        };
        Step { changed: !self.changes.is_empty(), outcome }
    }

    fn grant(
        &mut self,
        id: LeaseId,
        ttl_s: i64,
        change: &mut LeaseChange,
    ) -> Result<Outcome, Refusal> {
        let ttl_s = granted_ttl(id, ttl_s, |id| self.state.lease_exists(id))?;
        *change = LeaseChange::Granted { id, ttl_s };
        Ok(Outcome::Other(Body::LeaseGrant { id, ttl_s }))
    }

    fn revoke(&mut self, id: LeaseId, change: &mut LeaseChange) -> Result<Outcome, Refusal> {
        if !self.state.lease_exists(id) {
            return Err(Refusal::LeaseNotFound);
        }
        *change = LeaseChange::Revoked { id };
        for key in self.state.keys_of_lease(id) {
            let old = self.state.get(&key, At::Now);
            if let Some(old) = old.filter(|old| old.lease() == id) {
                self.delete(old);
            }
        }
        Ok(Outcome::Other(Body::LeaseRevoke))
    }
}

fn next(path: &mut std::slice::Iter<'_, bool>) -> bool {
    *path.next().expect("every transaction on the way was decided")
}

/// Whether `request` is a grant that will be granted.
pub(super) fn is_granted(request: &Request, exists: impl FnOnce(LeaseId) -> bool) -> bool {
    match request {
        Request::LeaseGrant { id, ttl_s } => granted_ttl(*id, *ttl_s, exists).is_ok(),
        _ => false,
    }
}

/// The time to live that lease `id` is granted, or why it is not.
fn granted_ttl(
    id: LeaseId,
    ttl_s: i64,
    exists: impl FnOnce(LeaseId) -> bool,
) -> Result<i64, Refusal> {
    if id == 0 {
        return Err(Refusal::LeaseNotFound);
    }
    if ttl_s > LEASE_TTL_MAX_S {
        return Err(Refusal::LeaseTtlTooLarge);
    }
    if exists(id) {
        return Err(Refusal::LeaseExists);
    }
    Ok(ttl_s.max(LEASE_TTL_MIN_S))
}
