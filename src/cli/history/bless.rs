//! `kvbench history bless`: accepts a level, with a reason.

use super::{Exit, FloorArgs, FolderArgs, Mistake, Terminal, read, told, unusable};
use crate::compare::history::{Blessing, NoLevel, bless as accepted};
use crate::record::history::{Line, Store};
use crate::report::words::plain;
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench history bless put_parallel --metric saturate.p99@50 --why \"every answer is checked twice now\"
  kvbench history bless put_parallel --metric saturate.p99@50 --arm before --since a1b2c3d --why \"another kernel\"

What was before does not count any more: later runs are held against the runs from there on. Nothing is removed, and the trend
shows what was accepted and why.")]
pub(super) struct BlessArgs {
    /// The scenario
    scenario: String,
    /// The metric, named as in targets
    #[arg(long, value_name = "METRIC")]
    metric: String,
    /// The arm; the last one of the ladder if none is named
    #[arg(long, value_name = "ARM")]
    arm: Option<String>,
    /// From which run on: its revision or its start; from the last change of level on if none is named, or the newest run without one
    #[arg(long, value_name = "RUN")]
    since: Option<String>,
    /// Why, for those who ask later
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    floor: FloorArgs,
    #[command(flatten)]
    folder: FolderArgs,
}

pub(super) fn bless(args: &BlessArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let Some(history) = read(&args.folder, terminal)? else { return Ok(Exit::Usage) };
    let asked = Blessing {
        scenario: &args.scenario,
        metric: &args.metric,
        arm: args.arm.as_deref(),
        since: args.since.as_deref(),
        floor: args.floor.floor,
        why: &args.why,
    };
    let bless = match accepted(&history, &asked) {
        Ok(bless) => bless,
        Err(why) => return told(&mistake(&why), terminal),
    };
    let since = history.runs.iter().find(|run| run.id == bless.since);
    let since = since
        .map_or(String::new(), |run| format!(" from {} at {} on", run.started_at, run.revision));
    let series = &bless.series;
    let told = format!("accepted {} of {}{since}: {}", series.metric, series.arm, bless.why);
    match Store::at(&args.folder.folder).add(&[Line::Bless(bless)]) {
        Ok(_) => writeln!(terminal.out, "{}", plain(&told))?,
        Err(error) => return unusable(error, terminal),
    }
    Ok(Exit::Met)
}

fn mistake(why: &NoLevel) -> Mistake {
    Mistake {
        what: format!("nothing was accepted: {why}"),
        hint: match why {
            NoLevel::NoReason => "say in a few words why this level is right: --why TEXT",
            NoLevel::NoSeries { .. } => {
                "`kvbench history trend SCENARIO` shows the metrics and arms there are"
            }
            NoLevel::NoRun(_) => "`kvbench history list SCENARIO` shows the runs there are",
        },
    }
}
