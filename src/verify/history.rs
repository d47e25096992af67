//! What clients saw: one record for each operation, with when it was sent and when it was answered, on one clock.

use crate::model::{Body, LeaseId, MainRevision, Put, Request, RequestOp, Response};
use crate::units::Nanos;

/// One operation of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who sent it. A client sends one at a time, and none after one whose outcome it does not know.
    pub client: u64,
    /// What was asked.
    pub request: Request,
    /// When it was sent.
    pub invoked: Nanos,
    /// When the client heard of its end; meaningless unless there was an answer.
    pub returned: Nanos,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a client knows of an operation's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Done(Response),
    /// It surely was not executed.
    Refused,
    /// It was executed at some time after it was sent, or never.
    Unknown,
}

impl Operation {
    /// The answer, if there was one.
    pub fn response(&self) -> Option<&Response> {
        match &self.outcome {
            Outcome::Done(response) => Some(response),
            Outcome::Refused | Outcome::Unknown => None,
        }
    }

    /// Whether nobody knows if it was executed.
    pub fn is_unknown(&self) -> bool {
        self.outcome == Outcome::Unknown
    }
}

/// Whether the answer itself says that something was changed, and so has a revision of its own. A revoked lease does not say.
pub fn says_that_it_changed(response: &Response) -> bool {
    response.result.as_ref().is_ok_and(changed)
}

fn changed(body: &Body) -> bool {
    match body {
        Body::Put { .. } => true,
        Body::DeleteRange { deleted, .. } => *deleted > 0,
        Body::Txn { responses, .. } => responses.iter().any(|step| changed(&step.body)),
        _ => false,
    }
}

/// The leases that a request names in what it may write.
pub fn leases_of(request: &Request) -> Vec<LeaseId> {
    let mut leases = Vec::new();
    match request {
        Request::LeaseRevoke { id } => leases.push(*id),
        _ => each_put(request, &mut |put| leases.extend((put.lease != 0).then_some(put.lease))),
    }
    leases
}

/// Visits every write that a request may make, those of branches not taken too.
pub fn each_put<'a>(request: &'a Request, visit: &mut dyn FnMut(&'a Put)) {
    match request {
        Request::Put(put) => visit(put),
        Request::Txn(txn) => each_put_of(&txn.success, &txn.failure, visit),
        _ => {}
    }
}

fn each_put_of<'a>(
    success: &'a [RequestOp],
    failure: &'a [RequestOp],
    visit: &mut dyn FnMut(&'a Put),
) {
    for op in success.iter().chain(failure) {
        match op {
            RequestOp::Put(put) => visit(put),
            RequestOp::Txn(inner) => each_put_of(&inner.success, &inner.failure, visit),
            RequestOp::Range(_) | RequestOp::DeleteRange(_) => {}
        }
    }
}

/// Whether a request may delete `key`.
pub fn may_delete(request: &Request, key: &[u8]) -> bool {
    match request {
        Request::DeleteRange(delete) => delete.interval.contains(key),
        Request::Txn(txn) => {
            txn.success.iter().chain(&txn.failure).any(|op| op_may_delete(op, key))
        }
        // Which keys hang on it only the state knows.
        Request::LeaseRevoke { .. } => true,
        _ => false,
    }
}

fn op_may_delete(op: &RequestOp, key: &[u8]) -> bool {
    match op {
        RequestOp::DeleteRange(delete) => delete.interval.contains(key),
        RequestOp::Txn(inner) => {
            inner.success.iter().chain(&inner.failure).any(|op| op_may_delete(op, key))
        }
        RequestOp::Put(_) | RequestOp::Range(_) => false,
    }
}

/// The revision in an answer's header, which orders the history. Refusals over gRPC have no header, and count as of revision 0.
pub fn revision_of(operation: &Operation) -> Option<MainRevision> {
    operation.response().map(|response| response.revision).filter(|revision| *revision > 0)
}

/// Whether what was asked may be answered from a state that others are ahead of. So may a transaction that only reads so.
pub fn may_be_behind(request: &Request) -> bool {
    match request {
        Request::Range(range) => range.serializable,
        Request::Txn(txn) => {
            let mut steps = txn.success.iter().chain(&txn.failure).peekable();
            let is_so =
                |op: &RequestOp| matches!(op, RequestOp::Range(range) if range.serializable);
            steps.peek().is_some() && steps.all(is_so)
        }
        _ => false,
    }
}
