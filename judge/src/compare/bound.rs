//! The good side of a ratio or a value, read back from the record.

use crate::units::Unit;

/// The good side of a ratio or a value; the bound itself is good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    /// `>= least`.
    AtLeast(f64),
    /// `<= most`.
    AtMost(f64),
    /// `least .. most`.
    Within(f64, f64),
}

impl Bound {
    /// Reads the bound of a ratio: `>= 10`, `<= 0.1` or `2 .. 5`, all above zero.
    pub(super) fn of_ratio(text: &str) -> Option<Bound> {
        Bound::parse(text, |text| {
            let ratio: f64 = text.trim().parse().ok()?;
            (ratio.is_normal() && ratio > 0.0).then_some(ratio)
        })
    }

    /// Reads the bound of a value: `<= 5ms`, `1% .. 2%`.
    pub(super) fn of_value(text: &str, unit: Unit) -> Option<Bound> {
        Bound::parse(text, |text| unit.parse(text).ok())
    }

    fn parse(text: &str, number: impl Fn(&str) -> Option<f64>) -> Option<Bound> {
        let text = text.trim();
        if let Some(least) = text.strip_prefix(">=") {
            return number(least).map(Bound::AtLeast);
        }
        if let Some(most) = text.strip_prefix("<=") {
            return number(most).map(Bound::AtMost);
        }
        let (least, most) = text.split_once("..")?;
        let (least, most) = (number(least)?, number(most)?);
        (least <= most).then_some(Bound::Within(least, most))
    }

    /// The edge that a ratio is nearer to, by factors.
    pub(super) fn nearest(self, ratio: f64) -> f64 {
        match self {
            Bound::AtLeast(edge) | Bound::AtMost(edge) => edge,
            Bound::Within(least, most) if ratio * ratio < least * most => least,
            Bound::Within(_, most) => most,
        }
    }

    /// How far a value is from the nearer edge.
    pub(super) fn distance(self, value: f64) -> f64 {
        match self {
            Bound::AtLeast(edge) | Bound::AtMost(edge) => (value - edge).abs(),
            Bound::Within(least, most) => (value - least).abs().min((value - most).abs()),
        }
    }

    /// The larger edge: the scale on which a value is wanted.
    pub(super) fn scale(self) -> f64 {
        match self {
            Bound::AtLeast(edge) | Bound::AtMost(edge) | Bound::Within(_, edge) => edge,
        }
    }

    /// Whether all of an interval is on the good side; touching the bound is good.
    pub(super) fn holds(self, (lower, upper): (f64, f64)) -> bool {
        match self {
            Bound::AtLeast(least) => least <= lower,
            Bound::AtMost(most) => upper <= most,
            Bound::Within(least, most) => least <= lower && upper <= most,
        }
    }

    /// Whether all of an interval is on the bad side.
    pub(super) fn broken(self, (lower, upper): (f64, f64)) -> bool {
        match self {
            Bound::AtLeast(least) => upper < least,
            Bound::AtMost(most) => most < lower,
            Bound::Within(least, most) => upper < least || most < lower,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::metric::Measure;

    #[test]
    fn a_bound_holds_includes_itself() {
        let bound = Bound::of_ratio(">= 10").unwrap();
        assert!(bound.holds((10.0, 11.0)) && !bound.broken((10.0, 11.0)));
        assert!(!bound.holds((9.9, 10.1)) && !bound.broken((9.9, 10.1)));
        assert!(!bound.holds((9.0, 10.0)) && !bound.broken((9.0, 10.0)));
        assert!(bound.broken((9.0, 9.9)));
        let bound = Bound::of_ratio("<=0.1").unwrap();
        assert!(bound.holds((0.05, 0.1)) && bound.broken((0.11, 0.2)));
        let within = Bound::of_ratio("2 .. 5").unwrap();
        assert!(within.holds((2.0, 5.0)) && !within.holds((1.9, 3.0)) && !within.holds((3.0, 5.1)));
        assert!(
            within.broken((1.0, 1.9)) && within.broken((5.1, 6.0)) && !within.broken((1.0, 2.0))
        );
        assert_eq!((within.nearest(3.0), within.nearest(4.0)), (2.0, 5.0));
        for broken in
            ["10", "> 10", ">= ten", ">= 0", "<= -1", ">= inf", ">= NaN", "5 .. 2", "1 ..", ".."]
        {
            assert_eq!(Bound::of_ratio(broken), None, "{broken}");
        }
    }

    #[test]
    fn values_are_bounded_in_their_unit() {
        let share = Measure::parse("lock_wait_share").unwrap().unit();
        assert_eq!(Bound::of_value("<= 1%", share), Some(Bound::AtMost(0.01)));
        assert_eq!(Bound::of_value("<= 0%", share), Some(Bound::AtMost(0.0)));
        assert_eq!(Bound::of_value("<= 1", share), None);
        let count = Measure::parse("locks_per_op").unwrap().unit();
        assert_eq!(Bound::of_value("1 .. 5", count), Some(Bound::Within(1.0, 5.0)));
        assert!((Bound::Within(1.0, 5.0).distance(4.5) - 0.5).abs() < 1e-12);
    }
}
