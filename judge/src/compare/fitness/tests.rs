//! Facts and probes of made-up machines, and the grades they get.

use super::*;
use crate::record::{
    BuildDetails, ClockProbe, DiskProbe, HostDetails, Limit, SamplerProbe, Tool, WakeProbe,
};

/// A machine without fault.
fn host() -> Host {
    Host {
        cpu: "X".into(),
        cores: 16,
        hypervisor: "none visible".into(),
        kernel: "6.12".into(),
        memory_bytes: 64 << 30,
        governor: "performance".into(),
        clocksource: "tsc".into(),
        filesystem: "xfs".into(),
        data_folder: "/data".into(),
        fdatasync_p50_ns: 30_000,
        fdatasync_p99_ns: 90_000,
        load_average: 0.1,
        details: HostDetails {
            machine_key: "0123456789ab".into(),
            sockets: Some(1),
            physical_cores: Some(16),
            threads_per_core: Some(1),
            numa_nodes: Some(1),
            turbo: "off".into(),
            microcode: "0x1".into(),
            cgroup_cpu_millicores: Limit::None,
            cgroup_memory_bytes: Limit::None,
            transparent_huge_pages: "madvise".into(),
            mitigations: "3 mitigated, none vulnerable, 9 not affected".into(),
            aslr: "full".into(),
            mount_options: "rw,noatime".into(),
            block_device: "nvme0n1".into(),
            rotational: Some(false),
            write_cache: "write through".into(),
        },
    }
}

fn build() -> Build {
    Build {
        revision: "a1b2c3d".into(),
        profile: "release".into(),
        rustc: "rustc 1.95.0".into(),
        details: BuildDetails {
            opt_level: "3".into(),
            debug_info: "line-tables-only".into(),
            ..BuildDetails::default()
        },
    }
}

fn probed() -> HostProbes {
    let disk = DiskProbe { count: 200, p50_ns: 30_000, p99_ns: 90_000, max_ns: 200_000 };
    HostProbes {
        disk: Some(disk),
        disk_free_bytes: Some(100 << 30),
        clock: ClockProbe { resolution_ns: 10, read_ns: 25.0 },
        wake: WakeProbe {
            count: 500,
            asked_ns: 200_000,
            late_p50_ns: 55_000,
            late_p99_ns: 80_000,
            late_max_ns: 100_000,
        },
        watched_s: 1.0,
        foreign_cores: Some(0.02),
        stolen_cores: Some(0.0),
        cpu_pressure: Some(0.0),
        io_pressure: Some(0.01),
        has_schedstat: true,
        sampler: Some(SamplerProbe { asked_hz: 250, got_hz: 248.0 }),
        c_library: "glibc 2.36".into(),
        tools: vec![Tool { name: "etcd".into(), path: Some("/usr/bin/etcd".into()) }],
    }
}

fn letter(host: &Host, build: &Build) -> Letter {
    graded(&facts(host, build)).letter
}

#[test]
fn a_machine_without_fault_is_an_a() {
    let grade = graded(&facts(&host(), &build()));
    assert_eq!(grade, Grade { letter: Letter::A, reasons: vec![], unknown: vec![] });
    let findings = probes(&probed());
    assert!(findings.iter().all(|finding| finding.gravity == Gravity::Fit), "{findings:?}");
}

/// One change to a machine without fault, and the fact that shows it.
fn check(change: impl Fn(&mut Host), name: &str, gravity: Gravity) {
    let mut host = host();
    change(&mut host);
    let findings = facts(&host, &build());
    let unfit: Vec<_> = findings.iter().filter(|f| f.gravity != Gravity::Fit).collect();
    assert_eq!(unfit.len(), 1, "{name}: {unfit:?}");
    assert_eq!((unfit[0].name, unfit[0].gravity), (name, gravity));
    assert!(!unfit[0].reason.is_empty() || gravity == Gravity::Fit);
    let wanted = match gravity {
        Gravity::Unknown | Gravity::Noise => Letter::B,
        Gravity::Bias => Letter::C,
        Gravity::Void => Letter::D,
        Gravity::Fit | Gravity::Note => Letter::A,
    };
    assert_eq!(graded(&findings).letter, wanted, "{name}");
}

#[test]
fn every_fact_that_is_not_seen_lowers_the_grade() {
    let unseen = || crate::record::NOT_VISIBLE.to_owned();
    check(|host| host.cpu = unseen(), "CPU", Gravity::Unknown);
    check(|host| host.details.threads_per_core = None, "threads per core", Gravity::Unknown);
    check(|host| host.details.numa_nodes = None, "NUMA nodes", Gravity::Unknown);
    check(|host| host.hypervisor = unseen(), "hypervisor", Gravity::Unknown);
    check(|host| host.governor = unseen(), "governor", Gravity::Unknown);
    check(|host| host.details.turbo = unseen(), "turbo", Gravity::Unknown);
    check(|host| host.details.microcode = unseen(), "microcode", Gravity::Unknown);
    let unlimited = Limit::NotVisible;
    check(|host| host.details.cgroup_cpu_millicores = unlimited, "cgroup CPU", Gravity::Unknown);
    check(|host| host.details.cgroup_memory_bytes = unlimited, "cgroup memory", Gravity::Unknown);
    check(|host| host.memory_bytes = 0, "memory", Gravity::Unknown);
    check(|host| host.kernel = unseen(), "kernel", Gravity::Unknown);
    check(|host| host.clocksource = unseen(), "clock source", Gravity::Unknown);
    let name = "transparent huge pages";
    check(|host| host.details.transparent_huge_pages = unseen(), name, Gravity::Unknown);
    check(|host| host.details.mitigations = unseen(), "mitigations", Gravity::Unknown);
    check(|host| host.details.aslr = unseen(), "ASLR", Gravity::Unknown);
    check(|host| host.filesystem = unseen(), "file system", Gravity::Unknown);
    check(|host| host.details.block_device = unseen(), "block device", Gravity::Unknown);
}

#[test]
fn every_fact_that_is_unfit_lowers_the_grade_by_its_weight() {
    check(|host| host.cores = 2, "cores", Gravity::Noise);
    check(|host| host.cores = 1, "cores", Gravity::Bias);
    check(|host| host.details.threads_per_core = Some(2), "threads per core", Gravity::Noise);
    check(|host| host.details.numa_nodes = Some(2), "NUMA nodes", Gravity::Noise);
    check(|host| host.hypervisor = "KVM".into(), "hypervisor", Gravity::Noise);
    check(|host| host.governor = "schedutil".into(), "governor", Gravity::Noise);
    check(|host| host.governor = "powersave".into(), "governor", Gravity::Bias);
    check(|host| host.details.turbo = "on".into(), "turbo", Gravity::Noise);
    let limit = |millicores| {
        move |host: &mut Host| {
            host.details.cgroup_cpu_millicores = Limit::At(millicores);
        }
    };
    check(limit(15_500), "cgroup CPU", Gravity::Bias);
    check(|host| host.clocksource = "hpet".into(), "clock source", Gravity::Bias);
    let always = |host: &mut Host| host.details.transparent_huge_pages = "always".into();
    check(always, "transparent huge pages", Gravity::Noise);
    check(|host| host.load_average = 12.0, "load average", Gravity::Bias);
    check(|host| host.filesystem = "tmpfs".into(), "file system", Gravity::Void);
    check(|host| host.filesystem = "fuse.sshfs".into(), "file system", Gravity::Bias);
    check(|host| host.fdatasync_p99_ns = 330_000, "fdatasync", Gravity::Noise);
    check(|host| host.fdatasync_p50_ns = 2_000, "fdatasync", Gravity::Noise);
    // A quota that leaves every core to the run rations nothing.
    let mut whole = host();
    limit(16_000)(&mut whole);
    assert_eq!(letter(&whole, &build()), Letter::A);
}

#[test]
fn the_program_is_part_of_it() {
    let debug = Build { profile: "debug".into(), ..build() };
    assert_eq!(letter(&host(), &debug), Letter::D);
    let dirty = Build { revision: "a1b2c3d-dirty".into(), ..build() };
    assert_eq!(letter(&host(), &dirty), Letter::B);
    let nowhere = Build { revision: "unknown".into(), ..build() };
    assert_eq!(letter(&host(), &nowhere), Letter::B);
    // Names in profiles do not make anything slower.
    let details = BuildDetails { debug_info: "none".into(), ..build().details };
    assert_eq!(letter(&host(), &Build { details, ..build() }), Letter::A);
}

#[test]
fn not_knowing_never_costs_more_than_a_letter() {
    // What a record of an older version holds.
    let old = Host { details: HostDetails::default(), ..host() };
    let grade = graded(&facts(&old, &build()));
    assert_eq!(grade.letter, Letter::B);
    assert!(grade.unknown.len() > 5 && grade.reasons.is_empty(), "{grade:?}");
}

#[test]
fn faults_add_up_and_the_gravest_comes_first() {
    let shared = Host { cores: 2, hypervisor: "KVM".into(), ..host() };
    assert_eq!(letter(&shared, &build()), Letter::C);
    let busy = Host { load_average: 9.0, ..shared };
    let grade = graded(&facts(&busy, &build()));
    assert_eq!(grade.letter, Letter::D);
    assert_eq!(grade.reasons[0].name, "load average");
}

#[test]
fn probes_are_judged_by_what_they_show() {
    let check = |change: &dyn Fn(&mut HostProbes), name: &str, gravity: Gravity| {
        let mut probed = probed();
        change(&mut probed);
        let findings = probes(&probed);
        let unfit: Vec<_> = findings.iter().filter(|f| f.gravity != Gravity::Fit).collect();
        assert_eq!(unfit.len(), 1, "{name}: {unfit:?}");
        assert_eq!((unfit[0].name, unfit[0].gravity), (name, gravity));
    };
    check(&|probes| probes.disk = None, "syncs", Gravity::Unknown);
    check(&|probes| probes.disk_free_bytes = Some(2 << 30), "free disk", Gravity::Noise);
    check(&|probes| probes.disk_free_bytes = Some(2 << 20), "free disk", Gravity::Void);
    check(&|probes| probes.clock.resolution_ns = 4_000_000, "clock", Gravity::Bias);
    check(&|probes| probes.clock.read_ns = 800.0, "clock", Gravity::Noise);
    check(&|probes| probes.wake.late_p99_ns = 4_000_000, "wake-up lag", Gravity::Noise);
    check(&|probes| probes.foreign_cores = Some(0.3), "foreign cores", Gravity::Noise);
    check(&|probes| probes.foreign_cores = Some(1.0), "foreign cores", Gravity::Bias);
    check(&|probes| probes.stolen_cores = Some(0.6), "stolen cores", Gravity::Bias);
    check(&|probes| probes.stolen_cores = None, "stolen cores", Gravity::Unknown);
    check(&|probes| probes.cpu_pressure = Some(0.4), "CPU pressure", Gravity::Noise);
    check(&|probes| probes.io_pressure = None, "I/O pressure", Gravity::Unknown);
    check(&|probes| probes.has_schedstat = false, "schedstat", Gravity::Unknown);
    check(&|probes| probes.sampler = None, "SIGPROF sampler", Gravity::Note);
    let slow = SamplerProbe { asked_hz: 250, got_hz: 90.0 };
    check(&|probes| probes.sampler = Some(slow), "SIGPROF sampler", Gravity::Note);
    check(&|probes| probes.c_library = "glibc 2.31".into(), "unwinder", Gravity::Note);
    check(&|probes| probes.tools[0].path = None, "etcd", Gravity::Note);
}
