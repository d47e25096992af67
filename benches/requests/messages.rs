//! The bytes of requests, answers and events on the wire, to and from what the store takes and gives.

use super::{RANGE_KEYS, TXN_KEYS, header, key, key_value, range, txn, value};
use criterion::{BatchSize, Criterion};
use kvbench::model::{Body, Event, EventKind, OpResponse, Put, Range, RangeResult, Request, Txn};
use kvbench::rpc::{self, etcdserverpb as wire};
use prost::Message;
use std::hint::black_box;

pub(super) fn messages(criterion: &mut Criterion) {
    puts(criterion);
    ranges(criterion);
    txns(criterion);
    events(criterion);
}

fn puts(criterion: &mut Criterion) {
    let asked = Put { key: key(7), value: value(), ..Put::default() };
    encode(criterion, "put request", &asked, |put| wire::PutRequest::from(put).encode_to_vec());
    let bytes = wire::PutRequest::from(asked).encode_to_vec();
    decode(criterion, "put request", &bytes, |bytes| {
        Put::from(wire::PutRequest::decode(bytes).expect("it was encoded"))
    });
    encode(criterion, "put answer", &(), |()| rpc::put(header(), None).encode_to_vec());
    let bytes = rpc::put(header(), None).encode_to_vec();
    decode(criterion, "put answer", &bytes, |bytes| {
        Body::from(wire::PutResponse::decode(bytes).expect("it was encoded"))
    });
}

fn ranges(criterion: &mut Criterion) {
    let Request::Range(asked) = range(7) else { unreachable!("a range is one") };
    encode(criterion, "range request", &asked, |range| {
        wire::RangeRequest::from(range).encode_to_vec()
    });
    let bytes = wire::RangeRequest::from(asked).encode_to_vec();
    decode(criterion, "range request", &bytes, |bytes| {
        let wire = wire::RangeRequest::decode(bytes).expect("it was encoded");
        Range::try_from(wire).expect("it was one")
    });
    for keys in [1, RANGE_KEYS] {
        let kvs = (0..keys).map(key_value).collect();
        let found = RangeResult { kvs, more: false, count: keys as i64 };
        let name = format!("range answer of {keys}");
        encode(criterion, &name, &found, |found| rpc::range(header(), found).encode_to_vec());
        let bytes = rpc::range(header(), found).encode_to_vec();
        decode(criterion, &name, &bytes, |bytes| {
            RangeResult::from(wire::RangeResponse::decode(bytes).expect("it was encoded"))
        });
    }
}

fn txns(criterion: &mut Criterion) {
    let Request::Txn(asked) = txn(7) else { unreachable!("a transaction is one") };
    encode(criterion, "txn request", &asked, |txn| wire::TxnRequest::from(txn).encode_to_vec());
    let bytes = wire::TxnRequest::from(asked).encode_to_vec();
    decode(criterion, "txn request", &bytes, |bytes| {
        Txn::try_from(wire::TxnRequest::decode(bytes).expect("it was encoded")).expect("it was one")
    });
    let step = OpResponse { revision: 123_456, body: Body::Put { prev_kv: None } };
    let steps = vec![step; TXN_KEYS as usize];
    encode(criterion, "txn answer", &steps, |steps| {
        rpc::txn(header(), true, steps).encode_to_vec()
    });
    let bytes = rpc::txn(header(), true, steps).encode_to_vec();
    decode(criterion, "txn answer", &bytes, |bytes| {
        Body::from(wire::TxnResponse::decode(bytes).expect("it was encoded"))
    });
}

fn events(criterion: &mut Criterion) {
    let event = Event { kind: EventKind::Put, kv: key_value(7), prev_kv: None, sub: 0 };
    encode(criterion, "event", &event, |event| rpc::event_to(&event));
    let bytes = rpc::event_to(&event);
    criterion.bench_function("message/decode/event", |bencher| {
        bencher.iter(|| rpc::event_from(black_box(bytes.clone()), 0).expect("it was encoded"));
    });
}

fn encode<T: Clone, B>(
    criterion: &mut Criterion,
    name: &str,
    said: &T,
    encode: impl Fn(T) -> B + Copy,
) {
    criterion.bench_function(&format!("message/encode/{name}"), |bencher| {
        bencher.iter_batched(|| black_box(said).clone(), encode, BatchSize::SmallInput);
    });
}

fn decode<T>(criterion: &mut Criterion, name: &str, bytes: &[u8], decode: impl Fn(&[u8]) -> T) {
    criterion.bench_function(&format!("message/decode/{name}"), |bencher| {
        bencher.iter(|| decode(black_box(bytes)));
    });
}
