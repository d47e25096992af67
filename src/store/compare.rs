//! The comparisons of a transaction.

use super::kv::Kv;
use super::look::{At, Flow, Look};
use crate::model::{Compare, CompareResult, Operand, RequestOp, Txn};
use std::cmp::Ordering;

/// Which list each transaction takes: the outermost first, then those within its taken list, depth first.
/// All comparisons look at the state before the outermost transaction.
pub(super) fn path(look: &impl Look, txn: &Txn, at: At) -> Vec<bool> {
    let mut path = Vec::with_capacity(1);
    decide(look, txn, at, &mut path);
    path
}

fn decide(look: &impl Look, txn: &Txn, at: At, path: &mut Vec<bool>) {
    let holds = txn.compares.iter().all(|compare| holds(look, compare, at));
    path.push(holds);
    for op in taken(txn, holds) {
        if let RequestOp::Txn(inner) = op {
            decide(look, inner, at, path);
        }
    }
}

/// The list that is done.
pub(super) fn taken(txn: &Txn, holds: bool) -> &[RequestOp] {
    if holds { &txn.success } else { &txn.failure }
}

fn holds(look: &impl Look, compare: &Compare, at: At) -> bool {
    let mut any = false;
    let mut all = true;
    look.each(&compare.interval, at, &mut |kv| {
        any = true;
        all = holds_for(compare, &kv);
        if all { Flow::On } else { Flow::Stop }
    });
    if any { all } else { holds_for_missing(compare) }
}

fn holds_for(compare: &Compare, kv: &Kv) -> bool {
    let ordering = match &compare.operand {
        Operand::Version(version) => kv.version().cmp(version),
        Operand::Create(revision) => kv.create().cmp(revision),
        Operand::Mod(revision) => kv.modified().cmp(revision),
        Operand::Value(value) => (*kv.value()).cmp(value.as_slice()),
        Operand::Lease(lease) => kv.lease().cmp(lease),
    };
    is_result(compare.result, ordering)
}

/// A missing key counts as all zeros; its value equals nothing and differs from nothing.
fn holds_for_missing(compare: &Compare) -> bool {
    match &compare.operand {
        Operand::Version(number)
        | Operand::Create(number)
        | Operand::Mod(number)
        | Operand::Lease(number) => is_result(compare.result, 0.cmp(number)),
        Operand::Value(_) => false,
    }
}

fn is_result(result: CompareResult, ordering: Ordering) -> bool {
    match result {
        CompareResult::Equal => ordering.is_eq(),
        CompareResult::Greater => ordering.is_gt(),
        CompareResult::Less => ordering.is_lt(),
        CompareResult::NotEqual => ordering.is_ne(),
    }
}
