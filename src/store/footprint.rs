//! Which shards a request may touch, known before it runs: the keys it names. Whatever walks over an interval touches
//! all of them.

use super::range::filters;
use crate::model::{Compare, Interval, MainRevision, Operand, Range, Request, RequestOp, Txn};
use smallvec::SmallVec;

/// Shards, ascending and distinct.
pub(super) type Shards = SmallVec<[u32; 4]>;

/// What has to be locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Footprint {
    /// These shards; none for what concerns leases alone.
    Shards(Shards),
    /// Every shard.
    All,
    /// Every shard, and everything before it must be published: it names a revision that is not known to have been
    /// reached, so that stamps would not do.
    Exact,
}

/// Collects the shards of keys.
struct Collector<F> {
    shard_of: F,
    /// Newest revision that a stamp is surely greater than.
    known: MainRevision,
    shards: Shards,
    all: bool,
    exact: bool,
}

/// The footprint of `request` where `known` is published. A revoked lease's keys are for the caller to add.
pub(super) fn footprint(
    request: &Request,
    known: MainRevision,
    shard_of: impl Fn(&[u8]) -> u32,
) -> Footprint {
    if let Request::Put(put) = request {
        return Footprint::Shards(Shards::from_slice(&[shard_of(&put.key)]));
    }
    let mut collector =
        Collector { shard_of, known, shards: Shards::new(), all: false, exact: false };
    match request {
        Request::Put(_) => {}
        Request::Range(range) => collector.range(range),
        Request::DeleteRange(delete) => collector.interval(&delete.interval),
        Request::Txn(txn) => collector.txn(txn),
        Request::Compact { .. } => collector.exact = true,
        // What it refuses or allows again may be anywhere.
        Request::AlarmActivate(_) | Request::AlarmDeactivate(_) => collector.all = true,
        Request::LeaseGrant { .. }
        | Request::LeaseRevoke { .. }
        | Request::LeaseTimeToLive { .. }
        | Request::Leases
        | Request::Alarms => {}
    }
    collector.finish()
}

/// Whether something in `request` is read as of a revision that it names.
pub(super) fn looks_back(request: &Request) -> bool {
    match request {
        Request::Range(range) => range.revision > 0,
        Request::Txn(txn) => some_op_looks_back(txn),
        _ => false,
    }
}

fn some_op_looks_back(txn: &Txn) -> bool {
    txn.success.iter().chain(&txn.failure).any(|op| match op {
        RequestOp::Range(range) => range.revision > 0,
        RequestOp::Txn(inner) => some_op_looks_back(inner),
        RequestOp::Put(_) | RequestOp::DeleteRange(_) => false,
    })
}

impl<F: Fn(&[u8]) -> u32> Collector<F> {
    fn interval(&mut self, interval: &Interval) {
        match interval.is_point() {
            true => self.key(&interval.key),
            false => self.all = true,
        }
    }

    fn key(&mut self, key: &[u8]) {
        let shard = (self.shard_of)(key);
        self.shards.push(shard);
    }

    fn literal(&mut self, revision: MainRevision) {
        self.exact |= revision > self.known;
    }

    fn range(&mut self, range: &Range) {
        self.interval(&range.interval);
        self.literal(range.revision);
        filters(range).into_iter().for_each(|bound| self.literal(bound));
    }

    fn txn(&mut self, txn: &Txn) {
        txn.compares.iter().for_each(|compare| self.compare(compare));
        for op in txn.success.iter().chain(&txn.failure) {
            match op {
                RequestOp::Put(put) => self.key(&put.key),
                RequestOp::Range(range) => self.range(range),
                RequestOp::DeleteRange(delete) => self.interval(&delete.interval),
                RequestOp::Txn(inner) => self.txn(inner),
            }
        }
    }

    fn compare(&mut self, compare: &Compare) {
        self.interval(&compare.interval);
        if let Operand::Mod(revision) | Operand::Create(revision) = compare.operand {
            self.literal(revision);
        }
    }

    fn finish(mut self) -> Footprint {
        if self.exact {
            return Footprint::Exact;
        }
        if self.all {
            return Footprint::All;
        }
        self.shards.sort_unstable();
        self.shards.dedup();
        Footprint::Shards(self.shards)
    }
}
