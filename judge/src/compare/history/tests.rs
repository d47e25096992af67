//! Stories on small hand-made runs: what a run leaves, which runs are joined, where levels change and from where on they count.

use super::*;
use crate::compare::tests::{STEADY, empty, trial};
use crate::record::Run;
use crate::record::history::{Bless, History, HistoryCell, RunLine, SeriesName};
use crate::record::trend::{Direction, Trends};
use crate::record::{Check, Target, Warning};

const METRIC: &str = "saturate.throughput@50";

/// A run of that day whose arms reached `before` and `after` times the steady throughput.
fn run_of(day: u32, before: f64, after: f64) -> Run {
    let mut run = empty(&["before", "after"]);
    run.started_at = format!("2026-{:02}-{:02}T03:00:00Z", 1 + day / 28, 1 + day % 28);
    run.build.revision = format!("rev{day:03}");
    run.build.profile = "release".into();
    run.build.details.tree = "clean".into();
    run.host.details.machine_key = "aaaa".into();
    run.complete = true;
    for (block, rate) in (0..).zip(STEADY) {
        run.trials.push(trial(block, "before", rate * before));
        run.trials.push(trial(block, "after", rate * after));
    }
    run
}

/// Days with a little wobble around each of the levels of arm after.
fn history_of(levels: &[(u32, f64)]) -> History {
    let wobble = [1.0, 1.01, 0.99, 1.005, 0.995];
    let days = levels.iter().flat_map(|(days, level)| vec![*level; *days as usize]);
    let run = |(day, level): (u32, f64)| {
        entry(&run_of(day, 1.0, level * wobble[day as usize % wobble.len()])).unwrap()
    };
    History { runs: (0..).zip(days).map(run).collect(), ..History::default() }
}

fn asked<'a>(arms: &'a [String], metrics: &'a [String]) -> Question<'a> {
    Question { scenario: None, metrics, arms, floor: 0.05 }
}

fn of_after(history: &History) -> Trends {
    trends(history, &asked(&["after".to_owned()], &[METRIC.to_owned()]))
}

fn name_of(history: &History) -> SeriesName {
    of_after(history).series[0].name.clone()
}

fn cell<'a>(line: &'a RunLine, arm: &str, metric: &str) -> &'a HistoryCell {
    line.cell(arm, metric).unwrap_or_else(|| panic!("{arm} {metric}: {line:?}"))
}

fn revisions(level: &[Part<'_>]) -> Vec<String> {
    level.iter().map(|part| part.run.revision.clone()).collect()
}

#[test]
fn a_run_leaves_every_trial_of_what_is_judged() {
    let mut run = run_of(0, 1.0, 3.0);
    let again = trial(0, "after", 9e9);
    run.trials.push(crate::record::Trial { aa: true, ..again });
    let target =
        |metric: &str| Target { metric: metric.into(), bound: ">= 2".into(), ..Target::default() };
    run.targets = vec![
        target("saturate.fsyncs_per_op@50"),
        target(METRIC),
        target("saturate.in_flight@50"),
        target(""),
    ];
    let line = entry(&run).unwrap();
    let after = cell(&line, "after", METRIC);
    assert_eq!(
        after.values,
        STEADY.map(|rate| rate * 3.0),
        "trial by trial, the A/A trial left out"
    );
    assert!(after.higher_is_better && after.invalid.is_none());
    assert!(!cell(&line, "before", "saturate.p99@50").higher_is_better);
    cell(&line, "after", "saturate.fsyncs_per_op@50");
    assert!(
        line.cell("after", "saturate.in_flight@50").is_none(),
        "more of it is neither better nor worse"
    );
    let mut names: Vec<_> = line.cells.iter().map(|cell| (&cell.arm, &cell.metric)).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "each once");
    assert_eq!((line.dirty, line.conditions.method), (Some(false), run.method));
}

#[test]
fn what_is_no_number_leaves_its_reason() {
    let mut run = run_of(0, 1.0, 3.0);
    let (arm, place) = ("before".to_owned(), "saturate@50".to_owned());
    run.warnings.push(Warning::LoadGeneratorBusy { arm, cell: place, share: 0.9 });
    for trial in &mut run.trials {
        trial.cells[0].service.count = 9_000;
    }
    let line = entry(&run).unwrap();
    let reason =
        |arm: &str, metric: &str| cell(&line, arm, metric).invalid.clone().unwrap_or_default();
    assert!(reason("before", METRIC).contains("its generator was the bottleneck"));
    assert!(cell(&line, "before", METRIC).values.is_empty());
    assert_eq!(reason("after", METRIC), "");
    assert!(reason("after", "saturate.p999@50").contains("fewer than 10 observations beyond it"));
    let detail = "one was lost".to_owned();
    run.checks.push(Check::decided("acked", false, detail));
    let line = entry(&run).unwrap();
    let wrong = |cell: &HistoryCell| {
        cell.invalid.as_ref().is_some_and(|why| why.contains("check acked failed"))
    };
    assert!(line.cells.iter().all(wrong), "the speed of wrong answers is none: {line:?}");
}

#[test]
fn what_cannot_be_put_in_order_has_no_place() {
    let mut run = run_of(0, 1.0, 1.0);
    run.started_at = "yesterday".into();
    assert_eq!(entry(&run), Err(NoEntry::NoTime));
    let mut run = run_of(0, 1.0, 1.0);
    run.trials.clear();
    assert_eq!(entry(&run), Err(NoEntry::Empty));
}

#[test]
fn the_same_run_is_known_wherever_it_lies() {
    let line = entry(&run_of(3, 1.0, 1.0)).unwrap();
    let mut elsewhere = run_of(3, 1.0, 1.0);
    elsewhere.scenario.path = "another/place.toml".into();
    assert_eq!(entry(&elsewhere).unwrap().id, line.id);
    let mut other = run_of(3, 1.0, 1.0);
    other.trials[1].started_s += 0.5;
    assert_ne!(entry(&other).unwrap().id, line.id);
    assert_ne!(entry(&run_of(4, 1.0, 1.0)).unwrap().id, line.id);
}

#[test]
fn a_change_is_named_with_its_runs() {
    let history = history_of(&[(10, 1.0), (8, 0.8)]);
    let trends = of_after(&history);
    let [trend] = trends.series.as_slice() else { panic!("{trends:?}") };
    let [change] = trend.changes.as_slice() else { panic!("{trend:?}") };
    assert_eq!((change.at, change.direction), (10, Direction::Worse));
    assert!((change.ratio - 0.8).abs() < 0.01 && change.p_value < 1e-6, "{change:?}");
    assert!(change.interval.0 < 0.8 && 0.8 < change.interval.1, "{change:?}");
    assert_eq!(change.blessed, None);
    let levels: Vec<_> = trend.levels.iter().map(|level| (level.from, level.to)).collect();
    assert_eq!(levels, [(0, 10), (10, 18)]);
    assert!((trend.levels[1].value / trend.levels[0].value - change.ratio).abs() < 1e-9);
    let mean = trend.points[0].mean;
    assert!((mean.value - 100.0).abs() < 1e-9 && mean.trials == 8 && mean.interval.is_some());
    // A floor beyond it sees none.
    let floor = Question { floor: 0.3, ..asked(&[], &[]) };
    assert!(self::trends(&history, &floor).series.iter().all(|trend| trend.changes.is_empty()));
}

#[test]
fn more_latency_is_worse_and_arms_that_change_together_say_so() {
    let mut history = history_of(&[(12, 1.0)]);
    for line in history.runs.iter_mut().skip(6) {
        for cell in line.cells.iter_mut().filter(|cell| cell.metric == "saturate.p99@50") {
            cell.values.iter_mut().for_each(|value| *value *= 2.0);
        }
    }
    let trends = trends(&history, &asked(&[], &[]));
    let changed: Vec<_> = trends.series.iter().filter(|trend| !trend.changes.is_empty()).collect();
    let arms: Vec<_> = changed.iter().map(|trend| trend.name.arm.as_str()).collect();
    assert_eq!(arms, ["before", "after"]);
    for trend in changed {
        assert_eq!(trend.changes[0].direction, Direction::Worse);
        let other = if trend.name.arm == "before" { "after" } else { "before" };
        assert_eq!(trend.changes[0].other_arms, [other]);
    }
}

#[test]
fn other_conditions_are_another_series_that_says_why() {
    let base = run_of(0, 1.0, 1.0);
    let mut runs = vec![base.clone()];
    let mut on_day = |day: u32, change: &dyn Fn(&mut Run)| {
        let mut run = run_of(day, 1.0, 1.0);
        change(&mut run);
        runs.push(run);
    };
    on_day(1, &|run| run.host.details.machine_key = "bbbb".into());
    on_day(2, &|run| run.method += 1);
    on_day(3, &|run| run.scenario.text += "# another\n");
    on_day(4, &|run| run.quick = true);
    on_day(5, &|run| run.build.profile = "debug".into());
    on_day(6, &|run| run.counts_syscalls = true);
    on_day(7, &|run| run.scenario.path = "elsewhere".into());
    let runs = runs.iter().map(|run| entry(run).unwrap()).collect();
    let trends = of_after(&History { runs, ..History::default() });
    let points: Vec<_> = trends.series.iter().map(|trend| trend.points.len()).collect();
    assert_eq!(points, [2, 1, 1, 1, 1, 1, 1], "the last run belongs to the first");
    let parted: Vec<_> = trends.series.iter().map(|trend| trend.parted_by.join("; ")).collect();
    assert_eq!(parted[0], "");
    assert_eq!(parted[1], "machine: aaaa → bbbb");
    for (parted, wanted) in parted[2..].iter().zip([
        "method version",
        "scenario text",
        "quick: no → yes",
        "cargo profile",
        "system calls counted: no → yes",
    ]) {
        assert!(parted.contains(wanted), "{parted}, wanted {wanted}");
    }
    assert!(trends.series.iter().all(|trend| trend.why.contains("needs 6 runs")));
}

#[test]
fn machines_without_a_key_are_told_apart_by_their_facts() {
    let key = |change: &dyn Fn(&mut Run)| {
        let mut run = run_of(0, 1.0, 1.0);
        run.host.details.machine_key = crate::record::NOT_VISIBLE.into();
        change(&mut run);
        entry(&run).unwrap().conditions.machine_key
    };
    let plain = key(&|_| {});
    assert!(plain.starts_with("facts-"), "{plain}");
    assert_eq!(key(&|run| run.host.load_average = 9.0), plain);
    assert_ne!(key(&|run| run.host.kernel = "9.9".into()), plain);
    assert_ne!(key(&|run| run.host.cores += 1), plain);
}

#[test]
fn a_run_without_a_number_is_told_and_joins_nothing() {
    let mut history = history_of(&[(7, 1.0)]);
    let cells = &mut history.runs[3].cells;
    let cell = cells.iter_mut().find(|cell| cell.arm == "after" && cell.metric == METRIC).unwrap();
    (cell.values, cell.invalid) = (vec![], Some("too busy".into()));
    let trend = &of_after(&history).series[0];
    assert_eq!((trend.points.len(), trend.invalid.len()), (6, 1));
    assert_eq!(
        (trend.invalid[0].reason.as_str(), trend.invalid[0].revision.as_str()),
        ("too busy", "rev003")
    );
    assert_eq!(trend.why, "");
}

#[test]
fn only_the_newest_runs_are_looked_at() {
    let history = history_of(&[(RUNS_MAX as u32 + 5, 1.0)]);
    let trend = &of_after(&history).series[0];
    assert_eq!((trend.points.len(), trend.left_out), (RUNS_MAX, 5));
    assert_eq!(trend.points[0].revision, "rev005");
}

#[test]
fn a_baseline_begins_with_the_level_and_ends_with_the_newest_run() {
    let history = history_of(&[(10, 1.0), (8, 0.8)]);
    let name = name_of(&history);
    let level = baseline(&history, &name, 0.05, 100);
    assert_eq!(revisions(&level), (10..18).map(|day| format!("rev{day:03}")).collect::<Vec<_>>());
    assert_eq!(level[0].cell.values.len(), STEADY.len());
    assert_eq!(revisions(&baseline(&history, &name, 0.05, 2)), ["rev016", "rev017"]);
    assert!(baseline(&history, &name, 0.05, 0).is_empty());
    let elsewhere = SeriesName { arm: "rung-1".into(), ..name };
    assert!(baseline(&history, &elsewhere, 0.05, 9).is_empty());
    assert!(baseline(&History::default(), &name_of(&history), 0.05, 9).is_empty());
}

#[test]
fn a_level_is_accepted_from_its_change_or_from_the_newest_run_on() {
    let mut history = history_of(&[(10, 1.0), (8, 0.8)]);
    let asked = Blessing {
        scenario: &history.runs[0].conditions.scenario.clone(),
        metric: METRIC,
        arm: None,
        since: None,
        floor: 0.05,
        why: " durable now ",
    };
    let since = |bless: &Bless, history: &History| {
        history.runs.iter().find(|run| run.id == bless.since).unwrap().revision.clone()
    };
    let of_change = bless(&history, &asked).unwrap();
    assert_eq!(
        (since(&of_change, &history).as_str(), of_change.why.as_str()),
        ("rev010", "durable now")
    );
    assert_eq!(of_change.series.arm, "after", "the last one of the ladder");
    let of_before = bless(&history, &Blessing { arm: Some("before"), ..asked }).unwrap();
    assert_eq!(since(&of_before, &history), "rev017", "no change, so the newest run");
    let of_day = bless(&history, &Blessing { since: Some("rev014"), ..asked }).unwrap();
    assert_eq!(since(&of_day, &history), "rev014");
    history.blesses = vec![of_change, of_day];
    let trend = of_after(&history).series.remove(0);
    assert_eq!(trend.changes[0].blessed.as_deref(), Some("durable now"));
    assert_eq!(trend.points[14].blessed.as_deref(), Some("durable now"));
    let level = baseline(&history, &trend.name, 0.05, 100);
    assert_eq!(revisions(&level)[0], "rev014", "what was before the last bless counts no more");
}

#[test]
fn a_bless_of_another_series_changes_nothing() {
    let mut history = history_of(&[(10, 1.0), (8, 0.8)]);
    let mut series = name_of(&history);
    series.conditions.machine_key = "bbbb".into();
    let since = history.runs[15].id.clone();
    history.blesses = vec![Bless { schema: 1, series, since, why: "other".into() }];
    let trend = of_after(&history).series.remove(0);
    assert_eq!(trend.changes[0].blessed, None);
    assert_eq!(revisions(&baseline(&history, &trend.name, 0.05, 100))[0], "rev010");
}

#[test]
fn what_cannot_be_accepted_is_told() {
    let history = history_of(&[(3, 1.0)]);
    let scenario = history.runs[0].conditions.scenario.clone();
    let asked = Blessing {
        scenario: &scenario,
        metric: METRIC,
        arm: None,
        since: None,
        floor: 0.05,
        why: "x",
    };
    let refused = |asked: Blessing<'_>| bless(&history, &asked).unwrap_err();
    assert_eq!(refused(Blessing { why: " \n", ..asked }), NoLevel::NoReason);
    assert_eq!(refused(Blessing { since: Some("nine"), ..asked }), NoLevel::NoRun("nine".into()));
    for wrong in [
        Blessing { metric: "saturate.speed@50", ..asked },
        Blessing { scenario: "another", ..asked },
        Blessing { arm: Some("rung-9"), ..asked },
        Blessing { arm: Some("rung-9"), since: Some("rev001"), ..asked },
    ] {
        assert!(matches!(refused(wrong), NoLevel::NoSeries { .. }), "{wrong:?}");
    }
}
