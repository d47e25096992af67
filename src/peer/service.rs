//! The receiving side: what other members send goes to the member's door, and files to its folder for what comes in.

use super::admission::{self, Admission};
use super::{MESSAGES_MAX, PEER_BYTES_MAX, member_on_the_wire};
use crate::failpoint;
use crate::raft::{Door, Member, MemberId, Received, Refused};
use crate::rpc::kvbenchpb::peer_client::PeerClient;
use crate::rpc::kvbenchpb::peer_server::{Peer, PeerServer};
use crate::rpc::kvbenchpb::{
    Address, GroupRequest, GroupResponse, ImageChunk, MessageBatch, PeerAck,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tonic::transport::{ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status, Streaming};

/// Largest image that is taken in; one beyond it is an attack or an accident.
const IMAGE_BYTES_MAX: u64 = 64 << 30;
/// How long a member may take to say who belongs to its group.
const GROUP_MAX: Duration = Duration::from_secs(2);

/// Lets in what other members send.
pub struct PeerService {
    admission: Admission,
    door: Weak<dyn Door>,
    incoming: PathBuf,
    /// Names of files that come in; relaxed, only that they differ matters.
    images: AtomicU64,
}

impl PeerService {
    /// The service of a member: messages go to `door`, files to `incoming`.
    pub fn new(
        admission: Admission,
        door: Weak<dyn Door>,
        incoming: PathBuf,
    ) -> PeerServer<PeerService> {
        PeerServer::new(PeerService { admission, door, incoming, images: AtomicU64::new(0) })
            .max_decoding_message_size(PEER_BYTES_MAX)
    }

    /// Who sent it, if that is somebody who may.
    async fn check(&self, address: Option<&Address>) -> Result<MemberId, Status> {
        let address = address.ok_or_else(|| Status::invalid_argument("a message says for whom"))?;
        match self.admission.admit(address).await {
            Ok(()) => Ok(address.from),
            Err(why) => Err(self.refuse(address.from, why)?),
        }
    }

    /// What a sender is told whose message is not taken.
    fn refuse(&self, from: MemberId, why: Refused) -> Result<Status, Status> {
        self.door()?.refused(from, why);
        Ok(admission::status(why))
    }

    fn door(&self) -> Result<Arc<dyn Door>, Status> {
        self.door.upgrade().ok_or_else(|| Status::unavailable("server stopped"))
    }

    fn let_in(&self, received: Received) -> Result<(), Status> {
        self.door()?.receive(received);
        Ok(())
    }

    async fn take_image(
        &self,
        path: &Path,
        mut chunks: Streaming<ImageChunk>,
    ) -> Result<(MemberId, Vec<u8>), Status> {
        let head = chunks.message().await?.ok_or_else(|| Status::invalid_argument("no head"))?;
        let from = self.check(head.address.as_ref()).await?;
        tokio::fs::create_dir_all(&self.incoming).await?;
        let mut file = tokio::fs::File::create(path).await?;
        let mut bytes = 0;
        while let Some(chunk) = chunks.message().await? {
            bytes += chunk.data.len() as u64;
            if bytes > IMAGE_BYTES_MAX {
                return Err(self.refuse(from, Refused::TooLarge)?);
            }
            file.write_all(&chunk.data).await?;
            failpoint::may_fail("peer::receive-image")?;
        }
        file.sync_all().await?;
        failpoint::may_fail("peer::image-received")?;
        Ok((from, head.message))
    }
}

#[tonic::async_trait]
impl Peer for PeerService {
    async fn messages(
        &self,
        request: Request<Streaming<MessageBatch>>,
    ) -> Result<Response<PeerAck>, Status> {
        let mut batches = request.into_inner();
        while let Some(batch) = batches.message().await? {
            failpoint::may_fail("peer::receive")?;
            let from = self.check(batch.address.as_ref()).await?;
            if batch.messages.len() > MESSAGES_MAX {
                return Err(self.refuse(from, Refused::TooLarge)?);
            }
            for bytes in batch.messages {
                self.let_in(Received { from, bytes, image: None })?;
            }
        }
        Ok(Response::new(PeerAck {}))
    }

    async fn image(
        &self,
        request: Request<Streaming<ImageChunk>>,
    ) -> Result<Response<PeerAck>, Status> {
        let number = self.images.fetch_add(1, Ordering::Relaxed);
        let path = self.incoming.join(format!("incoming-{number}.part"));
        match self.take_image(&path, request.into_inner()).await {
            Ok((from, bytes)) => {
                self.let_in(Received { from, bytes, image: Some(path) })?;
                Ok(Response::new(PeerAck {}))
            }
            Err(status) => {
                // Left behind, the next start removes it.
                let _ = tokio::fs::remove_file(&path).await;
                Err(status)
            }
        }
    }

    async fn group(&self, _: Request<GroupRequest>) -> Result<Response<GroupResponse>, Status> {
        let members = self.admission.members().iter().map(member_on_the_wire).collect();
        let cluster_id = self.admission.cluster_id();
        Ok(Response::new(GroupResponse { cluster_id, members }))
    }
}

/// Asks the member at `url` for its group: the group's number and who belongs to it.
pub async fn group_of(
    url: &str,
    tls: Option<ClientTlsConfig>,
) -> Result<(u64, Vec<Member>), Status> {
    let unavailable = |error: tonic::transport::Error| Status::unavailable(error.to_string());
    let mut endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(unavailable)?
        .connect_timeout(GROUP_MAX)
        .timeout(GROUP_MAX);
    if let Some(tls) = tls.filter(|_| url.starts_with("https")) {
        endpoint = endpoint.tls_config(tls).map_err(unavailable)?;
    }
    let channel = endpoint.connect().await.map_err(unavailable)?;
    let group = PeerClient::new(channel).group(GroupRequest {}).await?.into_inner();
    Ok((group.cluster_id, group.members.iter().map(super::member_of_the_wire).collect()))
}
