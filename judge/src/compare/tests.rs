//! Stories on small hand-made records: which pairs exist, what is judged, and in which words.

use super::*;
use crate::record::{
    AgentCell, Arm, Build, BuildDetails, Cell, Check, Counters, Host, HostDetails, Latency,
    LockUse, METHOD, OpCell, Plan, RoleCpu, Run, SCHEMA, ScenarioText, StageTime, StepBothWays,
    Target, Trial, TrialEnd, Warning, WatchCell,
};

/// Eight throughputs of the before arm that wobble by a few percent.
pub(super) const STEADY: [f64; 8] = [98.0, 101.0, 100.0, 103.0, 99.0, 97.0, 102.0, 100.0];
/// Ratios around 10 that do not decide `>= 10`.
const AROUND_TEN: [f64; 8] = [9.6, 10.5, 9.9, 10.6, 9.8, 10.3, 10.2, 10.4];

pub(crate) fn cell(clients: u32, throughput_per_s: f64) -> Cell {
    let stage = |stage: &str, mean_ns| StageTime {
        stage: stage.into(),
        mean_ns,
        p50_ns: Some(mean_ns as u64 / 2),
        p99_ns: Some(mean_ns as u64 * 3),
    };
    Cell {
        phase: "saturate".into(),
        clients,
        position: 0,
        started_s: 0.0,
        elapsed_s: 2.0,
        ops: 20_000,
        errors: 0,
        throughput_per_s,
        service: Latency {
            count: 20_000,
            mean_ns: 1000.0,
            p50_ns: 900,
            p90_ns: 2000,
            p99_ns: 4000,
            p999_ns: 9000,
            max_ns: 10_000,
            histogram: String::new(),
        },
        open: None,
        search: None,
        by_op: Vec::new(),
        series: None,
        watch: None,
        in_flight_mean: 0.99 * f64::from(clients),
        thinking_mean: 0.0,
        stages: vec![stage("queue", 600.0), stage("apply", 400.0)],
        counters: Counters {
            fsyncs: 2000,
            readies: 1000,
            entries: 4000,
            requests: 20_000,
            log_bytes: 2_560_000,
            ..Counters::default()
        },
        locks: vec![LockUse {
            name: "store".into(),
            locks: 1,
            acquisitions: 20_000,
            contended: 5000,
            wait_ns: 4_000_000,
            hold_ns: 2_000_000,
        }],
        appliers_max: Some(3),
        cpu: vec![
            RoleCpu {
                role: "load".into(),
                cpu_ns: 1_000_000_000,
                runqueue_ns: 0,
                switches: Some(3_000),
                syscalls: None,
            },
            RoleCpu {
                role: "raft".into(),
                cpu_ns: 2_000_000_000,
                runqueue_ns: 0,
                switches: Some(2_000),
                syscalls: None,
            },
        ],
        syscalls_absent: None,
        load_threads: 1,
        process: None,
        allocations: None,
        host: None,
        agents: Vec::new(),
    }
}

pub(crate) fn trial(block: u32, arm: &str, throughput_per_s: f64) -> Trial {
    Trial {
        block,
        arm: arm.into(),
        aa: false,
        started_s: 0.0,
        prepare_s: 0.0,
        sharing: None,
        cells: vec![cell(50, throughput_per_s)],
        end: TrialEnd {
            revision: 0,
            keys: 0,
            state_hash: String::new(),
            members: Vec::new(),
            writes_acked: 0,
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

/// A record of these arms without trials and targets.
pub(crate) fn empty(arms: &[&str]) -> Run {
    let arm = |name: &&str| Arm {
        name: name.to_string(),
        lever: String::new(),
        apart: false,
        levers: Default::default(),
    };
    Run {
        schema: SCHEMA,
        method: METHOD,
        kvbench_version: String::new(),
        started_at: String::new(),
        elapsed_s: 0.0,
        complete: true,
        quick: false,
        counts_syscalls: false,
        scenario: ScenarioText {
            name: String::new(),
            analysis: String::new(),
            path: String::new(),
            text: String::new(),
            workload: String::new(),
            seed: 0,
        },
        host: Host {
            cpu: String::new(),
            cores: 2,
            hypervisor: String::new(),
            kernel: String::new(),
            memory_bytes: 0,
            governor: String::new(),
            clocksource: String::new(),
            filesystem: String::new(),
            data_folder: String::new(),
            fdatasync_p50_ns: 0,
            fdatasync_p99_ns: 0,
            load_average: 0.0,
            details: HostDetails::default(),
        },
        build: Build {
            revision: String::new(),
            profile: String::new(),
            rustc: String::new(),
            details: BuildDetails::default(),
        },
        arms: arms.iter().map(arm).collect(),
        both_ways: Vec::new(),
        targets: Vec::new(),
        gates: Vec::new(),
        plan: Plan {
            pairs_min: 8,
            pairs_max: 20,
            precision: 0.05,
            precision_required: false,
            on_disturbed: String::new(),
        },
        agents: Vec::new(),
        voided: Vec::new(),
        blocks: Vec::new(),
        trials: Vec::new(),
        checks: Vec::new(),
        profiles: Vec::new(),
        lock_profiles: Vec::new(),
        off_cpu: Vec::new(),
        off_cpu_absent: None,
        warnings: Vec::new(),
    }
}

/// Before as in [`STEADY`], after by these ratios, one block each, with one target.
fn world(ratios: &[f64], metric: &str, bound: &str) -> Run {
    let mut run = empty(&["before", "after"]);
    for (block, (ratio, before)) in (0..).zip(ratios.iter().zip(STEADY.iter().cycle())) {
        run.trials.push(trial(block, "before", *before));
        run.trials.push(trial(block, "after", before * ratio));
    }
    run.targets.push(Target {
        id: "goal".into(),
        metric: metric.into(),
        bound: bound.into(),
        ..Target::default()
    });
    run
}

pub(super) fn throughput_world(ratios: &[f64]) -> Run {
    world(ratios, "saturate.throughput@50", ">= 10")
}

/// Verdict and reason of the only target.
fn judged(run: &Run) -> (Verdict, String) {
    let verdict = compare(run).verdicts.remove(0);
    (verdict.verdict, verdict.reason)
}

#[test]
fn the_whole_interval_decides() {
    let shifted = |factor: f64| throughput_world(&AROUND_TEN.map(|ratio| ratio * factor));
    assert_eq!(judged(&shifted(1.1)), (Verdict::Met, String::new()));
    assert_eq!(judged(&shifted(0.9)).0, Verdict::Missed);
    assert_eq!(
        judged(&shifted(1.0)),
        (Verdict::Inconclusive, "about 26 more pairs would decide it at this noise".into())
    );
    assert_eq!(compare(&shifted(1.1)).outcome, Outcome::Met);
    assert_eq!(compare(&shifted(0.9)).outcome, Outcome::Missed);
    assert_eq!(compare(&shifted(1.0)).outcome, Outcome::Inconclusive);
}

#[test]
fn a_ratio_on_the_bound_is_met_if_it_is_sure() {
    let mut run = throughput_world(&[1.0; 8]);
    run.targets[0].bound = ">= 1".into();
    assert_eq!(judged(&run).0, Verdict::Met);
    run.targets[0].bound = "<= 1".into();
    assert_eq!(judged(&run).0, Verdict::Met);
}

#[test]
fn an_estimate_on_the_bound_names_no_number_of_pairs() {
    let mut run = throughput_world(&[0.5, 2.0, 0.5, 2.0, 0.5, 2.0, 1.0, 1.0]);
    run.targets[0].bound = ">= 1".into();
    assert!(judged(&run).1.starts_with("the estimate lies on the bound"), "{}", judged(&run).1);
    run.targets[0].bound = ">= 1.001".into();
    assert!(judged(&run).1.ends_with("more than 1000 pairs would be needed"));
}

#[test]
fn a_miss_names_the_ceiling() {
    let reason = "the ceiling was 2.50×: 60 % of a before operation was waiting its turn, and the rest stays";
    assert_eq!(judged(&throughput_world(&[2.0; 8])), (Verdict::Missed, reason.into()));
    let mut no_clock = throughput_world(&[2.0; 8]);
    for trial in &mut no_clock.trials {
        trial.cells[0].stages.clear();
    }
    assert_eq!(judged(&no_clock), (Verdict::Missed, String::new()));
    let mut no_queue = throughput_world(&[2.0; 8]);
    for stage in no_queue.trials.iter_mut().flat_map(|trial| &mut trial.cells[0].stages) {
        stage.mean_ns = if stage.stage == "queue" { 0.0 } else { stage.mean_ns };
    }
    assert_eq!(judged(&no_queue), (Verdict::Missed, String::new()), "the store alone has none");
    assert_eq!(
        judged(&world(&[2.0; 8], "saturate.p50@50", "<= 0.5")),
        (Verdict::Missed, String::new())
    );
}

#[test]
fn few_pairs_decide_nothing() {
    let few = judged(&throughput_world(&[20.0; 5]));
    assert_eq!(
        few,
        (Verdict::Inconclusive, "cannot decide with 5 pairs; 6 are needed at 5 %".into())
    );
    assert!(judged(&throughput_world(&[20.0; 1])).1.contains("with 1 pair;"));
    assert_eq!(judged(&throughput_world(&[20.0; 6])).0, Verdict::Met);
}

#[test]
fn a_demanded_precision_comes_first() {
    let mut run = throughput_world(&AROUND_TEN.map(|ratio| ratio * 2.0));
    run.plan.precision = 0.01;
    assert_eq!(judged(&run).0, Verdict::Met);
    run.plan.precision_required = true;
    let reason = "asked for ±1 %, reached ±3.5 % after 8 pairs; about 89 more would reach it";
    assert_eq!(judged(&run), (Verdict::Inconclusive, reason.into()));
    run.plan.precision = 0.0;
    assert!(judged(&run).1.ends_with("more than 1000 would be needed"));
}

#[test]
fn a_percentile_needs_observations_beyond_it() {
    let observed = |count| {
        let mut run = world(&[1.0; 8], "saturate.p99@50", "<= 1");
        run.trials[3].cells[0].service.count = count;
        compare(&run).verdicts.remove(0)
    };
    assert_eq!(observed(10_000).verdict, Verdict::Met);
    let scarce = observed(5200);
    assert_eq!(scarce.verdict, Verdict::Inconclusive);
    assert!(scarce.estimate.is_some());
    assert_eq!(
        scarce.reason,
        "p99 needs 100 observations beyond it in each trial; the smallest had 52: \
         lengthen the phase's duration to about 4 s"
    );
    assert_eq!(observed(999).estimate, None);
    assert!(observed(0).reason.ends_with("the smallest had 0: lengthen the phase's duration"));
}

#[test]
fn what_cannot_be_read_or_was_not_measured_is_inconclusive() {
    let reason = |metric, bound| judged(&world(&[1.0; 8], metric, bound)).1;
    assert_eq!(reason("saturate.speed@50", ">= 1"), "cannot read the metric \"saturate.speed@50\"");
    assert_eq!(reason("saturate.p50@50", "> 1"), "cannot read the bound \"> 1\"");
    assert_eq!(
        reason("saturate.p50@51", ">= 1"),
        "no block has a value of saturate.p50@51 in both arms"
    );
}

#[test]
fn a_pair_needs_both_sides() {
    let mut run = throughput_world(&[10.0; 10]);
    run.trials[0].cells[0].throughput_per_s = 0.0;
    run.trials[3].cells[0].throughput_per_s = f64::NAN;
    run.trials[4].cells[0].throughput_per_s = -1.0;
    run.trials[6].cells.clear();
    run.trials.pop();
    run.trials[8].aa = true;
    let row = &compare(&run).phases[0].rows[0];
    assert_eq!(row.ratio.pairs, 4);
    assert_eq!(row.ratio.interval, None);
    assert!((row.ratio.ratio - 10.0).abs() < 1e-9);
    assert_eq!((row.arms[0].trials, row.arms[1].trials), (8, 9));
}

#[test]
fn a_failed_check_outranks_speed() {
    let check = |passed| Check::decided("same-state", passed, String::new());
    let mut run = throughput_world(&[1.0; 8]);
    run.checks = vec![check(true)];
    assert_eq!(compare(&run).outcome, Outcome::Missed);
    run.targets.clear();
    assert_eq!(compare(&run).outcome, Outcome::NoTarget);
    run.checks.push(check(false));
    assert_eq!(compare(&run).outcome, Outcome::WrongAnswer);
}

/// A target on one arm's own value, judged by its trials.
fn value_world(values: &[f64], bound: &str) -> Run {
    let mut run = throughput_world(&[1.0; 8]);
    run.targets[0] = Target {
        metric: "saturate.lock_wait_share@50".into(),
        bound: bound.into(),
        arm: Some("before".into()),
        ..run.targets[0].clone()
    };
    let before = run.trials.iter_mut().filter(|trial| trial.arm == "before");
    for (trial, value) in before.zip(values) {
        // 20 000 operations of 1 µs each: 20 ms.
        trial.cells[0].locks[0].wait_ns = (value * 2e7) as u64;
    }
    run
}

#[test]
fn an_arm_s_own_value_is_judged_by_its_trials() {
    let shares = [0.004, 0.005, 0.006, 0.005, 0.004, 0.006, 0.005, 0.005];
    let judged = |values: &[f64], bound| compare(&value_world(values, bound)).verdicts.remove(0);
    let met = judged(&shares, "<= 1%");
    assert_eq!((met.verdict, met.reason.as_str()), (Verdict::Met, ""));
    let value = met.value.unwrap();
    assert_eq!((value.trials, value.unit), (8, Unit::Share));
    assert!((value.value - 0.005).abs() < 1e-9 && value.interval.unwrap().1 <= 0.006);
    assert_eq!(judged(&shares, ">= 1%").verdict, Verdict::Missed);
    assert_eq!(judged(&shares, "0.3% .. 0.7%").verdict, Verdict::Met);
    assert_eq!(judged(&[0.0; 8], "<= 0%").verdict, Verdict::Met, "nothing is a value");
    let open = judged(&[0.004, 0.015, 0.008, 0.013, 0.009, 0.016, 0.005, 0.012], "<= 1%");
    assert_eq!(open.verdict, Verdict::Inconclusive);
    assert!(
        open.reason.contains("would decide it at this noise") || open.reason.contains("too close")
    );
    let mut few = value_world(&shares, "<= 1%");
    few.trials.truncate(10);
    assert_eq!(compare(&few).verdicts[0].reason, "cannot decide with 5 trials; 6 are needed");
    few.targets[0].arm = Some("rung-9".into());
    assert!(compare(&few).verdicts[0].reason.starts_with("no trial of rung-9 has a value"));
    assert!(precision_reached(&value_world(&shares, "<= 1%")));
    assert!(!precision_reached(&value_world(&shares, "<= 0.2%")), "the bound is the scale");
}

#[test]
fn a_check_is_met_when_it_passed() {
    let mut run = throughput_world(&[1.0; 8]);
    run.targets[0] =
        Target { id: "once".into(), check: Some("acked-once".into()), ..Target::default() };
    let judged = |run: &Run| compare(run).verdicts.remove(0);
    assert_eq!(judged(&run).verdict, Verdict::Inconclusive);
    assert!(precision_reached(&run));
    for passed in [true, false] {
        run.checks = vec![Check::decided("acked-once", passed, "x".into())];
        let expected = if passed { Verdict::Met } else { Verdict::Missed };
        assert_eq!(judged(&run).verdict, expected);
    }
}

#[test]
fn a_ratio_may_have_to_lie_between() {
    let judged = |ratios: &[f64; 8], bound| {
        let mut run = throughput_world(ratios);
        run.targets[0].bound = String::from(bound);
        compare(&run).verdicts.remove(0).verdict
    };
    assert_eq!(judged(&[3.0; 8], "2 .. 5"), Verdict::Met);
    assert_eq!(judged(&[1.2; 8], "2 .. 5"), Verdict::Missed);
    assert_eq!(judged(&AROUND_TEN, "2 .. 10"), Verdict::Inconclusive);
}

#[test]
fn scenarios_of_a_kind_become_one_figure() {
    let mut runs = [throughput_world(&[2.0; 8]), throughput_world(&[8.0; 8])];
    for run in &mut runs {
        run.arms.last_mut().unwrap().levers.insert("layer".into(), "raft".into());
    }
    let all: Vec<_> = runs.iter().flat_map(shares).collect();
    let figures = overall(&all);
    let [(kind, figure)] = figures.as_slice() else { panic!("{figures:?}") };
    assert_eq!((kind.measure.as_str(), kind.layer.as_str()), ("throughput", "raft"));
    assert!((figure.ratio - 4.0).abs() < 1e-9 && figure.scenarios == 2);
    runs[1].arms.last_mut().unwrap().levers.insert("layer".into(), "store".into());
    let all: Vec<_> = runs.iter().flat_map(shares).collect();
    assert!(overall(&all).is_empty(), "like goes with like");
}

#[test]
fn system_calls_are_judged_where_they_were_counted() {
    let mut run = throughput_world(&[1.0; 8]);
    run.targets[0].metric = "saturate.syscalls_per_op@50".into();
    run.targets[0].bound = "<= 0.5".into();
    let judged = |run: &Run| compare(run).verdicts.remove(0);
    let verdict = judged(&run);
    assert_eq!(verdict.verdict, Verdict::Inconclusive);
    assert!(verdict.reason.contains("no block has a value"), "{}", verdict.reason);
    run.warnings.push(Warning::SyscallsNotCounted { reason: "refused".into() });
    for arm in [None, Some("after".to_owned())] {
        run.targets[0].arm = arm;
        let verdict = judged(&run);
        assert_eq!(verdict.verdict, Verdict::Inconclusive);
        assert_eq!(verdict.reason, "system calls were not counted: refused");
    }
    run.warnings.clear();
    run.targets[0].arm = None;
    let after = run.arms.last().unwrap().name.clone();
    for trial in &mut run.trials {
        let calls = if trial.arm == after { 1_000 } else { 10_000 };
        for role in trial.cells.iter_mut().flat_map(|cell| &mut cell.cpu) {
            role.syscalls = Some(calls);
        }
    }
    let verdict = judged(&run);
    assert_eq!(verdict.verdict, Verdict::Met, "{}", verdict.reason);
    assert!((verdict.estimate.unwrap().ratio - 0.1).abs() < 1e-9);
    // Everybody's: that of one role is not known.
    run.trials[0].cells[0].cpu[0].syscalls = None;
    let metric = metric::Metric::parse("saturate.syscalls_per_op@50", &run).unwrap();
    assert_eq!(metric.reading(&run.trials[0].cells[0]), None);
    assert_eq!(metric.reading(&run.trials[1].cells[0]).map(|calls| calls > 0.0), Some(true));
}

#[test]
fn costs_of_locks_and_stages_can_be_judged() {
    let run = throughput_world(&[1.0; 8]);
    let cell = &run.trials[0].cells[0];
    let read = |text: &str| metric::Metric::parse(text, &run).unwrap().reading(cell);
    let near = |a: Option<f64>, b: f64| (a.unwrap() - b).abs() < 1e-9;
    assert!(near(read("saturate.lock_wait_share@50"), 0.2));
    assert!(near(read("saturate.lock_contended@50"), 0.25));
    assert!(near(read("saturate.locks_per_op@50"), 1.0));
    assert!(near(read("saturate.appliers_max@50"), 3.0));
    assert!(near(read("saturate.appliers_mean@50"), cell.throughput_per_s * 400e-9));
    assert!(near(read("saturate.in_flight@50"), 0.0));
    assert!(near(read("saturate.entries_per_op@50"), 0.2));
    assert!(near(read("saturate.switches_per_op@50"), 0.25));
    assert!(near(read("saturate.log_bytes_per_op@50"), 128.0));
    assert!(near(read("saturate.cores_busy@50"), 1.5));
    assert!(near(read("saturate.system_cores_busy@50"), 1.0));
    assert!(near(read("saturate.mean@50"), 1000.0) && near(read("saturate.max@50"), 10_000.0));
    assert_eq!(read("saturate.put.p50@50"), None);
}

#[test]
fn a_missed_target_outranks_an_undecided_one() {
    let mut run = throughput_world(&[20.0; 8]);
    let target = |metric: &str, bound: &str| Target {
        id: "x".into(),
        metric: metric.into(),
        bound: bound.into(),
        ..Target::default()
    };
    run.targets.push(target("nowhere.p50@1", ">= 1"));
    assert_eq!(compare(&run).outcome, Outcome::Inconclusive);
    run.targets.push(target("saturate.p50@50", "<= 0.5"));
    assert_eq!(compare(&run).outcome, Outcome::Missed);
}

#[test]
fn the_ladder_has_a_pair_of_its_own_for_each_step() {
    let mut run = empty(&["before", "rung-1", "after"]);
    run.arms[1].lever = "propose pipelined".into();
    for (block, base) in (0..).zip(STEADY) {
        run.trials.push(trial(block, "after", base * 4.0));
        run.trials.push(trial(block, "rung-1", base * 5.0));
        run.trials.push(trial(block, "before", base));
    }
    let ladder = compare(&run).ladders.remove(0);
    let near =
        |estimate: Option<Estimate>, ratio: f64| (estimate.unwrap().ratio - ratio).abs() < 1e-9;
    assert_eq!((ladder.rungs[0].step, ladder.rungs[0].total), (None, None));
    assert!(near(ladder.rungs[1].step, 5.0) && near(ladder.rungs[1].total, 5.0));
    assert!(near(ladder.rungs[2].step, 0.8) && near(ladder.rungs[2].total, 4.0));
    assert_eq!(ladder.rungs[1].lever, "propose pipelined");
    assert_eq!(ladder.best.0, "rung-1");
    let (arm, estimate) = ladder.simpler_is_faster.unwrap();
    assert!(arm == "rung-1" && near(Some(estimate), 0.8));
    assert!((ladder.ceiling.unwrap() - 2.5).abs() < 1e-9);
    assert!((ladder.lock_ceiling.unwrap() - 1.25).abs() < 1e-9);
}

/// A world of two levers: one doubles by itself, the other does nothing alone and triples on top of it.
#[test]
fn a_step_is_judged_alone_and_on_top_of_the_others() {
    let arms = [("before", 100.0), ("rung-1", 200.0), ("alone-2", 100.0), ("after", 600.0)];
    let mut run = empty(&arms.map(|(name, _)| name));
    run.arms[2].apart = true;
    for block in 0..8 {
        // Each arm its own, the same on both sides of the truth.
        let noise = |arm: usize| 1.0 + 0.01 * [1.0, -1.0][(block as usize >> arm) % 2];
        let all = arms.iter().enumerate();
        run.trials.extend(all.map(|(arm, (name, rate))| trial(block, name, rate * noise(arm))));
    }
    let step = |lever: &str, alone: &str, without: &str| StepBothWays {
        lever: lever.into(),
        alone: alone.into(),
        without: without.into(),
    };
    run.both_ways = vec![
        step("first", "rung-1", "alone-2"),
        step("second", "alone-2", "rung-1"),
        step("superfluous", "alone-2", "after"),
    ];
    let ladder = compare(&run).ladders.remove(0);
    let rungs: Vec<_> = ladder.rungs.iter().map(|rung| rung.arm.as_str()).collect();
    assert_eq!(rungs, ["before", "rung-1", "after"], "what stands apart is no rung");
    let near = |estimate: Estimate, wanted: f64| {
        let (low, high) = estimate.interval.unwrap();
        (estimate.ratio / wanted - 1.0).abs() < 0.02
            && low < wanted * 1.001
            && high > wanted * 0.999
    };
    let both: Vec<_> = ladder.both_ways.iter().map(|step| (step.first, step.last)).collect();
    assert!(near(both[0].0, 2.0) && near(both[0].1.unwrap(), 6.0), "{both:?}");
    assert!(near(both[1].0, 1.0) && near(both[1].1.unwrap(), 3.0), "{both:?}");
    assert_eq!(both[2].1, None, "the others do the same");
    assert!(near(ladder.rungs[2].step.unwrap(), 3.0), "a step is against the rung before it");
}

#[test]
fn ladders_stand_where_targets_point() {
    let mut run = throughput_world(&[2.0; 8]);
    for trial in &mut run.trials {
        trial.cells.push(cell(200, 1.0));
        trial.cells.push(cell(1, 1.0));
    }
    let places =
        |run: &Run| -> Vec<u32> { compare(run).ladders.iter().map(|l| l.clients).collect() };
    run.targets.push(run.targets[0].clone());
    assert_eq!(places(&run), [50]);
    run.targets.iter_mut().for_each(|target| target.metric = "nowhere.p50@1".into());
    assert_eq!(places(&run), [200]);
    let rows: Vec<u32> = compare(&run).phases[0].rows.iter().map(|row| row.clients).collect();
    assert_eq!(rows, [1, 50, 200]);
}

#[test]
fn repeats_give_the_floor_and_nothing_else() {
    let mut run = throughput_world(&[10.0; 6]);
    let floor = |run: &Run| compare(run).phases[0].rows[0].aa_floor;
    for (block, wobble) in (0..).zip([0.99, 1.01, 1.0, 1.02, 0.98]) {
        run.trials
            .push(Trial { aa: true, ..trial(block, "before", STEADY[block as usize] * wobble) });
    }
    assert_eq!(floor(&run), None);
    run.trials.push(Trial { aa: true, ..trial(0, "after", 980.0 * 0.9) });
    assert!((floor(&run).unwrap() - (1.0 / 0.9 - 1.0)).abs() < 1e-9);
    assert_eq!(compare(&run).phases[0].rows[0].arms[0].trials, 6);
}

#[test]
fn costs_are_per_operation_and_medians_over_trials() {
    let mut run = throughput_world(&[1.0; 3]);
    run.trials[0].cells[0].counters.fsyncs = 1_000_000;
    run.trials[2].cells[0].ops = 0;
    let costs = compare(&run).phases[0].rows[0].arms[0].costs.clone();
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(near(costs.fsyncs_per_op, (50.0 + 0.1) / 2.0));
    assert!(near(costs.cpu_us_per_op, 150.0) && near(costs.cores_busy, 1.5));
    assert!(near(costs.requests_per_ready, 20.0) && near(costs.entries_per_ready, 4.0));
    assert!(near(costs.load_share, 0.5) && near(costs.littles_gap, 0.01));
    assert_eq!(costs.stages, [("queue".to_string(), 600.0), ("apply".to_string(), 400.0)]);
    let store = LockCost {
        name: "store".into(),
        wait_ns_per_op: 200.0,
        hold_ns_per_op: Some(100.0),
        contended: 0.25,
    };
    assert_eq!(costs.locks, [store]);
    assert_eq!(costs.p99_ns, Some(4000.0));
    run.trials[4].cells[0].service.count = 999;
    assert_eq!(compare(&run).phases[0].rows[0].arms[0].costs.p99_ns, None);
}

#[test]
fn pairs_are_added_until_every_target_is_narrow() {
    let mut run = throughput_world(&AROUND_TEN);
    assert!(precision_reached(&run));
    run.plan.precision = 0.01;
    assert!(!precision_reached(&run));
    run.targets[0].metric = "saturate.p50@50".into();
    assert!(precision_reached(&run));
    run.targets.clear();
    assert!(!precision_reached(&run));
    run.plan.precision = 0.05;
    assert!(precision_reached(&run));
    run.trials.truncate(10);
    assert!(!precision_reached(&run));
    run.trials.clear();
    assert!(!precision_reached(&run));
}

/// A mix is told apart: puts as in the whole, gets that do not gain.
#[test]
fn kinds_of_operation_are_compared_like_with_like() {
    let mut run = throughput_world(&AROUND_TEN);
    assert!(compare(&run).phases[0].rows[0].ops.is_empty(), "a record without kinds");
    for cell in run.trials.iter_mut().flat_map(|trial| &mut trial.cells) {
        let op = |op: &str, throughput_per_s, count| {
            let service = Latency { count, ..cell.service.clone() };
            OpCell { op: op.into(), ops: count, throughput_per_s, service }
        };
        cell.by_op = vec![op("put", cell.throughput_per_s, 20_000), op("get", 50.0, 999)];
    }
    let comparison = compare(&run);
    let row = &comparison.phases[0].rows[0];
    let [put, get] = row.ops.as_slice() else { panic!("{:?}", row.ops) };
    assert_eq!((put.op.as_str(), put.throughput), ("put", row.ratio));
    assert_eq!((get.throughput.ratio, get.throughput.pairs), (1.0, 8));
    assert_eq!((put.before.p99_ns, get.before.p99_ns), (Some(4000.0), None));
    assert_eq!((get.before.throughput_per_s.round(), get.p50.ratio), (50.0, 1.0));
    run.trials
        .iter_mut()
        .flat_map(|trial| &mut trial.cells)
        .for_each(|cell| cell.by_op.truncate(1));
    assert!(compare(&run).phases[0].rows[0].ops.is_empty(), "one kind is the whole");
}

/// Whatever a damaged or interrupted record holds, there is an answer and it can be printed.
#[test]
fn no_record_is_too_broken() {
    let mut none = throughput_world(&[]);
    none.arms.clear();
    let mut lonely = throughput_world(&[3.0; 8]);
    lonely.arms.pop();
    let mut twins = throughput_world(&[3.0; 8]);
    twins.arms[1].name = "before".into();
    let mut wild = throughput_world(&[1.0; 8]);
    for (i, trial) in wild.trials.iter_mut().enumerate() {
        let cell = &mut trial.cells[0];
        let bad = [0.0, f64::NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE, -1.0, 5e-324][i % 7];
        (cell.throughput_per_s, cell.elapsed_s, cell.in_flight_mean, cell.service.mean_ns) =
            (bad, bad, bad, bad);
        cell.stages[0].mean_ns = bad;
        (cell.ops, cell.clients, cell.load_threads) = (0, 0, 0);
        cell.counters = Counters::default();
        cell.locks[0].acquisitions = 0;
    }
    wild.targets[0].metric = "saturate.throughput@0".into();
    for run in [none, lonely, twins, wild, empty(&[]), empty(&["before", "after"])] {
        let comparison = compare(&run);
        precision_reached(&run);
        let shown = format!("{comparison:?}");
        assert!(!shown.contains("NaN") && !shown.contains("inf"), "{shown}");
        assert!(matches!(comparison.outcome, Outcome::Inconclusive | Outcome::NoTarget));
    }
}

#[test]
fn watchers_are_summed_up_arm_by_arm() {
    let mut run = empty(&["before", "after"]);
    for block in 0..6 {
        for (arm, rate) in [("before", 100.0), ("after", 400.0)] {
            let mut trial = trial(block, arm, rate);
            trial.cells[0].watch = Some(WatchCell {
                watchers: 10,
                events: 1,
                events_per_s: rate * 10.0,
                resyncs: u64::from(block),
                lag_s: 0.001,
                due: 1,
                revisions: 1,
                compacted: 0,
                misplaced: 0,
            });
            trial.cells.push(cell(60, rate));
            run.trials.push(trial);
        }
    }
    let rows = &compare(&run).phases[0].rows;
    let watch = rows[0].watch.as_ref().unwrap();
    assert_eq!((watch.watchers, watch.arms.len(), watch.events.pairs), (10, 2, 6));
    assert!((watch.events.ratio - 4.0).abs() < 1e-9);
    let before = &watch.arms[0];
    assert_eq!((before.arm.as_str(), before.events_per_s), ("before", 1000.0));
    assert_eq!((before.resyncs, before.lag_ns), (2.5, 1e6));
    assert_eq!(rows[1].watch, None);
}

/// A cell whose load is in doubt carries no verdict, however clear its numbers are.
#[test]
fn agents_out_of_step_carry_no_verdict() {
    let mut run = throughput_world(&[12.0; 8]);
    assert_eq!(compare(&run).outcome, Outcome::Met);
    let target = run.targets[0].metric.clone();
    let (phase, clients) = (target.split('.').next(), target.split('@').nth(1));
    let cell = format!("{}@{}", phase.unwrap(), clients.unwrap());
    run.warnings.push(Warning::AgentsOutOfStep { arm: "after".into(), cell, gap: 0.2 });
    let comparison = compare(&run);
    assert_eq!(comparison.outcome, Outcome::Inconclusive);
    assert!(comparison.verdicts[0].reason.contains("same span"), "{:?}", comparison.verdicts);
}

#[test]
fn an_agent_is_out_of_step_by_all_that_may_be_wrong() {
    let mut cell = throughput_world(&[1.0]).trials[0].cells[0].clone();
    assert!(cell.out_of_step().abs() < 1e-12);
    let agent = |late_ns, clock_error_ns, clock_drift_ns| AgentCell {
        address: "a:1".into(),
        clients: 1,
        ops: 1,
        cpu_ns: 1,
        late_ns,
        clock_error_ns,
        clock_drift_ns,
    };
    cell.elapsed_s = 2.0;
    cell.agents = vec![agent(1_000_000, 2_000_000, -3_000_000), agent(10_000_000, 0, 10_000_000)];
    assert!((cell.out_of_step() - 0.01).abs() < 1e-12, "{}", cell.out_of_step());
}

/// Six client counts give a law, five none; an arm that grows faster than its clients is told so.
#[test]
fn a_sweep_is_told_as_a_law_or_why_not() {
    let sweep = |counts: &[u32]| {
        let mut run = throughput_world(&[2.0; 8]);
        for (index, trial) in run.trials.iter_mut().enumerate() {
            let cell = trial.cells[0].clone();
            let at = |n: &u32| {
                let n = f64::from(*n);
                let wobble = 1.0 + 0.01 * ((index % 5) as f64 - 2.0);
                let alone = if trial.arm == "after" && n < 2.0 { 0.2 } else { 1.0 };
                let throughput_per_s = alone * wobble * 1000.0 * n / (1.0 + 0.1 * (n - 1.0));
                Cell { clients: n as u32, throughput_per_s, ..cell.clone() }
            };
            trial.cells = counts.iter().map(at).collect();
        }
        compare(&run).phases.remove(0).scaling
    };
    assert_eq!(sweep(&[1, 2, 4, 8, 16]), []);
    let laws = sweep(&[1, 2, 4, 8, 16, 32]);
    let before = laws[0].law.as_ref().unwrap();
    assert_eq!((laws[0].arm.as_str(), laws[0].trials), ("before", 8));
    assert!((before.contention.value - 0.1).abs() < 0.01, "{before:?}");
    let after = laws[1].law.as_ref().unwrap_err();
    assert_eq!(*after, crate::stats::Unfit::FasterThanClients { knee: 2, left: 5 });
}
