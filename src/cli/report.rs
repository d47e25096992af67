//! `kvbench report`: the reports of a bundle, rebuilt from its record. `run` writes the same ones.

use super::scoreboard::{self, Form};
use super::{Exit, Terminal};
use crate::compare::{self, Comparison};
use crate::record::Run;
use crate::record::bundle::Bundle;
use crate::report::formats::github::Better;
use crate::report::formats::{Format, Judged};
use crate::report::words::plain;
use crate::report::{html, markdown, profiles, terminal as text};
use crate::runner::Finished;
use clap::{Args, ValueEnum};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench report reports/put_parallel-20261103T141200-a1b2c3d          print it, rewrite its pages
  kvbench report reports/put_parallel-20261103T141200-a1b2c3d --open   and show its page
  kvbench report reports/put_parallel-20261103T141200-a1b2c3d --md     Markdown for a pull request
  kvbench report reports/put_parallel-20261103T141200-a1b2c3d --csv    every trial, for a data frame
  kvbench report reports/c0*/ --junit                                  a suite per scenario, for CI
  kvbench report reports/scoreboard-20261103T141200                    a scoreboard, from its bundles
  kvbench report reports/c0*/ --out reports/board                      a scoreboard of these bundles")]
pub(super) struct ReportArgs {
    /// A bundle folder, or the result.json in it; several, or a scoreboard's folder, for a scoreboard
    #[arg(required = true, value_name = "BUNDLE")]
    bundles: Vec<PathBuf>,
    #[command(flatten)]
    form: FormArgs,
    /// Open the page that was written, in the browser of this desktop
    #[arg(long, conflicts_with = "form")]
    open: bool,
    /// Write the scoreboard of several bundles there
    #[arg(long, value_name = "FOLDER", conflicts_with_all = FOR_PROGRAMS)]
    out: Option<PathBuf>,
}

/// In which form; the terminal's if none is asked for.
#[derive(Debug, Args)]
#[group(id = "form", multiple = false)]
struct FormArgs {
    /// Print Markdown
    #[arg(long)]
    md: bool,
    /// Print the HTML page
    #[arg(long)]
    html: bool,
    /// Print the record
    #[arg(long)]
    json: bool,
    /// Print every trial's values as CSV
    #[arg(long)]
    csv: bool,
    /// Print every trial as Go benchmark text, for benchstat
    #[arg(long)]
    benchfmt: bool,
    /// Print OpenMetrics text
    #[arg(long)]
    openmetrics: bool,
    /// Print targets and checks as JUnit XML
    #[arg(long)]
    junit: bool,
    /// Print Bencher Metric Format
    #[arg(long)]
    bmf: bool,
    /// Print a list for github-action-benchmark, of what is better that way
    #[arg(long, value_name = "DIRECTION")]
    github_benchmark: Option<Direction>,
    /// Print percentile text (.hgrm) of one arm at one place: `after:saturate@50`
    #[arg(long, value_name = "ARM:PLACE")]
    hgrm: Option<String>,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Direction {
    /// Throughput and other rates
    Bigger,
    /// Latencies and costs
    Smaller,
}

/// What opens files on a desktop: freedesktop.org's, macOS's.
const OPENERS: [&str; 2] = ["xdg-open", "open"];

/// Forms that are of runs, never of a scoreboard.
const FOR_PROGRAMS: [&str; 7] =
    ["csv", "benchfmt", "openmetrics", "junit", "bmf", "github_benchmark", "hgrm"];

impl FormArgs {
    /// The format for other programs that is asked for, if one is.
    fn format(&self) -> Option<Format> {
        Some(match self {
            FormArgs { csv: true, .. } => Format::Csv,
            FormArgs { benchfmt: true, .. } => Format::Benchfmt,
            FormArgs { openmetrics: true, .. } => Format::OpenMetrics,
            FormArgs { junit: true, .. } => Format::Junit,
            FormArgs { bmf: true, .. } => Format::Bmf,
            FormArgs { github_benchmark: Some(Direction::Bigger), .. } => {
                Format::Github(Better::Bigger)
            }
            FormArgs { github_benchmark: Some(Direction::Smaller), .. } => {
                Format::Github(Better::Smaller)
            }
            FormArgs { hgrm: Some(place), .. } => Format::Hgrm(place.clone()),
            _ => return None,
        })
    }
}

/// The pictures of a bundle.
#[derive(Debug, Default)]
pub(super) struct Files {
    flames: Vec<html::Flame>,
}

/// Arms whose pictures are read, at most; a record may claim any number.
const ARMS_MAX: usize = 40;

const ON_CPU: &str = "A thread that waits is not sampled: an idle picture is a finding, not a gap. Widths are samples of CPU time.";
const CPU_CHANGED: &str = "CPU time per operation: red frames cost more, blue ones less.";
const WAITING: &str = "Widths are time waited; the lock is the last frame, the function that asked for it the one below.";
const OFF_CPU: &str = "Widths are time that threads were not on a CPU, whatever for; the last frames are the kernel's and say what was waited for. Most of it is waiting for work.";
const OFF_CPU_CHANGED: &str = "Time off CPU per operation: red frames wait more, blue ones less.";
const WAITING_CHANGED: &str = "Time waited per operation: red frames wait more, blue ones less.";

impl Files {
    /// Of a run that just ended.
    pub(super) fn of_run(finished: &Finished) -> Files {
        Files::collect(&finished.run, |name| {
            let file = finished.files.iter().find(|(file, _)| file == name);
            file.map(|(_, bytes)| bytes.clone())
        })
    }

    /// Of a bundle on disk; what is not there is left out, and so is what is named as lying elsewhere.
    fn of_bundle(bundle: &Bundle, run: &Run) -> Files {
        let is_inside = |name: &str| Path::new(name).file_name().is_some_and(|file| file == name);
        Files::collect(run, |name| is_inside(name).then(|| bundle.read(name).ok())?)
    }

    fn collect(run: &Run, read: impl Fn(&str) -> Option<Vec<u8>>) -> Files {
        let flame = |file: &str, title: String, note: &str| {
            Some(html::Flame {
                title,
                svg: String::from_utf8(read(file)?).ok()?,
                note: note.to_owned(),
                file: file.to_owned(),
            })
        };
        let mut flames = Vec::new();
        for profile in run.profiles.iter().take(ARMS_MAX) {
            let title = format!("{}, on CPU", profile.arm);
            flames.push(flame(&profile.flame_file, title, ON_CPU));
        }
        let names = against(run.profiles.iter().map(|profile| &profile.arm));
        flames.push(flame("flame-diff.svg", format!("{names}, on CPU"), CPU_CHANGED));
        for profile in run.lock_profiles.iter().take(ARMS_MAX) {
            let title = format!("{}, waiting for locks", profile.arm);
            flames.push(flame(profile.flame_file.as_deref().unwrap_or_default(), title, WAITING));
        }
        let names = against(run.lock_profiles.iter().map(|profile| &profile.arm));
        let title = format!("{names}, waiting for locks");
        flames.push(flame("flame-lock-wait-diff.svg", title, WAITING_CHANGED));
        for profile in run.off_cpu.iter().take(ARMS_MAX) {
            flames.push(flame(&profile.flame_file, format!("{}, off CPU", profile.arm), OFF_CPU));
        }
        let names = against(run.off_cpu.iter().map(|profile| &profile.arm));
        let title = format!("{names}, off CPU");
        flames.push(flame("flame-off-cpu-diff.svg", title, OFF_CPU_CHANGED));
        Files { flames: flames.into_iter().flatten().collect() }
    }
}

/// The last of the arms against the first.
fn against<'a>(mut arms: impl DoubleEndedIterator<Item = &'a String>) -> String {
    let (after, before) = (arms.next_back(), arms.next());
    let name = |arm: Option<&'a String>| arm.map_or("nothing", String::as_str);
    format!("{} against {}", name(after), name(before))
}

pub(super) fn report(args: &ReportArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    if let Some(format) = args.form.format() {
        return for_programs(&args.bundles, &format, terminal);
    }
    let again = match (args.bundles.as_slice(), &args.out) {
        ([one], None) => match scoreboard::folder_of(one) {
            Some(folder) => scoreboard::again(&folder).map(|again| (again, Some(folder))),
            None => return one_bundle(args, one, terminal),
        },
        (several, None) => {
            scoreboard::of_bundles(several, Path::new(".")).map(|again| (again, None))
        }
        (bundles, Some(out)) => {
            std::fs::create_dir_all(out)?;
            scoreboard::of_bundles(bundles, out).map(|again| (again, Some(out.clone())))
        }
    };
    let (again, folder) = match again {
        Ok(again) => again,
        Err(error) => return unreadable(&format!("{error:#}"), terminal),
    };
    let form = match () {
        () if args.form.md => Form::Markdown,
        () if args.form.html => Form::Html,
        () if args.form.json => Form::Json,
        () => Form::Text,
    };
    let written = folder.filter(|_| form == Form::Text || args.out.is_some());
    if let Some(folder) = &written {
        scoreboard::write(&again.board, &Bundle::open(folder))?;
    }
    scoreboard::print(&again.board, form, terminal)?;
    if let (true, Some(folder)) = (args.open, written) {
        open_page(&folder.join("scoreboard.html"), terminal)?;
    }
    Ok(again.exit)
}

/// Says that what was named is no bundle. The error may quote what stands in a file.
fn unreadable(error: &str, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let error = plain(error);
    writeln!(terminal.err, "error: {error}\n  hint: name a folder that `kvbench run` wrote")?;
    Ok(Exit::Usage)
}

fn one_bundle(args: &ReportArgs, path: &Path, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let bundle = Bundle::open(path);
    let run = match bundle.read_run() {
        Ok(run) => run,
        Err(error) => return unreadable(&error.to_string(), terminal),
    };
    let comparison = compare::compare(&run);
    let files = Files::of_bundle(&bundle, &run);
    match () {
        () if args.form.md => write!(terminal.out, "{}", markdown::render(&run, &comparison))?,
        () if args.form.html => {
            write!(terminal.out, "{}", html::render(&run, &comparison, &files.flames))?;
        }
        () if args.form.json => print_record(&run, terminal)?,
        () => {
            write_all(&bundle, &run, &comparison, &files)?;
            print(&run, &comparison, terminal)?;
            if args.open {
                open_page(&bundle.folder().join("report.html"), terminal)?;
            }
        }
    }
    Ok(exit(&run, &comparison))
}

/// Hands a page to whatever opens pages on this desktop; says where it is if nothing does. It waits for nobody.
fn open_page(page: &Path, terminal: &mut Terminal<'_>) -> io::Result<()> {
    let hands_over = |program: &&str| {
        let mut command = Command::new(program);
        command.arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if OPENERS.iter().any(hands_over) {
        return Ok(());
    }
    let (page, openers) = (page.display(), OPENERS.join(" or "));
    writeln!(terminal.err, "nothing here opens pages ({openers})\n  hint: open {page} in a browser")
}

/// Prints these bundles, and those of these scoreboards, in one text that other programs read.
fn for_programs(
    paths: &[PathBuf],
    format: &Format,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Exit> {
    let runs = match runs(paths) {
        Ok(runs) => runs,
        Err(error) => return unreadable(&format!("{error:#}"), terminal),
    };
    let judged: Vec<Judged<'_>> =
        runs.iter().map(|(run, comparison)| Judged { run, comparison }).collect();
    let text = match format.render(&judged) {
        Ok(text) => text,
        Err(error) => {
            writeln!(terminal.err, "error: {}", plain(&error.to_string()))?;
            return Ok(Exit::Usage);
        }
    };
    write!(terminal.out, "{text}")?;
    let exits = runs.iter().map(|(run, comparison)| exit(run, comparison));
    Ok(exits.fold(Exit::Met, Exit::worse))
}

fn runs(paths: &[PathBuf]) -> anyhow::Result<Vec<(Run, Comparison)>> {
    let mut runs = Vec::new();
    for path in paths {
        let bundles = match scoreboard::folder_of(path) {
            Some(folder) => scoreboard::bundles_of(&folder)?,
            None => vec![path.clone()],
        };
        for bundle in bundles {
            let run = Bundle::open(&bundle).read_run()?;
            let comparison = compare::compare(&run);
            runs.push((run, comparison));
        }
    }
    Ok(runs)
}

/// How the command ends for a run.
fn exit(run: &Run, comparison: &Comparison) -> Exit {
    match run.complete {
        false => Exit::Interrupted,
        true if profiles::is_all_there_is(run) => Exit::Met,
        true => Exit::from(comparison.outcome),
    }
}

/// Writes the pages of a bundle.
pub(super) fn write_all(
    bundle: &Bundle,
    run: &Run,
    comparison: &Comparison,
    files: &Files,
) -> anyhow::Result<()> {
    bundle.write("report.md", markdown::render(run, comparison).as_bytes())?;
    bundle.write("report.html", html::render(run, comparison, &files.flames).as_bytes())?;
    Ok(())
}

/// Prints the record as JSON. A reader that went away stays an I/O error, so that it is known as one.
pub(super) fn print_record(run: &Run, terminal: &mut Terminal<'_>) -> io::Result<()> {
    terminal.out.write_all(&run.to_json()?)
}

/// Prints the terminal form.
pub(super) fn print(
    run: &Run,
    comparison: &Comparison,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let style = text::Style { color: terminal.color, width: terminal.width };
    write!(terminal.out, "{}", text::render(run, comparison, style))?;
    Ok(())
}
