//! What is on a disk and what is only in the host's memory, step by step; and what a crash may leave of it.
//!
//! A file's synced bytes are there. Of what was written since, the host may have brought any sector to the disk at any time, as it was at
//! that time: of each sector some prefix of its changes is there, sectors are independent, and so is the file's length. Names are safe
//! once their folder is synced; of the changes since, any may be there.

use super::journal::{FileId, Step};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a crash leaves: the files of a folder.
pub(super) type Leftover = BTreeMap<PathBuf, Vec<u8>>;

/// How a disk keeps its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// What was synced is there.
    Kept,
    /// It says that a file is synced and does nothing.
    NoSyncs,
    /// It says that a folder is synced and does nothing.
    NoNames,
}

/// What becomes of written bytes that are not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unsynced {
    /// None is there.
    Dropped,
    /// All are, as if only the process had died.
    Kept,
    /// They were written in their order, in pieces of so many bytes, and the last pieces are missing.
    Torn(usize),
    /// They were written in pieces of so many bytes, in any order, and any pieces are missing.
    Reordered(usize),
    /// They were written in their order; of the last piece that was begun there is noise.
    Noise(usize),
}

/// What becomes of names whose folder is not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// As if nothing had been named since.
    Lost,
    /// All are there.
    Kept,
    /// Those up to one, as a file system with a journal has it.
    UpToOne,
    /// Any.
    Any,
}

/// The disk at one step.
#[derive(Clone, Debug)]
pub(super) struct Platter {
    word: Word,
    files: Vec<Cached>,
    names: BTreeMap<PathBuf, FileId>,
    /// Since their folders were synced, in order.
    renamed: Vec<Renaming>,
}

/// One change of names; all of it or nothing.
#[derive(Clone, Debug)]
struct Renaming {
    changes: Vec<(PathBuf, Option<FileId>)>,
}

/// A file, and what the host holds of it.
#[derive(Clone, Debug, Default)]
struct Cached {
    synced: Vec<u8>,
    /// Since then, in order.
    changes: Vec<Change>,
    /// Written before a sync that failed: nobody tries again.
    given_up: Vec<Change>,
    /// Where the last record that was synced begins, if one was since this disk is watched.
    last_record: Option<usize>,
}

#[derive(Clone, Debug)]
enum Change {
    Write {
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate(usize),
    /// At least so long.
    Grow(usize),
}

impl Platter {
    /// A disk with these files, numbered in their order.
    pub(super) fn with(files: &Leftover, word: Word) -> Platter {
        let names = files.keys().cloned().zip(0..).collect();
        let cached = |bytes: &Vec<u8>| Cached { synced: bytes.clone(), ..Cached::default() };
        Platter { word, files: files.values().map(cached).collect(), names, renamed: Vec::new() }
    }

    /// Whether a crash has a choice now.
    pub(super) fn is_all_synced(&self) -> bool {
        self.renamed.is_empty() && self.files.iter().all(|file| file.changes.is_empty())
    }

    /// Goes on by one step.
    pub(super) fn follow(&mut self, step: &Step) {
        match step {
            Step::Made { name, file } => {
                self.files.resize(self.files.len().max(file + 1), Cached::default());
                self.rename(vec![(name.clone(), Some(*file))]);
            }
            Step::Renamed { from, to } => {
                let file = self.latest_names().get(from).copied();
                self.rename(vec![(from.clone(), None), (to.clone(), file)]);
            }
            Step::Deleted { name } => self.rename(vec![(name.clone(), None)]),
            Step::FolderSynced { folder } if self.word != Word::NoNames => {
                self.sync_names(folder);
            }
            Step::Written { file, offset, bytes } => {
                let change = Change::Write { offset: *offset, bytes: bytes.clone() };
                self.files[*file].changes.push(change);
            }
            Step::Truncated { file, size } => {
                self.files[*file].changes.push(Change::Truncate(*size));
            }
            Step::Allocated { file, size } => self.files[*file].changes.push(Change::Grow(*size)),
            Step::Synced { file } if self.word != Word::NoSyncs => self.files[*file].sync(),
            Step::SyncFailed { file } => self.files[*file].give_up(),
            Step::FolderSynced { .. }
            | Step::Synced { .. }
            | Step::Asked { .. }
            | Step::Answered { .. } => {}
        }
    }

    fn rename(&mut self, changes: Vec<(PathBuf, Option<FileId>)>) {
        self.renamed.push(Renaming { changes });
    }

    fn sync_names(&mut self, folder: &Path) {
        let is_inside = |renaming: &Renaming| {
            renaming.changes.iter().all(|(name, _)| name.parent() == Some(folder))
        };
        let (inside, outside) = self.renamed.drain(..).partition(is_inside);
        self.renamed = outside;
        let inside: Vec<Renaming> = inside;
        inside.iter().for_each(|renaming| renaming.apply(&mut self.names));
    }

    fn latest_names(&self) -> BTreeMap<PathBuf, FileId> {
        let mut names = self.names.clone();
        self.renamed.iter().for_each(|renaming| renaming.apply(&mut names));
        names
    }

    /// What a crash at this step leaves.
    pub(super) fn crash(
        &self,
        unsynced: Unsynced,
        names: Names,
        random: &mut ChaCha8Rng,
    ) -> Leftover {
        let left = self.names_left(names, random);
        left.into_iter()
            .map(|(name, file)| (name, self.files[file].left(unsynced, random)))
            .collect()
    }

    fn names_left(&self, left: Names, random: &mut ChaCha8Rng) -> BTreeMap<PathBuf, FileId> {
        let mut names = self.names.clone();
        let until = match left {
            Names::Lost => 0,
            Names::UpToOne => random.random_range(0..=self.renamed.len()),
            Names::Kept | Names::Any => self.renamed.len(),
        };
        for renaming in &self.renamed[..until] {
            if left != Names::Any || random.random() {
                renaming.apply(&mut names);
            }
        }
        names
    }

    /// Where the last synced record of the file `name` begins, if one was since this disk is watched.
    pub(super) fn last_record(&self, name: &Path) -> Option<usize> {
        self.names.get(name).and_then(|file| self.files[*file].last_record)
    }
}

impl Renaming {
    fn apply(&self, names: &mut BTreeMap<PathBuf, FileId>) {
        for (name, file) in &self.changes {
            match file {
                Some(file) => names.insert(name.clone(), *file),
                None => names.remove(name),
            };
        }
    }
}

impl Cached {
    fn sync(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            change.apply(&mut self.synced);
            if let Change::Write { offset, .. } = change {
                self.last_record = Some(offset);
            }
        }
    }

    fn give_up(&mut self) {
        self.given_up.append(&mut self.changes);
    }

    fn left(&self, unsynced: Unsynced, random: &mut ChaCha8Rng) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        match unsynced {
            Unsynced::Dropped => {}
            Unsynced::Kept => {
                let all = self.given_up.iter().chain(&self.changes);
                all.for_each(|change| change.apply(&mut bytes));
            }
            Unsynced::Torn(piece) => {
                let pieces = self.pieces(piece);
                let there = random.random_range(0..=pieces.len());
                pieces[..there].iter().for_each(|change| change.apply(&mut bytes));
            }
            Unsynced::Reordered(piece) => self.reorder(piece, &mut bytes, random),
            Unsynced::Noise(piece) => {
                let pieces = self.pieces(piece);
                let there = random.random_range(0..=pieces.len());
                pieces[..there].iter().for_each(|change| change.apply(&mut bytes));
                if let Some(Change::Write { offset, bytes: begun }) = pieces.get(there) {
                    let noise = begun.iter().map(|_| random.random()).collect();
                    Change::Write { offset: *offset, bytes: noise }.apply(&mut bytes);
                }
            }
        }
        bytes
    }

    /// The changes in their order, none of them over the border between two pieces of the disk.
    fn pieces(&self, piece: usize) -> Vec<Change> {
        let mut pieces = Vec::new();
        for change in &self.changes {
            match change {
                Change::Write { offset, bytes } => {
                    let (mut offset, mut rest) = (*offset, bytes.as_slice());
                    while !rest.is_empty() {
                        let (now, later) = rest.split_at(rest.len().min(piece - offset % piece));
                        pieces.push(Change::Write { offset, bytes: now.to_vec() });
                        (offset, rest) = (offset + now.len(), later);
                    }
                }
                other => pieces.push(other.clone()),
            }
        }
        pieces
    }

    fn reorder(&self, piece: usize, bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
        let pieces = self.pieces(piece);
        // By place on the disk: how many changes are still to be taken. Lengths have a place of their own.
        let place = |change: &Change| match change {
            Change::Write { offset, .. } => Some(offset / piece),
            Change::Truncate(_) | Change::Grow(_) => None,
        };
        let mut taken: BTreeMap<Option<usize>, usize> = BTreeMap::new();
        pieces.iter().for_each(|change| *taken.entry(place(change)).or_default() += 1);
        taken.values_mut().for_each(|count| *count = random.random_range(0..=*count));
        for change in &pieces {
            let taken = taken.entry(place(change)).or_default();
            if *taken > 0 {
                *taken -= 1;
                change.apply(bytes);
            }
        }
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => {
                let end = offset + bytes.len();
                to.resize(to.len().max(end), 0);
                to[*offset..end].copy_from_slice(bytes);
            }
            Change::Truncate(size) => to.resize(*size, 0),
            Change::Grow(size) => to.resize(to.len().max(*size), 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use std::collections::BTreeSet;

    fn written(offset: usize, bytes: &[u8]) -> Step {
        Step::Written { file: 0, offset, bytes: bytes.to_vec() }
    }

    /// A disk with one file of two synced bytes, and then these steps.
    fn after(word: Word, steps: &[Step]) -> Platter {
        let name = PathBuf::from("raft/a");
        let mut platter = Platter::with(&Leftover::new(), word);
        let begun = [
            Step::Made { name, file: 0 },
            written(0, b"ab"),
            Step::Synced { file: 0 },
            Step::FolderSynced { folder: "raft".into() },
        ];
        begun.iter().chain(steps).for_each(|step| platter.follow(step));
        platter
    }

    /// All that may be left of the file, as text.
    fn all_left(platter: &Platter, unsynced: Unsynced) -> BTreeSet<String> {
        let mut random = Seed(7).stream("left", 0);
        let left = (0..200).map(|_| platter.crash(unsynced, Names::Lost, &mut random));
        let text = |left: Leftover| {
            left.get(Path::new("raft/a"))
                .map_or("none".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
        };
        left.map(text).collect()
    }

    #[test]
    fn what_is_synced_stays_and_of_the_rest_every_part_is_possible() {
        let platter = after(Word::Kept, &[written(2, b"cdef")]);
        let left = |unsynced| all_left(&platter, unsynced).into_iter().collect::<Vec<_>>();
        assert_eq!(left(Unsynced::Dropped), ["ab"]);
        assert_eq!(left(Unsynced::Kept), ["abcdef"]);
        assert_eq!(left(Unsynced::Torn(2)), ["ab", "abcd", "abcdef"]);
        assert_eq!(left(Unsynced::Reordered(2)), ["ab", "ab\0\0ef", "abcd", "abcdef"]);
        let noisy = all_left(&platter, Unsynced::Noise(4));
        assert!(noisy.len() > 50 && noisy.iter().all(|left| left.starts_with("ab")), "{noisy:?}");
    }

    /// A sector never holds a later change without an earlier one; two sectors have nothing to do with each other.
    #[test]
    fn a_sector_is_as_it_was_at_some_time() {
        let twice = after(Word::Kept, &[written(2, b"cd"), written(2, b"xy")]);
        let left = all_left(&twice, Unsynced::Reordered(2));
        assert_eq!(left.into_iter().collect::<Vec<_>>(), ["ab", "abcd", "abxy"]);
        let longer = after(Word::Kept, &[Step::Allocated { file: 0, size: 4 }, written(2, b"cd")]);
        let left = all_left(&longer, Unsynced::Reordered(2));
        assert_eq!(left.into_iter().collect::<Vec<_>>(), ["ab", "ab\0\0", "abcd"]);
    }

    #[test]
    fn a_sync_that_failed_is_not_made_good_by_the_next_one() {
        let steps = [
            written(2, b"cd"),
            Step::SyncFailed { file: 0 },
            written(4, b"ef"),
            Step::Synced { file: 0 },
        ];
        let platter = after(Word::Kept, &steps);
        let left = all_left(&platter, Unsynced::Dropped);
        assert_eq!(left.into_iter().collect::<Vec<_>>(), ["ab\0\0ef"]);
        assert!(platter.is_all_synced());
    }

    #[test]
    fn names_are_safe_with_their_folder() {
        let made = Step::Made { name: "raft/b.part".into(), file: 1 };
        let renamed = Step::Renamed { from: "raft/b.part".into(), to: "raft/b".into() };
        let unsynced = after(Word::Kept, &[made.clone(), renamed.clone()]);
        let mut random = Seed(7).stream("left", 1);
        let mut left = |names| {
            let left = unsynced.crash(Unsynced::Kept, names, &mut random);
            left.into_keys().map(|name| name.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(left(Names::Lost), "raft/a");
        assert_eq!(left(Names::Kept), "raft/a raft/b");
        let some: BTreeSet<String> = (0..100).map(|_| left(Names::UpToOne)).collect();
        assert_eq!(Vec::from_iter(some), ["raft/a", "raft/a raft/b", "raft/a raft/b.part"]);
        let folder = Step::FolderSynced { folder: "raft".into() };
        let synced = after(Word::Kept, &[made, renamed, folder]);
        let left = synced.crash(Unsynced::Kept, Names::Lost, &mut random);
        assert_eq!(left.len(), 2);
    }

    #[test]
    fn a_disk_that_lies_loses_what_it_said_it_had() {
        let platter = after(Word::NoSyncs, &[]);
        assert_eq!(all_left(&platter, Unsynced::Dropped).into_iter().collect::<Vec<_>>(), [""]);
        let platter = after(Word::NoNames, &[]);
        let left = all_left(&platter, Unsynced::Dropped);
        assert_eq!(left.into_iter().collect::<Vec<_>>(), ["none"]);
    }
}
