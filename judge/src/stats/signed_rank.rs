//! The Wilcoxon signed-rank test, exact, and the confidence interval that comes from inverting it.
//!
//! Wilcoxon 1945, "Individual Comparisons by Ranking Methods"; the interval by Walsh averages is Tukey's, as in
//! Hollander & Wolfe 1973, "Nonparametric Statistical Methods", section 3.3. Exact up to 300 differences, by a series beyond.

use statrs::distribution::{Continuous, ContinuousCDF, Normal};

/// A confidence interval with the level it truly has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end, unit of the data.
    pub lower: f64,
    /// Upper end, unit of the data.
    pub upper: f64,
    /// Confidence reached, at least the one asked for: the distribution has steps. Fraction, 0..=1.
    pub confidence: f64,
}

/// Interval for the centre of `d` whose two-sided error is at most `alpha`.
///
/// With c the [`critical_value`], the ends are the c-th Walsh averages from below and above, counted from 0:
/// exactly the centres which the signed-rank test does not reject (Hollander & Wolfe 1973, 3.3). Ties make the
/// interval wider than it need be, never narrower. None if `d` is too short for `alpha` or holds a value that
/// is not finite.
pub fn signed_rank_interval(d: &[f64], alpha: f64) -> Option<Interval> {
    let (critical, tail) = critical(d.len(), alpha)?;
    let mut walsh = walsh_averages(d)?;
    let from_above = walsh.len().checked_sub(1 + critical)?;
    let (_, lower, _) = walsh.select_nth_unstable_by(critical, f64::total_cmp);
    let lower = *lower;
    let (_, upper, _) = walsh.select_nth_unstable_by(from_above, f64::total_cmp);
    let upper = *upper;
    Some(Interval { lower, upper, confidence: 1.0 - 2.0 * tail })
}

/// Largest rank sum whose two-sided p is at most `alpha` for `n` differences: the tabulated critical value.
/// None if even a rank sum of 0 is not rare enough.
pub fn critical_value(n: usize, alpha: f64) -> Option<usize> {
    critical(n, alpha).map(|(critical, _)| critical)
}

/// Exact two-sided p of the signed-rank test that the centre of `d` is 0: twice the smaller tail, at most 1.
///
/// Zeros are dropped, as Wilcoxon did. Tied sizes share their mean rank, and the distribution is the exact one
/// given those ranks. None if nothing but zeros is left or a value is not finite.
pub fn signed_rank_p_value(d: &[f64]) -> Option<f64> {
    if !d.iter().all(|value| value.is_finite()) {
        return None;
    }
    let mut sized: Vec<f64> = d.iter().copied().filter(|value| value.abs() > 0.0).collect();
    if sized.is_empty() {
        return None;
    }
    sized.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let ranks = doubled_ranks(&sized);
    let rank_sum: usize = sized.iter().zip(&ranks).filter(|(v, _)| **v > 0.0).map(|(_, r)| r).sum();
    // The distribution is symmetric: the tail above a sum is as likely as the one below its counterpart.
    let counterpart = ranks.iter().sum::<usize>() - rank_sum;
    let smaller_tail: f64 = null_distribution(&ranks, rank_sum.min(counterpart)).iter().sum();
    Some((2.0 * smaller_tail).min(1.0))
}

/// All (dᵢ + dⱼ) / 2 with i <= j, in any order (Walsh 1949). None if a value is not finite.
pub(super) fn walsh_averages(d: &[f64]) -> Option<Vec<f64>> {
    if !d.iter().all(|value| value.is_finite()) {
        return None;
    }
    let from = |i: usize| d[i..].iter().map(move |other| 0.5 * d[i] + 0.5 * other);
    Some((0..d.len()).flat_map(from).collect())
}

/// Median of the Walsh averages.
pub(super) fn pseudomedian(d: &[f64]) -> Option<f64> {
    let mut walsh = walsh_averages(d)?;
    let middle = walsh.len().checked_sub(1)? / 2;
    // The two in the middle, or the one, are in their places then.
    let (_, lower, above) = walsh.select_nth_unstable_by(middle, f64::total_cmp);
    let (lower, next) = (*lower, above.iter().copied().min_by(f64::total_cmp));
    let is_even = (d.len() * (d.len() + 1) / 2).is_multiple_of(2);
    Some(if is_even { 0.5 * lower + 0.5 * next? } else { lower })
}

/// Up to so many differences every sign pattern is counted, which takes O(n³); beyond, a series.
const COUNTED_MAX: usize = 300;

/// The critical value and the chance of a rank sum that small or smaller.
fn critical(n: usize, alpha: f64) -> Option<(usize, f64)> {
    match n <= COUNTED_MAX {
        true => counted_critical(n, alpha),
        false => series_critical(n, alpha),
    }
}

/// The normal distribution with Edgeworth's term for the fourth cumulant (the third is 0), half a step towards the middle: Fellingham
/// and Stoker 1964, "An Approximation for the Exact Distribution of the Wilcoxon Test for Symmetry". From 300 differences on it is off
/// by less than a millionth; of the sums around it the largest is taken that leaves that much room.
fn series_critical(n: usize, alpha: f64) -> Option<(usize, f64)> {
    const ROOM: f64 = 1e-6;
    if !(alpha > 4.0 * ROOM && alpha < 1.0) {
        return None;
    }
    let n = n as f64;
    let mean = n * (n + 1.0) / 4.0;
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0;
    // A rank r counts or does not: cumulants r²/4 and -r⁴/8.
    let fourth = -n * (n + 1.0) * (2.0 * n + 1.0) * (3.0 * n * n + 3.0 * n - 1.0) / 240.0;
    let excess = fourth / (variance * variance);
    let normal = Normal::standard();
    let tail = |sum: f64| {
        let x = (sum + 0.5 - mean) / variance.sqrt();
        normal.cdf(x) - normal.pdf(x) * excess / 24.0 * (x * x * x - 3.0 * x) + ROOM
    };
    let first = (mean + (normal.inverse_cdf(alpha / 2.0) - 0.01) * variance.sqrt()).floor();
    let sums = (0..).map(|step| first + f64::from(step));
    let last = sums.take_while(|sum| 2.0 * tail(*sum) <= alpha).last()?;
    (last >= 0.0).then(|| (last as usize, tail(last)))
}

fn counted_critical(n: usize, alpha: f64) -> Option<(usize, f64)> {
    if alpha.is_nan() {
        return None;
    }
    let ranks: Vec<usize> = (1..=n).collect();
    let mut tail = 0.0;
    let mut found = None;
    // An error below a half leads to a sum below the middle.
    let middle = n * (n + 1) / 4;
    for (rank_sum, chance) in null_distribution(&ranks, middle).into_iter().enumerate() {
        tail += chance;
        if 2.0 * tail > alpha {
            break;
        }
        found = Some((rank_sum, tail));
    }
    found
}

/// A chance that adds nothing to any other that is told.
const NOTHING: f64 = 1e-40;

/// Chance of each sum up to `most` of the ranks that got a plus, when every sign is a fair coin: index = sum.
/// Rank by rank, a sum is reached either without the new rank or with it. All chances are multiples of 2⁻ⁿ,
/// so they are exact up to n = 53 and right to the last digits beyond.
fn null_distribution(ranks: &[usize], most: usize) -> Vec<f64> {
    let (mut chances, mut next) = (vec![0.0; most + 1], vec![0.0; most + 1]);
    chances[0] = 1.0;
    // Sums below `first` and above `reached` have a chance of 0, as good as.
    let (mut first, mut reached) = (0, 0);
    for &rank in ranks {
        reached = most.min(reached + rank);
        let split = (first + rank).min(reached + 1);
        for (next, without) in next[first..split].iter_mut().zip(&chances[first..split]) {
            *next = 0.5 * without;
        }
        let with = &chances[first..];
        let sums = next[split..=reached].iter_mut().zip(&chances[split..=reached]).zip(with);
        for ((next, without), with) in sums {
            *next = 0.5 * (without + with);
        }
        std::mem::swap(&mut chances, &mut next);
        while first < reached && chances[first] < NOTHING {
            (chances[first], next[first]) = (0.0, 0.0);
            first += 1;
        }
    }
    chances
}

/// Twice the rank of each value by size, ties sharing their mean rank; doubled, so that it stays whole.
/// `sized` is ascending by absolute value.
fn doubled_ranks(sized: &[f64]) -> Vec<usize> {
    let same_size = |a: &f64, b: &f64| a.abs().total_cmp(&b.abs()).is_eq();
    let mut ranks = Vec::with_capacity(sized.len());
    for tied in sized.chunk_by(same_size) {
        let first = ranks.len() + 1;
        let last = ranks.len() + tied.len();
        ranks.resize(last, first + last);
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Depression scale before and after therapy, Hollander & Wolfe 1973, table 3.1; the example of R's `wilcox.test`.
    #[expect(clippy::approx_constant, reason = "3.14 is a score of patient 8")]
    const DEPRESSION: [(f64, f64); 9] = [
        (1.83, 0.878),
        (0.50, 0.647),
        (1.62, 0.598),
        (2.48, 2.05),
        (1.68, 1.06),
        (1.88, 1.29),
        (1.55, 1.06),
        (3.06, 3.14),
        (1.30, 1.29),
    ];

    fn depression() -> Vec<f64> {
        DEPRESSION.iter().map(|(before, after)| before - after).collect()
    }

    /// R: V = 40, p = 0.01953 one-sided and 0.03906 two-sided.
    #[test]
    fn p_value_of_the_depression_data() {
        assert_eq!(signed_rank_p_value(&depression()), Some(0.0390625));
    }

    /// R, `conf.int = TRUE`: estimate 0.46, interval 0.010 to 0.786; confidence 1 - 20/512.
    #[test]
    fn interval_of_the_depression_data() {
        let interval = signed_rank_interval(&depression(), 0.05).unwrap();
        assert!((interval.lower - 0.010).abs() < 1e-9);
        assert!((interval.upper - 0.786).abs() < 1e-9);
        assert!((interval.confidence - (1.0 - 20.0 / 512.0)).abs() < 1e-15);
        assert!((pseudomedian(&depression()).unwrap() - 0.46).abs() < 1e-9);
    }

    /// Two-sided 5 % column of the printed signed-rank tables (Wilcoxon & Wilcox 1964), and the 1 % column at n = 8, 20.
    #[test]
    fn critical_values_of_the_printed_tables() {
        let table = [(6, 0), (7, 2), (8, 3), (9, 5), (10, 8), (12, 13), (15, 25), (20, 52)];
        for (n, critical) in table {
            assert_eq!(critical_value(n, 0.05), Some(critical), "n = {n}");
        }
        assert_eq!(critical_value(5, 0.05), None);
        assert_eq!((critical_value(8, 0.01), critical_value(20, 0.01)), (Some(0), Some(37)));
    }

    /// OEIS A053632: the number of subsets of 1..=n by sum.
    #[test]
    fn the_distribution_counts_every_sign_pattern() {
        let counts = |n: u32| -> Vec<u64> {
            let ranks: Vec<usize> = (1..=n as usize).collect();
            let patterns = 2u64.pow(n) as f64;
            null_distribution(&ranks, ranks.iter().sum())
                .iter()
                .map(|chance| (chance * patterns) as u64)
                .collect()
        };
        assert_eq!(counts(4), [1, 1, 1, 2, 2, 2, 2, 2, 1, 1, 1]);
        for n in 0..=30 {
            assert_eq!(counts(n).iter().sum::<u64>(), 2u64.pow(n), "n = {n}");
        }
    }

    /// Ranks 1, 2.5, 2.5, 4 with the 1 negative: V = 9, and of 16 sign patterns only two reach it.
    #[test]
    fn ties_share_ranks_and_zeros_are_dropped() {
        assert_eq!(doubled_ranks(&[-1.0, 2.0, -2.0, 3.0]), [2, 5, 5, 8]);
        assert_eq!(signed_rank_p_value(&[0.0, -1.0, 2.0, 2.0, 3.0, 0.0]), Some(0.25));
        assert_eq!(signed_rank_p_value(&[-1.0, 1.0]), Some(1.0));
        assert_eq!(signed_rank_p_value(&[0.0, -0.0]), None);
    }

    #[test]
    fn no_interval_without_enough_finite_values() {
        assert_eq!(signed_rank_interval(&[1.0; 5], 0.05), None);
        assert_eq!(signed_rank_interval(&[], 0.05), None);
        assert_eq!(signed_rank_interval(&[1.0, 2.0, 3.0, 4.0, 5.0, f64::NAN], 0.05), None);
        assert_eq!(
            signed_rank_interval(&[1.0; 8], f64::NAN).map(|interval| interval.confidence),
            None
        );
        let same = signed_rank_interval(&[1.0; 6], 0.05).unwrap();
        assert_eq!((same.lower, same.upper, same.confidence), (1.0, 1.0, 1.0 - 2.0 / 64.0));
    }

    /// The two ways of finding the critical value agree where they meet, and the series is never beyond.
    #[test]
    fn the_series_takes_over_smoothly() {
        for n in [300, 400] {
            for alpha in [0.05, 0.01, 0.001] {
                let (counted, exact) = counted_critical(n, alpha).unwrap();
                let (sum, tail) = series_critical(n, alpha).unwrap();
                assert!(sum <= counted && counted - sum <= 8, "{n}, {alpha}: {counted} and {sum}");
                let ranks: Vec<usize> = (1..=n).collect();
                let truth: f64 = null_distribution(&ranks, sum).iter().sum();
                assert!(
                    (tail - truth).abs() < 2e-6 && tail >= truth,
                    "{tail} and {truth}, {exact}"
                );
            }
        }
        let all: f64 = null_distribution(&(1..=200).collect::<Vec<_>>(), 20_100).iter().sum();
        assert!((all - 1.0).abs() < 1e-12, "{all}");
        assert_eq!((critical(5_000, f64::NAN), critical(5_000, 0.0)), (None, None));
    }

    /// The interval holds exactly the centres that the test does not reject.
    #[test]
    fn the_interval_is_the_inverted_test() {
        let data = [0.31, -0.12, 0.54, 0.07, 0.22, -0.45, 0.91, 0.13, 0.38, 0.66];
        let interval = signed_rank_interval(&data, 0.05).unwrap();
        for step in -100..200 {
            let centre = f64::from(step) / 100.0 + 0.00123;
            let shifted: Vec<f64> = data.iter().map(|value| value - centre).collect();
            let kept = signed_rank_p_value(&shifted).unwrap() > 0.05;
            assert_eq!(kept, interval.lower < centre && centre < interval.upper, "centre {centre}");
        }
    }
}
