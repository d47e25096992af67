//! A file of the log: what is torn, what is damaged, and that a log with damage is not opened.

use crate::driver::{Answer, Plan, fuzz};
use kvbench::clock::Clock;
use kvbench::measure::stage::Probe;
use kvbench::model::{Request, codec};
use kvbench::node::{self, Compaction, Node};
use kvbench::raft::{ApplyOn, Config, Fsync, Propose, Publish, Reads, damage_in};
use kvbench::store::{self, PathKind};
use std::fs;
use std::path::{Path, PathBuf};

/// One of so many inputs is given to a node, which takes far longer than all the rest.
const OPENED_EVERY: u64 = 2_000;

fn start(folder: &Path) -> Result<Node, kvbench::node::NodeError> {
    let pipeline = Config {
        propose: Propose::Pipelined,
        apply_on: ApplyOn::RaftThread,
        publish: Publish::Ready,
        fsync: Fsync::Off,
        reads: Reads::Index,
    };
    let store = store::Config::in_memory(PathKind::GlobalMutex);
    let config = node::Config { store, compaction: Compaction::NEVER, pipeline };
    Node::start(config, folder, Clock::start(), Probe::off())
}

/// The folder of a node that has ended, the newest file of its log, and that file's number and bytes without the zeros behind them.
struct Left {
    folder: tempfile::TempDir,
    file: PathBuf,
    number: u64,
    bytes: Vec<u8>,
}

impl Left {
    fn new() -> Left {
        let folder = tempfile::tempdir().unwrap();
        let node = start(folder.path()).unwrap();
        let puts: Vec<Request> =
            (0..12).map(|n| Request::put(format!("k{n}"), vec![n; 20])).collect();
        assert!(node.call_all(&puts).iter().all(Result::is_ok));
        drop(node);
        let files =
            fs::read_dir(folder.path().join("raft")).unwrap().map(|entry| entry.unwrap().path());
        let is_log = |path: &PathBuf| path.extension().is_some_and(|end| end == "raftlog");
        let file = files.filter(is_log).max().unwrap();
        let number = file.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let mut bytes = fs::read(&file).unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        bytes.truncate(end + 4);
        Left { folder, file, number, bytes }
    }

    /// A node is given the file. With damage in it, it does not start and leaves the file as it is.
    fn open(&self, bytes: &[u8], is_damaged: bool) -> Answer {
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder.path(), folder.path());
        let file = folder.path().join("raft").join(self.file.file_name().unwrap());
        fs::write(&file, bytes).unwrap();
        match start(folder.path()) {
            Ok(node) => {
                assert!(!is_damaged, "a node started on a damaged log");
                assert!(node.call_all(&[Request::put("again", "x")])[0].is_ok());
                "opened".into()
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert!(!is_damaged || fs::read(&file).unwrap() == bytes, "it was changed");
                "refused".into()
            }
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => {
                fs::create_dir_all(&to).unwrap();
                copy(&entry.path(), &to);
            }
            false => drop(fs::copy(entry.path(), &to).unwrap()),
        }
    }
}

/// Length of the whole record at `at`, read once more from the description of the layout.
fn record(bytes: &[u8], at: usize, number: u64) -> Option<usize> {
    let word =
        |at: usize| bytes.get(at..at + 8).map(|word| u64::from_be_bytes(word.try_into().unwrap()));
    let (head, foot) = (word(at)?, word(at + 8)? as u128);
    let (length, compression) = ((head >> 8) as u128, head & 0xff);
    if compression > 1 || foot < 16 || foot >= length || at as u128 + length > bytes.len() as u128 {
        return None;
    }
    let (length, foot) = (length as usize, foot as usize);
    let is_summed = |block: &[u8], signature: u32| {
        block.len() > 4 && {
            let (content, sum) = block.split_at(block.len() - 4);
            crc32fast::hash(content) ^ signature == u32::from_le_bytes(sum.try_into().unwrap())
        }
    };
    let (entries, foot) = (&bytes[at + 16..at + foot], &bytes[at + foot..at + length]);
    let is_whole = (entries.is_empty() || is_summed(entries, 0)) && is_summed(foot, number as u32);
    is_whole.then_some(length)
}

/// Where records begin: behind magic, version and alignment.
const FIRST: usize = 53 + 16;

fn check(bytes: &[u8], number: u64, head: &[u8]) -> Option<std::ops::Range<usize>> {
    let found = damage_in(bytes, number);
    let mut end = FIRST;
    let has_head = bytes.starts_with(head);
    while has_head && let Some(length) = record(bytes, end, number) {
        end += length;
    }
    let whole = (end..bytes.len()).find(|at| record(bytes, *at, number).is_some());
    let expected =
        whole.filter(|_| bytes.len() >= FIRST).map(|whole| if has_head { end } else { 0 }..whole);
    assert_eq!(found, expected);
    found
}

#[test]
fn files_of_the_log() {
    let left = Left::new();
    assert!(codec::decode(&[]).is_err() && damage_in(&left.bytes, left.number).is_none());
    let head = left.bytes[..FIRST].to_vec();
    let mut tried = 0_u64;
    let check = |bytes: &[u8]| -> Answer {
        tried += 1;
        let found = check(bytes, left.number, &head);
        match (&found, tried.is_multiple_of(OPENED_EVERY)) {
            (found, true) => left.open(bytes, found.is_some()),
            (None, false) => "whole, or torn at its end".into(),
            (Some(found), false) => match (found.start, found.len()) {
                (0, _) => "damaged head".into(),
                (_, gap) => format!("damage of {} bytes", gap.next_power_of_two()).into(),
            },
        }
    };
    let samples = vec![left.bytes.clone(), left.bytes[..left.bytes.len() / 2].to_vec()];
    let words: &[&[u8]] = &[&[0; 16], &[0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0x10]];
    fuzz(Plan { name: "log", execs: 4_000, samples, words, counts_bytes: false }, check);
}
