//! What a member knows of its group, for whoever asks from outside the Ready loop.

use super::members::Member;
use super::transport::MemberId;
use crate::measure::lock::{MeasuredMutex, Visit};
use crate::measure::stage::Probe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a member is at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It decides the order of the log.
    Leader,
    /// It follows a leader, or waits for one.
    #[default]
    Follower,
    /// It asks for votes.
    Candidate,
}

/// A member's view of the group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The member.
    pub me: MemberId,
    /// What it is.
    pub role: Role,
    /// Who leads, 0 if it knows nobody.
    pub leader: MemberId,
    /// The present term.
    pub term: u64,
    /// First entry that its log still has: those before are in an image alone.
    pub first: u64,
    /// Last entry of its log.
    pub last: u64,
    /// Last entry known to be committed.
    pub committed: u64,
    /// Last entry applied.
    pub applied: u64,
    /// Images that the leader sent since the start and that took the place of this member's state.
    pub images: u64,
    /// Everyone in the group, ascending.
    pub members: Arc<Vec<Member>>,
    /// Whether the pipeline has ended.
    pub stopped: bool,
}

/// Where the Ready loop puts its status.
pub(super) struct Board {
    status: MeasuredMutex<Status>,
    /// Again, for whoever needs no more; relaxed, it orders nothing.
    term: AtomicU64,
    /// Last entry applied, told before anyone in it is answered.
    applied: AtomicU64,
}

impl Board {
    /// Shows nothing yet.
    pub(super) fn new(probe: Probe) -> Board {
        Board {
            status: MeasuredMutex::brief(Status::default(), probe),
            term: AtomicU64::new(0),
            applied: AtomicU64::new(0),
        }
    }

    /// Shows its lock.
    pub(super) fn visit_locks(&self, visit: Visit<'_>) {
        visit("status", &self.status);
    }

    /// What the Ready loop showed last, and never less than what somebody was answered.
    pub(super) fn read(&self) -> Status {
        let mut status = self.status.lock().clone();
        status.applied = status.applied.max(self.applied.load(Ordering::Acquire));
        status.committed = status.committed.max(status.applied);
        status.last = status.last.max(status.committed);
        status
    }

    /// Everything up to `index` is in the store; its answers go out after this.
    pub(super) fn applied(&self, index: u64) {
        self.applied.fetch_max(index, Ordering::Release);
    }

    pub(super) fn term(&self) -> u64 {
        self.term.load(Ordering::Relaxed)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Status)) {
        let mut status = self.status.lock();
        change(&mut status);
        self.term.store(status.term, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Ready loop shows its status after the turn, so after the answers of that turn.
    #[test]
    fn what_was_answered_is_shown_before_the_turn_ends() {
        let board = Board::new(Probe::off());
        board.change(|status| (status.last, status.committed, status.applied) = (9, 5, 4));
        board.applied(7);
        let status = board.read();
        assert_eq!((status.last, status.committed, status.applied), (9, 7, 7));
        board.change(|status| (status.last, status.committed, status.applied) = (12, 11, 10));
        assert_eq!(board.read().applied, 10);
    }
}
