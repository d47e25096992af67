//! `kvbench gate` as a pipeline calls it: two programs by turns, what it leaves, and what it says where one of them fails.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use kvbench::gate::{GateVerdict, rows};
use kvbench::record::bundle::Bundle;
use kvbench::record::gate::{GATE, GateRecord, Sitting};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kvbench");

/// Short, and let pass whatever the host does: the verdict is about the plumbing.
const SCENARIO: &str = r#"
schema = 1
name   = "tiny"
[system]
layer = "store"
[arms.before]
apply = "global-mutex"
[arms.after]
apply = "sharded"
[keys]
space = 100
[[op]]
put = {}
[[phase]]
name     = "a"
load     = { closed = { clients = [1] } }
warmup   = "5ms"
duration = "50ms"
[trials]
pairs        = { min = 6, max = 6 }
on_disturbed = "keep"
[[gate]]
metric = "a.throughput@1"
worse  = "1000%"
[[gate]]
metric = "a.mean@1"
arm    = "before"
worse  = "1000%"
"#;

struct Gated {
    folder: tempfile::TempDir,
    output: Output,
}

impl Gated {
    fn text(&self) -> String {
        let both = [&self.output.stdout, &self.output.stderr];
        both.map(|bytes| String::from_utf8_lossy(bytes)).concat()
    }

    fn code(&self) -> i32 {
        self.output.status.code().unwrap()
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// The folder it left.
    fn left(&self) -> PathBuf {
        let entries = fs::read_dir(self.out()).unwrap().map(|entry| entry.unwrap().path());
        let mut left: Vec<PathBuf> = entries.collect();
        assert_eq!(left.len(), 1, "one folder, and nothing of the running: {left:?}");
        left.pop().unwrap()
    }

    fn record(&self) -> GateRecord {
        GateRecord::from_json(&fs::read(self.left().join(GATE)).unwrap()).unwrap()
    }
}

/// Gates the program against `base`, a script's body; `$0.count` is a file of its own.
fn gate(base: &str, words: &[&str]) -> Gated {
    gate_of(SCENARIO, base, words)
}

fn gate_of(scenario: &str, base: &str, words: &[&str]) -> Gated {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("tiny.toml"), scenario).unwrap();
    fs::write(path("base"), format!("#!/bin/sh\n{base}\nexec \"{PROGRAM}\" \"$@\"\n")).unwrap();
    fs::set_permissions(path("base"), fs::Permissions::from_mode(0o755)).unwrap();
    let base = format!("program:{}", path("base").display());
    let output = Command::new(PROGRAM)
        .current_dir(folder.path())
        .env_remove("GITHUB_ACTIONS")
        .args(["gate", "tiny.toml", "--out", "out", "--base", &base])
        .args(words)
        .output()
        .unwrap();
    Gated { folder, output }
}

#[test]
fn a_program_against_itself_by_turns_leaves_everything_it_rests_on() {
    let gated = gate("", &["--pairs", "7", "--junit", "junit.xml", "--openmetrics", "m.txt"]);
    assert_eq!(gated.code(), 0, "{}", gated.text());
    let record = gated.record();
    assert!(record.complete && record.confirms && record.second.is_none());
    assert_eq!(record.sitting, Sitting::Interleaved);
    let verdicts: Vec<_> = rows(&record).iter().map(|row| row.verdict).collect();
    assert_eq!(verdicts.len(), 2, "{}", gated.text());
    assert!(verdicts.iter().all(|verdict| *verdict == GateVerdict::Unchanged), "{verdicts:?}");
    let mut bundles = record.scenarios[0].bundles.clone();
    bundles.sort();
    assert_eq!(bundles, ["tiny-after", "tiny-before"]);
    for bundle in bundles {
        let run = Bundle::open(&gated.left().join(bundle)).read_run().unwrap();
        let of = |arm: &str, aa| {
            let its = run.trials.iter().filter(|trial| trial.arm == arm && trial.aa == aa);
            let mut blocks: Vec<u32> = its.map(|trial| trial.block).collect();
            blocks.sort_unstable();
            blocks
        };
        assert_eq!((of("base", false), of("head", false)), ((0..7).collect(), (0..7).collect()));
        assert_eq!((of("base", true), of("head", true)), (vec![0, 2, 4, 6], vec![1, 3, 5]));
        let seeds = run.trials.iter().map(|trial| &trial.end.state_hash);
        assert!(seeds.collect::<std::collections::BTreeSet<_>>().len() > 1, "turns differ");
    }
    let file = |name: &str| fs::read_to_string(gated.folder.path().join(name)).unwrap();
    assert_eq!(file("junit.xml").matches("<testcase").count(), 2);
    let metrics = file("m.txt");
    assert!(metrics.contains("arm=\"after\"") && !metrics.contains("arm=\"head\""), "{metrics}");
    for name in ["gate.html", "gate.md"] {
        let text = fs::read_to_string(gated.left().join(name)).unwrap();
        assert!(text.contains("Nothing got worse"), "{name}");
    }
}

#[test]
fn one_client_that_waits_for_the_cpu_alone_is_measured_by_slices() {
    let by_slices = SCENARIO.replace("a.mean@1", "a.cpu_per_op@1");
    let gated = gate_of(&by_slices, "", &["--pairs", "7"]);
    assert_eq!(gated.code(), 0, "{}", gated.text());
    let record = gated.record();
    assert_eq!(record.scenarios[0].slice_ms, Some(5.0));
    assert!(gated.text().contains("shared one CPU by slices of 5 ms"), "{}", gated.text());
    let run = Bundle::open(&gated.left().join("tiny-after")).read_run().unwrap();
    let of_turn = |block: u32| run.trials.iter().filter(|one| one.block == block).count();
    assert_eq!((0..7).map(of_turn).collect::<Vec<_>>(), [3; 7]);
    let whole = gate_of(&by_slices, "", &["--pairs", "7", "--no-slices"]);
    assert_eq!(whole.record().scenarios[0].slice_ms, None, "{}", whole.text());
}

#[test]
fn a_base_that_fails_in_the_middle_is_named_and_nothing_passes() {
    let fails = "[ \"$1\" = run ] || exec true\necho x >> \"$0.count\"\n\
                 [ $(wc -l < \"$0.count\") -lt 4 ] || { echo no more >&2; exit 5; }";
    let gated = gate(fails, &["--pairs", "7", "--inconclusive", "pass"]);
    assert_eq!(gated.code(), 5, "{}", gated.text());
    assert!(gated.text().contains("base failed") && gated.text().contains("no more"));
    assert!(!gated.text().contains("Nothing got worse"), "{}", gated.text());
}

#[test]
fn a_base_that_does_not_know_the_scenario_is_not_comparable() {
    let refuses = "[ \"$1\" != check ] || { echo unknown key gate >&2; exit 2; }";
    let gated = gate(refuses, &["--pairs", "7", "--inconclusive", "pass"]);
    assert_eq!(gated.code(), 3, "{}", gated.text());
    assert!(gated.text().contains("base refuses the scenario: unknown key gate"));
}

#[test]
fn what_cannot_be_asked_is_told_before_anything_is_measured() {
    for (words, wanted) in [
        (&["--quick"][..], "not shortened by --quick"),
        (&["--junit", "no/such/folder/x.xml"], "no/such/folder"),
        (&["--pairs", "3"], "--pairs"),
        (&["--base", "program:/no/such/program"], "there is no program"),
        (&["--base", "git:no-such-revision"], "git"),
        (&["--base", "no/such/bundle"], "no/such/bundle"),
        (&["--base", "history:nowhere"], "there is no run in nowhere"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tiny.toml"), SCENARIO).unwrap();
        let base: &[&str] = if words.contains(&"--base") { &[] } else { &["--base", "program:x"] };
        let mut command = Command::new(PROGRAM);
        command.current_dir(folder.path()).args(["gate", "tiny.toml", "--out", "out"]);
        let output = command.args(base).args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(wanted) && !said.contains("panicked"), "{words:?}: {said}");
    }
}
