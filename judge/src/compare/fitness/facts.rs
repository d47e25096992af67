//! What each fact of machine and program means for measuring, in the order in which pages show them.

use super::{Finding, Gravity};
use crate::record::{Build, Host, Limit, NOT_VISIBLE};
use crate::units::{ByteSize, Nanos};

/// Cores from which load and system need not share one.
const CORES_FEW: u32 = 4;
/// Load average per core from which the host counts as busy.
const BUSY_LOAD_PER_CORE: f64 = 0.7;
/// How much longer than half of them the slowest hundredth of syncs may take.
const SYNC_SPREAD_MAX: f64 = 10.0;
/// What no flash behind a write barrier was seen to stay below: the sync was answered from some memory.
const SYNC_TOO_QUICK: Nanos = Nanos(10_000);

/// Clocks that are read without a system call.
const QUICK_CLOCKS: [&str; 5] =
    ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "xen"];
/// File systems in memory.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];
/// File systems that hand a sync on to something that cannot be seen from here, by the beginning of their names.
const HANDED_ON: [&str; 8] = ["overlay", "nfs", "fuse", "9p", "cifs", "smb", "virtiofs", "ceph"];

/// Features that change what is measured, and how.
const NOT_FOR_MEASURING: [(&str, &str); 4] = [
    ("count-allocations", "counts what is asked of its allocator, which costs time"),
    ("failpoints", "can be told to fail, and asks at every named place whether it was"),
    ("seeded-bugs", "carries known bugs"),
    ("slowed-apply", "is slower on purpose"),
];

/// The governor that keeps the clock low, or raises it late.
pub const SLOW_GOVERNOR: &str = "powersave";

/// Whether a file system keeps files in memory.
pub fn is_in_memory(filesystem: &str) -> bool {
    IN_MEMORY.contains(&filesystem)
}

/// Whether a file system hands a sync on.
pub fn is_handed_on(filesystem: &str) -> bool {
    HANDED_ON.iter().any(|kind| filesystem.starts_with(kind))
}

/// The machine's.
pub(super) fn of_host(host: &Host) -> Vec<Finding> {
    vec![
        cpu(host),
        cores(host),
        smt(host),
        numa(host),
        hypervisor(host),
        governor(host),
        turbo(host),
        microcode(host),
        cgroup_cpu(host),
        cgroup_memory(host),
        memory(host),
        kernel(host),
        clocksource(host),
        huge_pages(host),
        mitigations(host),
        aslr(host),
        load(host),
        filesystem(host),
        device(host),
        fdatasync(host),
    ]
}

/// The program's.
pub(super) fn of_build(build: &Build) -> Vec<Finding> {
    let mut findings = vec![profile(build), revision(build), debug_info(build)];
    findings.extend(another_purpose(build));
    findings
}

/// A word that is fit whatever it says, if it is there.
fn word(name: &'static str, value: &str, hint: &'static str) -> Finding {
    match value {
        NOT_VISIBLE | "" => Finding::unseen(name, "it cannot be told from another", hint),
        value => Finding::fit(name, value),
    }
}

fn cpu(host: &Host) -> Finding {
    word("CPU", &host.cpu, "")
}

fn cores(host: &Host) -> Finding {
    let sockets = host.details.sockets.map(|sockets| match sockets {
        1 => "1 socket".to_owned(),
        sockets => format!("{sockets} sockets"),
    });
    let value = match (sockets, host.details.physical_cores) {
        (Some(sockets), Some(cores)) => {
            format!("{} usable; {cores} physical, {sockets}", host.cores)
        }
        _ => format!("{} usable", host.cores),
    };
    let fact = Finding::fit("cores", value);
    let hint = "a machine with 4 cores and more, or load from others (run --agents)";
    match host.cores {
        0 | 1 => fact.unfit(Gravity::Bias, "load and system take turns on one core", hint),
        few if few < CORES_FEW => {
            fact.unfit(Gravity::Noise, format!("load and system share {few} cores"), hint)
        }
        _ => fact,
    }
}

fn smt(host: &Host) -> Finding {
    match host.details.threads_per_core {
        None => Finding::unseen("threads per core", "cores may be halves of cores", ""),
        Some(1) => Finding::fit("threads per core", "1"),
        Some(threads) => Finding::fit("threads per core", threads.to_string()).unfit(
            Gravity::Noise,
            "how fast a core is depends on what its other thread does",
            "switch it off: echo off > /sys/devices/system/cpu/smt/control",
        ),
    }
}

fn numa(host: &Host) -> Finding {
    match host.details.numa_nodes {
        None => Finding::unseen("NUMA nodes", "memory may be near or far", ""),
        Some(1) => Finding::fit("NUMA nodes", "1"),
        Some(nodes) => Finding::fit("NUMA nodes", nodes.to_string()).unfit(
            Gravity::Noise,
            "how near memory is depends on where threads land",
            "stay on one: numactl --cpunodebind=0 --membind=0 kvbench …",
        ),
    }
}

fn hypervisor(host: &Host) -> Finding {
    let fact = word("hypervisor", &host.hypervisor, "");
    match host.hypervisor.as_str() {
        "none visible" => fact,
        _ if fact.gravity == Gravity::Unknown => fact,
        _ => fact.unfit(
            Gravity::Noise,
            "its host and its neighbours do not show",
            "bare metal, or a host of one's own",
        ),
    }
}

fn governor(host: &Host) -> Finding {
    let hint = "set it: cpupower frequency-set -g performance";
    let fact = Finding::fit("governor", &host.governor);
    match host.governor.as_str() {
        "performance" => fact,
        NOT_VISIBLE | "" => Finding::unseen("governor", "the clock may change unseen", ""),
        SLOW_GOVERNOR => fact.unfit(Gravity::Bias, "keeps the clock low, or raises it late", hint),
        _ => fact.unfit(Gravity::Noise, "changes the clock with the load", hint),
    }
}

fn turbo(host: &Host) -> Finding {
    match host.details.turbo.as_str() {
        "off" => Finding::fit("turbo", "off"),
        "on" => Finding::fit("turbo", "on").unfit(
            Gravity::Noise,
            "the clock depends on heat and on how many cores are busy",
            "switch it off: echo 0 > /sys/devices/system/cpu/cpufreq/boost, or 1 > …/intel_pstate/no_turbo",
        ),
        _ => Finding::unseen("turbo", "the clock may rise unseen", ""),
    }
}

fn microcode(host: &Host) -> Finding {
    word("microcode", &host.details.microcode, "")
}

fn cgroup_cpu(host: &Host) -> Finding {
    let name = "cgroup CPU";
    match host.details.cgroup_cpu_millicores {
        Limit::NotVisible => Finding::unseen(name, "the CPU time may be rationed unseen", ""),
        Limit::None => Finding::fit(name, "no limit"),
        Limit::At(millicores) => {
            let fact = Finding::fit(name, format!("{} cores", millicores as f64 / 1000.0));
            match millicores < u64::from(host.cores) * 1000 {
                false => fact,
                true => fact.unfit(
                    Gravity::Bias,
                    "threads stand still for the rest of each period once it is used up",
                    "lift the quota of the control group (docker run without --cpus), or use cpusets",
                ),
            }
        }
    }
}

/// Shown and not judged: a run that does not fit is ended, not slowed down.
fn cgroup_memory(host: &Host) -> Finding {
    match host.details.cgroup_memory_bytes {
        Limit::NotVisible => Finding::unseen("cgroup memory", "caches may be cut short unseen", ""),
        Limit::None => Finding::fit("cgroup memory", "no limit"),
        Limit::At(bytes) => Finding::fit("cgroup memory", ByteSize(bytes).to_string()),
    }
}

fn memory(host: &Host) -> Finding {
    match host.memory_bytes {
        0 => Finding::unseen("memory", "its size is not told", ""),
        bytes => Finding::fit("memory", ByteSize(bytes).to_string()),
    }
}

fn kernel(host: &Host) -> Finding {
    word("kernel", &host.kernel, "")
}

fn clocksource(host: &Host) -> Finding {
    let fact = word("clock source", &host.clocksource, "");
    match host.clocksource.as_str() {
        _ if fact.gravity == Gravity::Unknown => fact,
        quick if QUICK_CLOCKS.contains(&quick) => fact,
        _ => fact.unfit(
            Gravity::Bias,
            "reading it takes a system call, so stage clocks cost what they measure",
            "choose another of /sys/devices/system/clocksource/clocksource0/available_clocksource",
        ),
    }
}

fn huge_pages(host: &Host) -> Finding {
    let name = "transparent huge pages";
    let fact = word(name, &host.details.transparent_huge_pages, "");
    match host.details.transparent_huge_pages.as_str() {
        "always" => fact.unfit(
            Gravity::Noise,
            "the kernel may stop threads to make room for large pages",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        ),
        _ => fact,
    }
}

/// Shown and not judged: servers run with them.
fn mitigations(host: &Host) -> Finding {
    word("mitigations", &host.details.mitigations, "")
}

/// Shown and not judged: each start draws another layout, which is what a mean over trials wants.
fn aslr(host: &Host) -> Finding {
    word("ASLR", &host.details.aslr, "")
}

fn load(host: &Host) -> Finding {
    let fact = Finding::fit("load average", format!("{:.2}", host.load_average));
    match host.load_average > BUSY_LOAD_PER_CORE * f64::from(host.cores) {
        false => fact,
        true => fact.unfit(
            Gravity::Bias,
            "others were using the machine",
            "wait until they have finished, or stop them",
        ),
    }
}

fn filesystem(host: &Host) -> Finding {
    let fact = word("file system", &host.filesystem, "");
    let hint = "name a folder on a local disk with --data";
    let with_options = match host.details.mount_options.as_str() {
        NOT_VISIBLE => fact.clone(),
        options => Finding { value: format!("{} ({options})", fact.value), ..fact.clone() },
    };
    match host.filesystem.as_str() {
        _ if fact.gravity == Gravity::Unknown => fact,
        kind if is_in_memory(kind) => {
            with_options.unfit(Gravity::Void, "in memory, so syncs reach no disk", hint)
        }
        kind if is_handed_on(kind) => with_options.unfit(
            Gravity::Bias,
            "syncs are handed on to something that does not show",
            hint,
        ),
        _ => with_options,
    }
}

fn device(host: &Host) -> Finding {
    let details = &host.details;
    let fact = word("block device", &details.block_device, "");
    if fact.gravity == Gravity::Unknown {
        return Finding { reason: "what is synced to does not show".to_owned(), ..fact };
    }
    let kind = match details.rotational {
        Some(true) => ", rotational",
        Some(false) => ", not rotational",
        None => "",
    };
    let cache = match details.write_cache.as_str() {
        NOT_VISIBLE => String::new(),
        cache => format!(", {cache} cache"),
    };
    Finding { value: format!("{}{kind}{cache}", fact.value), ..fact }
}

fn fdatasync(host: &Host) -> Finding {
    let (p50, p99) = (Nanos(host.fdatasync_p50_ns), Nanos(host.fdatasync_p99_ns));
    let fact = Finding::fit("fdatasync", format!("p50 {p50}, p99 {p99}"));
    let spread = p99.0 as f64 / p50.0.max(1) as f64;
    match () {
        () if p50 < SYNC_TOO_QUICK && !is_in_memory(&host.filesystem) => fact.unfit(
            Gravity::Noise,
            "quicker than devices answer, so something in between may keep it in memory",
            "ask whoever runs the machine what a sync reaches",
        ),
        () if spread > SYNC_SPREAD_MAX => fact.unfit(
            Gravity::Noise,
            format!("uneven, the slowest hundredth takes {spread:.0} times the median"),
            "a disk of one's own; longer phases",
        ),
        () => fact,
    }
}

fn profile(build: &Build) -> Finding {
    let level = &build.details.opt_level;
    let fact = Finding::fit("build", format!("{}, opt-level {level}", build.profile));
    let hint = "build with cargo build --release";
    match (build.profile.as_str(), level.as_str()) {
        ("release", "3" | NOT_VISIBLE) => fact,
        ("release", _) => {
            fact.unfit(Gravity::Bias, "optimised for something else than speed", hint)
        }
        _ => fact.unfit(Gravity::Void, "not optimised, so numbers mean little", hint),
    }
}

fn revision(build: &Build) -> Finding {
    let fact = Finding::fit("revision", &build.revision);
    match build.revision.as_str() {
        "unknown" | "" => Finding::unseen(
            "revision",
            "nobody can build the same program again",
            "build in a git repository",
        ),
        dirty if dirty.ends_with("-dirty") => fact.unfit(
            Gravity::Noise,
            "the source differed from it, so nobody can build it again",
            "commit, and build again",
        ),
        _ => fact,
    }
}

/// A build that is for something else than measuring.
fn another_purpose(build: &Build) -> Option<Finding> {
    let features = &build.details.features;
    let has = |name: &str| features.split(", ").any(|feature| feature == name);
    let (_, reason) = NOT_FOR_MEASURING.iter().find(|(name, _)| has(name))?;
    let hint = "build without it";
    Some(Finding::fit("features", features).unfit(Gravity::Void, *reason, hint))
}

/// Profiles only: speed does not depend on it.
fn debug_info(build: &Build) -> Finding {
    let fact = word("debug information", &build.details.debug_info, "");
    match build.details.debug_info.as_str() {
        "none" => fact.unfit(
            Gravity::Note,
            "frames of profiles have no module in front of them",
            "debug = \"line-tables-only\" in the profile of Cargo.toml",
        ),
        _ => fact,
    }
}
