//! By how much one sample lies above another, without pairs, on the scale of differences or of ratios.
//! The unpaired sister of [`super::hodges_lehmann`]; paired trials are stronger evidence wherever there are any.

use super::mann_whitney::{critical, mann_whitney_p_value};
use super::signed_rank::Interval;
use super::{ALPHA, quantile};

/// Where the second of two samples lies relative to the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// Median of all differences, second less first; unit of the data.
    pub value: f64,
    /// The shifts that the Mann-Whitney test does not reject; absent if the samples are too small for the level asked.
    pub interval: Option<Interval>,
}

/// By which factor the second of two samples of positive values exceeds the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnpairedRatio {
    /// Second over first.
    pub ratio: f64,
    /// Interval at [`ALPHA`]; absent below four values on each side, or three against five.
    pub interval: Option<(f64, f64)>,
    /// Two-sided p of the Mann-Whitney test that there is no difference.
    pub p_value: f64,
}

/// Hodges-Lehmann estimate of the shift from `a` to `b`: the median of all bⱼ - aᵢ, with the interval whose two-sided
/// error is at most `alpha`. With c the critical U, its ends are the c-th differences from below and above, counted
/// from 0 (Moses; Hollander & Wolfe 1973, section 4.3). Ties make it wider than it need be, never narrower.
/// None if a sample is empty or holds a value that is not finite.
pub fn shift(a: &[f64], b: &[f64], alpha: f64) -> Option<Shift> {
    if !a.iter().chain(b).all(|value| value.is_finite()) {
        return None;
    }
    let mut differences: Vec<f64> =
        a.iter().flat_map(|from| b.iter().map(move |to| to - from)).collect();
    differences.sort_by(f64::total_cmp);
    let value = quantile::of_sorted(&differences, 0.5)?;
    let interval = critical(a.len(), b.len(), alpha).and_then(|(u, tail)| {
        let lower = *differences.get(u)?;
        let upper = *differences.iter().rev().nth(u)?;
        Some(Interval { lower, upper, confidence: 1.0 - 2.0 * tail })
    });
    Some(Shift { value, interval })
}

/// The shift of the logarithms, taken back. None if a sample is empty or if any value is not finite and above zero.
pub fn unpaired_ratio(before: &[f64], after: &[f64]) -> Option<UnpairedRatio> {
    let logs = |values: &[f64]| -> Vec<f64> { values.iter().map(|value| value.ln()).collect() };
    let (before, after) = (logs(before), logs(after));
    let shift = shift(&before, &after, ALPHA)?;
    Some(UnpairedRatio {
        ratio: shift.value.exp(),
        interval: shift.interval.map(|interval| (interval.lower.exp(), interval.upper.exp())),
        p_value: mann_whitney_p_value(&before, &after)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_TERM: [f64; 10] = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
    const EARLY: [f64; 5] = [1.15, 0.88, 0.90, 0.74, 1.21];

    /// Hollander & Wolfe 1973, 4.2: the estimate of the placenta data is 0.305. The interval is the 9th difference
    /// from either end, which is what R's `wilcox.test(conf.int = TRUE)` takes: `qwilcox(.025, 10, 5)` is 9.
    #[test]
    fn shift_of_the_placenta_data() {
        let shift = shift(&EARLY, &AT_TERM, 0.05).unwrap();
        assert!((shift.value - 0.305).abs() < 1e-12, "{shift:?}");
        let interval = shift.interval.unwrap();
        assert!((interval.lower - -0.15).abs() < 1e-12, "{interval:?}");
        assert!((interval.upper - 0.76).abs() < 1e-12, "{interval:?}");
        assert!(interval.confidence >= 0.95 && interval.confidence < 0.97);
    }

    /// The interval holds exactly the shifts that the test does not reject.
    #[test]
    fn the_interval_is_the_inverted_test() {
        let interval = shift(&EARLY, &AT_TERM, 0.05).unwrap().interval.unwrap();
        for step in -100..150 {
            let by = f64::from(step) / 100.0 + 0.00123;
            let moved: Vec<f64> = EARLY.iter().map(|value| value + by).collect();
            let kept = mann_whitney_p_value(&moved, &AT_TERM).unwrap() > 0.05;
            assert_eq!(kept, interval.lower < by && by < interval.upper, "shift {by}");
        }
    }

    #[test]
    fn a_ratio_works_on_factors() {
        let before = [100.0, 110.0, 121.0, 90.0];
        let after = before.map(|value| value * 3.0);
        let ratio = unpaired_ratio(&before, &after).unwrap();
        assert!((ratio.ratio - 3.0).abs() < 1e-12, "{ratio:?}");
        assert!((ratio.p_value - 2.0 / 70.0).abs() < 1e-12, "{ratio:?}");
        let (lower, upper) = ratio.interval.unwrap();
        assert!(
            (lower - 3.0 * 90.0 / 121.0).abs() < 1e-9 && (upper - 3.0 * 121.0 / 90.0).abs() < 1e-9
        );
    }

    #[test]
    fn too_little_gives_no_interval_and_nonsense_nothing() {
        assert_eq!(shift(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], 0.05).unwrap().interval, None);
        assert!(
            shift(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0, 7.0, 8.0], 0.05).unwrap().interval.is_some()
        );
        assert_eq!(shift(&[], &[1.0], 0.05), None);
        assert_eq!(shift(&[f64::NAN], &[1.0], 0.05), None);
        assert_eq!(unpaired_ratio(&[0.0, 1.0], &[1.0, 1.0]), None);
        assert_eq!(unpaired_ratio(&[-1.0], &[1.0]), None);
    }
}
