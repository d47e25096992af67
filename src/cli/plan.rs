//! `kvbench plan`: what would run, in which order, for how long. Starts nothing, unless predictions are asked for: those need
//! short measured trials.

mod ceilings;
mod validate;
mod what_if;
mod words;

use super::table::columns;
use super::{Exit, ScenarioArgs, Terminal, load_all};
use crate::report::words::{count, plain};
use crate::scenario::plan::{Block, Plan};
use crate::scenario::spec::{Expectation, Keys, Load, Scenario};
use clap::Args;
use std::io::{self, Write};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  kvbench plan scenarios/put_parallel.toml
  kvbench plan --quick scenarios/                        what a first impression would take
  kvbench plan scenarios/store_only.toml --set seed=7    the order under another seed
  kvbench plan s.toml --what-if cores=64,fsync=20us,rtt=500us,clients=1+1000
                                                         another host, predicted from costs measured here
  kvbench plan s.toml --validate                         how far predictions are from trials here";

/// Blocks whose order is written out; the rest follows from the seed alike.
const BLOCKS_SHOWN: usize = 3;

/// Scenarios, and what is asked of them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    scenarios: ScenarioArgs,
    /// Predict all arms on another host: any of cores=1..1024, fsync=TIME|off|real, rtt=TIME, clients=N+N+…; measures stage costs here
    /// for some seconds
    #[arg(long, value_name = "KEY=VALUE,…", conflicts_with = "validate")]
    what_if: Option<String>,
    /// Hold predictions against measured trials on this host, over a grid of clients and syncs; at most two minutes
    #[arg(long)]
    validate: bool,
    /// Folder for the data of nodes while something is measured; decides whose syncs are measured
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    data: PathBuf,
}

pub(super) fn plan(args: &PlanArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let Some(scenarios) = load_all(&args.scenarios, terminal)? else { return Ok(Exit::Usage) };
    if args.what_if.is_some() || args.validate {
        return what_if::predictions(args, &scenarios, terminal);
    }
    for (_, scenario) in &scenarios {
        show(scenario, terminal.out)?;
    }
    Ok(Exit::Met)
}

fn show(scenario: &Scenario, out: &mut dyn Write) -> io::Result<()> {
    let plan = Plan::of(scenario);
    writeln!(out, "{}  seed {}", scenario.name, scenario.seed.0)?;
    for line in scenario.analysis.lines() {
        writeln!(out, "  {}", plain(line))?;
    }
    writeln!(out, "\narms")?;
    columns(out, &arms(scenario))?;
    writeln!(out, "\noperations")?;
    columns(out, &operations(scenario))?;
    writeln!(out, "\nphases of every trial")?;
    columns(out, &phases(scenario))?;
    writeln!(out, "\ntargets")?;
    columns(out, &targets(scenario))?;
    totals(scenario, &plan, out)?;
    writeln!(out, "\norder")?;
    for block in plan.blocks.iter().take(BLOCKS_SHOWN) {
        orders(scenario, block, out)?;
    }
    let more = plan.blocks.len().saturating_sub(BLOCKS_SHOWN);
    if more > 0 {
        writeln!(out, "  and {more} more blocks, shuffled likewise from seed {}", scenario.seed.0)?;
    }
    Ok(())
}

/// Each arm with what sets it apart from the one before it; the first with its levers.
fn arms(scenario: &Scenario) -> Vec<Vec<String>> {
    let first = |scenario: &Scenario| {
        let system = &scenario.before().system;
        let shown = ["apply", "propose", "layer", "engine"];
        let levers = system.levers().into_iter().filter(|(name, _)| shown.contains(name));
        let mut levers: Vec<_> = levers.collect();
        levers.sort_by_key(|(name, _)| shown.iter().position(|shown| shown == name));
        let levers = levers.iter().map(|(name, value)| format!("{name} {value}"));
        levers.collect::<Vec<_>>().join(" · ")
    };
    let line = |arm: &crate::scenario::spec::Arm| match arm.lever.as_str() {
        "" if arm == scenario.before() => first(scenario),
        "" => "the same levers".to_owned(),
        lever => format!("+ {lever}"),
    };
    scenario.arms.iter().map(|arm| vec![arm.name.clone(), line(arm)]).collect()
}

fn operations(scenario: &Scenario) -> Vec<Vec<String>> {
    let total: f64 = scenario.ops.iter().map(|op| op.weight).sum();
    let line = |op: &crate::scenario::spec::WeightedOp| {
        vec![op.op.to_string(), format!("{:.0} %", op.weight / total * 100.0)]
    };
    scenario.ops.iter().map(line).collect()
}

/// What is there before the load, and how the load is sent.
fn phases(scenario: &Scenario) -> Vec<Vec<String>> {
    let line = |phase: &crate::scenario::spec::Phase| {
        let clients: Vec<_> = phase.clients.iter().map(u32::to_string).collect();
        let load = match phase.load {
            Load::Closed { .. } => format!("{}, {} clients", phase.load, clients.join(", ")),
            Load::Open(_) | Load::Search(_) => phase.load.to_string(),
        };
        let watchers = match phase.watchers {
            0 => String::new(),
            1 => ", 1 watcher".to_owned(),
            watchers => format!(", {watchers} watchers"),
        };
        vec![
            phase.name.clone(),
            format!("{load}{watchers}"),
            format!("{} after {} of warm-up each", phase.duration, phase.warmup),
        ]
    };
    let Keys { space, preload, leases, .. } = scenario.keys;
    let puts = (preload > 0).then(|| format!("{preload} of {space} keys are put"));
    let grants = (leases > 0)
        .then(|| format!("{} granted", count(leases as usize, "lease is", "leases are")));
    let prepare = (preload > 0 || leases > 0).then(|| {
        vec![
            "prepare".to_owned(),
            grants.into_iter().chain(puts).collect::<Vec<_>>().join(", "),
            "before the first phase, not timed".to_owned(),
        ]
    });
    prepare.into_iter().chain(scenario.phases.iter().map(line)).collect()
}

fn targets(scenario: &Scenario) -> Vec<Vec<String>> {
    if scenario.targets.is_empty() {
        return vec![vec!["none: the run reports and judges nothing".to_owned()]];
    }
    let line = |target: &crate::scenario::spec::Target| {
        let (what, wanted) = match &target.expectation {
            Expectation::Ratio { metric, bound } => {
                (metric.to_string(), format!("after / before {}", bound.text(None)))
            }
            Expectation::Value { metric, arm, bound } => {
                let wanted = bound.text(Some(metric.measure.unit()));
                (metric.to_string(), format!("{arm} {wanted}"))
            }
            Expectation::Check(check) => (format!("check {check}"), "passes".to_owned()),
        };
        vec![target.id.clone(), what, wanted]
    };
    scenario.targets.iter().map(line).collect()
}

fn totals(scenario: &Scenario, plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let trials = scenario.trials;
    let aa = if trials.aa { " + 1 A/A trial" } else { "" };
    writeln!(out, "\nsize")?;
    columns(
        out,
        &[
            vec!["blocks".into(), format!("{} to {}", trials.pairs_min, trials.pairs_max)],
            vec![
                "trials".into(),
                format!(
                    "{} arms{aa} per block: {} to {}",
                    plan.arms,
                    plan.trials_min(),
                    plan.trials_max()
                ),
            ],
            vec!["cells".into(), format!("{} per trial", plan.cells_per_trial)],
            vec![
                "time".into(),
                format!(
                    "about {} to {}, profiles apart",
                    minutes(plan.estimated_min),
                    minutes(plan.estimated_max)
                ),
            ],
            vec![
                "stops".into(),
                format!("when judged ratios are within ±{:.3} %", trials.precision * 100.0),
            ],
            vec![
                "disk".into(),
                format!("up to {} per trial, removed after it", plan.disk_bytes_max),
            ],
        ],
    )
}

fn minutes(span: crate::units::Nanos) -> String {
    let seconds = span.as_secs_f64().round() as u64;
    match seconds / 60 {
        0 => format!("{seconds} s"),
        minutes => format!("{minutes} m {:02} s", seconds % 60),
    }
}

fn orders(scenario: &Scenario, block: &Block, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  block {}", block.index + 1)?;
    let cells = scenario.phases.iter().flat_map(|phase| {
        phase.clients.iter().map(move |clients| format!("{}@{clients}", phase.name))
    });
    let names = |order: &Vec<usize>| {
        let name = |trial: &usize| {
            let trial = &block.trials[*trial];
            let again = if trial.aa { " (A/A)" } else { "" };
            format!("{}{again}", scenario.arms[trial.arm_idx].name)
        };
        order.iter().map(name).collect::<Vec<_>>().join(" → ")
    };
    let rows: Vec<_> = cells
        .zip(&block.orders)
        .map(|(cell, order)| vec![format!("  {cell}"), names(order)])
        .collect();
    columns(out, &rows)
}
