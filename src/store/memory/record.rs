//! The versions of one key. Its own small lock lets an interval be read without the locks of the shards it crosses; who
//! writes holds the shard's lock too. The key itself is only in its versions: whoever looks at a record goes on to the
//! newest one anyway, and there are as many records as keys.

use crate::model::MainRevision;
use crate::store::ahead::prefetch;
use crate::store::kv::Kv;
use crate::store::look::At;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use triomphe::Arc;

/// Room for so many older versions is made when there is more than one.
const FEW: usize = 4;

/// A key and its versions, all of the same key.
#[derive(Clone)]
pub(super) struct Record(Arc<Mutex<Versions>>);

/// Invariant: `older` ascends by revision and ends below `newest`.
struct Versions {
    newest: Kv,
    older: Older,
}

/// What came before the newest. Most keys have at most one such version within the history that is kept, so one needs no
/// memory of its own: following a pointer to it would cost more than all the rest of a write.
enum Older {
    None,
    One(Kv),
    #[expect(clippy::box_collection, reason = "a word instead of four, for every key there is")]
    Many(Box<VecDeque<Kv>>),
}

impl Record {
    pub(super) fn new(kv: Kv) -> Record {
        Record(Arc::new(Mutex::new(Versions { newest: kv, older: Older::None })))
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
            Older::None => {}
            Older::One(kv) => visit(kv),
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
        match std::mem::replace(older, Older::None) {
            Older::None => {}
            Older::One(kv) => gone.extend([kv]),
            Older::Many(many) => gone.extend(*many),
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

impl Older {
    fn push(&mut self, kv: Kv) {
        *self = match std::mem::replace(self, Older::None) {
            Older::None => Older::One(kv),
            Older::One(first) => {
                let mut many = VecDeque::with_capacity(FEW);
                many.extend([first, kv]);
                Older::Many(Box::new(many))
            }
            Older::Many(mut many) => {
                many.push_back(kv);
                Older::Many(many)
            }
        };
    }

    /// The newest that a reader at `at` sees.
    fn seen(&self, at: At) -> Option<&Kv> {
        match self {
            Older::None => None,
            Older::One(kv) => at.sees(kv.modified()).then_some(kv),
            Older::Many(many) => {
                let after = many.partition_point(|kv| at.sees(kv.modified()));
                many.get(after.checked_sub(1)?)
            }
        }
    }

    /// Keeps the last version up to `revision`, which a reader there sees, unless it is an older tombstone; and what follows it.
    fn forget(&mut self, revision: MainRevision, gone: &mut impl Extend<Kv>) {
        let is_over = |kv: &Kv| kv.is_tombstone() && kv.modified() < revision;
        match std::mem::replace(self, Older::None) {
            Older::None => {}
            Older::One(kv) if is_over(&kv) => gone.extend([kv]),
            Older::One(kv) => *self = Older::One(kv),
            Older::Many(mut many) => {
                // The second is the version whose turn it is, or follows what was forgotten right before: in the caches either way.
                while many.get(1).is_some_and(|next| next.modified() <= revision) {
                    gone.extend(many.pop_front());
                }
                gone.extend(many.pop_front_if(|kv| is_over(kv)));
                *self = match many.len() {
                    0 => Older::None,
                    1 => many.pop_front().map_or(Older::None, Older::One),
                    few => {
                        if many.capacity() > 8 * few {
                            many.shrink_to(2 * few);
                        }
                        Older::Many(many)
                    }
                };
            }
        }
    }
}
