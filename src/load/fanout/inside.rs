//! Watchers of a store in this process, all served by one thread as they are woken.

use super::{Given, Orders, Reached};
use crate::clock::Clock;
use crate::model::{Interval, MainRevision};
use crate::store::{ApplyPath, WatchResponse, WatchSpec, Watcher, watch};
use crate::units::Nanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// Responses that one watcher is given before the others get their turn.
const TURN_MAX: usize = 512;
/// One watcher and what it was given.
pub(super) struct Reader {
    watcher: Watcher,
    given: Given,
    /// Whether it was asked for the revision it has reached.
    is_asked: bool,
    /// That revision, once everything up to it was given, and when that was.
    reached: Option<(MainRevision, Nanos)>,
}

/// Wakes the thread once, however many watchers have news: they all hear the same, so it looks at all of them anyway.
struct Bell {
    rung: AtomicBool,
    thread: Thread,
}

/// Watchers of `store` from its next revision on.
pub(super) fn readers(store: &Arc<dyn ApplyPath>, watchers: u32) -> Vec<Reader> {
    let start = store.published() + 1;
    (0..watchers).map(|_| Reader::new(store, start)).collect()
}

/// The thread: listens whenever there are news, until it is told to end.
pub(super) fn serve(
    mut readers: Vec<Reader>,
    store: &Arc<dyn ApplyPath>,
    orders: &Orders,
    clock: Clock,
) -> Vec<Reached> {
    let bell = Arc::new(Bell { rung: AtomicBool::new(false), thread: std::thread::current() });
    let waker = Waker::from(bell.clone());
    let mut cx = Context::from_waker(&waker);
    while !orders.stop.load(Ordering::Relaxed) {
        // Acquire, pairs with the ringing: what was published before it is seen below. What comes later rings again.
        bell.rung.swap(false, Ordering::AcqRel);
        let is_ending = orders.ending.load(Ordering::Relaxed);
        for reader in readers.iter_mut().filter(|reader| reader.reached.is_none()) {
            reader.listen(&mut cx, store, is_ending, clock);
        }
        if readers.iter().all(|reader| reader.reached.is_some()) {
            break;
        }
        if !bell.rung.load(Ordering::Acquire) {
            std::thread::park();
        }
    }
    let reached = |reader: Reader| Reached { given: reader.given, reached: reader.reached };
    readers.into_iter().map(reached).collect()
}

impl Reader {
    fn new(store: &Arc<dyn ApplyPath>, start: MainRevision) -> Reader {
        let (watcher, given) = (from(store, start), Given::nothing(start));
        Reader { watcher, given, is_asked: false, reached: None }
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
                    self.given.take(revision, events.iter().map(|event| &***event));
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
    use super::super::{Fanout, FanoutError};
    use super::*;
    use crate::measure::stage::Probe;
    use crate::model::{Position, Request};
    use crate::store::{self, Command, Config, PathKind};
    use crate::target::Watched;

    fn store() -> Arc<dyn ApplyPath> {
        let config = Config::in_memory(PathKind::Sharded { shards: 8, workers: 1 });
        store::open(config, std::path::Path::new("nowhere"), Probe::off()).unwrap()
    }

    fn start(store: &Arc<dyn ApplyPath>, watchers: u32) -> Result<Fanout, FanoutError> {
        Fanout::start(&Watched::Store(store.clone()), watchers, Clock::start())
    }

    fn apply(store: &Arc<dyn ApplyPath>, request: Request) {
        store.apply(&mut vec![Command { position: Position::default(), request }], &mut Vec::new());
    }

    fn put(store: &Arc<dyn ApplyPath>, revisions: usize) {
        (0..revisions).for_each(|n| apply(store, Request::put(format!("k{}", n % 50), "v")));
    }

    #[test]
    fn every_watcher_is_given_every_revision_of_its_span() {
        let (store, stop) = (store(), AtomicBool::new(false));
        put(&store, 3);
        for watchers in [1, 7] {
            let fanout = start(&store, watchers).unwrap();
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
        drop(start(&store, 5).unwrap());
        assert_eq!(store.watches().counts().watchers, 0);
        let fanout = start(&store, 5).unwrap();
        assert!(fanout.finish(&AtomicBool::new(true)).is_ok());
    }
}
