//! Readers never see the middle of a request. Threads write what belongs together, in different shards and in batches of
//! all sizes, while others read it in every way there is: what one read finds agrees, whatever was being written or
//! compacted meanwhile, and no reader goes back.
//!
//! Caveat: threads meet by chance here. `shuttle/` and `loom/` choose who runs, on fewer operations.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

use kvbench::measure::stage::Probe;
use kvbench::model::{
    Body, DeleteRange, Event, EventKind, Interval, KeyValue, LeaseId, MainRevision, Position, Put,
    Range, RangeResult, Refusal, Request, RequestOp, Response, Txn,
};
use kvbench::seed::Seed;
use kvbench::store::{self, ApplyPath, Command, Config, EngineKind, Parallelism, PathKind};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

const WRITERS: usize = 2;
const READERS: usize = 3;
/// Batches that each writer applies to a store; readers read until all are applied.
const BATCHES: usize = 60;
const BATCH_REQUESTS_MAX: usize = 50;
/// Each reader reads at least this often, however fast the writers are.
const READS_MIN: usize = 50;

/// Keys that belong together; more than one shard holds them.
const KEYS: usize = 8;
const SHARDS: u32 = 16;
/// What all accounts of a writer hold together.
const SUM: i64 = 100 * KEYS as i64;
/// Revisions that a compaction leaves, at most: few, so that it overtakes readers.
const KEPT_REVISIONS_MAX: MainRevision = 40;
/// Historical reads that are repeated later.
const SAVED_MAX: usize = 4;

/// A store that is written and read at once.
struct Subject {
    store: Arc<dyn ApplyPath>,
    /// Newest revision that a compaction was asked for.
    compacted: AtomicI64,
    /// Writers that are not done.
    writing: AtomicUsize,
    start: Barrier,
}

fn key(group: &str, number: usize) -> Vec<u8> {
    format!("{group}/{number}").into_bytes()
}

fn put(key: Vec<u8>, number: i64, lease: LeaseId) -> RequestOp {
    let value = number.to_string().into_bytes();
    RequestOp::Put(Put { key, value, lease, ..Put::default() })
}

fn delete(group: &str) -> DeleteRange {
    DeleteRange { interval: Interval::prefix(format!("{group}/")), prev_kv: false }
}

fn all(success: Vec<RequestOp>) -> Request {
    Request::Txn(Txn { success, ..Txn::default() })
}

fn puts(group: &str, number: i64, lease: LeaseId) -> Vec<RequestOp> {
    (0..KEYS).map(|place| put(key(group, place), number, lease)).collect()
}

fn number(kv: &KeyValue) -> i64 {
    std::str::from_utf8(&kv.value).unwrap().parse().unwrap()
}

/// One thread that writes.
struct Writer {
    name: usize,
    random: ChaCha8Rng,
    written: i64,
    accounts: [i64; KEYS],
    lease: LeaseId,
}

impl Writer {
    fn new(name: usize, seed: Seed) -> Writer {
        let random = seed.stream("visibility-writer", name as u64);
        let lease = name as LeaseId + 1;
        Writer { name, random, written: 0, accounts: [SUM / KEYS as i64; KEYS], lease }
    }

    /// What has to be there before anybody reads.
    fn first(&self) -> Vec<Request> {
        let bank = (0..KEYS).map(|place| self.deposit(place)).collect();
        let right = puts("swap/right", 0, 0);
        vec![all(puts("same", 0, 0)), all(right), all(bank)]
    }

    fn deposit(&self, account: usize) -> RequestOp {
        put(key(&format!("bank/{}", self.name), account), self.accounts[account], 0)
    }

    fn batch(&mut self, subject: &Subject) -> Vec<Request> {
        let requests = self.random.random_range(1..=BATCH_REQUESTS_MAX);
        let mut batch: Vec<_> = (0..requests).flat_map(|_| self.requests()).collect();
        if self.random.random_bool(0.5) {
            let kept = self.random.random_range(0..=KEPT_REVISIONS_MAX);
            let revision = (subject.store.published() - kept).max(1);
            subject.compacted.fetch_max(revision, Ordering::SeqCst);
            let place = self.random.random_range(0..=batch.len());
            batch.insert(place, Request::Compact { revision });
        }
        batch
    }

    fn requests(&mut self) -> Vec<Request> {
        self.written += 1;
        // No number is written twice, so that a mixture cannot look whole.
        let number = self.written * WRITERS as i64 + self.name as i64;
        match self.random.random_range(0..10) {
            0..3 => vec![all(puts("same", number, 0))],
            3..6 => vec![self.transfer()],
            6 => vec![Request::DeleteRange(delete("gone")), all(puts("gone", number, 0))],
            7 => vec![swap("left", "right", number)],
            8 => vec![swap("right", "left", number)],
            _ => self.lease(number),
        }
    }

    fn transfer(&mut self) -> Request {
        let from = self.random.random_range(0..KEYS);
        let to = (from + self.random.random_range(1..KEYS)) % KEYS;
        let amount = self.random.random_range(1..10);
        self.accounts[from] -= amount;
        self.accounts[to] += amount;
        all(vec![self.deposit(from), self.deposit(to)])
    }

    /// The next of: a lease granted, keys hung on it, all of them revoked at once.
    fn lease(&mut self, number: i64) -> Vec<Request> {
        let id = self.lease;
        self.lease += WRITERS as LeaseId;
        vec![
            Request::LeaseGrant { id, ttl_s: 60 },
            all(puts(&format!("leased/{}", self.name), number, id)),
            Request::LeaseRevoke { id },
        ]
    }
}

/// Keys vanish on one side and appear on the other; all that one request changes is on both.
fn swap(from: &str, to: &str, number: i64) -> Request {
    let mut ops = vec![RequestOp::DeleteRange(delete(&format!("swap/{from}")))];
    ops.extend(puts(&format!("swap/{to}"), number, 0));
    all(ops)
}

impl Subject {
    fn apply(&self, batch: Vec<Request>) {
        let command = |request| Command { position: Position::default(), request };
        let mut answers = Vec::new();
        self.store.apply(&mut batch.into_iter().map(command).collect(), &mut answers);
        for answer in answers {
            let result = answer.response.result;
            // The other writer may have compacted further.
            assert!(matches!(result, Ok(_) | Err(Refusal::Compacted)), "{result:?}");
        }
    }

    fn write(&self, mut writer: Writer) {
        self.start.wait();
        for _ in 0..BATCHES {
            let batch = writer.batch(self);
            self.apply(batch);
        }
        self.writing.fetch_sub(1, Ordering::SeqCst);
    }

    fn read(&self, mut reader: Reader<'_>) {
        self.start.wait();
        let mut reads = 0;
        while reads < READS_MIN || self.writing.load(Ordering::SeqCst) > 0 {
            reader.read_something();
            reads += 1;
        }
    }
}

/// One thread that reads.
struct Reader<'a> {
    subject: &'a Subject,
    random: ChaCha8Rng,
    /// Newest revision it was told.
    newest: MainRevision,
    /// Historical reads, to be repeated.
    saved: Vec<(MainRevision, Vec<KeyValue>)>,
    /// First revision whose events it has not seen.
    next_event: MainRevision,
}

impl<'a> Reader<'a> {
    fn new(subject: &'a Subject, name: usize, seed: Seed) -> Reader<'a> {
        let random = seed.stream("visibility-reader", name as u64);
        let newest = subject.store.published();
        Reader { subject, random, newest, saved: Vec::new(), next_event: newest + 1 }
    }

    fn read_something(&mut self) {
        match self.random.random_range(0..8) {
            0 => self.intervals(),
            1 => self.gets(),
            2 => self.points(),
            3 => self.events(),
            4 => self.leases(),
            5 => self.remember(),
            6 => self.repeat(),
            _ => self.everything(),
        }
    }

    fn ask(&mut self, request: &Request) -> Response {
        let response = self.subject.store.read(request).response;
        assert!(response.revision >= self.newest, "a reader went back");
        self.newest = response.revision;
        response
    }

    fn range(&mut self, range: Range) -> Result<RangeResult, Refusal> {
        let asked = Request::Range(range);
        let response = self.ask(&asked);
        let found = match response.result? {
            Body::Range(found) => found,
            other => panic!("a range was answered with {other:?}"),
        };
        let newest = found.kvs.iter().map(|kv| kv.mod_revision).max().unwrap_or(0);
        assert!(newest <= response.revision, "{asked:?}: {newest} at {}", response.revision);
        Ok(found)
    }

    fn now(&mut self, interval: Interval) -> Vec<KeyValue> {
        self.range(Range { interval, ..Range::default() }).unwrap().kvs
    }

    fn intervals(&mut self) {
        for group in ["same/", "gone/", "swap/", "bank/", "leased/0/", "leased/1/"] {
            let kvs = self.now(Interval::prefix(group));
            check_group(group, &kvs, self.newest);
        }
    }

    /// All groups at once, so that they also have to be of one revision.
    fn everything(&mut self) {
        let kvs = self.now(Interval::everything());
        check_all(&kvs, self.newest);
    }

    /// Single keys that are read in one transaction.
    fn gets(&mut self) {
        for group in ["same", "bank/0", "bank/1", "gone"] {
            let get = |place| {
                let interval = Interval::point(key(group, place));
                RequestOp::Range(Range { interval, ..Range::default() })
            };
            let response = self.ask(&all((0..KEYS).map(get).collect()));
            let Ok(Body::Txn { responses, .. }) = response.result else {
                panic!("{response:?}");
            };
            let mut kvs = Vec::new();
            for step in responses {
                assert_eq!(step.revision, response.revision);
                let Body::Range(mut found) = step.body else { panic!("{:?}", step.body) };
                kvs.append(&mut found.kvs);
            }
            check_group(group, &kvs, response.revision);
        }
    }

    /// What is read later is not older.
    fn points(&mut self) {
        let mut before = 0;
        for _ in 0..KEYS {
            let place = self.random.random_range(0..KEYS);
            let found = self.now(Interval::point(key("same", place)));
            let [kv] = &found[..] else { panic!("{found:?}") };
            assert!(kv.mod_revision >= before, "one request wrote both");
            before = kv.mod_revision;
        }
    }

    /// Every revision up to the newest this reader was told, each of them whole.
    fn events(&mut self) {
        if self.next_event > self.newest {
            return;
        }
        assert!(self.subject.store.published() >= self.newest, "told before it was published");
        match self.subject.store.events(self.next_event, self.newest) {
            Ok(events) => {
                check_events(&events, self.next_event, self.newest);
                self.next_event = self.newest + 1;
            }
            Err(compacted) => {
                assert!(self.next_event < compacted);
                assert!(compacted <= self.subject.compacted.load(Ordering::SeqCst));
                self.next_event = compacted;
            }
        }
    }

    fn leases(&mut self) {
        let response = self.ask(&Request::Leases);
        let Ok(Body::Leases(ids)) = response.result else { panic!("{response:?}") };
        // The one after those that are there may be granted meanwhile.
        let next = ids.iter().max().map_or(1, |id| id + WRITERS as LeaseId);
        ids.into_iter().chain([next]).for_each(|id| self.time_to_live(id));
    }

    /// A lease's keys are what a range finds at the revision of the answer.
    fn time_to_live(&mut self, id: LeaseId) {
        let response = self.ask(&Request::LeaseTimeToLive { id, keys: true });
        let Ok(Body::LeaseTimeToLive(status)) = response.result else { panic!("{response:?}") };
        assert!([0, KEYS].contains(&status.keys.len()), "{status:?}");
        assert!(status.granted_ttl_s > 0 || status.keys.is_empty(), "{status:?}");
        if let Ok(keys) = self.keys_of_lease(id, response.revision) {
            assert_eq!(keys, status.keys, "{status:?} at {}", response.revision);
        }
    }

    /// By reading; not if compacted.
    fn keys_of_lease(&mut self, id: LeaseId, revision: MainRevision) -> Result<Vec<Vec<u8>>, ()> {
        let interval = Interval::prefix("leased/");
        let found = self.range(Range { interval, revision, ..Range::default() });
        let Some(kvs) = self.unless_compacted(found, revision) else { return Err(()) };
        Ok(kvs.into_iter().filter(|kv| kv.lease == id).map(|kv| kv.key).collect())
    }

    fn unless_compacted(
        &self,
        found: Result<RangeResult, Refusal>,
        revision: MainRevision,
    ) -> Option<Vec<KeyValue>> {
        match found {
            Ok(found) => Some(found.kvs),
            Err(Refusal::Compacted) => {
                assert!(revision < self.subject.compacted.load(Ordering::SeqCst), "{revision}");
                None
            }
            Err(refusal) => panic!("at {revision}: {refusal}"),
        }
    }

    fn then(&mut self, revision: MainRevision) -> Option<Vec<KeyValue>> {
        let interval = Interval::everything();
        let found = self.range(Range { interval, revision, ..Range::default() });
        let kvs = self.unless_compacted(found, revision)?;
        check_all(&kvs, revision);
        Some(kvs)
    }

    fn remember(&mut self) {
        let revision = self.newest;
        if let Some(kvs) = self.then(revision) {
            self.saved.truncate(SAVED_MAX - 1);
            self.saved.insert(0, (revision, kvs));
        }
    }

    /// The past does not change.
    fn repeat(&mut self) {
        for (revision, before) in std::mem::take(&mut self.saved) {
            if let Some(kvs) = self.then(revision) {
                assert_eq!(kvs, before, "{revision} has changed");
                self.saved.push((revision, before));
            }
        }
    }
}

/// What is in a group was written by one request, or keeps a sum.
fn check_group(group: &str, kvs: &[KeyValue], revision: MainRevision) {
    let context = || format!("{group} at {revision}: {kvs:?}");
    assert!(kvs.iter().all(|kv| kv.mod_revision <= revision), "{}", context());
    assert!(kvs.iter().all(|kv| kv.create_revision <= kv.mod_revision), "{}", context());
    match group.split('/').next().unwrap() {
        "bank" => {
            let sum: i64 = kvs.iter().map(number).sum();
            assert_eq!(sum * KEYS as i64, SUM * kvs.len() as i64, "{}", context());
            assert!(!kvs.is_empty() && kvs.len().is_multiple_of(KEYS), "{}", context());
        }
        "gone" | "leased" => assert!([0, KEYS].contains(&kvs.len()), "{}", context()),
        _ => assert_eq!(kvs.len(), KEYS, "{}", context()),
    }
    if !group.starts_with("bank") {
        let whole = |kv: &KeyValue| (kv.value.clone(), kv.mod_revision, kv.version, kv.lease);
        assert!(kvs.windows(2).all(|pair| whole(&pair[0]) == whole(&pair[1])), "{}", context());
    }
}

fn check_all(kvs: &[KeyValue], revision: MainRevision) {
    for group in ["same/", "gone/", "swap/", "bank/", "leased/0/", "leased/1/"] {
        let of_group = kvs.iter().filter(|kv| kv.key.starts_with(group.as_bytes()));
        check_group(group, &of_group.cloned().collect::<Vec<_>>(), revision);
    }
}

/// Every revision in `from..=to` is there, each with all of its changes.
fn check_events(events: &[Event], from: MainRevision, to: MainRevision) {
    let mut by_revision: BTreeMap<MainRevision, Vec<&Event>> = BTreeMap::new();
    for event in events {
        by_revision.entry(event.kv.mod_revision).or_default().push(event);
    }
    let revisions: Vec<_> = by_revision.keys().copied().collect();
    assert_eq!(revisions, (from..=to).collect::<Vec<_>>(), "no revision is missing");
    for (revision, events) in by_revision {
        assert!(events.iter().zip(0..).all(|(event, sub)| event.sub == sub), "{events:?}");
        let deleted = events.iter().filter(|event| event.kind == EventKind::Delete).count();
        let written = events.len() - deleted;
        let is_bank = events[0].kv.key.starts_with(b"bank/");
        let whole = [0, KEYS].contains(&deleted) && [0, KEYS].contains(&written);
        assert!(whole || (is_bank && events.len() == 2), "{revision}: {events:?}");
    }
}

fn run(config: Config, seed: Seed) {
    let folder = tempfile::tempdir().unwrap();
    let store = store::open(config, folder.path(), Probe::off()).unwrap();
    let subject = Subject {
        store,
        compacted: AtomicI64::new(0),
        writing: AtomicUsize::new(WRITERS),
        start: Barrier::new(WRITERS + READERS),
    };
    let writers: Vec<_> = (0..WRITERS).map(|name| Writer::new(name, seed)).collect();
    subject.apply(writers.iter().flat_map(Writer::first).collect());
    thread::scope(|threads| {
        let subject = &subject;
        for writer in writers {
            threads.spawn(move || subject.write(writer));
        }
        for name in 0..READERS {
            let reader = Reader::new(subject, name, seed);
            threads.spawn(move || subject.read(reader));
        }
    });
    let dump = subject.store.dump();
    check_all(&dump.keys, dump.revision);
    assert!(dump.compacted > 0 && dump.leases.is_empty(), "{dump:?}");
}

fn check(engine: EngineKind, path: PathKind, seeds: u64) {
    for seed in 0..seeds {
        let parallelism = Parallelism { parallel_from: Some(1), shuffled_claims: None };
        let store = Config { engine, hash_seed: seed, parallelism, ..Config::in_memory(path) };
        run(store, Seed(seed));
    }
}

/// Stores that are tried one after the other, each with requests of its own.
const MEMORY_SEEDS: u64 = 20;

#[test]
fn one_lock_in_memory() {
    check(EngineKind::Memory, PathKind::GlobalMutex, MEMORY_SEEDS);
}

#[test]
fn shards_in_memory() {
    let path = PathKind::Sharded { shards: SHARDS, workers: 1 };
    check(EngineKind::Memory, path, MEMORY_SEEDS);
}

#[test]
fn workers_in_memory() {
    let path = PathKind::Sharded { shards: SHARDS, workers: 2 };
    check(EngineKind::Memory, path, MEMORY_SEEDS);
}

#[cfg(feature = "rocksdb")]
mod rocksdb {
    use super::*;
    use kvbench::model::OpResponse;
    use kvbench::store::StateSync;
    use std::sync::mpsc;

    const ENGINE: EngineKind = EngineKind::RocksDb { state_sync: StateSync::RaftLogOnly };
    const SEEDS: u64 = 5;

    /// Whoever is told a revision finds everything up to it, although others, whose batches are committed apart from ours, got theirs
    /// at the same time.
    #[test]
    fn a_revision_covers_those_before_it_whoever_commits_them() {
        for state_sync in [StateSync::RaftLogOnly, StateSync::PerBatch] {
            for workers in [1, 2] {
                let path = PathKind::Sharded { shards: SHARDS, workers };
                let engine = EngineKind::RocksDb { state_sync };
                let config = Config { engine, ..Config::in_memory(path) };
                let folder = tempfile::tempdir().unwrap();
                put_and_count(&*store::open(config, folder.path(), Probe::off()).unwrap());
            }
        }
    }

    const PUTTERS: usize = 4;
    const PUTS: usize = 300;

    /// Threads put keys of their own, one by one and each a new one, and count all keys at the revision they were told.
    fn put_and_count(store: &dyn ApplyPath) {
        let put_all = |putter: usize| {
            for number in 0..PUTS {
                let request = Request::put(format!("{putter}/{number}"), "x");
                let mut answers = Vec::new();
                store.apply(
                    &mut vec![Command { position: Position::default(), request }],
                    &mut answers,
                );
                let revision = answers[0].response.revision;
                assert_eq!(count(store, revision), revision - 1);
            }
        };
        thread::scope(|threads| {
            (0..PUTTERS).for_each(|putter| drop(threads.spawn(move || put_all(putter))));
        });
    }

    fn count(store: &dyn ApplyPath, revision: MainRevision) -> i64 {
        let all = Range { interval: Interval::everything(), revision, ..Range::default() };
        let request = Request::Range(Range { count_only: true, ..all });
        match store.read(&request).response.result {
            Ok(Body::Range(found)) => found.count,
            other => panic!("{other:?}"),
        }
    }

    const ROUNDS: usize = 60;
    const TRANSACTIONS: usize = 4;

    /// Some read an old version within transactions that write, while one compacts to the next version and others write, so that old
    /// ones are forgotten: each finds the version or is refused. The compaction waits for none, one, two or three of them, so that
    /// there are some before it and some beside it on any machine.
    #[test]
    fn a_transaction_reads_the_past_whoever_forgets_it() {
        let engine = EngineKind::RocksDb { state_sync: StateSync::PerOp };
        let path = PathKind::Sharded { shards: SHARDS, workers: 1 };
        let config = Config { engine, ..Config::in_memory(path) };
        let folder = tempfile::tempdir().unwrap();
        let store = &*store::open(config, folder.path(), Probe::off()).unwrap();
        let mut found = 0;
        for round in 0..ROUNDS {
            let old = apply(store, Request::put("k", "value")).revision;
            let newer = apply(store, Request::put("k", "newer")).revision;
            let (done, answered) = mpsc::channel();
            thread::scope(|threads| {
                for _ in 0..TRANSACTIONS {
                    let done = done.clone();
                    threads.spawn(move || done.send(value_at(store, old)).unwrap());
                }
                // One that panics answers nothing; nobody waits for it then.
                drop(done);
                for putter in 0..PUTTERS {
                    threads.spawn(move || apply(store, Request::put(format!("{putter}"), "x")));
                }
                let mut answers: Vec<_> = answered.iter().take(round % TRANSACTIONS).collect();
                apply(store, Request::Compact { revision: newer });
                answers.extend(answered.iter().take(TRANSACTIONS - answers.len()));
                for answer in answers {
                    match answer {
                        Ok(value) => {
                            assert_eq!(value.as_deref(), Some(&b"value"[..]));
                            found += 1;
                        }
                        Err(refusal) => assert_eq!(refusal, Refusal::Compacted),
                    }
                }
            });
        }
        assert!(found > 0, "no transaction was as early as the compaction");
    }

    fn apply(store: &dyn ApplyPath, request: Request) -> Response {
        let mut answers = Vec::new();
        let command = Command { position: Position::default(), request };
        store.apply(&mut vec![command], &mut answers);
        answers.remove(0).response
    }

    /// Reads in one transaction, so that it takes longer than the commits of others.
    const READS: usize = 2_000;

    /// The value of `k` at `revision`, as a transaction that writes reads it, again and again.
    fn value_at(store: &dyn ApplyPath, revision: MainRevision) -> Result<Option<Vec<u8>>, Refusal> {
        let range = Range { interval: Interval::point(b"k"), revision, ..Range::default() };
        let marker = Put { key: b"marker".to_vec(), ..Put::default() };
        let mut success = vec![RequestOp::Range(range); READS];
        success.push(RequestOp::Put(marker));
        let txn = Txn { success, ..Txn::default() };
        let Body::Txn { responses, .. } = apply(store, Request::Txn(txn)).result? else {
            panic!("a transaction answers as one");
        };
        let value = |response: &OpResponse| match &response.body {
            Body::Range(found) => found.kvs.first().map(|kv| kv.value.clone()),
            other => panic!("{other:?}"),
        };
        let values: Vec<_> = responses[..READS].iter().map(value).collect();
        assert!(values.iter().all(|value| *value == values[0]), "it changed meanwhile");
        Ok(values[0].clone())
    }

    #[test]
    fn one_lock_on_rocksdb() {
        check(ENGINE, PathKind::GlobalMutex, SEEDS);
    }

    #[test]
    fn shards_on_rocksdb() {
        check(ENGINE, PathKind::Sharded { shards: SHARDS, workers: 1 }, SEEDS);
    }

    #[test]
    fn workers_on_rocksdb() {
        check(ENGINE, PathKind::Sharded { shards: SHARDS, workers: 2 }, SEEDS);
    }
}
