//! `kvbench gate`: did this change make anything worse? Base and head by turns, a verdict for a pipeline.

mod base;
mod leave;
mod measured;
mod sitting;
mod slices;
mod turns;

use super::run::scratch_in;
use super::{Exit, ScenarioArgs, Terminal, load_all};
use crate::clock::Clock;
use crate::compare::contrast::FLOOR;
use crate::gate::{GateOutcome, turns_needed};
use crate::record::gate::Inconclusive;
use crate::report::words::plain;
use crate::runner;
use crate::scenario::spec::Scenario;
use crate::stats::PAIRS_MIN;
use crate::units::parse_percent;
use base::Base;
use clap::{Args, ValueEnum};
use sitting::Sitting;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench gate scenarios/put_parallel.toml --base git:main       build main, measure both by turns
  kvbench gate ci/*.toml --base git:HEAD~1 --inconclusive pass   doubts do not stop the pipeline
  kvbench gate ci/put.toml --base program:/opt/kvbench-0.1.0     against a program that is there
  kvbench gate ci/put.toml --base reports/nightly                against an older sitting of this machine

What is watched stands in the scenario:
  [[gate]]
  metric = \"saturate.throughput@50\"
  worse  = \"5%\"
Without a [[gate]], throughput, latency and CPU time per operation of arm `after` are.

Exit codes:
  0  nothing got worse
  1  something got worse: significantly, by more than is let pass, and again with fresh trials (where base is a program)
  2  command line or scenario wrong
  3  undecided, not comparable, or nothing was compared
  4  head gave a wrong answer
  5  a program could not be measured")]
pub(super) struct GateArgs {
    #[command(flatten)]
    scenarios: ScenarioArgs,
    /// What to compare with: git:REF builds that revision and measures both by turns; program:PATH takes a program that is there;
    /// history, or history:FOLDER, is the level of the stored runs; anything else is a bundle, or a folder of bundles
    #[arg(long, value_name = "BASE")]
    base: String,
    /// Turns: pairs of trials of base and head [default: 10, or as many as a regression among so many metrics takes to show]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(PAIRS_MIN as i64..=200))]
    pairs: Option<u32>,
    /// Least change that counts where a scenario has no [[gate]]
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = floor)]
    floor: f64,
    /// Take the first set of trials for the whole truth: what looks worse is not measured once more
    #[arg(long)]
    no_confirm: bool,
    /// Give each program the whole machine in turn, also where both could share one CPU by slices of time
    #[arg(long)]
    no_slices: bool,
    /// What is done about metrics that are not decided
    #[arg(long, value_enum, default_value = "tell")]
    inconclusive: Policy,
    /// Compare with a bundle that is not comparable; the result is stamped
    #[arg(long)]
    force: bool,
    /// Folder for the gate's report and its raw trials
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    out: PathBuf,
    /// Folder for the data of nodes while they run; decides which disk is measured [default: that of --out]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Write JUnit's XML for CI there: a suite for each gated arm, a test case for each metric
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write head's figures as OpenMetrics there, e.g. for GitLab's metrics report
    #[arg(long, value_name = "FILE")]
    openmetrics: Option<PathBuf>,
    /// Print GitHub's annotations, and add the table to the job's summary [default: as GITHUB_ACTIONS says]
    #[arg(long)]
    github: bool,
    /// Print the table as Markdown
    #[arg(long, conflicts_with = "json")]
    md: bool,
    /// Print the record as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Policy {
    /// They have an exit code of their own, 3
    Tell,
    /// They pass, if anything was decided
    Pass,
    /// They fail, as regressions do
    Fail,
}

impl From<Policy> for Inconclusive {
    fn from(policy: Policy) -> Inconclusive {
        match policy {
            Policy::Tell => Inconclusive::Tell,
            Policy::Pass => Inconclusive::Pass,
            Policy::Fail => Inconclusive::Fail,
        }
    }
}

impl From<GateOutcome> for Exit {
    fn from(outcome: GateOutcome) -> Exit {
        match outcome {
            GateOutcome::Passed => Exit::Met,
            GateOutcome::Regressed => Exit::Missed,
            GateOutcome::Inconclusive => Exit::Inconclusive,
            GateOutcome::WrongAnswer => Exit::WrongAnswer,
            GateOutcome::Failed => Exit::Failed,
        }
    }
}

pub(super) fn gate(args: &GateArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let Some(scenarios) = load_all(&args.scenarios, terminal)? else { return Ok(Exit::Usage) };
    for (path, scenario) in &scenarios {
        if let Some(problems) = runner::missing(&path.display().to_string(), scenario) {
            writeln!(terminal.err, "{problems}")?;
            return Ok(Exit::Usage);
        }
    }
    let wrong = wrong(args, &scenarios).or_else(|| outputs(args).err());
    if let Some(Mistake { what, hint, exit }) = wrong {
        return told(&what, &hint, exit, terminal);
    }
    let scratch = scratch_in(&args.out, args.data.as_deref())?;
    let base = match Base::find(&args.base, scratch.path(), terminal) {
        Ok(base) => base,
        Err(_) if is_interrupted(terminal) => return Ok(Exit::Interrupted),
        Err(Mistake { what, hint, exit }) => return told(&what, &hint, exit, terminal),
    };
    let sitting = Sitting {
        args,
        pairs: args.pairs.unwrap_or_else(|| turns(&scenarios)),
        clock: Clock::start(),
        scratch: scratch.path(),
        head: turns::own_program(scratch.path())?,
        base,
    };
    let gated = sitting.measure(&scenarios, terminal)?;
    leave::leave(args, gated, terminal)
}

/// What is wrong with the command line, what to do about it, and how the process ends.
struct Mistake {
    what: String,
    hint: String,
    exit: Exit,
}

fn told(what: &str, hint: &str, exit: Exit, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    writeln!(terminal.err, "error: {}\n  hint: {}", plain(what), plain(hint))?;
    Ok(exit)
}

/// What cannot be asked.
fn wrong(args: &GateArgs, scenarios: &[(PathBuf, Scenario)]) -> Option<Mistake> {
    let mistake = |what: String, hint: String| Some(Mistake { what, hint, exit: Exit::Usage });
    if args.scenarios.overrides.quick {
        let hint = "shorten the phases with --set phase.0.duration=200ms, or take fewer --pairs";
        return mistake("a gate is not shortened by --quick".to_owned(), hint.to_owned());
    }
    let mut names = std::collections::BTreeSet::new();
    if let Some((path, scenario)) = scenarios.iter().find(|(_, one)| !names.insert(&one.name)) {
        let what =
            format!("{}: another scenario is called {} as well", path.display(), scenario.name);
        return mistake(what, "scenarios of one gate have names of their own".to_owned());
    }
    let (metrics, needed) = (metrics(scenarios), turns_needed(metrics(scenarios)));
    match args.pairs {
        Some(pairs) if pairs < needed => mistake(
            format!(
                "--pairs {pairs}: a regression of one among {metrics} metrics could never be significant"
            ),
            format!(
                "it takes {needed} pairs, or fewer metrics: write a [[gate]] for those that matter"
            ),
        ),
        _ => None,
    }
}

/// Turns if nobody says how many.
fn turns(scenarios: &[(PathBuf, Scenario)]) -> u32 {
    const TURNS: u32 = 10;
    turns_needed(metrics(scenarios)).max(TURNS)
}

/// About how many metrics are judged together: those that are gated by name, or the usual ones of every place.
fn metrics(scenarios: &[(PathBuf, Scenario)]) -> usize {
    /// Throughput, three percentiles and the cost of an operation.
    const USUAL: usize = 5;
    let of = |scenario: &Scenario| match scenario.gates.len() {
        0 => USUAL * scenario.phases.iter().map(|phase| phase.clients.len()).sum::<usize>(),
        gates => gates,
    };
    scenarios.iter().map(|(_, scenario)| of(scenario)).sum()
}

/// Whether what is to be written can be: better known before the measuring than after.
fn outputs(args: &GateArgs) -> Result<(), Mistake> {
    for path in [&args.junit, &args.openmetrics].into_iter().flatten() {
        let writable = std::fs::File::options().create(true).append(true).open(path);
        if let Err(error) = writable {
            return Err(Mistake {
                what: format!("{}: {error}", path.display()),
                hint: "name a file in a folder that is there".to_owned(),
                exit: Exit::Usage,
            });
        }
    }
    Ok(())
}

fn is_interrupted(terminal: &Terminal<'_>) -> bool {
    terminal.interrupted.load(Ordering::Relaxed)
}

/// A percentage above zero.
fn floor(text: &str) -> Result<f64, String> {
    let floor = parse_percent(text)?;
    match floor > 0.0 && floor <= 10.0 {
        true => Ok(floor),
        false => {
            Err(format!("expected more than 0% and at most 1000%, e.g. \"{:.0}%\"", 100.0 * FLOOR))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Options, parse};

    fn scenario(gates: &str) -> (PathBuf, Scenario) {
        let text = format!(
            "schema = 1\nname = \"s\"\n[system]\nlayer = \"store\"\n[arms.before]\napply = \"global-mutex\"\n\
             [arms.after]\napply = \"sharded\"\n[[op]]\nput = {{}}\n[[phase]]\nname = \"a\"\n\
             load = {{ closed = {{ clients = [1, 2, 4] }} }}\n{gates}"
        );
        (PathBuf::from("s.toml"), parse("s.toml", &text, &Options::default()).unwrap())
    }

    fn args(words: &[&str]) -> GateArgs {
        #[derive(clap::Parser)]
        struct Alone {
            #[command(flatten)]
            args: GateArgs,
        }
        let words = ["gate", "s.toml", "--base", "x"].iter().chain(words);
        <Alone as clap::Parser>::try_parse_from(words).unwrap().args
    }

    #[test]
    fn as_many_turns_as_the_metrics_need() {
        let usual = [scenario("")];
        assert_eq!((metrics(&usual), turns(&usual)), (15, 10));
        let gated = scenario("[[gate]]\nmetric = \"a.throughput@4\"\n");
        assert_eq!(metrics(std::slice::from_ref(&gated)), 1);
        let wrong = |words: &[&str]| wrong(&args(words), &usual).map(|mistake| mistake.what);
        assert_eq!(wrong(&[]), None);
        let few = wrong(&["--pairs", "6"]).unwrap();
        assert!(few.contains("one among 15 metrics could never be significant"), "{few}");
        assert!(wrong(&["--quick"]).unwrap().contains("--quick"));
        let twice = super::wrong(&args(&[]), &[gated.clone(), gated]).unwrap();
        assert!(twice.what.contains("another scenario is called s"), "{}", twice.what);
    }
}
