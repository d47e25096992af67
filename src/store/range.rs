//! Reading an interval: filters, order, limit, count. What it finds stays a list of versions until the answer is
//! made, since revisions may still be stamps.

use super::kv::Kv;
use super::look::{At, Flow, Look};
use crate::model::{KeyValue, MainRevision, Range, RangeResult, Refusal, SortOrder, SortTarget};

/// What a range found.
#[derive(Debug, Default)]
pub(super) struct Found {
    kvs: Vec<Kv>,
    keys_only: bool,
    more: bool,
    count: i64,
}

/// What a range found, where the store has it: a pointer for each key, and nothing is copied of what lies in memory. What compactions
/// forget meanwhile stays as long as this is held. Values that an engine keeps on disk are read when it is made.
#[derive(Debug)]
pub struct HeldRange(Found);

impl HeldRange {
    /// Whether there are more than its limit let through.
    pub fn more(&self) -> bool {
        self.0.more
    }

    /// Keys of the interval, whatever the limit and filters.
    pub fn count(&self) -> i64 {
        self.0.count
    }

    /// A copy of each key in turn, which is held no longer then.
    pub fn into_key_values(self) -> impl Iterator<Item = KeyValue> {
        let Found { kvs, keys_only, .. } = self.0;
        kvs.into_iter().map(move |kv| shown(&kv, keys_only))
    }

    /// The numbers of each key, and how long the key and what is told of its value are, bytes.
    pub fn lengths(&self) -> impl Iterator<Item = (KeyValue, usize, usize)> {
        let value_bytes = |kv: &Kv| if self.0.keys_only { 0 } else { kv.value_bytes() };
        self.0.kvs.iter().map(move |kv| (kv.numbers_only(), kv.key().len(), value_bytes(kv)))
    }
}

/// How far a range may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Keys that are walked over, whether they are shown or not, and those that were deleted or came later, as long as the store knows them.
    pub keys: usize,
    /// Bytes of values that are held on the way.
    pub value_bytes: usize,
}

impl Portion {
    /// As far as it goes.
    const ALL: Portion = Portion { keys: usize::MAX, value_bytes: usize::MAX };

    fn exceeds(self, portion: Portion) -> bool {
        self.keys > portion.keys || self.value_bytes > portion.value_bytes
    }
}

/// The revisions that may be named in a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// None after this one.
    pub(super) current: MainRevision,
    /// None before this one.
    pub(super) compacted: MainRevision,
}

impl Bounds {
    /// When a range looks, or why it may not; `now` is what "now" means to it.
    pub(super) fn at(self, revision: MainRevision, now: At) -> Result<At, Refusal> {
        match revision {
            ..=0 => Ok(now),
            _ if revision > self.current => Err(Refusal::FutureRevision),
            _ if revision < self.compacted => Err(Refusal::Compacted),
            _ => Ok(At::Revision(revision)),
        }
    }
}

/// Reads what `range` asks for, as of `at`.
pub(super) fn find(look: &impl Look, range: &Range, at: At) -> Found {
    find_within(Portion::ALL, look, range, at).expect("it has no end")
}

/// The same, unless that is more than `portion`: then it stops at the key that is too much.
pub(super) fn find_within(
    portion: Portion,
    look: &impl Look,
    range: &Range,
    at: At,
) -> Option<Found> {
    let limit = usize::try_from(range.limit).ok().filter(|limit| *limit > 0);
    // One more than the limit shows that there is more.
    let fetch = match limit.filter(|_| !must_fetch_all(range)) {
        _ if range.count_only => 0,
        Some(limit) => limit + 1,
        None => usize::MAX,
    };
    let mut found = Found { keys_only: range.keys_only, ..Found::default() };
    let mut walked = Portion { keys: 0, value_bytes: 0 };
    look.walk(&range.interval, at, &mut |kv| {
        walked.keys += 1;
        if let Some(kv) = kv {
            found.count += 1;
            if found.kvs.len() < fetch {
                walked.value_bytes += if range.keys_only { 0 } else { kv.value_bytes() };
                found.kvs.push(kv);
            }
        }
        if walked.exceeds(portion) { Flow::Stop } else { Flow::On }
    });
    if walked.exceeds(portion) {
        return None;
    }
    if range.count_only {
        return Some(found);
    }
    if has_filters(range) {
        found.kvs.retain(|kv| passes(range, kv));
    }
    if range.sort_target == SortTarget::Value {
        found.take_down();
    }
    sort(&mut found.kvs, range);
    found.more = limit.is_some_and(|limit| found.kvs.len() > limit);
    found.kvs.truncate(limit.unwrap_or(usize::MAX));
    if !range.keys_only {
        found.take_down();
    }
    Some(found)
}

/// Whether the limit can only be laid on what all of the interval gave. As in etcd, a target without an order is no
/// reason: it then sorts no more than the limit would show, and one.
fn must_fetch_all(range: &Range) -> bool {
    range.sort_order != SortOrder::None || has_filters(range)
}

fn has_filters(range: &Range) -> bool {
    filters(range).iter().any(|bound| *bound != 0)
}

/// The literals of a range that are compared with revisions of keys.
pub(super) fn filters(range: &Range) -> [MainRevision; 4] {
    [
        range.min_mod_revision,
        range.max_mod_revision,
        range.min_create_revision,
        range.max_create_revision,
    ]
}

fn passes(range: &Range, kv: &Kv) -> bool {
    let within = |number, min, max| (min == 0 || number >= min) && (max == 0 || number <= max);
    within(kv.modified(), range.min_mod_revision, range.max_mod_revision)
        && within(kv.create(), range.min_create_revision, range.max_create_revision)
}

/// Stable, and keys come ascending, so equals stay in the order of their keys. A target without an order means
/// ascending, as in etcd. Stamps sort like the revisions they stand for.
fn sort(kvs: &mut [Kv], range: &Range) {
    let compare = |a: &Kv, b: &Kv| match range.sort_target {
        SortTarget::Key => a.key().cmp(b.key()),
        SortTarget::Version => a.version().cmp(&b.version()),
        SortTarget::Create => a.create().cmp(&b.create()),
        SortTarget::Mod => a.modified().cmp(&b.modified()),
        SortTarget::Value => a.value().cmp(&b.value()),
    };
    match range.sort_order {
        SortOrder::None | SortOrder::Ascend if range.sort_target == SortTarget::Key => {}
        SortOrder::Descend => kvs.sort_by(|a, b| compare(b, a)),
        SortOrder::Ascend | SortOrder::None => kvs.sort_by(compare),
    }
}

impl Found {
    /// Whoever reads a value later might come after a compaction.
    fn take_down(&mut self) {
        let kvs = std::mem::take(&mut self.kvs);
        self.kvs = kvs.into_iter().map(Kv::taken_down).collect();
    }

    /// As the client gets it; stamps must be settled.
    pub(super) fn result(self) -> RangeResult {
        let kvs: Vec<KeyValue> = self.kvs.iter().map(|kv| shown(kv, self.keys_only)).collect();
        RangeResult { kvs, more: self.more, count: self.count }
    }

    /// For a client that gets it by and by; stamps must be settled.
    pub(super) fn held(self) -> HeldRange {
        HeldRange(self)
    }
}

fn shown(kv: &Kv, keys_only: bool) -> KeyValue {
    if keys_only { kv.without_value() } else { kv.key_value() }
}
