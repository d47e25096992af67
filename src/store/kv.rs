//! One version of one key: immutable but for its two revisions, which are stamps until its request is published.
//! Numbers and key lie in one allocation behind a thin pointer, since there are as many of these as writes; the value stays where the
//! request brought it, or on the shelf of an engine that keeps values elsewhere.

use super::ahead::prefetch;
use crate::model::{KeyValue, LeaseId, MainRevision, Revision};
use std::borrow::Cow;
use std::sync::atomic::{AtomicI64, Ordering};
use triomphe::{Arc, ThinArc};

/// Stamps start here: larger than any revision, and ordered like the requests they stand for.
pub(super) const STAMP: MainRevision = 1 << 62;

/// A version of a key, or the tombstone that ends a life of it.
#[derive(Clone, Debug)]
pub(super) struct Kv(ThinArc<Numbers, u8>);

/// What a version is besides its key.
#[derive(Debug)]
struct Numbers {
    create: AtomicI64,
    modified: AtomicI64,
    version: i64,
    lease: LeaseId,
    value: Value,
    sub: u32,
    value_bytes: u32,
}

/// Where the value of a version is.
#[derive(Debug)]
enum Value {
    Here(Box<[u8]>),
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
    pub(super) fn new(key: &[u8], value: impl Into<Box<[u8]>>, written: Written) -> Kv {
        let value = value.into();
        let bytes = value.len() as u32;
        Kv::of(key, Value::Here(value), bytes, written)
    }

    /// A committed version whose value of so many bytes is on `shelf`.
    #[cfg(feature = "rocksdb")]
    pub(super) fn shelved(key: &[u8], value_bytes: u32, written: Written, shelf: &Shelf) -> Kv {
        Kv::of(key, Value::Shelved(shelf.clone()), value_bytes, written)
    }

    fn of(key: &[u8], value: Value, value_bytes: u32, written: Written) -> Kv {
        let numbers = Numbers {
            create: AtomicI64::new(written.create),
            modified: AtomicI64::new(written.modified),
            version: written.version,
            lease: written.lease,
            value,
            sub: written.sub,
            value_bytes,
        };
        Kv(ThinArc::from_header_and_slice(numbers, key))
    }

    /// The same with its value in memory, as long as it is held.
    pub(super) fn taken_down(self) -> Kv {
        match &self.numbers().value {
            Value::Here(_) => self,
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

    /// Has both ends of the value, where the allocator keeps its notes, brought into the caches.
    pub(super) fn prefetch_value(&self) {
        if let Value::Here(value) = &self.numbers().value
            && let [first, .., last] = &**value
        {
            prefetch(first);
            prefetch(last);
        }
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.0.slice
    }

    /// Read from the shelf if it is there.
    pub(super) fn value(&self) -> Cow<'_, [u8]> {
        match &self.numbers().value {
            Value::Here(value) => Cow::Borrowed(value),
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
    #[cfg(feature = "rocksdb")]
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

#[cfg(test)]
mod tests {
    use super::*;

    /// There are as many of these as writes, and most are of engines without a shelf.
    #[test]
    fn a_shelf_makes_no_version_larger() {
        assert_eq!(size_of::<Value>(), size_of::<Box<[u8]>>());
        assert_eq!(size_of::<Numbers>(), 56);
    }
}
