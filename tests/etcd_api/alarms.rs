//! Quota and alarms: what a full server refuses and what it still does, how an operator makes room, and that all members know of it, also
//! after a restart.

use crate::groups::{Trio, page};
use crate::served::{Client, served, start_in, start_on, with_client};
use kvbench::model::{Alarm, AlarmKind};
use kvbench::rpc::etcdserverpb::alarm_request::AlarmAction;
use kvbench::rpc::etcdserverpb::request_op::Request as Op;
use kvbench::rpc::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmType, CompactionRequest, DefragmentRequest, DeleteRangeRequest,
    LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest, RequestOp, StatusRequest,
    StatusResponse, TxnRequest,
};
use kvbench::rpc::v3lockpb::LockRequest;
use kvbench::server::Quota;
use std::net::SocketAddr;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const QUOTA_BYTES: i64 = 64 << 10;
const VALUE_BYTES: usize = 4 << 10;
const NO_SPACE: &str = "etcdserver: mvcc: database space exceeded";
const CORRUPT: &str = "etcdserver: corrupt cluster";

fn put(key: &str) -> PutRequest {
    PutRequest { key: key.into(), value: vec![b'v'; VALUE_BYTES], ..PutRequest::default() }
}

fn txn(op: Op) -> TxnRequest {
    TxnRequest { success: vec![RequestOp { request: Some(op) }], ..TxnRequest::default() }
}

fn delete(key: &str) -> DeleteRangeRequest {
    DeleteRangeRequest { key: key.into(), ..DeleteRangeRequest::default() }
}

fn get(key: &str) -> RangeRequest {
    RangeRequest { key: key.into(), ..RangeRequest::default() }
}

fn told(outcome: Result<(), Status>) -> Result<(), (Code, String)> {
    outcome.map_err(|status| (status.code(), status.message().to_owned()))
}

fn no_space() -> Result<(), (Code, String)> {
    Err((Code::ResourceExhausted, NO_SPACE.to_owned()))
}

fn corrupt() -> Result<(), (Code, String)> {
    Err((Code::DataLoss, CORRUPT.to_owned()))
}

/// What each kind of request is told, besides that of alarms.
struct Told {
    put: Result<(), (Code, String)>,
    txn_put: Result<(), (Code, String)>,
    grant: Result<(), (Code, String)>,
    lock: Result<(), (Code, String)>,
    delete: Result<(), (Code, String)>,
    txn_delete: Result<(), (Code, String)>,
    compact: Result<(), (Code, String)>,
    revoke: Result<(), (Code, String)>,
    get: Result<(), (Code, String)>,
    txn_get: Result<(), (Code, String)>,
}

impl Client {
    async fn try_put(&self, key: &str) -> Result<(), (Code, String)> {
        told(self.kv.clone().put(put(key)).await.map(drop))
    }

    async fn alarm(
        &self,
        action: AlarmAction,
        member_id: u64,
        alarm: AlarmType,
    ) -> Result<Vec<AlarmMember>, Status> {
        let asked = AlarmRequest { action: action.into(), member_id, alarm: alarm.into() };
        let answer = self.maintenance.clone().alarm(asked).await.map(Response::into_inner)?;
        assert!(answer.header.unwrap().member_id != 0);
        Ok(answer.alarms)
    }

    async fn alarms(&self) -> Vec<AlarmMember> {
        self.alarm(AlarmAction::Get, 0, AlarmType::None).await.unwrap()
    }

    /// As `etcdctl alarm disarm`.
    async fn disarm(&self) -> Vec<AlarmMember> {
        let mut disarmed = Vec::new();
        for one in self.alarms().await {
            let ended = self.alarm(AlarmAction::Deactivate, one.member_id, one.alarm());
            disarmed.extend(ended.await.unwrap());
        }
        disarmed
    }

    async fn status(&self) -> StatusResponse {
        self.maintenance.clone().status(StatusRequest {}).await.unwrap().into_inner()
    }

    /// Writes one key again and again until that is refused.
    async fn fill(&self, key: &str) {
        for _ in 0..=(QUOTA_BYTES as usize / VALUE_BYTES) {
            if let Err(refused) = self.try_put(key).await {
                return assert_eq!(Err(refused), no_space());
            }
        }
        panic!("more went in than the quota allows");
    }

    async fn try_all(&self, lease: i64, compact: i64) -> Told {
        let mut kv = self.kv.clone();
        let mut leases = self.lease.clone();
        let lock = LockRequest { name: b"l".into(), lease };
        let compact = CompactionRequest { revision: compact, physical: true };
        Told {
            put: self.try_put("one").await,
            txn_put: told(kv.txn(txn(Op::RequestPut(put("one")))).await.map(drop)),
            grant: {
                let grant = LeaseGrantRequest { id: 0, ttl: 60 };
                told(leases.lease_grant(grant).await.map(drop))
            },
            lock: told(self.lock.clone().lock(lock).await.map(drop)),
            delete: told(kv.delete_range(delete("absent")).await.map(drop)),
            txn_delete: {
                let delete = Op::RequestDeleteRange(delete("absent"));
                told(kv.txn(txn(delete)).await.map(drop))
            },
            compact: told(kv.compact(compact).await.map(drop)),
            revoke: {
                let revoke = LeaseRevokeRequest { id: lease };
                told(leases.lease_revoke(revoke).await.map(drop))
            },
            get: told(kv.range(get("one")).await.map(drop)),
            txn_get: told(kv.txn(txn(Op::RequestRange(get("one")))).await.map(drop)),
        }
    }
}

/// Health as gRPC and as the page tell it.
async fn health(clients: SocketAddr, metrics: SocketAddr) -> (ServingStatus, u16, String) {
    let channel =
        Channel::from_shared(format!("http://{clients}")).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel);
    let (code, body) = page(metrics).await;
    let expected = if code == 200 { ServingStatus::Serving } else { ServingStatus::NotServing };
    // It is looked at now and then: until it says the same as the page.
    let mut watch = health.watch(tonic_health::pb::HealthCheckRequest::default()).await.unwrap();
    loop {
        let told = watch.get_mut().message().await.unwrap().unwrap().status();
        if told == expected {
            return (told, code, body);
        }
    }
}

fn reason(health: &str, reason: &str) -> String {
    format!("{{\"health\":\"{health}\",\"reason\":\"{reason}\"}}")
}

#[test]
fn a_full_server_takes_no_more_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let server = start_in(folder.path(), Quota::of_bytes(QUOTA_BYTES));
    let (clients, metrics) = (server.clients()[0], server.metrics()[0]);
    with_client(clients, |client| async move {
        let grant = LeaseGrantRequest { id: 7, ttl: 600 };
        client.lease.clone().lease_grant(grant).await.unwrap();
        assert!(client.alarms().await.is_empty());
        client.fill("one").await;
        let status = client.status().await;
        let id = status.header.as_ref().unwrap().member_id;
        assert!(status.db_size < QUOTA_BYTES, "{status:?}");
        assert!(status.db_size + 256 + VALUE_BYTES as i64 + 3 >= QUOTA_BYTES, "{status:?}");
        assert_eq!(status.errors, [format!("memberID:{id} alarm:NOSPACE ")]);
        let raised = [AlarmMember { member_id: id, alarm: AlarmType::Nospace.into() }];
        assert_eq!(client.alarms().await, raised);
        let of_kind = client.alarm(AlarmAction::Get, 0, AlarmType::Corrupt).await.unwrap();
        assert!(of_kind.is_empty());
        let unwell = (ServingStatus::NotServing, 503, reason("false", "ALARM NOSPACE"));
        assert_eq!(health(clients, metrics).await, unwell);

        let revision = status.header.unwrap().revision;
        let all = client.try_all(7, revision).await;
        assert_eq!([all.put, all.txn_put, all.grant, all.lock], [(); 4].map(|()| no_space()));
        let goes_on = [all.delete, all.txn_delete, all.compact, all.revoke, all.get, all.txn_get];
        assert_eq!(goes_on, [(); 6].map(|()| Ok(())));
        // Small enough, but there is an alarm, which the log keeps to.
        let tiny = PutRequest { key: b"k".into(), ..PutRequest::default() };
        assert_eq!(told(client.kv.clone().put(tiny).await.map(drop)), no_space());

        // Without room it is raised again at once.
        assert_eq!(client.disarm().await, raised);
        assert_eq!(client.try_put("one").await, no_space());
        assert_eq!(client.alarms().await, raised);
        client.maintenance.clone().defragment(DefragmentRequest {}).await.unwrap();
        let after = client.status().await;
        assert!(after.db_size < 2 * VALUE_BYTES as i64, "{after:?}");
        assert_eq!(client.try_put("one").await, no_space(), "until an operator says so");
        assert_eq!(client.disarm().await, raised);
        assert_eq!(client.try_put("two").await, Ok(()));
        assert!(client.alarms().await.is_empty() && client.status().await.errors.is_empty());
        let well = (ServingStatus::Serving, 200, reason("true", ""));
        assert_eq!(health(clients, metrics).await, well);
    });
    server.stop();
}

#[test]
fn an_alarm_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = start_in(folder.path(), Quota::of_bytes(QUOTA_BYTES));
    with_client(server.clients()[0], |client| async move { client.fill("one").await });
    server.stop();
    // With any room there may be, since it is the alarm that refuses.
    let server = start_in(folder.path(), Quota::NONE);
    with_client(server.clients()[0], |client| async move {
        assert_eq!(client.alarms().await.len(), 1);
        assert_eq!(client.try_put("one").await, no_space());
        assert_eq!(client.disarm().await.len(), 1);
        assert_eq!(client.try_put("one").await, Ok(()));
    });
    server.stop();
}

/// The first has a quota, the second none: it refuses because the first is full, and ends the alarm for all.
#[test]
fn all_members_keep_to_the_alarm_of_one() {
    let running = Trio::start_with(Quota::of_bytes(QUOTA_BYTES));
    let second = start_on(running.nodes[1].clone(), Quota::NONE);
    let trio = &running;
    with_client(trio.server.clients()[0], |client| async move {
        trio.first_leads().await;
        client.fill("one").await;
    });
    with_client(second.clients()[0], |client| async move {
        assert_eq!(client.try_put("one").await, no_space());
        assert_eq!(client.disarm().await.len(), 1);
        assert_eq!(client.try_put("one").await, Ok(()));
    });
    let alarms = |member: usize| trio.nodes[member].alarms();
    assert!([0, 1].into_iter().all(|member| alarms(member).is_empty()));
    second.stop();
    running.server.stop();
}

#[test]
fn a_corrupt_cluster_changes_nothing() {
    served(|client| async move {
        let grant = LeaseGrantRequest { id: 7, ttl: 600 };
        client.lease.clone().lease_grant(grant).await.unwrap();
        let revision = client.put("one", "1").await;
        let raised = client.alarm(AlarmAction::Activate, 9, AlarmType::Corrupt).await.unwrap();
        assert_eq!(raised, [AlarmMember { member_id: 9, alarm: AlarmType::Corrupt.into() }]);
        let again = client.alarm(AlarmAction::Activate, 9, AlarmType::Corrupt).await.unwrap();
        assert_eq!((again, client.alarms().await), (raised.clone(), raised.clone()));
        assert_eq!(client.status().await.errors, ["memberID:9 alarm:CORRUPT "]);
        let all = client.try_all(7, revision).await;
        let changes = [
            all.put,
            all.txn_put,
            all.grant,
            all.lock,
            all.delete,
            all.txn_delete,
            all.compact,
            all.revoke,
        ];
        assert_eq!(changes, [(); 8].map(|()| corrupt()));
        // As in etcd, whose reads go around the log.
        assert_eq!([all.get, all.txn_get], [Ok(()), Ok(())]);
        let other = client.alarm(AlarmAction::Deactivate, 8, AlarmType::Corrupt).await.unwrap();
        assert!(other.is_empty(), "of another member there is none");
        assert_eq!(client.disarm().await, raised);
        assert_eq!(client.try_put("one").await, Ok(()));
    });
}

#[test]
fn health_names_the_worst_alarm() {
    let folder = tempfile::tempdir().unwrap();
    let server = start_in(folder.path(), Quota::NONE);
    let (clients, metrics) = (server.clients()[0], server.metrics()[0]);
    with_client(clients, |client| async move {
        for kind in [AlarmType::Corrupt, AlarmType::Nospace] {
            client.alarm(AlarmAction::Activate, 1, kind).await.unwrap();
        }
        let unwell = (ServingStatus::NotServing, 503, reason("false", "ALARM CORRUPT"));
        assert_eq!(health(clients, metrics).await, unwell);
    });
    server.stop();
}

#[test]
fn alarms_of_no_kind_are_no_alarms() {
    served(|client| async move {
        let none = client.alarm(AlarmAction::Deactivate, 1, AlarmType::None).await.unwrap();
        assert!(none.is_empty());
        let raised = client.alarm(AlarmAction::Activate, 1, AlarmType::None).await;
        assert_eq!(raised.unwrap_err().code(), Code::InvalidArgument);
        for (action, alarm) in [(0, 7), (1, 7), (2, -1), (7, 1)] {
            let asked = AlarmRequest { action, member_id: 1, alarm };
            let refused = client.maintenance.clone().alarm(asked).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{action} {alarm}");
        }
        assert!(client.alarms().await.is_empty());
    });
}

/// The harness's own client speaks of alarms, too.
#[test]
fn alarms_go_through_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let server = start_in(folder.path(), Quota::NONE);
    let endpoint =
        kvbench::client::Endpoint::parse(&format!("http://{}", server.clients()[0]), None).unwrap();
    with_client(server.clients()[0], |_| async move {
        use kvbench::model::{Body, Request};
        let connection = kvbench::client::Connection::open(&endpoint).await.unwrap();
        let alarm = Alarm { kind: AlarmKind::NoSpace, member: 3 };
        for (request, expected) in [
            (Request::AlarmActivate(alarm), vec![alarm]),
            (Request::Alarms, vec![alarm]),
            (Request::AlarmDeactivate(alarm), vec![alarm]),
            (Request::AlarmDeactivate(alarm), vec![]),
        ] {
            let answer = connection.call(request).await.unwrap();
            assert_eq!(answer.result, Ok(Body::Alarms(expected)));
        }
    });
    server.stop();
}
