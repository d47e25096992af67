//! What the record says about machine and program, first in a line and then in detail, and what `kvbench doctor` finds.
//! A word that could not be seen is [`NOT_VISIBLE`]; a number that could not be seen is absent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Stands for a fact that could not be seen.
pub const NOT_VISIBLE: &str = "not visible";

/// The machine. Unknown facts are "not visible".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// The program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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

/// The machine, in detail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HostDetails {
    /// Short hash over what stays the same from boot to boot: runs with the same key ran on machines that look alike.
    pub machine_key: String,
    /// CPU sockets.
    pub sockets: Option<u32>,
    /// Physical cores of all sockets.
    pub physical_cores: Option<u32>,
    /// Hardware threads of one core; more than 1 is SMT.
    pub threads_per_core: Option<u32>,
    /// NUMA nodes with memory or CPUs.
    pub numa_nodes: Option<u32>,
    /// Whether the clock may rise above its nominal frequency: `on`, `off`.
    pub turbo: String,
    /// Revision of the CPU's microcode.
    pub microcode: String,
    /// CPU time that the control group may use, thousandths of a core.
    pub cgroup_cpu_millicores: Limit,
    /// Memory that the control group may use, bytes.
    pub cgroup_memory_bytes: Limit,
    /// Transparent huge pages: `always`, `madvise`, `never`.
    pub transparent_huge_pages: String,
    /// What the kernel does about flaws of the CPU, in one line.
    pub mitigations: String,
    /// Whether addresses are random: `off`, `partial`, `full`.
    pub aslr: String,
    /// Mount options of the file system under the data folders.
    pub mount_options: String,
    /// Block device under it.
    pub block_device: String,
    /// Whether the kernel takes that device for one with turning parts; virtual disks often say so.
    pub rotational: Option<bool>,
    /// What the kernel takes its cache for: `write back`, `write through`.
    pub write_cache: String,
}

/// A limit that a control group may set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Could not be seen.
    #[default]
    NotVisible,
    /// There is none.
    None,
    /// So much, in the unit of the field.
    At(u64),
}

/// The program, in detail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BuildDetails {
    /// Whether the source differed from its revision: `clean`, `dirty`.
    pub tree: String,
    /// Features of the crate that are on, in alphabetical order; `none`.
    pub features: String,
    /// Target triple.
    pub target: String,
    /// CPU that the compiler may assume.
    pub target_cpu: String,
    /// Optimisation level: `0` to `3`, `s`, `z`.
    pub opt_level: String,
    /// Link-time optimisation: `thin-local` is cargo's default, within each crate.
    pub lto: String,
    /// Debug information, as Cargo.toml names it.
    pub debug_info: String,
    /// Frame pointers: `kept`, `left out`.
    pub frame_pointers: String,
    /// Who gives memory.
    pub allocator: String,
    /// Size of the program file, bytes.
    pub binary_bytes: Option<u64>,
}

impl Default for HostDetails {
    fn default() -> HostDetails {
        let unseen = || NOT_VISIBLE.to_owned();
        HostDetails {
            machine_key: unseen(),
            sockets: None,
            physical_cores: None,
            threads_per_core: None,
            numa_nodes: None,
            turbo: unseen(),
            microcode: unseen(),
            cgroup_cpu_millicores: Limit::NotVisible,
            cgroup_memory_bytes: Limit::NotVisible,
            transparent_huge_pages: unseen(),
            mitigations: unseen(),
            aslr: unseen(),
            mount_options: unseen(),
            block_device: unseen(),
            rotational: None,
            write_cache: unseen(),
        }
    }
}

impl Default for BuildDetails {
    fn default() -> BuildDetails {
        let unseen = || NOT_VISIBLE.to_owned();
        BuildDetails {
            tree: unseen(),
            features: unseen(),
            target: unseen(),
            target_cpu: unseen(),
            opt_level: unseen(),
            lto: unseen(),
            debug_info: unseen(),
            frame_pointers: unseen(),
            allocator: unseen(),
            binary_bytes: None,
        }
    }
}

/// What `kvbench doctor` measured and found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkup {
    /// Version of kvbench that looked.
    pub kvbench_version: String,
    /// The machine.
    pub host: Host,
    /// The program.
    pub build: Build,
    /// What was tried out.
    pub probes: HostProbes,
    /// `A` to `D`.
    pub grade: char,
    /// One per fact that was looked at, in the order of the page.
    pub findings: Vec<Finding>,
}

impl Checkup {
    /// As printed: JSON, indented, with a line end.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }
}

/// One fact, and what it means for measuring here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub name: String,
    /// What was seen.
    pub value: String,
    /// `fit`, `note`, `unknown`, `noise`, `bias`, `void`.
    pub gravity: String,
    /// Why it is not fit; empty if it is.
    pub reason: String,
    /// What to do about it; empty if there is nothing to do.
    pub hint: String,
}

/// What was tried out on a machine. What could not be tried is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostProbes {
    /// Synced appends in the data folder.
    pub disk: Option<DiskProbe>,
    /// Room left in the data folder, bytes.
    pub disk_free_bytes: Option<u64>,
    /// Reading the clock.
    pub clock: ClockProbe,
    /// Short sleeps.
    pub wake: WakeProbe,
    /// Span over which the machine was watched while this program slept, seconds.
    pub watched_s: f64,
    /// Cores that others kept busy meanwhile.
    pub foreign_cores: Option<f64>,
    /// Cores' worth of time that the hypervisor gave to others.
    pub stolen_cores: Option<f64>,
    /// Share of the span in which some task was ready and had no CPU, 0..=1 (PSI).
    pub cpu_pressure: Option<f64>,
    /// Share of the span in which some task waited for input or output, 0..=1 (PSI).
    pub io_pressure: Option<f64>,
    /// Whether CPU time of threads can be told apart (`schedstat`).
    pub has_schedstat: bool,
    /// The SIGPROF sampler; absent if it would not start.
    pub sampler: Option<SamplerProbe>,
    /// Version of the C library, such as `glibc 2.36`; not visible elsewhere.
    pub c_library: String,
    /// Programs that some scenarios and pages can use.
    pub tools: Vec<Tool>,
}

/// `fdatasync` after an append of 4 KiB, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskProbe {
    /// Syncs.
    pub count: u64,
    /// Median, ns.
    pub p50_ns: u64,
    /// 99th percentile, ns.
    pub p99_ns: u64,
    /// Longest, ns.
    pub max_ns: u64,
}

/// How fine the monotonic clock is, and what reading it costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClockProbe {
    /// Smallest step seen between two readings, ns.
    pub resolution_ns: u64,
    /// Mean cost of a reading, ns.
    pub read_ns: f64,
}

/// How late a thread wakes from a short sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WakeProbe {
    /// Sleeps.
    pub count: u64,
    /// Asked-for length of each, ns.
    pub asked_ns: u64,
    /// Median of how late it woke, ns.
    pub late_p50_ns: u64,
    /// 99th percentile, ns.
    pub late_p99_ns: u64,
    /// Latest, ns.
    pub late_max_ns: u64,
}

/// What the SIGPROF sampler gave while one thread was busy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamplerProbe {
    /// Samples per CPU-second asked for.
    pub asked_hz: u32,
    /// Samples per CPU-second got.
    pub got_hz: f64,
}

/// A program that need not be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// What it is called.
    pub name: String,
    /// Where it was found in the path.
    pub path: Option<String>,
}
