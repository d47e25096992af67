//! Where the level of a long series changed, one value per run: E-divisive, with a test of every change.
//!
//! Matteson & James 2014, "A Nonparametric Approach for Multiple Change Point Analysis of Multivariate Data": the series is
//! cut where the energy distance between what comes before and what comes after is largest, and each part again.
//! Fleming, Kołaczkowski et al. 2023, "Hunter: Using Change Point Detection to Hunt for Performance Regressions": a cut
//! stays if Student's test finds it significant and if it is large enough to matter; without permutations, so that the same
//! series always has the same changes.
//!
//! The place of a cut is the most striking of many, so its p is multiplied by their number (Bonferroni): on noise without any
//! change the chance of a single false one is below [`CHANGE_ALPHA`], however long the series is.
//!
//! Caveats: it takes runs for independent; a host that wanders from day to day has changes of level, too, and they are
//! found. A level has to last [`LEVEL_RUNS_MIN`] runs to be one: until then a change is invisible here.

use super::signed_rank::Interval;
use super::student::{Difference, difference};

/// Chance at most of a change found in a series that has none.
pub const CHANGE_ALPHA: f64 = 0.01;

/// Fewest values of a level: two wild runs are no new level.
pub const LEVEL_RUNS_MIN: usize = 3;

/// A change of level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevelChange {
    /// Index of the first value of the new level.
    pub at: usize,
    /// Mean of the new level less that of the one before, unit of the data.
    pub difference: f64,
    /// Student's interval of the difference at [`super::ALPHA`].
    pub interval: Interval,
    /// Two-sided p that there is none, for the most striking of all places where one could be; at most 1.
    pub p_value: f64,
}

/// All changes of a series by at least `least`, in its unit; ascending. Time and memory grow with n².
/// None if a value is not finite.
pub fn level_changes(series: &[f64], least: f64) -> Option<Vec<LevelChange>> {
    if !series.iter().all(|value| value.is_finite()) {
        return None;
    }
    let distances = Distances::of(series);
    let mut cuts = Vec::new();
    let mut parts = vec![(0, series.len())];
    while let Some((start, end)) = parts.pop() {
        let Some(cut) = distances.most_striking(start, end) else { continue };
        let found = difference(&series[start..cut.at], &series[cut.at..cut.end]);
        if found.is_some_and(|found| adjusted(&found, end - start) <= CHANGE_ALPHA) {
            cuts.push(cut.at);
            parts.extend([(start, cut.at), (cut.at, end)]);
        }
    }
    cuts.sort_unstable();
    Some(lasting(series, cuts, least))
}

/// Holds each level against its neighbour. As long as a change between them is not significant or too small, the least
/// convincing one goes, and the levels beside it are one.
fn lasting(series: &[f64], mut cuts: Vec<usize>, least: f64) -> Vec<LevelChange> {
    loop {
        let starts = std::iter::once(0).chain(cuts.iter().copied());
        let ends = cuts.iter().copied().skip(1).chain([series.len()]);
        let changes: Vec<LevelChange> = starts
            .zip(&cuts)
            .zip(ends)
            .filter_map(|((start, at), end)| change(series, start, *at, end))
            .collect();
        let weak = changes
            .iter()
            .filter(|change| change.p_value > CHANGE_ALPHA || change.difference.abs() < least);
        let Some(weakest) = weak.max_by(|a, b| a.p_value.total_cmp(&b.p_value)) else {
            return changes;
        };
        cuts.retain(|cut| *cut != weakest.at);
    }
}

fn change(series: &[f64], start: usize, at: usize, end: usize) -> Option<LevelChange> {
    let found = difference(&series[start..at], &series[at..end])?;
    let p_value = adjusted(&found, end - start);
    Some(LevelChange { at, difference: found.value, interval: found.interval, p_value })
}

/// The p of a difference that was searched for within `n` values.
fn adjusted(found: &Difference, n: usize) -> f64 {
    (found.p_value * cuts_tried(n)).min(1.0)
}

/// Pairs of a cut and an end behind it that leave a level on both sides.
fn cuts_tried(n: usize) -> f64 {
    let places = (n + 1).saturating_sub(2 * LEVEL_RUNS_MIN) as f64;
    places * (places + 1.0) / 2.0
}

/// A cut, and the end of the level that begins with it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cut {
    at: usize,
    end: usize,
    /// Energy distance of both sides, scaled.
    striking: f64,
}

/// Sums of |zᵢ - zⱼ| over all pairs within any part of a series.
struct Distances {
    /// Row by row: of the part from `start` to before `end` at `start * (n + 1) + end`.
    within: Vec<f64>,
    n: usize,
}

impl Distances {
    fn of(series: &[f64]) -> Distances {
        let n = series.len();
        let mut within = vec![0.0; (n + 1) * (n + 1)];
        for (last, value) in series.iter().enumerate() {
            let mut to_last = 0.0;
            for start in (0..last).rev() {
                to_last += (series[start] - value).abs();
                let row = start * (n + 1);
                within[row + last + 1] = within[row + last] + to_last;
            }
        }
        Distances { within, n }
    }

    fn within(&self, start: usize, end: usize) -> f64 {
        self.within[start * (self.n + 1) + end]
    }

    /// The cut of a part that is most striking, and until where the new level reaches: a level that comes back later would
    /// hide both of its changes otherwise. None if the part is too short for two levels.
    fn most_striking(&self, start: usize, end: usize) -> Option<Cut> {
        let mut best: Option<Cut> = None;
        for at in start + LEVEL_RUNS_MIN..=end.saturating_sub(LEVEL_RUNS_MIN) {
            for end in at + LEVEL_RUNS_MIN..=end {
                let striking = self.scaled_energy(start, at, end);
                if best.is_none_or(|best| striking > best.striking) {
                    best = Some(Cut { at, end, striking });
                }
            }
        }
        best
    }

    /// n m / (n + m) times the energy distance of the n values from `start` to before `at` and the m from there to before `end`:
    /// twice their mean distance from each other, less their mean distances among themselves (Matteson & James 2014,
    /// equations 5 and 6, with exponent 1). Both sides need two values.
    fn scaled_energy(&self, start: usize, at: usize, end: usize) -> f64 {
        let (n, m) = ((at - start) as f64, (end - at) as f64);
        let (before, after) = (self.within(start, at), self.within(at, end));
        let between = self.within(start, end) - before - after;
        let pairs = |n: f64| n * (n - 1.0) / 2.0;
        let energy = 2.0 * between / (n * m) - before / pairs(n) - after / pairs(m);
        n * m / (n + m) * energy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use rand_distr::{Distribution, StandardNormal};

    /// Flow of the Nile at Aswan, 1871 to 1970, 10⁸ m³ a year (Cobb 1978); it fell when the first dam was built, in 1899.
    const NILE: [f64; 100] = [
        1120.0, 1160.0, 963.0, 1210.0, 1160.0, 1160.0, 813.0, 1230.0, 1370.0, 1140.0, 995.0, 935.0,
        1110.0, 994.0, 1020.0, 960.0, 1180.0, 799.0, 958.0, 1140.0, 1100.0, 1210.0, 1150.0, 1250.0,
        1260.0, 1220.0, 1030.0, 1100.0, 774.0, 840.0, 874.0, 694.0, 940.0, 833.0, 701.0, 916.0,
        692.0, 1020.0, 1050.0, 969.0, 831.0, 726.0, 456.0, 824.0, 702.0, 1120.0, 1100.0, 832.0,
        764.0, 821.0, 768.0, 845.0, 864.0, 862.0, 698.0, 845.0, 744.0, 796.0, 1040.0, 759.0, 781.0,
        865.0, 845.0, 944.0, 984.0, 897.0, 822.0, 1010.0, 771.0, 676.0, 649.0, 846.0, 812.0, 742.0,
        801.0, 1040.0, 860.0, 874.0, 848.0, 890.0, 744.0, 749.0, 838.0, 1050.0, 918.0, 986.0,
        797.0, 923.0, 975.0, 815.0, 1020.0, 906.0, 901.0, 1170.0, 912.0, 746.0, 919.0, 718.0,
        714.0, 740.0,
    ];
    /// A level that comes back.
    const UP_AND_DOWN: [f64; 16] = [
        10.1, 9.8, 10.3, 9.9, 10.0, 10.2, 13.1, 12.7, 13.0, 12.8, 13.2, 10.1, 9.7, 10.0, 10.4, 9.9,
    ];

    fn near(got: f64, wanted: f64) {
        assert!((got / wanted - 1.0).abs() < 1e-9, "{got}, wanted {wanted}");
    }

    fn places(changes: &[LevelChange]) -> Vec<usize> {
        changes.iter().map(|change| change.at).collect()
    }

    /// `levels` are counts and heights, in standard deviations of normal noise.
    fn noisy(levels: &[(usize, f64)], world: u64) -> Vec<f64> {
        let mut random = Seed(world).stream("normal", 0);
        let mut value = |level: f64| {
            let wobble: f64 = StandardNormal.sample(&mut random);
            level + wobble
        };
        levels.iter().flat_map(|(n, level)| vec![*level; *n]).map(&mut value).collect()
    }

    /// From scipy's `stats.energy_distance` (its square, taken from V- to U-statistics).
    #[test]
    fn energies_as_by_scipy() {
        let small = [1.0, 2.0, 4.0, 7.0, 15.0, 3.1, 0.4, 2.2, 8.9];
        near(Distances::of(&small).scaled_energy(0, 5, 9), -3.244_444_444_444_442_7);
        let found = Distances::of(&NILE).most_striking(0, 100).unwrap();
        assert_eq!((found.at, found.end), (28, 83));
        near(found.striking, 4_916.590_807_675_145);
        let found = Distances::of(&UP_AND_DOWN).most_striking(0, 16).unwrap();
        assert_eq!((found.at, found.end), (6, 11));
        near(found.striking, 14.527_272_727_272_73);
    }

    /// The paper's own test series has one change, too. p and interval: scipy's `stats.ttest_ind`, times 95 · 96 / 2 places.
    #[test]
    fn the_nile_changed_once() {
        let changes = level_changes(&NILE, 0.0).unwrap();
        assert_eq!(places(&changes), [28], "{changes:?}");
        let change = changes[0];
        near(change.difference, -247.777_777_777_777_83);
        near(change.p_value, 7.439_042_309_812_367e-14 * 4560.0);
        near(change.interval.lower, -304.206_510_098_357_46);
        near(change.interval.upper, -191.349_045_457_198_2);
    }

    /// p by scipy, as above.
    #[test]
    fn a_level_that_comes_back_has_two_changes() {
        let changes = level_changes(&UP_AND_DOWN, 0.5).unwrap();
        assert_eq!(places(&changes), [6, 11]);
        near(changes[0].p_value, 3.192_768_721_608_31e-8);
        near(changes[1].p_value, 6.556_934_343_978_854e-7);
        assert_eq!(level_changes(&UP_AND_DOWN, 3.0), Some(vec![]), "too small to matter");
    }

    /// The promise at the top, on series of many lengths.
    #[test]
    fn noise_has_no_changes() {
        for n in [6, 12, 30, 80] {
            let found =
                |world: &u64| !level_changes(&noisy(&[(n, 0.0)], *world), 0.0).unwrap().is_empty();
            let alarms = (0..400).filter(found).count();
            // Ten of 1000 would be expected at the limit; nine of 400 have a chance of 2 % there.
            assert!(alarms < 9, "{alarms} of 400 series of {n}");
        }
    }

    /// What it finds, and how near to where it happened.
    #[test]
    fn changes_of_level_are_found_soon_and_where_they_are() {
        let found = |levels: &[(usize, f64)]| {
            let (from, worlds) = (levels[0].0, 200_u64);
            let is_near = |world: &u64| {
                let changes = level_changes(&noisy(levels, *world), 0.0).unwrap();
                changes.len() == 1 && changes[0].at.abs_diff(from) <= 1
            };
            (0..worlds).filter(is_near).count() as f64 / worlds as f64
        };
        let shares = [
            found(&[(20, 0.0), (4, 5.0)]),
            found(&[(20, 0.0), (20, 3.0)]),
            found(&[(100, 0.0), (100, 2.0)]),
            found(&[(20, 0.0), (3, 1.0)]),
        ];
        assert!(shares[0] > 0.85 && shares[1] > 0.9 && shares[2] > 0.8, "{shares:?}");
        assert!(shares[3] < 0.1, "what is small and new cannot be known yet: {shares:?}");
    }

    #[test]
    fn neither_origin_nor_scale_matters() {
        let series = noisy(&[(15, 0.0), (10, 6.0), (12, -2.0)], 3);
        let moved: Vec<f64> = series.iter().map(|value| 1000.0 - 7.0 * value).collect();
        let (changes, of_moved) =
            (level_changes(&series, 1.0).unwrap(), level_changes(&moved, 7.0).unwrap());
        assert_eq!(places(&changes), [15, 25]);
        assert_eq!(places(&changes), places(&of_moved));
        for (change, moved) in changes.iter().zip(&of_moved) {
            near(moved.difference, -7.0 * change.difference);
            assert!((moved.p_value / change.p_value - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn too_short_flat_and_broken_series() {
        assert_eq!(level_changes(&[], 0.0), Some(vec![]));
        assert_eq!(level_changes(&[1.0, 1.0, 9.0, 9.0, 9.0], 0.0), Some(vec![]));
        assert_eq!(level_changes(&[4.0; 30], 0.0), Some(vec![]));
        assert_eq!(places(&level_changes(&[1.0, 1.0, 1.0, 9.0, 9.0, 9.0], 0.0).unwrap()), [3]);
        assert_eq!(level_changes(&[1.0, f64::NAN], 0.0), None);
    }

    /// Two wild runs among steady ones.
    #[test]
    fn a_hiccup_is_no_level() {
        let mut series = noisy(&[(40, 0.0)], 1);
        (series[20], series[21]) = (12.0, 14.0);
        assert_eq!(level_changes(&series, 0.0), Some(vec![]));
    }
}
