//! What one load thread saw in one measured span: a plain histogram and stage sums, merged when the span is over.
//! Not shared while it records: a histogram shared by threads cost 7 % of CPU at 280 000 ops/s.

use super::spans::SpanCounts;
use super::stage::{STAGES, Timeline};
use crate::units::Nanos;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

/// Largest service time told apart, 10 minutes; longer ones count as this.
const HIGHEST_NS: u64 = 600_000_000_000;
/// Three significant digits: values are within 0.1 %.
const DIGITS: u8 = 3;

/// Service times of finished operations of one kind.
#[derive(Clone, Debug)]
pub struct Services {
    histogram: Histogram<u64>,
    sum_ns: u64,
}

impl Default for Services {
    fn default() -> Services {
        let histogram = Histogram::new_with_bounds(1, HIGHEST_NS, DIGITS)
            .expect("the bounds are constants the histogram accepts");
        Services { histogram, sum_ns: 0 }
    }
}

impl Services {
    /// One more.
    pub fn record(&mut self, service: Nanos) {
        self.histogram.saturating_record(service.0.max(1));
        self.sum_ns += service.0;
    }

    /// Takes in others.
    pub fn merge(&mut self, other: &Services) {
        self.histogram.add(&other.histogram).expect("all recorders share their bounds");
        self.sum_ns += other.sum_ns;
    }

    /// What [`Services::histogram_v2`] and [`Services::sum_ns`] of another process gave; none if it is not that.
    pub fn from_v2(histogram: &[u8], sum_ns: u64) -> Option<Services> {
        let read: Histogram<u64> = Deserializer::new().deserialize(&mut &histogram[..]).ok()?;
        let mut services = Services { sum_ns, ..Services::default() };
        services.histogram.add(read).ok()?;
        Some(services)
    }

    /// Operations answered.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Sum of all service times, ns.
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
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

/// Where the time of an operation went, over all of its requests. Those that nobody looked at are told by others, which stand for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spans {
    requests: u64,
    /// Requests that those stand for which were looked at, and their time by stage, each times the number that it stands for.
    weight: u64,
    weighted_ns: [u64; STAGES],
    /// For how many operations this one stands as a whole; 0 if one of its requests was not looked at.
    stands_for: u64,
    of: [Nanos; STAGES],
}

impl Spans {
    /// Those of no request; they stand for themselves.
    pub fn none() -> Spans {
        Spans {
            requests: 0,
            weight: 0,
            weighted_ns: [0; STAGES],
            stands_for: 1,
            of: [Nanos::ZERO; STAGES],
        }
    }

    /// With another request's. Whether that was looked at has nothing to do with those before, so chances multiply.
    pub fn add(&mut self, timeline: &Timeline) {
        let stands_for = u64::from(timeline.stands_for());
        self.requests += 1;
        self.weight += stands_for;
        self.stands_for = self.stands_for.saturating_mul(stands_for);
        if stands_for == 0 {
            return;
        }
        let sums = self.of.iter_mut().zip(&mut self.weighted_ns);
        for ((sum, weighted), span) in sums.zip(timeline.spans()) {
            sum.0 += span.0;
            *weighted += span.0 * stands_for;
        }
    }
}

/// Counts, service times and stage times of finished operations, told apart by kind. Kinds are numbers here; whoever
/// records gives them their meaning. A kind costs memory once it was seen, and an operation is recorded once: what
/// holds for all kinds together is added up at the end.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    by_kind: Vec<Option<Services>>,
    /// Of all operations: their requests, how many the stamped ones stand for, and time by stage, each times the number that it stands for.
    requests: u64,
    stamped: u64,
    stage_ns: [u64; STAGES],
    /// Operations that those stand for all of whose requests were stamped, and their time in each stage where they spent any.
    staged: u64,
    stage_times: [SpanCounts; STAGES],
    errors: u64,
}

impl Recorder {
    /// One answered operation: its kind, its service time (done − sent) and where it went.
    pub fn record(&mut self, kind: usize, service: Nanos, spans: &Spans) {
        self.of_kind(kind).record(service);
        self.requests += spans.requests;
        if spans.weight == 0 {
            return;
        }
        self.stamped += spans.weight;
        for (sum, more) in self.stage_ns.iter_mut().zip(spans.weighted_ns) {
            *sum += more;
        }
        if spans.stands_for == 0 {
            return;
        }
        self.staged += spans.stands_for;
        for (times, span) in self.stage_times.iter_mut().zip(spans.of) {
            if span.0 > 0 {
                times.add_as(span.0, spans.stands_for);
            }
        }
    }

    /// One answered operation by its time alone.
    pub fn record_time(&mut self, kind: usize, time: Nanos) {
        self.of_kind(kind).record(time);
    }

    fn of_kind(&mut self, kind: usize) -> &mut Services {
        if kind >= self.by_kind.len() {
            self.by_kind.resize(kind + 1, None);
        }
        self.by_kind[kind].get_or_insert_default()
    }

    /// Operations of one kind that another process saw in the same span.
    pub fn add(&mut self, kind: usize, services: &Services) {
        self.of_kind(kind).merge(services);
    }

    /// As many operations that got an error there.
    pub fn add_errors(&mut self, errors: u64) {
        self.errors += errors;
    }

    /// One operation that got an error.
    pub fn record_error(&mut self) {
        self.errors += 1;
    }

    /// Takes in what another thread saw in the same span.
    pub fn merge(&mut self, other: &Recorder) {
        for (kind, services) in other.kinds() {
            self.of_kind(kind).merge(services);
        }
        self.errors += other.errors;
        self.requests += other.requests;
        self.stamped += other.stamped;
        self.staged += other.staged;
        for (sum, more) in self.stage_ns.iter_mut().zip(other.stage_ns) {
            *sum += more;
        }
        for (times, more) in self.stage_times.iter_mut().zip(&other.stage_times) {
            times.merge(more);
        }
    }

    /// The kinds that were seen, ascending, each with its service times.
    pub fn kinds(&self) -> impl Iterator<Item = (usize, &Services)> {
        let kinds = self.by_kind.iter().enumerate();
        kinds.filter_map(|(kind, services)| Some((kind, services.as_ref()?)))
    }

    /// Service times of all kinds together.
    pub fn all(&self) -> Services {
        let mut all = Services::default();
        self.kinds().for_each(|(_, services)| all.merge(services));
        all
    }

    /// Operations answered.
    pub fn ops(&self) -> u64 {
        self.kinds().map(|(_, services)| services.count()).sum()
    }

    /// Operations that got an error.
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// Mean time per stage and operation, ns, in pipeline order: the mean of a request, as the stamped ones have it, times the requests of an
    /// operation (a ratio estimate: Cochran, Sampling Techniques, 6). Zeros when nothing was recorded.
    pub fn stage_means_ns(&self) -> [f64; STAGES] {
        let requests_per_op = self.requests as f64 / self.ops().max(1) as f64;
        let stamped = self.stamped.max(1) as f64;
        self.stage_ns.map(|sum| sum as f64 / stamped * requests_per_op)
    }

    /// The time in each stage that `quantile` (0..=1) of the operations did not exceed, ns, in pipeline order.
    pub fn stage_quantiles_ns(&self, quantile: f64) -> [u64; STAGES] {
        self.stage_times.each_ref().map(|times| times.quantile_of_ns(self.staged, quantile))
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{Stage, Stamps};
    use super::*;

    /// A request that spent `nanos` in each of these stages, and nothing in others.
    fn spent(nanos: &[(Stage, u64)], stands_for: u32) -> Spans {
        let mut spans = Spans::none();
        spans.add(&line(nanos, stands_for));
        spans
    }

    fn line(nanos: &[(Stage, u64)], stands_for: u32) -> Timeline {
        let mut line = Timeline::submitted(Nanos(1));
        let mut now = 1;
        for stage in Stage::ALL {
            now += nanos.iter().find(|(of, _)| *of == stage).map_or(0, |(_, nanos)| *nanos);
            line.end(stage, Nanos(now));
        }
        let [locked, applied] = [Stage::ApplyWait, Stage::Apply].map(|stage| {
            let until = |(of, nanos): &(Stage, u64)| {
                if *of as usize <= stage as usize { *nanos } else { 0 }
            };
            Nanos(1 + nanos.iter().map(until).sum::<u64>())
        });
        line.apply(Stamps { locked, applied, stands_for });
        line
    }

    #[test]
    fn merging_gives_what_one_recorder_would_have_seen() {
        let (mut all, mut left, mut right) =
            (Recorder::default(), Recorder::default(), Recorder::default());
        for n in 1..=1000u64 {
            let kind = (n % 3) as usize * 2;
            let spans = spent(&[(Stage::Queue, n), (Stage::Apply, n * n)], (n % 5) as u32);
            all.record(kind, Nanos(n * 1000), &spans);
            if n % 2 == 0 { &mut left } else { &mut right }.record(kind, Nanos(n * 1000), &spans);
        }
        left.merge(&right);
        assert_eq!((left.ops(), left.all().sum_ns()), (all.ops(), all.all().sum_ns()));
        assert_eq!(left.all().quantile_ns(0.99), all.all().quantile_ns(0.99));
        let counts = |recorder: &Recorder| -> Vec<_> {
            recorder.kinds().map(|(kind, services)| (kind, services.count())).collect()
        };
        assert_eq!(counts(&left), [(0, 333), (2, 334), (4, 333)]);
        assert_eq!(counts(&left), counts(&all));
        for quantile in [0.1, 0.5, 0.99] {
            assert_eq!(left.stage_quantiles_ns(quantile), all.stage_quantiles_ns(quantile));
        }
        let means = left.stage_means_ns().into_iter().zip(all.stage_means_ns());
        assert!(means.clone().all(|(merged, one)| (merged - one).abs() < 1e-9));
        assert!(all.stage_means_ns()[Stage::Apply as usize] > 0.0);
    }

    #[test]
    fn stages_without_time_count_as_none_and_requests_for_what_they_stand_for() {
        let mut recorder = Recorder::default();
        for n in 0..100u64 {
            // Every tenth waits in the queue. One in eight is stamped: the same is said of a hundred as of eight hundred.
            let queue = if n % 10 == 0 { 64 } else { 0 };
            let spans = spent(&[(Stage::Queue, queue), (Stage::Fsync, 1_000_000)], 8);
            recorder.record(0, Nanos(1_000_064), &spans);
            (1..8).for_each(|_| recorder.record(0, Nanos(1_000_064), &spent(&[], 0)));
        }
        let queue = Stage::Queue as usize;
        let fsync = Stage::Fsync as usize;
        let (median, tail) = (recorder.stage_quantiles_ns(0.5), recorder.stage_quantiles_ns(0.95));
        assert_eq!((median[queue], tail[Stage::Propose as usize]), (0, 0));
        assert!(tail[queue].abs_diff(64) <= 3, "{tail:?}");
        assert!(median[fsync].abs_diff(1_000_000) <= 32_000, "{median:?}");
        assert_eq!(recorder.ops(), 800);
        assert!((recorder.stage_means_ns()[queue] - 6.4).abs() < 1e-9);
        // As many again that stand for themselves and take twice as long there.
        let alone = spent(&[(Stage::Fsync, 2_000_000)], 1);
        (0..800).for_each(|_| recorder.record(0, Nanos(2_000_000), &alone));
        assert!((recorder.stage_means_ns()[fsync] - 1_500_000.0).abs() < 1e-3);
    }

    #[test]
    fn an_operation_of_several_requests_has_the_time_of_all() {
        let mut recorder = Recorder::default();
        let (read, write) = ([(Stage::Apply, 100)], [(Stage::Apply, 300)]);
        for n in 0..80 {
            let mut spans = spent(&read, 1);
            // The write is stamped once in eight times.
            spans.add(&line(&write, if n % 8 == 0 { 8 } else { 0 }));
            recorder.record(0, Nanos(400), &spans);
        }
        let apply = Stage::Apply as usize;
        assert!((recorder.stage_means_ns()[apply] - 400.0).abs() < 1e-9);
        assert!(recorder.stage_quantiles_ns(0.5)[apply].abs_diff(400) <= 13);
    }

    #[test]
    fn what_another_process_saw_comes_back_whole() {
        let mut there = Recorder::default();
        for n in [1, 1000, 2_000_000, HIGHEST_NS, 2 * HIGHEST_NS] {
            there.record(3, Nanos(n), &Spans::none());
        }
        let (kind, services) = there.kinds().next().unwrap();
        let read = Services::from_v2(&services.histogram_v2(), services.sum_ns()).unwrap();
        let mut here = Recorder::default();
        here.add(kind, &read);
        assert_eq!(here.ops(), 5);
        assert_eq!(here.all().histogram_v2(), there.all().histogram_v2());
        assert_eq!(here.all().max_ns(), there.all().max_ns());
        assert!(Services::from_v2(b"something else", 1).is_none());
    }
}
