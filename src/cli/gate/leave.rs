//! What a gate leaves: a folder with its pages and the raw trials, files for other programs, the table, and an exit code.

use super::measured::{Measured, Sides};
use super::sitting::Gated;
use super::{Exit, GateArgs, Terminal, is_interrupted};
use crate::cli::report::{self, Files};
use crate::compare;
use crate::files;
use crate::gate::{self, GateOutcome};
use crate::record::Run;
use crate::record::bundle::Bundle;
use crate::record::gate::{GATE, GateRecord, GatedScenario};
use crate::report::formats::{Judged, openmetrics};
use crate::report::gate::{github, html, junit, markdown, terminal as text};
use crate::report::terminal::Style;
use crate::report::words::plain;
use std::io::{self, Write};
use std::path::Path;

/// Writes the folder and what else was asked for, prints, and says how it ended. What cannot be written is told, and changes no verdict.
pub(super) fn leave(
    args: &GateArgs,
    gated: Gated,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Exit> {
    let Gated { mut record, measured, again } = gated;
    let folder = Bundle::create_for("gate", &args.out, &record.started_at)?;
    for (kept, one) in record.scenarios.iter_mut().zip(&measured) {
        kept.bundles = bundles(&folder, one, "")?;
    }
    for one in &again {
        let its = |kept: &&mut GatedScenario| kept.name == one.scenario.name;
        if let Some(kept) = record.scenarios.iter_mut().find(its) {
            kept.bundles.extend(bundles(&folder, one, "-again")?);
        }
    }
    folder.write(GATE, &record.to_json()?)?;
    folder.write("gate.md", markdown::render(&record).as_bytes())?;
    folder.write("gate.html", html::render(&record).as_bytes())?;
    print(args, &record, terminal)?;
    for error in [write_formats(args, &record, &measured), tell_github(args, &record, terminal)] {
        if let Err(error) = error {
            writeln!(terminal.err, "error: {}", plain(&format!("{error:#}")))?;
        }
    }
    let exit = match gate::outcome(&record) {
        GateOutcome::WrongAnswer => Exit::WrongAnswer,
        _ if is_interrupted(terminal) => Exit::Interrupted,
        outcome => Exit::from(outcome),
    };
    let to: &mut dyn Write = if args.json || args.md { terminal.err } else { terminal.out };
    writeln!(to, " {}   exit {}", folder.folder().join("gate.html").display(), exit.code())?;
    Ok(exit)
}

/// Writes the raw trials of each gated arm; gives the names of their folders.
fn bundles(folder: &Bundle, one: &Measured, suffix: &str) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for sides in &one.sides {
        let name = format!("{}-{}{suffix}", one.scenario.name, sides.arm);
        let bundle = Bundle::create_in(folder.folder(), &name)?;
        let run = sides.run();
        bundle.write_run(run)?;
        report::write_all(&bundle, run, &compare::compare(run), &Files::default())?;
        names.push(bundle.folder().file_name().unwrap_or_default().display().to_string());
    }
    Ok(names)
}

fn print(args: &GateArgs, record: &GateRecord, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let style = Style { color: terminal.color, width: terminal.width };
    match () {
        () if args.json => terminal.out.write_all(&record.to_json()?)?,
        () if args.md => write!(terminal.out, "{}", markdown::render(record))?,
        () => write!(terminal.out, "{}", text::render(record, style))?,
    }
    Ok(())
}

/// What other programs read.
fn write_formats(
    args: &GateArgs,
    record: &GateRecord,
    measured: &[Measured],
) -> anyhow::Result<()> {
    let write = |path: &Path, text: String| {
        files::replace(path, text.as_bytes())
            .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
    };
    if let Some(path) = &args.junit {
        write(path, junit::render(record)?)?;
    }
    if let Some(path) = &args.openmetrics {
        let heads: Vec<Run> = measured.iter().filter_map(head).collect();
        let judged: Vec<_> = heads.iter().map(compare::compare).collect();
        let inputs = heads.iter().zip(&judged);
        let inputs: Vec<_> = inputs.map(|(run, comparison)| Judged { run, comparison }).collect();
        write(path, openmetrics::render(&inputs)?)?;
    }
    Ok(())
}

/// Head's trials of all gated arms of a scenario, as one run under the arms' own names: a series keeps its name from gate to gate.
fn head(one: &Measured) -> Option<Run> {
    let runs = one.sides.iter().map(Sides::head_alone);
    runs.reduce(|mut all, run| {
        all.arms.extend(run.arms);
        all.trials.extend(run.trials);
        all
    })
}

/// Annotations, and the table in the job's summary.
fn tell_github(
    args: &GateArgs,
    record: &GateRecord,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    if !args.github && std::env::var_os("GITHUB_ACTIONS").is_none() {
        return Ok(());
    }
    write!(terminal.err, "{}", github::annotations(record))?;
    if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY") {
        append(Path::new(&path), &markdown::render(record))
            .map_err(|error| anyhow::anyhow!("{}: {error}", Path::new(&path).display()))?;
    }
    Ok(())
}

/// GitHub lets several steps add to one summary.
fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = std::fs::File::options().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())
}
