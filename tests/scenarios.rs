//! Every scenario that is shipped runs: loaded, shrunk by `--set` to the shortest it can be, and run to a bundle whose
//! checks all hold. What it measures then decides nothing, so any verdict will do.

use kvbench::compare::{TargetVerdict, Verdict, compare};
use kvbench::record::bundle::Bundle;
use kvbench::runner;
use kvbench::scenario::{self, Options};
use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use tempfile::TempDir;

/// One block without A/A, and cells as short as they may be: all arms of all scenarios within seconds, even the one
/// whose syncs take 22 ms.
const SHORT: [&str; 4] =
    ["trials.pairs.min=1", "trials.pairs.max=1", "trials.aa=false", "trials.on_disturbed=keep"];

/// Measured time of each cell: of the first run, and of another if a target found nothing to compare in it. A client that thinks
/// for as long as the shorter, or a disk that stands still, leaves a cell without one put.
const CELLS: [&str; 2] = ["50ms", "1s"];

/// Part of the reason why a target is undecided whose cells are empty.
const EMPTY: &str = "no block has";

/// How many run at once: much of a run is waiting, for a disk or a delay.
const AT_ONCE: usize = 3;

/// Where scenarios are, below their root.
const FOLDERS: [&str; 4] = [".", "claims", "curated", "scale"];

/// Those that this build can run on this host.
fn scenarios() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let inside = |folder: &str| root.join(folder).read_dir().expect("the scenarios are there");
    let paths =
        FOLDERS.into_iter().flat_map(inside).map(|entry| entry.expect("it can be read").path());
    let mut files: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.retain(|path| {
        let scenario = scenario::load(path, &Options::default()).expect("it is sound");
        runner::missing("", &scenario).is_none()
    });
    files.sort();
    files
}

#[test]
fn every_scenario_runs_to_a_bundle_whose_checks_hold() {
    let files = scenarios();
    assert!(files.len() >= 70, "{files:?}");
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            assert_runs(path);
        }
    };
    thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
}

/// That it runs to a bundle of its own, every check of which holds, and whose targets are about what was measured.
fn assert_runs(path: &Path) {
    let [short, long] = CELLS;
    let is_empty =
        |judged: &[TargetVerdict]| judged.iter().any(|judged| judged.reason.contains(EMPTY));
    let mut judged = assert_whole(path, short);
    if is_empty(&judged) {
        judged = assert_whole(path, long);
    }
    assert_judged(&judged, &path.display().to_string());
}

/// That it runs to a bundle of its own, every check of which holds. Gives what became of its targets.
fn assert_whole(path: &Path, cell: &str) -> Vec<TargetVerdict> {
    let out = TempDir::new().expect("there is room");
    let (exit, text) = run(path, cell, out.path());
    let name = path.display();
    // Met, missed, undecided.
    assert!(matches!(exit, Some(0 | 1 | 3)), "{name}: {exit:?} {text}");
    let bundles: Vec<DirEntry> =
        out.path().read_dir().and_then(Iterator::collect).expect("it can be read");
    assert_eq!(bundles.len(), 1, "{name}: only the bundle stays");
    let run = Bundle::open(&bundles[0].path()).read_run().expect("it is whole");
    let scenario = scenario::load(path, &Options::default()).expect("it is sound");
    assert_eq!(run.trials.len(), scenario.arms.len(), "{name}: one trial of each arm");
    let cells: usize = scenario.phases.iter().map(|phase| phase.clients.len()).sum();
    assert!(run.trials.iter().all(|trial| trial.cells.len() == cells), "{name}");
    assert!(run.complete && run.checks.len() >= 2, "{name}");
    assert!(run.checks.iter().all(|check| check.passed), "{name}: {:?}", run.checks);
    let is_counted = run.checks.iter().any(|check| check.id == "bank");
    assert_eq!(is_counted, scenario.checks.bank, "{name}");
    assert_eq!(run.targets.len(), scenario.targets.len(), "{name}");
    compare(&run).verdicts
}

/// Every target is about something that was measured; one block decides nothing about speed, but a check is decided.
fn assert_judged(judged: &[TargetVerdict], name: &str) {
    for verdict in judged {
        let (reason, id) = (&verdict.reason, &verdict.target.id);
        for broken in ["cannot read", EMPTY, "no trial of", "did not run"] {
            assert!(!reason.contains(broken), "{name}, {id}: {reason}");
        }
        if verdict.target.check.is_some() {
            assert_eq!(verdict.verdict, Verdict::Met, "{name}, {id}");
        }
    }
}

/// With which exit code a short run ended, and what it said.
fn run(scenario: &Path, cell: &str, out: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvbench"));
    command.args(["run", "--no-profile"]).arg(scenario).arg("--out").arg(out);
    for set in SHORT {
        command.args(["--set", set]);
    }
    let phases = scenario::load(scenario, &Options::default()).expect("it is sound").phases.len();
    for phase in 0..phases {
        command.args(["--set", &format!("phase.{phase}.duration={cell}")]);
        command.args(["--set", &format!("phase.{phase}.warmup=10ms")]);
    }
    let output = command.output().expect("the program starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}
