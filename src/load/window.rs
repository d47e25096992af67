//! The measured span: when it opens, when it closes, and what counts as within it.

use crate::clock::Clock;
use crate::measure::series::slot_of;
use crate::units::Nanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use tokio::sync::Notify;

/// When operations count: from opening to closing, both decided while the load runs.
/// All orderings are relaxed: an operation near an edge may count or not, and nothing else hangs on it.
pub(super) struct Window {
    pub(super) clock: Clock,
    /// Nanoseconds on the clock; the largest number until it is opened or closed.
    from: AtomicU64,
    to: AtomicU64,
    /// Clients that were answered at least once.
    pub(super) answered: AtomicU32,
    /// Told when it opens.
    pub(super) opening: Notify,
    /// Length of the slots of a time series.
    pub(super) slot: Nanos,
    stop: Arc<AtomicBool>,
}

/// Warm-up goes on until every client was answered once, at most this many times as long as asked.
pub const WARMUP_STRETCH_MAX: u64 = 20;
/// Longest sleep, so that a stop is seen.
const NAP_MAX: Nanos = Nanos::from_millis(20);

impl Window {
    pub(super) fn new(clock: Clock, duration: Nanos, stop: Arc<AtomicBool>) -> Window {
        Window {
            clock,
            from: AtomicU64::new(u64::MAX),
            to: AtomicU64::new(u64::MAX),
            answered: AtomicU32::new(0),
            opening: Notify::new(),
            slot: slot_of(duration),
            stop,
        }
    }

    /// Until the warm-up has passed and every client was answered once: before that, a queue is still building up,
    /// and its first requests wait less than any later one.
    pub(super) fn warm_up(&self, warmup: Nanos, clients: u32) {
        let began = self.clock.now();
        self.rest(warmup);
        let latest = began.after(Nanos(warmup.0.saturating_mul(WARMUP_STRETCH_MAX)));
        while self.answered.load(Ordering::Relaxed) < clients
            && self.clock.now() < latest
            && !self.is_stopped()
        {
            self.clock.sleep(Nanos::from_millis(1));
        }
    }

    pub(super) fn open(&self) {
        self.from.store(self.clock.now().0, Ordering::Relaxed);
        self.opening.notify_one();
    }

    pub(super) fn is_open(&self) -> bool {
        self.from.load(Ordering::Relaxed) != u64::MAX
    }

    /// When it opened; the end of time before that.
    pub(super) fn opened_at(&self) -> Nanos {
        Nanos(self.from.load(Ordering::Relaxed))
    }

    /// When it closed; the end of time before that.
    pub(super) fn closed_at(&self) -> Nanos {
        Nanos(self.to.load(Ordering::Relaxed))
    }

    pub(super) fn close(&self) {
        self.to.store(self.clock.now().0, Ordering::Relaxed);
    }

    pub(super) fn length(&self) -> Nanos {
        self.closed_at().since(self.opened_at())
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn is_over(&self) -> bool {
        self.to.load(Ordering::Relaxed) != u64::MAX || self.is_stopped()
    }

    pub(super) fn holds(&self, now: Nanos) -> bool {
        now.0 >= self.from.load(Ordering::Relaxed) && now.0 < self.to.load(Ordering::Relaxed)
    }

    /// Sleeps for `span` in short naps, less if stopped.
    pub(super) fn rest(&self, span: Nanos) {
        let until = self.clock.now().after(span);
        while self.clock.now() < until && !self.is_stopped() {
            self.clock.sleep(until.since(self.clock.now()).min(NAP_MAX));
        }
    }
}
