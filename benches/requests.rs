//! What one request costs at each step of its way, alone and warm: making it, its bytes in the log and on the wire, the log with its batches,
//! and the store. Nothing here waits for a disk, a network or another thread, but for the log's thread in `log`.
//!
//! `cargo bench --features rocksdb --bench requests` for all, `cargo bench --bench requests -- codec` for some.
//!
//! Caveats: what is asked again and again is in the caches, so these are lower bounds; what applying costs on a store that is not is in `apply`.

use criterion::{BatchSize, Criterion, Throughput};
use kvbench::clock::Clock;
use kvbench::measure::pipeline::PipelineMeter;
use kvbench::measure::stage::Probe;
use kvbench::model::{
    Body, Compare, CompareResult, Event, EventKind, Interval, KeyValue, Operand, Position, Put,
    Range, RangeResult, Request, RequestOp, Txn, codec,
};
use kvbench::raft::{
    self, ApplyOn, Batch, Delivered, Executed, Fsync, Group, Medium, Nobody, Pipeline, Propose,
    Publish, Reads, Rejected, StateMachine, Waiter,
};
use kvbench::rpc::{self, etcdserverpb as wire};
use kvbench::scenario;
use kvbench::seed::Seed;
use kvbench::store::{self, ApplyPath, Command, EngineKind, PathKind, StateSync};
use kvbench::units::Nanos;
use kvbench::workload::Workload;
use prost::Message;
use std::error::Error;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

const KEYS: u64 = 10_000;
const VALUE_BYTES: usize = 256;
/// Keys of a range.
const RANGE_KEYS: u64 = 100;
/// Keys that a transaction compares and writes.
const TXN_KEYS: u64 = 2;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    streams(&mut criterion);
    codecs(&mut criterion);
    messages(&mut criterion);
    log(&mut criterion);
    stores(&mut criterion);
    criterion.final_summary();
}

/// A client's next request, key and value with it.
fn streams(criterion: &mut Criterion) {
    for dist in ["uniform", "zipf:0.99", "hotspot", "sequential", "latest"] {
        let options =
            scenario::Options { set: vec![format!("keys.dist=\"{dist}\"")], ..Default::default() };
        let scenario = scenario::load(Path::new("scenarios/store_put.toml"), &options)
            .unwrap_or_else(|problems| panic!("{problems}"));
        let mut stream = Workload::of(&scenario).stream(Seed(1), 0);
        criterion.bench_function(&format!("stream/put/{dist}"), |bencher| {
            bencher.iter(|| stream.next_operation());
        });
    }
}

/// The bytes of a request in the log.
fn codecs(criterion: &mut Criterion) {
    for (name, request) in [("put", put(7)), ("get", get(7)), ("txn", txn(7))] {
        criterion.bench_function(&format!("codec/encode/{name}"), |bencher| {
            bencher.iter(|| codec::encode(black_box(&request)));
        });
        let bytes = codec::encode(&request);
        criterion.bench_function(&format!("codec/decode/{name}"), |bencher| {
            bencher.iter(|| codec::decode(black_box(&bytes)).expect("it was encoded"));
        });
    }
}

/// The bytes of requests, answers and events on the wire, to and from what the store takes and gives.
fn messages(criterion: &mut Criterion) {
    let asked = Put { key: key(7), value: value(), ..Put::default() };
    let bytes = wire::PutRequest::from(asked.clone()).encode_to_vec();
    criterion.bench_function("message/encode/put request", |bencher| {
        let make = || asked.clone();
        bencher.iter_batched(
            make,
            |put| wire::PutRequest::from(put).encode_to_vec(),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("message/decode/put request", |bencher| {
        bencher.iter(|| {
            Put::from(wire::PutRequest::decode(black_box(&bytes[..])).expect("it was encoded"))
        });
    });
    let answer = || rpc::put(header(), None);
    criterion.bench_function("message/encode/put answer", |bencher| {
        bencher.iter(|| black_box(answer()).encode_to_vec());
    });
    for keys in [1, RANGE_KEYS] {
        let kvs: Vec<KeyValue> = (0..keys).map(key_value).collect();
        let found = RangeResult { kvs, more: false, count: keys as i64 };
        let mut of_keys = criterion.benchmark_group("message");
        of_keys.throughput(Throughput::Elements(keys));
        of_keys.bench_function(format!("encode/range answer of {keys}"), |bencher| {
            let make = || found.clone();
            bencher.iter_batched(
                make,
                |found| rpc::range(header(), found).encode_to_vec(),
                BatchSize::SmallInput,
            );
        });
        let bytes = rpc::range(header(), found.clone()).encode_to_vec();
        of_keys.bench_function(format!("decode/range answer of {keys}"), |bencher| {
            bencher.iter(|| {
                RangeResult::from(
                    wire::RangeResponse::decode(black_box(&bytes[..])).expect("it was encoded"),
                )
            });
        });
    }
    let event = Event { kind: EventKind::Put, kv: key_value(7), prev_kv: None, sub: 0 };
    criterion.bench_function("message/encode/event", |bencher| {
        bencher.iter(|| rpc::event_to(black_box(&event)));
    });
}

/// So many requests submitted at once to a member alone, whose log is not synced, until the last is answered: the inbox, batches, entries
/// and their bytes, the Ready loop, answers. Its state machine does nothing.
fn log(criterion: &mut Criterion) {
    for (name, propose, at_once) in [
        ("an entry each", Propose::Pipelined, 100),
        ("batched", Propose::Batched(Batch::default()), 1),
        ("batched", Propose::Batched(Batch::default()), 100),
        ("batched", Propose::Batched(Batch::default()), 1_000),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let member = alone(folder.path(), propose);
        let (answered, answers) = channel();
        let bytes = codec::encode(&put(7));
        let mut of_log = criterion.benchmark_group("log");
        of_log.throughput(Throughput::Elements(at_once));
        of_log.bench_function(format!("{name}/{at_once} at once"), |bencher| {
            bencher.iter(|| write_all(&member, &bytes, at_once, &answered, &answers));
        });
    }
}

fn write_all(
    member: &Pipeline<(), Told>,
    bytes: &[u8],
    count: u64,
    answered: &Sender<()>,
    answers: &Receiver<()>,
) {
    for _ in 0..count {
        member.inbox().write(bytes.to_vec(), Told(answered.clone()));
    }
    for _ in 0..count {
        answers.recv().expect("a sender is here");
    }
}

/// A member of a group of one.
fn alone(folder: &Path, propose: Propose) -> Pipeline<(), Told> {
    let setup = raft::Setup {
        config: raft::Config {
            propose,
            apply_on: ApplyOn::RaftThread,
            publish: Publish::Ready,
            fsync: Fsync::Off,
            reads: Reads::Index,
        },
        group: Group::alone(),
        log: &folder.join("log"),
        images: &folder.join("images"),
        medium: Medium::default(),
        transport: Arc::new(Nobody),
        meter: Arc::new(PipelineMeter::default()),
        seed: Seed(1),
        clock: Clock::start(),
        probe: Probe::off(),
    };
    raft::start(setup, Arc::new(Idle)).expect("it starts")
}

/// Knows nothing and does nothing.
struct Idle;

impl StateMachine for Idle {
    type Reply = ();

    fn apply(&self, commands: &[raft::Command<'_>]) -> Vec<Executed<()>> {
        commands.iter().map(|_| done()).collect()
    }

    fn read(&self, _: &[u8]) -> Executed<()> {
        done()
    }

    fn write_image(&self, _: &mut dyn Write, held: &mut dyn FnMut()) -> io::Result<()> {
        held();
        Ok(())
    }

    fn load_image(&self, _: &mut dyn Read) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

fn done() -> Executed<()> {
    Executed { reply: (), locked: Nanos::ZERO, applied: Nanos::ZERO }
}

struct Told(Sender<()>);

impl Waiter<()> for Told {
    fn answer(self, outcome: Result<Delivered<()>, Rejected>) {
        outcome.expect("nothing is refused here");
        // Nobody waits any more once the bench is over.
        let _ = self.0.send(());
    }
}

/// One request after the other on a store that holds its keys.
fn stores(criterion: &mut Criterion) {
    let mut engines = vec![("memory", EngineKind::Memory)];
    if cfg!(feature = "rocksdb") {
        engines.push(("rocksdb", EngineKind::RocksDb { state_sync: StateSync::RaftLogOnly }));
    }
    for (engine_name, engine) in engines {
        for (path_name, path) in [
            ("global-mutex", PathKind::GlobalMutex),
            ("sharded", PathKind::Sharded { shards: 512, workers: 1 }),
        ] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let config = store::Config { engine, ..store::Config::in_memory(path) };
            let store = store::open(config, folder.path(), Probe::off()).expect("it opens");
            filled(&*store);
            let mut next = numbers();
            for (kind, make) in [
                ("put", put as fn(u64) -> Request),
                ("get", get),
                ("range of 100", range),
                ("txn of 2", txn),
            ] {
                criterion.bench_function(
                    &format!("store/{engine_name}/{path_name}/{kind}"),
                    |bencher| {
                        bencher.iter_batched(
                            || make(next()),
                            |request| ask(&*store, request),
                            BatchSize::SmallInput,
                        );
                    },
                );
            }
        }
    }
}

fn filled(store: &dyn ApplyPath) {
    let mut answers = Vec::new();
    let command = |number| Command { position: Position::default(), request: put(number) };
    store.apply(&mut (0..KEYS).map(command).collect(), &mut answers);
}

/// Writes are applied, reads are answered beside them.
fn ask(store: &dyn ApplyPath, request: Request) -> Body {
    if !request.is_write() {
        return body(store.read(&request));
    }
    let mut answers = Vec::with_capacity(1);
    store.apply(&mut vec![Command { position: Position::default(), request }], &mut answers);
    body(answers.pop().expect("a command has an answer"))
}

fn body(answer: store::Answer) -> Body {
    answer.response.result.expect("nothing is refused here")
}

/// Keys in an order that no cache foresees: steps of a number that shares no divisor with theirs.
fn numbers() -> impl FnMut() -> u64 {
    let mut at = 0;
    move || {
        at = (at + 7_919) % KEYS;
        at
    }
}

fn key(number: u64) -> Vec<u8> {
    format!("{number:016x}").into_bytes()
}

fn value() -> Vec<u8> {
    vec![0x6b; VALUE_BYTES]
}

fn put(number: u64) -> Request {
    Request::put(key(number), value())
}

fn get(number: u64) -> Request {
    Request::get(key(number))
}

fn range(number: u64) -> Request {
    let interval = Interval { key: key(number), range_end: key(number + RANGE_KEYS) };
    Request::Range(Range { interval, ..Range::default() })
}

/// Compares and writes neighbouring keys; the comparisons hold.
fn txn(number: u64) -> Request {
    let keys = || (number..number + TXN_KEYS).map(key);
    let compare = |key: Vec<u8>| Compare {
        interval: Interval::point(key),
        result: CompareResult::Greater,
        operand: Operand::Version(-1),
    };
    let put = |key| RequestOp::Put(Put { key, value: value(), ..Put::default() });
    Request::Txn(Txn {
        compares: keys().map(compare).collect(),
        success: keys().map(put).collect(),
        failure: Vec::new(),
    })
}

fn key_value(number: u64) -> KeyValue {
    let revision = number as i64 + 2;
    KeyValue {
        key: key(number),
        value: value(),
        create_revision: revision,
        mod_revision: revision,
        version: 1,
        lease: 0,
    }
}

fn header() -> wire::ResponseHeader {
    wire::ResponseHeader { cluster_id: 0x1234_5678, member_id: 1, revision: 123_456, raft_term: 2 }
}
