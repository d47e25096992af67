//! The sharded direct path: a request takes the locks of the shards it touches, in ascending order, so that no two
//! requests wait for each other. A single-key request takes one; whatever walks over an interval takes all; leases
//! have a lock of their own, which comes after the shards.

use super::ahead::{Coming, Group};
use super::core::{Core, Locked};
use super::effects::Effects;
use super::engine::{Engine, Kept, Show};
use super::footprint::{Footprint, Shards, footprint};
use super::kv::Kv;
use super::layout::Layout;
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
use smallvec::SmallVec;
use std::cell::Cell;
use std::io::{self, Write};

/// Keys spread over shards, one mutex each.
pub(super) struct Sharded<E: Engine, L: Layout> {
    pub(super) core: Core<E>,
    pub(super) shards: ShardLocks<E::Part, L>,
}

/// What an apply call carries from request to request.
pub(super) struct Batch<'a> {
    pub(super) pending: Pending,
    /// Where a batch is committed as a whole, the lease table stays locked from its first use until then: leases are not to
    /// be seen before their keys. Nobody else applies meanwhile.
    pub(super) leases: Option<MeasuredGuard<'a, Leases>>,
    /// Which of its requests are stamped.
    pub(super) sampling: Sampling,
}

impl Batch<'_> {
    /// For so many requests.
    pub(super) fn new(requests: usize, probe: Probe) -> Self {
        let sampling = Sampling::of_batch(requests, probe);
        Batch { pending: Pending::default(), leases: None, sampling }
    }
}

/// The locks. Order: shards ascending, then leases, then the publication.
pub(super) struct ShardLocks<P: Send, L: Layout> {
    /// Length is a power of two.
    parts: Vec<L::Place<MeasuredMutex<P>>>,
    leases: MeasuredMutex<Leases>,
    pub(super) probe: Probe,
}

impl<P: Send, L: Layout> ShardLocks<P, L> {
    /// # Panics
    /// If `shards` is not a power of two up to 65536.
    fn new(shards: u32, part: impl Fn() -> P, leases: Leases, probe: Probe) -> ShardLocks<P, L> {
        assert!(
            shards.is_power_of_two() && shards <= 1 << 16,
            "the shard count is a power of two up to 65536, got {shards}"
        );
        let parts = (0..shards).map(|_| MeasuredMutex::new(part(), probe).into());
        ShardLocks { parts: parts.collect(), leases: MeasuredMutex::new(leases, probe), probe }
    }

    /// From bits that the hash tables within a shard do not use.
    pub(super) fn shard_of(&self, hash: u64) -> u32 {
        (hash >> 32) as u32 & (self.parts.len() as u32 - 1)
    }

    /// How many shards there are.
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Takes the lock of the lease table; no shard may be asked for after it.
    pub(super) fn leases(&self) -> MeasuredGuard<'_, Leases> {
        self.leases.lock()
    }

    /// Takes the locks of `shards`, which ascend, for a request that stands for so many.
    pub(super) fn lock(&self, shards: &[u32], stands_for: u32) -> LockedShards<'_, P, L> {
        let lock = |shard: &u32| (*shard, self.parts[*shard as usize].lock_for(stands_for));
        // Nearly all there are: to collect one takes longer than to lock it.
        let held = match shards {
            [one] => SmallVec::from_buf([lock(one)]),
            several => several.iter().map(lock).collect(),
        };
        LockedShards { locks: self, held, leases: None, stands_for }
    }

    fn lock_all(&self, stands_for: u32) -> LockedShards<'_, P, L> {
        let all: Vec<u32> = (0..self.parts.len() as u32).collect();
        self.lock(&all, stands_for)
    }
}

/// Some shards, locked, and the lease table once it was needed.
pub(super) struct LockedShards<'a, P: Send, L: Layout> {
    locks: &'a ShardLocks<P, L>,
    /// Ascending by shard.
    held: SmallVec<[(u32, MeasuredGuard<'a, P>); 1]>,
    leases: Option<MeasuredGuard<'a, Leases>>,
    stands_for: u32,
}

impl<'a, P: Send, L: Layout> LockedShards<'a, P, L> {
    fn leases(&mut self) -> &mut MeasuredGuard<'a, Leases> {
        // One hold may last for a batch: to time one in eight would tell all of it or nothing.
        self.leases.get_or_insert_with(|| self.locks.leases.lock())
    }

    fn place(&self, hash: u64) -> usize {
        let shard = self.locks.shard_of(hash);
        match self.held.len() {
            1 => 0,
            _ if self.held.len() == self.locks.parts.len() => shard as usize,
            _ => self
                .held
                .binary_search_by_key(&shard, |(held, _)| *held)
                .expect("the footprint names every shard the request touches"),
        }
    }

    /// When the last lock was got.
    pub(super) fn entered(&self) -> Nanos {
        self.held.last().map_or_else(|| self.now(), |(_, part)| part.entered())
    }

    /// Gives all locks back and says when the last was.
    pub(super) fn leave(mut self, locked: Nanos) -> Stamps {
        drop(self.leases.take());
        let last = self.held.pop();
        self.held.clear();
        let applied = last.map_or_else(|| self.now(), |(_, part)| part.leave());
        Stamps { locked, applied, stands_for: self.stands_for }
    }

    /// The present instant if somebody asks for it.
    fn now(&self) -> Nanos {
        if self.stands_for == 0 { Nanos::ZERO } else { self.locks.probe.now() }
    }
}

impl<P: Send, L: Layout> Locked<P> for LockedShards<'_, P, L> {
    fn part(&self, hash: u64) -> &P {
        &self.held[self.place(hash)].1
    }

    fn part_mut(&mut self, hash: u64) -> &mut P {
        let place = self.place(hash);
        &mut self.held[place].1
    }

    fn lease_exists(&mut self, id: LeaseId) -> bool {
        self.leases().exists(id)
    }

    fn keys_of_lease(&mut self, id: LeaseId) -> Vec<Vec<u8>> {
        self.leases().keys(id)
    }
}

impl<P: Send, L: Layout> Guarded<P> for ShardLocks<P, L> {
    fn part(&self, hash: u64, look: &mut dyn FnMut(&P)) {
        look(&self.parts[self.shard_of(hash) as usize].lock());
    }

    fn leases(&self, look: &mut dyn FnMut(&Leases)) {
        look(&self.leases.lock());
    }
}

/// The same, noting when the first lock was got and the last left: a get then needs no clock of its own.
struct Lookups<'a, P: Send, L: Layout> {
    locks: &'a ShardLocks<P, L>,
    first: Cell<Option<Nanos>>,
    last: Cell<Option<Nanos>>,
}

impl<'a, P: Send, L: Layout> Lookups<'a, P, L> {
    fn new(locks: &'a ShardLocks<P, L>) -> Lookups<'a, P, L> {
        Lookups { locks, first: Cell::new(None), last: Cell::new(None) }
    }
}

impl<P: Send, L: Layout> Guarded<P> for Lookups<'_, P, L> {
    fn part(&self, hash: u64, look: &mut dyn FnMut(&P)) {
        let part = self.locks.parts[self.locks.shard_of(hash) as usize].lock();
        self.first.set(self.first.get().or(Some(part.entered())));
        look(&part);
        self.last.set(Some(part.leave()));
    }

    fn leases(&self, look: &mut dyn FnMut(&Leases)) {
        look(&self.locks.leases());
    }
}

/// Whether it looks up one key and nothing else.
fn is_get(request: &Request) -> bool {
    matches!(request, Request::Range(range) if range.interval.is_point())
}

impl<E: Engine, L: Layout> Sharded<E, L> {
    /// On what `engine` had kept.
    ///
    /// # Panics
    /// If `shards` is not a power of two up to 65536.
    pub(super) fn new(
        engine: E,
        mut kept: Kept,
        shards: u32,
        hash_seed: u64,
        probe: Probe,
    ) -> Sharded<E, L> {
        let core = Core::new(engine, &kept, hash_seed, probe);
        let versions = std::mem::take(&mut kept.versions);
        let shards = ShardLocks::new(shards, || core.engine.part(), Leases::of(kept), probe);
        let store = Sharded { core, shards };
        versions.into_iter().for_each(|kv| store.fill(kv));
        store.core.engine.sort();
        store
    }

    /// Adds a version that was kept.
    fn fill(&self, kv: Kv) {
        let hash = self.core.hash(kv.key());
        let mut held = self.shards.lock(&[self.shards.shard_of(hash)], 1);
        self.core.engine.add(held.part_mut(hash), hash, kv);
    }

    pub(super) fn shard_of(&self, key: &[u8]) -> u32 {
        self.shards.shard_of(self.core.hash(key))
    }

    /// The shards of `keys`, ascending and distinct.
    pub(super) fn shards_of(&self, keys: &[Vec<u8>]) -> Shards {
        let mut shards: Shards = keys.iter().map(|key| self.shard_of(key)).collect();
        shards.sort_unstable();
        shards.dedup();
        shards
    }

    /// Under the locks of all their shards at once, as far as nobody holds them, so that the engine waits for the keys together.
    fn prefetch(&self, keys: &[&[u8]]) {
        if !E::PREFETCHES {
            return;
        }
        let glance = |key: &&[u8]| {
            let hash = self.core.hash(key);
            let part = self.shards.parts[self.shards.shard_of(hash) as usize].glance()?;
            Some((part, hash))
        };
        let parts: Group<_> = keys.iter().filter_map(glance).collect();
        self.core.engine.prefetch(parts.iter().map(|(part, hash)| (&**part, *hash)));
    }

    pub(super) fn apply_one<'a>(&'a self, command: Command, batch: &mut Batch<'a>) -> Answer {
        failpoint::pass("store::between-requests");
        let Command { position, request } = command;
        if let Request::Compact { revision } = request {
            return self.compact(revision, position, &mut batch.pending);
        }
        if request.is_alarm() {
            return self.alarm(&request, position, batch);
        }
        let known = self.core.publication.published();
        let footprint = footprint(&request, known, |key| self.shard_of(key));
        let stands_for = batch.sampling.draw();
        let (mut held, exact) = match (&request, footprint) {
            (Request::LeaseRevoke { id }, _) => (self.lock_lease(*id, batch, stands_for), false),
            (_, Footprint::Shards(shards)) => (self.shards.lock(&shards, stands_for), false),
            (_, Footprint::All) => (self.shards.lock_all(stands_for), false),
            (_, Footprint::Exact) => (self.shards.lock_all(stands_for), true),
        };
        held.leases = held.leases.take().or_else(|| batch.leases.take());
        if let Request::LeaseGrant { .. } = request {
            // It has no shard to lock, and alarms must not change under it.
            held.leases();
        }
        let locked = held.entered();
        let applying = self.core.appliers.enter();
        let response = if exact {
            let effects = self.core.evaluate_exact(request, &mut held);
            self.finish(effects, position, &mut held, batch)
        } else {
            let effects = self.core.evaluate_stamped(request, known, &mut held);
            self.finish(effects, position, &mut held, batch)
        };
        if self.core.engine.commits_batches() {
            batch.leases = held.leases.take();
        }
        drop(applying);
        Answer { response, stamps: held.leave(locked) }
    }

    /// Touches no key, so it needs no shard: versions are forgotten later, and not while a transaction reads the past.
    fn compact(&self, revision: MainRevision, position: Position, pending: &mut Pending) -> Answer {
        let locked = self.shards.probe.now();
        let response = self.core.compact(revision, position, pending);
        let stamps = Stamps { locked, applied: self.shards.probe.now(), stands_for: 1 };
        Answer { response, stamps }
    }

    /// Under every lock: who holds one of them relies on the alarms.
    fn alarm<'a>(&'a self, request: &Request, position: Position, batch: &mut Batch<'a>) -> Answer {
        let mut held = self.shards.lock_all(1);
        held.leases = batch.leases.take();
        held.leases();
        let locked = held.entered();
        let response = self.core.alarm(request, position, &mut batch.pending);
        if self.core.engine.commits_batches() {
            batch.leases = held.leases.take();
        }
        Answer { response, stamps: held.leave(locked) }
    }

    /// Locks the shards of a lease's keys, and the lease table. Keys come and go until both are held, so it may take
    /// more than one attempt; with one applier it never does.
    fn lock_lease<'a>(
        &'a self,
        id: LeaseId,
        batch: &mut Batch<'a>,
        stands_for: u32,
    ) -> LockedShards<'a, E::Part, L> {
        if let Some(leases) = batch.leases.take() {
            let mut held = self.shards.lock(&self.shards_of(&leases.keys(id)), stands_for);
            held.leases = Some(leases);
            return held;
        }
        loop {
            let keys = self.shards.leases.lock().keys(id);
            let mut held = self.shards.lock(&self.shards_of(&keys), stands_for);
            if held.leases().keys(id) == keys {
                return held;
            }
        }
    }

    /// The lease table follows before the request is seen, and is not let go until it is.
    fn finish(
        &self,
        effects: Effects,
        position: Position,
        held: &mut LockedShards<'_, E::Part, L>,
        batch: &mut Batch<'_>,
    ) -> Response {
        if effects.concern_leases() {
            held.leases().follow(&effects);
        }
        let around = self.core.settle(&effects, position, &mut batch.pending);
        effects.response(around)
    }

    fn each_part(&self) -> impl FnMut(Show<'_, E::Part>) {
        |look| self.shards.parts.iter().for_each(|part| look(&part.lock()))
    }
}

impl<E: Engine, L: Layout> ApplyPath for Sharded<E, L> {
    fn apply(&self, batch: &mut Vec<Command>, answers: &mut Vec<Answer>) {
        let pass = self.core.publication.enter(&self.core.engine);
        self.core.skip_applied(batch, answers);
        let mut state = Batch::new(batch.len(), self.shards.probe);
        let mut coming = Coming::new(batch);
        while let Some(command) = coming.next(|keys| self.prefetch(keys)) {
            answers.push(self.apply_one(command, &mut state));
        }
        self.core.commit(&mut state.pending);
        drop((state, pass));
    }

    fn read(&self, request: &Request) -> Answer {
        let lookups = Lookups::new(&self.shards);
        let began = if is_get(request) { Nanos::ZERO } else { self.shards.probe.now() };
        let response = self.core.read(request, &lookups);
        let locked = lookups.first.get().unwrap_or(began);
        let applied = lookups.last.get().unwrap_or_else(|| self.shards.probe.now());
        Answer { response, stamps: Stamps { locked, applied, stands_for: 1 } }
    }

    fn read_within(&self, portion: Portion, range: &Range) -> Option<Response> {
        self.core.read_within(portion, range, &Lookups::new(&self.shards))
    }

    fn hold(&self, range: &Range) -> (MainRevision, Result<HeldRange, Refusal>) {
        self.core.hold(range, &Lookups::new(&self.shards))
    }

    fn applied(&self) -> Position {
        self.core.publication.position()
    }

    fn published(&self) -> MainRevision {
        self.core.publication.published()
    }

    fn events(&self, from: MainRevision, to: MainRevision) -> Result<Vec<Event>, MainRevision> {
        self.core.events(from, to, &self.shards, &mut self.each_part())
    }

    fn digest(&self) -> Digest {
        self.dump().digest()
    }

    fn dump(&self) -> Dump {
        self.core.dump(&self.shards)
    }

    fn write_image(&self, to: &mut dyn Write, held: &mut dyn FnMut()) -> io::Result<()> {
        image::write(&self.core, &self.shards, to, held)
    }

    fn bytes(&self) -> u64 {
        self.core.bytes()
    }

    fn defragment(&self) {
        self.core.defragment(&mut |tend| {
            self.shards.parts.iter().for_each(|part| tend(&mut part.lock()));
        });
    }

    fn watches(&self) -> &WatchHub {
        self.core.publication.hub()
    }

    fn visit_locks(&self, visit: Visit<'_>) {
        self.shards.parts.iter().for_each(|part| visit("store", &**part));
        visit("leases", &self.shards.leases);
        self.core.visit_locks(visit);
    }

    fn take_most_appliers(&self) -> Option<u32> {
        self.core.appliers.take_most()
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Padded;
    use super::super::look::{At, Flow, Look};
    use super::super::memory::Memory;
    use super::super::reading::without_gaps;
    use super::*;
    use crate::model::Interval;

    const KEYS: usize = 50;

    fn overwrite_and_compact(store: &Sharded<Memory, Padded>) {
        let apply = |requests: Vec<Request>| {
            let command = |request| Command { position: Position::default(), request };
            store.apply(&mut requests.into_iter().map(command).collect(), &mut Vec::new());
        };
        apply((0..KEYS).map(|key| Request::put(format!("k{key}"), "v")).collect());
        apply(vec![Request::Compact { revision: store.published() }]);
        store.defragment();
    }

    /// How many keys each look sees while `meanwhile` happens.
    fn seen(store: &Sharded<Memory, Padded>, meanwhile: impl Fn()) -> Vec<usize> {
        let mut all = Vec::new();
        without_gaps(&store.core, &Lookups::new(&store.shards), 0, &mut |reader, _| {
            meanwhile();
            let mut keys = 0;
            reader.each(&Interval::everything(), At::Now, &mut |_| {
                keys += 1;
                Flow::On
            });
            all.push(keys);
        });
        all
    }

    #[test]
    fn a_compaction_overtakes_a_look_once_and_then_waits() {
        let engine = Memory::new(1, Probe::off());
        let store = Sharded::new(engine, Kept::default(), 8, 1, Probe::off());
        overwrite_and_compact(&store);
        assert_eq!(seen(&store, || ()), [KEYS]);
        assert_eq!(seen(&store, || overwrite_and_compact(&store)), [0, KEYS]);
        assert_eq!(seen(&store, || ()), [KEYS], "what waited is done");
    }
}
