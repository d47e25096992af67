//! Means of few values: Student's interval, and his test of two samples.
//!
//! Student 1908, "The Probable Error of a Mean". For values that are about normal, such as logarithms of throughput.
//! One wild value makes the interval wide and the test slow to find anything; it does not make it find more.

use super::signed_rank::Interval;
use super::{ALPHA, Mean};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// How two samples compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Mean of the second less that of the first, unit of the data.
    pub value: f64,
    /// Its interval at [`ALPHA`].
    pub interval: Interval,
    /// Two-sided p that there is none.
    pub p_value: f64,
}

/// The mean with Student's interval at [`ALPHA`]: mean ± t · s / √n. No interval of one value.
/// None if empty or if any value is not finite.
pub fn student_mean(values: &[f64]) -> Option<Mean> {
    if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let n = values.len() as f64;
    let value = mean(values);
    let interval = StudentsT::new(0.0, 1.0, n - 1.0).ok().map(|t| {
        let error = (squares(values) / (n - 1.0) / n).sqrt();
        let off = t.inverse_cdf(1.0 - ALPHA / 2.0) * error;
        (value - off, value + off)
    });
    Some(Mean { value, interval })
}

/// Student's test of two samples that spread alike, by their pooled variance: exact for normal values however few there are
/// on one side, which the variant of Welch 1947 is not.
/// None if a sample is empty, if they have fewer than three values together, or if any value is not finite.
pub fn difference(a: &[f64], b: &[f64]) -> Option<Difference> {
    if a.is_empty() || b.is_empty() || !a.iter().chain(b).all(|value| value.is_finite()) {
        return None;
    }
    let (n_a, n_b) = (a.len() as f64, b.len() as f64);
    let freedom = n_a + n_b - 2.0;
    let t = StudentsT::new(0.0, 1.0, freedom).ok()?;
    let value = mean(b) - mean(a);
    let error = ((squares(a) + squares(b)) / freedom * (1.0 / n_a + 1.0 / n_b)).sqrt();
    let off = t.inverse_cdf(1.0 - ALPHA / 2.0) * error;
    let p_value = match (error > 0.0, value.abs() > 0.0) {
        (true, _) => 2.0 * t.cdf(-(value / error).abs()),
        // Without any spread whatever differs does so for sure.
        (false, true) => 0.0,
        (false, false) => 1.0,
    };
    let interval = Interval { lower: value - off, upper: value + off, confidence: 1.0 - ALPHA };
    Some(Difference { value, interval, p_value })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sum of the squared distances from the mean.
fn squares(values: &[f64]) -> f64 {
    let centre = mean(values);
    values.iter().map(|value| (value - centre).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [f64; 5] = [1.0, 2.0, 4.0, 7.0, 15.0];
    const B: [f64; 4] = [3.1, 0.4, 2.2, 8.9];

    fn near(got: f64, wanted: f64) {
        assert!((got / wanted - 1.0).abs() < 1e-9, "{got}, wanted {wanted}");
    }

    /// scipy: `stats.ttest_ind(b, a)` with its `confidence_interval()`, and `stats.t.interval(.95, 4, mean, sem)`.
    #[test]
    fn as_by_scipy() {
        let difference = difference(&A, &B).unwrap();
        near(difference.value, -2.15);
        near(difference.p_value, 0.533_069_228_824_124);
        near(difference.interval.lower, -9.905_437_134_452_782);
        near(difference.interval.upper, 5.605_437_134_452_784);
        let mean = student_mean(&A).unwrap();
        let (lower, upper) = mean.interval.unwrap();
        near(mean.value, 5.8);
        near(lower, -1.190_910_145_081_313);
        near(upper, 12.790_910_145_081_313);
    }

    /// scipy: `2 * stats.t.sf(t, df)`, whose tails must not drown in 1 - something.
    #[test]
    fn tails_stay_exact() {
        for (t, freedom, wanted) in [
            (2.0, 5.0, 0.101_939_478_829_858_35),
            (12.5, 60.0, 2.370_424_875_750_684e-18),
            (0.1, 3.0, 0.926_652_348_800_805_9),
            (40.0, 20.0, 1.457_469_655_431_075e-20),
        ] {
            near(2.0 * StudentsT::new(0.0, 1.0, freedom).unwrap().cdf(-t), wanted);
        }
    }

    #[test]
    fn what_has_no_spread_or_no_values() {
        assert_eq!(student_mean(&[]), None);
        assert_eq!(student_mean(&[1.0, f64::NAN]), None);
        assert_eq!(student_mean(&[3.0]).unwrap().interval, None);
        assert_eq!(student_mean(&[3.0; 4]).unwrap().interval, Some((3.0, 3.0)));
        assert!(difference(&[1.0], &[2.0]).is_none(), "no degree of freedom");
        assert!(difference(&[], &[2.0, 3.0, 4.0]).is_none());
        assert!(difference(&[1.0, f64::INFINITY], &[2.0, 3.0]).is_none());
        assert!(difference(&[1.0; 3], &[2.0; 3]).unwrap().p_value < f64::MIN_POSITIVE);
        assert!(difference(&[1.0; 3], &[1.0; 3]).unwrap().p_value > 0.999);
    }
}
