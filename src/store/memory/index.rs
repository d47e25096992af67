//! Every record in the order of the keys. Walking an interval takes O(log n) to find its first key and O(1) for each
//! next one.

use super::record::Record;
use crate::store::look::Flow;
use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError, RwLock};

/// Records that are walked before the index is let go for a moment, so that who wants to enter a key does not wait for a long
/// walk.
const STRIDE: usize = 512;

/// The ordered index.
#[derive(Default)]
pub(super) struct Index {
    sorted: RwLock<BTreeSet<ByKey>>,
    /// Not in `sorted` yet.
    fresh: Mutex<Vec<Record>>,
}

/// A record that stands for its key.
#[derive(Clone)]
struct ByKey(Record);

impl Index {
    /// Adds the record of a key that has none.
    pub(super) fn insert(&self, record: Record) {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    /// Takes a record out.
    pub(super) fn remove(&self, dead: &Record) {
        self.sort_fresh();
        self.sorted.write().unwrap_or_else(PoisonError::into_inner).remove(dead.key());
    }

    /// Visits the records from `from` on, below `end`, ascending.
    pub(super) fn scan(
        &self,
        from: &[u8],
        end: Option<&[u8]>,
        visit: &mut dyn FnMut(&Record) -> Flow,
    ) {
        self.sort_fresh();
        let mut strides = Strides { index: self, after: None, end };
        while let Some(records) = strides.next(from) {
            for record in &records {
                if visit(record) == Flow::Stop {
                    return;
                }
            }
        }
    }

    /// Holds the list until the index has what was in it: nobody finds a key in neither.
    fn sort_fresh(&self) {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if !fresh.is_empty() {
            let mut sorted = self.sorted.write().unwrap_or_else(PoisonError::into_inner);
            sorted.extend(fresh.drain(..).map(ByKey));
        }
    }
}

/// A walk in strides.
struct Strides<'a> {
    index: &'a Index,
    /// The last record of the stride before.
    after: Option<Record>,
    end: Option<&'a [u8]>,
}

impl Strides<'_> {
    /// The next records, at most a stride of them; none at the end.
    fn next(&mut self, from: &[u8]) -> Option<Vec<Record>> {
        let first = match &self.after {
            None => Bound::Included(from),
            Some(record) => Bound::Excluded(record.key()),
        };
        let last = self.end.map_or(Bound::Unbounded, Bound::Excluded);
        let sorted = self.index.sorted.read().unwrap_or_else(PoisonError::into_inner);
        let walk = sorted.range::<[u8], _>((first, last)).take(STRIDE);
        let records: Vec<_> = walk.map(|entry| entry.0.clone()).collect();
        drop(sorted);
        self.after = records.last().cloned();
        self.after.is_some().then_some(records)
    }
}

impl Borrow<[u8]> for ByKey {
    fn borrow(&self) -> &[u8] {
        self.0.key()
    }
}

impl Ord for ByKey {
    fn cmp(&self, other: &ByKey) -> std::cmp::Ordering {
        self.0.key().cmp(other.0.key())
    }
}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &ByKey) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &ByKey) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByKey {}
