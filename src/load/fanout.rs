//! Who listens meanwhile: watchers of the whole key space, all served by one thread as they are woken. The harness takes
//! nothing on trust: it counts what each watcher is given against what it should have been given.

use crate::clock::Clock;
use crate::model::{Event, Interval, MainRevision};
use crate::store::{ApplyPath, WatchResponse, WatchSpec, Watcher, watch};
use crate::units::Nanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};

/// Responses that one watcher is given before the others get their turn.
const TURN_MAX: usize = 512;
/// How long nothing may come to any watcher after the load before the wait is given up.
const SILENCE_MAX: Nanos = Nanos::from_millis(10_000);
/// How often the one who waits for them looks.
const NAP: Nanos = Nanos::from_millis(1);

/// Watchers, from before the load until each was given everything.
pub struct Fanout {
    store: Arc<dyn ApplyPath>,
    orders: Arc<Orders>,
    /// Taken when it ends.
    thread: Option<JoinHandle<Vec<Reader>>>,
    watchers: u32,
    clock: Clock,
    resyncs_before: u64,
}

/// What all watchers were given, in sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Watchers.
    pub watchers: u32,
    /// Times one was too slow for its buffer, or was resumed after a compaction.
    pub resyncs: u64,
    /// From the end of the load until the last of them had everything.
    pub lag: Nanos,
    /// Revisions there were for them.
    pub due: u64,
    /// Those of them that came, each counted once.
    pub revisions: u64,
    /// Those of them that a compaction took first, as the watcher was told.
    pub compacted: u64,
    /// Times a revision came again, out of order, or with its events not all together and in theirs.
    pub misplaced: u64,
}

/// Watchers that were not given everything in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unserved {
    /// How many.
    pub watchers: u32,
}

/// What the thread is to do besides listening. Relaxed: whoever changes one wakes the thread, which looks again.
#[derive(Default)]
struct Orders {
    /// Revision that everybody must have before the thread may end; 0 while the load goes on.
    until: AtomicI64,
    /// End at once.
    stop: AtomicBool,
}

/// One watcher and what it was given.
struct Reader {
    watcher: Watcher,
    given: Given,
    /// Whether it was asked for the revision it has reached.
    is_asked: bool,
    /// That revision, once everything up to it was given, and when that was.
    reached: Option<(MainRevision, Nanos)>,
}

/// The revisions that one watcher was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Given {
    /// The first one it should get.
    start: MainRevision,
    /// The one that should come next.
    next: MainRevision,
    revisions: u64,
    compacted: u64,
    misplaced: u64,
    /// Times it was resumed after a compaction.
    resumed: u64,
}

/// Wakes the thread once, however many watchers have news: they all hear the same, so it looks at all of them anyway.
struct Bell {
    rung: AtomicBool,
    thread: Thread,
}

impl Fanout {
    /// Begins to watch `store` from its next revision on; every change that begins later is given to every watcher.
    pub fn start(
        store: &Arc<dyn ApplyPath>,
        watchers: u32,
        clock: Clock,
    ) -> std::io::Result<Fanout> {
        let resyncs_before = store.watches().counts().resyncs;
        let start = store.published() + 1;
        let readers: Vec<Reader> = (0..watchers).map(|_| Reader::new(store, start)).collect();
        let orders = Arc::new(Orders::default());
        let (for_thread, of_thread) = (store.clone(), orders.clone());
        let thread = std::thread::Builder::new()
            .name("watch-0".into())
            .spawn(move || serve(readers, &for_thread, &of_thread, clock))?;
        let store = store.clone();
        Ok(Fanout { store, orders, thread: Some(thread), watchers, clock, resyncs_before })
    }

    /// Waits until each watcher was given everything up to the revision published now, and ends them. `stop` ends the
    /// wait early, and then what was given is all there is.
    pub fn finish(mut self, stop: &AtomicBool) -> Result<Watched, Unserved> {
        let ended = self.clock.now();
        self.orders.until.store(self.store.published(), Ordering::Relaxed);
        self.wake();
        self.wait(stop);
        let readers = self.end();
        let served = readers.iter().filter(|reader| reader.reached.is_some()).count();
        let watchers = self.watchers - served as u32;
        if watchers > 0 && !stop.load(Ordering::Relaxed) {
            return Err(Unserved { watchers });
        }
        let mut watched = sum(&readers, ended);
        watched.resyncs += self.store.watches().counts().resyncs - self.resyncs_before;
        Ok(watched)
    }

    /// Until the thread has ended, or no watcher was given anything for too long. What is left to give is finite, since
    /// the load has ended, so this ends.
    fn wait(&self, stop: &AtomicBool) {
        let delivered = || self.store.watches().counts().delivered;
        let (mut last, mut since) = (delivered(), self.clock.now());
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
            && !stop.load(Ordering::Relaxed)
            && self.clock.now().since(since) < SILENCE_MAX
        {
            self.clock.sleep(NAP);
            if delivered() != last {
                (last, since) = (delivered(), self.clock.now());
            }
        }
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Ends the thread; gives its watchers the first time.
    fn end(&mut self) -> Vec<Reader> {
        self.orders.stop.store(true, Ordering::Relaxed);
        self.wake();
        // A panic of the thread was printed where it happened; its watchers are gone, and so not served.
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Fanout {
    fn drop(&mut self) {
        self.end();
    }
}

fn sum(readers: &[Reader], ended: Nanos) -> Watched {
    let mut watched = Watched { watchers: readers.len() as u32, ..Watched::default() };
    for Reader { given, reached, .. } in readers {
        let (reached, at) = reached.unwrap_or((given.next - 1, ended));
        watched.due += given.due(reached);
        watched.revisions += given.revisions;
        watched.compacted += given.compacted;
        watched.misplaced += given.misplaced;
        watched.resyncs += given.resumed;
        watched.lag = watched.lag.max(at.since(ended));
    }
    watched
}

/// The thread: listens whenever there are news, until it is told to end.
fn serve(
    mut readers: Vec<Reader>,
    store: &Arc<dyn ApplyPath>,
    orders: &Orders,
    clock: Clock,
) -> Vec<Reader> {
    let bell = Arc::new(Bell { rung: AtomicBool::new(false), thread: std::thread::current() });
    let waker = Waker::from(bell.clone());
    let mut cx = Context::from_waker(&waker);
    while !orders.stop.load(Ordering::Relaxed) {
        // Acquire, pairs with the ringing: what was published before it is seen below. What comes later rings again.
        bell.rung.swap(false, Ordering::AcqRel);
        let until = orders.until.load(Ordering::Relaxed);
        for reader in readers.iter_mut().filter(|reader| reader.reached.is_none()) {
            reader.listen(&mut cx, store, until > 0, clock);
        }
        if readers.iter().all(|reader| reader.reached.is_some()) {
            break;
        }
        if !bell.rung.load(Ordering::Acquire) {
            std::thread::park();
        }
    }
    readers
}

impl Reader {
    fn new(store: &Arc<dyn ApplyPath>, start: MainRevision) -> Reader {
        let given =
            Given { start, next: start, revisions: 0, compacted: 0, misplaced: 0, resumed: 0 };
        Reader { watcher: from(store, start), given, is_asked: false, reached: None }
    }

    /// Takes what there is, for one turn. `is_last`: nothing more is to come, so it is asked how far it got.
    fn listen(
        &mut self,
        cx: &mut Context<'_>,
        store: &Arc<dyn ApplyPath>,
        is_last: bool,
        clock: Clock,
    ) {
        for _ in 0..TURN_MAX {
            if is_last && !std::mem::replace(&mut self.is_asked, true) {
                self.watcher.request_progress();
            }
            match self.watcher.poll_next(cx) {
                Poll::Pending => return,
                Poll::Ready(WatchResponse::Events { revision, events, .. }) => {
                    self.given.take(revision, &events);
                }
                Poll::Ready(WatchResponse::Progress { revision }) => {
                    self.reached = Some((revision, clock.now()));
                    return;
                }
                Poll::Ready(WatchResponse::Cancelled { compact_revision }) => {
                    let next = self.given.resume(compact_revision);
                    self.watcher = from(store, next);
                    self.is_asked = false;
                }
            }
        }
        cx.waker().wake_by_ref();
    }
}

/// A watcher of everything from `start` on.
fn from(store: &Arc<dyn ApplyPath>, start: MainRevision) -> Watcher {
    let everything = Interval::everything();
    watch(store, WatchSpec { interval: everything, start_revision: start, ..WatchSpec::default() })
}

impl Given {
    /// The events of one revision came. Revisions have no holes, and who watches everything gets each of them.
    fn take(&mut self, revision: MainRevision, events: &[Arc<Event>]) {
        let is_whole = events
            .iter()
            .enumerate()
            .all(|(place, event)| event.kv.mod_revision == revision && event.sub as usize == place);
        self.misplaced += u64::from(revision < self.next || !is_whole);
        self.revisions += u64::from(revision >= self.next);
        self.next = self.next.max(revision + 1);
    }

    /// A compaction took what is before `revision`. Gives where to go on.
    fn resume(&mut self, revision: MainRevision) -> MainRevision {
        self.resumed += 1;
        self.compacted += u64::try_from(revision - self.next).unwrap_or(0);
        self.next = self.next.max(revision);
        self.next
    }

    /// Revisions there were for it, if it got as far as `reached`.
    fn due(&self, reached: MainRevision) -> u64 {
        u64::try_from(reached + 1 - self.start).unwrap_or(0)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: the thread sees what was published before it is woken.
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::stage::Probe;
    use crate::model::{EventKind, KeyValue, Position, Request};
    use crate::store::{self, Command, Config, EngineKind, Parallelism, PathKind};

    fn events(revision: MainRevision, subs: &[u32]) -> Vec<Arc<Event>> {
        let kv = KeyValue { mod_revision: revision, ..KeyValue::default() };
        let event =
            |sub: &u32| Event { kind: EventKind::Put, kv: kv.clone(), prev_kv: None, sub: *sub };
        subs.iter().map(|sub| Arc::new(event(sub))).collect()
    }

    /// How many of the revisions 5 to `reached` were due, came, and came wrong.
    fn given(revisions: &[MainRevision], reached: MainRevision) -> (u64, u64, u64) {
        let mut given =
            Given { start: 5, next: 5, revisions: 0, compacted: 0, misplaced: 0, resumed: 0 };
        revisions.iter().for_each(|revision| given.take(*revision, &events(*revision, &[0, 1])));
        (given.due(reached), given.revisions, given.misplaced)
    }

    #[test]
    fn what_is_missing_or_misplaced_is_counted() {
        assert_eq!(given(&[5, 6, 7], 7), (3, 3, 0));
        assert_eq!(given(&[5, 7], 7), (3, 2, 0), "a gap");
        assert_eq!(given(&[6, 7], 7), (3, 2, 0), "a gap at the beginning");
        assert_eq!(given(&[5, 6], 7), (3, 2, 0), "a gap at the end");
        assert_eq!(given(&[5, 6, 6, 7], 7), (3, 3, 1), "a duplicate");
        assert_eq!(given(&[5, 7, 6], 7), (3, 2, 1), "out of order");
        assert_eq!(given(&[5, 5, 7], 7), (3, 2, 1), "a duplicate does not fill a gap");
    }

    #[test]
    fn events_of_a_revision_come_together_and_in_order() {
        let misplaced = |subs: &[u32], of: MainRevision| {
            let mut given =
                Given { start: 5, next: 5, revisions: 0, compacted: 0, misplaced: 0, resumed: 0 };
            given.take(5, &events(of, subs));
            given.misplaced
        };
        assert_eq!(misplaced(&[0, 1, 2], 5), 0);
        for wrong in [&[1, 0][..], &[0, 2], &[1], &[0, 0]] {
            assert_eq!(misplaced(wrong, 5), 1, "{wrong:?}");
        }
        assert_eq!(misplaced(&[0], 6), 1, "an event of another revision");
    }

    #[test]
    fn what_a_compaction_took_is_counted_apart() {
        let mut given =
            Given { start: 5, next: 5, revisions: 0, compacted: 0, misplaced: 0, resumed: 0 };
        given.take(5, &events(5, &[0]));
        assert_eq!(given.resume(9), 9);
        given.take(9, &events(9, &[0]));
        assert_eq!((given.due(9), given.revisions, given.compacted), (5, 2, 3));
        assert_eq!((given.resumed, given.misplaced), (1, 0));
    }

    fn store() -> Arc<dyn ApplyPath> {
        let config = Config {
            path: PathKind::Sharded { shards: 8, workers: 1 },
            engine: EngineKind::Memory,
            hash_seed: 0,
            parallelism: Parallelism::default(),
        };
        store::open(config, std::path::Path::new("nowhere"), Probe::off()).unwrap()
    }

    fn apply(store: &Arc<dyn ApplyPath>, request: Request) {
        store.apply(vec![Command { position: Position::default(), request }], &mut Vec::new());
    }

    fn put(store: &Arc<dyn ApplyPath>, revisions: usize) {
        (0..revisions).for_each(|n| apply(store, Request::put(format!("k{}", n % 50), "v")));
    }

    #[test]
    fn every_watcher_is_given_every_revision_of_its_span() {
        let (store, stop) = (store(), AtomicBool::new(false));
        put(&store, 3);
        for watchers in [1, 7] {
            let fanout = Fanout::start(&store, watchers, Clock::start()).unwrap();
            put(&store, 1000);
            let watched = fanout.finish(&stop).unwrap();
            assert_eq!((watched.watchers, watched.misplaced), (watchers, 0));
            let due = 1000 * u64::from(watchers);
            assert_eq!((watched.due, watched.revisions, watched.compacted), (due, due, 0));
        }
        assert_eq!(store.watches().counts().watchers, 0);
    }

    /// Listens until it has everything there is, as the thread does.
    fn listen(reader: &mut Reader, store: &Arc<dyn ApplyPath>) -> MainRevision {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            reader.listen(&mut cx, store, true, Clock::start());
            if let Some((revision, _)) = reader.reached {
                return revision;
            }
        }
    }

    #[test]
    fn who_falls_behind_reads_what_it_missed() {
        let store = store();
        let mut reader = Reader::new(&store, 2);
        put(&store, 20_000);
        assert_eq!(store.watches().counts().resyncs, 1);
        assert_eq!(listen(&mut reader, &store), 20_001);
        let Given { revisions, compacted, misplaced, resumed, .. } = reader.given;
        assert_eq!((revisions, compacted, misplaced, resumed), (20_000, 0, 0, 0));
    }

    #[test]
    fn who_falls_behind_a_compaction_is_resumed_after_it() {
        let store = store();
        let mut reader = Reader::new(&store, 2);
        put(&store, 20_000);
        apply(&store, Request::Compact { revision: 15_000 });
        assert_eq!(listen(&mut reader, &store), 20_001);
        let Given { revisions, compacted, misplaced, resumed, .. } = reader.given;
        assert_eq!((revisions + compacted, misplaced, resumed), (20_000, 0, 1));
        assert_eq!(compacted, 15_000 - 2 - store::BUFFER_EVENTS_MAX as u64);
    }

    #[test]
    fn whoever_gives_up_leaves_no_watcher_behind() {
        let store = store();
        drop(Fanout::start(&store, 5, Clock::start()).unwrap());
        assert_eq!(store.watches().counts().watchers, 0);
        let fanout = Fanout::start(&store, 5, Clock::start()).unwrap();
        assert!(fanout.finish(&AtomicBool::new(true)).is_ok());
    }
}
