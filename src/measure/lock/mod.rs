//! Locks that know what they cost: how often they were taken, how long they were waited for and held.
//! A mutex keeps its tallies beside the guarded value, which needs no atomics; a lock with readers cannot.

use super::contention::Contention;
use super::stage::Probe;
use super::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use crate::units::Nanos;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

mod shared;

pub use shared::MeasuredRwLock;

/// What a lock, or all locks of one name, cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockTally {
    /// Times taken.
    pub acquisitions: u64,
    /// Times somebody else held it.
    pub contended: u64,
    /// Time waited for it, ns.
    pub wait_ns: u64,
    /// Time it was held, ns; an estimate if not every hold is timed.
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

/// The locks of one name at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedLocks {
    /// What they guard.
    pub name: &'static str,
    /// Each of them, in its order.
    pub each: Vec<LockTally>,
}

impl NamedLocks {
    /// All of them together.
    pub fn sum(&self) -> LockTally {
        self.each.iter().copied().fold(LockTally::default(), LockTally::plus)
    }

    /// What came on top of `earlier`, which are the same locks.
    pub fn since(&self, earlier: &NamedLocks) -> NamedLocks {
        let each = self.each.iter().zip(&earlier.each);
        NamedLocks { name: self.name, each: each.map(|(now, then)| now.since(*then)).collect() }
    }
}

/// What locks of one name cost by place; empty unless the probe has locks take call stacks.
#[derive(Clone, Debug)]
pub struct NamedContention {
    /// What they guard.
    pub name: &'static str,
    /// All of them together.
    pub contention: Contention,
}

/// A lock, whatever it guards.
pub trait Measured {
    /// What it cost so far; taking it for this is not counted.
    fn tally(&self) -> LockTally;

    /// What it cost by place since this was last asked; none unless the probe has locks take call stacks.
    fn take_contention(&self) -> Option<Contention>;
}

/// Sees locks with their names. Those of one name come one right after the other.
pub type Visit<'a> = &'a mut dyn FnMut(&'static str, &dyn Measured);

/// The tallies of what `walk` shows.
pub fn tallies(walk: impl FnOnce(Visit<'_>)) -> Vec<NamedLocks> {
    let mut all: Vec<NamedLocks> = Vec::new();
    walk(&mut |name, lock| match all.last_mut().filter(|last| last.name == name) {
        Some(last) => last.each.push(lock.tally()),
        None => all.push(NamedLocks { name, each: vec![lock.tally()] }),
    });
    all
}

/// What `walk` shows cost by place since this was last asked.
pub fn take_contention(walk: impl FnOnce(Visit<'_>)) -> Vec<NamedContention> {
    let mut all: Vec<NamedContention> = Vec::new();
    walk(&mut |name, lock| {
        let Some(contention) = lock.take_contention() else { return };
        match all.last_mut().filter(|last| last.name == name) {
            Some(last) => last.contention.merge(contention),
            None => all.push(NamedContention { name, contention }),
        }
    });
    all
}

/// A mutex that tallies its use. With the probe off it counts acquisitions and reads no clock.
pub struct MeasuredMutex<T> {
    inner: Mutex<Tallied<T>>,
    probe: Probe,
    /// Whether the clock is read where nobody had to wait.
    times_holds: bool,
}

struct Tallied<T> {
    value: T,
    tally: LockTally,
    /// Present if the probe has locks take call stacks.
    contention: Option<Box<Contention>>,
}

impl<T> MeasuredMutex<T> {
    /// Guards `value`.
    pub fn new(value: T, probe: Probe) -> MeasuredMutex<T> {
        let contention = probe.profiles_locks().then(Box::default);
        let inner = Mutex::new(Tallied { value, tally: LockTally::default(), contention });
        MeasuredMutex { inner, probe, times_holds: true }
    }

    /// Guards `value`, which is held for so short a time that reading the clock twice would show: holds are timed only where a
    /// profile is taken, waits always.
    pub fn brief(value: T, probe: Probe) -> MeasuredMutex<T> {
        MeasuredMutex { times_holds: probe.profiles_locks(), ..MeasuredMutex::new(value, probe) }
    }

    /// Takes the lock. A poisoned lock is taken too: a panic elsewhere ends the process on its own.
    pub fn lock(&self) -> MeasuredGuard<'_, T> {
        self.lock_for(u32::from(self.times_holds))
    }

    /// The same; this hold stands for that many, and for 0 it is not timed. A wait always is.
    pub fn lock_for(&self, stands_for: u32) -> MeasuredGuard<'_, T> {
        match self.inner.try_lock() {
            Ok(guard) => self.entered(guard, None, stands_for),
            Err(TryLockError::Poisoned(poisoned)) => {
                self.entered(poisoned.into_inner(), None, stands_for)
            }
            Err(TryLockError::WouldBlock) => {
                let asked = self.probe.now();
                let guard = self.locked();
                self.entered(guard, Some(asked), stands_for)
            }
        }
    }

    /// A look at the value if nobody holds the lock; not counted.
    pub fn glance(&self) -> Option<Glance<'_, T>> {
        self.inner.try_lock().ok().map(Glance)
    }

    /// Waits on `condvar`; the wait is not counted as holding.
    pub fn wait<'a>(
        &'a self,
        guard: MeasuredGuard<'a, T>,
        condvar: &Condvar,
    ) -> MeasuredGuard<'a, T> {
        let stands_for = guard.stands_for;
        let inner = condvar.wait(guard.release()).unwrap_or_else(PoisonError::into_inner);
        MeasuredGuard { inner: Some(inner), lock: self, entered: self.probe.now(), stands_for }
    }

    /// Waits on `condvar` for at most `timeout`; the wait is not counted as holding.
    pub fn wait_timeout<'a>(
        &'a self,
        guard: MeasuredGuard<'a, T>,
        condvar: &Condvar,
        timeout: Duration,
    ) -> MeasuredGuard<'a, T> {
        let stands_for = guard.stands_for;
        let inner = guard.release();
        let (inner, _) =
            condvar.wait_timeout(inner, timeout).unwrap_or_else(PoisonError::into_inner);
        let entered = self.probe.now();
        MeasuredGuard { inner: Some(inner), lock: self, entered, stands_for }
    }

    fn entered<'a>(
        &'a self,
        mut guard: MutexGuard<'a, Tallied<T>>,
        asked: Option<Nanos>,
        stands_for: u32,
    ) -> MeasuredGuard<'a, T> {
        let mut entered = match asked {
            None if stands_for == 0 => Nanos::ZERO,
            _ => self.probe.now(),
        };
        guard.tally.acquisitions += 1;
        if let Some(asked) = asked {
            let waited = entered.since(asked).0;
            guard.tally.contended += 1;
            guard.tally.wait_ns += waited;
            if let Some(contention) = &mut guard.contention
                && contention.waits.add(waited)
            {
                entered = self.probe.now();
            }
        }
        MeasuredGuard { inner: Some(guard), lock: self, entered, stands_for }
    }

    fn locked(&self) -> MutexGuard<'_, Tallied<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Measured for MeasuredMutex<T> {
    fn tally(&self) -> LockTally {
        self.locked().tally
    }

    fn take_contention(&self) -> Option<Contention> {
        self.locked().contention.as_mut().map(|contention| std::mem::take(&mut **contention))
    }
}

/// The lock, held for a look that does not count.
pub struct Glance<'a, T>(MutexGuard<'a, Tallied<T>>);

impl<T> Deref for Glance<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0.value
    }
}

/// The lock, held. Dropping it, or [`MeasuredGuard::leave`], ends the hold.
pub struct MeasuredGuard<'a, T> {
    /// Present until the guard is given up.
    inner: Option<MutexGuard<'a, Tallied<T>>>,
    lock: &'a MeasuredMutex<T>,
    entered: Nanos,
    /// How many holds this one stands for.
    stands_for: u32,
}

impl<'a, T> MeasuredGuard<'a, T> {
    /// When the lock was got; zero if nobody had to wait and the hold is not timed.
    pub fn entered(&self) -> Nanos {
        self.entered
    }

    /// Gives the lock back and says when: the same instant that ends the hold; zero if that is not timed.
    pub fn leave(mut self) -> Nanos {
        let left = self.end_hold();
        self.inner = None;
        left
    }

    fn release(mut self) -> MutexGuard<'a, Tallied<T>> {
        self.end_hold();
        self.inner.take().expect("a guard holds its lock until it is given up")
    }

    fn end_hold(&mut self) -> Nanos {
        if self.stands_for == 0 {
            return Nanos::ZERO;
        }
        let left = self.lock.probe.now();
        if let Some(inner) = &mut self.inner {
            let held = left.since(self.entered).0;
            inner.tally.hold_ns += held * u64::from(self.stands_for);
            if let Some(contention) = &mut inner.contention {
                contention.holds.add(held);
            }
        }
        left
    }
}

impl<T> Drop for MeasuredGuard<'_, T> {
    fn drop(&mut self) {
        if self.inner.is_some() {
            self.end_hold();
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
    fn a_hold_counts_for_what_it_stands_for_and_a_wait_always() {
        let (clock, hand) = Clock::by_hand();
        let lock = MeasuredMutex::new((), Probe::on(clock));
        for stands_for in [0, 1, 8] {
            let guard = lock.lock_for(stands_for);
            hand.pass(Nanos(10));
            assert_eq!(guard.leave() == Nanos::ZERO, stands_for == 0);
        }
        assert_eq!(lock.tally().hold_ns, 90);
        let lock = MeasuredMutex::new((), Probe::on(Clock::start()));
        std::thread::scope(|scope| {
            let guard = lock.lock_for(0);
            let waiter = scope.spawn(|| drop(lock.lock_for(0)));
            // Nearly always enough for the other to come; if not, nobody waited, and nothing is said of that.
            Clock::start().sleep(Nanos::from_millis(20));
            drop(guard);
            waiter.join().unwrap();
        });
        let tally = lock.tally();
        assert_eq!((tally.acquisitions, tally.hold_ns), (2, 0));
        assert_eq!(tally.contended > 0, tally.wait_ns > 0, "{tally:?}");
    }

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
    fn a_profile_tells_who_waited_and_who_held() {
        let clock = Clock::start();
        let lock = MeasuredMutex::new((), Probe::with_lock_profile(clock));
        let came = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            let guard = lock.lock();
            let waiter = || {
                came.wait();
                lock.lock().leave();
            };
            let waiter =
                std::thread::Builder::new().name("load-3".into()).spawn_scoped(scope, waiter);
            came.wait();
            clock.sleep(Nanos::from_millis(60));
            drop(guard);
            waiter.unwrap().join().unwrap();
        });
        let tally = lock.tally();
        let Contention { waits, holds } = lock.take_contention().unwrap();
        let (stack, weight) = waits.stacks.iter().next().unwrap();
        assert_eq!((waits.stacks.len(), stack.thread()), (1, "load-3"));
        let period = super::super::contention::PERIOD_NS;
        // A period that was begun or not ended may have had its look or not.
        assert!(weight.nanos.abs_diff(tally.wait_ns) <= 2 * period, "{weight:?}, {tally:?}");
        assert!(holds.stacks.values().map(|weight| weight.nanos).sum::<u64>() >= 56_000_000);
        let counted = |times: &super::super::spans::SpanCounts| -> u64 {
            times.values_ns().map(|(_, count)| count).sum()
        };
        assert_eq!((counted(&waits.times), counted(&holds.times)), (1, 2));
        let again = lock.take_contention().unwrap();
        assert_eq!((again.waits.stacks.len(), counted(&again.holds.times)), (0, 0), "taken");
    }

    #[test]
    fn a_brief_lock_times_waits_and_no_holds() {
        let clock = Clock::start();
        let lock = MeasuredMutex::brief((), Probe::on(clock));
        let guard = lock.lock();
        clock.sleep(Nanos::from_millis(2));
        drop(guard);
        assert_eq!(lock.tally(), LockTally { acquisitions: 1, ..LockTally::default() });
        assert!(lock.take_contention().is_none());
    }

    #[test]
    fn locks_of_one_name_are_told_apart_and_added_up() {
        let (one, other) =
            (MeasuredMutex::new(0, Probe::off()), MeasuredMutex::new(0, Probe::off()));
        let walk = |visit: Visit<'_>| {
            visit("store", &one);
            visit("store", &other);
            visit("inbox", &one);
        };
        one.lock().leave();
        let before = tallies(walk);
        other.lock().leave();
        let used = tallies(walk)[0].since(&before[0]);
        assert_eq!(used.each.iter().map(|lock| lock.acquisitions).collect::<Vec<_>>(), [0, 1]);
        assert_eq!((used.name, used.sum().acquisitions, before.len()), ("store", 1, 2));
    }

    #[test]
    fn with_the_probe_off_only_acquisitions_count() {
        let lock = MeasuredMutex::new((), Probe::off());
        lock.lock().leave();
        assert_eq!(lock.tally(), LockTally { acquisitions: 1, ..LockTally::default() });
    }
}
