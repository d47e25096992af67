//! How rare an outcome must be at each look, so that looking several times errs no more often than looking once.
//!
//! Lan & DeMets 1983, "Discrete Sequential Boundaries for Clinical Trials": by the share t of the pairs planned at most,
//! 2 - 2 Φ(z / √t) of the error may be spent, z the two-sided normal bound of the whole. Spent in the manner of O'Brien &
//! Fleming: hardly any early, nearly all at the end.
//!
//! Caveat: the levels hold for sums of independent terms. Rank sums come close; being discrete, the exact test at a
//! level errs less often than the level says.

use statrs::distribution::{Continuous, ContinuousCDF, Normal};

/// A look at the pairs so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Pairs there are by then.
    pub pairs: usize,
    /// Two-sided level of the interval or test at this look.
    pub level: f64,
    /// Error that all looks up to this one may commit together.
    pub spent: f64,
}

/// The looks at these pair counts, ascending, that keep the two-sided error of all together at `alpha`; the last count
/// is the most pairs planned. A look where even the rarest outcome of the signed-rank test, 2 / 2ⁿ, is not rare enough
/// is left out: nothing can be decided there, so nothing is spent. None if the counts do not ascend from above zero, or
/// if `alpha` is outside 0..1.
pub fn spending_looks(pairs: &[usize], alpha: f64) -> Option<Vec<Look>> {
    let ascending = pairs.windows(2).all(|two| two[0] < two[1]) && pairs.first() != Some(&0);
    if !(ascending && alpha > 0.0 && alpha < 1.0) {
        return None;
    }
    let most = *pairs.last()?;
    let mut looks: Vec<Look> = Vec::new();
    let mut walk = Walk::new();
    for &pairs in pairs {
        let share = pairs as f64 / most as f64;
        let spent = spent_by(share, alpha);
        let before = looks.last().map_or(0.0, |look| look.spent);
        let ahead = walk.stepped_to(share);
        let bound = ahead.bound_that_crosses(spent - before);
        let level = 2.0 * Normal::standard().sf(bound);
        if 2.0 * 0.5_f64.powf(pairs as f64) <= level {
            walk = ahead.kept_within(bound);
            looks.push(Look { pairs, level, spent });
        }
    }
    Some(looks)
}

/// Error that may be spent by the share `t` of the pairs, 0..=1.
fn spent_by(t: f64, alpha: f64) -> f64 {
    let normal = Normal::standard();
    2.0 * normal.sf(-normal.inverse_cdf(alpha / 2.0) / t.sqrt())
}

/// Points at which the density of a walk is kept; odd, for Simpson's rule.
const POINTS: usize = 401;

/// Beyond this many standard deviations a density counts as zero.
const FAR: f64 = 8.0;

/// Where a random walk with variance t stands at t if it crossed no bound before: the recursion of Armitage, McPherson
/// & Rowe 1969, "Repeated Significance Tests on Accumulating Data".
struct Walk {
    /// Share of the pairs.
    share: f64,
    /// Places and the chance that the walk is there, already weighted for summing.
    places: Vec<(f64, f64)>,
}

/// A walk on its way to the next look.
struct Ahead<'a> {
    from: &'a Walk,
    share: f64,
}

impl Walk {
    fn new() -> Walk {
        Walk { share: 0.0, places: vec![(0.0, 1.0)] }
    }

    fn stepped_to(&self, share: f64) -> Ahead<'_> {
        Ahead { from: self, share }
    }
}

impl Ahead<'_> {
    fn step(&self) -> f64 {
        (self.share - self.from.share).sqrt()
    }

    /// Chance of being beyond ±`bound` standard deviations at this look, having crossed none before.
    fn crosses(&self, bound: f64) -> f64 {
        let normal = Normal::standard();
        let (limit, step) = (bound * self.share.sqrt(), self.step());
        let beyond =
            |place: f64| normal.sf((limit - place) / step) + normal.sf((limit + place) / step);
        self.from.places.iter().map(|(place, chance)| chance * beyond(*place)).sum()
    }

    /// The bound in standard deviations that is crossed with this chance; by bisection.
    fn bound_that_crosses(&self, chance: f64) -> f64 {
        let (mut low, mut high) = (0.0, FAR);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.crosses(middle) > chance { low = middle } else { high = middle }
        }
        f64::midpoint(low, high)
    }

    /// The walk at this look if it stayed within ±`bound`.
    fn kept_within(&self, bound: f64) -> Walk {
        let normal = Normal::standard();
        let (limit, step) = (bound * self.share.sqrt(), self.step());
        let width = 2.0 * limit / (POINTS - 1) as f64;
        let density = |to: f64| -> f64 {
            let reach =
                |(from, chance): &(f64, f64)| chance * normal.pdf((to - from) / step) / step;
            self.from.places.iter().map(reach).sum()
        };
        let place = |i: usize| {
            let to = -limit + i as f64 * width;
            (to, simpson(i) * width / 3.0 * density(to))
        };
        Walk { share: self.share, places: (0..POINTS).map(place).collect() }
    }
}

fn simpson(i: usize) -> f64 {
    match i {
        0 => 1.0,
        _ if i == POINTS - 1 => 1.0,
        _ if i % 2 == 1 => 4.0,
        _ => 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, wanted: f64) {
        assert!((got - wanted).abs() < 2e-6, "{got}, wanted {wanted}");
    }

    /// What may be spent by two, three, four and five fifths.
    #[test]
    fn nearly_all_is_spent_at_the_end() {
        for (t, wanted) in [(0.4, 0.0019), (0.6, 0.0114), (0.8, 0.0284), (1.0, 0.05)] {
            assert!((spent_by(t, 0.05) - wanted).abs() < 5e-5, "{t}");
        }
    }

    /// scipy: each level solved in turn by `brentq` from
    /// `multivariate_normal(cov=[[sqrt(min(s,t)/max(s,t))…]]).cdf(bounds, lower_limit=-bounds)`.
    #[test]
    fn levels_as_by_scipy() {
        let looks = spending_looks(&[40, 60, 80, 100], 0.05).unwrap();
        let wanted = [0.001_941_913, 0.010_670_252, 0.024_206_352, 0.039_065_202];
        assert_eq!(looks.len(), 4);
        for (look, wanted) in looks.iter().zip(wanted) {
            near(look.level, wanted);
        }
        let quarters = spending_looks(&[25, 50, 75, 100], 0.05).unwrap();
        let wanted = [0.000_088_575_4, 0.005_537_977, 0.021_547_983, 0.041_088_232];
        for (look, wanted) in quarters.iter().zip(wanted) {
            near(look.level, wanted);
        }
    }

    /// With 8 pairs the smallest p is 0.0078, far above the 0.0019 that may be spent by then.
    #[test]
    fn a_look_that_cannot_decide_spends_nothing() {
        let looks = spending_looks(&[8, 12, 16, 20], 0.05).unwrap();
        assert_eq!(looks.iter().map(|look| look.pairs).collect::<Vec<_>>(), [12, 16, 20]);
        let wanted = [0.011_396_418, 0.024_384_119, 0.039_159_772];
        for (look, wanted) in looks.iter().zip(wanted) {
            near(look.level, wanted);
        }
        near(looks[2].spent, 0.05);
    }

    #[test]
    fn one_look_spends_everything() {
        let looks = spending_looks(&[8], 0.05).unwrap();
        assert_eq!(looks.len(), 1);
        near(looks[0].level, 0.05);
        assert_eq!(spending_looks(&[4], 0.05), Some(vec![]));
    }

    #[test]
    fn refuses_counts_that_do_not_ascend() {
        assert_eq!(spending_looks(&[], 0.05), None);
        assert_eq!(spending_looks(&[8, 8], 0.05), None);
        assert_eq!(spending_looks(&[0, 8], 0.05), None);
        assert_eq!(spending_looks(&[8, 12], 0.0), None);
        assert_eq!(spending_looks(&[8, 12], f64::NAN), None);
    }
}
