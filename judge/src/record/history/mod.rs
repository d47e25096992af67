//! Results over time: a file that only grows, `history.ndjson`, with one line for each run of a scenario and one for each
//! level that somebody accepted. A line holds what later runs are held against, every trial of every metric that is judged;
//! no histogram, no stage, no picture. Those stay in the bundle, which nobody has to keep.
//!
//! A file may come from anywhere: what is read is checked against the limits and rules here, and what is wrong is told with its
//! line. Names in it are text, and may be hostile.

mod store;

pub use store::{Added, HISTORY, History, HistoryError, Store, Torn};

use super::contrast::ContrastUnit;
use super::{Host, NOT_VISIBLE, Run, ScenarioText};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of a line's layout; newer ones are refused. Fields that may be absent are added without a new one.
pub const HISTORY_SCHEMA: u32 = 1;

/// Memory differs by a few pages from boot to boot.
const MEMORY_STEP_BYTES: u64 = 256 << 20;

/// Bytes of a hash that are kept, as twice as many hexadecimal digits.
const HASH_BYTES: usize = 8;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Line {
    /// One run of one scenario.
    Run(RunLine),
    /// A level that was accepted.
    Bless(Bless),
}

/// What must be equal for two runs to be points of one series.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Conditions {
    /// Name of the scenario.
    pub scenario: String,
    /// [`scenario_hash`] of its text.
    pub scenario_hash: String,
    /// [`machine_key`] of where it ran.
    pub machine_key: String,
    /// Version of how it was measured.
    pub method: u32,
    /// Whether `--quick` shortened the plan.
    pub quick: bool,
    /// Whether system calls were counted, which slows each of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counts_syscalls: bool,
    /// Cargo profile of the program.
    pub profile: String,
    /// Machines that offered the load; 0 if the one measured did.
    pub agents: u32,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunLine {
    /// [`HISTORY_SCHEMA`].
    pub schema: u32,
    /// [`run_id`]: equal for the same run alone, wherever its bundle lies.
    pub id: String,
    /// Start of the run, UTC, `YYYY-MM-DDTHH:MM:SSZ`.
    pub started_at: String,
    /// Git revision of what ran.
    pub revision: String,
    /// Whether the source differed from its revision; absent if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty: Option<bool>,
    /// Version of kvbench that measured.
    pub kvbench_version: String,
    /// How fit machine and program were, `A` to `D`.
    pub grade: String,
    /// False if the run was interrupted: only finished trials are in it.
    pub complete: bool,
    /// What it may be held against.
    pub conditions: Conditions,
    /// One per arm and metric, arms in the order of the ladder.
    pub cells: Vec<HistoryCell>,
}

/// One metric of one arm, trial by trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryCell {
    /// Name of the arm.
    pub arm: String,
    /// `phase.measure@clients`, as in targets.
    pub metric: String,
    /// Of the values.
    pub unit: ContrastUnit,
    /// Which way is good.
    pub higher_is_better: bool,
    /// One per trial, in the order they ran, A/A left out; finite and above zero. None if `invalid`.
    pub values: Vec<f64>,
    /// Why there are no values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid: Option<String>,
}

/// That the level of a series is accepted from a run on, whatever it was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bless {
    /// [`HISTORY_SCHEMA`].
    pub schema: u32,
    /// The series.
    pub series: SeriesName,
    /// [`RunLine::id`] of the first run of the level.
    pub since: String,
    /// Why; never empty.
    pub why: String,
}

/// One metric of one arm under the same conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesName {
    /// What is equal for all of its runs.
    pub conditions: Conditions,
    /// Name of the arm.
    pub arm: String,
    /// `phase.measure@clients`.
    pub metric: String,
}

impl Conditions {
    /// Those of a run.
    pub fn of(run: &Run) -> Conditions {
        Conditions {
            scenario: run.scenario.name.clone(),
            scenario_hash: scenario_hash(&run.scenario),
            machine_key: machine_key(&run.host),
            method: run.method,
            quick: run.quick,
            counts_syscalls: run.counts_syscalls,
            profile: run.build.profile.clone(),
            agents: u32::try_from(run.agents.len()).unwrap_or(u32::MAX),
        }
    }
}

/// First 16 hexadecimal digits of the SHA-256 of a scenario's text: another question has another one.
pub fn scenario_hash(scenario: &ScenarioText) -> String {
    hex(Sha256::digest(&scenario.text))
}

/// The key of the machine as the record has it, or `facts-` and a hash of the facts that go into one, in records of versions that
/// had no key: machines that are not known to look alike are not taken for one.
pub fn machine_key(host: &Host) -> String {
    let key = &host.details.machine_key;
    if key != NOT_VISIBLE {
        return key.clone();
    }
    let memory = (host.memory_bytes + MEMORY_STEP_BYTES / 2) / MEMORY_STEP_BYTES;
    let (cores, memory) = (host.cores.to_string(), memory.to_string());
    let facts = [
        &host.cpu,
        &cores,
        &memory,
        &host.kernel,
        &host.hypervisor,
        &host.clocksource,
        &host.governor,
        &host.filesystem,
    ];
    format!("facts-{}", hex(Sha256::digest(facts.map(String::as_str).join("\n"))))
}

/// First 16 hexadecimal digits of the SHA-256 of what tells runs apart: when, what, where, and when each of its trials began.
/// Fields that later versions add to records do not change it.
pub fn run_id(run: &Run) -> String {
    let mut hash = Sha256::new();
    let texts =
        [&run.started_at, &run.scenario.name, &run.build.revision, &run.host.details.machine_key];
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.update(scenario_hash(&run.scenario));
    hash.update(run.elapsed_s.to_le_bytes());
    for trial in &run.trials {
        hash.update(trial.started_s.to_le_bytes());
    }
    hex(hash.finalize())
}

fn hex(hash: impl IntoIterator<Item = u8>) -> String {
    hash.into_iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether `text` is `YYYY-MM-DDTHH:MM:SSZ`: runs are put in order by it.
pub fn is_utc_time(text: &str) -> bool {
    let form = b"dddd-dd-ddTdd:dd:ddZ";
    text.len() == form.len()
        && text.bytes().zip(form).all(|(byte, form)| match form {
            b'd' => byte.is_ascii_digit(),
            other => byte == *other,
        })
}

impl Line {
    /// As it stands in the file, with its line end.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec(self)?;
        json.push(b'\n');
        Ok(json)
    }

    /// What is wrong with it, if anything is. Lower case, no full stop.
    pub fn problem(&self) -> Option<String> {
        match self {
            Line::Run(run) => run.problem(),
            Line::Bless(bless) => {
                bless.why.trim().is_empty().then(|| "a bless has no reason".to_owned())
            }
        }
    }
}

impl RunLine {
    fn problem(&self) -> Option<String> {
        if !is_utc_time(&self.started_at) {
            return Some("started_at is no time such as 2026-11-03T14:12:00Z".to_owned());
        }
        let is_number = |value: &f64| value.is_finite() && *value > 0.0;
        self.cells.iter().find_map(|cell| {
            let about = |what: &str| {
                Some(format!("metric \"{}\" of arm \"{}\" {what}", cell.metric, cell.arm))
            };
            match cell.invalid.is_some() {
                true if !cell.values.is_empty() => about("is invalid and has values"),
                false if cell.values.is_empty() => about("has neither values nor a reason"),
                _ if !cell.values.iter().all(is_number) => {
                    about("has a value that is not above zero")
                }
                _ => None,
            }
        })
    }

    /// The metric of an arm, if this run has it.
    pub fn cell(&self, arm: &str, metric: &str) -> Option<&HistoryCell> {
        self.cells.iter().find(|cell| cell.arm == arm && cell.metric == metric)
    }
}
