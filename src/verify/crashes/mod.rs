//! Crashes: a member on a disk that is watched, and at every moment of its life all that a crash of the host may leave of it. From each
//! leftover a member starts anew, by the same code as any; it has to have all that was acknowledged, nothing that was not asked,
//! everything once; damage has to be found out. And mishaps: a disk on which a write, a sync or a new name fails, or that is full.
//!
//! Caveats: it is the log and the images of the state of one member; what RocksDB writes is its own business. The log's library syncs its
//! folder after it has begun another file, without asking the disk: that is taken to happen right after the first sync of the new
//! file. A seed makes the same requests and chooses the same way; how threads meet, and with it what a disk is asked when, is the host's doing.

mod disk;
mod explore;
mod journal;
mod judge;
mod life;
mod mishap;
mod platter;

pub use explore::Tally;
pub use mishap::Mishap;
pub use platter::Word;

use crate::clock::Clock;
use crate::node::NodeError;
use crate::raft::Fsync;
use crate::seed::Seed;
use explore::Explorer;
use judge::Judge;
use life::{Script, Way};
use mishap::Trouble;
use std::path::PathBuf;

/// Lives of one seed, each beginning with what a crash of the one before left.
const LIVES: u64 = 3;
/// Requests of a life with a mishap.
const REQUESTS_WITH_MISHAP: usize = 40;
/// Where files are in memory, if the host has it: the disk is made up anyway.
const IN_MEMORY: &str = "/dev/shm";

/// What is tried with one seed.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides what is asked, with which levers, and what crashes leave.
    pub seed: u64,
    /// Requests of each life.
    pub requests: usize,
    /// Whether the disk keeps its word.
    pub word: Word,
    /// Whether the log syncs at all.
    pub fsync: Fsync,
}

/// How closely lives are looked at, and how long.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// Crashes are tried at one in so many moments, and at the last.
    pub every: usize,
    /// Told after each moment on how many more leftovers a member was started; false calls the rest off.
    pub goes_on: &'a (dyn Fn(u64) -> bool + Sync),
}

impl Look<'_> {
    /// At every moment, to the end.
    pub const WHOLE: Look<'static> = Look { every: 1, goes_on: &|_| true };
}

/// What came of a seed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explored {
    /// Lives.
    pub lives: u64,
    /// Requests that were answered in them.
    pub answered: u64,
    /// What was tried.
    pub tally: Tally,
}

/// A folder in memory, or else with other temporary files.
fn scratch() -> Result<tempfile::TempDir, NodeError> {
    let parent = Some(PathBuf::from(IN_MEMORY)).filter(|path| path.is_dir());
    let parent = parent.unwrap_or_else(std::env::temp_dir);
    let io =
        |source| NodeError::Folder(crate::node::FolderError::Io { path: parent.clone(), source });
    tempfile::Builder::new().prefix("kvbench-crashes-").tempdir_in(&parent).map_err(io)
}

/// Lives and crashes of one seed.
pub fn explore(plan: &Plan, look: Look<'_>) -> Result<Explored, NodeError> {
    let scratch = scratch()?;
    let (lived, judged) = (scratch.path().join("lived"), scratch.path().join("judged"));
    let seed = Seed(plan.seed);
    let way = Way::of(seed, plan.requests, plan.fsync);
    let mut judge = Judge::new(judged, way.config);
    let mut script = Script::first(seed, &way);
    let mut explored = Explored::default();
    for number in 1..=LIVES {
        let seed = seed.child("life", number);
        let life = script.live(&way, Trouble::none(Clock::start()), &lived)?;
        explored.lives += 1;
        explored.answered += life.answered;
        let mut explorer = Explorer::new(&script, &mut judge, plan.word, seed);
        explorer.label = format!("seed {}, life {number}", plan.seed);
        let start = explorer.explore(&life, look)?;
        explored.tally.add(&explorer.tally);
        explored.tally.add(&of_life(&life, &format!("seed {}, life {number}", plan.seed)));
        match start {
            Some((left, executed)) => script = script.next(left, executed, seed, &way),
            None => break,
        }
    }
    Ok(explored)
}

/// What was wrong with a life itself, on a disk that had no mishap.
fn of_life(life: &life::Life, label: &str) -> Tally {
    let mut words: Vec<String> = life.violations.clone();
    words.extend(life.did_not_start.iter().map(|why| format!("it did not start: {why}")));
    words.extend(life.stopped.then(|| "it gave up".to_owned()));
    let violations: Vec<String> = words.iter().map(|words| format!("{label}: {words}")).collect();
    Tally { wrong: violations.len() as u64, violations, ..Tally::default() }
}

/// What came of a mishap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survived {
    /// Which.
    pub mishap: Mishap,
    /// Whether it happened.
    pub happened: bool,
    /// Whether the member gave up, or did not even start.
    pub stopped: bool,
    /// Requests that were answered.
    pub answered: u64,
    /// What was tried after it.
    pub tally: Tally,
}

/// A life on a disk that has `mishap` when it was asked so often for what that concerns, and crashes at every moment of it.
pub fn survive(
    seed: u64,
    mishap: Mishap,
    after: u64,
    look: Look<'_>,
) -> Result<Survived, NodeError> {
    let scratch = scratch()?;
    let (lived, judged) = (scratch.path().join("lived"), scratch.path().join("judged"));
    let way = Way::of(Seed(seed), REQUESTS_WITH_MISHAP, Fsync::Real);
    let script = Script::first(Seed(seed), &way);
    let life = script.live(&way, Trouble::of(mishap, after, Clock::start()), &lived)?;
    let label = format!("seed {seed}, {} after {after}", mishap.name());
    let mut judge = Judge::new(judged, way.config);
    let mut explorer = Explorer::new(&script, &mut judge, Word::Kept, Seed(seed));
    explorer.label = label;
    explorer.turns_bits = false;
    explorer.explore(&life, look)?;
    Ok(Survived {
        mishap,
        happened: life.mishap_happened,
        stopped: life.stopped || life.did_not_start.is_some(),
        answered: life.answered,
        tally: explorer.tally,
    })
}
