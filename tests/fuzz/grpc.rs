//! Requests as clients send them: decoded, made into the model's, checked, and executed if they were let in.

use crate::driver::{Answer, Plan, fuzz};
use crate::served::check_on_stores;
use kvbench::model::{DeleteRange, Put, Range, Request, RequestOp, Txn, validate};
use kvbench::rpc::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest};
use prost::Message;
use std::collections::HashSet;

/// The first byte of an input says what the rest is.
const KINDS: u8 = 4;
/// Paths through a transaction that are followed.
const PATHS_MAX: usize = 256;

fn check(input: &[u8]) -> Answer {
    let Some((kind, bytes)) = input.split_first() else { return "nothing".into() };
    let request = match kind % KINDS {
        0 => RangeRequest::decode(bytes).map(|wire| Range::try_from(wire).map(Request::Range).ok()),
        1 => PutRequest::decode(bytes).map(|wire| Some(Request::Put(Put::from(wire)))),
        2 => DeleteRangeRequest::decode(bytes)
            .map(|wire| Some(Request::DeleteRange(DeleteRange::from(wire)))),
        _ => TxnRequest::decode(bytes).map(|wire| Txn::try_from(wire).map(Request::Txn).ok()),
    };
    let request = match request {
        Ok(Some(request)) => request,
        Ok(None) => return format!("{kind} not the model's", kind = kind % KINDS).into(),
        Err(_) => return format!("{kind} not decoded", kind = kind % KINDS).into(),
    };
    assert_eq!(over_the_wire(&request).as_ref(), Some(&request));
    match validate(&request) {
        Ok(()) => {
            check_let_in(&request);
            check_on_stores(&request);
            format!("{} taken", kind % KINDS).into()
        }
        Err(refusal) => format!("{} {refusal}", kind % KINDS).into(),
    }
}

/// Out to the wire and back.
fn over_the_wire(request: &Request) -> Option<Request> {
    match request.clone() {
        Request::Range(range) => {
            Range::try_from(RangeRequest::from(range)).ok().map(Request::Range)
        }
        Request::Put(put) => Some(Request::Put(PutRequest::from(put).into())),
        Request::DeleteRange(delete) => {
            Some(Request::DeleteRange(DeleteRangeRequest::from(delete).into()))
        }
        Request::Txn(txn) => Txn::try_from(TxnRequest::from(txn)).ok().map(Request::Txn),
        _ => None,
    }
}

/// What may be taken for granted of a request that was let in.
fn check_let_in(request: &Request) {
    match request {
        Request::Put(put) => assert!(!put.key.is_empty()),
        Request::Range(range) => assert!(!range.interval.key.is_empty()),
        Request::DeleteRange(delete) => assert!(!delete.interval.key.is_empty()),
        Request::Txn(txn) => {
            for path in paths(txn) {
                let mut puts = HashSet::new();
                let twice = path.iter().find(|key| !puts.insert(*key));
                assert!(twice.is_none(), "{twice:?} is put twice on one path of {txn:?}");
                assert!(path.iter().all(|key| !key.is_empty()), "{txn:?}");
            }
        }
        other => panic!("{other:?}"),
    }
}

/// The keys that are put on each path through a transaction.
fn paths(txn: &Txn) -> Vec<Vec<Vec<u8>>> {
    [&txn.success, &txn.failure].into_iter().flat_map(|ops| along(ops)).take(PATHS_MAX).collect()
}

fn along(ops: &[RequestOp]) -> Vec<Vec<Vec<u8>>> {
    let mut all = vec![Vec::new()];
    for op in ops {
        let ways = match op {
            RequestOp::Put(put) => vec![vec![put.key.clone()]],
            RequestOp::Txn(inner) => paths(inner),
            RequestOp::Range(_) | RequestOp::DeleteRange(_) => continue,
        };
        let and_then = |path: Vec<Vec<u8>>| ways.iter().map(move |way| [&path[..], way].concat());
        all = all.into_iter().flat_map(and_then).take(PATHS_MAX).collect();
    }
    all
}

#[test]
fn requests_of_clients() {
    let wire = |request: Request| -> Option<Vec<u8>> {
        let (kind, bytes) = match request {
            Request::Range(range) => (0, RangeRequest::from(range).encode_to_vec()),
            Request::Put(put) => (1, PutRequest::from(put).encode_to_vec()),
            Request::DeleteRange(delete) => (2, DeleteRangeRequest::from(delete).encode_to_vec()),
            Request::Txn(txn) => (3, TxnRequest::from(txn).encode_to_vec()),
            _ => return None,
        };
        Some([&[kind], &bytes[..]].concat())
    };
    let mut samples: Vec<Vec<u8>> = crate::codec::requests().into_iter().filter_map(wire).collect();
    let puts = |keys: &str| Txn {
        success: keys
            .bytes()
            .map(|key| RequestOp::Put(Put { key: vec![key], ..Put::default() }))
            .collect(),
        ..Txn::default()
    };
    let nested = Txn {
        success: vec![RequestOp::Txn(puts("ab")), RequestOp::Txn(puts("cd"))],
        failure: puts("ae").success,
        ..Txn::default()
    };
    samples.extend(wire(Request::Txn(nested)));
    // Fields of these messages, with their lengths.
    let words: &[&[u8]] =
        &[&[0x0a, 1, b'a'], &[0x12, 1, 0], &[0x12, 0], &[0x22, 2, 0x12, 0], b"a", &[0xff; 9]];
    fuzz(Plan { name: "grpc", execs: 4_000, samples, words, counts_bytes: true }, check);
}
