//! `kvbench profile`: where the time of an arm goes, without measuring how fast it is.

use super::progress::Shown;
use super::report::{self, Files};
use super::run::{scratch_in, with_hint};
use super::{Exit, OverrideArgs, Terminal, load};
use crate::compare;
use crate::profile::FREQUENCY_HZ;
use crate::record::Run;
use crate::record::bundle::Bundle;
use crate::report::profiles;
use crate::report::words::plain;
use crate::runner::{self, Profiling};
use crate::scenario::spec::Scenario;
use crate::target::Builtin;
use crate::units::Nanos;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench profile scenarios/put_parallel.toml                        before, after, and what changed
  kvbench profile scenarios/store_put.toml --clients 8 --seconds 5   at another load, for longer
  kvbench profile scenarios/put_parallel.toml --arm rung-1           one arm alone

On CPU, waiting for locks, and off CPU where perf is allowed: flame graphs, folded stacks, and profile.proto files for `go tool pprof`, Speedscope
or Pyroscope. A profile says where time goes, never how fast an arm is: that is `kvbench run`.")]
pub(super) struct ProfileArgs {
    /// Scenario file
    scenario: PathBuf,
    #[command(flatten)]
    overrides: OverrideArgs,
    /// Arm to profile, may be repeated [default: the first and the last]
    #[arg(long, value_name = "NAME")]
    arm: Vec<String>,
    /// Phase whose clients and watchers there are [default: that of the first target]
    #[arg(long, value_name = "NAME")]
    phase: Option<String>,
    /// Clients, in a closed loop [default: those of the first target]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: Option<u32>,
    /// Samples per second of CPU time; kernels with a 250 Hz tick give no more
    #[arg(long, value_name = "N", default_value_t = FREQUENCY_HZ, value_parser = clap::value_parser!(u16).range(1..=1000))]
    hz: u16,
    /// Length of each profile, seconds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Folder for bundles
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    out: PathBuf,
    /// Folder for the data of nodes while they run [default: that of --out]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Print the record as JSON in place of the summary
    #[arg(long)]
    json: bool,
}

pub(super) fn profile(args: &ProfileArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let scenario = match load(&args.scenario, &args.overrides) {
        Ok(scenario) => scenario,
        Err(problems) => {
            writeln!(terminal.err, "{problems}")?;
            return Ok(Exit::Usage);
        }
    };
    let lacking = runner::missing(&args.scenario.display().to_string(), &scenario);
    if let Some(wrong) = lacking.map(|problems| problems.to_string()).or(wrong(args, &scenario)) {
        writeln!(terminal.err, "{wrong}")?;
        return Ok(Exit::Usage);
    }
    let scratch = scratch_in(&args.out, args.data.as_deref())?;
    let options = runner::Options {
        path: args.scenario.display().to_string(),
        quick: args.overrides.quick,
        count_syscalls: false,
        profile: Some(wanted(args)),
        scratch: scratch.path().to_path_buf(),
        agents: Default::default(),
        interrupted: terminal.interrupted.clone(),
    };
    let finished = {
        let mut shown = Shown::new(terminal.live, terminal.err);
        let launch = Builtin { program: std::env::current_exe()? };
        runner::profile(&scenario, &options, &launch, &mut shown)
            .map_err(|error| with_hint(&error, &options))?
    };
    let bundle = Bundle::create(&args.out, &finished.run)?;
    bundle.write_run(&finished.run)?;
    for (name, bytes) in &finished.files {
        bundle.write(name, bytes)?;
    }
    let files = Files::of_run(&finished);
    report::write_all(&bundle, &finished.run, &compare::compare(&finished.run), &files)?;
    match args.json {
        true => report::print_record(&finished.run, terminal)?,
        false => print(&finished.run, &finished.files, &bundle, terminal)?,
    }
    Ok(if finished.run.complete { Exit::Met } else { Exit::Interrupted })
}

fn wanted(args: &ProfileArgs) -> Profiling {
    Profiling {
        arms: args.arm.clone(),
        phase: args.phase.clone(),
        clients: args.clients,
        span: Some(Nanos::from_millis(u64::from(args.seconds) * 1000)),
        frequency_hz: args.hz,
        off_cpu: true,
    }
}

/// A name that the scenario does not know, or servers that cannot be profiled from here.
fn wrong(args: &ProfileArgs, scenario: &Scenario) -> Option<String> {
    let unknown = |option: &str, name: &str, known: Vec<&str>| {
        let (name, known) = (plain(name), known.join(", "));
        Some(format!("error: {option} {name} is not in the scenario\n  hint: it has {known}"))
    };
    let arms = || scenario.arms.iter().map(|arm| arm.name.as_str());
    if let Some(name) = args.arm.iter().find(|name| !arms().any(|arm| arm == **name)) {
        return unknown("--arm", name, arms().collect());
    }
    let phases = || scenario.phases.iter().map(|phase| phase.name.as_str());
    if let Some(name) = args.phase.as_ref().filter(|name| !phases().any(|phase| phase == **name)) {
        return unknown("--phase", name, phases().collect());
    }
    let layer = scenario.before().system.layer;
    layer.is_remote().then(|| {
        format!(
            "error: layer `{layer}` runs in processes of its own, which are not profiled from here\n  \
             hint: --set system.layer=\"raft\" profiles the same path within this process"
        )
    })
}

/// What was seen, and where it lies.
fn print(
    run: &Run,
    files: &[(String, Vec<u8>)],
    bundle: &Bundle,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    for line in profiles::lines(run) {
        writeln!(terminal.out, " {line}")?;
    }
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    let folder = bundle.folder();
    writeln!(terminal.out, "\n {}", folder.join("report.html").display())?;
    writeln!(terminal.out, " beside it: {}", names.join(", "))?;
    Ok(())
}
