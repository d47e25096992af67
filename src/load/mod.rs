//! Who sends when: a closed loop. Each client sends its next request when the last one was answered; nothing is
//! sent twice and nothing is skipped. Clients are tasks on load threads that share nothing while they measure.

use crate::clock::Clock;
use crate::measure::recorder::Recorder;
use crate::measure::stage::Stage;
use crate::node::{Outcome, changed};
use crate::seed::Seed;
use crate::target::Target;
use crate::units::Nanos;
use crate::workload::{Stream, Workload};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::task::LocalSet;

/// One measured span of closed-loop load.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Clients.
    pub clients: u32,
    /// Load before the measurement.
    pub warmup: Nanos,
    /// Length of the measurement.
    pub duration: Nanos,
    /// Where the clients' streams come from.
    pub seed: Seed,
}

/// What the clients saw.
#[derive(Debug)]
pub struct Seen {
    /// Operations that finished within the span.
    pub recorder: Recorder,
    /// Writes acknowledged within or outside it.
    pub writes_acked: u64,
    /// Writes acknowledged that used up a revision.
    pub changes_acked: u64,
    /// Threads that sent.
    pub threads: u32,
    /// The first error of an operation, if any.
    pub first_error: Option<String>,
}

/// What the caller does while the load runs: called at the start and at the end of the measured span.
pub trait Watcher {
    /// The measured span begins.
    fn begin(&mut self);
    /// The measured span ends; every thread that sent still lives, so that its CPU time can be read.
    fn end(&mut self);
}

/// Runs the load for warm-up and duration; `stop` ends it early.
pub fn closed_loop(
    target: &Arc<Target>,
    workload: &Workload,
    span: Span,
    clock: Clock,
    stop: &Arc<AtomicBool>,
    watcher: &mut dyn Watcher,
) -> std::io::Result<Seen> {
    let threads = load_threads(target, span.clients);
    let from = clock.now().after(span.warmup);
    let window = Window { clock, from, to: from.after(span.duration), stop: stop.clone() };
    // Held until the watcher has looked at the end; threads wait for it before they go.
    let watched = Mutex::new(());
    std::thread::scope(|scope| {
        let watching = watched.lock();
        let mut workers = Vec::new();
        for thread in 0..threads {
            let clients = (thread..span.clients).step_by(threads as usize);
            let streams: Vec<_> =
                clients.map(|client| workload.stream(span.seed, u64::from(client))).collect();
            let worker = std::thread::Builder::new().name(format!("load-{thread}"));
            let (window, watched) = (window.clone(), &watched);
            workers.push(worker.spawn_scoped(scope, move || {
                let seen = run_clients(target, streams, window);
                drop(watched.lock());
                seen
            })?);
        }
        window.sleep_until(window.from);
        watcher.begin();
        window.sleep_until(window.to);
        watcher.end();
        drop(watching);
        let mut seen = Seen::nothing(threads);
        for worker in workers {
            seen.merge(worker.join().expect("a load thread has no reason to panic")?);
        }
        Ok(seen)
    })
}

/// A layer that keeps its caller gets a thread per client; otherwise one thread carries them all.
fn load_threads(target: &Target, clients: u32) -> u32 {
    if target.blocks_its_caller() { clients } else { 1 }
}

/// When operations count.
#[derive(Clone)]
struct Window {
    clock: Clock,
    from: Nanos,
    to: Nanos,
    stop: Arc<AtomicBool>,
}

impl Window {
    /// Relaxed: the flag carries no data.
    fn is_over(&self, now: Nanos) -> bool {
        now >= self.to || self.stop.load(Ordering::Relaxed)
    }

    fn holds(&self, now: Nanos) -> bool {
        now >= self.from && now < self.to
    }

    /// In short naps, so that a stop is seen.
    fn sleep_until(&self, instant: Nanos) {
        while self.clock.now() < instant && !self.stop.load(Ordering::Relaxed) {
            self.clock.sleep(instant.since(self.clock.now()).min(Nanos::from_millis(50)));
        }
    }
}

impl Seen {
    fn nothing(threads: u32) -> Seen {
        Seen {
            recorder: Recorder::default(),
            writes_acked: 0,
            changes_acked: 0,
            threads,
            first_error: None,
        }
    }

    fn note(
        &mut self,
        outcome: Outcome,
        is_write: bool,
        sent: Nanos,
        done: Nanos,
        window: &Window,
    ) {
        let mut delivered = match outcome {
            Ok(delivered) => delivered,
            Err(rejected) => {
                self.recorder.record_error();
                self.first_error.get_or_insert(rejected.to_string());
                return;
            }
        };
        self.writes_acked += u64::from(is_write);
        self.changes_acked += u64::from(changed(&delivered.reply));
        if window.holds(done) {
            if delivered.timeline.submitted_at() > Nanos::ZERO {
                delivered.timeline.end(Stage::Respond, done);
            }
            self.recorder.record(done.since(sent), &delivered.timeline, is_write);
        }
    }

    fn merge(&mut self, other: Seen) {
        self.recorder.merge(&other.recorder);
        self.writes_acked += other.writes_acked;
        self.changes_acked += other.changes_acked;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}

/// One load thread: its clients as tasks of a runtime that never leaves it.
fn run_clients(
    target: &Arc<Target>,
    streams: Vec<Stream>,
    window: Window,
) -> std::io::Result<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let seen = Rc::new(RefCell::new(Seen::nothing(1)));
    let tasks = LocalSet::new();
    for stream in streams {
        tasks.spawn_local(client(target.clone(), stream, window.clone(), seen.clone()));
    }
    runtime.block_on(tasks);
    Ok(Rc::into_inner(seen).expect("every client has ended").into_inner())
}

/// One client: send, wait, note, again.
async fn client(target: Arc<Target>, mut stream: Stream, window: Window, seen: Rc<RefCell<Seen>>) {
    loop {
        let request = stream.next_request();
        let is_write = request.is_write();
        let sent = window.clock.now();
        if window.is_over(sent) {
            return;
        }
        let outcome = target.call(request).await;
        let done = window.clock.now();
        let failed = outcome.is_err();
        seen.borrow_mut().note(outcome, is_write, sent, done, &window);
        if failed {
            return;
        }
    }
}
