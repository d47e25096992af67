//! Writes that were taken from the inbox and not proposed yet.

use crate::raft::inbox::{Backlog, Submission};
use crate::raft::proposer::Waiting;
use std::collections::VecDeque;

/// Writes, oldest first, with what they amount to.
pub(super) struct WaitingWrites<W> {
    writes: VecDeque<Submission<W>>,
    backlog: Backlog,
}

impl<W> WaitingWrites<W> {
    pub(super) fn new() -> WaitingWrites<W> {
        WaitingWrites { writes: VecDeque::new(), backlog: Backlog::default() }
    }

    pub(super) fn extend(&mut self, writes: Vec<Submission<W>>) {
        writes.iter().for_each(|write| self.backlog.add(Backlog::of(write)));
        self.writes.extend(writes);
    }

    /// The first `count`.
    pub(super) fn take(&mut self, count: usize) -> Vec<Submission<W>> {
        let taken: Vec<_> = self.writes.drain(..count).collect();
        taken.iter().for_each(|write| self.backlog.subtract(Backlog::of(write)));
        taken
    }

    pub(super) fn take_all(&mut self) -> Vec<Submission<W>> {
        self.take(self.writes.len())
    }

    /// What waits.
    pub(super) fn backlog(&self) -> Backlog {
        self.backlog
    }
}

impl<W> std::fmt::Debug for WaitingWrites<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WaitingWrites({:?})", self.backlog)
    }
}

impl<W> Waiting for WaitingWrites<W> {
    fn len(&self) -> usize {
        self.writes.len()
    }

    fn bytes(&self, index: usize) -> usize {
        self.writes[index].command.len()
    }
}
