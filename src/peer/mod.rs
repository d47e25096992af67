//! Members of a group on several hosts: raft's messages over gRPC, one stream for each direction, and images of the state as files in
//! chunks. What a link cannot carry soon is dropped; the raft library repeats it.

mod admission;
mod link;
mod service;
mod transport;

pub use admission::{Admission, Hearsay};
pub use service::{PeerService, group_of};
pub use transport::{GrpcTransport, Security};

use crate::raft::{Member, MemberId};
use crate::rpc::etcdserverpb;
use prost::Message;

/// Largest message of a peer that is decoded: a batch that was almost full, and one raft message of 1 MiB and one entry more, which is as large
/// as batches of requests may be (64 MiB, or one request of 1.5 MiB).
const PEER_BYTES_MAX: usize = 67 << 20;
/// Most raft messages in a batch, as many as may wait for a link.
const MESSAGES_MAX: usize = 4096;
/// A batch is closed at this size.
const BATCH_BYTES: usize = 1 << 20;
/// Bytes of an image in one chunk.
const CHUNK_BYTES: usize = 256 << 10;

/// What everybody knows of a member beside its number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Its name, empty until it has started.
    pub name: String,
    /// Where the other members reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it.
    pub client_urls: Vec<String>,
}

impl About {
    /// As it is kept in the log.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.on_the_wire(&Member::default()).encode_to_vec()
    }

    /// From the log; what cannot be read is taken for nothing.
    pub fn from_bytes(bytes: &[u8]) -> About {
        let member = etcdserverpb::Member::decode(bytes).unwrap_or_default();
        About { name: member.name, peer_urls: member.peer_ur_ls, client_urls: member.client_ur_ls }
    }

    fn on_the_wire(&self, member: &Member) -> etcdserverpb::Member {
        etcdserverpb::Member {
            id: member.id,
            name: self.name.clone(),
            peer_ur_ls: self.peer_urls.clone(),
            client_ur_ls: self.client_urls.clone(),
            is_learner: member.is_learner,
        }
    }
}

/// A member as clients see it.
pub fn member_on_the_wire(member: &Member) -> etcdserverpb::Member {
    About::from_bytes(&member.about).on_the_wire(member)
}

/// A member as another one told of it.
pub fn member_of_the_wire(member: &etcdserverpb::Member) -> Member {
    let about = About {
        name: member.name.clone(),
        peer_urls: member.peer_ur_ls.clone(),
        client_urls: member.client_ur_ls.clone(),
    };
    let id: MemberId = member.id;
    Member { id, is_learner: member.is_learner, about: about.to_bytes() }
}
