//! Time, read through one door: monotonic nanoseconds since the clock was made.
//! It refuses wall-clock dates (those belong to the record) and hidden sleeping.
//!
//! A simulation has clocks of its own: they stand still until their [`Hand`] is moved.

use crate::units::Nanos;
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A monotonic clock. Copies share the same origin, so stamps of different threads compare.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    source: Source,
}

/// Where the time comes from; the branch costs nothing beside the reading of the real one.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// What CLOCK_MONOTONIC said when the clock read zero, ns.
    Real(u64),
    /// Relaxed: whoever moves it and whoever reads it take turns on one thread.
    Set(&'static AtomicU64),
}

impl Clock {
    /// A clock that reads zero now.
    pub fn start() -> Clock {
        Clock { source: Source::Real(monotonic_ns()) }
    }

    /// A clock that reads zero and moves only by its hand. Copies of it may be anywhere, so its eight bytes are never freed.
    pub fn by_hand() -> (Clock, Hand) {
        let cell: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(0)));
        (Clock { source: Source::Set(cell) }, Hand { cell })
    }

    /// Nanoseconds since the clock's origin (CLOCK_MONOTONIC).
    pub fn now(&self) -> Nanos {
        match self.source {
            Source::Real(origin) => Nanos(monotonic_ns().saturating_sub(origin)),
            Source::Set(cell) => Nanos(cell.load(Ordering::Relaxed)),
        }
    }

    /// Blocks the calling thread for `span`; a clock that is moved by hand goes on by it at once.
    #[expect(clippy::disallowed_methods, reason = "the one door through which time passes")]
    pub fn sleep(&self, span: Nanos) {
        match self.source {
            Source::Real(_) => std::thread::sleep(Duration::from_nanos(span.0)),
            Source::Set(cell) => Hand { cell }.pass(span),
        }
    }
}

/// What `std::time::Instant` reads as well, without its way through seconds, nanoseconds and 128 bits, which takes a quarter of the time.
fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Neither is ever negative.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Moves a clock that does not move by itself, and all its copies.
#[derive(Clone, Copy, Debug)]
pub struct Hand {
    cell: &'static AtomicU64,
}

impl Hand {
    /// Goes on to `now`; a clock never goes back, so an earlier instant changes nothing.
    pub fn reach(&self, now: Nanos) {
        self.cell.fetch_max(now.0, Ordering::Relaxed);
    }

    /// Goes on by `span`.
    pub fn pass(&self, span: Nanos) {
        self.cell.fetch_add(span.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_by_hand_moves_with_all_its_copies_and_never_back() {
        let (clock, hand) = Clock::by_hand();
        let copy = clock;
        assert_eq!(copy.now(), Nanos::ZERO);
        hand.reach(Nanos(70));
        hand.reach(Nanos(50));
        clock.sleep(Nanos(5));
        assert_eq!((clock.now(), copy.now()), (Nanos(75), Nanos(75)));
    }

    #[test]
    fn a_second_kind_makes_no_clock_larger() {
        assert_eq!(size_of::<Clock>(), size_of::<std::time::Instant>());
    }
}
