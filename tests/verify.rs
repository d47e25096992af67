//! `kvbench verify` as its users meet it: small campaigns for real, records, imported histories, bad input.

use kvbench::cli::{self, Exit, Terminal};
use kvbench::record::verification::{Finding, Verification};
use std::ffi::OsString;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

struct Ran {
    exit: Exit,
    out: String,
    err: String,
}

fn kvbench(args: &[&str], interrupted: bool) -> Ran {
    kvbench_until(args, &Arc::new(AtomicBool::new(interrupted)))
}

fn kvbench_until(args: &[&str], interrupted: &Arc<AtomicBool>) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut terminal = Terminal {
        out: &mut out,
        err: &mut err,
        color: false,
        live: false,
        width: 80,
        interrupted: interrupted.clone(),
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

/// Members whose disks fail give up by a panic, which is no news to whoever looks for wrong answers.
#[test]
fn disks_that_fail_are_told_in_numbers_only() {
    let few = ["verify", "--campaign", "crashes", "--images", "40"];
    let ran = Command::new(env!("CARGO_BIN_EXE_kvbench")).args(few).output();
    let ran = ran.expect("the program starts");
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!((ran.status.code(), err.as_ref()), (Some(0), ""), "{out}");
    assert!(out.contains("sync-fails: happened 6 of 6 times, the member gave up 6 times"), "{out}");
}

#[test]
fn an_interruption_leaves_a_record_that_says_so() {
    let ran = kvbench(&["--histories", "3", "--json"], true);
    assert_eq!(ran.exit, Exit::Interrupted);
    let record = Verification::from_json(ran.out.as_bytes()).expect("it is whole");
    assert!(!record.complete && record.histories.is_empty());
}

/// Ctrl-C in the middle of a history: the record is whole and says so, half a history is not in it, and the same command goes on.
#[test]
fn an_interruption_in_the_middle_is_made_good_by_the_next_sitting() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let out = folder.path().to_str().expect("the path is UTF-8");
    let args = ["--requests", "4000", "--histories", "2", "--operations", "600"];
    let args = [args.as_slice(), &["--fault", "delay", "--nodes", "3", "--out", out]].concat();
    let interrupted = Arc::new(AtomicBool::new(false));
    let ran = std::thread::scope(|scope| {
        let ran = scope.spawn(|| kvbench_until(&args, &interrupted));
        // Once there is a record, the first history is under way, or done.
        let clock = kvbench::clock::Clock::start();
        while !folder.path().join("verify.json").exists() && clock.now().as_secs_f64() < 60.0 {
            clock.sleep(kvbench::units::Nanos::from_millis(5));
        }
        clock.sleep(kvbench::units::Nanos::from_millis(300));
        interrupted.store(true, std::sync::atomic::Ordering::Relaxed);
        ran.join().expect("it ends")
    });
    let read = || {
        let text = fs::read(folder.path().join("verify.json")).expect("the record is kept");
        Verification::from_json(&text).expect("it is whole")
    };
    let record = read();
    assert_eq!((ran.exit, record.complete), (Exit::Interrupted, false), "{}", ran.out);
    assert!(record.histories.len() < 2, "{record:?}");
    assert!(record.histories.iter().all(|one| one.why != ["interrupted"]), "{record:?}");
    let page = fs::read_to_string(folder.path().join("verify.html")).expect("the page is kept");
    assert!(page.contains("NOT COMPLETE"));
    let ran = kvbench(&args, false);
    assert!(matches!(ran.exit, Exit::Met | Exit::Inconclusive), "{}{}", ran.out, ran.err);
    let record = read();
    assert!(record.complete && record.sittings == 2, "{record:?}");
    assert_eq!(record.histories.iter().map(|one| one.seed).collect::<Vec<_>>(), [1, 2]);
    assert!(record.equivalence.expect("it was asked for").requests >= 4_000);
}

/// What other checkers are given is what ours saw: read back, it gets the same verdict, for as many registers and operations.
#[test]
fn kept_histories_are_read_back_with_the_same_verdict() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let out = folder.path().to_str().expect("the path is UTF-8");
    let args = ["--campaign", "faults", "--histories", "1", "--operations", "1500", "--nodes", "3"];
    let keep = ["--fault", "leader-cut-off", "--keep-histories", "--out", out];
    let ran = kvbench(&[args.as_slice(), &keep].concat(), false);
    assert!(matches!(ran.exit, Exit::Met | Exit::Inconclusive), "{}{}", ran.out, ran.err);
    let text = fs::read(folder.path().join("verify.json")).expect("the record is kept");
    let record = Verification::from_json(&text).expect("it can be read again");
    let [history] = record.histories.as_slice() else { panic!("{record:?}") };
    let kept = folder.path().join("histories/0001-seed-1");
    assert!(ran.out.contains(&format!("kept in {}", kept.display())), "{}", ran.out);
    let registers = kept.join("registers.edn");
    let registers = registers.to_str().expect("the path is UTF-8");
    let again = kvbench(&["--history", registers, "--keyed"], false);
    assert_eq!(again.exit, Exit::Met, "{}{}", again.out, again.err);
    let (all, operations) = (history.registers, history.register_operations);
    let told = format!("{all} of {all} registers linearizable, {operations} operations in all");
    assert!(again.out.contains(&told), "{told}: {}", again.out);
    // Every operation is there, and every client that got no answer is gone for good.
    let own = fs::read_to_string(kept.join("history.edn")).expect("all operations are kept");
    assert_eq!(own.lines().count() as u64, 2 * history.operations);
    let unknown: Vec<&str> = own.lines().filter(|line| line.contains(":type :info")).collect();
    assert_eq!(unknown.len() as u64, history.unknown);
    for name in ["elle-rw-register.edn", "elle-list-append.edn", "porcupine.jsonl", "names.edn"] {
        let text = fs::read_to_string(kept.join(name)).expect("each is there");
        assert!(!text.is_empty(), "{name}");
    }
    let appended = fs::read_to_string(kept.join("elle-list-append.edn")).expect("it is there");
    assert!(appended.lines().any(|line| line.contains(":ok") && line.contains(":append")));
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
    assert_eq!(ran.exit, Exit::Usage, "{}", ran.err);
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
        (&["--keep-histories"], "--out"),
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
