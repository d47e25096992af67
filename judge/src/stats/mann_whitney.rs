//! The Mann-Whitney test of two samples without pairs.
//!
//! Mann & Whitney 1947, "On a Test of Whether one of Two Random Variables is Stochastically Larger than the Other".
//! Up to [`COUNTED_MAX`] values the null distribution is counted out, with ties as without; beyond that it is a normal
//! distribution with the variance that the ties leave (Hollander & Wolfe 1973, section 4.1).
//!
//! Caveat: without pairs a host that drifts between the two sides looks like a difference. It is for numbers that
//! cannot be paired any more, such as those of an older run.

use statrs::distribution::{ContinuousCDF, Normal};

/// Values of both samples together up to which the null distribution is counted out.
pub const COUNTED_MAX: usize = 60;

/// Two-sided p that neither sample tends to larger values than the other: twice the smaller tail, at most 1.
/// None if a sample is empty or holds a value that is not finite.
pub fn mann_whitney_p_value(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() || !a.iter().chain(b).all(|value| value.is_finite()) {
        return None;
    }
    let pooled = Pooled::of(a, b);
    Some(match a.len() + b.len() <= COUNTED_MAX {
        true => pooled.counted_p_value(),
        false => pooled.normal_p_value(),
    })
}

/// Largest U whose two-sided p is at most `alpha` for samples of these sizes without ties, with the chance of a U
/// that small or smaller. None if even U = 0 is not rare enough.
pub(super) fn critical(n_a: usize, n_b: usize, alpha: f64) -> Option<(usize, f64)> {
    match n_a + n_b <= COUNTED_MAX {
        true => counted_critical(n_a, n_b, alpha),
        false => normal_critical(n_a, n_b, alpha),
    }
}

/// Both samples in one row.
struct Pooled {
    /// Twice the rank of each value, ascending; ties share their mean rank.
    ranks: Vec<usize>,
    /// Sum of the doubled ranks of the first sample.
    rank_sum: usize,
    /// Size of the first sample.
    n_a: usize,
    /// Sizes of the groups of equal values.
    tied: Vec<usize>,
}

impl Pooled {
    fn of(a: &[f64], b: &[f64]) -> Pooled {
        let of_a = a.iter().map(|value| (*value, true));
        // Adding zero makes -0 and 0 the same value to `total_cmp`.
        let both = of_a.chain(b.iter().map(|value| (*value, false)));
        let mut row: Vec<(f64, bool)> = both.map(|(value, is_a)| (value + 0.0, is_a)).collect();
        row.sort_by(|x, y| x.0.total_cmp(&y.0));
        let mut pooled = Pooled { ranks: vec![], rank_sum: 0, n_a: a.len(), tied: vec![] };
        for group in row.chunk_by(|x, y| x.0.total_cmp(&y.0).is_eq()) {
            let first = pooled.ranks.len() + 1;
            let last = pooled.ranks.len() + group.len();
            pooled.ranks.resize(last, first + last);
            pooled.rank_sum += group.iter().filter(|(_, is_a)| *is_a).count() * (first + last);
            pooled.tied.push(group.len());
        }
        pooled
    }

    fn counted_p_value(&self) -> f64 {
        let chances = rank_sum_distribution(&self.ranks, self.n_a);
        let at_most: f64 = chances[..=self.rank_sum].iter().sum();
        let at_least: f64 = chances[self.rank_sum..].iter().sum();
        (2.0 * at_most.min(at_least)).min(1.0)
    }

    /// With the continuity correction of one half.
    fn normal_p_value(&self) -> f64 {
        let (n, n_a) = (self.ranks.len() as f64, self.n_a as f64);
        let u = (self.rank_sum as f64 - n_a * (n_a + 1.0)) / 2.0;
        let cubes: f64 = self.tied.iter().map(|t| *t as f64).map(|t| t.powi(3) - t).sum();
        let variance = n_a * (n - n_a) / 12.0 * (n + 1.0 - cubes / (n * (n - 1.0)));
        let off = ((u - n_a * (n - n_a) / 2.0).abs() - 0.5).max(0.0);
        match variance > 0.0 {
            true => (2.0 * Normal::standard().sf(off / variance.sqrt())).min(1.0),
            false => 1.0,
        }
    }
}

/// Chance of each sum of `n_drawn` of the ranks when every choice is equally likely: index = sum.
/// Rank by rank, a choice of k is reached by leaving the new rank or by adding it to a choice of k - 1.
fn rank_sum_distribution(ranks: &[usize], n_drawn: usize) -> Vec<f64> {
    let sum_max: usize = ranks.iter().rev().take(n_drawn).sum();
    let mut ways = vec![vec![0.0; sum_max + 1]; n_drawn + 1];
    ways[0][0] = 1.0;
    for &rank in ranks {
        for k in (1..=n_drawn).rev() {
            let (fewer, these) = ways.split_at_mut(k);
            for sum in rank..=sum_max {
                these[0][sum] += fewer[k - 1][sum - rank];
            }
        }
    }
    let drawn = ways.swap_remove(n_drawn);
    let all: f64 = drawn.iter().sum();
    drawn.into_iter().map(|count| count / all).collect()
}

fn counted_critical(n_a: usize, n_b: usize, alpha: f64) -> Option<(usize, f64)> {
    let ranks: Vec<usize> = (1..=n_a + n_b).collect();
    let smallest = n_a * (n_a + 1) / 2;
    let mut tail = 0.0;
    let mut found = None;
    for (u, chance) in rank_sum_distribution(&ranks, n_a).into_iter().skip(smallest).enumerate() {
        tail += chance;
        if 2.0 * tail > alpha {
            break;
        }
        found = Some((u, tail));
    }
    found
}

fn normal_critical(n_a: usize, n_b: usize, alpha: f64) -> Option<(usize, f64)> {
    let normal = Normal::standard();
    let (n_a, n_b) = (n_a as f64, n_b as f64);
    let (mean, spread) = (n_a * n_b / 2.0, (n_a * n_b * (n_a + n_b + 1.0) / 12.0).sqrt());
    if !(alpha > 0.0 && alpha < 1.0) {
        return None;
    }
    let u = (mean - 0.5 + normal.inverse_cdf(alpha / 2.0) * spread).floor();
    (u >= 0.0).then(|| (u as usize, normal.cdf((u + 0.5 - mean) / spread)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Permeability of the placenta at term and at 12 to 26 weeks, Hollander & Wolfe 1973, table 4.1.
    const AT_TERM: [f64; 10] = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
    const EARLY: [f64; 5] = [1.15, 0.88, 0.90, 0.74, 1.21];

    fn close(got: Option<f64>, wanted: f64) {
        assert!((got.unwrap() - wanted).abs() < 1e-12, "{got:?}, wanted {wanted}");
    }

    /// R's example of `wilcox.test`: W = 35, p = 0.1272 one-sided. scipy: `mannwhitneyu(a, b, method="exact")`.
    #[test]
    fn p_value_of_the_placenta_data() {
        close(mann_whitney_p_value(&AT_TERM, &EARLY), 0.254_412_254_412_254_4);
        close(mann_whitney_p_value(&EARLY, &AT_TERM), 0.254_412_254_412_254_4);
    }

    /// scipy: `mannwhitneyu(a, b, method=PermutationMethod(n_resamples=inf))`.
    #[test]
    fn ties_are_counted_out() {
        let (a, b) = ([1.0, 2.0, 2.0, 3.0, 5.0, 7.0], [2.0, 4.0, 5.0, 6.0, 8.0, 9.0]);
        close(mann_whitney_p_value(&a, &b), 0.142_857_142_857_142_85);
        close(mann_whitney_p_value(&[0.0, -0.0], &[0.0]), 1.0);
    }

    /// scipy: `mannwhitneyu([i*37%101 for i in range(30)], [i*53%103+.5 for i in range(30)], method="exact")`.
    #[test]
    fn the_largest_that_is_counted() {
        let a: Vec<f64> = (0..30).map(|i| f64::from(i * 37 % 101)).collect();
        let b: Vec<f64> = (0..30).map(|i| f64::from(i * 53 % 103) + 0.5).collect();
        close(mann_whitney_p_value(&a, &b), 0.959_042_955_814_144_3);
    }

    /// scipy: `mannwhitneyu([i*37%101/10 for i in range(60)], [i*53%103/10+1.5 for i in range(55)], method="asymptotic")`.
    #[test]
    fn large_samples_use_the_normal_distribution() {
        let a: Vec<f64> = (0..60).map(|i| f64::from(i * 37 % 101) / 10.0).collect();
        let b: Vec<f64> = (0..55).map(|i| f64::from(i * 53 % 103) / 10.0 + 1.5).collect();
        let p = mann_whitney_p_value(&a, &b).unwrap();
        assert!((p - 0.033_360_864_183_488_236).abs() < 1e-9, "{p}");
        close(mann_whitney_p_value(&[1.0; 40], &[1.0; 40]), 1.0);
    }

    /// Two-sided 5 % and 1 % columns of the printed tables of U (Siegel 1956, tables K).
    #[test]
    fn critical_values_of_the_printed_tables() {
        let u = |n_a, n_b, alpha| critical(n_a, n_b, alpha).map(|(u, _)| u);
        let table = [(4, 4, 0), (5, 5, 2), (6, 6, 5), (8, 8, 13), (10, 10, 23), (20, 20, 127)];
        for (n_a, n_b, wanted) in table {
            assert_eq!(u(n_a, n_b, 0.05), Some(wanted), "{n_a} and {n_b}");
        }
        assert_eq!((u(3, 3, 0.05), u(4, 4, 0.01), u(5, 5, 0.01)), (None, None, Some(0)));
        assert_eq!((u(40, 40, f64::NAN), u(40, 40, 0.0), u(0, 5, 0.05)), (None, None, None));
    }

    /// The two ways of finding the critical value agree where they meet.
    #[test]
    fn the_normal_distribution_takes_over_smoothly() {
        let (counted, _) = counted_critical(30, 30, 0.05).unwrap();
        let (normal, tail) = normal_critical(30, 30, 0.05).unwrap();
        assert!(counted.abs_diff(normal) <= 1, "{counted} and {normal}");
        assert!(2.0 * tail <= 0.05);
    }

    #[test]
    fn refuses_what_cannot_be_ranked() {
        assert_eq!(mann_whitney_p_value(&[], &[1.0]), None);
        assert_eq!(mann_whitney_p_value(&[1.0], &[f64::NAN]), None);
    }
}
