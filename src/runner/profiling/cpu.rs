//! Where CPU time goes.

use super::{Files, Offered, Subject, keep};
use crate::load;
use crate::measure::cpu::CpuSample;
use crate::profile::{self, Doing, Folded, ProfileError, Sampled, Session};
use crate::record::{Profile, Run};
use crate::runner::{RunError, Stage};
use crate::scenario::spec::Arm;
use crate::target::Launch;
use crate::units::Nanos;

/// What was seen of one arm.
pub(super) struct Profiled {
    arm: String,
    folded: Folded,
    cpu: Nanos,
    ops: u64,
    elapsed: Nanos,
}

impl Profiled {
    fn sampled(&self) -> Sampled<'_> {
        Sampled { folded: &self.folded, time: self.cpu, ops: self.ops }
    }
}

/// Samples one arm.
pub(super) fn profile<L: Launch>(
    stage: &mut Stage<'_, L>,
    arm: &Arm,
    offered: &Offered,
    frequency_hz: u16,
) -> Result<Result<Profiled, ProfileError>, RunError> {
    let subject = Subject::start(stage, arm, offered)?;
    let mut sampler = Sampler::new(frequency_hz);
    let seen = subject.load(stage, &mut sampler)?;
    Ok(sampler.finished().map(|(folded, cpu)| Profiled {
        arm: arm.name.clone(),
        folded,
        cpu,
        ops: seen.recorder.ops(),
        elapsed: seen.elapsed,
    }))
}

/// Samples exactly the measured span.
struct Sampler {
    frequency_hz: u16,
    session: Option<Result<Session, ProfileError>>,
    cpu_before: CpuSample,
    result: Option<Result<Folded, ProfileError>>,
    cpu: Nanos,
}

impl load::Watcher for Sampler {
    fn begin(&mut self) {
        self.cpu_before = CpuSample::now();
        self.session = Some(Session::start(self.frequency_hz));
    }

    fn end(&mut self) {
        let used = CpuSample::now().since(&self.cpu_before);
        self.cpu = Nanos(used.values().map(|used| used.cpu_ns).sum());
        self.result = self.session.take().map(|session| session.and_then(Session::finish));
    }
}

impl Sampler {
    fn new(frequency_hz: u16) -> Sampler {
        let (session, result, cpu) = (None, None, Nanos::ZERO);
        Sampler { frequency_hz, session, cpu_before: CpuSample::default(), result, cpu }
    }

    fn finished(self) -> Result<(Folded, Nanos), ProfileError> {
        let folded = self.result.unwrap_or(Err(ProfileError::Idle))?;
        if folded.samples() == 0 {
            return Err(ProfileError::Idle);
        }
        Ok((folded, self.cpu))
    }
}

/// Notes the arms in `run` and draws them, and what lies between them.
pub(super) fn draw(
    run: &mut Run,
    arms: Vec<Result<Profiled, ProfileError>>,
    clients: u32,
    frequency_hz: u16,
    files: &mut Files,
) {
    let mut profiled = Vec::new();
    for arm in arms {
        let drawing = arm.and_then(|arm| {
            let drawing = draw_one(run, &arm, clients, frequency_hz);
            profiled.push(arm);
            drawing
        });
        keep(run, files, drawing);
    }
    if let [before, after] = profiled.as_slice() {
        let drawing = draw_diff(run, before, after);
        keep(run, files, drawing);
    }
}

fn draw_one(
    run: &mut Run,
    one: &Profiled,
    clients: u32,
    frequency_hz: u16,
) -> Result<Files, ProfileError> {
    let folded_file = format!("{}.folded", one.arm);
    let flame_file = format!("flame-{}.svg", one.arm);
    let pprof_file = format!("cpu-{}.pb.gz", one.arm);
    let title = format!("{}: {} on CPU, {clients} clients", run.scenario.name, one.arm);
    let busy = one.cpu.as_secs_f64() / one.elapsed.as_secs_f64();
    let subtitle = format!(
        "{} samples in {}, {busy:.2} cores busy; waiting threads are not sampled",
        one.folded.samples(),
        one.elapsed
    );
    let svg = profile::flame(&title, &subtitle, Doing::OnCpu, &one.folded)?;
    let pprof = one.folded.pprof(one.cpu, one.elapsed.as_secs_f64())?;
    run.profiles.push(Profile {
        arm: one.arm.clone(),
        clients,
        elapsed_s: one.elapsed.as_secs_f64(),
        ops: one.ops,
        samples: one.folded.samples(),
        frequency_hz: u32::from(frequency_hz),
        cpu_ns: one.cpu.0,
        folded_file: folded_file.clone(),
        flame_file: flame_file.clone(),
        pprof_file: Some(pprof_file.clone()),
    });
    let folded = one.folded.to_text().into_bytes();
    Ok(vec![(folded_file, folded), (flame_file, svg), (pprof_file, pprof)])
}

fn draw_diff(run: &Run, before: &Profiled, after: &Profiled) -> Result<Files, ProfileError> {
    let names = (&after.arm, &before.arm);
    let title =
        format!("{}: {} against {}, CPU per operation", run.scenario.name, names.0, names.1);
    let subtitle =
        format!("widths: {}, ns CPU per op; red: more than {}, blue: less", names.0, names.1);
    let (before, after) = (before.sampled(), after.sampled());
    let svg = profile::flame_diff(&title, &subtitle, Doing::OnCpu, before, after)?;
    Ok(vec![("flame-diff.svg".to_owned(), svg)])
}
