//! One figure for several scenarios: the geometric mean of their ratios, with an interval.
//!
//! Only the geometric mean of ratios does not depend on which arm is the base (Fleming & Wallace 1986, "How Not to Lie
//! with Statistics"). Every scenario weighs the same, however many pairs it has. The answer is about these scenarios;
//! it says nothing of others.

use super::{ALPHA, hodges_lehmann, signed_rank_interval};

/// The geometric mean of the ratios of several scenarios.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overall {
    /// Geometric mean.
    pub ratio: f64,
    /// Interval at [`ALPHA`]; absent if any scenario has too few pairs for one of its own.
    pub interval: Option<(f64, f64)>,
    /// Scenarios in it.
    pub scenarios: usize,
}

/// From the log-ratios of the pairs of each scenario. Each gives its Hodges-Lehmann estimate and its signed-rank
/// interval; their distances add up as independent errors do, each side for itself: the half-widths of a mean of k
/// are the roots of the sums of squares over k (Zou & Donner 2008, "Construction of Confidence Limits about Effect
/// Measures: A General Approach"). One scenario keeps its exact interval.
/// None without scenarios, or if one of them is empty or holds a value that is not finite.
pub fn overall_ratio<S: AsRef<[f64]>>(log_ratios: &[S]) -> Option<Overall> {
    let logs = || log_ratios.iter().map(AsRef::as_ref);
    let centres: Vec<f64> = logs().map(hodges_lehmann).collect::<Option<_>>()?;
    if centres.is_empty() {
        return None;
    }
    let n = centres.len() as f64;
    let centre = centres.iter().sum::<f64>() / n;
    let intervals: Option<Vec<_>> = logs().map(|d| signed_rank_interval(d, ALPHA)).collect();
    let interval = intervals.map(|intervals| {
        let of = |distance: &dyn Fn(usize) -> f64| {
            (0..centres.len()).map(|i| distance(i).powi(2)).sum::<f64>().sqrt() / n
        };
        let down = of(&|i| centres[i] - intervals[i].lower);
        let up = of(&|i| intervals[i].upper - centres[i]);
        ((centre - down).exp(), (centre + up).exp())
    });
    Some(Overall { ratio: centre.exp(), interval, scenarios: centres.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use rand_distr::{Distribution, Normal};

    fn logs(ratios: &[f64]) -> Vec<f64> {
        ratios.iter().map(|ratio| ratio.ln()).collect()
    }

    #[test]
    fn one_scenario_keeps_its_own_interval() {
        let d = logs(&[1.8, 2.0, 2.1, 2.3, 1.9, 2.2, 2.05, 1.95]);
        let overall = overall_ratio(&[&d]).unwrap();
        let own = signed_rank_interval(&d, ALPHA).unwrap();
        let (lower, upper) = overall.interval.unwrap();
        assert!((overall.ratio.ln() - hodges_lehmann(&d).unwrap()).abs() < 1e-12);
        assert!((lower.ln() - own.lower).abs() < 1e-12 && (upper.ln() - own.upper).abs() < 1e-12);
    }

    /// By hand: six pairs reach from their least to their largest value; 3, 4 down and 4, 3 up make 5 / 2 each.
    #[test]
    fn half_widths_add_up_as_squares() {
        let wide = |centre: f64, down: f64, up: f64| {
            vec![centre - down, centre, centre, centre, centre, centre + up]
        };
        let overall = overall_ratio(&[wide(0.0, 3.0, 4.0), wide(2.0, 4.0, 3.0)]).unwrap();
        assert!((overall.ratio.ln() - 1.0).abs() < 1e-12, "{overall:?}");
        let (lower, upper) = overall.interval.unwrap();
        assert!((lower.ln() - (1.0 - 2.5)).abs() < 1e-12, "{overall:?}");
        assert!((upper.ln() - (1.0 + 2.5)).abs() < 1e-12, "{overall:?}");
        assert_eq!(overall.scenarios, 2);
    }

    /// Ten times faster and ten times slower cancel out, whichever arm is the base.
    #[test]
    fn the_base_does_not_matter() {
        let overall = overall_ratio(&[logs(&[10.0]), logs(&[0.1])]).unwrap();
        assert!((overall.ratio - 1.0).abs() < 1e-12);
        assert_eq!(overall.interval, None);
    }

    /// Four scenarios of eight pairs, spreads from 2 % to 16 %: the interval misses no more often than it says.
    #[test]
    fn it_misses_no_more_often_than_it_says() {
        let mut random = Seed(3).stream("normal", 0);
        let missed = (0..2000).filter(|_| {
            let scenario = |spread: f64| -> Vec<f64> {
                Normal::new(0.0, spread).unwrap().sample_iter(&mut random).take(8).collect()
            };
            let overall = overall_ratio(&[0.02, 0.04, 0.08, 0.16].map(scenario)).unwrap();
            let (lower, upper) = overall.interval.unwrap();
            !(lower..=upper).contains(&1.0)
        });
        let share = missed.count() as f64 / 2000.0;
        assert!(share > 0.01 && share < 0.06, "{share}");
    }

    #[test]
    fn refuses_an_empty_scenario() {
        assert_eq!(overall_ratio::<Vec<f64>>(&[]), None);
        assert_eq!(overall_ratio(&[vec![0.1], vec![]]), None);
        assert_eq!(overall_ratio(&[vec![f64::NAN]]), None);
    }
}
