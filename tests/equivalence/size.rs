//! How large a store says it is: exactly what it holds, on every path and engine, and after forgetting no more than what can be read.

use crate::images::configs;
use kvbench::measure::stage::Probe;
use kvbench::model::{EventKind, Request};
use kvbench::store;
use kvbench::verify::equivalence::log_of;
use kvbench::verify::equivalence::{Subject, state_difference};
use kvbench::verify::oracle::Oracle;

/// Bytes of an image beside its leases and versions, of a lease, and of a version beside its key and value.
const FRAME: usize = 80;
const LEASE: usize = 16;
const VERSION: usize = 44;

/// What is left when all but the newest revision is compacted: the keys that live, and what was deleted in that very revision.
fn expected(oracle: &Oracle) -> usize {
    let dump = oracle.dump();
    let live = dump.keys.iter().map(|kv| VERSION + kv.key.len() + kv.value.len());
    let last = oracle.events(dump.revision, dump.revision).unwrap();
    let deleted = last.iter().filter(|event| event.kind == EventKind::Delete);
    let tombstones = deleted.map(|event| VERSION + event.kv.key.len());
    FRAME + LEASE * dump.leases.len() + live.sum::<usize>() + tombstones.sum::<usize>()
}

#[test]
fn what_is_forgotten_takes_no_room() {
    for (number, config) in configs().into_iter().enumerate() {
        assert_forgets(config, &log_of(40 + number as u64));
    }
}

/// One that is forgotten by the very commit that writes its key again.
#[test]
fn a_tombstone_is_forgotten_once() {
    let put = |key: &str| Request::put(key, "value");
    let first = vec![put("t"), Request::delete("t"), put("x"), Request::Compact { revision: 4 }];
    // As many as make a portion of what is forgotten, and more.
    let others = (0..400).map(|number| put(&format!("{:02}", number % 100)));
    let second: Vec<Request> = others.chain([put("t")]).collect();
    for config in configs() {
        assert_forgets(config, &[first.clone(), second.clone()]);
    }
}

/// That a store which executed `log` holds what can be read and no more, once all before the end is compacted and forgotten.
fn assert_forgets(config: store::Config, log: &[Vec<Request>]) {
    let folder = tempfile::tempdir().unwrap();
    let store = store::open(config, folder.path(), Probe::off()).unwrap();
    let (subject, mut oracle) = (Subject { store }, Oracle::new());
    assert_eq!(subject.store.bytes(), FRAME as u64);
    let mut from = 1;
    for batch in log {
        batch.iter().for_each(|request| drop(oracle.apply(request)));
        subject.execute(batch, from);
        from += batch.len() as u64;
    }
    let compact = Request::Compact { revision: oracle.revision() };
    let disarm = oracle.dump().alarms.into_iter().map(Request::AlarmDeactivate);
    let end: Vec<Request> = disarm.chain([compact]).collect();
    end.iter().for_each(|request| drop(oracle.apply(request)));
    subject.execute(&end, from);
    let before = subject.store.bytes();
    subject.store.defragment();
    assert_eq!(subject.store.bytes(), expected(&oracle) as u64, "{config:?}");
    assert!(before > subject.store.bytes(), "{config:?}: nothing was left to forget");
    let difference = state_difference(&subject, &oracle, oracle.revision() - 1);
    assert_eq!(difference, None, "{config:?}");
}

/// Batches as large as many portions of what is forgotten, each after a compaction of all before it.
#[test]
fn what_is_compacted_does_not_pile_up() {
    const KEYS: usize = 100;
    const PUTS: usize = 3_000;
    for config in configs() {
        let folder = tempfile::tempdir().unwrap();
        let subject = Subject { store: store::open(config, folder.path(), Probe::off()).unwrap() };
        let mut from = 1;
        for _ in 0..8 {
            let compact = Request::Compact { revision: subject.store.published() };
            let puts = (0..PUTS).map(|number| Request::put(format!("{:02}", number % KEYS), "v"));
            let batch: Vec<Request> = [compact].into_iter().chain(puts).collect();
            subject.execute(&batch, from);
            from += batch.len() as u64;
        }
        let most = FRAME + 2 * PUTS * (VERSION + "00v".len());
        let held = subject.store.bytes();
        assert!(held <= most as u64, "{config:?} holds {held} bytes, {most} at most are expected");
    }
}

#[cfg(feature = "rocksdb")]
#[test]
fn a_database_keeps_its_alarms_and_knows_its_size() {
    use kvbench::model::{Alarm, AlarmKind};
    let config = store::Config {
        engine: store::EngineKind::RocksDb { state_sync: store::StateSync::PerBatch },
        ..store::Config::in_memory(store::PathKind::GlobalMutex)
    };
    let folder = tempfile::tempdir().unwrap();
    let open = || Subject { store: store::open(config, folder.path(), Probe::off()).unwrap() };
    let subject = open();
    let alarms = [
        Alarm { kind: AlarmKind::NoSpace, member: 7 },
        Alarm { kind: AlarmKind::Corrupt, member: u64::MAX },
    ];
    let ended = Alarm { kind: AlarmKind::NoSpace, member: 8 };
    let raise = alarms.into_iter().chain([ended]).map(Request::AlarmActivate);
    let puts = (0..9).map(|n| Request::put(format!("k{}", n % 4), "v"));
    let log: Vec<Request> = puts.chain(raise).chain([Request::AlarmDeactivate(ended)]).collect();
    subject.execute(&log, 1);
    let (bytes, dump) = (subject.store.bytes(), subject.store.dump());
    assert_eq!(dump.alarms, alarms);
    drop(subject);
    let subject = open();
    assert_eq!((subject.store.bytes(), subject.store.dump()), (bytes, dump));
}
