//! Histories of real processes, as `kvbench verify` makes them: a few, with faults that every machine can have and with what strace puts
//! into system calls; and what it says of what it cannot do.

use kvbench::record::verification::{Finding, Verification};
use kvbench::store::{EngineKind, PathKind};
use kvbench::verify::faults::Plan;
use kvbench::verify::processes::{Tools, make};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::AtomicBool;

fn verify(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvbench"));
    command.args(["verify", "--campaign", "processes"]).args(args);
    command.output().expect("the program starts")
}

/// Runs histories, and gives the record with what was said.
fn record(args: &[&str], out: &Path) -> (Verification, String) {
    let folder = out.to_str().expect("the path is UTF-8");
    let output = verify(&[args, &["--out", folder]].concat());
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).expect("all output is UTF-8");
    // A host that stands still for a while may make a history void; what is wrong is wrong.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{:?}: {said}", output.status);
    let text = std::fs::read(out.join("verify.json")).expect("the record is kept");
    (Verification::from_json(&text).expect("it can be read again"), said)
}

#[test]
fn processes_are_killed_and_paused_and_every_question_is_answered() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let faults = ["leader-killed", "leader-paused", "leader-dies-at-sync"];
    let faults: Vec<&str> = faults.iter().flat_map(|name| ["--fault", name]).collect();
    let few = ["--histories", "3", "--operations", "600", "--nodes", "3"];
    let (record, said) = record(&[few.as_slice(), &faults].concat(), folder.path());
    assert!(record.complete && record.histories.len() == 3, "{said}");
    let skipped: Vec<&str> = record.skipped.iter().map(|one| one.kind.as_str()).collect();
    assert!(matches!(skipped[..], [] | ["leader-dies-at-sync"]), "{skipped:?}");
    for history in &record.histories {
        assert_eq!(history.faults.len(), 3 - skipped.len(), "{history:?}");
        if history.finding == Finding::Passed {
            assert!(history.answered >= 600 && history.revisions > 200, "{history:?}");
            assert!(history.registers > 0 && history.watched_events > 0, "{history:?}");
            assert_eq!((history.campaign.as_str(), history.watchers), ("processes", 24));
            for fault in &history.faults {
                assert!(fault.happened && fault.written_ms.is_some(), "{fault:?}");
                assert!(fault.level_ms.is_some(), "{fault:?}");
            }
        }
    }
    // A leader may have lost its place, to a busy host, before it is struck: then nobody needs to lead after it.
    let faults: Vec<_> = record.histories.iter().flat_map(|history| &history.faults).collect();
    assert!(faults.iter().any(|fault| fault.led_ms.is_some()), "{faults:?}");
}

#[test]
fn without_its_tool_a_fault_is_skipped_and_nothing_counts_as_passed() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvbench"));
    command.args(["verify", "--campaign", "processes", "--fault", "leader-dies-at-sync"]);
    let output = command.env("PATH", "/nowhere").output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("skipped: leader-dies-at-sync: "), "{said}");
}

#[test]
fn what_cannot_be_asked_of_processes_is_said() {
    for (args, words) in [
        (
            &["--fault", "loss"][..],
            "--fault loss is not of this campaign\n  hint: --campaign faults",
        ),
        (&["--nodes", "2"], "hint: 1, 3 or 5"),
        (&["--nodes", "1", "--fault", "hand-over"], "one member alone has none of these faults"),
    ] {
        let output = verify(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(output.stdout.is_empty() && said.contains(words), "{said}");
    }
}

/// As when somebody takes a port between the look for a free one and the start.
#[test]
fn a_group_that_lacks_a_member_from_the_start_is_started_anew() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (program, mark) = (folder.path().join("program"), folder.path().join("ended"));
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *'--name m2 '*) [ -e {mark} ] || {{ touch {mark}; echo 'Address already in use' >&2; exit 5; }};; esac\nexec {kvbench} \"$@\"\n",
        mark = mark.display(),
        kvbench = env!("CARGO_BIN_EXE_kvbench"),
    );
    std::fs::write(&program, script).expect("the script is written");
    let may_run = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, may_run).expect("the script may be run");
    let plan = Plan {
        seed: 1,
        path: PathKind::GlobalMutex,
        engine: EngineKind::Memory,
        nodes: 3,
        faults: Vec::new(),
        operations_min: 100,
    };
    let made = make(&plan, &program, &Tools::look(), &AtomicBool::new(false), &mut |_| {});
    let made = made.expect("the group starts");
    assert!(mark.exists(), "the member was not ended");
    assert_eq!((made.violations(), made.void), (Vec::new(), None));
}
