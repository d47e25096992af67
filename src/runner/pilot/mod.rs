//! Short measured trials, for predictions: what the stages of every arm cost on this host, how long its syncs take under load, and
//! trials to hold predictions against. They go through the same targets, load and instruments as a run.

mod wakes;

use super::prepare::{self, data_folder, start_target};
use super::surroundings::{Surroundings, ThisHost};
use super::{Options, Progress, RunError, Stage, Watcher, cell};
use crate::clock::Clock;
use crate::load::Pace;
use crate::predict::{Costs, Level, Mix, Observed, Shape, Spread, Syncs, Wakes};
use crate::record::{Cell, StageTime};
use crate::scenario::plan::Plan;
use crate::scenario::spec::{
    Apply, ApplyOn, Arm, Engine, Fsync, Layer, Linger, Load, Op, Phase, Propose, Scenario,
    StateSync, TxnKind,
};
use crate::target::{Launch, Target};
use crate::units::Nanos;

/// Clients of the trials that costs are taken from: rounds with one request in them, with some, with many.
const COST_CLIENTS: [u32; 3] = [1, 50, 1000];
const COST_WARMUP: Nanos = Nanos::from_millis(25);
const COST_DURATION: Nanos = Nanos::from_millis(80);
/// The same for the length of syncs, by what is written between two.
const SYNC_WARMUP: Nanos = Nanos::from_millis(25);
const SYNC_DURATION: Nanos = Nanos::from_millis(250);
/// Trials to hold against: at least so long, and so many syncs where syncs are sleeps.
const TRIED_WARMUP: Nanos = Nanos::from_millis(30);
const TRIED_DURATION: Nanos = Nanos::from_millis(250);
const WARMUP_SYNCS: u64 = 4;
const TRIED_SYNCS: u64 = 20;
/// Largest gap in Little's law at which latencies of a closed loop mean what they say.
const LITTLE_MAX: f64 = 0.05;

/// What a prediction needs to know of this host.
#[derive(Clone, Debug)]
pub struct Pilot {
    /// Stage costs of each arm, in the scenario's order.
    pub costs: Vec<Costs>,
    /// Syncs of this disk under load; off unless they were asked for.
    pub syncs: Syncs,
    /// By how much a timed sleep lasts longer than asked.
    pub overshoot: Spread,
    /// Cores that this process may use.
    pub cores: u32,
}

/// A trial to hold a prediction against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// Index into the scenario's arms.
    pub arm_idx: usize,
    /// In place of the arm's own.
    pub fsync: Fsync,
    /// Closed-loop clients.
    pub clients: u32,
}

/// What such a trial gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// Which.
    pub wanted: Wanted,
    /// Operations per second.
    pub throughput_per_s: f64,
    /// Mean, median and 99th percentile of service times, ns; none if clients were too many for the trial's length.
    pub service_ns: Option<[f64; 3]>,
    /// Mean ns per operation and stage, in pipeline order.
    pub stages: Vec<StageTime>,
    /// Waiting for the store's lock, share of the service time.
    pub lock_share: f64,
}

/// The shares of operations that the model tells apart.
pub fn mix(scenario: &Scenario) -> Mix {
    let total: f64 = scenario.ops.iter().map(|op| op.weight).sum();
    let share = |is: fn(Op) -> bool| {
        let those = scenario.ops.iter().filter(|op| is(op.op));
        those.map(|op| op.weight).sum::<f64>() / total
    };
    Mix {
        reads: share(|op| matches!(op, Op::Get | Op::Range(_))),
        transfers: share(|op| matches!(op, Op::Txn { kind: TxnKind::Transfer, .. })),
    }
}

/// Warm-up and length of a trial that a prediction is held against, and so of the predicted one.
pub fn span(fsync: Fsync) -> (Nanos, Nanos) {
    let sync_ns = match fsync {
        Fsync::Delay(span) => span.0,
        Fsync::Real | Fsync::Off => 0,
    };
    let warmup = TRIED_WARMUP.max(Nanos(sync_ns.saturating_mul(WARMUP_SYNCS)));
    (warmup, TRIED_DURATION.max(Nanos(sync_ns.saturating_mul(TRIED_SYNCS))))
}

/// Measures what the stages of each arm cost, and with `real_syncs` how long syncs take; none if it was stopped.
pub fn measure<L: Launch>(
    scenario: &Scenario,
    options: &Options,
    launch: &L,
    watcher: &mut dyn Watcher,
    real_syncs: bool,
) -> Result<Option<Pilot>, RunError> {
    let clock = Clock::start();
    let plan = Plan::of(scenario);
    let planned = (scenario.arms.len() + usize::from(real_syncs)) * COST_CLIENTS.len();
    let mut host = ThisHost::new(clock, None, false)?;
    let planned = (&plan, planned);
    let mut bench = Bench::new(scenario, options, launch, watcher, &mut host, clock, planned);
    let wakes = wakes::wakes(clock)?;
    let overshoot = wakes::overshoot(clock);
    let mut costs = Vec::new();
    for arm in &scenario.arms {
        match bench.costs(arm, &wakes)? {
            Some(of_arm) => costs.push(of_arm),
            None => return Ok(None),
        }
    }
    let syncs = if real_syncs { bench.syncs(scenario.after())? } else { Some(Syncs::Off) };
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    Ok(syncs.map(|syncs| Pilot { costs, syncs, overshoot, cores }))
}

/// Measures the trials that are wanted, those of one arm and fsync on one target. Stopped early, or after `span_max`, it leaves
/// out the rest.
pub fn trials<L: Launch>(
    scenario: &Scenario,
    options: &Options,
    launch: &L,
    watcher: &mut dyn Watcher,
    (wanted, span_max): (&[Wanted], Nanos),
) -> Result<Vec<Tried>, RunError> {
    let clock = Clock::start();
    let plan = Plan::of(scenario);
    let mut host = ThisHost::new(clock, None, false)?;
    let planned = (&plan, wanted.len());
    let mut bench = Bench::new(scenario, options, launch, watcher, &mut host, clock, planned);
    let mut tried = Vec::new();
    for alike in wanted.chunk_by(|a, b| (a.arm_idx, a.fsync) == (b.arm_idx, b.fsync)) {
        if clock.now() > span_max || bench.stage.stopped() {
            break;
        }
        bench.tried(alike, span_max, &mut tried)?;
    }
    Ok(tried)
}

/// Where short trials are measured.
struct Bench<'a, L> {
    stage: Stage<'a, L>,
    planned: usize,
    done: u64,
}

impl<'a, L: Launch> Bench<'a, L> {
    fn new(
        scenario: &'a Scenario,
        options: &'a Options,
        launch: &'a L,
        watcher: &'a mut dyn Watcher,
        surroundings: &'a mut dyn Surroundings,
        clock: Clock,
        (plan, planned): (&'a Plan, usize),
    ) -> Bench<'a, L> {
        let stage = Stage::new(scenario, options, launch, clock, plan, watcher, surroundings);
        Bench { stage, planned, done: 0 }
    }

    /// Without syncs, so that CPU time is all there is.
    fn costs(&mut self, arm: &Arm, wakes: &Wakes) -> Result<Option<Costs>, RunError> {
        let mut arm = arm.clone();
        arm.system.fsync = Fsync::Off;
        let requests_per_op = mix(self.stage.scenario).requests_per_op();
        let mut seen = Vec::new();
        let is_whole = self.on(&arm, |bench, target| {
            for clients in COST_CLIENTS {
                let cell = bench.cell(target, &arm, clients, (COST_WARMUP, COST_DURATION))?;
                seen.push(observed(&cell, requests_per_op));
            }
            Ok(())
        })?;
        let system = &arm.system;
        let shape = Shape {
            nodes: usize::from(system.nodes),
            has_apply_thread: system.apply_on == ApplyOn::ApplyThread,
            lingers: system.propose == Propose::Batched
                && matches!(system.batch.linger, Linger::Ticker(_) | Linger::Armed(_)),
        };
        Ok(is_whole.then(|| Costs::of(&seen, &shape, wakes)))
    }

    /// How long syncs take after how many bytes.
    fn syncs(&mut self, arm: &Arm) -> Result<Option<Syncs>, RunError> {
        let mut arm = arm.clone();
        arm.system.fsync = Fsync::Real;
        let mut levels = Vec::new();
        let is_whole = self.on(&arm, |bench, target| {
            for clients in COST_CLIENTS {
                let before = target.fsync_times();
                let cell = bench.cell(target, &arm, clients, (SYNC_WARMUP, SYNC_DURATION))?;
                let counts = &cell.counters;
                let times = target.fsync_times().since(&before);
                if let Some(spread) = Spread::of(times.values_ns()).filter(|_| counts.fsyncs > 0) {
                    let bytes = counts.log_bytes as f64 / counts.fsyncs as f64;
                    levels.push(Level { bytes, spread });
                }
            }
            Ok(())
        })?;
        Ok(is_whole.then(|| Syncs::measured(levels)))
    }

    fn tried(
        &mut self,
        alike: &[Wanted],
        span_max: Nanos,
        tried: &mut Vec<Tried>,
    ) -> Result<(), RunError> {
        let Some(first) = alike.first() else { return Ok(()) };
        let mut arm = self.stage.scenario.arms[first.arm_idx].clone();
        arm.system.fsync = first.fsync;
        let (warmup, duration) = span(first.fsync);
        self.on(&arm, |bench, target| {
            for wanted in alike {
                if bench.stage.clock.now() > span_max {
                    break;
                }
                let cell = bench.cell(target, &arm, wanted.clients, (warmup, duration))?;
                if bench.stage.stopped() {
                    break;
                }
                tried.push(of_cell(*wanted, cell));
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Does something on a fresh target with the keys it should hold; whether it was not stopped meanwhile.
    fn on(
        &mut self,
        arm: &Arm,
        act: impl FnOnce(&mut Self, &L::Target) -> Result<(), RunError>,
    ) -> Result<bool, RunError> {
        if self.stage.stopped() {
            return Ok(false);
        }
        let scratch = &self.stage.options.scratch;
        let folder = tempfile::Builder::new().prefix("pilot-").tempdir_in(scratch)?;
        let target = start_target(&self.stage, arm, &data_folder(folder.path()))?;
        prepare::fill(&self.stage, &target, &arm.name)?;
        act(self, &target)?;
        Ok(!self.stage.stopped())
    }

    fn cell(
        &mut self,
        target: &L::Target,
        arm: &Arm,
        clients: u32,
        (warmup, duration): (Nanos, Nanos),
    ) -> Result<Cell, RunError> {
        let phase = phase(self.stage.scenario, clients, (warmup, duration));
        let doing = format!("{} fsync {} clients {clients}", arm.name, arm.system.fsync);
        self.tell(&doing);
        let seed = self.stage.scenario.seed.child("pilot", self.done);
        let pace = Pace::Closed { think: Nanos::ZERO };
        let at = cell::At { arm: &arm.name, phase: &phase, clients, pace, position: 0, seed };
        Ok(cell::measure(&mut self.stage, target, &at)?.cell)
    }

    fn tell(&mut self, doing: &str) {
        self.stage.watcher.progress(&Progress {
            doing: &format!("measuring {doing}"),
            pair: 0,
            pairs: 0,
            done: self.done,
            planned: self.planned as u64,
            ratio: None,
        });
        self.done += 1;
    }
}

/// A closed loop, without watchers.
fn phase(scenario: &Scenario, clients: u32, (warmup, duration): (Nanos, Nanos)) -> Phase {
    let mut phase = scenario.phases[0].clone();
    "pilot".clone_into(&mut phase.name);
    phase.load = Load::CLOSED;
    (phase.warmup, phase.duration) = (warmup, duration);
    (phase.clients, phase.watchers) = (vec![clients], 0);
    phase
}

fn observed(cell: &Cell, requests_per_op: f64) -> Observed {
    let role = |name: &str| {
        let roles = cell.cpu.iter().filter(|role| role.role == name);
        roles.map(|role| role.cpu_ns).sum::<u64>() as f64
    };
    let stage = |name: &str| {
        let stages = cell.stages.iter().filter(|stage| stage.stage == name);
        stages.map(|stage| stage.mean_ns).sum::<f64>()
    };
    Observed {
        requests: cell.ops as f64 * requests_per_op,
        rounds: cell.counters.readies as f64,
        load_ns: role("load"),
        raft_ns: role("raft"),
        apply_ns: role("apply"),
        log_bytes: cell.counters.log_bytes as f64,
        elapsed_ns: cell.elapsed_s * 1e9,
        until_written_ns: stage("propose") + stage("append"),
        execute_ns: stage("apply"),
    }
}

fn of_cell(wanted: Wanted, cell: Cell) -> Tried {
    let service = &cell.service;
    let is_steady = cell.littles_gap() <= LITTLE_MAX || cell.clients == 1;
    let store = cell.locks.iter().filter(|lock| lock.name == "store");
    let waited_ns: u64 = store.map(|lock| lock.wait_ns).sum();
    let served_ns = service.mean_ns * cell.ops as f64;
    Tried {
        wanted,
        throughput_per_s: cell.throughput_per_s,
        service_ns: is_steady.then_some([
            service.mean_ns,
            service.p50_ns as f64,
            service.p99_ns as f64,
        ]),
        lock_share: waited_ns as f64 / served_ns.max(1.0),
        stages: cell.stages,
    }
}

/// Why the model has no words for an arm, and what to do about it; none if it has.
pub fn not_simulated(arm: &Arm) -> Option<(String, &'static str)> {
    let system = &arm.system;
    if system.layer != Layer::Raft {
        let why = format!("arm {} has layer = \"{}\"", arm.name, system.layer);
        return Some((why, "what is simulated is the pipeline of layer = \"raft\""));
    }
    if system.engine == Engine::Rocksdb && system.state_sync != StateSync::RaftLogOnly {
        let why = format!("arm {} has state_sync = \"{}\"", arm.name, system.state_sync);
        return Some((
            why,
            "syncs of the engine are not simulated: state_sync = \"raft-log-only\"",
        ));
    }
    if system.apply == Apply::Sharded && system.apply_workers > 1 {
        let why = format!("arm {} has apply_workers = {}", arm.name, system.apply_workers);
        return Some((why, "work shared among apply workers is not simulated: apply_workers = 1"));
    }
    None
}
