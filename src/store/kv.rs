//! One version of one key: immutable for as long as anybody holds it but for its two revisions, which are stamps until its request is published.
//! Numbers, key and value lie in one allocation behind a thin pointer, since there are as many of these as writes. A long value stays where
//! the request brought it, and one of an engine that keeps values elsewhere is on its shelf.

use super::ahead::prefetch;
use crate::model::{KeyValue, LeaseId, MainRevision, Revision};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::atomic::{AtomicI64, Ordering};
use triomphe::{Arc, ThinArc};

/// Stamps start here: larger than any revision, and ordered like the requests they stand for.
pub(super) const STAMP: MainRevision = 1 << 62;

/// Values up to here lie behind their keys, bytes: to copy one takes less than to find out where it is.
const BEHIND_MOST: usize = 1024;

/// A version of a key, or the tombstone that ends a life of it. Behind the numbers lie the key, the value if it does, and what is left of
/// the [`room`].
#[derive(Clone, Debug)]
pub(super) struct Kv(ThinArc<Numbers, u8>);

/// What a version is besides its bytes.
#[derive(Debug)]
struct Numbers {
    create: AtomicI64,
    modified: AtomicI64,
    version: i64,
    lease: LeaseId,
    value: Value,
    sub: u32,
    key_bytes: u32,
    value_bytes: u32,
}

/// Where the value of a version is.
#[derive(Debug)]
enum Value {
    Behind,
    /// A box of its own, so that the other versions need no room for its length.
    Apart(Box<Box<[u8]>>),
    #[cfg_attr(not(feature = "rocksdb"), expect(dead_code, reason = "memory has no shelf"))]
    Shelved(Shelf),
}

/// Where an engine keeps values.
pub(super) type Shelf = Arc<Box<dyn Shelved>>;

/// Values that are not in memory, by the revision of their version.
pub(super) trait Shelved: Send + Sync {
    /// The value of a committed version; nothing of one that a compaction has overtaken, and then whoever asks has to ask again.
    fn value(&self, revision: Revision) -> Vec<u8>;
}

impl std::fmt::Debug for dyn Shelved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shelf")
    }
}

/// The numbers of a new version. A version of 0 makes it a tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) create: MainRevision,
    pub(super) modified: MainRevision,
    pub(super) version: i64,
    pub(super) lease: LeaseId,
    pub(super) sub: u32,
}

impl Kv {
    pub(super) fn new<'a>(key: &[u8], value: impl Into<Cow<'a, [u8]>>, written: Written) -> Kv {
        Kv::over(None, key, value.into(), written)
    }

    /// The same in the room of `spare`, if nobody else holds that and it is neither too small nor much too large.
    pub(super) fn over(
        spare: Option<Kv>,
        key: &[u8],
        value: Cow<'_, [u8]>,
        written: Written,
    ) -> Kv {
        let bytes = value.len() as u32;
        let (value, behind) = match Kv::may_lie_behind(&value) {
            true => (Value::Behind, value),
            false => (Value::Apart(Box::new(value.into_owned().into())), Cow::Borrowed(&[][..])),
        };
        let numbers = Numbers::new(written, key, value, bytes);
        match spare {
            Some(spare) => spare.overwrite(numbers, key, &behind),
            None => Kv::lay_out(numbers, key, &behind),
        }
    }

    /// Whether a value lies in the version's own room.
    pub(super) fn may_lie_behind(value: &[u8]) -> bool {
        value.len() <= BEHIND_MOST
    }

    /// A committed version whose value of so many bytes is on `shelf`.
    #[cfg(feature = "rocksdb")]
    pub(super) fn shelved(key: &[u8], value_bytes: u32, written: Written, shelf: &Shelf) -> Kv {
        let value = Value::Shelved(shelf.clone());
        Kv::lay_out(Numbers::new(written, key, value, value_bytes), key, &[])
    }

    fn lay_out(numbers: Numbers, key: &[u8], behind: &[u8]) -> Kv {
        let mut bytes: SmallVec<[u8; 2 * BEHIND_MOST]> = SmallVec::from_slice(key);
        bytes.extend_from_slice(behind);
        bytes.resize(room(bytes.len()), 0);
        Kv(ThinArc::from_header_and_slice(numbers, &bytes))
    }

    fn overwrite(mut self, numbers: Numbers, key: &[u8], behind: &[u8]) -> Kv {
        let needed = key.len() + behind.len();
        let left = self.0.with_arc_mut(|spare| {
            let spare = Arc::get_mut(spare).filter(|spare| fits(spare.length(), needed));
            let Some(spare) = spare else { return Some(numbers) };
            *spare.header_mut() = numbers;
            let (key_room, rest) = spare.slice_mut().split_at_mut(key.len());
            key_room.copy_from_slice(key);
            rest[..behind.len()].copy_from_slice(behind);
            None
        });
        match left {
            Some(numbers) => Kv::lay_out(numbers, key, behind),
            None => self,
        }
    }

    /// Whether another version may be written over it once nobody holds it.
    pub(super) fn is_spare(&self) -> bool {
        matches!(self.numbers().value, Value::Behind) && self.0.slice.len() <= 2 * BEHIND_MOST
    }

    /// The same with its value in memory, as long as it is held.
    pub(super) fn taken_down(self) -> Kv {
        match &self.numbers().value {
            Value::Behind | Value::Apart(_) => self,
            Value::Shelved(shelf) => {
                Kv::new(self.key(), shelf.value(self.revision()), self.written())
            }
        }
    }

    #[cfg(all(test, feature = "rocksdb"))]
    pub(super) fn is_shelved(&self) -> bool {
        matches!(self.numbers().value, Value::Shelved(_))
    }

    /// Its numbers as they are now.
    pub(super) fn written(&self) -> Written {
        Written {
            create: self.create(),
            modified: self.modified(),
            version: self.version(),
            lease: self.lease(),
            sub: self.sub(),
        }
    }

    fn numbers(&self) -> &Numbers {
        &self.0.header.header
    }

    /// Has its numbers, and the key behind them, brought into the caches.
    pub(super) fn prefetch(&self) {
        prefetch(&self.numbers().create);
        prefetch(&self.0.header.length);
    }

    /// Has its bytes brought into the caches, to be written over.
    pub(super) fn prefetch_room(&self) {
        prefetch(&self.numbers().create);
        prefetch(&self.0.header.length);
        // The two lines of the head, and what is within these of the bytes, are on their way already.
        self.0.slice.iter().skip(2 * LINE - HEAD_BYTES).step_by(LINE).for_each(prefetch);
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.0.slice[..self.numbers().key_bytes as usize]
    }

    /// Read from the shelf if it is there.
    pub(super) fn value(&self) -> Cow<'_, [u8]> {
        match &self.numbers().value {
            Value::Behind => {
                let Numbers { key_bytes, value_bytes, .. } = self.numbers();
                Cow::Borrowed(&self.0.slice[*key_bytes as usize..][..*value_bytes as usize])
            }
            Value::Apart(value) => Cow::Borrowed(value),
            Value::Shelved(shelf) => Cow::Owned(shelf.value(self.revision())),
        }
    }

    /// Bytes of the value, wherever it is.
    pub(super) fn value_bytes(&self) -> usize {
        self.numbers().value_bytes as usize
    }

    /// Revision, or stamp, at which this life of the key began. Relaxed, as below: whoever may look at a version came by it
    /// through a lock or through the published revision, and both order these stores.
    pub(super) fn create(&self) -> MainRevision {
        self.numbers().create.load(Ordering::Relaxed)
    }

    /// Revision, or stamp, of the write. A reader that races with publishing sees one or the other, and both are above
    /// the revision it reads at.
    pub(super) fn modified(&self) -> MainRevision {
        self.numbers().modified.load(Ordering::Relaxed)
    }

    /// Both parts of it.
    pub(super) fn revision(&self) -> Revision {
        Revision { main: self.modified(), sub: self.sub() }
    }

    pub(super) fn version(&self) -> i64 {
        self.numbers().version
    }

    pub(super) fn lease(&self) -> LeaseId {
        self.numbers().lease
    }

    /// Place among the changes of its request.
    pub(super) fn sub(&self) -> u32 {
        self.numbers().sub
    }

    pub(super) fn is_tombstone(&self) -> bool {
        self.numbers().version == 0
    }

    /// Turns stamps into revisions; `revision_of` gives the revision that a stamp stands for.
    pub(super) fn settle(&self, revision_of: impl Fn(MainRevision) -> MainRevision) {
        for number in [&self.numbers().create, &self.numbers().modified] {
            let stamp = number.load(Ordering::Relaxed);
            if stamp >= STAMP {
                number.store(revision_of(stamp), Ordering::Relaxed);
            }
        }
        debug_assert!(self.create() <= self.modified());
    }

    /// Whether both are the same version, not just equal ones.
    pub(super) fn is_same(&self, other: &Kv) -> bool {
        std::ptr::eq(self.0.slice.as_ptr(), other.0.slice.as_ptr())
    }

    /// As a client gets it.
    pub(super) fn key_value(&self) -> KeyValue {
        KeyValue { value: self.value().into_owned(), ..self.without_value() }
    }

    /// As a client gets it who wants only keys.
    pub(super) fn without_value(&self) -> KeyValue {
        KeyValue { key: self.key().to_vec(), ..self.numbers_only() }
    }

    /// What a client gets besides key and value.
    pub(super) fn numbers_only(&self) -> KeyValue {
        KeyValue {
            key: Vec::new(),
            value: Vec::new(),
            create_revision: self.create(),
            mod_revision: self.modified(),
            version: self.version(),
            lease: self.lease(),
        }
    }
}

impl Numbers {
    fn new(written: Written, key: &[u8], value: Value, value_bytes: u32) -> Numbers {
        Numbers {
            create: AtomicI64::new(written.create),
            modified: AtomicI64::new(written.modified),
            version: written.version,
            lease: written.lease,
            value,
            sub: written.sub,
            key_bytes: key.len() as u32,
            value_bytes,
        }
    }
}

/// What an allocation has before the bytes: how often it is held, the numbers, the length.
const HEAD_BYTES: usize = 16 + size_of::<Numbers>();

/// Of the caches, bytes.
const LINE: usize = 64;

/// What the C library's allocator keeps for itself of each of its steps, and how long these are, bytes.
const KEPT_BACK: usize = 8;
const STEP: usize = 16;

/// So many bytes, and what the allocator would leave unused behind them.
fn room(bytes: usize) -> usize {
    (HEAD_BYTES + KEPT_BACK + bytes).next_multiple_of(STEP) - HEAD_BYTES - KEPT_BACK
}

/// Whether so many bytes may be written to a spare room: it may be larger by a quarter.
fn fits(room: usize, bytes: usize) -> bool {
    (bytes..=bytes + (HEAD_BYTES + bytes) / 4).contains(&room)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There are as many of these as writes.
    #[test]
    fn numbers_fill_a_line() {
        assert_eq!(size_of::<Value>(), 16);
        assert_eq!(size_of::<Numbers>(), 64);
    }

    fn written(revision: MainRevision) -> Written {
        Written { create: revision, modified: revision, version: 1, lease: 7, sub: 3 }
    }

    fn is(kv: &Kv, key: &[u8], value: &[u8], of: Written) -> bool {
        (kv.key(), &*kv.value(), kv.value_bytes(), kv.written()) == (key, value, value.len(), of)
    }

    #[test]
    fn a_version_says_what_was_written_wherever_its_value_lies() {
        for bytes in [0, 1, 7, 8, 9, BEHIND_MOST - 1, BEHIND_MOST, BEHIND_MOST + 1, 100_000] {
            for key in [&b""[..], b"k", &[b'k'; 3 * BEHIND_MOST]] {
                let value: Vec<u8> = (0..bytes).map(|byte| byte as u8).collect();
                assert!(is(&Kv::new(key, &value, written(5)), key, &value, written(5)));
                let owned = Kv::new(key, value.clone(), written(6));
                assert!(is(&owned, key, &value, written(6)));
            }
        }
    }

    #[test]
    fn a_spare_version_is_written_over_if_nobody_holds_it() {
        let over =
            |spare: Kv, value: &[u8]| Kv::over(Some(spare), b"new", value.into(), written(9));
        let place = |kv: &Kv| kv.0.slice.as_ptr();
        for value in [&b"value"[..], b"", &[1; 30], &[1; 2 * BEHIND_MOST]] {
            let spare = Kv::new(b"old key", [0; 40].to_vec(), written(5));
            let was = place(&spare);
            let kv = over(spare, value);
            assert!(is(&kv, b"new", value, written(9)));
            assert_eq!(place(&kv) == was, (30..=40).contains(&value.len()));
        }
        let spare = Kv::new(b"old", b"value", written(5));
        let held = spare.clone();
        assert!(is(&over(spare, b"other"), b"new", b"other", written(9)));
        assert!(is(&held, b"old", b"value", written(5)));
    }

    #[test]
    fn a_long_value_is_let_go_with_its_version() {
        let long = vec![1; BEHIND_MOST + 1];
        assert!(!Kv::new(b"k", long, written(5)).is_spare());
        assert!(!Kv::new(&[1; 3 * BEHIND_MOST], b"v", written(5)).is_spare());
        assert!(Kv::new(b"k", vec![1; BEHIND_MOST], written(5)).is_spare());
    }
}
