//! A fixed run and its comparison, made up but plausible, for the tests of every form.
//! Built by hand so that the renderers are tested without the code that computes comparisons.

use crate::compare::*;
use crate::record::*;
use std::collections::BTreeMap;

const CLIENTS: [u32; 4] = [1, 10, 50, 100];
const ARMS: [(&str, &str); 4] = [
    ("before", ""),
    ("rung-1", "propose pipelined"),
    ("rung-2", "apply sharded"),
    ("after", "propose batched"),
];
/// Throughput per arm and client count.
const RATES: [[f64; 4]; 4] = [
    [4_310.0, 4_520.0, 4_480.0, 4_500.0],
    [4_300.0, 20_900.0, 78_300.0, 104_100.0],
    [4_280.0, 21_000.0, 78_900.0, 105_000.0],
    [4_290.0, 21_300.0, 81_900.0, 118_400.0],
];
const STAGES: [&str; 9] = [
    "queue",
    "propose",
    "append",
    "fsync",
    "replicate",
    "commit",
    "apply_wait",
    "apply",
    "respond",
];

/// A run that ended well, and what follows from it.
pub(super) fn sample() -> (Run, Comparison) {
    (run(), comparison())
}

/// A run that was interrupted before anything was measured.
pub(super) fn empty() -> (Run, Comparison) {
    let run = Run {
        complete: false,
        trials: vec![],
        checks: vec![],
        profiles: vec![],
        lock_profiles: vec![],
        off_cpu: Vec::new(),
        off_cpu_absent: None,
        warnings: vec![],
        ..run()
    };
    let nothing =
        TargetVerdict { estimate: None, verdict: Verdict::Inconclusive, ..verdicts().remove(0) };
    let verdicts = vec![TargetVerdict { reason: "no trial finished".into(), ..nothing }];
    (run, Comparison { phases: vec![], ladders: vec![], verdicts, outcome: Outcome::Inconclusive })
}

/// A short run: three pairs, no interval, no A/A, not synced, cells withheld.
pub(super) fn short() -> (Run, Comparison) {
    let (mut run, mut cmp) = sample();
    run.quick = true;
    run.trials.retain(|trial| trial.block < 3 && !trial.aa);
    run.arms[3].levers.insert("fsync".into(), "off".into());
    let few = |e: &mut Estimate| *e = Estimate { interval: None, pairs: 3, ..*e };
    for row in cmp.phases.iter_mut().flat_map(|p| &mut p.rows) {
        few(&mut row.ratio);
        row.aa_floor = None;
        row.watch.iter_mut().for_each(|watch| few(&mut watch.events));
        for op in &mut row.ops {
            few(&mut op.throughput);
            (op.before.p99_ns, op.after.p99_ns) = (None, None);
        }
        for arm in &mut row.arms {
            (arm.half_width, arm.costs.p99_ns, arm.trials) = (None, None, 3);
        }
    }
    for rung in cmp.ladders.iter_mut().flat_map(|l| &mut l.rungs) {
        rung.step.iter_mut().chain(&mut rung.total).for_each(few);
    }
    for verdict in &mut cmp.verdicts {
        verdict.estimate.iter_mut().for_each(few);
        verdict.verdict = Verdict::Inconclusive;
        verdict.reason = "3 more pairs are needed for an interval".into();
    }
    cmp.outcome = Outcome::Inconclusive;
    (run, cmp)
}

/// Text that tries to leave its place in every form.
pub(super) const HOSTILE: &str =
    "\"><script>alert(1)</script>]]>${jndi:x}\u{1b}]0;x\u{7}\u{202e}|`@all` ![a](b)\n# h\u{9b}31m";

/// The sample with [`HOSTILE`] wherever text comes from a file.
pub(super) fn hostile() -> (Run, Comparison) {
    let (mut run, mut cmp) = sample();
    let bad = || HOSTILE.to_string();
    run.scenario = ScenarioText {
        name: bad(),
        analysis: bad(),
        path: bad(),
        text: bad(),
        workload: bad(),
        seed: 42,
    };
    (run.host.cpu, run.host.kernel, run.host.data_folder, run.build.rustc) =
        (bad(), bad(), bad(), bad());
    let details = &mut run.host.details;
    (details.machine_key, details.mount_options, details.microcode) = (bad(), bad(), bad());
    (run.host.governor, run.host.filesystem, run.host.clocksource) = (bad(), bad(), bad());
    (run.build.details.lto, run.build.details.features) = (bad(), bad());
    run.started_at = bad();
    for arm in &mut run.arms[1..] {
        (arm.lever, arm.levers) =
            (bad(), BTreeMap::from([(bad(), bad()), ("fsync".into(), bad())]));
    }
    run.agents = vec![AgentHost { address: bad(), host: bad(), cores: 2, kernel: bad() }];
    for cell in run.trials.iter_mut().flat_map(|trial| &mut trial.cells) {
        cell.agents = vec![AgentCell { address: bad(), ..an_agent() }];
    }
    for (check, warning) in run.checks.iter_mut().zip(&mut run.warnings) {
        (check.id, check.detail) = (bad(), bad());
        *warning = Warning::NoProfile { reason: bad() };
    }
    for verdict in &mut cmp.verdicts {
        verdict.target =
            Target { id: bad(), claim: bad(), metric: bad(), bound: bad(), ..Target::default() };
        verdict.reason = bad();
    }
    for phase in &mut cmp.phases {
        phase.phase = bad();
        phase.rows.iter_mut().flat_map(|row| &mut row.ops).for_each(|op| op.op = bad());
        for watch in phase.rows.iter_mut().filter_map(|row| row.watch.as_mut()) {
            watch.arms.iter_mut().for_each(|arm| arm.arm = bad());
        }
        for arm in phase.rows.iter_mut().flat_map(|row| &mut row.arms) {
            arm.costs.stages[0].0 = bad();
            arm.costs.locks[0].name = bad();
        }
    }
    for ladder in &mut cmp.ladders {
        ladder.phase = bad();
        ladder.rungs.iter_mut().skip(1).for_each(|rung| rung.lever = bad());
    }
    for cell in run.trials.iter_mut().flat_map(|t| &mut t.cells) {
        cell.phase = bad();
    }
    run.profiles = vec![Profile {
        arm: bad(),
        clients: 1,
        elapsed_s: 0.0,
        ops: 0,
        samples: 1,
        frequency_hz: 250,
        cpu_ns: u64::MAX,
        folded_file: bad(),
        flame_file: bad(),
        pprof_file: Some(bad()),
    }];
    for profile in &mut run.lock_profiles {
        profile.arm = bad();
        profile.roles.iter_mut().for_each(|role| role.role = bad());
        for lock in &mut profile.locks {
            lock.name = bad();
            lock.acquisitions_each = (1..=9).chain([u64::MAX]).collect();
            lock.wait_ns_each = vec![u64::MAX; 10];
            let sites = lock.waiters.iter_mut().chain(&mut lock.holders);
            sites.for_each(|site| site.function = bad());
        }
    }
    (run, cmp)
}

/// Eight clients on one lock, and a pipeline of one thread.
pub(super) fn lock_profile(arm: &str) -> LockProfile {
    let site = |function: &str, samples: u64, nanos: u64| LockSite {
        function: function.into(),
        samples,
        nanos,
    };
    let role = |role: &str, threads: u32, cpu_ns: u64, lock_ns: u64, disk_ns: u64| RoleTime {
        role: role.into(),
        threads,
        cpu_ns,
        runqueue_ns: 400_000_000,
        lock_ns,
        disk_ns,
    };
    let lock = |name: &str, wait_ns: u64, waiters: Vec<LockSite>| ProfiledLock {
        name: name.into(),
        acquisitions_each: vec![400_000],
        wait_ns_each: vec![wait_ns],
        contended: 300_000,
        hold_ns: 900_000_000,
        wait: Spread { p50_ns: 2_000, p99_ns: 90_000, max_ns: 4_000_000 },
        hold: Spread { p50_ns: 900, p99_ns: 4_000, max_ns: 4_000_000 },
        waiters,
        holders: vec![site("store::global::apply_locked", 450, 900_000_000)],
    };
    LockProfile {
        arm: arm.into(),
        clients: 8,
        elapsed_s: 1.0,
        ops: 400_000,
        service_mean_ns: 10_000.0,
        period_ns: 2_000_000,
        locks: vec![
            lock(
                "store",
                3_100_000_000,
                vec![site("store::global::apply_locked", 1_552, 3_104_000_000)],
            ),
            lock(
                "publication",
                100_000_000,
                vec![site("store::publication::turn", 48, 96_000_000)],
            ),
        ],
        roles: vec![
            role("load", 8, 1_200_000_000, 3_200_000_000, 0),
            role("raft", 1, 100_000_000, 0, 300_000_000),
        ],
        wait_file: format!("wait-{arm}.folded"),
        hold_file: format!("hold-{arm}.folded"),
        pprof_file: format!("locks-{arm}.pb.gz"),
        flame_file: Some(format!("flame-lock-wait-{arm}.svg")),
    }
}

fn run() -> Run {
    Run {
        schema: SCHEMA,
        method: METHOD,
        kvbench_version: "0.1.0".into(),
        started_at: "2026-11-03T14:12:00Z".into(),
        elapsed_s: 130.4,
        complete: true,
        quick: false,
        counts_syscalls: false,
        scenario: ScenarioText {
            name: "put_parallel".into(),
            analysis: "Does the optimised write path beat the baseline 10x, and which lever earns it?".into(),
            path: "scenarios/put_parallel.toml".into(),
            text: "schema = 1\nname = \"put_parallel\"\nseed = 42\n\n[arms.before]\napply = \"global-mutex\"\n".into(),
            workload: "75 % PUT, 25 % GET, 16 B / 256 B".into(),
            seed: 42,
        },
        host: host(),
        build: Build {
            revision: "a1b2c3d".into(),
            profile: "release".into(),
            rustc: "rustc 1.95.0".into(),
            details: build_details(),
        },
        arms: arms(),
        both_ways: vec![],
        targets: verdicts().into_iter().map(|v| v.target).collect(),
        gates: Vec::new(),
        plan: Plan { pairs_min: 8, pairs_max: 20, precision: 0.05, precision_required: false, on_disturbed: String::new() },
        agents: Vec::new(),
        voided: Vec::new(),
        blocks: Vec::new(),
        trials: trials(),
        checks: checks(),
        profiles: vec![],
        lock_profiles: vec![lock_profile("before"), lock_profile("after")],
        off_cpu: Vec::new(),
        off_cpu_absent: None,
        warnings: vec![Warning::BusyHost { load_average: 1.32 }],
    }
}

fn host() -> Host {
    Host {
        cpu: "AMD EPYC".into(),
        cores: 2,
        hypervisor: "KVM".into(),
        kernel: "6.18".into(),
        memory_bytes: 8 << 30,
        governor: "not visible".into(),
        clocksource: "kvm-clock".into(),
        filesystem: "ext4".into(),
        data_folder: "/tmp/kvbench".into(),
        fdatasync_p50_ns: 150_000,
        fdatasync_p99_ns: 900_000,
        load_average: 1.32,
        details: HostDetails {
            machine_key: "5f0c1d2e3a4b".into(),
            sockets: Some(1),
            physical_cores: Some(2),
            threads_per_core: Some(1),
            numa_nodes: Some(1),
            microcode: "0x1000065".into(),
            cgroup_cpu_millicores: Limit::None,
            cgroup_memory_bytes: Limit::At(4 << 30),
            transparent_huge_pages: "madvise".into(),
            mitigations: "2 mitigated, none vulnerable, 14 not affected".into(),
            aslr: "full".into(),
            mount_options: "rw,relatime".into(),
            block_device: "vda".into(),
            rotational: Some(false),
            write_cache: "write back".into(),
            ..HostDetails::default()
        },
    }
}

fn build_details() -> BuildDetails {
    BuildDetails {
        tree: "clean".into(),
        features: "none".into(),
        target: "x86_64-unknown-linux-gnu".into(),
        target_cpu: "generic".into(),
        opt_level: "3".into(),
        lto: "thin-local".into(),
        debug_info: "line-tables-only".into(),
        frame_pointers: "left out".into(),
        allocator: "malloc of glibc".into(),
        binary_bytes: Some(21 << 20),
    }
}

fn arms() -> Vec<Arm> {
    let values = [
        ("global-mutex", "serial"),
        ("global-mutex", "pipelined"),
        ("sharded", "pipelined"),
        ("sharded", "batched"),
    ];
    ARMS.iter()
        .zip(values)
        .map(|((name, lever), (apply, propose))| Arm {
            name: (*name).into(),
            lever: (*lever).into(),
            apart: false,
            levers: BTreeMap::from(
                [
                    ("layer", "raft"),
                    ("nodes", "1"),
                    ("fsync", "real"),
                    ("apply", apply),
                    ("propose", propose),
                ]
                .map(|(k, v)| (k.to_string(), v.to_string())),
            ),
        })
        .collect()
}

fn checks() -> Vec<Check> {
    let check = |id: &str, detail: &str| Check::decided(id, true, detail.into());
    vec![
        check("same-state", "the same state hash on all 4 arms in 12 blocks"),
        check("acked-writes-survive", "0 of 1 876 204 acknowledged writes lost"),
    ]
}

/// A wobble of a few per cent that depends on its place only.
fn wobble(block: u32, arm: usize, clients: usize) -> f64 {
    let place = f64::from(block) * 12.9898 + arm as f64 * 78.233 + clients as f64 * 37.719;
    1.0 + 0.025 * place.sin()
}

fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for block in 0..12 {
        for position in 0..4usize {
            let arm = (position + block as usize * 3) % 4;
            trials.push(trial(block, position as u32, arm, false));
        }
        if block < 6 {
            trials.push(trial(block, 4, if block % 2 == 0 { 0 } else { 3 }, true));
        }
    }
    trials
}

fn trial(block: u32, position: u32, arm: usize, aa: bool) -> Trial {
    let shift = if aa { 100 } else { 0 };
    Trial {
        block,
        arm: ARMS[arm].0.into(),
        aa,
        started_s: f64::from(block) * 10.0 + f64::from(position) * 2.0,
        prepare_s: 0.12,
        sharing: None,
        cells: (0..4)
            .map(|c| cell(arm, c, RATES[arm][c] * wobble(block + shift, arm, c)))
            .collect(),
        end: TrialEnd {
            revision: 50_000,
            keys: 10_000,
            state_hash: "00ff".repeat(8),
            members: Vec::new(),
            writes_acked: 49_999,
            changes_acked: 0,
            revokes_acked: 0,
            bank: None,
            versions: None,
            leases: None,
            sampled: None,
            replayed: None,
        },
    }
}

fn cell(arm: usize, c: usize, rate: f64) -> Cell {
    let mean = service_ns(arm, c);
    Cell {
        phase: "saturate".into(),
        clients: CLIENTS[c],
        position: 0,
        started_s: 0.0,
        elapsed_s: 1.0,
        ops: rate as u64,
        errors: 0,
        throughput_per_s: rate,
        service: Latency {
            count: rate as u64,
            mean_ns: mean,
            p50_ns: (mean * 0.95) as u64,
            p90_ns: (mean * 1.3) as u64,
            p99_ns: (mean * 1.9) as u64,
            p999_ns: (mean * 3.0) as u64,
            max_ns: (mean * 5.0) as u64,
            histogram: "HISTFAAA".into(),
        },
        open: None,
        search: None,
        by_op: vec![],
        series: None,
        watch: None,
        in_flight_mean: f64::from(CLIENTS[c]),
        thinking_mean: 0.0,
        stages: vec![],
        counters: Counters { fsyncs: (rate * fsyncs_per_op(arm, c)) as u64, ..Counters::default() },
        locks: vec![],
        appliers_max: None,
        cpu: vec![],
        syscalls_absent: None,
        load_threads: 1,
        process: None,
        allocations: None,
        host: None,
        agents: Vec::new(),
    }
}

fn service_ns(arm: usize, c: usize) -> f64 {
    f64::from(CLIENTS[c]) / RATES[arm][c] * 1e9
}

fn fsyncs_per_op(arm: usize, c: usize) -> f64 {
    if arm == 0 { 1.0 } else { 1.4 / f64::from(CLIENTS[c]) }
}

fn costs(arm: usize, c: usize) -> Costs {
    let mean = service_ns(arm, c);
    let fsync: f64 = if arm == 0 { 171_000.0 } else { 286_000.0 };
    let parts = [0.0, 4_200.0, 9_000.0, fsync.min(mean * 0.6), 0.0, 6_000.0, 210.0, 900.0, 7_100.0];
    let queue = (mean - parts.iter().sum::<f64>() - mean * 0.003).max(0.0);
    let mut stages: Vec<(String, f64)> =
        STAGES.iter().map(|s| (*s).to_string()).zip(parts).collect();
    stages[0].1 = queue;
    let lock = |name: &str, wait: f64, hold: f64, contended: f64| LockCost {
        name: name.into(),
        wait_ns_per_op: wait,
        hold_ns_per_op: Some(hold),
        contended,
    };
    Costs {
        fsyncs_per_op: fsyncs_per_op(arm, c),
        cpu_us_per_op: if arm == 0 { 61.0 } else { 19.0 },
        cpu_roles: vec![
            ("load".to_string(), if arm == 0 { 9.0 } else { 6.0 }),
            ("raft".to_string(), if arm == 0 { 52.0 } else { 13.0 }),
        ],
        cores_busy: if arm == 0 { 0.27 } else { 1.55 },
        requests_per_ready: 1.0 / fsyncs_per_op(arm, c),
        entries_per_ready: 1.0,
        service_mean_ns: mean,
        p50_ns: mean * 0.95,
        p99_ns: Some(mean * 1.9),
        stage_spreads: stages
            .iter()
            .filter(|(_, ns)| *ns > 0.0)
            .map(|(stage, ns)| (stage.clone(), ns * 0.9, ns * 2.2))
            .collect(),
        stages,
        locks: vec![lock("store", 72.0, 410.0, 0.0002), lock("inbox", 350.0, 120.0, 0.031)],
        resident_peak_bytes: Some(if arm == 0 { 96e6 } else { 104e6 }),
        io_calls_per_op: Some(fsyncs_per_op(arm, c)),
        syscalls_per_op: Some(if arm == 0 { 6.2 } else { 0.4 }),
        disk_bytes_per_op: Some(if arm == 0 { 4_400.0 } else { 480.0 }),
        allocs_per_op: Some(if arm == 0 { 23.0 } else { 21.0 }),
        alloc_bytes_per_op: Some(if arm == 0 { 2_100.0 } else { 1_900.0 }),
        load_share: 0.38,
        load_wait: 0.026,
        littles_gap: 0.006,
        disturbance: Some(0.03),
        cpu_pressure: Some(0.41),
    }
}

fn estimate(ratio: f64) -> Estimate {
    Estimate { ratio, interval: Some((ratio * 0.962, ratio * 1.038)), pairs: 12, invalid: None }
}

fn comparison() -> Comparison {
    let rows = (0..4).map(|c| Row {
        clients: CLIENTS[c],
        open: None,
        arms: (0..4).map(|arm| summary(arm, c)).collect(),
        ratio: estimate(RATES[3][c] / RATES[0][c]),
        aa_floor: Some(0.021),
        ops: if c == 2 { ops(c) } else { vec![] },
        watch: (c == 2).then(|| watch(c)),
    });
    Comparison {
        phases: vec![PhaseTable {
            phase: "saturate".into(),
            rows: rows.collect(),
            scaling: Vec::new(),
        }],
        ladders: vec![ladder(2)],
        verdicts: verdicts(),
        outcome: Outcome::Met,
    }
}

/// Three puts to a get.
fn ops(c: usize) -> Vec<OpRow> {
    let row = |op: &str, share: f64, slower: f64| {
        let arm = |arm: usize| OpArm {
            throughput_per_s: RATES[arm][c] * share,
            p50_ns: service_ns(arm, c) * slower,
            p99_ns: (op == "put").then(|| service_ns(arm, c) * slower * 2.0),
        };
        let ratio = RATES[3][c] / RATES[0][c];
        OpRow {
            op: op.into(),
            before: arm(0),
            after: arm(3),
            throughput: estimate(ratio),
            p50: estimate(1.0 / ratio),
            p99: estimate(1.0 / ratio),
        }
    };
    vec![row("put", 0.75, 0.95), row("get", 0.25, 0.9)]
}

/// A hundred watchers of three puts to a get; the slower arms never outrun them.
fn watch(c: usize) -> WatchRow {
    let arms = ARMS.iter().enumerate().map(|(arm, (name, _))| WatchArm {
        arm: (*name).into(),
        events_per_s: RATES[arm][c] * 75.0,
        resyncs: if arm == 3 { 17.0 } else { 0.0 },
        lag_ns: if arm == 3 { 41_200_000.0 } else { 7_000.0 },
    });
    WatchRow { watchers: 100, arms: arms.collect(), events: estimate(RATES[3][c] / RATES[0][c]) }
}

fn summary(arm: usize, c: usize) -> ArmSummary {
    ArmSummary {
        arm: ARMS[arm].0.into(),
        trials: 12,
        throughput_per_s: RATES[arm][c],
        half_width: Some(0.019 + 0.002 * c as f64),
        steadiness: Steadiness {
            flat: 11,
            warmed: usize::from(arm == 3),
            slowed: 1 - usize::from(arm == 3),
            unsteady: 0,
        },
        costs: costs(arm, c),
        invalid: None,
    }
}

fn ladder(c: usize) -> Ladder {
    let against = |arm: usize, base: usize| estimate(RATES[arm][c] / RATES[base][c]);
    let rungs = ARMS.iter().enumerate().map(|(arm, (name, lever))| Rung {
        arm: (*name).into(),
        lever: (*lever).into(),
        throughput_per_s: RATES[arm][c],
        invalid: None,
        step: (arm > 0).then(|| against(arm, arm - 1)),
        total: (arm > 0).then(|| against(arm, 0)),
    });
    Ladder {
        phase: "saturate".into(),
        clients: CLIENTS[c],
        rungs: rungs.collect(),
        both_ways: vec![
            BothWays { lever: "propose pipelined".into(), first: against(1, 0), last: None },
            BothWays {
                lever: "apply sharded".into(),
                first: estimate(0.995),
                last: Some(against(2, 1)),
            },
            BothWays {
                lever: "propose batched".into(),
                first: estimate(16.1),
                last: Some(against(3, 2)),
            },
        ],
        best: ("after".into(), RATES[3][c]),
        simpler_is_faster: None,
        ceiling: Some(38.0),
        lock_ceiling: Some(1.0001),
    }
}

fn verdicts() -> Vec<TargetVerdict> {
    let target = |id: &str, metric: &str, bound: &str| Target {
        id: id.into(),
        metric: metric.into(),
        bound: bound.into(),
        ..Target::default()
    };
    vec![
        TargetVerdict {
            target: target("10x", "saturate.throughput@50", ">= 10"),
            estimate: Some(estimate(RATES[3][2] / RATES[0][2])),
            value: None,
            check: None,
            verdict: Verdict::Met,
            reason: String::new(),
        },
        TargetVerdict {
            target: target("latency-10x", "saturate.p50@50", "<= 0.1"),
            estimate: Some(estimate(RATES[0][2] / RATES[3][2])),
            value: None,
            check: None,
            verdict: Verdict::Met,
            reason: String::new(),
        },
    ]
}

/// Compares with a file under `tests/golden/`; rewrites it if `KVBENCH_UPDATE_GOLDEN` is set.
pub(super) fn check_golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(name);
    if std::env::var_os("KVBENCH_UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        return std::fs::write(&path, text).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, wanted, "{name} differs; KVBENCH_UPDATE_GOLDEN=1 rewrites it");
}

/// What an agent did that kept step well.
pub(super) fn an_agent() -> AgentCell {
    AgentCell {
        address: "10.0.0.7:2390".into(),
        clients: 25,
        ops: 40_000,
        cpu_ns: 400_000_000,
        late_ns: 120_000,
        clock_error_ns: 40_000,
        clock_drift_ns: -3_000,
    }
}
