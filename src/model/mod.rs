//! The words of the key-value API, as etcd has them: requests, responses, events, revisions, and their bytes in the
//! log. No I/O, no state.

mod alarm;
pub mod codec;
mod event;
mod request;
mod response;
mod validate;

pub use alarm::{Alarm, AlarmKind};
pub use event::{Event, EventKind};
pub use request::{
    Compare, CompareResult, DeleteRange, Operand, Put, Range, Request, RequestOp, SortOrder,
    SortTarget, Txn,
};
pub use response::{Body, LeaseStatus, OpResponse, RangeResult, Refusal, Response};
pub use validate::{OPS_MAX, REQUEST_BYTES_MAX, validate};

use std::fmt;

/// The store-wide change number: 1 when empty, one more for each request that changed something (as etcd).
pub type MainRevision = i64;

/// Names a lease; never 0, which stands for "no lease".
pub type LeaseId = i64;

/// Largest time to live of a lease, seconds (etcd's maxLeaseTTL).
pub const LEASE_TTL_MAX_S: i64 = 9_000_000_000;

/// One change: the request's main revision, and its place among that request's changes, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// Shared by all changes of a request.
    pub main: MainRevision,
    /// In the order of execution.
    pub sub: u32,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.main, self.sub)
    }
}

/// Where a command stands in the log. Entries are counted from 1; index 0 stands for a command that comes from no log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Index of its entry.
    pub index: u64,
    /// Its place within the entry, from 0.
    pub offset: u32,
}

/// A key with its value and its history's numbers (as etcd's mvccpb.KeyValue).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: Vec<u8>,
    /// The value; empty if only keys were asked for.
    pub value: Vec<u8>,
    /// Revision at which this life of the key began.
    pub create_revision: MainRevision,
    /// Revision of the last write.
    pub mod_revision: MainRevision,
    /// Writes in this life of the key, from 1; 0 in the tombstone of a DELETE event.
    pub version: i64,
    /// The lease it hangs on, 0 if none.
    pub lease: LeaseId,
}

/// The keys a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interval {
    /// First key.
    pub key: Vec<u8>,
    /// First key after the interval. Empty: just `key`. A single zero byte: all keys from `key` on. Not above `key`: none.
    pub range_end: Vec<u8>,
}

impl Interval {
    /// Just `key`.
    pub fn point(key: impl Into<Vec<u8>>) -> Interval {
        Interval { key: key.into(), range_end: Vec::new() }
    }

    /// Keys from `key` on, below `range_end`.
    pub fn between(key: impl Into<Vec<u8>>, range_end: impl Into<Vec<u8>>) -> Interval {
        Interval { key: key.into(), range_end: range_end.into() }
    }

    /// Every key that starts with `prefix`.
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Interval {
        let key: Vec<u8> = prefix.into();
        if key.is_empty() {
            return Interval::everything();
        }
        let mut range_end = key.clone();
        while let Some(last) = range_end.pop() {
            if last < 0xff {
                range_end.push(last + 1);
                return Interval { key, range_end };
            }
        }
        Interval { key, range_end: vec![0] }
    }

    /// Every key there can be.
    pub fn everything() -> Interval {
        Interval { key: vec![0], range_end: vec![0] }
    }

    /// Whether it is about a single key.
    pub fn is_point(&self) -> bool {
        self.range_end.is_empty()
    }

    /// First key that it no longer holds; `None` if it goes to the end. Not for points.
    pub fn end(&self) -> Option<&[u8]> {
        (self.range_end != [0]).then_some(&self.range_end)
    }

    /// Whether it holds no key at all.
    pub fn is_empty(&self) -> bool {
        !self.is_point() && self.end().is_some_and(|end| end <= self.key.as_slice())
    }

    /// Whether it holds `key`.
    pub fn contains(&self, key: &[u8]) -> bool {
        match self.is_point() {
            true => key == self.key,
            false => key >= self.key.as_slice() && self.end().is_none_or(|end| key < end),
        }
    }
}
