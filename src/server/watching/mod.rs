//! Watching keys: many watches share one stream. One task serves each stream; what is ready to be sent waits in a short
//! line, and while it does nobody asks the watches for more. So a client that reads slowly costs its watches' buffers
//! and loses nothing: what does not fit there is read from history when the client is back.

use super::context::Context;
use crate::rpc::etcdserverpb::watch_server::Watch;
use crate::rpc::etcdserverpb::{WatchRequest, WatchResponse};
use session::Session;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

mod progress;
mod session;
mod watches;

/// Responses that wait for the connection. Few: a watch's own buffer is the place for more.
const SENDING_MAX: usize = 4;

/// The service.
pub(super) struct WatchService(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Watch for WatchService {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (sending, responses) = mpsc::channel(SENDING_MAX);
        let session = Session::new(self.0.clone());
        tokio::spawn(session.run(request.into_inner(), sending));
        Ok(Response::new(ReceiverStream::new(responses)))
    }
}
