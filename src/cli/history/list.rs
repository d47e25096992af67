//! `kvbench history list`: what is in it.

use super::{Exit, FolderArgs, Terminal, no_such_scenario, read, told};
use crate::report::history::list as text;
use crate::report::terminal::Style;
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench history list
  kvbench history list put_parallel --in /srv/history")]
pub(super) struct ListArgs {
    /// Runs of this scenario only
    scenario: Option<String>,
    #[command(flatten)]
    folder: FolderArgs,
}

pub(super) fn list(args: &ListArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let Some(history) = read(&args.folder, terminal)? else { return Ok(Exit::Usage) };
    let scenario = args.scenario.as_deref();
    if let Some(name) = scenario.filter(|name| !history.has_scenario(name)) {
        return told(&no_such_scenario(name, &history), terminal);
    }
    let style = Style { color: terminal.color, width: terminal.width };
    write!(terminal.out, "{}", text::render(&history, scenario, style))?;
    Ok(Exit::Met)
}
