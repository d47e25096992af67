//! What was measured at one phase and client count of one trial, and what follows from it alone.

use super::{Allocations, Counters, LockUse, OpenCell, ProcessUse, RoleCpu, SearchCell, StageTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One measurement: one phase at one client count in one trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    pub stages: Vec<StageTime>,
    /// Counts of the pipeline over the span.
    pub counters: Counters,
    /// Named locks over the span.
    pub locks: Vec<LockUse>,
    /// Most requests that were found under execution in the store at once, of those that looked; absent where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appliers_max: Option<u32>,
    /// CPU time by thread role over the span.
    pub cpu: Vec<RoleCpu>,
    /// Why system calls were not counted, where they should have been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syscalls_absent: Option<String>,
    /// Threads that offered load.
    pub load_threads: u32,
    /// What the processes held and asked of the kernel; absent in records of versions that did not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessUse>,
    /// What this process allocated; absent unless the build counts allocations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocations: Option<Allocations>,
    /// What else happened on the machine over the span; absent in records of versions that did not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostUse>,
    /// What each agent did; empty without agents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentCell>,
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

    /// Relative gap between the mean number in flight (rate × time), with those who think, and all clients; or in an open
    /// load the count of operations under way; Little 1961. Relative to all clients, since where most of them think, what the
    /// ends of the span cut off of one pause is more than all that is in flight.
    pub fn littles_gap(&self) -> f64 {
        let (found, counted) = match &self.open {
            Some(open) => (self.in_flight_mean, open.in_flight_counted),
            None => (self.in_flight_mean + self.thinking_mean, f64::from(self.clients)),
        };
        (found / counted - 1.0).abs()
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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

/// A latency distribution, summarised; the whole histogram is in `histogram`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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

/// A span in slots of equal length, from its begin on; the last one may be cut short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SeriesCell {
    /// Length of a slot, seconds.
    pub slot_s: f64,
    /// Operations that ended in each.
    pub done: Vec<u64>,
    /// 99th percentile of the latency of those that were fired in each, ns, to one digit; 0 if none was.
    pub p99_ns: Vec<u64>,
}

/// What the watchers of a measurement got. They watch the whole key space from before the warm-up on until each was given
/// everything; the rate is of the measured span, the rest of that whole time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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

/// What one agent did in one measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// What happened on the machine beside a measurement. What could not be seen is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
