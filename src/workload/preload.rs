//! What a store holds before the load begins: keys in ascending order, many to a transaction, so that a system that
//! syncs each request is filled in seconds and not in minutes.

use super::{Workload, bank, held_leases, lease_id};
use crate::model::{LeaseId, OPS_MAX, Put, Request, RequestOp, Txn};
use crate::seed::Seed;
use rand_chacha::ChaCha8Rng;

/// Value bytes from which a transaction takes no further key; well below what a request may have.
const TXN_BYTES: usize = 256 << 10;

/// An iterator over the transactions that put every key of the preload once; each uses up one revision.
#[derive(Debug)]
pub struct Preload {
    workload: Workload,
    random: ChaCha8Rng,
    first_lease: u64,
    next: u64,
}

impl Preload {
    pub(super) fn of(workload: Workload, seed: Seed) -> Preload {
        let random = seed.stream("preload", 0);
        Preload { workload, random, first_lease: held_leases(seed), next: 0 }
    }

    /// On which lease the next key hangs; 0 for none.
    fn lease(&self) -> LeaseId {
        let number = self.next.checked_rem(self.workload.keys.leases);
        number.map_or(0, |number| lease_id(self.first_lease, number))
    }

    fn value(&mut self) -> Vec<u8> {
        let workload = &self.workload;
        match workload.balance_width {
            Some(width) => bank::written(bank::OPENING, width),
            None => workload.pool.value(&workload.sizes, &mut self.random),
        }
    }
}

impl Iterator for Preload {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        let (mut success, mut bytes) = (Vec::new(), 0);
        while self.next < self.workload.keys.preload && success.len() < OPS_MAX && bytes < TXN_BYTES
        {
            let (key, lease) = (self.workload.names.key(self.next), self.lease());
            let value = self.value();
            bytes += value.len();
            success.push(RequestOp::Put(Put { key, value, lease, ..Put::default() }));
            self.next += 1;
        }
        let txn = Txn { success, ..Txn::default() };
        (!txn.success.is_empty()).then_some(Request::Txn(txn))
    }
}
