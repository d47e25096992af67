//! The agent's side: one run at a time, until it is stopped.

use super::drive::Reports;
use super::{KEEP_ALIVE, MESSAGE_BYTES_MAX, WAITING_MAX, session};
use crate::clock::Clock;
use crate::rpc::kvbenchpb::agent_server::{self, Agent};
use crate::rpc::kvbenchpb::{AgentOrder, AgentReport};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

/// Where an agent listens.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Port 0 lets the system choose.
    pub address: SocketAddr,
    /// Its certificates, and whose it asks for.
    pub tls: Option<ServerTlsConfig>,
}

/// Why an agent could not start.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}\n  hint: is another agent running there?")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Its threads could not be started.
    #[error("the agent's threads could not be started: {0}")]
    Runtime(#[from] io::Error),
    /// Its certificates are not usable.
    #[error("TLS: {0}\n  hint: certificate and key have to be PEM files that belong together")]
    Tls(#[from] tonic::transport::Error),
}

/// An agent that listens. Dropping it ends the load it offers.
pub struct AgentServer {
    runtime: Option<Runtime>,
    stop: watch::Sender<bool>,
    serving: Option<JoinHandle<Result<(), tonic::transport::Error>>>,
    address: SocketAddr,
    runs: Arc<AtomicU32>,
}

impl AgentServer {
    /// Listens; when it returns, runs can connect.
    pub fn start(listen: Listen, clock: Clock) -> Result<AgentServer, ListenError> {
        let unusable = |source| ListenError::Listen { address: listen.address, source };
        let listener = TcpListener::bind(listen.address).map_err(unusable)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        // Two: an answer to a run must not wait for another task.
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).thread_name("agent").enable_all().build()?;
        let (stop, mut stopping) = watch::channel(false);
        let runs = Arc::new(AtomicU32::new(0));
        let service = Service { clock, places: Arc::new(Semaphore::new(1)), runs: runs.clone() };
        let service = agent_server::AgentServer::new(service)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let mut server = Server::builder()
            .tcp_nodelay(true)
            .http2_keepalive_interval(Some(KEEP_ALIVE))
            .http2_keepalive_timeout(Some(KEEP_ALIVE));
        if let Some(tls) = listen.tls {
            server = server.tls_config(tls)?;
        }
        let serving = {
            let _guard = runtime.enter();
            let incoming = TcpListenerStream::new(tokio::net::TcpListener::from_std(listener)?);
            let stopped = async move {
                // If nobody is left who could stop it, that is the end as well.
                let _ = stopping.wait_for(|stop| *stop).await;
            };
            let router = server.add_service(service);
            runtime.spawn(router.serve_with_incoming_shutdown(incoming, stopped))
        };
        Ok(AgentServer { runtime: Some(runtime), stop, serving: Some(serving), address, runs })
    }

    /// Where runs connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs that were served to their end; those that went away without a word do not count.
    pub fn runs(&self) -> u32 {
        self.runs.load(Ordering::Relaxed)
    }
}

impl Drop for AgentServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Service {
    clock: Clock,
    /// One for the run that is served.
    places: Arc<Semaphore>,
    runs: Arc<AtomicU32>,
}

#[tonic::async_trait]
impl Agent for Service {
    type DriveStream = ReceiverStream<Result<AgentReport, Status>>;

    async fn drive(
        &self,
        request: Request<Streaming<AgentOrder>>,
    ) -> Result<Response<Self::DriveStream>, Status> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(
                "it serves another run; wait for its end, or name another agent",
            )
        })?;
        let (reports, taken): (Reports, _) = mpsc::channel(WAITING_MAX);
        let (clock, runs) = (self.clock, self.runs.clone());
        tokio::spawn(async move {
            let is_done = session::follow(request.into_inner(), reports, clock).await;
            runs.fetch_add(u32::from(is_done), Ordering::Relaxed);
            drop(place);
        });
        Ok(Response::new(ReceiverStream::new(taken)))
    }
}
