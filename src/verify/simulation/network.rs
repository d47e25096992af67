//! The network of a simulation: letters with the instant at which they arrive, and the weather that they are sent in.

use super::shape::Shape;
use crate::clock::Clock;
use crate::raft::{Envelope, MemberId, Transport};
use crate::seed::Seed;
use crate::units::Nanos;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a member has sent and what has not left it yet, each with the instant of its clock.
#[derive(Clone, Default)]
pub(super) struct Outbox {
    sent: Arc<Mutex<Vec<(Nanos, Envelope)>>>,
}

impl Outbox {
    pub(super) fn port(&self, clock: Clock) -> Arc<dyn Transport> {
        Arc::new(Port { outbox: self.clone(), clock })
    }

    /// What was sent by `now`, in order.
    pub(super) fn take(&self, now: Nanos) -> Vec<Envelope> {
        let mut sent = self.sent();
        let due = sent.partition_point(|(at, _)| *at <= now);
        sent.drain(..due).map(|(_, envelope)| envelope).collect()
    }

    /// A member that is gone at `now` has sent nothing later.
    pub(super) fn end(&self, now: Nanos) {
        self.sent().retain(|(at, _)| *at <= now);
    }

    fn sent(&self) -> MutexGuard<'_, Vec<(Nanos, Envelope)>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Port {
    outbox: Outbox,
    clock: Clock,
}

impl Transport for Port {
    fn send(&self, envelopes: Vec<Envelope>) {
        let now = self.clock.now();
        self.outbox.sent().extend(envelopes.into_iter().map(|envelope| (now, envelope)));
    }
}

/// What is wrong with all links, and which carry nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Weather {
    /// From and to.
    pub(super) cut: BTreeSet<(MemberId, MemberId)>,
    /// Of a hundred messages.
    pub(super) lost: u64,
    pub(super) repeated: u64,
    pub(super) delay: Nanos,
    pub(super) jitter: Nanos,
}

/// A message on its way.
pub(super) struct Letter {
    pub(super) from: MemberId,
    /// To which start of whom.
    pub(super) to: (MemberId, u64),
    pub(super) envelope: Envelope,
    number: u64,
}

/// What became of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Given to the network.
    pub sent: u64,
    /// Those that arrived.
    pub arrived: u64,
    /// Lost on a link that was cut.
    pub cut: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Put on their way twice.
    pub repeated: u64,
    /// Those that came after a later one.
    pub overtaken: u64,
    /// Images of the state that arrived.
    pub images: u64,
}

pub(super) struct Network {
    random: ChaCha8Rng,
    delay: (Nanos, Nanos),
    pub(super) weather: Weather,
    letters: BTreeMap<(Nanos, u64), Letter>,
    /// When what waits for a member that stands still until an instant comes to it, by from, to and that instant.
    buffered: BTreeMap<(MemberId, MemberId, Nanos), Nanos>,
    written: u64,
    latest: u64,
    pub(super) carried: Carried,
}

impl Network {
    pub(super) fn new(seed: Seed, shape: &Shape) -> Network {
        Network {
            random: seed.stream("simulation-network", 0),
            delay: shape.delay,
            weather: Weather::default(),
            letters: BTreeMap::new(),
            buffered: BTreeMap::new(),
            written: 0,
            latest: 0,
            carried: Carried::default(),
        }
    }

    /// Puts a message on its way, or loses it; false if it is lost.
    pub(super) fn post(
        &mut self,
        from: MemberId,
        to: (MemberId, u64),
        envelope: &Envelope,
        now: Nanos,
    ) -> bool {
        self.carried.sent += 1;
        if self.weather.cut.contains(&(from, to.0)) {
            self.carried.cut += 1;
            return false;
        }
        if self.happens(self.weather.lost) {
            self.carried.lost += 1;
            return false;
        }
        let is_repeated = self.happens(self.weather.repeated);
        self.carried.repeated += u64::from(is_repeated);
        for _ in 0..1 + usize::from(is_repeated) {
            self.written += 1;
            let letter = Letter { from, to, envelope: envelope.clone(), number: self.written };
            let due = now.after(self.way());
            self.letters.insert((due, self.written), letter);
        }
        true
    }

    /// A letter to a member that stands still until `then`: soon after that it comes, as from a connection's buffer, together with what else
    /// its sender sent meanwhile and in the same order.
    fn put_back(&mut self, letter: Letter, then: Nanos) {
        let due = then.after(self.way());
        let due = *self.buffered.entry((letter.from, letter.to.0, then)).or_insert(due);
        self.letters.insert((due, letter.number), letter);
    }

    fn happens(&mut self, percent: u64) -> bool {
        percent > 0 && self.random.random_range(0..100) < percent
    }

    fn way(&mut self) -> Nanos {
        let (shortest, longest) = self.delay;
        let way = self.random.random_range(shortest.0..=longest.0.max(shortest.0));
        let jitter = self.random.random_range(0..=self.weather.jitter.0);
        Nanos(way + jitter).after(self.weather.delay)
    }

    /// The next letter that has arrived by `now`, at a member that does not stand still by then: until when, `paused` says. None on a link
    /// that was cut meanwhile, which is said.
    pub(super) fn arrived(
        &mut self,
        now: Nanos,
        paused: impl Fn(&Letter) -> Option<Nanos>,
    ) -> Option<(Letter, bool)> {
        let letter = loop {
            let first = self.letters.first_entry().filter(|first| first.key().0 <= now)?;
            let letter = first.remove();
            match paused(&letter) {
                Some(then) => self.put_back(letter, then),
                None => break letter,
            }
        };
        self.carried.overtaken += u64::from(letter.number < self.latest);
        self.latest = self.latest.max(letter.number);
        let is_cut = self.weather.cut.contains(&(letter.from, letter.to.0));
        self.carried.cut += u64::from(is_cut);
        Some((letter, !is_cut))
    }
}
