//! What may go wrong with a disk, and when.

use crate::clock::Clock;
use crate::units::Nanos;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How long a slow sync takes.
const SLOW: Nanos = Nanos::from_millis(3);
/// How often a full disk says so before there is room again.
const FULL_TIMES: u64 = 3;

/// What a disk is asked to do, as far as it may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Create,
    Write,
    Allocate,
    Sync,
    SyncFolder,
    Rename,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mishap {
    /// One sync of a file fails.
    SyncFailsOnce,
    /// From one on, every sync of a file fails.
    SyncFails,
    /// One write fails half-way.
    WriteFailsOnce,
    /// From one on, every write fails half-way.
    WriteFails,
    /// The disk is full for a while: files cannot grow.
    FullForAWhile,
    /// The disk is full from then on.
    Full,
    /// A file does not get its new name.
    RenameFails,
    /// The names in a folder cannot be made safe.
    FolderSyncFails,
    /// Every sync takes milliseconds.
    SlowSyncs,
}

impl Mishap {
    /// All of them.
    pub const ALL: [Mishap; 9] = [
        Mishap::SyncFailsOnce,
        Mishap::SyncFails,
        Mishap::WriteFailsOnce,
        Mishap::WriteFails,
        Mishap::FullForAWhile,
        Mishap::Full,
        Mishap::RenameFails,
        Mishap::FolderSyncFails,
        Mishap::SlowSyncs,
    ];

    /// Its name, as in records.
    pub fn name(self) -> &'static str {
        match self {
            Mishap::SyncFailsOnce => "sync-fails-once",
            Mishap::SyncFails => "sync-fails",
            Mishap::WriteFailsOnce => "write-fails-once",
            Mishap::WriteFails => "write-fails",
            Mishap::FullForAWhile => "full-for-a-while",
            Mishap::Full => "full",
            Mishap::RenameFails => "rename-fails",
            Mishap::FolderSyncFails => "folder-sync-fails",
            Mishap::SlowSyncs => "slow-syncs",
        }
    }

    fn concerns(self, asked: Asked) -> bool {
        match self {
            Mishap::SyncFailsOnce | Mishap::SyncFails | Mishap::SlowSyncs => asked == Asked::Sync,
            Mishap::WriteFailsOnce | Mishap::WriteFails => asked == Asked::Write,
            Mishap::FullForAWhile | Mishap::Full => {
                matches!(asked, Asked::Create | Asked::Write | Asked::Allocate)
            }
            Mishap::RenameFails => asked == Asked::Rename,
            Mishap::FolderSyncFails => asked == Asked::SyncFolder,
        }
    }

    /// How often it happens.
    fn times(self) -> u64 {
        match self {
            Mishap::SyncFailsOnce | Mishap::WriteFailsOnce => 1,
            Mishap::RenameFails | Mishap::FolderSyncFails => 1,
            Mishap::FullForAWhile => FULL_TIMES,
            Mishap::SyncFails | Mishap::WriteFails | Mishap::Full | Mishap::SlowSyncs => u64::MAX,
        }
    }

    fn error(self) -> io::Error {
        match self {
            // The words by which the log's library knows it.
            Mishap::FullForAWhile | Mishap::Full => {
                io::Error::new(io::ErrorKind::StorageFull, "nospace")
            }
            _ => io::Error::other("the disk had its mishap"),
        }
    }
}

/// A mishap on its way.
pub(super) struct Trouble {
    mishap: Option<Mishap>,
    /// Requests to the disk that it concerns, before it happens.
    after: u64,
    met: AtomicU64,
    happened: AtomicBool,
    clock: Clock,
}

impl Trouble {
    /// Nothing goes wrong.
    pub(super) fn none(clock: Clock) -> Trouble {
        let (met, happened) = (AtomicU64::new(0), AtomicBool::new(false));
        Trouble { mishap: None, after: 0, met, happened, clock }
    }

    /// `mishap` happens when the disk has been asked so often for what it concerns.
    pub(super) fn of(mishap: Mishap, after: u64, clock: Clock) -> Trouble {
        Trouble { mishap: Some(mishap), after, ..Trouble::none(clock) }
    }

    /// Whether it happened.
    pub(super) fn happened(&self) -> bool {
        // Relaxed: asked once everything is over.
        self.happened.load(Ordering::Relaxed)
    }

    /// Lets what was asked for go wrong if it is its turn.
    pub(super) fn meet(&self, asked: Asked) -> io::Result<()> {
        let Some(mishap) = self.mishap.filter(|mishap| mishap.concerns(asked)) else {
            return Ok(());
        };
        // Relaxed: a count, which orders nothing.
        let met = self.met.fetch_add(1, Ordering::Relaxed);
        if met < self.after || met - self.after >= mishap.times() {
            return Ok(());
        }
        self.happened.store(true, Ordering::Relaxed);
        if mishap == Mishap::SlowSyncs {
            self.clock.sleep(SLOW);
            return Ok(());
        }
        Err(mishap.error())
    }
}
