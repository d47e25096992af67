//! The reader's side of a watch. Whoever reads does the work of catching up, so a reader that stops costs the store
//! its buffer and nothing more.

use super::seat::{self, Look, Seat};
use super::{WatchLimits, WatchResponse, WatchSpec};
use crate::clock::Clock;
use crate::failpoint;
use crate::model::{Event, EventKind, MainRevision};
use crate::store::ApplyPath;
use crate::units::Nanos;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// One watch; ends when it is dropped.
pub struct Watcher {
    store: Arc<dyn ApplyPath>,
    seat: Arc<Seat>,
    /// How many revisions of history are read next; fewer if they are large.
    piece: MainRevision,
    /// The compaction that ended it.
    cancelled: Option<MainRevision>,
}

/// Begins to watch `store`. A start that is compacted is told by the first response.
pub fn watch(store: &Arc<dyn ApplyPath>, spec: WatchSpec) -> Watcher {
    Watcher::new(store, spec, WatchLimits::default())
}

/// A new seat at the store's hub.
fn seated(store: &Arc<dyn ApplyPath>, spec: WatchSpec, limits: WatchLimits) -> Arc<Seat> {
    let start = spec.start_revision;
    let seat = Arc::new(Seat::new(spec, limits));
    let hub = store.watches();
    // Asking for the position takes the publication's lock: whoever did not see this watcher is done by then.
    hub.register(&seat, || {
        store.applied();
    });
    hub.join(&seat, start, || store.published());
    seat
}

enum Step {
    Response(WatchResponse),
    /// A piece of history was read, or another store is watched now.
    Again,
    Nothing,
}

impl Watcher {
    /// As [`watch`], within limits of one's own.
    pub fn new(store: &Arc<dyn ApplyPath>, spec: WatchSpec, limits: WatchLimits) -> Watcher {
        let seat = seated(store, spec, limits);
        Watcher { store: store.clone(), seat, piece: limits.history_revisions, cancelled: None }
    }

    /// The next response if there is one, without waiting for one. May read the history all the way.
    pub fn try_next(&mut self) -> Option<WatchResponse> {
        loop {
            match self.step() {
                Step::Response(response) => return Some(response),
                Step::Again => {}
                Step::Nothing => return None,
            }
        }
    }

    /// The next response; blocks for at most `timeout`. After that, a watcher that is to tell its progress tells it.
    pub fn next(&mut self, timeout: Duration) -> Option<WatchResponse> {
        let (clock, timeout) = (Clock::start(), Nanos::from(timeout));
        loop {
            if let Some(response) = self.try_next() {
                return Some(response);
            }
            let left = timeout.since(clock.now());
            if left == Nanos::ZERO {
                return self.idle();
            }
            self.seat.wait(left.into());
        }
    }

    /// The next response, for a task: `std::future::poll_fn(|cx| watcher.poll_next(cx)).await`. Between two pieces of
    /// history other tasks get their turn. The waker is woken by whoever publishes, under the store's locks: it may
    /// schedule the task, as executors do, and not run it.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<WatchResponse> {
        loop {
            match self.step() {
                Step::Response(response) => return Poll::Ready(response),
                Step::Again => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Step::Nothing if self.seat.wake_later(cx.waker()) => return Poll::Pending,
                Step::Nothing => {}
            }
        }
    }

    /// Asks for a progress response; it comes once everything up to some published revision was given.
    pub fn request_progress(&self) {
        self.seat.request_progress();
    }

    /// Whether it gets events as they are published, and does not read the history.
    pub fn is_synced(&self) -> bool {
        self.seat.is_joined()
    }

    /// What is watched.
    pub fn spec(&self) -> &WatchSpec {
        &self.seat.spec
    }

    fn idle(&mut self) -> Option<WatchResponse> {
        if !self.seat.spec.progress {
            return None;
        }
        self.seat.request_progress();
        self.try_next()
    }

    fn step(&mut self) -> Step {
        if let Some(compact_revision) = self.cancelled {
            return Step::Response(WatchResponse::Cancelled { compact_revision });
        }
        let mut found = self.seat.look(|| self.store.published());
        let successor = match found {
            Look::Response(_) => None,
            Look::Behind(_) | Look::Nothing => self.store.watches().successor(),
        };
        if successor.is_some() {
            // What was told between that look and the end of this store; there will be no more.
            found = self.seat.look(|| self.store.published());
        }
        match (found, successor) {
            (Look::Response(response), _) => {
                if let WatchResponse::Events { events, .. } = &response {
                    self.store.watches().count_delivered(events.len());
                }
                Step::Response(response)
            }
            (_, Some(successor)) => self.go_on_at(successor),
            (Look::Behind(from), None) => self.catch_up(from),
            (Look::Nothing, None) => Step::Nothing,
        }
    }

    /// Goes on at the store that took the place of this one; whatever this one told was taken out.
    fn go_on_at(&mut self, store: Arc<dyn ApplyPath>) -> Step {
        let (start_revision, progress_wanted) = self.seat.after(self.store.published());
        let Seat { spec, limits, .. } = &*self.seat;
        let seat = seated(&store, WatchSpec { start_revision, ..spec.clone() }, *limits);
        if progress_wanted {
            seat.request_progress();
        }
        self.store.watches().unregister(&self.seat);
        self.piece = limits.history_revisions;
        (self.store, self.seat) = (store, seat);
        Step::Again
    }

    /// Reads a piece of the history, or joins if there is no more. The buffer is empty.
    fn catch_up(&mut self, from: MainRevision) -> Step {
        failpoint::pass("watch::catch-up");
        let published = self.store.published();
        if from > published {
            self.store.watches().join(&self.seat, from, || self.store.published());
            return Step::Again;
        }
        let to = published.min(from.saturating_add(self.piece - 1));
        match self.store.events(from, to) {
            Ok(events) => self.fill(events, to + 1),
            Err(compact_revision) => self.cancel(compact_revision),
        }
        Step::Again
    }

    fn fill(&mut self, events: Vec<Event>, next: MainRevision) {
        let limits = self.seat.limits;
        let bytes: usize = events.iter().map(seat::size).sum();
        self.piece = match bytes > limits.buffer_bytes {
            true => (self.piece / 2).max(1),
            false => (self.piece * 2).min(limits.history_revisions),
        };
        let Seat { spec, .. } = &*self.seat;
        let is_wanted = |event: &Event| {
            self.seat.wants(event.kind == EventKind::Delete)
                && spec.interval.contains(&event.kv.key)
        };
        let as_wanted = |event: Event| match spec.prev_kv {
            true => event,
            false => Event { prev_kv: None, ..event },
        };
        self.seat.fill(events.into_iter().filter(is_wanted).map(as_wanted), next);
    }

    fn cancel(&mut self, compact_revision: MainRevision) {
        self.cancelled = Some(compact_revision);
        self.store.watches().unregister(&self.seat);
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.store.watches().unregister(&self.seat);
    }
}
