//! The way to the member that leads, for what only a leader knows: when leases end, and who belongs. It is asked where members reach one
//! another anyway, as etcd does: whoever can follow the leader can ask it, with the certificates that are there already.

use crate::peer::{About, Security};
use crate::raft::{Member, MemberId};
use crate::rpc::Failure;
use std::time::Duration;
use tokio::sync::Mutex;
use tonic::transport::{Channel, Endpoint};

/// How long making a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// The connection to whoever leads.
pub(super) struct Forwarding {
    security: Security,
    /// How long an answer may take.
    timeout: Duration,
    open: Mutex<Option<Open>>,
}

/// A connection that is there; it comes back by itself when it breaks.
struct Open {
    leader: MemberId,
    urls: Vec<String>,
    channel: Channel,
}

impl Forwarding {
    pub(super) fn new(security: Security, timeout: Duration) -> Forwarding {
        Forwarding { security, timeout, open: Mutex::new(None) }
    }

    /// A connection to `leader`: the one that there is, or a new one to whichever of its addresses answers first.
    pub(super) async fn channel(&self, leader: &Member) -> Result<Channel, Failure> {
        let urls = About::from_bytes(&leader.about).peer_urls;
        let mut open = self.open.lock().await;
        if let Some(known) = &*open
            && (known.leader, &known.urls) == (leader.id, &urls)
        {
            return Ok(known.channel.clone());
        }
        for url in &urls {
            let Some(endpoint) = self.endpoint(url) else { continue };
            if let Ok(channel) = endpoint.connect().await {
                let urls = urls.clone();
                *open = Some(Open { leader: leader.id, urls, channel: channel.clone() });
                return Ok(channel);
            }
        }
        Err(Failure::NoLeader)
    }

    fn endpoint(&self, url: &str) -> Option<Endpoint> {
        let endpoint = Endpoint::from_shared(url.to_owned()).ok()?;
        let endpoint = endpoint.connect_timeout(CONNECT_MAX).timeout(self.timeout);
        match self.security.tls.clone().filter(|_| url.starts_with("https")) {
            Some(tls) => endpoint.tls_config(tls).ok(),
            None => Some(endpoint),
        }
    }
}
