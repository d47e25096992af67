//! `kvbench doctor`: is this machine fit to measure on? Looks, tries out for some seconds, and says what to do.

use super::{Exit, Terminal};
use crate::compare::fitness::{self, Finding, Grade, Gravity, Letter};
use crate::host::{self, probe};
use crate::record::{self, Checkup, HostProbes};
use crate::report::words::{plain, short};
use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Columns of names in the list, and of values at least.
const NAME_COLUMNS: usize = 23;
const VALUE_COLUMNS_MIN: usize = 40;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench doctor
  kvbench doctor --data /mnt/nvme    of the disk that runs will use
  kvbench doctor --json

Takes about three seconds. Exit codes:
  0    fit: grade A or B
  2    the command line is wrong
  3    fit with reservations: grade C
  5    unfit: grade D, or nothing can be written there
  130  interrupted")]
pub(super) struct DoctorArgs {
    /// Folder on the disk that runs will use; it has to be there
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    data: PathBuf,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn doctor(args: &DoctorArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    if !args.data.is_dir() {
        let data = plain(&args.data.display().to_string());
        writeln!(terminal.err, "error: {data} is not a folder\n  hint: name one with --data")?;
        return Ok(Exit::Usage);
    }
    // Before anything is tried out: the load average is that of others then.
    let host = host::facts(&args.data).with_context(|| cannot_write(&args.data))?;
    let build = host::build();
    let Some(probes) = tried(&args.data, terminal)? else { return Ok(Exit::Interrupted) };
    let mut findings = fitness::facts(&host, &build);
    let facts = findings.len();
    findings.extend(fitness::probes(&probes));
    let grade = fitness::graded(&findings);
    if args.json {
        let kvbench_version = env!("CARGO_PKG_VERSION").to_owned();
        let letter = grade.letter.as_char();
        let findings = findings.iter().map(recorded).collect();
        let checkup = Checkup { kvbench_version, host, build, probes, grade: letter, findings };
        terminal.out.write_all(&checkup.to_json()?)?;
    } else {
        let (facts, probed) = findings.split_at(facts);
        list("this machine and this program", facts, terminal)?;
        list("tried out", probed, terminal)?;
        conclusion(&grade, &host.details.machine_key, terminal.out)?;
    }
    Ok(exit(grade.letter))
}

fn exit(letter: Letter) -> Exit {
    match letter {
        Letter::A | Letter::B => Exit::Met,
        Letter::C => Exit::Inconclusive,
        Letter::D => Exit::Failed,
    }
}

fn cannot_write(data: &Path) -> String {
    let data = plain(&data.display().to_string());
    format!("nothing can be written in {data}; choose another folder with --data")
}

/// Runs the probes with a word on each on a terminal, one in all elsewhere; nothing if it was interrupted.
fn tried(data: &Path, terminal: &mut Terminal<'_>) -> anyhow::Result<Option<HostProbes>> {
    // On the error stream, as every progress.
    let bar = terminal.live.then(ProgressBar::new_spinner);
    if bar.is_none() {
        writeln!(terminal.err, "trying out disk, clock and neighbours, about three seconds")?;
    }
    let mut tell = |doing: &str| {
        if let Some(bar) = &bar {
            bar.set_message(doing.to_owned());
            bar.tick();
        }
        // Relaxed: the flag carries no data.
        !terminal.interrupted.load(Ordering::Relaxed)
    };
    let probes = probe::all(data, &mut tell);
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    probes.with_context(|| cannot_write(data))
}

fn recorded(finding: &Finding) -> record::Finding {
    record::Finding {
        name: finding.name.to_owned(),
        value: finding.value.clone(),
        gravity: finding.gravity.as_str().to_owned(),
        reason: finding.reason.clone(),
        hint: finding.hint.to_owned(),
    }
}

/// `✔`, `!` or `✘`.
fn mark(gravity: Gravity) -> &'static str {
    match gravity {
        Gravity::Fit => "✔",
        Gravity::Note => "·",
        Gravity::Unknown | Gravity::Noise => "!",
        Gravity::Bias | Gravity::Void => "✘",
    }
}

fn list(heading: &str, findings: &[Finding], terminal: &mut Terminal<'_>) -> io::Result<()> {
    let (out, color) = (&mut *terminal.out, terminal.color);
    let room = terminal.width.saturating_sub(NAME_COLUMNS + 5).max(VALUE_COLUMNS_MIN);
    writeln!(out, "{heading}")?;
    for finding in findings {
        let mark = painted(mark(finding.gravity), color);
        let name = format!("{:<NAME_COLUMNS$}", finding.name);
        let value = match finding.gravity {
            // What is fit needs no reading; its value may be long.
            Gravity::Fit => short(&finding.value, room),
            _ => plain(&finding.value),
        };
        writeln!(out, "  {mark} {name} {value}")?;
        if !finding.reason.is_empty() {
            writeln!(out, "    {:NAME_COLUMNS$} {}", "", plain(&finding.reason))?;
        }
        if !finding.hint.is_empty() {
            writeln!(out, "    {:NAME_COLUMNS$} → {}", "", finding.hint)?;
        }
    }
    writeln!(out)
}

/// Colour repeats what the mark already says.
fn painted(mark: &str, color: bool) -> String {
    let code = match mark {
        "✔" => "36",
        "!" | "✘" => "33",
        _ => return mark.to_owned(),
    };
    if color { format!("\u{1b}[{code}m{mark}\u{1b}[0m") } else { mark.to_owned() }
}

fn conclusion(grade: &Grade, machine_key: &str, out: &mut dyn Write) -> io::Result<()> {
    let said = match grade.letter {
        Letter::A => "fit: nothing to find fault with",
        Letter::B => "fit",
        Letter::C => "fit with reservations: compare arms here, and trust no absolute number",
        Letter::D => "unfit: see what is marked",
    };
    writeln!(out, "grade {} · {said} · machine key {machine_key}", grade.letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grades_end_in_exit_codes() {
        let letters = [Letter::A, Letter::B, Letter::C, Letter::D];
        assert_eq!(letters.map(|letter| exit(letter).code()), [0, 0, 3, 5]);
    }

    #[test]
    fn what_is_unfit_is_marked_with_reason_and_hint() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut terminal = Terminal {
            out: &mut out,
            err: &mut err,
            color: false,
            live: false,
            width: 100,
            interrupted: std::sync::Arc::default(),
            end: |said, _| panic!("{said}"),
        };
        let finding = |gravity, reason: &str, hint| Finding {
            name: "turbo",
            value: "on\u{1b}[2J".to_owned(),
            gravity,
            reason: reason.to_owned(),
            hint,
        };
        let findings = [finding(Gravity::Fit, "", ""), finding(Gravity::Bias, "heat", "cool it")];
        list("all", &findings, &mut terminal).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        assert_eq!(lines[1], format!("✔ {:<NAME_COLUMNS$} on[2J", "turbo"));
        assert_eq!(lines[2], format!("✘ {:<NAME_COLUMNS$} on[2J", "turbo"));
        assert_eq!(lines[3..5], ["heat", "→ cool it"]);
    }
}
