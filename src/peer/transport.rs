//! The sending side: a link to each member, made when there is something to send.

use super::link::{Link, Route};
use crate::raft::{Door, Envelope, MemberId, Report, Transport};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use tokio::runtime::Handle;
use tonic::transport::ClientTlsConfig;

/// How links are secured.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// For https addresses.
    pub tls: Option<ClientTlsConfig>,
}

/// What links need to know.
pub(super) struct Shared {
    pub(super) cluster_id: u64,
    pub(super) me: MemberId,
    pub(super) security: Security,
    /// Where reports of links go, and where members are looked up; set once the member has started.
    node: OnceLock<Weak<dyn Door>>,
    addresses: OnceLock<Addresses>,
}

/// Where a member is reached, as far as the group knows now.
type Addresses = Box<dyn Fn(MemberId) -> Vec<String> + Send + Sync>;

impl Shared {
    pub(super) fn report(&self, report: Report) {
        if let Some(door) = self.node.get().and_then(Weak::upgrade) {
            door.report(report);
        }
    }

    pub(super) fn addresses(&self, member: MemberId) -> Vec<String> {
        self.addresses.get().map_or_else(Vec::new, |addresses| addresses(member))
    }
}

/// Carries messages of one member to the others over gRPC.
pub struct GrpcTransport {
    shared: Arc<Shared>,
    links: Mutex<HashMap<MemberId, Link>>,
    runtime: Handle,
}

impl GrpcTransport {
    /// A transport of member `me`; its links run on `runtime`. It sends nothing before [`GrpcTransport::open`].
    pub fn new(
        cluster_id: u64,
        me: MemberId,
        security: Security,
        runtime: Handle,
    ) -> GrpcTransport {
        let (node, addresses) = (OnceLock::new(), OnceLock::new());
        let shared = Arc::new(Shared { cluster_id, me, security, node, addresses });
        GrpcTransport { shared, links: Mutex::default(), runtime }
    }

    /// From now on messages go out: `addresses` says where a member is reached, `door` hears what became of them.
    pub fn open(
        &self,
        door: Weak<dyn Door>,
        addresses: impl Fn(MemberId) -> Vec<String> + Send + Sync + 'static,
    ) {
        self.shared.node.get_or_init(|| door);
        self.shared.addresses.get_or_init(|| Box::new(addresses));
    }
}

impl Transport for GrpcTransport {
    fn send(&self, envelopes: Vec<Envelope>) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        for envelope in envelopes {
            let to = envelope.to;
            let start = || Link::start(Route { shared: self.shared.clone(), to }, &self.runtime);
            let link = links.entry(to).or_insert_with(start);
            if link.has_ended() {
                *link = start();
            }
            let brings_image = envelope.image.is_some();
            if !link.send(envelope) {
                self.shared.report(match brings_image {
                    true => Report::Image(to, false),
                    false => Report::Unreachable(to),
                });
            }
        }
    }
}
