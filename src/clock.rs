//! Time, read through one door: monotonic nanoseconds since the clock was made.
//! It refuses wall-clock dates (those belong to the record) and hidden sleeping.

use crate::units::Nanos;
use std::time::{Duration, Instant};

/// A monotonic clock. Copies share the same origin, so stamps of different threads compare.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that reads zero now.
    #[expect(clippy::disallowed_methods, reason = "the one door through which time is read")]
    pub fn start() -> Clock {
        Clock { origin: Instant::now() }
    }

    /// Nanoseconds since the clock's origin (CLOCK_MONOTONIC).
    pub fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Blocks the calling thread for `span`.
    #[expect(clippy::disallowed_methods, reason = "the one door through which time passes")]
    pub fn sleep(&self, span: Nanos) {
        std::thread::sleep(Duration::from_nanos(span.0));
    }
}
