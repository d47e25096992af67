//! The command line: one file per command. It decides what to print where; results go to `out`, progress and
//! problems to `err`, and the exit code is returned, never taken.

mod agent;
mod check;
mod compare;
mod completions;
mod doctor;
mod exit;
mod explain;
mod gate;
mod history;
mod listening;
mod man;
mod new;
mod plan;
mod profile;
mod progress;
mod report;
mod run;
mod schema;
mod scoreboard;
mod scratch;
mod serve;
mod table;
mod verify;

pub use exit::Exit;

use crate::report::words::plain_lines;
use crate::scenario::{self, problem::Problems, spec::Scenario};
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const EXIT_CODES: &str = "\
Exit codes:
  0  every target met, every check passed      3    undecided: not enough evidence
  1  a target missed, proven                   4    wrong answer: a check failed
  2  command line or scenario wrong            5    system or host failed
                                               130  interrupted: partial report, marked";

/// What `--version` says; a build that can be told to fail says that too.
const VERSION: &str = if cfg!(feature = "failpoints") {
    concat!(
        env!("CARGO_PKG_VERSION"),
        " WITH FAILPOINTS: it can be told to fail, and is for nothing else"
    )
} else {
    env!("CARGO_PKG_VERSION")
};

/// Is the change worth it? Benchmarks and profiles an etcd-like replicated key-value store.
#[derive(Debug, Parser)]
#[command(name = "kvbench", version = VERSION, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure all arms of scenarios, judge their targets, leave bundles
    Run(Box<run::RunArgs>),
    /// Show what a scenario would run: arms, trials, order, time; starts nothing. Or predict it on another host
    Plan(plan::PlanArgs),
    /// Check scenarios and report every problem at once
    Check(check::CheckArgs),
    /// Render a bundle again, from its raw trials; several of them as a scoreboard
    Report(report::ReportArgs),
    /// Hold arms of bundles against each other, from their raw trials: did anything get worse?
    Compare(compare::CompareArgs),
    /// Did a change make anything worse? Base and head by turns, a verdict for a pipeline
    Gate(Box<gate::GateArgs>),
    /// Keep results over time: add runs, see trends and changes of level, accept a level
    History(history::HistoryArgs),
    /// Flame graphs of arms: on CPU and waiting for locks, before, after and what changed
    Profile(profile::ProfileArgs),
    /// Are the answers right? Apply paths against an oracle, and histories of groups in which things go wrong
    Verify(verify::VerifyArgs),
    /// Serve etcd's API v3, alone or as a member of a cluster, until stopped
    Serve(Box<serve::ServeArgs>),
    /// Offer load for runs on other machines, until stopped
    Agent(agent::AgentArgs),
    /// Say what a number or a word in a report means
    Explain(explain::ExplainArgs),
    /// Say whether this machine is fit to measure on, and what to do about it
    Doctor(doctor::DoctorArgs),
    /// Write a scenario to start from
    New(new::NewArgs),
    /// Print the JSON Schema of scenario files, for editors, or of records, for programs
    Schema(schema::SchemaArgs),
    /// Print what a shell needs to complete the command line
    Completions(completions::CompletionsArgs),
    /// Print a manual page, or write those of all commands
    Man(man::ManArgs),
}

/// Scenarios and what is laid over them.
#[derive(Debug, Args)]
struct ScenarioArgs {
    /// Scenario files, or folders of them
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    overrides: OverrideArgs,
}

#[derive(Debug, Args)]
struct OverrideArgs {
    /// Set a key of the scenario, e.g. `--set trials.pairs.min=10`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Only what the targets name, in 6 short pairs; the report is stamped *quick*
    #[arg(long)]
    quick: bool,
}

/// Where a command writes, and who may stop it.
pub struct Terminal<'a> {
    /// Results.
    pub out: &'a mut dyn Write,
    /// Progress and problems.
    pub err: &'a mut dyn Write,
    /// Whether colour is welcome on `out`.
    pub color: bool,
    /// Whether `err` is a terminal, so that a progress line can redraw itself.
    pub live: bool,
    /// Columns of `out`.
    pub width: usize,
    /// Set from outside to end early.
    pub interrupted: Arc<AtomicBool>,
    /// Says this and ends the process, whatever its other threads do: for when one of them will never return.
    pub end: fn(&str, Exit),
}

/// Runs the command in `args` (the program's name first).
pub fn run(args: impl IntoIterator<Item = OsString>, terminal: &mut Terminal<'_>) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, terminal),
    };
    let outcome = match cli.command {
        Command::Run(args) => run::run(&args, terminal),
        Command::Plan(args) => plan::plan(&args, terminal),
        Command::Check(args) => check::check(&args, terminal),
        Command::Report(args) => report::report(&args, terminal),
        Command::Compare(args) => compare::compare(&args, terminal),
        Command::Gate(args) => gate::gate(&args, terminal),
        Command::History(args) => history::history(&args, terminal),
        Command::Profile(args) => profile::profile(&args, terminal),
        Command::Verify(args) => verify::verify(&args, terminal),
        Command::Serve(args) => serve::serve(&args, terminal),
        Command::Agent(args) => agent::agent(&args, terminal),
        Command::Explain(args) => explain::explain(&args, terminal),
        Command::Doctor(args) => doctor::doctor(&args, terminal),
        Command::New(args) => new::new(&args, terminal),
        Command::Schema(args) => schema::schema(&args, terminal),
        Command::Completions(args) => completions::completions(&args, terminal),
        Command::Man(args) => man::man(&args, terminal),
    };
    outcome.unwrap_or_else(|error| failed(&error, terminal))
}

/// Help and version go to `out`; mistakes to `err`. Those quote what was typed, or pasted, so nothing in them may steer: colours neither.
fn usage(error: &clap::Error, terminal: &mut Terminal<'_>) -> Exit {
    let text = error.render();
    if error.use_stderr() {
        let _ = write!(terminal.err, "{}", plain_lines(&text.to_string()));
        return Exit::Usage;
    }
    let out = &mut *terminal.out;
    let _ = if terminal.color { write!(out, "{}", text.ansi()) } else { write!(out, "{text}") };
    Exit::Met
}

/// A reader that went away (`| head`) is not a failure worth words.
fn failed(error: &anyhow::Error, terminal: &mut Terminal<'_>) -> Exit {
    let gone = error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
    if !gone {
        // Names in it may be anybody's; a hint has a line of its own.
        let _ = writeln!(terminal.err, "error: {}", plain_lines(&with_causes(error)));
    }
    Exit::Failed
}

/// `error` and what caused it; a cause that is quoted already is not said again.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(&format!(": {cause}"));
        }
    }
    text
}

/// Says what is wrong with the command line. Names in it may be anybody's.
fn mistaken(wrong: &str, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    writeln!(terminal.err, "error: {}", plain_lines(wrong))?;
    Ok(Exit::Usage)
}

/// The scenario files that `paths` name: files as they are, folders by their `*.toml`, sorted.
fn scenario_files(paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut inside: Vec<_> = std::fs::read_dir(path)?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<_, _>>()?;
            inside.retain(|path| path.extension().is_some_and(|end| end == "toml"));
            inside.sort();
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Loads every scenario first, so that nothing runs if one of them is wrong, and prints what is. Never empty.
fn load_all(
    args: &ScenarioArgs,
    terminal: &mut Terminal<'_>,
) -> io::Result<Option<Vec<(PathBuf, Scenario)>>> {
    let (mut loaded, mut wrong) = (Vec::new(), false);
    for path in scenario_files(&args.scenarios)? {
        match load(&path, &args.overrides) {
            Ok(scenario) => loaded.push((path, scenario)),
            Err(problems) => {
                wrong = true;
                writeln!(terminal.err, "{problems}")?;
            }
        }
    }
    if loaded.is_empty() && !wrong {
        no_scenario(terminal)?;
    }
    Ok((!loaded.is_empty() && !wrong).then_some(loaded))
}

/// Says that there is nothing to load.
fn no_scenario(terminal: &mut Terminal<'_>) -> io::Result<()> {
    writeln!(
        terminal.err,
        "error: no *.toml file there\n  hint: name a file, or a folder that holds some"
    )
}

fn load(path: &Path, overrides: &OverrideArgs) -> Result<Scenario, Problems> {
    let options = scenario::Options {
        set: overrides.set.clone(),
        quick: overrides.quick,
        connections_max: Some(serve::room_for_clients()),
    };
    scenario::load(path, &options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
