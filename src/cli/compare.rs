//! `kvbench compare`: arms of bundles held against each other, from their raw trials. It writes nothing.

use super::{Exit, Terminal};
use crate::compare::contrast::{self, Entrant, FLOOR, Question};
use crate::record::Run;
use crate::record::bundle::{Bundle, BundleError};
use crate::record::contrast::{Contrasts, RowVerdict};
use crate::report::contrast::{markdown, terminal as text};
use crate::report::terminal::Style;
use crate::report::words::plain;
use crate::units::parse_percent;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench compare reports/put_parallel-20261103T141200-a1b2c3d reports/nightly
  kvbench compare OLD NEW --arm after --metric saturate.throughput@50 --floor 3%
  kvbench compare BUNDLE:before BUNDLE:after      two arms of one run, by their pairs
  kvbench compare MONDAY TUESDAY FRIDAY --arm after --md

The first bundle is the base; of each other one the arms that both have are held against it. Two bundles are two sittings:
what the host did in between is in the ratio. Only arms of one run, in interleaved pairs, prove a small change.

Exit codes:
  0  nothing got worse: every metric compared leaves no room for more than the floor
  1  something got worse, significantly and beyond the floor
  2  command line wrong, or what was named is no bundle
  3  undecided, or not comparable")]
pub(super) struct CompareArgs {
    /// Bundle folders, or the result.json in them, the base first; BUNDLE:ARM means one arm
    #[arg(required = true, value_name = "BUNDLE[:ARM]")]
    sides: Vec<String>,
    /// Compare these arms only; may be repeated
    #[arg(long = "arm", value_name = "ARM")]
    arms: Vec<String>,
    /// Compare these metrics only, named as in targets, e.g. `saturate.p99@50`; may be repeated
    #[arg(long = "metric", value_name = "METRIC")]
    metrics: Vec<String>,
    /// Least change that counts
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = floor)]
    floor: f64,
    /// Compare what is not comparable; the result is stamped
    #[arg(long)]
    force: bool,
    /// Print Markdown
    #[arg(long, conflicts_with = "json")]
    md: bool,
    /// Print all of it as JSON
    #[arg(long)]
    json: bool,
}

/// What is wrong with the command line, and what to do about it. Both may quote text from files.
struct Mistake {
    what: String,
    hint: String,
}

/// A side as typed: a bundle, and an arm if one is named.
struct Named<'a> {
    bundle: &'a str,
    arm: Option<&'a str>,
}

/// A side whose record was read.
struct Loaded<'a> {
    named: Named<'a>,
    /// Which of the records.
    record: usize,
}

pub(super) fn compare(args: &CompareArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    match compared(args) {
        Ok(contrasts) => {
            print(&contrasts, args, terminal)?;
            Ok(exit(&contrasts))
        }
        Err(Mistake { what, hint }) => {
            writeln!(terminal.err, "error: {}\n  hint: {}", plain(&what), plain(&hint))?;
            Ok(Exit::Usage)
        }
    }
}

fn compared(args: &CompareArgs) -> Result<Contrasts, Mistake> {
    let mut records = Records::default();
    let sides = args.sides.iter().map(|side| records.load(side)).collect::<Result<Vec<_>, _>>()?;
    let [base, others @ ..] = sides.as_slice() else { return Err(one_side("BUNDLE")) };
    if others.is_empty() {
        return Err(one_side(base.named.bundle));
    }
    let mut opponents = Vec::new();
    for other in others {
        opponents.extend(opposed(base, other, &args.arms, &records)?);
    }
    let question = Question { floor: args.floor, force: args.force, metrics: &args.metrics };
    contrast::contrasts(&opponents, &question).map_err(|unknown| Mistake {
        what: format!("cannot compare \"{}\": {}", unknown.metric, unknown.reason),
        hint: "name it as targets do: phase.measure@clients, e.g. saturate.throughput@50 or saturate.get.p99@50".to_owned(),
    })
}

/// Records that were read, each folder once: arms of one run are known by their record being the same.
#[derive(Default)]
struct Records {
    folders: Vec<PathBuf>,
    runs: Vec<Run>,
}

impl Records {
    fn load<'a>(&mut self, side: &'a str) -> Result<Loaded<'a>, Mistake> {
        let named = named(side);
        let bundle = Bundle::open(Path::new(named.bundle));
        let folder =
            bundle.folder().canonicalize().unwrap_or_else(|_| bundle.folder().to_path_buf());
        if let Some(record) = self.folders.iter().position(|known| *known == folder) {
            return Ok(Loaded { named, record });
        }
        let run = bundle.read_run().map_err(|error| unreadable(&error))?;
        self.folders.push(folder);
        self.runs.push(run);
        Ok(Loaded { named, record: self.runs.len() - 1 })
    }
}

/// `BUNDLE:ARM`, unless a bundle has that name.
fn named(side: &str) -> Named<'_> {
    match side.rsplit_once(':') {
        Some((bundle, arm)) if !Path::new(side).exists() && Path::new(bundle).exists() => {
            Named { bundle, arm: Some(arm) }
        }
        _ => Named { bundle: side, arm: None },
    }
}

/// Which arms of two bundles are held against each other: the one named, with its namesake if only one side names any; else all
/// that both have, or those of them that were asked for.
fn opposed<'a>(
    base: &'a Loaded<'_>,
    other: &'a Loaded<'_>,
    asked: &'a [String],
    records: &'a Records,
) -> Result<Vec<(Entrant<'a>, Entrant<'a>)>, Mistake> {
    let [of_base, of_other] = [base, other].map(|side| &records.runs[side.record]);
    let (first, second) = (base.named.arm, other.named.arm);
    let arms: Vec<(&str, &str)> = match (first.or(second), second.or(first)) {
        (Some(first), Some(second)) => vec![(first, second)],
        _ if !asked.is_empty() => asked.iter().map(|arm| (arm.as_str(), arm.as_str())).collect(),
        _ => {
            let shared = of_base.arms.iter().filter(|arm| has(of_other, &arm.name));
            shared.map(|arm| (arm.name.as_str(), arm.name.as_str())).collect()
        }
    };
    if arms.is_empty() {
        return Err(no_shared_arm(base, other));
    }
    let mut opposed = Vec::new();
    for (first, second) in arms {
        let (a, b) = (entrant(base, of_base, first)?, entrant(other, of_other, second)?);
        if base.record == other.record && first == second {
            return Err(one_side(base.named.bundle));
        }
        opposed.push((a, b));
    }
    Ok(opposed)
}

fn entrant<'a>(side: &'a Loaded<'_>, run: &'a Run, arm: &'a str) -> Result<Entrant<'a>, Mistake> {
    if has(run, arm) {
        return Ok(Entrant { bundle: side.named.bundle, run, arm });
    }
    let known: Vec<&str> = run.arms.iter().map(|arm| arm.name.as_str()).collect();
    Err(Mistake {
        what: format!("no arm \"{arm}\" in {}", side.named.bundle),
        hint: format!("it has {}", known.join(", ")),
    })
}

fn has(run: &Run, arm: &str) -> bool {
    run.arms.iter().any(|known| known.name == arm)
}

fn one_side(bundle: &str) -> Mistake {
    Mistake {
        what: "nothing to compare with: the same arm of the same run on both sides".to_owned(),
        hint: format!("name a second bundle, or two arms of one: {bundle}:before {bundle}:after"),
    }
}

fn no_shared_arm(base: &Loaded<'_>, other: &Loaded<'_>) -> Mistake {
    let (a, b) = (base.named.bundle, other.named.bundle);
    Mistake {
        what: format!("{a} and {b} have no arm of the same name"),
        hint: format!("name one of each: {a}:ARM {b}:ARM"),
    }
}

fn unreadable(error: &BundleError) -> Mistake {
    Mistake {
        what: error.to_string(),
        hint: "name a folder that `kvbench run` wrote, and an arm after a colon: BUNDLE:ARM"
            .to_owned(),
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

fn print(
    contrasts: &Contrasts,
    args: &CompareArgs,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let style = Style { color: terminal.color, width: terminal.width };
    match () {
        () if args.json => terminal.out.write_all(&contrasts.to_json()?)?,
        () if args.md => write!(terminal.out, "{}", markdown::render(contrasts))?,
        () => write!(terminal.out, "{}", text::render(contrasts, style))?,
    }
    Ok(())
}

/// A metric that got worse is told even if others could not be compared; where nothing was judged nothing is said to be well.
fn exit(contrasts: &Contrasts) -> Exit {
    let refused =
        |contrast: &crate::record::contrast::Contrast| !contrast.not_comparable.is_empty();
    let is_refused = !contrasts.forced && contrasts.contrasts.iter().any(refused);
    let judged = contrasts.count(RowVerdict::Better) + contrasts.count(RowVerdict::NotWorse);
    match () {
        () if contrasts.count(RowVerdict::Worse) > 0 => Exit::Missed,
        () if is_refused || judged == 0 || contrasts.count(RowVerdict::Undecided) > 0 => {
            Exit::Inconclusive
        }
        () => Exit::Met,
    }
}
