//! Linearizable reads without a log entry: each waits until the leader's commit index of a moment after its arrival is applied here
//! (ReadIndex, Ongaro's thesis section 6.4).

use super::inbox::{Backlog, Submission};
use crate::units::Nanos;
use std::collections::VecDeque;

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
    context: Vec<u8>,
    asked: Nanos,
    /// When they were taken, by the stage clock.
    pub(super) taken: Nanos,
    pub(super) queries: Vec<Submission<W>>,
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
        context: Vec<u8>,
        asked: Nanos,
        taken: Nanos,
        queries: Vec<Submission<W>>,
    ) {
        queries.iter().for_each(|query| self.backlog.add(Backlog::of(query)));
        self.groups.push_back(Group { index: None, context, asked, taken, queries });
    }

    pub(super) fn confirm(&mut self, context: &[u8], index: u64) {
        if let Some(group) = self.groups.iter_mut().find(|group| group.context == context) {
            group.index = Some(index);
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
        group.queries.iter().for_each(|query| self.backlog.subtract(Backlog::of(query)));
        Some(group)
    }

    /// What no index was confirmed for yet: to be asked again, since messages get lost.
    pub(super) fn unconfirmed(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.groups.iter().filter(|group| group.index.is_none()).map(|group| &group.context)
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Submission<W>> + '_ {
        self.backlog = Backlog::default();
        self.groups.drain(..).flat_map(|group| group.queries)
    }
}
