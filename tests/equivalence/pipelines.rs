//! Same requests, same bytes: whichever lock, proposer, thread and moment of publishing carry them, requests in one
//! order give the responses and the state that the oracle gives. `differential` asks that of the bare store, with every request
//! there is; here it is asked of whole pipelines and of threads that share a store.

use kvbench::clock::Clock;
use kvbench::measure::stage::Probe;
use kvbench::model::{Body, KeyValue, MainRevision, Position, Range, Request, Response};
use kvbench::node::{Compaction, Config, Node, Outcome};
use kvbench::raft::{self, ApplyOn, Batch, Fsync, Linger, Propose, Publish, Reads};
use kvbench::seed::Seed;
use kvbench::store::{self, ApplyPath, Command, PathKind};
use kvbench::units::{ByteSize, Nanos};
use kvbench::verify::oracle::Oracle;
use proptest::prelude::*;
use rand::Rng;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

const PATHS: [PathKind; 4] = [
    PathKind::GlobalMutex,
    PathKind::Sharded { shards: 1, workers: 1 },
    PathKind::Sharded { shards: 2, workers: 1 },
    PathKind::Sharded { shards: 512, workers: 1 },
];

fn config(path: PathKind) -> store::Config {
    store::Config::in_memory(path)
}

/// An empty store in memory.
fn store(path: PathKind) -> Arc<dyn ApplyPath> {
    store::open(config(path), std::path::Path::new("unused"), Probe::off()).unwrap()
}

fn put(key: &str, value: &str) -> Request {
    Request::put(key, value)
}

fn get(key: &str) -> Request {
    Request::get(key)
}

fn delete(key: &str) -> Request {
    Request::delete(key)
}

/// The one key a request of this file is about.
fn key_of(request: &Request) -> &[u8] {
    match request {
        Request::Put(put) => &put.key,
        Request::Range(Range { interval, .. }) => &interval.key,
        Request::DeleteRange(delete) => &delete.interval.key,
        other => panic!("{other:?} is not used here"),
    }
}

/// Few keys, so that overwriting, deleting and creating again happen.
fn any_write() -> impl Strategy<Value = Request> {
    let key = || (0..6_u8).prop_map(|key| vec![key; 1 + usize::from(key)]);
    let value = prop::collection::vec(any::<u8>(), 0..=64);
    prop_oneof![
        3 => (key(), value).prop_map(|(key, value)| Request::put(key, value)),
        2 => key().prop_map(Request::delete),
    ]
}

fn one(path: &dyn ApplyPath, request: &Request) -> Response {
    if !request.is_write() {
        return path.read(request).response;
    }
    let mut answers = Vec::new();
    let command = Command { position: Position::default(), request: request.clone() };
    path.apply(&mut vec![command], &mut answers);
    answers.remove(0).response
}

proptest! {
    /// A digest that two different states share would make every comparison below worthless.
    #[test]
    fn different_states_have_different_digests(
        requests in prop::collection::vec(any_write(), 1..40),
        changed_value in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let digest = |last: Option<Request>| {
            let path = store(PathKind::GlobalMutex);
            requests.iter().chain(&last).for_each(|request| {
                one(&*path, request);
            });
            path.digest()
        };
        let mut longer = changed_value.clone();
        longer.push(0);
        let put = |value: Vec<u8>| Request::put("last", value);
        let with = digest(Some(put(changed_value)));
        prop_assert_ne!(with.hash, digest(Some(put(longer))).hash);
        prop_assert_ne!(with.hash, digest(None).hash);
    }
}

fn found(key: &str, value: &str, (create, modified, version): (i64, i64, i64)) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: value.into(),
        create_revision: create,
        mod_revision: modified,
        version,
        lease: 0,
    }
}

/// The key that a get found.
fn seen(response: &Response) -> Option<&KeyValue> {
    match &response.result {
        Ok(Body::Range(range)) => range.kvs.first(),
        other => panic!("a get was answered with {other:?}"),
    }
}

#[test]
fn threads_share_one_sequence_of_revisions() {
    const THREADS: u64 = 4;
    const ROUNDS: usize = 2_000;
    for kind in PATHS {
        let path = store(kind);
        let run = |thread: u64| random_run(&*path, thread, ROUNDS);
        let runs: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..THREADS).map(|t| scope.spawn(move || run(t))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        let changes: Vec<_> = runs.iter().flatten().filter(|(_, done)| done.changed()).collect();
        let revisions: BTreeSet<_> = changes.iter().map(|(_, done)| done.revision).collect();
        assert_eq!(revisions.len(), changes.len(), "{kind:?}: no revision was given twice");
        let all = 2..=1 + changes.len() as MainRevision;
        assert!(revisions.into_iter().eq(all.clone()), "{kind:?}: none was left out");
        assert_eq!(path.digest().revision, *all.end(), "{kind:?}");
        for run in &runs {
            let ordered = run.windows(2).all(|pair| pair[0].1.revision <= pair[1].1.revision);
            assert!(ordered, "{kind:?}: revisions run backwards for one caller");
        }
        check_against_revision_order(&*path, &runs);
    }
}

/// One caller's requests, one by one, on keys that all callers share.
fn random_run(path: &dyn ApplyPath, thread: u64, rounds: usize) -> Vec<(Request, Response)> {
    let mut random = Seed(7).stream("equivalence", thread);
    let mut next = || {
        let key = format!("key-{}", random.random_range(0..5));
        match random.random_range(0..4) {
            0 => get(&key),
            1 => delete(&key),
            _ => put(&key, &random.random_range(0..100).to_string()),
        }
    };
    let mut call = || {
        let request = next();
        let response = one(path, &request);
        (request, response)
    };
    (0..rounds).map(|_| call()).collect()
}

/// Executing the changes in the order of their revisions gives the state; and every read, wherever it ran, saw its
/// key as some prefix of that order left it.
fn check_against_revision_order(path: &dyn ApplyPath, runs: &[Vec<(Request, Response)>]) {
    let mut changes: Vec<_> =
        runs.iter().flatten().filter(|(_, response)| response.changed()).collect();
    changes.sort_by_key(|(_, response)| response.revision);
    let (mut oracle, mut states) = (Oracle::new(), HashMap::new());
    for (request, response) in changes {
        assert_eq!(&oracle.apply(request), response);
        let key = key_of(request).to_vec();
        if let Some(now) = seen(&oracle.apply(&Request::get(key.clone()))) {
            states.insert((key, now.mod_revision), now.clone());
        }
    }
    for (request, response) in runs.iter().flatten() {
        let is_get = matches!(request, Request::Range(_));
        if let Some(seen) = is_get.then(|| seen(response)).flatten() {
            assert_eq!(states.get(&(seen.key.clone(), seen.mod_revision)), Some(seen));
            assert!(seen.mod_revision <= response.revision, "{request:?} {response:?}");
        }
    }
    assert_eq!(path.dump(), oracle.dump());
}

/// Every way through the pipeline.
fn pipelines() -> Vec<Config> {
    let batched = |linger, in_flight| {
        let bytes_max = ByteSize(1 << 16);
        Propose::Batched(Batch { ops_max: 32, bytes_max, linger, in_flight })
    };
    let span = Nanos(100_000);
    let mut proposes = vec![Propose::Serial, Propose::Pipelined];
    for linger in [Linger::None, Linger::Ticker(span), Linger::Armed(span), Linger::Siblings(span)]
    {
        proposes.extend([batched(linger, 1), batched(linger, 4)]);
    }
    let mut configs = Vec::new();
    for propose in proposes {
        for apply_on in [ApplyOn::RaftThread, ApplyOn::ApplyThread] {
            for publish in [Publish::Ready, Publish::NextReady] {
                for path in [PathKind::GlobalMutex, PathKind::Sharded { shards: 16, workers: 1 }] {
                    let pipeline = raft::Config {
                        propose,
                        apply_on,
                        publish,
                        fsync: Fsync::Off,
                        reads: Reads::Index,
                    };
                    configs.push(Config {
                        store: config(path),
                        compaction: Compaction::NEVER,
                        pipeline,
                    });
                }
            }
        }
    }
    configs
}

fn with_node(config: Config, check: impl FnOnce(Node)) {
    let folder = tempfile::tempdir().unwrap();
    check(Node::start(config, &folder.path().join("node"), Clock::start(), Probe::off()).unwrap());
}

fn reply(outcome: Outcome) -> Response {
    outcome.unwrap().reply
}

#[test]
fn every_pipeline_gives_the_same_answers() {
    let mut random = Seed(11).stream("equivalence", 0);
    let mut next = || {
        let key = format!("key-{}", random.random_range(0..20));
        match random.random_range(0..4) {
            0 => delete(&key),
            _ => put(&key, &"v".repeat(random.random_range(0..64))),
        }
    };
    let requests: Vec<_> = (0..300).map(|_| next()).collect();
    let mut oracle = Oracle::new();
    let expected: Vec<_> = requests.iter().map(|request| oracle.apply(request)).collect();
    for config in pipelines() {
        with_node(config, |node| {
            let given: Vec<_> = node.call_all(&requests).into_iter().map(reply).collect();
            assert_eq!(given, expected, "{config:?}");
            assert_eq!(node.digest(), oracle.dump().digest(), "{config:?}");
        });
    }
}

/// Each task writes its own key and reads it back, and reads a neighbour's: what was acknowledged before the read
/// was sent is seen, and no read goes back behind an earlier one.
#[test]
fn a_read_sees_every_write_acknowledged_before_it() {
    const TASKS: usize = 4;
    const ROUNDS: usize = 12;
    for config in pipelines() {
        with_node(config, |node| {
            let node = Arc::new(node);
            let acked = std::rc::Rc::new(std::cell::RefCell::new(vec![0_i64; TASKS]));
            let tasks = tokio::task::LocalSet::new();
            let started = (0..TASKS).map(|task| {
                let (node, acked) = (node.clone(), acked.clone());
                tasks.spawn_local(async move {
                    for round in 1..=ROUNDS as i64 {
                        let own = format!("key-{task}");
                        let written = reply(node.call(put(&own, &round.to_string())).await);
                        acked.borrow_mut()[task] = round;
                        let read = reply(node.call(get(&own)).await);
                        assert!(read.revision >= written.revision, "{config:?}");
                        let own = seen(&read).unwrap();
                        assert_eq!(own.version, round, "{config:?}");
                        assert_eq!(own.mod_revision, written.revision, "{config:?}");
                        assert_eq!(own.value, round.to_string().into_bytes(), "{config:?}");
                        let neighbour = (task + 1) % TASKS;
                        let before = acked.borrow()[neighbour];
                        let read = reply(node.call(get(&format!("key-{neighbour}"))).await);
                        assert!(seen(&read).map_or(0, |seen| seen.version) >= before, "{config:?}");
                    }
                })
            });
            let started: Vec<_> = started.collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(tasks.run_until(async {
                for task in started {
                    task.await.unwrap();
                }
            }));
            assert_eq!(node.digest().revision, 1 + (TASKS * ROUNDS) as MainRevision, "{config:?}");
        });
    }
}

/// Writes and reads of one caller in one stream: a read is not ordered behind the writes sent with it, but it is
/// behind those answered.
#[test]
fn reads_use_no_revision_and_no_entry() {
    for config in pipelines() {
        with_node(config, |node| {
            let written = reply(node.call_all(&[put("a", "1")]).remove(0));
            let entries = node.counts().entries;
            let gets = vec![get("a"); 20];
            for outcome in node.call_all(&gets) {
                let response = reply(outcome);
                assert_eq!(response.revision, written.revision, "{config:?}");
                assert_eq!(seen(&response), Some(&found("a", "1", (2, 2, 1))), "{config:?}");
            }
            assert_eq!(node.counts().entries, entries, "{config:?}");
        });
    }
}
