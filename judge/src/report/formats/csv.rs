//! Comma-separated values, tidy: one row per trial, place, kind of operation and measure (Wickham 2014, "Tidy Data"), under one
//! header for any number of runs. RFC 4180, with LF at the ends of lines.
//!
//! A row without a number says in `status` and `why` what stands in its way. Spreadsheets take a text that begins with `=`, `+`,
//! `-` or `@` for a formula to run, so such a name gets an apostrophe in front.

use super::{Judged, caveats, load};
use crate::compare::{Measured, Reading, Withheld, measured};
use crate::record::Run;
use crate::report::words::plain;
use crate::units::Unit;

/// The columns, in order, with what stands in them.
pub const COLUMNS: [(&str, &str); 20] = [
    ("scenario", "its name"),
    ("started_at", "when the run began, UTC, RFC 3339"),
    ("revision", "of the source of the program that ran"),
    ("machine_key", "alike for machines that look alike"),
    (
        "caveats",
        "incomplete, quick, disturbed, unsynced, unoptimised, with semicolons between; empty without any",
    ),
    ("phase", "of the scenario"),
    ("load", "closed or open"),
    ("clients", "of a closed loop; streams of an open load"),
    ("op", "put, get, …; all for all of them together"),
    ("arm", "the configuration"),
    ("block", "trials of one block ran one after the other, in random order; counts from 0"),
    ("trial", "in the order they ran; counts from 0"),
    ("aa", "true for the second trial of an arm within a block, which measures noise"),
    ("counts", "false for A/A trials, and for those of disturbed blocks that are left out"),
    ("ops", "operations of this kind that finished"),
    ("measure", "as in targets"),
    ("unit", "ns, /s, share (a fraction), count"),
    ("value", "the measure; empty where there is none"),
    ("status", "ok, or why there is no value: invalid, unsustained, withheld, absent"),
    ("why", "the same in words"),
];

/// All runs.
pub fn render(inputs: &[Judged<'_>]) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let mut row = |cells: [String; COLUMNS.len()]| {
        writer.write_record(&cells).expect("memory takes every row, and all have the same width");
    };
    row(COLUMNS.map(|(name, _)| name.to_owned()));
    for one in inputs {
        for measured in measured(one.run) {
            for reading in &measured.readings {
                row(cells(one.run, &measured, reading));
            }
        }
    }
    let bytes = writer.into_inner().expect("memory takes every row");
    String::from_utf8(bytes).expect("rows are text")
}

fn cells(run: &Run, measured: &Measured<'_>, reading: &Reading) -> [String; COLUMNS.len()] {
    let trial = &run.trials[reading.trial];
    let missing = missing(measured, reading);
    [
        text(&run.scenario.name),
        text(&run.started_at),
        text(&run.build.revision),
        text(&run.host.details.machine_key),
        caveats(run, ";", ""),
        text(measured.phase),
        load(measured).to_owned(),
        measured.clients.to_string(),
        text(measured.op.unwrap_or("all")),
        text(measured.arm),
        trial.block.to_string(),
        reading.trial.to_string(),
        trial.aa.to_string(),
        reading.counts.to_string(),
        reading.ops.to_string(),
        measured.measure.to_owned(),
        unit(measured.unit).to_owned(),
        reading.value.map_or(String::new(), |value| value.to_string()),
        missing.map_or("ok", Withheld::word).to_owned(),
        missing.map_or(String::new(), |why| why.to_string()),
    ]
}

/// Why a trial has no value.
fn missing(measured: &Measured<'_>, reading: &Reading) -> Option<Withheld> {
    let alone = Withheld::Absent { trials: 1, of: 1 };
    match (reading.value, &measured.value) {
        (Some(_), _) => None,
        (None, Err(why)) if why.hides_trials() => Some(*why),
        (None, _) => Some(alone),
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::PerSecond => "/s",
        Unit::Time => "ns",
        Unit::Share => "share",
        Unit::Bytes => "bytes",
        Unit::Count => "count",
    }
}

/// A name that runs nowhere.
fn text(name: &str) -> String {
    let name = plain(name);
    match name.trim_start().starts_with(['=', '+', '-', '@']) {
        true => format!("'{name}"),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Comparison;
    use crate::report::formats::tests::in_state;
    use crate::report::sample;

    fn rows((run, comparison): &(Run, Comparison)) -> Vec<Vec<String>> {
        let text = render(&[Judged { run, comparison }]);
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap(), COLUMNS.map(|(name, _)| name).as_slice());
        let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect());
        rows.collect()
    }

    fn column(name: &str) -> usize {
        COLUMNS.iter().position(|(known, _)| *known == name).unwrap()
    }

    #[test]
    fn every_trial_has_a_row_for_every_measure() {
        let run = in_state(sample::sample);
        let rows = rows(&run);
        let throughput: Vec<_> =
            rows.iter().filter(|row| row[column("measure")] == "throughput").collect();
        assert_eq!(throughput.len(), run.0.trials.len() * 4);
        let repeats = throughput.iter().filter(|row| row[column("aa")] == "true");
        assert_eq!(repeats.count(), 6 * 4);
        let first = throughput.iter().find(|row| row[column("trial")] == "0").unwrap();
        let value: f64 = first[column("value")].parse().unwrap();
        let cell = &run.0.trials[0].cells[0];
        assert!((value - cell.throughput_per_s).abs() < 1e-9);
        assert_eq!(
            (first[column("unit")].as_str(), first[column("status")].as_str()),
            ("/s", "ok")
        );
    }

    #[test]
    fn what_is_withheld_says_so_and_is_empty() {
        let rows = rows(&in_state(sample::sample));
        let p999 = rows.iter().find(|row| row[column("measure")] == "p999").unwrap();
        assert_eq!(p999[column("value")], "");
        assert_eq!(p999[column("status")], "withheld");
        assert!(p999[column("why")].starts_with("2 observations beyond it"), "{p999:?}");
    }

    #[test]
    fn no_name_leaves_its_cell_or_runs_in_a_spreadsheet() {
        let mut run = in_state(sample::hostile);
        run.0.arms[0].name = "=HYPERLINK(\"x\")".into();
        for trial in run.0.trials.iter_mut().filter(|trial| trial.arm == "before") {
            trial.arm = "=HYPERLINK(\"x\")".into();
        }
        let rows = rows(&run);
        assert!(rows.iter().any(|row| row[column("arm")] == "'=HYPERLINK(\"x\")"));
        assert!(rows.iter().flatten().all(|cell| !cell.starts_with(['=', '+', '-', '@'])));
        assert!(rows[0][column("scenario")].starts_with("\"><script>"));
    }

    #[test]
    fn the_documentation_has_the_same_columns() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/formats.md");
        let text = std::fs::read_to_string(path).unwrap();
        let rows = text.lines().skip_while(|line| *line != "| column | is |").skip(2);
        let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
        assert_eq!(rows, COLUMNS.map(|(name, is)| format!("| `{name}` | {is} |")));
    }

    #[test]
    fn several_runs_share_one_header() {
        let (run, comparison) = in_state(sample::sample);
        let one = Judged { run: &run, comparison: &comparison };
        let (once, twice) = (render(&[one]), render(&[one, one]));
        let header = once.lines().next().unwrap();
        assert_eq!(twice.matches(header).count(), 1);
        assert_eq!(twice.lines().count(), once.lines().count() * 2 - 1);
    }
}
