//! What apply paths tell of the clock: every request of a small batch, of a large one a sample that stands for all, and locks that say the same.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

use kvbench::clock::Clock;
use kvbench::measure::lock::{LockTally, tallies};
use kvbench::measure::stage::{Probe, Stamps};
use kvbench::model::{Position, Request};
use kvbench::store::{
    self, Answer, ApplyPath, Command, Config, EngineKind, Parallelism, PathKind, StateSync,
};
use kvbench::units::Nanos;
use std::path::Path;
use std::sync::Arc;

/// Beyond this many requests in a batch only some are stamped.
const ALL_UP_TO: u64 = 64;
const LARGE: u64 = ALL_UP_TO + 1;
const BATCHES: u64 = 3_000;

fn paths(folder: &Path, probe: Probe) -> Vec<(EngineKind, Arc<dyn ApplyPath>)> {
    let mut engines = vec![EngineKind::Memory];
    if cfg!(feature = "rocksdb") {
        engines.push(EngineKind::RocksDb { state_sync: StateSync::RaftLogOnly });
    }
    let sharded = |workers| PathKind::Sharded { shards: 16, workers };
    let parallelism = Parallelism { parallel_from: Some(0), ..Parallelism::default() };
    let paths = [PathKind::GlobalMutex, sharded(1), sharded(2)];
    let both = |engine| {
        paths.map(|path| (engine, Config { parallelism, engine, ..Config::in_memory(path) }))
    };
    let open = |(place, (engine, config)): (usize, (EngineKind, Config))| {
        let folder = folder.join(place.to_string());
        std::fs::create_dir(&folder).unwrap();
        (engine, store::open(config, &folder, probe).unwrap())
    };
    engines.into_iter().flat_map(both).enumerate().map(open).collect()
}

/// What is told of `count` puts in one batch.
fn put(store: &dyn ApplyPath, count: u64) -> Vec<Stamps> {
    let put = |number: u64| Request::put(format!("key {number}"), "value");
    let command = |number| Command { position: Position::default(), request: put(number) };
    let mut answers: Vec<Answer> = Vec::new();
    store.apply(&mut (0..count).map(command).collect(), &mut answers);
    answers.iter().map(|answer| answer.stamps).collect()
}

fn of_keys(store: &dyn ApplyPath) -> LockTally {
    let all = tallies(|visit| store.visit_locks(visit));
    all.iter().find(|named| named.name == "store").unwrap().sum()
}

fn is_in_order(stamps: &Stamps) -> bool {
    Nanos::ZERO < stamps.locked && stamps.locked <= stamps.applied
}

#[test]
fn every_request_of_a_small_batch_is_stamped() {
    let folder = tempfile::tempdir().unwrap();
    for (_, store) in paths(folder.path(), Probe::on(Clock::start())) {
        let told = put(&*store, ALL_UP_TO);
        assert_eq!(told.len() as u64, ALL_UP_TO);
        assert!(told.iter().all(|stamps| stamps.stands_for == 1 && is_in_order(stamps)));
    }
}

#[test]
fn a_sample_of_a_large_batch_stands_for_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    for (engine, store) in paths(folder.path(), Probe::on(Clock::start())) {
        let told: Vec<_> = (0..BATCHES).flat_map(|_| put(&*store, LARGE)).collect();
        let (stamped, others): (Vec<_>, Vec<_>) =
            told.into_iter().partition(|stamps| stamps.stands_for > 0);
        assert!(stamped.iter().all(is_in_order));
        assert!(others.len() > stamped.len(), "{} and {}", others.len(), stamped.len());

        let puts = BATCHES * LARGE;
        let stand_for: u64 = stamped.iter().map(|stamps| u64::from(stamps.stands_for)).sum();
        // Throws of one in eight that count eightfold have a deviation of 8 √(puts · 7/64); six of them.
        let room = 48.0 * (puts as f64 * 7.0 / 64.0).sqrt();
        assert!((stand_for.abs_diff(puts) as f64) < room, "{stand_for} of {puts}");

        if engine != EngineKind::Memory {
            // Behind one mutex a batch takes it once there.
            continue;
        }
        let tally = of_keys(&*store);
        assert_eq!(tally.acquisitions, puts, "each is counted, and takes one lock");
        let held =
            |stamps: &Stamps| stamps.applied.since(stamps.locked).0 * u64::from(stamps.stands_for);
        assert_eq!(tally.hold_ns, stamped.iter().map(held).sum::<u64>());
    }
}

#[test]
fn without_a_clock_nothing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for (_, store) in paths(folder.path(), Probe::off()) {
        let told = [put(&*store, 1), put(&*store, LARGE)].concat();
        assert!(
            told.iter().all(|stamps| (stamps.locked, stamps.applied) == (Nanos::ZERO, Nanos::ZERO))
        );
        assert_eq!(of_keys(&*store).hold_ns, 0);
    }
}
