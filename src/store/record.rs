//! The versions of one key. Its own small lock lets an interval be read without the locks of the shards it crosses; who
//! adds a version or takes the record out holds the lock of the table that it is in, too. The key itself is only in its versions: whoever looks at a record goes on to the
//! newest one anyway, and there are as many records as keys.

use super::ahead::prefetch;
use super::kv::Kv;
use super::look::At;
use crate::model::MainRevision;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use triomphe::Arc;

/// Older versions that lie in the record.
const FEW: usize = 3;

/// A key and its versions, all of the same key.
#[derive(Clone)]
pub(super) struct Record(Arc<Mutex<Versions>>);

/// Invariant: `older` ascends by revision and ends below `newest`.
struct Versions {
    newest: Kv,
    older: Older,
}

/// What came before the newest, oldest first. Most keys have few such versions within the history that is kept, so these need no
/// memory of their own: following a pointer to it would cost more than all the rest of a write.
enum Older {
    /// Without gaps.
    Few([Option<Kv>; FEW]),
    Many(VecDeque<Kv>),
}

impl Record {
    pub(super) fn new(kv: Kv) -> Record {
        Record(Arc::new(Mutex::new(Versions { newest: kv, older: Older::default() })))
    }

    /// The newest version, tombstone or not: it knows the key.
    pub(super) fn newest(&self) -> Kv {
        self.versions().newest.clone()
    }

    /// Whether both are the same record, not just records of equal keys.
    pub(super) fn is_same(&self, other: &Record) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn versions(&self) -> MutexGuard<'_, Versions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version a reader at `at` sees, if the key lives there.
    pub(super) fn live(&self, at: At) -> Option<Kv> {
        self.versions().live(at)
    }

    /// The same if it is of `key`; none if it is of another.
    pub(super) fn live_of(&self, key: &[u8], at: At) -> Option<Option<Kv>> {
        let versions = self.versions();
        (versions.newest.key() == key).then(|| versions.live(at))
    }

    /// Visits all versions, the oldest first.
    pub(super) fn each(&self, visit: &mut dyn FnMut(&Kv)) {
        let versions = self.versions();
        match &versions.older {
            Older::Few(few) => few.iter().flatten().for_each(&mut *visit),
            Older::Many(many) => many.iter().for_each(&mut *visit),
        }
        visit(&versions.newest);
    }

    /// Adds a newer version if it is of this key, and says whether it is.
    pub(super) fn push(&self, kv: &Kv) -> bool {
        let mut versions = self.versions();
        let is_of_it = versions.newest.key() == kv.key();
        if is_of_it {
            let superseded = std::mem::replace(&mut versions.newest, kv.clone());
            versions.older.push(superseded);
        }
        is_of_it
    }

    /// Puts an equal version in the place of `kv`, if it is here, and says whether it is.
    #[cfg(feature = "rocksdb")]
    pub(super) fn replace(&self, kv: &Kv, by: &Kv) -> bool {
        let mut versions = self.versions();
        let Versions { newest, older } = &mut *versions;
        // From the newest on: it was written a moment ago.
        let mut newest_first = std::iter::once(newest).chain(older.iter_mut().rev());
        let present = newest_first.find(|present| present.is_same(kv));
        present.map(|present| *present = by.clone()).is_some()
    }

    /// Has it brought into the caches, and does not wait for it.
    pub(super) fn prefetch(&self) {
        prefetch(&*self.0);
    }

    /// Has its newest version brought into the caches, and does not wait for that.
    pub(super) fn prefetch_newest(&self) {
        self.versions().newest.prefetch();
    }

    /// Hands over to `gone` what readers from `revision` on cannot see, and says whether what is left may go, too. A tombstone of that
    /// very revision stays: watchers may begin there.
    pub(super) fn forget(&self, revision: MainRevision, gone: &mut impl Extend<Kv>) -> bool {
        let mut versions = self.versions();
        let Versions { newest, older } = &mut *versions;
        if newest.modified() > revision {
            older.forget(revision, gone);
            return false;
        }
        match std::mem::take(older) {
            Older::Few(few) => gone.extend(few.into_iter().flatten()),
            Older::Many(many) => gone.extend(many),
        }
        newest.is_tombstone() && newest.modified() < revision
    }
}

impl Versions {
    fn live(&self, at: At) -> Option<Kv> {
        let seen = match at.sees(self.newest.modified()) {
            true => &self.newest,
            false => self.older.seen(at)?,
        };
        (!seen.is_tombstone()).then(|| seen.clone())
    }
}

impl Default for Older {
    fn default() -> Older {
        Older::Few([const { None }; FEW])
    }
}

impl Older {
    fn push(&mut self, kv: Kv) {
        match self {
            Older::Few(few) => match few.iter_mut().find(|place| place.is_none()) {
                Some(free) => *free = Some(kv),
                None => {
                    let mut many = VecDeque::with_capacity(2 * FEW);
                    many.extend(few.iter_mut().filter_map(Option::take).chain([kv]));
                    *self = Older::Many(many);
                }
            },
            Older::Many(many) => many.push_back(kv),
        }
    }

    #[cfg(feature = "rocksdb")]
    fn iter_mut(&mut self) -> Box<dyn DoubleEndedIterator<Item = &mut Kv> + '_> {
        match self {
            Older::Few(few) => Box::new(few.iter_mut().flatten()),
            Older::Many(many) => Box::new(many.iter_mut()),
        }
    }

    /// The newest that a reader at `at` sees.
    fn seen(&self, at: At) -> Option<&Kv> {
        match self {
            Older::Few(few) => few.iter().rev().flatten().find(|kv| at.sees(kv.modified())),
            Older::Many(many) => {
                let after = many.partition_point(|kv| at.sees(kv.modified()));
                many.get(after.checked_sub(1)?)
            }
        }
    }

    /// Keeps the last version up to `revision`, which a reader there sees, unless it is an older tombstone; and what follows it.
    fn forget(&mut self, revision: MainRevision, gone: &mut impl Extend<Kv>) {
        // What follows is the version whose turn it is, or follows what was forgotten right before: in the caches either way.
        let is_over = |kv: &Kv, next: Option<&Kv>| match next {
            Some(next) if next.modified() <= revision => true,
            _ => kv.is_tombstone() && kv.modified() < revision,
        };
        match self {
            Older::Few(few) => {
                let over = |at: &usize| {
                    let next = few.get(at + 1).and_then(Option::as_ref);
                    few[*at].as_ref().is_some_and(|kv| is_over(kv, next))
                };
                let over = (0..FEW).take_while(over).count();
                gone.extend(few[..over].iter_mut().filter_map(Option::take));
                few.rotate_left(over);
            }
            Older::Many(many) => {
                while many.front().is_some_and(|kv| is_over(kv, many.get(1))) {
                    gone.extend(many.pop_front());
                }
                if many.len() <= 1 {
                    let mut few = [const { None }; FEW];
                    few[0] = many.pop_front();
                    *self = Older::Few(few);
                } else if many.capacity() > 8 * many.len() {
                    many.shrink_to(2 * many.len());
                }
            }
        }
    }
}
