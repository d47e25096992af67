//! Threads that help the applier with one job at a time. A worker looks for work for a moment before it goes to sleep,
//! since jobs come in quick succession while there is load. The applier works too and never waits for a sleeper: a job
//! is over when its work is done, whoever did it.

use crate::measure::lock::{MeasuredMutex, Visit};
use crate::measure::stage::Probe;
use crate::measure::sync::Condvar;
use crossbeam_utils::Backoff;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Rounds of looking for the next job before sleeping; about 20 µs.
const LOOKS: u32 = 400;

/// Work that any number of threads may do together.
pub(super) trait Job: Send + Sync {
    /// Does what is left to do, as far as nobody else is at it.
    fn work(&self);

    /// Whether everything is done.
    fn is_done(&self) -> bool;
}

/// The helpers.
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    desk: MeasuredMutex<Desk>,
    wake: Condvar,
    /// Counts jobs, for those who look without the lock.
    posted: AtomicU64,
    /// A helper panicked: nothing it was at will ever be done.
    failed: AtomicBool,
}

#[derive(Default)]
struct Desk {
    job: Option<Arc<dyn Job>>,
    posted: u64,
    asleep: usize,
    stop: bool,
}

impl Pool {
    /// Starts `helpers` threads, named after the applier they help.
    pub(super) fn start(helpers: u32, probe: Probe) -> std::io::Result<Pool> {
        let shared = Arc::new(Shared {
            desk: MeasuredMutex::new(Desk::default(), probe),
            wake: Condvar::new(),
            posted: AtomicU64::new(0),
            failed: AtomicBool::new(false),
        });
        let start = |number: u32| {
            let shared = shared.clone();
            let name = format!("apply-{}", number + 2);
            std::thread::Builder::new().name(name).spawn(move || shared.help())
        };
        let threads = (0..helpers).map(start).collect::<std::io::Result<_>>()?;
        Ok(Pool { shared, threads })
    }

    /// Shows its lock.
    pub(super) fn visit_locks(&self, visit: Visit<'_>) {
        visit("workers", &self.shared.desk);
    }

    /// Gets `job` done.
    ///
    /// # Panics
    /// If a helper panicked.
    pub(super) fn run(&self, job: Arc<dyn Job>) {
        self.shared.post(Some(job.clone()));
        job.work();
        let backoff = Backoff::new();
        while !job.is_done() {
            // Relaxed: it is looked at again.
            assert!(
                !self.shared.failed.load(Ordering::Relaxed),
                "a helper of the applier panicked"
            );
            backoff.snooze();
        }
        self.shared.desk.lock().job = None;
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.desk.lock().stop = true;
        self.shared.post(None);
        for thread in self.threads.drain(..) {
            // A panic of the thread was printed where it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn post(&self, job: Option<Arc<dyn Job>>) {
        let mut desk = self.desk.lock();
        desk.job = job;
        desk.posted += 1;
        let anyone_asleep = desk.asleep > 0;
        // Release: who sees the count finds the job, once it has the lock.
        self.posted.store(desk.posted, Ordering::Release);
        drop(desk);
        if anyone_asleep {
            self.wake.notify_all();
        }
    }

    fn help(&self) {
        let _flag = FlagPanic(&self.failed);
        let mut seen = 0;
        while let Some((posted, job)) = self.next(seen) {
            seen = posted;
            if let Some(job) = job {
                job.work();
            }
        }
    }

    /// The job after the one numbered `seen`, or nothing at the end.
    fn next(&self, seen: u64) -> Option<(u64, Option<Arc<dyn Job>>)> {
        for _ in 0..LOOKS {
            if self.posted.load(Ordering::Acquire) != seen {
                break;
            }
            std::hint::spin_loop();
        }
        let mut desk = self.desk.lock();
        while desk.posted == seen && !desk.stop {
            desk.asleep += 1;
            desk = self.desk.wait(desk, &self.wake);
            desk.asleep -= 1;
        }
        (!desk.stop).then(|| (desk.posted, desk.job.clone()))
    }
}

/// Says so when its thread panics.
struct FlagPanic<'a>(&'a AtomicBool);

impl Drop for FlagPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    struct Count {
        left: AtomicUsize,
        done: AtomicUsize,
    }

    impl Job for Count {
        fn work(&self) {
            while self
                .left
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1))
                .is_ok()
            {
                self.done.fetch_add(1, Ordering::AcqRel);
            }
        }

        fn is_done(&self) -> bool {
            self.done.load(Ordering::Acquire) == 100
        }
    }

    #[test]
    fn jobs_get_done_one_after_the_other_and_threads_end() {
        let pool = Pool::start(3, Probe::off()).unwrap();
        for _ in 0..1_000 {
            let job = Arc::new(Count { left: AtomicUsize::new(100), done: AtomicUsize::new(0) });
            pool.run(job.clone());
            assert!(job.is_done());
        }
    }

    struct Explosive;

    impl Job for Explosive {
        fn work(&self) {
            let is_helper =
                std::thread::current().name().is_some_and(|name| name.starts_with("apply-"));
            assert!(!is_helper, "on purpose");
        }

        fn is_done(&self) -> bool {
            false
        }
    }

    #[test]
    #[should_panic(expected = "a helper of the applier panicked")]
    fn a_helper_that_panics_takes_the_applier_along() {
        Pool::start(1, Probe::off()).unwrap().run(Arc::new(Explosive));
    }
}
