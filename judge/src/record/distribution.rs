//! A latency distribution read back from a record: the whole histogram, of one cell or of several added up.
//! For pictures and for other programs' readers. No verdict rests on it, since it pools trials.

use super::Latency;
use super::bundle::{BundleError, histogram};
use hdrhistogram::Histogram;

/// Observations with their values, ns.
#[derive(Clone, Debug)]
pub struct Distribution {
    all: Histogram<u64>,
    /// The sum of the values, ns, from the means of the record: those of the histogram are rounded to its buckets.
    sum_ns: f64,
}

/// One step of a distribution, seen from below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Values up to here, ns.
    pub value_ns: u64,
    /// Share of the observations at or below, 0..=1.
    pub quantile: f64,
    /// So many are.
    pub count: u64,
}

impl Distribution {
    /// Those of all these cells added up; none without any. Fails if a histogram cannot be read.
    pub fn of<'a>(
        latencies: impl IntoIterator<Item = &'a Latency>,
    ) -> Result<Option<Distribution>, BundleError> {
        let mut sum: Option<Distribution> = None;
        for latency in latencies {
            let mut all = histogram(&latency.histogram)?;
            all.auto(true);
            let sum_ns = latency.mean_ns * latency.count as f64;
            sum = Some(match sum {
                None => Distribution { all, sum_ns },
                Some(mut sum) => {
                    sum.all
                        .add(all)
                        .map_err(|error| BundleError::Histogram(format!("{error:?}")))?;
                    Distribution { sum_ns: sum.sum_ns + sum_ns, ..sum }
                }
            });
        }
        Ok(sum)
    }

    /// Observations.
    pub fn count(&self) -> u64 {
        self.all.len()
    }

    /// Largest value, ns.
    pub fn max_ns(&self) -> u64 {
        self.all.max()
    }

    /// Mean, ns; 0 without observations.
    pub fn mean_ns(&self) -> f64 {
        self.all.mean()
    }

    /// Standard deviation, ns; 0 without observations.
    pub fn stdev_ns(&self) -> f64 {
        self.all.stdev()
    }

    /// All values added up, ns.
    pub fn sum_ns(&self) -> f64 {
        self.sum_ns
    }

    /// How many values are at most each of `bounds_ns`, which ascend. A bucket of the histogram that a bound cuts counts as
    /// above it; buckets are at most 0.1 % wide.
    pub fn at_most(&self, bounds_ns: &[u64]) -> Vec<u64> {
        let mut counts = vec![0; bounds_ns.len()];
        for bucket in self.all.iter_recorded() {
            let first = bounds_ns.partition_point(|bound| *bound < bucket.value_iterated_to());
            counts[first..]
                .iter_mut()
                .for_each(|count| *count += bucket.count_since_last_iteration());
        }
        counts
    }

    /// From the median on ever closer to the largest, `ticks` steps for each halving of what lies beyond.
    pub fn steps(&self, ticks: u32) -> impl Iterator<Item = Step> {
        let mut below = 0;
        self.all.iter_quantiles(ticks).map(move |step| {
            below += step.count_since_last_iteration();
            Step {
                value_ns: step.value_iterated_to(),
                quantile: step.quantile_iterated_to(),
                count: below,
            }
        })
    }
}

/// A histogram as it stands in a record, of these values.
impl Latency {
    /// The values at these quantiles, each within 0..=1, ns; none if the histogram cannot be read.
    pub fn quantiles_ns(&self, quantiles: &[f64]) -> Option<Vec<u64>> {
        let histogram = histogram(&self.histogram).ok()?;
        Some(quantiles.iter().map(|quantile| histogram.value_at_quantile(*quantile)).collect())
    }
}

#[cfg(test)]
pub(crate) fn text_of(values_ns: impl IntoIterator<Item = u64>) -> String {
    use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
    let mut all = Histogram::<u64>::new(3).expect("three digits are possible");
    for value in values_ns {
        all.record(value).expect("it grows");
    }
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(&all, &mut bytes).expect("memory takes it");
    super::bundle::histogram_text(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(values_ns: &[u64]) -> Latency {
        let count = values_ns.len() as u64;
        Latency {
            count,
            mean_ns: values_ns.iter().sum::<u64>() as f64 / count as f64,
            p50_ns: 0,
            p90_ns: 0,
            p99_ns: 0,
            p999_ns: 0,
            max_ns: 0,
            histogram: text_of(values_ns.iter().copied()),
        }
    }

    #[test]
    fn cells_add_up() {
        let (one, two) = (latency(&[100, 900, 5_000]), latency(&[200, 1_000_000]));
        let both = Distribution::of([&one, &two]).unwrap().unwrap();
        assert_eq!((both.count(), both.max_ns() / 1_000), (5, 1_000));
        assert_eq!(both.at_most(&[50, 100, 1_000, 10_000, 2_000_000]), [0, 1, 3, 4, 5]);
        assert!((both.sum_ns() - 1_006_200.0).abs() < 1.0);
        assert!(Distribution::of([]).unwrap().is_none());
    }

    #[test]
    fn steps_reach_all_of_it() {
        let all = latency(&(1..=1_000).map(|n| n * 1_000).collect::<Vec<_>>());
        let all = Distribution::of([&all]).unwrap().unwrap();
        let steps: Vec<Step> = all.steps(5).collect();
        let last = steps.last().unwrap();
        assert_eq!(last.count, 1_000);
        assert!(steps.windows(2).all(|two| two[0].count <= two[1].count));
        let half = steps.iter().find(|step| step.quantile >= 0.5).unwrap();
        assert!((499_000..=502_000).contains(&half.value_ns), "{half:?}");
    }

    #[test]
    fn what_is_no_histogram_is_an_error() {
        let broken = Latency { histogram: "HISTFAAA".into(), ..latency(&[1]) };
        assert!(Distribution::of([&broken]).is_err());
    }
}
