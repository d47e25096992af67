//! What a disk was asked to do, in its order; between, when requests were asked and answered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file, whatever its name is at the time.
pub(super) type FileId = usize;

/// What a new file of the log has before it is synced for the first time: its head, written at once. The library then syncs the folder
/// without asking; the first file of all has a record behind its head by then.
const WRITES_OF_A_HEAD: u32 = 1;
/// The folder of the log.
pub(super) const LOG: &str = "raft";

/// One thing that happened. Names are those within the member's folder.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A file was made.
    Made {
        name: PathBuf,
        file: FileId,
    },
    Renamed {
        from: PathBuf,
        to: PathBuf,
    },
    Deleted {
        name: PathBuf,
    },
    /// Of all files in this folder the names are safe.
    FolderSynced {
        folder: PathBuf,
    },
    Written {
        file: FileId,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncated {
        file: FileId,
        size: usize,
    },
    /// It is at least so long.
    Allocated {
        file: FileId,
        size: usize,
    },
    Synced {
        file: FileId,
    },
    /// The host says that it could not; what was written before may never be tried again.
    SyncFailed {
        file: FileId,
    },
    /// The request of this number is on its way.
    Asked {
        number: usize,
    },
    /// It was answered, as its client was told at this very moment.
    Answered {
        number: usize,
    },
}

/// What happened, in its order.
pub(super) struct Journal {
    state: Mutex<Journaled>,
}

/// A journal while nobody else writes into it.
pub(super) struct Journaled {
    root: PathBuf,
    steps: Vec<Step>,
    names: BTreeMap<PathBuf, FileId>,
    /// By number: how often it was written since its name was given to it, until it is synced.
    fresh: Vec<Option<u32>>,
}

impl Journal {
    /// Begins where `files` are in the folder `root`; the first of them has number 0, and so on.
    pub(super) fn begin(root: &Path, files: impl Iterator<Item = PathBuf>) -> Arc<Journal> {
        let names: BTreeMap<_, _> = files.enumerate().map(|(file, name)| (name, file)).collect();
        let (root, steps, fresh) = (root.to_owned(), Vec::new(), vec![None; names.len()]);
        Arc::new(Journal { state: Mutex::new(Journaled { root, steps, names, fresh }) })
    }

    pub(super) fn note(&self, step: Step) {
        self.hold().steps.push(step);
    }

    /// What happened so far.
    pub(super) fn steps(&self) -> Vec<Step> {
        self.hold().steps.clone()
    }

    /// Until it is let go, nothing else happens.
    pub(super) fn hold(&self) -> MutexGuard<'_, Journaled> {
        // A thread that failed on purpose may have held it; what it holds is whole between any two calls.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journaled {
    /// The file at `path`, if there is one.
    pub(super) fn file(&self, path: &Path) -> Option<FileId> {
        self.names.get(&self.name(path)).copied()
    }

    /// The file at `path` was opened, and made if there was none.
    pub(super) fn made(&mut self, path: &Path) -> FileId {
        if let Some(file) = self.file(path) {
            return file;
        }
        let (name, file) = (self.name(path), self.fresh.len());
        self.fresh.push(Some(0));
        self.names.insert(name.clone(), file);
        self.steps.push(Step::Made { name, file });
        file
    }

    pub(super) fn deleted(&mut self, path: &Path) {
        let name = self.name(path);
        self.names.remove(&name);
        self.steps.push(Step::Deleted { name });
    }

    pub(super) fn renamed(&mut self, from: &Path, to: &Path) {
        let (from, to) = (self.name(from), self.name(to));
        if let Some(file) = self.names.remove(&from) {
            self.fresh[file] = Some(0);
            self.names.insert(to.clone(), file);
        }
        self.steps.push(Step::Renamed { from, to });
    }

    pub(super) fn folder_synced(&mut self, folder: &Path) {
        let folder = self.name(folder);
        self.steps.push(Step::FolderSynced { folder });
    }

    pub(super) fn written(&mut self, file: FileId, offset: usize, bytes: &[u8]) {
        if let Some(writes) = &mut self.fresh[file] {
            *writes += 1;
        }
        self.steps.push(Step::Written { file, offset, bytes: bytes.to_vec() });
    }

    pub(super) fn truncated(&mut self, file: FileId, size: usize) {
        self.steps.push(Step::Truncated { file, size });
    }

    pub(super) fn allocated(&mut self, file: FileId, size: usize) {
        self.steps.push(Step::Allocated { file, size });
    }

    /// The file was synced; and its folder, if that is what the log's library does next.
    pub(super) fn synced(&mut self, file: FileId) {
        self.steps.push(Step::Synced { file });
        let is_begun = self.fresh[file].take() == Some(WRITES_OF_A_HEAD);
        let name = self.names.iter().find(|(_, named)| **named == file).map(|(name, _)| name);
        let folder = name.and_then(|name| name.parent()).map(Path::to_owned);
        if let Some(folder) = folder.filter(|folder| is_begun && folder.ends_with(LOG)) {
            self.steps.push(Step::FolderSynced { folder });
        }
    }

    pub(super) fn sync_failed(&mut self, file: FileId) {
        self.steps.push(Step::SyncFailed { file });
    }

    fn name(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }
}
