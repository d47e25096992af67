//! The sharded path with several workers: the requests of one batch are evaluated side by side, and give what they would
//! have given one after the other.
//!
//! A batch is cut into segments at requests that walk over intervals, name revisions not reached yet, compact, or change the alarms; those
//! run alone, as on the serial path, with everything before them published. Within a segment:
//!
//! 1. *Prepare*, in log order: the shards of each request, and which of the leases it names exist, for leases come and go by
//!    requests of the log alone and never by what keys hold.
//! 2. *Evaluate*, in any order that the tickets allow. New versions carry the number of their request as a stamp. A stamp
//!    compares with every revision a client can know like the revision it will become, so no decision hangs on it.
//! 3. *Settle*, in log order: whoever changed something gets the next revision, and stamps become revisions.
//! 4. *Publish* all of it at once. Until then readers skip it: its versions are newer than any published revision.
//!
//! Where it cannot pay, the segment takes the serial path: few requests, or most of them on one shard.

use super::core::Locked;
use super::effects::Effects;
use super::engine::Engine;
use super::footprint::{Footprint, Shards, footprint};
use super::layout::Layout;
use super::leases::Leases;
use super::pool::{Job, Pool};
use super::prepare::{Prepared, prepare};
use super::range::{Bounds, HeldRange, Portion};
use super::sharded::{Batch, LockedShards, Sharded};
use super::tickets::Tickets;
use super::watch::WatchHub;
use super::{Answer, ApplyPath, Calibration, Command, Digest, Dump, Parallelism, StoreError};
use crate::failpoint;
use crate::measure::lock::{MeasuredGuard, MeasuredMutex, Visit};
use crate::measure::stage::{Probe, Stamps};
use crate::model::{Event, LeaseId, MainRevision, Position, Range, Refusal, Request, Response};
use smallvec::SmallVec;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Requests claimed at a time.
const CLAIM: usize = 16;
/// A chain on one shard longer than this part of the segment leaves the workers nothing to share.
const CHAIN_PERCENT_MAX: usize = 60;

/// Shards, and workers for the requests of a batch.
pub(super) struct Parallel<E: Engine, L: Layout> {
    serial: Arc<Sharded<E, L>>,
    pool: Pool,
    parallel_from: usize,
    calibration: Calibration,
    claims: Claims,
    /// Batches are evaluated one after the other.
    alone: MeasuredMutex<()>,
}

/// In which order requests are claimed; tests shuffle it.
#[derive(Clone, Copy, Debug)]
enum Claims {
    InOrder,
    Shuffled(u64),
}

/// A segment on its way.
struct Segment<E: Engine, L: Layout> {
    store: Arc<Sharded<E, L>>,
    tickets: Tickets,
    /// What is to be done, then what came of it.
    slots: Vec<Mutex<Slot>>,
    bounds: Bounds,
    order: Vec<u32>,
    claimed: AtomicUsize,
    evaluated: AtomicUsize,
}

enum Slot {
    Waiting(Prepared),
    Evaluated(Done),
    Empty,
}

/// A request that was evaluated.
struct Done {
    effects: Effects,
    position: Position,
    stamps: Stamps,
}

impl<E: Engine, L: Layout> Parallel<E, L> {
    /// Adds `workers` − 1 threads to a store.
    pub(super) fn new(
        serial: Sharded<E, L>,
        workers: u32,
        parallelism: Parallelism,
        probe: Probe,
    ) -> Result<Parallel<E, L>, StoreError> {
        let pool = Pool::start(workers - 1, probe).map_err(StoreError::Thread)?;
        let calibration = Calibration::measure(&pool, workers, E::EVALUATE_NS);
        let parallel_from = parallelism.parallel_from.unwrap_or(calibration.parallel_from);
        let claims = parallelism.shuffled_claims.map_or(Claims::InOrder, Claims::Shuffled);
        Ok(Parallel {
            serial: Arc::new(serial),
            pool,
            parallel_from: parallel_from as usize,
            calibration,
            claims,
            alone: MeasuredMutex::new((), probe),
        })
    }

    fn run<'a>(
        &'a self,
        segment: &mut Vec<(Command, Shards)>,
        batch: &mut Batch<'a>,
        answers: &mut Vec<Answer>,
    ) {
        let segment = std::mem::take(segment);
        if segment.len() < self.parallel_from.max(1) {
            let alone = |(command, _)| self.serial.apply_one(command, batch);
            answers.extend(segment.into_iter().map(alone));
            return;
        }
        let mut leases = batch.leases.take().unwrap_or_else(|| self.serial.shards.leases());
        let prepared = prepare(&self.serial, &leases, segment, &mut batch.sampling);
        // Seeded bugs: GrantOfBatchUnseen, AttachmentOfBatchUnseen.
        #[cfg(feature = "seeded-bugs")]
        let prepared = self.serial.core.seeded().prepared(&leases, prepared);
        let shard_lists = prepared.iter().map(|prepared| prepared.shards.as_slice());
        let tickets = Tickets::new(shard_lists, self.serial.shards.len());
        // Seeded bugs: MissingTicketEdge, CompareNotTicketed.
        #[cfg(feature = "seeded-bugs")]
        let tickets = self.serial.core.seeded().tickets(&self.serial, &prepared, tickets);
        if tickets.longest_chain() * 100 > tickets.len() * CHAIN_PERCENT_MAX
            && matches!(self.claims, Claims::InOrder)
        {
            self.keep(leases, batch);
            let again = |prepared: Prepared| {
                let Prepared { request, position, .. } = prepared;
                self.serial.apply_one(Command { position, request }, batch)
            };
            answers.extend(prepared.into_iter().map(again));
            return;
        }
        let done = self.evaluate(prepared, tickets);
        failpoint::pass("workers::before-settle");
        done.iter().for_each(|done| leases.follow(&done.effects));
        // Seeded bug: LeaseDetachLost.
        #[cfg(feature = "seeded-bugs")]
        done.iter().for_each(|done| self.serial.core.seeded().hang(&mut leases, &done.effects));
        let effects: Vec<_> = done.iter().map(|done| (&done.effects, done.position)).collect();
        let around = self.serial.core.settle_all(&effects, &mut batch.pending);
        self.keep(leases, batch);
        answers.extend(done.into_iter().zip(around).map(|(done, around)| Answer {
            response: done.effects.response(around),
            stamps: done.stamps,
        }));
    }

    /// Lets the lease table go, unless it has to wait for the batch.
    fn keep<'a>(&self, leases: MeasuredGuard<'a, Leases>, batch: &mut Batch<'a>) {
        if self.serial.core.engine.commits_batches() {
            batch.leases = Some(leases);
        }
    }

    fn evaluate(&self, prepared: Vec<Prepared>, tickets: Tickets) -> Vec<Done> {
        let segment = Arc::new(Segment {
            store: self.serial.clone(),
            order: self.claims.order(tickets.len()),
            tickets,
            slots: prepared
                .into_iter()
                .map(|prepared| Mutex::new(Slot::Waiting(prepared)))
                .collect(),
            bounds: self.serial.core.settled_bounds(),
            claimed: AtomicUsize::new(0),
            evaluated: AtomicUsize::new(0),
        });
        self.pool.run(segment.clone());
        segment.slots.iter().map(take_done).collect()
    }
}

fn take(slot: &Mutex<Slot>) -> Slot {
    std::mem::replace(&mut *slot.lock().unwrap_or_else(PoisonError::into_inner), Slot::Empty)
}

fn take_done(slot: &Mutex<Slot>) -> Done {
    match take(slot) {
        Slot::Evaluated(done) => done,
        Slot::Waiting(_) | Slot::Empty => unreachable!("the job is done"),
    }
}

impl Claims {
    fn order(self, requests: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..requests as u32).collect();
        if let Claims::Shuffled(seed) = self {
            // Fisher and Yates, by the hash of each place: as good a shuffle as its seed, and the same every time.
            for place in (1..order.len()).rev() {
                let other = super::hash(&place.to_le_bytes(), seed) as usize % (place + 1);
                order.swap(place, other);
            }
        }
        order
    }
}

impl<E: Engine, L: Layout> Job for Segment<E, L> {
    fn work(&self) {
        loop {
            // Relaxed: claims only have to differ; what they lead to is ordered by the tickets.
            let first = self.claimed.fetch_add(CLAIM, Ordering::Relaxed);
            let Some(claims) = self.order.get(first..) else { return };
            for claim in claims.iter().take(CLAIM) {
                // Seeded bug: EarlyRelease.
                #[cfg(feature = "seeded-bugs")]
                if self.store.core.seeded().let_go(&self.tickets, *claim, |at| self.evaluate(at)) {
                    continue;
                }
                self.tickets.claim(*claim as usize, |number| self.evaluate(number));
            }
        }
    }

    fn is_done(&self) -> bool {
        // Acquire: pairs with the increments, so that every slot is seen filled.
        self.evaluated.load(Ordering::Acquire) == self.slots.len()
    }
}

impl<E: Engine, L: Layout> Segment<E, L> {
    fn evaluate(&self, number: usize) {
        failpoint::pass("workers::request");
        let Slot::Waiting(prepared) = take(&self.slots[number]) else {
            unreachable!("tickets let a request run once")
        };
        let Prepared { request, position, shards, leases, lease_keys, stands_for } = prepared;
        let held = self.store.shards.lock(&shards, stands_for);
        let locked = held.entered();
        let applying = self.store.core.appliers.enter();
        let mut decided = Decided { held, leases, lease_keys };
        let effects = self.store.core.evaluate_numbered(request, number, self.bounds, &mut decided);
        drop(applying);
        let done = Done { effects, position, stamps: decided.held.leave(locked) };
        *self.slots[number].lock().unwrap_or_else(PoisonError::into_inner) = Slot::Evaluated(done);
        // Release: pairs with the applier's look at the count.
        self.evaluated.fetch_add(1, Ordering::Release);
    }
}

/// Locked shards, with leases as they were decided.
struct Decided<'a, P: Send, L: Layout> {
    held: LockedShards<'a, P, L>,
    leases: SmallVec<[LeaseId; 1]>,
    lease_keys: Vec<Vec<u8>>,
}

impl<P: Send, L: Layout> Locked<P> for Decided<'_, P, L> {
    fn part(&self, hash: u64) -> &P {
        self.held.part(hash)
    }

    fn part_mut(&mut self, hash: u64) -> &mut P {
        self.held.part_mut(hash)
    }

    fn lease_exists(&mut self, id: LeaseId) -> bool {
        self.leases.contains(&id)
    }

    fn keys_of_lease(&mut self, _: LeaseId) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.lease_keys)
    }
}

impl<E: Engine, L: Layout> ApplyPath for Parallel<E, L> {
    fn apply(&self, batch: &mut Vec<Command>, answers: &mut Vec<Answer>) {
        let alone = self.alone.lock();
        let serial = &self.serial;
        let pass = serial.core.publication.enter(&serial.core.engine);
        serial.core.skip_applied(batch, answers);
        let mut state = Batch::new(batch.len(), serial.shards.probe);
        let mut segment = Vec::with_capacity(batch.len());
        let mut known = serial.core.settled_bounds().current;
        for command in batch.drain(..) {
            // Seeded bug: NoExactRule.
            #[cfg(feature = "seeded-bugs")]
            serial.core.seeded().raise(&mut known);
            match footprint(&command.request, known, |key| serial.shard_of(key)) {
                Footprint::Shards(shards) => segment.push((command, shards)),
                Footprint::All | Footprint::Exact => {
                    self.run(&mut segment, &mut state, answers);
                    answers.push(serial.apply_one(command, &mut state));
                    known = serial.core.settled_bounds().current;
                }
            }
        }
        self.run(&mut segment, &mut state, answers);
        serial.core.commit(&mut state.pending);
        drop((state, pass, alone));
    }

    fn read(&self, request: &Request) -> Answer {
        self.serial.read(request)
    }

    fn read_within(&self, portion: Portion, range: &Range) -> Option<Response> {
        self.serial.read_within(portion, range)
    }

    fn hold(&self, range: &Range) -> (MainRevision, Result<HeldRange, Refusal>) {
        self.serial.hold(range)
    }

    fn applied(&self) -> Position {
        self.serial.applied()
    }

    fn published(&self) -> MainRevision {
        self.serial.published()
    }

    fn events(&self, from: MainRevision, to: MainRevision) -> Result<Vec<Event>, MainRevision> {
        self.serial.events(from, to)
    }

    fn digest(&self) -> Digest {
        self.serial.digest()
    }

    fn dump(&self) -> Dump {
        self.serial.dump()
    }

    fn write_image(&self, to: &mut dyn Write, held: &mut dyn FnMut()) -> io::Result<()> {
        self.serial.write_image(to, held)
    }

    fn bytes(&self) -> u64 {
        self.serial.bytes()
    }

    fn defragment(&self) {
        self.serial.defragment();
    }

    fn watches(&self) -> &WatchHub {
        self.serial.watches()
    }

    fn visit_locks(&self, visit: Visit<'_>) {
        self.serial.visit_locks(visit);
        visit("batches", &self.alone);
        self.pool.visit_locks(visit);
    }

    fn take_most_appliers(&self) -> Option<u32> {
        self.serial.take_most_appliers()
    }

    fn calibration(&self) -> Option<Calibration> {
        Some(self.calibration)
    }
}
