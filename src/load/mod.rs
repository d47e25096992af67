//! Who sends when. In a closed loop each client sends its next operation when the last one was answered; in an open one
//! operations are sent when they are due, whatever became of those before. Nothing is sent twice and nothing is
//! skipped. Clients are tasks on load threads that share nothing while they measure. Watchers may listen meanwhile.

mod client;
mod closed;
mod fanout;
mod open;
mod pace;
mod schedule;
mod seen;
mod watchdog;
mod window;

use crate::clock::Clock;
use crate::seed::Seed;
use crate::target::Connect;
use crate::units::Nanos;
use crate::workload::{Stream, Workload};
pub use fanout::{Fanout, FanoutError, Watched};
pub use schedule::Schedule;
pub use seen::{Acked, Due, Seen};
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;
pub use watchdog::{Moment, Stalled};
use watchdog::{Pulse, Watchdog};
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
    /// For how long requests may be under way while none is answered; longer than an answer can rightly take.
    pub patience: Nanos,
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

/// What the caller does while the load runs: called at the start and at the end of the measured span, by a thread that is
/// left behind if the system keeps it.
pub trait Watcher {
    /// The measured span begins.
    fn begin(&mut self);
    /// The measured span ends; every thread that sent still lives, so that its CPU time can be read.
    fn end(&mut self);
}

/// Why a load was not offered to its end.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The system does not answer any more.
    #[error(transparent)]
    Stalled(#[from] Stalled),
    /// The host would not give a thread or a timer.
    #[error("the host failed: {0}")]
    Host(#[from] io::Error),
}

/// Longest wait between two looks at whether anything is still answered.
const LOOK: Duration = Duration::from_millis(100);

/// Runs the load for warm-up and duration; `stop` ends it early. The measured span lies between the two calls of
/// `watcher`, so operations and whatever it reads cover the same time.
///
/// All of it happens on threads that can be left behind: if requests are under way and none is answered for the span's
/// patience, or the watcher does not come back, the load is given up, although a thread may never return from the system,
/// which it keeps alive then.
pub fn offer<T: Connect, W: Watcher + Send + 'static>(
    target: &Arc<T>,
    workload: &Workload,
    span: &Span,
    clock: Clock,
    stop: &Arc<AtomicBool>,
    mut watcher: W,
) -> Result<(Seen, W), LoadError> {
    let clients: Vec<u32> = span.share.clients(span.clients).collect();
    let threads = load_threads(&**target, &span.pace, clients.len() as u32);
    let pulses: Vec<Arc<Pulse>> = (0..threads).map(|_| Arc::default()).collect();
    let window = Arc::new(Window::new(clock, span.duration, stop.clone()));
    let mut watchdog = Watchdog::new(pulses.clone(), window.clone(), span);
    let (target, workload) = (target.clone(), workload.clone());
    let (span, given) = (span.clone(), window.clone());
    let offered = Offered { target, workload, span, clients, pulses, window: given };
    let (sender, outcome) = mpsc::channel();
    let conductor = std::thread::Builder::new().name("offer".to_owned()).spawn(move || {
        let seen = offered.run(&mut watcher);
        // Nobody listens any more if the load was given up.
        let _ = sender.send((seen, watcher));
    })?;
    loop {
        match outcome.recv_timeout(LOOK) {
            Ok((seen, watcher)) => {
                conductor.join().unwrap_or_else(|panic| resume_unwind(panic));
                return Ok((seen?, watcher));
            }
            Err(RecvTimeoutError::Disconnected) => {
                conductor.join().unwrap_or_else(|panic| resume_unwind(panic));
                unreachable!("who does not panic sends")
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Err(stalled) = watchdog.look() {
            window.give_up();
            return Err(stalled.into());
        }
    }
}

/// A load on its way.
struct Offered<T> {
    target: Arc<T>,
    workload: Workload,
    span: Span,
    /// Of this process.
    clients: Vec<u32>,
    /// One for each load thread.
    pulses: Vec<Arc<Pulse>>,
    window: Arc<Window>,
}

impl<T: Connect> Offered<T> {
    fn run(self, watcher: &mut dyn Watcher) -> io::Result<Seen> {
        // Held until the watcher has looked at the end; threads wait for it before they go.
        let watched = Mutex::new(());
        std::thread::scope(|scope| {
            let watching = watched.lock();
            let workers = self.start(scope, &watched).inspect_err(|_| self.window.give_up())?;
            let first_answers = first_answers(&self.span.pace, self.clients.len() as u32);
            self.window.warm_up(self.span.warmup, first_answers);
            self.window.while_reading(|| watcher.begin());
            self.window.open();
            self.window.rest(self.span.duration);
            self.window.while_reading(|| watcher.end());
            self.window.close();
            drop(watching);
            let mut seen = Seen::nothing(0);
            for worker in workers {
                seen.merge(worker.join().expect("a load thread has no reason to panic")?);
            }
            seen.elapsed = self.window.length();
            Ok(seen)
        })
    }

    /// Starts the threads that send.
    fn start<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        watched: &'s Mutex<()>,
    ) -> io::Result<Vec<ScopedJoinHandle<'s, io::Result<Seen>>>> {
        let start = |(thread, pulse): (usize, &'s Arc<Pulse>)| {
            let its = self.clients.iter().skip(thread).step_by(self.pulses.len());
            let streams: Vec<_> =
                its.map(|client| self.workload.stream(self.span.seed, (*client).into())).collect();
            let worker = std::thread::Builder::new().name(format!("load-{thread}"));
            worker.spawn_scoped(scope, move || {
                let seen = self.send(streams, pulse);
                drop(watched.lock());
                seen
            })
        };
        self.pulses.iter().enumerate().map(start).collect()
    }

    /// What one load thread does.
    fn send(&self, streams: Vec<Stream>, pulse: &Arc<Pulse>) -> io::Result<Seen> {
        let (target, window) = (&*self.target, &self.window);
        match &self.span.pace {
            Pace::Closed { think } => closed::run(target, streams, *think, window, pulse),
            Pace::Open(schedule) => open::run(target, streams, &self.span, schedule, window, pulse),
        }
    }
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
