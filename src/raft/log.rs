//! The durable log: TiKV's raft-engine behind the few calls the Ready loop needs, with the entries that are not
//! yet applied kept in memory, so that committing does not read the disk.

use super::Fsync;
use super::sync_fs::SyncFs;
use crate::clock::Clock;
use crate::measure::pipeline::PipelineMeter;
use crate::units::Nanos;
use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize, RecoveryMode};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

/// The engine serves many groups; this log is the only one in it.
const GROUP: u64 = 1;
const HARD_STATE: &[u8] = b"hard-state";
const INCARNATION: &[u8] = b"incarnation";

/// What the Ready loop asks of a log, beside reading it as the raft library does.
pub(super) trait LogStore: Storage {
    /// Appends `entries` and the hard state. When it returns and `sync` was asked, both are on disk.
    fn append(&mut self, round: &Round<'_>) -> Result<Written, raft_engine::Error>;

    /// Entries up to `index` are applied and will not be asked for again soon.
    fn applied(&mut self, index: u64);

    /// Which start of this node this is, from 1; counted before the log is used.
    fn incarnation(&self) -> u64;
}

/// What one Ready round persists.
pub(super) struct Round<'a> {
    pub(super) entries: &'a [Entry],
    pub(super) hard_state: Option<&'a HardState>,
    pub(super) sync: bool,
}

/// What an append cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// Time spent in syncs during it.
    pub(super) sync: Nanos,
}

/// A log in a folder.
pub(super) struct EngineLog {
    engine: Engine<SyncFs>,
    /// Entries appended and not yet applied, contiguous, ending with the last of the log.
    recent: VecDeque<Entry>,
    hard_state: HardState,
    last: (u64, u64),
    batch: LogBatch,
    meter: Arc<PipelineMeter>,
    incarnation: u64,
    voter: u64,
}

struct Codec;

impl MessageExt for Codec {
    type Entry = Entry;
    fn index(entry: &Entry) -> u64 {
        entry.index
    }
}

impl EngineLog {
    /// Opens or creates the log in `folder` for node `voter`, and counts this start.
    pub(super) fn open(
        folder: &Path,
        voter: u64,
        fsync: Fsync,
        clock: Clock,
        meter: Arc<PipelineMeter>,
    ) -> Result<EngineLog, raft_engine::Error> {
        let config = Config {
            dir: folder.to_string_lossy().into_owned(),
            recovery_mode: RecoveryMode::TolerateTailCorruption,
            // Values are random bytes: compressing them would only cost, and differently per batch size.
            batch_compression_threshold: ReadableSize(0),
            ..Config::default()
        };
        let rules = SyncFs { fsync, clock, meter: meter.clone() };
        let engine = Engine::open_with_file_system(config, Arc::new(rules))?;
        let mut log = EngineLog {
            hard_state: engine.get_message(GROUP, HARD_STATE)?.unwrap_or_default(),
            incarnation: read_incarnation(&engine) + 1,
            recent: VecDeque::new(),
            last: (0, 0),
            batch: LogBatch::default(),
            engine,
            meter,
            voter,
        };
        log.find_last()?;
        log.count_start()?;
        Ok(log)
    }

    fn find_last(&mut self) -> Result<(), raft_engine::Error> {
        if let Some(index) = self.engine.last_index(GROUP) {
            let entry = self.engine.get_entry::<Codec>(GROUP, index)?;
            self.last = (index, entry.map_or(0, |entry| entry.term));
        }
        Ok(())
    }

    fn count_start(&mut self) -> Result<(), raft_engine::Error> {
        let bytes = self.incarnation.to_le_bytes().to_vec();
        self.batch.put(GROUP, INCARNATION.to_vec(), bytes)?;
        self.engine.write(&mut self.batch, true).map(|_| ())
    }

    /// The first index still in memory; one past the end if none is.
    fn recent_from(&self) -> u64 {
        self.recent.front().map_or(self.last.0 + 1, |entry| entry.index)
    }

    fn remember(&mut self, entries: &[Entry]) {
        let Some((first, last)) = entries.first().zip(entries.last()) else { return };
        // A new leader may overwrite entries that were never committed.
        while self.recent.back().is_some_and(|entry| entry.index >= first.index) {
            self.recent.pop_back();
        }
        self.recent.extend(entries.iter().cloned());
        self.last = (last.index, last.term);
    }
}

fn read_incarnation(engine: &Engine<SyncFs>) -> u64 {
    let bytes = engine.get(GROUP, INCARNATION).unwrap_or_default();
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

impl LogStore for EngineLog {
    fn append(&mut self, round: &Round<'_>) -> Result<Written, raft_engine::Error> {
        let before = self.meter.counts().fsync_ns;
        if !round.entries.is_empty() {
            self.batch.add_entries::<Codec>(GROUP, round.entries)?;
        }
        if let Some(hard_state) = round.hard_state {
            self.batch.put_message(GROUP, HARD_STATE.to_vec(), hard_state)?;
            self.hard_state = hard_state.clone();
        }
        let bytes = self.engine.write(&mut self.batch, round.sync)?;
        self.meter.log_bytes(bytes as u64);
        self.remember(round.entries);
        Ok(Written { sync: Nanos(self.meter.counts().fsync_ns - before) })
    }

    fn applied(&mut self, index: u64) {
        while self.recent.front().is_some_and(|entry| entry.index <= index) {
            self.recent.pop_front();
        }
    }

    fn incarnation(&self) -> u64 {
        self.incarnation
    }
}

impl Storage for EngineLog {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let conf_state = ConfState { voters: vec![self.voter], ..ConfState::default() };
        Ok(RaftState { hard_state: self.hard_state.clone(), conf_state })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let max_size = max_size.into();
        let mut entries = Vec::new();
        let recent_from = self.recent_from();
        if low < recent_from {
            let to = high.min(recent_from);
            let bytes_max = max_size.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
            self.engine
                .fetch_entries_to::<Codec>(GROUP, low, to, bytes_max, &mut entries)
                .map_err(read_error)?;
            if (entries.len() as u64) < to - low {
                return Ok(entries);
            }
        }
        let (from, to) = (low.max(recent_from), high.max(recent_from));
        let range = (from - recent_from) as usize..(to - recent_from) as usize;
        entries.extend(self.recent.range(range).cloned());
        raft::util::limit_size(&mut entries, max_size);
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.last.0 {
            return Ok(self.last.1);
        }
        if index == 0 {
            return Ok(0);
        }
        let recent_from = self.recent_from();
        if index >= recent_from {
            let entry = self.recent.get((index - recent_from) as usize);
            return entry.map(|entry| entry.term).ok_or(StorageError::Unavailable.into());
        }
        let entry = self.engine.get_entry::<Codec>(GROUP, index).map_err(read_error)?;
        entry.map(|entry| entry.term).ok_or(StorageError::Unavailable.into())
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.engine.first_index(GROUP).unwrap_or(1))
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last.0)
    }

    fn snapshot(&self, _request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        Err(StorageError::SnapshotTemporarilyUnavailable.into())
    }
}

fn read_error(error: raft_engine::Error) -> raft::Error {
    raft::Error::Store(StorageError::Other(Box::new(error)))
}
