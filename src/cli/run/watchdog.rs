//! Ends a run whose system does not answer any more. A deadlocked store keeps whoever called it, the run itself among them, so this
//! looks from a thread of its own; it is told when a measurement begins and by when it has to have ended, and it has what was kept of
//! the blocks before, so that they are not lost.

use crate::cli::progress::Shown;
use crate::clock::Clock;
use crate::record::Run;
use crate::runner::{Progress, Watcher};
use crate::units::Nanos;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks: rare, since each takes a CPU from somebody.
const LOOK: Duration = Duration::from_secs(1);

/// What a measurement that did not end leaves.
pub(super) struct Hung {
    /// Where, e.g. `saturate@50 before`.
    pub(super) place: String,
    /// How long it was waited for.
    pub(super) waited: Nanos,
    /// Everything up to the last finished block; none if there is none.
    pub(super) kept: Option<Run>,
}

/// A run's progress, shown, with somebody who looks whether there is any.
pub(super) struct Watched<'a> {
    shown: Shown<'a>,
    clock: Clock,
    patience: Nanos,
    shared: Arc<Mutex<Shared>>,
    looking: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Where the run is, if it is in a measurement, when that began and by when it has to have ended.
    within: Option<(String, Nanos, Nanos)>,
    kept: Option<Run>,
    is_over: bool,
}

impl<'a> Watched<'a> {
    /// `give_up` is called on the thread that looks, once, if a measurement takes `patience` longer than it can.
    pub(super) fn new(
        shown: Shown<'a>,
        patience: Nanos,
        give_up: impl FnOnce(Hung) + Send + 'static,
    ) -> io::Result<Watched<'a>> {
        let (clock, shared) = (Clock::start(), Arc::new(Mutex::new(Shared::default())));
        let looked_at = shared.clone();
        let thread = std::thread::Builder::new().name("watchdog".to_owned());
        let looking = thread.spawn(move || look(clock, &looked_at, give_up))?;
        Ok(Watched { shown, clock, patience, shared, looking: Some(looking) })
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look(clock: Clock, shared: &Mutex<Shared>, give_up: impl FnOnce(Hung)) {
    loop {
        std::thread::park_timeout(LOOK);
        let mut shared = lock(shared);
        if shared.is_over {
            return;
        }
        let now = clock.now();
        let late = |(_, _, until): &(String, Nanos, Nanos)| now > *until;
        if let Some((place, began, _)) = shared.within.take_if(|within| late(within)) {
            let hung = Hung { place, waited: now.since(began), kept: shared.kept.take() };
            drop(shared);
            return give_up(hung);
        }
    }
}

impl Watcher for Watched<'_> {
    fn progress(&mut self, progress: &Progress<'_>) {
        self.shown.progress(progress);
    }

    fn measuring(&mut self, place: &str, longest: Nanos) {
        let began = self.clock.now();
        let until = began.after(longest).after(self.patience);
        lock(&self.shared).within = Some((place.to_owned(), began, until));
    }

    fn measured(&mut self) {
        lock(&self.shared).within = None;
    }

    fn kept(&mut self, run: Run) {
        lock(&self.shared).kept = Some(run);
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        lock(&self.shared).is_over = true;
        if let Some(looking) = self.looking.take() {
            looking.thread().unpark();
            // If it panicked, the run has ended all the same.
            let _ = looking.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::bundle::Bundle;
    use std::path::Path;
    use std::sync::mpsc;

    fn watched(give_up: impl FnOnce(Hung) + Send + 'static) -> Watched<'static> {
        let shown = Shown::new(true, Box::leak(Box::new(Vec::new())));
        Watched::new(shown, Nanos::from_millis(1), give_up).unwrap()
    }

    #[test]
    fn a_measurement_that_does_not_end_is_given_up_with_what_was_kept() {
        let (sender, hung) = mpsc::channel();
        let mut watched = watched(move |hung| sender.send(hung).unwrap());
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let kept = Bundle::open(&root.join("reports/reference/put_parallel-2026-11-23"));
        watched.kept(kept.read_run().unwrap());
        watched.measuring("saturate@50 after", Nanos::from_millis(1));
        let hung = hung.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(hung.place, "saturate@50 after");
        assert!(hung.waited >= Nanos::from_millis(2) && hung.kept.is_some());
    }

    #[test]
    fn a_measurement_that_ended_is_not() {
        let (sender, hung) = mpsc::channel();
        let mut watched = watched(move |hung| sender.send(hung).unwrap());
        watched.measuring("saturate@50 after", Nanos::ZERO);
        watched.measured();
        // A look later than the first, and the end.
        assert!(hung.recv_timeout(LOOK + Duration::from_millis(300)).is_err());
        drop(watched);
        assert!(hung.recv().is_err(), "nobody is left who could give up");
    }
}
