//! The log's file system: the engine's own, with every sync counted, timed, and done as the `fsync` lever says.
//! All arms write through it, so all pay the same for being watched.

use super::Fsync;
use crate::clock::Clock;
use crate::failpoint;
use crate::measure::pipeline::PipelineMeter;
use raft_engine::env::{DefaultFileSystem, FileSystem, Handle, Permission};
use std::io::Result;
use std::path::Path;
use std::sync::Arc;

/// What a sync does and where it is counted.
#[derive(Clone)]
pub(super) struct SyncFs {
    pub(super) fsync: Fsync,
    pub(super) clock: Clock,
    pub(super) meter: Arc<PipelineMeter>,
}

/// A file of the log.
pub(super) struct SyncHandle {
    file: Arc<<DefaultFileSystem as FileSystem>::Handle>,
    rules: SyncFs,
}

impl SyncFs {
    fn handle(&self, file: <DefaultFileSystem as FileSystem>::Handle) -> SyncHandle {
        SyncHandle { file: Arc::new(file), rules: self.clone() }
    }
}

impl Handle for SyncHandle {
    fn truncate(&self, offset: usize) -> Result<()> {
        self.file.truncate(offset)
    }

    fn file_size(&self) -> Result<usize> {
        self.file.file_size()
    }

    fn sync(&self) -> Result<()> {
        failpoint::may_fail("log::sync")?;
        let began = self.rules.clock.now();
        match self.rules.fsync {
            Fsync::Real => self.file.sync()?,
            Fsync::Off => {}
            Fsync::Delay(span) => self.rules.clock.sleep(span),
        }
        self.rules.meter.fsync(self.rules.clock.now().since(began).0);
        Ok(())
    }
}

impl FileSystem for SyncFs {
    type Handle = SyncHandle;
    type Reader = <DefaultFileSystem as FileSystem>::Reader;
    type Writer = <DefaultFileSystem as FileSystem>::Writer;

    fn create<P: AsRef<Path>>(&self, path: P) -> Result<SyncHandle> {
        Ok(self.handle(DefaultFileSystem.create(path)?))
    }

    fn open<P: AsRef<Path>>(&self, path: P, permission: Permission) -> Result<SyncHandle> {
        Ok(self.handle(DefaultFileSystem.open(path, permission)?))
    }

    fn delete<P: AsRef<Path>>(&self, path: P) -> Result<()> {
        DefaultFileSystem.delete(path)
    }

    fn rename<P: AsRef<Path>>(&self, from: P, to: P) -> Result<()> {
        DefaultFileSystem.rename(from, to)
    }

    fn new_reader(&self, handle: Arc<SyncHandle>) -> Result<Self::Reader> {
        DefaultFileSystem.new_reader(handle.file.clone())
    }

    fn new_writer(&self, handle: Arc<SyncHandle>) -> Result<Self::Writer> {
        DefaultFileSystem.new_writer(handle.file.clone())
    }
}
