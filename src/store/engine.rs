//! What a path needs of whatever keeps the versions. An engine knows nothing of requests: it adds versions, looks
//! them up, and keeps what it is told to keep.

use super::effects::{AlarmChange, Change, LeaseChange};
use super::kv::{Kv, Written};
use super::look::{At, EachKey};
use crate::measure::lock::Visit;
use crate::model::{Alarm, LeaseId, MainRevision, Position};
use std::borrow::Cow;

/// What is done with a part, under whatever lock guards it.
pub(super) type Show<'a, P> = &'a mut (dyn FnMut(&P) + 'a);

/// The same, for changing it.
pub(super) type Tend<'a, P> = &'a mut (dyn FnMut(&mut P) + 'a);

/// A key with its hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashed<'a> {
    pub(super) key: &'a [u8],
    pub(super) hash: u64,
}

/// Keeps versions of keys.
pub(super) trait Engine: Send + Sync + 'static {
    /// What one lock guards: the keys of one shard, as far as the engine keeps them apart.
    type Part: Send + 'static;

    /// What evaluating one put takes, roughly, ns: decides from how many requests on workers are worth waking.
    const EVALUATE_NS: f64;

    /// Whether [`Engine::prefetch`] does anything.
    const PREFETCHES: bool = false;

    /// A part without keys.
    fn part(&self) -> Self::Part;

    /// The live version of a key of `part`, for who holds its lock.
    fn get(&self, part: &Self::Part, key: Hashed<'_>, at: At) -> Option<Kv>;

    /// Has what writes to keys of these parts and hashes will look at brought into the caches.
    fn prefetch<'a>(&self, _keys: impl Iterator<Item = (&'a Self::Part, u64)>) {}

    /// Visits live versions from `from` on, below `end`, ascending, and nothing for a key that is not there at that time. With [`At::Now`], for who holds all locks; as of a published revision,
    /// for everybody.
    fn scan(&self, from: &[u8], end: Option<&[u8]>, at: At, visit: EachKey<'_>);

    /// A version of a key, not added yet.
    fn version(&self, key: Hashed<'_>, value: Cow<'_, [u8]>, written: Written) -> Kv {
        Kv::new(key.key, value, written)
    }

    /// Makes `kv` the newest version of its key.
    fn add(&self, part: &mut Self::Part, hash: u64, kv: Kv);

    /// Has all keys in order, so that no request waits for that. Said once what was kept is back.
    fn sort(&self);

    /// Keeps what was done since the last commit. Called in the order of revisions, by one thread at a time, before
    /// readers may see it. Not keeping it is no option: a failure ends the process.
    fn commit(&self, commit: &Commit<'_>);

    /// As [`Engine::get`] for a reader at a published revision, which goes to `part` only if the engine keeps keys there.
    fn read(
        &self,
        part: &dyn Fn(u64, Show<'_, Self::Part>),
        key: Hashed<'_>,
        revision: MainRevision,
    ) -> Option<Kv>;

    /// From now on nobody looks at versions that were superseded at `revision` or before, so they may be forgotten, at once or
    /// by and by. Nothing is uncommitted.
    fn compact(&self, revision: MainRevision);

    /// Forgets at once what may be forgotten by and by.
    fn defragment(&self, each_part: &mut dyn FnMut(Tend<'_, Self::Part>));

    /// Bytes of the versions that are held, forgotten ones excluded.
    fn held_bytes(&self) -> u64;

    /// Every version and tombstone written in `from..=to` and not forgotten, in any order; `to` is published. An engine that
    /// keeps them in its parts finds them through `each_part`.
    fn changes(
        &self,
        each_part: &mut dyn FnMut(Show<'_, Self::Part>),
        from: MainRevision,
        to: MainRevision,
    ) -> Vec<Kv>;

    /// Visits every version and tombstone up to `revision`, which is published, that is not forgotten, oldest first, until `visit` says
    /// no. Compactions wait meanwhile.
    fn versions(&self, revision: MainRevision, visit: &mut dyn FnMut(&Kv) -> bool);

    /// Shows the locks it has of its own.
    fn visit_locks(&self, visit: Visit<'_>);

    /// Whether an apply batch is committed as a whole, not request by request.
    fn commits_batches(&self) -> bool;
}

/// What is to be kept together.
#[cfg_attr(not(feature = "rocksdb"), expect(dead_code, reason = "memory keeps nothing"))]
#[derive(Debug)]
pub(super) struct Commit<'a> {
    /// Settled, in the order of their revisions.
    pub(super) changes: &'a [Change],
    /// In the order of the log.
    pub(super) leases: &'a [LeaseChange],
    /// With nothing else if there is one.
    pub(super) alarm: AlarmChange,
    /// Revision of the store after it.
    pub(super) revision: MainRevision,
    /// Revision of the last compaction, 0 if none.
    pub(super) compacted: MainRevision,
    /// The last command it contains.
    pub(super) position: Position,
}

/// What an engine had kept when it was opened.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Revision of the store; 0 if nothing was kept.
    pub(super) revision: MainRevision,
    pub(super) compacted: MainRevision,
    pub(super) position: Position,
    /// Leases with their times to live, seconds.
    pub(super) leases: Vec<(LeaseId, i64)>,
    /// Keys that hang on a lease.
    pub(super) attached: Vec<(LeaseId, Vec<u8>)>,
    pub(super) alarms: Vec<Alarm>,
    /// Versions that a path has yet to add, oldest first; none if the engine has them.
    pub(super) versions: Vec<Kv>,
}
