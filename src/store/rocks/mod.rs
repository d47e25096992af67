//! The engine that keeps keys in memory and their values in RocksDB, as etcd has its keys in a tree and the rest on disk: what a write
//! has to know of the version before is at hand, and each version is written once, after the last one. Shards are only conflict
//! classes here. What requests wrote goes to the database in one write batch with the lease rows, the revision and the applied position,
//! so that a restart finds either all of it or nothing, and knows what to skip. From then on the values are read from there.
//!
//! Failing to keep what was applied is no answer a replica may give on its own, so a failing write panics.
//!
//! Caveats: opening reads every version, and a range reads its values one by one.

use super::effects::{AlarmChange, Change, LeaseChange};
use super::engine::{Commit, Engine, Hashed, Kept, Show, Tend};
use super::history::{FORGET_TOGETHER, Forgotten, History};
use super::index::Index;
use super::kv::{Kv, Shelf, Shelved};
use super::look::{At, EachKey};
use super::record::Record;
use super::{StateSync, StoreError, size};
use crate::failpoint;
use crate::measure::lock::{MeasuredGuard, MeasuredMutex, Visit};
use crate::measure::stage::Probe;
use crate::model::{MainRevision, Revision};
use hashbrown::HashTable;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, IteratorMode, LogLevel, Options, ReadOptions,
    WriteBatch, WriteOptions,
};
use row::{Meta, Row};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

mod format;
mod row;

const WRITE_BUFFER_BYTES: usize = 64 << 20;
const BLOCK_CACHE_BYTES: usize = 256 << 20;
const BLOOM_BITS_PER_KEY: f64 = 10.0;
/// Writes that are looked at for each one that is kept, so that a backlog of what may be forgotten shrinks.
const FORGET_PER_WRITE: usize = 2;
/// The same in one write batch when all is forgotten.
const FORGET_AT_ONCE: usize = 32 * FORGET_TOGETHER;
/// Read at once when all rows are read, bytes.
const READ_AHEAD_BYTES: usize = 2 << 20;
/// Of an image, in one write batch, and one version more.
const LOAD_BYTES: usize = 1 << 20;
/// Versions whose values are let go of before readers may look at keys again.
const SHELVE_TOGETHER: usize = 64;

/// Keys in memory, values in RocksDB.
pub(super) struct RocksDb {
    values: Arc<Values>,
    /// The same, as versions know it.
    shelf: Shelf,
    /// Whoever adds a version or takes a record out holds its lock.
    keys: MeasuredMutex<HashTable<Entry>>,
    order: Index,
    hash_seed: u64,
    kept: MeasuredMutex<Progress>,
    state_sync: StateSync,
    /// Bytes of the versions in the database. Changed under the lock of `kept`; Relaxed, since it orders nothing.
    held: AtomicU64,
}

/// The record of a key. The hash stands beside it, so that a table that grows does not look at all its keys.
struct Entry {
    hash: u64,
    record: Record,
}

/// What the database says of itself, and what was written to it.
struct Progress {
    meta: Meta,
    history: History,
}

/// The database, of which values are read.
struct Values {
    db: DB,
    /// What was superseded at this revision or before may be gone.
    compacted: AtomicI64,
}

impl Shelved for Arc<Values> {
    fn value(&self, revision: Revision) -> Vec<u8> {
        let row = self.db.get_pinned(row::place_of_revision(revision)).expect(READS);
        match row {
            Some(bytes) => Row::from_bytes(&bytes).expect(HOLDS).value.to_vec(),
            None => {
                // Acquire: pairs with the store before anything is deleted for it.
                let compacted = self.compacted.load(Ordering::Acquire);
                assert!(revision.main < compacted, "{HOLDS}: {revision:?} of {compacted}");
                Vec::new()
            }
        }
    }
}

impl RocksDb {
    /// Opens the database in `folder`, created if absent, and says what it had kept. `hash_seed` is what keys are hashed with.
    pub(super) fn open(
        folder: &Path,
        state_sync: StateSync,
        hash_seed: u64,
        probe: Probe,
    ) -> Result<(RocksDb, Kept), StoreError> {
        let failed = |error: rocksdb::Error| failed(folder, error);
        let db = DB::open(&options(), folder).map_err(failed)?;
        let meta = format::bring_up_to_date(&db, folder)?;
        let mut kept = kept(&db, meta).map_err(failed)?;
        let values = Arc::new(Values { db, compacted: AtomicI64::new(meta.compacted) });
        let engine = RocksDb {
            shelf: Shelf::new(Box::new(values.clone())),
            values,
            keys: MeasuredMutex::brief(HashTable::new(), probe),
            order: Index::new(probe),
            hash_seed,
            kept: MeasuredMutex::new(Progress { meta, history: History::default() }, probe),
            state_sync,
            held: AtomicU64::new(0),
        };
        engine.find_versions().map_err(failed)?;
        if !kept.leases.is_empty() {
            kept.attached = engine.leased_keys();
        }
        Ok((engine, kept))
    }

    /// Enters whatever the database holds.
    fn find_versions(&self) -> Result<(), rocksdb::Error> {
        let mut history = History::default();
        let mut held = 0;
        let all = (0, MainRevision::MAX);
        each_row(&self.values.db, all, ReadFor::Everything, &mut |row| {
            let bytes = row.value.len() as u32;
            let kv = Kv::shelved(row.key, bytes, row.written, &self.shelf);
            held += size::of_version(&kv);
            history.push(kv.clone(), self.enter(self.hash(row.key), kv));
            true
        })?;
        self.held.store(held, Ordering::Relaxed);
        self.kept.lock().history = history;
        Ok(())
    }

    fn leased_keys(&self) -> Vec<(i64, Vec<u8>)> {
        let keys = self.keys();
        let newest = keys.iter().map(|entry| entry.record.newest());
        newest.filter(|kv| kv.lease() != 0).map(|kv| (kv.lease(), kv.key().to_vec())).collect()
    }

    /// Makes a database in `folder`, which is absent, of an image.
    pub(super) fn load(
        folder: &Path,
        from: &mut dyn std::io::Read,
    ) -> Result<(), super::ImageError> {
        let failed = |error: rocksdb::Error| failed(folder, error);
        let db = DB::open(&options(), folder).map_err(|error| Box::new(failed(error)))?;
        format::bring_up_to_date(&db, folder).map_err(Box::new)?;
        let mut unlogged = WriteOptions::default();
        unlogged.disable_wal(true);
        let mut batch = WriteBatch::default();
        let kept = super::image::read(from, &mut |kv| {
            add_rows(&mut batch, std::iter::once(&kv));
            match batch.size_in_bytes() {
                ..LOAD_BYTES => Ok(()),
                _ => db.write_opt(std::mem::take(&mut batch), &unlogged).map_err(failed),
            }
        })?;
        for (id, ttl_s) in &kept.leases {
            batch.put(row::place_of_lease(*id), ttl_s.to_le_bytes());
        }
        for alarm in &kept.alarms {
            batch.put(row::place_of_alarm(*alarm), b"");
        }
        let Kept { revision, compacted, position, .. } = kept;
        batch.put(row::META, Meta { revision, compacted, position }.to_bytes());
        let finish = db.write_opt(batch, &unlogged).and_then(|()| db.flush());
        Ok(finish.map_err(|error| Box::new(failed(error)))?)
    }

    fn keys(&self) -> MeasuredGuard<'_, HashTable<Entry>> {
        self.keys.lock()
    }

    fn hash(&self, key: &[u8]) -> u64 {
        super::hash(key, self.hash_seed)
    }

    /// Makes `kv` the newest version of its key, whose record it gives.
    fn enter(&self, hash: u64, kv: Kv) -> Record {
        let mut keys = self.keys();
        if let Some(entry) = keys.find(hash, |entry| entry.hash == hash && entry.record.push(&kv)) {
            return entry.record.clone();
        }
        let record = Record::new(kv);
        self.order.insert(record.clone());
        keys.insert_unique(hash, Entry { hash, record: record.clone() }, |entry| entry.hash);
        record
    }

    /// Deletes some of what the compaction covers and says whether there may be more: looks at so many writes, in whole goes.
    fn forget(&self, batch: &mut WriteBatch, history: &mut History, at_least: usize) -> bool {
        let compacted = self.values.compacted.load(Ordering::Relaxed);
        let mut looked_at = 0;
        while looked_at < at_least && history.is_behind(compacted) {
            let forgotten = history.forget(compacted);
            let is_more = forgotten.looked_at == FORGET_TOGETHER;
            looked_at += forgotten.looked_at;
            for kv in self.bury(forgotten, compacted) {
                batch.delete(row::place_of_revision(kv.revision()));
                self.held.fetch_sub(size::of_version(&kv), Ordering::Relaxed);
            }
            if !is_more {
                return false;
            }
        }
        looked_at >= at_least
    }

    /// Takes out the records that are dead, and says what is gone in all.
    fn bury(
        &self,
        forgotten: Forgotten,
        compacted: MainRevision,
    ) -> impl Iterator<Item = Kv> + use<> {
        let Forgotten { mut gone, dead, .. } = forgotten;
        if !dead.is_empty() {
            // That may take long, and readers need the lock.
            self.order.sort();
            let mut keys = self.keys();
            for write in dead {
                let dead = &write.record;
                // Somebody may have added a version since.
                let is_dead = |entry: &Entry| {
                    entry.record.is_same(dead) && dead.forget(&write.kv, compacted, &mut gone)
                };
                if let Ok(entry) = keys.find_entry(self.hash(write.kv.key()), is_dead) {
                    entry.remove();
                    self.order.remove(dead);
                    gone.push(dead.newest());
                }
            }
        }
        gone.into_iter()
    }

    /// Notes what was written, and lets go of the values.
    fn shelve(&self, changes: &[Change], history: &mut History) {
        for some in changes.chunks(SHELVE_TOGETHER) {
            let keys = self.keys();
            for Change { kv, .. } in some {
                let bytes = kv.value_bytes() as u32;
                let shelved = Kv::shelved(kv.key(), bytes, kv.written(), &self.shelf);
                let hash = self.hash(kv.key());
                let is_of_it =
                    |entry: &Entry| entry.hash == hash && entry.record.replace(kv, &shelved);
                let entry = keys.find(hash, is_of_it).expect("what is committed was added");
                history.push(shelved, entry.record.clone());
            }
        }
    }

    fn write(&self, batch: WriteBatch) {
        let mut options = WriteOptions::default();
        match self.state_sync {
            StateSync::PerOp | StateSync::PerBatch => options.set_sync(true),
            StateSync::RaftLogOnly => options.disable_wal(true),
        }
        failpoint::pass("rocksdb::before-write");
        self.values
            .db
            .write_opt(batch, &options)
            .expect("what was applied can be kept, or nothing goes on");
        failpoint::pass("rocksdb::after-write");
    }
}

const READS: &str = "the state can be read, or nothing goes on";
const HOLDS: &str = "the database holds what was written to it";

fn failed(folder: &Path, error: rocksdb::Error) -> StoreError {
    StoreError::RocksDb { folder: folder.to_path_buf(), message: error.into_string() }
}

fn options() -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
    table.set_whole_key_filtering(true);
    match Cache::new_lru_cache(BLOCK_CACHE_BYTES) {
        Ok(cache) => table.set_block_cache(&cache),
        Err(error) => unreachable!("an LRU cache is just memory: {error}"),
    }
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&table);
    // A library that was built with Snappy compresses where nothing is said, and then a value's bytes decide what it costs.
    options.set_compression_type(DBCompressionType::None);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_max_background_jobs(2);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options
}

/// All but the keys.
fn kept(db: &DB, meta: Meta) -> Result<Kept, rocksdb::Error> {
    let mut kept = Kept {
        revision: meta.revision,
        compacted: meta.compacted,
        position: meta.position,
        ..Kept::default()
    };
    let from = IteratorMode::From(&[row::LEASES], rocksdb::Direction::Forward);
    for item in db.iterator(from) {
        let (place, ttl_s) = item?;
        let Some(id) = row::lease_at(&place) else { break };
        let ttl_s = <[u8; 8]>::try_from(&*ttl_s).map_or(0, i64::from_le_bytes);
        kept.leases.push((id, ttl_s));
    }
    let from = IteratorMode::From(&[row::ALARMS], rocksdb::Direction::Forward);
    for item in db.iterator(from) {
        let Some(alarm) = row::alarm_at(&item?.0) else { break };
        kept.alarms.push(alarm);
    }
    Ok(kept)
}

/// What rows are read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReadFor {
    /// They are likely to be read again.
    Some,
    /// All of them, once.
    Everything,
}

/// Shows the rows of the revisions in `from..=to`, ascending, until `visit` says no.
fn each_row(
    db: &DB,
    (from, to): (MainRevision, MainRevision),
    what: ReadFor,
    visit: &mut dyn FnMut(Row<'_>) -> bool,
) -> Result<(), rocksdb::Error> {
    let (first, end) = row::places_of_revisions(from, to);
    let mut options = ReadOptions::default();
    options.set_iterate_upper_bound(end);
    if what == ReadFor::Everything {
        options.fill_cache(false);
        options.set_readahead_size(READ_AHEAD_BYTES);
    }
    let mut rows = db.raw_iterator_opt(options);
    rows.seek(first);
    while let Some(bytes) = rows.value() {
        if !visit(Row::from_bytes(bytes).expect(HOLDS)) {
            return Ok(());
        }
        rows.next();
    }
    rows.status()
}

impl Engine for RocksDb {
    type Part = ();
    const EVALUATE_NS: f64 = 1_000.0;

    fn part(&self) {}

    fn get(&self, (): &(), key: Hashed<'_>, at: At) -> Option<Kv> {
        let mut live = None;
        let keys = self.keys();
        keys.find(key.hash, |entry| {
            let of_key = (entry.hash == key.hash).then(|| entry.record.live_of(key.key, at));
            match of_key.flatten() {
                Some(of_key) => {
                    live = of_key;
                    true
                }
                None => false,
            }
        });
        live
    }

    fn scan(&self, from: &[u8], end: Option<&[u8]>, at: At, visit: EachKey<'_>) {
        self.order.scan(from, end, &mut |record| visit(record.live(at)));
    }

    fn add(&self, (): &mut (), hash: u64, kv: Kv) {
        self.enter(hash, kv);
    }

    fn sort(&self) {
        self.order.sort();
    }

    fn commit(&self, commit: &Commit<'_>) {
        let mut progress = self.kept.lock();
        let Progress { meta, history } = &mut *progress;
        let is_news = !commit.changes.is_empty()
            || commit.leases.iter().any(|change| change.is_some())
            || commit.alarm != AlarmChange::None
            || commit.compacted != meta.compacted;
        if !is_news {
            return;
        }
        let Commit { changes, revision, compacted, position, .. } = *commit;
        *meta = Meta { revision, compacted, position };
        let mut batch = WriteBatch::default();
        self.forget(&mut batch, history, FORGET_PER_WRITE * changes.len());
        add_rows(&mut batch, changes.iter().map(|change| &change.kv));
        commit.leases.iter().for_each(|change| add_lease(&mut batch, *change));
        add_alarm(&mut batch, commit.alarm);
        batch.put(row::META, meta.to_bytes());
        self.write(batch);
        let grown = changes.iter().map(|change| size::of_version(&change.kv)).sum();
        self.held.fetch_add(grown, Ordering::Relaxed);
        self.shelve(changes, history);
    }

    fn read(
        &self,
        _: &dyn Fn(u64, Show<'_, ()>),
        key: Hashed<'_>,
        revision: MainRevision,
    ) -> Option<Kv> {
        self.get(&(), key, At::Revision(revision))
    }

    fn compact(&self, revision: MainRevision) {
        // Release: who finds a row gone then sees why. The newest, whoever is late.
        self.values.compacted.fetch_max(revision, Ordering::Release);
    }

    fn defragment(&self, _: &mut dyn FnMut(Tend<'_, ()>)) {
        let mut is_more = true;
        while is_more {
            let mut progress = self.kept.lock();
            let mut batch = WriteBatch::default();
            is_more = self.forget(&mut batch, &mut progress.history, FORGET_AT_ONCE);
            self.write(batch);
        }
        // Rows that were deleted still take room on disk until then.
        self.values.db.compact_range(None::<&[u8]>, None::<&[u8]>);
    }

    fn held_bytes(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    fn changes(
        &self,
        _: &mut dyn FnMut(Show<'_, ()>),
        from: MainRevision,
        to: MainRevision,
    ) -> Vec<Kv> {
        let mut changes = Vec::new();
        let read = each_row(&self.values.db, (from, to), ReadFor::Some, &mut |row| {
            changes.push(Kv::from(row));
            true
        });
        read.expect(READS);
        changes
    }

    fn versions(&self, revision: MainRevision, visit: &mut dyn FnMut(&Kv) -> bool) {
        let all = (0, revision);
        each_row(&self.values.db, all, ReadFor::Everything, &mut |row| visit(&Kv::from(row)))
            .expect(READS);
    }

    fn visit_locks(&self, visit: Visit<'_>) {
        visit("keys", &self.keys);
        visit("write batch", &self.kept);
        self.order.visit_locks(visit);
    }

    fn commits_batches(&self) -> bool {
        self.state_sync != StateSync::PerOp
    }
}

/// In the order of revisions: RocksDB enters a row next to the last one at a fraction of what finding a place costs.
fn add_rows<'a>(batch: &mut WriteBatch, kvs: impl Iterator<Item = &'a Kv>) {
    let mut bytes = Vec::new();
    for kv in kvs {
        bytes.clear();
        Row::of(kv, &kv.value()).append_to(&mut bytes);
        batch.put(row::place_of_revision(kv.revision()), &bytes);
    }
}

fn add_alarm(batch: &mut WriteBatch, change: AlarmChange) {
    match change {
        AlarmChange::None => {}
        AlarmChange::Raised(alarm) => batch.put(row::place_of_alarm(alarm), b""),
        AlarmChange::Ended(alarm) => batch.delete(row::place_of_alarm(alarm)),
    }
}

fn add_lease(batch: &mut WriteBatch, change: LeaseChange) {
    match change {
        LeaseChange::None => {}
        LeaseChange::Granted { id, ttl_s } => {
            batch.put(row::place_of_lease(id), ttl_s.to_le_bytes());
        }
        LeaseChange::Revoked { id } => batch.delete(row::place_of_lease(id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Position;
    use crate::store::kv::Written;
    use tempfile::TempDir;

    fn engine(folder: &TempDir) -> RocksDb {
        let opened = RocksDb::open(folder.path(), StateSync::RaftLogOnly, 5, Probe::off());
        opened.unwrap().0
    }

    fn version(key: &[u8], value: &[u8], modified: MainRevision, version: i64) -> Kv {
        let create = modified + 1 - version;
        Kv::new(key, value, Written { create, modified, version, lease: 0, sub: 0 })
    }

    fn keep(engine: &RocksDb, kvs: &[Kv], compacted: MainRevision) {
        kvs.iter().for_each(|kv| engine.add(&mut (), engine.hash(kv.key()), kv.clone()));
        let changes: Vec<_> = kvs.iter().map(|kv| Change { kv: kv.clone(), prev: None }).collect();
        let revision = kvs.last().map_or(compacted, Kv::modified);
        let position = Position::default();
        let alarm = AlarmChange::None;
        engine.commit(&Commit {
            changes: &changes,
            leases: &[],
            alarm,
            revision,
            compacted,
            position,
        });
    }

    fn seen(engine: &RocksDb, key: &[u8], revision: MainRevision) -> Kv {
        let key = Hashed { key, hash: engine.hash(key) };
        engine.get(&(), key, At::Revision(revision)).unwrap()
    }

    #[test]
    fn values_leave_memory_when_they_are_kept() {
        let folder = TempDir::new().unwrap();
        let engine = engine(&folder);
        let kvs: Vec<_> = (0..2 * SHELVE_TOGETHER as i64)
            .map(|at| version(format!("{}", at / 2).as_bytes(), b"a value", 2 + at, 1 + at % 2))
            .collect();
        keep(&engine, &kvs, 0);
        for kv in &kvs {
            let shelved = seen(&engine, kv.key(), kv.modified());
            assert!(shelved.is_shelved() && !kv.is_shelved(), "{shelved:?}");
            assert_eq!(shelved.key_value(), kv.key_value());
            let taken_down = shelved.taken_down();
            assert!(!taken_down.is_shelved() && taken_down.key_value() == kv.key_value());
        }
    }

    #[test]
    fn a_version_that_a_compaction_has_overtaken_has_no_value() {
        let folder = TempDir::new().unwrap();
        let engine = engine(&folder);
        let kvs = [version(b"k", b"old", 2, 1), version(b"k", b"newer", 3, 2)];
        keep(&engine, &kvs, 0);
        let (old, newer) = (seen(&engine, b"k", 2), seen(&engine, b"k", 3));
        keep(&engine, &[version(b"other", b"", 4, 1)], 0);
        keep(&engine, &[], 4);
        engine.compact(4);
        assert_eq!(old.value().as_ref(), b"old", "it is compacted and not forgotten");
        engine.defragment(&mut |_| {});
        assert_eq!((old.value().as_ref(), newer.value().as_ref()), (&b""[..], &b"newer"[..]));
        let others = size::of_version_with(b"other".len());
        assert_eq!(engine.held_bytes(), size::of_version_with(b"knewer".len()) + others);
    }

    #[test]
    #[should_panic(expected = "the database holds what was written to it")]
    fn a_row_that_is_gone_without_a_compaction_is_no_empty_value() {
        let folder = TempDir::new().unwrap();
        let engine = engine(&folder);
        keep(&engine, &[version(b"k", b"value", 2, 1)], 0);
        let kv = seen(&engine, b"k", 2);
        engine.values.db.delete(row::place_of_revision(kv.revision())).unwrap();
        let _ = kv.value();
    }
}
