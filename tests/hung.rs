//! A system that does not answer any more ends the run, with a word about where, and what was finished before is kept. The
//! systems here hang on purpose: two threads that take two locks in opposite order, and one that forgets its callers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use kvbench::agent::Agents;
use kvbench::clock::Clock;
use kvbench::load::{Moment, Stalled};
use kvbench::measure::lock::LockTally;
use kvbench::measure::stage::Timeline;
use kvbench::model::{Body, RangeResult, Request, Response};
use kvbench::raft::Delivered;
use kvbench::record::{Run, Warning};
use kvbench::runner::{self, Finished, Options, Progress, RunError};
use kvbench::scenario;
use kvbench::scenario::spec::Arm;
use kvbench::store::Digest;
use kvbench::target::{Answer, CallError, Client, Connect, Launch, LaunchError, Target};
use kvbench::units::Nanos;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};

/// One pair is finished before anything hangs, the other is not.
const PAIRS_BEFORE: usize = 1;

/// How a system hangs, once it does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hangs {
    /// Every call keeps its thread, and two of them wait for each other's lock.
    InDeadlock,
    /// No call keeps its thread, and none is answered.
    Forgetful,
    /// Every call is answered, but whoever asks what the locks cost is not.
    Unreadable,
}

/// Takes two locks for each write: in one order, or in both.
struct Store {
    hangs: Option<Hangs>,
    locks: [Mutex<()>; 2],
    /// Two threads have one lock each before either asks for its second: the deadlock is certain, not a matter of luck.
    both_have_one: Barrier,
    callers: AtomicUsize,
    revision: AtomicI64,
    gone: Arc<AtomicBool>,
}

impl Store {
    /// Relaxed: these count, and order nothing.
    fn execute(&self, request: &Request) -> Answer {
        let caller = self.callers.fetch_add(1, Ordering::Relaxed);
        let (first, second) = (caller % 2, (caller + 1) % 2);
        if self.hangs == Some(Hangs::InDeadlock) && request.is_write() {
            let _one = self.lock(first);
            self.both_have_one.wait();
            let _other = self.lock(second);
        }
        let body = match request {
            Request::Put(_) => {
                self.revision.fetch_add(1, Ordering::Relaxed);
                Body::Put { prev_kv: None }
            }
            _ => Body::Range(RangeResult { count: 0, kvs: Vec::new(), more: false }),
        };
        let reply = Response { revision: self.revision.load(Ordering::Relaxed), result: Ok(body) };
        Ok(Delivered { reply, timeline: Timeline::default() })
    }

    fn lock(&self, which: usize) -> std::sync::MutexGuard<'_, ()> {
        self.locks[which].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Caller(Arc<Store>);

impl Client for Caller {
    async fn call(&self, request: Request) -> Answer {
        if self.0.hangs == Some(Hangs::Forgetful) {
            std::future::pending::<()>().await;
        }
        self.0.execute(&request)
    }
}

/// A store under test. It says when it is let go.
struct System {
    store: Arc<Store>,
    keeps_its_caller: bool,
}

impl Drop for System {
    fn drop(&mut self) {
        self.store.gone.store(true, Ordering::Relaxed);
    }
}

impl Connect for System {
    type Client = Caller;

    async fn connect(&self, clients: u32) -> Result<Vec<Caller>, CallError> {
        Ok((0..clients).map(|_| Caller(self.store.clone())).collect())
    }

    fn blocks_its_caller(&self) -> bool {
        self.keeps_its_caller
    }
}

impl Target for System {
    fn call_all(&self, requests: &[Request]) -> Vec<Answer> {
        requests.iter().map(|request| self.store.execute(request)).collect()
    }

    fn digests(&self) -> Result<Vec<Digest>, CallError> {
        let revision = self.store.revision.load(Ordering::Relaxed);
        Ok(vec![Digest { revision, compacted: 0, keys: 0, hash: 0 }])
    }

    /// Takes the locks to tell what they cost, as the store of this program does: whoever asks hangs as well.
    fn locks(&self) -> Vec<(&'static str, LockTally, u32)> {
        while self.store.hangs == Some(Hangs::Unreadable) {
            std::thread::park();
        }
        drop((self.store.lock(0), self.store.lock(1)));
        Vec::new()
    }
}

/// Launches systems of which the after of the second pair hangs, if any does.
struct Systems {
    hangs: Option<Hangs>,
    launched: AtomicUsize,
    gone: Mutex<Vec<Arc<AtomicBool>>>,
}

impl Launch for Systems {
    type Target = System;

    fn launch(&self, arm: &Arm, _: &Path, _: Clock) -> Result<System, LaunchError> {
        let pair = self.launched.fetch_add(1, Ordering::Relaxed) / 2;
        let is_it = pair == PAIRS_BEFORE && arm.name == "after";
        let gone = Arc::new(AtomicBool::new(false));
        self.gone.lock().unwrap().push(gone.clone());
        let store = Store {
            hangs: self.hangs.filter(|_| is_it),
            locks: Default::default(),
            both_have_one: Barrier::new(2),
            callers: AtomicUsize::new(0),
            revision: AtomicI64::new(1),
            gone,
        };
        let keeps_its_caller = self.hangs == Some(Hangs::InDeadlock);
        Ok(System { store: Arc::new(store), keeps_its_caller })
    }

    fn levers(&self, _: &Arm) -> Vec<(&'static str, String)> {
        vec![("hangs", format!("{:?}", self.hangs))]
    }

    fn answers_everything(&self) -> bool {
        false
    }
}

struct Silent;

impl runner::Watcher for Silent {
    fn progress(&mut self, _: &Progress<'_>) {}
}

fn run(hangs: Option<Hangs>, load: &str, pairs: usize) -> (Finished, Systems) {
    let text = format!(
        "schema = 1\nname = \"hung\"\n[arms.before]\n[arms.after]\n[[op]]\nput = {{}}\n\
         [[phase]]\nname = \"busy\"\nload = {{ {load} }}\nwarmup = \"5ms\"\nduration = \"50ms\"\n\
         [trials]\naa = false\non_disturbed = \"keep\"\nstalled_after = \"1s\"\n\
         pairs = {{ min = {pairs}, max = {pairs} }}\n"
    );
    let asked = scenario::Options::default();
    let scenario = scenario::parse("hung", &text, &asked).unwrap_or_else(|p| panic!("{p}"));
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        path: "tests/hung.rs".to_owned(),
        quick: false,
        profile: false,
        scratch: folder.path().to_path_buf(),
        agents: Agents::default(),
        interrupted: Arc::default(),
    };
    let systems = Systems { hangs, launched: AtomicUsize::new(0), gone: Mutex::default() };
    (runner::run(&scenario, &options, &systems, &mut Silent).unwrap(), systems)
}

/// What was finished before counts, and the record says why there is no more.
fn assert_partial(run: &Run, failure: &RunError) {
    assert!(!run.complete);
    assert_eq!(run.trials.len(), 2 * PAIRS_BEFORE);
    assert!(run.trials.iter().all(|trial| trial.cells.len() == 1 && trial.cells[0].ops > 0));
    let reason = failure.to_string();
    assert!(run.warnings.contains(&Warning::Failed { reason }), "{:?}", run.warnings);
}

#[test]
fn a_deadlock_ends_the_run_and_is_told_with_its_place() {
    let closed = "closed = { clients = [2] }";
    let (finished, _) = run(Some(Hangs::InDeadlock), closed, PAIRS_BEFORE + 1);
    let failure = finished.failure.as_ref().unwrap();
    let (silent, when) = match failure {
        RunError::Stalled { source: Stalled::Unanswered { silent, when, .. }, .. } => {
            (silent, when)
        }
        other => panic!("{other}"),
    };
    // Reading the locks takes the lock that is never given back, and not even that keeps the run.
    assert_eq!(*when, Moment::Warmup);
    assert!(*silent >= Nanos::from_millis(1_000), "{failure}");
    let told = "arm after, busy@2: 2 requests were under way in the warm-up, and for ";
    assert!(failure.to_string().starts_with(told), "{failure}");
    assert_partial(&finished.run, failure);
}

#[test]
fn who_forgets_its_callers_is_found_out_and_let_go() {
    for load in ["closed = { clients = [3] }", "open = { rate = \"200/s\" }"] {
        let (finished, systems) = run(Some(Hangs::Forgetful), load, PAIRS_BEFORE + 1);
        let failure = finished.failure.as_ref().unwrap();
        let waiting =
            match failure {
                RunError::Stalled {
                    arm, source: Stalled::Unanswered { under_way, .. }, ..
                } if arm == "after" => *under_way,
                other => panic!("{other}"),
            };
        // A closed loop waits with every client; an open one went on sending.
        assert!(if load.starts_with("closed") { waiting == 3 } else { waiting > 3 }, "{failure}");
        assert_partial(&finished.run, failure);
        // No thread is held by a system that keeps none, so all of them end.
        let gone = systems.gone.lock().unwrap();
        assert_eq!(gone.len(), 2 * (PAIRS_BEFORE + 1));
        assert!(gone.iter().all(|gone| gone.load(Ordering::Relaxed)));
    }
}

#[test]
fn who_answers_but_does_not_tell_its_counts_is_found_out() {
    let closed = "closed = { clients = [2] }";
    let (finished, _) = run(Some(Hangs::Unreadable), closed, PAIRS_BEFORE + 1);
    let failure = finished.failure.as_ref().unwrap();
    let unread = Stalled::Unread { silent: Nanos::ZERO, when: Moment::Warmup }.to_string();
    let (told, _) = unread.split_once(", for").unwrap();
    assert!(failure.to_string().starts_with(&format!("arm after, busy@2: {told}")), "{failure}");
    assert_partial(&finished.run, failure);
}

/// Clients that think for longer than the patience have nothing under way.
#[test]
fn who_thinks_long_is_no_system_that_hangs() {
    let (finished, _) = run(None, "closed = { clients = [2], think = \"1500ms\" }", 1);
    assert!(finished.failure.is_none() && finished.run.complete, "{:?}", finished.failure);
}
