//! Which leases there are, and which keys hang on each. No clock: when a lease ends is decided elsewhere and comes
//! through the log.

use super::effects::{Effects, LeaseChange};
use super::engine::Kept;
use crate::failpoint;
use crate::model::{LeaseId, LeaseStatus};
use std::collections::{BTreeMap, BTreeSet};

/// The lease table.
#[derive(Debug, Default)]
pub(super) struct Leases {
    leases: BTreeMap<LeaseId, Lease>,
}

#[derive(Debug, Default)]
struct Lease {
    ttl_s: i64,
    keys: BTreeSet<Vec<u8>>,
}

impl Leases {
    /// Those that an engine had kept.
    pub(super) fn of(kept: Kept) -> Leases {
        let mut leases = Leases::default();
        kept.leases.iter().for_each(|(id, ttl_s)| leases.grant(*id, *ttl_s));
        kept.attached.iter().for_each(|(id, key)| leases.attach(*id, key));
        leases
    }

    /// All of them with their times to live in seconds, ascending.
    pub(super) fn granted(&self) -> Vec<(LeaseId, i64)> {
        self.leases.iter().map(|(id, lease)| (*id, lease.ttl_s)).collect()
    }

    pub(super) fn exists(&self, id: LeaseId) -> bool {
        self.leases.contains_key(&id)
    }

    /// Its keys, ascending.
    pub(super) fn keys(&self, id: LeaseId) -> Vec<Vec<u8>> {
        self.leases.get(&id).map_or_else(Vec::new, |lease| lease.keys.iter().cloned().collect())
    }

    /// Follows what a request did.
    pub(super) fn follow(&mut self, effects: &Effects) {
        failpoint::pass("store::lease-table");
        for change in &effects.changes {
            if let Some(prev) = &change.prev
                && prev.lease() != change.kv.lease()
                && let Some(lease) = self.leases.get_mut(&prev.lease())
            {
                lease.keys.remove(prev.key());
            }
            self.attach(change.kv.lease(), change.kv.key());
        }
        match effects.lease {
            LeaseChange::None => {}
            LeaseChange::Granted { id, ttl_s } => self.grant(id, ttl_s),
            LeaseChange::Revoked { id } => {
                self.leases.remove(&id);
            }
        }
    }

    /// Adds an empty lease.
    pub(super) fn grant(&mut self, id: LeaseId, ttl_s: i64) {
        self.leases.insert(id, Lease { ttl_s, keys: BTreeSet::new() });
    }

    /// Hangs `key` on lease `id`, if there is one.
    pub(super) fn attach(&mut self, id: LeaseId, key: &[u8]) {
        if let Some(lease) = self.leases.get_mut(&id)
            && !lease.keys.contains(key)
        {
            lease.keys.insert(key.to_vec());
        }
    }

    /// What is known of lease `id`; its keys only if wanted.
    pub(super) fn status(&self, id: LeaseId, keys: bool) -> LeaseStatus {
        match self.leases.get(&id) {
            None => LeaseStatus { id, granted_ttl_s: -1, keys: Vec::new() },
            Some(lease) => LeaseStatus {
                id,
                granted_ttl_s: lease.ttl_s,
                keys: if keys { lease.keys.iter().cloned().collect() } else { Vec::new() },
            },
        }
    }

    /// All of them, ascending.
    pub(super) fn ids(&self) -> Vec<LeaseId> {
        self.leases.keys().copied().collect()
    }
}
