//! Nothing is acknowledged before it was synced, and what was acknowledged is there again: after a restart, after
//! three, after a kill. Syncs are counted where the log calls them, and once more by the kernel where strace is there.
//!
//! Caveat: no test here cuts the power; that a synced page survives it is the disk's word.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

use kvbench::clock::Clock;
use kvbench::measure::stage::Probe;
use kvbench::model::{Body, KeyValue, Request, Response};
use kvbench::node::{Compaction, Config, FolderError, Node, NodeError};
use kvbench::raft::{self, ApplyOn, Batch, Fsync, Linger, Propose, Publish, Reads};
use kvbench::store::{self, PathKind};
use kvbench::units::{ByteSize, Nanos};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// Far beyond what any wait here takes; what hangs fails the test in place of blocking it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Every thread and moment behind `propose`.
fn configs(propose: Propose, fsync: Fsync) -> Vec<Config> {
    let mut configs = Vec::new();
    for path in [PathKind::GlobalMutex, PathKind::Sharded { shards: 16, workers: 1 }] {
        for apply_on in [ApplyOn::RaftThread, ApplyOn::ApplyThread] {
            for publish in [Publish::Ready, Publish::NextReady] {
                let pipeline =
                    raft::Config { propose, apply_on, publish, fsync, reads: Reads::Index };
                let store = store::Config::in_memory(path);
                configs.push(Config { store, compaction: Compaction::NEVER, pipeline });
            }
        }
    }
    configs
}

fn batched() -> Propose {
    let bytes_max = ByteSize(1 << 20);
    Propose::Batched(Batch { ops_max: 16, bytes_max, linger: Linger::None, in_flight: 2 })
}

fn any_config() -> Config {
    configs(batched(), Fsync::Off)[0]
}

/// Until its exec, a process being started shares all open files and with them the locks of folders; a node that
/// just stopped would still seem to use its folder. Tests that start processes run alone.
static PROCESSES: RwLock<()> = RwLock::new(());

/// For tests that start processes; none is started while this process has a node.
fn alone() -> RwLockWriteGuard<'static, ()> {
    PROCESSES.write().unwrap_or_else(PoisonError::into_inner)
}

/// For tests that only start nodes.
fn beside_others() -> RwLockReadGuard<'static, ()> {
    PROCESSES.read().unwrap_or_else(PoisonError::into_inner)
}

fn start(config: Config, folder: &Path) -> Node {
    Node::start(config, folder, Clock::start(), Probe::off()).unwrap()
}

fn put(key: u64, value: &str) -> Request {
    Request::put(format!("{key:08x}"), value)
}

fn call(node: &Node, request: Request) -> Response {
    node.call_all(&[request]).remove(0).unwrap().reply
}

fn read(node: &Node, key: u64) -> Option<KeyValue> {
    match call(node, Request::get(format!("{key:08x}"))).result {
        Ok(Body::Range(mut found)) => found.kvs.pop(),
        other => panic!("a get was answered with {other:?}"),
    }
}

#[test]
fn a_serial_write_is_preceded_by_a_sync_of_its_own() {
    let _guard = beside_others();
    for config in configs(Propose::Serial, Fsync::Real) {
        let folder = tempfile::tempdir().unwrap();
        let node = start(config, &folder.path().join("node"));
        for number in 0..20 {
            let before = node.counts();
            call(&node, put(number % 3, "value"));
            let took = node.counts().since(before);
            assert!(took.fsyncs >= 1 && took.log_bytes > 0, "{config:?}: {took:?}");
        }
    }
}

#[test]
fn whoever_shares_a_sync_was_there_before_it_returned() {
    let _guard = beside_others();
    const CLIENTS: u64 = 20;
    for propose in [Propose::Pipelined, batched()] {
        for config in configs(propose, Fsync::Real) {
            let folder = tempfile::tempdir().unwrap();
            let node = Arc::new(start(config, &folder.path().join("node")));
            let tasks = tokio::task::LocalSet::new();
            let client = |client| {
                let node = node.clone();
                tasks.spawn_local(async move {
                    for _ in 0..3 {
                        let before = node.counts().fsyncs;
                        node.call(put(client, "value")).await.unwrap();
                        assert!(node.counts().fsyncs > before, "{config:?}");
                    }
                })
            };
            let started: Vec<_> = (0..CLIENTS).map(client).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(tasks.run_until(async {
                for task in started {
                    task.await.unwrap();
                }
            }));
        }
    }
}

/// The counter counts calls of sync whatever a sync is; only its meaning differs.
#[test]
fn without_a_disk_the_same_syncs_are_counted() {
    let _guard = beside_others();
    for fsync in [Fsync::Off, Fsync::Delay(Nanos(50_000))] {
        for config in configs(Propose::Serial, fsync) {
            let folder = tempfile::tempdir().unwrap();
            let node = start(config, &folder.path().join("node"));
            let before = node.counts();
            for number in 0..10 {
                call(&node, put(number, "value"));
            }
            let took = node.counts().since(before);
            // Published after the next Ready: its commit index is synced on its own when no entry comes with it.
            let each = if config.pipeline.publish == Publish::NextReady { 2 } else { 1 };
            assert_eq!(took.fsyncs, 10 * each, "{config:?}");
            if let Fsync::Delay(span) = fsync {
                assert!(took.fsync_ns >= 10 * span.0, "{config:?}: a sleep is never short");
            }
        }
    }
}

#[test]
fn three_restarts_find_what_was_acknowledged() {
    let _guard = beside_others();
    for propose in [Propose::Serial, Propose::Pipelined, batched()] {
        for config in configs(propose, Fsync::Off) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("node");
            let (mut digest, mut revision) = (None, 1);
            for life in 0..4 {
                let node = start(config, &path);
                digest.inspect(|digest| assert_eq!(node.digest(), *digest, "{config:?}"));
                let value = format!("life {life}");
                let requests: Vec<_> = (0..30).map(|number| put(number % 7, &value)).collect();
                // An entry replayed from an earlier life must not answer for one of this life: its revision and
                // value would be those of then.
                for outcome in node.call_all(&requests) {
                    revision += 1;
                    assert_eq!(outcome.unwrap().reply.revision, revision, "{config:?}");
                }
                assert_eq!(read(&node, 0).unwrap().value, value.as_bytes());
                let gone = call(&node, Request::delete("00000006"));
                revision += 1;
                let deleted = Body::DeleteRange { deleted: 1, prev_kvs: Vec::new() };
                assert_eq!(gone, Response { revision, result: Ok(deleted) });
                digest = Some(node.digest());
            }
        }
    }
}

/// Levers shape how a log is written, not what it says.
#[test]
fn a_log_is_read_alike_under_other_levers() {
    let _guard = beside_others();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node");
    let mut digest = None;
    for propose in [Propose::Serial, batched(), Propose::Pipelined] {
        for config in configs(propose, Fsync::Off) {
            let node = start(config, &path);
            digest.inspect(|digest| assert_eq!(node.digest(), *digest, "{config:?}"));
            node.call_all(&[put(1, "a"), put(2, "b"), put(1, "c")]);
            digest = Some(node.digest());
        }
    }
}

#[test]
fn a_folder_serves_one_node_at_a_time() {
    let _guard = beside_others();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node");
    let first = start(any_config(), &path);
    let second = Node::start(any_config(), &path, Clock::start(), Probe::off());
    assert!(matches!(second.err(), Some(NodeError::Folder(FolderError::InUse(_)))));
    call(&first, put(1, "still served"));
    let digest = first.digest();
    drop(first);
    assert_eq!(start(any_config(), &path).digest(), digest);
}

/// In a process of its own: writes into the folder it is given and says so, until it is killed.
const CHILD_FOLDER: &str = "KVBENCH_TEST_CHILD_FOLDER";

#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let config = configs(Propose::Serial, Fsync::Off)[0];
    let node = start(config, Path::new(&folder));
    for number in 0.. {
        let response = call(&node, put(number % 5, &number.to_string()));
        writeln!(io::stdout(), "acked {}", response.revision).unwrap();
    }
}

#[test]
fn a_killed_node_has_everything_it_acknowledged() {
    let _guard = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node");
    let mut digest_before = None;
    let mut acked = 1;
    for _ in 0..2 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD_FOLDER, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let revisions = lines.filter_map(|line| line.split_once("acked ")?.1.parse::<i64>().ok());
        let mut seen = 0;
        for revision in revisions {
            assert_eq!(revision, acked + 1, "each write is acknowledged once, in order");
            (acked, seen) = (revision, seen + 1);
            if seen == 100 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= 100, "the child ended by itself");
        let node = start(any_config(), &path);
        let digest = node.digest();
        // The write under way when it died may be there too.
        assert!((acked..=acked + 1).contains(&digest.revision), "{acked} {digest:?}");
        acked = digest.revision;
        check_puts_only(&node, 5);
        assert_ne!(digest_before.replace(digest), Some(digest));
    }
}

/// Without deletes, the versions of all keys add up to the number of changes.
fn check_puts_only(node: &Node, keys: u64) {
    let found: Vec<_> = (0..keys).filter_map(|key| read(node, key)).collect();
    let digest = node.digest();
    assert_eq!(found.len() as u64, digest.keys);
    assert_eq!(found.iter().map(|key| key.version).sum::<i64>(), digest.revision - 1);
    let newest = found.iter().map(|key| key.mod_revision).max();
    assert_eq!(newest.unwrap_or(1), digest.revision);
}

/// A scenario small enough for a test: one pair, one client.
fn scenario(folder: &Path, fsync: &str, duration: &str) -> PathBuf {
    let text = format!(
        r#"
schema = 1
name = "durability"
[system]
layer = "raft"
engine = "memory"
nodes = 1
apply = "global-mutex"
fsync = "{fsync}"
[arms.before]
propose = "serial"
[arms.after]
propose = "batched"
[keys]
space = 16
size = "8B"
dist = "uniform"
[values]
size = "32B"
[[op]]
put = {{ weight = 1 }}
[[phase]]
name = "write"
load = {{ closed = {{ clients = [1] }} }}
warmup = "1ms"
duration = "{duration}"
[trials]
pairs = {{ min = 1, max = 1 }}
aa = false
"#
    );
    let path = folder.join("durability.toml");
    fs::write(&path, text).unwrap();
    path
}

/// The arguments of a run that leaves its bundle in `out` and its data in `data`, both within `folder`.
fn run_args(folder: &Path, scenario: &Path) -> Vec<PathBuf> {
    let option = |name: &str| PathBuf::from(name);
    let (out, data) = (folder.join("out"), folder.join("data"));
    let mut args = vec![option("run"), option("--no-profile"), option("--out"), out];
    args.extend([option("--data"), data, scenario.to_path_buf()]);
    args
}

#[test]
fn a_killed_run_leaves_folders_that_open_again() {
    let _guard = alone();
    let folder = tempfile::tempdir().unwrap();
    let scenario = scenario(folder.path(), "off", "50s");
    let mut child = Command::new(env!("CARGO_BIN_EXE_kvbench"))
        .args(run_args(folder.path(), &scenario))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let data = folder.path().join("data");
    let clock = Clock::start();
    while !folders_of_nodes(&data).iter().any(|node| log_bytes(node) > 100_000) {
        if Duration::from(clock.now()) > PATIENCE || child.try_wait().unwrap().is_some() {
            child.kill().unwrap();
            panic!("the run writes nothing");
        }
        clock.sleep(Nanos::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let nodes = folders_of_nodes(&data);
    let mut newest = 1;
    for path in nodes {
        let node = start(any_config(), &path);
        check_puts_only(&node, 16);
        let digest = node.digest();
        newest = newest.max(digest.revision);
        assert_eq!(call(&node, put(0, "goes on")).revision, digest.revision + 1);
        let digest = node.digest();
        drop(node);
        assert_eq!(start(any_config(), &path).digest(), digest);
    }
    assert!(newest > 100, "the log that was being written holds its writes, got {newest}");
}

/// Data folders anywhere below `folder`; what vanishes meanwhile is none.
fn folders_of_nodes(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_name() == "KVBENCH-DATA" {
            true => found.push(folder.to_path_buf()),
            false => found.extend(folders_of_nodes(&entry.path())),
        }
    }
    found
}

/// Bytes of the log up to the last that is not zero: the space beyond is only reserved.
fn log_bytes(node: &Path) -> usize {
    let files = fs::read_dir(node.join("raft")).into_iter().flatten().flatten();
    let used = |path: PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0)
    };
    files.map(|file| used(file.path())).sum()
}

#[expect(clippy::print_stderr, reason = "a skipped test says so, where the test runner shows it")]
fn say_skipped(reason: &str) {
    eprintln!("skipped: {reason}");
}

/// What one run looked like from both sides.
struct Traced {
    /// Syncs of each trial's log as the kernel saw them, in the order the trials ran.
    syncs: Vec<u64>,
    /// Arm and acknowledged writes of each trial as the record says, in the same order.
    acked: Vec<(String, u64)>,
}

/// Runs the small scenario under strace, if that can be done here.
fn traced_run(fsync: &str) -> Option<Traced> {
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    let reason = match works {
        Err(_) => "strace is not installed",
        Ok(output) if !output.status.success() => "strace may not trace here",
        Ok(_) => "",
    };
    if !reason.is_empty() {
        say_skipped(reason);
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let (scenario, trace) = (scenario(folder.path(), fsync, "50ms"), folder.path().join("trace"));
    let child = Command::new("strace")
        .args(["-f", "-y", "-s", "0", "-e", "trace=fdatasync", "-e", "signal=none", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_kvbench"))
        .args(run_args(folder.path(), &scenario))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Without targets there is nothing to miss: any other code is a failure.
    assert_eq!(output.status.code(), Some(0), "{said}");
    let bundle =
        find(&folder.path().join("out"), "result.json").expect("a finished run leaves one");
    let record: serde_json::Value = serde_json::from_slice(&fs::read(bundle).unwrap()).unwrap();
    let mut trials: Vec<_> = record["trials"].as_array().unwrap().iter().collect();
    trials.sort_by(|a, b| a["started_s"].as_f64().partial_cmp(&b["started_s"].as_f64()).unwrap());
    let acked = |trial: &&serde_json::Value| {
        let acked = trial["end"]["writes_acked"].as_u64().unwrap();
        (trial["arm"].as_str().unwrap().to_owned(), acked)
    };
    let trace = fs::read_to_string(trace).unwrap();
    let acked = trials.iter().map(acked).collect();
    Some(Traced { syncs: syncs_by_trial(&trace), acked })
}

/// Completed syncs of files below `trial-…`, by trial, in the order of their first. An interrupted call is resumed on
/// a line that names no file, so it is counted where it began; the process ended well, so it also returned.
fn syncs_by_trial(trace: &str) -> Vec<u64> {
    let mut order = Vec::new();
    let mut counts = BTreeMap::new();
    for line in trace.lines().filter(|line| line.contains(" fdatasync(")) {
        let Some((_, path)) = line.split_once("/trial-") else { continue };
        let Some((trial, _)) = path.split_once('/') else { continue };
        if !counts.contains_key(trial) {
            order.push(trial);
        }
        *counts.entry(trial).or_insert(0) += 1;
    }
    order.into_iter().map(|trial| counts[trial]).collect()
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> = paths.collect();
    paths.sort();
    paths.into_iter().find_map(|path| match path.is_dir() {
        true => find(&path, name),
        false => path.ends_with(name).then_some(path),
    })
}

#[test]
fn the_kernel_sees_a_sync_for_every_serial_write() {
    let _guard = alone();
    let Some(Traced { syncs, acked }) = traced_run("real") else { return };
    assert_eq!(syncs.len(), acked.len(), "{syncs:?} {acked:?}");
    for (syncs, (arm, acked)) in syncs.into_iter().zip(acked) {
        assert!(acked > 0, "{arm} wrote nothing");
        // One client has one write in flight, so no arm can share a sync either.
        assert!(syncs >= acked, "{arm}: {syncs} syncs for {acked} acknowledged writes");
    }
}

#[test]
fn fsync_off_reaches_no_disk_and_still_answers() {
    let _guard = alone();
    let Some(Traced { syncs, acked }) = traced_run("off") else { return };
    assert_eq!(syncs, Vec::<u64>::new());
    assert!(acked.iter().all(|(_, acked)| *acked > 0), "{acked:?}");
}
