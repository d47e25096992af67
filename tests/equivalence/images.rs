//! A store that is loaded from the image of another goes on as the other would have: same responses, events and state, on whichever
//! path and engine it is loaded, and even if the image was being written while the other went on.

use kvbench::measure::stage::Probe;
use kvbench::model::Request;
use kvbench::store::{self, ApplyPath, Config, EngineKind, ImageError, Parallelism, PathKind};
use kvbench::verify::equivalence::log_of;
use kvbench::verify::equivalence::{Subject, state_difference};
use kvbench::verify::oracle::Oracle;
use std::sync::Arc;
use std::sync::mpsc::channel;

const SEEDS: u64 = 6;
/// Batches between two moves.
const BATCHES: usize = 9;

pub(crate) fn configs() -> Vec<Config> {
    let paths = [
        PathKind::GlobalMutex,
        PathKind::Sharded { shards: 16, workers: 1 },
        PathKind::Sharded { shards: 4, workers: 2 },
    ];
    let parallelism = Parallelism { parallel_from: Some(1), shuffled_claims: None };
    let on = |engine: EngineKind| {
        paths.map(|path| Config { engine, hash_seed: 3, parallelism, ..Config::in_memory(path) })
    };
    let mut configs = on(EngineKind::Memory).to_vec();
    if cfg!(feature = "rocksdb") {
        let state_sync = store::StateSync::RaftLogOnly;
        let on_disk = on(EngineKind::RocksDb { state_sync });
        // Memory and disk in turn, so that every kind is loaded from every other.
        configs = configs.into_iter().zip(on_disk).flat_map(|(a, b)| [a, b]).collect();
    }
    configs
}

fn image(store: &dyn ApplyPath) -> Vec<u8> {
    let mut image = Vec::new();
    let mut held = false;
    store.write_image(&mut image, &mut || held = true).unwrap();
    assert!(held);
    image
}

fn load(
    config: Config,
    image: &[u8],
) -> (tempfile::TempDir, Result<Arc<dyn ApplyPath>, ImageError>) {
    let folder = tempfile::tempdir().unwrap();
    let loaded = store::load(config, &folder.path().join("db"), Probe::off(), &mut &image[..]);
    (folder, loaded)
}

#[test]
fn a_store_moves_on_as_if_it_had_not_moved() {
    let configs = configs();
    for seed in 0..SEEDS {
        let folder = tempfile::tempdir().unwrap();
        let first = store::open(configs[0], folder.path(), Probe::off()).unwrap();
        let (mut subject, mut oracle) = (Subject { store: first }, Oracle::new());
        let mut folders = vec![folder];
        let mut from = 1;
        for (number, batch) in log_of(seed).iter().enumerate() {
            let expected: Vec<_> = batch.iter().map(|request| oracle.apply(request)).collect();
            assert_eq!(subject.execute(batch, from), expected, "seed {seed}, batch {number}");
            from += batch.len() as u64;
            if number % BATCHES == 0 {
                let config = configs[(number / BATCHES) % configs.len()];
                let image = image(&*subject.store);
                let alarms = 9 * oracle.dump().alarms.len() as u64;
                assert_eq!(subject.store.bytes() + alarms, image.len() as u64, "{config:?}");
                let (folder, loaded) = load(config, &image);
                let loaded = loaded.unwrap();
                assert_eq!(loaded.applied(), subject.store.applied());
                subject = Subject { store: loaded };
                folders.push(folder);
                // All that history still holds, not only what the last batch changed.
                let difference = state_difference(&subject, &oracle, oracle.compacted() - 1);
                assert_eq!(difference, None, "seed {seed}, batch {number}, {config:?}");
            }
        }
    }
}

/// The image is of one moment although the store goes on, compactions included, and the log from there on makes it equal again.
#[test]
fn an_image_is_of_one_moment() {
    let configs = configs();
    for (number, config) in configs.iter().enumerate() {
        let log = log_of(100 + number as u64);
        let folder = tempfile::tempdir().unwrap();
        let store = store::open(*config, folder.path(), Probe::off()).unwrap();
        let subject = Subject { store: store.clone() };
        let (before, after) = log.split_at(log.len() / 2);
        let first_after = execute_all(&subject, before, 1);
        let (tell, told) = channel();
        let writing = std::thread::spawn(move || {
            let mut image = Vec::new();
            store.write_image(&mut image, &mut || tell.send(()).unwrap()).unwrap();
            image
        });
        told.recv().unwrap();
        execute_all(&subject, after, first_after);
        let (_kept, loaded) = load(configs[(number + 1) % configs.len()], &writing.join().unwrap());
        let loaded = Subject { store: loaded.unwrap() };
        assert_eq!(loaded.store.applied().index + 1, first_after_write(before, first_after));
        execute_all(&loaded, &log, 1);
        assert_eq!(loaded.store.dump(), subject.store.dump(), "{config:?}");
    }
}

/// The index after the last write of `before`, whose next free index is `next`.
fn first_after_write(before: &[Vec<Request>], next: u64) -> u64 {
    let requests: Vec<&Request> = before.iter().flatten().collect();
    let reads = requests.iter().rev().take_while(|request| !request.is_write()).count();
    next - reads as u64
}

fn execute_all(subject: &Subject, log: &[Vec<Request>], mut from: u64) -> u64 {
    for batch in log {
        subject.execute(batch, from);
        from += batch.len() as u64;
    }
    from
}

#[test]
fn a_damaged_image_is_refused_whatever_was_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let config = configs()[0];
    let subject = Subject { store: store::open(config, folder.path(), Probe::off()).unwrap() };
    execute_all(&subject, &log_of(1)[..20], 1);
    let image = image(&*subject.store);
    for place in (0..image.len()).step_by(1 + image.len() / 500) {
        let mut damaged = image.clone();
        damaged[place] ^= 0x10;
        assert!(load(config, &damaged).1.is_err(), "byte {place} of {}", image.len());
        assert!(load(config, &image[..place]).1.is_err(), "cut at {place}");
    }
    assert!(load(config, &image).1.is_ok());
}
