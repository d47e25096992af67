//! What `kvbench verify` found, for programs: every history with its seed, and what was compared.

use super::{Build, Host};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of this layout.
pub const SCHEMA: u32 = 1;

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Version of this layout.
    pub schema: u32,
    /// Version of the program.
    pub kvbench_version: String,
    /// When it began, UTC, RFC 3339.
    pub started_at: String,
    /// How long it took, s; of all sittings together if it was resumed.
    pub elapsed_s: f64,
    /// Whether all that was planned was done.
    pub complete: bool,
    /// Sittings: more than one if it was resumed.
    pub sittings: u32,
    /// Where.
    pub host: Host,
    /// What.
    pub build: Build,
    /// Apply paths against the oracle; absent if that was not asked for.
    pub equivalence: Option<Equivalence>,
    /// Crashes and mishaps of a disk; absent if that was not asked for.
    pub crashes: Option<Crashes>,
    /// Faults that could not be made on this machine, and so are in no history.
    #[serde(default)]
    pub skipped: Vec<Skipped>,
    /// Simulated groups; absent if they were not asked for.
    #[serde(default)]
    pub simulation: Option<Simulation>,
    /// Histories under faults, in the order in which they were made.
    pub histories: Vec<HistoryRecord>,
}

/// A fault that could not be made here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its name.
    pub kind: String,
    /// What is missing.
    pub why: String,
}

/// Apply paths against the oracle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Equivalence {
    /// First seed.
    pub seed: u64,
    /// Logs, one a seed.
    pub logs: u64,
    /// Requests whose answers were compared, each store's counted.
    pub requests: u64,
    /// Batches after which the state was, each store's counted.
    pub batches: u64,
    /// How long it took, s.
    pub elapsed_s: f64,
    /// Differences, each with the shortest log found that shows it.
    pub differences: Vec<String>,
}

/// Members on disks that are watched: what crashes may leave of them, and disks that have mishaps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Crashes {
    /// First seed.
    pub seed: u64,
    /// Seeds, counted up.
    pub seeds: u64,
    /// Lives, each begun with what a crash of another one left.
    pub lives: u64,
    /// Requests that were answered in them.
    pub answered: u64,
    /// Moments at which a crash was tried.
    pub moments: u64,
    /// Leftovers on which a member was started, no two of a life the same, by what had become of unsynced bytes.
    pub images_by_kind: BTreeMap<String, u64>,
    /// Of those, how many lacked names.
    pub names_lost: u64,
    /// Bits turned in synced bytes that were found out at the start.
    pub flips_refused: u64,
    /// Those that were turned where nobody reads any more.
    pub flips_harmless: u64,
    /// Those in the last record of the log, which cannot be told from a torn write.
    pub flips_in_last: u64,
    /// Starts that were refused since a sector that was being written held anything.
    #[serde(default)]
    pub noise_refused: u64,
    /// Leftovers after which something acknowledged was lost.
    pub lost: u64,
    /// Leftovers of which anything else was made than should be.
    pub wrong: u64,
    /// Disks that had mishaps.
    pub mishaps: Vec<MishapRecord>,
    /// How long it took, s.
    pub elapsed_s: f64,
    /// What was wrong, in words.
    pub violations: Vec<String>,
}

impl Crashes {
    /// Leftovers of all kinds, those with turned bits included.
    pub fn images(&self) -> u64 {
        let flips = self.flips_refused + self.flips_harmless + self.flips_in_last;
        self.images_by_kind.values().sum::<u64>() + flips
    }
}

/// One kind of mishap of a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MishapRecord {
    /// Its name.
    pub kind: String,
    /// Lives that were to have it.
    pub tried: u64,
    /// Lives that had it.
    pub happened: u64,
    /// Lives that ended by it.
    pub stopped: u64,
    /// Leftovers on which a member was started.
    pub images: u64,
}

/// Simulated groups, one for each seed. Ticks are simulated milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Simulation {
    /// First seed.
    pub seed: u64,
    /// Seeds that were run.
    pub seeds: u64,
    /// Ticks for which things went wrong, for each.
    pub ticks_each: u64,
    /// Ticks of all together, those after things went wrong too.
    pub ticks: u64,
    /// Looks at a member, each with every invariant.
    pub looks: u64,
    /// Operations that clients sent.
    pub operations: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those of unknown outcome.
    pub unknown: u64,
    /// Entries that were committed.
    pub committed: u64,
    /// Terms in which somebody led.
    pub terms: u64,
    /// Messages that were sent.
    pub messages: u64,
    /// Images of the state that arrived.
    pub images: u64,
    /// Records of logs that crashes took, none of them synced.
    pub records_lost: u64,
    /// The most ticks from when all was well until somebody led.
    pub led_ticks_max: u64,
    /// The most until all had the same and answered again.
    pub equal_ticks_max: u64,
    /// Histories that the witness checker could not decide.
    pub undecided: u64,
    /// A hash of all that happened, hexadecimal: the same seeds have the same.
    pub trace: String,
    /// What went wrong on purpose.
    pub faults: Vec<FaultCount>,
    /// What did not hold.
    pub violations: Vec<SimulatedViolation>,
    /// How long it took, s.
    pub elapsed_s: f64,
}

/// How often a kind of fault came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultCount {
    /// Its name.
    pub kind: String,
    /// How often it was begun.
    pub asked: u64,
    /// How often it was seen to do something.
    pub happened: u64,
}

/// An invariant that did not hold in a simulation, with the smallest schedule found that shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulatedViolation {
    /// Makes it happen again.
    pub seed: u64,
    /// When it showed.
    pub tick: u64,
    /// The invariant.
    pub invariant: String,
    /// How it shows.
    pub words: String,
    /// The faults that it takes.
    pub faults: Vec<String>,
    /// Runs in search of a smaller schedule.
    pub tried: u64,
    /// The command that repeats it.
    pub again: String,
}

/// What is said of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// Nothing wrong was found, and everything was decided.
    Passed,
    /// Something is wrong.
    Violation,
    /// Nothing wrong was found; not everything could be decided.
    Undecided,
    /// Too little load, or faults that did not happen: it shows nothing.
    Void,
}

/// A history under faults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryRecord {
    /// Makes the same requests and faults again; when they meet is the host's doing.
    pub seed: u64,
    /// Which campaign it is of; records of earlier versions have nodes within the process only.
    #[serde(default = "within")]
    pub campaign: String,
    /// The path to the state, as in scenarios.
    pub path: String,
    /// What keeps the state.
    pub engine: String,
    /// Members.
    pub nodes: u64,
    /// Operations of any outcome.
    pub operations: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those of unknown outcome.
    pub unknown: u64,
    /// Those of them that were executed after all.
    pub unknown_executed: u64,
    /// Changes of the store.
    pub revisions: u64,
    /// Registers that were checked without a look at revisions.
    pub registers: u64,
    /// Operations on them.
    pub register_operations: u64,
    /// Registers for which the search was given up.
    pub registers_undecided: u64,
    /// Watchers.
    pub watchers: u64,
    /// Events that they were told.
    pub watched_events: u64,
    /// Times they went on where they were.
    pub watches_resumed: u64,
    /// Faults in the order in which they came.
    pub faults: Vec<FaultRecord>,
    /// From the end of the load until all members had the same, ms; absent if they never had.
    pub settled_ms: Option<f64>,
    /// How long the load lasted, s.
    pub elapsed_s: f64,
    /// Resident memory of this process after it, bytes; absent where that cannot be seen.
    pub resident_bytes: Option<u64>,
    /// Files that this process had open after it.
    pub open_files: Option<u64>,
    /// Threads of this process after it.
    pub threads: Option<u64>,
    /// What is said of it.
    pub finding: Finding,
    /// Why, unless it passed.
    pub why: Vec<String>,
}

/// A fault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Its name.
    pub kind: String,
    /// Whether it was seen to happen.
    pub happened: bool,
    /// What happened there, if its name is that of a site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// From when it struck until another member led, ms; absent if it did not take the leader away, or nobody looked.
    #[serde(default)]
    pub led_ms: Option<f64>,
    /// From when it struck until a write was acknowledged that was sent after it, ms.
    #[serde(default)]
    pub written_ms: Option<f64>,
    /// From its end until every member had what was committed by then, ms; absent if nobody looked.
    #[serde(default)]
    pub level_ms: Option<f64>,
}

/// How often a kind of fault was to happen, and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultTally {
    /// Times it was asked for.
    pub asked: u64,
    /// Times it was seen to happen.
    pub happened: u64,
}

/// The campaign of histories that do not say theirs.
fn within() -> String {
    "faults".to_owned()
}

/// How fast a group was itself again after faults, over many of them; ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recovery {
    /// How many were looked at.
    pub count: usize,
    /// Half of them took no longer.
    pub median_ms: f64,
    /// Ninety-nine of a hundred took no longer: the nearest rank, so of fewer than a hundred it is the longest.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Recovery {
    /// Of these times; nothing if there are none.
    pub fn of(times_ms: impl Iterator<Item = f64>) -> Option<Recovery> {
        let mut sorted: Vec<f64> = times_ms.collect();
        sorted.sort_by(f64::total_cmp);
        let rank = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).max(1) - 1);
        Some(Recovery {
            count: sorted.len(),
            median_ms: *rank(50)?,
            p99_ms: *rank(99)?,
            max_ms: *sorted.last()?,
        })
    }
}

impl Verification {
    /// The record as JSON, indented, with a line end.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }

    /// Reads one.
    pub fn from_json(json: &[u8]) -> Result<Verification, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// All faults by kind, ascending by name.
    pub fn faults_by_kind(&self) -> BTreeMap<&str, FaultTally> {
        let mut kinds: BTreeMap<&str, FaultTally> = BTreeMap::new();
        for fault in self.histories.iter().flat_map(|one| &one.faults) {
            let tally = kinds.entry(&fault.kind).or_default();
            tally.asked += 1;
            tally.happened += u64::from(fault.happened);
        }
        kinds
    }

    /// Whether anything is wrong.
    pub fn has_violation(&self) -> bool {
        let differs = self.equivalence.as_ref().is_some_and(|one| !one.differences.is_empty());
        let broken = self.crashes.as_ref().is_some_and(|one| !one.violations.is_empty());
        let breaks = self.simulation.as_ref().is_some_and(|one| !one.violations.is_empty());
        let is_wrong = |one: &HistoryRecord| one.finding == Finding::Violation;
        differs || broken || breaks || self.histories.iter().any(is_wrong)
    }

    /// Whether nothing is wrong and something shows nothing, or all that was asked for had to be skipped.
    pub fn is_open(&self) -> bool {
        let is_open =
            |one: &HistoryRecord| matches!(one.finding, Finding::Undecided | Finding::Void);
        let undecided = self.simulation.as_ref().is_some_and(|one| one.undecided > 0);
        let is_empty = self.histories.is_empty() && !self.skipped.is_empty();
        !self.has_violation() && (undecided || is_empty || self.histories.iter().any(is_open))
    }
}
