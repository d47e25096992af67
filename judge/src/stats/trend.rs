//! Whether a series drifts: the Mann-Kendall test, and how steeply, by Theil and Sen.
//!
//! Mann 1945, "Nonparametric Tests Against Trend"; Kendall 1975, "Rank Correlation Methods"; Sen 1968, "Estimates of the
//! Regression Coefficient Based on Kendall's Tau". Neither minds a few wild values.
//!
//! Caveat: it takes the values for independent. Neighbouring windows of a trial resemble each other, which makes a
//! trend look surer than it is; so ask for a steep one as well as for a sure one.

use statrs::distribution::{ContinuousCDF, Normal};

use super::quantile;

/// Values up to which the null distribution is counted out, if no two are equal.
const COUNTED_MAX: usize = 60;

/// A drift of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Two-sided p of the Mann-Kendall test that there is none.
    pub p_value: f64,
    /// Median of the slopes of all pairs, unit of the data per step.
    pub slope: f64,
}

/// The trend of values in their order, one step apart. None below two values or if any is not finite.
pub fn trend(series: &[f64]) -> Option<Trend> {
    if series.len() < 2 || !series.iter().all(|value| value.is_finite()) {
        return None;
    }
    let mut slopes: Vec<f64> = Vec::with_capacity(series.len() * (series.len() - 1) / 2);
    for (i, from) in series.iter().enumerate() {
        let later = series[i + 1..].iter().zip(1..);
        slopes.extend(later.map(|(to, steps)| (to - from) / f64::from(steps)));
    }
    let rising = slopes.iter().filter(|slope| **slope > 0.0).count();
    let falling = slopes.iter().filter(|slope| **slope < 0.0).count();
    let tied = rising + falling < slopes.len();
    let p_value = match !tied && series.len() <= COUNTED_MAX {
        true => counted_p_value(series.len(), rising.min(falling)),
        false => normal_p_value(series, rising.abs_diff(falling)),
    };
    slopes.sort_by(f64::total_cmp);
    Some(Trend { p_value, slope: quantile::of_sorted(&slopes, 0.5)? })
}

/// Twice the chance that a random order of n has at most so many pairs in the wrong order, at most 1.
/// Value by value, the new one stands behind 0 to all of those before it, each equally likely.
fn counted_p_value(n: usize, wrong: usize) -> f64 {
    let mut chances = vec![1.0];
    for before in 1..n {
        let mut longer = vec![0.0; chances.len() + before];
        for (inversions, chance) in chances.iter().enumerate() {
            for added in 0..=before {
                longer[inversions + added] += chance / (before + 1) as f64;
            }
        }
        chances = longer;
    }
    (2.0 * chances[..=wrong].iter().sum::<f64>()).min(1.0)
}

/// By the normal distribution with the variance that ties leave and a continuity correction of one.
fn normal_p_value(series: &[f64], surplus: usize) -> f64 {
    let mut sorted: Vec<f64> = series.iter().map(|value| value + 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    let weight = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let groups = sorted.chunk_by(|a, b| a.total_cmp(b).is_eq());
    let of_ties: f64 = groups.map(|group| weight(group.len() as f64)).sum();
    let variance = (weight(series.len() as f64) - of_ties) / 18.0;
    match variance > 0.0 {
        true => 2.0 * Normal::standard().sf(surplus.saturating_sub(1) as f64 / variance.sqrt()),
        false => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(series: &[f64], p_value: f64, slope: f64) {
        let trend = trend(series).unwrap();
        assert!((trend.p_value - p_value).abs() < 1e-9, "{trend:?}, wanted p = {p_value}");
        assert!((trend.slope - slope).abs() < 1e-12, "{trend:?}, wanted {slope}");
    }

    /// scipy: `kendalltau(range(8), x, method="exact")`, `theilslopes(x)`.
    #[test]
    fn counted_as_by_scipy() {
        check(&[3.1, 2.9, 3.4, 3.3, 3.8, 3.5, 4.1, 3.9], 0.014_136_904_761_904_762, 0.15);
    }

    /// scipy: `kendalltau(range(60), y, method="exact").pvalue` with y = `[i*37%61+i*.3 for i in range(60)]`.
    #[test]
    fn the_longest_that_is_counted() {
        let series: Vec<f64> =
            (0..60).map(|i| f64::from(i * 37 % 61) + f64::from(i) * 0.3).collect();
        let p_value = trend(&series).unwrap().p_value;
        assert!((p_value - 0.001_697_781_066_056_973_2).abs() < 1e-12, "{p_value}");
        assert!((normal_p_value(&series, 488) - 0.001_896_040_394_581_22).abs() < 1e-9);
    }

    /// By formula in scipy: S = -27, variance 118.333, `2*norm.sf((abs(S)-1)/sqrt(v))`; `theilslopes(x)`.
    #[test]
    fn ties_use_the_normal_distribution() {
        check(&[5.0, 5.0, 4.0, 6.0, 5.0, 3.0, 4.0, 2.0, 3.0, 2.0], 0.016_842_845_195_262_482, -0.4);
        check(&[1.0; 8], 1.0, 0.0);
    }

    #[test]
    fn refuses_what_has_no_trend() {
        assert_eq!(trend(&[1.0]), None);
        assert_eq!(trend(&[1.0, f64::NAN]), None);
        check(&[1.0, 3.0], 1.0, 2.0);
    }
}
