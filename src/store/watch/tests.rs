//! What a watcher was told is compared with the history, which the store keeps for itself.

use super::*;
use crate::clock::Clock;
use crate::measure::stage::Probe;
use crate::model::{
    DeleteRange, Event, EventKind, MainRevision, Position, Put, Request, RequestOp, Response, Txn,
};
use crate::store::{self, ApplyPath, Command, PathKind};
use crate::units::Nanos;
use std::path::Path;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a watcher is waited for before it is asked how far it is.
const IDLE: Duration = Duration::from_millis(2);

type Store = Arc<dyn ApplyPath>;

fn stores() -> [Store; 2] {
    [PathKind::GlobalMutex, PathKind::Sharded { shards: 8, workers: 1 }].map(|path| {
        let config = store::Config::in_memory(path);
        store::open(config, Path::new("unused"), Probe::off()).unwrap()
    })
}

fn present(store: &Store) -> Present {
    Arc::new(RwLock::new(store.clone()))
}

fn apply(store: &Store, request: Request) -> Response {
    let mut answers = Vec::new();
    store.apply(&mut vec![Command { position: Position::default(), request }], &mut answers);
    answers.pop().unwrap().response
}

fn put(store: &Store, key: &str, value: &str) -> MainRevision {
    apply(store, Request::put(key, value)).revision
}

fn put_numbers(store: &Store, count: u32) {
    for number in 0..count {
        put(store, "k", &number.to_string());
    }
}

fn delete(store: &Store, interval: Interval) -> MainRevision {
    apply(store, Request::DeleteRange(DeleteRange { interval, prev_kv: false })).revision
}

fn put_all(store: &Store, keys: &[&str], value: &str) -> MainRevision {
    let put = |key: &&str| {
        RequestOp::Put(Put { key: (*key).into(), value: value.into(), ..Put::default() })
    };
    let txn = Txn { success: keys.iter().map(put).collect(), ..Txn::default() };
    apply(store, Request::Txn(txn)).revision
}

fn compact(store: &Store, revision: MainRevision) {
    apply(store, Request::Compact { revision }).result.unwrap();
}

fn everything(start_revision: MainRevision) -> WatchSpec {
    let interval = Interval::everything();
    WatchSpec { interval, start_revision, prev_kv: true, progress: true, ..WatchSpec::default() }
}

/// So little of everything that each limit is met.
fn tight() -> WatchLimits {
    WatchLimits { buffer_events: 6, buffer_bytes: 2400, fragment_bytes: 600, history_revisions: 3 }
}

/// Everything up to `last`, one list for each revision.
fn read_to(watcher: &mut Watcher, last: MainRevision) -> Vec<(MainRevision, Vec<Event>)> {
    let mut told: Vec<(MainRevision, Vec<Event>)> = Vec::new();
    let mut is_open = false;
    let clock = Clock::start();
    while clock.now() < PATIENCE.into() {
        match watcher.next(IDLE).expect("progress, if nothing else") {
            WatchResponse::Events { revision, events, fragment } => {
                let events = events.iter().map(|event| (**event).clone());
                match is_open {
                    true => told.last_mut().unwrap().1.extend(events),
                    false => told.push((revision, events.collect())),
                }
                assert_eq!(told.last().unwrap().0, revision, "a revision is told without a break");
                is_open = fragment;
            }
            WatchResponse::Progress { revision } => {
                assert!(!is_open && told.last().is_none_or(|(told, _)| *told <= revision));
                if revision >= last {
                    return told;
                }
            }
            WatchResponse::Cancelled { .. } => panic!("nothing was compacted"),
        }
    }
    panic!("revision {last} is not told")
}

/// What the history says a watcher of `spec` is told up to `last`.
fn history(
    store: &Store,
    spec: &WatchSpec,
    from: MainRevision,
    last: MainRevision,
) -> Vec<(MainRevision, Vec<Event>)> {
    let mut told: Vec<(MainRevision, Vec<Event>)> = Vec::new();
    for mut event in store.events(from, last).unwrap() {
        let left_out = if event.kind == EventKind::Put { spec.no_put } else { spec.no_delete };
        if left_out || !spec.interval.contains(&event.kv.key) {
            continue;
        }
        if !spec.prev_kv {
            event.prev_kv = None;
        }
        match told.last_mut() {
            Some((revision, events)) if *revision == event.kv.mod_revision => events.push(event),
            _ => told.push((event.kv.mod_revision, vec![event])),
        }
    }
    told
}

fn specs(start_revision: MainRevision) -> Vec<WatchSpec> {
    let spec = everything(start_revision);
    vec![
        spec.clone(),
        WatchSpec { fragment: true, prev_kv: false, ..spec.clone() },
        WatchSpec { no_put: true, ..spec.clone() },
        WatchSpec { no_delete: true, interval: Interval::prefix("b"), ..spec.clone() },
        WatchSpec { interval: Interval::between("b", "d"), ..spec.clone() },
        WatchSpec { interval: Interval::point("a1"), ..spec },
    ]
}

/// Writes until `goal` is reached, slowly once watchers watch.
fn write(store: &Store, seed: u64, goal: MainRevision) {
    let (clock, mut number) = (Clock::start(), seed);
    while store.published() < goal {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let place = (number >> 33) as usize % 9;
        let key = format!("{}{}", ["a", "b", "c"][place % 3], place / 3);
        match (number >> 40) % 8 {
            0 => delete(store, Interval::prefix(&key[..1])),
            1 => delete(store, Interval::point(key.as_str())),
            2 => put_all(store, &["a1", "b1", "b2", "c0"], &number.to_string()),
            _ => put(store, &key, &number.to_string()),
        };
        if store.published() > goal / 4 {
            clock.sleep(Nanos(20_000));
        }
    }
}

/// What a new watcher is told up to `goal`, against the history.
fn check_one(store: &Store, spec: &WatchSpec, limits: WatchLimits, goal: MainRevision) {
    let before = store.published();
    let mut watcher = Watcher::new(store, spec.clone(), limits);
    let after = store.published();
    let mut told = read_to(&mut watcher, goal);
    told.retain(|(revision, _)| *revision <= goal);
    let is_from_now = spec.start_revision == 0;
    let start = if is_from_now { before + 1 } else { spec.start_revision };
    let mut expected = history(store, spec, start, goal);
    // One from now on begins somewhere while it is made, and then misses nothing.
    let first = told.first().map_or(MainRevision::MAX, |(revision, _)| *revision);
    expected.retain(|(revision, _)| !is_from_now || *revision >= first.min(after + 1));
    assert!(told == expected, "{spec:?}: {} revisions, not {}", told.len(), expected.len());
}

#[test]
fn watchers_are_told_the_history_while_it_is_made() {
    const GOAL: MainRevision = 1200;
    for (path, limits) in
        [0, 1].into_iter().flat_map(|path| [(path, WatchLimits::default()), (path, tight())])
    {
        let store = &stores()[path];
        std::thread::scope(|scope| {
            for seed in 0..2 {
                scope.spawn(move || write(store, seed, GOAL));
            }
            while store.published() < GOAL / 4 {
                std::thread::yield_now();
            }
            let published = store.published();
            let starts = [0, 1, published / 2, published + 50];
            for spec in starts.into_iter().flat_map(specs) {
                scope.spawn(move || check_one(store, &spec, limits, GOAL));
            }
        });
        let counts = store.watches().counts();
        assert_eq!((counts.watchers, counts.unsynced), (0, 0));
        assert!(counts.delivered > 0);
    }
}

#[test]
fn watchers_go_on_at_the_store_that_takes_the_place_of_theirs() {
    const OLD: MainRevision = 100;
    const NEW: MainRevision = 150;
    const GOAL: MainRevision = 200;
    for (path, limits) in
        [0, 1].into_iter().flat_map(|path| [(path, WatchLimits::default()), (path, tight())])
    {
        let (old, new) = (&stores()[path], &stores()[1 - path]);
        // The same requests, of which one has some more.
        write(old, 7, OLD);
        write(new, 7, NEW);
        let old_end = old.published();
        let mut watchers: Vec<_> = [0, 1, 50, 120]
            .into_iter()
            .flat_map(specs)
            .map(|spec| {
                let mut watcher = Watcher::new(old, spec.clone(), limits);
                // Some have read a little, some nothing.
                let begun = (spec.interval == Interval::everything()).then(|| watcher.try_next());
                (spec, begun.flatten(), watcher)
            })
            .collect();
        old.watches().succeed(&present(new));
        write(new, 8, GOAL);
        for (spec, begun, watcher) in &mut watchers {
            let mut told = read_to(watcher, GOAL);
            if let Some(WatchResponse::Events { revision, events, .. }) = begun {
                let events = events.iter().map(|event| (**event).clone());
                match told.first_mut().filter(|(first, _)| first == revision) {
                    Some((_, rest)) => *rest = events.chain(rest.drain(..)).collect(),
                    None => told.insert(0, (*revision, events.collect())),
                }
            }
            let start = if spec.start_revision == 0 { old_end + 1 } else { spec.start_revision };
            let mut expected = history(new, spec, start, new.published());
            expected.retain(|(revision, _)| told.last().is_none_or(|(last, _)| revision <= last));
            assert!(told == expected, "{spec:?}: {} not {}", told.len(), expected.len());
            assert!(told.last().is_some_and(|(last, _)| *last > NEW), "{spec:?}");
        }
        let of = |store: &Store| store.watches().counts().watchers;
        assert_eq!((of(old), of(new)), (0, watchers.len()));
        drop(watchers);
        assert_eq!(of(new), 0);
    }
}

#[test]
fn who_waits_at_a_store_that_is_replaced_is_woken() {
    let [old, new] = stores();
    let mut watcher = watch(&old, everything(0));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| watcher.next(PATIENCE));
        while old.watches().counts().unsynced > 0 {
            std::thread::yield_now();
        }
        old.watches().succeed(&present(&new));
        let revision = put(&new, "k", "v");
        let told = waiting.join().unwrap();
        assert!(
            matches!(&told, Some(WatchResponse::Events { revision: at, .. }) if *at == revision),
            "{told:?}"
        );
    });
    // Who was about to begin there goes on as well.
    let mut late = watch(&old, everything(2));
    assert!(matches!(late.try_next(), Some(WatchResponse::Events { revision: 2, .. })));
}

#[test]
fn a_watcher_is_told_what_it_asked_for() {
    for store in stores() {
        put(&store, "a", "1");
        let mut watchers: Vec<_> = specs(0).into_iter().map(|spec| watch(&store, spec)).collect();
        put(&store, "a", "2");
        put_all(&store, &["b1", "b2", "a1"], "3");
        delete(&store, Interval::prefix("b"));
        let last = delete(&store, Interval::everything());
        for watcher in &mut watchers {
            assert!(watcher.is_synced());
            let told = read_to(watcher, last);
            assert_eq!(told, history(&store, watcher.spec(), 3, last), "{:?}", watcher.spec());
        }
        let mut later = watch(&store, everything(last + 2));
        put(&store, "a", "4");
        let last = put(&store, "a", "5");
        assert_eq!(read_to(&mut later, last), history(&store, later.spec(), last, last));
    }
}

#[test]
fn an_event_is_shared_by_all_who_want_the_same() {
    let store = &stores()[1];
    put(store, "k", "1");
    let point = WatchSpec { interval: Interval::point("k"), prev_kv: true, ..WatchSpec::default() };
    let specs = [everything(0), point.clone(), WatchSpec { prev_kv: false, ..point }];
    let mut watchers = specs.map(|spec| watch(store, spec));
    put(store, "k", "2");
    let [first, second, third] = watchers.each_mut().map(|watcher| match watcher.try_next() {
        Some(WatchResponse::Events { events, .. }) => events[0].clone(),
        other => panic!("{other:?}"),
    });
    assert!(Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&first, &third));
    assert_eq!(first.prev_kv.as_ref().unwrap().value, b"1");
    assert_eq!(third.prev_kv, None);
}

#[test]
fn progress_is_told_when_there_is_nothing_else_to_tell() {
    for store in stores() {
        let (one, two) = (put(&store, "a", "1"), put(&store, "b", "1"));
        let interval = Interval::point("a");
        let spec = WatchSpec { interval, start_revision: 1, progress: true, ..everything(0) };
        let mut watcher = watch(&store, spec.clone());
        assert!(!watcher.is_synced());
        watcher.request_progress();
        let first = watcher.try_next();
        assert!(matches!(first, Some(WatchResponse::Events { revision, .. }) if revision == one));
        assert_eq!(watcher.try_next(), Some(WatchResponse::Progress { revision: two }));
        assert_eq!(watcher.try_next(), None);
        let three = put(&store, "b", "2");
        assert_eq!(watcher.next(Duration::ZERO), Some(WatchResponse::Progress { revision: three }));
        let mut silent = watch(&store, WatchSpec { progress: false, ..spec });
        silent.try_next();
        assert_eq!(silent.next(Duration::from_millis(1)), None);
    }
}

#[test]
fn a_large_revision_is_split_only_if_that_was_asked_for() {
    for store in stores() {
        let limits = WatchLimits { fragment_bytes: 700, ..WatchLimits::default() };
        let [mut whole, mut split] = [false, true]
            .map(|fragment| Watcher::new(&store, WatchSpec { fragment, ..everything(0) }, limits));
        let last = put_all(&store, &["a", "b", "c", "d", "e", "f", "g"], &"v".repeat(80));
        let sizes = |watcher: &mut Watcher| {
            let mut sizes = Vec::new();
            while let Some(WatchResponse::Events { revision, events, fragment }) =
                watcher.try_next()
            {
                assert_eq!(revision, last);
                sizes.push((events.len(), fragment));
            }
            sizes
        };
        assert_eq!(sizes(&mut whole), [(7, false)]);
        assert_eq!(sizes(&mut split), [(2, true), (2, true), (2, true), (1, false)]);
    }
}

#[test]
fn a_slow_reader_goes_back_to_the_history_and_misses_nothing() {
    for store in stores() {
        let mut watcher = Watcher::new(&store, everything(0), tight());
        put_numbers(&store, 4);
        put_all(&store, &["a", "b", "c"], "all or nothing of them is in the buffer");
        assert!(!watcher.is_synced());
        assert_eq!(store.watches().counts().resyncs, 1);
        let last = put(&store, "k", "last");
        assert_eq!(read_to(&mut watcher, last), history(&store, &everything(0), 2, last));
        let counts = store.watches().counts();
        assert!(watcher.is_synced());
        assert_eq!((counts.watchers, counts.unsynced, counts.delivered), (1, 0, 8));
    }
}

#[test]
fn what_a_compaction_took_is_told() {
    for store in stores() {
        put_numbers(&store, 9);
        let mut slow = Watcher::new(&store, everything(4), tight());
        assert!(slow.try_next().is_some());
        compact(&store, 9);
        let cancelled = Some(WatchResponse::Cancelled { compact_revision: 9 });
        let mut too_early = watch(&store, everything(8));
        assert_eq!(too_early.try_next(), cancelled);
        assert_eq!(too_early.next(PATIENCE), cancelled, "it is told again, in place of nothing");
        let mut in_time = watch(&store, everything(9));
        assert_eq!(read_to(&mut in_time, 10).len(), 2);
        // Two more were read before the compaction.
        assert!(slow.try_next().is_some() && slow.try_next().is_some());
        assert_eq!(slow.try_next(), cancelled);
        let mut overflowed = Watcher::new(&store, everything(0), tight());
        put_numbers(&store, 20);
        compact(&store, 28);
        let told = std::iter::from_fn(|| match overflowed.try_next() {
            Some(WatchResponse::Events { revision, .. }) => Some(revision),
            other => {
                assert_eq!(other, Some(WatchResponse::Cancelled { compact_revision: 28 }));
                None
            }
        });
        assert_eq!(told.collect::<Vec<_>>(), (11..17).collect::<Vec<_>>());
        assert_eq!(store.watches().counts().watchers, 1, "only one of them goes on");
    }
}

struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_task_is_woken_and_a_dropped_watcher_is_gone() {
    for store in stores() {
        let woken = Arc::new(Counting(AtomicUsize::new(0)));
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        let mut watcher = watch(&store, everything(0));
        assert!(watcher.poll_next(&mut context).is_pending());
        let revision = put(&store, "k", "v");
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let told = watcher.poll_next(&mut context);
        assert!(
            matches!(told, Poll::Ready(WatchResponse::Events { revision: told, .. }) if told == revision)
        );
        assert!(watcher.poll_next(&mut context).is_pending());
        drop(watcher);
        put(&store, "k", "v");
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let expected = WatchCounts { delivered: 1, ..WatchCounts::default() };
        assert_eq!(store.watches().counts(), expected);
    }
}
