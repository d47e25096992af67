//! Every record in the order of the keys. Walking an interval takes O(log n) to find its first key and O(1) for each
//! next one.

use super::kv::{Kv, Written};
use super::look::Flow;
use super::record::Record;
use crate::measure::lock::{MeasuredGuard, MeasuredMutex, MeasuredRwLock, Visit};
use crate::measure::stage::Probe;
use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;

/// Records that are walked, or sorted in, before the index is let go for a moment, so that nobody waits for a long walk.
const STRIDE: usize = 512;

/// The ordered index. Order of the locks: `sorted`, then `fresh`.
pub(super) struct Index {
    sorted: MeasuredRwLock<BTreeSet<ByKey>>,
    /// Not in `sorted` yet, oldest first. Whoever enters a key wants this lock, so it is held for moments only.
    fresh: MeasuredMutex<VecDeque<Record>>,
}

/// A record in the order of its key.
struct ByKey(Record);

impl Index {
    /// Without records.
    pub(super) fn new(probe: Probe) -> Index {
        Index {
            sorted: MeasuredRwLock::new(BTreeSet::new(), probe),
            fresh: MeasuredMutex::brief(VecDeque::new(), probe),
        }
    }

    /// Shows its locks.
    pub(super) fn visit_locks(&self, visit: Visit<'_>) {
        visit("key order", &self.sorted);
        visit("new keys", &self.fresh);
    }

    /// Adds the record of a key that has none.
    pub(super) fn insert(&self, record: Record) {
        self.fresh().push_back(record);
    }

    /// Takes a record out.
    pub(super) fn remove(&self, dead: &Record) {
        self.sort();
        let dead = ByKey(dead.clone());
        self.sorted.write().remove(&dead);
    }

    /// Visits the records from `from` on, below `end`, ascending.
    pub(super) fn scan(
        &self,
        from: &[u8],
        end: Option<&[u8]>,
        visit: &mut dyn FnMut(&Record) -> Flow,
    ) {
        self.sort();
        let mut first = Bound::Included(ByKey::probe(from));
        let end = end.map_or(Bound::Unbounded, |end| Bound::Excluded(ByKey::probe(end)));
        while let Some(records) = self.stride(&first, &end) {
            for record in &records {
                if visit(record) == Flow::Stop {
                    return;
                }
            }
            first = records
                .into_iter()
                .last()
                .map_or(Bound::Unbounded, |last| Bound::Excluded(ByKey(last)));
        }
    }

    /// The next records, at most a stride of them; none at the end.
    fn stride(&self, first: &Bound<ByKey>, end: &Bound<ByKey>) -> Option<Vec<Record>> {
        let sorted = self.sorted.read();
        let walk = sorted.range((first.as_ref(), end.as_ref())).take(STRIDE);
        let records: Vec<_> = walk.map(|entry| entry.0.clone()).collect();
        (!records.is_empty()).then_some(records)
    }

    /// Sorts in what is in the list now, a stride at a time. What was taken from the list and is not in the index yet is behind the
    /// index's lock, which whoever looks for it needs: nobody finds a key in neither.
    pub(super) fn sort(&self) {
        let mut left = self.fresh().len();
        while left > 0 {
            let mut sorted = self.sorted.write();
            let mut fresh = self.fresh();
            let some = fresh.len().min(STRIDE);
            let records: Vec<_> = fresh.drain(..some).collect();
            drop(fresh);
            sorted.extend(records.into_iter().map(ByKey));
            if some == 0 {
                return;
            }
            left = left.saturating_sub(some);
        }
    }

    fn fresh(&self) -> MeasuredGuard<'_, VecDeque<Record>> {
        self.fresh.lock()
    }
}

impl ByKey {
    /// Stands for `key` in a search.
    fn probe(key: &[u8]) -> ByKey {
        let nothing = Written { create: 0, modified: 0, version: 0, lease: 0, sub: 0 };
        ByKey(Record::new(Kv::new(key, [], nothing)))
    }
}

impl Ord for ByKey {
    fn cmp(&self, other: &ByKey) -> Ordering {
        // One lock after the other, never both: a walk and a comparison the other way round must not meet.
        self.0.newest().key().cmp(other.0.newest().key())
    }
}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &ByKey) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &ByKey) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByKey {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering as Order};

    fn record(number: usize) -> Record {
        let written = Written { create: 1, modified: 1, version: 1, lease: 0, sub: 0 };
        Record::new(Kv::new(format!("{number:08}").as_bytes(), *b"v", written))
    }

    fn keys(index: &Index) -> Vec<usize> {
        let mut keys = Vec::new();
        index.scan(b"", None, &mut |record| {
            keys.push(std::str::from_utf8(record.newest().key()).unwrap().parse().unwrap());
            Flow::On
        });
        keys
    }

    /// Many times a stride of new keys, two that walk meanwhile and one that takes keys out: whoever walks sees all that was there.
    #[test]
    fn a_walk_finds_whatever_was_there_when_it_began() {
        const KEYS: usize = 40 * STRIDE;
        const REMOVED_EVERY: usize = 7;
        let (index, entered) = (Index::new(Probe::off()), AtomicUsize::new(0));
        let records: BTreeMap<usize, Record> = (0..KEYS).map(|n| (n, record(n))).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for (number, record) in &records {
                    index.insert(record.clone());
                    entered.store(number + 1, Order::Release);
                }
            });
            scope.spawn(|| {
                for number in (0..KEYS).step_by(REMOVED_EVERY) {
                    while entered.load(Order::Acquire) <= number {
                        std::thread::yield_now();
                    }
                    index.remove(&records[&number]);
                }
            });
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        let before = entered.load(Order::Acquire);
                        let seen = keys(&index);
                        assert!(seen.is_sorted());
                        let must = (0..before).filter(|number| number % REMOVED_EVERY != 0);
                        let mut seen = seen.iter().filter(|number| *number % REMOVED_EVERY != 0);
                        assert!(
                            must.clone().all(|number| seen.next() == Some(&number)),
                            "{before}"
                        );
                        if before == KEYS {
                            return;
                        }
                    }
                });
            }
        });
        let left: Vec<_> = (0..KEYS).filter(|number| number % REMOVED_EVERY != 0).collect();
        assert_eq!(keys(&index), left);
    }
}
