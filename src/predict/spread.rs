//! How a span varies: a distribution known by its quantiles, measured or fixed.

/// Quantiles kept of a measured distribution.
const POINTS: usize = 1000;

/// A distribution of spans, ns. Between its quantiles it is even.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// The quantiles (i + ½) / n, ascending; at least one.
    points: Vec<f64>,
}

impl Spread {
    /// Always the same.
    pub fn fixed(span_ns: f64) -> Spread {
        Spread { points: vec![span_ns] }
    }

    /// Of spans with how often each came, ascending; none if there is none.
    pub fn of(counted: impl IntoIterator<Item = (f64, u64)>) -> Option<Spread> {
        let counted: Vec<(f64, u64)> = counted.into_iter().collect();
        let total: u64 = counted.iter().map(|(_, count)| count).sum();
        let points = (total as usize).min(POINTS);
        let mut all = counted.iter();
        let (mut value, mut upto) = (0.0, 0);
        let at = |point: usize| ((point as f64 + 0.5) / points as f64 * total as f64) as u64;
        let quantile = |point| {
            while upto <= at(point) {
                let (next, count) = all.next()?;
                (value, upto) = (*next, upto + count);
            }
            Some(value)
        };
        let points: Vec<f64> = (0..points).map_while(quantile).collect();
        (!points.is_empty()).then_some(Spread { points })
    }

    /// Of single spans in any order; none if there is none.
    pub fn of_spans(mut spans_ns: Vec<f64>) -> Option<Spread> {
        spans_ns.sort_by(f64::total_cmp);
        Spread::of(spans_ns.into_iter().map(|span| (span, 1)))
    }

    /// The same shape with another mean, ns.
    pub fn with_mean(&self, mean_ns: f64) -> Spread {
        match self.mean_ns() {
            mean if mean > 0.0 => {
                let scaled = self.points.iter().map(|point| point * mean_ns / mean);
                Spread { points: scaled.collect() }
            }
            _ => Spread::fixed(mean_ns),
        }
    }

    /// The same shape, so much longer, ns.
    pub fn plus(&self, span_ns: f64) -> Spread {
        Spread { points: self.points.iter().map(|point| point + span_ns).collect() }
    }

    /// Mean, ns.
    pub fn mean_ns(&self) -> f64 {
        self.points.iter().sum::<f64>() / self.points.len() as f64
    }

    /// The span that a share (0..=1) of all do not exceed, ns.
    pub fn quantile_ns(&self, share: f64) -> f64 {
        let last = self.points.len() - 1;
        let place = (share * self.points.len() as f64 - 0.5).clamp(0.0, last as f64);
        let below = place as usize;
        let above = (below + 1).min(last);
        let part = place - below as f64;
        self.points[below] * (1.0 - part) + self.points[above] * part
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these are exact")]
mod tests {
    use super::*;

    #[test]
    fn quantiles_come_back() {
        let spread = Spread::of_spans((1..=5000).rev().map(f64::from).collect()).unwrap();
        assert!((spread.mean_ns() - 2500.0).abs() < 5.0, "{}", spread.mean_ns());
        for share in [0.0, 0.1, 0.5, 0.99, 1.0] {
            assert!((spread.quantile_ns(share) - share * 5000.0).abs() < 6.0, "{share}");
        }
        assert_eq!(Spread::of_spans(vec![3.0, 1.0]).unwrap().quantile_ns(0.5), 2.0);
        assert_eq!(Spread::of_spans(Vec::new()), None);
    }

    #[test]
    fn counts_weigh() {
        let spread = Spread::of([(10.0, 900), (1000.0, 100)]).unwrap();
        assert!((spread.mean_ns() - 109.0).abs() < 0.5, "{}", spread.mean_ns());
        assert_eq!((spread.quantile_ns(0.8), spread.quantile_ns(0.95)), (10.0, 1000.0));
    }

    #[test]
    fn a_shape_takes_another_mean() {
        let spread = Spread::of_spans(vec![1.0, 3.0]).unwrap().with_mean(20.0);
        assert_eq!((spread.mean_ns(), spread.quantile_ns(1.0)), (20.0, 30.0));
        assert_eq!(Spread::fixed(0.0).with_mean(5.0), Spread::fixed(5.0));
        assert_eq!(Spread::fixed(1.0).plus(2.0), Spread::fixed(3.0));
    }
}
