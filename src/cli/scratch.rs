//! The folder that the data of trials lies in while a command measures. It vanishes with the command; what one that was killed left is
//! removed by the next one in the same place.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What the names of these folders begin with.
const PREFIX: &str = ".running-";
/// The file in one of them that is locked while its command lives.
const LOCK: &str = "LOCK";

/// Such a folder, in use.
pub(super) struct Scratch {
    folder: TempDir,
    /// Given back by the system, however the process ends.
    _lock: File,
}

impl Scratch {
    /// A new one in `data`, which is there.
    pub(super) fn new_in(data: &Path) -> io::Result<Scratch> {
        sweep(data);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(data)?;
        // Under another name until it is locked: nobody may take it for one that was left.
        let unlocked = folder.path().join("LOCK.new");
        let lock = File::create(&unlocked)?;
        lock.lock()?;
        fs::rename(&unlocked, folder.path().join(LOCK))?;
        Ok(Scratch { folder, _lock: lock })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes folders whose commands live no more. Whatever cannot be removed is somebody else's concern.
fn sweep(data: &Path) {
    let Ok(entries) = fs::read_dir(data) else { return };
    let paths = entries.flatten().map(|entry| entry.path());
    for folder in paths.filter(|path| was_left(path)) {
        let _ = fs::remove_dir_all(folder);
    }
}

/// Whether a command made it and did not live to remove it.
fn was_left(folder: &Path) -> bool {
    let is_named =
        folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    let is = |path: &PathBuf, wanted: fn(&fs::Metadata) -> bool| {
        fs::symlink_metadata(path).is_ok_and(|metadata| wanted(&metadata))
    };
    let lock = folder.join(LOCK);
    let is_one = is_named
        && is(&folder.to_path_buf(), fs::Metadata::is_dir)
        && is(&lock, fs::Metadata::is_file);
    // One that cannot be opened is not ours to remove; the lock taken here goes with the file.
    is_one
        && File::open(&lock)
            .is_ok_and(|lock| !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_goes_and_what_is_used_stays() {
        let data = tempfile::tempdir().unwrap();
        let left = data.path().join(".running-left");
        fs::create_dir_all(left.join("trial-1")).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        let foreign = data.path().join(".running-foreign");
        fs::create_dir(&foreign).unwrap();
        let (elsewhere, link) = (tempfile::tempdir().unwrap(), data.path().join(".running-link"));
        fs::write(elsewhere.path().join(LOCK), "").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
        let first = Scratch::new_in(data.path()).unwrap();
        let second = Scratch::new_in(data.path()).unwrap();
        assert!(!left.exists());
        assert!(first.path().exists() && second.path().exists() && foreign.exists());
        assert!(link.exists() && elsewhere.path().join(LOCK).exists());
        let path = first.path().to_path_buf();
        drop(first);
        assert!(!path.exists());
    }
}
