//! The baseline: one lock around each request, readers included. The lock covers the execution of one request
//! and nothing else: no encoding, no waiting for a log.

use super::ahead::Coming;
use super::core::{Core, Locked};
use super::engine::{Engine, Kept};
use super::leases::Leases;
use super::publication::Pending;
use super::range::{HeldRange, Portion};
use super::reading::Guarded;
use super::watch::WatchHub;
use super::{Answer, ApplyPath, Command, Digest, Dump, image};
use crate::failpoint;
use crate::measure::lock::{MeasuredGuard, MeasuredMutex, Visit};
use crate::measure::stage::{Probe, Sampling, Stamps};
use crate::model::{Event, LeaseId, MainRevision, Position, Range, Refusal, Request, Response};
use crate::units::Nanos;
use std::io::{self, Write};

/// All keys behind one mutex.
pub(super) struct GlobalMutex<E: Engine> {
    core: Core<E>,
    state: MeasuredMutex<State<E::Part>>,
    probe: Probe,
}

struct State<P> {
    part: P,
    leases: Leases,
}

impl<P> Locked<P> for State<P> {
    fn part(&self, _: u64) -> &P {
        &self.part
    }

    fn part_mut(&mut self, _: u64) -> &mut P {
        &mut self.part
    }

    fn lease_exists(&mut self, id: LeaseId) -> bool {
        self.leases.exists(id)
    }

    fn keys_of_lease(&mut self, id: LeaseId) -> Vec<Vec<u8>> {
        self.leases.keys(id)
    }
}

/// The lock, held for as long as a reader reads.
impl<P> Guarded<P> for MeasuredGuard<'_, State<P>> {
    fn part(&self, _: u64, look: &mut dyn FnMut(&P)) {
        look(&self.part);
    }

    fn leases(&self, look: &mut dyn FnMut(&Leases)) {
        look(&self.leases);
    }
}

/// The lock, taken for one look at a time.
struct AtOnce<'a, P>(&'a MeasuredMutex<State<P>>);

impl<P> Guarded<P> for AtOnce<'_, P> {
    fn part(&self, hash: u64, look: &mut dyn FnMut(&P)) {
        self.0.lock().part(hash, look);
    }

    fn leases(&self, look: &mut dyn FnMut(&Leases)) {
        look(&self.0.lock().leases);
    }
}

impl<E: Engine> GlobalMutex<E> {
    /// On what `engine` had kept.
    pub(super) fn new(engine: E, kept: Kept, hash_seed: u64, probe: Probe) -> GlobalMutex<E> {
        let core = Core::new(engine, &kept, hash_seed, probe);
        let mut part = core.engine.part();
        for kv in &kept.versions {
            core.engine.add(&mut part, core.hash(kv.key()), kv.clone());
        }
        core.engine.sort();
        let state = State { part, leases: Leases::of(kept) };
        GlobalMutex { core, state: MeasuredMutex::new(state, probe), probe }
    }

    /// Takes the lock for one request.
    fn apply_locked(&self, command: Command, pending: &mut Pending, stands_for: u32) -> Answer {
        let mut state = self.state.lock_for(stands_for);
        let locked = state.entered();
        let applying = self.core.appliers.enter();
        let response = self.apply_one(command, &mut state, pending);
        drop(applying);
        let stamps = Stamps { locked, applied: state.leave(), stands_for };
        Answer { response, stamps }
    }

    /// Takes the lock for a batch that is committed as a whole: its leases are not to be seen before its keys.
    fn apply_whole(&self, batch: &mut Vec<Command>, answers: &mut Vec<Answer>) {
        let mut state = self.state.lock();
        let mut pending = Pending::default();
        let mut sampling = Sampling::of_batch(batch.len(), self.probe);
        for command in batch.drain(..) {
            let stands_for = sampling.draw();
            let now = || if stands_for == 0 { Nanos::ZERO } else { self.probe.now() };
            let locked = now();
            let _applying = self.core.appliers.enter();
            let response = self.apply_one(command, &mut state, &mut pending);
            let stamps = Stamps { locked, applied: now(), stands_for };
            answers.push(Answer { response, stamps });
        }
        self.core.commit(&mut pending);
    }

    fn prefetch(&self, keys: &[&[u8]]) {
        if let Some(state) = self.state.glance() {
            self.core.engine.prefetch(keys.iter().map(|key| (&state.part, self.core.hash(key))));
        }
    }

    fn apply_one(
        &self,
        command: Command,
        state: &mut State<E::Part>,
        pending: &mut Pending,
    ) -> Response {
        failpoint::pass("store::between-requests");
        let Command { position, request } = command;
        if let Request::Compact { revision } = request {
            return self.core.compact(revision, position, pending);
        }
        if request.is_alarm() {
            return self.core.alarm(&request, position, pending);
        }
        let effects = self.core.evaluate_exact(request, state);
        let around = self.core.settle(&effects, position, pending);
        if effects.concern_leases() {
            state.leases.follow(&effects);
        }
        effects.response(around)
    }
}

impl<E: Engine> ApplyPath for GlobalMutex<E> {
    fn apply(&self, batch: &mut Vec<Command>, answers: &mut Vec<Answer>) {
        let pass = self.core.publication.enter(&self.core.engine);
        self.core.skip_applied(batch, answers);
        if self.core.engine.commits_batches() {
            self.apply_whole(batch, answers);
        } else {
            let mut pending = Pending::default();
            let mut sampling = Sampling::of_batch(batch.len(), self.probe);
            let mut coming = Coming::new(batch);
            while let Some(command) = coming.next(|keys| self.prefetch(keys)) {
                answers.push(self.apply_locked(command, &mut pending, sampling.draw()));
            }
        }
        drop(pass);
    }

    fn read(&self, request: &Request) -> Answer {
        let state = self.state.lock();
        let locked = state.entered();
        let response = self.core.read(request, &state);
        let applied = state.leave();
        Answer { response, stamps: Stamps { locked, applied, stands_for: 1 } }
    }

    fn read_within(&self, portion: Portion, range: &Range) -> Option<Response> {
        self.core.read_within(portion, range, &self.state.lock())
    }

    fn hold(&self, range: &Range) -> (MainRevision, Result<HeldRange, Refusal>) {
        self.core.hold(range, &self.state.lock())
    }

    fn applied(&self) -> Position {
        self.core.publication.position()
    }

    fn published(&self) -> MainRevision {
        self.core.publication.published()
    }

    fn events(&self, from: MainRevision, to: MainRevision) -> Result<Vec<Event>, MainRevision> {
        let state = self.state.lock();
        self.core.events(from, to, &state, &mut |look| look(&state.part))
    }

    fn digest(&self) -> Digest {
        self.dump().digest()
    }

    fn dump(&self) -> Dump {
        self.core.dump(&self.state.lock())
    }

    fn write_image(&self, to: &mut dyn Write, held: &mut dyn FnMut()) -> io::Result<()> {
        image::write(&self.core, &AtOnce(&self.state), to, held)
    }

    fn bytes(&self) -> u64 {
        self.core.bytes()
    }

    fn defragment(&self) {
        self.core.defragment(&mut |tend| tend(&mut self.state.lock().part));
    }

    fn watches(&self) -> &WatchHub {
        self.core.publication.hub()
    }

    fn visit_locks(&self, visit: Visit<'_>) {
        visit("store", &self.state);
        self.core.visit_locks(visit);
    }

    fn take_most_appliers(&self) -> Option<u32> {
        self.core.appliers.take_most()
    }
}
