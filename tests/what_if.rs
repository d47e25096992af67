//! `kvbench plan --what-if` and `--validate` as their users meet them. No test looks at how good a prediction is: that takes a
//! quiet machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use kvbench::cli::{self, Exit, Terminal};
use std::ffi::OsString;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

const TINY: &str = r#"schema = 1
name = "tiny"
[arms.before]
propose = "serial"
[arms.after]
propose = "batched"
[[op]]
put = {}
[[phase]]
name = "a"
load = { closed = { clients = [1, 20] } }
"#;

/// What a command left on the two streams, and how it ended.
struct Ran {
    exit: Exit,
    out: String,
    err: String,
}

/// Runs `plan` on `scenario`, interrupted from the start or not at all; gives what was left in its data folder too.
fn plan(scenario: &str, more: &[&str], interrupted: bool) -> (Ran, Option<usize>) {
    let folder = TempDir::new().unwrap();
    let (path, data) = (folder.path().join("scenario.toml"), folder.path().join("data"));
    fs::write(&path, scenario).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut terminal = Terminal {
        out: &mut out,
        err: &mut err,
        color: false,
        live: false,
        width: 100,
        interrupted: Arc::new(AtomicBool::new(interrupted)),
        end: |said, _| panic!("{said}"),
    };
    let (path, data_arg) = (path.to_str().unwrap(), data.to_str().unwrap());
    let args = ["kvbench", "plan", path, "--data", data_arg];
    let exit = cli::run(args.iter().chain(more).map(OsString::from), &mut terminal);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let left = fs::read_dir(&data).ok().map(Iterator::count);
    (Ran { exit, out: text(out), err: text(err) }, left)
}

#[test]
fn mistakes_are_told_before_anything_is_measured() {
    let check = |scenario: &str, args: &[&str], expected: &[&str]| {
        let (ran, left) = plan(scenario, args, false);
        assert_eq!((ran.exit, ran.out.as_str(), left), (Exit::Usage, "", None), "{}", ran.err);
        for expected in expected {
            assert!(ran.err.contains(expected), "{expected}\n{}", ran.err);
        }
    };
    check(TINY, &["--what-if", "core=4"], &["unknown key `core`", "did you mean `cores`?"]);
    let two = ["cores is \"0\"; allowed: whole numbers 1 to 1024", "allowed: 1us to 10s"];
    check(TINY, &["--what-if", "cores=0,fsync=20m"], &two);
    check(TINY, &["--what-if", ""], &["a key with its value is missing", "hint: write it like"]);
    check(TINY, &["--what-if", "cores=2", "--validate"], &["cannot be used with"]);
    for args in [&["--what-if", "cores=2"][..], &["--validate"]] {
        let store = "--set=system.layer=rpc";
        let expected = ["arm before has layer = \"rpc\"", "  hint: what is simulated"];
        check(TINY, &[args, &[store]].concat(), &expected);
        let workers = "--set=arms.after.apply_workers=4";
        check(TINY, &[args, &[workers]].concat(), &["arm after has apply_workers = 4"]);
    }
}

#[test]
fn all_arms_are_predicted_with_assumptions_and_error() {
    let asked = "cores=64,fsync=20us,rtt=500us,clients=1+30";
    let (ran, left) = plan(TINY, &["--what-if", asked], false);
    assert_eq!((ran.exit, left), (Exit::Met, Some(0)), "{}", ran.err);
    for expected in [
        "tiny  what if cores=64 fsync=20us rtt=500us clients=1+30",
        "predicted, closed loop",
        "most that a lever can give to before",
        "measured stage costs",
        "assumed",
        "rtt=500us: no arm replicates, so it changes nothing",
        "fsync=20us: every sync takes just that",
        "predicted against measured trials on this host",
        "predicted throughput: largest error ",
    ] {
        assert!(ran.out.contains(expected), "{expected}\n{}", ran.out);
    }
    // In the table of predictions and in the one beside measured trials.
    for (arm, lines) in [("before", 2), ("after", 2)] {
        let row = |line: &&str| {
            let mut words = line.split_whitespace();
            words.next() == Some(arm)
                && words.next().is_some_and(|clients| clients == "1" || clients == "30")
        };
        let rows: Vec<_> = ran.out.lines().filter(row).collect();
        assert_eq!(rows.len(), lines, "{}", ran.out);
        // A latency is in us or in ms, as the host's syncs will have it.
        let has_latency = |row: &&str| row.contains("us ") || row.contains("ms ");
        assert!(rows.iter().all(|row| row.contains('×') && has_latency(row)), "{rows:?}");
    }
}

#[test]
fn an_interruption_ends_either() {
    for args in [&["--what-if", "cores=4"][..], &["--validate"]] {
        let (ran, left) = plan(TINY, args, true);
        assert_eq!((ran.exit, ran.out.as_str(), left), (Exit::Interrupted, "", Some(0)));
    }
}
