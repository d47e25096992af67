//! What each probe of `kvbench doctor` means for measuring.

use super::{Finding, Gravity};
use crate::record::{HostProbes, NOT_VISIBLE, Tool};
use crate::units::{ByteSize, Nanos};

/// Room below which a run may fail for want of it, and below which a long one may.
const FREE_LEAST: ByteSize = ByteSize(1 << 30);
const FREE_SMALL: ByteSize = ByteSize(5 << 30);
/// Cost of a reading from which nine stage clocks per request show in what they measure.
const CLOCK_READ_MAX: Nanos = Nanos(200);
/// Step of the clock above which single operations cannot be timed.
const CLOCK_STEP_MAX: Nanos = Nanos(1_000);
/// How late the slowest hundredth of short sleeps may wake: the default timer slack is 50 µs, a busy core costs milliseconds.
const WAKE_LATE_MAX: Nanos = Nanos(1_000_000);
/// Cores taken by others from which they are told, and from which nothing can be measured beside them.
const TAKEN_MAX: f64 = 0.25;
const TAKEN_BIAS: f64 = 0.5;
/// Share of the time that somebody may wait for a CPU or the disk while this program sleeps.
const PRESSURE_MAX: f64 = 0.1;
/// Share of the samples asked for that a profile can do with.
const SAMPLES_LEAST: f64 = 0.5;
/// The C library whose table lookup takes no lock, so that a sampler may use it within a signal.
const GLIBC_WITHOUT_LOCK: (u32, u32) = (2, 35);

/// All of them, in the order of the page.
pub(super) fn judged(probes: &HostProbes) -> Vec<Finding> {
    let mut findings = vec![
        disk(probes),
        room(probes),
        clock(probes),
        wake(probes),
        taken("foreign cores", probes.foreign_cores, "others were using the machine", STOP_THEM),
        taken(
            "stolen cores",
            probes.stolen_cores,
            "the hypervisor gave CPU time to others",
            "a host of one's own, or another hour",
        ),
        pressure("CPU pressure", probes.cpu_pressure, "tasks of others waited for a CPU"),
        pressure("I/O pressure", probes.io_pressure, "tasks of others waited for the disk"),
        schedstat(probes),
        sampler(probes),
        unwinder(probes),
    ];
    findings.extend(probes.tools.iter().filter_map(tool));
    findings
}

const STOP_THEM: &str = "wait until they have finished, or stop them";

fn disk(probes: &HostProbes) -> Finding {
    let Some(disk) = probes.disk else {
        return Finding::unseen("syncs", "no file could be synced", "");
    };
    let [p50, p99, max] = [disk.p50_ns, disk.p99_ns, disk.max_ns].map(Nanos);
    Finding::fit(
        "syncs",
        format!("{} appends of 4KiB: p50 {p50}, p99 {p99}, max {max}", disk.count),
    )
}

fn room(probes: &HostProbes) -> Finding {
    let hint = "make room, or name another folder with --data";
    let Some(free) = probes.disk_free_bytes.map(ByteSize) else {
        return Finding::unseen("free disk", "a run may end for want of room", "");
    };
    let fact = Finding::fit("free disk", free.to_string());
    match free {
        free if free < FREE_LEAST => {
            fact.unfit(Gravity::Void, "a trial may not fit, and full disks are slow", hint)
        }
        free if free < FREE_SMALL => fact.unfit(Gravity::Noise, "a long trial may not fit", hint),
        _ => fact,
    }
}

fn clock(probes: &HostProbes) -> Finding {
    let (step, read) = (Nanos(probes.clock.resolution_ns), probes.clock.read_ns);
    let fact = Finding::fit("clock", format!("steps of {step}, {read:.0}ns to read"));
    let hint = "see the clock source; instruments = false leaves the stage clocks out";
    match () {
        () if step > CLOCK_STEP_MAX => {
            fact.unfit(Gravity::Bias, "too coarse to time single operations", hint)
        }
        () if read > CLOCK_READ_MAX.0 as f64 => {
            fact.unfit(Gravity::Noise, "slow to read, so stage clocks cost what they measure", hint)
        }
        () => fact,
    }
}

fn wake(probes: &HostProbes) -> Finding {
    let wake = &probes.wake;
    let [asked, p50, p99] = [wake.asked_ns, wake.late_p50_ns, wake.late_p99_ns].map(Nanos);
    let value = format!("{} sleeps of {asked} end late by p50 {p50}, p99 {p99}", wake.count);
    let fact = Finding::fit("wake-up lag", value);
    match p99 > WAKE_LATE_MAX {
        false => fact,
        true => fact.unfit(
            Gravity::Noise,
            "whoever wakes for a timer or a disk gets to a CPU late",
            STOP_THEM,
        ),
    }
}

fn taken(
    name: &'static str,
    cores: Option<f64>,
    reason: &'static str,
    hint: &'static str,
) -> Finding {
    let Some(cores) = cores else {
        return Finding::unseen(name, "others may use the machine unseen", "");
    };
    let fact = Finding::fit(name, format!("{cores:.2}"));
    match cores {
        cores if cores > TAKEN_BIAS => fact.unfit(Gravity::Bias, reason, hint),
        cores if cores > TAKEN_MAX => fact.unfit(Gravity::Noise, reason, hint),
        _ => fact,
    }
}

fn pressure(name: &'static str, share: Option<f64>, reason: &'static str) -> Finding {
    let Some(share) = share else {
        let hint = "a kernel with CONFIG_PSI, booted with psi=1";
        return Finding::unseen(name, "who waits for whom does not show", hint);
    };
    let fact = Finding::fit(name, format!("{:.1}% of the time", share * 100.0));
    match share > PRESSURE_MAX {
        false => fact,
        true => fact.unfit(Gravity::Noise, reason, STOP_THEM),
    }
}

fn schedstat(probes: &HostProbes) -> Finding {
    match probes.has_schedstat {
        true => Finding::fit("schedstat", "readable"),
        false => Finding::unseen(
            "schedstat",
            "CPU time of threads and of load does not show",
            "a kernel with CONFIG_SCHED_INFO",
        ),
    }
}

/// Profiles only: a run goes on without.
fn sampler(probes: &HostProbes) -> Finding {
    let hint = "run with --no-profile; measured trials do not need it";
    let Some(sampler) = probes.sampler else {
        let fact = Finding::fit("SIGPROF sampler", NOT_VISIBLE);
        return fact.unfit(Gravity::Note, "it would not start, so there are no flame graphs", hint);
    };
    let (asked, got) = (sampler.asked_hz, sampler.got_hz);
    let value = format!("{got:.0} samples per CPU-second of {asked} asked for");
    let fact = Finding::fit("SIGPROF sampler", value);
    match got < SAMPLES_LEAST * f64::from(asked) {
        false => fact,
        true => fact.unfit(
            Gravity::Note,
            "fewer than half, so flame graphs are coarse",
            "longer phases give more samples",
        ),
    }
}

/// Return addresses come from tables, so frame pointers do not matter; who looks the tables up within a signal does.
fn unwinder(probes: &HostProbes) -> Finding {
    let name = "unwinder";
    let version = probes.c_library.strip_prefix("glibc ").and_then(|version| {
        let (major, minor) = version.split_once('.')?;
        let digits = minor.split('.').next()?;
        Some((major.parse::<u32>().ok()?, digits.parse::<u32>().ok()?))
    });
    match version {
        Some(version) if version >= GLIBC_WITHOUT_LOCK => {
            Finding::fit(name, format!("unwind tables, {}", probes.c_library))
        }
        Some(_) => Finding::fit(name, format!("unwind tables, {}", probes.c_library)).unfit(
            Gravity::Note,
            "before glibc 2.35 the sampler may wait for a lock within its signal",
            "run with --no-profile if a run hangs while it profiles",
        ),
        None => Finding::fit(name, format!("unwind tables, C library {NOT_VISIBLE}")),
    }
}

/// A program that is not there is a note: most scenarios need none.
fn tool(tool: &Tool) -> Option<Finding> {
    let (name, reason, hint) = match tool.name.as_str() {
        "etcd" => {
            ("etcd", "scenarios with layer = \"etcd\" cannot start it", "./scripts/setup etcd")
        }
        "etcdctl" => {
            ("etcdctl", "./scripts/etcdctl cannot compare servers", "./scripts/setup etcd")
        }
        "perf" => {
            ("perf", "no view into the kernel beside the flame graphs", "./scripts/setup perf")
        }
        "chromium" => {
            ("chromium", "report.html cannot be printed from scripts", "./scripts/setup chromium")
        }
        _ => return None,
    };
    Some(match &tool.path {
        Some(path) => Finding::fit(name, path.as_str()),
        None => Finding::fit(name, "not installed").unfit(Gravity::Note, reason, hint),
    })
}
