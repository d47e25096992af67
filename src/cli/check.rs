//! `kvbench check`: are these scenarios sound?

use super::{Exit, OverrideArgs, Terminal, load, scenario_files};
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
                let (arms, targets) = (scenario.arms.len(), scenario.targets.len());
                writeln!(terminal.out, "{}: sound, {arms} arms, {targets} targets", path.display())?;
            }
            Err(problems) => {
                exit = Exit::Usage;
                writeln!(terminal.err, "{problems}")?;
            }
        }
    }
    if files.is_empty() {
        writeln!(terminal.err, "error: no *.toml file there\n  hint: name a file, or a folder that holds some")?;
        exit = Exit::Usage;
    }
    Ok(exit)
}
