//! The versions of one key. Its own small lock lets an interval be read without the locks of the shards it crosses; who
//! writes holds the shard's lock too. The key itself is only in its versions: whoever looks at a record goes on to the
//! newest one anyway, and there are as many records as keys.

use crate::model::MainRevision;
use crate::store::kv::Kv;
use crate::store::look::At;
use crate::store::size;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use triomphe::Arc;

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

/// What came of forgetting.
pub(super) struct Forgotten {
    /// Of the versions that are gone.
    pub(super) bytes: u64,
    /// Whether what is left may go, too.
    pub(super) is_dead: bool,
}

impl Record {
    pub(super) fn new(kv: Kv) -> Record {
        Record(Arc::new(Mutex::new(Versions { newest: kv, older: Older::None })))
    }

    /// Whether it is of `key`.
    pub(super) fn is_of(&self, key: &[u8]) -> bool {
        self.versions().newest.key() == key
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
        let versions = self.versions();
        let seen = match at.sees(versions.newest.modified()) {
            true => &versions.newest,
            false => versions.older.seen(at)?,
        };
        (!seen.is_tombstone()).then(|| seen.clone())
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

    /// Adds a newer version.
    pub(super) fn push(&self, kv: Kv) {
        let mut versions = self.versions();
        let superseded = std::mem::replace(&mut versions.newest, kv);
        versions.older.push(superseded);
    }

    /// Forgets what readers from `revision` on cannot see, and says whether that is everything. A tombstone of that very revision
    /// stays: watchers may begin there.
    pub(super) fn forget(&self, revision: MainRevision) -> Forgotten {
        let mut versions = self.versions();
        if versions.newest.modified() <= revision {
            let older = std::mem::replace(&mut versions.older, Older::None);
            let newest = &versions.newest;
            let is_dead = newest.is_tombstone() && newest.modified() < revision;
            return Forgotten { bytes: older.bytes(), is_dead };
        }
        Forgotten { bytes: versions.older.forget(revision), is_dead: false }
    }
}

impl Older {
    fn bytes(&self) -> u64 {
        match self {
            Older::None => 0,
            Older::One(kv) => size::of_version(kv),
            Older::Many(many) => many.iter().map(size::of_version).sum(),
        }
    }

    fn push(&mut self, kv: Kv) {
        *self = match std::mem::replace(self, Older::None) {
            Older::None => Older::One(kv),
            Older::One(first) => Older::Many(Box::new(VecDeque::from([first, kv]))),
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
    /// Says of how many bytes that was.
    fn forget(&mut self, revision: MainRevision) -> u64 {
        let is_over = |kv: &Kv| kv.is_tombstone() && kv.modified() < revision;
        match self {
            Older::One(kv) if is_over(kv) => std::mem::replace(self, Older::None).bytes(),
            Older::None | Older::One(_) => 0,
            Older::Many(many) => {
                let covered = many.partition_point(|kv| kv.modified() <= revision);
                let gone = many.drain(..covered.saturating_sub(1));
                let mut bytes = gone.map(|kv| size::of_version(&kv)).sum();
                if let Some(tombstone) = many.pop_front_if(|kv| is_over(kv)) {
                    bytes += size::of_version(&tombstone);
                }
                match many.len() {
                    0 => *self = Older::None,
                    1 => *self = many.pop_front().map_or(Older::None, Older::One),
                    few if many.capacity() > 8 * few => many.shrink_to(2 * few),
                    _ => {}
                }
                bytes
            }
        }
    }
}
