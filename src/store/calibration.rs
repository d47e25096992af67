//! From how many requests on a batch is worth sharing among workers, measured when the store is opened.

use super::pool::{Job, Pool};
use super::tickets::Tickets;
use crate::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Jobs that are measured, and how many requests of one shard each the dispatch is measured with.
const JOBS: u64 = 20;
const DISPATCHED: u32 = 1_024;
/// Never fewer: below this the numbers are of the size of a cache miss.
const PARALLEL_FROM_MIN: u32 = 16;

/// What parallel apply costs on this host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Evaluating one request, ns: a constant of the engine.
    pub evaluate_ns: f64,
    /// Tickets and slot of one request, ns.
    pub dispatch_ns: f64,
    /// From posting a job to a helper's first step, ns.
    pub wake_ns: f64,
    /// Requests from which sharing is expected to pay.
    pub parallel_from: u32,
}

impl Calibration {
    /// Sharing n requests among W workers saves n · evaluate · (1 − 1/W) and costs wake + n · dispatch.
    pub(super) fn measure(pool: &Pool, workers: u32, evaluate_ns: f64) -> Calibration {
        let clock = Clock::start();
        let (dispatch_ns, wake_ns) = (dispatch_ns(clock), wake_ns(clock, pool));
        let saved_ns = evaluate_ns * (1.0 - 1.0 / f64::from(workers)) - dispatch_ns;
        let pays_from = if saved_ns > 0.0 { (wake_ns / saved_ns).ceil() } else { f64::MAX };
        // Saturates, which stands for never.
        let parallel_from = (pays_from as u32).max(PARALLEL_FROM_MIN);
        Calibration { evaluate_ns, dispatch_ns, wake_ns, parallel_from }
    }
}

fn dispatch_ns(clock: Clock) -> f64 {
    let shards: Vec<[u32; 1]> = (0..DISPATCHED).map(|number| [number % 512]).collect();
    let began = clock.now();
    let tickets = Tickets::new(shards.iter().map(<[u32; 1]>::as_slice), 512);
    let mut ran = 0;
    (0..tickets.len()).for_each(|number| tickets.claim(number, |_| ran += 1));
    assert_eq!(ran, DISPATCHED);
    clock.now().since(began).0 as f64 / f64::from(DISPATCHED)
}

/// A job that only a helper can finish.
struct Ping {
    clock: Clock,
    applier: std::thread::ThreadId,
    answered: AtomicU64,
}

impl Job for Ping {
    fn work(&self) {
        if std::thread::current().id() != self.applier {
            // Relaxed: the time is the message.
            self.answered.store(self.clock.now().0.max(1), Ordering::Relaxed);
        }
    }

    fn is_done(&self) -> bool {
        self.answered.load(Ordering::Relaxed) != 0
    }
}

/// Mean over jobs that come after a pause, so that helpers may have gone to sleep, as between batches.
fn wake_ns(clock: Clock, pool: &Pool) -> f64 {
    let mut total = 0;
    for _ in 0..JOBS {
        clock.sleep(crate::units::Nanos(100_000));
        let applier = std::thread::current().id();
        let ping = Arc::new(Ping { clock, applier, answered: AtomicU64::new(0) });
        let posted = clock.now();
        pool.run(ping.clone());
        total += ping.answered.load(Ordering::Relaxed).saturating_sub(posted.0);
    }
    total as f64 / JOBS as f64
}
