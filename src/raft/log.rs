//! The durable log: TiKV's raft-engine behind the few calls the Ready loop needs, with the entries that are not
//! yet applied kept in memory, so that committing does not read the disk.

use super::Fsync;
use super::damage;
use super::disk::Medium;
use super::extent::{Cut, Extent};
use super::images::Image;
use super::members::Members;
use super::sync_fs::SyncFs;
use crate::clock::Clock;
use crate::failpoint;
use crate::measure::pipeline::PipelineMeter;
use crate::units::Nanos;
use raft::eraftpb::{Entry, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};
use raft_engine::{Command, Config, Engine, LogBatch, MessageExt, ReadableSize, RecoveryMode};
use std::collections::VecDeque;
use std::io;
use std::ops::Deref;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// The engine serves many groups; this log is the only one in it.
const GROUP: u64 = 1;
const HARD_STATE: &[u8] = b"hard-state";
const INCARNATION: &[u8] = b"incarnation";
const MEMBERS: &[u8] = b"members";
const CUT: &[u8] = b"cut";

/// Entries are checked in pieces of so many bytes.
const CHECKED_BYTES: usize = 4 << 20;
/// A sweep moves an entry at most twice, and another sweep may follow.
const READS_MAX: u32 = 5;
const DAMAGED_HINT: &str = "\n  hint: restore the file, or remove this member from its group and add it anew with an empty folder";

/// What the Ready loop asks of a log, beside reading it as the raft library does.
pub(super) trait LogStore: Storage {
    /// Appends `entries` and the hard state. When it returns and `sync` was asked, both are on disk.
    fn append(&mut self, round: &Round<'_>) -> Result<Written, raft_engine::Error>;

    /// Entries up to `index` are applied and will not be asked for again soon.
    fn applied(&mut self, index: u64);

    /// The group as it is now, on disk when this returns.
    fn put_members(&mut self, members: &Members) -> Result<(), raft_engine::Error>;

    /// The group as it was put last; none in a new log.
    fn members(&self) -> Option<Members>;

    /// An image of the state after the entry at `index` exists: entries before that, but for the last `keep`, may go; and if the log
    /// ends before it or has another entry there, all of it, so that it goes on after `index`. On disk when this returns.
    fn imaged(&mut self, image: &Image, keep: u64) -> Result<(), raft_engine::Error>;

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
    engine: OpenEngine,
    /// Entries appended and not yet applied, contiguous, ending with the last of the log.
    recent: VecDeque<Entry>,
    hard_state: HardState,
    last: (u64, u64),
    batch: LogBatch,
    meter: Arc<PipelineMeter>,
    incarnation: u64,
    /// Index and term of the last entry that the log no longer has; 0 if it has all.
    cut: (u64, u64),
    members: Option<Members>,
    /// The newest image, for members that need entries before the cut.
    image: Option<Image>,
    /// Gives the disk back what was cut off.
    sweeper: Option<JoinHandle<()>>,
}

/// The engine while it is used.
struct OpenEngine {
    engine: Arc<Engine<SyncFs>>,
    closing: Arc<AtomicBool>,
}

impl Deref for OpenEngine {
    type Target = Arc<Engine<SyncFs>>;

    fn deref(&self) -> &Arc<Engine<SyncFs>> {
        &self.engine
    }
}

impl Drop for OpenEngine {
    /// The library syncs its files once more as it closes them, and panics if it cannot. Whoever had to know of a sync that failed knows by
    /// then, and while a thread ends by one panic, another one would abort the process.
    fn drop(&mut self) {
        // Relaxed: the same thread closes the files, once the sweeper is gone.
        self.closing.store(true, Ordering::Relaxed);
    }
}

impl Drop for EngineLog {
    /// The next one to open the log finds it locked while the sweeper uses it.
    fn drop(&mut self) {
        if let Some(sweeper) = self.sweeper.take() {
            // A panic of the thread was printed where it happened.
            let _ = sweeper.join();
        }
    }
}

/// Does what reads a log. The log's library keeps, for each thread, the block that it read last, and knows it by its place within a log: to
/// a thread that has read another log, a block at the same place is the other log's. A panic goes on in the caller.
pub(super) fn on_a_thread_of_its_own<T: Send>(reads: impl FnOnce() -> T + Send) -> io::Result<T> {
    let done = thread::scope(|scope| {
        let thread = thread::Builder::new().name("raft-1".into()).spawn_scoped(scope, reads)?;
        Ok::<_, io::Error>(thread.join())
    })?;
    Ok(done.unwrap_or_else(|panic| resume_unwind(panic)))
}

struct Codec;

impl MessageExt for Codec {
    type Entry = Entry;
    fn index(entry: &Entry) -> u64 {
        entry.index
    }
}

impl EngineLog {
    /// Opens or creates the log in `folder`, and counts this start. A crash of the host does not undo that there is one.
    pub(super) fn open(
        folder: &Path,
        medium: &Medium,
        fsync: Fsync,
        clock: Clock,
        meter: Arc<PipelineMeter>,
    ) -> Result<EngineLog, raft_engine::Error> {
        failpoint::may_fail("log::open")?;
        let config = Config {
            dir: folder.to_string_lossy().into_owned(),
            recovery_mode: RecoveryMode::TolerateTailCorruption,
            // Values are random bytes: compressing them would only cost, and differently per batch size.
            batch_compression_threshold: ReadableSize(0),
            target_file_size: ReadableSize(medium.log_file.0),
            purge_threshold: ReadableSize(medium.log_files.0),
            recovery_threads: medium.readers,
            ..Config::default()
        };
        if let Some(damage) = damage::find(folder)? {
            return Err(raft_engine::Error::Corruption(format!("{damage}{DAMAGED_HINT}")));
        }
        let (disk, closing) = (medium.disk.clone(), Arc::new(AtomicBool::new(false)));
        let rules = SyncFs { disk, fsync, clock, meter: meter.clone(), closing: closing.clone() };
        let engine = Engine::open_with_file_system(config, Arc::new(rules))?;
        let engine = OpenEngine { engine: Arc::new(engine), closing };
        // The library syncs the names of files that it begins later, but not those of its first ones, nor its folder's.
        let folders = [Some(folder), folder.parent()].into_iter().flatten();
        for folder in folders.filter(|folder| !folder.as_os_str().is_empty()) {
            medium.disk.sync_folder(folder)?;
        }
        let mut log = EngineLog {
            hard_state: engine.get_message(GROUP, HARD_STATE)?.unwrap_or_default(),
            incarnation: read_incarnation(&engine) + 1,
            recent: VecDeque::new(),
            last: read_cut(&engine),
            batch: LogBatch::default(),
            cut: read_cut(&engine),
            members: engine.get(GROUP, MEMBERS).and_then(|bytes| Members::from_bytes(&bytes)),
            image: None,
            sweeper: None,
            engine,
            meter,
        };
        on_a_thread_of_its_own(|| log.find_last().and_then(|()| log.check_entries()))??;
        failpoint::may_fail("log::recovered")?;
        log.count_start()?;
        Ok(log)
    }

    fn extent(&self) -> Extent<'_> {
        let (image, members) = (self.image.as_ref(), self.members.as_ref());
        Extent { cut: self.cut, last: self.last.0, image, members }
    }

    fn find_last(&mut self) -> Result<(), raft_engine::Error> {
        let last = self.engine.last_index(GROUP).filter(|last| *last > self.cut.0);
        if let Some(index) = last {
            let entry = self.engine.get_entry::<Codec>(GROUP, index)?;
            self.last = (index, entry.map_or(0, |entry| entry.term));
        }
        Ok(())
    }

    /// Reads every entry once: the raft library takes it for granted that it can, and the engine has only seen where they are.
    pub(super) fn check_entries(&self) -> Result<(), raft_engine::Error> {
        let mut next = self.cut.0 + 1;
        let mut entries = Vec::new();
        while next <= self.last.0 {
            entries.clear();
            let to = self.last.0 + 1;
            let read = self.engine.fetch_entries_to::<Codec>(
                GROUP,
                next,
                to,
                Some(CHECKED_BYTES),
                &mut entries,
            );
            let unreadable = |why: &dyn std::fmt::Display| {
                raft_engine::Error::Corruption(format!(
                    "entries from {next} on cannot be read: {why}{DAMAGED_HINT}"
                ))
            };
            match (read, entries.last()) {
                (Ok(_), Some(last)) => next = last.index + 1,
                (Ok(_), None) => return Err(unreadable(&"they are missing")),
                (Err(error), _) => return Err(unreadable(&error)),
            }
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

fn read_cut(engine: &Engine<SyncFs>) -> (u64, u64) {
    let bytes = engine.get(GROUP, CUT).unwrap_or_default();
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
    bytes.split_at_checked(8).map_or((0, 0), |(index, term)| (number(index), number(term)))
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
        failpoint::may_fail("log::before-write")?;
        let bytes = self.engine.write(&mut self.batch, round.sync)?;
        failpoint::may_fail("log::after-write")?;
        self.meter.log_bytes(bytes as u64);
        self.remember(round.entries);
        Ok(Written { sync: Nanos(self.meter.counts().fsync_ns - before) })
    }

    fn applied(&mut self, index: u64) {
        while self.recent.front().is_some_and(|entry| entry.index <= index) {
            self.recent.pop_front();
        }
    }

    fn put_members(&mut self, members: &Members) -> Result<(), raft_engine::Error> {
        failpoint::may_fail("log::put-members")?;
        self.batch.put(GROUP, MEMBERS.to_vec(), members.to_bytes())?;
        self.engine.write(&mut self.batch, true)?;
        self.members = Some(members.clone());
        Ok(())
    }

    fn members(&self) -> Option<Members> {
        self.members.clone()
    }

    fn imaged(&mut self, image: &Image, keep: u64) -> Result<(), raft_engine::Error> {
        let Cut { at: cut, has_it } =
            self.extent().cut_by(image, keep, |index| self.term(index))?;
        self.image = Some(image.clone());
        if cut == self.cut {
            return Ok(());
        }
        let first_kept = if has_it { cut.0 + 1 } else { self.last.0.max(cut.0) + 1 };
        self.batch.add_command(GROUP, Command::Compact { index: first_kept });
        let numbers = [cut.0.to_le_bytes(), cut.1.to_le_bytes()].concat();
        self.batch.put(GROUP, CUT.to_vec(), numbers)?;
        failpoint::may_fail("log::before-cut")?;
        self.engine.write(&mut self.batch, true)?;
        failpoint::may_fail("log::after-cut")?;
        self.cut = cut;
        self.recent.retain(|entry| entry.index >= first_kept);
        if !has_it {
            self.last = cut;
        }
        self.sweep()
    }

    fn incarnation(&self) -> u64 {
        self.incarnation
    }
}

impl EngineLog {
    /// Gives the disk back what was cut off, beside whatever goes on. Fails if that failed at a sync before: what it was to keep may be
    /// lost, and the next sync would not say so.
    fn sweep(&mut self) -> Result<(), raft_engine::Error> {
        if self.sweeper.as_ref().is_some_and(|sweeper| !sweeper.is_finished()) {
            return Ok(());
        }
        if self.sweeper.take().is_some_and(|sweeper| sweeper.join().is_err()) {
            return Err(raft_engine::Error::Other("the log could not be swept".into()));
        }
        let engine = self.engine.clone();
        let sweep = move || {
            failpoint::pass("log::sweep");
            drop(engine.purge_expired_files());
        };
        // Without a thread it stays for the next time.
        self.sweeper = thread::Builder::new().name("wal-sweep".into()).spawn(sweep).ok();
        Ok(())
    }
}

impl Storage for EngineLog {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(self.extent().initial_state(&self.hard_state))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.cut.0 {
            return Err(StorageError::Compacted.into());
        }
        let max_size = max_size.into();
        let mut entries = Vec::new();
        let recent_from = self.recent_from();
        if low < recent_from {
            let to = high.min(recent_from);
            let bytes_max = max_size.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
            read_beside_sweeps(|| {
                entries.clear();
                self.engine.fetch_entries_to::<Codec>(GROUP, low, to, bytes_max, &mut entries)
            })?;
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
        if index == self.cut.0 {
            return Ok(self.cut.1);
        }
        if index < self.cut.0 {
            return Err(StorageError::Compacted.into());
        }
        let recent_from = self.recent_from();
        if index >= recent_from {
            let entry = self.recent.get((index - recent_from) as usize);
            return entry.map(|entry| entry.term).ok_or(StorageError::Unavailable.into());
        }
        let entry = read_beside_sweeps(|| self.engine.get_entry::<Codec>(GROUP, index))?;
        entry.map(|entry| entry.term).ok_or(StorageError::Unavailable.into())
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.cut.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last.0)
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        self.extent().snapshot(request_index)
    }
}

/// Reads what the library has looked up, and looks it up again if that fails: a sweep may have moved it to another file meanwhile, and deleted
/// the one in which it was.
fn read_beside_sweeps<T>(
    mut read: impl FnMut() -> Result<T, raft_engine::Error>,
) -> raft::Result<T> {
    let mut outcome = read();
    for _ in 1..READS_MAX {
        if outcome.is_ok() {
            break;
        }
        outcome = read();
    }
    outcome.map_err(|error| raft::Error::Store(StorageError::Other(Box::new(error))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sweep_moved_is_looked_up_again_and_what_is_damaged_not_for_ever() {
        let moved = || raft_engine::Error::Corruption("file seqno out of range".into());
        let mut looked = 0;
        let read = read_beside_sweeps(|| {
            looked += 1;
            if looked < READS_MAX { Err(moved()) } else { Ok(7) }
        });
        assert_eq!((read.unwrap(), looked), (7, READS_MAX));
        let mut looked = 0;
        let read = read_beside_sweeps::<()>(|| {
            looked += 1;
            Err(moved())
        });
        assert!(read.is_err());
        assert_eq!(looked, READS_MAX);
    }
}
