//! A log in memory on a simulated disk. It keeps the same promises as the one in files, and what its caller waits for takes the time of
//! the member's clock.

use super::Logged;
use super::disk::{Contents, Record, SimulatedDisk};
use crate::clock::{Clock, Hand};
use crate::raft::extent::{Cut, Extent};
use crate::raft::images::Image;
use crate::raft::log::{LogStore, Round, Written};
use crate::raft::members::Members;
use crate::raft::packing::EntryId;
use raft::eraftpb::{Entry, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};
use std::cell::Cell;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The log of one start of a member.
pub(super) struct SimulatedLog {
    disk: SimulatedDisk,
    /// Everything written, whether it is synced or not.
    view: Contents,
    image: Option<Image>,
    clock: Clock,
    hand: Hand,
    changed: Cell<Option<u64>>,
}

impl SimulatedLog {
    /// What the disk has, and one more start counted.
    pub(super) fn open(
        disk: SimulatedDisk,
        clock: Clock,
        hand: Hand,
    ) -> Result<SimulatedLog, raft_engine::Error> {
        let view = disk.contents();
        let changed = Cell::new(Some(view.cut.0 + 1));
        let started = Record::Incarnation(view.incarnation + 1);
        let mut log = SimulatedLog { disk, view, image: None, clock, hand, changed };
        log.write(started, true)?;
        Ok(log)
    }

    /// Returns when it is there, if that was asked for.
    fn write(&mut self, record: Record, sync: bool) -> Result<Written, raft_engine::Error> {
        let sync = self.disk.write(record.clone(), sync, self.clock.now())?;
        self.view.take(record);
        self.hand.pass(sync);
        Ok(Written { sync })
    }

    pub(super) fn cut(&self) -> (u64, u64) {
        self.view.cut
    }

    pub(super) fn last(&self) -> u64 {
        self.view.last().0
    }

    pub(super) fn logged(&self, index: u64) -> impl Iterator<Item = Logged> + '_ {
        let skipped = index.saturating_sub(self.view.cut.0 + 1);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX).min(self.view.entries.len());
        self.view.entries.range(skipped..).map(logged)
    }

    pub(super) fn take_changed(&self) -> Option<u64> {
        self.changed.take()
    }

    fn extent(&self) -> Extent<'_> {
        let (image, members) = (self.image.as_ref(), self.view.members.as_ref());
        Extent { cut: self.view.cut, last: self.view.last().0, image, members }
    }

    fn note_change(&self, index: u64) {
        let lowest = self.changed.get().map_or(index, |changed| changed.min(index));
        self.changed.set(Some(lowest));
    }
}

fn logged(entry: &Entry) -> Logged {
    let mut hasher = DefaultHasher::new();
    (entry.entry_type as u32, &entry.context[..], &entry.data[..]).hash(&mut hasher);
    let name = |id: EntryId| [id.node, id.incarnation, id.sequence];
    let proposal = EntryId::from_bytes(&entry.context).map(name);
    Logged { index: entry.index, term: entry.term, digest: hasher.finish(), proposal }
}

impl LogStore for SimulatedLog {
    fn append(&mut self, round: &Round<'_>) -> Result<Written, raft_engine::Error> {
        if let Some(first) = round.entries.first() {
            self.note_change(first.index);
        }
        let record = Record::Round(round.entries.to_vec(), round.hard_state.cloned());
        self.write(record, round.sync)
    }

    fn applied(&mut self, _index: u64) {}

    fn put_members(&mut self, members: &Members) -> Result<(), raft_engine::Error> {
        self.write(Record::Members(members.clone()), true).map(drop)
    }

    fn members(&self) -> Option<Members> {
        self.view.members.clone()
    }

    fn imaged(&mut self, image: &Image, keep: u64) -> Result<(), raft_engine::Error> {
        let Cut { at: to, has_it } = self.extent().cut_by(image, keep, |index| self.term(index))?;
        self.image = Some(image.clone());
        if to == self.view.cut {
            return Ok(());
        }
        self.note_change(to.0 + 1);
        self.write(Record::Cut(to.0, to.1, has_it), true).map(drop)
    }

    fn incarnation(&self) -> u64 {
        self.view.incarnation
    }
}

impl Storage for SimulatedLog {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(self.extent().initial_state(&self.view.hard_state))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let first = self.view.cut.0 + 1;
        if low < first {
            return Err(StorageError::Compacted.into());
        }
        let range = (low - first) as usize..(high - first) as usize;
        let mut entries: Vec<Entry> = self.view.entries.range(range).cloned().collect();
        raft::util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        let (cut, _) = self.view.cut;
        match self.view.entry(index) {
            Some(entry) => Ok(entry.term),
            None if index == cut => Ok(self.view.cut.1),
            None if index < cut => Err(StorageError::Compacted.into()),
            None => Err(StorageError::Unavailable.into()),
        }
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.view.cut.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.view.last().0)
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        self.extent().snapshot(request_index)
    }
}
