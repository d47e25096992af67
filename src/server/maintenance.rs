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
    MoveLeaderResponse, ResponseHeader, SnapshotRequest, SnapshotResponse, StatusRequest,
    StatusResponse,
};
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
