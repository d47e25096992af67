//! The sharded direct path: a request takes the lock of its key's shard only. Reading, deciding and writing
//! happen under that one lock, and the revision becomes visible after the write it numbers.
//!
//! Caveat: requests of one batch run one after the other here; what runs in parallel are callers on several threads.

use super::table::Table;
use super::{Answer, ApplyPath, Digest};
use crate::measure::lock::{LockTally, MeasuredMutex};
use crate::measure::stage::Probe;
use crate::model::{MainRevision, Request, Response};
use crossbeam_utils::{Backoff, CachePadded};
use std::sync::atomic::{AtomicI64, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// Keys spread over shards, one mutex each.
pub struct Sharded {
    /// Padded, so that neighbours do not share a cache line. Length is a power of two.
    shards: Vec<CachePadded<MeasuredMutex<Table>>>,
    revisions: Revisions,
}

impl Sharded {
    /// An empty store of `shards` shards.
    ///
    /// # Panics
    /// If `shards` is not a power of two.
    pub fn new(shards: u32, probe: Probe) -> Sharded {
        assert!(shards.is_power_of_two(), "the shard count is a power of two, got {shards}");
        let shard = |_| CachePadded::new(MeasuredMutex::new(Table::default(), probe));
        Sharded { shards: (0..shards).map(shard).collect(), revisions: Revisions::new() }
    }

    fn shard_of(&self, key: &[u8]) -> &MeasuredMutex<Table> {
        let mask = self.shards.len() - 1;
        &self.shards[xxh3_64(key) as usize & mask]
    }

    fn apply_one(&self, request: Request) -> Answer {
        let mut table = self.shard_of(request.key()).lock();
        let locked = table.entered();
        let (revision, body) = if table.would_change(&request) {
            let revision = self.revisions.allocate();
            let body = table.execute(request, revision);
            self.revisions.publish(revision);
            (revision, body)
        } else {
            let revision = self.revisions.published();
            (revision, table.execute(request, revision))
        };
        let applied = table.leave();
        Answer { response: Response { revision, body }, locked, applied }
    }
}

impl ApplyPath for Sharded {
    fn apply(&self, batch: Vec<Request>, answers: &mut Vec<Answer>) {
        answers.extend(batch.into_iter().map(|request| self.apply_one(request)));
    }

    fn digest(&self) -> Digest {
        let tables: Vec<_> = self.shards.iter().map(|shard| shard.lock()).collect();
        Digest {
            revision: self.revisions.published(),
            keys: tables.iter().map(|table| table.len()).sum(),
            hash: tables.iter().fold(0, |sum: u128, table| sum.wrapping_add(table.hash())),
        }
    }

    fn locks(&self) -> (LockTally, u32) {
        let tally =
            self.shards.iter().fold(LockTally::default(), |sum, shard| sum.plus(shard.tally()));
        (tally, self.shards.len() as u32)
    }
}

/// Revision numbers, handed out before a write and shown after it.
/// Invariant: `published <= allocated`; a reader at `published` sees every write up to it.
struct Revisions {
    allocated: CachePadded<AtomicI64>,
    published: CachePadded<AtomicI64>,
}

impl Revisions {
    fn new() -> Revisions {
        Revisions {
            allocated: CachePadded::new(AtomicI64::new(1)),
            published: CachePadded::new(AtomicI64::new(1)),
        }
    }

    /// The next revision. Relaxed: only uniqueness matters, the shard lock orders the write itself.
    fn allocate(&self) -> MainRevision {
        self.allocated.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Shows `revision` once all before it are shown. Whoever holds an earlier one already has its shard lock and
    /// waits for no other lock, so this ends. Release: pairs with the Acquire of a reader of `published`.
    fn publish(&self, revision: MainRevision) {
        let backoff = Backoff::new();
        while self.published.load(Ordering::Relaxed) != revision - 1 {
            backoff.snooze();
        }
        self.published.store(revision, Ordering::Release);
    }

    /// The newest revision that readers may name. Acquire: the writes up to it are visible.
    fn published(&self) -> MainRevision {
        self.published.load(Ordering::Acquire)
    }
}
