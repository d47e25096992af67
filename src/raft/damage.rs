//! A torn write, or damage? The log's library takes any record it cannot read in the newest file for the end of the log and cuts
//! off what follows. Every record is synced before the next one is written, so a record that cannot be read and has a whole
//! one behind it was once on disk: that is damage, and cutting would lose what was acknowledged. This is looked for before the
//! library opens the folder, and nothing is changed.
//!
//! Layout of a file (raft-engine 0.4, format 2, big endian): magic, version u64, alignment u64; then records of a head, entries
//! and a foot. Head: length of the record << 8 | compression, offset of the foot in it. Entries, if there are any, end with their
//! CRC-32 and the foot with its own, XOR the file's number (little endian).
//!
//! Caveats: damage in the last record cannot be told from a torn write. With `fsync` levers other than `real` records are not
//! synced one by one, and a crash of the host may look like damage.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"RAFT-LOG-FILE-HEADER-9986AB3E47F320B394C8E84916EB0ED5";
const VERSION: u64 = 2;
/// Magic, version, alignment.
const FILE_HEAD: usize = MAGIC.len() + 16;
const RECORD_HEAD: usize = 16;
const CHECKSUM: usize = 4;
/// Endings of the names of log files, and digits before them.
const ENDING: &str = ".raftlog";
/// And of those into which the library moves what is left of older ones.
const REWRITTEN: &str = ".rewrite";
const DIGITS: usize = 16;
/// Kinds of compression.
const COMPRESSIONS: u64 = 2;

/// What was on disk and cannot be read any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// A record.
    Record {
        /// The file.
        path: PathBuf,
        /// Where the record begins in it.
        offset: usize,
        /// Where a whole one begins behind it.
        whole: usize,
    },
    /// The head of a file. The library would take its alignment for a number of bytes to read, and make room for them.
    Head {
        /// The file.
        path: PathBuf,
        /// What is in place of none, bytes.
        alignment: u64,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Record { path, offset, whole } => write!(
                out,
                "the record at byte {offset} of {} cannot be read, though it was on disk before the one at byte {whole}; nothing was changed",
                path.display()
            ),
            Damage::Head { path, alignment } => write!(
                out,
                "the head of {} says that records begin at multiples of {alignment} bytes, and no log here does that; nothing was changed",
                path.display()
            ),
        }
    }
}

/// Damage in the head of any file of the log in `folder`, and in the newest file; of older ones the library refuses records itself. None
/// where there is no log.
pub(super) fn find(folder: &Path) -> io::Result<Option<Damage>> {
    let files = files(folder)?;
    for path in &files {
        if let Some(alignment) = alignment(&File::open(path)?)?.filter(|bytes| *bytes != 0) {
            return Ok(Some(Damage::Head { path: path.clone(), alignment }));
        }
    }
    let Some((number, path)) = newest(files) else { return Ok(None) };
    let found = damage_in(&written(&File::open(&path)?)?, number);
    Ok(found.map(|Range { start: offset, end: whole }| Damage::Record { path, offset, whole }))
}

/// What the head of a file says about where records begin; none if it is no head, or not a whole one.
fn alignment(file: &File) -> io::Result<Option<u64>> {
    let mut head = [0; FILE_HEAD];
    match file.read_exact_at(&mut head, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let has_magic = head.starts_with(MAGIC) && word(&head, MAGIC.len()) == Some(VERSION);
    Ok(word(&head, MAGIC.len() + 8).filter(|_| has_magic))
}

/// In the bytes of a log's newest file, with the number in its name: where a record begins that cannot be read, up to where a whole one
/// begins behind it. None if nothing but the end may be torn.
pub fn damage_in(bytes: &[u8], number: u64) -> Option<Range<usize>> {
    if bytes.len() < FILE_HEAD {
        return None;
    }
    let signature = number as u32; // The low half, as the library has it.
    let mut end = FILE_HEAD;
    let has_head = is_head(bytes);
    while has_head && let Some(length) = record(bytes, end, signature) {
        end += length;
    }
    let offset = if has_head { end } else { 0 };
    let mut behind = end..bytes.len();
    let whole = behind.find(|at| record(bytes, *at, signature).is_some());
    whole.map(|whole| offset..whole)
}

fn is_head(bytes: &[u8]) -> bool {
    let (version, alignment) = (word(bytes, MAGIC.len()), word(bytes, MAGIC.len() + 8));
    bytes.starts_with(MAGIC) && (version, alignment) == (Some(VERSION), Some(0))
}

/// The log's files in a folder.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_of_log = |ending| number(&path, ending).is_some();
        if [ENDING, REWRITTEN].into_iter().any(is_of_log) && path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

/// The number in a file's name, if it has this ending.
fn number(path: &Path, ending: &str) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(ending)?;
    (digits.len() == DIGITS).then(|| digits.parse().ok())?
}

/// Number and path of the file to which records are added.
fn newest(files: Vec<PathBuf>) -> Option<(u64, PathBuf)> {
    files.into_iter().filter_map(|path| Some((number(&path, ENDING)?, path))).max()
}

/// What was written: all but the zeros at the end, of which a file may have many before it is full.
fn written(file: &File) -> io::Result<Vec<u8>> {
    const STEP: u64 = 1 << 20;
    let mut end = file.metadata()?.len();
    let mut step = vec![0; STEP as usize];
    while end > 0 {
        let from = (end - 1) / STEP * STEP;
        let part = &mut step[..(end - from) as usize];
        file.read_exact_at(part, from)?;
        if let Some(last) = part.iter().rposition(|byte| *byte != 0) {
            end = from + last as u64 + 1;
            break;
        }
        end = from;
    }
    // The checksum of the last record may itself end with zeros.
    let mut bytes = vec![0; end as usize + CHECKSUM];
    file.read_exact_at(&mut bytes[..end as usize], 0)?;
    Ok(bytes)
}

/// Length of the record at `offset`, if it is a whole one.
fn record(bytes: &[u8], offset: usize, signature: u32) -> Option<usize> {
    let (head, foot) = (word(bytes, offset)?, word(bytes, offset + 8)?);
    let length = usize::try_from(head >> 8).ok()?;
    let foot = usize::try_from(foot).ok()?;
    if head & 0xff >= COMPRESSIONS || foot < RECORD_HEAD || foot >= length {
        return None;
    }
    let record = bytes.get(offset..offset.checked_add(length)?)?;
    let (entries, foot) = (&record[RECORD_HEAD..foot], &record[foot..]);
    let is_whole = (entries.is_empty() || is_summed(entries, 0)) && is_summed(foot, signature);
    is_whole.then_some(length)
}

/// Whether `block` ends with its checksum.
fn is_summed(block: &[u8], signature: u32) -> bool {
    let Some((content, checksum)) = block.split_last_chunk::<CHECKSUM>() else { return false };
    !content.is_empty() && crc32fast::hash(content) == u32::from_le_bytes(*checksum) ^ signature
}

fn word(bytes: &[u8], offset: usize) -> Option<u64> {
    let word = bytes.get(offset..offset.checked_add(8)?)?;
    word.first_chunk().copied().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::measure::pipeline::PipelineMeter;
    use crate::raft::log::{EngineLog, LogStore, Round};
    use crate::raft::{Fsync, Medium};
    use raft::Storage as _;
    use raft::eraftpb::Entry;
    use std::sync::Arc;

    const ENTRIES: u64 = 20;

    fn open(folder: &Path) -> Result<EngineLog, raft_engine::Error> {
        let meter = Arc::new(PipelineMeter::default());
        EngineLog::open(folder, &Medium::default(), Fsync::Real, Clock::start(), meter)
    }

    /// A log of so many entries, its newest file, and where each of its records begins and ends.
    fn log(folder: &Path) -> (PathBuf, Vec<u8>, Vec<usize>) {
        let mut log = open(folder).unwrap();
        for index in 1..=ENTRIES {
            let data = vec![index as u8; 40].into();
            let entries = [Entry { index, term: 1, data, ..Entry::default() }];
            log.append(&Round { entries: &entries, hard_state: None, sync: true }).unwrap();
        }
        drop(log);
        let (number, path) = newest(files(folder).unwrap()).unwrap();
        let bytes = fs::read(&path).unwrap();
        let mut ends = vec![FILE_HEAD];
        while let Some(length) = record(&bytes, ends[ends.len() - 1], number as u32) {
            ends.push(ends[ends.len() - 1] + length);
        }
        // The count of this start is a record as well.
        assert_eq!(ends.len() as u64, ENTRIES + 2);
        (path, bytes, ends)
    }

    #[test]
    fn damage_before_a_whole_record_is_refused_and_nothing_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(&folder.path().join("none")).unwrap(), None);
        let (path, bytes, ends) = log(folder.path());
        assert_eq!(find(folder.path()).unwrap(), None);
        let (offset, whole) = (ends[10], ends[11]);
        for place in offset..whole {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x04;
            fs::write(&path, &damaged).unwrap();
            let found = find(folder.path()).unwrap();
            assert_eq!(
                found,
                Some(Damage::Record { path: path.clone(), offset, whole }),
                "byte {place}"
            );
        }
        let mut damaged = bytes.clone();
        damaged[offset..ends[13]].fill(0);
        fs::write(&path, &damaged).unwrap();
        let refused = open(folder.path()).err().unwrap().to_string();
        let place = format!("byte {offset} of {}", path.display());
        assert!(refused.contains(&place) && refused.contains("hint"), "{refused}");
        assert!(refused.contains(&format!("byte {}", ends[13])), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), damaged);
        fs::write(&path, &bytes).unwrap();
        assert_eq!(open(folder.path()).unwrap().last_index().unwrap(), ENTRIES);
    }

    #[test]
    fn a_damaged_head_of_the_file_does_not_empty_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, bytes, _) = log(folder.path());
        for place in 0..FILE_HEAD {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x04;
            fs::write(&path, &damaged).unwrap();
            let path = path.clone();
            let expected = match place.checked_sub(MAGIC.len() + 8) {
                None => Damage::Record { path, offset: 0, whole: FILE_HEAD },
                Some(byte) => Damage::Head { path, alignment: 0x04 << (8 * (7 - byte)) },
            };
            assert_eq!(find(folder.path()).unwrap(), Some(expected), "byte {place}");
        }
    }

    /// The library makes room for as many bytes as it says, and ends the process if there is no such room.
    #[test]
    fn a_head_without_records_is_not_believed_its_alignment() {
        let folder = tempfile::tempdir().unwrap();
        let (path, bytes, _) = log(folder.path());
        let mut damaged = bytes[..FILE_HEAD].to_vec();
        damaged[MAGIC.len() + 8] ^= 0x20;
        let next = path.with_file_name(format!("{:016}{ENDING}", 2));
        for name in [next.clone(), next.with_extension("rewrite")] {
            fs::write(&name, [damaged.as_slice(), &[0; 100]].concat()).unwrap();
            let refused = open(folder.path()).err().unwrap().to_string();
            assert!(refused.contains("multiples of 2305843009213693952 bytes"), "{refused}");
            assert!(refused.contains("hint"), "{refused}");
            fs::remove_file(&name).unwrap();
        }
        assert_eq!(open(folder.path()).unwrap().last_index().unwrap(), ENTRIES);
    }

    /// However much of the last record reached the disk, and whatever a disk makes of the rest of it.
    #[test]
    fn a_torn_write_is_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let (path, bytes, ends) = log(folder.path());
        let (last, end) = (ends[ends.len() - 2], ends[ends.len() - 1]);
        for kept in last..end {
            let mut torn = bytes.clone();
            torn[kept..end].fill(0);
            fs::write(&path, &torn).unwrap();
            assert_eq!(find(folder.path()).unwrap(), None, "{kept}");
            torn.truncate(kept);
            fs::write(&path, &torn).unwrap();
            assert_eq!(find(folder.path()).unwrap(), None, "{kept}");
        }
        assert_eq!(open(folder.path()).unwrap().last_index().unwrap(), ENTRIES - 1);
    }

    /// As in an older file, of which the library reads only where entries are.
    #[test]
    fn an_entry_that_cannot_be_read_is_found_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut bytes, ends) = log(folder.path());
        let opened = open(folder.path()).unwrap();
        opened.check_entries().unwrap();
        bytes[ends[10] + RECORD_HEAD + 20] ^= 0x04;
        fs::write(&path, &bytes).unwrap();
        let refused = opened.check_entries().unwrap_err().to_string();
        assert!(refused.contains("entries from") && refused.contains("hint"), "{refused}");
    }
}
