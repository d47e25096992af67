//! Versions that are written but not committed, over what the database holds. A key that was looked at is remembered too:
//! whoever writes it next has to know what came before.

use super::row::Row;
use crate::store::kv::Kv;
use std::collections::BTreeMap;
use std::ops::Bound;

/// What is known of keys since the last commit.
#[derive(Default)]
pub(super) struct Overlay {
    keys: BTreeMap<Vec<u8>, Chain>,
}

/// The versions of one key, the oldest first.
#[derive(Default)]
struct Chain {
    /// What the database holds, if anything; a tombstone counts.
    base: Option<Row>,
    /// Written since.
    written: Vec<Kv>,
}

impl Chain {
    fn newest(&self) -> Option<&Kv> {
        self.written.last().or(self.base.as_ref().map(|row| &row.kv))
    }
}

impl Overlay {
    /// The newest version of `key` or its tombstone; `None` in the outer option if nothing is known of it here.
    pub(super) fn newest(&self, key: &[u8]) -> Option<Option<Kv>> {
        self.keys.get(key).map(|chain| chain.newest().cloned())
    }

    /// What is uncommitted of `key`, oldest first, and what the database holds of it.
    pub(super) fn history(&self, key: &[u8]) -> (Vec<Kv>, Option<Row>) {
        let chain = self.keys.get(key);
        chain.map_or_else(Default::default, |chain| (chain.written.clone(), chain.base.clone()))
    }

    /// Whether anything is known of `key`.
    pub(super) fn knows(&self, key: &[u8]) -> bool {
        self.keys.contains_key(key)
    }

    /// Remembers what the database holds of `key`.
    pub(super) fn remember(&mut self, key: &[u8], base: Option<Row>) {
        self.keys.insert(key.to_vec(), Chain { base, written: Vec::new() });
    }

    /// Adds a version of a key that is known.
    pub(super) fn add(&mut self, kv: Kv) {
        let chain = self.keys.get_mut(kv.key()).expect("a key is looked at before it is written");
        chain.written.push(kv);
    }

    /// Written keys in an interval, ascending, each with its newest version or tombstone.
    pub(super) fn written(&self, from: &[u8], end: Option<&[u8]>) -> Vec<Kv> {
        let last = end.map_or(Bound::Unbounded, Bound::Excluded);
        let known = self.keys.range::<[u8], _>((Bound::Included(from), last));
        known.filter_map(|(_, chain)| chain.written.last().cloned()).collect()
    }

    /// Takes out the oldest written version of its key, which has to be `kv`, as the row to commit.
    pub(super) fn commit(&mut self, kv: &Kv) -> Row {
        let chain = self.keys.get_mut(kv.key()).expect("what is committed was written");
        let first = chain.written.remove(0);
        assert!(first.is_same(kv), "versions of a key are committed in the order of writing");
        let before = chain.base.as_ref().map(Row::as_before).unwrap_or_default();
        let row = Row { kv: first, before };
        chain.base = Some(row.clone());
        row
    }

    /// Whether `kv` is the newest version of its key.
    pub(super) fn is_newest(&self, kv: &Kv) -> bool {
        self.keys.get(kv.key()).and_then(Chain::newest).is_some_and(|newest| newest.is_same(kv))
    }

    /// Forgets all that the database knows as well.
    pub(super) fn trim(&mut self) {
        self.keys.retain(|_, chain| !chain.written.is_empty());
    }
}
