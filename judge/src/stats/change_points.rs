//! Where a series changes its level: PELT.
//!
//! Killick, Fearnhead & Eckley 2012, "Optimal Detection of Changepoints with a Linear Computational Cost": of all ways to
//! cut the series the one with the least squared distance from the means of the parts, when every cut costs a
//! penalty. It finds the optimum, not a guess at it.
//!
//! Caveat: noise that resembles its neighbours looks like small changes of level. The caller has to say how large a
//! change must be to matter.

use super::quantile::median;

/// What a cut costs, in squared standard deviations per ln n.
///
/// Twice that of Schwarz 1978 for a level and a place: windows of a trial are not independent.
const PENALTY: f64 = 4.0;

/// Sample standard deviation of a normal distribution per median absolute deviation from its centre.
const SPREAD_PER_DEVIATION: f64 = 1.4826;

/// Indices at which a new level begins, ascending, without 0. `noise` is the standard deviation of the series around
/// its level, unit of the data. None if a value is not finite or `noise` is not above zero.
pub fn change_points(series: &[f64], noise: f64) -> Option<Vec<usize>> {
    let sound = noise.is_finite() && noise > 0.0;
    if !sound || !series.iter().all(|value| value.is_finite()) {
        return None;
    }
    let penalty = PENALTY * (series.len() as f64).ln() * noise * noise;
    let sums = Sums::of(series);
    // least[end]: cost of the best way to cut series[..end]; last[end]: where its last part begins.
    let mut least = vec![-penalty];
    let mut last = vec![0];
    let mut candidates = vec![0];
    for end in 1..=series.len() {
        let cost = |start: &usize| least[*start] + sums.cost(*start, end);
        let best = candidates.iter().min_by(|a, b| cost(a).total_cmp(&cost(b))).copied()?;
        let total = cost(&best) + penalty;
        // A start that is worse by more than a cut now can never be the best again.
        candidates.retain(|start| cost(start) <= total);
        candidates.push(end);
        least.push(total);
        last.push(best);
    }
    let mut cuts: Vec<usize> = std::iter::successors(last.last().copied(), |cut| Some(last[*cut]))
        .take_while(|cut| *cut > 0)
        .collect();
    cuts.reverse();
    Some(cuts)
}

/// Standard deviation of a series around its level, whatever steps that takes: from the differences of neighbours, by
/// their median absolute value (Hampel 1974, "The Influence Curve"). None below two values or if any is not finite.
pub fn noise(series: &[f64]) -> Option<f64> {
    let steps: Vec<f64> = series.windows(2).map(|two| (two[1] - two[0]).abs()).collect();
    Some(median(&steps)? * SPREAD_PER_DEVIATION / std::f64::consts::SQRT_2)
}

/// Running sums, from which the cost of any part follows at once.
struct Sums {
    /// Sum of the values before each index, and of their squares.
    before: Vec<(f64, f64)>,
}

impl Sums {
    /// Taken from the middle of the series, so that squares of large levels do not drown its noise.
    fn of(series: &[f64]) -> Sums {
        let centre = median(series).unwrap_or(0.0);
        let mut before = vec![(0.0, 0.0)];
        let (mut sum, mut squares) = (0.0, 0.0);
        for value in series {
            sum += value - centre;
            squares += (value - centre).powi(2);
            before.push((sum, squares));
        }
        Sums { before }
    }

    /// Squared distance of the values in `start..end` from their mean.
    fn cost(&self, start: usize, end: usize) -> f64 {
        let (from, to) = (self.before[start], self.before[end]);
        let sum = to.0 - from.0;
        to.1 - from.1 - sum * sum / (end - start) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use rand_distr::{Distribution, StandardNormal};

    fn levels(levels: &[(usize, f64)]) -> Vec<f64> {
        let mut random = Seed(9).stream("normal", 0);
        let mut value = |level: f64| {
            let wobble: f64 = StandardNormal.sample(&mut random);
            level + wobble
        };
        levels.iter().flat_map(|(n, level)| vec![*level; *n]).map(&mut value).collect()
    }

    #[test]
    fn finds_the_steps_and_nothing_else() {
        assert_eq!(change_points(&levels(&[(60, 0.0)]), 1.0), Some(vec![]));
        assert_eq!(change_points(&levels(&[(20, 0.0), (30, 8.0)]), 1.0), Some(vec![20]));
        let three = levels(&[(10, 1000.0), (30, 1008.0), (15, 1000.0)]);
        assert_eq!(change_points(&three, 1.0), Some(vec![10, 40]));
        assert_eq!(change_points(&[], 1.0), Some(vec![]));
        assert_eq!(change_points(&[5.0], 1.0), Some(vec![]));
    }

    /// The pruned search against all ways to cut ten values.
    #[test]
    fn pruning_loses_nothing() {
        for world in 0..40 {
            let random = Seed(world).stream("normal", 0);
            let draws: Vec<f64> = StandardNormal.sample_iter(random).take(10).collect();
            let step = |(i, value): (usize, &f64)| value + if i < 4 { 0.0 } else { 4.0 };
            let series: Vec<f64> = draws.iter().enumerate().map(step).collect();
            let sums = Sums::of(&series);
            let penalty = PENALTY * 10_f64.ln();
            let cost = |cuts: &[usize]| {
                let starts = [&[0], cuts].concat();
                let ends = [cuts, &[10]].concat();
                let parts = starts.iter().zip(&ends).map(|(start, end)| sums.cost(*start, *end));
                parts.sum::<f64>() + penalty * cuts.len() as f64
            };
            let ways = (0..512_u32).map(|way| -> Vec<usize> {
                (1..10).filter(|cut| way >> (cut - 1) & 1 == 1).collect()
            });
            let best = ways.map(|cuts| cost(&cuts)).min_by(f64::total_cmp).unwrap();
            let found = cost(&change_points(&series, 1.0).unwrap());
            assert!((found - best).abs() < 1e-9, "world {world}: {found}, best {best}");
        }
    }

    #[test]
    fn noise_does_not_see_the_steps() {
        let sizes = levels(&[(500, 0.0), (500, 50.0)]);
        assert!((noise(&sizes).unwrap() - 1.0).abs() < 0.1);
        assert_eq!(noise(&[1.0]), None);
        assert_eq!(noise(&[1.0, f64::INFINITY]), None);
    }

    #[test]
    fn refuses_what_has_no_levels() {
        assert_eq!(change_points(&[1.0, f64::NAN], 1.0), None);
        assert_eq!(change_points(&[1.0, 2.0], 0.0), None);
        assert_eq!(change_points(&[1.0, 2.0], f64::NAN), None);
    }
}
