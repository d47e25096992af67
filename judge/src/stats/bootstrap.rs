//! Intervals by resampling, for figures that have no exact one: means, and the parameters of a fitted law.
//!
//! BCa of Efron 1987, "Better Bootstrap Confidence Intervals": the percentiles of the resampled figures, moved by how
//! far the figure is off their middle and by how its spread changes with its size. Seeded, so the same numbers give
//! the same interval.
//!
//! Caveat: with few values it is too short. Simulated for the mean of normal values, 4000 worlds each, an interval that
//! should miss the truth in 5 % misses it in 14 % with six values, 12 % with eight, 9 % with twelve and 7 % with twenty.
//! Where a Hodges-Lehmann location answers the question, its exact interval is the better one.

use rand::Rng;
use statrs::distribution::{ContinuousCDF, Normal};

use super::{PAIRS_MIN, quantile};
use crate::seed::Seed;

/// Resamples behind an interval.
pub const RESAMPLES: usize = 2000;

/// A mean with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// Arithmetic mean, unit of the data.
    pub value: f64,
    /// Its interval, unit of the data: BCa of [`bootstrap_mean`], absent below [`PAIRS_MIN`] values, or Student's of
    /// [`super::student_mean`], absent below two.
    pub interval: Option<(f64, f64)>,
}

/// The mean of `values` with the BCa interval of two-sided error `alpha`.
/// None if empty or if any value is not finite.
pub fn bootstrap_mean(values: &[f64], alpha: f64, seed: Seed) -> Option<Mean> {
    if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let all: Vec<&f64> = values.iter().collect();
    let interval = bca_intervals(values, |resample| Some([mean(resample)]), alpha, seed);
    Some(Mean { value: mean(&all), interval: interval.and_then(|[interval]| interval) })
}

/// BCa intervals of several figures of one sample, each with two-sided error `alpha`. An element of the sample is
/// what was repeated independently, such as a trial with all it measured.
///
/// None below [`PAIRS_MIN`] elements, or if `figures` has no finite answer for the sample, for a resample or for the
/// sample without one element. A single interval is None if all resampled figures lie on one side of the figure.
pub fn bca_intervals<T, const K: usize>(
    sample: &[T],
    figures: impl Fn(&[&T]) -> Option<[f64; K]>,
    alpha: f64,
    seed: Seed,
) -> Option<[Option<(f64, f64)>; K]> {
    if sample.len() < PAIRS_MIN || !(alpha > 0.0 && alpha < 1.0) {
        return None;
    }
    let finite = |some: &[&T]| figures(some).filter(|all| all.iter().all(|one| one.is_finite()));
    let all: Vec<&T> = sample.iter().collect();
    let estimates = finite(&all)?;
    let without_one: Vec<[f64; K]> =
        (0..sample.len()).map(|i| finite(&without(&all, i))).collect::<Option<_>>()?;
    let mut random = seed.stream("bootstrap", 0);
    let mut draw = || all[random.random_range(0..all.len())];
    let resampled: Vec<[f64; K]> = (0..RESAMPLES)
        .map(|_| finite(&all.iter().map(|_| draw()).collect::<Vec<&T>>()))
        .collect::<Option<_>>()?;
    let of = |figures: &[[f64; K]], k: usize| figures.iter().map(|all| all[k]).collect();
    Some(std::array::from_fn(|k| {
        bca(estimates[k], of(&resampled, k), &of(&without_one, k) as &Vec<f64>, alpha)
    }))
}

/// The interval from the figure itself, of the resamples and of the sample without each element: Efron 1987,
/// equations 2.3 and 7.3. Resamples that equal the figure count half to either side.
fn bca(
    estimate: f64,
    mut resampled: Vec<f64>,
    without_one: &[f64],
    alpha: f64,
) -> Option<(f64, f64)> {
    resampled.sort_by(f64::total_cmp);
    let below = resampled.partition_point(|figure| *figure < estimate);
    let not_above = resampled.partition_point(|figure| *figure <= estimate);
    let share = (below + not_above) as f64 / 2.0 / resampled.len() as f64;
    if share <= 0.0 || share >= 1.0 {
        return None;
    }
    let normal = Normal::standard();
    let bias = normal.inverse_cdf(share);
    let acceleration = acceleration(without_one);
    let end = |level: f64| {
        let off = bias + normal.inverse_cdf(level);
        let slowed = 1.0 - acceleration * off;
        let moved = (slowed > 0.0).then(|| normal.cdf(bias + off / slowed))?;
        quantile::of_sorted(&resampled, moved)
    };
    Some((end(alpha / 2.0)?, end(1.0 - alpha / 2.0)?))
}

/// How fast the spread of a figure changes with its size, from the figures without one element each.
/// 0 if it never changes.
fn acceleration(without_one: &[f64]) -> f64 {
    let centre = without_one.iter().sum::<f64>() / without_one.len() as f64;
    let power = |p: i32| without_one.iter().map(|figure| (centre - figure).powi(p)).sum::<f64>();
    let spread = power(2).powf(1.5);
    if spread > 0.0 { power(3) / (6.0 * spread) } else { 0.0 }
}

fn without<'a, T>(all: &[&'a T], left_out: usize) -> Vec<&'a T> {
    all.iter().enumerate().filter(|(i, _)| *i != left_out).map(|(_, one)| *one).collect()
}

fn mean(values: &[&f64]) -> f64 {
    values.iter().copied().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::{Distribution, StandardNormal};

    /// Spatial perception of 26 children, test A: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", table 14.1.
    const SPATIAL: [f64; 26] = [
        48.0, 36.0, 20.0, 29.0, 42.0, 42.0, 20.0, 42.0, 22.0, 41.0, 45.0, 14.0, 6.0, 0.0, 33.0,
        28.0, 34.0, 4.0, 32.0, 24.0, 47.0, 41.0, 24.0, 26.0, 30.0, 41.0,
    ];

    fn variance(values: &[&f64]) -> f64 {
        let centre = mean(values);
        values.iter().map(|value| (**value - centre).powi(2)).sum::<f64>() / values.len() as f64
    }

    /// Efron & Tibshirani 1993, section 14.3: the variance of the spatial data is 171.5, its acceleration 0.061.
    #[test]
    fn acceleration_of_the_spatial_data() {
        let all: Vec<&f64> = SPATIAL.iter().collect();
        assert!((variance(&all) - 171.534).abs() < 1e-3);
        let without_one: Vec<f64> = (0..26).map(|i| variance(&without(&all, i))).collect();
        assert!((acceleration(&without_one) - 0.061_240_119_812_307_45).abs() < 1e-12);
    }

    /// All 5⁵ and all 6⁶ resamples in place of random ones. scipy: `scipy.stats._resampling._bca_interval` with
    /// `theta_hat_b = round([mean(c) for c in itertools.product(x, repeat=len(x))], 9)`, ends by `numpy.percentile`.
    #[test]
    fn ends_as_by_scipy_over_all_resamples() {
        let check = |x: &[f64], wanted: (f64, f64)| {
            let all: Vec<&f64> = x.iter().collect();
            let without_one: Vec<f64> = (0..x.len()).map(|i| mean(&without(&all, i))).collect();
            let mut sums = vec![0.0];
            for _ in x {
                sums = sums.iter().flat_map(|sum| x.iter().map(move |one| sum + one)).collect();
            }
            // Rounded, so that equal means are equal whatever the order of their sum.
            let means = |sum: f64| (sum / x.len() as f64 * 1e9).round() / 1e9;
            let resampled = sums.into_iter().map(means).collect();
            let estimate = means(x.iter().sum());
            let (lower, upper) = bca(estimate, resampled, &without_one, 0.05).unwrap();
            assert!((lower - wanted.0).abs() < 1e-6, "{lower}, wanted {}", wanted.0);
            assert!((upper - wanted.1).abs() < 1e-6, "{upper}, wanted {}", wanted.1);
        };
        check(&[1.0, 2.0, 4.0, 7.0, 15.0], (2.6, 12.2));
        check(&[3.1, 0.4, 2.2, 8.9, 1.7, 0.9], (1.316_666_667, 6.583_333_333));
    }

    /// scipy, 200 000 resamples: `bootstrap((a,), mean, method="BCa")` gives 24.115 to 34.231, `var` 105.56 to 278.11.
    /// The tolerance is some three standard errors of an end of 2000 resamples.
    #[test]
    fn intervals_of_the_spatial_data() {
        let near = |got: (f64, f64), wanted: (f64, f64), by: f64| {
            assert!((got.0 - wanted.0).abs() < by && (got.1 - wanted.1).abs() < by, "{got:?}");
        };
        let of_mean = bootstrap_mean(&SPATIAL, 0.05, Seed(1)).unwrap();
        assert!((of_mean.value - 771.0 / 26.0).abs() < 1e-9, "{of_mean:?}");
        near(of_mean.interval.unwrap(), (24.115, 34.231), 0.5);
        let [of_variance] =
            bca_intervals(&SPATIAL, |some| Some([variance(some)]), 0.05, Seed(1)).unwrap();
        near(of_variance.unwrap(), (105.56, 278.11), 10.0);
    }

    #[test]
    fn the_seed_decides_alone() {
        let interval = |seed| bootstrap_mean(&SPATIAL, 0.05, Seed(seed)).unwrap().interval;
        assert_eq!(interval(7), interval(7));
        assert_ne!(interval(7), interval(8));
    }

    /// The caveat at the top: how often the interval of a mean of normal values misses it.
    #[test]
    fn it_misses_about_as_often_as_it_says() {
        let mut random = Seed(5).stream("normal", 0);
        for (n, misses_max) in [(8, 0.14), (20, 0.09)] {
            let missed = (0..400).filter(|world| {
                let draw = StandardNormal.sample_iter(&mut random);
                let values: Vec<f64> = draw.take(n).collect();
                let mean = bootstrap_mean(&values, 0.05, Seed(*world)).unwrap();
                let (lower, upper) = mean.interval.unwrap();
                !(lower..=upper).contains(&0.0)
            });
            let share = missed.count() as f64 / 400.0;
            assert!(share > 0.02 && share < misses_max, "{share} of {n} values");
        }
    }

    #[test]
    fn refuses_what_cannot_be_resampled() {
        let interval = |values: &[f64]| bootstrap_mean(values, 0.05, Seed(1)).unwrap().interval;
        assert_eq!(interval(&[1.0, 2.0, 3.0, 4.0, 5.0]), None);
        assert_eq!(interval(&[2.0; 6]), Some((2.0, 2.0)));
        assert_eq!(bootstrap_mean(&[], 0.05, Seed(1)), None);
        assert_eq!(bootstrap_mean(&[1.0, f64::NAN], 0.05, Seed(1)), None);
        let nothing = bca_intervals(&[1.0; 6], |_| Some([f64::NAN]), 0.05, Seed(1));
        assert_eq!(nothing, None);
        // The largest of a sample is never below a largest of its resamples.
        let largest = |some: &[&f64]| Some([some.iter().fold(0.0, |a: f64, b| a.max(**b))]);
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let [interval] = bca_intervals(&values, largest, 0.05, Seed(1)).unwrap();
        assert!(interval.is_some_and(|(_, upper)| upper <= 6.0));
        assert_eq!(bca(9.0, vec![1.0, 2.0], &[1.0, 2.0], 0.05), None);
    }
}
