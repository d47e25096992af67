//! The run file: everything measured, as raw trials, and enough about host, build and scenario to judge it.
//! Reports are rebuilt from this alone. It holds data, no opinions: ratios and verdicts live in `compare`.

pub mod bundle;
mod host;
pub mod scoreboard;
mod surroundings;

pub use host::{
    BuildDetails, Checkup, ClockProbe, DiskProbe, Finding, HostDetails, HostProbes, Limit,
    NOT_VISIBLE, SamplerProbe, Tool, WakeProbe,
};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
pub use surroundings::{BlockHost, Disturbance, HostSpan};

/// Version of this layout; readers refuse others.
pub const SCHEMA: u32 = 1;

/// One run of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Layout version, [`SCHEMA`].
    pub schema: u32,
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
    /// What was asked.
    pub scenario: ScenarioText,
    /// Where it ran.
    pub host: Host,
    /// What ran.
    pub build: Build,
    /// The configurations, in ladder order: first = before, last = after.
    pub arms: Vec<Arm>,
    /// What was expected.
    pub targets: Vec<Target>,
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

/// The question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioText {
    /// Name from the file.
    pub name: String,
    /// The question in words.
    pub analysis: String,
    /// Path as given on the command line.
    pub path: String,
    /// The whole file, after `--set`.
    pub text: String,
    /// One line on the workload, e.g. `PUT 16 B / 256 B`.
    pub workload: String,
    /// Root of all randomness.
    pub seed: u64,
}

/// The machine. Unknown facts are "not visible".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// CPU model name.
    pub cpu: String,
    /// Logical cores this process may use.
    pub cores: u32,
    /// Hypervisor flag or vendor.
    pub hypervisor: String,
    /// Kernel release.
    pub kernel: String,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Frequency governor of CPU 0.
    pub governor: String,
    /// Kernel clock source.
    pub clocksource: String,
    /// File system type under the data folders.
    pub filesystem: String,
    /// Where the data folders were.
    pub data_folder: String,
    /// Median of probe fdatasyncs of 4 KiB appends there, ns.
    pub fdatasync_p50_ns: u64,
    /// 99th percentile of the same, ns.
    pub fdatasync_p99_ns: u64,
    /// 1-minute load average when the run began.
    pub load_average: f64,
    /// The rest of it; nothing is visible in records of versions that did not look.
    #[serde(default)]
    pub details: HostDetails,
}

/// A machine that offered load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentHost {
    /// Where its agent listened, `host:port`.
    pub address: String,
    /// What it calls itself.
    pub host: String,
    /// Logical cores its agent could use.
    pub cores: u32,
    /// Kernel release.
    pub kernel: String,
}

/// A block that does not count, since something outside the system under test failed or disturbed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// The program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Build {
    /// Git revision of the source, short; `unknown` outside a repository.
    pub revision: String,
    /// Cargo profile: release or debug.
    pub profile: String,
    /// Compiler version.
    pub rustc: String,
    /// How it was compiled; nothing is visible in records of versions that did not look.
    #[serde(default)]
    pub details: BuildDetails,
}

/// One configuration under comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// `before`, `rung-1`, …, `after`.
    pub name: String,
    /// The lever moved since the arm before it; empty for the first.
    pub lever: String,
    /// Every lever with its value.
    pub levers: BTreeMap<String, String>,
}

/// One expectation: of the ratio after / before, of one arm's own value, or of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its name.
    pub id: String,
    /// The claim it decides, in a line; empty if it decides nobody's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub claim: String,
    /// `phase.measure@clients` or `phase.op.measure@clients`; empty for a check.
    pub metric: String,
    /// `>= 10`, `<= 0.1` or `2 .. 5`, with a unit if it bounds a value; empty for a check.
    pub bound: String,
    /// The arm whose own value is bounded; absent for a ratio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<String>,
    /// The check that has to pass, in place of a metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
}

/// How many pairs were planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Blocks at least.
    pub pairs_min: u32,
    /// Blocks at most.
    pub pairs_max: u32,
    /// Half-width (fraction of the ratio) at which no more pairs were added.
    pub precision: f64,
    /// Whether the scenario demanded that precision.
    pub precision_required: bool,
    /// What was to happen to a disturbed block: `retry`, `keep` or `abort`; empty in records of versions that did not look.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub on_disturbed: String,
}

/// One fresh start of one arm: the unit of replication.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Which block; one trial of each arm shares it.
    pub block: u32,
    /// Name of the arm.
    pub arm: String,
    /// True for the second trial of an arm in a block, used only against the first (A/A).
    pub aa: bool,
    /// Since the run began, seconds.
    pub started_s: f64,
    /// Start of node and folder, and putting the keys that are there from the start, seconds.
    pub prepare_s: f64,
    /// What sharing a batch among apply workers was found to cost when the store was opened; none with one worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
    /// What was measured, one per phase and client count, in the order it ran.
    pub cells: Vec<Cell>,
    /// State of the store when the load had stopped.
    pub end: TrialEnd,
}

/// What sharing a batch among apply workers costs on this host.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sharing {
    /// Evaluating one request, as the engine is known to take, ns.
    pub evaluate_ns: f64,
    /// Handing one request to the workers, ns.
    pub dispatch_ns: f64,
    /// Until a worker that sleeps has begun, ns.
    pub wake_ns: f64,
    /// Requests from which a batch is shared.
    pub parallel_from: u32,
}

/// The store after a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialEnd {
    /// Main revision.
    pub revision: i64,
    /// Keys present.
    pub keys: u64,
    /// 128-bit state hash, hexadecimal.
    pub state_hash: String,
    /// The same of every member of the group, the one that answered first; all of what it had committed was applied in each.
    #[serde(default)]
    pub members: Vec<String>,
    /// Writes acknowledged to clients over the whole trial.
    pub writes_acked: u64,
    /// Those of them that changed something and so used up a revision each.
    pub changes_acked: u64,
    /// Leases revoked; each may have used up one revision more, which no answer tells.
    #[serde(default)]
    pub revokes_acked: u64,
    /// The accounts, if the scenario asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<Bank>,
    /// The versions of the keys, if the scenario asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Versions>,
    /// The leases, if the scenario asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leases: Option<LeasesFound>,
    /// What the log gave back to a node started on it again, if that was tried.
    pub replayed: Option<Replayed>,
}

/// What all accounts held after a trial of transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bank {
    /// Accounts there should be.
    pub accounts: u64,
    /// Accounts that were there and held a balance.
    pub found: u64,
    /// Money there should be.
    pub money: u64,
    /// Money in them all.
    pub sum: u64,
}

/// The versions of all keys after a trial that only put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Keys that were there.
    pub keys: u64,
    /// Their versions added up: how often all of them were put.
    pub sum: u64,
    /// Keys whose version or revisions cannot be: a creation after the last change, or a last change that another key has too.
    pub wrong: u64,
    /// The newest of the last changes.
    pub newest: i64,
}

/// Leases after a trial, seen from the leases and from the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeasesFound {
    /// Leases that were there.
    pub leases: u64,
    /// Keys that hang on a lease, as the keys say.
    pub attached: u64,
    /// Keys of which only the lease or only the key says so.
    pub wrong: u64,
}

/// The store of a node that was started again on the log of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replayed {
    /// Main revision.
    pub revision: i64,
    /// 128-bit state hash, hexadecimal.
    pub state_hash: String,
}

/// One measurement: one phase at one client count in one trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Phase name.
    pub phase: String,
    /// Closed-loop clients; in an open load the streams that operations were taken from.
    pub clients: u32,
    /// Which of the block's trials was measured at this cell before it: 0 is the first, as drawn from the seed.
    pub position: u32,
    /// Begin of the measured span, since the run began, seconds.
    pub started_s: f64,
    /// Measured span, seconds (real, not planned).
    pub elapsed_s: f64,
    /// Operations finished within the span.
    pub ops: u64,
    /// Operations that got an error.
    pub errors: u64,
    /// `ops / elapsed_s`.
    pub throughput_per_s: f64,
    /// Service times: from sent to done.
    pub service: Latency,
    /// What was due, and how long it took from then; absent in a closed loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<OpenCell>,
    /// What a search found; then all else here is of the highest rate that met its condition, or of the lowest tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchCell>,
    /// Each kind of operation by itself; empty in records of versions that did not tell them apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_op: Vec<OpCell>,
    /// The span in slots; absent in records of versions that did not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<SeriesCell>,
    /// What watchers got meanwhile; absent if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<WatchCell>,
    /// Sum of service times over elapsed time: mean requests in flight (Little's law checks it against `clients`, or
    /// in an open load against the count of those under way).
    pub in_flight_mean: f64,
    /// Sum of the clients' pauses over elapsed time: mean clients that think.
    #[serde(default)]
    pub thinking_mean: f64,
    /// Mean ns per op and stage, in pipeline order; empty if instruments were off or the layer has none.
    pub stages: Vec<StageMean>,
    /// Counts of the pipeline over the span.
    pub counters: Counters,
    /// Named locks over the span.
    pub locks: Vec<LockUse>,
    /// Most requests that were found under execution in the store at once, of those that looked; absent where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appliers_max: Option<u32>,
    /// CPU time by thread role over the span.
    pub cpu: Vec<RoleCpu>,
    /// Threads that offered load.
    pub load_threads: u32,
    /// What else happened on the machine over the span; absent in records of versions that did not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostUse>,
    /// What each agent did; empty without agents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentCell>,
}

/// An open load: what was due within the span, whenever it was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenCell {
    /// `poisson` or `constant`.
    pub arrival: String,
    /// `steps` or `ramp`.
    pub course: String,
    /// The rates of that course, operations per second.
    pub rates_per_s: Vec<f64>,
    /// Operations due.
    pub scheduled: u64,
    /// Those of them that were not answered when the span ended.
    pub unfinished: u64,
    /// Those of them that were never sent: as many as may be were still under way when the span ended.
    pub unsent: u64,
    /// From the intended send time to the answer.
    pub response: Latency,
    /// From the intended to the real send time, of those that did not wait for room.
    pub lag: Lag,
    /// Mean number of operations under way, counted.
    pub in_flight_counted: f64,
}

/// How late operations were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// Median, ns.
    pub p50_ns: u64,
    /// 99th percentile, ns.
    pub p99_ns: u64,
    /// Largest, ns.
    pub max_ns: u64,
}

/// Share of what was due that may be unanswered at the end of the span before the system did not keep up.
const UNFINISHED_MAX: f64 = 0.05;
/// So many may be unanswered in any case: short spans at low rates end while something is under way.
const UNFINISHED_ALWAYS: u64 = 10;

impl OpenCell {
    /// Operations due per second, over the mean of the course.
    pub fn offered_per_s(&self) -> f64 {
        let rates = &self.rates_per_s;
        match (self.course.as_str(), rates.as_slice()) {
            ("ramp", [_, .., _]) => {
                let middle = |two: &[f64]| (two[0] + two[1]) / 2.0;
                rates.windows(2).map(middle).sum::<f64>() / (rates.len() - 1) as f64
            }
            _ => rates.iter().sum::<f64>() / rates.len().max(1) as f64,
        }
    }

    /// Share of what was due that was answered within the span, 0..=1.
    pub fn achieved(&self) -> f64 {
        1.0 - self.unfinished as f64 / self.scheduled.max(1) as f64
    }

    /// Whether the system kept up: all was sent, and what was still under way at the end is no growing queue.
    pub fn is_sustained(&self) -> bool {
        let allowed = (self.scheduled as f64 * UNFINISHED_MAX) as u64;
        self.unsent == 0 && self.unfinished <= allowed.max(UNFINISHED_ALWAYS)
    }
}

/// A search for the highest rate that meets a condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchCell {
    /// `p99 <= 5ms`.
    pub condition: String,
    /// That rate, operations per second; absent if not even the lowest met it.
    pub found_per_s: Option<f64>,
    /// Highest rate that could have been found.
    pub highest_per_s: f64,
    /// What was tried, in this order.
    pub probes: Vec<SearchProbe>,
}

/// One rate that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchProbe {
    /// Operations per second.
    pub rate_per_s: f64,
    /// Share of what was due that was answered within the span.
    pub achieved: f64,
    /// The percentile that the condition bounds, ns.
    pub latency_ns: u64,
    /// Whether the system kept up and met the condition.
    pub held: bool,
}

/// A span in slots of equal length, from its begin on; the last one may be cut short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesCell {
    /// Length of a slot, seconds.
    pub slot_s: f64,
    /// Operations that ended in each.
    pub done: Vec<u64>,
    /// 99th percentile of the latency of those that were fired in each, ns, to one digit; 0 if none was.
    pub p99_ns: Vec<u64>,
}

/// What happened on the machine beside a measurement. What could not be seen is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostUse {
    /// Cores kept busy by processes that do not belong to the run, and by the kernel; absent with agents, some of which may be here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_cores: Option<f64>,
    /// Cores' worth of time that the hypervisor gave to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stolen_cores: Option<f64>,
    /// Share of the span in which some task was ready and had no CPU, 0..=1 (PSI).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_pressure: Option<f64>,
    /// Share of the span in which some task waited for input or output, 0..=1 (PSI).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_pressure: Option<f64>,
}

impl HostUse {
    /// Cores that others kept busy or that the hypervisor gave away, as far as either can be seen.
    pub fn disturbance(&self) -> Option<f64> {
        let known = [self.foreign_cores, self.stolen_cores];
        known.into_iter().flatten().reduce(|sum, cores| sum + cores)
    }
}

/// What one agent did in one measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentCell {
    /// Which, `host:port`.
    pub address: String,
    /// Clients it ran.
    pub clients: u32,
    /// Operations finished within its span.
    pub ops: u64,
    /// CPU time of its load threads, ns.
    pub cpu_ns: u64,
    /// How long after the common instant its span began, on its own clock, ns.
    pub late_ns: u64,
    /// How well its clock is known from here, ns: half of the shortest round trip, the worse of before and after.
    pub clock_error_ns: u64,
    /// How far its clock went from the one here between before and after, ns.
    pub clock_drift_ns: i64,
}

impl Cell {
    /// Share of the load threads' time that they were on a CPU, 0..=1.
    pub fn load_share(&self) -> f64 {
        let load = self.cpu.iter().filter(|role| role.role == "load");
        let used: u64 = load.map(|role| role.cpu_ns).sum();
        used as f64 / (self.elapsed_s * 1e9 * f64::from(self.load_threads))
    }

    /// `saturate@50`, or `paced` where the load is open: as metrics name it.
    pub fn place(&self) -> String {
        match self.open {
            Some(_) => self.phase.clone(),
            None => format!("{}@{}", self.phase, self.clients),
        }
    }

    /// What a client waits for: from the intended send time in an open load, the service time in a closed loop.
    pub fn latency(&self) -> &Latency {
        self.open.as_ref().map_or(&self.service, |open| &open.response)
    }

    /// Whether the system kept up with the load; a closed loop waits for it.
    pub fn is_sustained(&self) -> bool {
        self.open.as_ref().is_none_or(OpenCell::is_sustained)
    }

    /// Share of the load threads' time that they were ready and had no CPU, 0..=1.
    pub fn load_wait(&self) -> f64 {
        let load = self.cpu.iter().filter(|role| role.role == "load");
        let waited: u64 = load.map(|role| role.runqueue_ns).sum();
        waited as f64 / (self.elapsed_s * 1e9 * f64::from(self.load_threads))
    }

    /// Relative gap between the mean number in flight (rate × time) and the clients that do not think, or in an open load
    /// the count of operations under way; Little 1961.
    pub fn littles_gap(&self) -> f64 {
        let counted = match &self.open {
            Some(open) => open.in_flight_counted,
            None => f64::from(self.clients) - self.thinking_mean,
        };
        (self.in_flight_mean / counted - 1.0).abs()
    }

    /// By how much of the span the worst agent may have measured another one: it began late, and its clock is known only so
    /// well. Zero without agents.
    pub fn out_of_step(&self) -> f64 {
        let off = |agent: &AgentCell| {
            agent.late_ns + agent.clock_error_ns + agent.clock_drift_ns.unsigned_abs()
        };
        self.agents.iter().map(off).max().unwrap_or(0) as f64 / (self.elapsed_s * 1e9)
    }

    /// Relative gap between the sum of the stages and the mean service time; zero without stages.
    pub fn stage_gap(&self) -> f64 {
        let sum: f64 = self.stages.iter().map(|stage| stage.mean_ns).sum();
        if self.stages.is_empty() { 0.0 } else { (sum / self.service.mean_ns - 1.0).abs() }
    }
}

/// One kind of operation within a measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpCell {
    /// `put`, `get`, `range`, `delete`, `delete_range`, `txn`, `transfer`, `lease_grant`, `lease_revoke`.
    pub op: String,
    /// Operations finished within the span; in an open load those due within it.
    pub ops: u64,
    /// `ops / elapsed_s`.
    pub throughput_per_s: f64,
    /// Service times in a closed loop, from the intended send time in an open load.
    pub service: Latency,
}

/// What the watchers of a measurement got. They watch the whole key space from before the warm-up on until each was given
/// everything; the rate is of the measured span, the rest of that whole time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchCell {
    /// Watchers.
    pub watchers: u32,
    /// Events given to all of them within the measured span.
    pub events: u64,
    /// `events / elapsed_s`.
    pub events_per_s: f64,
    /// Times one was too slow for its buffer and went back to the history, or was resumed after a compaction.
    pub resyncs: u64,
    /// From the end of the load until the last of them had everything, seconds.
    pub lag_s: f64,
    /// Revisions there were for them, counted once for each watcher.
    pub due: u64,
    /// Those of them that were given, each counted once however often it came.
    pub revisions: u64,
    /// Those of them that a compaction took before a slow watcher had read them, as that watcher was told.
    pub compacted: u64,
    /// Times a revision came again, out of order, or with its events not all together and in theirs.
    pub misplaced: u64,
}

/// A latency distribution, summarised; the whole histogram is in `histogram`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Observations.
    pub count: u64,
    /// Mean, ns.
    pub mean_ns: f64,
    /// Median, ns.
    pub p50_ns: u64,
    /// 90th percentile, ns.
    pub p90_ns: u64,
    /// 99th percentile, ns.
    pub p99_ns: u64,
    /// 99.9th percentile, ns.
    pub p999_ns: u64,
    /// Largest, ns.
    pub max_ns: u64,
    /// HdrHistogram V2 compressed, base64 (`HISTFAAA…`), values in ns.
    pub histogram: String,
}

/// Mean time in one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageMean {
    /// `queue`, `propose`, `append`, `fsync`, `replicate`, `commit`, `apply_wait`, `apply`, `respond`.
    pub stage: String,
    /// Mean ns per operation.
    pub mean_ns: f64,
}

/// What the pipeline did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Syncs of the log.
    pub fsyncs: u64,
    /// Time in them, ns.
    pub fsync_ns: u64,
    /// Ready rounds that had entries.
    pub readies: u64,
    /// Log entries appended.
    pub entries: u64,
    /// Requests within those entries.
    pub requests: u64,
    /// Calls of the apply path.
    pub apply_batches: u64,
    /// Bytes written to the log.
    pub log_bytes: u64,
}

/// One named lock, or family of locks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LockUse {
    /// `store`, `inbox`.
    pub name: String,
    /// How many locks share the name.
    pub locks: u32,
    /// Times taken.
    pub acquisitions: u64,
    /// Times somebody else held it.
    pub contended: u64,
    /// Time waited for it, ns.
    pub wait_ns: u64,
    /// Time it was held, ns.
    pub hold_ns: u64,
}

/// CPU used by the threads of one role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleCpu {
    /// `load`, `raft`, `apply`, `watch`, `other`.
    pub role: String,
    /// On CPU, ns.
    pub cpu_ns: u64,
    /// Runnable but waiting for a CPU, ns.
    pub runqueue_ns: u64,
}

/// One yes-or-no question about answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// `same-state`, `acked-writes-survive`, …
    pub id: String,
    /// Whether it held.
    pub passed: bool,
    /// One line of evidence.
    pub detail: String,
}

/// One sampling profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
}

/// A circumstance a reader must know, as data; the renderer words it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Warning {
    /// Not a release build: numbers mean little.
    DebugBuild,
    /// The log was not really synced in this arm.
    FsyncNotReal {
        /// Which arm.
        arm: String,
        /// Its `fsync` lever.
        fsync: String,
    },
    /// The load generator used most of its cores: it may be the bottleneck.
    LoadGeneratorBusy {
        /// Which arm.
        arm: String,
        /// `phase@clients`.
        cell: String,
        /// Share of its threads' time, 0..=1.
        share: f64,
    },
    /// The system did not keep up with an open load: latencies grew as long as it lasted.
    Unsustained {
        /// Which arm.
        arm: String,
        /// The phase.
        cell: String,
        /// In how many trials.
        trials: u32,
        /// Of how many.
        of: u32,
        /// Operations due per second, the median over trials.
        offered_per_s: f64,
        /// Share of them that was answered in time, the least over trials.
        achieved: f64,
    },
    /// Operations of an open load were sent late, so their latency is partly the generator's.
    SendLag {
        /// Which arm.
        arm: String,
        /// The phase.
        cell: String,
        /// The 99th percentile, ns.
        p99_ns: f64,
    },
    /// The load generator was ready and had no CPU for a part of its threads' time.
    LoadWaited {
        /// Which arm.
        arm: String,
        /// `phase@clients`.
        cell: String,
        /// Share of its threads' time, 0..=1.
        share: f64,
    },
    /// Rate times latency does not give the client count.
    LittlesLaw {
        /// Which arm.
        arm: String,
        /// `phase@clients`.
        cell: String,
        /// Relative gap, fraction.
        gap: f64,
    },
    /// Stage sums and end-to-end time differ by more than 2 %.
    StageGap {
        /// Which arm.
        arm: String,
        /// `phase@clients`.
        cell: String,
        /// Relative gap, fraction.
        gap: f64,
    },
    /// Agents did not measure the same span.
    AgentsOutOfStep {
        /// Which arm.
        arm: String,
        /// `phase@clients`.
        cell: String,
        /// By how much of the span the worst of them may have been off, fraction.
        gap: f64,
    },
    /// Blocks were given up and run again.
    BlocksVoided {
        /// How many.
        blocks: u32,
        /// Why the first was.
        reason: String,
    },
    /// Blocks were measured again, since the host was disturbed.
    BlocksRepeated {
        /// How many of them.
        blocks: u32,
        /// Blocks that were measured.
        of: u32,
        /// How often in all; a block may be measured again more than once.
        repeats: u32,
        /// What disturbed the first.
        reason: String,
    },
    /// Blocks count although the host was disturbed.
    BlocksDisturbed {
        /// How many.
        blocks: u32,
        /// Blocks that were measured.
        of: u32,
        /// Whether the scenario asked to keep them; else measuring again was used up.
        asked: bool,
        /// What disturbed the first.
        reason: String,
    },
    /// The profile could not be taken.
    NoProfile {
        /// Why.
        reason: String,
    },
    /// The log was on a file system that does not reach a disk, so syncs mean nothing.
    NoDisk {
        /// Its type.
        filesystem: String,
    },
    /// The run ended with a failure; only what was finished before is in it.
    Failed {
        /// What happened.
        reason: String,
    },
    /// Somebody else used the machine's CPUs meanwhile.
    Disturbed {
        /// Which arm.
        arm: String,
        /// `phase@clients`.
        cell: String,
        /// Cores that others kept busy, or that the hypervisor gave away.
        cores: f64,
        /// The same as a share of the machine, 0..=1.
        share: f64,
    },
    /// The log was on a file system that may keep, send or copy what is synced in its own way.
    DoubtfulDisk {
        /// Its type.
        filesystem: String,
    },
    /// The frequency governor keeps the clock low, and raises it late.
    SlowGovernor {
        /// Its name.
        governor: String,
    },
    /// Profiles were taken of a program without line tables, so frames have no module in front of them.
    BareFrames,
    /// Other work kept the host busy when the run began.
    BusyHost {
        /// 1-minute load average.
        load_average: f64,
    },
}
