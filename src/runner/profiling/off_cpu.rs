//! What threads wait for when they are not on a CPU, where the machine lets that be seen.

use super::{Files, Offered, Subject};
use crate::load;
use crate::measure::cpu::{CpuSample, ROLES};
use crate::profile::{self, Doing, Folded, NoOffCpu, OffCpu, ProfileError, Sampled};
use crate::record::{OffCpuProfile, Run};
use crate::runner::{RunError, Stage};
use crate::scenario::spec::Arm;
use crate::target::Launch;
use crate::units::Nanos;
use std::path::Path;

/// What was seen of one arm.
pub(super) struct Profiled {
    arm: String,
    folded: Folded,
    ops: u64,
    elapsed: Nanos,
}

/// Records one arm's switches; or why that cannot be.
pub(super) fn profile<L: Launch>(
    stage: &mut Stage<'_, L>,
    arm: &Arm,
    offered: &Offered,
) -> Result<Result<Profiled, NoOffCpu>, RunError> {
    let subject = Subject::start(stage, arm, offered)?;
    let folder = tempfile::Builder::new().prefix("perf-").tempdir_in(&stage.options.scratch)?;
    let mut recorder = Recorder { folder: folder.path(), span: offered.duration, state: None };
    let seen = subject.load(stage, &mut recorder)?;
    let folded = match recorder.state {
        Some((Ok(recording), threads)) => {
            recording.finish(|thread| threads.role_of(u64::from(thread)))
        }
        Some((Err(why), _)) => Err(why),
        None => Err(NoOffCpu::Nothing),
    };
    Ok(folded.map(|folded| Profiled {
        arm: arm.name.clone(),
        folded,
        ops: seen.recorder.ops(),
        elapsed: seen.elapsed,
    }))
}

/// Records the measured span.
struct Recorder<'a> {
    folder: &'a Path,
    span: Nanos,
    state: Option<(Result<OffCpu, NoOffCpu>, CpuSample)>,
}

impl load::Watcher for Recorder<'_> {
    fn begin(&mut self) {
        let threads = CpuSample::now();
        self.state = Some((OffCpu::start(self.folder, &ROLES, self.span), threads));
    }

    fn end(&mut self) {}
}

/// Notes the arms in `run` and draws them, and what lies between the first and the last.
pub(super) fn draw(
    run: &mut Run,
    arms: &[Profiled],
    clients: u32,
    files: &mut Files,
) -> Result<(), ProfileError> {
    for one in arms {
        let folded_file = format!("{}-off-cpu.folded", one.arm);
        let flame_file = format!("flame-off-cpu-{}.svg", one.arm);
        let title = format!("{}: {} off CPU, {clients} clients", run.scenario.name, one.arm);
        let subtitle = format!(
            "ns that threads were not on a CPU within {}, by what they left it for; the last frames are the kernel's",
            one.elapsed
        );
        files.push((
            flame_file.clone(),
            profile::flame(&title, &subtitle, Doing::OffCpu, &one.folded)?,
        ));
        files.push((folded_file.clone(), one.folded.to_text().into_bytes()));
        run.off_cpu.push(OffCpuProfile {
            arm: one.arm.clone(),
            clients,
            elapsed_s: one.elapsed.as_secs_f64(),
            ops: one.ops,
            off_cpu_ns: one.folded.samples(),
            folded_file,
            flame_file,
        });
    }
    if let [before, .., after] = arms {
        let title = format!(
            "{}: {} against {}, off CPU per operation",
            run.scenario.name, after.arm, before.arm
        );
        let subtitle = format!(
            "widths: {}, ns off CPU per op; red: more than {}, blue: less",
            after.arm, before.arm
        );
        let sampled =
            |one: &'_ Profiled| -> (Nanos, u64) { (Nanos(one.folded.samples()), one.ops) };
        let [(before_ns, before_ops), (after_ns, after_ops)] = [sampled(before), sampled(after)];
        let svg = profile::flame_diff(
            &title,
            &subtitle,
            Doing::OffCpu,
            Sampled { folded: &before.folded, time: before_ns, ops: before_ops },
            Sampled { folded: &after.folded, time: after_ns, ops: after_ops },
        )?;
        files.push(("flame-off-cpu-diff.svg".to_owned(), svg));
    }
    Ok(())
}
