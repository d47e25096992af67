//! The formats that other programs read: one file each. [docs/formats.md](../../../docs/formats.md) shows how each is used.
//!
//! All numbers come from [`measured`](fn@crate::compare::measured) and from the verdicts; nothing is computed here but a change of unit.
//! What is invalid or withheld is no number in any of them: it is left out, with a word on why where the format has room for
//! one. Each says of a run in its own syntax what stands in the way of trusting it ([`Caveat`]). Values keep all their digits,
//! since programs round by themselves; the same input gives the same bytes.

pub mod benchfmt;
pub mod bmf;
pub mod csv;
pub mod github;
pub mod hgrm;
pub mod junit;
pub mod openmetrics;

use crate::compare::{self, Comparison, Measured};
use crate::record::bundle::BundleError;
use crate::record::{Cell, Run, Warning};
use crate::report::words::{plain, short};
use crate::report::{story, view};
use chrono::{DateTime, FixedOffset};
use std::fmt::{self, Write};

/// A run and what follows from it.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// The record.
    pub run: &'a Run,
    /// What was computed from it.
    pub comparison: &'a Comparison,
}

/// What can be written of runs, each for other readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, for data frames and spreadsheets.
    Csv,
    /// Go's benchmark text, for benchstat.
    Benchfmt,
    /// OpenMetrics text, for what reads Prometheus's formats.
    OpenMetrics,
    /// JUnit's XML, for CI.
    Junit,
    /// Bencher Metric Format.
    Bmf,
    /// An array for github-action-benchmark, of what is better in this direction.
    Github(github::Better),
    /// HdrHistogram's percentile text of one arm at one place, as [`hgrm::names`] names them.
    Hgrm(String),
}

/// Why runs cannot be written in a format. Lower case, no full stop.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A histogram in a record is broken.
    #[error(transparent)]
    Histogram(#[from] BundleError),
    /// The XML writer gave up.
    #[error("cannot write JUnit: {0}")]
    Junit(#[from] quick_junit::SerializeError),
    /// Nothing of that name was measured.
    #[error("nothing was measured at \"{wanted}\"; there are: {}", known.join(", "))]
    NoSuchPlace {
        /// As it was asked for.
        wanted: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The format is of one run.
    #[error("percentile text is of one bundle")]
    OneBundle,
}

impl Format {
    /// The text of all these runs in this format.
    pub fn render(&self, inputs: &[Judged<'_>]) -> Result<String, FormatError> {
        match self {
            Format::Csv => Ok(csv::render(inputs)),
            Format::Benchfmt => Ok(benchfmt::render(inputs)),
            Format::OpenMetrics => openmetrics::render(inputs),
            Format::Junit => junit::render(inputs),
            Format::Bmf => Ok(bmf::render(inputs)),
            Format::Github(better) => Ok(github::render(inputs, *better)),
            Format::Hgrm(place) => match inputs {
                [one] => hgrm::render(one.run, place),
                _ => Err(FormatError::OneBundle),
            },
        }
    }
}

/// What stands in the way of trusting a run's numbers, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caveat {
    /// It was interrupted or failed.
    Incomplete,
    /// A shortened plan.
    Quick,
    /// Others used the machine in some of the blocks.
    Disturbed,
    /// Some arm's log was not really synced, or not to a disk.
    Unsynced,
    /// Not a release build.
    Unoptimised,
}

impl Caveat {
    /// All there are.
    pub const ALL: [Caveat; 5] = [
        Caveat::Incomplete,
        Caveat::Quick,
        Caveat::Disturbed,
        Caveat::Unsynced,
        Caveat::Unoptimised,
    ];

    /// Those of a run.
    pub fn of(run: &Run) -> Vec<Caveat> {
        let warned = |is: fn(&Warning) -> bool| run.warnings.iter().any(is);
        let holds = |caveat: &Caveat| match caveat {
            Caveat::Incomplete => !run.complete,
            Caveat::Quick => run.quick,
            Caveat::Disturbed => !compare::disturbed(run).0.is_empty(),
            Caveat::Unsynced => {
                !view::not_synced(run).is_empty()
                    || warned(|warning| matches!(warning, Warning::NoDisk { .. }))
            }
            Caveat::Unoptimised => warned(|warning| matches!(warning, Warning::DebugBuild)),
        };
        Caveat::ALL.into_iter().filter(holds).collect()
    }

    /// As it stands in every format.
    pub fn word(self) -> &'static str {
        match self {
            Caveat::Incomplete => "incomplete",
            Caveat::Quick => "quick",
            Caveat::Disturbed => "disturbed",
            Caveat::Unsynced => "unsynced",
            Caveat::Unoptimised => "unoptimised",
        }
    }
}

/// The caveats of a run in a row, or `without` if it has none.
fn caveats(run: &Run, separator: &str, without: &str) -> String {
    let words: Vec<&str> = Caveat::of(run).into_iter().map(Caveat::word).collect();
    if words.is_empty() { without.to_owned() } else { words.join(separator) }
}

/// Characters that a name from a record may have where a format bounds its names.
const NAME_MAX: usize = 200;

/// A name of one's own for each run: its scenario's, with the time it began where several are of one scenario, and a number where
/// that is not enough.
fn names(inputs: &[Judged<'_>]) -> Vec<String> {
    let scenario = |run: &Run| short(&run.scenario.name, NAME_MAX);
    let mut names: Vec<String> = Vec::new();
    for one in inputs {
        let name = scenario(one.run);
        let is_shared = inputs.iter().filter(|other| scenario(other.run) == name).count() > 1;
        let name = match is_shared {
            true => format!("{name} {}", short(&one.run.started_at, NAME_MAX)),
            false => name,
        };
        let wanted = (2..).map(|n| format!("{name} #{n}"));
        let free = [name.clone()].into_iter().chain(wanted).find(|name| !names.contains(name));
        names.extend(free);
    }
    names
}

/// A run's name with its caveats, for formats that have room for nothing else: `put_parallel (quick, unsynced)`. So a shortened
/// run never continues the line of a whole one.
fn labelled(name: &str, run: &Run) -> String {
    match caveats(run, ", ", "").as_str() {
        "" => name.to_owned(),
        caveats => format!("{name} ({caveats})"),
    }
}

/// When a run began; none if the record does not say so in RFC 3339.
fn started(run: &Run) -> Option<DateTime<FixedOffset>> {
    DateTime::parse_from_rfc3339(&run.started_at).ok()
}

/// What a measure's trials that count measured, if the arm has a number.
fn cells<'a>(run: &'a Run, measured: &Measured<'_>) -> Vec<&'a Cell> {
    let counted = measured.readings.iter().filter(|reading| reading.counts);
    let here = |cell: &&Cell| cell.phase == measured.phase && cell.clients == measured.clients;
    let cell = |trial: usize| run.trials.get(trial)?.cells.iter().find(here);
    match measured.value {
        Ok(_) => counted.filter_map(|reading| cell(reading.trial)).collect(),
        Err(_) => Vec::new(),
    }
}

/// Whether operations were due at given times: `open` or `closed`.
fn load(measured: &Measured<'_>) -> &'static str {
    if measured.is_open { "open" } else { "closed" }
}

/// Adds a line.
fn line(out: &mut String, text: fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a string takes every line");
}

/// Comments of formats that have them: what a reader must know before any number.
fn preamble(run: &Run) -> Vec<String> {
    let began = format!(
        "scenario {}, began {}, revision {}, kvbench {}",
        run.scenario.name, run.started_at, run.build.revision, run.kvbench_version
    );
    let mut lines = vec![plain(&began)];
    lines.extend(story::stamps(run).iter().map(|stamp| plain(stamp)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::distribution::text_of;
    use crate::report::sample;

    /// A run with histograms that can be read, which the other forms do not need.
    pub(super) fn readable(run: &mut Run) {
        for cell in run.trials.iter_mut().flat_map(|trial| &mut trial.cells) {
            let middle = cell.service.p50_ns;
            cell.service.histogram = text_of((1..=2_000).map(|n| middle * n / 1_000));
            cell.service.count = 2_000;
        }
    }

    /// The sample in some state, as every format meets it.
    pub(super) fn in_state(state: fn() -> (Run, Comparison)) -> (Run, Comparison) {
        let (mut run, comparison) = state();
        readable(&mut run);
        (run, comparison)
    }

    fn all_formats() -> Vec<Format> {
        vec![
            Format::Csv,
            Format::Benchfmt,
            Format::OpenMetrics,
            Format::Junit,
            Format::Bmf,
            Format::Github(github::Better::Bigger),
            Format::Github(github::Better::Smaller),
        ]
    }

    fn text(format: &Format, (run, comparison): &(Run, Comparison)) -> String {
        format.render(&[Judged { run, comparison }]).unwrap()
    }

    #[test]
    fn the_same_input_gives_the_same_bytes_and_no_number_that_is_none() {
        for state in [sample::sample, sample::short, sample::hostile, sample::empty] {
            let run = in_state(state);
            for format in all_formats() {
                let once = text(&format, &run);
                assert_eq!(once, text(&format, &run));
                assert!(!once.contains("NaN") && !once.contains("inf "), "{format:?}: {once}");
            }
        }
    }

    #[test]
    fn nothing_in_any_format_steers_a_terminal() {
        let run = in_state(sample::hostile);
        let mut texts: Vec<String> =
            all_formats().iter().map(|format| text(format, &run)).collect();
        let place = hgrm::names(&run.0).remove(0);
        texts.push(text(&Format::Hgrm(place), &run));
        for text in texts {
            for steering in ['\u{1b}', '\u{202e}', '\u{9b}', '\u{7}', '\r'] {
                assert!(!text.contains(steering), "{text}");
            }
        }
    }

    #[test]
    fn every_format_names_what_stands_in_the_way() {
        let mut run = in_state(sample::short);
        run.0.complete = false;
        run.0.warnings.push(Warning::DebugBuild);
        let place = hgrm::names(&run.0).remove(0);
        for format in all_formats().into_iter().chain([Format::Hgrm(place)]) {
            let text = text(&format, &run);
            for word in ["quick", "incomplete", "unsynced", "unoptimised"] {
                assert!(text.contains(word), "{word} in {format:?}: {text}");
            }
        }
    }

    #[test]
    fn an_invalid_arm_is_no_number_in_any_format() {
        let mut run = in_state(sample::sample);
        // So that what it would be is found at once, in s as in ns.
        for trial in run.0.trials.iter_mut().filter(|trial| trial.arm == "before") {
            let cell = trial.cells.iter_mut().find(|cell| cell.clients == 50).unwrap();
            cell.throughput_per_s = 76_543.25;
            cell.service.mean_ns = 76_543.25;
            cell.service.max_ns = 76_543;
        }
        let place = "before:saturate@50".to_owned();
        let formats = || all_formats().into_iter().chain([Format::Hgrm(place.clone())]);
        let seen = formats().filter(|format| text(format, &run).contains("76543"));
        assert_eq!(seen.count(), 5, "JUnit shows verdicts only, and a list one direction");
        run.0.warnings.push(Warning::LittlesLaw {
            arm: "before".into(),
            cell: "saturate@50".into(),
            gap: 0.4,
        });
        for format in formats() {
            let text = text(&format, &run);
            assert!(!text.contains("76543") && !text.contains("0.0000077"), "{format:?}: {text}");
        }
    }

    #[test]
    fn runs_of_one_scenario_are_told_apart() {
        let (run, comparison) = sample::sample();
        let mut later = run.clone();
        later.started_at = "2026-11-04T00:00:00Z".into();
        let judged = |run| Judged { run, comparison: &comparison };
        assert_eq!(names(&[judged(&run)]), ["put_parallel"]);
        assert_eq!(
            names(&[judged(&run), judged(&later), judged(&later)]),
            [
                "put_parallel 2026-11-03T14:12:00Z",
                "put_parallel 2026-11-04T00:00:00Z",
                "put_parallel 2026-11-04T00:00:00Z #2"
            ]
        );
    }
}
