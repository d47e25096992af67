//! What was written, the oldest first. What a compaction covers is found here without a search, which is most of what forgetting costs.

use super::kv::Kv;
use super::record::Record;
use crate::model::MainRevision;
use smallvec::SmallVec;
use std::collections::VecDeque;

/// Old versions that are forgotten in one go. Most of what forgetting takes is waiting for memory, and waiting for many at once takes
/// hardly longer than for one.
pub(super) const FORGET_TOGETHER: usize = 16;

/// As many as are dealt with in one go.
pub(super) type Together<T> = SmallVec<[T; FORGET_TOGETHER]>;

/// Versions and tombstones in the order in which they were written; those before the compaction are on their way out.
#[derive(Default)]
pub(super) struct History {
    writes: VecDeque<Write>,
    /// Since the last go.
    pushed: usize,
    progress: Progress,
}

/// How far the last compaction was followed.
#[derive(Clone, Copy, Default)]
struct Progress {
    compacted: MainRevision,
    /// Writes of that very revision that were looked at. They stay: watchers may begin there.
    at_it: usize,
    done: bool,
}

/// A version and the record it went to.
pub(super) struct Write {
    pub(super) kv: Kv,
    pub(super) record: Record,
}

/// What came of looking at the oldest writes.
pub(super) struct Forgotten {
    /// How many they were, with those at the compaction.
    pub(super) looked_at: usize,
    /// Nobody sees these any more.
    pub(super) gone: Together<Kv>,
    /// Of records that hold no more than a tombstone that may go, too.
    pub(super) dead: Together<Write>,
}

impl History {
    /// Whether something may be left to do of a compaction at `compacted`.
    pub(super) fn is_behind(&self, compacted: MainRevision) -> bool {
        self.progress.compacted < compacted || !self.progress.done
    }

    /// Writes since the last go.
    pub(super) fn pushed(&self) -> usize {
        self.pushed
    }

    pub(super) fn push(&mut self, kv: Kv, record: Record) {
        self.writes.push_back(Write { kv, record });
        self.pushed += 1;
    }

    /// Takes out the oldest writes, a go of them, as far as a compaction at `compacted` covers them, and has their records forget what they
    /// took the place of. The same for those of that very revision, which stay.
    ///
    /// Step by step for all of them, not one after the other: the loads of a step do not depend on each other, so that the processor
    /// waits for all of them at once.
    pub(super) fn forget(&mut self, compacted: MainRevision) -> Forgotten {
        self.pushed = 0;
        if self.progress.compacted < compacted {
            self.progress = Progress { compacted, ..Progress::default() };
        }
        let oldest = self.writes.iter().take(FORGET_TOGETHER);
        let due = oldest.take_while(|write| write.kv.modified() < compacted).count();
        let writes: Together<Write> = self.writes.drain(..due).collect();
        writes.iter().for_each(|write| write.record.prefetch());
        let mut gone = Together::new();
        let is_dead = |write: &Write| write.record.forget(&write.kv, compacted, &mut gone);
        let dead = writes.into_iter().filter(is_dead).collect();
        let mut looked_at = due;
        for write in self.writes.range(self.progress.at_it..).take(FORGET_TOGETHER - due) {
            if write.kv.modified() != compacted {
                // More of that revision may come only to a history that is still being filled, and then nothing is behind it.
                self.progress.done = true;
                break;
            }
            write.record.forget(&write.kv, compacted, &mut gone);
            self.progress.at_it += 1;
            looked_at += 1;
        }
        Forgotten { looked_at, gone, dead }
    }

    /// Those of the revisions in `from..=to`; all of them are settled.
    pub(super) fn between(
        &self,
        from: MainRevision,
        to: MainRevision,
    ) -> impl Iterator<Item = &Kv> {
        let first = self.writes.partition_point(|write| write.kv.modified() < from);
        let after = self.writes.partition_point(|write| write.kv.modified() <= to);
        self.writes.range(first..after).map(|write| &write.kv)
    }
}

#[cfg(test)]
mod tests {
    use super::super::kv::Written;
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const KEYS: u8 = 5;

    /// What one request writes: keys, each put or deleted, one perhaps twice.
    fn request() -> impl Strategy<Value = Vec<(u8, bool)>> {
        vec((0..KEYS, any::<bool>()), 1..4)
    }

    fn version(key: u8, modified: MainRevision, sub: usize, is_put: bool) -> Kv {
        let version = i64::from(is_put);
        let written = Written { create: modified, modified, version, lease: 0, sub: sub as u32 };
        Kv::new(&[key], &[], written)
    }

    fn shown(record: &Record) -> Vec<(MainRevision, u32)> {
        let mut shown = Vec::new();
        record.each(&mut |kv| shown.push((kv.modified(), kv.sub())));
        shown
    }

    /// Of the versions of a key, ascending, those that somebody may see once a compaction at `compacted` is through.
    fn seen(versions: &[Kv], compacted: MainRevision) -> Vec<(MainRevision, u32)> {
        let next = |at: usize| versions.get(at + 1).map_or(MainRevision::MAX, Kv::modified);
        let kept = versions.iter().enumerate().filter(|(at, kv)| {
            next(*at) > compacted && !(kv.is_tombstone() && kv.modified() < compacted)
        });
        kept.map(|(_, kv)| (kv.modified(), kv.sub())).collect()
    }

    proptest! {
        /// Whatever was compacted before and whenever goes happened.
        #[test]
        fn what_nobody_sees_is_forgotten_and_nothing_else(
            steps in vec((vec(request(), 1..60), any::<prop::sample::Index>(), 0_usize..4), 1..6),
        ) {
            let mut history = History::default();
            let mut records: BTreeMap<u8, Record> = BTreeMap::new();
            let mut written: BTreeMap<u8, Vec<Kv>> = BTreeMap::new();
            let (mut revision, mut compacted, mut handed_over) = (1, 0, 0);
            for (requests, compact, goes) in steps {
                for (sub, (key, is_put)) in requests.iter().flat_map(|writes| writes.iter().enumerate()) {
                    revision += MainRevision::from(sub == 0);
                    let kv = version(*key, revision, sub, *is_put);
                    written.entry(*key).or_default().push(kv.clone());
                    let record = match records.get(key) {
                        Some(record) => {
                            prop_assert!(record.push(&kv));
                            record.clone()
                        }
                        None => records.entry(*key).or_insert(Record::new(kv.clone())).clone(),
                    };
                    history.push(kv, record);
                }
                compacted += 1 + compact.index((revision - compacted) as usize) as MainRevision;
                compacted = compacted.min(revision);
                // None said: as many as it takes.
                let mut left = goes;
                let mut is_more = true;
                while is_more && history.is_behind(compacted) && (left > 0 || goes == 0) {
                    left = left.saturating_sub(1);
                    let Forgotten { looked_at, gone, dead } = history.forget(compacted);
                    is_more = looked_at == FORGET_TOGETHER;
                    // Evenly, however many versions a key has: those before each write, and it itself if it is a tombstone.
                    prop_assert!(looked_at <= FORGET_TOGETHER && gone.len() <= 2 * looked_at);
                    handed_over += gone.len() + dead.len();
                    for write in &dead {
                        let key = write.kv.key()[0];
                        prop_assert!(records[&key].is_same(&write.record));
                        records.remove(&key);
                    }
                }
                if goes == 0 {
                    for (key, versions) in &written {
                        let shown = records.get(key).map(shown).unwrap_or_default();
                        prop_assert_eq!(shown, seen(versions, compacted));
                    }
                    let there: usize = records.values().map(|record| shown(record).len()).sum();
                    prop_assert_eq!(handed_over + there, written.values().map(Vec::len).sum::<usize>());
                }
            }
        }
    }
}
