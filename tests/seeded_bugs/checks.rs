//! Who may accuse a store, a round with one seed each: the oracle, watchers that miss something, a log that is applied
//! again, a reader beside a writer.

use kvbench::model::{Body, Event, Interval, Position, Range, Request};
use kvbench::store::{
    ApplyPath, Command, SeededBug, WatchLimits, WatchResponse, WatchSpec, Watcher, open_seeded,
};
use kvbench::verify::equivalence::{difference_in, log_of};
use std::sync::Arc;
use std::thread;

/// Opens stores with the bug, if any, and says what is wrong with them.
pub(crate) type Check = fn(Option<SeededBug>, u64) -> Option<String>;

/// Requests of a log that is not compared with the oracle after every batch.
const REQUESTS: usize = 1_000;

/// Batches that a writer applies beside a reader, and the puts in each.
const BATCHES: i64 = 200;
const PUTS: i64 = 20;

/// Every response, event and byte of the state is the oracle's.
pub(crate) fn by_the_oracle(bug: Option<SeededBug>, seed: u64) -> Option<String> {
    let difference = difference_in(open_seeded(bug, seed), &log_of(seed))?;
    Some(format!("oracle, log {seed}, batch {}", difference.batch))
}

/// The writes of one seed's log, with their places.
fn writes(seed: u64, is_wanted: fn(&Request) -> bool) -> Vec<Command> {
    let writes = log_of(seed).into_iter().flatten().filter(Request::is_write).filter(is_wanted);
    let place = |(index, request)| Command { position: Position { index, offset: 0 }, request };
    (1..).zip(writes).map(place).take(REQUESTS).collect()
}

/// One that keeps up and one that comes late get what the store says has happened.
pub(crate) fn by_watchers(bug: Option<SeededBug>, seed: u64) -> Option<String> {
    let store = open_seeded(bug, seed);
    let watcher = |start_revision| {
        let interval = Interval::everything();
        let spec = WatchSpec { interval, start_revision, ..WatchSpec::default() };
        Watcher::new(&store, spec, WatchLimits::default())
    };
    let (mut prompt, mut told) = (watcher(0), Vec::new());
    read_on(&mut prompt, &mut told);
    // A compaction would take what the late one has not read.
    for batch in writes(seed, |request| !matches!(request, Request::Compact { .. })).chunks(30) {
        store.apply(&mut batch.to_vec(), &mut Vec::new());
        read_on(&mut prompt, &mut told);
    }
    let mut told_late = Vec::new();
    read_on(&mut watcher(2), &mut told_late);
    let happened = store.events(2, store.published()).unwrap();
    let without_prev = |event| Event { prev_kv: None, ..event };
    let happened: Vec<_> = happened.into_iter().map(without_prev).collect();
    let missed = |who, told: &Vec<Event>| {
        let wrong = *told != happened;
        wrong.then(|| format!("{who}: {} of {} events, log {seed}", told.len(), happened.len()))
    };
    missed("watcher", &told).or_else(|| missed("late watcher", &told_late))
}

fn read_on(watcher: &mut Watcher, told: &mut Vec<Event>) {
    while let Some(response) = watcher.try_next() {
        if let WatchResponse::Events { events, .. } = response {
            told.extend(events.iter().map(|event| Event::clone(event)));
        }
    }
}

/// Two nodes that cut the log differently end alike, and the log that comes again changes nothing.
pub(crate) fn by_replay(bug: Option<SeededBug>, seed: u64) -> Option<String> {
    let (one, other) = (open_seeded(bug, seed), open_seeded(bug, !seed));
    let log = writes(seed, |_| true);
    let apply = |store: &Arc<dyn ApplyPath>, size| {
        log.chunks(size).for_each(|batch| store.apply(&mut batch.to_vec(), &mut Vec::new()));
        store.digest()
    };
    let digest = apply(&one, 40);
    if digest != apply(&other, 7) {
        return Some(format!("replay: two nodes differ, log {seed}"));
    }
    (digest != apply(&one, 40)).then(|| format!("replay: applied twice, log {seed}"))
}

/// Whoever reads at the published revision finds what was written for it.
pub(crate) fn by_a_reader(bug: Option<SeededBug>, seed: u64) -> Option<String> {
    let store = open_seeded(bug, seed);
    let put = || Command { position: Position::default(), request: Request::put("k", "v") };
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..BATCHES {
                store.apply(&mut (0..PUTS).map(|_| put()).collect(), &mut Vec::new());
            }
        });
        while !writer.is_finished() {
            let revision = store.published();
            let range = Range { interval: Interval::point("k"), revision, ..Range::default() };
            let found = match store.read(&Request::Range(range)).response.result {
                Ok(Body::Range(found)) => found.kvs.first().map_or(1, |kv| kv.mod_revision),
                other => return Some(format!("reader: {other:?}")),
            };
            if found != revision {
                return Some(format!("reader: revision {found} at {revision}"));
            }
        }
        None
    })
}
