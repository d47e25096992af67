//! All services behind one port, and what each of them may be sent.

use super::auth::AuthService;
use super::cluster::ClusterService;
use super::context::Context;
use super::election::ElectionService;
use super::kv::KvService;
use super::lease::LeaseService;
use super::lock::LockService;
use super::maintenance::MaintenanceService;
use super::pieces::InPieces;
use super::tally::{Counted, Tally};
use super::watching::WatchService;
use super::{Config, ServerError, health};
use crate::peer::{Admission, PeerService};
use crate::rpc::etcdserverpb::auth_server::AuthServer;
use crate::rpc::etcdserverpb::cluster_server::ClusterServer;
use crate::rpc::etcdserverpb::kv_server::KvServer;
use crate::rpc::etcdserverpb::lease_server::LeaseServer;
use crate::rpc::etcdserverpb::maintenance_server::MaintenanceServer;
use crate::rpc::etcdserverpb::watch_server::WatchServer;
use crate::rpc::v3electionpb::election_server::ElectionServer;
use crate::rpc::v3lockpb::lock_server::LockServer;
use crate::rpc::{DESCRIPTORS, MESSAGE_BYTES_MAX};
use std::sync::Arc;
use std::time::Duration;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tower::layer::util::{Identity as NoLayer, Stack};

/// Most requests at once on one connection. A lock, an election and a stream of watches each keep one open for long, so
/// it is far above what waits in the log's queue per client; above it a client opens another connection.
const STREAMS_MAX: u32 = 1024;

/// A connection that says nothing this long is asked whether its client is there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// How long it has to answer that (etcd's default).
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Requests that were reset and not yet taken; hyper's own default, written down since it bounds an attack.
const RESET_STREAMS_MAX: usize = 20;

/// A layer that counts requests.
#[derive(Clone)]
pub(super) struct Counting(Arc<Tally>);

impl<S> tower::Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted::new(inner, self.0.clone())
    }
}

/// A server of `routes` to clients.
pub(super) fn router(routes: Routes, tally: &Arc<Tally>) -> Router<Stack<Counting, NoLayer>> {
    let server = Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS_MAX));
    server.layer(Counting(tally.clone())).add_routes(routes)
}

/// What other members may call: what raft needs, and what only a leader can answer.
pub(super) fn peer_router(context: &Arc<Context>, config: &Config) -> Router {
    let node = &context.node;
    let cluster_id = context.identity.cluster_id;
    let members = Arc::downgrade(node);
    let admission = Admission::new(
        cluster_id,
        context.identity.member_id,
        config.peer_security.clone(),
        config.hearsay.clone(),
        move || members.upgrade().map_or_else(Arc::default, |node| node.status().members),
    );
    let service = PeerService::new(admission, node.door(), node.incoming());
    let sent_on = Arc::new(context.for_members());
    let leases = LeaseServer::new(LeaseService(sent_on.clone()));
    let cluster = ClusterServer::new(ClusterService(sent_on));
    Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS_MAX))
        .add_service(service)
        .add_service(leases.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(cluster.max_decoding_message_size(MESSAGE_BYTES_MAX))
}

/// Everything a client may call. Called within a runtime.
pub(super) fn routes(context: &Arc<Context>) -> Result<Routes, ServerError> {
    let shared = || context.clone();
    let mut routes = Routes::default();
    macro_rules! add {
        ($($server:ident($service:expr);)*) => {
            $(routes = routes.add_service(
                $server::new($service).max_decoding_message_size(MESSAGE_BYTES_MAX),
            );)*
        };
    }
    let kv = KvServer::new(KvService(shared())).max_decoding_message_size(MESSAGE_BYTES_MAX);
    routes = routes.add_service(InPieces(kv));
    add! {
        WatchServer(WatchService(shared()));
        LeaseServer(LeaseService(shared()));
        MaintenanceServer(MaintenanceService(shared()));
        ClusterServer(ClusterService(shared()));
        AuthServer(AuthService);
        LockServer(LockService(shared()));
        ElectionServer(ElectionService(shared()));
    }
    let health = health::service(context.clone());
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(routes
        .add_service(health)
        .add_service(described().build_v1()?)
        .add_service(described().build_v1alpha()?))
}
