//! Linearizable reads without a log entry: each waits until the leader's commit index of a moment after its arrival is applied here
//! (ReadIndex, Ongaro's thesis section 6.4).
//!
//! Who asks the leader for it sends a question, and sends it again with every heartbeat until it is answered, since messages get lost. The
//! raft library knows a question by its bytes: an acknowledgment of those bytes by a quorum confirms it, and with it all that was asked
//! before it. So the leader gives each question that comes to it, be it for the second time, a [`name`] that was never used. Under the same
//! bytes, what a member acknowledged when the question came first would confirm it when it comes again, together with questions that
//! came in between; and by then that member may follow another leader.

use super::inbox::{Backlog, Submission, Submissions};
use super::packing::EntryId;
use crate::units::Nanos;
use std::collections::VecDeque;

/// The bytes by which the library knows `question` this time.
pub(super) fn name(question: &[u8], fresh: EntryId) -> Vec<u8> {
    [&fresh.to_bytes(), question].concat()
}

/// The question in the bytes of an answer, with its name or without; none in bytes that are too few.
pub(super) fn question(named: &[u8]) -> Option<&[u8; EntryId::BYTES]> {
    named.last_chunk()
}

/// Queries that wait for an index to be applied, oldest first.
pub(super) struct WaitingReads<W> {
    groups: VecDeque<Group<W>>,
    /// Of the queries in them.
    backlog: Backlog,
}

/// Queries that were asked for together.
pub(super) struct Group<W> {
    /// Answered once this is applied; none until raft has confirmed an index.
    index: Option<u64>,
    /// Ties the confirmation to these queries.
    question: Vec<u8>,
    asked: Nanos,
    /// The term in which this member's library goes on asking, as a leader's does.
    asking: Option<u64>,
    /// When they were taken, by the stage clock.
    pub(super) taken: Nanos,
    pub(super) queries: Submissions<W>,
}

impl<W> WaitingReads<W> {
    pub(super) fn new() -> WaitingReads<W> {
        WaitingReads { groups: VecDeque::new(), backlog: Backlog::default() }
    }

    /// What waits.
    pub(super) fn backlog(&self) -> Backlog {
        self.backlog
    }

    pub(super) fn add(
        &mut self,
        question: Vec<u8>,
        asked: Nanos,
        taken: Nanos,
        queries: Submissions<W>,
    ) {
        self.backlog.add(queries.backlog());
        let group = Group { index: None, question, asked, asking: None, taken, queries };
        self.groups.push_back(group);
    }

    /// The library asks for it until it is answered or `term` is over.
    pub(super) fn are_asked_for_in(&mut self, term: u64, question: &[u8]) {
        if let Some(group) = self.groups.iter_mut().rfind(|group| group.question == question) {
            group.asking = Some(term);
        }
    }

    /// Asked twice, a question may be answered twice: the first answer is as good.
    pub(super) fn confirm(&mut self, question: &[u8], index: u64) {
        if let Some(group) = self.groups.iter_mut().find(|group| group.question == question) {
            group.index.get_or_insert(index);
        }
    }

    /// The oldest group, if it may be answered now that `applied` is applied.
    pub(super) fn due(&mut self, applied: u64) -> Option<Group<W>> {
        self.groups.front()?.index.filter(|index| *index <= applied)?;
        self.pop()
    }

    /// The oldest group, if it was asked for before `before`: it is given up.
    pub(super) fn overdue(&mut self, before: Nanos) -> Option<Group<W>> {
        self.groups.front().filter(|group| group.asked < before)?;
        self.pop()
    }

    fn pop(&mut self) -> Option<Group<W>> {
        let group = self.groups.pop_front()?;
        self.backlog.subtract(group.queries.backlog());
        Some(group)
    }

    /// What no index was confirmed for yet and nobody here goes on asking for in `term`.
    pub(super) fn to_be_asked(&self, term: u64) -> Vec<Vec<u8>> {
        let waits = |group: &&Group<W>| group.index.is_none() && group.asking != Some(term);
        self.groups.iter().filter(waits).map(|group| group.question.clone()).collect()
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Submission<W>> + '_ {
        self.backlog = Backlog::default();
        self.groups.drain(..).flat_map(|group| group.queries.each)
    }
}
