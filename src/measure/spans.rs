//! How long something took, each time: counts in buckets of a sixteenth of an octave. Written by the system without a lock,
//! read by the harness, which can subtract an earlier look.

use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets in an octave.
const PARTS: u64 = 16;
/// Spans below this have a bucket each.
const EXACT: u64 = PARTS;
/// Enough for every span of 64 bits.
const BUCKETS: usize = 61 * PARTS as usize;

/// Running counts. All orderings are relaxed: they are sums, they order nothing.
#[derive(Debug)]
pub struct SpanTally {
    buckets: Box<[AtomicU64]>,
}

/// The counts at one moment, or between two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// As long as there are buckets, or empty if nothing was counted.
    buckets: Vec<u64>,
}

impl Default for SpanTally {
    fn default() -> SpanTally {
        SpanTally { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl SpanTally {
    /// One span of `nanos`.
    pub fn add(&self, nanos: u64) {
        self.buckets[bucket(nanos)].fetch_add(1, Ordering::Relaxed);
    }

    /// The counts now.
    pub fn counts(&self) -> SpanCounts {
        let read = |bucket: &AtomicU64| bucket.load(Ordering::Relaxed);
        SpanCounts { buckets: self.buckets.iter().map(read).collect() }
    }
}

impl SpanCounts {
    /// One span of `nanos`, counted by one thread.
    pub fn add(&mut self, nanos: u64) {
        self.add_as(nanos, 1);
    }

    /// One that stands for so many.
    pub fn add_as(&mut self, nanos: u64, stands_for: u64) {
        if self.buckets.is_empty() {
            self.buckets.resize(BUCKETS, 0);
        }
        self.buckets[bucket(nanos)] += stands_for;
    }

    /// Takes in others.
    pub fn merge(&mut self, other: &SpanCounts) {
        self.buckets.resize(self.buckets.len().max(other.buckets.len()), 0);
        for (sum, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum += more;
        }
    }

    /// The span that `quantile` (0..=1) of them did not exceed, ns; 0 if there were none.
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        self.quantile_of_ns(self.buckets.iter().sum(), quantile)
    }

    /// The same if there were `all` spans, of which those that were not counted took no time.
    pub fn quantile_of_ns(&self, all: u64, quantile: f64) -> u64 {
        let wanted = (quantile * all as f64).ceil().max(1.0) as u64;
        let mut seen = all.saturating_sub(self.buckets.iter().sum());
        if seen >= wanted {
            return 0;
        }
        let found = self.values_ns().find(|(_, count)| {
            seen += count;
            seen >= wanted
        });
        found.map_or(0, |(value, _)| value.round() as u64)
    }

    /// What came on top of `earlier`.
    pub fn since(&self, earlier: &SpanCounts) -> SpanCounts {
        let before = |bucket: usize| earlier.buckets.get(bucket).copied().unwrap_or(0);
        let more = |(bucket, count): (usize, &u64)| count.saturating_sub(before(bucket));
        SpanCounts { buckets: self.buckets.iter().enumerate().map(more).collect() }
    }

    /// The middle of each bucket that has something in it, ns, with its count; ascending. At most 3.2 % off a true span.
    pub fn values_ns(&self) -> impl Iterator<Item = (f64, u64)> {
        let counted = self.buckets.iter().enumerate().filter(|(_, count)| **count > 0);
        counted.map(|(bucket, count)| (middle_ns(bucket as u64), *count))
    }
}

/// Which bucket a span falls in.
fn bucket(nanos: u64) -> usize {
    if nanos < EXACT {
        return nanos as usize;
    }
    let octave = u64::from(nanos.ilog2());
    let part = nanos >> (octave - 4) & (PARTS - 1);
    ((octave - 3) * PARTS + part) as usize
}

fn middle_ns(bucket: u64) -> f64 {
    if bucket < EXACT {
        return bucket as f64;
    }
    let (octave, part) = (bucket / PARTS + 3, bucket % PARTS);
    let width = (octave as f64 - 4.0).exp2();
    (PARTS + part) as f64 * width + (width - 1.0) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_comes_back_within_its_bucket() {
        for nanos in [0, 1, 15, 16, 17, 100, 999, 12_345, 22_000_000, u64::MAX / 3, u64::MAX] {
            let tally = SpanTally::default();
            tally.add(nanos);
            let counts = tally.counts();
            let all: Vec<_> = counts.values_ns().collect();
            assert_eq!(all.len(), 1, "{nanos}");
            let (value, count) = all[0];
            assert_eq!(count, 1);
            assert!((value - nanos as f64).abs() <= nanos as f64 * 0.032, "{nanos}: {value}");
        }
    }

    #[test]
    fn buckets_grow_with_the_span() {
        let buckets: Vec<_> = (0..4096).map(bucket).collect();
        assert!(buckets.is_sorted());
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_of_what_two_counted() {
        let (mut one, mut other) = (SpanCounts::default(), SpanCounts::default());
        (0..90).for_each(|_| one.add(100));
        (0..10).for_each(|_| other.add(50_000));
        one.merge(&other);
        let near = |value: u64, wanted: u64| value.abs_diff(wanted) * 31 <= wanted;
        assert!(near(one.quantile_ns(0.5), 100) && near(one.quantile_ns(0.9), 100));
        assert!(near(one.quantile_ns(0.91), 50_000) && near(one.quantile_ns(1.0), 50_000));
        assert_eq!(SpanCounts::default().quantile_ns(0.5), 0);
    }

    #[test]
    fn an_earlier_look_is_subtracted() {
        let tally = SpanTally::default();
        tally.add(1000);
        let before = tally.counts();
        tally.add(1000);
        tally.add(9_000_000);
        let between: Vec<_> = tally.counts().since(&before).values_ns().map(|(_, n)| n).collect();
        assert_eq!(between, [1, 1]);
        assert_eq!(before.since(&SpanCounts::default()), before);
        assert_eq!(SpanCounts::default().values_ns().count(), 0);
    }
}
