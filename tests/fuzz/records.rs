//! Records from elsewhere: run files, lines of histories, boards. What is read is judged and shown, whatever is in it.

use crate::driver::{Answer, Plan, fuzz};
use crate::json::{change, small_run};
use kvbench::compare::history::{Question, entry, trends};
use kvbench::compare::{self, Comparison};
use kvbench::record::Run;
use kvbench::record::gate::GateRecord;
use kvbench::record::history::{History, Line, RunLine};
use kvbench::record::scoreboard::Scoreboard;
use kvbench::report::formats::github::Better;
use kvbench::report::formats::{Format, Judged};
use kvbench::report::terminal::Style;
use kvbench::report::{gate, history, html, markdown, scoreboard, terminal};
use kvbench::seed::Seed;
use rand::Rng;
use serde_json::Value;

const STYLE: Style = Style { color: false, width: 100 };

/// Reads a run file, judges it, renders one form of it, and reads back what it writes.
fn check_run(json: &[u8], form: u8) -> Answer {
    let run: Run = match serde_json::from_slice(json) {
        Ok(run) => run,
        Err(error) => return format!("no run: {:?}", error.classify()).into(),
    };
    let again: Result<Run, _> = serde_json::from_slice(&run.to_json().unwrap());
    assert_eq!(again.unwrap(), run);
    let comparison = compare::compare(&run);
    render(&run, &comparison, form);
    format!("run {:?}", comparison.outcome).into()
}

/// No form of it panics. A format may refuse it, with words.
fn render(run: &Run, comparison: &Comparison, form: u8) {
    let judged = [Judged { run, comparison }];
    let format = |format: Format| {
        if let Err(error) = format.render(&judged) {
            assert!(!error.to_string().is_empty());
        }
    };
    match form % 10 {
        0 => drop(html::render(run, comparison, &[])),
        1 => drop(markdown::render(run, comparison)),
        2 => drop(terminal::render(run, comparison, STYLE)),
        3 => format(Format::Csv),
        4 => format(Format::Junit),
        5 => format(Format::OpenMetrics),
        6 => format(Format::Benchfmt),
        7 => format(Format::Github(Better::Bigger)),
        8 => format(Format::Bmf),
        _ => format(Format::Hgrm("after:saturate@50".to_owned())),
    }
}

fn check_line(json: &[u8]) -> Answer {
    let runs: Vec<RunLine> = match serde_json::from_slice(json) {
        Ok(runs) => runs,
        Err(error) => return format!("no lines: {:?}", error.classify()).into(),
    };
    let sound = runs.into_iter().filter(|run| Line::Run(run.clone()).problem().is_none());
    let history = History { runs: sound.collect(), ..History::default() };
    let trends =
        trends(&history, &Question { scenario: None, metrics: &[], arms: &[], floor: 0.05 });
    history::html::render(&trends);
    history::svg::render(&trends);
    history::terminal::render(&trends, STYLE);
    history::list::render(&history, None, STYLE);
    trends.to_json().unwrap();
    format!("{} lines, {} series", history.runs.len().min(3), trends.series.len().min(3)).into()
}

fn check_board(json: &[u8]) -> Answer {
    let Ok(board) = Scoreboard::from_json(json) else { return "no board".into() };
    scoreboard::html::render(&board);
    scoreboard::markdown::render(&board);
    scoreboard::terminal::render(&board, STYLE);
    format!("board of {}", board.runs.len().min(3)).into()
}

fn check_gate(json: &[u8]) -> Answer {
    let Ok(record) = GateRecord::from_json(json) else { return "no gate".into() };
    gate::html::render(&record);
    gate::markdown::render(&record);
    gate::terminal::render(&record, STYLE);
    gate::github::annotations(&record);
    let _ = gate::junit::render(&record).map(drop);
    format!("gate of {}", record.scenarios.len().min(3)).into()
}

/// The kinds of records, each with a valid one.
fn values() -> Vec<Value> {
    let run = small_run();
    let comparison = compare::compare(&run);
    let mut board = scoreboard::Builder::default();
    board.add(&run, &comparison, "bundle".to_owned());
    let line = entry(&run).unwrap();
    let lines: Vec<RunLine> = (0..8)
        .map(|n| {
            let (id, second) = (format!("{n:064x}"), 10 + n);
            RunLine { id, started_at: format!("2026-11-03T14:12:{second}Z"), ..line.clone() }
        })
        .collect();
    let values = [
        serde_json::to_value(&run),
        serde_json::to_value(&lines),
        serde_json::to_value(board.finish()),
        serde_json::to_value(GateRecord::default()),
    ];
    values.into_iter().map(Result::unwrap).collect()
}

/// The first byte of an input says which kind and form, the next eight are a seed of changes to the valid record. An odd one has its text
/// broken, too.
fn json_of(values: &[Value], input: &[u8]) -> (usize, u8, Vec<u8>) {
    let first = input.first().copied().unwrap_or(0);
    // Half of all are run files.
    let kind = [0, 0, 0, 1, 2, 3][usize::from(first) % 6];
    let mut bytes = [0; 8];
    input.iter().skip(1).zip(&mut bytes).for_each(|(from, to)| *to = *from);
    let mut rng = Seed(u64::from_le_bytes(bytes)).stream("record", 0);
    let mut value = values[kind].clone();
    for _ in 0..rng.random_range(0..6) {
        change(&mut value, &mut rng);
    }
    let mut json = serde_json::to_vec(&value).unwrap();
    if rng.random_bool(0.1) && !json.is_empty() {
        let place = rng.random_range(0..json.len());
        json[place] = rng.random();
    }
    (kind, first / 6, json)
}

#[test]
fn records_from_elsewhere() {
    let values = values();
    let check = |input: &[u8]| -> Answer {
        let (kind, form, json) = json_of(&values, input);
        match kind {
            0 => check_run(&json, form),
            1 => check_line(&json),
            2 => check_board(&json),
            _ => check_gate(&json),
        }
    };
    let samples = (0..60).map(|kind| vec![kind, 0, 0, 0, 0, 0, 0, 0, 0]).collect();
    fuzz(Plan { name: "records", execs: 600, samples, words: &[], counts_bytes: false }, check);
}
