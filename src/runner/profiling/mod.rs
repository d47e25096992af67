//! Sampling profiles of `before` and `after`, in trials of their own: a measured trial is never profiled.

use super::{RunError, Stage, prepare};
use crate::load::{self, Fanout, Pace, Share, Span};
use crate::measure::cpu::CpuSample;
use crate::profile::{self, Folded, ProfileError, Sampled, Session};
use crate::record::{Profile, Run, Warning};
use crate::scenario::spec::{Arm, Scenario};
use crate::target::{Launch, Target};
use crate::units::Nanos;
use crate::workload::Workload;

/// Length of one profile; an idle arm gives few samples per second, so it takes a while to fill a picture.
const SPAN: Nanos = Nanos::from_millis(3000);
const SPAN_QUICK: Nanos = Nanos::from_millis(1000);
const WARMUP: Nanos = Nanos::from_millis(100);

struct Profiled {
    arm: String,
    folded: Folded,
    cpu: Nanos,
    ops: u64,
    elapsed: Nanos,
}

impl Profiled {
    fn sampled(&self) -> Sampled<'_> {
        Sampled { folded: &self.folded, cpu: self.cpu, ops: self.ops }
    }
}

/// Profiles both arms, notes them in `run`, and gives the files for the bundle. A sampler that does not work is a
/// warning, not the end of the run.
pub(super) fn profiles<L: Launch>(
    stage: &mut Stage<'_, L>,
    run: &mut Run,
) -> Result<Vec<(String, Vec<u8>)>, RunError> {
    let (clients, scenario) = (clients(stage.scenario), stage.scenario);
    if scenario.before().system.layer.is_remote() {
        let reason =
            "the servers are processes of their own, and what can be sampled here is the load";
        run.warnings.push(Warning::NoProfile { reason: reason.to_owned() });
        return Ok(Vec::new());
    }
    let mut profiled = Vec::new();
    for arm in [scenario.before(), scenario.after()] {
        stage.step(&format!("profiling {}", arm.name));
        match profile(stage, arm, clients)? {
            Ok(one) => profiled.push(one),
            Err(error) => run.warnings.push(Warning::NoProfile { reason: error.to_string() }),
        }
        if stage.stopped() {
            return Ok(Vec::new());
        }
    }
    let mut files = Vec::new();
    for one in &profiled {
        match draw(run, one, clients) {
            Ok(drawn) => files.extend(drawn),
            Err(error) => run.warnings.push(Warning::NoProfile { reason: error.to_string() }),
        }
    }
    if let [before, after] = profiled.as_slice() {
        match draw_diff(run, before, after) {
            Ok(svg) => files.push(("flame-diff.svg".to_owned(), svg)),
            Err(error) => run.warnings.push(Warning::NoProfile { reason: error.to_string() }),
        }
    }
    Ok(files)
}

/// As many as there are where the first target looks; else none, so that the picture is of the operations.
fn watchers(scenario: &Scenario) -> u32 {
    let Some(metric) = scenario.targets.iter().find_map(|target| target.metric()) else { return 0 };
    let named = scenario.phases.iter().find(|phase| phase.name == metric.phase);
    named.map_or(0, |phase| phase.watchers)
}

/// Where the first target looks, else the largest client count: profiles are taken in a closed loop.
fn clients(scenario: &Scenario) -> u32 {
    let metrics = scenario.targets.iter().filter_map(|target| target.metric());
    let named = metrics.filter_map(|metric| metric.clients).next();
    let largest = scenario.phases.iter().flat_map(|phase| &phase.clients).max().copied();
    named.or(largest).unwrap_or(1)
}

fn profile<L: Launch>(
    stage: &Stage<'_, L>,
    arm: &Arm,
    clients: u32,
) -> Result<Result<Profiled, ProfileError>, RunError> {
    let folder = tempfile::Builder::new().prefix("profile-").tempdir_in(&stage.options.scratch)?;
    let target = prepare::start_target(stage, arm, &prepare::data_folder(folder.path()))?;
    prepare::fill(stage, &target, &arm.name)?;
    let workload = Workload::of(stage.scenario);
    let duration = if stage.options.quick { SPAN_QUICK } else { SPAN };
    let seed = stage.scenario.seed.child("profile", 0);
    let pace = Pace::Closed { think: Nanos::ZERO };
    let span = Span { clients, share: Share::ALL, pace, warmup: WARMUP, duration, seed };
    let mut sampler = Sampler::default();
    let stop = &stage.options.interrupted;
    let watchers = watchers(stage.scenario);
    let watching = || Fanout::start(&target.watched(), watchers, stage.clock);
    let fanout = (watchers > 0).then(watching).transpose().map_err(|source| {
        RunError::Watchers { arm: arm.name.clone(), cell: "profile".to_owned(), source }
    })?;
    let seen = load::offer(&target, &workload, &span, stage.clock, stop, &mut sampler)?;
    drop(fanout);
    if let Some(first) = seen.first_error {
        let errors = seen.recorder.errors();
        let cell = "profile".to_owned();
        return Err(RunError::Operations { arm: arm.name.clone(), cell, errors, first });
    }
    Ok(sampler.finished().map(|(folded, cpu)| Profiled {
        arm: arm.name.clone(),
        folded,
        cpu,
        ops: seen.recorder.ops(),
        elapsed: seen.elapsed,
    }))
}

/// Samples exactly the measured span.
#[derive(Default)]
struct Sampler {
    session: Option<Result<Session, ProfileError>>,
    cpu_before: CpuSample,
    result: Option<Result<Folded, ProfileError>>,
    cpu: Nanos,
}

impl load::Watcher for Sampler {
    fn begin(&mut self) {
        self.cpu_before = CpuSample::now();
        self.session = Some(Session::start());
    }

    fn end(&mut self) {
        let used = CpuSample::now().since(&self.cpu_before);
        self.cpu = Nanos(used.values().map(|used| used.cpu_ns).sum());
        self.result = self.session.take().map(|session| session.and_then(Session::finish));
    }
}

impl Sampler {
    fn finished(self) -> Result<(Folded, Nanos), ProfileError> {
        let folded = self.result.unwrap_or(Err(ProfileError::Idle))?;
        if folded.samples() == 0 {
            return Err(ProfileError::Idle);
        }
        Ok((folded, self.cpu))
    }
}

fn draw(
    run: &mut Run,
    one: &Profiled,
    clients: u32,
) -> Result<Vec<(String, Vec<u8>)>, ProfileError> {
    let folded_file = format!("{}.folded", one.arm);
    let flame_file = format!("flame-{}.svg", one.arm);
    let title = format!("{}: {} on CPU, {clients} clients", run.scenario.name, one.arm);
    let busy = one.cpu.as_secs_f64() / one.elapsed.as_secs_f64();
    let subtitle = format!(
        "{} samples in {}, {busy:.2} cores busy; waiting threads are not sampled",
        one.folded.samples(),
        one.elapsed
    );
    let svg = profile::flame(&title, &subtitle, &one.folded)?;
    run.profiles.push(Profile {
        arm: one.arm.clone(),
        clients,
        elapsed_s: one.elapsed.as_secs_f64(),
        ops: one.ops,
        samples: one.folded.samples(),
        frequency_hz: profile::FREQUENCY_HZ,
        cpu_ns: one.cpu.0,
        folded_file: folded_file.clone(),
        flame_file: flame_file.clone(),
    });
    Ok(vec![(folded_file, one.folded.to_text().into_bytes()), (flame_file, svg)])
}

fn draw_diff(run: &Run, before: &Profiled, after: &Profiled) -> Result<Vec<u8>, ProfileError> {
    let title = format!("{}: after against before, CPU per operation", run.scenario.name);
    let subtitle = "widths: after, ns CPU per op; red: more than before, blue: less";
    profile::flame_diff(&title, subtitle, before.sampled(), after.sampled())
}
