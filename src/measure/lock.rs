//! A mutex that knows what it costs: how often it was taken, how long it was waited for and held.
//! The tallies live beside the guarded value, so keeping them needs no atomics.

use super::stage::Probe;
use super::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use crate::units::Nanos;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// What a lock, or all locks of one name, cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockTally {
    /// Times taken.
    pub acquisitions: u64,
    /// Times somebody else held it.
    pub contended: u64,
    /// Time waited for it, ns.
    pub wait_ns: u64,
    /// Time it was held, ns.
    pub hold_ns: u64,
}

impl LockTally {
    /// Both together.
    pub fn plus(self, other: LockTally) -> LockTally {
        LockTally {
            acquisitions: self.acquisitions + other.acquisitions,
            contended: self.contended + other.contended,
            wait_ns: self.wait_ns + other.wait_ns,
            hold_ns: self.hold_ns + other.hold_ns,
        }
    }

    /// What came on top of `earlier`.
    pub fn since(self, earlier: LockTally) -> LockTally {
        LockTally {
            acquisitions: self.acquisitions.saturating_sub(earlier.acquisitions),
            contended: self.contended.saturating_sub(earlier.contended),
            wait_ns: self.wait_ns.saturating_sub(earlier.wait_ns),
            hold_ns: self.hold_ns.saturating_sub(earlier.hold_ns),
        }
    }
}

/// A mutex that tallies its use. With the probe off it counts acquisitions and reads no clock.
pub struct MeasuredMutex<T> {
    inner: Mutex<Tallied<T>>,
    probe: Probe,
}

struct Tallied<T> {
    value: T,
    tally: LockTally,
}

impl<T> MeasuredMutex<T> {
    /// Guards `value`.
    pub fn new(value: T, probe: Probe) -> MeasuredMutex<T> {
        MeasuredMutex { inner: Mutex::new(Tallied { value, tally: LockTally::default() }), probe }
    }

    /// Takes the lock. A poisoned lock is taken too: a panic elsewhere ends the process on its own.
    pub fn lock(&self) -> MeasuredGuard<'_, T> {
        match self.inner.try_lock() {
            Ok(guard) => self.entered(guard, None),
            Err(TryLockError::Poisoned(poisoned)) => self.entered(poisoned.into_inner(), None),
            Err(TryLockError::WouldBlock) => {
                let asked = self.probe.now();
                let guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
                self.entered(guard, Some(asked))
            }
        }
    }

    /// Waits on `condvar` for at most `timeout`; the wait is not counted as holding.
    pub fn wait_timeout<'a>(
        &'a self,
        guard: MeasuredGuard<'a, T>,
        condvar: &Condvar,
        timeout: Duration,
    ) -> MeasuredGuard<'a, T> {
        let inner = guard.release();
        let (inner, _) =
            condvar.wait_timeout(inner, timeout).unwrap_or_else(PoisonError::into_inner);
        let entered = self.probe.now();
        MeasuredGuard { inner: Some(inner), probe: self.probe, entered }
    }

    /// What the lock cost so far; taking it for this is not counted.
    pub fn tally(&self) -> LockTally {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).tally
    }

    fn entered<'a>(
        &'a self,
        mut guard: MutexGuard<'a, Tallied<T>>,
        asked: Option<Nanos>,
    ) -> MeasuredGuard<'a, T> {
        let entered = self.probe.now();
        guard.tally.acquisitions += 1;
        if let Some(asked) = asked {
            guard.tally.contended += 1;
            guard.tally.wait_ns += entered.since(asked).0;
        }
        MeasuredGuard { inner: Some(guard), probe: self.probe, entered }
    }
}

/// The lock, held. Dropping it, or [`MeasuredGuard::leave`], ends the hold.
pub struct MeasuredGuard<'a, T> {
    /// Present until the guard is given up.
    inner: Option<MutexGuard<'a, Tallied<T>>>,
    probe: Probe,
    entered: Nanos,
}

impl<'a, T> MeasuredGuard<'a, T> {
    /// When the lock was got.
    pub fn entered(&self) -> Nanos {
        self.entered
    }

    /// Gives the lock back and says when: the same instant that ends the hold.
    pub fn leave(mut self) -> Nanos {
        let left = self.probe.now();
        self.tally_hold(left);
        self.inner = None;
        left
    }

    fn release(mut self) -> MutexGuard<'a, Tallied<T>> {
        let left = self.probe.now();
        self.tally_hold(left);
        self.inner.take().expect("a guard holds its lock until it is given up")
    }

    fn tally_hold(&mut self, left: Nanos) {
        if let Some(inner) = &mut self.inner {
            inner.tally.hold_ns += left.since(self.entered).0;
        }
    }
}

impl<T> Drop for MeasuredGuard<'_, T> {
    fn drop(&mut self) {
        if self.inner.is_some() {
            let left = self.probe.now();
            self.tally_hold(left);
        }
    }
}

impl<T> Deref for MeasuredGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner.as_ref().expect("a guard holds its lock until it is given up").value
    }
}

impl<T> DerefMut for MeasuredGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner.as_mut().expect("a guard holds its lock until it is given up").value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_held_lock_is_waited_for_and_both_are_tallied() {
        let clock = Clock::start();
        let lock = MeasuredMutex::new(0u32, Probe::on(clock));
        let came = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            let guard = lock.lock();
            let waiter = scope.spawn(|| {
                came.wait();
                *lock.lock() += 1;
            });
            // A busy host may take its time to start a thread.
            came.wait();
            clock.sleep(Nanos::from_millis(20));
            drop(guard);
            waiter.join().unwrap();
        });
        let (tally, elapsed) = (lock.tally(), clock.now());
        assert_eq!((tally.acquisitions, tally.contended), (2, 1));
        assert!(tally.hold_ns >= 20_000_000, "{tally:?}");
        // Being woken is part of the wait, and takes a busy host longer than the hold.
        assert!(tally.wait_ns > 0 && tally.wait_ns <= elapsed.0, "{tally:?}");
    }

    #[test]
    fn with_the_probe_off_only_acquisitions_count() {
        let lock = MeasuredMutex::new((), Probe::off());
        lock.lock().leave();
        assert_eq!(lock.tally(), LockTally { acquisitions: 1, ..LockTally::default() });
    }
}
