//! `kvbench verify` as its users meet it: small campaigns for real, records, imported histories, bad input.

use kvbench::cli::{self, Exit, Terminal};
use kvbench::record::verification::{Finding, Verification};
use std::ffi::OsString;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

struct Ran {
    exit: Exit,
    out: String,
    err: String,
}

fn kvbench(args: &[&str], interrupted: bool) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut terminal = Terminal {
        out: &mut out,
        err: &mut err,
        color: false,
        live: false,
        width: 80,
        interrupted: Arc::new(AtomicBool::new(interrupted)),
        end: |said, _| panic!("{said}"),
    };
    let args = ["kvbench", "verify"].iter().chain(args).map(OsString::from);
    let exit = cli::run(args, &mut terminal);
    let text = |bytes| String::from_utf8(bytes).expect("all output is UTF-8");
    Ran { exit, out: text(out), err: text(err) }
}

/// Every path, with one member and with three, under every fault that is quick.
#[test]
fn histories_under_faults_are_made_and_questioned() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let out = folder.path().join("kept");
    let out = out.to_str().expect("the path is UTF-8");
    let few = ["--campaign", "faults", "--histories", "4", "--operations", "800", "--out", out];
    let faults = ["loss", "reorder", "one-way", "leader-cut-off", "needs-image", "all-restart"];
    let faults = faults.iter().flat_map(|name| ["--fault", name]);
    let ran = kvbench(&few.into_iter().chain(faults).collect::<Vec<_>>(), false);
    // A host that stands still for a while may make a history void; what is wrong is wrong.
    assert!(matches!(ran.exit, Exit::Met | Exit::Inconclusive), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("4 histories: "), "{}", ran.out);
    let text = fs::read(folder.path().join("kept/verify.json")).expect("the record is kept");
    let record = Verification::from_json(&text).expect("it can be read again");
    assert!(record.complete && record.histories.len() == 4 && record.equivalence.is_none());
    assert_eq!(record.histories.iter().map(|one| one.nodes).collect::<Vec<_>>(), [3, 3, 3, 1]);
    for history in &record.histories {
        let of = if history.nodes == 3 { 6 } else { 1 };
        assert_eq!(history.faults.len(), of, "{history:?}");
        if history.finding == Finding::Passed {
            assert!(history.answered >= 800 && history.revisions > 200, "{history:?}");
            assert!(history.registers > 0 && history.watched_events > 0, "{history:?}");
            assert!(history.faults.iter().all(|fault| fault.happened), "{history:?}");
        }
    }
    // It goes on where it was: four are there, so two more are made.
    let again =
        ["--campaign", "faults", "--histories", "6", "--operations", "300", "--fault", "delay"];
    let ran = kvbench(&[again.as_slice(), &["--out", out]].concat(), false);
    assert!(ran.err.contains("going on after 4 histories"), "{}", ran.err);
    let text = fs::read(folder.path().join("kept/verify.json")).expect("the record is kept");
    let record = Verification::from_json(&text).expect("it can be read again");
    assert_eq!((record.histories.len(), record.sittings), (6, 2));
}

#[test]
fn every_path_is_the_oracle_and_json_is_json() {
    let ran = kvbench(&["--campaign", "equivalence", "--requests", "20000", "--json"], false);
    assert_eq!(ran.exit, Exit::Met, "{}{}", ran.out, ran.err);
    let record = Verification::from_json(ran.out.as_bytes()).expect("nothing but the record");
    let compared = record.equivalence.clone().expect("it was asked for");
    assert!(compared.requests >= 20_000 && compared.batches > 0, "{compared:?}");
    assert!(record.histories.is_empty() && !record.has_violation());
}

#[test]
fn an_interruption_leaves_a_record_that_says_so() {
    let ran = kvbench(&["--histories", "3", "--json"], true);
    assert_eq!(ran.exit, Exit::Interrupted);
    let record = Verification::from_json(ran.out.as_bytes()).expect("it is whole");
    assert!(!record.complete && record.histories.is_empty());
}

#[test]
fn a_history_of_another_tool_gets_its_verdict() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("history.edn");
    let path = path.to_str().expect("the path is UTF-8");
    let write = |read: &str| {
        let lines = [
            "{:process 0, :type :invoke, :f :write, :value 1}",
            "{:process 0, :type :ok, :f :write, :value 1}",
            "{:process 0, :type :invoke, :f :write, :value 2}",
            "{:process 0, :type :ok, :f :write, :value 2}",
            "{:process 1, :type :invoke, :f :read, :value nil}",
            &format!("{{:process 1, :type :ok, :f :read, :value {read}}}"),
        ];
        fs::write(path, lines.join("\n")).expect("a file can be written");
    };
    write("2");
    let ran = kvbench(&["--history", path], false);
    assert_eq!(ran.exit, Exit::Met, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("1 of 1 register linearizable, 3 operations"), "{}", ran.out);
    write("1");
    let ran = kvbench(&["--history", path], false);
    assert_eq!(ran.exit, Exit::WrongAnswer, "{}", ran.out);
    assert!(ran.out.contains("no order explains more than 2 of them"), "{}", ran.out);
    fs::write(path, "{:process 0, :type :maybe}").expect("a file can be written");
    let ran = kvbench(&["--history", path], false);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("line 1") && ran.err.contains("hint:"), "{}", ran.err);
    let ran = kvbench(&["--history", "/nowhere/history.edn"], false);
    assert_eq!(ran.exit, Exit::Failed, "{}", ran.err);
}

#[test]
fn what_cannot_be_asked_for_is_said() {
    for (args, words) in [
        (&["--fault", "flood"][..], "there is no such fault; there are leader-cut-off"),
        (&["--histories", "0"], "1..=1000000"),
        (&["--operations", "5"], "100..=1000000"),
        (&["--nodes", "9"], "1..=5"),
        (&["--soak", "1d5"], "unknown unit"),
        (&["--soak", "100ms"], "from 1s to 720h"),
        (&["--campaign", "hope"], "possible values"),
        (&["--keyed"], "--history"),
        (&["--nodes", "1", "--fault", "loss"], "one member alone has none of these faults"),
    ] {
        let ran = kvbench(args, false);
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""), "{args:?}");
        assert!(ran.err.contains(words), "{args:?}: {}", ran.err);
    }
    if !cfg!(feature = "failpoints") {
        let ran = kvbench(&["--campaign", "failpoints"], false);
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""));
        assert!(ran.err.contains("cargo build --release --features failpoints"), "{}", ran.err);
    }
    let folder = tempfile::tempdir().expect("a folder for the test");
    fs::write(folder.path().join("verify.json"), "{}").expect("a file can be written");
    let out = folder.path().to_str().expect("the path is UTF-8");
    let ran = kvbench(&["--out", out, "--histories", "1"], false);
    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.err.contains("cannot go on from"), "{}", ran.err);
    assert_eq!(fs::read_to_string(folder.path().join("verify.json")).unwrap_or_default(), "{}");
}
