//! What a server refuses before it proposes anything, as etcd's gRPC layer does. The state machine may be sent
//! such requests all the same and then still does the same on every replica.

use super::{
    DeleteRange, Interval, LEASE_TTL_MAX_S, Put, Range, Refusal, Request, RequestOp, Txn, codec,
};
use std::collections::HashSet;

/// Most comparisons, and most steps of either list, that a transaction may have, nested ones included (etcd's default).
pub const OPS_MAX: usize = 128;

/// Largest request, encoded (etcd's default: 1.5 MiB).
pub const REQUEST_BYTES_MAX: usize = 1_572_864;

/// Whether a server takes `request` at all.
pub fn validate(request: &Request) -> Result<(), Refusal> {
    match request {
        Request::Put(put) => validate_put(put)?,
        Request::Range(range) => validate_range(range)?,
        Request::DeleteRange(delete) => validate_delete(delete)?,
        Request::Txn(txn) => {
            validate_txn(txn, OPS_MAX)?;
            changed_keys(&txn.success)?;
            changed_keys(&txn.failure)?;
        }
        Request::LeaseGrant { ttl_s, .. } if *ttl_s > LEASE_TTL_MAX_S => {
            return Err(Refusal::LeaseTtlTooLarge);
        }
        Request::Compact { .. }
        | Request::LeaseGrant { .. }
        | Request::LeaseRevoke { .. }
        | Request::LeaseTimeToLive { .. }
        | Request::Leases
        | Request::AlarmActivate(_)
        | Request::AlarmDeactivate(_)
        | Request::Alarms => {}
    }
    match is_surely_small(request) || codec::encode(request).len() <= REQUEST_BYTES_MAX {
        true => Ok(()),
        false => Err(Refusal::TooLarge),
    }
}

/// Saves encoding what cannot be too large.
fn is_surely_small(request: &Request) -> bool {
    match request {
        Request::Put(put) => put.key.len() + put.value.len() < REQUEST_BYTES_MAX - 64,
        Request::Txn(_) => false,
        Request::Range(Range { interval, .. })
        | Request::DeleteRange(DeleteRange { interval, .. }) => {
            interval.key.len() + interval.range_end.len() < REQUEST_BYTES_MAX - 128
        }
        _ => true,
    }
}

fn has_key(key: &[u8]) -> Result<(), Refusal> {
    if key.is_empty() { Err(Refusal::EmptyKey) } else { Ok(()) }
}

fn validate_put(put: &Put) -> Result<(), Refusal> {
    has_key(&put.key)?;
    if put.ignore_value && !put.value.is_empty() {
        return Err(Refusal::ValueProvided);
    }
    if put.ignore_lease && put.lease != 0 {
        return Err(Refusal::LeaseProvided);
    }
    Ok(())
}

fn validate_range(range: &Range) -> Result<(), Refusal> {
    has_key(&range.interval.key)
}

fn validate_delete(delete: &DeleteRange) -> Result<(), Refusal> {
    has_key(&delete.interval.key)
}

/// `ops_max`: what the transactions around it leave.
fn validate_txn(txn: &Txn, ops_max: usize) -> Result<(), Refusal> {
    let ops = txn.compares.len().max(txn.success.len()).max(txn.failure.len());
    if ops > ops_max {
        return Err(Refusal::TooManyOps);
    }
    txn.compares.iter().try_for_each(|compare| has_key(&compare.interval.key))?;
    txn.success.iter().chain(&txn.failure).try_for_each(|op| match op {
        RequestOp::Put(put) => validate_put(put),
        RequestOp::Range(range) => validate_range(range),
        RequestOp::DeleteRange(delete) => validate_delete(delete),
        RequestOp::Txn(inner) => validate_txn(inner, ops_max - ops),
    })
}

/// What a list of steps would change, whichever branches it takes.
#[derive(Default)]
struct Changed<'a> {
    puts: HashSet<&'a [u8]>,
    deletes: Vec<&'a Interval>,
}

impl<'a> Changed<'a> {
    /// Counts a put; refused if another put or a delete may change the same key.
    fn put(&mut self, key: &'a [u8]) -> Result<(), Refusal> {
        let is_deleted = self.deletes.iter().any(|interval| interval.contains(key));
        match !is_deleted && self.puts.insert(key) {
            true => Ok(()),
            false => Err(Refusal::DuplicateKey),
        }
    }
}

/// Every key that `ops` may change, refused if one may be changed twice: put twice, or put and deleted. The two lists
/// of a transaction within exclude each other, so they may share keys.
fn changed_keys(ops: &[RequestOp]) -> Result<Changed<'_>, Refusal> {
    let mut changed = Changed::default();
    for op in ops {
        if let RequestOp::DeleteRange(delete) = op {
            changed.deletes.push(&delete.interval);
        }
    }
    for op in ops {
        if let RequestOp::Txn(inner) = op {
            let success = changed_keys(&inner.success)?;
            let failure = changed_keys(&inner.failure)?;
            success.puts.iter().try_for_each(|key| changed.put(key))?;
            let only_failure = failure.puts.difference(&success.puts);
            only_failure.into_iter().try_for_each(|key| changed.put(key))?;
            changed.deletes.extend(success.deletes);
            changed.deletes.extend(failure.deletes);
        }
    }
    for op in ops {
        if let RequestOp::Put(put) = op {
            changed.put(&put.key)?;
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Compare, CompareResult, Operand};

    fn put(key: &str) -> RequestOp {
        RequestOp::Put(Put { key: key.into(), ..Put::default() })
    }

    fn delete(key: &str, end: &str) -> RequestOp {
        let interval = Interval::between(key, end);
        RequestOp::DeleteRange(DeleteRange { interval, prev_kv: false })
    }

    fn txn(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> Txn {
        Txn { compares: Vec::new(), success, failure }
    }

    fn nested(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> RequestOp {
        RequestOp::Txn(txn(success, failure))
    }

    #[test]
    fn a_key_may_be_changed_once_only() {
        let refused = Err(Refusal::DuplicateKey);
        for (ops, expected) in [
            (vec![put("a"), put("b")], Ok(())),
            (vec![put("a"), put("a")], refused),
            (vec![put("a"), delete("a", "")], refused),
            (vec![delete("a", "c"), put("b")], refused),
            (vec![delete("a", "c"), put("c")], Ok(())),
            (vec![delete("a", "c"), delete("b", "d")], Ok(())),
            (vec![nested(vec![put("a")], vec![put("a")])], Ok(())),
            (vec![nested(vec![put("a")], vec![]), put("a")], refused),
            (vec![nested(vec![put("a")], vec![]), nested(vec![], vec![put("a")])], refused),
            (vec![delete("a", ""), nested(vec![], vec![put("a")])], refused),
            (vec![nested(vec![delete("a", "")], vec![]), put("a")], refused),
        ] {
            let request = Request::Txn(txn(ops.clone(), Vec::new()));
            assert_eq!(validate(&request), expected, "{ops:?}");
            assert_eq!(validate(&Request::Txn(txn(Vec::new(), ops))), expected);
        }
        assert_eq!(validate(&Request::Txn(txn(vec![put("a")], vec![put("a")]))), Ok(()));
    }

    #[test]
    fn operations_are_counted_through_the_nesting() {
        let many = |count: usize| (0..count).map(|n| put(&n.to_string())).collect::<Vec<_>>();
        assert_eq!(validate(&Request::Txn(txn(many(128), many(128)))), Ok(()));
        assert_eq!(validate(&Request::Txn(txn(many(129), vec![]))), Err(Refusal::TooManyOps));
        let within = |count| Request::Txn(txn(vec![nested(many(count), vec![])], vec![]));
        assert_eq!(validate(&within(127)), Ok(()));
        assert_eq!(validate(&within(128)), Err(Refusal::TooManyOps));
    }

    #[test]
    fn keys_and_options_are_checked_wherever_they_stand() {
        let empty = Err(Refusal::EmptyKey);
        assert_eq!(validate(&Request::put("", "v")), empty);
        assert_eq!(validate(&Request::get("")), empty);
        assert_eq!(validate(&Request::delete("")), empty);
        assert_eq!(
            validate(&Request::Txn(txn(vec![nested(vec![put("")], vec![])], vec![]))),
            empty
        );
        let compares = vec![Compare {
            interval: Interval::default(),
            result: CompareResult::Equal,
            operand: Operand::Version(0),
        }];
        assert_eq!(validate(&Request::Txn(Txn { compares, ..Txn::default() })), empty);
        let value = Put { ignore_value: true, ..plain() };
        assert_eq!(validate(&Request::Put(value)), Err(Refusal::ValueProvided));
        let lease = Put { ignore_lease: true, lease: 7, ..plain() };
        assert_eq!(validate(&Request::Put(lease)), Err(Refusal::LeaseProvided));
    }

    fn plain() -> Put {
        Put { key: b"k".to_vec(), value: b"v".to_vec(), ..Put::default() }
    }

    #[test]
    fn what_the_log_does_not_take_is_refused() {
        let with = |bytes: usize| Request::put("k", vec![0; bytes]);
        assert_eq!(validate(&with(REQUEST_BYTES_MAX - 64)), Ok(()));
        assert_eq!(validate(&with(REQUEST_BYTES_MAX)), Err(Refusal::TooLarge));
        let too_long = Request::LeaseGrant { id: 1, ttl_s: LEASE_TTL_MAX_S + 1 };
        assert_eq!(validate(&too_long), Err(Refusal::LeaseTtlTooLarge));
    }
}
