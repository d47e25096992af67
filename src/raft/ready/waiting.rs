//! Writes that were taken from the inbox and not proposed yet.

use crate::raft::inbox::{Backlog, Submission, Submissions};
use crate::raft::packing::packed;
use crate::raft::proposer::Waiting;
use std::collections::VecDeque;

/// Writes, oldest first, with what they amount to.
pub(super) struct WaitingWrites<W> {
    /// The commands of `writes` from `proposed` on.
    packed: Vec<u8>,
    proposed: usize,
    writes: VecDeque<Submission<W>>,
    backlog: Backlog,
}

impl<W> WaitingWrites<W> {
    pub(super) fn new() -> WaitingWrites<W> {
        let (writes, backlog) = (VecDeque::new(), Backlog::default());
        WaitingWrites { packed: Vec::new(), proposed: 0, writes, backlog }
    }

    pub(super) fn extend(&mut self, new: Submissions<W>) {
        self.backlog.add(new.backlog());
        match self.writes.is_empty() {
            true => (self.packed, self.proposed) = (new.packed, 0),
            false => {
                self.forget_proposed();
                self.packed.extend_from_slice(&new.packed);
            }
        }
        self.writes.extend(new.each);
    }

    /// What was proposed is let go of once it is half of all, so that for each byte that moves one has gone.
    fn forget_proposed(&mut self) {
        if self.proposed > self.packed.len() / 2 {
            self.packed.drain(..self.proposed);
            self.proposed = 0;
        }
    }

    /// The first `count`.
    pub(super) fn take(&mut self, count: usize) -> Submissions<W> {
        let each: Vec<_> = self.writes.drain(..count).collect();
        let bytes: usize = each.iter().map(|write| packed(write.bytes)).sum();
        let packed = match self.proposed {
            0 if self.writes.is_empty() => std::mem::take(&mut self.packed),
            begin => self.packed[begin..begin + bytes].to_vec(),
        };
        match self.writes.is_empty() {
            true => (self.packed, self.proposed) = (Vec::new(), 0),
            false => self.proposed += bytes,
        }
        let taken = Submissions { packed, each };
        self.backlog.subtract(taken.backlog());
        taken
    }

    pub(super) fn take_all(&mut self) -> Submissions<W> {
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
        self.writes[index].bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::stage::Timeline;
    use crate::raft::packing::{pack, unpack};

    /// Requests whose commands are these numbers of bytes, each of its number.
    fn new(lengths: &[u8]) -> Submissions<u8> {
        let mut new = Submissions::none();
        for length in lengths {
            let write = |to: &mut Vec<u8>| to.resize(to.len() + usize::from(*length), *length);
            let bytes = pack(&mut new.packed, write);
            new.each.push(Submission { bytes, timeline: Timeline::default(), waiter: *length });
        }
        new
    }

    /// The commands of what was taken, which are those of its waiters.
    fn commands(taken: Submissions<u8>) -> Vec<u8> {
        let mut commands = Vec::new();
        unpack(1, &taken.packed, &mut commands).unwrap();
        let waiters: Vec<_> = taken.each.iter().map(|write| write.waiter).collect();
        assert_eq!(commands.len(), waiters.len());
        for (command, waiter) in commands.iter().zip(&waiters) {
            assert_eq!(command.bytes, vec![*waiter; usize::from(*waiter)]);
        }
        waiters
    }

    #[test]
    fn nothing_is_left_of_all_and_can_be_taken() {
        for partly in [0, 1] {
            let mut waiting = WaitingWrites::new();
            waiting.extend(new(&[3, 1, 2]));
            assert_eq!(commands(waiting.take(partly)).len(), partly);
            assert_eq!(commands(waiting.take_all()).len(), 3 - partly);
            assert!(waiting.take_all().each.is_empty());
            waiting.extend(new(&[4]));
            assert_eq!(commands(waiting.take_all()), [4]);
        }
    }

    #[test]
    fn what_was_proposed_is_let_go_of() {
        let mut waiting = WaitingWrites::new();
        waiting.extend(new(&[9; 50]));
        for _ in 0..1_000 {
            waiting.extend(new(&[9]));
            assert_eq!(commands(waiting.take(1)), [9]);
            assert!(waiting.packed.len() <= 2 * packed(9) * 51 + packed(9), "twice what waits");
        }
    }

    #[test]
    fn each_goes_with_its_command_however_many_are_taken_and_come() {
        let mut waiting = WaitingWrites::new();
        let (mut came, mut went) = (Vec::<u8>::new(), Vec::new());
        for round in 0..200_usize {
            let lengths: Vec<u8> = (0..round % 5).map(|at| (round * 7 + at * 11) as u8).collect();
            came.extend(&lengths);
            waiting.extend(new(&lengths));
            let count = (round * 3 % 7).min(waiting.len());
            went.extend(commands(waiting.take(count)));
        }
        went.extend(commands(waiting.take_all()));
        assert_eq!(went, came);
        assert_eq!(waiting.backlog(), Backlog::default());
    }
}
