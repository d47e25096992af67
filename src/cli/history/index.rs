//! `kvbench history index`: a page over all bundles of a folder. It needs no history, only the bundles.

use super::{Exit, Mistake, Terminal, told};
use crate::compare::compare;
use crate::record::bundle::{Bundle, RESULT};
use crate::report::history::index::{self, Entry, Index};
use crate::report::words::{count, plain};
use anyhow::Context;
use clap::Args;
use std::path::{Path, PathBuf};

/// Name of the page.
const INDEX: &str = "index.html";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench history index                    reports/index.html
  kvbench history index /srv/bundles")]
pub(super) struct IndexArgs {
    /// The folder of bundles, where the page is written
    #[arg(value_name = "FOLDER", default_value = "reports")]
    folder: PathBuf,
}

pub(super) fn index(args: &IndexArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let folder = &args.folder;
    if !folder.is_dir() {
        let what = format!("{} is no folder", folder.display());
        return told(&Mistake { what, hint: "name the folder that bundles are in" }, terminal);
    }
    let index = bundles(folder).with_context(|| format!("{}", folder.display()))?;
    Bundle::open(folder).write(INDEX, index::render(&index).as_bytes())?;
    for (name, why) in &index.unreadable {
        writeln!(terminal.err, "warning: left out {}: {}", plain(name), plain(why))?;
    }
    let page = folder.join(INDEX);
    let n = count(index.entries.len(), "run", "runs");
    writeln!(terminal.out, "{}: {n}", plain(&page.display().to_string()))?;
    Ok(Exit::Met)
}

/// Every folder in `folder` with a record in it.
fn bundles(folder: &Path) -> std::io::Result<Index> {
    let mut index = Index::default();
    let mut inside: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    inside.sort();
    for path in inside.iter().filter(|path| path.join(RESULT).is_file()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match Bundle::open(path).read_run() {
            Ok(run) => {
                let has_report = path.join("report.html").is_file();
                index.entries.push(Entry::of(&run, &compare(&run), name, has_report));
            }
            Err(error) => index.unreadable.push((name, error.to_string())),
        }
    }
    Ok(index)
}
