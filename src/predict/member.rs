//! A simulated member of the group: its queues and how far it has got in the log, by index from 1.

use super::engine::Thread;
use crate::raft::proposer::{Proposer, Waiting};
use std::collections::VecDeque;

/// Number of a client.
pub(super) type Client = usize;

/// The member that leads.
pub(super) const LEADER: usize = 0;

/// What the Ready loop is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// Sleeps until something comes, or its timer.
    Sleeps,
    /// Was signalled and does not run yet.
    Wakes,
    /// Has nothing to do for too short a time to sleep.
    Yields,
    /// Runs, or waits for its sync.
    Works,
}

/// From one member to another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Message {
    /// The leader's log goes to `last`, is committed to `commit`, and read round `read` wants confirmation.
    Append { last: u64, commit: u64, read: u64 },
    /// `from` has the log to `synced` on disk and knows read round `read`.
    Ack { from: usize, synced: u64, read: u64 },
}

/// Requests that wait to be proposed.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) clients: VecDeque<Client>,
    pub(super) request_bytes: usize,
}

impl Waiting for Queue {
    fn len(&self) -> usize {
        self.clients.len()
    }

    fn bytes(&self, _index: usize) -> usize {
        self.request_bytes
    }
}

/// Reads that were asked for in one round.
#[derive(Debug)]
pub(super) struct Reads {
    pub(super) round: u64,
    pub(super) clients: Vec<Client>,
}

pub(super) struct Member {
    pub(super) thread: Thread,
    pub(super) apply_thread: Option<Thread>,
    pub(super) doing: Doing,
    /// Which sleep this is: a timer of an earlier one means nothing.
    pub(super) sleep: u64,
    pub(super) proposer: Box<dyn Proposer>,
    /// Inbox: what came since the loop last looked.
    pub(super) new_writes: Vec<Client>,
    pub(super) new_reads: Vec<Client>,
    pub(super) messages: Vec<Message>,
    pub(super) waiting: Queue,
    /// Entries proposed and not yet applied.
    pub(super) in_flight: usize,
    /// End of its log; what of it is on disk; is being written.
    pub(super) last: u64,
    pub(super) synced: u64,
    pub(super) writing: u64,
    /// Committed, as it knows; as it was told.
    pub(super) commit: u64,
    pub(super) told_commit: u64,
    /// Committed and held back until the next round; handed to the applier; applied.
    pub(super) held: u64,
    pub(super) kept: u64,
    pub(super) handed: u64,
    pub(super) applied: u64,
    /// The leader's knowledge of all: log on disk, read round.
    pub(super) matched: Vec<u64>,
    pub(super) read_matched: Vec<u64>,
    /// Commit index that the leader last sent.
    pub(super) sent_commit: u64,
    /// A follower's debt: it was sent something and has to answer.
    pub(super) owes_ack: bool,
    /// Read round asked last, or heard of last.
    pub(super) read_round: u64,
    /// Read round that was sent last.
    pub(super) sent_read: u64,
    pub(super) reads: VecDeque<Reads>,
    /// Whom the raft thread, and the apply thread, answer next; for the first also whether it has to execute it.
    pub(super) answers: VecDeque<(Client, bool)>,
    pub(super) apply_answers: VecDeque<Client>,
    /// Ends of what waits for the apply thread.
    pub(super) jobs: VecDeque<u64>,
    pub(super) applier_runs: bool,
}

impl Member {
    pub(super) fn new(
        threads: (Thread, Option<Thread>),
        proposer: Box<dyn Proposer>,
        request_bytes: usize,
        nodes: usize,
    ) -> Member {
        Member {
            thread: threads.0,
            apply_thread: threads.1,
            doing: Doing::Sleeps,
            sleep: 0,
            proposer,
            new_writes: Vec::new(),
            new_reads: Vec::new(),
            messages: Vec::new(),
            waiting: Queue { clients: VecDeque::new(), request_bytes },
            in_flight: 0,
            last: 0,
            synced: 0,
            writing: 0,
            commit: 0,
            told_commit: 0,
            held: 0,
            kept: 0,
            handed: 0,
            applied: 0,
            matched: vec![0; nodes],
            read_matched: vec![0; nodes],
            sent_commit: 0,
            owes_ack: false,
            read_round: 0,
            sent_read: 0,
            reads: VecDeque::new(),
            answers: VecDeque::new(),
            apply_answers: VecDeque::new(),
            jobs: VecDeque::new(),
            applier_runs: false,
        }
    }

    /// Takes in what is new.
    pub(super) fn take_news(&mut self, leads: bool) {
        self.waiting.clients.extend(self.new_writes.drain(..));
        if !self.new_reads.is_empty() {
            self.read_round += 1;
            let clients = std::mem::take(&mut self.new_reads);
            self.reads.push_back(Reads { round: self.read_round, clients });
        }
        for message in std::mem::take(&mut self.messages) {
            match message {
                Message::Append { last, commit, read } => {
                    self.last = self.last.max(last);
                    self.told_commit = self.told_commit.max(commit);
                    self.read_round = self.read_round.max(read);
                    self.owes_ack = true;
                }
                Message::Ack { from, synced, read } => {
                    self.matched[from] = self.matched[from].max(synced);
                    self.read_matched[from] = self.read_matched[from].max(read);
                }
            }
        }
        if leads {
            self.read_matched[LEADER] = self.read_round;
        }
    }

    /// How far the log is committed by what the member knows now.
    pub(super) fn committed(&self, leads: bool) -> u64 {
        let known = if leads { quorum(&self.matched) } else { self.told_commit.min(self.synced) };
        self.commit.max(known)
    }

    /// Whether another round has something to do.
    pub(super) fn has_work(&self, leads: bool) -> bool {
        self.last > self.synced
            || self.held > self.handed
            || self.committed(leads) > self.commit
            || self.owes_ack
            || leads && (self.has_to_tell() || self.first_read_is_due())
    }

    /// Whether the leader knows something that the others do not.
    pub(super) fn has_to_tell(&self) -> bool {
        let alone = self.matched.len() == 1;
        !alone
            && (self.last > self.synced
                || self.commit > self.sent_commit
                || self.read_round > self.sent_read)
    }

    /// Whether the oldest reads are confirmed by a quorum.
    pub(super) fn first_read_is_due(&self) -> bool {
        self.reads.front().is_some_and(|reads| reads.round <= quorum(&self.read_matched))
    }
}

/// What more than half of the members have reached.
fn quorum(reached: &[u64]) -> u64 {
    let mut reached = reached.to_vec();
    reached.sort_unstable_by(|a, b| b.cmp(a));
    reached[reached.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_is_more_than_half() {
        assert_eq!(quorum(&[7]), 7);
        assert_eq!(quorum(&[9, 4, 6]), 6);
        assert_eq!(quorum(&[9, 0, 0]), 0);
        assert_eq!(quorum(&[1, 5, 3, 4, 2]), 3);
    }
}
