//! `kvbench history add`: a line for each run.

use super::{Exit, FolderArgs, Mistake, Terminal, told, unusable};
use crate::compare::history::entry;
use crate::record::bundle::Bundle;
use crate::record::history::{Line, RunLine, Store};
use crate::report::history::torn;
use crate::report::words::{count, plain};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench history add reports/put_parallel-20261103T141200-a1b2c3d
  kvbench history add reports/*/ --in /srv/history

A run is added once: one that is there already is refused (exit 2), and the others are added all the same. If something that
was named is no bundle, nothing is added.")]
pub(super) struct AddArgs {
    /// Bundle folders, or the result.json in them
    #[arg(required = true, value_name = "BUNDLE")]
    bundles: Vec<PathBuf>,
    #[command(flatten)]
    folder: FolderArgs,
}

pub(super) fn add(args: &AddArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let entries = args.bundles.iter().map(|bundle| read(bundle)).collect::<Result<Vec<_>, _>>();
    let entries = match entries {
        Ok(entries) => entries,
        Err(mistake) => return told(&mistake, terminal),
    };
    let told_of: Vec<String> =
        args.bundles.iter().zip(&entries).map(|(bundle, entry)| told_of(bundle, entry)).collect();
    let lines: Vec<Line> = entries.into_iter().map(Line::Run).collect();
    let added = match Store::at(&args.folder.folder).add(&lines) {
        Ok(added) => added,
        Err(error) => return unusable(error, terminal),
    };
    if let Some(line) = added.removed {
        writeln!(terminal.err, "warning: {}; it was removed", torn(line))?;
    }
    for (place, run) in told_of.iter().enumerate() {
        match added.known.contains(&place) {
            true => writeln!(terminal.err, "error: the history has this run already: {run}")?,
            false => writeln!(terminal.out, "added {run}")?,
        }
    }
    Ok(if added.known.is_empty() { Exit::Met } else { Exit::Usage })
}

fn read(path: &Path) -> Result<RunLine, Mistake> {
    let bundle = Bundle::open(path);
    let run = bundle.read_run().map_err(|error| Mistake {
        what: error.to_string(),
        hint: "name a folder that `kvbench run` wrote",
    })?;
    entry(&run).map_err(|why| Mistake {
        what: format!("{} has no place in a history: {why}", path.display()),
        hint: "nothing was added; leave it out",
    })
}

/// `put_parallel of 2026-11-03T14:12:00Z at a1b2c3d, 98 metrics (reports/x)`.
fn told_of(bundle: &Path, entry: &RunLine) -> String {
    plain(&format!(
        "{} of {} at {}, {} ({})",
        entry.conditions.scenario,
        entry.started_at,
        entry.revision,
        count(entry.cells.len(), "metric", "metrics"),
        bundle.display()
    ))
}
