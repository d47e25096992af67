//! What both paths share: the engine, the publication, and how a request meets the state under whatever locks the path holds.

use super::alarms::Alarms;
use super::appliers::Appliers;
use super::effects::{AlarmChange, Effects, LeaseChange};
use super::engine::{Engine, Hashed, Kept, Show, Tend};
use super::evaluate::{State, Turn, evaluate};
use super::footprint::looks_back;
use super::image::{Compactions, Held};
use super::kv::{Kv, STAMP, Written};
use super::look::{At, EachKey, Look};
use super::publication::{Around, Pending, Publication};
use super::range::{Bounds, HeldRange, Portion};
use super::reading::{self, Guarded};
use super::{Answer, Command, Digest, Dump, size};
use crate::failpoint;
use crate::measure::lock::Visit;
use crate::measure::stage::{Probe, Stamps};
use crate::model::{
    Body, Event, EventKind, Interval, KeyValue, LeaseId, MainRevision, Position, Range, Refusal,
    Request, Response,
};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::Xxh3;

/// Engine and publication.
pub(super) struct Core<E> {
    pub(super) engine: E,
    pub(super) publication: Publication,
    pub(super) compactions: Compactions,
    pub(super) alarms: Alarms,
    /// How many leases there are. Relaxed: it orders nothing.
    leases: AtomicU64,
    pub(super) hash_seed: u64,
    pub(super) appliers: Appliers,
    /// Only for scripts/gate_demo, as is every line that names this feature.
    #[cfg(feature = "slowed-apply")]
    slowed: super::slowed::Slowed,
}

/// What a path has locked for a request.
pub(super) trait Locked<P> {
    /// The part that holds the keys of `hash`.
    fn part(&self, hash: u64) -> &P;

    /// The same, to write to.
    fn part_mut(&mut self, hash: u64) -> &mut P;

    /// Whether there is such a lease.
    fn lease_exists(&mut self, id: LeaseId) -> bool;

    /// Every key that may hang on lease `id`, ascending.
    fn keys_of_lease(&mut self, id: LeaseId) -> Vec<Vec<u8>>;
}

/// The newest state, under locks.
struct Newest<'a, E, L> {
    core: &'a Core<E>,
    locked: &'a mut L,
}

impl<E: Engine, L: Locked<E::Part>> Look for Newest<'_, E, L> {
    fn get(&self, key: &[u8], at: At) -> Option<Kv> {
        let hash = self.core.hash(key);
        self.core.engine.get(self.locked.part(hash), Hashed { key, hash }, at)
    }

    fn scan(&self, from: &[u8], end: Option<&[u8]>, at: At, visit: EachKey<'_>) {
        self.core.engine.scan(from, end, at, visit);
    }
}

impl<E: Engine, L: Locked<E::Part>> State for Newest<'_, E, L> {
    fn write(&mut self, key: &[u8], value: Cow<'_, [u8]>, written: Written) -> Kv {
        let hash = self.core.hash(key);
        let kv = self.core.engine.version(Hashed { key, hash }, value, written);
        self.core.engine.add(self.locked.part_mut(hash), hash, kv.clone());
        kv
    }

    fn lease_exists(&mut self, id: LeaseId) -> bool {
        self.locked.lease_exists(id)
    }

    fn keys_of_lease(&mut self, id: LeaseId) -> Vec<Vec<u8>> {
        self.locked.keys_of_lease(id)
    }

    #[cfg(feature = "seeded-bugs")]
    fn seeded(&self) -> super::seeded::Seeded {
        self.core.seeded()
    }
}

impl<E: Engine> Core<E> {
    pub(super) fn new(engine: E, kept: &Kept, hash_seed: u64, probe: Probe) -> Core<E> {
        let publication = Publication::new(kept, probe);
        let compactions = Compactions::new(probe);
        // What was superseded before it may be among what was kept.
        engine.compact(kept.compacted);
        let appliers = Appliers::new(probe.is_on());
        let (alarms, leases) = (Alarms::of(&kept.alarms), AtomicU64::new(kept.leases.len() as u64));
        Core {
            engine,
            publication,
            compactions,
            alarms,
            leases,
            hash_seed,
            appliers,
            #[cfg(feature = "slowed-apply")]
            slowed: super::slowed::Slowed::from_environment(),
        }
    }

    #[cfg(feature = "seeded-bugs")]
    pub(super) fn seeded(&self) -> super::seeded::Seeded {
        self.publication.seeded
    }

    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        super::hash(key, self.hash_seed)
    }

    /// Evaluates under `locked` with a stamp that is settled right after. `known` is what the footprint was made with.
    pub(super) fn evaluate_stamped(
        &self,
        request: Request,
        known: MainRevision,
        locked: &mut impl Locked<E::Part>,
    ) -> Effects {
        let _past = self.hold_past(&request);
        let bounds = Bounds { current: known, compacted: self.publication.compacted() };
        self.evaluate(request, locked, Turn { stamp: STAMP, bounds })
    }

    fn evaluate(&self, request: Request, locked: &mut impl Locked<E::Part>, turn: Turn) -> Effects {
        #[cfg(feature = "slowed-apply")]
        return self.slowed.draw_out(|| self.evaluate_at_speed(request, locked, turn));
        #[cfg(not(feature = "slowed-apply"))]
        self.evaluate_at_speed(request, locked, turn)
    }

    fn evaluate_at_speed(
        &self,
        request: Request,
        locked: &mut impl Locked<E::Part>,
        turn: Turn,
    ) -> Effects {
        failpoint::pass("store::before-evaluate");
        match self.alarms.refusal(&request) {
            Some(refusal) => Effects::refused(refusal),
            None => evaluate(request, &mut Newest { core: self, locked }, turn),
        }
    }

    /// Evaluates with every lock held, when the revision to come is known.
    pub(super) fn evaluate_exact(
        &self,
        request: Request,
        locked: &mut impl Locked<E::Part>,
    ) -> Effects {
        let _past = self.hold_past(&request);
        let bounds = self.settled_bounds();
        self.evaluate(request, locked, Turn { stamp: bounds.current + 1, bounds })
    }

    /// Whoever compacts meanwhile, what `request` may look at is not forgotten before this is dropped. Taken before its bounds: a
    /// compaction that is not in them waits.
    fn hold_past(&self, request: &Request) -> Option<Held<'_, E>> {
        looks_back(request).then(|| self.compactions.hold(&self.engine))
    }

    /// Evaluates one request of a batch, the `number`-th of those that are evaluated side by side.
    pub(super) fn evaluate_numbered(
        &self,
        request: Request,
        number: usize,
        bounds: Bounds,
        locked: &mut impl Locked<E::Part>,
    ) -> Effects {
        let stamp = STAMP | number as MainRevision;
        self.evaluate(request, locked, Turn { stamp, bounds })
    }

    pub(super) fn settle(
        &self,
        effects: &Effects,
        position: Position,
        pending: &mut Pending,
    ) -> Around {
        failpoint::pass("store::before-settle");
        self.count_lease(effects.lease);
        self.publication.settle(&self.engine, effects, position, pending)
    }

    /// As [`Core::settle`] for requests that were evaluated side by side, in log order.
    pub(super) fn settle_all(
        &self,
        effects: &[(&Effects, Position)],
        pending: &mut Pending,
    ) -> Vec<Around> {
        effects.iter().for_each(|(effects, _)| self.count_lease(effects.lease));
        self.publication.settle_all(&self.engine, effects, pending)
    }

    fn count_lease(&self, change: LeaseChange) {
        match change {
            LeaseChange::None => {}
            LeaseChange::Granted { .. } => drop(self.leases.fetch_add(1, Ordering::Relaxed)),
            LeaseChange::Revoked { .. } => drop(self.leases.fetch_sub(1, Ordering::Relaxed)),
        }
    }

    /// What a request may name that is evaluated next.
    pub(super) fn settled_bounds(&self) -> Bounds {
        let current = match self.engine.commits_batches() {
            true => self.publication.settled(),
            // What is settled is published in the same step, and whoever asks keeps all others from settling.
            false => self.publication.published(),
        };
        Bounds { current, compacted: self.publication.compacted() }
    }

    pub(super) fn commit(&self, pending: &mut Pending) {
        self.publication.commit(&self.engine, pending);
    }

    /// A compaction.
    pub(super) fn compact(
        &self,
        revision: MainRevision,
        position: Position,
        pending: &mut Pending,
    ) -> Response {
        self.commit(pending);
        failpoint::pass("store::compaction");
        let result = match self.alarms.refusal(&Request::Compact { revision }) {
            Some(refusal) => {
                self.publication.keep_alarm(&self.engine, AlarmChange::None, position);
                Err(refusal)
            }
            None => self.publication.compact(&self.engine, revision, position),
        };
        if result.is_ok() {
            self.compactions.compact(&self.engine, revision);
        }
        let result = result.map(|()| Body::Compact);
        Response { revision: self.publication.published(), result }
    }

    /// Raises or ends an alarm. The caller holds every lock, so that no request is half done.
    pub(super) fn alarm(
        &self,
        request: &Request,
        position: Position,
        pending: &mut Pending,
    ) -> Response {
        self.commit(pending);
        let (change, answer) = self.alarms.outcome(request);
        // Kept before anybody sees it.
        self.publication.keep_alarm(&self.engine, change, position);
        failpoint::pass("store::alarm");
        self.alarms.follow(change);
        Response { revision: self.publication.published(), result: Ok(Body::Alarms(answer)) }
    }

    /// Shows the locks that are not the path's own.
    pub(super) fn visit_locks(&self, visit: Visit<'_>) {
        self.publication.visit_locks(visit);
        self.engine.visit_locks(visit);
        self.compactions.visit_locks(visit);
    }

    /// Bytes of what is held of the state.
    pub(super) fn bytes(&self) -> u64 {
        let leases = self.leases.load(Ordering::Relaxed) * size::LEASE_BYTES;
        size::FRAME_BYTES + leases + self.engine.held_bytes()
    }

    pub(super) fn defragment(&self, each_part: &mut dyn FnMut(Tend<'_, E::Part>)) {
        self.engine.defragment(each_part);
    }

    /// Takes the commands that were applied before out of `batch`; nobody waits for what they answered then.
    pub(super) fn skip_applied(&self, batch: &mut Vec<Command>, answers: &mut Vec<Answer>) {
        if batch.first().is_none_or(|command| command.position.index == 0) {
            return;
        }
        let applied = self.publication.position();
        // Seeded bug: DuplicateApply.
        #[cfg(feature = "seeded-bugs")]
        let applied = self.seeded().applied(applied);
        let known = batch.iter().take_while(|command| command.position <= applied).count();
        let response = Response { revision: self.publication.settled(), result: Ok(Body::Compact) };
        let skipped = Answer { response, stamps: Stamps::default() };
        answers.extend(std::iter::repeat_n(skipped, known));
        batch.drain(..known);
    }

    pub(super) fn read(&self, request: &Request, guarded: &impl Guarded<E::Part>) -> Response {
        reading::answer(request, self, guarded)
    }

    pub(super) fn hold(
        &self,
        range: &Range,
        guarded: &impl Guarded<E::Part>,
    ) -> (MainRevision, Result<HeldRange, Refusal>) {
        reading::hold(range, self, guarded)
    }

    pub(super) fn read_within(
        &self,
        portion: Portion,
        range: &Range,
        guarded: &impl Guarded<E::Part>,
    ) -> Option<Response> {
        reading::answer_within(portion, range, self, guarded)
    }

    /// The changes in `from..=to` as watchers see them, or the compaction that took some of them.
    pub(super) fn events(
        &self,
        from: MainRevision,
        to: MainRevision,
        guarded: &impl Guarded<E::Part>,
        each_part: &mut dyn FnMut(Show<'_, E::Part>),
    ) -> Result<Vec<Event>, MainRevision> {
        let to = to.min(self.publication.published());
        if from > to {
            return Ok(Vec::new());
        }
        let not_compacted = |compacted| if from < compacted { Err(compacted) } else { Ok(()) };
        not_compacted(self.publication.compacted())?;
        let mut kvs = self.engine.changes(each_part, from, to);
        kvs.sort_unstable_by_key(|kv| (kv.modified(), kv.sub()));
        let events = kvs.iter().map(|kv| event(kv, self.before(kv, guarded))).collect();
        not_compacted(self.publication.compacted())?;
        Ok(events)
    }

    /// What was there before `kv`, unless that is compacted.
    fn before(&self, kv: &Kv, guarded: &impl Guarded<E::Part>) -> Option<KeyValue> {
        let interval = Interval::point(kv.key());
        let range = Range { interval, revision: kv.modified() - 1, ..Range::default() };
        if range.revision == 0 {
            return None;
        }
        match self.read(&Request::Range(range), guarded).result {
            Ok(Body::Range(mut found)) => found.kvs.pop(),
            _ => None,
        }
    }

    pub(super) fn dump(&self, guarded: &impl Guarded<E::Part>) -> Dump {
        let everything = Range { interval: Interval::everything(), ..Range::default() };
        let found = self.read(&Request::Range(everything), guarded);
        let Ok(Body::Range(range)) = found.result else {
            unreachable!("reading everything as of now is never refused")
        };
        let mut leases = Vec::new();
        guarded.leases(&mut |table| {
            leases = table.ids().into_iter().map(|id| table.status(id, true)).collect();
        });
        Dump {
            revision: found.revision,
            compacted: self.publication.compacted(),
            keys: range.kvs,
            leases,
            alarms: self.alarms.list(),
        }
    }
}

/// What a watcher sees of a version.
pub(super) fn event(kv: &Kv, prev_kv: Option<KeyValue>) -> Event {
    match kv.is_tombstone() {
        false => Event { kind: EventKind::Put, kv: kv.key_value(), prev_kv, sub: kv.sub() },
        true => Event {
            kind: EventKind::Delete,
            kv: KeyValue {
                key: kv.key().to_vec(),
                mod_revision: kv.modified(),
                ..KeyValue::default()
            },
            prev_kv,
            sub: kv.sub(),
        },
    }
}

impl Dump {
    /// Its summary.
    pub fn digest(&self) -> Digest {
        let keys = self.keys.iter().map(hash_key);
        let leases = self.leases.iter().map(|lease| {
            let mut hasher = Xxh3::new();
            hasher.update(&lease.id.to_le_bytes());
            hasher.update(&lease.granted_ttl_s.to_le_bytes());
            hasher.digest128()
        });
        let alarms = self.alarms.iter().map(|alarm| {
            let mut hasher = Xxh3::new();
            // Of a length that no lease has.
            hasher.update(&[alarm.kind.number()]);
            hasher.update(&alarm.member.to_le_bytes());
            hasher.digest128()
        });
        Digest {
            revision: self.revision,
            compacted: self.compacted,
            keys: self.keys.len() as u64,
            hash: keys.chain(leases).chain(alarms).fold(0, u128::wrapping_add),
        }
    }
}

/// Hashes lengths too, so that no two different keys and values give the same bytes.
fn hash_key(kv: &KeyValue) -> u128 {
    let mut hasher = Xxh3::new();
    for field in [&kv.key, &kv.value] {
        hasher.update(&(field.len() as u64).to_le_bytes());
        hasher.update(field);
    }
    for number in [kv.create_revision, kv.mod_revision, kv.version, kv.lease] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.digest128()
}
