//! Whether enough lies beyond a percentile to say it aloud, and how surely it is known.
//!
//! A percentile is one order statistic; with three observations beyond it, it is an anecdote. Its interval follows from
//! ranks alone, whatever the distribution of the values.
//!
//! Caveat: the rank interval takes observations for independent. Those of one trial are not quite, so it speaks of
//! that trial and says nothing of the next one.

use statrs::distribution::{Binomial, DiscreteCDF};

/// Observations beyond a percentile in a trial, below which its value is not shown.
pub const BEYOND_SHOWN_MIN: u64 = 10;

/// Observations beyond a percentile in every trial, below which it is not judged.
pub const BEYOND_JUDGED_MIN: u64 = 100;

/// What may be done with a percentile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Admission {
    /// Nothing: fewer than [`BEYOND_SHOWN_MIN`] observations beyond it.
    Withheld,
    /// It may be printed, and decides nothing.
    Shown,
    /// It may carry a verdict: at least [`BEYOND_JUDGED_MIN`] beyond it.
    Judged,
}

impl Admission {
    /// From the observations beyond the percentile.
    pub fn of(beyond: u64) -> Admission {
        match beyond {
            BEYOND_JUDGED_MIN.. => Admission::Judged,
            BEYOND_SHOWN_MIN.. => Admission::Shown,
            _ => Admission::Withheld,
        }
    }
}

/// How many of `count` observations lie beyond the percentile that one in `one_in` exceeds: 100 stands for p99.
/// 0 if `one_in` is 0.
pub fn beyond(count: u64, one_in: u64) -> u64 {
    count.checked_div(one_in).unwrap_or(0)
}

/// Ranks, counted from 1, of the two order statistics between which the percentile lies with error at most `alpha`,
/// at most half of it on either side: lower = the largest r with P(B < r) <= alpha / 2, upper = the smallest s with
/// P(B >= s) <= alpha / 2, B binomial with `count` draws at 1 - 1 / `one_in` (Conover 1999, "Practical Nonparametric
/// Statistics", section 3.2). None where the sample does not reach far enough on one of the sides.
pub fn rank_interval(count: u64, one_in: u64, alpha: f64) -> Option<(u64, u64)> {
    if one_in < 2 || !(alpha > 0.0 && alpha < 1.0) {
        return None;
    }
    let below = Binomial::new(1.0 - 1.0 / one_in as f64, count).ok()?;
    let lower = first(count, |rank| below.cdf(rank) > alpha / 2.0)?;
    let upper = first(count, |rank| below.sf(rank) <= alpha / 2.0)? + 1;
    (lower >= 1 && upper <= count).then_some((lower, upper))
}

/// The smallest number in 0..=`last` that `holds`, which is false up to some number and true from there.
fn first(last: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut from, mut to) = (0, last);
    while from < to {
        let middle = from + (to - from) / 2;
        match holds(middle) {
            true => to = middle,
            false => from = middle + 1,
        }
    }
    holds(from).then_some(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2900 operations per second for 10 s.
    #[test]
    fn what_a_short_trial_may_say() {
        let admission = |one_in| Admission::of(beyond(29_000, one_in));
        assert_eq!(admission(100), Admission::Judged);
        assert_eq!(admission(1000), Admission::Shown);
        assert_eq!(admission(10_000), Admission::Withheld);
    }

    #[test]
    fn admission_begins_at_exactly_ten_and_a_hundred() {
        assert_eq!(Admission::of(beyond(999, 100)), Admission::Withheld);
        assert_eq!(Admission::of(beyond(1000, 100)), Admission::Shown);
        assert_eq!(Admission::of(beyond(9999, 100)), Admission::Shown);
        assert_eq!(Admission::of(beyond(10_000, 100)), Admission::Judged);
        assert_eq!(beyond(5, 0), 0);
    }

    /// scipy: `quantile_test(range(1, n + 1), p=q).confidence_interval(0.95)`.
    #[test]
    fn ranks_as_by_scipy() {
        let table = [
            (20, 2, (6, 15)),
            (100, 10, (84, 96)),
            (1000, 100, (983, 997)),
            (10_000, 100, (9880, 9920)),
            (29_000, 100, (28_676, 28_744)),
        ];
        for (count, one_in, wanted) in table {
            assert_eq!(rank_interval(count, one_in, 0.05), Some(wanted), "{count} at 1/{one_in}");
        }
    }

    /// A p99 of 300 has its upper end beyond the largest of them: 0.99^300 is 4.9 %.
    #[test]
    fn no_interval_beyond_the_sample() {
        assert_eq!(rank_interval(300, 100, 0.05), None);
        assert!(rank_interval(400, 100, 0.05).is_some());
        assert_eq!(rank_interval(0, 100, 0.05), None);
        assert_eq!(rank_interval(1000, 1, 0.05), None);
        assert_eq!(rank_interval(1000, 100, f64::NAN), None);
    }
}
