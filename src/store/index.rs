//! Every record in the order of the keys. Walking an interval takes O(log n) to find its first key and O(1) for each
//! next one.

use super::kv::{Kv, Written};
use super::look::Flow;
use super::record::Record;
use crate::measure::lock::{MeasuredGuard, MeasuredMutex, MeasuredRwLock, Visit};
use crate::measure::stage::Probe;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

/// Records that are walked before the index is let go for a moment, so that nobody waits for a long walk.
const STRIDE: usize = 512;

/// The ordered index. Order of the locks: `sorted`, then `fresh`.
pub(super) struct Index {
    sorted: MeasuredRwLock<BTreeSet<ByKey>>,
    /// Not in `sorted` yet. Whoever enters a key wants this lock, so it is held for moments only.
    fresh: MeasuredMutex<Vec<Record>>,
}

/// A record in the order of its key.
struct ByKey(Record);

impl Index {
    /// Without records.
    pub(super) fn new(probe: Probe) -> Index {
        Index {
            sorted: MeasuredRwLock::new(BTreeSet::new(), probe),
            fresh: MeasuredMutex::brief(Vec::new(), probe),
        }
    }

    /// Shows its locks.
    pub(super) fn visit_locks(&self, visit: Visit<'_>) {
        visit("key order", &self.sorted);
        visit("new keys", &self.fresh);
    }

    /// Adds the record of a key that has none.
    pub(super) fn insert(&self, record: Record) {
        self.fresh().push(record);
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

    /// Sorts in what is in the list now; what somebody else sorts in meanwhile is waited for. What was taken from the list and is not in the
    /// index yet is behind the index's lock, which whoever looks for it needs: nobody finds a key in neither.
    pub(super) fn sort(&self) {
        if self.is_sorted() {
            return;
        }
        let mut sorted = self.sorted.write();
        let fresh = std::mem::take(&mut *self.fresh());
        let ascending = ascending(fresh).map(ByKey);
        match ascending.len() < sorted.len() {
            true => sorted.extend(ascending),
            // Merging is linear.
            false => sorted.append(&mut ascending.collect()),
        }
    }

    /// Whether nothing was new a moment ago. An empty list says so only to who holds the index's lock.
    fn is_sorted(&self) -> bool {
        let _sorted = self.sorted.read();
        self.fresh().is_empty()
    }

    fn fresh(&self) -> MeasuredGuard<'_, Vec<Record>> {
        self.fresh.lock()
    }
}

/// By key. Sorting a million by the keys themselves would wait for memory in each comparison, so the eight bytes that follow what all
/// keys begin with are looked at first.
fn ascending(records: Vec<Record>) -> impl ExactSizeIterator<Item = Record> {
    let mut keyed: Vec<_> =
        records.into_iter().map(|record| (0, record.newest(), record)).collect();
    let begin = common_beginning(keyed.iter().map(|(_, kv, _)| kv.key()));
    for (first, kv, _) in &mut keyed {
        *first = first_bytes(&kv.key()[begin..]);
    }
    keyed.sort_unstable_by(|(a_first, a, _), (b_first, b, _)| {
        a_first.cmp(b_first).then_with(|| a.key().cmp(b.key()))
    });
    keyed.into_iter().map(|(_, _, record)| record)
}

/// Bytes that all keys begin with.
fn common_beginning<'a>(mut keys: impl Iterator<Item = &'a [u8]>) -> usize {
    let Some(first) = keys.next() else { return 0 };
    keys.fold(first.len(), |common, key| {
        first[..common].iter().zip(key).take_while(|(one, other)| one == other).count()
    })
}

/// As a number that is in the same order, where it tells two keys apart.
fn first_bytes(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let few = key.len().min(bytes.len());
    bytes[..few].copy_from_slice(&key[..few]);
    u64::from_be_bytes(bytes)
}

impl ByKey {
    /// Stands for `key` in a search.
    fn probe(key: &[u8]) -> ByKey {
        let nothing = Written { create: 0, modified: 0, version: 0, lease: 0, sub: 0 };
        ByKey(Record::new(Kv::new(key, &[], nothing)))
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
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering as Order};

    fn record(number: usize) -> Record {
        let written = Written { create: 1, modified: 1, version: 1, lease: 0, sub: 0 };
        Record::new(Kv::new(format!("{number:08}").as_bytes(), b"v", written))
    }

    fn keys(index: &Index) -> Vec<usize> {
        let mut keys = Vec::new();
        index.scan(b"", None, &mut |record| {
            keys.push(std::str::from_utf8(record.newest().key()).unwrap().parse().unwrap());
            Flow::On
        });
        keys
    }

    proptest! {
        /// Few among many and many among few, with beginnings in common or none, some of them a beginning of others.
        #[test]
        fn what_is_sorted_in_is_in_order(
            begin in vec(any::<u8>(), 0..12),
            first in btree_set(vec(0_u8..3, 0..12), 0..40),
            then in btree_set(vec(0_u8..3, 0..12), 0..40),
        ) {
            let index = Index::new(Probe::off());
            let written = Written { create: 1, modified: 1, version: 1, lease: 0, sub: 0 };
            let record = |end: &Vec<u8>| {
                let key = [&begin[..], end].concat();
                Record::new(Kv::new(&key, &[], written))
            };
            // The index puts in order whatever it is given; that it need not is asked here.
            let descending = first.iter().rev().map(record).collect();
            prop_assert!(ascending(descending).map(ByKey).is_sorted());
            let insert = |end: &Vec<u8>| index.insert(record(end));
            first.iter().for_each(insert);
            index.sort();
            then.iter().rev().filter(|end| !first.contains(*end)).for_each(insert);
            let mut found = Vec::new();
            index.scan(b"", None, &mut |record| {
                found.push(record.newest().key()[begin.len()..].to_vec());
                Flow::On
            });
            prop_assert!(found.iter().eq(first.union(&then)));
        }
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
