//! `kvbench check`: are these scenarios sound? One that needs more than this build has is sound all the same, and said to.

use super::{Exit, OverrideArgs, Terminal, load, no_scenario, scenario_files};
use crate::report::words::{count, plain};
use crate::runner;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench check scenarios/
  kvbench check scenarios/put_parallel.toml --set trials.pairs.min=10")]
pub(super) struct CheckArgs {
    /// Scenario files, or folders of them
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    overrides: OverrideArgs,
}

pub(super) fn check(args: &CheckArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let mut exit = Exit::Met;
    let files = scenario_files(&args.scenarios)?;
    for path in &files {
        match load(path, &args.overrides) {
            Ok(scenario) => {
                let arms = scenario.arms.len();
                let targets = count(scenario.targets.len(), "target", "targets");
                let name = plain(&path.display().to_string());
                writeln!(terminal.out, "{name}: sound, {arms} arms, {targets}")?;
                for lacking in runner::missing(&name, &scenario).iter().flat_map(|all| &all.list) {
                    let hint = lacking.hint.as_deref().unwrap_or_default();
                    writeln!(terminal.out, "  but {}: {hint}", lacking.message)?;
                }
            }
            Err(problems) => {
                exit = Exit::Usage;
                writeln!(terminal.err, "{problems}")?;
            }
        }
    }
    if files.is_empty() {
        no_scenario(terminal)?;
        exit = Exit::Usage;
    }
    Ok(exit)
}
