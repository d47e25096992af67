//! Looking at the key space: now, for whoever holds the locks, or as of a revision, for everybody else.

use super::kv::Kv;
use crate::model::{Interval, MainRevision};

/// When to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// The newest state, published or not. Only for who holds the locks of what is looked at.
    Now,
    /// As of a published revision.
    Revision(MainRevision),
}

impl At {
    /// Whether a version written at `modified` is there.
    pub(super) fn sees(self, modified: MainRevision) -> bool {
        match self {
            At::Now => true,
            At::Revision(revision) => modified <= revision,
        }
    }
}

/// A key space to look at.
pub(super) trait Look {
    /// The live version of `key`.
    fn get(&self, key: &[u8], at: At) -> Option<Kv>;

    /// Visits the live versions of the keys from `from` on, below `end` if given, ascending, until `visit` says stop; nothing for a key
    /// that is known but not there at that time.
    fn scan(&self, from: &[u8], end: Option<&[u8]>, at: At, visit: EachKey<'_>);

    /// Visits whatever lives in `interval`.
    fn each(&self, interval: &Interval, at: At, visit: &mut dyn FnMut(Kv) -> Flow) {
        self.walk(interval, at, &mut |kv| kv.map_or(Flow::On, &mut *visit));
    }

    /// Visits whatever lives in `interval`, and nothing for each key of it that is known but not there at that time.
    fn walk(&self, interval: &Interval, at: At, visit: EachKey<'_>) {
        if interval.is_point() {
            visit(self.get(&interval.key, at));
        } else if !interval.is_empty() {
            self.scan(&interval.key, interval.end(), at, visit);
        }
    }
}

/// Sees keys one after the other.
pub(super) type EachKey<'a> = &'a mut dyn FnMut(Option<Kv>) -> Flow;

/// Whether a visit goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// To the next key.
    On,
    /// No further.
    Stop,
}
