//! Requests that no server should take, in the order of etcd's `rpctypes`: code and words are etcd's, byte for byte. And such that look wrong
//! and are not: etcd answers them, so a server here does.

use crate::served::{Client, served};
use kvbench::rpc::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use kvbench::rpc::etcdserverpb::request_op::Request as Op;
use kvbench::rpc::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, HashKvRequest, LeaseGrantRequest,
    LeaseKeepAliveRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest, MemberAddRequest,
    MemberPromoteRequest, MemberRemoveRequest, MemberUpdateRequest, MoveLeaderRequest, PutRequest,
    RangeRequest, RequestOp, TxnRequest,
};
use std::pin::Pin;
use tonic::{Code, Status};

/// What the server said: of an answer what is of interest, in a few words.
type Said = Result<String, Status>;
type Asking<'a> = Pin<Box<dyn Future<Output = Said> + 'a>>;

/// What is asked, and what has to be said.
struct Row<'a> {
    what: &'static str,
    asking: Asking<'a>,
    expected: Result<&'static str, (Code, &'static str)>,
}

const KEY: &str = "etcdserver: key is not provided";
const TWICE: &str = "etcdserver: duplicate key given in txn request";
const MANY: &str = "etcdserver: too many operations in txn request";
const MISSING: &str = "etcdserver: key not found";
const SORT: &str = "etcdserver: invalid sort option";
const COMPARE: &str = "etcdserver: invalid comparison in txn request";
const FUTURE: &str = "etcdserver: mvcc: required revision is a future revision";
const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
const LARGE: &str = "etcdserver: request is too large";
const NO_LEASE: &str = "etcdserver: requested lease not found";

fn put(key: &str) -> PutRequest {
    PutRequest { key: key.into(), ..PutRequest::default() }
}

fn range(key: &str, end: &[u8]) -> RangeRequest {
    RangeRequest { key: key.into(), range_end: end.to_vec(), ..RangeRequest::default() }
}

fn delete(key: &str, end: &str) -> DeleteRangeRequest {
    DeleteRangeRequest { key: key.into(), range_end: end.into(), prev_kv: false }
}

fn op(request: Op) -> RequestOp {
    RequestOp { request: Some(request) }
}

fn put_op(key: &str) -> RequestOp {
    op(Op::RequestPut(put(key)))
}

fn delete_op(key: &str, end: &str) -> RequestOp {
    op(Op::RequestDeleteRange(delete(key, end)))
}

fn txn(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> TxnRequest {
    TxnRequest { compare: Vec::new(), success, failure }
}

fn nested(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> RequestOp {
    op(Op::RequestTxn(txn(success, failure)))
}

fn puts(count: usize) -> Vec<RequestOp> {
    (0..count).map(|n| put_op(&n.to_string())).collect()
}

fn compare(key: &str) -> Compare {
    Compare {
        key: key.into(),
        result: CompareResult::Equal.into(),
        target: CompareTarget::Version.into(),
        target_union: Some(TargetUnion::Version(0)),
        ..Compare::default()
    }
}

/// A transaction within a transaction, and so on.
fn deep(levels: usize) -> TxnRequest {
    (0..levels).fold(txn(vec![put_op("k")], Vec::new()), |inner, _| {
        txn(vec![op(Op::RequestTxn(inner))], Vec::new())
    })
}

async fn asked_put(client: &Client, put: PutRequest) -> Said {
    client
        .kv
        .clone()
        .put(put)
        .await
        .map(|answer| format!("prev {}", answer.into_inner().prev_kv.is_some()))
}

async fn asked_range(client: &Client, range: RangeRequest) -> Said {
    client.kv.clone().range(range).await.map(|answer| answer.into_inner().count.to_string())
}

async fn asked_delete(client: &Client, delete: DeleteRangeRequest) -> Said {
    client
        .kv
        .clone()
        .delete_range(delete)
        .await
        .map(|answer| answer.into_inner().deleted.to_string())
}

async fn asked_txn(client: &Client, txn: TxnRequest) -> Said {
    client.kv.clone().txn(txn).await.map(|answer| answer.into_inner().succeeded.to_string())
}

async fn asked_compact(client: &Client, revision: i64) -> Said {
    let compaction = CompactionRequest { revision, physical: false };
    client.kv.clone().compact(compaction).await.map(|_| "compacted".to_owned())
}

async fn asked_grant(client: &Client, id: i64, ttl: i64) -> Said {
    let granted = client.lease.clone().lease_grant(LeaseGrantRequest { id, ttl }).await;
    granted.map(|answer| answer.into_inner().ttl.to_string())
}

async fn asked_keep_alive(client: &Client, id: i64) -> Said {
    let requests = tokio_stream::iter([LeaseKeepAliveRequest { id }]);
    let mut answers = client.lease.clone().lease_keep_alive(requests).await?.into_inner();
    Ok(answers.message().await?.map_or(0, |answer| answer.ttl).to_string())
}

fn refused<'a>(
    what: &'static str,
    asking: impl Future<Output = Said> + 'a,
    code: Code,
    text: &'static str,
) -> Row<'a> {
    Row { what, asking: Box::pin(asking), expected: Err((code, text)) }
}

fn argument<'a>(
    what: &'static str,
    asking: impl Future<Output = Said> + 'a,
    text: &'static str,
) -> Row<'a> {
    refused(what, asking, Code::InvalidArgument, text)
}

fn fine<'a>(
    what: &'static str,
    asking: impl Future<Output = Said> + 'a,
    says: &'static str,
) -> Row<'a> {
    Row { what, asking: Box::pin(asking), expected: Ok(says) }
}

async fn check(kind: &str, rows: Vec<Row<'_>>) {
    let count = rows.len();
    for Row { what, asking, expected } in rows {
        let said = asking.await;
        let told =
            said.as_ref().map(String::as_str).map_err(|status| (status.code(), status.message()));
        assert_eq!(told, expected, "{what}");
    }
    eprintln!("bad input, {kind}: {count} rows");
}

#[test]
fn keys_and_transactions() {
    served(|client| async move {
        let c = &client;
        let txns = |what, asked: TxnRequest, text| argument(what, asked_txn(c, asked), text);
        let rows = vec![
            argument("put without a key", asked_put(c, put("")), KEY),
            argument("range without a key", asked_range(c, range("", b"b")), KEY),
            argument("delete without a key", asked_delete(c, delete("", "b")), KEY),
            txns("put without a key in a transaction", txn(vec![put_op("")], vec![]), KEY),
            txns("in the other branch", txn(vec![], vec![put_op("")]), KEY),
            txns("nested", txn(vec![nested(vec![], vec![put_op("")])], vec![]), KEY),
            txns(
                "range without a key",
                txn(vec![op(Op::RequestRange(range("", b"")))], vec![]),
                KEY,
            ),
            txns("delete without a key", txn(vec![delete_op("", "")], vec![]), KEY),
            txns(
                "compare without a key",
                TxnRequest { compare: vec![compare("")], ..txn(vec![], vec![]) },
                KEY,
            ),
            txns("a step that asks nothing", txn(vec![RequestOp::default()], vec![]), MISSING),
            txns("129 steps", txn(puts(129), vec![]), MANY),
            txns("129 steps in the other branch", txn(vec![], puts(129)), MANY),
            txns(
                "129 comparisons",
                TxnRequest { compare: vec![compare("k"); 129], ..txn(vec![], vec![]) },
                MANY,
            ),
            txns("128 nested in one", txn(vec![nested(puts(128), vec![])], vec![]), MANY),
            txns("a key put twice", txn(vec![put_op("k"), put_op("k")], vec![]), TWICE),
            txns("put and deleted", txn(vec![put_op("k"), delete_op("k", "")], vec![]), TWICE),
            txns(
                "put and deleted by an interval",
                txn(vec![put_op("k"), delete_op("a", "z")], vec![]),
                TWICE,
            ),
            txns(
                "put and deleted with everything",
                txn(vec![put_op("k"), delete_op("a", "\0")], vec![]),
                TWICE,
            ),
            txns(
                "put twice, once nested",
                txn(vec![put_op("k"), nested(vec![put_op("k")], vec![])], vec![]),
                TWICE,
            ),
            txns(
                "put nested, deleted outside",
                txn(vec![delete_op("k", ""), nested(vec![], vec![put_op("k")])], vec![]),
                TWICE,
            ),
            txns(
                "a sort order that is none",
                txn(
                    vec![op(Op::RequestRange(RangeRequest { sort_order: 9, ..range("k", b"") }))],
                    vec![],
                ),
                SORT,
            ),
            txns(
                "a comparison that is none",
                TxnRequest {
                    compare: vec![Compare { result: 9, ..compare("k") }],
                    ..txn(vec![], vec![])
                },
                COMPARE,
            ),
            txns(
                "a target that is none",
                TxnRequest {
                    compare: vec![Compare { target: -1, ..compare("k") }],
                    ..txn(vec![], vec![])
                },
                COMPARE,
            ),
            argument(
                "a sort order that is none",
                asked_range(c, RangeRequest { sort_order: 3, ..range("k", b"") }),
                SORT,
            ),
            argument(
                "a sort target that is none",
                asked_range(c, RangeRequest { sort_target: -1, ..range("k", b"") }),
                SORT,
            ),
            argument(
                "value and ignore_value",
                asked_put(c, PutRequest { ignore_value: true, value: b"v".into(), ..put("k") }),
                "etcdserver: value is provided",
            ),
            argument(
                "lease and ignore_lease",
                asked_put(c, PutRequest { ignore_lease: true, lease: 1, ..put("k") }),
                "etcdserver: lease is provided",
            ),
            argument(
                "ignore_value of a missing key",
                asked_put(c, PutRequest { ignore_value: true, ..put("none") }),
                MISSING,
            ),
            argument(
                "ignore_lease of a missing key",
                asked_put(c, PutRequest { ignore_lease: true, ..put("none") }),
                MISSING,
            ),
            argument(
                "a value of 1.5 MiB",
                asked_put(c, PutRequest { value: vec![0; 1_572_864], ..put("k") }),
                LARGE,
            ),
            argument(
                "a key of 1.5 MiB",
                asked_put(c, PutRequest { key: vec![b'k'; 1_572_864], ..PutRequest::default() }),
                LARGE,
            ),
            argument(
                "a range of 1.5 MiB",
                asked_range(c, range("k", &vec![b'z'; 1_572_864])),
                LARGE,
            ),
            txns(
                "three steps of 0.6 MB",
                txn(
                    (0..3)
                        .map(|n| {
                            op(Op::RequestPut(PutRequest {
                                value: vec![0; 600_000],
                                ..put(&n.to_string())
                            }))
                        })
                        .collect(),
                    vec![],
                ),
                LARGE,
            ),
            refused(
                "a message beyond what is decoded",
                asked_put(c, PutRequest { value: vec![0; 3 << 20], ..put("k") }),
                Code::ResourceExhausted,
                "grpc: received message larger than max (3145736 vs. 2097152)",
            ),
            // What looks wrong and is not.
            fine("the empty transaction", asked_txn(c, txn(vec![], vec![])), "true"),
            fine("128 steps of either kind", asked_txn(c, txn(puts(128), puts(128))), "true"),
            fine(
                "both branches put one key",
                asked_txn(c, txn(vec![put_op("k")], vec![put_op("k")])),
                "true",
            ),
            fine(
                "a delete beside a put",
                asked_txn(c, txn(vec![put_op("k"), delete_op("l", "z")], vec![])),
                "true",
            ),
            fine(
                "deletes that overlap",
                asked_txn(c, txn(vec![delete_op("x", "z"), delete_op("y", "")], vec![])),
                "true",
            ),
            fine("an end before the key", asked_range(c, range("k", b"a")), "0"),
            fine("an end that is the key", asked_range(c, range("k", b"k")), "0"),
            fine("a delete with an end before the key", asked_delete(c, delete("k", "a")), "0"),
            fine("everything from a zero byte on", asked_range(c, range("\0", b"\0")), "129"),
            fine(
                "a limit below zero",
                asked_range(c, RangeRequest { limit: -1, ..range("k", b"") }),
                "1",
            ),
            fine(
                "a key of any bytes",
                asked_put(
                    c,
                    PutRequest {
                        key: vec![0, 0xff, 0xc0, b'\n'],
                        prev_kv: true,
                        ..PutRequest::default()
                    },
                ),
                "prev false",
            ),
            fine(
                "a key of 1.4 MiB",
                asked_put(c, PutRequest { key: vec![0xff; 1_400_000], ..PutRequest::default() }),
                "prev false",
            ),
            fine(
                "a union of another kind than the target",
                asked_txn(
                    c,
                    TxnRequest {
                        compare: vec![Compare {
                            target: CompareTarget::Lease.into(),
                            ..compare("k")
                        }],
                        ..txn(vec![], vec![])
                    },
                ),
                "true",
            ),
        ];
        check("requests about keys", rows).await;
        // Go's decoder goes deeper; the words are this one's.
        let deep = asked_txn(c, deep(100)).await.unwrap_err();
        assert!(deep.message().contains("recursion limit"), "{deep:?}");
    });
}

#[test]
fn revisions_and_leases() {
    served(|client| async move {
        for _ in 0..4 {
            client.put("k", "v").await;
        }
        let c = &client;
        let at = |revision| asked_range(c, RangeRequest { revision, ..range("k", b"") });
        let of_range = Code::OutOfRange;
        let within = |revision| {
            let past = op(Op::RequestRange(RangeRequest { revision, ..range("k", b"") }));
            asked_txn(c, txn(vec![past, put_op("x")], vec![]))
        };
        let leased = || PutRequest { lease: 404, ..put("k") };
        let revoke = async |id| {
            let revoked = c.lease.clone().lease_revoke(LeaseRevokeRequest { id }).await;
            revoked.map(|_| "revoked".to_owned())
        };
        let time_to_live = async |id| {
            let asked = LeaseTimeToLiveRequest { id, keys: true };
            let told = c.lease.clone().lease_time_to_live(asked).await;
            told.map(|answer| answer.into_inner().ttl.to_string())
        };
        let hash_at = async |revision| {
            let hash = c.maintenance.clone().hash_kv(HashKvRequest { revision }).await;
            hash.map(|answer| (answer.into_inner().hash != 0).to_string())
        };
        let rows = vec![
            refused("a revision to come", at(99), of_range, FUTURE),
            refused("the last revision there can be", at(i64::MAX), of_range, FUTURE),
            refused("compaction of what is to come", asked_compact(c, 99), of_range, FUTURE),
            fine("compaction", asked_compact(c, 3), "compacted"),
            refused("compaction again", asked_compact(c, 3), of_range, COMPACTED),
            refused("compaction of before", asked_compact(c, 1), of_range, COMPACTED),
            refused("compaction of nothing", asked_compact(c, 0), of_range, COMPACTED),
            refused("compaction below nothing", asked_compact(c, i64::MIN), of_range, COMPACTED),
            refused("what is forgotten", at(2), of_range, COMPACTED),
            fine("the revision of the compaction", at(3), "1"),
            fine("a revision below zero is the newest", at(-1), "1"),
            refused("a revision to come within a transaction", within(99), of_range, FUTURE),
            refused("what is forgotten within a transaction", within(2), of_range, COMPACTED),
            refused("a hash at a revision to come", hash_at(99), of_range, FUTURE),
            refused("a hash of what is forgotten", hash_at(2), of_range, COMPACTED),
            refused("a put under no lease", asked_put(c, leased()), Code::NotFound, NO_LEASE),
            refused(
                "the same in a transaction",
                asked_txn(c, txn(vec![op(Op::RequestPut(leased()))], vec![])),
                Code::NotFound,
                NO_LEASE,
            ),
            refused("revoking no lease", revoke(404), Code::NotFound, NO_LEASE),
            refused("revoking lease 0", revoke(0), Code::NotFound, NO_LEASE),
            fine("lease", asked_grant(c, 7, 60), "60"),
            refused(
                "the same lease again",
                asked_grant(c, 7, 60),
                Code::FailedPrecondition,
                "etcdserver: lease already exists",
            ),
            refused(
                "a lease of 300 years",
                asked_grant(c, 8, 9_000_000_001),
                of_range,
                "etcdserver: too large lease TTL",
            ),
            refused(
                "a lease for ever",
                asked_grant(c, 8, i64::MAX),
                of_range,
                "etcdserver: too large lease TTL",
            ),
            fine("the longest lease", asked_grant(c, 9, 9_000_000_000), "9000000000"),
            fine("the time of no lease", time_to_live(404), "-1"),
            fine("keeping no lease alive", asked_keep_alive(c, 404), "0"),
        ];
        check("revisions and leases", rows).await;
        // Raised to the shortest there is, never below zero.
        for (id, ttl) in [(20, 0), (21, -1), (22, i64::MIN), (23, 1)] {
            let granted: i64 = asked_grant(c, id, ttl).await.unwrap().parse().unwrap();
            assert!((1..=60).contains(&granted), "{ttl} became {granted}");
        }
    });
}

#[test]
fn members() {
    served(|client| async move {
        let c = &client;
        let not_found = "etcdserver: member not found";
        let remove = async |id| {
            c.cluster.clone().member_remove(MemberRemoveRequest { id }).await.map(|_| String::new())
        };
        let update = async |id| {
            let update = MemberUpdateRequest { id, peer_ur_ls: vec!["http://x:1".into()] };
            c.cluster.clone().member_update(update).await.map(|_| String::new())
        };
        let promote = async |id| {
            c.cluster
                .clone()
                .member_promote(MemberPromoteRequest { id })
                .await
                .map(|_| String::new())
        };
        let add = async |urls: &[&str]| {
            let peer_ur_ls = urls.iter().map(|url| (*url).to_owned()).collect();
            let add = MemberAddRequest { peer_ur_ls, is_learner: false };
            c.cluster.clone().member_add(add).await.map(|_| "added".to_owned())
        };
        let lead = async |id| {
            c.maintenance
                .clone()
                .move_leader(MoveLeaderRequest { target_id: id })
                .await
                .map(|_| String::new())
        };
        let bad_url = "etcdserver: given member URLs are invalid";
        let rows = vec![
            refused("removing nobody", remove(1), Code::NotFound, not_found),
            refused("removing number 0", remove(0), Code::NotFound, not_found),
            refused("describing nobody", update(1), Code::NotFound, not_found),
            refused("promoting nobody", promote(1), Code::NotFound, not_found),
            refused(
                "leading nobody",
                lead(1),
                Code::FailedPrecondition,
                "etcdserver: bad leader transferee",
            ),
            argument("a member nowhere", add(&[]), bad_url),
            argument("a member that is no URL", add(&["nonsense"]), bad_url),
            argument("a member without a port", add(&["http://host"]), bad_url),
            argument("a member of another scheme", add(&["ftp://host:1"]), bad_url),
            argument("a member with controls in its name", add(&["http://a\u{1b}[2J:1"]), bad_url),
        ];
        check("members", rows).await;
    });
}
