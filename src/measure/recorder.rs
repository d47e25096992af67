//! What one load thread saw in one measured span: a plain histogram and stage sums, merged when the span is over.
//! Not shared while it records: a histogram shared by threads cost 7 % of CPU at 280 000 ops/s.

use super::stage::{STAGES, Timeline};
use crate::units::Nanos;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

/// Largest service time told apart, 10 minutes; longer ones count as this.
const HIGHEST_NS: u64 = 600_000_000_000;
/// Three significant digits: values are within 0.1 %.
const DIGITS: u8 = 3;

/// Counts, service times and stage times of finished operations.
#[derive(Clone, Debug)]
pub struct Recorder {
    histogram: Histogram<u64>,
    service_ns: u64,
    stage_ns: [u64; STAGES],
    errors: u64,
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder {
            histogram: Histogram::new_with_bounds(1, HIGHEST_NS, DIGITS)
                .expect("the bounds are constants the histogram accepts"),
            service_ns: 0,
            stage_ns: [0; STAGES],
            errors: 0,
        }
    }
}

impl Recorder {
    /// One answered operation: its service time (done − sent) and where it went.
    pub fn record(&mut self, service: Nanos, timeline: &Timeline) {
        self.histogram.saturating_record(service.0.max(1));
        self.service_ns += service.0;
        for (sum, span) in self.stage_ns.iter_mut().zip(timeline.spans()) {
            *sum += span.0;
        }
    }

    /// One operation that got an error.
    pub fn record_error(&mut self) {
        self.errors += 1;
    }

    /// Takes in what another thread saw in the same span.
    pub fn merge(&mut self, other: &Recorder) {
        self.histogram.add(&other.histogram).expect("all recorders share their bounds");
        self.service_ns += other.service_ns;
        self.errors += other.errors;
        for (sum, more) in self.stage_ns.iter_mut().zip(other.stage_ns) {
            *sum += more;
        }
    }

    /// Operations answered.
    pub fn ops(&self) -> u64 {
        self.histogram.len()
    }

    /// Operations that got an error.
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// Sum of all service times, ns.
    pub fn service_ns(&self) -> u64 {
        self.service_ns
    }

    /// Mean time per stage, ns, in pipeline order; zeros when nothing was recorded.
    pub fn stage_means_ns(&self) -> [f64; STAGES] {
        let ops = self.ops().max(1) as f64;
        self.stage_ns.map(|sum| sum as f64 / ops)
    }

    /// The service time that `quantile` (0..=1) of the operations did not exceed, ns.
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        self.histogram.value_at_quantile(quantile)
    }

    /// Largest service time, ns.
    pub fn max_ns(&self) -> u64 {
        self.histogram.max()
    }

    /// The whole histogram, HdrHistogram V2 compressed.
    pub fn histogram_v2(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.histogram, &mut bytes)
            .expect("writing to memory does not fail");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_gives_what_one_recorder_would_have_seen() {
        let line = Timeline::submitted(Nanos(1));
        let (mut all, mut left, mut right) =
            (Recorder::default(), Recorder::default(), Recorder::default());
        for n in 1..=1000u64 {
            all.record(Nanos(n * 1000), &line);
            if n % 2 == 0 { &mut left } else { &mut right }.record(Nanos(n * 1000), &line);
        }
        left.merge(&right);
        assert_eq!((left.ops(), left.service_ns()), (all.ops(), all.service_ns()));
        assert_eq!(left.quantile_ns(0.99), all.quantile_ns(0.99));
        assert_eq!(left.ops(), 1000);
    }
}
