//! The way to one member: a task that keeps a stream open and sends what gathers; images go beside it, one at a time.

use super::transport::Shared;
use super::{BATCH_BYTES, CHUNK_BYTES, MESSAGES_MAX};
use crate::failpoint;
use crate::raft::{Envelope, MemberId, Report};
use crate::rpc::kvbenchpb::peer_client::PeerClient;
use crate::rpc::kvbenchpb::{Address, ImageChunk, MessageBatch};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// Batches that may wait for the network.
const BATCHES_MAX: usize = 16;
/// Images that may wait; the raft library has one under way to each member.
const IMAGES_MAX: usize = 2;
/// Pause after a failure before the next attempt.
const PAUSE: Duration = Duration::from_millis(100);
/// How long making a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// A peer that acknowledges nothing for so long is taken for gone.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// The way to one member. Its tasks end when it is dropped.
pub(super) struct Link {
    messages: Sender<Vec<u8>>,
    images: Sender<(Vec<u8>, PathBuf)>,
}

/// Where a link leads.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) shared: Arc<Shared>,
    pub(super) to: MemberId,
}

impl Link {
    pub(super) fn start(route: Route, runtime: &Handle) -> Link {
        let (messages, waiting) = mpsc::channel(MESSAGES_MAX);
        let (images, waiting_images) = mpsc::channel(IMAGES_MAX);
        runtime.spawn(carry(route.clone(), waiting));
        runtime.spawn(carry_images(route, waiting_images));
        Link { messages, images }
    }

    /// Whether one of its tasks is no more: they only end with the link, or by a panic.
    pub(super) fn has_ended(&self) -> bool {
        self.messages.is_closed() || self.images.is_closed()
    }

    /// Whether there was room for it.
    pub(super) fn send(&self, envelope: Envelope) -> bool {
        match envelope.image {
            None => self.messages.try_send(envelope.bytes).is_ok(),
            Some(path) => self.images.try_send((envelope.bytes, path)).is_ok(),
        }
    }
}

impl Route {
    fn address(&self) -> Address {
        let Shared { cluster_id, me, .. } = *self.shared;
        Address { cluster_id, from: me, to: self.to }
    }

    /// A connection to whichever of the member's addresses answers first.
    async fn connect(&self) -> Option<PeerClient<Channel>> {
        for url in self.shared.addresses(self.to) {
            let Ok(mut endpoint) = Endpoint::from_shared(url.clone()) else { continue };
            endpoint = endpoint
                .connect_timeout(CONNECT_MAX)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(KEEP_ALIVE)
                .keep_alive_while_idle(true)
                .tcp_nodelay(true);
            if let Some(tls) = self.shared.security.tls.clone().filter(|_| url.starts_with("https"))
            {
                let Ok(secured) = endpoint.tls_config(tls) else { continue };
                endpoint = secured;
            }
            let Ok(()) = failpoint::may_fail("peer::connect") else { continue };
            if let Ok(channel) = endpoint.connect().await {
                return Some(PeerClient::new(channel));
            }
        }
        None
    }
}

/// Keeps a stream open and sends batches until the link is dropped. While there is no stream, what waits is dropped: by the time there
/// is one it is stale.
async fn carry(route: Route, mut waiting: Receiver<Vec<u8>>) {
    while let Some(first) = waiting.recv().await {
        let Some(client) = route.connect().await else {
            fail(&route, &mut waiting).await;
            continue;
        };
        if stream(&route, client, first, &mut waiting).await.is_err() {
            fail(&route, &mut waiting).await;
        }
    }
}

async fn fail(route: &Route, waiting: &mut Receiver<Vec<u8>>) {
    route.shared.report(Report::Unreachable(route.to));
    while waiting.try_recv().is_ok() {}
    tokio::time::sleep(PAUSE).await;
}

/// One stream, until it breaks or the link is dropped.
async fn stream(
    route: &Route,
    mut client: PeerClient<Channel>,
    first: Vec<u8>,
    waiting: &mut Receiver<Vec<u8>>,
) -> Result<(), Status> {
    let (batches, outgoing) = mpsc::channel(BATCHES_MAX);
    let call = client.messages(ReceiverStream::new(outgoing));
    let feed = async move {
        let mut next = Some(first);
        while let Some(message) = next {
            failpoint::may_fail("peer::send")?;
            let batch = batch(route, message, waiting);
            if batches.send(batch).await.is_err() {
                break;
            }
            next = waiting.recv().await;
        }
        Ok(())
    };
    tokio::select! {
        ended = call => ended.map(|_| ()),
        fed = feed => fed,
    }
}

/// `first` and what waits behind it.
fn batch(route: &Route, first: Vec<u8>, waiting: &mut Receiver<Vec<u8>>) -> MessageBatch {
    let mut bytes = first.len();
    let mut messages = vec![first];
    while bytes < BATCH_BYTES
        && messages.len() < MESSAGES_MAX
        && let Ok(message) = waiting.try_recv()
    {
        bytes += message.len();
        messages.push(message);
    }
    MessageBatch { address: Some(route.address()), messages }
}

async fn carry_images(route: Route, mut waiting: Receiver<(Vec<u8>, PathBuf)>) {
    while let Some((message, path)) = waiting.recv().await {
        let mut under_way = UnderWay { route: &route, arrived: false };
        under_way.arrived = send_image(&route, message, &path).await.is_ok();
    }
}

/// An image on its way. Whatever ends that, a panic too, is reported: a leader sends nothing else to a member whose image it takes to be on
/// its way.
struct UnderWay<'a> {
    route: &'a Route,
    arrived: bool,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let Route { shared, to } = self.route;
        shared.report(Report::Image(*to, self.arrived));
    }
}

async fn send_image(route: &Route, message: Vec<u8>, path: &Path) -> Result<(), Status> {
    let mut file = tokio::fs::File::open(path).await?;
    let connected = route.connect().await;
    let mut client = connected.ok_or_else(|| Status::unavailable("the member is not reached"))?;
    let (chunks, outgoing) = mpsc::channel(BATCHES_MAX);
    let head = ImageChunk { address: Some(route.address()), message, data: Vec::new() };
    let feed = async move {
        let mut next = head;
        while chunks.send(next).await.is_ok() {
            failpoint::may_fail("peer::send-image")?;
            let mut data = vec![0; CHUNK_BYTES];
            match file.read(&mut data).await? {
                0 => return Ok(()),
                length => data.truncate(length),
            }
            next = ImageChunk { data, ..ImageChunk::default() };
        }
        Ok::<(), std::io::Error>(())
    };
    let (fed, answered) = tokio::join!(feed, client.image(ReceiverStream::new(outgoing)));
    fed?;
    answered.map(|_| ())
}
