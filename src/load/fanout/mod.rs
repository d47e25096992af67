//! Who listens meanwhile: watchers of the whole key space, all served by one thread. The harness takes nothing on trust: it
//! counts what each watcher is given against what it should have been given.

mod given;
mod inside;
mod server;

use crate::clock::Clock;
use crate::model::MainRevision;
use crate::store::ApplyPath;
use crate::target;
use crate::units::Nanos;
use given::Given;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use tokio::sync::Notify;

/// How long nothing may come to any watcher after the load before the wait is given up.
const SILENCE_MAX: Nanos = Nanos::from_millis(10_000);
/// How often the one who waits for them looks.
const NAP: Nanos = Nanos::from_millis(1);

/// Watchers, from before the load until each was given everything.
pub struct Fanout {
    at: At,
    orders: Arc<Orders>,
    /// Taken when it ends.
    thread: Option<JoinHandle<Vec<Reached>>>,
    watchers: u32,
    clock: Clock,
}

/// Where they listen.
enum At {
    /// In this process, where the hub itself counts.
    Store { store: Arc<dyn ApplyPath>, resyncs_before: u64, delivered_before: u64 },
    /// At a server.
    Server,
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

/// Why what watchers were given is not known, or not all there is.
#[derive(Debug, thiserror::Error)]
pub enum FanoutError {
    /// Watchers that were not given everything in time.
    #[error("{watchers} watchers were not given every event, and no more came")]
    Unserved {
        /// How many.
        watchers: u32,
    },
    /// There is nobody to listen to.
    #[error("watchers cannot listen: {0}")]
    Deaf(String),
    /// No thread.
    #[error("the host failed: {0}")]
    Host(#[from] io::Error),
}

/// What the thread is told, and what it tells. Relaxed: whoever changes an order wakes the thread, which looks again.
#[derive(Default)]
struct Orders {
    /// The load has ended: nothing is published after this.
    ending: AtomicBool,
    /// End at once.
    stop: AtomicBool,
    /// Wakes a thread that waits for a server.
    bell: Notify,
    /// Events given to watchers by a server.
    delivered: AtomicU64,
}

/// What one watcher was given in the end.
struct Reached {
    given: Given,
    /// The revision it has reached, once everything up to it was given, and when that was.
    reached: Option<(MainRevision, Nanos)>,
}

impl Fanout {
    /// Begins to watch from the next revision on; every change that begins later is given to every watcher.
    pub fn start(
        watched: &target::Watched,
        watchers: u32,
        clock: Clock,
    ) -> Result<Fanout, FanoutError> {
        let orders = Arc::new(Orders::default());
        let named = std::thread::Builder::new().name("watch-0".into());
        let of_thread = orders.clone();
        let (at, thread) = match watched {
            target::Watched::Nowhere => {
                return Err(FanoutError::Deaf("the target has no watches".to_owned()));
            }
            target::Watched::Store(store) => {
                let before = store.watches().counts();
                let at = At::Store {
                    store: store.clone(),
                    resyncs_before: before.resyncs,
                    delivered_before: before.delivered,
                };
                let readers = inside::readers(store, watchers);
                let store = store.clone();
                let thread =
                    named.spawn(move || inside::serve(readers, &store, &of_thread, clock))?;
                (at, thread)
            }
            target::Watched::Server(endpoint) => {
                let (endpoint, (ready, is_ready)) = (endpoint.clone(), mpsc::channel());
                let thread = named
                    .spawn(move || server::serve(&endpoint, watchers, &of_thread, clock, &ready))?;
                match is_ready.recv() {
                    Ok(Ok(())) => (At::Server, thread),
                    Ok(Err(error)) => return Err(FanoutError::Deaf(error)),
                    Err(_) => return Err(FanoutError::Deaf("the watching thread died".to_owned())),
                }
            }
        };
        Ok(Fanout { at, orders, thread: Some(thread), watchers, clock })
    }

    /// Events given to all watchers so far.
    pub fn delivered(&self) -> u64 {
        match &self.at {
            At::Store { store, delivered_before, .. } => {
                store.watches().counts().delivered - delivered_before
            }
            At::Server => self.orders.delivered.load(Ordering::Relaxed),
        }
    }

    /// Waits until each watcher was given everything up to the revision published now, and ends them. `stop` ends the
    /// wait early, and then what was given is all there is.
    pub fn finish(mut self, stop: &AtomicBool) -> Result<Watched, FanoutError> {
        let ended = self.clock.now();
        self.orders.ending.store(true, Ordering::Relaxed);
        self.wake();
        self.wait(stop);
        let readers = self.end();
        let served = readers.iter().filter(|reader| reader.reached.is_some()).count();
        let watchers = self.watchers - served as u32;
        if watchers > 0 && !stop.load(Ordering::Relaxed) {
            return Err(FanoutError::Unserved { watchers });
        }
        let mut watched = sum(&readers, ended);
        if let At::Store { store, resyncs_before, .. } = &self.at {
            watched.resyncs += store.watches().counts().resyncs - resyncs_before;
        }
        Ok(watched)
    }

    /// Until the thread has ended, or no watcher was given anything for too long. What is left to give is finite, since
    /// the load has ended, so this ends.
    fn wait(&self, stop: &AtomicBool) {
        let (mut last, mut since) = (self.delivered(), self.clock.now());
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
            && !stop.load(Ordering::Relaxed)
            && self.clock.now().since(since) < SILENCE_MAX
        {
            self.clock.sleep(NAP);
            if self.delivered() != last {
                (last, since) = (self.delivered(), self.clock.now());
            }
        }
    }

    fn wake(&self) {
        self.orders.bell.notify_one();
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Ends the thread; gives its watchers the first time.
    fn end(&mut self) -> Vec<Reached> {
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

fn sum(readers: &[Reached], ended: Nanos) -> Watched {
    let mut watched = Watched { watchers: readers.len() as u32, ..Watched::default() };
    for Reached { given, reached } in readers {
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
