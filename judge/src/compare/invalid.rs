//! What carries no verdict and is no number: cells whose load was not what it claims to be, and runs most of whose blocks were
//! disturbed. The warnings of the record decide for cells, its blocks for the host.

use super::align::{self, Place};
use super::metric::{Measure, Metric};
use crate::record::{BlockHost, Run, Target, Warning};
use crate::stats::PAIRS_MIN;
use std::borrow::Cow;
use std::fmt;

/// Share of the blocks that may be disturbed. Beyond 29 % of wild pairs a Hodges-Lehmann estimate is at their mercy (its
/// breakdown point, Hodges 1967); a quarter stays below that.
const DISTURBED_SHARE_MAX: f64 = 0.25;

/// The word of a record's plan for keeping disturbed blocks and their verdict.
const KEEP: &str = "keep";

/// Why a cell is no measurement of its arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invalid {
    /// The load generator used most of its threads' time.
    Generator,
    /// Rate times latency does not give the client count.
    LittlesLaw,
    /// Agents measured different spans.
    OutOfStep,
    /// Operations of an open load were sent late.
    SendLag,
}

impl Invalid {
    /// In one or two words, for a table.
    pub fn short(self) -> &'static str {
        match self {
            Invalid::Generator => "generator",
            Invalid::LittlesLaw => "Little's law",
            Invalid::OutOfStep => "agents' spans",
            Invalid::SendLag => "sent late",
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Invalid::Generator => "its generator was the bottleneck",
            Invalid::LittlesLaw => "rate × time misses the number under way",
            Invalid::OutOfStep => "its agents did not measure the same span",
            Invalid::SendLag => "its operations were sent late",
        })
    }
}

/// Where a warning says that a measurement carries no verdict, and why: arm, `phase@clients`, reason.
pub fn invalidates(warning: &Warning) -> Option<(&str, &str, Invalid)> {
    match warning {
        Warning::LoadGeneratorBusy { arm, cell, .. } => Some((arm, cell, Invalid::Generator)),
        Warning::LittlesLaw { arm, cell, .. } => Some((arm, cell, Invalid::LittlesLaw)),
        Warning::AgentsOutOfStep { arm, cell, .. } => Some((arm, cell, Invalid::OutOfStep)),
        Warning::SendLag { arm, cell, .. } => Some((arm, cell, Invalid::SendLag)),
        _ => None,
    }
}

/// Why the cells of an arm at a place are invalid, if they are.
pub(super) fn of_arm(run: &Run, arm: &str, place: Place<'_>) -> Option<Invalid> {
    let here = align::name(run, place);
    let found = run.warnings.iter().filter_map(invalidates);
    let mut found = found.filter(|(of, cell, _)| *of == arm && *cell == here);
    found.next().map(|(_, _, why)| why)
}

/// Why what a target asks for is no number: the load was not what it claims to be, on the arm it is about or on an end of its
/// ratio. None of a check.
pub fn invalid_target(run: &Run, target: &Target) -> Option<Invalid> {
    let metric = Metric::parse(&target.metric, run)?;
    let of = |arm: &str| of_arm(run, arm, metric.place);
    match &target.arm {
        Some(arm) => of(arm),
        None => [run.arms.first()?, run.arms.last()?].into_iter().find_map(|arm| of(&arm.name)),
    }
}

/// Why the load at the metric's place cannot carry a verdict, if an end of the ladder was measured badly there.
pub(super) fn of_target(run: &Run, metric: Metric<'_>) -> Option<String> {
    let ends = [run.arms.first()?, run.arms.last()?];
    ends.into_iter().find_map(|arm| of_value(run, metric, &arm.name))
}

/// Why the load of one arm at the metric's place cannot carry a verdict.
pub(super) fn of_value(run: &Run, metric: Metric<'_>, arm: &str) -> Option<String> {
    let why = of_arm(run, arm, metric.place)?;
    Some(format!("the load of {arm} at {} is invalid: {why}", align::name(run, metric.place)))
}

/// The run without its disturbed blocks, if so many are that they may not count and enough others remain to judge by.
///
/// Which blocks those are was said by the host alone while they were measured, so leaving them out cannot choose a result.
pub(super) fn undisturbed(run: &Run) -> Cow<'_, Run> {
    let (disturbed, all) = disturbed(run);
    if !is_too_disturbed(run) || all - disturbed.len() < PAIRS_MIN {
        return Cow::Borrowed(run);
    }
    let disturbed: Vec<u32> = disturbed.iter().map(|block| block.block).collect();
    let mut run = run.clone();
    run.trials.retain(|trial| !disturbed.contains(&trial.block));
    run.blocks.retain(|block| !disturbed.contains(&block.block));
    Cow::Owned(run)
}

/// Disturbed blocks that count for nothing, see [`compare`](super::compare).
pub fn left_out(run: &Run) -> usize {
    run.blocks.len() - undisturbed(run).blocks.len()
}

/// Whether more than a quarter of the blocks are disturbed, and nobody asked to keep them.
fn is_too_disturbed(run: &Run) -> bool {
    let (disturbed, all) = disturbed(run);
    let is_too_much = disturbed.len() as f64 > DISTURBED_SHARE_MAX * all as f64;
    is_too_much && run.plan.on_disturbed != KEEP
}

/// Why the host lets nothing be decided.
pub(super) fn by_host(run: &Run) -> Option<String> {
    if !is_too_disturbed(run) {
        return None;
    }
    let (disturbed, all) = disturbed(run);
    let first = disturbed.first()?.disturbed.first()?;
    Some(format!(
        "the host was disturbed in {} of {all} blocks, and measuring again was used up: {first}, for one",
        disturbed.len()
    ))
}

/// The disturbed blocks, measuring again being used up, and how many blocks there are.
pub fn disturbed(run: &Run) -> (Vec<&BlockHost>, usize) {
    let disturbed = run.blocks.iter().filter(|block| !block.disturbed.is_empty());
    (disturbed.collect(), run.blocks.len())
}

/// The shares of its time that the generator waited for a CPU at the metric's place, in the first and the last arm; zero where
/// that was too short to be told.
fn waits(run: &Run, metric: Metric<'_>) -> Option<(f64, f64)> {
    let here = format!("{}@{}", metric.place.phase, metric.place.clients);
    let of = |name: &str| {
        let found = run.warnings.iter().find_map(|warning| match warning {
            Warning::LoadWaited { arm, cell, share } if arm == name && *cell == here => {
                Some(*share)
            }
            _ => None,
        });
        found.unwrap_or(0.0).clamp(0.0, 0.99)
    };
    Some((of(&run.arms.first()?.name), of(&run.arms.last()?.name)))
}

/// The interval that a ratio may have without the generator's waits for a CPU; none if it did not wait, or if the measure
/// counts and times nothing.
///
/// A client's turn is shorter by at most what its thread waited, so an arm could have been faster by at most 1 / (1 - wait):
/// the lower end falls by the wait of `before`, the upper one rises by that of `after`, and the other way round for times
/// (Little's law turns one into the other; for tails it is a guide and no bound).
pub(super) fn without_waits(
    run: &Run,
    metric: Metric<'_>,
    (low, high): (f64, f64),
) -> Option<(f64, f64)> {
    let (before, after) = waits(run, metric)?;
    let is_time = match metric.measure {
        Measure::Throughput | Measure::WatchEvents => false,
        Measure::Mean | Measure::Percentile(_) | Measure::Max => true,
        // A searched rate is given, and takes its try as it comes; the rest counts and times nothing.
        _ => return None,
    };
    let (falls, rises) = if is_time { (after, before) } else { (before, after) };
    (before + after > 0.0).then(|| (low * (1.0 - falls), high / (1.0 - rises)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::tests::throughput_world;
    use crate::compare::{Outcome, Verdict, compare};
    use crate::record::{Disturbance, HostSpan};

    /// The target is `saturate.throughput@50 >= 10`.
    fn world(ratio: f64) -> Run {
        throughput_world(&[ratio; 8])
    }

    fn at_50(arm: &str) -> (String, String) {
        (arm.to_owned(), "saturate@50".to_owned())
    }

    fn block(block: u32, is_disturbed: bool) -> BlockHost {
        let found = Disturbance::Cpu { cores: 0.9, limit: 0.2 };
        BlockHost {
            block,
            attempt: 3,
            host: HostSpan::default(),
            log_sync_ns: None,
            disturbed: is_disturbed.then_some(found).into_iter().collect(),
        }
    }

    #[test]
    fn an_invalid_end_leaves_no_number() {
        let mut run = world(12.0);
        let (arm, cell) = at_50("before");
        run.warnings.push(Warning::LoadGeneratorBusy { arm, cell, share: 0.9 });
        let comparison = compare(&run);
        assert_eq!(comparison.outcome, Outcome::Inconclusive);
        let verdict = &comparison.verdicts[0];
        assert_eq!(verdict.estimate, None);
        assert!(verdict.reason.contains("its generator was the bottleneck"), "{}", verdict.reason);
        let row = &comparison.phases[0].rows[0];
        assert_eq!((row.ratio.invalid, row.ratio.pairs), (Some(Invalid::Generator), 0));
        assert_eq!((row.ratio.interval, row.aa_floor), (None, None));
        let [before, after] = row.arms.as_slice() else { panic!("{:?}", row.arms) };
        assert_eq!((before.invalid, before.half_width), (Some(Invalid::Generator), None));
        assert!(before.throughput_per_s < 1e-9 && after.throughput_per_s > 0.0);
        assert_eq!(after.invalid, None);
        let ladder = &comparison.ladders[0];
        assert_eq!((ladder.ceiling, ladder.lock_ceiling), (None, None));
        assert_eq!(ladder.rungs[1].step.unwrap().invalid, Some(Invalid::Generator));
        assert_eq!(ladder.best.0, "after");
    }

    #[test]
    fn an_invalid_cell_elsewhere_changes_nothing() {
        let mut run = world(12.0);
        let (arm, cell) = ("before".to_owned(), "saturate@10".to_owned());
        run.warnings.push(Warning::LittlesLaw { arm, cell, gap: 0.3 });
        assert_eq!(compare(&run).outcome, Outcome::Met);
    }

    /// Seen on a machine whose other half was compiling: 14.8 times became 2.4, "at most 8.2".
    #[test]
    fn a_quarter_of_the_blocks_may_be_disturbed_and_no_more() {
        let judged_with = |disturbed: u32, policy: &str| {
            let mut run = world(5.0);
            run.plan.on_disturbed = policy.to_owned();
            run.blocks = (0..8).map(|n| block(n, n < disturbed)).collect();
            let verdict = compare(&run).verdicts.remove(0);
            (verdict.verdict, verdict.reason)
        };
        assert_eq!(judged_with(0, "retry").0, Verdict::Missed);
        assert_eq!(judged_with(2, "retry").0, Verdict::Missed);
        let (verdict, reason) = judged_with(3, "retry");
        assert_eq!(verdict, Verdict::Inconclusive);
        assert!(reason.contains("disturbed in 3 of 8 blocks"), "{reason}");
        assert!(reason.contains("others had 0.90 cores"), "{reason}");
        // Who asks to keep them gets the verdict.
        assert_eq!(judged_with(8, "keep").0, Verdict::Missed);
    }

    #[test]
    fn enough_undisturbed_blocks_decide_alone() {
        let judged_with = |disturbed: u32, policy: &str| {
            // Where the host was disturbed, the faster arm lost half of its lead.
            let ratios: Vec<f64> =
                (0..12).map(|n| if n < disturbed { 6.0 } else { 12.0 }).collect();
            let mut run = throughput_world(&ratios);
            run.plan.on_disturbed = policy.to_owned();
            run.blocks = (0..12).map(|n| block(n, n < disturbed)).collect();
            let comparison = compare(&run);
            let pairs = comparison.phases[0].rows[0].ratio.pairs;
            (comparison.verdicts[0].verdict, pairs, left_out(&run))
        };
        assert_eq!(judged_with(3, "retry").1, 12, "up to a quarter they count");
        assert_eq!(judged_with(6, "retry"), (Verdict::Met, 6, 6));
        assert_eq!(judged_with(7, "retry"), (Verdict::Inconclusive, 12, 0), "five are too few");
        assert_eq!(judged_with(6, "keep").1, 12);
    }

    #[test]
    fn waits_of_the_generator_matter_where_they_can_turn_the_verdict() {
        let judged_with = |ratio: f64, waiting: &str, share: f64| {
            let mut run = world(ratio);
            let (arm, cell) = at_50(waiting);
            run.warnings.push(Warning::LoadWaited { arm, cell, share });
            let verdict = compare(&run).verdicts.remove(0);
            (verdict.verdict, verdict.reason)
        };
        // `before` could have been faster, so the ratio smaller: 12 × 0.9 is still 10.8, 12 × 0.8 is 9.6.
        assert_eq!(judged_with(12.0, "before", 0.1).0, Verdict::Met);
        let (verdict, reason) = judged_with(12.0, "before", 0.2);
        assert_eq!(verdict, Verdict::Inconclusive);
        assert!(reason.contains("waited for a CPU"), "{reason}");
        // `after` could have been faster, which the target does not mind.
        assert_eq!(judged_with(12.0, "after", 0.5).0, Verdict::Met);
        // The same for what is missed: 9 / 0.95 is 9.5, 9 / 0.85 is 10.6.
        assert_eq!(judged_with(9.0, "after", 0.05).0, Verdict::Missed);
        assert_eq!(judged_with(9.0, "after", 0.15).0, Verdict::Inconclusive);
        assert_eq!(judged_with(9.0, "before", 0.5).0, Verdict::Missed);
    }

    #[test]
    fn counts_per_operation_do_not_mind_waits_and_times_turn_them_round() {
        let mut run = world(12.0);
        let (arm, cell) = at_50("before");
        run.warnings.push(Warning::LoadWaited { arm, cell, share: 0.2 });
        let without =
            |metric: &str| without_waits(&run, Metric::parse(metric, &run).unwrap(), (1.0, 2.0));
        assert_eq!(without("saturate.throughput@50"), Some((0.8, 2.0)));
        assert_eq!(without("saturate.p99@50"), Some((1.0, 2.5)));
        assert_eq!(without("saturate.cpu_per_op@50"), None);
        assert_eq!(without("saturate.throughput@10"), None);
    }
}
