//! Where publishing meets watching. With nobody watching it costs the publisher one relaxed load.

use super::index::Index;
use super::seat::{Seat, Shared};
use crate::failpoint;
use crate::measure::lock::{MeasuredGuard, MeasuredMutex, Visit};
use crate::measure::stage::Probe;
use crate::measure::sync::{AtomicU64, AtomicUsize, Ordering};
use crate::model::MainRevision;
use crate::store::ApplyPath;
use crate::store::effects::Change;
use crate::store::kv::Kv;
use crossbeam_utils::CachePadded;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// Where the store of a node is that is in use now: another one takes its place when an image replaces the state.
pub type Present = Arc<RwLock<Arc<dyn ApplyPath>>>;

/// Tells watchers of changes.
pub struct WatchHub {
    /// How many seats the index has or is about to have.
    watchers: CachePadded<AtomicUsize>,
    index: MeasuredMutex<Index>,
    /// Relaxed, like the two below: they order nothing.
    unsynced: AtomicUsize,
    delivered: AtomicU64,
    resyncs: AtomicU64,
    /// Once another store has taken the place of this one: where the newest is.
    successor: OnceLock<Present>,
}

/// What happened at a hub, and who is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchCounts {
    /// Watchers registered now.
    pub watchers: usize,
    /// Those of them that read the history.
    pub unsynced: usize,
    /// Events given to readers since the start.
    pub delivered: u64,
    /// Times a reader was too slow for its buffer since the start.
    pub resyncs: u64,
}

/// Watchers that have events of revisions that are about to be published. Whoever publishes wakes them when that is
/// done; until then nobody joins.
#[must_use]
pub(in crate::store) struct Told<'a> {
    index: Option<MeasuredGuard<'a, Index>>,
    seats: Vec<Arc<Seat>>,
}

impl Told<'_> {
    /// The revisions are published: the readers may look.
    pub(in crate::store) fn wake(self) {
        drop(self.index);
        self.seats.iter().for_each(|seat| seat.wake());
    }
}

/// What `change` replaced, as of the revision before (as etcd): what the same request wrote in between was never there for anybody.
fn before<'a>(earlier: &'a [Change], change: &'a Change) -> Option<&'a Kv> {
    let prev = change.prev.as_ref();
    let revision = change.kv.modified();
    if change.kv.sub() == 0 || prev.is_some_and(|prev| prev.modified() < revision) {
        return prev;
    }
    let same_key = |other: &&Change| other.kv.key() == change.kv.key();
    let of_revision = earlier.iter().rev().take_while(|other| other.kv.modified() == revision);
    of_revision.filter(same_key).last().map_or(prev, |first| first.prev.as_ref())
}

impl WatchHub {
    /// Nobody watches.
    pub(in crate::store) fn new(probe: Probe) -> WatchHub {
        WatchHub {
            watchers: CachePadded::default(),
            index: MeasuredMutex::new(Index::default(), probe),
            unsynced: AtomicUsize::new(0),
            delivered: AtomicU64::new(0),
            resyncs: AtomicU64::new(0),
            successor: OnceLock::new(),
        }
    }

    /// Shows its lock.
    pub(in crate::store) fn visit_locks(&self, visit: Visit<'_>) {
        visit("watchers", &self.index);
    }

    /// Puts `changes` before all who watch them: settled, in order, of one revision or several. The caller holds the
    /// publication's lock, publishes them and then wakes the watchers.
    pub(in crate::store) fn notify(&self, changes: &[Change]) -> Told<'_> {
        // Relaxed: a watcher that is not seen here waits for the publication's lock before it looks at the store, so
        // that it finds these changes published.
        if changes.is_empty() || self.watchers.load(Ordering::Relaxed) == 0 {
            return Told { index: None, seats: Vec::new() };
        }
        failpoint::pass("watch::notify");
        let index = self.index();
        let mut seats = Vec::new();
        for (at, change) in changes.iter().enumerate() {
            let mut shared = Shared::new(change, before(&changes[..at], change));
            index.each(change.kv.key(), &mut |seat| self.offer(seat, &mut shared, &mut seats));
        }
        Told { index: Some(index), seats }
    }

    fn offer(&self, seat: &Arc<Seat>, shared: &mut Shared<'_>, told: &mut Vec<Arc<Seat>>) {
        let offered = seat.offer(shared);
        if offered.overflowed {
            self.resyncs.fetch_add(1, Ordering::Relaxed);
            self.unsynced.fetch_add(1, Ordering::Relaxed);
        }
        if offered.must_wake {
            told.push(seat.clone());
        }
    }

    /// Adds a seat, which is behind. From when `wait_for_publisher` has returned, a publication that began later sees it.
    pub(super) fn register(&self, seat: &Arc<Seat>, wait_for_publisher: impl FnOnce()) {
        self.watchers.fetch_add(1, Ordering::Relaxed);
        self.unsynced.fetch_add(1, Ordering::Relaxed);
        self.index().insert(seat.clone());
        wait_for_publisher();
    }

    /// Lets a seat join if it has everything up to the published revision; `start` is where it goes on, 0 for there.
    pub(super) fn join(
        &self,
        seat: &Seat,
        start: MainRevision,
        published: impl FnOnce() -> MainRevision,
    ) -> bool {
        failpoint::pass("watch::join");
        // While the index is locked nothing is told and not published.
        let _index = self.index();
        let published = published();
        let next = if start <= 0 { published + 1 } else { start };
        seat.begin_at(next);
        if next > published {
            seat.join();
            self.unsynced.fetch_sub(1, Ordering::Relaxed);
        }
        next > published
    }

    /// Takes a seat out, if it is there.
    pub(super) fn unregister(&self, seat: &Arc<Seat>) {
        let mut index = self.index();
        if index.remove(seat) {
            self.watchers.fetch_sub(1, Ordering::Relaxed);
            self.unsynced.fetch_sub(usize::from(!seat.is_joined()), Ordering::Relaxed);
        }
    }

    /// From now on the store in `present` is in the place of this one, with all that this one has: nothing is told here any more, and whoever
    /// watches goes on there.
    pub fn succeed(&self, present: &Present) {
        self.successor.get_or_init(|| present.clone());
        let mut seats = Vec::new();
        self.index().all(&mut |seat| seats.push(seat.clone()));
        seats.iter().for_each(|seat| seat.wake());
    }

    /// The newest store, if this one was replaced.
    pub(super) fn successor(&self) -> Option<Arc<dyn ApplyPath>> {
        let present = self.successor.get()?;
        Some(present.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    pub(super) fn count_delivered(&self, events: usize) {
        self.delivered.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// Who is there and what happened.
    pub fn counts(&self) -> WatchCounts {
        WatchCounts {
            watchers: self.watchers.load(Ordering::Relaxed),
            unsynced: self.unsynced.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            resyncs: self.resyncs.load(Ordering::Relaxed),
        }
    }

    fn index(&self) -> MeasuredGuard<'_, Index> {
        self.index.lock()
    }
}
