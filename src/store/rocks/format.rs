//! Which format a database has. One of the first is brought up to date when it is opened: its rows stay, and the newest versions by key go.

use super::{failed, row, row::Meta};
use crate::store::StoreError;
use rocksdb::{DB, IteratorMode, WriteBatch, WriteOptions};
use std::path::Path;

/// How the store stands that is in `db`, which has the present format from then on.
pub(super) fn bring_up_to_date(db: &DB, folder: &Path) -> Result<Meta, StoreError> {
    let failed = |error: rocksdb::Error| failed(folder, error);
    let get = |place: &[u8]| db.get(place).map_err(failed);
    let foreign = || StoreError::Foreign(folder.to_path_buf());
    match get(row::FORMAT)?.as_deref() {
        None => {
            let mut rows = db.iterator(IteratorMode::Start);
            match rows.next() {
                None => {}
                Some(Ok(_)) => return Err(foreign()),
                Some(Err(error)) => return Err(failed(error)),
            }
            db.put(row::FORMAT, [row::PRESENT_FORMAT]).map_err(failed)?;
            Ok(Meta::default())
        }
        Some([row::PRESENT_FORMAT]) => match get(row::META)? {
            None => Ok(Meta::default()),
            Some(bytes) => Meta::from_bytes(&bytes).ok_or_else(foreign),
        },
        Some([_]) => Err(StoreError::Later(folder.to_path_buf())),
        Some(bytes) => {
            let meta = Meta::from_first_format(bytes).ok_or_else(foreign)?;
            let mut batch = WriteBatch::default();
            batch.delete_range([row::FIRST_FORMAT_KEYS], [row::FIRST_FORMAT_KEYS + 1]);
            batch.put(row::META, meta.to_bytes());
            batch.put(row::FORMAT, [row::PRESENT_FORMAT]);
            let mut synced = WriteOptions::default();
            synced.set_sync(true);
            db.write_opt(batch, &synced).map_err(failed)?;
            Ok(meta)
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::options;
    use super::row::Row;
    use super::*;
    use crate::measure::stage::Probe;
    use crate::model::{Position, Request, Revision};
    use crate::store::kv::Written;
    use crate::store::{self, Command, Config, Dump, EngineKind, PathKind, StateSync};
    use tempfile::TempDir;

    fn on_disk() -> Config {
        let engine = EngineKind::RocksDb { state_sync: StateSync::RaftLogOnly };
        Config { engine, ..Config::in_memory(PathKind::GlobalMutex) }
    }

    fn dump(folder: &Path) -> Dump {
        store::open(on_disk(), folder, Probe::off()).unwrap().dump()
    }

    /// Where the store stood, in the first format: revision, compaction, how far old versions were deleted, applied position, bytes.
    fn stood(numbers: [i64; 3], held: Option<u64>) -> Vec<u8> {
        let mut bytes: Vec<u8> = numbers.into_iter().flat_map(i64::to_le_bytes).collect();
        bytes.extend(9_u64.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(held.into_iter().flat_map(u64::to_le_bytes));
        bytes
    }

    /// Two keys, one of them written twice and on a lease, one of them deleted.
    fn in_first_format(folder: &Path) {
        let db = DB::open(&options(), folder).unwrap();
        let put = |main, key: &[u8], value: &[u8], (create, version, lease), before| {
            let written = Written { create, modified: main, version, lease, sub: 0 };
            let bytes = row_of_first_format(Row { written, key, value }, before);
            db.put(row::place_of_revision(Revision { main, sub: 0 }), &bytes).unwrap();
            db.put([b"k", key].concat(), &bytes).unwrap();
        };
        put(2, b"a", b"one", (2, 1, 0), (0, 0, None));
        put(3, b"b", b"", (3, 1, 0), (0, 0, None));
        put(4, b"a", b"three", (2, 2, 7), (2, 0, Some(4)));
        put(5, b"b", b"", (0, 0, 0), (3, 0, Some(1)));
        db.put(row::place_of_lease(7), 60_i64.to_le_bytes()).unwrap();
        db.put(row::FORMAT, stood([5, 0, 0], Some(300))).unwrap();
    }

    #[test]
    fn a_database_of_the_first_format_goes_on() {
        let root = TempDir::new().unwrap();
        let folder = root.path().join("state");
        in_first_format(&folder);
        let first = dump(&folder);
        let [kv] = first.keys.as_slice() else { panic!("{first:?}") };
        assert_eq!((kv.key.as_slice(), kv.value.as_slice()), (&b"a"[..], &b"three"[..]));
        assert_eq!((kv.create_revision, kv.mod_revision, kv.version, kv.lease), (2, 4, 2, 7));
        assert_eq!((first.revision, first.leases[0].keys.as_slice()), (5, &[b"a".to_vec()][..]));
        assert_eq!(dump(&folder), first, "it is brought up to date once");

        let store = store::open(on_disk(), &folder, Probe::off()).unwrap();
        assert_eq!(store.applied().index, 9);
        assert_eq!(store.events(1, 5).unwrap().len(), 4, "all of the history");
        let mut answers = Vec::new();
        let command = |index, request| Command { position: Position { index, offset: 0 }, request };
        let put = Request::put("b".to_owned(), b"again".to_vec());
        let compact = Request::Compact { revision: 6 };
        store.apply(&mut vec![command(10, put), command(11, compact)], &mut answers);
        store.defragment();
        drop(store);
        let db = DB::open(&options(), &folder).unwrap();
        let places: Vec<_> =
            db.iterator(rocksdb::IteratorMode::Start).map(|row| row.unwrap().0).collect();
        let kinds: Vec<_> = places.iter().map(|place| place[0] as char).collect();
        assert_eq!(kinds, ['l', 'm', 'r', 'r', 's'], "one version of each key, once");
    }

    #[test]
    fn what_is_of_a_later_format_or_of_none_is_left_as_it_is() {
        let root = TempDir::new().unwrap();
        let of = |format: &[u8]| {
            let db = DB::open(&options(), root.path()).unwrap();
            db.put(row::FORMAT, format).unwrap();
            drop(db);
            let refused = store::open(on_disk(), root.path(), Probe::off()).err();
            let db = DB::open(&options(), root.path()).unwrap();
            assert_eq!(db.get(row::FORMAT).unwrap().as_deref(), Some(format));
            refused.map(|refused| refused.to_string()).unwrap_or_default()
        };
        assert!(of(&[row::PRESENT_FORMAT + 1]).contains("of a later version of kvbench"));
        assert!(of(b"something else").contains("not of kvbench"));
        assert!(of(b"").contains("not of kvbench"));

        let other = TempDir::new().unwrap();
        DB::open(&options(), other.path()).unwrap().put(b"r", b"a row").unwrap();
        let refused = store::open(on_disk(), other.path(), Probe::off()).err().unwrap();
        assert!(refused.to_string().contains("not of kvbench"), "{refused}");
    }

    /// What programs of the first format wrote.
    pub(in crate::store::rocks) fn row_of_first_format(
        row: Row<'_>,
        (main, sub, bytes_before): (i64, u32, Option<u32>),
    ) -> Vec<u8> {
        let Row { written, key, value } = row;
        let flag = bytes_before.map_or(0, |_| row::SAYS_BYTES_BEFORE);
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&written.create.to_le_bytes());
        bytes.extend_from_slice(&written.modified.to_le_bytes());
        bytes.extend_from_slice(&written.sub.to_le_bytes());
        bytes.extend_from_slice(&written.version.to_le_bytes());
        bytes.extend_from_slice(&written.lease.to_le_bytes());
        bytes.extend_from_slice(&main.to_le_bytes());
        bytes.extend_from_slice(&sub.to_le_bytes());
        bytes.extend_from_slice(&(key.len() as u32 | flag).to_le_bytes());
        bytes.extend(bytes_before.into_iter().flat_map(u32::to_le_bytes));
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
        bytes
    }
}
