//! `kvbench gate`: did this change make anything worse? Base and head by turns, a verdict for a pipeline.

mod base;
mod turns;

use super::progress::Shown;
use super::report::{self, Files};
use super::run::scratch_in;
use super::{Exit, ScenarioArgs, Terminal, load_all};
use crate::clock::Clock;
use crate::compare;
use crate::compare::contrast::{Entrant, FLOOR, Limit, Match, Newcomer, against_history, matched};
use crate::gate::{self, GateOutcome, Program, Shot, built_alike, joined, suspects};
use crate::record::bundle::Bundle;
use crate::record::contrast::Contrasts;
use crate::record::gate::{GATE, GateRecord, GatedScenario, Inconclusive};
use crate::record::{Run, SCHEMA};
use crate::report::formats::{Judged, openmetrics};
use crate::report::gate::{github, html, junit, markdown, terminal as text};
use crate::report::terminal::Style;
use crate::report::words::plain;
use crate::runner::utc_now;
use crate::scenario::missing;
use crate::scenario::spec::Scenario;
use crate::stats::PAIRS_MIN;
use crate::units::parse_percent;
use base::Base;
use clap::{Args, ValueEnum};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use turns::{Ended, Turns};

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
  1  something got worse: significantly, by more than is let pass, and again with fresh trials
  2  command line or scenario wrong
  3  undecided, not comparable, or nothing was compared
  4  head gave a wrong answer
  5  head could not be measured")]
pub(super) struct GateArgs {
    #[command(flatten)]
    scenarios: ScenarioArgs,
    /// What to compare with: git:REF builds that revision and measures both by turns; program:PATH takes a program that is there;
    /// history, or history:FOLDER, is the level of the stored runs; anything else is a bundle, or a folder of bundles
    #[arg(long, value_name = "BASE")]
    base: String,
    /// Turns: pairs of trials of base and head
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(PAIRS_MIN as i64..=200))]
    pairs: u32,
    /// Least change that counts where a scenario has no [[gate]]
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = floor)]
    floor: f64,
    /// Take the first set of trials for the whole truth: what looks worse is not measured once more
    #[arg(long)]
    no_confirm: bool,
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
        if let Some(problems) = missing(&path.display().to_string(), scenario) {
            writeln!(terminal.err, "{problems}")?;
            return Ok(Exit::Usage);
        }
    }
    let scratch = scratch_in(&args.out, args.data.as_deref())?;
    let base = match Base::find(&args.base, scratch.path(), terminal) {
        Ok(base) => base,
        Err(mistake) => {
            let (what, hint) = (plain(&mistake.what), plain(&mistake.hint));
            writeln!(terminal.err, "error: {what}\n  hint: {hint}")?;
            return Ok(mistake.exit);
        }
    };
    let mut sitting = Gating {
        args,
        clock: Clock::start(),
        scratch: scratch.path(),
        head: turns::own_program(scratch.path())?,
        base,
    };
    let record = sitting.measure(&scenarios, terminal)?;
    leave(args, record, terminal)
}

/// A gate on its way.
struct Gating<'a> {
    args: &'a GateArgs,
    clock: Clock,
    scratch: &'a Path,
    head: PathBuf,
    base: Base,
}

/// One scenario measured: a run for each gated arm, with what is asked of it.
struct Measured {
    scenario: GatedScenario,
    sides: Vec<Sides>,
    /// What ran as base; none if nothing did.
    base_revision: Option<String>,
}

/// Base and head of one arm.
struct Sides {
    /// As tables head it: `put_parallel · after`.
    name: String,
    arm: String,
    limits: Vec<Limit>,
    trials: Trials,
    notes: Vec<String>,
}

enum Trials {
    /// Arms `base` and `head` of one run.
    Joined(Box<Run>),
    /// The gated arm of two runs.
    Apart(Box<Run>, Box<Run>),
    /// The gated arm of one run; what it is held against is not a run.
    Alone(Box<Run>),
}

impl Sides {
    fn entrant<'a>(&'a self, run: &'a Run, arm: &'a str) -> Entrant<'a> {
        Entrant { bundle: &self.name, run, arm }
    }

    /// Base and head; none if the base is no run.
    fn matching(&self) -> Option<Match<'_>> {
        let (base, other) = match &self.trials {
            Trials::Joined(run) => {
                (self.entrant(run, Program::Base.name()), self.entrant(run, Program::Head.name()))
            }
            Trials::Apart(base, head) => {
                (self.entrant(base, &self.arm), self.entrant(head, &self.arm))
            }
            Trials::Alone(_) => return None,
        };
        Some(Match { base, other, limits: &self.limits })
    }

    fn newcomer(&self) -> Newcomer<'_> {
        Newcomer { head: self.entrant(self.run(), &self.arm), limits: &self.limits }
    }

    /// The raw trials of head, and of base if they are in it.
    fn run(&self) -> &Run {
        match &self.trials {
            Trials::Joined(run) | Trials::Apart(_, run) | Trials::Alone(run) => run,
        }
    }
}

/// A record with the runs behind it.
struct Gated {
    record: GateRecord,
    measured: Vec<Measured>,
}

impl Gating<'_> {
    fn measure(
        &mut self,
        scenarios: &[(PathBuf, Scenario)],
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<Gated> {
        let started_at = utc_now();
        let mut measured = Vec::new();
        for (path, scenario) in scenarios {
            if !is_interrupted(terminal) {
                measured.push(self.scenario(path, scenario, terminal)?);
            }
        }
        let first = self.contrasts(&measured)?;
        let second = match self.args.no_confirm || is_interrupted(terminal) {
            true => None,
            false => self.once_more(scenarios, &measured, &first, terminal)?,
        };
        let all = || measured.iter().flat_map(|one| &one.sides).map(Sides::run);
        let head = all()
            .next()
            .map_or_else(|| "not measured".to_owned(), |run| run.build.revision.clone());
        let record = GateRecord {
            schema: SCHEMA,
            kvbench_version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at,
            elapsed_s: self.clock.now().as_secs_f64(),
            complete: !is_interrupted(terminal) && all().all(|run| run.complete),
            base: self.base.describe(measured.iter().find_map(|one| one.base_revision.as_deref())),
            head,
            sitting: self.base.sitting(),
            scenarios: measured.iter().map(|one| one.scenario.clone()).collect(),
            first,
            second,
            inconclusive: self.args.inconclusive.into(),
        };
        Ok(Gated { record, measured })
    }

    /// All rows of all scenarios are one family.
    fn contrasts(&self, measured: &[Measured]) -> anyhow::Result<Contrasts> {
        let sides = || measured.iter().flat_map(|one| &one.sides);
        let found = match &self.base {
            Base::Level { name, history } => {
                let newcomers: Vec<Newcomer<'_>> = sides().map(Sides::newcomer).collect();
                against_history(history, name, &newcomers, self.args.floor)
            }
            Base::Program { .. } | Base::Stored { .. } => {
                let matches: Vec<Match<'_>> = sides().filter_map(Sides::matching).collect();
                matched(&matches, self.args.floor, self.args.force)
            }
        };
        let mut all = found.map_err(|unknown| {
            anyhow::anyhow!("cannot gate {}: {}", unknown.metric, unknown.reason)
        })?;
        for (contrast, sides) in all.contrasts.iter_mut().zip(sides()) {
            contrast.notes.splice(0..0, sides.notes.iter().cloned());
        }
        Ok(all)
    }

    /// One scenario on both programs, or on head alone if the base was measured before.
    fn scenario(
        &mut self,
        path: &Path,
        scenario: &Scenario,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<Measured> {
        let mut measured = Measured {
            scenario: GatedScenario {
                name: scenario.name.clone(),
                path: path.display().to_string(),
                ..GatedScenario::default()
            },
            sides: Vec::new(),
            base_revision: None,
        };
        match self.base.program() {
            Some(base) => {
                let base = base.to_path_buf();
                if let Some(why) = turns::refuses(&base, path, self.args, self.scratch)? {
                    measured.scenario.not_comparable = format!("base refuses the scenario: {why}");
                    return Ok(measured);
                }
                let shots = self.turns(path, scenario, &base, 0, terminal)?;
                measured.take_turns(&arms(scenario), shots);
            }
            None => self.against_stored(path, scenario, &mut measured, terminal)?,
        }
        Ok(measured)
    }

    /// Runs of both by turns; `from` is the number of the first turn, so that a second set is of other trials.
    fn turns(
        &self,
        path: &Path,
        scenario: &Scenario,
        base: &Path,
        from: u32,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<Ended> {
        let turns = Turns {
            scenario: path,
            name: &scenario.name,
            seed: scenario.seed,
            programs: [base, &self.head],
            pairs: self.args.pairs,
            from,
            args: self.args,
            scratch: self.scratch,
            clock: self.clock,
        };
        let interrupted = terminal.interrupted.clone();
        let mut shown = Shown::new(terminal.live, terminal.err);
        Ok(turns.run(&interrupted, &mut shown)?)
    }

    /// The metrics that looked worse, with fresh trials. None if there are none, or the base cannot be measured again.
    fn once_more(
        &self,
        scenarios: &[(PathBuf, Scenario)],
        measured: &[Measured],
        first: &Contrasts,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<Option<Contrasts>> {
        let Some(base) = self.base.program() else { return Ok(None) };
        let suspected = |name: &str| -> Vec<&str> {
            let its = first.contrasts.iter().filter(|contrast| contrast.base.bundle == name);
            its.flat_map(suspects).collect()
        };
        let mut again = Vec::new();
        for ((path, scenario), one) in scenarios.iter().zip(measured) {
            let arms: Vec<GatedArm> = one
                .sides
                .iter()
                .filter_map(|sides| {
                    let metrics = suspected(&sides.name);
                    let limits = metrics.iter().map(|metric| limit(sides, metric, self.args.floor));
                    let (name, limits) = (sides.arm.clone(), limits.collect::<Vec<_>>());
                    (!limits.is_empty()).then_some(GatedArm { name, limits })
                })
                .collect();
            if arms.is_empty() {
                continue;
            }
            let shots = self.turns(path, scenario, base, self.args.pairs, terminal)?;
            let scenario = one.scenario.clone();
            let mut fresh = Measured { scenario, sides: Vec::new(), base_revision: None };
            fresh.take_turns(&arms, shots);
            again.push(fresh);
        }
        // A second set that was cut short confirms nothing and denies nothing.
        if again.is_empty() || is_interrupted(terminal) {
            return Ok(None);
        }
        self.contrasts(&again).map(Some)
    }

    /// Head alone, with the pairs that the scenario asks for, against a bundle.
    fn against_stored(
        &self,
        path: &Path,
        scenario: &Scenario,
        measured: &mut Measured,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<()> {
        let base = self.base.bundle_of(&scenario.name).cloned();
        if base.is_none() && !matches!(self.base, Base::Level { .. }) {
            measured.scenario.not_comparable =
                format!("no bundle of {} in {}", scenario.name, self.base.describe(None));
            return Ok(());
        }
        measured.base_revision = base.as_ref().map(|base| base.build.revision.clone());
        let interrupted = terminal.interrupted.clone();
        let mut shown = Shown::new(terminal.live, terminal.err);
        let alone = turns::whole(&self.head, path, scenario, self.args, self.scratch);
        match alone.run(self.clock, &interrupted, &mut shown)? {
            Ok(head) => {
                measured.scenario.wrong = failed_checks(&head);
                for arm in arms(scenario) {
                    let head = Box::new(head.clone());
                    let trials = match &base {
                        Some(base) => Trials::Apart(Box::new(base.clone()), head),
                        None => Trials::Alone(head),
                    };
                    measured.sides.push(arm.sides(&scenario.name, trials, Vec::new()));
                }
            }
            Err(why) => measured.scenario.failure = why,
        }
        Ok(())
    }
}

impl Measured {
    /// Takes over what runs by turns left.
    fn take_turns(&mut self, arms: &[GatedArm], ended: Ended) {
        let Ended { shots, failure } = ended;
        self.scenario.failure = failure.unwrap_or_default();
        let of_head = shots.iter().filter(|shot| shot.program == Program::Head);
        for wrong in of_head.flat_map(|shot| failed_checks(&shot.run)) {
            if !self.scenario.wrong.contains(&wrong) {
                self.scenario.wrong.push(wrong);
            }
        }
        let of = |program| shots.iter().find(move |shot: &&Shot| shot.program == program);
        let (Some(base), Some(head)) = (of(Program::Base), of(Program::Head)) else { return };
        if base.run.method != head.run.method {
            let (a, b) = (base.run.method, head.run.method);
            self.scenario.not_comparable = format!("method version: {a} at base, {b} at head");
            return;
        }
        self.base_revision = Some(base.run.build.revision.clone());
        let notes = built_alike(&base.run, &head.run);
        for arm in arms {
            if let Some(run) = joined(&shots, &arm.name) {
                let trials = Trials::Joined(Box::new(run));
                self.sides.push(arm.sides(&self.scenario.name, trials, notes.clone()));
            }
        }
    }
}

/// An arm, and what may not get worse in it; nothing for what is usual.
#[derive(Clone)]
struct GatedArm {
    name: String,
    limits: Vec<Limit>,
}

impl GatedArm {
    fn sides(&self, scenario: &str, trials: Trials, notes: Vec<String>) -> Sides {
        Sides {
            name: format!("{scenario} · {}", self.name),
            arm: self.name.clone(),
            limits: self.limits.clone(),
            trials,
            notes,
        }
    }
}

/// The arms that a scenario gates, in its order; the last one where it has no gate.
fn arms(scenario: &Scenario) -> Vec<GatedArm> {
    let mut arms: Vec<GatedArm> = Vec::new();
    for gate in &scenario.gates {
        let (metric, floor, least) = (gate.metric.to_string(), gate.worse, gate.least);
        let limit = Limit { metric, floor, least };
        match arms.iter_mut().find(|arm| arm.name == gate.arm) {
            Some(arm) => arm.limits.push(limit),
            None => arms.push(GatedArm { name: gate.arm.clone(), limits: vec![limit] }),
        }
    }
    if arms.is_empty() {
        arms.push(GatedArm { name: scenario.after().name.clone(), limits: Vec::new() });
    }
    arms
}

/// The limit of a metric that was gated by name, or as one of the usual ones.
fn limit(sides: &Sides, metric: &str, floor: f64) -> Limit {
    let named = sides.limits.iter().find(|limit| limit.metric == metric).cloned();
    named.unwrap_or_else(|| Limit { metric: metric.to_owned(), floor, least: 0.0 })
}

fn failed_checks(run: &Run) -> Vec<String> {
    let failed = run.checks.iter().filter(|check| !check.passed);
    failed.map(|check| format!("{}: {}", check.id, check.detail)).collect()
}

fn is_interrupted(terminal: &Terminal<'_>) -> bool {
    terminal.interrupted.load(std::sync::atomic::Ordering::Relaxed)
}

/// Writes the folder, prints, and says how it ended.
fn leave(args: &GateArgs, gated: Gated, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let Gated { mut record, measured } = gated;
    let folder = Bundle::create_for("gate", &args.out, &record.started_at)?;
    for (kept, one) in record.scenarios.iter_mut().zip(&measured) {
        for sides in &one.sides {
            let bundle =
                Bundle::create_in(folder.folder(), &format!("{}-{}", kept.name, sides.arm))?;
            let run = sides.run();
            bundle.write_run(run)?;
            report::write_all(&bundle, run, &compare::compare(run), &Files::default())?;
            let name = bundle.folder().file_name().unwrap_or_default().display().to_string();
            kept.bundles.push(name);
        }
    }
    folder.write(GATE, &record.to_json()?)?;
    folder.write("gate.md", markdown::render(&record).as_bytes())?;
    folder.write("gate.html", html::render(&record).as_bytes())?;
    write_formats(args, &record, &measured)?;
    print(args, &record, terminal)?;
    let exit = match record.complete {
        true => Exit::from(gate::outcome(&record)),
        false if is_interrupted(terminal) => Exit::Interrupted,
        false => Exit::Failed,
    };
    let to: &mut dyn Write = if args.json || args.md { terminal.err } else { terminal.out };
    writeln!(to, " {}   exit {}", folder.folder().join("gate.html").display(), exit.code())?;
    Ok(exit)
}

fn print(args: &GateArgs, record: &GateRecord, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let style = Style { color: terminal.color, width: terminal.width };
    match () {
        () if args.json => terminal.out.write_all(&record.to_json()?)?,
        () if args.md => write!(terminal.out, "{}", markdown::render(record))?,
        () => write!(terminal.out, "{}", text::render(record, style))?,
    }
    if args.github || std::env::var_os("GITHUB_ACTIONS").is_some() {
        write!(terminal.err, "{}", github::annotations(record))?;
        if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY") {
            append(Path::new(&path), &markdown::render(record))
                .map_err(|error| anyhow::anyhow!("{}: {error}", Path::new(&path).display()))?;
        }
    }
    Ok(())
}

/// What other programs read.
fn write_formats(
    args: &GateArgs,
    record: &GateRecord,
    measured: &[Measured],
) -> anyhow::Result<()> {
    let write = |path: &PathBuf, text: String| {
        std::fs::write(path, text).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
    };
    if let Some(path) = &args.junit {
        write(path, junit::render(record)?)?;
    }
    if let Some(path) = &args.openmetrics {
        let runs: Vec<&Run> = measured.iter().flat_map(|one| &one.sides).map(Sides::run).collect();
        let judged: Vec<_> = runs.iter().map(|run| compare::compare(run)).collect();
        let inputs: Vec<Judged<'_>> =
            runs.iter().zip(&judged).map(|(run, comparison)| Judged { run, comparison }).collect();
        write(path, openmetrics::render(&inputs)?)?;
    }
    Ok(())
}

/// GitHub lets several steps add to one summary.
fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = std::fs::File::options().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())
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
