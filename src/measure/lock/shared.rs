//! A lock that many readers share, which knows what waiting for it cost. Readers cannot write beside the guarded value, so the
//! tallies are atomics of their own; holds are not timed.

use super::super::contention::Contention;
use super::super::stage::Probe;
use super::super::sync::{
    AtomicU64, Mutex, Ordering, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    TryLockError,
};
use super::{LockTally, Measured};

/// A readers-writer lock that tallies how often it was taken and waited for, by readers and writers alike.
pub struct MeasuredRwLock<T> {
    inner: RwLock<T>,
    probe: Probe,
    acquisitions: AtomicU64,
    contended: AtomicU64,
    wait_ns: AtomicU64,
    /// Present if the probe has locks take call stacks.
    contention: Option<Box<Mutex<Contention>>>,
}

impl<T> MeasuredRwLock<T> {
    /// Guards `value`.
    pub fn new(value: T, probe: Probe) -> MeasuredRwLock<T> {
        MeasuredRwLock {
            inner: RwLock::new(value),
            probe,
            acquisitions: AtomicU64::new(0),
            contended: AtomicU64::new(0),
            wait_ns: AtomicU64::new(0),
            contention: probe.profiles_locks().then(Box::default),
        }
    }

    /// Takes the lock beside other readers. A poisoned lock is taken too: a panic elsewhere ends the process on its own.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        match self.inner.try_read() {
            Ok(guard) => self.entered(guard),
            Err(TryLockError::Poisoned(poisoned)) => self.entered(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                self.waited(|| self.inner.read().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    /// Takes the lock alone.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        match self.inner.try_write() {
            Ok(guard) => self.entered(guard),
            Err(TryLockError::Poisoned(poisoned)) => self.entered(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                self.waited(|| self.inner.write().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    fn entered<G>(&self, guard: G) -> G {
        // Relaxed, like all of them: they order nothing.
        self.acquisitions.fetch_add(1, Ordering::Relaxed);
        guard
    }

    fn waited<G>(&self, take: impl FnOnce() -> G) -> G {
        let asked = self.probe.now();
        let guard = take();
        let waited = self.probe.now().since(asked).0;
        self.contended.fetch_add(1, Ordering::Relaxed);
        self.wait_ns.fetch_add(waited, Ordering::Relaxed);
        if let Some(contention) = &self.contention {
            contention.lock().unwrap_or_else(PoisonError::into_inner).waits.add(waited);
        }
        self.entered(guard)
    }
}

impl<T> Measured for MeasuredRwLock<T> {
    fn tally(&self) -> LockTally {
        LockTally {
            acquisitions: self.acquisitions.load(Ordering::Relaxed),
            contended: self.contended.load(Ordering::Relaxed),
            wait_ns: self.wait_ns.load(Ordering::Relaxed),
            hold_ns: 0,
        }
    }

    fn take_contention(&self) -> Option<Contention> {
        let contention = self.contention.as_ref()?;
        let mut contention = contention.lock().unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut *contention))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::units::Nanos;

    #[test]
    fn readers_share_it_and_a_writer_is_waited_for() {
        let clock = Clock::start();
        let lock = MeasuredRwLock::new(1u32, Probe::with_lock_profile(clock));
        let (one, other) = (lock.read(), lock.read());
        assert_eq!(*one + *other, 2);
        drop((one, other));
        assert_eq!(lock.tally(), LockTally { acquisitions: 2, ..LockTally::default() });
        let came = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            let mut guard = lock.write();
            let reader = scope.spawn(|| {
                came.wait();
                *lock.read()
            });
            // A busy host may take its time to start a thread.
            came.wait();
            clock.sleep(Nanos::from_millis(20));
            *guard = 7;
            drop(guard);
            assert_eq!(reader.join().unwrap(), 7);
        });
        let (tally, elapsed) = (lock.tally(), clock.now());
        assert_eq!((tally.acquisitions, tally.contended, tally.hold_ns), (4, 1, 0));
        assert!(tally.wait_ns > 0 && tally.wait_ns <= elapsed.0, "{tally:?}");
        let waits = lock.take_contention().unwrap().waits;
        assert_eq!(waits.times.values_ns().map(|(_, count)| count).sum::<u64>(), 1);
    }
}
