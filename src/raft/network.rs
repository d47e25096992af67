//! A network within the process: members of a group that share it reach each other through it, with whatever faults it is told to
//! have. Messages that are delayed are delivered by a thread of its own; the others by the sender.

use super::transport::{Door, Envelope, MemberId, Received, Report, Transport};
use crate::clock::Clock;
use crate::measure::lock::{MeasuredGuard, MeasuredMutex, Visit};
use crate::measure::stage::Probe;
use crate::seed::Seed;
use crate::units::Nanos;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Weak};
use std::thread::JoinHandle;

/// What goes wrong on every link.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Part of the messages that get lost, 0 to 1.
    pub loss: f64,
    /// Part of the messages that arrive twice, 0 to 1.
    pub repeats: f64,
    /// Shortest time on the way.
    pub delay: Nanos,
    /// Drawn for each message on top of the delay, so that they overtake each other.
    pub jitter: Nanos,
}

/// What became of the messages since the start: whether a fault happened shows here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkCounts {
    /// Put into the network, whatever became of them.
    pub sent: u64,
    /// Not carried, since their link was cut.
    pub cut: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Delivered twice.
    pub repeated: u64,
    /// On the way for a while.
    pub delayed: u64,
    /// Those among the delayed that came after a later one.
    pub overtaken: u64,
    /// Images of the state that arrived.
    pub images: u64,
}

/// A network. Dropping it stops its thread.
pub struct Network {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: MeasuredMutex<State>,
    changed: Condvar,
    clock: Clock,
}

struct State {
    members: HashMap<MemberId, Place>,
    faults: Faults,
    /// Links that carry nothing, from and to.
    cut: HashSet<(MemberId, MemberId)>,
    random: ChaCha8Rng,
    /// On the way, the earliest on top; the number keeps the order of equals.
    on_the_way: BinaryHeap<Reverse<(Nanos, u64)>>,
    letters: HashMap<u64, (MemberId, Envelope)>,
    /// Letters so far, which numbers them.
    written: u64,
    /// The letter that was delivered last.
    delivered: u64,
    counts: NetworkCounts,
    /// Images that were copied so far, which names the copies.
    copies: u64,
    /// Images that will not arrive, from and to; their senders wait to hear of it.
    undelivered: Vec<(MemberId, MemberId)>,
    stop: bool,
}

#[derive(Clone)]
struct Place {
    door: Weak<dyn Door>,
    /// Where files for it are put.
    incoming: PathBuf,
}

/// One member's way into the network.
struct Port {
    me: MemberId,
    shared: Arc<Shared>,
}

impl Network {
    /// A network without members and faults; `seed` decides which messages faults will hit.
    pub fn start(clock: Clock, seed: Seed, probe: Probe) -> std::io::Result<Network> {
        let state = State {
            members: HashMap::new(),
            faults: Faults::default(),
            cut: HashSet::new(),
            random: seed.stream("network", 0),
            on_the_way: BinaryHeap::new(),
            letters: HashMap::new(),
            written: 0,
            delivered: 0,
            counts: NetworkCounts::default(),
            copies: 0,
            undelivered: Vec::new(),
            stop: false,
        };
        let shared = Arc::new(Shared {
            state: MeasuredMutex::new(state, probe),
            changed: Condvar::new(),
            clock,
        });
        let for_thread = shared.clone();
        let thread =
            std::thread::Builder::new().name("net-1".into()).spawn(move || for_thread.carry())?;
        Ok(Network { shared, thread: Some(thread) })
    }

    /// What became of the messages so far.
    pub fn counts(&self) -> NetworkCounts {
        self.shared.state().counts
    }

    /// Shows its lock.
    pub fn visit_locks(&self, visit: Visit<'_>) {
        visit("links", &self.shared.state);
    }

    /// The transport of member `me`.
    pub fn port(&self, me: MemberId) -> Arc<dyn Transport> {
        Arc::new(Port { me, shared: self.shared.clone() })
    }

    /// Lets messages in for member `me`, files into `incoming`; until then what is sent to it is lost, and what is still on its way to an
    /// earlier start of it, as a connection's would be.
    pub fn join(&self, me: MemberId, door: Weak<dyn Door>, incoming: &Path) {
        let place = Place { door, incoming: incoming.to_owned() };
        let state = &mut *self.shared.state();
        for (_, (from, envelope)) in state.letters.extract_if(|_, (_, envelope)| envelope.to == me)
        {
            if envelope.image.is_some() {
                state.undelivered.push((from, me));
            }
        }
        state.on_the_way.retain(|Reverse((_, number))| state.letters.contains_key(number));
        state.members.insert(me, place);
        self.shared.changed.notify_all();
    }

    /// From now on these go wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.state().faults = faults;
    }

    /// From now on nothing goes from `from` to `to`.
    pub fn cut(&self, from: MemberId, to: MemberId) {
        self.shared.state().cut.insert((from, to));
    }

    /// Cuts `me` off from everybody, both ways.
    pub fn isolate(&self, me: MemberId) {
        let mut state = self.shared.state();
        let others: Vec<_> = state.members.keys().copied().filter(|id| *id != me).collect();
        for other in others {
            state.cut.extend([(me, other), (other, me)]);
        }
    }

    /// All links carry again, without faults.
    pub fn heal(&self) {
        let mut state = self.shared.state();
        state.cut.clear();
        state.faults = Faults::default();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.shared.state().stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed where it happened.
            let _ = thread.join();
        }
    }
}

impl Transport for Port {
    fn send(&self, envelopes: Vec<Envelope>) {
        let now = self.shared.clock.now();
        for envelope in envelopes {
            let at_once = self.shared.state().post(self.me, envelope, now);
            for (place, envelope) in at_once {
                self.shared.deliver(self.me, &place, envelope);
            }
        }
        self.shared.report_undelivered();
        self.shared.changed.notify_all();
    }
}

impl State {
    /// What is to be delivered at once; the rest is lost or on its way.
    fn post(&mut self, from: MemberId, envelope: Envelope, now: Nanos) -> Vec<(Place, Envelope)> {
        let Some(place) = self.members.get(&envelope.to).cloned() else { return Vec::new() };
        let Faults { loss, repeats, delay, jitter } = self.faults;
        self.counts.sent += 1;
        let is_cut = self.cut.contains(&(from, envelope.to));
        let is_lost = !is_cut && self.random.random_bool(loss);
        self.counts.cut += u64::from(is_cut);
        self.counts.lost += u64::from(is_lost);
        if is_cut || is_lost {
            self.note_undelivered(from, &envelope);
            return Vec::new();
        }
        let is_repeated = self.random.random_bool(repeats);
        self.counts.repeated += u64::from(is_repeated);
        let copies = 1 + usize::from(is_repeated);
        if delay == Nanos::ZERO && jitter == Nanos::ZERO {
            return vec![(place, envelope); copies];
        }
        for _ in 0..copies {
            let due = now.after(delay).after(Nanos(self.random.random_range(0..=jitter.0)));
            self.written += 1;
            self.counts.delayed += 1;
            self.on_the_way.push(Reverse((due, self.written)));
            self.letters.insert(self.written, (from, envelope.clone()));
        }
        Vec::new()
    }

    fn note_undelivered(&mut self, from: MemberId, envelope: &Envelope) {
        if envelope.image.is_some() {
            self.undelivered.push((from, envelope.to));
        }
    }

    /// A letter whose time has come, unless its link was cut meanwhile.
    fn due(&mut self, now: Nanos) -> Option<(MemberId, Option<Place>, Envelope)> {
        let Reverse((due, number)) = *self.on_the_way.peek()?;
        if due > now {
            return None;
        }
        self.on_the_way.pop();
        let (from, envelope) = self.letters.remove(&number)?;
        self.counts.overtaken += u64::from(number < self.delivered);
        self.delivered = self.delivered.max(number);
        let is_cut = self.cut.contains(&(from, envelope.to));
        self.counts.cut += u64::from(is_cut);
        if is_cut {
            self.note_undelivered(from, &envelope);
        }
        let place = self.members.get(&envelope.to).filter(|_| !is_cut).cloned();
        Some((from, place, envelope))
    }
}

impl Shared {
    fn state(&self) -> MeasuredGuard<'_, State> {
        self.state.lock()
    }

    fn carry(&self) {
        let mut state = self.state();
        while !state.stop {
            let now = self.clock.now();
            if let Some((from, place, envelope)) = state.due(now) {
                drop(state);
                if let Some(place) = place {
                    self.deliver(from, &place, envelope);
                }
                self.report_undelivered();
                state = self.state();
                continue;
            }
            state = match state.on_the_way.peek().copied() {
                None => self.state.wait(state, &self.changed),
                Some(Reverse((due, _))) => {
                    self.state.wait_timeout(state, &self.changed, due.since(now).into())
                }
            };
        }
    }

    /// A leader sends nothing else to a member whose image it takes to be on its way.
    fn report_undelivered(&self) {
        let lost = std::mem::take(&mut self.state().undelivered);
        for (from, to) in lost {
            let sender = self.state().members.get(&from).and_then(|place| place.door.upgrade());
            if let Some(sender) = sender {
                sender.report(Report::Image(to, false));
            }
        }
    }

    fn deliver(&self, from: MemberId, place: &Place, envelope: Envelope) {
        let Envelope { to, bytes, image } = envelope;
        let Some(door) = place.door.upgrade() else {
            if image.is_some() {
                self.state().undelivered.push((from, to));
            }
            return;
        };
        let brings_image = image.is_some();
        let number = {
            let mut state = self.state();
            state.copies += u64::from(brings_image);
            state.copies
        };
        let copied = image.map(|image| copy(&image, &place.incoming, number)).transpose();
        let arrived = copied.is_ok();
        if let Ok(image) = copied {
            door.receive(Received { from, bytes, image });
        }
        if brings_image && arrived {
            self.state().counts.images += 1;
        }
        let sender = self.state().members.get(&from).and_then(|place| place.door.upgrade());
        if let Some(sender) = sender.filter(|_| brings_image) {
            sender.report(Report::Image(to, arrived));
        }
    }
}

/// Copies `image` into the folder for what comes in, under a name of its own: whoever gets it twice removes one of the two.
fn copy(image: &Path, incoming: &Path, number: u64) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(incoming)?;
    let path = incoming.join(format!("copy-{number}.part"));
    std::fs::copy(image, &path)?;
    std::fs::File::open(&path)?.sync_all()?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::refusals::Refused;
    use std::sync::Mutex;

    /// Keeps what it is given.
    #[derive(Default)]
    struct Kept(Mutex<Vec<Received>>);

    impl Door for Kept {
        fn receive(&self, received: Received) {
            self.0.lock().unwrap().push(received);
        }

        fn report(&self, _: Report) {}

        fn refused(&self, _: MemberId, _: Refused) {}
    }

    #[test]
    fn an_image_that_arrives_twice_is_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let (image, incoming) = (folder.path().join("7.image"), folder.path().join("incoming"));
        std::fs::write(&image, b"state").unwrap();
        let network = Network::start(Clock::start(), Seed(1), Probe::off()).unwrap();
        let kept = Arc::new(Kept::default());
        let door: Weak<Kept> = Arc::downgrade(&kept);
        network.join(2, door, &incoming);
        network.set_faults(Faults { repeats: 1.0, ..Faults::default() });
        network.port(1).send(vec![Envelope { to: 2, bytes: Vec::new(), image: Some(image) }]);
        let received = kept.0.lock().unwrap();
        let paths: HashSet<&PathBuf> =
            received.iter().filter_map(|one| one.image.as_ref()).collect();
        assert_eq!(paths.len(), 2);
        assert!(paths.iter().all(|path| std::fs::read(path).unwrap() == b"state"));
    }
}
