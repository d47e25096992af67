//! What operators ask of the member.

use super::context::{Context, rejected};
use crate::model::{KeyValue, MainRevision, Refusal};
use crate::raft::Rejected;
use crate::rpc::Failure;
use crate::rpc::etcdserverpb::alarm_request::AlarmAction;
use crate::rpc::etcdserverpb::maintenance_server::Maintenance;
use crate::rpc::etcdserverpb::{
    AlarmRequest, AlarmResponse, DefragmentRequest, DefragmentResponse, DowngradeRequest,
    DowngradeResponse, HashKvRequest, HashKvResponse, HashRequest, HashResponse, MoveLeaderRequest,
    MoveLeaderResponse, SnapshotRequest, SnapshotResponse, StatusRequest, StatusResponse,
};
use futures_util::stream::Empty;
use std::sync::Arc;
use tonic::{Request, Response, Status};
use xxhash_rust::xxh3::Xxh3Default;

/// The version of etcd whose API this is; clients ask for it to know what they may use.
const API_VERSION: &str = "3.5.0";

/// Keys hashed in one go, since the store's locks are taken for them.
const HASH_PAGE: i64 = 1024;

/// The service.
pub(super) struct MaintenanceService(pub(super) Arc<Context>);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Maintenance for MaintenanceService {
    type SnapshotStream = Empty<Result<SnapshotResponse, Status>>;

    /// There are no alarms: nothing here has a quota or finds itself corrupt.
    async fn alarm(&self, request: Request<AlarmRequest>) -> Answer<AlarmResponse> {
        match request.into_inner().action() {
            AlarmAction::Get | AlarmAction::Deactivate => {
                let header = Some(self.0.header_now());
                Ok(Response::new(AlarmResponse { header, alarms: Vec::new() }))
            }
            AlarmAction::Activate => {
                Err(Status::unimplemented("kvbench: alarms cannot be activated, there are none"))
            }
        }
    }

    async fn status(&self, _: Request<StatusRequest>) -> Answer<StatusResponse> {
        let status = self.0.node.status();
        let bytes = i64::try_from(self.0.node.counts().log_bytes).unwrap_or(i64::MAX);
        Ok(Response::new(StatusResponse {
            header: Some(self.0.header_now()),
            version: API_VERSION.into(),
            // What was written to the log since the start: the closest there is.
            db_size: bytes,
            db_size_in_use: bytes,
            leader: status.leader,
            raft_index: status.committed,
            raft_term: status.term,
            raft_applied_index: status.applied,
            errors: Vec::new(),
            is_learner: status.members.iter().any(|one| one.id == status.me && one.is_learner),
        }))
    }

    /// Nothing is fragmented in here, so there is nothing to do; that much is done.
    async fn defragment(&self, _: Request<DefragmentRequest>) -> Answer<DefragmentResponse> {
        Ok(Response::new(DefragmentResponse { header: Some(self.0.header_now()) }))
    }

    /// Of the whole state, leases included. Servers of kvbench share it exactly when they hold the same; etcd's differs.
    async fn hash(&self, _: Request<HashRequest>) -> Answer<HashResponse> {
        let digest = self.0.node.digest();
        let header = Some(self.0.header(digest.revision));
        Ok(Response::new(HashResponse { header, hash: digest.hash as u32 }))
    }

    /// Of the keys as of a revision. Servers of kvbench share it exactly when they hold the same; etcd's differs.
    async fn hash_kv(&self, request: Request<HashKvRequest>) -> Answer<HashKvResponse> {
        let now = self.0.node.revision();
        let asked = request.into_inner().revision;
        let revision = if asked == 0 { now } else { asked };
        let hash = self.hash_at(revision).await?;
        let compact_revision = self.0.node.compacted();
        let header = Some(self.0.header(now));
        Ok(Response::new(HashKvResponse { header, hash, compact_revision }))
    }

    async fn snapshot(&self, _: Request<SnapshotRequest>) -> Answer<Self::SnapshotStream> {
        Err(Status::unimplemented(
            "kvbench: snapshots are not served yet; copy the data folder of a stopped server",
        ))
    }

    async fn move_leader(&self, request: Request<MoveLeaderRequest>) -> Answer<MoveLeaderResponse> {
        let to = request.into_inner().target_id;
        match self.0.node.hand_over(to).await {
            Ok(()) => Ok(Response::new(MoveLeaderResponse { header: Some(self.0.header_now()) })),
            Err(Rejected::BadChange(_)) => Err(Failure::BadTransferee.into()),
            Err(other) => Err(rejected(&other)),
        }
    }

    async fn downgrade(&self, _: Request<DowngradeRequest>) -> Answer<DowngradeResponse> {
        Err(Status::unimplemented("kvbench: there is no earlier version to downgrade to"))
    }
}

impl MaintenanceService {
    /// Other tasks get their turn between two pages.
    async fn hash_at(&self, revision: MainRevision) -> Result<u32, Refusal> {
        let mut hash = Xxh3Default::new();
        let mut from = vec![0];
        loop {
            let page = self.0.node.page(from, revision, HASH_PAGE)?;
            page.kvs.iter().for_each(|kv| add(&mut hash, kv));
            from = match page.kvs.last() {
                // The first key after the last one.
                Some(last) if page.more => [&last.key[..], &[0]].concat(),
                _ => return Ok(hash.digest() as u32),
            };
            tokio::task::yield_now().await;
        }
    }
}

fn add(hash: &mut Xxh3Default, kv: &KeyValue) {
    let KeyValue { key, value, create_revision, mod_revision, version, lease } = kv;
    for bytes in [key, value] {
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    for number in [create_revision, mod_revision, version, lease] {
        hash.update(&number.to_le_bytes());
    }
}
