//! What is refused, with etcd's code and etcd's words.

use crate::served::{Client, served, with_server};
use kvbench::rpc::etcdserverpb::request_op::Request as Op;
use kvbench::rpc::etcdserverpb::{
    AuthEnableRequest, CompactionRequest, DeleteRangeRequest, LeaseGrantRequest,
    LeaseRevokeRequest, MemberRemoveRequest, PutRequest, RangeRequest, RequestOp, SnapshotRequest,
    TxnRequest, auth_client::AuthClient,
};
use kvbench::rpc::v3electionpb::{LeaderRequest, ResignRequest};
use tonic::{Code, Status};

fn put(key: &str) -> PutRequest {
    PutRequest { key: key.into(), ..PutRequest::default() }
}

fn put_op(key: &str) -> RequestOp {
    RequestOp { request: Some(Op::RequestPut(put(key))) }
}

fn txn(success: Vec<RequestOp>) -> TxnRequest {
    TxnRequest { success, ..TxnRequest::default() }
}

async fn refused_put(client: &Client, put: PutRequest) -> Status {
    client.kv.clone().put(put).await.unwrap_err()
}

async fn refused_range(client: &Client, range: RangeRequest) -> Status {
    client.kv.clone().range(range).await.unwrap_err()
}

async fn refused_txn(client: &Client, txn: TxnRequest) -> Status {
    client.kv.clone().txn(txn).await.unwrap_err()
}

async fn refused_grant(client: &Client, id: i64, ttl: i64) -> Status {
    client.lease.clone().lease_grant(LeaseGrantRequest { id, ttl }).await.unwrap_err()
}

fn assert_refused(status: &Status, code: Code, text: &str) {
    assert_eq!((status.code(), status.message()), (code, text));
}

#[test]
fn bad_arguments_are_refused() {
    served(|client| async move {
        let argument = |status: Status, text| assert_refused(&status, Code::InvalidArgument, text);
        let get = |key: &str| RangeRequest { key: key.into(), ..RangeRequest::default() };
        argument(refused_put(&client, put("")).await, "etcdserver: key is not provided");
        argument(refused_range(&client, get("")).await, "etcdserver: key is not provided");
        let serializable = RangeRequest { serializable: true, ..get("") };
        argument(refused_range(&client, serializable).await, "etcdserver: key is not provided");
        let delete = client.kv.clone().delete_range(DeleteRangeRequest::default()).await;
        argument(delete.unwrap_err(), "etcdserver: key is not provided");
        let value = PutRequest { ignore_value: true, value: b"v".into(), ..put("k") };
        argument(refused_put(&client, value).await, "etcdserver: value is provided");
        let lease = PutRequest { ignore_lease: true, lease: 1, ..put("k") };
        argument(refused_put(&client, lease).await, "etcdserver: lease is provided");
        let missing = PutRequest { ignore_value: true, ..put("k") };
        argument(refused_put(&client, missing).await, "etcdserver: key not found");
        let order = RangeRequest { sort_order: 7, ..get("k") };
        argument(refused_range(&client, order).await, "etcdserver: invalid sort option");
        let target = RangeRequest { sort_target: 7, ..get("k") };
        argument(refused_range(&client, target).await, "etcdserver: invalid sort option");
        let many = txn((0..129).map(|n| put_op(&n.to_string())).collect());
        argument(
            refused_txn(&client, many).await,
            "etcdserver: too many operations in txn request",
        );
        let twice = txn(vec![put_op("k"), put_op("k")]);
        argument(
            refused_txn(&client, twice).await,
            "etcdserver: duplicate key given in txn request",
        );
        let nothing = txn(vec![RequestOp::default()]);
        argument(refused_txn(&client, nothing).await, "etcdserver: key not found");
        let large = PutRequest { value: vec![0; 1_600_000], ..put("k") };
        argument(refused_put(&client, large).await, "etcdserver: request is too large");
    });
}

#[test]
fn revisions_out_of_range_are_refused() {
    served(|client| async move {
        for _ in 0..3 {
            client.put("k", "v").await;
        }
        let compact = |revision| {
            let mut kv = client.kv.clone();
            async move { kv.compact(CompactionRequest { revision, physical: false }).await }
        };
        compact(3).await.unwrap();
        let at = |revision| RangeRequest { key: b"k".into(), revision, ..RangeRequest::default() };
        let (future, compacted) = (
            "etcdserver: mvcc: required revision is a future revision",
            "etcdserver: mvcc: required revision has been compacted",
        );
        assert_refused(&refused_range(&client, at(9)).await, Code::OutOfRange, future);
        assert_refused(&refused_range(&client, at(2)).await, Code::OutOfRange, compacted);
        assert_refused(&compact(9).await.unwrap_err(), Code::OutOfRange, future);
        assert_refused(&compact(3).await.unwrap_err(), Code::OutOfRange, compacted);
    });
}

#[test]
fn leases_that_cannot_be_are_refused() {
    served(|client| async move {
        let not_found = "etcdserver: requested lease not found";
        let leased = PutRequest { lease: 77, ..put("k") };
        assert_refused(&refused_put(&client, leased).await, Code::NotFound, not_found);
        let revoke = client.lease.clone().lease_revoke(LeaseRevokeRequest { id: 77 }).await;
        assert_refused(&revoke.unwrap_err(), Code::NotFound, not_found);
        let large = refused_grant(&client, 0, 9_000_000_001).await;
        assert_refused(&large, Code::OutOfRange, "etcdserver: too large lease TTL");
        client.lease.clone().lease_grant(LeaseGrantRequest { id: 7, ttl: 60 }).await.unwrap();
        let twice = refused_grant(&client, 7, 60).await;
        assert_refused(&twice, Code::FailedPrecondition, "etcdserver: lease already exists");
    });
}

/// The whole of it arrives, and says how much is to come.
#[test]
fn a_snapshot_is_streamed_to_its_end() {
    served(|client| async move {
        client.kv.clone().put(put("k")).await.unwrap();
        let snapshot = client.maintenance.clone().snapshot(SnapshotRequest {}).await;
        let mut chunks = snapshot.unwrap().into_inner();
        let (mut bytes, mut remaining) = (0, None);
        while let Some(chunk) = chunks.message().await.unwrap() {
            bytes += chunk.blob.len() as u64;
            assert!(
                remaining
                    .is_none_or(|left| left == chunk.remaining_bytes + chunk.blob.len() as u64)
            );
            remaining = Some(chunk.remaining_bytes);
        }
        assert_eq!(remaining, Some(0));
        // Pages and a hash: etcd's own client takes nothing else.
        assert_eq!(bytes % 512, 32);
    });
}

#[test]
fn what_is_not_there_says_so() {
    with_server(|server, client| async move {
        let remove = client.cluster.clone().member_remove(MemberRemoveRequest { id: 1 }).await;
        assert_refused(&remove.unwrap_err(), Code::NotFound, "etcdserver: member not found");
        let leader = client.election.clone().leader(LeaderRequest { name: b"e".into() }).await;
        assert_refused(&leader.unwrap_err(), Code::Unknown, "election: no leader");
        let resign = client.election.clone().resign(ResignRequest::default()).await;
        let missing = "\"leader\" field must be provided";
        assert_refused(&resign.unwrap_err(), Code::InvalidArgument, missing);
        let url = format!("http://{}", server.clients()[0]);
        let mut auth = AuthClient::connect(url).await.unwrap();
        let enable = auth.auth_enable(AuthEnableRequest {}).await.unwrap_err();
        assert_eq!(enable.code(), Code::Unimplemented);
        assert!(enable.message().contains("--client-cert-auth"));
        tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    });
}
