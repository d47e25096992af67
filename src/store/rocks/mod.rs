//! The engine that keeps the state in RocksDB. Shards are only conflict classes here: on disk the keys lie in their
//! order. What requests write gathers in an overlay and goes to the database in one write batch with the lease rows, the
//! revision and the applied position, so that a restart finds either all of it or nothing, and knows what to skip.
//! Readers look at a snapshot and its own revision; they need no lock.
//!
//! Failing to keep what was applied is no answer a replica may give on its own, so a failing write panics.
//!
//! Caveat: reading a key far in the past follows the chain of its versions, one lookup each.

use super::effects::{AlarmChange, LeaseChange};
use super::engine::{Commit, Engine, Hashed, Kept, Show, Tend};
use super::kv::Kv;
use super::look::{At, Flow};
use super::{StateSync, StoreError, size};
use crate::failpoint;
use crate::measure::lock::{MeasuredGuard, MeasuredMutex, Visit};
use crate::measure::stage::Probe;
use crate::model::{MainRevision, Revision};
use overlay::Overlay;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, IteratorMode, LogLevel, Options, ReadOptions,
    Snapshot, WriteBatch, WriteOptions,
};
use row::{Before, Meta, Row, RowView};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

mod overlay;
mod row;

const WRITE_BUFFER_BYTES: usize = 64 << 20;
const BLOCK_CACHE_BYTES: usize = 256 << 20;
const BLOOM_BITS_PER_KEY: f64 = 10.0;
/// Part of a write buffer that a bloom filter may take, which spares most lookups of keys that are not there.
const MEMTABLE_BLOOM_RATIO: f64 = 0.02;
/// Old versions are deleted in portions of this many rows at least, since opening an iterator costs as much as many rows.
const FORGET_ROWS: usize = 512;
/// Rows that are looked at for each one written, so that a backlog shrinks.
const FORGET_PER_WRITE: usize = 2;

/// Keys in RocksDB.
pub(super) struct RocksDb {
    db: DB,
    overlay: MeasuredMutex<Overlay>,
    kept: MeasuredMutex<Progress>,
    state_sync: StateSync,
    /// Bytes of the versions in the database. Changed under the lock of `kept`; Relaxed, since it orders nothing.
    held: AtomicU64,
}

/// What the database says of itself, and how much forgetting is owed.
struct Progress {
    meta: Meta,
    owed_rows: usize,
}

impl RocksDb {
    /// Opens the database in `folder`, created if absent, and says what it had kept.
    pub(super) fn open(
        folder: &Path,
        state_sync: StateSync,
        probe: Probe,
    ) -> Result<(RocksDb, Kept), StoreError> {
        let failed = |error: rocksdb::Error| StoreError::RocksDb {
            folder: folder.to_path_buf(),
            message: error.into_string(),
        };
        let db = DB::open(&options(), folder).map_err(failed)?;
        let meta = match db.get(row::META).map_err(failed)? {
            Some(bytes) => {
                Meta::from_bytes(&bytes).ok_or_else(|| StoreError::Foreign(folder.to_path_buf()))?
            }
            None => Meta::default(),
        };
        let kept = kept(&db, meta).map_err(failed)?;
        let progress = MeasuredMutex::new(Progress { meta, owed_rows: 0 }, probe);
        let overlay = MeasuredMutex::brief(Overlay::default(), probe);
        let held = AtomicU64::new(meta.held.unwrap_or_else(|| count_held(&db)));
        Ok((RocksDb { db, overlay, kept: progress, state_sync, held }, kept))
    }

    /// Makes a database in `folder`, which is absent, of an image.
    pub(super) fn load(
        folder: &Path,
        from: &mut dyn std::io::Read,
    ) -> Result<(), super::ImageError> {
        let failed = |error: rocksdb::Error| StoreError::RocksDb {
            folder: folder.to_path_buf(),
            message: error.into_string(),
        };
        let db = DB::open(&options(), folder).map_err(|error| Box::new(failed(error)))?;
        let mut unlogged = WriteOptions::default();
        unlogged.disable_wal(true);
        let kept = super::image::read(from, &mut |kv| {
            let place = row::place_of_key(kv.key());
            let before = decoded(db.get_pinned(&place).expect(READS).as_deref());
            let before = before.as_ref().map(Row::as_before).unwrap_or_default();
            let row = Row { kv, before };
            let bytes = row.to_bytes();
            let mut batch = WriteBatch::default();
            batch.put(row::place_of_revision(row.revision()), &bytes);
            batch.put(place, &bytes);
            db.write_opt(batch, &unlogged).map_err(failed)
        })?;
        let mut batch = WriteBatch::default();
        for (id, ttl_s) in &kept.leases {
            batch.put(row::place_of_lease(*id), ttl_s.to_le_bytes());
        }
        for alarm in &kept.alarms {
            batch.put(row::place_of_alarm(*alarm), b"");
        }
        let Kept { revision, compacted, position, .. } = kept;
        let meta = Meta { revision, compacted, forgotten: 0, position, held: None };
        batch.put(row::META, meta.to_bytes());
        let finish = db.write_opt(batch, &unlogged).and_then(|()| db.flush());
        Ok(finish.map_err(|error| Box::new(failed(error)))?)
    }

    fn overlay(&self) -> MeasuredGuard<'_, Overlay> {
        self.overlay.lock()
    }

    /// The newest version of `key` or its tombstone, remembered for whoever writes it next.
    fn newest(&self, key: &[u8]) -> Option<Kv> {
        if let Some(newest) = self.overlay().newest(key) {
            return newest;
        }
        let base = self.row(&row::place_of_key(key));
        let newest = base.as_ref().map(|row| row.kv.clone());
        self.overlay().remember(key, base);
        newest
    }

    fn row(&self, place: &[u8]) -> Option<Row> {
        decoded(self.db.get_pinned(place).expect(READS).as_deref())
    }

    /// The version of `key` that is seen at `at`, uncommitted ones included.
    fn seen(&self, key: &[u8], at: At) -> Option<Kv> {
        let newest = self.newest(key)?;
        if at.sees(newest.modified()) {
            return Some(newest);
        }
        let (uncommitted, base) = self.overlay().history(key);
        let seen = uncommitted.into_iter().rev().find(|kv| at.sees(kv.modified()));
        seen.or_else(|| follow(base, at, |place| self.row(place)))
    }

    /// All versions by revision, then the newest of each key by key: RocksDB inserts a row next to the last one at a fraction of
    /// what finding a place costs.
    fn add_rows<'a>(&self, batch: &mut WriteBatch, kvs: impl Iterator<Item = &'a Kv>) {
        let mut newest = Vec::with_capacity(kvs.size_hint().0);
        let mut overlay = self.overlay();
        for kv in kvs {
            let row = overlay.commit(kv);
            let bytes = row.to_bytes();
            batch.put(row::place_of_revision(row.revision()), &bytes);
            if overlay.is_newest(kv) {
                newest.push((row::place_of_key(kv.key()), bytes));
            }
        }
        drop(overlay);
        newest.sort_unstable();
        newest.into_iter().for_each(|(place, bytes)| batch.put(place, bytes));
    }

    /// Deletes some of what the compaction covers, if enough is owed.
    fn forget(&self, batch: &mut WriteBatch, progress: &mut Progress) {
        let Meta { compacted, forgotten, .. } = progress.meta;
        if forgotten == compacted {
            // What was written before a compaction owes it nothing: or one request would pay for all that it covers.
            progress.owed_rows = 0;
        }
        if progress.owed_rows < FORGET_ROWS {
            return;
        }
        let portion = std::mem::take(&mut progress.owed_rows);
        let mut forgotten = forgotten;
        let past = Revision { main: compacted + 1, sub: 0 };
        let first = row::place_of_revision(Revision { main: forgotten, sub: 0 });
        let mut rows = raw_rows_between(&self.db, first, row::place_of_revision(past));
        let mut looked_at = 0;
        while let Some(bytes) = rows.value() {
            let found = RowView::from_bytes(bytes).expect(HOLDS);
            // A revision is forgotten as a whole, and one at least, or those of many rows would be begun with again and again.
            let is_further = forgotten > progress.meta.forgotten;
            if looked_at >= portion && is_further && found.written.modified > forgotten {
                progress.meta.forgotten = forgotten;
                return;
            }
            forgotten = found.written.modified;
            let bytes = self.forget_row(batch, found, progress.meta);
            self.held.fetch_sub(bytes, Ordering::Relaxed);
            looked_at += 1;
            rows.next();
        }
        rows.status().expect(READS);
        progress.meta.forgotten = compacted;
    }

    /// What `found` superseded is not seen any more; nor is `found` itself if it is a tombstone and still the last word. Says of how many
    /// bytes that was.
    fn forget_row(&self, batch: &mut WriteBatch, found: RowView<'_>, meta: Meta) -> u64 {
        let mut bytes = 0;
        let before = found.before;
        if before.revision.main > 0 {
            let place = row::place_of_revision(before.revision);
            // The revision that was forgotten last is begun with, for its tombstones: what it superseded is deleted already.
            let is_there = found.written.modified > meta.forgotten;
            bytes += match before.bytes.filter(|_| is_there) {
                Some(bytes) => size::of_version_with(bytes as usize),
                None => self.view(&place, |view| view.bytes_of_version()).unwrap_or(0),
            };
            batch.delete(place);
        }
        if found.is_tombstone() && found.written.modified < meta.compacted {
            let place = row::place_of_key(found.key);
            if self.view(&place, |newest| newest.revision()) == Some(found.revision()) {
                batch.delete(place);
                batch.delete(row::place_of_revision(found.revision()));
                bytes += found.bytes_of_version();
            }
        }
        bytes
    }

    /// Shows the row at `place`, if there is one.
    fn view<T>(&self, place: &[u8], show: impl FnOnce(RowView<'_>) -> T) -> Option<T> {
        let bytes = self.db.get_pinned(place).expect(READS)?;
        Some(show(RowView::from_bytes(&bytes).expect(HOLDS)))
    }

    /// Writes `batch` together with how things stand after it.
    fn keep_meta(&self, mut batch: WriteBatch, progress: &mut Progress) {
        progress.meta.held = Some(self.held.load(Ordering::Relaxed));
        batch.put(row::META, progress.meta.to_bytes());
        self.write(batch);
    }

    fn write(&self, batch: WriteBatch) {
        let mut options = WriteOptions::default();
        match self.state_sync {
            StateSync::PerOp | StateSync::PerBatch => options.set_sync(true),
            StateSync::RaftLogOnly => options.disable_wal(true),
        }
        failpoint::pass("rocksdb::before-write");
        self.db
            .write_opt(batch, &options)
            .expect("what was applied can be kept, or nothing goes on");
        failpoint::pass("rocksdb::after-write");
    }
}

const READS: &str = "the state can be read, or nothing goes on";
const HOLDS: &str = "the database holds what was written to it";

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
    options.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM_RATIO);
    options.set_memtable_whole_key_filtering(true);
    options.set_max_background_jobs(2);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options
}

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
    if !kept.leases.is_empty() {
        let leased = rows_between(db, vec![row::KEYS], vec![row::KEYS_END])
            .filter(|row| row.kv.lease() != 0);
        kept.attached = leased.map(|row| (row.kv.lease(), row.kv.key().to_vec())).collect();
    }
    Ok(kept)
}

/// For a database that does not say: one of an earlier version, or made of an image.
fn count_held(db: &DB) -> u64 {
    let place = |main| row::place_of_revision(Revision { main, sub: 0 });
    let rows = rows_between(db, place(0), place(MainRevision::MAX));
    rows.map(|row| size::of_version(&row.kv)).sum()
}

fn decoded(bytes: Option<&[u8]>) -> Option<Row> {
    bytes.map(|bytes| Row::from_bytes(bytes).expect(HOLDS))
}

/// The rows whose places lie in `from..end`, ascending.
fn rows_between(db: &DB, from: Vec<u8>, end: Vec<u8>) -> impl Iterator<Item = Row> + '_ {
    walk(raw_rows_between(db, from, end))
}

/// The same, as they lie there.
fn raw_rows_between(db: &DB, from: Vec<u8>, end: Vec<u8>) -> rocksdb::DBRawIterator<'_> {
    let mut options = ReadOptions::default();
    options.set_iterate_upper_bound(end);
    let mut rows = db.raw_iterator_opt(options);
    rows.seek(from);
    rows
}

/// The rows of an iterator from where it stands.
fn walk<'a>(mut rows: rocksdb::DBRawIterator<'a>) -> impl Iterator<Item = Row> + 'a {
    std::iter::from_fn(move || {
        let row = decoded(rows.value());
        match row {
            Some(_) => rows.next(),
            None => rows.status().expect(READS),
        }
        row
    })
}

/// The first version from `row` back that is seen at `at`. One that is not there was compacted as a tombstone.
fn follow(mut row: Option<Row>, at: At, look: impl Fn(&[u8]) -> Option<Row>) -> Option<Kv> {
    while let Some(found) = row {
        if at.sees(found.kv.modified()) {
            return Some(found.kv);
        }
        let Before { revision, .. } = found.before;
        row = (revision.main > 0).then(|| look(&row::place_of_revision(revision))).flatten();
    }
    None
}

fn live(kv: Option<Kv>) -> Option<Kv> {
    kv.filter(|kv| !kv.is_tombstone())
}

/// Places of the keys from `from` on, below `end`.
fn places_of_keys(from: &[u8], end: Option<&[u8]>) -> (Vec<u8>, Vec<u8>) {
    (row::place_of_key(from), end.map_or_else(|| vec![row::KEYS_END], row::place_of_key))
}

impl Engine for RocksDb {
    type Part = ();
    type Snapshot<'a> = Snapshot<'a>;
    const EVALUATE_NS: f64 = 3_000.0;

    fn part(&self) {}

    fn get(&self, (): &(), key: Hashed<'_>, at: At) -> Option<Kv> {
        live(self.seen(key.key, at))
    }

    fn scan(&self, from: &[u8], end: Option<&[u8]>, at: At, visit: &mut dyn FnMut(Kv) -> Flow) {
        let (first, last) = places_of_keys(from, end);
        let mut committed = rows_between(&self.db, first, last).map(|row| row.kv).peekable();
        let mut written = self.overlay().written(from, end).into_iter().peekable();
        loop {
            // Of a key that is in both, the overlay's version is the newer.
            let newest = match (committed.peek(), written.peek()) {
                (None, None) => return,
                (Some(old), Some(new)) if old.key() < new.key() => committed.next(),
                (Some(_), None) => committed.next(),
                (old, Some(new)) => {
                    if old.is_some_and(|old| old.key() == new.key()) {
                        committed.next();
                    }
                    written.next()
                }
            };
            let seen = match (newest, at) {
                (newest, At::Now) => newest,
                (Some(newest), at) => self.seen(newest.key(), at),
                (None, _) => None,
            };
            if live(seen).is_some_and(|kv| visit(kv) == Flow::Stop) {
                return;
            }
        }
    }

    fn add(&self, (): &mut (), _: u64, kv: Kv) {
        if !self.overlay().knows(kv.key()) {
            self.newest(kv.key());
        }
        self.overlay().add(kv);
    }

    fn commit(&self, commit: &Commit<'_>) {
        let mut progress = self.kept.lock();
        let is_news = !commit.changes.is_empty()
            || commit.leases.iter().any(|change| change.is_some())
            || commit.alarm != AlarmChange::None
            || commit.compacted != progress.meta.compacted;
        if is_news {
            let mut batch = WriteBatch::default();
            progress.owed_rows += FORGET_PER_WRITE * commit.changes.len();
            progress.meta.revision = commit.revision;
            progress.meta.compacted = commit.compacted;
            progress.meta.position = commit.position;
            // First, since a key that is forgotten may be written again.
            self.forget(&mut batch, &mut progress);
            let grown = commit.changes.iter().map(|change| size::of_version(&change.kv)).sum();
            self.held.fetch_add(grown, Ordering::Relaxed);
            self.add_rows(&mut batch, commit.changes.iter().map(|change| &change.kv));
            commit.leases.iter().for_each(|change| add_lease(&mut batch, *change));
            add_alarm(&mut batch, commit.alarm);
            self.keep_meta(batch, &mut progress);
        }
        drop(progress);
        self.overlay().trim();
    }

    fn snapshot(&self, _: MainRevision) -> (Snapshot<'_>, MainRevision) {
        let snapshot = self.db.snapshot();
        let meta = snapshot.get_pinned_opt(row::META, ReadOptions::default()).expect(READS);
        let meta = meta.and_then(|bytes| Meta::from_bytes(&bytes)).unwrap_or_default();
        (snapshot, meta.revision.max(1))
    }

    fn read(
        &self,
        snapshot: &Snapshot<'_>,
        _: &dyn Fn(u64, Show<'_, ()>),
        key: Hashed<'_>,
        revision: MainRevision,
    ) -> Option<Kv> {
        let look = |place: &[u8]| decoded(snapshot.get(place).expect(READS).as_deref());
        live(follow(look(&row::place_of_key(key.key)), At::Revision(revision), look))
    }

    fn read_scan(
        &self,
        snapshot: &Snapshot<'_>,
        from: &[u8],
        end: Option<&[u8]>,
        revision: MainRevision,
        visit: &mut dyn FnMut(Kv) -> Flow,
    ) {
        let look = |place: &[u8]| decoded(snapshot.get(place).expect(READS).as_deref());
        let (first, last) = places_of_keys(from, end);
        for newest in rows_of(snapshot, first, last) {
            let seen = live(follow(Some(newest), At::Revision(revision), look));
            if seen.is_some_and(|kv| visit(kv) == Flow::Stop) {
                return;
            }
        }
    }

    fn compact(&self, _: MainRevision) {
        // The commit before has noted it; later ones delete what it covers, some rows at a time.
    }

    fn defragment(&self, _: &mut dyn FnMut(Tend<'_, ()>)) {
        loop {
            let mut progress = self.kept.lock();
            if progress.meta.forgotten == progress.meta.compacted {
                break;
            }
            let mut batch = WriteBatch::default();
            progress.owed_rows = progress.owed_rows.max(FORGET_ROWS);
            self.forget(&mut batch, &mut progress);
            self.keep_meta(batch, &mut progress);
        }
        // Rows that were deleted still take room on disk until then.
        self.db.compact_range(None::<&[u8]>, None::<&[u8]>);
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
        let place = |main| row::place_of_revision(Revision { main, sub: 0 });
        rows_between(&self.db, place(from), place(to + 1)).map(|row| row.kv).collect()
    }

    fn versions(
        &self,
        snapshot: &Snapshot<'_>,
        revision: MainRevision,
        visit: &mut dyn FnMut(&Kv) -> bool,
    ) {
        let place = |main| row::place_of_revision(Revision { main, sub: 0 });
        let _ = rows_of(snapshot, place(0), place(revision + 1)).all(|row| visit(&row.kv));
    }

    fn visit_locks(&self, visit: Visit<'_>) {
        visit("overlay", &self.overlay);
        visit("write batch", &self.kept);
    }

    fn commits_batches(&self) -> bool {
        self.state_sync != StateSync::PerOp
    }
}

/// The rows in `from..end` as `snapshot` has them.
fn rows_of<'a>(
    snapshot: &'a Snapshot<'_>,
    from: Vec<u8>,
    end: Vec<u8>,
) -> impl Iterator<Item = Row> + 'a {
    let mut options = ReadOptions::default();
    options.set_iterate_upper_bound(end);
    let mut rows = snapshot.raw_iterator_opt(options);
    rows.seek(from);
    walk(rows)
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
