//! Watching while others write: whatever the order in which threads run, a watcher is told the history, whole revisions in
//! order, and is woken for all of it. And leases: a key hangs on a lease that is there, or on none.

use kvbench_shuttle::measure::stage::Probe;
use kvbench_shuttle::model::{
    Event, Interval, MainRevision, Position, Put, Request, RequestOp, Txn,
};
use kvbench_shuttle::store::{
    self, Answer, ApplyPath, Command, Config, PathKind, WatchCounts, WatchLimits, WatchResponse,
    WatchSpec, Watcher,
};
use shuttle::thread;
use std::sync::Arc;
use std::time::Duration;

/// Schedules tried by each test on each path, unless `SHUTTLE_SCHEDULES` says how many: half of them drawn at random,
/// half with few but well-placed preemptions.
const SCHEDULES: usize = 10_000;

/// Without end as far as a schedule is concerned.
const FOREVER: Duration = Duration::from_secs(1 << 30);

type Store = Arc<dyn ApplyPath>;

fn check(test: impl Fn(PathKind) + Send + Sync + 'static) {
    let schedules = std::env::var("SHUTTLE_SCHEDULES").map_or(SCHEDULES, |n| n.parse().unwrap());
    let test = Arc::new(test);
    for path in [PathKind::GlobalMutex, PathKind::Sharded { shards: 2, workers: 1 }] {
        let (random, pct) = (test.clone(), test.clone());
        shuttle::check_random(move || random(path), schedules / 2);
        shuttle::check_pct(move || pct(path), schedules / 2, 3);
    }
}

fn open(path: PathKind) -> Store {
    let config = Config::in_memory(path);
    store::open(config, std::path::Path::new("unused"), Probe::off()).unwrap()
}

fn apply(store: &Store, request: Request) -> Answer {
    let mut answers = Vec::new();
    store.apply(&mut vec![Command { position: Position::default(), request }], &mut answers);
    answers.pop().unwrap()
}

fn put_both(store: &Store) {
    let put = |key: &str| RequestOp::Put(Put { key: key.into(), ..Put::default() });
    let txn = Txn { success: vec![put("a"), put("b")], ..Txn::default() };
    apply(store, Request::Txn(txn));
}

fn everything(start_revision: MainRevision) -> WatchSpec {
    WatchSpec { interval: Interval::everything(), start_revision, ..WatchSpec::default() }
}

/// Every event up to `last`; it hangs, which shuttle sees, if the watcher is not woken.
fn read_to(watcher: &mut Watcher, last: MainRevision) -> Vec<Event> {
    let mut told = Vec::new();
    while told.last().is_none_or(|event: &Event| event.kv.mod_revision < last) {
        match watcher.next(FOREVER) {
            Some(WatchResponse::Events { events, .. }) => {
                told.extend(events.iter().map(|event| (**event).clone()));
            }
            other => panic!("{other:?}"),
        }
    }
    told
}

fn history(store: &Store, from: MainRevision, to: MainRevision) -> Vec<Event> {
    let events = store.events(from, to).unwrap();
    events.into_iter().map(|event| Event { prev_kv: None, ..event }).collect()
}

/// Two threads write two revisions each, of which some have two changes.
fn writers(store: &Store) -> [thread::JoinHandle<()>; 2] {
    ["a", "c"].map(|key| {
        let store = store.clone();
        thread::spawn(move || {
            apply(&store, Request::put(key, "1"));
            put_both(&store);
        })
    })
}

const LAST: MainRevision = 5;

#[test]
fn registering_while_others_publish_leaves_no_gap() {
    check(|path| {
        let store = open(path);
        let writers = writers(&store);
        let from_start = Watcher::new(&store, everything(1), WatchLimits::default());
        let before = store.published();
        let from_now = Watcher::new(&store, everything(0), WatchLimits::default());
        let after = store.published();
        let mut from_start = from_start;
        assert_eq!(read_to(&mut from_start, LAST), history(&store, 2, LAST));
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let mut from_now = from_now;
        if after < LAST {
            let told = read_to(&mut from_now, LAST);
            let first = told[0].kv.mod_revision;
            assert!(first > before && first <= after + 1);
            assert_eq!(told, history(&store, first, LAST));
        }
        drop((from_start, from_now));
        let counts = store.watches().counts();
        assert_eq!(counts, WatchCounts { delivered: counts.delivered, ..WatchCounts::default() });
    });
}

#[test]
fn a_reader_that_is_too_slow_goes_back_without_a_gap() {
    check(|path| {
        let store = open(path);
        let limits =
            WatchLimits { buffer_events: 2, history_revisions: 1, ..WatchLimits::default() };
        let mut watcher = Watcher::new(&store, everything(0), limits);
        let reader = {
            let store = store.clone();
            thread::spawn(move || {
                assert_eq!(read_to(&mut watcher, LAST), history(&store, 2, LAST));
            })
        };
        writers(&store).into_iter().for_each(|writer| writer.join().unwrap());
        reader.join().unwrap();
    });
}

#[test]
fn progress_is_not_told_before_what_it_covers() {
    check(|path| {
        let store = open(path);
        let mut watcher = Watcher::new(&store, everything(0), WatchLimits::default());
        let writers = writers(&store);
        let (mut told, mut reached) = (0, 0);
        while reached < LAST {
            watcher.request_progress();
            match watcher.next(FOREVER) {
                Some(WatchResponse::Events { revision, .. }) => {
                    assert!(revision == told.max(1) + 1 && revision > reached);
                    told = revision;
                }
                Some(WatchResponse::Progress { revision }) => {
                    assert!(revision == told.max(1) && revision >= reached);
                    reached = revision;
                    thread::yield_now();
                }
                other => panic!("{other:?}"),
            }
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
}

#[test]
fn a_key_hangs_on_a_lease_that_is_there_or_on_none() {
    check(|path| {
        let store = open(path);
        apply(&store, Request::LeaseGrant { id: 7, ttl_s: 60 });
        let requests = [
            Request::Put(Put { key: b"a".into(), lease: 7, ..Put::default() }),
            Request::Put(Put { key: b"c".into(), lease: 7, ..Put::default() }),
            Request::LeaseRevoke { id: 7 },
        ];
        let threads = requests.map(|request| {
            let store = store.clone();
            thread::spawn(move || {
                apply(&store, request);
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let dump = store.dump();
        assert!(dump.leases.is_empty() && dump.keys.is_empty(), "{dump:?}");
    });
}
