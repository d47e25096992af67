//! `kvbench run`: measure, judge, leave a bundle.

use super::progress::Shown;
use super::report::{self, Files};
use super::scoreboard::{self, Form};
use super::scratch::Scratch;
use super::{Exit, ScenarioArgs, Terminal, load_all, mistaken};
use crate::agent::AgentError;
use crate::compare::{self, Comparison, Outcome};
use crate::record::Warning;
use crate::record::bundle::Bundle;
use crate::record::scoreboard::Scoreboard;
use crate::report::scoreboard::Builder;
use crate::runner::{self, Finished, RunError};
use crate::scenario::spec::Scenario;
use crate::target::{Builtin, LaunchError};
use crate::units::{Nanos, parse_nanos};
use clap::Args;
use std::io;
use std::path::{Path, PathBuf};

mod agents;
mod watchdog;

use agents::AgentsArgs;
use watchdog::{Hung, Watched};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench run scenarios/put_parallel.toml            two to three minutes, then a verdict
  kvbench run --quick scenarios/put_parallel.toml    a first impression in half a minute
  kvbench run scenarios/ --set trials.pairs.max=8    every scenario, at most 8 pairs each
  kvbench run scenarios/claims                       every claim, then one scoreboard
  kvbench run scenarios/store_only.toml --json       the record on standard output
  kvbench run s.toml --agents 10.0.0.7:2390          the load from another machine

Ctrl-C ends a run early: what is finished is judged, reported and marked incomplete.")]
pub(super) struct RunArgs {
    #[command(flatten)]
    scenarios: ScenarioArgs,
    /// Take no sampling profiles
    #[arg(long)]
    no_profile: bool,
    /// Count system calls per operation (syscalls_per_op) even if no target or gate is about them; slows each call
    #[arg(long)]
    count_syscalls: bool,
    /// Folder for bundles
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    out: PathBuf,
    /// Folder for the data of nodes while they run; decides which disk is measured [default: that of --out]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Print the record as JSON in place of the report
    #[arg(long)]
    json: bool,
    /// End the run (exit 5, finished blocks are kept) if a measurement takes so much longer than planned: the system hangs
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_nanos)]
    stalled_after: Nanos,
    #[command(flatten)]
    agents: AgentsArgs,
}

pub(super) fn run(args: &RunArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let Some(scenarios) = load_all(&args.scenarios, terminal)? else { return Ok(Exit::Usage) };
    let mut board = Builder::default();
    let scenarios = runnable(args, scenarios, &mut board, terminal)?;
    if scenarios.is_empty() {
        return Ok(Exit::Usage);
    }
    let all = scenarios.iter().map(|(_, scenario)| args.agents.check_for(scenario));
    if let Err(wrong) = args.agents.check().and_then(|()| all.collect::<Result<(), _>>()) {
        return mistaken(&wrong, terminal);
    }
    let (mut exit, mut failed) = (Exit::Met, None);
    for (path, scenario) in &scenarios {
        match run_one(args, path, scenario, &mut board, terminal) {
            Ok(one) => exit = exit.worse(one),
            Err(error) => failed = Some(error),
        }
        if exit == Exit::Interrupted || failed.is_some() {
            break;
        }
    }
    if scenarios.len() > 1 && board.runs() > 0 {
        leave_scoreboard(args, board.finish(), exit, terminal)?;
    }
    failed.map_or(Ok(exit), Err)
}

/// What several runs say together, for whoever reads one page of it.
fn leave_scoreboard(
    args: &RunArgs,
    board: Scoreboard,
    exit: Exit,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let folder = Bundle::create_for("scoreboard", &args.out, &board.started_at)?;
    scoreboard::write(&board, &folder)?;
    if !args.json {
        scoreboard::print(&board, Form::Text, terminal)?;
    }
    let to: &mut dyn io::Write = if args.json { terminal.err } else { terminal.out };
    writeln!(to, " {}   exit {}", folder.folder().join("scoreboard.html").display(), exit.code())?;
    Ok(())
}

/// Those that this build has everything for. What a folder holds besides is left out, with a word; if one that was named
/// lacks something, nothing runs.
fn runnable(
    args: &RunArgs,
    scenarios: Vec<(PathBuf, Scenario)>,
    board: &mut Builder,
    terminal: &mut Terminal<'_>,
) -> io::Result<Vec<(PathBuf, Scenario)>> {
    let mut left = Vec::new();
    let mut named_is_lacking = false;
    for (path, scenario) in scenarios {
        match runner::missing(&path.display().to_string(), &scenario) {
            None => left.push((path, scenario)),
            Some(problems) => {
                named_is_lacking |= args.scenarios.scenarios.contains(&path);
                let reason = problems.list.first().map(|problem| problem.message.clone());
                board.not_measured(scenario.name, reason.unwrap_or_default());
                writeln!(terminal.err, "{problems}")?;
            }
        }
    }
    Ok(if named_is_lacking { Vec::new() } else { left })
}

fn run_one(
    args: &RunArgs,
    path: &Path,
    scenario: &Scenario,
    board: &mut Builder,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Exit> {
    let scratch = scratch_in(&args.out, args.data.as_deref())?;
    let options = runner::Options {
        path: path.display().to_string(),
        quick: args.scenarios.overrides.quick,
        count_syscalls: args.count_syscalls,
        profile: (!args.no_profile).then(runner::Profiling::default),
        scratch: scratch.path().to_path_buf(),
        agents: args.agents.read()?,
        interrupted: terminal.interrupted.clone(),
    };
    let finished = {
        let shown = Shown::new(terminal.live, terminal.err);
        let (out, end) = (args.out.clone(), terminal.end);
        let mut watched = Watched::new(shown, args.stalled_after, move |hung| {
            end(&leave_hung(hung, &out), Exit::Failed);
        })?;
        let launch = Builtin { program: std::env::current_exe()? };
        runner::run(scenario, &options, &launch, &mut watched)
            .map_err(|error| with_hint(&error, &options))?
    };
    let bundle = Bundle::create(&args.out, &finished.run)?;
    bundle.write_run(&finished.run)?;
    for (name, bytes) in &finished.files {
        bundle.write(name, bytes)?;
    }
    let comparison = compare::compare(&finished.run);
    let name = bundle.folder().file_name().unwrap_or_default().display();
    board.add(&finished.run, &comparison, format!("../{name}"));
    let files = Files::of_run(&finished);
    report::write_all(&bundle, &finished.run, &comparison, &files)?;
    if args.json {
        report::print_record(&finished.run, terminal)?;
    } else {
        report::print(&finished.run, &comparison, terminal)?;
    }
    let exit = exit(&finished, &comparison);
    if let Some(failure) = &finished.failure {
        writeln!(terminal.err, "error: {}", with_hint(failure, &options))?;
    }
    let to: &mut dyn io::Write = if args.json { terminal.err } else { terminal.out };
    writeln!(to, " {}   exit {}", bundle.folder().join("report.html").display(), exit.code())?;
    Ok(exit)
}

/// Keeps what was finished before the system hung; what there is to say, with what to do.
fn leave_hung(hung: Hung, out: &Path) -> String {
    let Hung { place, waited, kept } = hung;
    let failure = format!(
        "the system does not answer any more: {place} began {:.0} s ago and has not ended",
        waited.as_secs_f64()
    );
    let left = kept.map(|mut run| -> anyhow::Result<String> {
        (run.complete, run.elapsed_s) = (false, run.elapsed_s + waited.as_secs_f64());
        run.warnings.push(Warning::Failed { reason: failure.clone() });
        let bundle = Bundle::create(out, &run)?;
        bundle.write_run(&run)?;
        report::write_all(&bundle, &run, &compare::compare(&run), &Files::default())?;
        Ok(bundle.folder().join("report.html").display().to_string())
    });
    let left = match left {
        None => "no block was finished before".to_owned(),
        Some(Ok(page)) => format!("finished blocks are in {page}"),
        Some(Err(error)) => format!("finished blocks are lost: {error:#}"),
    };
    format!(
        "error: {failure}; {left}\n  hint: run it again with a larger --stalled-after and look at its threads meanwhile \
         (gdb -p PID, thread apply all bt)"
    )
}

fn exit(finished: &Finished, comparison: &Comparison) -> Exit {
    match (&finished.failure, finished.run.complete) {
        _ if comparison.outcome == Outcome::WrongAnswer => Exit::WrongAnswer,
        (Some(_), _) => Exit::Failed,
        (None, true) => Exit::from(comparison.outcome),
        (None, false) => Exit::Interrupted,
    }
}

/// A folder for data that vanishes with it. Where bundles go is made as well: a run whose result cannot be kept should
/// not begin.
pub(super) fn scratch_in(out: &Path, data: Option<&Path>) -> anyhow::Result<Scratch> {
    let unusable = |folder: &Path, option: &str, error: io::Error| {
        let folder = folder.display();
        anyhow::anyhow!("folder {folder}: {error}\n  hint: choose another with {option}")
    };
    let (data, option) = match data {
        Some(data) => (data, "--data"),
        None => (out, "--out"),
    };
    std::fs::create_dir_all(out).map_err(|error| unusable(out, "--out", error))?;
    std::fs::create_dir_all(data)
        .and_then(|()| Scratch::new_in(data))
        .map_err(|error| unusable(data, option, error))
}

/// What a user can do about a failure.
pub(super) fn with_hint(error: &RunError, options: &runner::Options) -> anyhow::Error {
    let hint = match error {
        RunError::Launch { source: LaunchError::NotEmpty { .. }, .. } => {
            "name servers that hold nothing, such as those of ./scripts/etcd-up".to_owned()
        }
        RunError::Launch {
            source: LaunchError::NotReady { .. } | LaunchError::Client(_), ..
        } => "are the servers running there, with the certificates and the user that the scenario names?"
            .to_owned(),
        RunError::Launch {
            source: LaunchError::Program { .. } | LaunchError::Ended { .. } | LaunchError::Other(_),
            ..
        } => "see what it said above".to_owned(),
        RunError::Disturbed { .. } => {
            "wait until others have left the machine, or choose [trials] on_disturbed = \"retry\" or \"keep\""
                .to_owned()
        }
        RunError::Launch { .. } | RunError::Host(_) => format!(
            "check space and permissions under {}, or choose another folder with --data",
            options.scratch.display()
        ),
        RunError::Agent(AgentError::Refused { .. }) => {
            "is `kvbench agent` of this build running there, with the certificates given here?"
                .to_owned()
        }
        RunError::Agent(_) => {
            "see what the agent says, and whether its machine is there".to_owned()
        }
        RunError::Operations { .. } | RunError::Watchers { .. } => {
            "this is a fault of the system under test".to_owned()
        }
    };
    anyhow::anyhow!("the run failed: {error}\n  hint: {hint}")
}
