//! Order statistics of a handful of numbers.
//! It refuses NaN and infinity: a summary of broken numbers is no number.

/// The middle value, or the mean of the two middle ones. None if empty or if any value is not finite.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// Quantile `q` in 0..=1 by linear interpolation between order statistics at `(n - 1) q`.
/// Type 7 of Hyndman & Fan 1996, "Sample Quantiles in Statistical Packages"; the default of R.
/// None if empty, if any value is not finite, or if `q` is outside 0..=1.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&q) || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    of_sorted(&sorted, q)
}

/// The same for values that are finite and ascending already.
pub(super) fn of_sorted(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = last as f64 * q;
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let share = place - below as f64;
    Some(sorted[below] * (1.0 - share) + sorted[above] * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R: `median(c(3, 1, 2))`, `median(1:4)`, `quantile(c(1, 2, 4, 8), c(.25, .9))`.
    #[test]
    fn agrees_with_r() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 3.0, 2.0, 1.0]), Some(2.5));
        assert_eq!(quantile(&[8.0, 1.0, 4.0, 2.0], 0.25), Some(1.75));
        assert!((quantile(&[8.0, 1.0, 4.0, 2.0], 0.9).unwrap() - 6.8).abs() < 1e-12);
        assert_eq!(quantile(&[5.0, 7.0], 0.0), Some(5.0));
        assert_eq!(quantile(&[5.0, 7.0], 1.0), Some(7.0));
    }

    #[test]
    fn refuses_what_has_no_quantile() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0, f64::NAN]), None);
        assert_eq!(median(&[1.0, f64::INFINITY]), None);
        assert_eq!(quantile(&[1.0], 1.5), None);
        assert_eq!(quantile(&[1.0], f64::NAN), None);
        assert_eq!(median(&[f64::MAX, f64::MAX]), Some(f64::MAX));
    }
}
