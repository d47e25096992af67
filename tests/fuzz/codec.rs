//! Requests as they stand in the log.

use crate::driver::{Answer, Plan, fuzz};
use crate::served::check_on_stores;
use kvbench::model::codec::{CodecError, decode, encode};
use kvbench::model::{
    Alarm, AlarmKind, Compare, CompareResult, DeleteRange, Interval, Operand, Put, Range, Request,
    RequestOp, SortOrder, SortTarget, Txn, validate,
};

/// One of each kind, with every option somewhere.
pub(crate) fn requests() -> Vec<Request> {
    let put =
        Put { key: b"k".to_vec(), value: b"v".to_vec(), lease: 7, prev_kv: true, ..Put::default() };
    let range = Range {
        interval: Interval::between("a", "m"),
        limit: 3,
        sort_order: SortOrder::Descend,
        sort_target: SortTarget::Mod,
        min_mod_revision: 2,
        max_create_revision: 9,
        keys_only: true,
        ..Range::default()
    };
    let delete = DeleteRange { interval: Interval::prefix("b"), prev_kv: true };
    let compare =
        |operand| Compare { interval: Interval::point("k"), result: CompareResult::Equal, operand };
    let inner = Txn {
        compares: vec![compare(Operand::Value(b"v".to_vec())), compare(Operand::Lease(7))],
        success: vec![RequestOp::DeleteRange(delete.clone())],
        failure: vec![RequestOp::Range(range.clone())],
    };
    let txn = Txn {
        compares: vec![
            compare(Operand::Mod(3)),
            compare(Operand::Create(2)),
            compare(Operand::Version(1)),
        ],
        success: vec![RequestOp::Put(put.clone()), RequestOp::Txn(inner)],
        failure: vec![RequestOp::Range(Range::default())],
    };
    let alarm = Alarm { kind: AlarmKind::NoSpace, member: 1 };
    vec![
        Request::Put(put),
        Request::Put(Put {
            key: b"k".to_vec(),
            ignore_value: true,
            ignore_lease: true,
            ..Put::default()
        }),
        Request::Range(range),
        Request::DeleteRange(delete),
        Request::Txn(txn),
        Request::Compact { revision: 3 },
        Request::LeaseGrant { id: 8, ttl_s: 60 },
        Request::LeaseRevoke { id: 7 },
        Request::LeaseTimeToLive { id: 7, keys: true },
        Request::Leases,
        Request::AlarmActivate(alarm),
        Request::AlarmDeactivate(alarm),
        Request::Alarms,
    ]
}

/// What is read is written again and read the same; whatever a server lets in, every store does as the oracle does.
fn check(bytes: &[u8]) -> Answer {
    let request = match decode(bytes) {
        Ok(request) => request,
        Err(error) => return told(error),
    };
    let again = encode(&request);
    assert!(again.len() <= bytes.len(), "it grew: {request:?}");
    assert_eq!(decode(&again).as_ref(), Ok(&request));
    match validate(&request) {
        Ok(()) => {
            check_on_stores(&request);
            format!("{:?} taken", std::mem::discriminant(&request)).into()
        }
        Err(refusal) => format!("{refusal}").into(),
    }
}

fn told(error: CodecError) -> Answer {
    match error {
        CodecError::CutShort => "cut short".into(),
        CodecError::Unknown(_) => "unknown".into(),
        CodecError::TooDeep => "too deep".into(),
        CodecError::TrailingBytes(_) => "trailing".into(),
    }
}

#[test]
fn requests_in_the_log() {
    let mut samples: Vec<Vec<u8>> = requests().iter().map(encode).collect();
    // As deep as it goes, and deeper.
    let mut deep = Txn::default();
    for _ in 0..127 {
        deep = Txn { success: vec![RequestOp::Txn(deep)], ..Txn::default() };
    }
    samples.push(encode(&Request::Txn(deep)));
    let words: &[&[u8]] = &[&[4, 0, 0, 0, 0], &[1, 0], &[1, 0, 0, 0], b"k", b"a", &[0]];
    fuzz(Plan { name: "codec", execs: 4_000, samples, words, counts_bytes: true }, check);
}
