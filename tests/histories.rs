//! Histories of others with verdicts of others: Jepsen's runs against etcd in 2014, which the crate todc-utils ships
//! together with the verdicts of Horn & Kroening 2015, "Faster Linearizability Checking via P-Compositionality".

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]
#![expect(clippy::print_stderr, reason = "what was skipped is said")]

use kvbench::seed::Seed;
use kvbench::verify::edn::{Shape, calls, import};
use kvbench::verify::wgl::register::{Register, RegisterOp};
use kvbench::verify::wgl::{Call, Verdict, check};
use rand::Rng;
use std::path::{Path, PathBuf};
use std::process::Command;
use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};
use todc_utils::specifications::etcd::{EtcdOperation, EtcdSpecification, EtcdStatus};

const STEPS_MAX: u64 = 5_000_000;
const EMPTY: Register<u64> = Register { initial: None };

/// Those that are linearizable. Of the others of 0 to 102 each is a violation, but for 95, in which etcd did not start.
const LINEARIZABLE: [u32; 23] =
    [2, 5, 7, 18, 25, 31, 38, 45, 48, 49, 51, 53, 56, 67, 75, 76, 80, 87, 92, 98, 100, 101, 102];
const WITHOUT_ETCD: u32 = 95;

/// Where the package of todc-utils is unpacked, or why that is not known.
fn package() -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--offline"]);
    // Packages for other platforms need not be there.
    command.args(["--filter-platform", "host-tuple"]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().map_err(|e| format!("cargo metadata does not start: {e}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|e| format!("cargo metadata: {e}"))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let manifest = packages
        .filter(|package| package["name"] == "todc-utils")
        .find_map(|package| package["manifest_path"].as_str());
    let folder = manifest.and_then(|manifest| Path::new(manifest).parent());
    folder.map(Path::to_path_buf).ok_or_else(|| "todc-utils is not among the packages".to_owned())
}

#[test]
fn jepsens_histories_of_etcd_get_the_known_verdicts() {
    let logs = match package() {
        Ok(folder) => folder.join("tests/linearizability/etcd"),
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    if !logs.is_dir() {
        return eprintln!("skipped: {} is not there", logs.display());
    }
    let (mut checked, mut operations) = (0, 0);
    for number in (0..=102).filter(|number| *number != WITHOUT_ETCD) {
        let text = std::fs::read_to_string(logs.join(format!("etcd_{number:03}.log"))).unwrap();
        let records = import(&text, Shape::default()).unwrap_or_else(|e| panic!("{number}: {e}"));
        let calls = calls::<RegisterOp<u64>>(&records).unwrap().remove(&None).unwrap();
        let wanted = LINEARIZABLE.contains(&number);
        match check(&EMPTY, &calls, STEPS_MAX) {
            Verdict::Linearizable => assert!(wanted, "history {number} is a violation"),
            Verdict::Violation { .. } => assert!(!wanted, "history {number} is linearizable"),
            Verdict::Undecided { .. } => panic!("history {number} is undecided"),
        }
        checked += 1;
        operations += calls.len();
    }
    assert_eq!(checked, 102);
    assert!(operations > 5_000, "{operations}");
}

/// todc-utils' own checker on random histories of 3 clients and few values.
#[test]
fn another_checker_agrees_on_random_histories() {
    let mut violations = 0;
    for number in 0..3_000 {
        let calls = random_calls(number);
        let verdict = check(&EMPTY, &calls, STEPS_MAX);
        let theirs = WGLChecker::<EtcdSpecification>::is_linearizable(their_history(&calls));
        assert_eq!(verdict == Verdict::Linearizable, theirs, "{verdict:?} of {calls:?}");
        violations += u32::from(!theirs);
    }
    assert!((500..2_500).contains(&violations), "{violations}");
}

/// Calls with times of their own, whose answers are guessed with some sense.
fn random_calls(number: u64) -> Vec<Call<RegisterOp<u64>>> {
    let mut rng = Seed(5).stream("histories", number);
    let mut calls: Vec<Call<RegisterOp<u64>>> = Vec::new();
    let mut open: [Option<usize>; 3] = [None; 3];
    for at in 0..rng.random_range(4..30) {
        let client = rng.random_range(0..open.len());
        if let Some(index) = open[client].take() {
            // A read returns: their checker has no reads of unknown outcome.
            let is_read = matches!(calls[index].op, RegisterOp::Read(_));
            calls[index].returned = (is_read || rng.random_bool(0.9)).then_some(at);
            continue;
        }
        let (from, to) = (rng.random_range(0..2), rng.random_range(0..2));
        let op = match rng.random_range(0..4) {
            0 => RegisterOp::Read((at > 4).then_some(from)),
            1 => RegisterOp::Cas { from: Some(from), to, succeeded: rng.random_bool(0.5) },
            _ => RegisterOp::Write(to),
        };
        open[client] = Some(calls.len());
        calls.push(Call { op, invoked: at, returned: None });
    }
    calls.retain(|call| call.returned.is_some() || !matches!(call.op, RegisterOp::Read(_)));
    calls
}

/// Each call is a process of its own; those of unknown outcome return after all others.
fn their_history(calls: &[Call<RegisterOp<u64>>]) -> History<EtcdOperation> {
    let mut actions = Vec::new();
    for (process, call) in calls.iter().enumerate() {
        let answer = match call.returned {
            None => EtcdStatus::Unknown,
            Some(_) => EtcdStatus::Okay,
        };
        let invoked = Action::Call(their_operation(&call.op, EtcdStatus::Invoke));
        let returned = Action::Response(their_operation(&call.op, answer));
        actions.push((call.invoked, process, invoked));
        actions.push((call.returned.unwrap_or(u64::MAX), process, returned));
    }
    actions.sort_by_key(|(at, ..)| *at);
    History::from_actions(
        actions.into_iter().map(|(_, process, action)| (process, action)).collect(),
    )
}

fn their_operation(op: &RegisterOp<u64>, status: EtcdStatus) -> EtcdOperation {
    let small = |value: u64| u32::try_from(value).unwrap();
    match *op {
        RegisterOp::Read(value) => EtcdOperation::Read(status, value.map(small)),
        RegisterOp::Write(value) => EtcdOperation::Write(status, small(value)),
        RegisterOp::Cas { from, to, succeeded } => {
            let missed = status == EtcdStatus::Okay && !succeeded;
            let status = if missed { EtcdStatus::Fail } else { status };
            EtcdOperation::CompareAndSwap(status, (small(from.unwrap()), small(to)))
        }
        RegisterOp::Delete => unreachable!("their register has no delete"),
    }
}
