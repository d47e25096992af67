//! Who belongs to the group, as far as the log says. What is known of a member beside its number is opaque here.

use super::transport::MemberId;
use protobuf::Message;
use raft::eraftpb::{ConfChange, ConfChangeType, ConfState};
use std::collections::BTreeMap;

/// A member of the group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: MemberId,
    /// It gets the log and has no vote.
    pub is_learner: bool,
    /// What whoever added it said about it.
    pub about: Vec<u8>,
}

/// A wish to change the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new member; one that votes counts at once, also while it catches up.
    Add(Member),
    /// A learner gets a vote.
    Promote(MemberId),
    /// A member leaves for good.
    Remove(MemberId),
    /// What is known of a member changes.
    Describe(MemberId, Vec<u8>),
}

/// Why a change is not even proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChange {
    /// There is such a member already.
    #[error("member is there already")]
    Exists,
    /// There is none.
    #[error("member not found")]
    NotFound,
    /// It has a vote already.
    #[error("member is no learner")]
    NotALearner,
    /// It lacks too much of the log.
    #[error("learner has not caught up with the leader")]
    NotReady,
    /// Without it there would be no quorum, or nobody.
    #[error("the last voting member cannot leave")]
    LastVoter,
    /// One change at a time.
    #[error("another change of the group is under way")]
    Busy,
}

/// The group after the change at log index `index`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Members {
    pub(super) conf: ConfState,
    about: BTreeMap<MemberId, Vec<u8>>,
    /// Changes up to here are in it, however often they are seen.
    pub(super) index: u64,
}

impl Members {
    /// A new group.
    pub(super) fn founded_by(founders: &[Member]) -> Members {
        let of = |learner: bool| {
            let wanted = founders.iter().filter(|member| member.is_learner == learner);
            wanted.map(|member| member.id).collect::<Vec<_>>()
        };
        let conf = ConfState { voters: of(false), learners: of(true), ..ConfState::default() };
        let about = founders.iter().map(|member| (member.id, member.about.clone())).collect();
        Members { conf, about, index: 0 }
    }

    /// All of them, ascending.
    pub(super) fn list(&self) -> Vec<Member> {
        let voters = self.conf.voters.iter().map(|id| (*id, false));
        let learners = self.conf.learners.iter().map(|id| (*id, true));
        let about = |id| self.about.get(&id).cloned().unwrap_or_default();
        let member = |(id, is_learner)| Member { id, is_learner, about: about(id) };
        let mut list: Vec<Member> = voters.chain(learners).map(member).collect();
        list.sort_unstable_by_key(|member| member.id);
        list
    }

    pub(super) fn is_only_voter(&self, id: MemberId) -> bool {
        self.conf.voters == [id]
    }

    fn is_voter(&self, id: MemberId) -> bool {
        self.conf.voters.contains(&id)
    }

    fn is_learner(&self, id: MemberId) -> bool {
        self.conf.learners.contains(&id)
    }

    /// The change as the raft library proposes it; `is_ready` says whether a learner has caught up.
    pub(super) fn proposal(
        &self,
        change: &Change,
        is_ready: impl Fn(MemberId) -> bool,
    ) -> Result<ConfChange, BadChange> {
        let knows = |id| self.is_voter(id) || self.is_learner(id);
        let about = |id| self.about.get(&id).cloned().unwrap_or_default();
        let kind = |is_learner| match is_learner {
            true => ConfChangeType::AddLearnerNode,
            false => ConfChangeType::AddNode,
        };
        let (kind, id, about) = match change {
            Change::Add(member) if knows(member.id) => return Err(BadChange::Exists),
            Change::Add(member) => (kind(member.is_learner), member.id, member.about.clone()),
            Change::Promote(id) | Change::Remove(id) | Change::Describe(id, _) if !knows(*id) => {
                return Err(BadChange::NotFound);
            }
            Change::Promote(id) if self.is_voter(*id) => return Err(BadChange::NotALearner),
            Change::Promote(id) if !is_ready(*id) => return Err(BadChange::NotReady),
            Change::Promote(id) => (ConfChangeType::AddNode, *id, about(*id)),
            Change::Remove(id) if self.is_only_voter(*id) => return Err(BadChange::LastVoter),
            Change::Remove(id) => (ConfChangeType::RemoveNode, *id, Vec::new()),
            Change::Describe(id, about) => (kind(self.is_learner(*id)), *id, about.clone()),
        };
        let context = about.into();
        Ok(ConfChange { change_type: kind, node_id: id, context, ..ConfChange::default() })
    }

    /// Whether the change is what member `id` says of itself, and nothing else.
    pub(super) fn is_description(&self, id: MemberId, change: &ConfChange) -> bool {
        let is_as_before = match change.change_type {
            ConfChangeType::AddNode => self.is_voter(id),
            ConfChangeType::AddLearnerNode => self.is_learner(id),
            ConfChangeType::RemoveNode => false,
        };
        change.node_id == id && is_as_before
    }

    /// Takes note of a change that was committed at `index` and made the group `conf`.
    pub(super) fn follow(&mut self, index: u64, change: &ConfChange, conf: ConfState) {
        (self.index, self.conf) = (index, conf);
        match change.change_type {
            ConfChangeType::RemoveNode => drop(self.about.remove(&change.node_id)),
            _ => drop(self.about.insert(change.node_id, change.context.to_vec())),
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let conf = self.conf.write_to_bytes().expect("a message in memory can be written");
        let mut bytes = self.index.to_le_bytes().to_vec();
        let mut field = |field: &[u8]| {
            bytes.extend_from_slice(&(field.len() as u32).to_le_bytes());
            bytes.extend_from_slice(field);
        };
        field(&conf);
        for (id, about) in &self.about {
            field(&id.to_le_bytes());
            field(about);
        }
        bytes
    }

    /// From [`Members::to_bytes`]; none if they are something else.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Members> {
        let (index, mut rest) = bytes.split_first_chunk()?;
        let mut field = || {
            let (length, after) = rest.split_first_chunk()?;
            let (field, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = after;
            Some(field)
        };
        let mut conf = ConfState::default();
        conf.merge_from_bytes(field()?).ok()?;
        let mut about = BTreeMap::new();
        while let Some(id) = field() {
            let id = u64::from_le_bytes(id.try_into().ok()?);
            about.insert(id, field()?.to_vec());
        }
        Some(Members { conf, about, index: u64::from_le_bytes(*index) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: MemberId, is_learner: bool) -> Member {
        Member { id, is_learner, about: vec![id as u8; 3] }
    }

    #[test]
    fn members_come_back_from_bytes() {
        let members = Members::founded_by(&[member(7, false), member(3, true), member(9, false)]);
        let back = Members::from_bytes(&members.to_bytes()).unwrap();
        assert_eq!(back, members);
        assert_eq!(back.list(), [member(3, true), member(7, false), member(9, false)]);
        assert_eq!(Members::from_bytes(b"short"), None);
    }

    #[test]
    fn changes_that_make_no_sense_are_refused_before_they_are_proposed() {
        let members = Members::founded_by(&[member(1, false), member(2, true)]);
        let refused = |change| members.proposal(&change, |_| false).unwrap_err();
        assert_eq!(refused(Change::Add(member(2, false))), BadChange::Exists);
        assert_eq!(refused(Change::Remove(5)), BadChange::NotFound);
        assert_eq!(refused(Change::Promote(1)), BadChange::NotALearner);
        assert_eq!(refused(Change::Promote(2)), BadChange::NotReady);
        assert_eq!(refused(Change::Remove(1)), BadChange::LastVoter);
        let promote = members.proposal(&Change::Promote(2), |_| true).unwrap();
        assert_eq!((promote.change_type, promote.node_id), (ConfChangeType::AddNode, 2));
        assert_eq!(promote.context, [2; 3].as_slice());
    }
}
