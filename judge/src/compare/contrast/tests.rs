//! Invented sittings: what is found in them, what is not, and which are refused.

use super::*;
use crate::compare::tests::{STEADY, cell, empty, trial};
use crate::record::{
    AgentHost, BlockHost, Check, Disturbance, HostSpan, METHOD, NOT_VISIBLE, Trial, Warning,
};

const PLAIN: Question<'static> = Question { floor: FLOOR, force: false, metrics: &[] };

/// A sitting whose arms have these multiples of [`STEADY`] at 50 clients.
fn sitting(arms: &[(&str, f64)]) -> Run {
    let names: Vec<&str> = arms.iter().map(|(name, _)| *name).collect();
    let mut run = empty(&names);
    for (block, steady) in (0..).zip(STEADY) {
        for (arm, factor) in arms {
            run.trials.push(trial(block, arm, steady * factor));
        }
    }
    run
}

fn entrant<'a>(run: &'a Run, arm: &'a str) -> Entrant<'a> {
    Entrant { bundle: "bundle", run, arm }
}

fn held(a: &Run, b: &Run, question: &Question<'_>) -> Contrasts {
    contrasts(&[(entrant(a, "after"), entrant(b, "after"))], question).unwrap()
}

fn row_of<'a>(all: &'a Contrasts, metric: &str) -> &'a ContrastRow {
    let mut rows = all.contrasts.iter().flat_map(|contrast| &contrast.rows);
    rows.find(|row| row.metric == metric).unwrap_or_else(|| panic!("{metric}: {all:?}"))
}

fn throughput(all: &Contrasts) -> &ContrastRow {
    row_of(all, "saturate.throughput@50")
}

#[test]
fn ten_percent_slower_is_worse_and_ten_percent_faster_is_better() {
    for (factor, wanted) in [(0.9, RowVerdict::Worse), (1.1, RowVerdict::Better)] {
        let all = held(&sitting(&[("after", 1.0)]), &sitting(&[("after", factor)]), &PLAIN);
        let row = throughput(&all);
        assert_eq!(row.verdict, wanted, "{row:?}");
        assert!((row.ratio.unwrap() - factor).abs() < 1e-9);
        assert_eq!(all.contrasts[0].basis, Basis::Sittings);
        let [base, other] = [row.base, row.other].map(Option::unwrap);
        assert!((base.value - 100.0).abs() < 1e-9 && (other.value - 100.0 * factor).abs() < 1e-9);
        let (lower, upper) = base.interval.unwrap();
        assert!(lower < 100.0 && 100.0 < upper && upper - lower < 4.0, "{base:?}");
    }
}

#[test]
fn times_get_worse_upwards() {
    let (a, mut b) = (sitting(&[("after", 1.0)]), sitting(&[("after", 1.0)]));
    for (n, trial) in (0..).zip(&mut b.trials) {
        trial.cells[0].service.p99_ns = 4400 + n;
    }
    let all = held(&a, &b, &PLAIN);
    assert_eq!(row_of(&all, "saturate.p99@50").verdict, RowVerdict::Worse);
    assert_eq!(row_of(&all, "saturate.p50@50").verdict, RowVerdict::NotWorse);
    assert_eq!(throughput(&all).verdict, RowVerdict::NotWorse);
    let better = held(&b, &a, &PLAIN);
    assert_eq!(row_of(&better, "saturate.p99@50").verdict, RowVerdict::Better);
}

#[test]
fn a_change_below_the_floor_is_none_however_sure() {
    let b = sitting(&[("after", 0.97)]);
    let a = sitting(&[("after", 1.0)]);
    // 3 % with a spread of 2 %: p = 0.6 %, and the interval ends before 8 %.
    let wide = Question { floor: 0.08, ..PLAIN };
    let row = throughput(&held(&a, &b, &wide)).clone();
    assert_eq!(row.verdict, RowVerdict::NotWorse, "{row:?}");
    let tight = Question { floor: 0.01, ..PLAIN };
    let row = throughput(&held(&a, &b, &tight)).clone();
    assert_eq!(row.verdict, RowVerdict::Worse, "{row:?}");
}

#[test]
fn arms_of_one_run_are_compared_by_their_pairs() {
    let mut run = sitting(&[("before", 1.0), ("after", 0.93)]);
    // Blocks that differ tenfold say nothing about the arms, which differ by the same factor in each.
    for trial in &mut run.trials {
        trial.cells[0].throughput_per_s *= 1.0 + f64::from(trial.block);
    }
    let all = contrasts(&[(entrant(&run, "before"), entrant(&run, "after"))], &PLAIN).unwrap();
    assert_eq!(all.contrasts[0].basis, Basis::Pairs);
    let row = throughput(&all);
    assert_eq!(row.verdict, RowVerdict::Worse, "{row:?}");
    assert!((row.ratio.unwrap() - 0.93).abs() < 1e-9);
    // The same trials as two sittings drown in the blocks.
    let copy = run.clone();
    let all = contrasts(&[(entrant(&run, "before"), entrant(&copy, "after"))], &PLAIN).unwrap();
    assert_eq!(throughput(&all).verdict, RowVerdict::Undecided);
}

#[test]
fn too_few_trials_decide_nothing() {
    let cut = |mut run: Run, blocks: u32| {
        run.trials.retain(|trial| trial.block < blocks);
        run
    };
    let (a, b) = (sitting(&[("after", 1.0)]), sitting(&[("after", 0.5)]));
    let row = throughput(&held(&cut(a.clone(), 3), &cut(b.clone(), 3), &PLAIN)).clone();
    assert_eq!((row.verdict, row.p_value), (RowVerdict::Undecided, None));
    assert_eq!(row.why, "needs 4 trials on each side, or 3 against 5");
    let row = throughput(&held(&cut(a, 5), &cut(b, 5), &PLAIN)).clone();
    assert_eq!((row.verdict, row.base.unwrap().interval), (RowVerdict::Worse, None));
    let run = cut(sitting(&[("before", 1.0), ("after", 0.5)]), 5);
    let all = contrasts(&[(entrant(&run, "before"), entrant(&run, "after"))], &PLAIN).unwrap();
    assert_eq!(throughput(&all).why, "needs 6 pairs");
}

/// Four trials against four have a smallest p of 2 / 70 = 2.9 %: a finding alone, none among many.
#[test]
fn all_metrics_of_a_call_are_one_family() {
    let four = |factor: f64, places: u32| {
        let mut run = sitting(&[("after", 1.0)]);
        run.trials.truncate(4);
        for trial in &mut run.trials {
            let steady = trial.cells[0].throughput_per_s;
            let place = |n| cell(50 + n, if n == 0 { steady * factor } else { steady });
            trial.cells = (0..places).map(place).collect();
        }
        run
    };
    let metrics: Vec<String> = (0..10).map(|n| format!("saturate.throughput@{}", 50 + n)).collect();
    let alone = Question { metrics: &metrics[..1], ..PLAIN };
    let row = throughput(&held(&four(1.0, 1), &four(0.5, 1), &alone)).clone();
    assert_eq!(row.verdict, RowVerdict::Worse);
    assert!((row.q_value.unwrap() - 2.0 / 70.0).abs() < 1e-9);
    let many = Question { metrics: &metrics, ..PLAIN };
    let row = throughput(&held(&four(1.0, 10), &four(0.5, 10), &many)).clone();
    assert_eq!(row.verdict, RowVerdict::Undecided);
    assert!((row.q_value.unwrap() - 20.0 / 70.0).abs() < 1e-9, "{row:?}");
}

#[test]
fn percentiles_need_observations_beyond_them() {
    let with = |count: u64, factor: f64| {
        let mut run = sitting(&[("after", factor)]);
        run.trials[3].cells[0].service.count = count;
        run
    };
    let all = held(&with(20_000, 1.0), &with(5000, 1.0), &PLAIN);
    let p99 = row_of(&all, "saturate.p99@50");
    assert_eq!((p99.verdict, p99.q_value), (RowVerdict::Shown, None));
    assert!(p99.why.starts_with("shown only: 50 observations"), "{}", p99.why);
    assert_eq!(
        all.contrasts[0].withheld,
        ["saturate.p999@50: 5 observations beyond it in a trial, 10 are needed"]
    );
    assert_eq!(row_of(&all, "saturate.p50@50").verdict, RowVerdict::NotWorse);
}

#[test]
fn what_is_not_known_of_one_side_is_undecided_and_says_why() {
    let a = sitting(&[("after", 1.0)]);
    let mut b = a.clone();
    b.warnings.push(Warning::LoadGeneratorBusy {
        arm: "after".into(),
        cell: "saturate@50".into(),
        share: 0.9,
    });
    let row = throughput(&held(&a, &b, &PLAIN)).clone();
    assert_eq!((row.verdict, row.ratio), (RowVerdict::Undecided, None));
    assert_eq!(row.why, "the load of B is invalid: its generator was the bottleneck");
    let mut b = a.clone();
    b.trials[2].cells[0].throughput_per_s = 0.0;
    let row = throughput(&held(&a, &b, &PLAIN)).clone();
    assert_eq!(row.why, "B has no value above zero in 1 of 8 trials");
    let mut b = a.clone();
    b.trials.iter_mut().for_each(|trial| trial.cells.clear());
    assert!(held(&a, &b, &PLAIN).contrasts[0].rows.is_empty());
    let asked = ["saturate.throughput@50".to_owned()];
    let row = throughput(&held(&a, &b, &Question { metrics: &asked, ..PLAIN })).clone();
    assert_eq!((row.verdict, row.why.as_str()), (RowVerdict::Undecided, "B has not measured it"));
    let asked = ["saturate.throughput@51".to_owned()];
    let all = held(&a, &a.clone(), &Question { metrics: &asked, ..PLAIN });
    assert_eq!(row_of(&all, &asked[0]).why, "A has not measured it");
}

/// A host whose arms differ from themselves makes it harder to call a change, and no easier to call none.
#[test]
fn repeats_raise_the_floor_of_changes_only() {
    let (mut a, b) = (sitting(&[("after", 1.0)]), sitting(&[("after", 0.9)]));
    for (n, repeat) in a.trials.clone().into_iter().enumerate() {
        let mut repeat = Trial { aa: true, ..repeat };
        repeat.cells[0].throughput_per_s *= if n % 2 == 0 { 1.3 } else { 0.8 };
        a.trials.push(repeat);
    }
    let row = throughput(&held(&a, &b, &PLAIN)).clone();
    assert!(row.floor > 0.2, "{row:?}");
    assert!(row.q_value.unwrap() <= 0.05);
    assert_eq!(row.verdict, RowVerdict::Undecided);
}

/// A history of runs whose `after` has these factors, a day apart.
fn history(factors: &[f64]) -> History {
    let line = |(day, factor): (usize, &f64)| {
        let mut run = sitting(&[("after", *factor)]);
        run.started_at = format!("2026-11-{:02}T04:00:00Z", day + 1);
        crate::compare::history::entry(&run).unwrap()
    };
    History { runs: factors.iter().enumerate().map(line).collect(), ..History::default() }
}

fn against(history: &History, head: &Run) -> Contrasts {
    let newcomer = Newcomer { head: entrant(head, "after"), limits: &[] };
    against_history(history, "history", &[newcomer], FLOOR).unwrap()
}

const DAYS: [f64; 8] = [1.0, 1.006, 0.995, 1.002, 0.99, 1.004, 0.998, 1.005];

#[test]
fn a_run_is_held_against_the_level_of_those_before() {
    let level = history(&DAYS);
    for (factor, wanted) in
        [(0.9, RowVerdict::Worse), (1.0, RowVerdict::NotWorse), (1.12, RowVerdict::Better)]
    {
        let all = against(&level, &sitting(&[("after", factor)]));
        let row = throughput(&all);
        assert_eq!((row.verdict, all.contrasts[0].basis), (wanted, Basis::History), "{row:?}");
        assert_eq!(row.base.unwrap().trials, 8);
    }
    // A host that differs by a tenth from day to day hides a tenth.
    let moody = history(&[1.0, 1.1, 0.92, 1.05, 0.9, 1.08, 0.95, 1.02]);
    let all = against(&moody, &sitting(&[("after", 0.9)]));
    assert_eq!(throughput(&all).verdict, RowVerdict::Undecided);
}

#[test]
fn few_stored_runs_decide_nothing_and_others_conditions_are_no_base() {
    let head = sitting(&[("after", 0.5)]);
    let all = against(&history(&DAYS[..4]), &head);
    let row = throughput(&all);
    assert!(row.why.contains("needs 5 stored runs of the level, there are 4"), "{row:?}");
    assert_eq!((row.verdict, row.p_value), (RowVerdict::Undecided, None));
    let mut elsewhere = head.clone();
    elsewhere.method = METHOD + 1;
    let all = against(&history(&DAYS), &elsewhere);
    assert!(all.contrasts[0].rows.is_empty());
    assert!(all.contrasts[0].not_comparable[0].contains("no stored run"), "{all:?}");
}

#[test]
fn metrics_without_a_good_side_are_refused() {
    let a = sitting(&[("after", 1.0)]);
    let refused = |metric: &str| {
        let asked = [metric.to_owned()];
        let all = [(entrant(&a, "after"), entrant(&a, "after"))];
        contrasts(&all, &Question { metrics: &asked, ..PLAIN }).unwrap_err().reason
    };
    assert_eq!(refused("saturate.speed@50"), "it is no metric");
    assert_eq!(refused("saturate.in_flight@50"), "more of it is neither better nor worse");
}

/// Changes one thing about a record.
type Change = fn(&mut Run);

/// Every reason, and the words it is told in.
const DIFFERENCES: [(Change, &str); 15] = [
    (|run| run.scenario.name = "other".into(), "scenario: asked against other"),
    (|run| run.scenario.text.push_str("more"), "scenario: the texts differ from line 3 on"),
    (|run| run.quick = true, "only B was shortened by --quick"),
    (|run| run.counts_syscalls = true, "only of B were system calls counted"),
    (|run| run.host.details.machine_key = "key-2".into(), "machine key: key-1 against key-2"),
    (
        |run| {
            run.host.details.machine_key = NOT_VISIBLE.into();
            run.host.kernel = "6.2".into();
        },
        "kernel: 6.1 against 6.2",
    ),
    (|run| run.build.profile = "debug".into(), "cargo profile: release against debug"),
    (|run| run.build.details.lto = "off".into(), "LTO: fat against off"),
    (|run| run.method = METHOD + 1, "method version: 2 against 3"),
    (|run| run.method = 0, "method version: 2 against not counted yet"),
    (
        |run| {
            run.arms[0].levers.insert("fsync".into(), "off".into());
        },
        "lever fsync: real against off",
    ),
    (
        |run| {
            let agent = AgentHost {
                address: "a:1".into(),
                host: "a".into(),
                cores: 2,
                kernel: "6.1".into(),
            };
            run.agents.push(agent);
        },
        "machines that offered the load: 0 against 1",
    ),
    (
        |run| {
            let check = Check::decided("same-state", false, String::new());
            run.checks.push(check);
        },
        "B gave wrong answers: check same-state failed",
    ),
    (
        |run| {
            run.blocks = (0..8).map(disturbed).collect();
        },
        "B: the host was disturbed in 8 of 8 blocks",
    ),
    (
        |run| {
            run.host.details.machine_key = "key-2".into();
            run.host.cores = 8;
        },
        "cores: 2 against 8",
    ),
];

fn disturbed(block: u32) -> BlockHost {
    BlockHost {
        block,
        attempt: 3,
        host: HostSpan::default(),
        log_sync_ns: None,
        disturbed: vec![Disturbance::Cpu { cores: 0.9, limit: 0.2 }],
    }
}

fn told() -> Run {
    let mut run = sitting(&[("after", 1.0)]);
    (run.scenario.name, run.scenario.text) = ("asked".into(), "one\ntwo\n".into());
    run.host.details.machine_key = "key-1".into();
    run.host.kernel = "6.1".into();
    run.build.profile = "release".into();
    run.build.details.lto = "fat".into();
    run.arms[0].levers.insert("fsync".into(), "real".into());
    run
}

#[test]
fn whoever_was_asked_otherwise_is_not_comparable() {
    let a = told();
    assert_eq!(held(&a, &a.clone(), &PLAIN).contrasts[0].not_comparable, [""; 0]);
    for (change, wanted) in DIFFERENCES {
        let mut b = told();
        change(&mut b);
        let all = held(&a, &b, &PLAIN);
        let contrast = &all.contrasts[0];
        assert_eq!(contrast.not_comparable.len(), 1, "{wanted}: {:?}", contrast.not_comparable);
        assert!(contrast.not_comparable[0].starts_with(wanted), "{:?}", contrast.not_comparable);
        assert!(contrast.rows.is_empty() && !all.forced, "{wanted}");
        let forced = held(&a, &b, &Question { force: true, ..PLAIN });
        assert!(forced.forced && !forced.contrasts[0].rows.is_empty(), "{wanted}");
    }
    let forced = held(&a, &told(), &Question { force: true, ..PLAIN });
    assert!(!forced.forced, "there was nothing to force");
}

/// As for a run's own verdicts: enough undisturbed blocks decide alone.
#[test]
fn disturbed_blocks_are_left_out_where_enough_others_remain() {
    let a = sitting(&[("before", 1.0), ("after", 1.0)]);
    let mut b = a.clone();
    for trial in b.trials.iter_mut().filter(|trial| trial.block > 5) {
        trial.cells[0].throughput_per_s /= 9.0;
    }
    let more = (8..11).flat_map(|block| {
        let disturbed = |arm| trial(block, arm, 11.0);
        ["before", "after"].map(disturbed)
    });
    b.trials.extend(more);
    let host = |block| match block {
        0..6 => BlockHost { disturbed: vec![], ..disturbed(block) },
        _ => disturbed(block),
    };
    b.blocks = (0..11).map(host).collect();
    let all = held(&a, &b, &PLAIN);
    let contrast = &all.contrasts[0];
    assert_eq!(contrast.not_comparable, [""; 0]);
    assert!(contrast.notes.contains(&"B without 5 of 11 blocks, whose host was disturbed".into()));
    assert_eq!((contrast.other.trials, throughput(&all).verdict), (6, RowVerdict::NotWorse));
    let pairs = contrasts(&[(entrant(&b, "before"), entrant(&b, "after"))], &PLAIN).unwrap();
    assert_eq!((pairs.contrasts[0].basis, pairs.contrasts[0].base.trials), (Basis::Pairs, 6));
}

/// What may be the very thing that is compared, or was not there to be seen, is no reason.
#[test]
fn what_may_differ_is_noted_at_most() {
    let a = told();
    let mut b = told();
    b.build.revision = "b2c3d4e".into();
    b.build.rustc = "rustc 2".into();
    b.build.details.lto = NOT_VISIBLE.into();
    b.host.load_average = 0.1;
    b.complete = false;
    b.arms[0].levers.insert("new lever".into(), "on".into());
    let mut old = a.clone();
    old.build.rustc = "rustc 1".into();
    let contrast = held(&old, &b, &PLAIN).contrasts.remove(0);
    assert_eq!(contrast.not_comparable, [""; 0]);
    let notes = contrast.notes.join("; ");
    assert!(notes.contains("B was cut short"), "{notes}");
    assert!(notes.contains("compiler: rustc 1 against rustc 2"), "{notes}");
}
