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
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
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
    /// Length of the measured span, as it was.
    pub elapsed: Nanos,
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

/// Runs the load for warm-up and duration; `stop` ends it early. The measured span lies between the two calls of
/// `watcher`, so operations and whatever it reads cover the same time.
pub fn closed_loop(
    target: &Arc<Target>,
    workload: &Workload,
    span: Span,
    clock: Clock,
    stop: &Arc<AtomicBool>,
    watcher: &mut dyn Watcher,
) -> std::io::Result<Seen> {
    let threads = load_threads(target, span.clients);
    let window = Arc::new(Window::new(clock, stop.clone()));
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
                let seen = run_clients(target, streams, &window);
                drop(watched.lock());
                seen
            })?);
        }
        window.warm_up(span);
        watcher.begin();
        window.open();
        window.rest(span.duration);
        watcher.end();
        window.close();
        drop(watching);
        let mut seen = Seen::nothing(threads);
        for worker in workers {
            seen.merge(worker.join().expect("a load thread has no reason to panic")?);
        }
        seen.elapsed = window.length();
        Ok(seen)
    })
}

/// A layer that keeps its caller gets a thread per client; otherwise one thread carries them all.
fn load_threads(target: &Target, clients: u32) -> u32 {
    if target.blocks_its_caller() { clients } else { 1 }
}

/// When operations count: from opening to closing, both decided while the load runs.
/// All orderings are relaxed: an operation near an edge may count or not, and nothing else hangs on it.
struct Window {
    clock: Clock,
    /// Nanoseconds on the clock; the largest number until it is opened or closed.
    from: AtomicU64,
    to: AtomicU64,
    /// Clients that were answered at least once.
    answered: AtomicU32,
    stop: Arc<AtomicBool>,
}

/// Warm-up goes on until every client was answered once, at most this many times as long as asked.
const WARMUP_STRETCH_MAX: u64 = 20;
/// Longest sleep, so that a stop is seen.
const NAP_MAX: Nanos = Nanos::from_millis(20);

impl Window {
    fn new(clock: Clock, stop: Arc<AtomicBool>) -> Window {
        Window {
            clock,
            from: AtomicU64::new(u64::MAX),
            to: AtomicU64::new(u64::MAX),
            answered: AtomicU32::new(0),
            stop,
        }
    }

    /// Until the warm-up has passed and every client was answered once: before that, a queue is still building up,
    /// and its first requests wait less than any later one.
    fn warm_up(&self, span: Span) {
        let began = self.clock.now();
        self.rest(span.warmup);
        let latest = began.after(Nanos(span.warmup.0.saturating_mul(WARMUP_STRETCH_MAX)));
        while self.answered.load(Ordering::Relaxed) < span.clients
            && self.clock.now() < latest
            && !self.is_stopped()
        {
            self.clock.sleep(Nanos::from_millis(1));
        }
    }

    fn open(&self) {
        self.from.store(self.clock.now().0, Ordering::Relaxed);
    }

    fn close(&self) {
        self.to.store(self.clock.now().0, Ordering::Relaxed);
    }

    fn length(&self) -> Nanos {
        Nanos(self.to.load(Ordering::Relaxed)).since(Nanos(self.from.load(Ordering::Relaxed)))
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.to.load(Ordering::Relaxed) != u64::MAX || self.is_stopped()
    }

    fn holds(&self, now: Nanos) -> bool {
        now.0 >= self.from.load(Ordering::Relaxed) && now.0 < self.to.load(Ordering::Relaxed)
    }

    /// Sleeps for `span` in short naps, less if stopped.
    fn rest(&self, span: Nanos) {
        let until = self.clock.now().after(span);
        while self.clock.now() < until && !self.is_stopped() {
            self.clock.sleep(until.since(self.clock.now()).min(NAP_MAX));
        }
    }
}

impl Seen {
    fn nothing(threads: u32) -> Seen {
        Seen {
            recorder: Recorder::default(),
            writes_acked: 0,
            changes_acked: 0,
            elapsed: Nanos::ZERO,
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
            self.recorder.record(done.since(sent), &delivered.timeline);
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
    window: &Arc<Window>,
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
async fn client(
    target: Arc<Target>,
    mut stream: Stream,
    window: Arc<Window>,
    seen: Rc<RefCell<Seen>>,
) {
    let mut is_first = true;
    loop {
        let request = stream.next_request();
        let is_write = request.is_write();
        if window.is_over() {
            return;
        }
        let sent = window.clock.now();
        let outcome = target.call(request).await;
        let done = window.clock.now();
        let failed = outcome.is_err();
        seen.borrow_mut().note(outcome, is_write, sent, done, &window);
        if std::mem::take(&mut is_first) {
            window.answered.fetch_add(1, Ordering::Relaxed);
        }
        if failed {
            return;
        }
    }
}
