//! What evaluating a request gave: the versions it wrote, and its answer in terms of versions. Both hold stamps until
//! the request is published.

use super::kv::Kv;
use super::publication::Around;
use super::range::Found;
use crate::model::{Alarm, Body, LeaseId, OpResponse, Refusal, Response};
use smallvec::SmallVec;

/// Everything that came of a request.
#[derive(Debug)]
pub(super) struct Effects {
    /// In the order of execution; a request that has any uses up a revision.
    pub(super) changes: SmallVec<[Change; 1]>,
    /// What happened to leases besides what `changes` say.
    pub(super) lease: LeaseChange,
    /// The answer.
    pub(super) outcome: Result<Outcome, Refusal>,
}

/// A version and the live one it replaced.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) kv: Kv,
    pub(super) prev: Option<Kv>,
}

/// What happened to a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeaseChange {
    None,
    Granted { id: LeaseId, ttl_s: i64 },
    Revoked { id: LeaseId },
}

impl LeaseChange {
    pub(super) fn is_some(self) -> bool {
        self != LeaseChange::None
    }
}

/// What happened to alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AlarmChange {
    None,
    Raised(Alarm),
    Ended(Alarm),
}

/// An answer in terms of versions.
#[derive(Debug)]
pub(super) enum Outcome {
    Put {
        prev: Option<Kv>,
    },
    Range(Found),
    DeleteRange {
        deleted: i64,
        prevs: Vec<Kv>,
    },
    Txn {
        succeeded: bool,
        steps: Vec<Step>,
    },
    /// One that holds nothing of versions.
    Other(Body),
}

/// The answer to one step of a transaction.
#[derive(Debug)]
pub(super) struct Step {
    /// Whether anything was changed by then.
    pub(super) changed: bool,
    pub(super) outcome: Outcome,
}

impl Effects {
    /// Those of a request that was not executed.
    pub(super) fn refused(refusal: Refusal) -> Effects {
        Effects { changes: SmallVec::new(), lease: LeaseChange::None, outcome: Err(refusal) }
    }

    pub(super) fn changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Whether the lease table has to follow.
    pub(super) fn concern_leases(&self) -> bool {
        self.lease.is_some()
            || self.changes.iter().any(|change| {
                change.kv.lease() != 0 || change.prev.as_ref().is_some_and(|prev| prev.lease() != 0)
            })
    }

    /// The answer; stamps must be settled.
    pub(super) fn response(self, around: Around) -> Response {
        let result = self.outcome.map(|outcome| outcome.body(around));
        Response { revision: around.after, result }
    }
}

impl Outcome {
    fn body(self, around: Around) -> Body {
        match self {
            Outcome::Put { prev } => Body::Put { prev_kv: prev.as_ref().map(Kv::key_value) },
            Outcome::Range(found) => Body::Range(found.result()),
            Outcome::DeleteRange { deleted, prevs } => {
                Body::DeleteRange { deleted, prev_kvs: prevs.iter().map(Kv::key_value).collect() }
            }
            Outcome::Txn { succeeded, steps } => {
                let response = |step: Step| OpResponse {
                    revision: if step.changed { around.after } else { around.before },
                    body: step.outcome.body(around),
                };
                Body::Txn { succeeded, responses: steps.into_iter().map(response).collect() }
            }
            Outcome::Other(body) => body,
        }
    }
}
