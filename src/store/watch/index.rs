//! Which watchers a key concerns. Watchers of single keys are found by one look into a hash table. Intervals, one entry for
//! each different one, lie in a sorted array that is searched as a balanced tree: in O(log n) and once more for each interval
//! found. Adding or removing an interval takes O(n), which registering can bear and publishing could not.

use super::seat::Seat;
use crate::model::Interval;
use std::collections::HashMap;
use std::sync::Arc;

type Seats = Vec<Arc<Seat>>;

/// The seats by what they watch.
#[derive(Default)]
pub(super) struct Index {
    points: HashMap<Vec<u8>, Seats>,
    /// Ascending by first key, then by end. The middle of any part of it is the root of a tree over that part.
    intervals: Vec<Entry>,
}

struct Entry {
    interval: Interval,
    seats: Seats,
    /// Where in the array the interval of this tree lies that ends last.
    last: usize,
}

impl Index {
    /// Adds a seat.
    pub(super) fn insert(&mut self, seat: Arc<Seat>) {
        let interval = &seat.spec.interval;
        if interval.is_point() {
            return self.points.entry(interval.key.clone()).or_default().push(seat);
        }
        match self.place(interval) {
            Ok(place) => self.intervals[place].seats.push(seat),
            Err(place) => {
                let entry = Entry { interval: interval.clone(), seats: vec![seat], last: place };
                self.intervals.insert(place, entry);
                self.find_last(0, self.intervals.len());
            }
        }
    }

    /// Takes a seat out; `false` if it was not there.
    pub(super) fn remove(&mut self, seat: &Arc<Seat>) -> bool {
        let interval = &seat.spec.interval;
        if !interval.is_point() {
            return self.remove_from_interval(seat);
        }
        let Some(seats) = self.points.get_mut(&interval.key) else { return false };
        let removed = remove_from(seats, seat);
        if seats.is_empty() {
            self.points.remove(&interval.key);
        }
        removed
    }

    fn remove_from_interval(&mut self, seat: &Arc<Seat>) -> bool {
        let Ok(place) = self.place(&seat.spec.interval) else { return false };
        let removed = remove_from(&mut self.intervals[place].seats, seat);
        if self.intervals[place].seats.is_empty() {
            self.intervals.remove(place);
            self.find_last(0, self.intervals.len());
        }
        removed
    }

    /// Visits every seat.
    pub(super) fn all(&self, visit: &mut dyn FnMut(&Arc<Seat>)) {
        let of_intervals = self.intervals.iter().map(|entry| &entry.seats);
        self.points.values().chain(of_intervals).flatten().for_each(visit);
    }

    /// Visits every seat that watches `key`.
    pub(super) fn each(&self, key: &[u8], visit: &mut dyn FnMut(&Arc<Seat>)) {
        if let Some(seats) = self.points.get(key) {
            seats.iter().for_each(&mut *visit);
        }
        self.search(0, self.intervals.len(), key, visit);
    }

    fn search(&self, from: usize, to: usize, key: &[u8], visit: &mut dyn FnMut(&Arc<Seat>)) {
        if from == to {
            return;
        }
        let middle = from + (to - from) / 2;
        let root = &self.intervals[middle];
        if self.intervals[root.last].interval.end().is_some_and(|end| end <= key) {
            return;
        }
        self.search(from, middle, key, visit);
        if root.interval.key.as_slice() <= key {
            if root.interval.contains(key) {
                root.seats.iter().for_each(&mut *visit);
            }
            self.search(middle + 1, to, key, visit);
        }
    }

    fn place(&self, interval: &Interval) -> Result<usize, usize> {
        let wanted = (&interval.key, &interval.range_end);
        self.intervals
            .binary_search_by(|entry| (&entry.interval.key, &entry.interval.range_end).cmp(&wanted))
    }

    /// Sets `last` throughout the tree over a part, and gives that of its root.
    fn find_last(&mut self, from: usize, to: usize) -> Option<usize> {
        if from == to {
            return None;
        }
        let middle = from + (to - from) / 2;
        let below = [self.find_last(from, middle), self.find_last(middle + 1, to)];
        let mut last = middle;
        for place in below.into_iter().flatten() {
            if ends_later(&self.intervals[place].interval, &self.intervals[last].interval) {
                last = place;
            }
        }
        self.intervals[middle].last = last;
        Some(last)
    }
}

fn ends_later(one: &Interval, other: &Interval) -> bool {
    match (one.end(), other.end()) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(one), Some(other)) => one > other,
    }
}

fn remove_from(seats: &mut Seats, seat: &Arc<Seat>) -> bool {
    let place = seats.iter().position(|other| Arc::ptr_eq(other, seat));
    place.map(|place| seats.swap_remove(place)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::watch::{WatchLimits, WatchSpec};
    use proptest::prelude::*;

    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(vec![0u8, 1, 97, 98, 255]), 1..4)
    }

    fn interval() -> impl Strategy<Value = Interval> {
        prop_oneof![
            key().prop_map(Interval::point),
            key().prop_map(Interval::prefix),
            key().prop_map(|key| Interval::between(key, [0])),
            (key(), key()).prop_map(|(key, end)| Interval::between(key, end)),
        ]
    }

    proptest! {
        #[test]
        fn it_finds_what_looking_at_every_watcher_finds(
            intervals in prop::collection::vec(interval(), 0..40),
            removed in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
            keys in prop::collection::vec(key(), 1..20),
        ) {
            let mut index = Index::default();
            let seat = |interval| {
                let spec = WatchSpec { interval, ..WatchSpec::default() };
                Arc::new(Seat::new(spec, WatchLimits::default()))
            };
            let mut seats: Seats = intervals.into_iter().map(seat).collect();
            seats.iter().for_each(|seat| index.insert(seat.clone()));
            for place in removed {
                if !seats.is_empty() {
                    let seat = seats.swap_remove(place.index(seats.len()));
                    prop_assert!(index.remove(&seat));
                    prop_assert!(!index.remove(&seat));
                }
            }
            let address = |seat: &Arc<Seat>| Arc::as_ptr(seat) as usize;
            for key in keys {
                let mut found = Vec::new();
                index.each(&key, &mut |seat| found.push(address(seat)));
                found.sort_unstable();
                let concerned = seats.iter().filter(|seat| seat.spec.interval.contains(&key));
                let mut expected: Vec<usize> = concerned.map(address).collect();
                expected.sort_unstable();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
