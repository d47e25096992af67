//! What operators ask of the member.

use super::context::{Context, rejected, unexpected};
use crate::model::{self, Alarm, AlarmKind, Body, KeyValue, MainRevision, Refusal};
use crate::raft::Rejected;
use crate::rpc::etcdserverpb::alarm_request::AlarmAction;
use crate::rpc::etcdserverpb::maintenance_server::Maintenance;
use crate::rpc::etcdserverpb::{
    AlarmRequest, AlarmResponse, AlarmType, DefragmentRequest, DefragmentResponse,
    DowngradeRequest, DowngradeResponse, HashKvRequest, HashKvResponse, HashRequest, HashResponse,
    MoveLeaderRequest, MoveLeaderResponse, ResponseHeader, SnapshotRequest, SnapshotResponse,
    StatusRequest, StatusResponse,
};
use crate::rpc::{self, Failure, alarm_kind};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use xxhash_rust::xxh3::Xxh3Default;

/// The version of etcd whose API this is; clients ask for it to know what they may use.
const API_VERSION: &str = "3.5.0";

/// Keys hashed in one go, since the store's locks are taken for them.
const HASH_PAGE: i64 = 1024;

/// Bytes of an image in one answer (etcd's), and answers that wait for a client.
const CHUNK_BYTES: u64 = 32 << 10;
const CHUNKS_MAX: usize = 8;
/// What etcd's clients count a snapshot in, and what they expect behind it.
const PAGE_BYTES: u64 = 512;
const SHA256_BYTES: u64 = 32;

/// The service.
pub(super) struct MaintenanceService(pub(super) Arc<Context>);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Maintenance for MaintenanceService {
    type SnapshotStream = ReceiverStream<Result<SnapshotResponse, Status>>;

    /// Of no kind there are none, so ending one changes nothing; but raising one is a mistake, which etcd lets pass.
    async fn alarm(&self, request: Request<AlarmRequest>) -> Answer<AlarmResponse> {
        let AlarmRequest { action, member_id: member, alarm } = request.into_inner();
        let kind = alarm_kind(alarm);
        let unknown = |what| Err(Status::invalid_argument(format!("kvbench: no such {what}")));
        if kind.is_none() && alarm != AlarmType::None as i32 {
            return unknown("alarm");
        }
        let (header, alarms) = match (AlarmAction::try_from(action), kind) {
            (Ok(AlarmAction::Get), kind) => self.alarms(kind).await?,
            (Ok(AlarmAction::Activate), Some(kind)) => {
                self.about_alarms(model::Request::AlarmActivate(Alarm { kind, member })).await?
            }
            (Ok(AlarmAction::Deactivate), Some(kind)) => {
                self.about_alarms(model::Request::AlarmDeactivate(Alarm { kind, member })).await?
            }
            (Ok(AlarmAction::Deactivate), None) => (self.0.header_now(), Vec::new()),
            (Ok(AlarmAction::Activate), None) => return unknown("alarm"),
            (Err(_), _) => return unknown("action"),
        };
        let alarms = alarms.into_iter().map(Into::into).collect();
        Ok(Response::new(AlarmResponse { header: Some(header), alarms }))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Answer<StatusResponse> {
        let status = self.0.node.status();
        // Nothing is there that is not in use.
        let bytes = i64::try_from(self.0.node.bytes()).unwrap_or(i64::MAX);
        let leaderless = (status.leader == 0).then(|| Failure::NoLeader.to_string());
        let alarms = self.0.node.alarms().into_iter().map(rpc::alarm_text);
        Ok(Response::new(StatusResponse {
            header: Some(self.0.header_now()),
            version: API_VERSION.into(),
            db_size: bytes,
            db_size_in_use: bytes,
            leader: status.leader,
            raft_index: status.committed,
            raft_term: status.term,
            raft_applied_index: status.applied,
            errors: leaderless.into_iter().chain(alarms).collect(),
            is_learner: status.members.iter().any(|one| one.id == status.me && one.is_learner),
        }))
    }

    /// What compactions cover is forgotten by and by, and here at once: until then it counts against the quota.
    async fn defragment(&self, _: Request<DefragmentRequest>) -> Answer<DefragmentResponse> {
        let node = self.0.node.clone();
        // Not on a thread that others wait for.
        tokio::task::spawn_blocking(move || node.defragment())
            .await
            .map_err(|_| Failure::Stopped)?;
        Ok(Response::new(DefragmentResponse { header: Some(self.0.header_now()) }))
    }

    /// Of the whole state, leases included. Servers of kvbench share it exactly when they hold the same; etcd's differs.
    async fn hash(&self, _: Request<HashRequest>) -> Answer<HashResponse> {
        let node = self.0.node.clone();
        // It locks the store and takes its time: not on a thread that others wait for.
        let digest = tokio::task::spawn_blocking(move || node.digest()).await;
        let digest = digest.map_err(|_| Failure::Stopped)?;
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

    /// An image of the state, history included, for `--from-image` of another server; no database of etcd's.
    async fn snapshot(&self, _: Request<SnapshotRequest>) -> Answer<Self::SnapshotStream> {
        let failed = |error: String| Status::internal(format!("kvbench: {error}"));
        let file = self.0.node.image().await.map_err(|error| failed(error.to_string()))?;
        let size = file.metadata().map_err(|error| failed(error.to_string()))?.len();
        let (chunks, answers) = mpsc::channel(CHUNKS_MAX);
        let header = self.0.header_now();
        tokio::spawn(async move {
            if let Err(error) = send_chunks(file, size, header, &chunks).await {
                // A client that went away needs no reason.
                let _ = chunks.send(Err(failed(error.to_string()))).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
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

/// etcd's clients take a snapshot only if it is whole pages with a SHA-256 of them behind: zeros fill the last page, which
/// nobody reads.
async fn send_chunks(
    file: std::fs::File,
    size: u64,
    header: ResponseHeader,
    chunks: &mpsc::Sender<Result<SnapshotResponse, Status>>,
) -> std::io::Result<()> {
    let padded = size.next_multiple_of(PAGE_BYTES);
    let padding = tokio::io::repeat(0).take(padded - size);
    let mut pages = tokio::fs::File::from_std(file).take(size).chain(padding);
    let mut hash = Sha256::new();
    let mut remaining = padded + SHA256_BYTES;
    while remaining > SHA256_BYTES {
        let mut blob = vec![0; (remaining - SHA256_BYTES).min(CHUNK_BYTES) as usize];
        pages.read_exact(&mut blob).await?;
        hash.update(&blob);
        remaining -= blob.len() as u64;
        let response = SnapshotResponse { header: Some(header), remaining_bytes: remaining, blob };
        if chunks.send(Ok(response)).await.is_err() {
            return Ok(());
        }
    }
    let blob = hash.finalize().to_vec();
    let last = SnapshotResponse { header: Some(header), remaining_bytes: 0, blob };
    // A client that went away needs no last word.
    let _ = chunks.send(Ok(last)).await;
    Ok(())
}

impl MaintenanceService {
    /// All alarms, or those of a kind.
    async fn alarms(
        &self,
        kind: Option<AlarmKind>,
    ) -> Result<(ResponseHeader, Vec<Alarm>), Status> {
        let (header, mut alarms) = self.about_alarms(model::Request::Alarms).await?;
        alarms.retain(|alarm| kind.is_none_or(|kind| kind == alarm.kind));
        Ok((header, alarms))
    }

    async fn about_alarms(
        &self,
        request: model::Request,
    ) -> Result<(ResponseHeader, Vec<Alarm>), Status> {
        match self.0.call(request).await? {
            (header, Body::Alarms(alarms)) => Ok((header, alarms)),
            (_, other) => Err(unexpected(&other)),
        }
    }

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
