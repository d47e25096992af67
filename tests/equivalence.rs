//! Same requests, same bytes: whichever lock, proposer, thread and moment of publishing carry them, requests in one
//! order give the responses and the state that a plain ordered map gives.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

use kvbench::clock::Clock;
use kvbench::measure::stage::Probe;
use kvbench::model::{Body, KeyValue, MainRevision, Request, Response};
use kvbench::node::{Config, Node, Outcome, PathKind, apply_path, changed};
use kvbench::raft::{self, ApplyOn, Batch, Fsync, Linger, Propose, Publish};
use kvbench::seed::Seed;
use kvbench::store::{ApplyPath, Digest};
use kvbench::units::{ByteSize, Nanos};
use proptest::prelude::*;
use rand::Rng;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

const PATHS: [PathKind; 4] = [
    PathKind::GlobalMutex,
    PathKind::Sharded { shards: 1 },
    PathKind::Sharded { shards: 2 },
    PathKind::Sharded { shards: 512 },
];

/// The store as etcd documents it, in the fewest words.
#[derive(Default)]
struct Model {
    keys: BTreeMap<Vec<u8>, KeyValue>,
    changes: MainRevision,
}

impl Model {
    fn revision(&self) -> MainRevision {
        1 + self.changes
    }

    fn execute(&mut self, request: &Request) -> Response {
        let body = match request {
            Request::Put { key, value } => {
                self.changes += 1;
                let revision = self.revision();
                let before = self.keys.get(key);
                let written = KeyValue {
                    key: key.clone(),
                    value: value.clone(),
                    create_revision: before.map_or(revision, |before| before.create_revision),
                    mod_revision: revision,
                    version: before.map_or(1, |before| before.version + 1),
                };
                self.keys.insert(key.clone(), written);
                Body::Put
            }
            Request::Get { key } => Body::Get(self.keys.get(key).cloned()),
            Request::Delete { key } => {
                let deleted = self.keys.remove(key).is_some();
                self.changes += MainRevision::from(deleted);
                Body::Delete(u64::from(deleted))
            }
        };
        Response { revision: self.revision(), body }
    }
}

fn put(key: &str, value: &str) -> Request {
    Request::Put { key: key.into(), value: value.into() }
}

fn get(key: &str) -> Request {
    Request::Get { key: key.into() }
}

fn delete(key: &str) -> Request {
    Request::Delete { key: key.into() }
}

/// Few keys, so that overwriting, deleting and creating again happen.
fn any_request() -> impl Strategy<Value = Request> {
    let key = || (0..6_u8).prop_map(|key| vec![key; usize::from(key)]);
    let value = prop::collection::vec(any::<u8>(), 0..=64);
    prop_oneof![
        3 => (key(), value).prop_map(|(key, value)| Request::Put { key, value }),
        2 => key().prop_map(|key| Request::Get { key }),
        2 => key().prop_map(|key| Request::Delete { key }),
    ]
}

fn responses(path: &dyn ApplyPath, batch: Vec<Request>) -> Vec<Response> {
    let mut answers = Vec::new();
    path.apply(batch, &mut answers);
    answers.into_iter().map(|answer| answer.response).collect()
}

/// The responses to `requests`, cut into batches of the sizes in `cuts`, taken round and round.
fn in_batches(path: &dyn ApplyPath, requests: &[Request], cuts: &[usize]) -> Vec<Response> {
    let (mut rest, mut given) = (requests, Vec::new());
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (batch, after) = rest.split_at((*cut).min(rest.len()));
        given.extend(responses(path, batch.to_vec()));
        rest = after;
    }
    given
}

proptest! {
    #[test]
    fn both_paths_are_the_model(
        requests in prop::collection::vec(any_request(), 0..200),
        cuts in prop::collection::vec(1..20_usize, 1..8),
    ) {
        let mut model = Model::default();
        let expected: Vec<_> = requests.iter().map(|request| model.execute(request)).collect();
        let mut digests: Vec<Digest> = Vec::new();
        for kind in PATHS {
            let path = apply_path(kind, Probe::off());
            prop_assert_eq!(&in_batches(&*path, &requests, &cuts), &expected, "{:?}", kind);
            digests.push(path.digest());
            let keys: Vec<_> = (0..6_u8).map(|key| vec![key; usize::from(key)]).collect();
            let gets = keys.iter().map(|key| Request::Get { key: key.clone() }).collect();
            for (key, found) in keys.iter().zip(responses(&*path, gets)) {
                prop_assert_eq!(found.body, Body::Get(model.keys.get(key).cloned()));
            }
        }
        prop_assert!(digests.iter().all(|digest| digest == &digests[0]), "{:?}", digests);
        prop_assert_eq!(digests[0].revision, model.revision());
        prop_assert_eq!(digests[0].keys, model.keys.len() as u64);
    }

    /// A digest that two different states share would make every comparison above worthless.
    #[test]
    fn different_states_have_different_digests(
        requests in prop::collection::vec(any_request(), 1..40),
        changed_value in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let digest = |last: Option<Request>| {
            let path = apply_path(PathKind::GlobalMutex, Probe::off());
            responses(&*path, requests.iter().cloned().chain(last).collect());
            path.digest()
        };
        let mut longer = changed_value.clone();
        longer.push(0);
        let put = |value| Request::Put { key: b"last".to_vec(), value };
        let with = digest(Some(put(changed_value)));
        prop_assert_ne!(with.hash, digest(Some(put(longer))).hash);
        prop_assert_ne!(with.hash, digest(None).hash);
    }
}

#[test]
fn revisions_go_as_etcd_says() {
    let script = [
        (get("a"), 1, Body::Get(None)),
        (delete("a"), 1, Body::Delete(0)),
        (put("a", "x"), 2, Body::Put),
        (put("a", "x"), 3, Body::Put),
        (put("b", ""), 4, Body::Put),
        (get("a"), 4, found("a", "x", (2, 3, 2))),
        (delete("a"), 5, Body::Delete(1)),
        (delete("a"), 5, Body::Delete(0)),
        (put("a", "y"), 6, Body::Put),
        (get("a"), 6, found("a", "y", (6, 6, 1))),
        (get("b"), 6, found("b", "", (4, 4, 1))),
    ];
    for kind in PATHS {
        let (path, mut model) = (apply_path(kind, Probe::off()), Model::default());
        for (request, revision, body) in &script {
            let expected = Response { revision: *revision, body: body.clone() };
            assert_eq!(model.execute(request), expected, "{request:?}");
            assert_eq!(
                responses(&*path, vec![request.clone()]),
                [expected],
                "{kind:?} {request:?}"
            );
        }
    }
}

fn found(key: &str, value: &str, (create, modified, version): (i64, i64, i64)) -> Body {
    Body::Get(Some(KeyValue {
        key: key.into(),
        value: value.into(),
        create_revision: create,
        mod_revision: modified,
        version,
    }))
}

#[test]
fn threads_share_one_sequence_of_revisions() {
    const THREADS: u64 = 4;
    const ROUNDS: usize = 2_000;
    for kind in PATHS {
        let path = apply_path(kind, Probe::off());
        let run = |thread: u64| random_run(&*path, thread, ROUNDS);
        let runs: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..THREADS).map(|t| scope.spawn(move || run(t))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        let changes: Vec<_> = runs.iter().flatten().filter(|(_, done)| changed(done)).collect();
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
    let one = |request: Request| {
        let mut given = responses(path, vec![request.clone()]);
        (request, given.pop().unwrap())
    };
    (0..rounds).map(|_| one(next())).collect()
}

/// Executing the changes in the order of their revisions gives the state; and every read, wherever it ran, saw its
/// key as some prefix of that order left it.
fn check_against_revision_order(path: &dyn ApplyPath, runs: &[Vec<(Request, Response)>]) {
    let mut changes: Vec<_> =
        runs.iter().flatten().filter(|(_, response)| changed(response)).collect();
    changes.sort_by_key(|(_, response)| response.revision);
    let (mut model, mut states) = (Model::default(), HashMap::new());
    for (request, response) in changes {
        assert_eq!(&model.execute(request), response);
        if let Some(now) = model.keys.get(request.key()) {
            states.insert((now.key.clone(), now.mod_revision), now.clone());
        }
    }
    for (request, response) in runs.iter().flatten() {
        if let Body::Get(Some(seen)) = &response.body {
            assert_eq!(states.get(&(seen.key.clone(), seen.mod_revision)), Some(seen));
            assert!(seen.mod_revision <= response.revision, "{request:?} {response:?}");
        }
    }
    for number in 0..5 {
        let key = format!("key-{number}");
        let end = responses(path, vec![get(&key)]).pop().unwrap();
        assert_eq!(end.body, Body::Get(model.keys.get(key.as_bytes()).cloned()));
    }
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
                for path in [PathKind::GlobalMutex, PathKind::Sharded { shards: 16 }] {
                    let pipeline = raft::Config { propose, apply_on, publish, fsync: Fsync::Off };
                    configs.push(Config { path, pipeline });
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
    let mut model = Model::default();
    let expected: Vec<_> = requests.iter().map(|request| model.execute(request)).collect();
    let bare = apply_path(PathKind::GlobalMutex, Probe::off());
    responses(&*bare, requests.clone());
    for config in pipelines() {
        with_node(config, |node| {
            let given: Vec<_> = node.call_all(&requests).into_iter().map(reply).collect();
            assert_eq!(given, expected, "{config:?}");
            assert_eq!(node.digest(), bare.digest(), "{config:?}");
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
                        let Body::Get(Some(seen)) = read.body else { panic!("{config:?}") };
                        assert_eq!(seen.version, round, "{config:?}");
                        assert_eq!(seen.mod_revision, written.revision, "{config:?}");
                        assert_eq!(seen.value, round.to_string().into_bytes(), "{config:?}");
                        let neighbour = (task + 1) % TASKS;
                        let before = acked.borrow()[neighbour];
                        let read = reply(node.call(get(&format!("key-{neighbour}"))).await);
                        let Body::Get(seen) = read.body else { panic!("{config:?}") };
                        assert!(seen.map_or(0, |seen| seen.version) >= before, "{config:?}");
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
                assert_eq!(response.body, found("a", "1", (2, 2, 1)), "{config:?}");
            }
            assert_eq!(node.counts().entries, entries, "{config:?}");
        });
    }
}
