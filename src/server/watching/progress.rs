//! The progress of a whole stream: the revision up to which every watch on it has told everything. Each watch is asked;
//! the answer is the least of what they say.

use crate::model::MainRevision;
use std::collections::HashSet;

/// A question to all watches that is not answered yet.
pub(super) struct Asked {
    open: HashSet<i64>,
    revision: MainRevision,
}

impl Asked {
    /// To these watches, when the store is at `revision`.
    pub(super) fn of(watches: impl Iterator<Item = i64>, revision: MainRevision) -> Asked {
        Asked { open: watches.collect(), revision }
    }

    /// Watch `id` has told everything up to `revision`; false if it was not asked.
    pub(super) fn told(&mut self, id: i64, revision: MainRevision) -> bool {
        let was_asked = self.open.remove(&id);
        if was_asked {
            self.revision = self.revision.min(revision);
        }
        was_asked
    }

    /// Watch `id` is no more.
    pub(super) fn gone(&mut self, id: i64) {
        self.open.remove(&id);
    }

    /// The answer, once every watch has spoken.
    pub(super) fn answer(&self) -> Option<MainRevision> {
        self.open.is_empty().then_some(self.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_the_least_once_all_have_spoken() {
        let mut asked = Asked::of([1, 2, 3].into_iter(), 9);
        assert!(asked.told(1, 12) && asked.told(2, 7) && !asked.told(5, 1));
        assert_eq!(asked.answer(), None);
        asked.gone(3);
        assert_eq!(asked.answer(), Some(7));
        assert_eq!(Asked::of([].into_iter(), 4).answer(), Some(4));
    }
}
