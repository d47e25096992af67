//! A measured span cut into slots: how many operations ended in each, and how long those took that were fired in it.

use crate::units::Nanos;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

/// Lengths a slot may have.
const SLOTS: [Nanos; 6] = [
    Nanos::from_millis(10),
    Nanos::from_millis(25),
    Nanos::from_millis(50),
    Nanos::from_millis(100),
    Nanos::from_millis(250),
    Nanos::from_millis(1000),
];
/// Slots that a span has at least, if it is long enough.
const SLOTS_MIN: u64 = 20;
/// One significant digit: a picture over time needs no more, and a histogram stays small.
const DIGITS: u8 = 1;
/// Longest time told apart, 10 minutes; longer ones count as this.
const HIGHEST_NS: u64 = 600_000_000_000;

/// The slot for a span of this length: the longest that gives twenty of them, at least 10 ms.
pub fn slot_of(duration: Nanos) -> Nanos {
    let fits = |slot: &&Nanos| duration.0 / slot.0 >= SLOTS_MIN;
    SLOTS.iter().rev().find(fits).copied().unwrap_or(SLOTS[0])
}

/// What happened slot by slot.
#[derive(Clone, Debug, Default)]
pub struct Series {
    slot: Nanos,
    slots: Vec<Slot>,
    /// Where the last instant lay: the next one mostly lies there, too, and to see that takes no division.
    last: usize,
}

/// What happened in one slot.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    /// Operations that ended in it.
    done: u64,
    /// Times of operations that were fired in it, once there is one.
    times: Option<Histogram<u32>>,
}

impl Series {
    /// The slots that another process saw, each with its operations and its times as [`Slot::times_v2`] gives them; none if
    /// that is not what was given.
    pub fn from_slots<'a>(
        slot: Nanos,
        slots: impl Iterator<Item = (u64, &'a [u8])>,
    ) -> Option<Series> {
        let slots = slots.map(|(done, times)| {
            let times = match times {
                [] => None,
                v2 => Some(times_of(v2)?),
            };
            Some(Slot { done, times })
        });
        Some(Series { slot, slots: slots.collect::<Option<_>>()?, last: 0 })
    }

    /// One operation, fired and done so long after the span began; it took `time`. All calls name the same slot.
    pub fn record(&mut self, slot: Nanos, fired: Nanos, done: Nanos, time: Nanos) {
        self.slot = slot;
        self.at(fired).times().saturating_record(time.0.max(1));
        self.at(done).done += 1;
    }

    fn at(&mut self, instant: Nanos) -> &mut Slot {
        let begin = self.last as u64 * self.slot.0;
        if instant.0.wrapping_sub(begin) >= self.slot.0 {
            self.last = (instant.0 / self.slot.0) as usize;
        }
        if self.last >= self.slots.len() {
            self.slots.resize_with(self.last + 1, Slot::default);
        }
        &mut self.slots[self.last]
    }

    /// Takes in what others saw in the same span.
    pub fn merge(&mut self, other: &Series) {
        self.slot = self.slot.max(other.slot);
        if self.slots.len() < other.slots.len() {
            self.slots.resize_with(other.slots.len(), Slot::default);
        }
        for (slot, more) in self.slots.iter_mut().zip(&other.slots) {
            slot.done += more.done;
            if let Some(times) = &more.times {
                slot.times().add(times).expect("all slots share their bounds");
            }
        }
    }

    /// Length of a slot; zero if nothing was recorded.
    pub fn slot(&self) -> Nanos {
        self.slot
    }

    /// The slots from the begin of the span on; the last one may be cut short by its end.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }
}

impl Slot {
    fn times(&mut self) -> &mut Histogram<u32> {
        self.times.get_or_insert_with(no_times)
    }

    /// The times of operations fired in it, HdrHistogram V2 compressed; nothing if none was.
    pub fn times_v2(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(times) = &self.times {
            V2DeflateSerializer::new()
                .serialize(times, &mut bytes)
                .expect("writing to memory does not fail");
        }
        bytes
    }

    /// Operations that ended in it.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// The time that `quantile` (0..=1) of the operations fired in it did not exceed, ns, to one digit; 0 if none was.
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        self.times.as_ref().map_or(0, |times| times.value_at_quantile(quantile))
    }
}

fn no_times() -> Histogram<u32> {
    Histogram::new_with_bounds(1, HIGHEST_NS, DIGITS)
        .expect("the bounds are constants the histogram accepts")
}

/// None if these are not times within the bounds of all slots.
fn times_of(mut v2: &[u8]) -> Option<Histogram<u32>> {
    let read: Histogram<u32> = Deserializer::new().deserialize(&mut v2).ok()?;
    let mut times = no_times();
    times.add(read).ok()?;
    Some(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_twenty_slots_or_more() {
        for (millis, slot) in
            [(50, 10), (200, 10), (300, 10), (500, 25), (2000, 100), (60_000, 1000)]
        {
            assert_eq!(slot_of(Nanos::from_millis(millis)), Nanos::from_millis(slot), "{millis}");
        }
    }

    #[test]
    fn operations_count_where_they_end_and_where_they_were_fired() {
        let slot = Nanos(100);
        let (mut one, mut other) = (Series::default(), Series::default());
        one.record(slot, Nanos(50), Nanos(250), Nanos(200));
        other.record(slot, Nanos(260), Nanos(299), Nanos(39));
        one.merge(&other);
        let done: Vec<u64> = one.slots().iter().map(Slot::done).collect();
        assert_eq!((done.as_slice(), one.slot()), ([0, 0, 2].as_slice(), slot));
        let p99: Vec<u64> = one.slots().iter().map(|slot| slot.quantile_ns(0.99)).collect();
        assert!((190..=210).contains(&p99[0]) && p99[1] == 0 && (38..=41).contains(&p99[2]));
        let told: Vec<_> = one.slots().iter().map(|slot| (slot.done(), slot.times_v2())).collect();
        let told = || told.iter().map(|(done, times)| (*done, times.as_slice()));
        let back = Series::from_slots(slot, told()).unwrap();
        assert_eq!(back.slots().iter().map(|slot| slot.quantile_ns(0.99)).collect::<Vec<_>>(), p99);
        assert!(Series::from_slots(slot, [(1, b"x".as_slice())].into_iter()).is_none());
        let mut empty = Series::default();
        empty.merge(&one);
        assert_eq!(empty.slots().len(), 3);
    }
}
