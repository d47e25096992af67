//! Keys, transactions, and what operators ask.

use crate::served::{node_in, served, with_server};
use kvbench::model::{self, Interval, Range, Refusal};
use kvbench::rpc::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use kvbench::rpc::etcdserverpb::range_request::{SortOrder, SortTarget};
use kvbench::rpc::etcdserverpb::request_op::Request;
use kvbench::rpc::etcdserverpb::response_op::Response;
use kvbench::rpc::etcdserverpb::{
    AlarmRequest, CompactionRequest, Compare, DefragmentRequest, DeleteRangeRequest, HashKvRequest,
    HashRequest, MemberListRequest, MoveLeaderRequest, PutRequest, RangeRequest, RequestOp,
    StatusRequest, TxnRequest,
};
use kvbench::store::Portion;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use tonic::Code;

fn all() -> RangeRequest {
    RangeRequest { key: vec![0], range_end: vec![0], ..RangeRequest::default() }
}

#[test]
fn what_is_put_is_found_and_what_is_deleted_is_not() {
    served(|client| async move {
        assert_eq!(client.put("a", "1").await, 2);
        assert_eq!(client.put("b", "2").await, 3);
        assert_eq!(client.put("a", "3").await, 4);
        let found = client.range(all()).await;
        let header = found.header.unwrap();
        assert_eq!((header.revision, found.count, found.more), (4, 2, false));
        assert!(header.member_id != 0 && header.cluster_id != 0 && header.raft_term > 0);
        let first = &found.kvs[0];
        assert_eq!((first.create_revision, first.mod_revision, first.version), (2, 4, 2));
        let past = client.range(RangeRequest { revision: 3, ..all() }).await;
        assert_eq!((past.kvs[0].value.as_slice(), past.header.unwrap().revision), (&b"1"[..], 4));
        let delete = DeleteRangeRequest { key: b"a".into(), range_end: b"c".into(), prev_kv: true };
        let deleted = client.kv.clone().delete_range(delete).await.unwrap().into_inner();
        assert_eq!((deleted.deleted, deleted.prev_kvs.len()), (2, 2));
        assert_eq!(client.get("a").await, None);
    });
}

#[test]
fn a_range_is_sorted_limited_and_filtered_as_asked() {
    served(|client| async move {
        for key in ["a", "b", "c"] {
            client.put(key, key).await;
        }
        let newest = RangeRequest {
            sort_order: SortOrder::Descend.into(),
            sort_target: SortTarget::Mod.into(),
            limit: 2,
            serializable: true,
            keys_only: true,
            ..all()
        };
        let found = client.range(newest).await;
        let keys: Vec<_> = found.kvs.iter().map(|kv| kv.key.as_slice()).collect();
        assert_eq!((keys, found.more, found.count), (vec![&b"c"[..], b"b"], true, 3));
        assert!(found.kvs.iter().all(|kv| kv.value.is_empty()));
        let counted = client.range(RangeRequest { count_only: true, ..all() }).await;
        assert_eq!((counted.kvs.len(), counted.count), (0, 3));
        let old = client.range(RangeRequest { max_mod_revision: 3, ..all() }).await;
        assert_eq!(old.kvs.len(), 2);
    });
}

/// Such an answer comes in pieces, and its keys are found beside the log: it has to be as any other.
#[test]
fn a_large_range_is_whole_and_misses_no_write() {
    served(|client| async move {
        let value = "v".repeat(10_000);
        for number in 0..300 {
            client.put(&format!("k{number:03}"), &value).await;
            if number % 50 == 0 {
                let found = client.range(all()).await;
                assert_eq!((found.kvs.len() as i64, found.count), (number + 1, number + 1));
            }
        }
        let found = client.range(RangeRequest { limit: 200, ..all() }).await;
        assert_eq!((found.kvs.len(), found.more, found.count), (200, true, 300));
        assert_eq!(found.header.unwrap().revision, 301);
        let keys = found.kvs.iter().map(|kv| String::from_utf8(kv.key.clone()).unwrap());
        assert!(keys.eq((0..200).map(|number| format!("k{number:03}"))));
        assert!(found.kvs.iter().all(|kv| kv.value == value.as_bytes()));
        let future = RangeRequest { revision: 302, ..all() };
        let refused = client.kv.clone().range(future).await.unwrap_err();
        assert_eq!(refused.code(), Code::OutOfRange);
        assert!(refused.message().contains("future revision"), "{refused}");
    });
}

#[test]
fn what_walks_over_many_keys_is_long_however_few_it_answers_with() {
    let folder = tempfile::tempdir().unwrap();
    let node = node_in(folder.path());
    let puts: Vec<_> =
        (100..300).map(|number| model::Request::put(format!("k{number}"), "v")).collect();
    assert!(node.call_all(&puts).iter().all(Result::is_ok));
    let of = |keys| Portion { keys, value_bytes: usize::MAX };
    let is_long = |range: &Range, keys| node.read_here_within(of(keys), range).is_none();
    let all = || Range { interval: Interval::everything(), ..Range::default() };
    for range in [
        all(),
        Range { limit: 1, ..all() },
        Range { count_only: true, ..all() },
        Range { serializable: true, ..all() },
        Range { revision: 201, ..all() },
    ] {
        assert_eq!((is_long(&range, 199), is_long(&range, 200)), (true, false));
        let short = node.read_here_within(of(200), &range);
        assert_eq!(short, Some(node.read_here(&model::Request::Range(range))));
    }
    let some = Range { interval: Interval::prefix("k1"), ..Range::default() };
    assert_eq!((is_long(&some, 99), is_long(&some, 100)), (true, false));
    let future = Range { revision: 202, ..all() };
    let refused = node.read_here_within(of(0), &future).unwrap().result;
    assert_eq!(refused, Err(Refusal::FutureRevision));
}

#[test]
fn a_transaction_compares_and_does_all_or_nothing() {
    served(|client| async move {
        client.put("k", "old").await;
        let txn = |expected: &str| TxnRequest {
            compare: vec![Compare {
                key: b"k".into(),
                result: CompareResult::Equal.into(),
                target: CompareTarget::Value.into(),
                target_union: Some(TargetUnion::Value(expected.into())),
                ..Compare::default()
            }],
            success: vec![
                op(Request::RequestPut(PutRequest {
                    key: b"k".into(),
                    value: b"new".into(),
                    prev_kv: true,
                    ..PutRequest::default()
                })),
                op(Request::RequestRange(all())),
            ],
            failure: vec![op(Request::RequestRange(RangeRequest {
                key: b"k".into(),
                serializable: true,
                ..RangeRequest::default()
            }))],
        };
        let done = client.kv.clone().txn(txn("old")).await.unwrap().into_inner();
        assert!(done.succeeded);
        let steps: Vec<_> = done.responses.into_iter().map(|op| op.response.unwrap()).collect();
        let [Response::ResponsePut(put), Response::ResponseRange(range)] = &steps[..] else {
            panic!("two steps, got {steps:?}")
        };
        assert_eq!(put.prev_kv.as_ref().unwrap().value, b"old");
        assert_eq!((range.kvs[0].value.as_slice(), range.kvs[0].mod_revision), (&b"new"[..], 3));
        let not = client.kv.clone().txn(txn("old")).await.unwrap().into_inner();
        assert!(!not.succeeded && not.header.unwrap().revision == 3);
    });
}

fn op(request: Request) -> RequestOp {
    RequestOp { request: Some(request) }
}

#[test]
fn operators_are_answered() {
    served(|client| async move {
        client.put("a", "1").await;
        client.put("a", "2").await;
        let mut maintenance = client.maintenance.clone();
        let status = maintenance.status(StatusRequest {}).await.unwrap().into_inner();
        assert_eq!(status.leader, status.header.as_ref().unwrap().member_id);
        assert!(status.raft_term > 0 && status.raft_applied_index > 2, "{status:?}");
        let members = client.cluster.clone().member_list(MemberListRequest::default()).await;
        let member = members.unwrap().into_inner().members.pop().unwrap();
        assert_eq!((member.id, member.name.as_str()), (status.leader, "n1"));
        assert_eq!(member.peer_ur_ls, ["http://p:1"]);
        let alarms = maintenance.alarm(AlarmRequest::default()).await.unwrap();
        assert!(alarms.into_inner().alarms.is_empty());
        maintenance.defragment(DefragmentRequest {}).await.unwrap();
        maintenance.move_leader(MoveLeaderRequest { target_id: member.id }).await.unwrap();
        let refused = maintenance.move_leader(MoveLeaderRequest { target_id: 1 }).await;
        assert_eq!(refused.unwrap_err().code(), Code::FailedPrecondition);
    });
}

/// An answered write is applied: a status that says otherwise sends an operator after a lag that is none.
#[test]
fn a_status_knows_every_answered_write() {
    served(|client| async move {
        for puts in 1..=200 {
            client.put("a", "1").await;
            let asked = client.maintenance.clone().status(StatusRequest {}).await;
            let status = asked.unwrap().into_inner();
            // The first entry of the log is the leader's own, and each put is one.
            assert!(status.raft_applied_index > puts, "after {puts} puts: {status:?}");
            assert!(status.raft_index >= status.raft_applied_index, "{status:?}");
        }
    });
}

#[test]
fn hashes_tell_states_apart() {
    served(|client| async move {
        let mut maintenance = client.maintenance.clone();
        client.put("a", "1").await;
        let hash_at = async |revision| {
            let asked = HashKvRequest { revision };
            client.maintenance.clone().hash_kv(asked).await.unwrap().into_inner()
        };
        let (first, whole) = (hash_at(0).await, maintenance.hash(HashRequest {}).await.unwrap());
        client.put("a", "2").await;
        let second = hash_at(0).await;
        assert_ne!(first.hash, second.hash);
        assert_eq!(hash_at(2).await.hash, first.hash);
        let now = maintenance.hash(HashRequest {}).await.unwrap().into_inner();
        assert_ne!(now.hash, whole.into_inner().hash);
        let compact = CompactionRequest { revision: 3, physical: true };
        client.kv.clone().compact(compact).await.unwrap();
        let third = hash_at(0).await;
        assert_eq!((third.hash, third.compact_revision), (second.hash, 3));
        let gone = maintenance.hash_kv(HashKvRequest { revision: 2 }).await.unwrap_err();
        assert_eq!(gone.code(), Code::OutOfRange);
    });
}

#[test]
fn numbers_are_scraped_over_plain_http() {
    with_server(|server, client| async move {
        client.put("a", "1").await;
        let address = server.metrics()[0];
        let page = tokio::task::spawn_blocking(move || get(address, "/metrics")).await.unwrap();
        assert!(page.contains("\nkvbench_revision 2\n"), "{page}");
        let puts = "kvbench_grpc_requests_total{method=\"etcdserverpb.KV/Put\",code=\"Ok\"} 1\n";
        assert!(page.contains(puts), "{page}");
        let health = tokio::task::spawn_blocking(move || get(address, "/health")).await.unwrap();
        assert!(health.ends_with("{\"health\":\"true\",\"reason\":\"\"}"), "{health}");
        tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    });
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}
