//! How late a thread runs that slept: after a signal, and after a timer.

use crate::clock::Clock;
use crate::predict::{Spread, Wakes};
use crate::units::Nanos;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Signals sent, each after so long a pause that the other thread sleeps and its core idles.
const SIGNALS: usize = 300;
const PAUSE: Nanos = Nanos(200_000);
/// Timed sleeps, and their length.
const SLEEPS: usize = 30;
const SLEEP: Nanos = Nanos::from_millis(1);

/// When a signal was given, until it is taken; or that there will be none.
struct Bell {
    state: Mutex<(Option<Nanos>, bool)>,
    rung: Condvar,
}

/// Sends signals to a thread that waits as the Ready loop does.
pub(super) fn wakes(clock: Clock) -> io::Result<Wakes> {
    let bell = Bell { state: Mutex::new((None, false)), rung: Condvar::new() };
    std::thread::scope(|scope| {
        let sleeper = std::thread::Builder::new().name("pilot-wakes".into());
        let sleeper = sleeper.spawn_scoped(scope, || bell.answer(clock))?;
        let mut signals_ns: Vec<u64> = (0..SIGNALS).map(|_| bell.ring(clock)).collect();
        bell.stop();
        signals_ns.sort_unstable();
        let late_ns = sleeper.join().unwrap_or_default();
        let latency = Spread::of_spans(late_ns).unwrap_or(Spread::fixed(0.0));
        Ok(Wakes { latency, signal_ns: signals_ns[SIGNALS / 2] as f64 })
    })
}

/// By how much timed sleeps last longer than asked.
pub(super) fn overshoot(clock: Clock) -> Spread {
    let late = |_| {
        let before = clock.now();
        clock.sleep(SLEEP);
        clock.now().since(before).since(SLEEP).0 as f64
    };
    Spread::of_spans((0..SLEEPS).map(late).collect()).unwrap_or(Spread::fixed(0.0))
}

impl Bell {
    fn state(&self) -> MutexGuard<'_, (Option<Nanos>, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a signal takes whoever gives it, ns.
    fn ring(&self, clock: Clock) -> u64 {
        clock.sleep(PAUSE);
        let began = clock.now();
        self.state().0 = Some(began);
        self.rung.notify_one();
        clock.now().since(began).0
    }

    fn stop(&self) {
        self.state().1 = true;
        self.rung.notify_one();
    }

    /// How long after each signal this thread ran, ns.
    fn answer(&self, clock: Clock) -> Vec<f64> {
        let mut late_ns = Vec::with_capacity(SIGNALS);
        let mut state = self.state();
        while !state.1 {
            if let Some(rang) = state.0.take() {
                late_ns.push(clock.now().since(rang).0 as f64);
            }
            state = self.rung.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        late_ns
    }
}
