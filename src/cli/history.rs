//! `kvbench history`: results over time, in a file that only grows. One file per subcommand.

mod add;
mod bless;
mod index;
mod list;
mod trend;

use super::{Exit, Terminal};
use crate::compare::contrast::FLOOR;
use crate::record::history::{History, HistoryError, Store};
use crate::report::history::torn;
use crate::report::words::plain;
use crate::units::parse_percent;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench history add reports/put_parallel-20261103T141200-a1b2c3d
  kvbench history trend put_parallel --arm after --metric saturate.throughput@50
  kvbench history bless put_parallel --metric saturate.p99@50 --why \"every answer is checked twice now\"
  kvbench history index                    then open reports/index.html

The history is one file, history/history.ndjson, a line for each run. Several processes may add to it at once; it can be kept
in git or copied, and a line says all that later runs are held against, so its bundle need not be kept.

Exit codes:
  0  done, whatever a trend shows
  2  command line wrong, or what was named is no bundle, no history, or in the history already
  5  a file or folder cannot be written")]
pub(super) struct HistoryArgs {
    #[command(subcommand)]
    command: HistoryCommand,
}

#[derive(Debug, Subcommand)]
enum HistoryCommand {
    /// Add the runs of bundles
    Add(add::AddArgs),
    /// List runs, and levels that were accepted
    List(list::ListArgs),
    /// Show how metrics went, and where their level changed
    Trend(trend::TrendArgs),
    /// Accept the level that a metric has now, with a reason
    Bless(bless::BlessArgs),
    /// Write index.html, a page over all bundles of a folder
    Index(index::IndexArgs),
}

/// Where the history is.
#[derive(Debug, Args)]
struct FolderArgs {
    /// The folder of the history
    #[arg(long = "in", value_name = "FOLDER", default_value = "history")]
    folder: PathBuf,
}

/// What counts as a change.
#[derive(Debug, Args)]
struct FloorArgs {
    /// Least change that counts
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = floor)]
    floor: f64,
}

/// What is wrong with the command line or a file, and what to do about it. Both may quote text from files.
struct Mistake {
    what: String,
    hint: &'static str,
}

pub(super) fn history(args: &HistoryArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    match &args.command {
        HistoryCommand::Add(args) => add::add(args, terminal),
        HistoryCommand::List(args) => list::list(args, terminal),
        HistoryCommand::Trend(args) => trend::trend(args, terminal),
        HistoryCommand::Bless(args) => bless::bless(args, terminal),
        HistoryCommand::Index(args) => index::index(args, terminal),
    }
}

/// Reads the history of a folder, and says if its last line is torn; nothing if what is there cannot be read, which is said, too.
fn read(folder: &FolderArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Option<History>> {
    let store = Store::at(&folder.folder);
    match store.read() {
        Ok(history) => {
            if let Some(line) = history.torn {
                let path = plain(&store.path().display().to_string());
                writeln!(terminal.err, "warning: {path}: {}", torn(line))?;
            }
            Ok(Some(history))
        }
        Err(error) => {
            unusable(error, terminal)?;
            Ok(None)
        }
    }
}

/// Says that a history cannot be read or written.
fn unusable(error: HistoryError, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let hint = match &error {
        // A disk or a permission is no mistake of the command line.
        HistoryError::Io { .. } => {
            return Err(anyhow::anyhow!("{error}\n  hint: name another folder: --in FOLDER"));
        }
        HistoryError::TooLarge { .. } => "begin another one: --in FOLDER",
        HistoryError::Line { .. } => "remove that line, or name another folder: --in FOLDER",
    };
    told(&Mistake { what: error.to_string(), hint }, terminal)
}

fn told(mistake: &Mistake, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let (what, hint) = (plain(&mistake.what), mistake.hint);
    writeln!(terminal.err, "error: {what}\n  hint: {hint}")?;
    Ok(Exit::Usage)
}

/// That no run is of a scenario, naming those that some are of.
fn no_such_scenario(scenario: &str, history: &History) -> Mistake {
    let mut known: Vec<&str> =
        history.runs.iter().map(|run| run.conditions.scenario.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    let known = if known.is_empty() { "there is none yet".to_owned() } else { known.join(", ") };
    Mistake {
        what: format!("no run of \"{scenario}\" in the history; scenarios in it: {known}"),
        hint: "`kvbench history add BUNDLE` adds runs, `kvbench history list` shows them",
    }
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
