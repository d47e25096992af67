//! Who sends when. In a closed loop each client sends its next operation when the last one was answered; in an open one
//! operations are sent when they are due, whatever became of those before. Nothing is sent twice and nothing is
//! skipped. Clients are tasks on load threads that share nothing while they measure. Watchers may listen meanwhile.

mod client;
mod closed;
mod fanout;
mod open;
mod pace;
mod sample;
mod schedule;
mod seen;
mod window;

use crate::clock::Clock;
use crate::seed::Seed;
use crate::target::Connect;
use crate::units::Nanos;
use crate::workload::Workload;
pub use fanout::{Fanout, FanoutError, Watched};
pub use sample::Sample;
pub use schedule::Schedule;
pub use seen::{Acked, Due, Seen};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
pub use window::WARMUP_STRETCH_MAX;
use window::Window;

/// One measured span of load.
#[derive(Clone, Debug)]
pub struct Span {
    /// Clients, over all processes that offer the load; in an open one the streams that operations are taken from.
    pub clients: u32,
    /// Which of them are of this process.
    pub share: Share,
    /// When they send.
    pub pace: Pace,
    /// Load before the measurement.
    pub warmup: Nanos,
    /// Length of the measurement.
    pub duration: Nanos,
    /// Where the clients' streams come from.
    pub seed: Seed,
    /// Keys of which is written down what clients saw, if any.
    pub sample: Option<Arc<Sample>>,
}

/// When requests are sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Pace {
    /// Each client's after its last answer and a pause.
    Closed {
        /// The pause.
        think: Nanos,
    },
    /// When they are due.
    Open(Schedule),
}

/// Which clients a process runs, if several offer one load: each has the streams it would have in a process alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Number of the process, from 0.
    pub index: u32,
    /// Processes, at least 1.
    pub of: u32,
}

impl Share {
    /// All of them.
    pub const ALL: Share = Share { index: 0, of: 1 };

    /// The clients of this process, of `all`: every so many-th.
    pub fn clients(self, all: u32) -> impl Iterator<Item = u32> {
        (self.index..all).step_by(self.of as usize)
    }
}

/// What the caller does while the load runs: called at the start and at the end of the measured span.
pub trait Watcher {
    /// The measured span begins.
    fn begin(&mut self);
    /// The measured span ends; every thread that sent still lives, so that its CPU time can be read.
    fn end(&mut self);
}

/// Runs the load for warm-up and duration; `stop` ends it early. The measured span lies between the two calls of
/// `watcher`, so operations and whatever it reads cover the same time.
pub fn offer<T: Connect>(
    target: &T,
    workload: &Workload,
    span: &Span,
    clock: Clock,
    stop: &Arc<AtomicBool>,
    watcher: &mut dyn Watcher,
) -> std::io::Result<Seen> {
    let clients: Vec<u32> = span.share.clients(span.clients).collect();
    let threads = load_threads(target, &span.pace, clients.len() as u32);
    let before = span.sample.as_ref().map(|sample| sample::read_all(target, sample, clock));
    let window = Arc::new(Window::new(clock, span.duration, stop.clone()));
    // Held until the watcher has looked at the end; threads wait for it before they go.
    let watched = Mutex::new(());
    std::thread::scope(|scope| {
        let watching = watched.lock();
        let mut workers = Vec::new();
        for thread in 0..threads {
            let its = clients.iter().skip(thread as usize).step_by(threads as usize);
            let streams: Vec<_> =
                its.map(|client| workload.stream(span.seed, u64::from(*client))).collect();
            let worker = std::thread::Builder::new().name(format!("load-{thread}"));
            let (window, watched) = (window.clone(), &watched);
            workers.push(worker.spawn_scoped(scope, move || {
                let seen = match &span.pace {
                    Pace::Closed { think } => closed::run(target, streams, span, *think, &window),
                    Pace::Open(schedule) => open::run(target, streams, span, schedule, &window),
                };
                drop(watched.lock());
                seen
            })?);
        }
        window.warm_up(span.warmup, first_answers(&span.pace, clients.len() as u32));
        watcher.begin();
        window.open();
        window.rest(span.duration);
        watcher.end();
        window.close();
        drop(watching);
        let mut seen = Seen::nothing(0);
        for worker in workers {
            seen.merge(worker.join().expect("a load thread has no reason to panic")?);
        }
        seen.elapsed = window.length();
        if let (Some(sample), Some(before)) = (&span.sample, before) {
            seen.sampled.before = seen.read(before?);
            let after = seen.read(sample::read_all(target, sample, clock)?);
            seen.sampled.during.extend(after);
            seen.sampled.cut = sample.cut();
        }
        Ok(seen)
    })
}

/// A layer that keeps its caller gets a thread per client; otherwise one thread carries them all. An agent may have none.
fn load_threads(target: &impl Connect, pace: &Pace, clients: u32) -> u32 {
    match pace {
        Pace::Closed { .. } if target.blocks_its_caller() => clients,
        Pace::Closed { .. } | Pace::Open(_) => clients.min(1),
    }
}

/// Answers before the span may begin: in a closed loop every client's first, since a queue is building up until then.
fn first_answers(pace: &Pace, clients: u32) -> u32 {
    match pace {
        Pace::Closed { .. } => clients,
        Pace::Open(_) => clients.min(1),
    }
}
