//! How predictions spell numbers.

use crate::units::Nanos;

/// Operations per second, three digits.
pub(super) fn rate(per_s: f64) -> String {
    let digits = (per_s.max(1.0).log10() as i32 - 2).max(0);
    let unit = 10f64.powi(digits);
    format!("{:.0}", (per_s / unit).round() * unit)
}

/// A span.
pub(super) fn time(ns: f64) -> String {
    Nanos(ns.round().max(0.0) as u64).to_string()
}

/// A ratio, `–` if it is no number.
pub(super) fn ratio(ratio: f64) -> String {
    match ratio {
        ratio if !ratio.is_finite() => "–".to_owned(),
        ratio if ratio < 10.0 => format!("{ratio:.2}×"),
        ratio => format!("{ratio:.1}×"),
    }
}

/// A share of 1, in percent.
pub(super) fn share(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// How far a prediction is off, with its sign.
pub(super) fn error(error: f64) -> String {
    format!("{:+.0} %", error * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([rate(0.4), rate(817.3), rate(129_456.0)], ["0", "817", "129000"]);
        assert_eq!([time(1_234.4), time(-1.0)], ["1.23us", "0ns"]);
        assert_eq!([ratio(0.5), ratio(14.62), ratio(f64::NAN)], ["0.50×", "14.6×", "–"]);
        assert_eq!([share(0.123), error(0.2), error(-0.051)], ["12 %", "+20 %", "-5 %"]);
    }
}
