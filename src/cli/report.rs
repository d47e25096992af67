//! `kvbench report`: the reports of a bundle, rebuilt from its record. `run` writes the same ones.

use super::scoreboard::{self, Form};
use super::{Exit, Terminal};
use crate::compare::{self, Comparison};
use crate::record::Run;
use crate::record::bundle::Bundle;
use crate::report::words::plain;
use crate::report::{html, markdown, profiles, terminal as text};
use crate::runner::Finished;
use clap::Args;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench report reports/put_parallel-20261103T141200-a1b2c3d          print it, rewrite its pages
  kvbench report reports/put_parallel-20261103T141200-a1b2c3d --md     Markdown for a pull request
  kvbench report reports/scoreboard-20261103T141200                    a scoreboard, from its bundles
  kvbench report reports/c0*/ --out reports/board                      a scoreboard of these bundles")]
pub(super) struct ReportArgs {
    /// A bundle folder, or the result.json in it; several, or a scoreboard's folder, for a scoreboard
    #[arg(required = true, value_name = "BUNDLE")]
    bundles: Vec<PathBuf>,
    /// Print Markdown
    #[arg(long, conflicts_with_all = ["html", "json"])]
    md: bool,
    /// Print the HTML page
    #[arg(long, conflicts_with = "json")]
    html: bool,
    /// Print the record
    #[arg(long)]
    json: bool,
    /// Write the scoreboard of several bundles there
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
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
        () if args.md => Form::Markdown,
        () if args.html => Form::Html,
        () if args.json => Form::Json,
        () => Form::Text,
    };
    if let (Some(folder), true) = (folder, form == Form::Text || args.out.is_some()) {
        scoreboard::write(&again.board, &Bundle::open(&folder))?;
    }
    scoreboard::print(&again.board, form, terminal)?;
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
        () if args.md => write!(terminal.out, "{}", markdown::render(&run, &comparison))?,
        () if args.html => {
            write!(terminal.out, "{}", html::render(&run, &comparison, &files.flames))?;
        }
        () if args.json => print_record(&run, terminal)?,
        () => {
            write_all(&bundle, &run, &comparison, &files)?;
            print(&run, &comparison, terminal)?;
        }
    }
    Ok(match run.complete {
        false => Exit::Interrupted,
        true if profiles::is_all_there_is(&run) => Exit::Met,
        true => Exit::from(comparison.outcome),
    })
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
