//! All services behind one port, and what each of them may be sent.

use super::auth::AuthService;
use super::cluster::ClusterService;
use super::context::Context;
use super::election::ElectionService;
use super::front::{FAULTY_STREAMS_MAX, Front, RESET_STREAMS_MAX, STREAMS_MAX};
use super::kv::KvService;
use super::lease::LeaseService;
use super::lock::LockService;
use super::maintenance::MaintenanceService;
use super::tally::Tally;
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
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::Router;

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
        .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS_MAX))
        .http2_max_local_error_reset_streams(Some(FAULTY_STREAMS_MAX))
        .add_service(service)
        .add_service(leases.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(cluster.max_decoding_message_size(MESSAGE_BYTES_MAX))
}

/// Everything a client may call. Called within a runtime.
pub(super) fn front(context: &Arc<Context>, tally: &Arc<Tally>) -> Result<Front, ServerError> {
    let shared = || context.clone();
    let mut routes = Routes::default();
    macro_rules! add {
        ($($server:ident($service:expr);)*) => {
            $(routes = routes.add_service(
                $server::new($service).max_decoding_message_size(MESSAGE_BYTES_MAX),
            );)*
        };
    }
    add! {
        WatchServer(WatchService(shared()));
        LeaseServer(LeaseService(shared()));
        MaintenanceServer(MaintenanceService(shared()));
        ClusterServer(ClusterService(shared()));
        AuthServer(AuthService);
        LockServer(LockService(shared()));
        ElectionServer(ElectionService(shared()));
    }
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = routes
        .add_service(health::service(context.clone()))
        .add_service(described().build_v1()?)
        .add_service(described().build_v1alpha()?);
    let keys = KvServer::new(KvService(shared())).max_decoding_message_size(MESSAGE_BYTES_MAX);
    Ok(Front::new(keys, routes, tally.clone()))
}
