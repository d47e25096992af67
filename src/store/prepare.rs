//! What has to be known of the requests of a segment before they can be evaluated side by side: their shards, and which of
//! the leases they name exist. Leases come and go by requests of the log alone and never by what keys hold, so one walk in
//! log order decides that.

use super::Command;
use super::alarms::Alarms;
use super::engine::Engine;
use super::evaluate::is_granted;
use super::footprint::Shards;
use super::layout::Layout;
use super::leases::Leases;
use super::sharded::Sharded;
use crate::measure::stage::Sampling;
use crate::model::{LeaseId, Position, Request, RequestOp, Txn};
use smallvec::SmallVec;
use std::collections::{BTreeSet, HashMap};

/// A request with what was decided about it before any is evaluated.
pub(super) struct Prepared {
    pub(super) request: Request,
    pub(super) position: Position,
    pub(super) shards: Shards,
    /// Those of the leases it names that exist.
    pub(super) leases: SmallVec<[LeaseId; 1]>,
    /// Keys that may hang on the lease it revokes.
    pub(super) lease_keys: Vec<Vec<u8>>,
    /// How many requests its stamps will stand for.
    pub(super) stands_for: u32,
}

/// Goes through the segment once, in log order.
pub(super) fn prepare<E: Engine, L: Layout>(
    store: &Sharded<E, L>,
    leases: &Leases,
    segment: Vec<(Command, Shards)>,
    sampling: &mut Sampling,
) -> Vec<Prepared> {
    let mut coming = Coming {
        table: leases,
        alarms: &store.core.alarms,
        granted: HashMap::new(),
        attached: HashMap::new(),
    };
    let prepare = |(Command { position, request }, shards)| {
        let named = coming.follow(&request);
        let lease_keys = named.revoked_keys;
        let shards = if lease_keys.is_empty() { shards } else { store.shards_of(&lease_keys) };
        let stands_for = sampling.draw();
        Prepared { request, position, shards, leases: named.existing, lease_keys, stands_for }
    };
    segment.into_iter().map(prepare).collect()
}

/// The leases as the requests of a segment leave them, one by one, as far as that can be known beforehand.
struct Coming<'a> {
    table: &'a Leases,
    /// They change between segments only.
    alarms: &'a Alarms,
    /// Leases that came, or went, within the segment.
    granted: HashMap<LeaseId, bool>,
    /// Keys that may have been hung on a lease within the segment.
    attached: HashMap<LeaseId, BTreeSet<Vec<u8>>>,
}

/// What a request has to know of leases.
struct Named {
    existing: SmallVec<[LeaseId; 1]>,
    revoked_keys: Vec<Vec<u8>>,
}

impl Coming<'_> {
    fn exists(&self, id: LeaseId) -> bool {
        self.granted.get(&id).copied().unwrap_or_else(|| self.table.exists(id))
    }

    fn follow(&mut self, request: &Request) -> Named {
        let mut named = Named { existing: SmallVec::new(), revoked_keys: Vec::new() };
        if self.alarms.refusal(request).is_some() {
            return named;
        }
        match request {
            Request::Put(put) if put.lease != 0 => {
                self.attach(put.lease, &put.key, &mut named.existing);
            }
            // Keeping a lease keeps the key where the table, or an earlier request, has it.
            Request::Txn(txn) => self.attach_all(txn, &mut named.existing),
            Request::LeaseGrant { id, .. } => {
                self.note_existing(*id, &mut named.existing);
                // One that is refused, for its time to live say, grants nothing.
                if is_granted(request, |id| self.exists(id)) {
                    self.granted.insert(*id, true);
                }
            }
            Request::LeaseRevoke { id } => {
                self.note_existing(*id, &mut named.existing);
                let attached = self.attached.remove(id).unwrap_or_default();
                let keys: BTreeSet<_> = self.table.keys(*id).into_iter().chain(attached).collect();
                if !named.existing.is_empty() {
                    named.revoked_keys = keys.into_iter().collect();
                    self.granted.insert(*id, false);
                }
            }
            _ => {}
        }
        named
    }

    fn note_existing(&self, id: LeaseId, existing: &mut SmallVec<[LeaseId; 1]>) {
        if self.exists(id) && !existing.contains(&id) {
            existing.push(id);
        }
    }

    fn attach(&mut self, id: LeaseId, key: &[u8], existing: &mut SmallVec<[LeaseId; 1]>) {
        self.note_existing(id, existing);
        self.attached.entry(id).or_default().insert(key.to_vec());
    }

    /// Whichever lists are taken.
    fn attach_all(&mut self, txn: &Txn, existing: &mut SmallVec<[LeaseId; 1]>) {
        for op in txn.success.iter().chain(&txn.failure) {
            match op {
                RequestOp::Put(put) if put.lease != 0 => self.attach(put.lease, &put.key, existing),
                RequestOp::Txn(inner) => self.attach_all(inner, existing),
                _ => {}
            }
        }
    }
}
