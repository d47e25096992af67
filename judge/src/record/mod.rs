//! The run file: everything measured, as raw trials, and enough about host, build and scenario to judge it.
//! Reports are rebuilt from this alone. It holds data, no opinions: ratios and verdicts live in `compare`.

pub mod bundle;
mod cell;
pub mod contrast;
pub mod distribution;
pub mod gate;
pub mod history;
mod host;
mod lock_profile;
mod open;
mod pipeline;
mod question;
pub mod schema;
pub mod scoreboard;
mod surroundings;
pub mod trend;
mod trial;
pub mod verification;
mod warning;

pub use cell::{AgentCell, Cell, HostUse, Latency, OpCell, SeriesCell, WatchCell};
pub use host::{
    AgentHost, Build, BuildDetails, Checkup, ClockProbe, DiskProbe, Finding, Host, HostDetails,
    HostProbes, Limit, NOT_VISIBLE, SamplerProbe, Tool, WakeProbe,
};
pub use lock_profile::{LockProfile, LockSite, ProfiledLock, RoleTime, Spread};
pub use open::{Lag, OpenCell, SearchCell, SearchProbe};
pub use pipeline::{Allocations, Counters, LockUse, ProcessUse, RoleCpu, StageTime};
pub use question::{Arm, GatedMetric, Plan, ScenarioText, StepBothWays, Target};
pub use surroundings::{BlockHost, Disturbance, HostSpan};
pub use trial::{Bank, LeasesFound, Replayed, Sampled, Sharing, Trial, TrialEnd, Versions};
pub use warning::Warning;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of this layout; readers refuse others. Fields that may be absent are added without a new one.
pub const SCHEMA: u32 = 1;

/// Version of how it is measured. It rises when the same system would give other numbers: other spans, other clocks, other
/// defaults. Records of different ones are not compared.
pub const METHOD: u32 = 2;

/// One run of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "kvbench run file")]
pub struct Run {
    /// Layout version.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// Version of how it was measured; 0 in records of versions that did not count it.
    #[serde(default)]
    pub method: u32,
    /// Version of kvbench that wrote it.
    pub kvbench_version: String,
    /// Start of the run, UTC, `YYYY-MM-DDTHH:MM:SSZ`.
    pub started_at: String,
    /// Wall time of the whole run, seconds.
    pub elapsed_s: f64,
    /// False if the run was interrupted: only finished trials are in it.
    pub complete: bool,
    /// True if `--quick` shortened the plan.
    pub quick: bool,
    /// True if system calls were counted, which slows each of them; of all arms alike.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counts_syscalls: bool,
    /// What was asked.
    pub scenario: ScenarioText,
    /// Where it ran.
    pub host: Host,
    /// What ran.
    pub build: Build,
    /// The configurations, in ladder order: first = before, last = after.
    pub arms: Vec<Arm>,
    /// The steps of the ladder if they were measured both ways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub both_ways: Vec<StepBothWays>,
    /// What was expected.
    pub targets: Vec<Target>,
    /// What may not get worse from revision to revision; empty if the scenario says nothing of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GatedMetric>,
    /// How pairs were planned.
    pub plan: Plan,
    /// Machines that offered the load; empty if this one did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentHost>,
    /// Blocks that were given up and run again, with everything measured in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voided: Vec<Voided>,
    /// What the host did in each block that counts; empty in records of versions that did not look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlockHost>,
    /// Every finished trial, in the order it ran.
    pub trials: Vec<Trial>,
    /// Answers checked, not speed.
    pub checks: Vec<Check>,
    /// Sampling profiles, one per profiled arm; taken in trials of their own.
    pub profiles: Vec<Profile>,
    /// Who waited for which lock, one per profiled arm; taken in trials of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lock_profiles: Vec<LockProfile>,
    /// What threads left their CPUs for, one per profiled arm; taken in trials of their own, by `kvbench profile` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub off_cpu: Vec<OffCpuProfile>,
    /// Why that could not be recorded, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_cpu_absent: Option<String>,
    /// Circumstances a reader must know.
    pub warnings: Vec<Warning>,
}

impl Run {
    /// As it stands in a bundle: JSON, indented, with a line end.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }
}

/// A block that does not count, since something outside the system under test failed or disturbed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Voided {
    /// Which; it was run again.
    pub block: u32,
    /// What failed, or who disturbed.
    pub reason: String,
    /// What the host did meanwhile, which alone decided; absent if the block was not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<BlockHost>,
    /// Everything measured in it, for those who doubt that its result had no part in the decision; empty if it was not finished.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trials: Vec<Trial>,
}

/// One yes-or-no question about answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// `same-state`, `acked-writes-survive`, …
    pub id: String,
    /// Whether it held.
    pub passed: bool,
    /// Whether that could not be decided; then it has not passed, and nothing wrong was found.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undecided: bool,
    /// One line of evidence.
    pub detail: String,
}

impl Check {
    /// One that was decided.
    pub fn decided(id: &str, passed: bool, detail: String) -> Check {
        Check { id: id.to_owned(), passed, undecided: false, detail }
    }

    /// Whether an answer was wrong.
    pub fn is_wrong(&self) -> bool {
        !self.passed && !self.undecided
    }

    /// A sign for it: passed, undecided, wrong.
    pub fn mark(&self) -> char {
        match (self.passed, self.undecided) {
            (true, _) => '✔',
            (false, true) => '?',
            (false, false) => '✘',
        }
    }
}

/// One sampling profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    /// Which arm.
    pub arm: String,
    /// Client count it ran at.
    pub clients: u32,
    /// Profiled span, seconds.
    pub elapsed_s: f64,
    /// Operations finished in it.
    pub ops: u64,
    /// Samples taken.
    pub samples: u64,
    /// Samples per second asked for.
    pub frequency_hz: u32,
    /// CPU time of the process in it, ns.
    pub cpu_ns: u64,
    /// Bundle file with the folded stacks.
    pub folded_file: String,
    /// Bundle file with the flame graph.
    pub flame_file: String,
    /// Bundle file with the stacks as gzipped `profile.proto`; absent in records of versions that wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pprof_file: Option<String>,
}

/// What threads of one arm left their CPUs for, by every switch that the kernel's scheduler made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OffCpuProfile {
    /// Which arm.
    pub arm: String,
    /// Client count it ran at.
    pub clients: u32,
    /// Recorded span, seconds.
    pub elapsed_s: f64,
    /// Operations finished in it.
    pub ops: u64,
    /// Time that all threads of the program were off a CPU, ns, as far as they came back.
    pub off_cpu_ns: u64,
    /// Bundle file with the folded stacks, ns.
    pub folded_file: String,
    /// Bundle file with the flame graph.
    pub flame_file: String,
}
