//! A system that is nothing but a law, behind kvbench's own traits: it can be launched, connected to and measured like any
//! other. It writes down what happened to each of its calls, so that a test need not trust the host to keep time: when a
//! busy machine answers late, the notes say so.
//!
//! Each call gets its end from the law's arithmetic, and a thread answers it then. Answers come a little late, but the law
//! does not: the next call begins when the one before it was due to end.

use crate::laws::{Law, Served, Station};
use crate::truth::Call;
use kvbench::clock::Clock;
use kvbench::measure::lock::{LockTally, Measured, MeasuredMutex, NamedLocks};
use kvbench::measure::stage::{Probe, Stage, Timeline};
use kvbench::model::{Body, RangeResult, Request, Response};
use kvbench::raft::Delivered;
use kvbench::scenario::spec::Arm;
use kvbench::seed::Seed;
use kvbench::store::Digest;
use kvbench::target::{Answer, CallError, Client, Connect, Launch, LaunchError, Target};
use kvbench::units::Nanos;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// What a fake does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Nature {
    /// Serves by a law.
    Law(Law),
    /// Every call holds one lock for `hold` and then does something else for `rest`, on its caller's own thread.
    Lock { hold: Nanos, rest: Nanos },
    /// Every call goes through all stages on its caller's own thread, and is held up in one of them.
    Stall { stage: Stage, stall: Nanos },
}

/// Launches fakes, each with what `nature` says of its arm and of the number of fakes launched before it.
pub(crate) struct Fakes<F> {
    nature: F,
    /// Every so many calls of a fake gets an error.
    fails_every: Option<u64>,
    launched: Mutex<Vec<Arc<Notes>>>,
}

/// What one fake wrote down.
#[derive(Default)]
pub(crate) struct Notes {
    calls: Mutex<Vec<Call>>,
    /// Calls that got an error.
    failed: AtomicU64,
    /// Changes made, through calls or otherwise.
    changes: AtomicI64,
    /// What the lock cost, at each time it was asked for.
    lock_seen: Mutex<Vec<LockTally>>,
    lock: Mutex<LockTally>,
}

impl Notes {
    pub(crate) fn calls(&self) -> Vec<Call> {
        held(&self.calls).clone()
    }

    /// Relaxed: read when all clients have ended.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// What the lock cost between its two readings number `cell` of a trial.
    pub(crate) fn lock_use(&self, cell: usize) -> LockTally {
        let seen = held(&self.lock_seen);
        seen[2 * cell + 1].since(seen[2 * cell])
    }

    fn revision(&self) -> i64 {
        1 + self.changes.load(Ordering::Relaxed)
    }

    /// It keeps no values, only how many changes there were.
    fn execute(&self, request: &Request) -> Result<Response, CallError> {
        let body = match request {
            Request::Put(_) => {
                self.changes.fetch_add(1, Ordering::Relaxed);
                Body::Put { prev_kv: None }
            }
            Request::Range(_) => {
                Body::Range(RangeResult { count: 0, kvs: Vec::new(), more: false })
            }
            other => return Err(CallError(format!("a fake does not know {other:?}"))),
        };
        Ok(Response { revision: self.revision(), result: Ok(body) })
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<F: Fn(&Arm, usize) -> Nature> Fakes<F> {
    pub(crate) fn new(nature: F) -> Fakes<F> {
        Fakes { nature, fails_every: None, launched: Mutex::default() }
    }

    pub(crate) fn failing_every(self, calls: u64) -> Fakes<F> {
        Fakes { fails_every: Some(calls), ..self }
    }

    /// The notes of all fakes in the order of their launch, which is that of a record's trials; checks come after.
    pub(crate) fn notes(&self) -> Vec<Arc<Notes>> {
        held(&self.launched).clone()
    }
}

impl<F: Fn(&Arm, usize) -> Nature> Launch for Fakes<F> {
    type Target = Fake;

    fn launch(&self, arm: &Arm, _: &Path, clock: Clock) -> Result<Fake, LaunchError> {
        let notes = Arc::new(Notes::default());
        let mut launched = held(&self.launched);
        let number = launched.len();
        let nature = (self.nature)(arm, number);
        launched.push(notes.clone());
        Fake::start(nature, notes, self.fails_every, clock, Seed(number as u64))
            .map_err(|error| LaunchError::Other(error.to_string()))
    }

    fn levers(&self, arm: &Arm) -> Vec<(&'static str, String)> {
        vec![("nature", format!("{:?}", (self.nature)(arm, 0)))]
    }

    fn answers_everything(&self) -> bool {
        false
    }
}

/// A fake system, with the thread that answers.
pub(crate) struct Fake {
    shared: Arc<Shared>,
    answering: Option<JoinHandle<()>>,
}

/// What clients and the answering thread share.
struct Shared {
    nature: Nature,
    notes: Arc<Notes>,
    fails_every: Option<u64>,
    clock: Clock,
    seed: Seed,
    called: AtomicU64,
    counter: Mutex<Counter>,
    woken: Condvar,
    lock: MeasuredMutex<()>,
}

/// Where calls are taken and answers wait until they are due.
struct Counter {
    station: Option<Station>,
    /// By the instant they are due, then by number.
    due: BTreeMap<(Nanos, u64), oneshot::Sender<()>>,
    taken: u64,
    is_closed: bool,
}

impl Fake {
    fn start(
        nature: Nature,
        notes: Arc<Notes>,
        fails_every: Option<u64>,
        clock: Clock,
        seed: Seed,
    ) -> std::io::Result<Fake> {
        let counter = Counter { station: None, due: BTreeMap::new(), taken: 0, is_closed: false };
        let shared = Arc::new(Shared {
            nature,
            notes,
            fails_every,
            clock,
            seed,
            called: AtomicU64::new(0),
            counter: Mutex::new(counter),
            woken: Condvar::new(),
            lock: MeasuredMutex::new((), Probe::on(clock)),
        });
        // Its CPU time is the system's, as that of a node's applier is.
        let thread = std::thread::Builder::new().name("apply-0".to_owned());
        let answers = shared.clone();
        let answering = thread.spawn(move || answers.answer())?;
        Ok(Fake { shared, answering: Some(answering) })
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        held(&self.shared.counter).is_closed = true;
        self.shared.woken.notify_one();
        if let Some(answering) = self.answering.take() {
            answering.join().expect("answering has no reason to panic");
        }
    }
}

impl Shared {
    /// Answers each call when it is due, until the fake is closed.
    fn answer(&self) {
        let mut counter = held(&self.counter);
        while !counter.is_closed {
            let now = self.clock.now();
            let later = counter.due.split_off(&(now.after(Nanos(1)), 0));
            let due = std::mem::replace(&mut counter.due, later);
            if due.is_empty() {
                let next = counter
                    .due
                    .keys()
                    .next()
                    .map_or(Nanos::from_millis(20), |(at, _)| at.since(now));
                let waited = self.woken.wait_timeout(counter, Duration::from(next));
                counter = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            drop(counter);
            for answer in due.into_values() {
                // A client that is gone needs no answer.
                let _ = answer.send(());
            }
            counter = held(&self.counter);
        }
    }

    /// Takes a call: when it is worked on, and the answer to wait for.
    fn take(&self, arrived: Nanos) -> (Served, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        let mut counter = held(&self.counter);
        let station = counter.station.as_mut().expect("a client was connected");
        let served = station.serve(arrived);
        let number = counter.taken;
        counter.taken += 1;
        counter.due.insert((served.finished, number), sender);
        let is_next = counter.due.keys().next() == Some(&(served.finished, number));
        drop(counter);
        if is_next {
            self.woken.notify_one();
        }
        (served, receiver)
    }

    /// What happens to a call under the lock, on the thread that calls.
    fn work_under_lock(&self, arrived: Nanos, hold: Nanos, rest: Nanos) -> Served {
        let guard = self.lock.lock();
        let started = self.clock.now();
        held(&self.notes.lock).wait_ns += started.since(arrived).0;
        self.clock.sleep(hold);
        let left = self.clock.now();
        let mut tally = held(&self.notes.lock);
        tally.hold_ns += left.since(started).0;
        tally.acquisitions += 1;
        drop(tally);
        guard.leave();
        self.clock.sleep(rest);
        Served { started, finished: self.clock.now() }
    }
}

impl Shared {
    /// The last stage is over when the client runs again, which is not for a system to say.
    fn walk_with_stall(&self, arrived: Nanos, stalled: Stage, stall: Nanos) -> Timeline {
        let mut timeline = Timeline::submitted(arrived);
        for stage in Stage::ALL {
            if stage == stalled {
                self.clock.sleep(stall);
            }
            if stage != Stage::Respond {
                timeline.end(stage, self.clock.now());
            }
        }
        timeline
    }
}

/// A way in.
pub(crate) struct FakeClient(Arc<Shared>);

impl Client for FakeClient {
    async fn call(&self, request: Request) -> Answer {
        let shared = &*self.0;
        let arrived = shared.clock.now();
        let number = shared.called.fetch_add(1, Ordering::Relaxed) + 1;
        if shared.fails_every.is_some_and(|every| number.is_multiple_of(every)) {
            shared.notes.failed.fetch_add(1, Ordering::Relaxed);
            return Err(CallError("this call was bound to fail".to_owned()));
        }
        if let Nature::Stall { stage, stall } = shared.nature {
            let timeline = shared.walk_with_stall(arrived, stage, stall);
            return Ok(Delivered { reply: shared.notes.execute(&request)?, timeline });
        }
        let served = match shared.nature {
            Nature::Stall { .. } => unreachable!("it has no station"),
            Nature::Lock { hold, rest } => shared.work_under_lock(arrived, hold, rest),
            Nature::Law(_) => {
                let (served, answer) = shared.take(arrived);
                answer.await.map_err(|_| CallError("the fake was closed".to_owned()))?;
                served
            }
        };
        let reply = shared.notes.execute(&request)?;
        let mut timeline = Timeline::submitted(arrived);
        timeline.end(Stage::Queue, served.started);
        timeline.end(Stage::Apply, served.finished);
        let returned = shared.clock.now();
        let Served { started, finished } = served;
        held(&shared.notes.calls).push(Call { arrived, started, finished, returned });
        Ok(Delivered { reply, timeline })
    }
}

impl Connect for Fake {
    type Client = FakeClient;

    async fn connect(&self, clients: u32) -> Result<Vec<FakeClient>, CallError> {
        let law = match self.shared.nature {
            Nature::Law(law) => Some(law),
            Nature::Lock { .. } | Nature::Stall { .. } => None,
        };
        let mut counter = held(&self.shared.counter);
        counter.station =
            law.map(|law| Station::new(law, self.shared.clock.now(), self.shared.seed));
        Ok((0..clients).map(|_| FakeClient(self.shared.clone())).collect())
    }

    fn blocks_its_caller(&self) -> bool {
        matches!(self.shared.nature, Nature::Lock { .. } | Nature::Stall { .. })
    }
}

impl Target for Fake {
    /// At once: laws hold for what is measured.
    fn call_all(&self, requests: &[Request]) -> Vec<Answer> {
        let execute = |request: &Request| {
            let reply = self.shared.notes.execute(request)?;
            Ok(Delivered { reply, timeline: Timeline::default() })
        };
        requests.iter().map(execute).collect()
    }

    fn digests(&self) -> Result<Vec<Digest>, CallError> {
        Ok(vec![Digest { revision: self.shared.notes.revision(), compacted: 0, keys: 0, hash: 0 }])
    }

    fn locks(&self) -> Vec<NamedLocks> {
        if !self.blocks_its_caller() {
            return Vec::new();
        }
        let tally = self.shared.lock.tally();
        let noted = *held(&self.shared.notes.lock);
        held(&self.shared.notes.lock_seen).push(noted);
        vec![NamedLocks { name: "store", each: vec![tally] }]
    }
}
