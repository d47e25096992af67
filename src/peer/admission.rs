//! Who may send: the members that this one knows, and those that they vouch for. The log tells a member who belongs, so one that was
//! away, or has just come, does not know of everybody; it asks those it knows before it listens to anybody else.

use super::service::group_of;
use super::{About, Security};
use crate::raft::{Member, MemberId, Refused};
use crate::rpc::kvbenchpb::Address;
use std::sync::{Arc, Mutex, PoisonError};
use tonic::Status;

/// Who belongs to the group now.
type Members = Box<dyn Fn() -> Arc<Vec<Member>> + Send + Sync>;

/// Lets senders in.
pub struct Admission {
    cluster_id: u64,
    me: MemberId,
    security: Security,
    members: Members,
    hearsay: Hearsay,
    /// Held while the others are asked: strangers cannot have it done more often than it takes.
    asking: tokio::sync::Mutex<()>,
}

/// Members that others told of; shared by all that need to find them.
#[derive(Clone, Debug, Default)]
pub struct Hearsay(Arc<Mutex<Vec<Member>>>);

impl Hearsay {
    /// Where a member is reached, as far as others told.
    pub fn peer_urls(&self, id: MemberId) -> Vec<String> {
        self.find(id).map_or_else(Vec::new, |member| About::from_bytes(&member.about).peer_urls)
    }

    fn find(&self, id: MemberId) -> Option<Member> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().find(|member| member.id == id).cloned()
    }

    /// What was heard last replaces what was heard before.
    fn replace(&self, members: Vec<Member>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = members;
    }
}

impl Admission {
    /// For member `me` of the group: `members` is who belongs as far as its log says, `hearsay` is what it is told beside.
    pub fn new(
        cluster_id: u64,
        me: MemberId,
        security: Security,
        hearsay: Hearsay,
        members: impl Fn() -> Arc<Vec<Member>> + Send + Sync + 'static,
    ) -> Admission {
        let (members, asking) = (Box::new(members), tokio::sync::Mutex::new(()));
        Admission { cluster_id, me, security, members, hearsay, asking }
    }

    /// The number of the group.
    pub(super) fn cluster_id(&self) -> u64 {
        self.cluster_id
    }

    pub(super) fn members(&self) -> Arc<Vec<Member>> {
        (self.members)()
    }

    /// Whether what comes with this address may be read.
    pub(super) async fn admit(&self, address: &Address) -> Result<(), Refused> {
        if address.cluster_id != self.cluster_id {
            return Err(Refused::OtherCluster);
        }
        if address.to != self.me {
            return Err(Refused::OtherMember);
        }
        match self.knows(address.from) || self.is_vouched_for(address.from).await {
            true => Ok(()),
            false => Err(Refused::Stranger),
        }
    }

    fn knows(&self, id: MemberId) -> bool {
        id != self.me
            && (self.members().iter().any(|member| member.id == id)
                || self.hearsay.find(id).is_some())
    }

    /// Asks the members who belongs, one after the other until one tells of `id`.
    async fn is_vouched_for(&self, id: MemberId) -> bool {
        let Ok(_asking) = self.asking.try_lock() else { return false };
        for member in self.members().iter().filter(|member| member.id != self.me) {
            for url in About::from_bytes(&member.about).peer_urls {
                match group_of(&url, self.security.tls.clone()).await {
                    Ok((cluster_id, told)) if cluster_id == self.cluster_id => {
                        let tells = told.iter().any(|member| member.id == id);
                        if tells && id != self.me {
                            self.hearsay.replace(told);
                            return true;
                        }
                    }
                    _ => {}
                }
            }
        }
        false
    }
}

/// What a sender is told.
pub(super) fn status(refused: Refused) -> Status {
    let text = match refused {
        Refused::OtherCluster => "cluster ID mismatch",
        Refused::OtherMember => "this is another member",
        Refused::Stranger => return Status::permission_denied("the sender is no member here"),
        Refused::TooLarge => return Status::resource_exhausted("too much at once"),
        _ => return Status::invalid_argument(refused.to_string()),
    };
    Status::failed_precondition(text)
}
