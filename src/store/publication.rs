//! Revisions, and the order in which they become visible. Giving a request its revision, settling its stamps, committing,
//! telling the watchers and letting readers see it are one step under one short lock: whatever is published is
//! complete, and nobody waits for a number that another thread holds without publishing it.

use super::effects::{AlarmChange, Change, Effects, LeaseChange};
use super::engine::{Commit, Engine, Kept};
use super::kv::STAMP;
use super::watch::WatchHub;
use crate::failpoint;
use crate::measure::lock::{MeasuredGuard, MeasuredMutex, Visit};
use crate::measure::stage::Probe;
use crate::measure::sync::{AtomicI64, Ordering};
use crate::model::{MainRevision, Position, Refusal};
use crossbeam_utils::CachePadded;

/// The visible end of a store.
/// Invariant: `compacted <= published <= turn.revision`; the last two differ only within a batch that is committed as a whole.
pub(super) struct Publication {
    turn: MeasuredMutex<Turn>,
    published: CachePadded<AtomicI64>,
    compacted: AtomicI64,
    hub: WatchHub,
    /// Held by an apply call whose batch is committed as a whole, of however many requests: another that committed in between would
    /// publish revisions whose changes are still pending here.
    turnstile: MeasuredMutex<()>,
    /// Only for tests/seeded_bugs, as is every line below and elsewhere that names this feature.
    #[cfg(feature = "seeded-bugs")]
    pub(super) seeded: super::seeded::Seeded,
}

/// Where the store stands.
#[derive(Debug)]
struct Turn {
    revision: MainRevision,
    position: Position,
}

/// The revisions around a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    pub(super) before: MainRevision,
    pub(super) after: MainRevision,
}

/// What an apply call has settled and not committed yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    changes: Vec<Change>,
    leases: Vec<LeaseChange>,
}

impl Publication {
    /// Begins where `kept` ends; a new store is at revision 1.
    pub(super) fn new(kept: &Kept, probe: Probe) -> Publication {
        let revision = kept.revision.max(1);
        let turn = Turn { revision, position: kept.position };
        Publication {
            turn: MeasuredMutex::brief(turn, probe),
            published: CachePadded::new(AtomicI64::new(revision)),
            compacted: AtomicI64::new(kept.compacted),
            hub: WatchHub::new(probe),
            turnstile: MeasuredMutex::brief((), probe),
            #[cfg(feature = "seeded-bugs")]
            seeded: super::seeded::Seeded::default(),
        }
    }

    pub(super) fn hub(&self) -> &WatchHub {
        &self.hub
    }

    /// Newest revision that readers may name. Acquire: what was done up to it is visible.
    pub(super) fn published(&self) -> MainRevision {
        self.published.load(Ordering::Acquire)
    }

    /// Oldest revision that readers may name. Acquire: pairs with the store before versions are forgotten.
    pub(super) fn compacted(&self) -> MainRevision {
        self.compacted.load(Ordering::Acquire)
    }

    /// The last command that was settled. Waits for whoever is publishing, on which a new watcher relies.
    pub(super) fn position(&self) -> Position {
        self.turn().position
    }

    /// The last revision that was given, published or not.
    pub(super) fn settled(&self) -> MainRevision {
        self.turn().revision
    }

    /// Lets an apply call in, alone if its engine commits batches.
    pub(super) fn enter(&self, engine: &impl Engine) -> Option<MeasuredGuard<'_, ()>> {
        engine.commits_batches().then(|| self.turnstile.lock())
    }

    /// Shows its locks.
    pub(super) fn visit_locks(&self, visit: Visit<'_>) {
        visit("publication", &self.turn);
        visit("turnstile", &self.turnstile);
        self.hub.visit_locks(visit);
    }

    /// Gives the request its revision if it changed anything, and publishes it unless its batch is committed as a
    /// whole. The caller holds the locks of what was changed.
    pub(super) fn settle(
        &self,
        engine: &impl Engine,
        effects: &Effects,
        position: Position,
        pending: &mut Pending,
    ) -> Around {
        let mut turn = self.turn();
        let before = turn.revision;
        let after = before + MainRevision::from(effects.changed());
        effects.changes.iter().for_each(|change| change.kv.settle(|_| after));
        turn.revision = after;
        turn.position = turn.position.max(position);
        if engine.commits_batches() {
            pending.changes.extend(effects.changes.iter().cloned());
            pending.leases.extend(effects.lease.is_some().then_some(effects.lease));
        } else {
            self.publish(engine, &turn, &effects.changes, &[effects.lease], AlarmChange::None);
        }
        Around { before, after }
    }

    /// As [`Publication::settle`] for requests in log order whose stamps are their numbers in `effects`.
    pub(super) fn settle_all(
        &self,
        engine: &impl Engine,
        effects: &[(&Effects, Position)],
        pending: &mut Pending,
    ) -> Vec<Around> {
        let mut turn = self.turn();
        let mut around = Vec::with_capacity(effects.len());
        for (effects, position) in effects {
            let before = turn.revision;
            turn.revision += MainRevision::from(effects.changed());
            // Seeded bug: BumpAlways.
            #[cfg(feature = "seeded-bugs")]
            self.seeded.bump(effects, &mut turn.revision);
            turn.position = turn.position.max(*position);
            around.push(Around { before, after: turn.revision });
        }
        // Seeded bugs: CreateStampLost, PublishBeforeSettle.
        #[cfg(feature = "seeded-bugs")]
        self.seeded.settle(effects, &around, &self.published);
        let revision_of = |stamp: MainRevision| around[(stamp ^ STAMP) as usize].after;
        for (effects, _) in effects {
            effects.changes.iter().for_each(|change| change.kv.settle(revision_of));
            pending.changes.extend(effects.changes.iter().cloned());
            pending.leases.extend(effects.lease.is_some().then_some(effects.lease));
        }
        if !engine.commits_batches() {
            self.publish_pending(engine, &turn, pending);
        }
        around
    }

    /// Publishes what an apply call has settled.
    pub(super) fn commit(&self, engine: &impl Engine, pending: &mut Pending) {
        if engine.commits_batches() {
            let turn = self.turn();
            self.publish_pending(engine, &turn, pending);
        }
    }

    fn publish_pending(&self, engine: &impl Engine, turn: &Turn, pending: &mut Pending) {
        self.publish(engine, turn, &pending.changes, &pending.leases, AlarmChange::None);
        pending.changes.clear();
        pending.leases.clear();
    }

    fn publish(
        &self,
        engine: &impl Engine,
        turn: &Turn,
        changes: &[Change],
        leases: &[LeaseChange],
        alarm: AlarmChange,
    ) {
        failpoint::pass("store::before-commit");
        engine.commit(&Commit {
            changes,
            leases,
            alarm,
            revision: turn.revision,
            compacted: self.compacted(),
            position: turn.position,
        });
        failpoint::pass("store::before-notify");
        // Seeded bug: FirstRevisionTold.
        #[cfg(feature = "seeded-bugs")]
        let changes = self.seeded.told(changes);
        let told = self.hub.notify(changes);
        // Release: whoever reads at this revision sees what was written for it.
        self.published.store(turn.revision, Ordering::Release);
        failpoint::pass("store::before-wake");
        told.wake();
    }

    /// Moves the compaction to `revision`, if that may be. What was settled is committed.
    pub(super) fn compact(
        &self,
        engine: &impl Engine,
        revision: MainRevision,
        position: Position,
    ) -> Result<(), Refusal> {
        let mut turn = self.turn();
        turn.position = turn.position.max(position);
        let outcome = match revision {
            _ if revision > turn.revision => Err(Refusal::FutureRevision),
            _ if revision <= self.compacted() => Err(Refusal::Compacted),
            _ => Ok(()),
        };
        if outcome.is_ok() {
            // Release, and before anything is forgotten: a reader looks again after it has read.
            self.compacted.store(revision, Ordering::Release);
        }
        self.publish(engine, &turn, &[], &[], AlarmChange::None);
        outcome
    }

    /// Keeps a change of the alarms, or that a request changed nothing. What was settled is committed.
    pub(super) fn keep_alarm(&self, engine: &impl Engine, change: AlarmChange, position: Position) {
        let mut turn = self.turn();
        turn.position = turn.position.max(position);
        self.publish(engine, &turn, &[], &[], change);
    }

    fn turn(&self) -> MeasuredGuard<'_, Turn> {
        self.turn.lock()
    }
}
