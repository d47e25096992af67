//! What the log and the images are written to. Which disk it is, is chosen where a member is started: servers and runs have the
//! host's, `verify` has disks that write down what they were asked to do, or fail at it.
//!
//! Caveats: the log's library lists folders, makes its own, and syncs it after it has begun another file, without asking; images are read
//! without asking. What is asked for here is done to real files, so that both find it.

use crate::units::ByteSize;
use raft_engine::env::{DefaultFileSystem, FileSystem, Handle, Permission};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// What a member's files lie on.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file for reading and writing. It is made if it is not there; if it is, what is in it stays.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file that is there.
    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file.
    fn delete(&self, path: &Path) -> io::Result<()>;

    /// Gives a file another name; what had that name is gone.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// When this returns, a crash of the host changes nothing any more about which files are in `folder`.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// An open file. Offsets and sizes are in bytes.
pub trait DiskFile: Send + Sync {
    /// Reads until `into` is full or the file ends; how many bytes.
    fn read_at(&self, offset: usize, into: &mut [u8]) -> io::Result<usize>;

    /// Writes some of `bytes`, all unless the disk is full; how many.
    fn write_at(&self, offset: usize, bytes: &[u8]) -> io::Result<usize>;

    /// Makes the file this long.
    fn truncate(&self, size: usize) -> io::Result<()>;

    /// Reserves room; the file is at least so long then, zeros at its end.
    fn allocate(&self, offset: usize, size: usize) -> io::Result<()>;

    /// How long it is.
    fn size(&self) -> io::Result<usize>;

    /// When this returns, a crash of the host changes nothing any more about what was written.
    fn sync(&self) -> io::Result<()>;
}

/// The disk of a member, and in what pieces its log lies on it.
#[derive(Clone)]
pub struct Medium {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// Another file of the log is begun after so many bytes.
    pub log_file: ByteSize,
    /// What was cut off is given back once the files of the log have so many bytes; at least one file.
    pub log_files: ByteSize,
    /// Threads that read the log at a start.
    pub readers: usize,
}

impl Default for Medium {
    /// The host's disk, and the pieces and readers that are the default of the log's library.
    fn default() -> Medium {
        let (log_file, log_files) = (ByteSize(128 << 20), ByteSize(10 << 30));
        Medium { disk: Arc::new(HostDisk), log_file, log_files, readers: 4 }
    }
}

/// The host's disk.
#[derive(Clone, Copy, Debug)]
pub struct HostDisk;

/// A file as the log's library opens it.
struct HostFile(<DefaultFileSystem as FileSystem>::Handle);

impl Disk for HostDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(HostFile(DefaultFileSystem.create(path)?)))
    }

    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        let permission = if writable { Permission::ReadWrite } else { Permission::ReadOnly };
        Ok(Arc::new(HostFile(DefaultFileSystem.open(path, permission)?)))
    }

    fn delete(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

impl DiskFile for HostFile {
    fn read_at(&self, offset: usize, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(offset, into)
    }

    fn write_at(&self, offset: usize, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(offset, bytes)
    }

    fn truncate(&self, size: usize) -> io::Result<()> {
        self.0.truncate(size)
    }

    fn allocate(&self, offset: usize, size: usize) -> io::Result<()> {
        self.0.allocate(offset, size)
    }

    fn size(&self) -> io::Result<usize> {
        self.0.file_size()
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

/// A place in a file, from which reading and writing go on.
pub(super) struct Cursor {
    file: Arc<dyn DiskFile>,
    offset: usize,
}

impl Cursor {
    /// At the beginning.
    pub(super) fn new(file: Arc<dyn DiskFile>) -> Cursor {
        Cursor { file, offset: 0 }
    }

    /// The file is this long from now on.
    pub(super) fn truncate(&mut self, size: usize) -> io::Result<()> {
        self.file.truncate(size)?;
        self.offset = size;
        Ok(())
    }

    /// Reserves room.
    pub(super) fn allocate(&self, offset: usize, size: usize) -> io::Result<()> {
        self.file.allocate(offset, size)
    }
}

impl io::Read for Cursor {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(self.offset, into)?;
        self.offset += read;
        Ok(read)
    }
}

impl Write for Cursor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write_at(self.offset, bytes)?;
        self.offset += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Seek for Cursor {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            io::SeekFrom::Start(offset) => (0, i64::try_from(offset)),
            io::SeekFrom::Current(by) => (self.offset, Ok(by)),
            io::SeekFrom::End(by) => (self.file.size()?, Ok(by)),
        };
        let by = by.ok().and_then(|by| isize::try_from(by).ok());
        let offset = by.and_then(|by| from.checked_add_signed(by));
        self.offset = offset.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.offset as u64)
    }
}
