//! The part of a history that concerns single keys: reads, writes and deletions of keys that nothing else touched, as operations on one
//! register each. What the server said about revisions is left out on purpose.

use super::history::{Operation, Outcome};
use super::wgl::Call;
use super::wgl::register::RegisterOp;
use crate::model::{Body, Request, RequestOp, Response, Txn};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Operations on one register; values are numbered.
pub type Calls = Vec<Call<RegisterOp<u64>>>;

/// Operations on one register with who sent them, in the order in which they were sent.
pub type Sent = Vec<(u64, Call<RegisterOp<u64>>)>;

/// The registers of a history with who sent what, and what the numbers of values stand for.
#[derive(Clone, Debug, Default)]
pub struct Registers<'a> {
    /// By key.
    pub by_key: BTreeMap<Vec<u8>, Sent>,
    /// The values, by number.
    pub values: Vec<&'a [u8]>,
}

/// Gives each value its number.
#[derive(Default)]
struct Numbers<'a>(HashMap<&'a [u8], u64>);

impl<'a> Numbers<'a> {
    fn of(&mut self, value: &'a [u8]) -> u64 {
        let next = self.0.len() as u64;
        *self.0.entry(value).or_insert(next)
    }

    fn in_order(self) -> Vec<&'a [u8]> {
        let mut values: Vec<(u64, &[u8])> =
            self.0.into_iter().map(|(value, number)| (number, value)).collect();
        values.sort_unstable();
        values.into_iter().map(|(_, value)| value).collect()
    }
}

/// The registers of a history by key, each with its operations in the order in which they were sent.
pub fn of(history: &[Operation]) -> BTreeMap<Vec<u8>, Calls> {
    let calls = |sent: Vec<(u64, _)>| sent.into_iter().map(|(_, call)| call).collect();
    by_client(history).by_key.into_iter().map(|(key, sent)| (key, calls(sent))).collect()
}

/// As [`of`], with who sent each.
pub fn by_client(history: &[Operation]) -> Registers<'_> {
    let shared = shared_keys(history);
    let (mut registers, mut numbers) = (Registers::default(), Numbers::default());
    for operation in history {
        let Some((key, op)) = as_register(operation, &mut numbers) else { continue };
        if shared.contains(key) {
            continue;
        }
        let returned = operation.response().map(|_| operation.returned.0);
        let call = Call { op, invoked: operation.invoked.0, returned };
        registers.by_key.entry(key.to_vec()).or_default().push((operation.client, call));
    }
    registers.values = numbers.in_order();
    registers
}

/// The key that an operation is about and what it did there; nothing if it is about several, or has no effect and no answer.
fn as_register<'a>(
    operation: &'a Operation,
    numbers: &mut Numbers<'a>,
) -> Option<(&'a [u8], RegisterOp<u64>)> {
    let answer = match &operation.outcome {
        Outcome::Done(Response { result: Ok(body), .. }) => Some(body),
        Outcome::Done(Response { result: Err(_), .. }) | Outcome::Refused => return None,
        Outcome::Unknown => None,
    };
    match (&operation.request, answer) {
        (Request::Put(put), _) if !put.ignore_value => {
            Some((&put.key, RegisterOp::Write(numbers.of(&put.value))))
        }
        (Request::DeleteRange(delete), _) if delete.interval.is_point() => {
            Some((&delete.interval.key, RegisterOp::Delete))
        }
        (Request::Range(range), Some(Body::Range(found)))
            if range.interval.is_point() && range.revision <= 0 && !range.serializable =>
        {
            let value = found.kvs.first().map(|kv| numbers.of(&kv.value));
            Some((&range.interval.key, RegisterOp::Read(value)))
        }
        _ => None,
    }
}

/// Keys that a transaction or a lease may have touched, or that were written without saying what, or read otherwise than plainly.
fn shared_keys(history: &[Operation]) -> BTreeSet<&[u8]> {
    let mut shared = BTreeSet::new();
    for operation in history {
        match &operation.request {
            Request::Txn(txn) => txn_keys(txn, &mut shared),
            Request::Put(put) if put.lease != 0 || put.ignore_value || put.ignore_lease => {
                shared.insert(put.key.as_slice());
            }
            _ => {}
        }
    }
    // Intervals of deletions: few, and each may hold any key.
    let deleted = history.iter().filter_map(|operation| match &operation.request {
        Request::DeleteRange(delete) if !delete.interval.is_point() => Some(&delete.interval),
        _ => None,
    });
    let intervals: Vec<_> = deleted.collect();
    for operation in history {
        let key = match &operation.request {
            Request::Put(put) => put.key.as_slice(),
            Request::Range(range) => range.interval.key.as_slice(),
            Request::DeleteRange(delete) => delete.interval.key.as_slice(),
            _ => continue,
        };
        if !shared.contains(key) && intervals.iter().any(|interval| interval.contains(key)) {
            shared.insert(key);
        }
    }
    shared
}

fn txn_keys<'a>(txn: &'a Txn, keys: &mut BTreeSet<&'a [u8]>) {
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            RequestOp::Put(put) => drop(keys.insert(&put.key)),
            RequestOp::DeleteRange(delete) => drop(keys.insert(&delete.interval.key)),
            RequestOp::Txn(inner) => txn_keys(inner, keys),
            RequestOp::Range(_) => {}
        }
    }
}
