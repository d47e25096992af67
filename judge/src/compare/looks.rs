//! When to stop adding pairs.
//!
//! It stops on width and never looks at which side of the bound the interval lies. Stopping as soon as the answer
//! pleases would give chance many tries and let far more than 5 % of the intervals miss the truth; how wide an
//! interval is says nothing about which way it errs.
//!
//! Caveat: a width that is small by luck stops early and then covers less. Simulated with normal noise, looks at 8, 12,
//! 16 and 20 pairs and a wish of ±5 %, a side errs in 2.1 % to 3.0 % of the sittings, depending on the noise; 2.5 % is
//! the level of a fixed number of pairs. A plan with `pairs_min` = `pairs_max` has the exact level.

use super::Estimate;
use super::metric::{Measure, Metric};
use super::{align, value};
use crate::record::Run;

/// Pairs added between two looks.
const PAIRS_PER_LOOK: usize = 4;

/// The pair counts at which [`precision_reached`] may be asked: `pairs_min`, then every fourth, and `pairs_max` at
/// the end. Ascending.
pub fn looks(pairs_min: u32, pairs_max: u32) -> impl Iterator<Item = u32> {
    (pairs_min..pairs_max).step_by(PAIRS_PER_LOOK).chain(std::iter::once(pairs_max))
}

/// Whether every judged ratio is as narrow as planned, so that no more pairs are needed: half-width at most
/// `plan.precision` for each target (of the bound, for one arm's own value; a check needs no pairs), or without targets for the throughput of every place measured.
/// False while any of them has no interval yet.
pub fn precision_reached(run: &Run) -> bool {
    if run.trials.is_empty() {
        return false;
    }
    if !run.targets.is_empty() {
        return run.targets.iter().all(|target| match (&target.check, &target.arm) {
            (Some(_), _) => true,
            (None, Some(arm)) => value::is_narrow(run, target, arm),
            (None, None) => {
                Metric::parse(&target.metric, run).is_some_and(|metric| narrow(run, metric))
            }
        });
    }
    let places = super::places(run);
    let throughput = |place| Metric { place, op: None, measure: Measure::Throughput };
    !places.is_empty() && places.into_iter().all(|place| narrow(run, throughput(place)))
}

fn narrow(run: &Run, metric: Metric<'_>) -> bool {
    let pairs = align::before_after(run, metric.place);
    let logs = align::log_ratios_of(&pairs, |cell| metric.reading(cell));
    let half_width = Estimate::from_log_ratios(&logs).half_width();
    half_width.is_some_and(|half_width| half_width <= run.plan.precision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_four_apart_and_end_at_the_most() {
        let all = |pairs_min, pairs_max| looks(pairs_min, pairs_max).collect::<Vec<u32>>();
        assert_eq!(all(8, 20), [8, 12, 16, 20]);
        assert_eq!(all(8, 18), [8, 12, 16, 18]);
        assert_eq!(all(6, 6), [6]);
        assert_eq!(all(9, 6), [6]);
        assert_eq!(all(u32::MAX - 1, u32::MAX), [u32::MAX - 1, u32::MAX]);
    }
}
