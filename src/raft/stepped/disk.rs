//! The disk under a simulated log, at the level of records: what was written is there once it was synced; of the rest, any prefix is
//! there after a crash. It outlives the members that use it, one after the other.
//!
//! Instants are those of its member's clock: a sync takes time, and the member, which waits for it, goes on when it is over. Whoever
//! ends the member at an instant within has the sync not done.

use crate::raft::members::Members;
use crate::seed::Seed;
use crate::units::Nanos;
use raft::eraftpb::{Entry, HardState};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A disk; its copies are the same one.
#[derive(Clone)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

/// What was done to a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounts {
    /// Records written.
    pub writes: u64,
    /// Syncs.
    pub syncs: u64,
    /// Records that a crash took.
    pub lost: u64,
    /// Crashes that took some and left some of what was not synced.
    pub torn: u64,
    /// Writes that failed.
    pub failed: u64,
}

struct State {
    /// What a crash leaves in any case.
    kept: Contents,
    /// What was written and is not surely there, oldest first, with when it will be, if that was asked for.
    pending: VecDeque<(Option<Nanos>, Record)>,
    /// The longest that a sync takes; the shortest is a tenth of it.
    sync: Nanos,
    /// Writes until one fails.
    fails_after: Option<u64>,
    random: ChaCha8Rng,
    counts: DiskCounts,
    #[cfg(feature = "seeded-bugs")]
    bug: Option<crate::raft::SeededBug>,
}

/// What is written at once, whole or not at all.
#[derive(Clone)]
pub(super) enum Record {
    /// Entries in place of those from the first one's index on, and the hard state.
    Round(Vec<Entry>, Option<HardState>),
    Members(Members),
    /// The log begins after this index, of this term; what it had behind it stays if so said.
    Cut(u64, u64, bool),
    Incarnation(u64),
}

#[cfg(feature = "seeded-bugs")]
impl Record {
    /// As a log with this bug would have it on disk.
    fn mistaken(mut self, bug: Option<crate::raft::SeededBug>) -> Record {
        if let (Record::Round(_, Some(hard_state)), Some(crate::raft::SeededBug::VoteForgotten)) =
            (&mut self, bug)
        {
            hard_state.vote = 0;
        }
        self
    }
}

/// What records come to.
#[derive(Clone, Default)]
pub(super) struct Contents {
    /// Those after the cut.
    pub(super) entries: VecDeque<Entry>,
    pub(super) hard_state: HardState,
    pub(super) members: Option<Members>,
    /// Index and term.
    pub(super) cut: (u64, u64),
    pub(super) incarnation: u64,
}

impl Contents {
    pub(super) fn take(&mut self, record: Record) {
        match record {
            Record::Round(entries, hard_state) => {
                self.append(entries);
                self.hard_state =
                    hard_state.unwrap_or_else(|| std::mem::take(&mut self.hard_state));
            }
            Record::Members(members) => self.members = Some(members),
            Record::Cut(index, term, keeps_rest) => {
                match keeps_rest {
                    true => self.entries.retain(|entry| entry.index > index),
                    false => self.entries.clear(),
                }
                self.cut = (index, term);
            }
            Record::Incarnation(number) => self.incarnation = number,
        }
    }

    fn append(&mut self, entries: Vec<Entry>) {
        if let Some(first) = entries.first() {
            while self.entries.back().is_some_and(|entry| entry.index >= first.index) {
                self.entries.pop_back();
            }
        }
        self.entries.extend(entries);
    }

    pub(super) fn last(&self) -> (u64, u64) {
        self.entries.back().map_or(self.cut, |entry| (entry.index, entry.term))
    }

    pub(super) fn entry(&self, index: u64) -> Option<&Entry> {
        let place = index.checked_sub(self.cut.0 + 1)?;
        self.entries.get(usize::try_from(place).ok()?)
    }
}

impl SimulatedDisk {
    /// An empty one; `seed` decides how long syncs take and what crashes leave.
    pub fn new(seed: Seed, sync: Nanos) -> SimulatedDisk {
        let state = State {
            kept: Contents::default(),
            pending: VecDeque::new(),
            sync,
            fails_after: None,
            random: seed.stream("simulated-disk", 0),
            counts: DiskCounts::default(),
            #[cfg(feature = "seeded-bugs")]
            bug: None,
        };
        SimulatedDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// From now on its log has this bug.
    #[cfg(feature = "seeded-bugs")]
    pub fn seed_bug(&self, bug: Option<crate::raft::SeededBug>) {
        self.state().bug = bug;
    }

    /// From now on syncs take at most so long.
    pub fn set_sync(&self, longest: Nanos) {
        self.state().sync = longest;
    }

    /// After so many more writes one fails, and whoever asked for it cannot know what of it is there. None: none does.
    pub fn fail_after(&self, writes: Option<u64>) {
        self.state().fails_after = writes;
    }

    /// Its member is gone at `now`: of what was not there by then a prefix is, chosen at random.
    pub fn crash(&self, now: Nanos) {
        let state = &mut *self.state();
        state.settle(now);
        let unsure = state.pending.len();
        let left = state.random.random_range(0..=unsure);
        for (_, record) in state.pending.drain(..).take(left) {
            state.kept.take(record);
        }
        state.counts.lost += (unsure - left) as u64;
        state.counts.torn += u64::from(left > 0 && left < unsure);
        state.fails_after = None;
    }

    /// Whether a crash at `now` would leave the entry of `term` at `index`, or an image in its place.
    pub fn keeps(&self, index: u64, term: u64, now: Nanos) -> bool {
        let state = &mut *self.state();
        state.settle(now);
        let found = state.kept.entry(index);
        index <= state.kept.cut.0 || found.is_some_and(|entry| entry.term == term)
    }

    /// What was done to it.
    pub fn counts(&self) -> DiskCounts {
        self.state().counts
    }

    /// What is there when a member starts: all that a crash, or none, has left.
    pub(super) fn contents(&self) -> Contents {
        let state = &mut *self.state();
        state.settle(Nanos(u64::MAX));
        state.kept.clone()
    }

    /// Writes `record` at `now`; with `sync` it is there, and all before it, after the span that is returned.
    pub(super) fn write(&self, record: Record, sync: bool, now: Nanos) -> io::Result<Nanos> {
        let state = &mut *self.state();
        state.settle(now);
        state.counts.writes += 1;
        let fails = state.fails_after.is_some_and(|left| left == 0);
        state.fails_after = state.fails_after.map(|left| left.saturating_sub(1));
        #[cfg(feature = "seeded-bugs")]
        let record = record.mistaken(state.bug);
        state.pending.push_back((None, record));
        if fails {
            state.counts.failed += 1;
            return Err(io::Error::other("the simulated disk fails"));
        }
        if !sync {
            return Ok(Nanos::ZERO);
        }
        state.counts.syncs += 1;
        let longest = state.sync.0.max(10);
        let span = Nanos(state.random.random_range(longest / 10..=longest));
        if state.is_synced_in_truth() {
            let done = now.after(span);
            for (when, _) in &mut state.pending {
                *when = Some(when.map_or(done, |when| when.min(done)));
            }
        }
        Ok(span)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is there by `now` is kept.
    fn settle(&mut self, now: Nanos) {
        while self.pending.front().is_some_and(|(when, _)| when.is_some_and(|when| when <= now)) {
            if let Some((_, record)) = self.pending.pop_front() {
                self.kept.take(record);
            }
        }
    }

    #[cfg(not(feature = "seeded-bugs"))]
    fn is_synced_in_truth(&self) -> bool {
        true
    }

    #[cfg(feature = "seeded-bugs")]
    fn is_synced_in_truth(&self) -> bool {
        self.bug != Some(crate::raft::SeededBug::SyncIsNone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(index: u64, term: u64) -> Record {
        Record::Round(vec![Entry { index, term, ..Entry::default() }], None)
    }

    fn last(disk: &SimulatedDisk) -> u64 {
        disk.contents().last().0
    }

    #[test]
    fn what_was_synced_is_there_and_of_the_rest_a_prefix() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let disk = SimulatedDisk::new(Seed(seed), Nanos(1_000));
            let span = disk.write(round(1, 1), true, Nanos(5)).unwrap();
            assert!((100..=1_000).contains(&span.0));
            let synced = Nanos(5).after(span);
            for index in 2..=4 {
                disk.write(round(index, 1), false, synced).unwrap();
            }
            assert!(disk.keeps(1, 1, synced) && !disk.keeps(2, 1, synced));
            disk.crash(synced);
            assert!(last(&disk) >= 1);
            lengths.insert(last(&disk));
        }
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn a_crash_within_a_sync_may_take_what_it_was_for() {
        let (mut kept, mut lost) = (0, 0);
        for seed in 0..100 {
            let disk = SimulatedDisk::new(Seed(seed), Nanos(1_000));
            let span = disk.write(round(1, 1), true, Nanos(0)).unwrap();
            disk.crash(Nanos(span.0 - 1));
            match last(&disk) {
                0 => lost += 1,
                _ => kept += 1,
            }
        }
        assert!(kept > 20 && lost > 20, "{kept} kept, {lost} lost");
    }

    #[test]
    fn a_write_fails_when_it_was_said_and_a_later_term_takes_the_place_of_entries() {
        let disk = SimulatedDisk::new(Seed(1), Nanos(1_000));
        for index in 1..=3 {
            disk.write(round(index, 1), true, Nanos(0)).unwrap();
        }
        disk.write(round(2, 7), true, Nanos(0)).unwrap();
        disk.fail_after(Some(1));
        disk.write(Record::Cut(1, 1, true), true, Nanos(0)).unwrap();
        disk.write(round(3, 7), true, Nanos(0)).unwrap_err();
        disk.crash(Nanos(5_000));
        let contents = disk.contents();
        assert!(matches!(contents.last(), (2, 7) | (3, 7)));
        assert_eq!(
            (contents.cut, contents.entry(1), contents.entry(2).unwrap().term),
            ((1, 1), None, 7)
        );
        assert!(disk.keeps(1, 9, Nanos(5_000)), "an image is in its place");
    }
}
