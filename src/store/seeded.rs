//! Known bugs in the parallel path and in publication, for `tests/seeded_bugs`: a checker that has never accused anybody
//! proves nothing. Only in builds with feature `seeded-bugs`, so that no other build carries them.
//!
//! A store has at most one, chosen when it is opened. The hooks in the real code are one call each; what they do is here.
//! Without a bug each gives back what it was given.

use super::effects::{Change, Effects};
use super::engine::{Engine, Kept};
use super::footprint::{Footprint, Shards, footprint};
use super::kv::Kv;
use super::layout::{Layout, Padded};
use super::leases::Leases;
use super::memory::Memory;
use super::parallel::Parallel;
use super::prepare::Prepared;
use super::publication::Around;
use super::sharded::Sharded;
use super::tickets::Tickets;
use super::{ApplyPath, Parallelism};
use crate::measure::stage::Probe;
use crate::measure::sync::{AtomicI64, Ordering};
use crate::model::{MainRevision, Position, Request, RequestOp, Txn};
use std::sync::Arc;

/// Enough that few keys are spread over several, few enough that they also share some.
const SHARDS: u32 = 8;

/// Something that the parallel path can get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeededBug {
    /// A request waits for its turn on its first shard only.
    MissingTicketEdge,
    /// A transaction does not wait for its turn on what it only compares.
    CompareNotTicketed,
    /// What comes after a request is let go before the request has run.
    EarlyRelease,
    /// Revisions that are not reached yet are compared with stamps.
    NoExactRule,
    /// A lease that was granted within the batch is not there for the rest of it.
    GrantOfBatchUnseen,
    /// A revocation misses the keys that were hung on the lease within the batch.
    AttachmentOfBatchUnseen,
    /// A key that goes to another lease, or is deleted, still hangs on the old one.
    LeaseDetachLost,
    /// The stamp of a creation becomes the revision of the request that carries it, not of the one that created the key.
    CreateStampLost,
    /// A request that changes nothing uses up a revision too.
    BumpAlways,
    /// The revision is published while versions still carry stamps.
    PublishBeforeSettle,
    /// Of a batch, watchers are told the first revision only.
    FirstRevisionTold,
    /// Deleting an interval goes through its keys in the order of a hash table.
    UnsortedRangeDelete,
    /// Commands that were applied before are applied again.
    DuplicateApply,
}

impl SeededBug {
    /// Each of them.
    pub const ALL: [SeededBug; 13] = [
        SeededBug::MissingTicketEdge,
        SeededBug::CompareNotTicketed,
        SeededBug::EarlyRelease,
        SeededBug::NoExactRule,
        SeededBug::GrantOfBatchUnseen,
        SeededBug::AttachmentOfBatchUnseen,
        SeededBug::LeaseDetachLost,
        SeededBug::CreateStampLost,
        SeededBug::BumpAlways,
        SeededBug::PublishBeforeSettle,
        SeededBug::FirstRevisionTold,
        SeededBug::UnsortedRangeDelete,
        SeededBug::DuplicateApply,
    ];
}

/// An empty store in memory that shares every batch among two workers and has `bug`, if any. Its keys are hashed, and its
/// claims shuffled, by `seed`.
///
/// # Panics
/// If a worker thread cannot be started.
pub fn open_seeded(bug: Option<SeededBug>, seed: u64) -> Arc<dyn ApplyPath> {
    let engine = Memory::new(seed, Probe::off());
    let mut serial: Sharded<_, Padded> =
        Sharded::new(engine, Kept::default(), SHARDS, seed, Probe::off());
    serial.core.publication.seeded = Seeded { bug };
    let parallelism = Parallelism { parallel_from: Some(1), shuffled_claims: Some(seed) };
    Arc::new(Parallel::new(serial, 2, parallelism, Probe::off()).expect("a thread can be started"))
}

/// The bug of a store, if it has one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seeded {
    bug: Option<SeededBug>,
}

impl Seeded {
    fn has(self, bug: SeededBug) -> bool {
        self.bug == Some(bug)
    }

    /// Raises the newest revision that the rule for literals takes for reached.
    pub(super) fn raise(self, known: &mut MainRevision) {
        if self.has(SeededBug::NoExactRule) {
            *known = MainRevision::MAX;
        }
    }

    /// The last command that was applied, as far as this store remembers.
    pub(super) fn applied(self, applied: Position) -> Position {
        if self.has(SeededBug::DuplicateApply) { Position::default() } else { applied }
    }

    /// What was decided about leases, which are `before` before the segment.
    pub(super) fn prepared(self, before: &Leases, mut segment: Vec<Prepared>) -> Vec<Prepared> {
        for prepared in &mut segment {
            match (self.bug, &prepared.request) {
                (Some(SeededBug::GrantOfBatchUnseen), _) => {
                    prepared.leases.retain(|id| before.exists(*id));
                }
                (Some(SeededBug::AttachmentOfBatchUnseen), Request::LeaseRevoke { id }) => {
                    let keys = before.keys(*id);
                    prepared.lease_keys.retain(|key| keys.contains(key));
                }
                _ => {}
            }
        }
        segment
    }

    /// The tickets of a segment; `tickets` are the right ones.
    pub(super) fn tickets<E: Engine, L: Layout>(
        self,
        store: &Sharded<E, L>,
        segment: &[Prepared],
        tickets: Tickets,
    ) -> Tickets {
        let shards_of = |prepared: &Prepared| -> Shards {
            match (self.bug, &prepared.request) {
                (Some(SeededBug::MissingTicketEdge), _) => {
                    prepared.shards.iter().take(1).copied().collect()
                }
                (Some(SeededBug::CompareNotTicketed), Request::Txn(txn)) => {
                    let steps = Request::Txn(without_compares(txn));
                    match footprint(&steps, MainRevision::MAX, |key| store.shard_of(key)) {
                        Footprint::Shards(shards) => shards,
                        Footprint::All | Footprint::Exact => prepared.shards.clone(),
                    }
                }
                _ => prepared.shards.clone(),
            }
        };
        match self.bug {
            Some(SeededBug::MissingTicketEdge | SeededBug::CompareNotTicketed) => {
                let shards: Vec<Shards> = segment.iter().map(shards_of).collect();
                Tickets::new(shards.iter().map(Shards::as_slice), store.shards.len())
            }
            _ => tickets,
        }
    }

    /// Claims a request as [`Tickets::claim`] does, but what follows it runs first. Says whether it did.
    pub(super) fn let_go(self, tickets: &Tickets, number: u32, run: impl FnMut(usize)) -> bool {
        let is_on = self.has(SeededBug::EarlyRelease);
        if is_on {
            let mut freed = Vec::new();
            tickets.claim(number as usize, |number| freed.push(number));
            freed.into_iter().rev().for_each(run);
        }
        is_on
    }

    /// Hangs the keys of a request on their leases of before once more.
    pub(super) fn hang(self, leases: &mut Leases, effects: &Effects) {
        if self.has(SeededBug::LeaseDetachLost) {
            let prevs = effects.changes.iter().filter_map(|change| change.prev.as_ref());
            prevs.for_each(|prev| leases.attach(prev.lease(), prev.key()));
        }
    }

    /// Moves `revision` for a request that did not move it.
    pub(super) fn bump(self, effects: &Effects, revision: &mut MainRevision) {
        *revision += MainRevision::from(self.has(SeededBug::BumpAlways) && !effects.changed());
    }

    /// Comes before stamps become what is in `around`.
    pub(super) fn settle(
        self,
        effects: &[(&Effects, Position)],
        around: &[Around],
        published: &AtomicI64,
    ) {
        match (self.bug, around.last()) {
            (Some(SeededBug::CreateStampLost), _) => {
                for ((effects, _), around) in effects.iter().zip(around) {
                    effects.changes.iter().for_each(|change| change.kv.settle(|_| around.after));
                }
            }
            (Some(SeededBug::PublishBeforeSettle), Some(last)) => {
                published.store(last.after, Ordering::Release);
                // Where another thread may come in, as it could at any time.
                std::thread::yield_now();
            }
            _ => {}
        }
    }

    /// What watchers are told of `changes`.
    pub(super) fn told(self, changes: &[Change]) -> &[Change] {
        let is_told = |change: &Change| {
            !self.has(SeededBug::FirstRevisionTold)
                || change.kv.modified() == changes[0].kv.modified()
        };
        let told = changes.iter().take_while(|change| is_told(change)).count();
        &changes[..told]
    }

    /// Brings the keys of a deleted interval into an order of no meaning.
    pub(super) fn disorder(self, doomed: &mut [Kv]) {
        if self.has(SeededBug::UnsortedRangeDelete) {
            doomed.sort_by_key(|kv| super::hash(kv.key(), 0));
        }
    }
}

/// Those within are left out too.
fn without_compares(txn: &Txn) -> Txn {
    let step = |op: &RequestOp| match op {
        RequestOp::Txn(inner) => RequestOp::Txn(without_compares(inner)),
        other => other.clone(),
    };
    let steps = |ops: &[RequestOp]| ops.iter().map(step).collect();
    Txn { compares: Vec::new(), success: steps(&txn.success), failure: steps(&txn.failure) }
}
