//! `kvbench history trend`: how metrics went, and where their level changed.

use super::{Exit, FloorArgs, FolderArgs, Mistake, Terminal, no_such_scenario, read, told};
use crate::compare::history::{Question, trends};
use crate::files;
use crate::record::trend::Trends;
use crate::report::history::svg::DRAWINGS_MAX;
use crate::report::history::{html, svg, terminal as text};
use crate::report::terminal::Style;
use anyhow::Context;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench history trend
  kvbench history trend put_parallel --arm after --metric saturate.throughput@50
  kvbench history trend put_parallel --arm before --arm after --html trend.html
  kvbench history trend put_parallel --metric saturate.p99@50 --svg p99.svg --floor 10%

Runs are joined only if scenario text, machine, way of measuring, --quick, cargo profile and arm are the same; where they are not,
a new series begins, and the trend says so. A change of level needs three runs on either side.")]
pub(super) struct TrendArgs {
    /// This scenario only
    scenario: Option<String>,
    /// These metrics only, named as in targets, e.g. `saturate.p99@50`; may be repeated
    #[arg(long = "metric", value_name = "METRIC")]
    metrics: Vec<String>,
    /// These arms only; may be repeated
    #[arg(long = "arm", value_name = "ARM")]
    arms: Vec<String>,
    #[command(flatten)]
    floor: FloorArgs,
    /// Write the drawings there, as one SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write drawings and tables there, as one HTML page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print all of it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folder: FolderArgs,
}

pub(super) fn trend(args: &TrendArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let Some(history) = read(&args.folder, terminal)? else { return Ok(Exit::Usage) };
    let scenario = args.scenario.as_deref();
    if let Some(name) = scenario.filter(|name| !history.has_scenario(name)) {
        return told(&no_such_scenario(name, &history), terminal);
    }
    let question =
        Question { scenario, metrics: &args.metrics, arms: &args.arms, floor: args.floor.floor };
    let trends = trends(&history, &question);
    let is_narrowed = !args.metrics.is_empty() || !args.arms.is_empty();
    if trends.series.is_empty() && is_narrowed {
        return told(&nothing_of_it(args), terminal);
    }
    write_files(args, &trends, terminal)?;
    match args.json {
        true => terminal.out.write_all(&trends.to_json()?)?,
        false => {
            let style = Style { color: terminal.color, width: terminal.width };
            write!(terminal.out, "{}", text::render(&trends, style))?;
        }
    }
    Ok(Exit::Met)
}

fn nothing_of_it(args: &TrendArgs) -> Mistake {
    let named = [args.metrics.as_slice(), args.arms.as_slice()].concat();
    Mistake {
        what: format!("no run has what was asked for: {}", named.join(", ")),
        hint: "`kvbench history trend` without --metric and --arm shows all there are",
    }
}

fn write_files(
    args: &TrendArgs,
    trends: &Trends,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    if let Some(path) = &args.svg {
        let left_out = trends.series.len().saturating_sub(DRAWINGS_MAX);
        if left_out > 0 {
            writeln!(
                terminal.err,
                "warning: {left_out} series are not drawn; name an arm or a metric"
            )?;
        }
        write_file(path, &svg::render(trends))?;
    }
    if let Some(path) = &args.html {
        write_file(path, &html::render(trends))?;
    }
    Ok(())
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    files::replace(path, text.as_bytes()).with_context(|| format!("{}", path.display()))
}
