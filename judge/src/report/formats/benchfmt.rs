//! Go's benchmark text, as benchstat reads it: one line per trial in the order they ran, so that their number is the n of its
//! tests. A/A trials and blocks that are left out have no line.
//!
//! The arm is a part of the name: `benchstat -col /arm FILE` holds the arms of one run against each other. (It takes trials for
//! independent and knows no pairs, so its intervals are wider than those here, and a drift of the host can fool it.)
//!
//! benchstat makes a table of its own of every set of configuration lines. So only what has to be alike for a comparison to
//! mean anything is one: the machine, the way of measuring, the caveats. Revision and time are comments, and two files of two
//! revisions meet in one table.
//!
//! Format: Cox and Clements 2016, "Go Benchmark Data Format" (golang.org/design/14313-benchmark-format); `Unit` lines as in
//! golang.org/x/perf/benchfmt.

use super::{Judged, caveats, line, preamble};
use crate::compare::{Measured, measured};
use crate::record::{NOT_VISIBLE, Run};
use crate::report::words::plain;
use std::collections::BTreeMap;

/// Each measure's unit: what is measured and in what. The last word is what benchstat scales.
const UNITS: [(&str, &str); 24] = [
    ("throughput", "ops/s"),
    ("mean", "mean-ns"),
    ("p50", "p50-ns"),
    ("p90", "p90-ns"),
    ("p99", "p99-ns"),
    ("p999", "p999-ns"),
    ("max", "max-ns"),
    ("max_rate", "max-rate-ops/s"),
    ("cpu_per_op", "cpu-ns/op"),
    ("system_cpu_per_op", "system-cpu-ns/op"),
    ("cores_busy", "cores-busy"),
    ("system_cores_busy", "system-cores-busy"),
    ("fsyncs_per_op", "fsyncs/op"),
    ("entries_per_op", "entries/op"),
    ("log_bytes_per_op", "log-B/op"),
    ("switches_per_op", "switches/op"),
    ("syscalls_per_op", "syscalls/op"),
    ("in_flight", "in-flight"),
    ("appliers_mean", "appliers-mean"),
    ("appliers_max", "appliers-max"),
    ("lock_wait_share", "lock-wait-share"),
    ("lock_contended", "lock-contended"),
    ("locks_per_op", "locks/op"),
    ("watch_events", "watch-events/s"),
];

/// All runs, one after the other.
pub fn render(inputs: &[Judged<'_>]) -> String {
    let mut out = String::new();
    let all: Vec<Vec<Measured<'_>>> = inputs.iter().map(|one| measured(one.run)).collect();
    units(&mut out, all.iter().flatten());
    for (one, measured) in inputs.iter().zip(&all) {
        out.push('\n');
        configuration(&mut out, one.run);
        withheld(&mut out, one.run, measured);
        results(&mut out, one.run, measured);
    }
    out
}

/// Which way each unit is better, for those that are there. A unit is the same in all runs.
fn units<'m>(out: &mut String, all: impl Iterator<Item = &'m Measured<'m>>) {
    let mut directions: BTreeMap<&str, bool> = BTreeMap::new();
    for measured in all {
        directions.extend(measured.higher_is_better.map(|higher| (unit(measured), higher)));
    }
    for (unit, is_higher) in directions {
        let better = if is_higher { "higher" } else { "lower" };
        line(out, format_args!("Unit {unit} better={better}"));
    }
}

fn configuration(out: &mut String, run: &Run) {
    preamble(run).iter().for_each(|text| comment(out, text));
    let (goos, goarch) = platform(&run.build.details.target);
    for (key, value) in [
        ("goos", goos),
        ("goarch", goarch),
        ("cpu", run.host.cpu.as_str()),
        ("cores", &run.host.cores.to_string()),
        ("machine-key", &run.host.details.machine_key),
        ("method", &run.method.to_string()),
        ("caveats", &caveats(run, " ", "none")),
    ] {
        line(out, format_args!("{key}: {}", plain(value).trim()));
    }
}

/// System and CPU as Go names them, of a target such as `x86_64-unknown-linux-gnu`.
fn platform(target: &str) -> (&str, &str) {
    let parts: Vec<&str> = target.split('-').collect();
    match parts.as_slice() {
        ["x86_64", _, system, ..] => (*system, "amd64"),
        ["aarch64", _, system, ..] => (*system, "arm64"),
        [cpu, _, system, ..] => (*system, *cpu),
        _ => (NOT_VISIBLE, NOT_VISIBLE),
    }
}

/// What has no numbers, in comments.
fn withheld(out: &mut String, run: &Run, all: &[Measured<'_>]) {
    for measured in all {
        if let Err(why) = &measured.value {
            comment(out, &format!("no {} of {}: {why}", unit(measured), name(run, measured)));
        }
    }
}

/// A line for each trial and kind of operation. A measure that some trial lacks is left out of all: the others would be a choice.
fn results(out: &mut String, run: &Run, all: &[Measured<'_>]) {
    let mut names: Vec<String> = Vec::new();
    let mut lines: BTreeMap<(usize, usize), Numbers> = BTreeMap::new();
    for measured in all.iter().filter(|measured| measured.value.is_ok()) {
        // Measures of one arm and place follow one another.
        let name = name(run, measured);
        if names.last() != Some(&name) {
            names.push(name);
        }
        for reading in measured.readings.iter().filter(|reading| reading.counts) {
            let numbers = lines.entry((reading.trial, names.len())).or_default();
            numbers.iterations = reading.ops;
            numbers.values.extend(reading.value.map(|value| (value, unit(measured))));
        }
    }
    // What stands behind the last hyphen is for Go how many threads there are to run on.
    let threads = run.host.cores.max(1);
    for ((_, nth), Numbers { iterations, values }) in lines {
        let values = values.iter().map(|(value, unit)| format!(" {value} {unit}"));
        let values: String = values.collect();
        line(out, format_args!("Benchmark{}-{threads} {iterations}{values}", names[nth - 1]));
    }
}

/// One line's numbers.
#[derive(Default)]
struct Numbers {
    /// Operations.
    iterations: u64,
    /// Values with their units.
    values: Vec<(f64, &'static str)>,
}

/// `PutParallel/phase=saturate/clients=50/arm=before`; one kind of operation is a part before the arm.
fn name(run: &Run, measured: &Measured<'_>) -> String {
    let mut name = format!("{}/phase={}", camel(&run.scenario.name), word(measured.phase));
    if !measured.is_open {
        name.push_str(&format!("/clients={}", measured.clients));
    }
    if let Some(op) = measured.op {
        name.push_str(&format!("/op={}", word(op)));
    }
    format!("{name}/arm={}", word(measured.arm))
}

/// `put_parallel` as `PutParallel`.
fn camel(name: &str) -> String {
    let parts = name.split(['_', '-', ' ']).map(|part| {
        let mut letters = part.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    word(&parts.collect::<String>())
}

/// A name as one part of a benchmark's: whatever could end the part or the name is percent-encoded.
fn word(name: &str) -> String {
    let encoded = name.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b':' | b'+' | b'-' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    });
    encoded.collect()
}

fn unit(measured: &Measured<'_>) -> &'static str {
    let known = UNITS.iter().find(|(measure, _)| *measure == measured.measure);
    known.map_or(measured.measure, |(_, unit)| unit)
}

fn comment(out: &mut String, text: &str) {
    line(out, format_args!("# {}", plain(text)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Comparison;
    use crate::record::Warning;
    use crate::report::formats::tests::in_state;
    use crate::report::sample;

    /// A line as the published format has it.
    #[derive(Debug, PartialEq)]
    enum Line {
        /// Blank, or of no meaning to readers.
        Ignored,
        Configuration {
            key: String,
            value: String,
        },
        Unit {
            unit: String,
            metadata: Vec<(String, String)>,
        },
        Benchmark {
            name: String,
            values: Vec<(f64, String)>,
        },
    }

    /// Reads one line by the rules of the format; panics where a reader would report an error.
    fn parse(line: &str) -> Line {
        assert!(!line.contains(['\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}']), "{line:?}");
        if let Some(rest) = line.strip_prefix("Benchmark") {
            return result(rest);
        }
        let mut fields = line.split_whitespace();
        if fields.next() == Some("Unit") {
            let unit = fields.next().expect("a unit").to_owned();
            let pair = |field: &str| {
                let (key, value) = field.split_once('=').expect("key=value");
                assert!(!key.is_empty());
                (key.to_owned(), value.to_owned())
            };
            return Line::Unit { unit, metadata: fields.map(pair).collect() };
        }
        configuration(line).unwrap_or(Line::Ignored)
    }

    /// The key begins with a lower case letter, has no space and no upper case; a space or nothing follows its colon.
    fn configuration(line: &str) -> Option<Line> {
        let (key, value) = line.split_once(':')?;
        let is_key = key.chars().next()?.is_lowercase()
            && !key.chars().any(|c| c.is_whitespace() || c.is_uppercase());
        let follows = value.is_empty() || value.starts_with([' ', '\t']);
        (is_key && follows).then(|| Line::Configuration {
            key: key.to_owned(),
            value: value.trim_start_matches([' ', '\t']).to_owned(),
        })
    }

    /// A name, a whole number of iterations, and at least one pair of a value and its unit.
    fn result(rest: &str) -> Line {
        let fields: Vec<&str> = rest.split_whitespace().collect();
        assert!(fields.len() >= 4 && fields.len().is_multiple_of(2), "{rest}");
        assert!(!fields[0].starts_with(|first: char| first.is_lowercase()), "{rest}");
        let (parts, threads) = fields[0].rsplit_once('-').expect("threads");
        assert!(threads.parse::<u32>().is_ok_and(|threads| threads > 0), "{rest}");
        fields[1].parse::<i64>().expect("iterations");
        let value = |pair: &[&str]| {
            let value: f64 = pair[0].parse().expect("a number");
            assert!(value.is_finite(), "{rest}");
            (value, pair[1].to_owned())
        };
        let values = fields[2..].chunks(2).map(value).collect();
        Line::Benchmark { name: parts.to_owned(), values }
    }

    fn lines((run, comparison): &(Run, Comparison)) -> Vec<Line> {
        let text = render(&[Judged { run, comparison }]);
        assert!(text.ends_with('\n'));
        text.lines().map(parse).collect()
    }

    fn benchmarks(lines: &[Line]) -> Vec<(&str, &[(f64, String)])> {
        let named = lines.iter().filter_map(|line| match line {
            Line::Benchmark { name, values } => Some((name.as_str(), values.as_slice())),
            Line::Ignored | Line::Configuration { .. } | Line::Unit { .. } => None,
        });
        named.collect()
    }

    #[test]
    fn trials_are_in_the_order_they_ran_and_repeats_are_left_out() {
        let run = in_state(sample::sample);
        let lines = lines(&run);
        let benchmarks = benchmarks(&lines);
        let name = |arm: &str| format!("PutParallel/phase=saturate/clients=50/arm={arm}");
        let at_50: Vec<&str> =
            benchmarks.iter().map(|(name, _)| *name).filter(|name| name.contains("=50/")).collect();
        let ran: Vec<String> =
            run.0.trials.iter().filter(|trial| !trial.aa).map(|trial| name(&trial.arm)).collect();
        assert_eq!(at_50, ran);
        let (_, values) = benchmarks.iter().find(|(at, _)| *at == name("before")).unwrap();
        let wanted = run.0.trials.iter().find(|trial| trial.arm == "before").unwrap();
        let (throughput, unit) = &values[0];
        assert!((throughput - wanted.cells[2].throughput_per_s).abs() < 1e-9);
        assert_eq!(unit, "ops/s");
    }

    #[test]
    fn units_say_which_way_is_better() {
        let lines = lines(&in_state(sample::sample));
        let better = |wanted: &str| {
            lines.iter().find_map(|line| match line {
                Line::Unit { unit, metadata } if unit == wanted => Some(metadata[0].clone()),
                _ => None,
            })
        };
        let word = |word: &str| Some(("better".to_owned(), word.to_owned()));
        assert_eq!(better("ops/s"), word("higher"));
        assert_eq!(better("p99-ns"), word("lower"));
        assert_eq!(better("cores-busy"), None, "more of it is neither");
    }

    #[test]
    fn every_measure_has_a_unit_of_its_own() {
        for (at, (measure, unit)) in UNITS.iter().enumerate() {
            assert!(UNITS[..at].iter().all(|(_, other)| other != unit), "{unit}");
            assert!(!unit.contains(char::is_whitespace), "{measure}");
        }
        let (run, _) = in_state(sample::sample);
        let all = measured(&run);
        assert!(all.iter().all(|one| UNITS.iter().any(|(measure, _)| *measure == one.measure)));
    }

    #[test]
    fn revisions_meet_in_one_table_and_caveats_do_not() {
        let configuration = |run: &(Run, Comparison)| {
            let is = |line: &Line| matches!(line, Line::Configuration { .. });
            lines(run).into_iter().filter(is).map(|line| format!("{line:?}")).collect::<Vec<_>>()
        };
        let run = in_state(sample::sample);
        let mut later = run.clone();
        later.0.build.revision = "fffffff".into();
        later.0.started_at = "2027-01-01T00:00:00Z".into();
        assert_eq!(configuration(&run), configuration(&later));
        later.0.quick = true;
        assert_ne!(configuration(&run), configuration(&later));
    }

    #[test]
    fn platforms_are_named_as_go_names_them() {
        assert_eq!(platform("x86_64-unknown-linux-gnu"), ("linux", "amd64"));
        assert_eq!(platform("riscv64gc-unknown-linux-gnu"), ("linux", "riscv64gc"));
        assert_eq!(platform("not visible"), ("not visible", "not visible"));
    }

    #[test]
    fn hostile_names_stay_in_their_part() {
        let run = in_state(sample::hostile);
        let lines = lines(&run);
        for (name, _) in benchmarks(&lines) {
            let keys: Vec<&str> =
                name.split('/').skip(1).map(|part| part.split_once('=').unwrap().0).collect();
            assert_eq!(keys, ["phase", "clients", "arm"], "{name}");
        }
        let keys = lines.iter().filter_map(|line| match line {
            Line::Configuration { key, .. } => Some(key.as_str()),
            _ => None,
        });
        let wanted = ["goos", "goarch", "cpu", "cores", "machine-key", "method", "caveats"];
        assert_eq!(keys.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn what_is_invalid_is_a_comment() {
        let mut run = in_state(sample::sample);
        let (arm, cell) = ("before".to_owned(), "saturate@50".to_owned());
        run.0.warnings.push(Warning::LoadGeneratorBusy { arm, cell, share: 0.9 });
        let lines = lines(&run);
        let benchmarks = benchmarks(&lines);
        let has = |part: &str| benchmarks.iter().any(|(name, _)| name.ends_with(part));
        assert!(has("clients=50/arm=after") && !has("clients=50/arm=before"));
        let text = render(&[Judged { run: &run.0, comparison: &run.1 }]);
        let why = "# no ops/s of PutParallel/phase=saturate/clients=50/arm=before: its generator was the bottleneck\n";
        assert!(text.contains(why), "{text}");
    }
}
