//! One version of one key: immutable but for its two revisions, which are stamps until its request is published.
//! Numbers and key lie in one allocation behind a thin pointer, since there are as many of these as writes; the value stays where the
//! request brought it.

use super::ahead::prefetch;
use crate::model::{KeyValue, LeaseId, MainRevision};
use std::sync::atomic::{AtomicI64, Ordering};
use triomphe::ThinArc;

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
    value: Box<[u8]>,
    sub: u32,
}

/// The numbers of a new version. A version of 0 makes it a tombstone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) create: MainRevision,
    pub(super) modified: MainRevision,
    pub(super) version: i64,
    pub(super) lease: LeaseId,
    pub(super) sub: u32,
}

impl Kv {
    pub(super) fn new(key: &[u8], value: impl Into<Box<[u8]>>, written: Written) -> Kv {
        let numbers = Numbers {
            create: AtomicI64::new(written.create),
            modified: AtomicI64::new(written.modified),
            version: written.version,
            lease: written.lease,
            value: value.into(),
            sub: written.sub,
        };
        Kv(ThinArc::from_header_and_slice(numbers, key))
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
        if let [first, .., last] = self.value() {
            prefetch(first);
            prefetch(last);
        }
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.0.slice
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.numbers().value
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

    #[cfg(feature = "rocksdb")]
    /// Whether both are the same version, not just equal ones.
    pub(super) fn is_same(&self, other: &Kv) -> bool {
        std::ptr::eq(self.0.slice.as_ptr(), other.0.slice.as_ptr())
    }

    /// As a client gets it.
    pub(super) fn key_value(&self) -> KeyValue {
        KeyValue { value: self.value().to_vec(), ..self.without_value() }
    }

    /// As a client gets it who wants only keys.
    pub(super) fn without_value(&self) -> KeyValue {
        KeyValue {
            key: self.key().to_vec(),
            value: Vec::new(),
            create_revision: self.create(),
            mod_revision: self.modified(),
            version: self.version(),
            lease: self.lease(),
        }
    }
}
