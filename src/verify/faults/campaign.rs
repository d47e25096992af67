//! One history: clients and watchers at a group while one thing after the other goes wrong in it, then every question that it can answer.

use super::clients::{self, Shared};
use super::system::{Came, End, System, Way};
use super::watchers;
use super::{Made, Plan, Registers, Watches};
use crate::model::Event;
use crate::seed::Seed;
use crate::units::Nanos;
use crate::verify::history::{Operation, says_that_it_changed};
use crate::verify::watch::{self, Watched};
use crate::verify::wgl::{self, Verdict};
use crate::verify::{registers, witness};
use rand::seq::SliceRandom;
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

/// Makes the history and questions it. `interrupted` ends it early, and void; `tell` is told now and then how many operations were answered.
pub(in crate::verify) fn history<S: System>(
    system: &S,
    plan: &Plan<S::Fault>,
    interrupted: &AtomicBool,
    tell: &mut dyn FnMut(u64),
) -> Made {
    let began = system.clock().now();
    let seed = Seed(plan.seed);
    let (stop, stop_watching) = (AtomicBool::new(false), AtomicBool::new(false));
    let (registers, answered, end) = (AtomicU64::new(0), AtomicU64::new(0), AtomicI64::new(-1));
    let shared = Shared {
        system,
        stop: &stop,
        clients: CLIENTS,
        seed,
        registers: &registers,
        answered: &answered,
    };
    let (mut history, watched, mut faults, settled, elapsed) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let shared = &shared;
                scope.spawn(move || clients::run(shared, number))
            })
            .collect();
        let end_of = || Some(end.load(Ordering::Acquire)).filter(|revision| *revision >= 0);
        let watchers: Vec<_> = (1..=system.size())
            .flat_map(|member| (0..WATCHERS).map(move |number| (member, number)))
            .map(|(member, number)| {
                let stop = &stop_watching;
                scope.spawn(move || watchers::run(system, member, number, seed, stop, &end_of))
            })
            .collect();
        let mut stopped = || {
            tell(answered.load(Ordering::Relaxed));
            interrupted.load(Ordering::Relaxed)
        };
        let faults = go_wrong(plan, system, &answered, &mut stopped);
        stop.store(true, Ordering::Relaxed);
        let history: Vec<Operation> =
            clients.into_iter().flat_map(|client| client.join().expect("a client ends")).collect();
        let elapsed = system.clock().now().since(began);
        let settled = system.settle();
        if settled.is_some() {
            end.store(system.way().revision(1).unwrap_or(-1), Ordering::Release);
        }
        stop_watching.store(true, Ordering::Relaxed);
        let watched: Vec<Watched> =
            watchers.into_iter().map(|one| one.join().expect("a watcher ends")).collect();
        (history, watched, faults, settled, elapsed)
    });
    history.sort_by_key(|operation| operation.invoked);
    note_writes(&mut faults, &history);
    let end = system.end();
    let disagree = end.as_ref().err().cloned();
    let End { truth, members } = end.unwrap_or_default();
    let (witness, watches) = match &disagree {
        None => (
            witness::check(&history, &truth, &members),
            check_watches(&watched, &truth, settled.is_some()),
        ),
        Some(why) => (Err(witness::Fault::Undecided(why.clone())), Ok(Watches::default())),
    };
    Made {
        witness,
        registers: check_registers(&history),
        watches,
        disagree,
        void: void(plan.operations_min, &history, &faults, interrupted),
        history,
        faults,
        settled,
        elapsed,
    }
}

/// All faults, one after the other, with load between them.
fn go_wrong<S: System>(
    plan: &Plan<S::Fault>,
    system: &S,
    answered: &AtomicU64,
    stopped: &mut dyn FnMut() -> bool,
) -> Vec<Came> {
    let mut random = Seed(plan.seed).stream("nemesis", 0);
    let mut faults = plan.faults.clone();
    faults.shuffle(&mut random);
    let mut came = Vec::new();
    let share = plan.operations_min / (faults.len() as u64 + 1);
    for fault in faults {
        // It is to meet load, and the load it.
        wait_for_load(system, answered, share / 2, stopped);
        if stopped() {
            return came;
        }
        came.push(system.inject(fault, &mut random));
    }
    let so_far = answered.load(Ordering::Relaxed);
    let more = plan.operations_min.saturating_sub(so_far).max(share / 2);
    wait_for_load(system, answered, more, stopped);
    came
}

fn wait_for_load<S: System>(
    system: &S,
    answered: &AtomicU64,
    more: u64,
    stopped: &mut dyn FnMut() -> bool,
) {
    let clock = system.clock();
    let (began, wanted) = (clock.now(), answered.load(Ordering::Relaxed) + more);
    while answered.load(Ordering::Relaxed) < wanted
        && !stopped()
        && clock.now().since(began) < LOAD_MAX
    {
        clock.sleep(Nanos::from_millis(2));
    }
}

/// When somebody who asked after a fault had struck was first told that his write is safe.
fn note_writes(faults: &mut [Came], history: &[Operation]) {
    for fault in faults {
        let is_after = |one: &&Operation| {
            one.invoked >= fault.struck && one.response().is_some_and(says_that_it_changed)
        };
        let first = history.iter().filter(is_after).map(|one| one.returned).min();
        fault.written = first.map(|first| first.since(fault.struck));
    }
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
    operations_min: u64,
    history: &[Operation],
    faults: &[Came],
    interrupted: &AtomicBool,
) -> Option<String> {
    if interrupted.load(Ordering::Relaxed) {
        return Some("interrupted".to_owned());
    }
    let answered = history.iter().filter(|one| one.response().is_some()).count() as u64;
    if answered < operations_min {
        return Some(format!("{answered} operations were answered, of {operations_min}"));
    }
    let missing: Vec<&str> =
        faults.iter().filter(|fault| !fault.happened).map(|fault| fault.kind).collect();
    (!missing.is_empty()).then(|| format!("did not happen: {}", missing.join(", ")))
}
