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

    /// Hands over to `gone` what `written`, a version of this key that a compaction at `compacted` covers, had taken the place of, and itself
    /// if it is a tombstone from before that: one of that very revision stays, since watchers may begin there. Says whether the record may
    /// go, too, with that tombstone.
    ///
    /// Which is which is seen by where versions are, not by what they say: nothing is waited for.
    pub(super) fn forget(
        &self,
        written: &Kv,
        compacted: MainRevision,
        gone: &mut impl Extend<Kv>,
    ) -> bool {
        let mut versions = self.versions();
        let Versions { newest, older } = &mut *versions;
        let may_go = written.is_tombstone() && written.modified() < compacted;
        if newest.is_same(written) {
            older.forget(older.len(), gone);
            return may_go;
        }
        if let Some(before) = older.position(written) {
            older.forget(before + usize::from(may_go), gone);
        }
        false
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

    fn len(&self) -> usize {
        match self {
            Older::Few(few) => few.iter().flatten().count(),
            Older::Many(many) => many.len(),
        }
    }

    /// How many came before `kv`; none if it is not here.
    fn position(&self, kv: &Kv) -> Option<usize> {
        match self {
            Older::Few(few) => few.iter().flatten().position(|other| other.is_same(kv)),
            Older::Many(many) => many.iter().position(|other| other.is_same(kv)),
        }
    }

    /// Hands the first `count` over to `gone`.
    fn forget(&mut self, count: usize, gone: &mut impl Extend<Kv>) {
        match self {
            Older::Few(few) => {
                gone.extend(few[..count].iter_mut().filter_map(Option::take));
                few.rotate_left(count);
            }
            Older::Many(many) => {
                // Mostly one: a drain takes longer to set up.
                (0..count).for_each(|_| gone.extend(many.pop_front()));
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
