//! Results over time as their users meet them: `kvbench history`. Commands run in this process through `cli::run`; where
//! processes meet, they are processes.

use kvbench::cli::{self, Exit, Terminal};
use kvbench::record::Run;
use kvbench::record::bundle::Bundle;
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

const THROUGHPUT: &str = "saturate.throughput@50";
const SCRIPT: &str = "<script>alert(1)</script>";

/// What a command left on the two streams, and how it ended.
struct Ran {
    exit: Exit,
    out: String,
    err: String,
}

fn kvbench(args: &[&str]) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut terminal = Terminal {
        out: &mut out,
        err: &mut err,
        color: false,
        live: false,
        width: 80,
        interrupted: Arc::new(AtomicBool::new(false)),
        end: |said, _| panic!("{said}"),
    };
    let exit = cli::run(["kvbench"].iter().chain(args).map(OsString::from), &mut terminal);
    let text = |bytes| String::from_utf8(bytes).expect("all output is UTF-8");
    Ran { exit, out: text(out), err: text(err) }
}

/// A folder for bundles and a history.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Desk {
        Desk { folder: TempDir::new().expect("a folder for the test") }
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("the path is UTF-8").to_owned()
    }

    /// `history COMMAND … --in` the history of this desk.
    fn history(&self, args: &[&str]) -> Ran {
        kvbench(&[&["history"], args, &["--in", &self.at("history")]].concat())
    }

    /// A bundle of the reference record as of that day, with arm after so many times as fast.
    fn bundle(&self, day: usize, speed: f64) -> String {
        self.changed(&format!("day{day:03}"), |run| {
            run.started_at = format!("2026-{:02}-{:02}T03:00:00Z", 1 + day / 28, 1 + day % 28);
            run.build.revision = format!("rev{day:03}");
            // Rates that repeat within a percent or two, as on a quiet host.
            let wobble = 1.0 + 0.004 * ((day * 7) % 5) as f64;
            let of_after = run.trials.iter_mut().filter(|trial| trial.arm == "after");
            for cell in of_after.flat_map(|trial| &mut trial.cells) {
                cell.throughput_per_s *= speed * wobble;
            }
        })
    }

    fn changed(&self, name: &str, change: impl FnOnce(&mut Run)) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let reference = Bundle::open(&root.join("reports/reference/put_parallel-2026-11-23"));
        let mut run = reference.read_run().expect("the reference is a record");
        // A fresh start for every trial is far more than a line of a history needs.
        run.trials.retain(|trial| ["before", "after"].contains(&trial.arm.as_str()));
        run.arms.retain(|arm| ["before", "after"].contains(&arm.name.as_str()));
        change(&mut run);
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).expect("a folder for the bundle");
        let json = run.to_json().expect("a record is JSON");
        fs::write(folder.join("result.json"), json).expect("it is written");
        self.at(name)
    }

    /// A history of so many days at each of the speeds.
    fn fill(&self, levels: &[(usize, f64)]) {
        let speeds = levels.iter().flat_map(|(days, speed)| vec![*speed; *days]);
        let bundles: Vec<String> =
            speeds.enumerate().map(|(day, speed)| self.bundle(day, speed)).collect();
        let args: Vec<&str> =
            ["add"].into_iter().chain(bundles.iter().map(String::as_str)).collect();
        let ran = self.history(&args);
        assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""), "{}", ran.out);
        assert_eq!(ran.out.lines().count(), bundles.len());
    }

    fn file(&self) -> String {
        fs::read_to_string(self.at("history/history.ndjson")).expect("the history is there")
    }

    /// The trend of the throughput of arm after, as JSON: its only series.
    fn trend(&self) -> Value {
        let ran = self.history(&["trend", "--metric", THROUGHPUT, "--arm", "after", "--json"]);
        assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""));
        let json: Value = serde_json::from_str(&ran.out).expect("it is JSON");
        assert_eq!(json["series"].as_array().map(Vec::len), Some(1), "{json}");
        json["series"][0].clone()
    }
}

#[test]
fn help_of_every_command_has_examples() {
    for command in [
        "history",
        "history add",
        "history list",
        "history trend",
        "history bless",
        "history index",
    ] {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let ran = kvbench(&words);
        assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""), "{command}");
        assert!(ran.out.contains(&format!("Examples:\n  kvbench {command}")), "{}", ran.out);
    }
}

#[test]
fn an_empty_history_says_so() {
    let desk = Desk::new();
    let ran = desk.history(&["list"]);
    assert_eq!((ran.exit, ran.out.trim(), ran.err.as_str()), (Exit::Met, "0 runs.", ""));
    let ran = desk.history(&["trend"]);
    assert_eq!((ran.exit, ran.out.trim()), (Exit::Met, "No run has a number to show."));
    let ran = desk.history(&["trend", "put_parallel"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(
        ran.err.contains("no run of \"put_parallel\"") && ran.err.contains("none yet"),
        "{}",
        ran.err
    );
    assert!(!Path::new(&desk.at("history")).exists(), "reading makes nothing");
}

#[test]
fn one_run_and_three_are_shown_and_not_judged() {
    for days in [1, 3] {
        let desk = Desk::new();
        desk.fill(&[(days, 1.0)]);
        let ran = desk.history(&["trend"]);
        assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""));
        for wanted in
            ["put_parallel", THROUGHPUT, "needs 6 runs", "Too few runs to look for a change."]
        {
            assert!(ran.out.contains(wanted), "{wanted}: {}", ran.out);
        }
        assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{}", ran.out);
        assert_eq!(desk.trend()["points"].as_array().map(Vec::len), Some(days));
    }
}

#[test]
fn a_change_is_named_in_every_form_and_can_be_accepted() {
    let desk = Desk::new();
    desk.fill(&[(7, 1.0), (5, 0.8)]);
    let asked = ["trend", "put_parallel", "--metric", THROUGHPUT, "--arm", "after"];
    let (svg, html) = (desk.at("trend.svg"), desk.at("trend.html"));
    let ran = desk.history(&[&asked[..], &["--svg", &svg, "--html", &html]].concat());
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""));
    for wanted in [
        "rev007 (2026-01-08 03:00), after rev006 (2026-01-07 03:00):",
        "✘",
        "0.80",
        "worse",
        "p < 0.001",
        "1 change beyond",
    ] {
        assert!(ran.out.contains(wanted), "{wanted}: {}", ran.out);
    }
    for file in [&svg, &html] {
        let text = fs::read_to_string(file).expect("it was written");
        assert!(text.contains("rev007") && text.contains("<desc>"), "{file}");
    }
    let trend = desk.trend();
    let change = &trend["changes"][0];
    assert_eq!((change["at"].as_u64(), change["direction"].as_str()), (Some(7), Some("worse")));

    let ran =
        desk.history(&["bless", "put_parallel", "--metric", THROUGHPUT, "--why", "durable now"]);
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""));
    assert!(ran.out.contains("2026-01-08T03:00:00Z at rev007 on: durable now"), "{}", ran.out);
    assert_eq!(desk.trend()["changes"][0]["blessed"], "durable now");
    let ran = desk.history(&asked);
    assert!(
        ran.out.contains("accepted: durable now") && ran.out.contains("0 worse"),
        "{}",
        ran.out
    );
    assert!(desk.history(&["list"]).out.contains("durable now"));
    assert_eq!(desk.file().lines().count(), 13, "nothing is removed");
}

#[test]
fn mistakes_are_told_with_a_hint_and_change_nothing() {
    let desk = Desk::new();
    desk.fill(&[(1, 1.0)]);
    let before = desk.file();
    let refused = |args: &[&str], wanted: &str| {
        let ran = desk.history(args);
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""), "{args:?}");
        assert!(ran.err.contains(wanted), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);
    };
    let bless = ["bless", "put_parallel", "--metric"];
    refused(&[&bless[..], &[THROUGHPUT]].concat(), "--why");
    refused(&[&bless[..], &[THROUGHPUT, "--why", " "]].concat(), "a reason is missing");
    refused(&[&bless[..], &["a\u{1b}b", "--why", "x"]].concat(), "no run of");
    refused(
        &[&bless[..], &[THROUGHPUT, "--why", "x", "--since", "rev9"]].concat(),
        "no run \"rev9\"",
    );
    refused(&["trend", "--arm", "middle"], "no run has what was asked for: middle");
    refused(&["trend", "--floor", "0%"], "more than 0%");
    refused(&["list", "other"], "scenarios in it: put_parallel");
    refused(&["add", &desk.at("nowhere")], "No such file");
    let undated = desk.changed("undated", |run| run.started_at = "\u{1b}[2J".into());
    refused(&["add", &desk.bundle(5, 1.0), &undated], "its start is no time");
    let ran = desk.history(&["add", &desk.bundle(0, 1.0)]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("has this run already: put_parallel of 2026-01-01"), "{}", ran.err);
    assert_eq!(desk.file(), before);
}

#[test]
fn a_history_that_is_none_is_told_with_its_line() {
    let desk = Desk::new();
    desk.fill(&[(2, 1.0)]);
    let path = desk.at("history/history.ndjson");
    let whole = desk.file();
    fs::write(&path, whole.replacen("\"schema\":1", "\"schema\":7", 2)).expect("it is written");
    let ran = desk.history(&["list"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(
        ran.err.contains("history.ndjson:1: schema 7") && ran.err.contains("newer"),
        "{}",
        ran.err
    );
    // A line cut off, as by a full disk, is left out and told; the next run takes its place.
    fs::write(&path, &whole[..whole.len() - 40]).expect("it is written");
    let ran = desk.history(&["list"]);
    assert_eq!(ran.exit, Exit::Met);
    assert!(
        ran.err.contains("line 2 was not finished") && ran.out.contains("1 run."),
        "{}",
        ran.err
    );
    let ran = desk.history(&["add", &desk.bundle(1, 1.0)]);
    assert_eq!(ran.exit, Exit::Met);
    assert!(ran.err.contains("it was removed"), "{}", ran.err);
    assert_eq!(desk.file(), whole);
}

/// Processes, since a lock is between processes.
#[test]
fn processes_that_add_at_once_lose_nothing() {
    let desk = Desk::new();
    let bundles: Vec<String> = (0..6).map(|day| desk.bundle(day, 1.0)).collect();
    // Each bundle is offered by two of them.
    let children: Vec<_> = bundles
        .iter()
        .chain(&bundles)
        .map(|bundle| {
            Command::new(env!("CARGO_BIN_EXE_kvbench"))
                .args(["history", "add", bundle, "--in", &desk.at("history")])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the program starts")
        })
        .collect();
    let ends = children.into_iter().map(|mut child| child.wait().expect("it ends").code());
    let added = ends.filter(|code| *code == Some(0)).count();
    assert_eq!((added, desk.file().lines().count()), (6, 6));
    let ran = desk.history(&["list"]);
    assert!(ran.err.is_empty() && ran.out.contains("6 runs."), "{}{}", ran.out, ran.err);
}

#[test]
fn hostile_names_cannot_steer_or_script() {
    let desk = Desk::new();
    let evil =
        format!("\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\"'>{SCRIPT}\n../../x [x](javascript:alert(1))");
    let bundles: Vec<String> = (0..8)
        .map(|day| {
            let bundle = desk.bundle(day, if day < 4 { 1.0 } else { 0.5 });
            let name = Path::new(&bundle).file_name().expect("it has a name").to_string_lossy();
            let run = Bundle::open(Path::new(&bundle)).read_run().expect("a record");
            desk.changed(&format!("{name}-evil"), |changed| {
                *changed = run;
                (changed.scenario.name, changed.build.revision) = (evil.clone(), evil.clone());
                (changed.host.details.machine_key, changed.build.profile) =
                    (evil.clone(), evil.clone());
                changed.arms.iter_mut().for_each(|arm| arm.name += &evil);
                for trial in &mut changed.trials {
                    trial.arm += &evil;
                    trial.cells.iter_mut().for_each(|cell| cell.phase = evil.clone());
                }
            })
        })
        .collect();
    let args: Vec<&str> = ["add"].into_iter().chain(bundles.iter().map(String::as_str)).collect();
    let (svg, html) = (desk.at("t.svg"), desk.at("t.html"));
    let metric = format!("{evil}.throughput@50");
    let ran = [
        desk.history(&args),
        desk.history(&["trend", "--svg", &svg, "--html", &html]),
        desk.history(&["bless", &evil, "--metric", &metric, "--why", &evil]),
        desk.history(&["trend"]),
        desk.history(&["list"]),
        kvbench(&["history", "index", desk.folder.path().to_str().expect("UTF-8")]),
    ];
    let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    for ran in &ran {
        assert_eq!(
            (ran.exit, ran.out.find(steers), ran.err.find(steers)),
            (Exit::Met, None, None),
            "{}",
            ran.err
        );
    }
    assert!(ran[3].out.contains("8 "), "{}", ran[3].out);
    for page in [svg, html, desk.at("index.html")] {
        let page = fs::read_to_string(page).expect("it was written");
        assert!(!page.contains("<script") && page.find(steers).is_none(), "{page}");
    }
    // In the file every name is one JSON string on one line.
    assert_eq!(desk.file().lines().count(), 9);
}

#[test]
fn an_index_links_the_bundles_beside_it() {
    let desk = Desk::new();
    let bundle = desk.bundle(3, 1.0);
    fs::write(Path::new(&bundle).join("report.html"), "a report").expect("it is written");
    desk.bundle(4, 1.0);
    fs::create_dir(desk.at("broken")).expect("a folder");
    fs::write(desk.at("broken/result.json"), "{").expect("it is written");
    fs::create_dir(desk.at("no bundle")).expect("a folder");
    let ran = kvbench(&["history", "index", &desk.at("")]);
    assert_eq!(ran.exit, Exit::Met, "{}", ran.err);
    assert!(ran.out.contains("index.html: 2 runs"), "{}", ran.out);
    assert!(ran.err.contains("left out broken: "), "{}", ran.err);
    let page = fs::read_to_string(desk.at("index.html")).expect("it was written");
    assert!(page.contains("href=\"day003/report.html\"") && !page.contains("day004/report.html"));
    assert!(page.contains("times faster than before at 50 clients"), "{page}");
    assert_eq!(kvbench(&["history", "index", &desk.at("nowhere")]).exit, Exit::Usage);
}
