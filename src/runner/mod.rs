//! From a plan to a record: starts fresh nodes, measures every cell of every block in its planned order, checks the
//! answers, profiles apart. It judges nothing; the only verdict it asks for is whether the intervals are narrow enough.

mod audit;
mod block;
mod cell;
mod checks;
mod facts;
pub mod pilot;
mod prepare;
mod profiling;
mod sampled;
mod search;
mod surroundings;
#[cfg(test)]
mod tests;
mod validity;
mod warnings;

pub use facts::utc_now;
pub use profiling::Profiling;
pub use surroundings::Surroundings;

use crate::agent::{AgentError, Agents, Fleet};
use crate::clock::Clock;
use crate::compare;
use crate::host;
use crate::load::FanoutError;
use crate::measure::syscalls::Entrance;
use crate::record::{self, METHOD, Run, SCHEMA, Trial, Voided};
use crate::scenario::plan::{Block, Plan};
use crate::scenario::problem::Problems;
use crate::scenario::spec::{Arm, Fsync, Measure, Scenario};
use crate::scenario::{self, InBuild};
use crate::target::{Launch, LaunchError};
use crate::units::Nanos;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use surroundings::ThisHost;
use validity::{Decision, Repeats};

/// Blocks that may be lost with an agent; whatever loses more than these is not a run.
const VOIDED_MAX: usize = 3;
/// How long is tried to get lost agents back, and how often.
const REOPENED_WITHIN: Nanos = Nanos::from_millis(30_000);
const REOPENING_PAUSE: Nanos = Nanos::from_millis(500);

/// Why this program cannot run `scenario`, read from `file_name`, on this host; nothing if it can.
pub fn missing(file_name: &str, scenario: &Scenario) -> Option<Problems> {
    let build = InBuild {
        rocksdb: cfg!(feature = "rocksdb"),
        counted_allocations: cfg!(feature = "count-allocations"),
    };
    scenario::missing(file_name, scenario, build)
}

/// What the command line decides about a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The scenario's path, for the record.
    pub path: String,
    /// Whether the plan was shortened by `--quick`.
    pub quick: bool,
    /// Whether system calls are counted even if the scenario judges none.
    pub count_syscalls: bool,
    /// Which profiles to take, if any.
    pub profile: Option<Profiling>,
    /// Folder under which the data folders of trials live and vanish.
    pub scratch: PathBuf,
    /// Who offers the load; this process if none is named.
    pub agents: Agents,
    /// Set to end the run early; what is finished is kept.
    pub interrupted: Arc<AtomicBool>,
}

/// Where a run is, for whoever watches it.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress<'a> {
    /// What happens now, e.g. `saturate@50 before`.
    pub doing: &'a str,
    /// Pair in progress, from 1.
    pub pair: u32,
    /// Pairs planned as things stand.
    pub pairs: u32,
    /// Steps done.
    pub done: u64,
    /// Steps planned as things stand.
    pub planned: u64,
    /// The first target's metric with its ratio so far.
    pub ratio: Option<f64>,
}

/// Watches a run.
pub trait Watcher {
    /// Called before every step; cheap.
    fn progress(&mut self, progress: &Progress<'_>);

    /// A measurement begins, and ends within `longest` and the time that answers under way take; after that the system hangs.
    fn measuring(&mut self, place: &str, longest: Nanos) {
        let _ = (place, longest);
    }

    /// It has ended.
    fn measured(&mut self) {}

    /// Everything measured so far, as a record that can be judged; called after each block.
    fn kept(&mut self, run: Run) {
        drop(run);
    }
}

/// What a run leaves.
#[derive(Debug)]
pub struct Finished {
    /// The record.
    pub run: Run,
    /// Files for the bundle besides the record: folded stacks and flame graphs.
    pub files: Vec<(String, Vec<u8>)>,
    /// Why the run ended early, if the system or the host failed; what was finished before is kept.
    pub failure: Option<RunError>,
}

/// Why a run could not go on. Not a verdict: the system or the host failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A system would not start.
    #[error("arm {arm}: {source}")]
    Launch {
        /// Which arm.
        arm: String,
        /// Why.
        source: LaunchError,
    },
    /// Requests failed.
    #[error("arm {arm}, {cell}: operations failed: {errors}, the first with: {first}")]
    Operations {
        /// Which arm.
        arm: String,
        /// `phase@clients`.
        cell: String,
        /// How many.
        errors: u64,
        /// The first error.
        first: String,
    },
    /// Watchers were not given everything.
    #[error("arm {arm}, {cell}: {source}")]
    Watchers {
        /// Which arm.
        arm: String,
        /// `phase@clients`.
        cell: String,
        /// Why.
        source: FanoutError,
    },
    /// The load could not be offered.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// Others used the host, and the scenario wants no run then.
    #[error("the host was disturbed in block {block}: {reason}")]
    Disturbed {
        /// Which block, from 0.
        block: u32,
        /// By what.
        reason: String,
    },
    /// The host would not give a thread or a folder.
    #[error("the host failed: {0}")]
    Host(#[from] std::io::Error),
}

/// Runs `scenario` as planned on what `launch` starts.
pub fn run<L: Launch>(
    scenario: &Scenario,
    options: &Options,
    launch: &L,
    watcher: &mut dyn Watcher,
) -> Result<Finished, RunError> {
    let has_synced_log = scenario.arms.iter().any(syncs_a_log_here);
    let synced = has_synced_log.then_some(options.scratch.as_path());
    let has_agents = !options.agents.addresses.is_empty();
    let mut host = ThisHost::new(Clock::start(), synced, has_agents)?;
    run_amid(scenario, options, launch, watcher, &mut host)
}

/// As [`run`], on a host that `surroundings` tells of.
pub fn run_amid<L: Launch>(
    scenario: &Scenario,
    options: &Options,
    launch: &L,
    watcher: &mut dyn Watcher,
    surroundings: &mut dyn Surroundings,
) -> Result<Finished, RunError> {
    let clock = Clock::start();
    let plan = Plan::of(scenario);
    let has_agents = !options.agents.addresses.is_empty();
    let fleet = has_agents.then(|| Fleet::open(&options.agents, clock)).transpose()?;
    let mut run = empty_record(scenario, options, launch)?;
    run.agents = fleet
        .as_ref()
        .map_or_else(Vec::new, |fleet| fleet.hosts().iter().map(facts::agent_host).collect());
    let mut stage = Stage::new(scenario, options, launch, clock, &plan, watcher, surroundings);
    stage.fleet = fleet;
    stage.entrance = entrance(scenario, options);
    run.counts_syscalls = matches!(stage.entrance, Some(Ok(_)));
    let (files, failure) = match stage.all(&mut run) {
        Ok(files) => (files, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    run.complete = failure.is_none() && !stage.stopped();
    run.checks.extend(checks::of_trials(&run));
    run.checks.extend(sampled::of_lost(&stage.lost_wrong));
    warnings::add(&mut run);
    if let Some(error) = &failure {
        run.warnings.push(record::Warning::Failed { reason: error.to_string() });
    }
    run.elapsed_s = clock.now().as_secs_f64();
    Ok(Finished { run, files, failure })
}

/// Where system calls are counted, if anybody asks for them; or why they cannot be.
fn entrance(scenario: &Scenario, options: &Options) -> Option<Result<Entrance, String>> {
    let is_asked =
        options.count_syscalls || scenario.judges(|measure| measure == Measure::SyscallsPerOp);
    let open = || match options.agents.addresses.is_empty() {
        true => Entrance::open().map_err(|why| why.to_string()),
        false => {
            Err("the load's are made on the agents' machines (run without --agents)".to_owned())
        }
    };
    is_asked.then(open)
}

/// Takes the profiles of `options` and nothing else: the record has no trials.
pub fn profile<L: Launch>(
    scenario: &Scenario,
    options: &Options,
    launch: &L,
    watcher: &mut dyn Watcher,
) -> Result<Finished, RunError> {
    let clock = Clock::start();
    let mut host = ThisHost::new(Clock::start(), None, false)?;
    let (mut run, plan) = (empty_record(scenario, options, launch)?, Plan::of(scenario));
    let mut stage = Stage::new(scenario, options, launch, clock, &plan, watcher, &mut host);
    stage.pairs = 0;
    let wanted = options.profile.clone().unwrap_or_default();
    let files = profiling::profiles(&mut stage, &wanted, &mut run)?;
    run.complete = !stage.stopped();
    warnings::add(&mut run);
    run.elapsed_s = clock.now().as_secs_f64();
    Ok(Finished { run, files, failure: None })
}

/// Whether what an arm runs syncs its log under the data folder. Servers that run already have theirs elsewhere.
fn syncs_a_log_here(arm: &Arm) -> bool {
    let system = &arm.system;
    system.layer.has_log() && system.fsync == Fsync::Real && system.etcd.endpoints.is_empty()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Complete,
    Early,
}

/// What every part of a run needs, and where it is.
struct Stage<'a, L> {
    scenario: &'a Scenario,
    options: &'a Options,
    launch: &'a L,
    clock: Clock,
    /// Who offers the load, if not this process.
    fleet: Option<Fleet>,
    /// Where system calls are counted, or why they cannot be; none where nobody asks.
    entrance: Option<Result<Entrance, String>>,
    watcher: &'a mut dyn Watcher,
    surroundings: &'a mut dyn Surroundings,
    /// What is left of measuring again.
    repeats: Repeats,
    /// What was wrong with answers of a measurement that failed, so that its trial is not kept.
    lost_wrong: Vec<String>,
    plan: &'a Plan,
    /// Steps done, steps apart from the blocks, and pairs planned, for the progress.
    done: u64,
    apart: u64,
    pairs: u32,
    pair: u32,
    ratio: Option<f64>,
}

impl<'a, L: Launch> Stage<'a, L> {
    fn new(
        scenario: &'a Scenario,
        options: &'a Options,
        launch: &'a L,
        clock: Clock,
        plan: &'a Plan,
        watcher: &'a mut dyn Watcher,
        surroundings: &'a mut dyn Surroundings,
    ) -> Stage<'a, L> {
        Stage {
            scenario,
            options,
            launch,
            clock,
            fleet: None,
            entrance: None,
            watcher,
            surroundings,
            repeats: Repeats::of(scenario.trials, plan),
            lost_wrong: Vec::new(),
            plan,
            done: 0,
            apart: options.profile.as_ref().map_or(0, |wanted| profiling::steps(scenario, wanted)),
            pairs: plan.pairs_min,
            pair: 0,
            ratio: None,
        }
    }

    /// Everything there is to run; gives the files of the profiles.
    fn all(&mut self, run: &mut Run) -> Result<Vec<(String, Vec<u8>)>, RunError> {
        if self.blocks(run)? == Ended::Early {
            return Ok(Vec::new());
        }
        run.checks.extend(checks::same_state(self)?);
        match &self.options.profile {
            Some(wanted) if !self.stopped() => profiling::profiles(self, wanted, run),
            _ => Ok(Vec::new()),
        }
    }

    /// Runs blocks until the intervals are narrow enough, the plan is used up, or the run is stopped.
    fn blocks(&mut self, run: &mut Run) -> Result<Ended, RunError> {
        let trials = self.scenario.trials;
        let mut looks = compare::looks(trials.pairs_min, trials.pairs_max);
        self.pairs = looks.next().unwrap_or(trials.pairs_min);
        for block in &self.plan.blocks {
            if block.index == self.pairs {
                if compare::precision_reached(run) {
                    break;
                }
                self.pairs = looks.next().unwrap_or(trials.pairs_max);
            }
            self.pair = block.index + 1;
            match self.block(block, run)? {
                Some(trials) => run.trials.extend(trials),
                None => return Ok(Ended::Early),
            }
            self.ratio = ratio_so_far(run);
            self.keep(run);
        }
        Ok(Ended::Complete)
    }

    /// Hands over what there is, with all that is known against it: should the rest of the run be lost, this is the record.
    fn keep(&mut self, run: &Run) {
        let mut so_far = run.clone();
        so_far.checks.extend(checks::of_trials(&so_far));
        warnings::add(&mut so_far);
        so_far.elapsed_s = self.clock.now().as_secs_f64();
        self.watcher.kept(so_far);
    }

    /// Runs a block, anew if an agent was lost in it or the host was disturbed: then nothing that was measured in it counts.
    fn block(&mut self, block: &Block, run: &mut Run) -> Result<Option<Vec<Trial>>, RunError> {
        let (done, mut attempt) = (self.done, 1);
        loop {
            self.done = done;
            self.surroundings.begin();
            match block::run(self, block) {
                Err(RunError::Agent(lost @ AgentError::Lost { .. })) => {
                    self.give_up(block, run, lost)?;
                }
                Ok(Some(trials)) => match self.finished(block, attempt, trials, run)? {
                    None => attempt += 1,
                    trials => return Ok(trials),
                },
                other => return other,
            }
        }
    }

    /// Voids a block that lost an agent, and waits for the agent.
    fn give_up(&mut self, block: &Block, run: &mut Run, lost: AgentError) -> Result<(), RunError> {
        let (reason, trials) = (lost.to_string(), Vec::new());
        run.voided.push(Voided { block: block.index, reason, host: None, trials });
        self.tell("waiting for a lost agent");
        let lost_so_far = run.voided.iter().filter(|voided| voided.host.is_none()).count();
        if lost_so_far > VOIDED_MAX || !self.reopen() {
            return Err(lost.into());
        }
        Ok(())
    }

    /// Notes what the host did in a finished block; gives its trials back if they count.
    fn finished(
        &mut self,
        block: &Block,
        attempt: u32,
        trials: Vec<Trial>,
        run: &mut Run,
    ) -> Result<Option<Vec<Trial>>, RunError> {
        let span = self.surroundings.end();
        let host = validity::facts(block.index, attempt, span, &trials, run.host.cores);
        let decision = self.repeats.decide(&host);
        if decision == Decision::Keep {
            run.blocks.push(host);
            return Ok(Some(trials));
        }
        let (block, reason) = (block.index, validity::reason(&host));
        run.voided.push(Voided { block, reason: reason.clone(), host: Some(host), trials });
        if decision == Decision::Abort {
            return Err(RunError::Disturbed { block, reason });
        }
        self.tell("again, since the host was disturbed");
        Ok(None)
    }

    /// Connects to the agents again, for a while; whether that worked.
    fn reopen(&mut self) -> bool {
        let Some(fleet) = &mut self.fleet else { return false };
        let began = self.clock.now();
        while fleet.reopen().is_err() {
            let is_too_late = self.clock.now().since(began) > REOPENED_WITHIN;
            if is_too_late || self.options.interrupted.load(Ordering::Relaxed) {
                return false;
            }
            self.clock.sleep(REOPENING_PAUSE);
        }
        true
    }

    /// Relaxed: the flag carries no data.
    fn stopped(&self) -> bool {
        self.options.interrupted.load(Ordering::Relaxed)
    }

    /// Tells the watcher that the next step begins.
    fn step(&mut self, doing: &str) {
        self.tell(doing);
        self.done += 1;
    }

    fn tell(&mut self, doing: &str) {
        let cells_per_block = |blocks: u32| -> u64 {
            let blocks = self.plan.blocks.iter().take(blocks as usize);
            blocks.map(|block| (block.trials.len() * self.plan.cells_per_trial) as u64).sum()
        };
        self.watcher.progress(&Progress {
            doing,
            pair: self.pair,
            pairs: self.pairs,
            done: self.done,
            planned: cells_per_block(self.pairs) + self.apart,
            ratio: self.ratio,
        });
    }
}

fn ratio_so_far(run: &Run) -> Option<f64> {
    let comparison = compare::compare(run);
    match comparison.verdicts.first() {
        Some(verdict) => verdict.estimate.map(|estimate| estimate.ratio),
        None => comparison.phases.first()?.rows.last().map(|row| row.ratio.ratio),
    }
}

fn empty_record<L: Launch>(
    scenario: &Scenario,
    options: &Options,
    launch: &L,
) -> Result<Run, RunError> {
    let trials = scenario.trials;
    Ok(Run {
        schema: SCHEMA,
        method: METHOD,
        kvbench_version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: facts::utc_now(),
        elapsed_s: 0.0,
        complete: false,
        quick: options.quick,
        counts_syscalls: false,
        scenario: facts::scenario_text(scenario, &options.path),
        host: host::facts(&options.scratch)?,
        build: host::build(),
        arms: scenario.arms.iter().map(|arm| facts::arm(launch, arm)).collect(),
        both_ways: scenario.both_ways.iter().map(facts::step).collect(),
        targets: scenario.targets.iter().map(facts::target).collect(),
        gates: scenario.gates.iter().map(facts::gate).collect(),
        plan: record::Plan {
            pairs_min: trials.pairs_min,
            pairs_max: trials.pairs_max,
            precision: trials.precision,
            precision_required: trials.precision_required,
            on_disturbed: trials.on_disturbed.to_string(),
        },
        agents: Vec::new(),
        voided: Vec::new(),
        blocks: Vec::new(),
        trials: Vec::new(),
        checks: Vec::new(),
        profiles: Vec::new(),
        lock_profiles: Vec::new(),
        off_cpu: Vec::new(),
        off_cpu_absent: None,
        warnings: Vec::new(),
    })
}
