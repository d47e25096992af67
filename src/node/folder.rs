//! The data folder: marked as ours, locked while in use, never taken over from somebody else.

use crate::{failpoint, raft, store};
use fs2::FileExt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Name and first line of the file that marks a data folder; the number is the layout's version.
const MARKER: &str = "KVBENCH-DATA";
const LAYOUT: &str = "kvbench data folder, layout 1\n";

/// Folders that may hold the state, and the file that names the one that does.
const STATES: [&str; 2] = ["state", "state-2"];
const CURRENT: &str = "CURRENT-STATE";
/// The file that names cluster and member.
const IDENTITY: &str = "IDENTITY";

/// A data folder in use by this process.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Holds the lock until dropped.
    marker: File,
}

/// Why a folder cannot be a data folder.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be read or written.
    #[error("data folder {path}: {source}")]
    Io {
        /// Which folder.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// Something else lives there.
    #[error(
        "data folder {0} is not empty and has no {MARKER} file: it is not ours, and stays as it is"
    )]
    Foreign(PathBuf),
    /// Another layout.
    #[error("data folder {0} has another layout than this version reads")]
    OtherLayout(PathBuf),
    /// Another process runs on it.
    #[error("data folder {0} is in use by another node")]
    InUse(PathBuf),
}

impl DataFolder {
    /// Opens the folder, or makes it if it is absent or empty. Others have no business in it: its mode is 0700 from then on, whatever it was.
    pub fn open(path: &Path) -> Result<DataFolder, FolderError> {
        let io = |source| FolderError::Io { path: path.to_path_buf(), source };
        failpoint::may_fail("node::folder").map_err(io)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        let marker_path = path.join(MARKER);
        let is_empty = fs::read_dir(path).map_err(io)?.next().is_none();
        if !is_empty && !marker_path.exists() {
            return Err(FolderError::Foreign(path.to_path_buf()));
        }
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(io)?;
        let mut marker = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&marker_path)
            .map_err(io)?;
        if marker.try_lock_exclusive().is_err() {
            return Err(FolderError::InUse(path.to_path_buf()));
        }
        failpoint::may_fail("node::locked").map_err(io)?;
        check_layout(&mut marker, path)?;
        Ok(DataFolder { path: path.to_path_buf(), marker })
    }

    /// Where an engine keeps its state.
    pub fn state(&self) -> PathBuf {
        self.path.join(self.current_state())
    }

    /// Where a state that begins with an image is made; what was there is removed. It is the node's state once it is adopted.
    pub fn next_state(&self) -> io::Result<PathBuf> {
        let current = self.current_state();
        let next = if current == STATES[0] { STATES[1] } else { STATES[0] };
        let path = self.path.join(next);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(path),
        }
    }

    /// Makes what lies in [`DataFolder::next_state`] the node's state, for good when this returns.
    pub fn adopt_next_state(&self) -> io::Result<()> {
        let current = self.current_state();
        let next = if current == STATES[0] { STATES[1] } else { STATES[0] };
        let unfinished = self.path.join(format!("{CURRENT}.part"));
        let mut file = File::create(&unfinished)?;
        file.write_all(next.as_bytes())?;
        file.sync_all()?;
        failpoint::may_fail("node::adopt-state")?;
        fs::rename(&unfinished, self.path.join(CURRENT))?;
        File::open(&self.path)?.sync_all()?;
        failpoint::may_fail("node::state-adopted")
    }

    /// The name of the folder that holds the state: the first unless another was adopted.
    fn current_state(&self) -> &'static str {
        let adopted = fs::read_to_string(self.path.join(CURRENT)).unwrap_or_default();
        STATES.into_iter().find(|name| *name == adopted).unwrap_or(STATES[0])
    }

    /// The numbers of the cluster and of the member that this folder belongs to, if it was ever said.
    pub fn identity(&self) -> Result<Option<(u64, u64)>, FolderError> {
        let path = self.path.join(IDENTITY);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(FolderError::Io { path, source }),
        };
        let number = |word: &str| u64::from_str_radix(word, 16).ok();
        let numbers = text.trim().split_once(' ').map(|(a, b)| (number(a), number(b)));
        match numbers {
            Some((Some(cluster), Some(member))) => Ok(Some((cluster, member))),
            _ => Err(FolderError::OtherLayout(path)),
        }
    }

    /// Says for good whose folder this is.
    pub fn keep_identity(&self, cluster: u64, member: u64) -> Result<(), FolderError> {
        let path = self.path.join(IDENTITY);
        let unfinished = self.path.join(format!("{IDENTITY}.part"));
        let write = || {
            let mut file = File::create(&unfinished)?;
            writeln!(file, "{cluster:016x} {member:016x}")?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|source| FolderError::Io { path: path.clone(), source })
    }

    /// Lets a member that has no state yet begin with the image `from`; says whether it had none.
    pub fn plant(&self, from: &Path) -> Result<bool, FolderError> {
        let io = |source| FolderError::Io { path: from.to_path_buf(), source };
        // Images that were begun count for nothing: an attempt that was cut short may be made again.
        let has_image =
            self.images().exists() && raft::newest_image(&self.images()).map_err(io)?.is_some();
        if self.log().exists() || has_image {
            return Ok(false);
        }
        let mut file = File::open(from).map_err(io)?;
        let position = store::position_of_image(&mut file)
            .map_err(|error| io(io::Error::other(error.to_string())))?;
        raft::plant_image(&self.images(), from, position.index.max(1)).map_err(io)?;
        Ok(true)
    }

    /// Where images of the state are.
    pub fn images(&self) -> PathBuf {
        self.path.join("images")
    }

    /// Where the raft log lives.
    pub fn log(&self) -> PathBuf {
        self.path.join("raft")
    }
}

impl Drop for DataFolder {
    /// Closing alone would leave the lock to whatever process another thread is just starting: until its exec, a
    /// child shares the open file.
    fn drop(&mut self) {
        // A lock that cannot be given back goes with the file.
        let _ = FileExt::unlock(&self.marker);
    }
}

/// Writes the layout into a new marker, or refuses another one.
fn check_layout(marker: &mut File, path: &Path) -> Result<(), FolderError> {
    let io = |source| FolderError::Io { path: path.to_path_buf(), source };
    let mut layout = String::new();
    marker.read_to_string(&mut layout).map_err(io)?;
    match layout.as_str() {
        LAYOUT => Ok(()),
        "" => marker.write_all(LAYOUT.as_bytes()).and_then(|()| marker.sync_all()).map_err(io),
        _ => Err(FolderError::OtherLayout(path.to_path_buf())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_while_open_and_free_after() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("node");
        let open = DataFolder::open(&path).unwrap();
        assert!(matches!(DataFolder::open(&path), Err(FolderError::InUse(_))));
        drop(open);
        DataFolder::open(&path).unwrap();
    }

    #[test]
    fn nobody_else_may_look_into_it() {
        let root = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let new = root.path().join("new");
        drop(DataFolder::open(&new).unwrap());
        assert_eq!(mode(&new), 0o700);
        // Made by an installer, or opened to others since.
        let empty = root.path().join("empty");
        fs::create_dir(&empty).unwrap();
        for path in [&empty, &new] {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
            drop(DataFolder::open(path).unwrap());
            assert_eq!(mode(path), 0o700, "{}", path.display());
        }
        // What is not ours stays as it is.
        let foreign = root.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("thesis.tex"), "dear").unwrap();
        fs::set_permissions(&foreign, Permissions::from_mode(0o755)).unwrap();
        assert!(DataFolder::open(&foreign).is_err());
        assert_eq!(mode(&foreign), 0o755);
    }

    #[test]
    fn a_state_counts_once_it_is_adopted() {
        let root = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(&root.path().join("node")).unwrap();
        let first = folder.state();
        for _ in 0..3 {
            let next = folder.next_state().unwrap();
            fs::create_dir(&next).unwrap();
            assert_ne!(folder.state(), next);
            folder.adopt_next_state().unwrap();
            assert_eq!(folder.state(), next);
            assert_ne!(folder.next_state().unwrap(), next);
        }
        assert_ne!(folder.state(), first);
    }

    #[test]
    fn a_folder_knows_whose_it_is() {
        let root = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(&root.path().join("node")).unwrap();
        assert_eq!(folder.identity().unwrap(), None);
        folder.keep_identity(7, u64::MAX).unwrap();
        assert_eq!(folder.identity().unwrap(), Some((7, u64::MAX)));
        fs::write(root.path().join("node").join(IDENTITY), "nonsense").unwrap();
        assert!(folder.identity().is_err());
    }

    #[test]
    fn foreign_and_newer_folders_stay_as_they_are() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("thesis.tex"), "dear").unwrap();
        assert!(matches!(DataFolder::open(root.path()), Err(FolderError::Foreign(_))));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        fs::write(root.path().join(MARKER), "kvbench data folder, layout 9\n").unwrap();
        assert!(matches!(DataFolder::open(root.path()), Err(FolderError::OtherLayout(_))));
    }
}
