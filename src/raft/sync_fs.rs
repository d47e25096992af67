//! The log's file system: a disk, with every sync counted, timed, and done as the `fsync` lever says.
//! All arms write through it, so all pay the same for being watched.

use super::Fsync;
use super::disk::{Cursor, Disk, DiskFile};
use crate::clock::Clock;
use crate::failpoint;
use crate::measure::pipeline::PipelineMeter;
use raft_engine::env::{FileSystem, Handle, Permission, WriteExt};
use std::io::Result;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a sync does and where it is counted.
#[derive(Clone)]
pub(super) struct SyncFs {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) fsync: Fsync,
    pub(super) clock: Clock,
    pub(super) meter: Arc<PipelineMeter>,
    /// Nobody is told any more whether a sync failed.
    pub(super) closing: Arc<AtomicBool>,
}

/// A file of the log.
pub(super) struct SyncHandle {
    file: Arc<dyn DiskFile>,
    rules: SyncFs,
}

impl SyncFs {
    fn handle(&self, file: Arc<dyn DiskFile>) -> SyncHandle {
        SyncHandle { file, rules: self.clone() }
    }
}

impl Handle for SyncHandle {
    fn truncate(&self, offset: usize) -> Result<()> {
        self.file.truncate(offset)
    }

    fn file_size(&self) -> Result<usize> {
        self.file.size()
    }

    fn sync(&self) -> Result<()> {
        failpoint::may_fail("log::sync")?;
        let began = self.rules.clock.now();
        let outcome = match self.rules.fsync {
            Fsync::Real => self.file.sync(),
            Fsync::Off => Ok(()),
            Fsync::Delay(span) => {
                self.rules.clock.sleep(span);
                Ok(())
            }
        };
        if let Err(error) = outcome
            && !self.rules.closing.load(Ordering::Relaxed)
        {
            return Err(error);
        }
        self.rules.meter.fsync(self.rules.clock.now().since(began).0);
        Ok(())
    }
}

impl WriteExt for Cursor {
    fn truncate(&mut self, offset: usize) -> Result<()> {
        Cursor::truncate(self, offset)
    }

    fn allocate(&mut self, offset: usize, size: usize) -> Result<()> {
        Cursor::allocate(self, offset, size)
    }
}

impl FileSystem for SyncFs {
    type Handle = SyncHandle;
    type Reader = Cursor;
    type Writer = Cursor;

    fn create<P: AsRef<Path>>(&self, path: P) -> Result<SyncHandle> {
        Ok(self.handle(self.disk.create(path.as_ref())?))
    }

    fn open<P: AsRef<Path>>(&self, path: P, permission: Permission) -> Result<SyncHandle> {
        let writable = permission == Permission::ReadWrite;
        Ok(self.handle(self.disk.open(path.as_ref(), writable)?))
    }

    fn delete<P: AsRef<Path>>(&self, path: P) -> Result<()> {
        self.disk.delete(path.as_ref())
    }

    fn rename<P: AsRef<Path>>(&self, from: P, to: P) -> Result<()> {
        self.disk.rename(from.as_ref(), to.as_ref())
    }

    fn new_reader(&self, handle: Arc<SyncHandle>) -> Result<Cursor> {
        Ok(Cursor::new(handle.file.clone()))
    }

    fn new_writer(&self, handle: Arc<SyncHandle>) -> Result<Cursor> {
        Ok(Cursor::new(handle.file.clone()))
    }
}
