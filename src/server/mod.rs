//! etcd's API v3 over one node: gRPC services, and a page of numbers for whoever scrapes it.
//!
//! Runtimes of its own carry everything here; the node's threads know nothing of them. What strangers may send is
//! bounded: messages, streams, connections, watches, and the time until a connection speaks.

use crate::node::Node;
use crate::peer::{Hearsay, Security};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

mod auth;
mod authority;
mod cluster;
mod context;
mod election;
mod forwarding;
mod front;
mod health;
mod identity;
mod kv;
mod lanes;
mod lease;
mod listen;
mod lock;
mod maintenance;
mod metrics;
mod pieces;
mod profiling;
mod queue;
mod quota;
mod routes;
mod tally;
mod tls;
mod watching;

pub use identity::{Identity, cluster_id, member_id};
pub use quota::Quota;
pub use tls::{Tls, TlsError};

use context::Context;
use lanes::{Lane, Lanes};
use listen::Incoming;
use metrics::Sources;
use profiling::Profiler;
use tally::Tally;

/// How long open requests may take to end once the server stops; streams are told at once.
const GRACE: Duration = Duration::from_secs(3);

/// Most connections of other members at once: a few of each, of as many members as a group may have. Clients cannot take them.
pub const PEER_CONNECTIONS_MAX: usize = 128;

/// How often a quiet watch that asked for it is told the revision (etcd's default).
pub const PROGRESS_INTERVAL: Duration = Duration::from_secs(600);

/// What a server needs to know beside its node.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients connect; port 0 lets the system choose.
    pub clients: Vec<SocketAddr>,
    /// Where numbers are scraped over plain HTTP.
    pub metrics: Vec<SocketAddr>,
    /// Whether profiles of this process are given there, to whoever asks on this machine.
    pub profiles: bool,
    /// Who it is.
    pub identity: Identity,
    /// Certificates; without them clients connect in the clear.
    pub tls: Option<Tls>,
    /// Where other members connect; none for a server on its own.
    pub peers: Vec<SocketAddr>,
    /// Certificates for other members.
    pub peer_tls: Option<Tls>,
    /// How this server connects to other members, for what only the leader can answer.
    pub peer_security: Security,
    /// Members that others told of, for whoever looks for their addresses.
    pub hearsay: Hearsay,
    /// How often a quiet watch that asked for it is told the revision.
    pub progress_interval: Duration,
    /// Most connections of clients at once; whoever comes later waits in the kernel's queue. Members have places of their own.
    pub connections_max: usize,
    /// How large the state may become.
    pub quota: Quota,
}

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}\n  hint: is another server running there?")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The runtime could not start.
    #[error("the server's threads could not be started: {0}")]
    Runtime(#[from] io::Error),
    /// The certificates are not usable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The description of the services is not one.
    #[error("the description of the services is broken: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A running server. Dropping it ends it as [`Server::stop`] does.
pub struct Server {
    runtime: Option<Runtime>,
    lanes: Option<Lanes>,
    stop: watch::Sender<bool>,
    serving: Vec<JoinHandle<()>>,
    clients: Vec<SocketAddr>,
    metrics: Vec<SocketAddr>,
}

impl Server {
    /// The threads of a server, for links to other members before it starts.
    pub fn runtime() -> Result<Runtime, ServerError> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        Ok(builder.thread_name("rpc").enable_io().enable_time().build()?)
    }

    /// Serves `node`; when it returns, clients can connect.
    pub fn start(node: Arc<Node>, config: Config) -> Result<Server, ServerError> {
        Server::start_on(Server::runtime()?, node, config)
    }

    /// As [`Server::start`], on threads that there are.
    pub fn start_on(
        runtime: Runtime,
        node: Arc<Node>,
        config: Config,
    ) -> Result<Server, ServerError> {
        let (stop, stopping) = watch::channel(false);
        let tally = Arc::new(Tally::default());
        let context = Arc::new(Context::new(node, &config, stopping));
        let client_listeners = listeners(&config.clients)?;
        let peer_listeners = listeners(&config.peers)?;
        let metrics_listeners = listeners(&config.metrics)?;
        let (clients, metrics) = (addresses(&client_listeners), addresses(&metrics_listeners));
        let acceptor = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let peer_acceptor = config.peer_tls.as_ref().map(tls::acceptor).transpose()?;
        let lanes = Lanes::start()?;
        let serving = {
            let _guard = runtime.enter();
            let client_slots = listen::slots(config.connections_max);
            let peer_slots = listen::slots(PEER_CONNECTIONS_MAX);
            let stopped = || {
                let context = context.clone();
                async move { context.stopped().await }
            };
            let front = routes::front(&context, &tally)?;
            let mut serving = Vec::new();
            for listener in client_listeners {
                let (slots, acceptor) = (client_slots.clone(), acceptor.clone());
                let incoming = listen::incoming(listener, slots, acceptor, lanes.all())?;
                serving.extend(on_lanes(incoming, |incoming| {
                    front.clone().serve(incoming, stopped())
                }));
            }
            let peers_lane = [Lane::on(runtime.handle().clone())];
            for listener in peer_listeners {
                let (slots, acceptor) = (peer_slots.clone(), peer_acceptor.clone());
                let incoming = listen::incoming(listener, slots, acceptor, &peers_lane)?;
                serving.extend(on_lanes(incoming, |incoming| {
                    let router = routes::peer_router(&context, &config);
                    router.serve_with_incoming_shutdown(incoming, stopped())
                }));
            }
            let profiler = config.profiles.then(|| Profiler::new(&config.identity.name));
            let sources = Sources { context: context.clone(), tally: tally.clone(), profiler };
            let sources = Arc::new(sources);
            for listener in metrics_listeners {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                serving.push(runtime.spawn(metrics::serve(listener, sources.clone())));
            }
            serving
        };
        Ok(Server { runtime: Some(runtime), lanes: Some(lanes), stop, serving, clients, metrics })
    }

    /// Its threads, for what goes on beside it.
    pub fn handle(&self) -> Option<Handle> {
        self.runtime.as_ref().map(|runtime| runtime.handle().clone())
    }

    /// Whether one of its addresses is not served any more, though nobody stopped it.
    pub fn is_deaf(&self) -> bool {
        self.serving.iter().any(JoinHandle::is_finished)
    }

    /// Where clients connect.
    pub fn clients(&self) -> &[SocketAddr] {
        &self.clients
    }

    /// Where numbers are scraped.
    pub fn metrics(&self) -> &[SocketAddr] {
        &self.metrics
    }

    /// Takes no more connections, ends streams, lets requests end for a moment, and then ends all the same.
    pub fn stop(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        let Some(runtime) = self.runtime.take() else { return };
        let serving = std::mem::take(&mut self.serving);
        runtime.block_on(async {
            // Whoever is not done by then is cut off.
            let _ = tokio::time::timeout(GRACE, futures_util::future::join_all(serving)).await;
        });
        if let Some(lanes) = self.lanes.take() {
            lanes.stop(GRACE);
        }
        runtime.shutdown_timeout(GRACE);
    }
}

/// Serves connections where they live.
fn on_lanes<F>(
    incoming: Vec<(Lane, Incoming)>,
    serve: impl Fn(Incoming) -> F,
) -> Vec<JoinHandle<()>>
where
    F: Future<Output: Send> + Send + 'static,
{
    let start = |(lane, incoming): (Lane, Incoming)| {
        let serving = serve(incoming);
        lane.handle.spawn(async move {
            // If it can fail, then where a connection cannot be made, which its client sees.
            let _ = serving.await;
        })
    };
    incoming.into_iter().map(start).collect()
}

fn listeners(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, ServerError> {
    let listen = |&address: &SocketAddr| {
        let listener = TcpListener::bind(address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
        listener.map_err(|source| ServerError::Listen { address, source })
    };
    addresses.iter().map(listen).collect()
}

/// Where they listen, with the ports that the system chose.
fn addresses(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
}
