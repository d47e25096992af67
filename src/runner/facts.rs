//! What the record says about scenario, build and host. A fact that cannot be seen is "not visible".

use crate::agent;
use crate::clock::Clock;
use crate::record::{AgentHost, Arm, Build, Host, ScenarioText};
use crate::scenario::spec::{self, Scenario, Values};
use crate::target::Launch;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

const NOT_VISIBLE: &str = "not visible";
/// Appends of the disk probe, and their size in bytes.
const PROBES: usize = 200;
const PROBE_BYTES: usize = 4096;
/// Longest time the probe may take; a very slow disk gives fewer of them.
const PROBE_NS_MAX: u64 = 1_000_000_000;

/// Now, UTC, to the second.
#[expect(clippy::disallowed_methods, reason = "the one place where a date enters a run")]
pub(super) fn utc_now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// The question, with one line on the workload.
pub(super) fn scenario_text(scenario: &Scenario, path: &str) -> ScenarioText {
    let mut kinds: Vec<_> = scenario.ops.iter().map(|op| (op.op.to_string(), op.weight)).collect();
    let total: f64 = kinds.iter().map(|(_, weight)| weight).sum();
    let ops: Vec<_> = match kinds.as_mut_slice() {
        [(only, _)] => vec![std::mem::take(only)],
        kinds => kinds.iter().map(|(kind, weight)| share(kind, weight / total)).collect(),
    };
    let values = match scenario.values {
        Values::Fixed(size) => size.to_string(),
        Values::Uniform { min, max } => format!("{min} to {max}"),
        Values::Lognormal { median, p99 } => format!("{median} (p99 {p99})"),
    };
    let preloaded = match scenario.keys.preload {
        0 => String::new(),
        all if all == scenario.keys.space => " preloaded".to_owned(),
        some => format!(" ({some} preloaded)"),
    };
    ScenarioText {
        name: scenario.name.clone(),
        analysis: scenario.analysis.clone(),
        path: path.to_owned(),
        text: scenario.text.clone(),
        workload: format!(
            "{}, keys {} of {}{preloaded}, values {values}",
            ops.join(", "),
            scenario.keys.size,
            scenario.keys.space
        ),
        seed: scenario.seed.0,
    }
}

fn share(kind: &str, share: f64) -> String {
    format!("{:.0} % {kind}", share * 100.0)
}

/// An arm with all its levers.
pub(super) fn arm<L: Launch>(launch: &L, arm: &spec::Arm) -> Arm {
    let levers = launch.levers(arm).into_iter();
    Arm {
        name: arm.name.clone(),
        lever: arm.lever.clone(),
        levers: levers.map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

/// A machine that offers load, as its agent told.
pub(super) fn agent_host(host: &agent::AgentHost) -> AgentHost {
    AgentHost {
        address: host.address.clone(),
        host: host.host.clone(),
        cores: host.cores,
        kernel: host.kernel.clone(),
    }
}

/// The program, as noted when it was built.
pub(super) fn build() -> Build {
    Build {
        revision: env!("KVBENCH_REVISION").to_owned(),
        profile: env!("KVBENCH_PROFILE").to_owned(),
        rustc: env!("KVBENCH_RUSTC").to_owned(),
    }
}

/// The machine, with a short probe of the disk under `data`.
pub(super) fn host(data: &Path) -> io::Result<Host> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let (p50, p99) = probe_fdatasync(data)?;
    Ok(Host {
        cpu: field(&cpuinfo, "model name").unwrap_or(NOT_VISIBLE).to_owned(),
        cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32),
        hypervisor: hypervisor(&cpuinfo),
        kernel: first_line("/proc/sys/kernel/osrelease"),
        memory_bytes: memory_bytes(),
        governor: first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        clocksource: first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        filesystem: filesystem(data),
        data_folder: data.display().to_string(),
        fdatasync_p50_ns: p50,
        fdatasync_p99_ns: p99,
        load_average: load_average(),
    })
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or(NOT_VISIBLE).trim().to_owned()
}

/// The value after `name :` in a `/proc` file.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

fn hypervisor(cpuinfo: &str) -> String {
    let product = fs::read_to_string("/sys/class/dmi/id/product_name").unwrap_or_default();
    let flagged = field(cpuinfo, "flags").is_some_and(|flags| flags.contains("hypervisor"));
    match (flagged, product.trim()) {
        (false, _) => "none visible".to_owned(),
        (true, "") => "virtual machine".to_owned(),
        (true, product) => product.to_owned(),
    }
}

fn memory_bytes() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = field(&meminfo, "MemTotal").and_then(|value| value.split(' ').next()?.parse().ok());
    kib.map_or(0, |kib: u64| kib * 1024)
}

fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

/// Type of the file system of the longest mount point above `path`.
fn filesystem(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounted = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let point = fields.next()?;
        path.starts_with(point).then_some((point.len(), fields.next()?))
    });
    mounted.max_by_key(|(length, _)| *length).map_or(NOT_VISIBLE, |(_, kind)| kind).to_owned()
}

/// Median and 99th percentile of `fdatasync` after an append, ns.
fn probe_fdatasync(folder: &Path) -> io::Result<(u64, u64)> {
    let probe = tempfile::NamedTempFile::new_in(folder)?;
    let clock = Clock::start();
    let mut file: &File = probe.as_file();
    let mut spans = Vec::with_capacity(PROBES);
    while spans.is_empty() || spans.len() < PROBES && clock.now().0 < PROBE_NS_MAX {
        file.write_all(&[0x6b; PROBE_BYTES])?;
        let before = clock.now();
        file.sync_data()?;
        spans.push(clock.now().since(before).0);
    }
    spans.sort_unstable();
    let at = |share: f64| spans[((spans.len() - 1) as f64 * share) as usize];
    Ok((at(0.5), at(0.99)))
}
