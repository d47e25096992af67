//! Profiles of `before` and `after`, in trials of their own: where CPU time goes, and who waits for locks. A measured trial is
//! never profiled, and the two kinds of profile have a trial each, so that neither shows the other's work.

mod cpu;
mod locks;
mod off_cpu;

use super::{RunError, Stage, cell, prepare};
use crate::load::{self, Fanout, Pace, Seen, Share, Span};
use crate::profile::{self, ProfileError};
use crate::record::{Run, Warning};
use crate::scenario::spec::{Arm, Scenario};
use crate::target::{Launch, Target};
use crate::units::Nanos;
use crate::workload::Workload;

/// Which profiles to take, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Profiling {
    /// Names of the arms; the first and the last if none.
    pub arms: Vec<String>,
    /// Name of the phase whose clients and watchers there are; that of the first target if none.
    pub phase: Option<String>,
    /// Clients, in a closed loop; those of the first target, or else the most, if none.
    pub clients: Option<u32>,
    /// Length of each profile; 3 s if none, 1 s of a quick run.
    pub span: Option<Nanos>,
    /// Samples per second of CPU time.
    pub frequency_hz: u16,
    /// Whether to record what threads leave their CPUs for, where that is allowed.
    pub off_cpu: bool,
}

impl Default for Profiling {
    fn default() -> Profiling {
        let frequency_hz = profile::FREQUENCY_HZ;
        let (arms, off_cpu) = (Vec::new(), false);
        Profiling { arms, phase: None, clients: None, span: None, frequency_hz, off_cpu }
    }
}

/// Length of one profile; an idle arm gives few samples per second, so it takes a while to fill a picture.
const SPAN: Nanos = Nanos::from_millis(3000);
const SPAN_QUICK: Nanos = Nanos::from_millis(1000);
const WARMUP: Nanos = Nanos::from_millis(100);

/// The cell that errors name.
const CELL: &str = "profile";

/// Files for the bundle.
type Files = Vec<(String, Vec<u8>)>;

/// Profiles the arms, notes them in `run`, and gives the files for the bundle. A sampler that does not work is a
/// warning, not the end of the run.
pub(super) fn profiles<L: Launch>(
    stage: &mut Stage<'_, L>,
    wanted: &Profiling,
    run: &mut Run,
) -> Result<Files, RunError> {
    if stage.scenario.before().system.layer.is_remote() {
        let reason =
            "the servers are processes of their own, and what can be sampled here is the load";
        run.warnings.push(Warning::NoProfile { reason: reason.to_owned() });
        return Ok(Vec::new());
    }
    let offered = Offered::of(stage.scenario, wanted, stage.options.quick);
    let (mut on_cpu, mut of_locks) = (Vec::new(), Vec::new());
    for arm in arms(stage.scenario, wanted) {
        stage.step(&format!("profiling {}", arm.name));
        on_cpu.push(cpu::profile(stage, arm, &offered, wanted.frequency_hz)?);
        if stage.stopped() {
            return Ok(Vec::new());
        }
        stage.step(&format!("profiling the locks of {}", arm.name));
        match arm.system.instruments {
            true => of_locks.extend(locks::profile(stage, arm, &offered)?),
            false => run.warnings.push(without_clocks(arm)),
        }
        if stage.stopped() {
            return Ok(Vec::new());
        }
    }
    let mut files = Files::new();
    cpu::draw(run, on_cpu, offered.clients, wanted.frequency_hz, &mut files);
    locks::draw(run, &of_locks, &mut files);
    if wanted.off_cpu {
        off_cpu_profiles(stage, wanted, &offered, run, &mut files)?;
    }
    Ok(files)
}

/// What the arms leave their CPUs for. Where one cannot be recorded none can, and the record says why.
fn off_cpu_profiles<L: Launch>(
    stage: &mut Stage<'_, L>,
    wanted: &Profiling,
    offered: &Offered,
    run: &mut Run,
    files: &mut Files,
) -> Result<(), RunError> {
    let mut recorded = Vec::new();
    for arm in arms(stage.scenario, wanted) {
        stage.step(&format!("recording what {} waits for", arm.name));
        match off_cpu::profile(stage, arm, offered)? {
            Ok(one) => recorded.push(one),
            Err(why) => {
                run.off_cpu_absent = Some(why.to_string());
                return Ok(());
            }
        }
        if stage.stopped() {
            return Ok(());
        }
    }
    if let Err(error) = off_cpu::draw(run, &recorded, offered.clients, files) {
        run.warnings.push(Warning::NoProfile { reason: error.to_string() });
    }
    Ok(())
}

fn without_clocks(arm: &Arm) -> Warning {
    let reason = format!("{} has instruments = false, so its locks tell nothing", arm.name);
    Warning::NoProfile { reason }
}

/// Adds what a drawing gave to `files`; if it failed, a warning.
fn keep(run: &mut Run, files: &mut Files, drawing: Result<Files, ProfileError>) {
    match drawing {
        Ok(drawn) => files.extend(drawn),
        Err(error) => run.warnings.push(Warning::NoProfile { reason: error.to_string() }),
    }
}

/// A fresh system of one arm, ready for its load.
struct Subject<T> {
    arm: String,
    target: T,
    span: Span,
    /// They listen as long as it lives.
    _fanout: Option<Fanout>,
    /// Where its files are, as long as it lives.
    _folder: tempfile::TempDir,
}

impl<T: Target> Subject<T> {
    fn start<L: Launch<Target = T>>(
        stage: &Stage<'_, L>,
        arm: &Arm,
        offered: &Offered,
    ) -> Result<Subject<T>, RunError> {
        let scratch = &stage.options.scratch;
        let folder = tempfile::Builder::new().prefix("profile-").tempdir_in(scratch)?;
        let target = prepare::start_target(stage, arm, &prepare::data_folder(folder.path()))?;
        prepare::fill(stage, &target, &arm.name)?;
        let Offered { clients, watchers, duration } = *offered;
        let seed = stage.scenario.seed.child("profile", 0);
        let pace = Pace::Closed { think: Nanos::ZERO };
        let span =
            Span { clients, share: Share::ALL, pace, warmup: WARMUP, duration, seed, sample: None };
        let watching = || Fanout::start(&target.watched(), watchers, stage.clock);
        let fanout = (watchers > 0).then(watching).transpose().map_err(|source| {
            RunError::Watchers { arm: arm.name.clone(), cell: CELL.to_owned(), source }
        })?;
        Ok(Subject { arm: arm.name.clone(), target, span, _fanout: fanout, _folder: folder })
    }

    /// Loads it; `watcher` sees both ends of the measured span.
    fn load<L: Launch<Target = T>>(
        &self,
        stage: &mut Stage<'_, L>,
        watcher: &mut dyn load::Watcher,
    ) -> Result<Seen, RunError> {
        let (workload, stop) = (Workload::of(stage.scenario), &stage.options.interrupted);
        stage.watcher.measuring(&format!("{CELL} {}", self.arm), cell::longest(&self.span));
        let seen = load::offer(&self.target, &workload, &self.span, stage.clock, stop, watcher);
        stage.watcher.measured();
        let seen = seen?;
        match seen.first_error {
            None => Ok(seen),
            Some(first) => Err(RunError::Operations {
                arm: self.arm.clone(),
                cell: CELL.to_owned(),
                errors: seen.recorder.errors(),
                first,
            }),
        }
    }
}

/// The load of all profiles: a closed loop.
struct Offered {
    clients: u32,
    watchers: u32,
    duration: Nanos,
}

impl Offered {
    /// Where the first target looks, unless somebody says otherwise; watchers only where it looks, so that the picture is else of
    /// the operations.
    fn of(scenario: &Scenario, wanted: &Profiling, is_quick: bool) -> Offered {
        let metrics = || scenario.targets.iter().filter_map(|target| target.metric());
        let first = metrics().next().map(|metric| &metric.phase);
        let name = wanted.phase.as_ref().or(first);
        let phase = scenario.phases.iter().find(|phase| Some(&phase.name) == name);
        let most = match (&wanted.phase, phase) {
            (Some(_), Some(phase)) => phase.clients.iter().max().copied(),
            _ => {
                let largest = scenario.phases.iter().flat_map(|phase| &phase.clients).max();
                metrics().filter_map(|metric| metric.clients).next().or(largest.copied())
            }
        };
        Offered {
            clients: wanted.clients.or(most).unwrap_or(1),
            watchers: phase.map_or(0, |phase| phase.watchers),
            duration: wanted.span.unwrap_or(if is_quick { SPAN_QUICK } else { SPAN }),
        }
    }
}

/// How many steps the profiles take: one for each kind and arm.
pub(super) fn steps(scenario: &Scenario, wanted: &Profiling) -> u64 {
    if scenario.before().system.layer.is_remote() {
        return 0;
    }
    let kinds = if wanted.off_cpu { 3 } else { 2 };
    kinds * arms(scenario, wanted).len() as u64
}

/// Those that were named, in the scenario's order.
fn arms<'a>(scenario: &'a Scenario, wanted: &Profiling) -> Vec<&'a Arm> {
    match wanted.arms.as_slice() {
        [] => vec![scenario.before(), scenario.after()],
        named => scenario.arms.iter().filter(|arm| named.contains(&arm.name)).collect(),
    }
}
