//! Who sends when: a closed loop. Each client sends its next request when the last one was answered; nothing is
//! sent twice and nothing is skipped. Clients are tasks on load threads that share nothing while they measure. Watchers may listen meanwhile.

mod client;
mod fanout;
mod window;

use crate::clock::Clock;
use crate::measure::recorder::Recorder;
use crate::model::Response;
use crate::seed::Seed;
use crate::target::Connect;
use crate::units::Nanos;
use crate::workload::Workload;
use client::run_clients;
pub use fanout::{Fanout, FanoutError, Watched};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
pub use window::WARMUP_STRETCH_MAX;
use window::Window;

/// One measured span of closed-loop load.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Clients, over all processes that offer the load.
    pub clients: u32,
    /// Which of them are of this process.
    pub share: Share,
    /// Load before the measurement.
    pub warmup: Nanos,
    /// Length of the measurement.
    pub duration: Nanos,
    /// Where the clients' streams come from.
    pub seed: Seed,
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

/// What the clients saw.
#[derive(Debug)]
pub struct Seen {
    /// Operations that finished within the span.
    pub recorder: Recorder,
    /// Requests acknowledged, within or outside it.
    pub acked: Acked,
    /// Length of the measured span, as it was.
    pub elapsed: Nanos,
    /// Threads that sent.
    pub threads: u32,
    /// The first error of an operation, if any.
    pub first_error: Option<String>,
}

/// What was acknowledged; the state at the end has to show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acked {
    /// Writes.
    pub writes: u64,
    /// Those of them that used up a revision each.
    pub changes: u64,
    /// Leases revoked; each used up a revision if it still had keys, which its answer does not say.
    pub revokes: u64,
}

impl Acked {
    /// One answered request.
    pub fn note(&mut self, is_write: bool, is_revoke: bool, response: &Response) {
        self.writes += u64::from(is_write);
        self.changes += u64::from(response.changed());
        self.revokes += u64::from(is_revoke);
    }

    /// Adds what others saw.
    pub fn add(&mut self, other: Acked) {
        self.writes += other.writes;
        self.changes += other.changes;
        self.revokes += other.revokes;
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
pub fn closed_loop<T: Connect>(
    target: &T,
    workload: &Workload,
    span: Span,
    clock: Clock,
    stop: &Arc<AtomicBool>,
    watcher: &mut dyn Watcher,
) -> std::io::Result<Seen> {
    let clients: Vec<u32> = span.share.clients(span.clients).collect();
    let threads = load_threads(target, clients.len() as u32);
    let window = Arc::new(Window::new(clock, stop.clone()));
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
                let seen = run_clients(target, streams, &window);
                drop(watched.lock());
                seen
            })?);
        }
        window.warm_up(span.warmup, clients.len() as u32);
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
        Ok(seen)
    })
}

/// A layer that keeps its caller gets a thread per client; otherwise one thread carries them all. An agent may have none.
fn load_threads(target: &impl Connect, clients: u32) -> u32 {
    if target.blocks_its_caller() { clients } else { clients.min(1) }
}

impl Seen {
    /// Before anything was sent, from so many threads.
    pub fn nothing(threads: u32) -> Seen {
        Seen {
            recorder: Recorder::default(),
            acked: Acked::default(),
            elapsed: Nanos::ZERO,
            threads,
            first_error: None,
        }
    }

    fn failed(&mut self, error: String) {
        self.recorder.record_error();
        self.first_error.get_or_insert(error);
    }

    /// Takes in what others saw in the same span, from threads of their own; the longer of both lengths holds.
    pub fn merge(&mut self, other: Seen) {
        self.recorder.merge(&other.recorder);
        self.acked.add(other.acked);
        self.threads += other.threads;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.first_error = self.first_error.take().or(other.first_error);
    }
}
