//! The revisions that one watcher was given, held against those that there were.

use crate::model::{Event, MainRevision};

/// The revisions that one watcher was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// The first one it should get.
    start: MainRevision,
    /// The one that should come next.
    pub(super) next: MainRevision,
    pub(super) revisions: u64,
    pub(super) compacted: u64,
    pub(super) misplaced: u64,
    /// Times it was resumed after a compaction.
    pub(super) resumed: u64,
}

impl Given {
    /// Nothing yet, from `start` on.
    pub(super) fn nothing(start: MainRevision) -> Given {
        Given { start, next: start, revisions: 0, compacted: 0, misplaced: 0, resumed: 0 }
    }

    /// The events of one revision came. Revisions have no holes, and who watches everything gets each of them.
    pub(super) fn take<'a>(
        &mut self,
        revision: MainRevision,
        events: impl IntoIterator<Item = &'a Event>,
    ) {
        let is_whole = events
            .into_iter()
            .enumerate()
            .all(|(place, event)| event.kv.mod_revision == revision && event.sub as usize == place);
        self.misplaced += u64::from(revision < self.next || !is_whole);
        self.revisions += u64::from(revision >= self.next);
        self.next = self.next.max(revision + 1);
    }

    /// A compaction took what is before `revision`. Gives where to go on.
    pub(super) fn resume(&mut self, revision: MainRevision) -> MainRevision {
        self.resumed += 1;
        self.compacted += u64::try_from(revision - self.next).unwrap_or(0);
        self.next = self.next.max(revision);
        self.next
    }

    /// Revisions there were for it, if it got as far as `reached`.
    pub(super) fn due(&self, reached: MainRevision) -> u64 {
        u64::try_from(reached + 1 - self.start).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventKind, KeyValue};

    fn events(revision: MainRevision, subs: &[u32]) -> Vec<Event> {
        let kv = KeyValue { mod_revision: revision, ..KeyValue::default() };
        let event =
            |sub: &u32| Event { kind: EventKind::Put, kv: kv.clone(), prev_kv: None, sub: *sub };
        subs.iter().map(event).collect()
    }

    /// How many of the revisions 5 to `reached` were due, came, and came wrong.
    fn given(revisions: &[MainRevision], reached: MainRevision) -> (u64, u64, u64) {
        let mut given = Given::nothing(5);
        revisions.iter().for_each(|revision| given.take(*revision, &events(*revision, &[0, 1])));
        (given.due(reached), given.revisions, given.misplaced)
    }

    #[test]
    fn what_is_missing_or_misplaced_is_counted() {
        assert_eq!(given(&[5, 6, 7], 7), (3, 3, 0));
        assert_eq!(given(&[5, 7], 7), (3, 2, 0), "a gap");
        assert_eq!(given(&[6, 7], 7), (3, 2, 0), "a gap at the beginning");
        assert_eq!(given(&[5, 6], 7), (3, 2, 0), "a gap at the end");
        assert_eq!(given(&[5, 6, 6, 7], 7), (3, 3, 1), "a duplicate");
        assert_eq!(given(&[5, 7, 6], 7), (3, 2, 1), "out of order");
        assert_eq!(given(&[5, 5, 7], 7), (3, 2, 1), "a duplicate does not fill a gap");
    }

    #[test]
    fn events_of_a_revision_come_together_and_in_order() {
        let misplaced = |subs: &[u32], of: MainRevision| {
            let mut given = Given::nothing(5);
            given.take(5, &events(of, subs));
            given.misplaced
        };
        assert_eq!(misplaced(&[0, 1, 2], 5), 0);
        for wrong in [&[1, 0][..], &[0, 2], &[1], &[0, 0]] {
            assert_eq!(misplaced(wrong, 5), 1, "{wrong:?}");
        }
        assert_eq!(misplaced(&[0], 6), 1, "an event of another revision");
    }

    #[test]
    fn what_a_compaction_took_is_counted_apart() {
        let mut given = Given::nothing(5);
        given.take(5, &events(5, &[0]));
        assert_eq!(given.resume(9), 9);
        given.take(9, &events(9, &[0]));
        assert_eq!((given.due(9), given.revisions, given.compacted), (5, 2, 3));
        assert_eq!((given.resumed, given.misplaced), (1, 0));
    }
}
