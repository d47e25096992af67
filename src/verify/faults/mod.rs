//! Campaigns: a group under load while things go wrong in it, then every question that its history can answer.

mod clients;
#[cfg(feature = "failpoints")]
mod failpoints;
mod nemesis;
mod rig;
mod transactions;
mod watchers;

#[cfg(feature = "failpoints")]
pub use failpoints::{at_each_site, at_random_sites};
pub use nemesis::Fault;

use super::history::Operation;
use super::watch::{self, Watched};
use super::wgl::{self, Verdict};
use super::{registers, witness};
use crate::model::{Event, MainRevision};
use crate::node::{Compaction, Config, NodeError};
use crate::raft::{self, ApplyOn, Batch, Fsync, Linger, Propose, Publish, Reads};
use crate::seed::Seed;
use crate::store::{self, EngineKind, PathKind};
use crate::units::{ByteSize, Nanos};
use clients::Shared;
use rand::seq::SliceRandom;
use rig::Rig;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread;

/// Clients at once; more than ten at one key, no checker of orders can bear.
const CLIENTS: u64 = 10;
/// Watchers of each member.
const WATCHERS: u64 = 8;
/// Steps in search of an order of one register's operations.
const STEPS_MAX: u64 = 5_000_000;
/// The longest that a history waits for its operations, beyond its faults.
const LOAD_MAX: Nanos = Nanos::from_millis(60_000);

/// One history to be made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides what is asked and what goes wrong when.
    pub seed: u64,
    /// Which path to the state.
    pub path: PathKind,
    /// What keeps the state.
    pub engine: EngineKind,
    /// Members.
    pub nodes: u64,
    /// What goes wrong, one after the other, in an order of the seed's.
    pub faults: Vec<Fault>,
    /// Operations that the history must have; with fewer it is void.
    pub operations_min: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Made {
    /// What the witness checker says.
    pub witness: Result<witness::Witnessed, witness::Fault>,
    /// What was found register by register.
    pub registers: Registers,
    /// What watchers were told, or the first breach.
    pub watches: Result<Watches, String>,
    /// Faults in the order in which they came, and whether they happened.
    pub faults: Vec<(Fault, bool)>,
    /// Operations of any outcome, in the order in which they were sent.
    pub history: Vec<Operation>,
    /// From the end of the load until all members had the same, ns; none if they never had.
    pub settled: Option<Nanos>,
    /// From the first operation to the last.
    pub elapsed: Nanos,
    /// Why the history proves nothing, if so.
    pub void: Option<String>,
}

/// Registers, each checked without a look at revisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// How many.
    pub keys: u64,
    /// Operations on all of them.
    pub calls: u64,
    /// Those that no order explains, in words.
    pub violations: Vec<String>,
    /// Those for which the search was given up.
    pub undecided: u64,
}

/// What all watchers were told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watches {
    /// Watchers.
    pub watchers: u64,
    /// Events that they were told, all of them together.
    pub events: u64,
    /// Times they went on where they were.
    pub resumed: u64,
}

impl Made {
    /// What is wrong, in words; nothing if nothing was found.
    pub fn violations(&self) -> Vec<String> {
        let mut all = Vec::new();
        if let Err(witness::Fault::Violation(words)) = &self.witness {
            all.push(words.clone());
        }
        all.extend(self.registers.violations.iter().cloned());
        all.extend(self.watches.as_ref().err().cloned());
        if self.settled.is_none() {
            all.push("the members did not agree once everything was well again".to_owned());
        }
        all
    }

    /// Whether something could not be decided.
    pub fn is_undecided(&self) -> bool {
        matches!(self.witness, Err(witness::Fault::Undecided(_))) || self.registers.undecided > 0
    }
}

fn config(plan: &Plan) -> Config {
    let bytes_max = ByteSize(1 << 20);
    let batch = Batch { ops_max: 100, bytes_max, linger: Linger::None, in_flight: 4 };
    Config {
        store: store::Config { engine: plan.engine, ..store::Config::in_memory(plan.path) },
        // The truth is read at the end, all of it.
        compaction: Compaction::NEVER,
        pipeline: raft::Config {
            propose: Propose::Batched(batch),
            apply_on: ApplyOn::ApplyThread,
            publish: Publish::Ready,
            fsync: Fsync::Off,
            reads: Reads::Index,
        },
    }
}

/// Makes the history and questions it. `interrupted` ends it early, and void; `tell` is told now and then how many operations have ended.
pub fn make(
    plan: &Plan,
    interrupted: &AtomicBool,
    tell: &mut dyn FnMut(u64),
) -> Result<Made, NodeError> {
    let rig = Rig::start(config(plan), plan.nodes, plan.seed)?;
    let began = rig.clock.now();
    let seed = Seed(plan.seed);
    let (stop, stop_watching) = (AtomicBool::new(false), AtomicBool::new(false));
    let (registers, ended, end) = (AtomicU64::new(0), AtomicU64::new(0), AtomicI64::new(-1));
    let shared = Shared {
        rig: &rig,
        stop: &stop,
        clients: CLIENTS,
        seed,
        registers: &registers,
        ended: &ended,
    };
    let (history, watched, faults, settled, elapsed) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let shared = &shared;
                scope.spawn(move || clients::run(shared, number))
            })
            .collect();
        let end_of = || Some(end.load(Ordering::Acquire)).filter(|revision| *revision >= 0);
        let watchers: Vec<_> = rig
            .members()
            .flat_map(|member| (0..WATCHERS).map(move |number| (member, number)))
            .map(|(member, number)| {
                let (rig, stop) = (&rig, &stop_watching);
                scope.spawn(move || watchers::run(rig, member, number, seed, stop, &end_of))
            })
            .collect();
        let mut stopped = || {
            tell(ended.load(Ordering::Relaxed));
            interrupted.load(Ordering::Relaxed)
        };
        let faults = go_wrong(plan, &rig, &ended, &mut stopped);
        stop.store(true, Ordering::Relaxed);
        let history: Vec<Operation> =
            clients.into_iter().flat_map(|client| client.join().expect("a client ends")).collect();
        let elapsed = rig.clock.now().since(began);
        let settled = rig.settle();
        if settled.is_some() {
            let published = rig.node(1).map_or(-1, |node| node.store().published());
            end.store(published, Ordering::Release);
        }
        stop_watching.store(true, Ordering::Relaxed);
        let watched: Vec<Watched> =
            watchers.into_iter().map(|one| one.join().expect("a watcher ends")).collect();
        (history, watched, faults, settled, elapsed)
    });
    let truth = truth(&rig);
    let mut history = history;
    history.sort_by_key(|operation| operation.invoked);
    Ok(Made {
        witness: witness::check(&history, &truth, &rig.ends()),
        registers: check_registers(&history),
        watches: check_watches(&watched, &truth, settled.is_some()),
        void: void(plan, &history, &faults, interrupted),
        history,
        faults,
        settled,
        elapsed,
    })
}

/// All faults, one after the other, with load between them.
fn go_wrong(
    plan: &Plan,
    rig: &Rig,
    ended: &AtomicU64,
    stopped: &mut dyn FnMut() -> bool,
) -> Vec<(Fault, bool)> {
    let mut random = Seed(plan.seed).stream("nemesis", 0);
    let mut faults = plan.faults.clone();
    faults.shuffle(&mut random);
    let mut came = Vec::new();
    let share = plan.operations_min / (faults.len() as u64 + 1);
    for fault in faults {
        // It is to meet load, and the load it.
        wait_for_load(rig, ended, share / 2, stopped);
        if stopped() {
            return came;
        }
        came.push((fault, nemesis::inject(rig, fault, &mut random)));
    }
    let so_far = ended.load(Ordering::Relaxed);
    wait_for_load(rig, ended, plan.operations_min.saturating_sub(so_far).max(share / 2), stopped);
    came
}

fn wait_for_load(rig: &Rig, ended: &AtomicU64, more: u64, stopped: &mut dyn FnMut() -> bool) {
    let (began, wanted) = (rig.clock.now(), ended.load(Ordering::Relaxed) + more);
    while ended.load(Ordering::Relaxed) < wanted
        && !stopped()
        && rig.clock.now().since(began) < LOAD_MAX
    {
        rig.clock.sleep(Nanos::from_millis(2));
    }
}

/// Every change, as the first member has them.
fn truth(rig: &Rig) -> Vec<Event> {
    let Some(node) = rig.node(1) else { return Vec::new() };
    let store = node.store();
    let last: MainRevision = store.published();
    if last < 2 { Vec::new() } else { store.events(2, last).unwrap_or_default() }
}

fn check_registers(history: &[Operation]) -> Registers {
    let mut found = Registers::default();
    for (key, calls) in registers::of(history) {
        found.keys += 1;
        found.calls += calls.len() as u64;
        match wgl::check(&wgl::register::Register::default(), &calls, STEPS_MAX) {
            Verdict::Linearizable => {}
            Verdict::Undecided { .. } => found.undecided += 1,
            Verdict::Violation { longest, .. } => found.violations.push(format!(
                "{}: no order explains its {} operations; the longest that does has {}",
                key.escape_ascii(),
                calls.len(),
                longest.len()
            )),
        }
    }
    found
}

fn check_watches(watched: &[Watched], truth: &[Event], all: bool) -> Result<Watches, String> {
    let mut sum = Watches { watchers: watched.len() as u64, ..Watches::default() };
    for one in watched {
        sum.events += watch::check(one, truth, all)?;
        sum.resumed += one.resumed;
    }
    Ok(sum)
}

/// A history under too little load, or without the faults it was to have, shows nothing.
fn void(
    plan: &Plan,
    history: &[Operation],
    faults: &[(Fault, bool)],
    interrupted: &AtomicBool,
) -> Option<String> {
    if interrupted.load(Ordering::Relaxed) {
        return Some("interrupted".to_owned());
    }
    let answered = history.iter().filter(|one| one.response().is_some()).count() as u64;
    if answered < plan.operations_min {
        return Some(format!("{answered} operations were answered, of {}", plan.operations_min));
    }
    let missing: Vec<&str> =
        faults.iter().filter(|(_, happened)| !happened).map(|(fault, _)| fault.name()).collect();
    (!missing.is_empty()).then(|| format!("did not happen: {}", missing.join(", ")))
}
