//! Images of the state on disk: what a restart begins with instead of the whole log, and what a member gets that needs entries which
//! the log no longer has. A file gets its name when it is complete and synced; only the newest is kept.

use super::disk::{Disk, HostDisk};
use crate::failpoint;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of images.
pub(super) struct Images {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    newest: Option<Image>,
}

/// The state after the entry at `index`, which has `term`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) index: u64,
    pub(super) term: u64,
    pub(super) path: PathBuf,
}

const END: &str = "image";
const PLANTED_TERM: u64 = 1;
/// End of the names of files that are being written or received.
const UNFINISHED: &str = "part";

impl Images {
    /// Makes the folder if it is absent, for good, and removes what was left unfinished or is outdated.
    pub(super) fn open(folder: &Path, disk: Arc<dyn Disk>) -> io::Result<Images> {
        failpoint::may_fail("image::open-folder")?;
        fs::create_dir_all(folder)?;
        if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            disk.sync_folder(parent)?;
        }
        let mut images = Images { folder: folder.to_owned(), disk, newest: None };
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match numbers(&path) {
                Some((index, term)) => images.adopt(Image { index, term, path })?,
                None if has_end(&path, UNFINISHED) => images.disk.delete(&path)?,
                None => {}
            }
        }
        Ok(images)
    }

    pub(super) fn newest(&self) -> Option<&Image> {
        self.newest.as_ref()
    }

    /// Where the image at `index` is written until it is complete.
    pub(super) fn unfinished(&self, index: u64) -> PathBuf {
        self.folder.join(format!("{index:016x}.{UNFINISHED}"))
    }

    /// Names a file that is complete and synced; older images are removed.
    pub(super) fn finish(&mut self, unfinished: &Path, index: u64, term: u64) -> io::Result<()> {
        let path = self.folder.join(format!("{index:016x}-{term:016x}.{END}"));
        failpoint::may_fail("image::before-rename")?;
        self.disk.rename(unfinished, &path)?;
        failpoint::may_fail("image::after-rename")?;
        self.disk.sync_folder(&self.folder)?;
        failpoint::may_fail("image::after-folder-sync")?;
        self.adopt(Image { index, term, path })
    }

    /// Removes a file that will not be finished. Left behind, the next start removes it.
    pub(super) fn discard(&self, unfinished: &Path) {
        let _ = self.disk.delete(unfinished);
    }

    fn adopt(&mut self, image: Image) -> io::Result<()> {
        let newer = self.newest.as_ref().is_none_or(|newest| image.index >= newest.index);
        let outdated = match newer {
            true => self.newest.replace(image.clone()),
            false => Some(image.clone()),
        };
        match outdated {
            Some(outdated) if outdated.path != image.path || !newer => {
                self.disk.delete(&outdated.path)
            }
            _ => Ok(()),
        }
    }
}

fn has_end(path: &Path, end: &str) -> bool {
    path.extension().is_some_and(|found| found == end)
}

/// The newest image in `folder` with its index, if there is one.
pub fn newest_image(folder: &Path) -> io::Result<Option<(u64, PathBuf)>> {
    let mut newest = None;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let Some((index, _)) = numbers(&path) {
            newest = newest.max(Some((index, path)));
        }
    }
    Ok(newest)
}

/// Puts a copy of the image `from`, of the state after `index`, where a member that has no log begins with it.
pub fn plant_image(folder: &Path, from: &Path, index: u64) -> io::Result<()> {
    let mut images = Images::open(folder, Arc::new(HostDisk))?;
    let unfinished = images.unfinished(index);
    fs::copy(from, &unfinished)?;
    failpoint::may_fail("image::plant")?;
    File::open(&unfinished)?.sync_all()?;
    // Of a term before all others: nobody has voted yet.
    images.finish(&unfinished, index, PLANTED_TERM)
}

/// Index and term of an image by its name.
fn numbers(path: &Path) -> Option<(u64, u64)> {
    let (index, term) = path.file_stem()?.to_str()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    has_end(path, END).then_some((number(index)?, number(term)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_complete_image_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut images = Images::open(folder.path(), Arc::new(HostDisk)).unwrap();
        for (index, term) in [(5, 1), (9, 2)] {
            let path = images.unfinished(index);
            fs::write(&path, [index as u8]).unwrap();
            images.finish(&path, index, term).unwrap();
        }
        fs::write(images.unfinished(12), b"half").unwrap();
        fs::write(folder.path().join(format!("{:016x}-{:016x}.image", 3, 1)), b"old").unwrap();
        let images = Images::open(folder.path(), Arc::new(HostDisk)).unwrap();
        let newest = images.newest().unwrap();
        assert_eq!((newest.index, newest.term), (9, 2));
        assert_eq!(fs::read(&newest.path).unwrap(), [9]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
