//! The data folder: marked as ours, locked while in use, never taken over from somebody else.

use crate::{failpoint, files, raft, store};
use fs2::FileExt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Name and first line of the file that marks a data folder; the number is the layout's version.
const MARKER: &str = "KVBENCH-DATA";
const LAYOUT: &str = "kvbench data folder, layout 1\n";

/// The folder that holds the state, until an image replaces it: then it is `state-2`, `state-3` and so on, and a file names it. No name is used
/// twice in a life of the node, since whoever reads a state that was replaced has its files open.
const STATE: &str = "state";
const CURRENT: &str = "CURRENT-STATE";
/// The file that names cluster and member.
const IDENTITY: &str = "IDENTITY";

/// Most that one of these files has, bytes; they have far less.
const SMALL_BYTES_MAX: u64 = 4096;

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
    #[error(
        "data folder {path}: {source}\n  hint: check space and permissions there, or name another folder"
    )]
    Io {
        /// Which folder.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// What it was to begin with is no image of a state.
    #[error(
        "{path} is no image of the state: {why}\n  hint: name a file that `etcdctl snapshot save` wrote from such a server"
    )]
    NoImage {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Something else lives there.
    #[error(
        "data folder {0} is not empty and has no {MARKER} file: it is not ours, and stays as it is\n  hint: name an empty folder, or one that a node left"
    )]
    Foreign(PathBuf),
    /// Another layout.
    #[error(
        "data folder {0} has another layout than this version reads\n  hint: read it with the kvbench that wrote it, or name another folder"
    )]
    OtherLayout(PathBuf),
    /// Another process runs on it.
    #[error("data folder {0} is in use by another node\n  hint: each node has a folder of its own")]
    InUse(PathBuf),
    /// A file in it says what no node wrote.
    #[error(
        "{0} holds something else than a node wrote there; nothing was changed\n  hint: restore the file, or remove this member from its group and add it anew with an empty folder"
    )]
    Damaged(PathBuf),
}

impl DataFolder {
    /// Opens the folder, or makes it if it is absent or empty. Others have no business in it: its mode is 0700 from then on, whatever it was.
    pub fn open(path: &Path) -> Result<DataFolder, FolderError> {
        let io = |source| FolderError::Io { path: path.to_path_buf(), source };
        failpoint::may_fail("node::folder").map_err(io)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        let marker_path = path.join(MARKER);
        let is_empty = fs::read_dir(path).map_err(io)?.next().is_none();
        // Not a link either: what it leads to would be taken for the lock.
        let is_ours = || fs::symlink_metadata(&marker_path).is_ok_and(|marker| marker.is_file());
        if !is_empty && !is_ours() {
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
    pub fn state(&self) -> Result<PathBuf, FolderError> {
        Ok(self.path.join(state_name(self.current_state()?)))
    }

    /// Where a state that begins with an image is made; what an attempt left there is removed. It is the node's state once it is adopted.
    pub fn next_state(&self) -> Result<PathBuf, FolderError> {
        let path = self.path.join(state_name(self.current_state()? + 1));
        removed(&path)?;
        Ok(path)
    }

    /// Makes what lies in [`DataFolder::next_state`] the node's state, for good when this returns.
    pub fn adopt_next_state(&self) -> Result<(), FolderError> {
        let next = self.current_state()? + 1;
        let io = |source| FolderError::Io { path: self.path.join(CURRENT), source };
        failpoint::may_fail("node::adopt-state").map_err(io)?;
        self.keep(CURRENT, &state_name(next))?;
        failpoint::may_fail("node::state-adopted").map_err(io)
    }

    /// Removes states that were replaced, but for those that are still read. Of what cannot be removed the first error is told.
    pub fn remove_former_states(&self, read: &[PathBuf]) -> Result<(), FolderError> {
        let current = self.current_state()?;
        let io = |source| FolderError::Io { path: self.path.clone(), source };
        let mut outcome = Ok(());
        for entry in fs::read_dir(&self.path).map_err(io)? {
            let entry = entry.map_err(io)?;
            let number = entry.file_name().to_str().and_then(state_number);
            let path = entry.path();
            if number.is_some_and(|number| number < current) && !read.contains(&path) {
                outcome = outcome.and(removed(&path));
            }
        }
        outcome
    }

    /// The number of the folder that holds the state: the first unless another was adopted.
    fn current_state(&self) -> Result<u64, FolderError> {
        let Some(adopted) = self.kept(CURRENT)? else { return Ok(1) };
        // To go on with another one would be to go on with what was given up.
        state_number(&adopted).ok_or_else(|| FolderError::Damaged(self.path.join(CURRENT)))
    }

    /// The numbers of the cluster and of the member that this folder belongs to, if it was ever said.
    pub fn identity(&self) -> Result<Option<(u64, u64)>, FolderError> {
        let Some(text) = self.kept(IDENTITY)? else { return Ok(None) };
        let number = |word: &str| u64::from_str_radix(word, 16).ok();
        let numbers = text.trim().split_once(' ').map(|(a, b)| (number(a), number(b)));
        match numbers {
            Some((Some(cluster), Some(member))) => Ok(Some((cluster, member))),
            _ => Err(FolderError::Damaged(self.path.join(IDENTITY))),
        }
    }

    /// Says for good whose folder this is.
    pub fn keep_identity(&self, cluster: u64, member: u64) -> Result<(), FolderError> {
        self.keep(IDENTITY, &format!("{cluster:016x} {member:016x}\n"))
    }

    /// What one of the folder's small files says; none if it is not there.
    fn kept(&self, name: &str) -> Result<Option<String>, FolderError> {
        let path = self.path.join(name);
        match files::read_text(&path, SMALL_BYTES_MAX) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if is_of_contents(&error) => Err(FolderError::Damaged(path)),
            Err(source) => Err(FolderError::Io { path, source }),
        }
    }

    /// Lets it say that, for good when this returns.
    fn keep(&self, name: &str, text: &str) -> Result<(), FolderError> {
        let path = self.path.join(name);
        // Always of the same name, so that a crash leaves one at most.
        let unfinished = self.path.join(format!("{name}.part"));
        let write = || {
            let mut file = File::create(&unfinished)?;
            file.write_all(text.as_bytes())?;
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
        // All of it: once it is planted, nothing but it can be begun with.
        let checked = files::require_regular(from)
            .and_then(|()| File::open(from))
            .map_err(|error| error.to_string())
            .and_then(|mut file| store::check_image(&mut file).map_err(|error| error.to_string()));
        let position =
            checked.map_err(|why| FolderError::NoImage { path: from.to_path_buf(), why })?;
        raft::plant_image(&self.images(), from, position.index.max(1))
            .map_err(|source| FolderError::Io { path: self.images(), source })?;
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

/// The name of the folder of state `number`, from 1.
fn state_name(number: u64) -> String {
    if number == 1 { STATE.to_owned() } else { format!("{STATE}-{number}") }
}

/// The number that a name was made of.
fn state_number(name: &str) -> Option<u64> {
    let number = match name.strip_prefix(STATE)? {
        "" => 1,
        rest => rest.strip_prefix('-')?.parse().ok()?,
    };
    (state_name(number) == name && number < u64::MAX).then_some(number)
}

/// Removes a folder, if it is there.
fn removed(path: &Path) -> Result<(), FolderError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(FolderError::Io { path: path.to_path_buf(), source })
        }
        _ => Ok(()),
    }
}

/// Whether a file could be had, but what is in it, or what it is, cannot be right.
fn is_of_contents(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, InvalidData, InvalidInput};
    matches!(error.kind(), FileTooLarge | InvalidData | InvalidInput)
}

/// Writes the layout into a new marker, or refuses another one.
fn check_layout(marker: &mut File, path: &Path) -> Result<(), FolderError> {
    let io = |source| FolderError::Io { path: path.to_path_buf(), source };
    let layout = match files::read_open(marker, SMALL_BYTES_MAX) {
        Err(error) if is_of_contents(&error) => {
            return Err(FolderError::OtherLayout(path.to_path_buf()));
        }
        layout => layout.map_err(io)?,
    };
    match &layout[..] {
        layout if layout == LAYOUT.as_bytes() => Ok(()),
        b"" => marker.write_all(LAYOUT.as_bytes()).and_then(|()| marker.sync_all()).map_err(io),
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
        let first = folder.state().unwrap();
        for _ in 0..3 {
            let next = folder.next_state().unwrap();
            fs::create_dir(&next).unwrap();
            assert_ne!(folder.state().unwrap(), next);
            folder.adopt_next_state().unwrap();
            assert_eq!(folder.state().unwrap(), next);
            assert_ne!(folder.next_state().unwrap(), next);
        }
        assert_ne!(folder.state().unwrap(), first);
    }

    #[test]
    fn states_that_were_replaced_go_once_nobody_reads_them() {
        let root = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(&root.path().join("node")).unwrap();
        let mut states = vec![folder.state().unwrap()];
        fs::create_dir(&states[0]).unwrap();
        for _ in 0..3 {
            let next = folder.next_state().unwrap();
            fs::create_dir(&next).unwrap();
            folder.adopt_next_state().unwrap();
            states.push(next);
        }
        let distinct: std::collections::BTreeSet<_> = states.iter().collect();
        assert_eq!(distinct.len(), 4, "{states:?}");
        // Not ours to judge.
        let other = root.path().join("node").join("state-of-affairs");
        fs::create_dir(&other).unwrap();
        let there = || states.iter().map(|state| state.exists()).collect::<Vec<_>>();
        folder.remove_former_states(&states[1..2]).unwrap();
        assert_eq!(there(), [false, true, false, true]);
        folder.remove_former_states(&[]).unwrap();
        assert_eq!((there(), other.exists()), (vec![false, false, false, true], true));
    }

    #[test]
    fn a_folder_knows_whose_it_is() {
        let root = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(&root.path().join("node")).unwrap();
        assert_eq!(folder.identity().unwrap(), None);
        folder.keep_identity(7, u64::MAX).unwrap();
        assert_eq!(folder.identity().unwrap(), Some((7, u64::MAX)));
        fs::write(root.path().join("node").join(IDENTITY), "nonsense").unwrap();
        assert!(matches!(folder.identity(), Err(FolderError::Damaged(_))));
    }

    /// The other folder holds a state that was given up: to take it would be to forget what was acknowledged.
    #[test]
    fn a_folder_that_does_not_know_its_state_is_not_used() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("node");
        let folder = DataFolder::open(&path).unwrap();
        let large = "x".repeat(SMALL_BYTES_MAX as usize + 1);
        for nonsense in [
            &b"state-1"[..],
            b"state-03",
            b"state-18446744073709551615",
            b"",
            b"state-2\n",
            b"\xff",
            large.as_bytes(),
        ] {
            fs::write(path.join(CURRENT), nonsense).unwrap();
            assert!(matches!(folder.state(), Err(FolderError::Damaged(_))), "{nonsense:?}");
            assert!(matches!(folder.next_state(), Err(FolderError::Damaged(_))), "{nonsense:?}");
        }
        fs::remove_file(path.join(CURRENT)).unwrap();
        fs::create_dir(path.join(CURRENT)).unwrap();
        assert!(matches!(folder.adopt_next_state(), Err(FolderError::Damaged(_))));
    }

    #[test]
    fn a_marker_that_leads_elsewhere_is_none() {
        let root = tempfile::tempdir().unwrap();
        let (path, theirs) = (root.path().join("node"), root.path().join("theirs"));
        fs::create_dir(&path).unwrap();
        fs::write(&theirs, "").unwrap();
        std::os::unix::fs::symlink(&theirs, path.join(MARKER)).unwrap();
        assert!(matches!(DataFolder::open(&path), Err(FolderError::Foreign(_))));
        assert_eq!(fs::read(&theirs).unwrap(), b"");
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
