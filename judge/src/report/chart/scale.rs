//! A logarithmic axis: equal distances are equal ratios, which is what a comparison is about.

/// Maps positive values to a span of the drawing.
#[derive(Clone, Copy)]
pub(super) struct LogScale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl LogScale {
    /// Covers all finite positive `values` with some room; at least a factor of 1.3 from end to end. Nothing without
    /// a single such value.
    pub(super) fn covering(
        values: impl IntoIterator<Item = f64>,
        from: f64,
        to: f64,
    ) -> Option<LogScale> {
        let logs: Vec<f64> =
            values.into_iter().filter(|v| v.is_finite() && *v > 0.0).map(f64::ln).collect();
        let low = logs.iter().copied().reduce(f64::min)?;
        let high = logs.iter().copied().reduce(f64::max)?;
        let room = ((high - low) * 0.12).max(0.13 - (high - low) / 2.0).max(0.02);
        Some(LogScale { low: low - room, high: high + room, from, to })
    }

    /// Where `value` lies; values off the axis lie at its ends.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = (value.max(f64::MIN_POSITIVE).ln() - self.low) / (self.high - self.low);
        self.from + (self.to - self.from) * share.clamp(0.0, 1.0)
    }

    /// Whether `value` is on the axis.
    pub(super) fn covers(&self, value: f64) -> bool {
        value > 0.0 && (self.low..=self.high).contains(&value.ln())
    }

    /// Round values on the axis, about three to nine of them.
    pub(super) fn ticks(&self) -> Vec<f64> {
        const STEPS: [&[f64]; 5] = [
            &[1.0],
            &[1.0, 3.0],
            &[1.0, 2.0, 5.0],
            &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0],
            &[
                1.0, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.6, 1.8, 2.0, 2.2, 2.5, 2.8, 3.0, 3.5, 4.0,
                4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 7.5, 8.0, 8.5, 9.0, 9.5,
            ],
        ];
        let mut ticks = Vec::new();
        for steps in STEPS {
            ticks = self.multiples(steps);
            if ticks.len() >= 3 {
                break;
            }
        }
        ticks
    }

    fn multiples(&self, steps: &[f64]) -> Vec<f64> {
        let decades = (self.low / std::f64::consts::LN_10).floor() as i32
            ..=(self.high / std::f64::consts::LN_10).ceil() as i32;
        let all =
            decades.flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)));
        all.filter(|value| self.covers(*value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ratios_are_equally_far() {
        let scale = LogScale::covering([1.0, 100.0], 0.0, 100.0).unwrap();
        assert!((scale.at(10.0) - 50.0).abs() < 1e-9);
        assert!(
            scale.covers(1.0) && scale.covers(100.0) && !scale.covers(1e6) && !scale.covers(-1.0)
        );
    }

    #[test]
    fn any_span_gets_ticks() {
        for span in [1.0, 1.1, 1.9, 7.0, 50.0, 1e4] {
            let ticks = LogScale::covering([9.7, 9.7 * span], 0.0, 1.0).unwrap().ticks();
            assert!((3..=12).contains(&ticks.len()), "{span}: {ticks:?}");
        }
        assert!(LogScale::covering([f64::NAN, -1.0], 0.0, 1.0).is_none());
    }
}
