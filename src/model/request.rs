//! What can be asked, with etcd's options.

use super::{Alarm, Interval, LeaseId, MainRevision};

/// A request. Those that [`Request::is_write`] go through the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Write a key.
    Put(Put),
    /// Read keys.
    Range(Range),
    /// Delete keys, all in one revision.
    DeleteRange(DeleteRange),
    /// Compare, then do one of two lists, atomically.
    Txn(Txn),
    /// Forget the versions that were superseded at this revision or before.
    Compact {
        /// Reads below it are refused from then on.
        revision: MainRevision,
    },
    /// Create a lease.
    LeaseGrant {
        /// Its name, chosen by the server before it proposes, so that the log is deterministic.
        id: LeaseId,
        /// Time to live, seconds.
        ttl_s: i64,
    },
    /// End a lease and delete its keys, in one revision.
    LeaseRevoke {
        /// Which.
        id: LeaseId,
    },
    /// Ask what a lease was granted, and which keys hang on it.
    LeaseTimeToLive {
        /// Which.
        id: LeaseId,
        /// Whether the keys are wanted.
        keys: bool,
    },
    /// List all leases.
    Leases,
    /// Raise an alarm, if it is not raised already.
    AlarmActivate(Alarm),
    /// End an alarm, if there is such a one.
    AlarmDeactivate(Alarm),
    /// List all alarms.
    Alarms,
}

/// What a put adds beside its key and value, about, bytes (etcd's figure).
const PUT_OVERHEAD_BYTES: u64 = 256;

/// What a lease adds, about, bytes (etcd's figure).
const LEASE_BYTES: u64 = 64;

/// Write a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Put {
    /// The key.
    pub key: Vec<u8>,
    /// Its new value.
    pub value: Vec<u8>,
    /// The lease it hangs on from now on, 0 for none. It replaces the one the key had.
    pub lease: LeaseId,
    /// Answer with what was there before.
    pub prev_kv: bool,
    /// Keep the value that is there; refused if there is none.
    pub ignore_value: bool,
    /// Keep the lease that is there; refused if the key is missing.
    pub ignore_lease: bool,
}

/// Read keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Which keys.
    pub interval: Interval,
    /// At most this many; 0 for all.
    pub limit: i64,
    /// As of this revision; 0 or less for now.
    pub revision: MainRevision,
    /// The order of the answer.
    pub sort_order: SortOrder,
    /// What the order is by.
    pub sort_target: SortTarget,
    /// May be answered from a node that is behind.
    pub serializable: bool,
    /// Leave the values out.
    pub keys_only: bool,
    /// Only count.
    pub count_only: bool,
    /// Leave out keys last written before this revision; 0 for no bound.
    pub min_mod_revision: MainRevision,
    /// Leave out keys last written after this revision; 0 for no bound.
    pub max_mod_revision: MainRevision,
    /// Leave out keys created before this revision; 0 for no bound.
    pub min_create_revision: MainRevision,
    /// Leave out keys created after this revision; 0 for no bound.
    pub max_create_revision: MainRevision,
}

/// The order of a range's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// As the store has them: by key, ascending.
    #[default]
    None,
    /// Smallest first.
    Ascend,
    /// Largest first.
    Descend,
}

/// What a range's answer is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortTarget {
    /// The key.
    #[default]
    Key,
    /// Its version.
    Version,
    /// The revision that created it.
    Create,
    /// The revision that last wrote it.
    Mod,
    /// The value.
    Value,
}

/// Delete keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteRange {
    /// Which keys.
    pub interval: Interval,
    /// Answer with what was there before.
    pub prev_kv: bool,
}

/// If every comparison holds, do `success`, else `failure`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// All must hold; none holds always.
    pub compares: Vec<Compare>,
    /// Done in order if they hold.
    pub success: Vec<RequestOp>,
    /// Done in order if not.
    pub failure: Vec<RequestOp>,
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestOp {
    /// Write a key.
    Put(Put),
    /// Read keys; sees what earlier steps did.
    Range(Range),
    /// Delete keys.
    DeleteRange(DeleteRange),
    /// A transaction within; its comparisons look at the state before the outermost one.
    Txn(Txn),
}

/// One comparison: holds if it holds for every key of the interval that is there. For a point a missing key counts as all
/// zeros, except that no comparison of its value holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// Which keys.
    pub interval: Interval,
    /// How what is there has to stand to the operand.
    pub result: CompareResult,
    /// What is compared, and with what.
    pub operand: Operand,
}

/// How what is there has to stand to the operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareResult {
    /// Equal to it.
    Equal,
    /// Greater than it.
    Greater,
    /// Less than it.
    Less,
    /// Not equal to it.
    NotEqual,
}

/// What is compared, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// The key's version.
    Version(i64),
    /// The revision that created it.
    Create(MainRevision),
    /// The revision that last wrote it.
    Mod(MainRevision),
    /// Its value.
    Value(Vec<u8>),
    /// The lease it hangs on.
    Lease(LeaseId),
}

impl Request {
    /// Write `value` at `key`.
    pub fn put(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Request {
        Request::Put(Put { key: key.into(), value: value.into(), ..Put::default() })
    }

    /// Read `key`.
    pub fn get(key: impl Into<Vec<u8>>) -> Request {
        Request::Range(Range { interval: Interval::point(key), ..Range::default() })
    }

    /// Delete `key`.
    pub fn delete(key: impl Into<Vec<u8>>) -> Request {
        let interval = Interval::point(key);
        Request::DeleteRange(DeleteRange { interval, prev_kv: false })
    }

    /// Whether it has to go through the log.
    pub fn is_write(&self) -> bool {
        match self {
            Request::Range(_)
            | Request::LeaseTimeToLive { .. }
            | Request::Leases
            | Request::Alarms => false,
            Request::Txn(txn) => txn.is_write(),
            Request::Put(_)
            | Request::DeleteRange(_)
            | Request::Compact { .. }
            | Request::LeaseGrant { .. }
            | Request::LeaseRevoke { .. }
            | Request::AlarmActivate(_)
            | Request::AlarmDeactivate(_) => true,
        }
    }

    /// Whether it raises or ends an alarm.
    pub fn is_alarm(&self) -> bool {
        matches!(self, Request::AlarmActivate(_) | Request::AlarmDeactivate(_))
    }

    /// By how many bytes the state may grow, as etcd reckons against its quota; 0 for what makes it smaller, although a tombstone takes
    /// a few bytes.
    pub fn grows_by(&self) -> u64 {
        match self {
            Request::Put(put) => put.grows_by(),
            Request::Txn(txn) => txn.grows_by(),
            Request::LeaseGrant { .. } => LEASE_BYTES,
            _ => 0,
        }
    }
}

impl Put {
    fn grows_by(&self) -> u64 {
        PUT_OVERHEAD_BYTES + (self.key.len() + self.value.len()) as u64
    }
}

impl Txn {
    /// Whether any step, taken or not, could change something.
    pub fn is_write(&self) -> bool {
        self.success.iter().chain(&self.failure).any(|op| match op {
            RequestOp::Put(_) | RequestOp::DeleteRange(_) => true,
            RequestOp::Range(_) => false,
            RequestOp::Txn(inner) => inner.is_write(),
        })
    }

    /// The larger of both lists. Transactions within count, which etcd lets pass.
    fn grows_by(&self) -> u64 {
        let grows_by = |ops: &[RequestOp]| -> u64 {
            let each = ops.iter().map(|op| match op {
                RequestOp::Put(put) => put.grows_by(),
                RequestOp::Range(_) | RequestOp::DeleteRange(_) => 0,
                RequestOp::Txn(inner) => inner.grows_by(),
            });
            each.sum()
        };
        grows_by(&self.success).max(grows_by(&self.failure))
    }
}
