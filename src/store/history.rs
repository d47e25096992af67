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
pub(super) struct History(VecDeque<Write>);

/// A version and the record it went to.
pub(super) struct Write {
    pub(super) kv: Kv,
    pub(super) record: Record,
}

/// What came of looking at the oldest writes.
pub(super) struct Forgotten {
    /// How many they were.
    pub(super) looked_at: usize,
    /// Nobody sees these any more.
    pub(super) gone: Together<Kv>,
    /// Of records that hold no more than a tombstone that may go, too.
    pub(super) dead: Together<Write>,
}

impl History {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, kv: Kv, record: Record) {
        self.0.push_back(Write { kv, record });
    }

    /// Takes out the oldest writes, a go of them, as far as a compaction at `compacted` covers them, and has their records forget.
    ///
    /// Step by step for all of them, not one after the other: the loads of a step do not depend on each other, so that the processor
    /// waits for all of them at once.
    pub(super) fn forget(&mut self, compacted: MainRevision) -> Forgotten {
        let oldest = self.0.iter().take(FORGET_TOGETHER);
        let due = oldest.take_while(|write| write.kv.modified() < compacted).count();
        let writes: Together<Write> = self.0.drain(..due).collect();
        writes.iter().for_each(|write| write.record.prefetch());
        let mut gone = Together::new();
        let dead = writes.into_iter().filter(|write| write.record.forget(compacted, &mut gone));
        let dead = dead.collect();
        Forgotten { looked_at: due, gone, dead }
    }

    /// Those of the revisions in `from..=to`; all of them are settled.
    pub(super) fn between(
        &self,
        from: MainRevision,
        to: MainRevision,
    ) -> impl Iterator<Item = &Kv> {
        let first = self.0.partition_point(|write| write.kv.modified() < from);
        let after = self.0.partition_point(|write| write.kv.modified() <= to);
        self.0.range(first..after).map(|write| &write.kv)
    }
}
