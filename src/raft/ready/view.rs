//! What the loop looks like from outside between two rounds, for whoever watches a simulation.

use super::ReadyLoop;
use crate::raft::log::LogStore;
use crate::raft::status::Role;
use crate::raft::transport::MemberId;
use crate::raft::{StateMachine, Waiter};
use raft::StateRole;

/// A member between two rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// What it is.
    pub role: Role,
    /// The present term.
    pub term: u64,
    /// Who has its vote in this term, 0 if nobody.
    pub vote: MemberId,
    /// Who leads, 0 if it knows nobody.
    pub leader: MemberId,
    /// Last entry that it knows to be committed.
    pub committed: u64,
    /// Last entry applied.
    pub applied: u64,
    /// Whether it would answer a read without asking anybody.
    pub has_lease: bool,
    /// Index of the newest image of its state, 0 if there is none.
    pub imaged: u64,
    /// Index of the last change of the group that it follows.
    pub members_at: u64,
}

impl<M, W, L> ReadyLoop<M, W, L>
where
    M: StateMachine,
    W: Waiter<M::Reply>,
    L: LogStore,
{
    pub(in crate::raft) fn observe(&self) -> View {
        let raft = &self.raft.raft;
        let role = match raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Follower => Role::Follower,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
        };
        View {
            role,
            term: raft.term,
            vote: raft.vote,
            leader: raft.leader_id,
            committed: raft.raft_log.committed,
            applied: self.applied,
            has_lease: self.lease.would_hold(self.standing(), self.clock.now()),
            imaged: self.images.newest().map_or(0, |image| image.index),
            members_at: self.members.index,
        }
    }

    pub(in crate::raft) fn log(&self) -> &L {
        self.raft.store()
    }

    pub(in crate::raft) fn voters(&self) -> &[MemberId] {
        &self.members.conf.voters
    }

    pub(in crate::raft) fn learners(&self) -> &[MemberId] {
        &self.members.conf.learners
    }
}
