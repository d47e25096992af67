//! A RocksDB state that was left behind, in order or by a kill, is taken up where it stood: what the log holds beyond it
//! is applied, what it holds already is not applied twice, and what comes out is what a store that was never left has.
//!
//! Caveat: a kill leaves what the kernel had taken; no test here cuts the power.

#![cfg(feature = "rocksdb")]
#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

use kvbench::clock::Clock;
use kvbench::measure::stage::Probe;
use kvbench::model::{
    Body, DeleteRange, Interval, KeyValue, MainRevision, Position, Put, Range, Request, RequestOp,
    Response, Txn,
};
use kvbench::node::{Compaction, Config, Node};
use kvbench::raft::{self, ApplyOn, Batch, Fsync, Linger, Propose, Publish, Reads};
use kvbench::seed::Seed;
use kvbench::store::{self, ApplyPath, Command, EngineKind, Parallelism, PathKind, StateSync};
use kvbench::units::ByteSize;
use kvbench::verify::generate::{Generator, Hint, Shape};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{self, Stdio};
use std::sync::Arc;

type Store = Arc<dyn ApplyPath>;

const MODES: [(&str, StateSync); 3] = [
    ("raft-log-only", StateSync::RaftLogOnly),
    ("per-batch", StateSync::PerBatch),
    ("per-op", StateSync::PerOp),
];

/// Paths, with workers that share every batch.
const PATHS: [PathKind; 3] = [
    PathKind::GlobalMutex,
    PathKind::Sharded { shards: 16, workers: 1 },
    PathKind::Sharded { shards: 16, workers: 2 },
];

fn on(engine: EngineKind, path: PathKind) -> store::Config {
    let parallelism = Parallelism { parallel_from: Some(1), shuffled_claims: None };
    store::Config { engine, hash_seed: 7, parallelism, ..store::Config::in_memory(path) }
}

// A store that is closed and opened again.

/// Batches of one store's life, all lives together, and the requests of one.
const BATCHES: usize = 60;
const BATCH_REQUESTS_MAX: usize = 30;
/// Entries of the log hold up to this many commands, as batched proposing makes them.
const ENTRY_COMMANDS_MAX: u32 = 4;

/// A log as it grows, and the store that is never left.
struct Log {
    random: ChaCha8Rng,
    generator: Generator,
    reference: Store,
    commands: Vec<Command>,
    last: Position,
}

impl Log {
    fn new(seed: Seed) -> Log {
        let config = store::Config::in_memory(PathKind::GlobalMutex);
        Log {
            random: seed.stream("recovery-batches", 0),
            generator: Generator::new(seed, Shape { keys: 24, leases: 4 }),
            reference: store::open(config, Path::new("unused"), Probe::off()).unwrap(),
            commands: Vec::new(),
            last: Position { index: 1, offset: 0 },
        }
    }

    /// The next batch and what it is answered. Its last request changes something, so that it leaves a trace.
    fn batch(&mut self) -> (Vec<Command>, Vec<Response>) {
        let requests = self.random.random_range(1..=BATCH_REQUESTS_MAX);
        let mut batch = Vec::with_capacity(requests + 1);
        let compacted = self.reference.digest().compacted;
        let mut hint = Hint { revision: self.reference.published(), compacted };
        while batch.len() < requests {
            let request = self.generator.next(hint);
            // While an alarm is raised nothing changes, so the end of a batch would leave no trace.
            if request.is_write() && !request.is_alarm() {
                hint.revision += 1;
                batch.push(self.command(request));
            }
        }
        batch.push(self.command(Request::put("last", "word")));
        let responses = apply(&self.reference, batch.clone());
        self.commands.extend(batch.iter().cloned());
        (batch, responses)
    }

    fn command(&mut self, request: Request) -> Command {
        self.last = match self.last.offset + 1 < self.random.random_range(1..=ENTRY_COMMANDS_MAX) {
            true => Position { offset: self.last.offset + 1, ..self.last },
            false => Position { index: self.last.index + 1, offset: 0 },
        };
        Command { position: self.last, request }
    }
}

fn apply(store: &Store, mut batch: Vec<Command>) -> Vec<Response> {
    let mut answers = Vec::with_capacity(batch.len());
    store.apply(&mut batch, &mut answers);
    answers.into_iter().map(|answer| answer.response).collect()
}

/// Whether both hold the same, the past included.
fn check_equal(store: &Store, reference: &Store, context: &str) {
    let dump = reference.dump();
    assert_eq!(store.dump(), dump, "{context}");
    let (from, to) = (dump.compacted.max(1), dump.revision);
    assert_eq!(store.events(from, to), reference.events(from, to), "{context}");
    for revision in [from, (from + to) / 2, to] {
        let interval = Interval::everything();
        let range = Request::Range(Range { interval, revision, ..Range::default() });
        let read = |store: &Store| store.read(&range).response;
        assert_eq!(read(store), read(reference), "{context}: at {revision}");
    }
}

/// The whole log once more, cut in other places.
fn replay(store: &Store, log: &mut Log) {
    let mut rest = &log.commands[..];
    while !rest.is_empty() {
        let cut = log.random.random_range(1..=BATCH_REQUESTS_MAX.min(rest.len()));
        let (batch, after) = rest.split_at(cut);
        assert_eq!(apply(store, batch.to_vec()).len(), cut, "each command is answered");
        rest = after;
    }
}

fn lives(state_sync: StateSync, paths: impl Iterator<Item = PathKind>, seed: Seed) {
    let mut paths = paths;
    let folder = tempfile::tempdir().unwrap();
    let mut open = || {
        let config = on(EngineKind::RocksDb { state_sync }, paths.next().unwrap());
        store::open(config, folder.path(), Probe::off()).unwrap()
    };
    let mut log = Log::new(seed);
    let mut store = open();
    for number in 0..BATCHES {
        let context = format!("{state_sync:?}, {seed:?}, batch {number}");
        let (batch, expected) = log.batch();
        assert_eq!(apply(&store, batch), expected, "{context}");
        if log.random.random_bool(0.1) {
            drop(store);
            store = open();
            assert_eq!(store.applied(), log.last, "{context}");
            check_equal(&store, &log.reference, &context);
            replay(&store, &mut log);
            assert_eq!(store.applied(), log.last, "{context}");
        }
        check_equal(&store, &log.reference, &context);
    }
}

#[test]
fn a_store_goes_on_where_it_was_left() {
    for (_, state_sync) in MODES {
        for (first, seed) in (0..4).enumerate() {
            lives(state_sync, PATHS.into_iter().cycle().skip(first), Seed(seed));
        }
    }
}

/// What changed nothing needs no write of its own; it changes nothing the second time either.
#[test]
fn commands_that_changed_nothing_may_be_applied_again() {
    for (_, state_sync) in MODES {
        let folder = tempfile::tempdir().unwrap();
        let config = on(EngineKind::RocksDb { state_sync }, PathKind::GlobalMutex);
        let open = || store::open(config, folder.path(), Probe::off()).unwrap();
        let command = |index, request| Command { position: Position { index, offset: 0 }, request };
        let put = Put { key: b"b".into(), lease: 9, ..Put::default() };
        let log = [
            command(1, Request::put("a", "1")),
            command(2, Request::delete("b")),
            command(3, Request::Put(put)),
            command(4, Request::Compact { revision: 9 }),
        ];
        let store = open();
        let answered = apply(&store, log.to_vec());
        let dump = store.dump();
        drop(store);
        let store = open();
        assert!((1..=4).contains(&store.applied().index));
        assert_eq!(apply(&store, log[1..].to_vec()).len(), answered.len() - 1);
        assert_eq!((store.dump(), store.applied().index), (dump, 4));
    }
}

// A node that is killed.

const KILLS: u64 = 10;
/// Kills come after this many acknowledged groups of writes, at most.
const GROUPS_MAX: usize = 60;
const GROUP_REQUESTS_MAX: usize = 20;
/// Keys whose value is how often they were written.
const COUNTERS: usize = 6;

const CHILD_FOLDER: &str = "KVBENCH_TEST_CHILD_FOLDER";
const CHILD_MODE: &str = "KVBENCH_TEST_CHILD_MODE";
const CHILD_SEED: &str = "KVBENCH_TEST_CHILD_SEED";

fn node_config(engine: EngineKind, path: PathKind) -> Config {
    let bytes_max = ByteSize(1 << 20);
    let batch = Batch { ops_max: 8, bytes_max, linger: Linger::None, in_flight: 2 };
    let pipeline = raft::Config {
        propose: Propose::Batched(batch),
        apply_on: ApplyOn::ApplyThread,
        publish: Publish::Ready,
        fsync: Fsync::Off,
        reads: Reads::Index,
    };
    Config { store: on(engine, path), compaction: Compaction::NEVER, pipeline }
}

fn start(config: Config, folder: &Path) -> Node {
    Node::start(config, folder, Clock::start(), Probe::off()).unwrap()
}

fn counter(number: usize) -> String {
    format!("counter/{number}")
}

/// Counters with their values, by key.
fn counters(node: &Node) -> BTreeMap<String, KeyValue> {
    let interval = Interval::prefix("counter/");
    let range = Request::Range(Range { interval, ..Range::default() });
    let Ok(Body::Range(found)) = node.store().read(&range).response.result else {
        panic!("reading as of now is never refused")
    };
    let named = |kv: KeyValue| (String::from_utf8(kv.key.clone()).unwrap(), kv);
    found.kvs.into_iter().map(named).collect()
}

fn count(kv: &KeyValue) -> i64 {
    std::str::from_utf8(&kv.value).unwrap().parse().unwrap()
}

/// One request that writes, with the counters it sets.
fn request(
    random: &mut ChaCha8Rng,
    counts: &mut BTreeMap<String, i64>,
) -> (Request, Vec<(String, i64)>) {
    let mut set = |number: usize| {
        let key = counter(number);
        let count = counts.entry(key.clone()).or_default();
        *count += 1;
        (key, *count)
    };
    let put = |(key, count): &(String, i64)| Put {
        key: key.clone().into(),
        value: count.to_string().into(),
        ..Put::default()
    };
    let number = random.random_range(0..COUNTERS);
    match random.random_range(0..10) {
        0..6 => {
            let set = set(number);
            (Request::Put(put(&set)), vec![set])
        }
        6 => {
            let both = vec![set(number), set((number + 1) % COUNTERS)];
            let success = both.iter().map(|set| RequestOp::Put(put(set))).collect();
            (Request::Txn(Txn { success, ..Txn::default() }), both)
        }
        7 => (Request::put(format!("other/{number}"), "here"), Vec::new()),
        8 => {
            let interval = Interval::prefix("other/");
            (Request::DeleteRange(DeleteRange { interval, prev_kv: false }), Vec::new())
        }
        _ => (lease_request(random, number), Vec::new()),
    }
}

fn lease_request(random: &mut ChaCha8Rng, number: usize) -> Request {
    let id = random.random_range(1..4);
    match random.random_range(0..3) {
        0 => Request::LeaseGrant { id, ttl_s: 1 << 20 },
        1 => Request::LeaseRevoke { id },
        _ => {
            let key = format!("leased/{number}").into();
            Request::Put(Put { key, lease: id, ..Put::default() })
        }
    }
}

fn mode_named(name: &str) -> StateSync {
    MODES.into_iter().find(|(mode, _)| *mode == name).unwrap().1
}

/// In a process of its own: writes into the folder it is given and says what was acknowledged, until it is killed.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let state_sync = mode_named(&std::env::var(CHILD_MODE).unwrap());
    let seed: u64 = std::env::var(CHILD_SEED).unwrap().parse().unwrap();
    let path = PATHS[seed as usize % PATHS.len()];
    let node = start(node_config(EngineKind::RocksDb { state_sync }, path), Path::new(&folder));
    let mut random = Seed(seed).stream("recovery-child", 0);
    let mut counts: BTreeMap<_, _> =
        counters(&node).into_iter().map(|(key, kv)| (key, count(&kv))).collect();
    loop {
        let group = random.random_range(1..=GROUP_REQUESTS_MAX);
        let (requests, sets): (Vec<_>, Vec<_>) =
            (0..group).map(|_| request(&mut random, &mut counts)).unzip();
        for (outcome, set) in node.call_all(&requests).into_iter().zip(sets) {
            let revision = outcome.unwrap().reply.revision;
            let set = set.iter().map(|(key, count)| format!(" {key} {count}"));
            writeln!(io::stdout(), "acked {revision}{}", set.collect::<String>()).unwrap();
        }
        writeln!(io::stdout(), "group").unwrap();
    }
}

/// What was acknowledged before the kill.
#[derive(Debug, Default)]
struct Acked {
    revision: MainRevision,
    counts: BTreeMap<String, i64>,
}

impl Acked {
    /// One line; what is cut off or said by others says nothing.
    fn note(&mut self, line: &str) {
        let Some((_, said)) = line.split_once("acked ") else { return };
        let mut words = said.split(' ');
        self.revision = words.next().unwrap().parse().unwrap();
        while let Some((key, count)) = words.next().zip(words.next()) {
            self.counts.insert(key.to_owned(), count.parse().unwrap());
        }
    }
}

/// Starts a child on `folder` and kills it at a moment that `seed` chooses.
fn kill_one(folder: &Path, mode: &str, seed: u64) -> Acked {
    let mut child = process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .env(CHILD_MODE, mode)
        .env(CHILD_SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let groups_max = Seed(seed).stream("recovery-kill", 0).random_range(1..=GROUPS_MAX);
    let (mut acked, mut groups) = (Acked::default(), 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        acked.note(&line);
        if line == "group" {
            groups += 1;
            if groups == groups_max {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    assert!(groups >= groups_max, "the child ended by itself");
    acked
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// The state alone, without the help of the log: it has what was there when a node stopped in order, and what was
/// acknowledged if it is kept before that.
fn check_state(folder: &Path, state_sync: StateSync, acked: &Acked, stopped: MainRevision) {
    let config = on(EngineKind::RocksDb { state_sync }, PathKind::GlobalMutex);
    let kept = store::open(config, folder, Probe::off()).unwrap().digest().revision;
    let least = match state_sync {
        StateSync::RaftLogOnly => stopped,
        StateSync::PerBatch | StateSync::PerOp => acked.revision,
    };
    assert!(kept >= least, "{state_sync:?}: {kept} of {least}");
}

/// Returns the revision of the node that was started and stopped.
fn check_recovered(
    folder: &Path,
    state_sync: StateSync,
    acked: &Acked,
    stopped: MainRevision,
    seed: u64,
) -> MainRevision {
    let context = format!("{state_sync:?}, seed {seed}");
    let copies = tempfile::tempdir().unwrap();
    let copied = copies.path().join("node");
    copy(folder, &copied);
    check_state(&copied.join("state"), state_sync, acked, stopped);
    fs::remove_dir_all(copied.join("state")).unwrap();
    let path = PATHS[(seed as usize + 1) % PATHS.len()];
    let node = start(node_config(EngineKind::RocksDb { state_sync }, path), folder);
    let replayed = start(node_config(EngineKind::Memory, PathKind::GlobalMutex), &copied);
    assert!(node.digest().revision >= acked.revision, "{context}");
    let found = counters(&node);
    for (key, acked) in &acked.counts {
        assert!(found.get(key).is_some_and(|kv| count(kv) >= *acked), "{context}: {key} {acked}");
    }
    for kv in found.values() {
        assert_eq!(kv.version, count(kv), "{context}: each write is applied once");
    }
    assert_eq!(node.digest(), replayed.digest(), "{context}");
    check_equal(&node.store(), &replayed.store(), &context);
    node.digest().revision
}

/// Locks of folders pass to processes on their way to exec, so one test starts all of them, one after the other.
#[test]
fn a_killed_node_has_everything_it_acknowledged_once() {
    for (mode, state_sync) in MODES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node");
        let mut stopped = 1;
        for seed in 0..KILLS {
            let acked = kill_one(&path, mode, seed);
            // Not after each: then the next child finds a state that lags behind, or none.
            if seed % 3 != 1 {
                stopped = check_recovered(&path, state_sync, &acked, stopped, seed);
            }
        }
    }
}
