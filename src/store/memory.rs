//! The engine that keeps everything in memory. A part is a hash table from key to its record, so that looking up a key takes
//! one probe whatever the number of keys; one ordered index over all records serves intervals. A record holds the
//! versions of its key, newest apart from the rest, since that is what is asked for.
//!
//! New keys wait in a list and enter the index when an interval is next walked: a load without ranges does not pay for
//! the order.
//!
//! Caveats: nothing is kept across a restart; the log is replayed. Who walks first after a million new keys sorts them, 0.4 s.

use super::ahead::Group;
use super::engine::{Commit, Engine, Hashed, Show, Tend};
use super::history::{FORGET_TOGETHER, Forgotten, History};
use super::index::Index;
use super::kv::{Kv, Written};
use super::look::{At, EachKey, Flow};
use super::record::Record;
use super::size::{self, Striped};
use super::spare::Spares;
use crate::measure::lock::Visit;
use crate::measure::stage::Probe;
use crate::model::MainRevision;
use hashbrown::HashTable;
use std::borrow::Cow;
use std::sync::atomic::{AtomicI64, Ordering};

/// Keys in memory.
pub(super) struct Memory {
    index: Index,
    hash_seed: u64,
    compacted: AtomicI64,
    held: Striped,
    spares: Spares,
}

/// Goes one after the other when all are forgotten: then the part's lock is let go for a moment.
const GOES_AT_ONCE: usize = 64;

/// Writes to a part from one go to the next, at least: one fewer than a go forgets. So there is a spare for each write, and a backlog shrinks
/// by one for each go.
const WRITES_PER_GO: usize = FORGET_TOGETHER - 1;

/// The keys of one shard.
#[derive(Default)]
pub(super) struct Part {
    records: HashTable<Record>,
    written: History,
}

impl Memory {
    /// No keys. `hash_seed` is what keys are hashed with.
    pub(super) fn new(hash_seed: u64, probe: Probe) -> Memory {
        Memory {
            index: Index::new(probe),
            hash_seed,
            compacted: AtomicI64::new(0),
            held: Striped::default(),
            spares: Spares::default(),
        }
    }

    fn hash(&self, key: &[u8]) -> u64 {
        super::hash(key, self.hash_seed)
    }

    /// Looks at the oldest versions that were written to `part`, a go of them, as far as the compaction covers them; says whether it
    /// may cover more. `stripe`: where bytes are counted.
    fn forget(&self, part: &mut Part, stripe: u64) -> bool {
        let compacted = self.compacted.load(Ordering::Acquire);
        if !part.written.is_behind(compacted) {
            return false;
        }
        let Forgotten { looked_at, mut gone, dead } = part.written.forget(compacted);
        for write in dead {
            if part.remove(self.hash(write.kv.key()), &write.record) {
                self.index.remove(&write.record);
                gone.push(write.record.newest());
            }
        }
        self.held.subtract(stripe, gone.iter().map(size::of_version).sum());
        self.spares.give(stripe, gone.into_iter());
        looked_at == FORGET_TOGETHER
    }
}

impl Engine for Memory {
    type Part = Part;
    const EVALUATE_NS: f64 = 800.0;
    const PREFETCHES: bool = true;

    fn part(&self) -> Part {
        Part::default()
    }

    fn get(&self, part: &Part, key: Hashed<'_>, at: At) -> Option<Kv> {
        let mut live = None;
        part.records.find(key.hash, |record| match record.live_of(key.key, at) {
            Some(of_key) => {
                live = of_key;
                true
            }
            None => false,
        });
        live
    }

    fn prefetch<'a>(&self, keys: impl Iterator<Item = (&'a Part, u64)>) {
        // Whichever record comes first: that it is of another key is rare, and does no harm.
        let find = |(part, hash): (&'a Part, u64)| part.records.find(hash, |_| true);
        let records: Group<&Record> =
            keys.filter_map(find).inspect(|record| record.prefetch()).collect();
        records.iter().for_each(|record| record.prefetch_newest());
    }

    fn scan(&self, from: &[u8], end: Option<&[u8]>, at: At, visit: EachKey<'_>) {
        self.index.scan(from, end, &mut |record| visit(record.live(at)));
    }

    fn version(&self, key: Hashed<'_>, value: Cow<'_, [u8]>, written: Written) -> Kv {
        let spare = Kv::may_lie_behind(&value).then(|| self.spares.take(key.hash)).flatten();
        Kv::over(spare, key.key, value, written)
    }

    fn add(&self, part: &mut Part, hash: u64, kv: Kv) {
        // Now and then a write pays for a few, so that no request waits for a compaction and a part that is written to does not grow.
        if part.written.pushed() >= WRITES_PER_GO {
            self.forget(part, hash);
        }
        self.held.add(hash, size::of_version(&kv));
        // Compared and added to under one lock of the record.
        let record = match part.records.find(hash, |record| record.push(&kv)) {
            Some(present) => present.clone(),
            None => {
                let record = Record::new(kv.clone());
                self.index.insert(record.clone());
                let hash_of = |record: &Record| self.hash(record.newest().key());
                part.records.insert_unique(hash, record.clone(), hash_of);
                record
            }
        };
        part.written.push(kv, record);
    }

    fn sort(&self) {
        self.index.sort();
    }

    fn commit(&self, _: &Commit<'_>) {}

    fn read(
        &self,
        part: &dyn Fn(u64, Show<'_, Part>),
        key: Hashed<'_>,
        revision: MainRevision,
    ) -> Option<Kv> {
        let mut found = None;
        part(key.hash, &mut |part| found = self.get(part, key, At::Revision(revision)));
        found
    }

    fn compact(&self, revision: MainRevision) {
        // Release: whoever forgets sees the revisions of what was written until now.
        self.compacted.fetch_max(revision, Ordering::Release);
    }

    fn defragment(&self, each_part: &mut dyn FnMut(Tend<'_, Part>)) {
        let mut is_more = true;
        while is_more {
            is_more = false;
            each_part(&mut |part| is_more |= (0..GOES_AT_ONCE).all(|_| self.forget(part, 0)));
        }
    }

    fn held_bytes(&self) -> u64 {
        self.held.total()
    }

    fn changes(
        &self,
        each_part: &mut dyn FnMut(Show<'_, Part>),
        from: MainRevision,
        to: MainRevision,
    ) -> Vec<Kv> {
        let mut changes = Vec::new();
        each_part(&mut |part| {
            changes.extend(part.written.between(from, to).cloned());
        });
        changes
    }

    fn versions(&self, revision: MainRevision, visit: &mut dyn FnMut(&Kv) -> bool) {
        let mut versions = Vec::new();
        self.index.scan(&[], None, &mut |record| {
            record.each(&mut |kv| {
                if kv.modified() <= revision {
                    versions.push(kv.clone());
                }
            });
            Flow::On
        });
        versions.sort_unstable_by_key(|kv| (kv.modified(), kv.sub()));
        let _ = versions.iter().all(visit);
    }

    fn visit_locks(&self, visit: Visit<'_>) {
        self.index.visit_locks(visit);
    }

    fn commits_batches(&self) -> bool {
        false
    }
}

impl Part {
    /// Takes out a record, if it is here.
    fn remove(&mut self, hash: u64, record: &Record) -> bool {
        let found = self.records.find_entry(hash, |other| other.is_same(record));
        found.map(|present| present.remove()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITES: i64 = 1_600;

    struct Written {
        engine: Memory,
        part: Part,
        revision: MainRevision,
    }

    impl Written {
        /// So many writes of one key, all of which a compaction covers but for the last.
        fn and_compacted() -> Written {
            let engine = Memory::new(1, Probe::off());
            let mut written = Written { part: engine.part(), engine, revision: 0 };
            (0..WRITES).for_each(|_| drop(written.write()));
            written.engine.compact(written.revision);
            written
        }

        fn write(&mut self) -> Kv {
            self.revision += 1;
            let (create, modified, version) = (1, self.revision, self.revision);
            let written = super::super::kv::Written { create, modified, version, lease: 0, sub: 0 };
            let hash = self.engine.hash(b"k");
            let kv = self.engine.version(Hashed { key: b"k", hash }, b"v".into(), written);
            self.engine.add(&mut self.part, hash, kv.clone());
            kv
        }

        fn versions(&self) -> i64 {
            let mut versions = 0;
            self.engine.versions(MainRevision::MAX, &mut |_| {
                versions += 1;
                true
            });
            versions
        }
    }

    #[test]
    fn a_backlog_shrinks_with_what_is_written() {
        let mut written = Written::and_compacted();
        let goes = 50;
        (0..goes * WRITES_PER_GO).for_each(|_| drop(written.write()));
        // The first version took the place of none.
        assert!(written.versions() <= WRITES - goes as i64 + 1, "{}", written.versions());
    }

    #[test]
    fn a_write_takes_a_spare_and_none_that_is_held() {
        let mut written = Written::and_compacted();
        let held: Vec<Kv> = (0..WRITES).map(|_| written.write()).collect();
        assert!(held.iter().zip(1..).all(|(kv, of)| kv.modified() == WRITES + of));

        let hash = written.engine.hash(b"k");
        while written.engine.spares.take(hash).is_some() {}
        let spare = Kv::new(b"k", b"v", held[0].written());
        let place = spare.key().as_ptr();
        // Alive until it is taken, so that nothing else can come to lie there.
        written.engine.spares.give(hash, std::iter::once(spare));
        assert_eq!(written.write().key().as_ptr(), place);
    }
}
