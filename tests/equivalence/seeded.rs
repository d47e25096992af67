//! Known bugs, put back on purpose: what comes of taking the design that removes the global lock literally, one mistake at
//! a time. Each has to be caught by the checkers, or their silence about the real store means nothing. A bug is a store of
//! its own around a correct one, so that no production code carries it.

use kvbench::clock::Clock;
use kvbench::measure::lock::Visit;
use kvbench::measure::stage::{Probe, Stamps};
use kvbench::model::{
    Body, DeleteRange, Event, EventKind, Interval, KeyValue, MainRevision, OpResponse, Position,
    Put, Range, Refusal, Request, RequestOp, Response, Txn,
};
use kvbench::store::{
    self, Answer, ApplyPath, Command, Config, Digest, Dump, HeldRange, PathKind, Portion, WatchHub,
};
use kvbench::verify::equivalence::difference_in;
use kvbench::verify::equivalence::log_of;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// The mistakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    /// None: the control, which nobody may accuse.
    None,
    /// The version is read, then the key written, in two steps.
    RacyPut,
    /// The revision is shown before the data it numbers.
    RevisionBeforeData,
    /// A range delete uses up a revision per key.
    DeleteBumpsPerKey,
    /// A revoked lease deletes its keys one by one, in no order.
    RevokeKeyByKey,
    /// A transaction uses up a revision per step.
    TxnBumpsPerOp,
    /// A step that fails leaves what the ones before it did.
    TxnHalfApplied,
    /// The steps of a transaction that reads do not wait for one that writes.
    TxnNotAtomic,
    /// A transaction takes its locks, then calls what takes them again.
    TxnLocksTwice,
    /// A put under a lease that is not there succeeds.
    UnknownLeaseAccepted,
    /// A put over a leased key does not detach it.
    LeaseNotDetached,
    /// A grant depends on the clock of the node that applies it.
    ClockInApply,
    /// Events are dropped when there are many at once.
    WatchDrops,
    /// The event of a deletion carries the old value, and revision 0.
    DeleteEventWithOldValue,
    /// Transactions make no events.
    TxnWithoutEvents,
    /// A refusal is answered as a success.
    FailureAsSuccess,
    /// What was applied is not remembered, so a restart applies it again.
    NoAppliedPosition,
}

const BUGS: [Bug; 16] = [
    Bug::RacyPut,
    Bug::RevisionBeforeData,
    Bug::DeleteBumpsPerKey,
    Bug::RevokeKeyByKey,
    Bug::TxnBumpsPerOp,
    Bug::TxnHalfApplied,
    Bug::TxnNotAtomic,
    Bug::TxnLocksTwice,
    Bug::UnknownLeaseAccepted,
    Bug::LeaseNotDetached,
    Bug::ClockInApply,
    Bug::WatchDrops,
    Bug::DeleteEventWithOldValue,
    Bug::TxnWithoutEvents,
    Bug::FailureAsSuccess,
    Bug::NoAppliedPosition,
];

/// The key that callers race for; nothing but puts touches it.
const RACED: &[u8] = b"raced";

/// A correct store with one mistake.
struct Seeded {
    bug: Bug,
    inner: Arc<dyn ApplyPath>,
    /// What its node's clock says.
    clock: i64,
    /// Keys ever hung on each lease.
    hung: Mutex<BTreeMap<i64, BTreeSet<Vec<u8>>>>,
    /// Versions as puts counted them without a lock, where nothing else wrote the key since.
    versions: Mutex<BTreeMap<Vec<u8>, i64>>,
    /// Revisions of transactions.
    txns: Mutex<HashSet<MainRevision>>,
    txn_lock: Mutex<()>,
    ahead: AtomicI64,
}

impl Seeded {
    fn new(bug: Bug, clock: i64) -> Seeded {
        let config = Config::in_memory(PathKind::Sharded { shards: 16, workers: 1 });
        Seeded {
            bug,
            inner: store::open(config, Path::new("unused"), Probe::off()).unwrap(),
            clock,
            hung: Mutex::default(),
            versions: Mutex::default(),
            txns: Mutex::default(),
            txn_lock: Mutex::default(),
            ahead: AtomicI64::new(0),
        }
    }

    fn one(&self, request: Request, position: Position) -> Response {
        let mut answers = Vec::new();
        self.inner.apply(&mut vec![Command { position, request }], &mut answers);
        answers.remove(0).response
    }

    fn step(&self, request: Request) -> Response {
        self.one(request, Position::default())
    }

    /// Shows one revision more while the request is on its way, as the bug wants it.
    fn execute(&self, command: Command) -> Response {
        let early = i64::from(self.bug == Bug::RevisionBeforeData);
        self.ahead.fetch_add(early, Ordering::SeqCst);
        std::thread::yield_now();
        let response = self.execute_wrongly(command);
        self.ahead.fetch_sub(early, Ordering::SeqCst);
        response
    }

    fn execute_wrongly(&self, Command { position, request }: Command) -> Response {
        let taken = self.note(&request);
        let response = match (self.bug, &request) {
            (Bug::NoAppliedPosition, _) => self.step(request),
            (Bug::DeleteBumpsPerKey, Request::DeleteRange(delete)) => self.delete_each(delete),
            (Bug::RevokeKeyByKey, Request::LeaseRevoke { id }) => self.revoke_each(*id),
            (Bug::TxnBumpsPerOp | Bug::TxnHalfApplied, Request::Txn(txn)) => {
                self.txn_by_steps(txn, position)
            }
            (Bug::TxnLocksTwice, Request::Txn(_)) => {
                let _held = self.txn_lock.lock().unwrap();
                match self.txn_lock.try_lock() {
                    // It would wait here for ever.
                    Err(_) => Response { revision: 0, result: Err(Refusal::TooLarge) },
                    Ok(_) => self.one(request, position),
                }
            }
            (Bug::UnknownLeaseAccepted, Request::Put(put)) => {
                match self.one(request.clone(), position).result {
                    Err(Refusal::LeaseNotFound) => {
                        self.step(Request::Put(Put { lease: 0, ..put.clone() }))
                    }
                    result => Response { revision: self.inner.published(), result },
                }
            }
            (Bug::ClockInApply, Request::LeaseGrant { id, ttl_s }) => {
                let ttl_s = ttl_s.saturating_add(self.clock);
                self.one(Request::LeaseGrant { id: *id, ttl_s }, position)
            }
            (Bug::FailureAsSuccess, _) => {
                let Response { revision, result } = self.one(request, position);
                Response { revision, result: Ok(result.unwrap_or(Body::Put { prev_kv: None })) }
            }
            _ => self.one(request, position),
        };
        if taken {
            self.txns.lock().unwrap().insert(response.revision);
        }
        response
    }

    /// Keeps the books that the mistakes are made with. Says whether it is a transaction.
    fn note(&self, request: &Request) -> bool {
        if self.bug == Bug::RacyPut {
            self.count_version(request);
        }
        if let Request::Put(put) = request
            && put.lease != 0
        {
            self.hung.lock().unwrap().entry(put.lease).or_default().insert(put.key.clone());
        }
        matches!(request, Request::Txn(_))
    }

    /// Reads the version, and only then writes the next one.
    fn count_version(&self, request: &Request) {
        let Request::Put(put) = request else {
            return self.versions.lock().unwrap().retain(|key, _| key == RACED);
        };
        if put.lease == 0 && !put.ignore_value && !put.ignore_lease {
            let counted = self.versions.lock().unwrap().get(&put.key).copied();
            let before = counted.unwrap_or_else(|| self.version(&put.key));
            std::thread::yield_now();
            self.versions.lock().unwrap().insert(put.key.clone(), before + 1);
        } else {
            self.versions.lock().unwrap().remove(&put.key);
        }
    }

    fn version(&self, key: &[u8]) -> i64 {
        match self.inner.read(&Request::get(key)).response.result {
            Ok(Body::Range(found)) => found.kvs.first().map_or(0, |kv| kv.version),
            other => panic!("{other:?}"),
        }
    }

    fn found(&self, interval: &Interval) -> Vec<Vec<u8>> {
        let range = Range { interval: interval.clone(), ..Range::default() };
        match self.inner.read(&Request::Range(range)).response.result {
            Ok(Body::Range(found)) => found.kvs.into_iter().map(|kv| kv.key).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn delete_each(&self, delete: &DeleteRange) -> Response {
        let (mut deleted, mut prev_kvs) = (0, Vec::new());
        for key in self.found(&delete.interval) {
            let interval = Interval::point(key);
            let one = DeleteRange { interval, prev_kv: delete.prev_kv };
            if let Ok(Body::DeleteRange { deleted: one, prev_kvs: prevs }) =
                self.step(Request::DeleteRange(one)).result
            {
                deleted += one;
                prev_kvs.extend(prevs);
            }
        }
        let result = Ok(Body::DeleteRange { deleted, prev_kvs });
        Response { revision: self.inner.published(), result }
    }

    fn revoke_each(&self, id: i64) -> Response {
        let request = Request::LeaseTimeToLive { id, keys: true };
        if let Ok(Body::LeaseTimeToLive(status)) = self.inner.read(&request).response.result {
            let unordered: HashSet<_> = status.keys.into_iter().collect();
            unordered.into_iter().for_each(|key| drop(self.step(Request::delete(key))));
        }
        self.step(Request::LeaseRevoke { id })
    }

    /// Comparisons first, then each step for itself.
    fn txn_by_steps(&self, txn: &Txn, position: Position) -> Response {
        let question = Txn { compares: txn.compares.clone(), ..Txn::default() };
        let answer = self.inner.read(&Request::Txn(question)).response.result;
        let Ok(Body::Txn { succeeded, .. }) = answer else { panic!("{answer:?}") };
        let ops = if succeeded { &txn.success } else { &txn.failure };
        let is_nested = ops.iter().any(|op| matches!(op, RequestOp::Txn(_)));
        if is_nested && !txn.is_write() {
            return self.inner.read(&Request::Txn(txn.clone())).response;
        }
        if is_nested || (self.bug == Bug::TxnBumpsPerOp && self.would_fail(ops)) {
            return self.one(Request::Txn(txn.clone()), position);
        }
        let mut responses = Vec::new();
        for op in ops {
            let request = match op.clone() {
                RequestOp::Put(put) => Request::Put(put),
                RequestOp::DeleteRange(delete) => Request::DeleteRange(delete),
                RequestOp::Range(range) => Request::Range(range),
                RequestOp::Txn(txn) => Request::Txn(txn),
            };
            let response = match request.is_write() {
                true => self.step(request),
                false => self.inner.read(&request).response,
            };
            std::thread::yield_now();
            match response.result {
                Ok(body) => responses.push(OpResponse { revision: response.revision, body }),
                Err(refusal) => {
                    return Response { revision: response.revision, result: Err(refusal) };
                }
            }
        }
        let result = Ok(Body::Txn { succeeded, responses });
        Response { revision: self.inner.published(), result }
    }

    fn would_fail(&self, ops: &[RequestOp]) -> bool {
        ops.iter().any(|op| match op {
            RequestOp::Put(put) => put.lease != 0 || put.ignore_value || put.ignore_lease,
            RequestOp::Range(range) => range.revision != 0,
            _ => false,
        })
    }
}

impl ApplyPath for Seeded {
    fn apply(&self, batch: &mut Vec<Command>, answers: &mut Vec<Answer>) {
        answers.extend(
            batch.drain(..).map(|command| Answer {
                response: self.execute(command),
                stamps: Stamps::default(),
            }),
        );
    }

    fn read(&self, request: &Request) -> Answer {
        let mut answer = match request {
            Request::Txn(txn) if self.bug == Bug::TxnNotAtomic => {
                let response = self.txn_by_steps(txn, Position::default());
                Answer { response, stamps: Stamps::default() }
            }
            _ => self.inner.read(request),
        };
        if let Ok(Body::LeaseTimeToLive(status)) = &mut answer.response.result
            && self.bug == Bug::LeaseNotDetached
            && !status.keys.is_empty()
        {
            let hung = self.hung.lock().unwrap();
            status.keys = hung.get(&status.id).into_iter().flatten().cloned().collect();
        }
        answer.response.revision += self.ahead.load(Ordering::SeqCst);
        answer
    }

    fn read_within(&self, portion: Portion, range: &Range) -> Option<Response> {
        self.inner.read_within(portion, range)
    }

    fn hold(&self, range: &Range) -> (MainRevision, Result<HeldRange, Refusal>) {
        self.inner.hold(range)
    }

    fn applied(&self) -> Position {
        self.inner.applied()
    }

    fn published(&self) -> MainRevision {
        self.inner.published() + self.ahead.load(Ordering::SeqCst)
    }

    fn events(&self, from: MainRevision, to: MainRevision) -> Result<Vec<Event>, MainRevision> {
        let mut events = self.inner.events(from, to)?;
        match self.bug {
            Bug::WatchDrops => events.truncate(64),
            Bug::TxnWithoutEvents => {
                let txns = self.txns.lock().unwrap();
                events.retain(|event| !txns.contains(&event.kv.mod_revision));
            }
            Bug::DeleteEventWithOldValue => {
                for event in events.iter_mut().filter(|event| event.kind == EventKind::Delete) {
                    event.kv = event.prev_kv.clone().unwrap_or_default();
                    event.kv.mod_revision = 0;
                }
            }
            _ => {}
        }
        Ok(events)
    }

    fn write_image(&self, to: &mut dyn Write, held: &mut dyn FnMut()) -> io::Result<()> {
        self.inner.write_image(to, held)
    }

    fn digest(&self) -> Digest {
        self.dump().digest()
    }

    fn dump(&self) -> Dump {
        let mut dump = self.inner.dump();
        if self.bug == Bug::RacyPut {
            let versions = self.versions.lock().unwrap();
            for kv in &mut dump.keys {
                kv.version = versions.get(&kv.key).copied().unwrap_or(kv.version);
            }
        }
        dump
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    fn defragment(&self) {
        self.inner.defragment();
    }

    fn watches(&self) -> &WatchHub {
        self.inner.watches()
    }

    fn visit_locks(&self, visit: Visit<'_>) {
        self.inner.visit_locks(visit);
    }
}

/// Who caught it, and where.
type Caught = Option<String>;

/// Random logs against the oracle.
fn by_the_oracle(bug: Bug) -> Caught {
    (0..6).find_map(|seed| {
        let difference = difference_in(Arc::new(Seeded::new(bug, 0)), &log_of(seed))?;
        Some(format!("oracle, log {seed}, batch {}", difference.batch))
    })
}

/// Four callers put one key; transactions write two keys alike. Nobody may see these differ, and what was read at a
/// revision is read there again.
fn by_threads(bug: Bug) -> Caught {
    (0..10).find_map(|_| race(bug))
}

fn race(bug: Bug) -> Caught {
    const ROUNDS: i64 = 300;
    let store = Seeded::new(bug, 0);
    let call = |request| drop(store.execute(Command { position: Position::default(), request }));
    let differed = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let call = &call;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        call(Request::put(RACED, "x"));
                        call(alike(&format!("{writer}.{round}")));
                    }
                })
            })
            .collect();
        let (mut differed, mut seen) = (false, Vec::new());
        while writers.iter().any(|writer| !writer.is_finished()) {
            differed |= !is_alike(&store);
            seen.push(everything(&store, 0));
        }
        differed.then_some("half a transaction was seen").or_else(|| {
            let told = |(revision, keys): &(_, _)| everything(&store, *revision).1 == *keys;
            (!seen.iter().all(told)).then_some("a revision was told before its data")
        })
    });
    let version = store.dump().keys.iter().find(|kv| kv.key == RACED).map(|kv| kv.version);
    match version == Some(4 * ROUNDS) {
        false => Some(format!("threads: version {version:?} after {} puts", 4 * ROUNDS)),
        true => differed.map(|what| format!("threads: {what}")),
    }
}

/// All keys at `revision`, or now; and the revision that the answer names.
fn everything(store: &Seeded, revision: MainRevision) -> (MainRevision, Vec<KeyValue>) {
    let range = Range { interval: Interval::everything(), revision, ..Range::default() };
    let response = store.read(&Request::Range(range)).response;
    match response.result {
        Ok(Body::Range(found)) => (response.revision, found.kvs),
        other => panic!("{other:?}"),
    }
}

fn alike(value: &str) -> Request {
    let put =
        |key: &str| RequestOp::Put(Put { key: key.into(), value: value.into(), ..Put::default() });
    let success = vec![put("left"), put("right")];
    Request::Txn(Txn { success, ..Txn::default() })
}

fn is_alike(store: &Seeded) -> bool {
    let get =
        |key: &str| RequestOp::Range(Range { interval: Interval::point(key), ..Range::default() });
    let success = vec![get("left"), get("right")];
    let response = store.read(&Request::Txn(Txn { success, ..Txn::default() })).response;
    let Ok(Body::Txn { responses, .. }) = response.result else { panic!("{response:?}") };
    let values = responses.into_iter().map(|step| match step.body {
        Body::Range(found) => found.kvs.first().map(|kv| kv.value.clone()),
        other => panic!("{other:?}"),
    });
    values.collect::<HashSet<_>>().len() <= 1
}

/// A log is applied by two nodes, and by one of them again.
fn by_replay(bug: Bug) -> Caught {
    (0..20).find_map(|seed| replay(bug, seed))
}

fn replay(bug: Bug, seed: u64) -> Caught {
    let (one, other) = (Seeded::new(bug, 3), Seeded::new(bug, 8));
    let log = log_of(seed).into_iter().flatten().filter(Request::is_write).take(500);
    let log: Vec<_> = (1..)
        .zip(log)
        .map(|(index, request)| Command { position: Position { index, offset: 0 }, request })
        .collect();
    one.apply(&mut log.clone(), &mut Vec::new());
    other.apply(&mut log.clone(), &mut Vec::new());
    if one.digest() != other.digest() {
        return Some("replay: two nodes differ".to_owned());
    }
    let before = one.digest();
    one.apply(&mut log.clone(), &mut Vec::new());
    (one.digest() != before).then(|| "replay: applied twice".to_owned())
}

fn caught(bug: Bug) -> Caught {
    by_the_oracle(bug).or_else(|| by_threads(bug)).or_else(|| by_replay(bug))
}

#[expect(clippy::print_stdout, reason = "who caught what is a result")]
#[test]
fn every_seeded_bug_is_caught_and_no_other_store_accused() {
    let clock = Clock::start();
    for bug in BUGS {
        let began = clock.now();
        let by = caught(bug).unwrap_or_else(|| panic!("{bug:?} was not caught"));
        println!("| {bug:?} | {by} | {:.2} s |", clock.now().since(began).as_secs_f64());
    }
    assert_eq!(caught(Bug::None), None);
}
