//! The disk under a member that is watched: it does what it is asked to and writes down in which order, until it has its mishap.

use super::journal::{FileId, Journal};
use super::mishap::{Asked, Trouble};
use crate::raft::{Disk, DiskFile, HostDisk};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The disk.
pub(super) struct WatchedDisk {
    pub(super) journal: Arc<Journal>,
    pub(super) trouble: Arc<Trouble>,
}

struct WatchedFile {
    file: FileId,
    inner: Arc<dyn DiskFile>,
    journal: Arc<Journal>,
    trouble: Arc<Trouble>,
}

impl WatchedDisk {
    fn watched(&self, inner: Arc<dyn DiskFile>, file: FileId) -> Arc<dyn DiskFile> {
        let (journal, trouble) = (self.journal.clone(), self.trouble.clone());
        Arc::new(WatchedFile { file, inner, journal, trouble })
    }
}

impl Disk for WatchedDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.trouble.meet(Asked::Create)?;
        let mut journal = self.journal.hold();
        let inner = HostDisk.create(path)?;
        let file = journal.made(path);
        Ok(self.watched(inner, file))
    }

    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        let inner = HostDisk.open(path, writable)?;
        let file = self.journal.hold().file(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.watched(inner, file))
    }

    fn delete(&self, path: &Path) -> io::Result<()> {
        let mut journal = self.journal.hold();
        HostDisk.delete(path)?;
        journal.deleted(path);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.trouble.meet(Asked::Rename)?;
        let mut journal = self.journal.hold();
        HostDisk.rename(from, to)?;
        journal.renamed(from, to);
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.trouble.meet(Asked::SyncFolder)?;
        let mut journal = self.journal.hold();
        HostDisk.sync_folder(folder)?;
        journal.folder_synced(folder);
        Ok(())
    }
}

impl DiskFile for WatchedFile {
    fn read_at(&self, offset: usize, into: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, into)
    }

    fn write_at(&self, offset: usize, bytes: &[u8]) -> io::Result<usize> {
        let refused = self.trouble.meet(Asked::Write).err();
        // A disk that is full, or fails, may have taken a part.
        let taken = if refused.is_some() { &bytes[..bytes.len() / 2] } else { bytes };
        let mut journal = self.journal.hold();
        let written = self.inner.write_at(offset, taken)?;
        journal.written(self.file, offset, &taken[..written]);
        refused.map_or(Ok(written), Err)
    }

    fn truncate(&self, size: usize) -> io::Result<()> {
        let mut journal = self.journal.hold();
        self.inner.truncate(size)?;
        journal.truncated(self.file, size);
        Ok(())
    }

    fn allocate(&self, offset: usize, size: usize) -> io::Result<()> {
        self.trouble.meet(Asked::Allocate)?;
        let mut journal = self.journal.hold();
        self.inner.allocate(offset, size)?;
        journal.allocated(self.file, offset + size);
        Ok(())
    }

    fn size(&self) -> io::Result<usize> {
        self.inner.size()
    }

    fn sync(&self) -> io::Result<()> {
        let outcome = self.trouble.meet(Asked::Sync);
        let mut journal = self.journal.hold();
        match outcome.and_then(|()| self.inner.sync()) {
            Ok(()) => journal.synced(self.file),
            Err(error) => {
                journal.sync_failed(self.file);
                return Err(error);
            }
        }
        Ok(())
    }
}
