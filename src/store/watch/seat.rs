//! What a watcher and the publisher share: a bounded buffer of events, and a way to wake the reader.

use super::{SharedEvent, WatchLimits, WatchResponse, WatchSpec};
use crate::measure::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use crate::model::{Event, KeyValue, MainRevision};
use crate::store::core::event;
use crate::store::effects::Change;
use crate::store::kv::Kv;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// What an event takes besides keys and values, bytes.
const EVENT_OVERHEAD_BYTES: usize = 232;

/// One watcher's place at the hub.
pub(super) struct Seat {
    pub(super) spec: WatchSpec,
    pub(super) limits: WatchLimits,
    state: Mutex<State>,
    news: Condvar,
}

struct State {
    /// By revision, then by place in it. What is above the published revision may be incomplete.
    events: VecDeque<Arc<SharedEvent>>,
    bytes: usize,
    /// Whether the publisher puts events here.
    joined: bool,
    /// Joined: nothing below it is taken in. Behind: where the history goes on once the buffer is empty.
    next: MainRevision,
    progress_wanted: bool,
    /// Whether a publisher will wake the reader already.
    is_told: bool,
    /// Whether something happened since the reader last looked.
    news: bool,
    waker: Option<Waker>,
}

/// A change on its way to all who watch it. Its event is made when the first of them wants it, and shared by them.
pub(super) struct Shared<'a> {
    change: &'a Change,
    /// As of the revision before.
    prev: Option<&'a Kv>,
    without_prev: Option<Arc<SharedEvent>>,
    with_prev: Option<Arc<SharedEvent>>,
}

/// What became of a change at a seat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offered {
    /// The publisher has to wake the reader.
    pub(super) must_wake: bool,
    /// The buffer was full, and the seat is behind from now on.
    pub(super) overflowed: bool,
}

/// What a reader finds.
#[derive(Debug)]
pub(super) enum Look {
    /// This.
    Response(WatchResponse),
    /// Nothing; the history goes on at this revision.
    Behind(MainRevision),
    /// Nothing until there are news.
    Nothing,
}

impl<'a> Shared<'a> {
    pub(super) fn new(change: &'a Change, prev: Option<&'a Kv>) -> Shared<'a> {
        Shared { change, prev, without_prev: None, with_prev: None }
    }

    fn event(&mut self, spec: &WatchSpec) -> Arc<SharedEvent> {
        let kv = &self.change.kv;
        let prev = self.prev.filter(|_| spec.prev_kv);
        let made = if prev.is_some() { &mut self.with_prev } else { &mut self.without_prev };
        made.get_or_insert_with(|| Arc::new(event(kv, prev.map(Kv::key_value)).into())).clone()
    }
}

impl Seat {
    /// Behind, with nothing in it.
    pub(super) fn new(spec: WatchSpec, limits: WatchLimits) -> Seat {
        let state = State {
            events: VecDeque::new(),
            bytes: 0,
            joined: false,
            next: spec.start_revision,
            progress_wanted: false,
            is_told: false,
            news: false,
            waker: None,
        };
        Seat { spec, limits, state: Mutex::new(state), news: Condvar::new() }
    }

    /// Whether writes, or deletions, are wanted.
    pub(super) fn wants(&self, is_deletion: bool) -> bool {
        !(if is_deletion { self.spec.no_delete } else { self.spec.no_put })
    }

    /// The publisher's side: puts the change into the buffer if it is wanted.
    pub(super) fn offer(&self, shared: &mut Shared<'_>) -> Offered {
        let revision = shared.change.kv.modified();
        let mut state = self.state();
        let is_wanted = self.wants(shared.change.kv.is_tombstone());
        if !state.joined || revision < state.next || !is_wanted {
            return Offered::default();
        }
        let event = shared.event(&self.spec);
        let overflowed = !state.has_room(&event, self.limits);
        match overflowed {
            true => state.fall_behind(revision),
            false => state.push(event),
        }
        Offered { must_wake: !std::mem::replace(&mut state.is_told, true), overflowed }
    }

    /// Tells the reader to look again.
    pub(super) fn wake(&self) {
        let mut state = self.state();
        state.is_told = false;
        state.news = true;
        let waker = state.waker.take();
        drop(state);
        self.news.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The reader's side. `published` is asked under the lock: whatever it names is in the buffer by then, and whatever
    /// is published later wakes the reader later.
    pub(super) fn look(&self, published: impl FnOnce() -> MainRevision) -> Look {
        let mut state = self.state();
        state.news = false;
        let published = published();
        if let Some(response) = state.take(published, &self.spec, self.limits) {
            return Look::Response(response);
        }
        match () {
            () if !state.joined && state.events.is_empty() => Look::Behind(state.next),
            () if state.joined && std::mem::take(&mut state.progress_wanted) => {
                Look::Response(WatchResponse::Progress { revision: published })
            }
            () => Look::Nothing,
        }
    }

    /// Adds a piece of the history, which goes on at `next`. It may be larger than the buffer; the reader empties it
    /// before it reads more.
    pub(super) fn fill(&self, events: impl Iterator<Item = Event>, next: MainRevision) {
        let mut state = self.state();
        events.for_each(|event| state.push(Arc::new(event.into())));
        state.next = next;
    }

    /// From now on the publisher puts events here. The hub is locked.
    pub(super) fn join(&self) {
        self.state().joined = true;
    }

    /// Where a seat that is behind begins to read.
    pub(super) fn begin_at(&self, next: MainRevision) {
        self.state().next = next;
    }

    /// Where it goes on once everything up to `published` was taken out, and whether its progress is asked for still.
    pub(super) fn after(&self, published: MainRevision) -> (MainRevision, bool) {
        let state = self.state();
        let next = if state.joined { state.next.max(published + 1) } else { state.next };
        (next, state.progress_wanted)
    }

    pub(super) fn is_joined(&self) -> bool {
        self.state().joined
    }

    /// Asks for a progress response as soon as the seat is joined and the reader has everything.
    pub(super) fn request_progress(&self) {
        self.state().progress_wanted = true;
        self.wake();
    }

    /// Blocks until there are news, or `timeout` has passed.
    pub(super) fn wait(&self, timeout: Duration) {
        let state = self.state();
        let waited = self.news.wait_timeout_while(state, timeout, |state| !state.news);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Has `waker` woken at the next news; `false` if there are some already.
    pub(super) fn wake_later(&self, waker: &Waker) -> bool {
        let mut state = self.state();
        if !state.news {
            state.waker = Some(waker.clone());
        }
        !state.news
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, event: &Event, limits: WatchLimits) -> bool {
        self.events.len() < limits.buffer_events && self.bytes + size(event) <= limits.buffer_bytes
    }

    fn push(&mut self, event: Arc<SharedEvent>) {
        self.bytes += size(&event);
        self.events.push_back(event);
    }

    /// What there is of `revision` goes: it is not published, so the reader has none of it, and the history will have
    /// all of it.
    fn fall_behind(&mut self, revision: MainRevision) {
        while let Some(event) = self.events.pop_back_if(|event| event.kv.mod_revision == revision) {
            self.bytes -= size(&event);
        }
        self.joined = false;
        self.next = revision;
    }

    /// The events of the first revision, or as many of them as one response may have.
    fn take(
        &mut self,
        published: MainRevision,
        spec: &WatchSpec,
        limits: WatchLimits,
    ) -> Option<WatchResponse> {
        let revision = self.events.front()?.kv.mod_revision;
        if revision > published {
            return None;
        }
        let bytes_max = if spec.fragment { limits.fragment_bytes } else { usize::MAX };
        let (mut events, mut bytes) = (Vec::new(), 0);
        while let Some(event) =
            self.events.front().filter(|event| event.kv.mod_revision == revision)
        {
            let size = size(event);
            if !events.is_empty() && bytes + size > bytes_max {
                return Some(WatchResponse::Events { revision, events, fragment: true });
            }
            bytes += size;
            self.bytes -= size;
            events.extend(self.events.pop_front());
        }
        Some(WatchResponse::Events { revision, events, fragment: false })
    }
}

/// What an event takes, bytes.
pub(super) fn size(event: &Event) -> usize {
    let bytes = |kv: &KeyValue| kv.key.len() + kv.value.len();
    EVENT_OVERHEAD_BYTES + bytes(&event.kv) + event.prev_kv.as_ref().map_or(0, bytes)
}
