//! Who a server says it is. Its numbers come from its name and address, so that they stay the same over restarts.

use crate::peer::About;
use crate::raft::{Group, Member};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A member and its cluster, as clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The member's name, for people.
    pub name: String,
    /// Where other members reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it.
    pub client_urls: Vec<String>,
    /// The member's number.
    pub member_id: u64,
    /// The cluster's number.
    pub cluster_id: u64,
}

impl Identity {
    /// A member that is its whole cluster.
    pub fn alone(name: &str, peer_urls: Vec<String>, client_urls: Vec<String>) -> Identity {
        let member_id = member_id(&peer_urls, name);
        let cluster_id = cluster_id(&[member_id], name);
        Identity { name: name.to_owned(), peer_urls, client_urls, member_id, cluster_id }
    }

    /// What the others know of it.
    pub fn about(&self) -> About {
        About {
            name: self.name.clone(),
            peer_urls: self.peer_urls.clone(),
            client_urls: self.client_urls.clone(),
        }
    }

    /// The group that it is, alone.
    pub fn group(&self) -> Group {
        let about = self.about().to_bytes();
        let me = Member { id: self.member_id, is_learner: false, about };
        Group { founders: vec![me], ..Group::of(self.member_id, 1) }
    }
}

/// The number of a member that is reached at `peer_urls`; `salt` tells apart those that are reached there at different times or in different
/// clusters.
pub fn member_id(peer_urls: &[String], salt: &str) -> u64 {
    let mut urls = peer_urls.to_vec();
    urls.sort_unstable();
    // 0 would mean "nobody".
    xxh3_64_with_seed(format!("{}\n{salt}", urls.join("\n")).as_bytes(), 1).max(1)
}

/// The number of a cluster that these members found.
pub fn cluster_id(founders: &[u64], token: &str) -> u64 {
    let mut ids = founders.to_vec();
    ids.sort_unstable();
    xxh3_64_with_seed(format!("{ids:?}\n{token}").as_bytes(), 2).max(1)
}
