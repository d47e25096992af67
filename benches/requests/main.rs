//! What one request costs at each step of its way, alone and warm: making it, its bytes in the log and on the wire, the log with its batches,
//! and the store. Nothing here waits for a disk, a network or another thread, but for the log's thread in `log`.
//!
//! `cargo bench --features rocksdb --bench requests` for all, `cargo bench --bench requests -- codec` for some.
//!
//! Caveats: what is asked again and again is in the caches, so these are lower bounds; what applying costs on a store that is not is in `apply`.

use criterion::{BatchSize, Criterion};
use kvbench::measure::stage::Probe;
use kvbench::model::{
    Body, Compare, CompareResult, Interval, KeyValue, MainRevision, Operand, Position, Put, Range,
    Request, RequestOp, Txn, codec,
};
use kvbench::rpc::etcdserverpb as wire;
use kvbench::scenario;
use kvbench::seed::Seed;
use kvbench::store::{self, ApplyPath, Command, EngineKind, PathKind, StateSync};
use kvbench::workload::Workload;
use std::hint::black_box;
use std::path::Path;

mod log;
mod messages;

const KEYS: u64 = 10_000;
const VALUE_BYTES: usize = 256;
/// Keys of a range.
const RANGE_KEYS: u64 = 100;
/// Keys that a transaction compares and writes.
const TXN_KEYS: u64 = 2;
/// Revisions of history that are kept: what was overwritten before is forgotten with the writes, as in a server.
const HISTORY: MainRevision = 10_000;
/// Requests from one compaction to the next.
const COMPACT_EVERY: u64 = 1_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    streams(&mut criterion);
    codecs(&mut criterion);
    messages::messages(&mut criterion);
    log::log(&mut criterion);
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
            let (mut next, mut asked) = (numbers(), 0);
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
                            || {
                                asked += 1;
                                if asked % COMPACT_EVERY == 0 {
                                    compact(&*store);
                                }
                                make(next())
                            },
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

/// Has what is older than the history forgotten, which is done with the writes that follow.
fn compact(store: &dyn ApplyPath) {
    let revision = store.published() - HISTORY;
    if revision > 0 {
        // Between reads there is nothing new to compact, which is refused.
        store.apply(
            &mut vec![Command {
                position: Position::default(),
                request: Request::Compact { revision },
            }],
            &mut Vec::new(),
        );
    }
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
