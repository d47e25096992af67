//! What is answered. A refusal is part of the state machine: every replica gives the same one.

use super::{Alarm, KeyValue, LeaseId, MainRevision};

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Revision of the store once the request was executed.
    pub revision: MainRevision,
    /// What it brought, or why it changed nothing.
    pub result: Result<Body, Refusal>,
}

/// What a request brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Written.
    Put {
        /// What was there before, if that was asked for and there was something.
        prev_kv: Option<KeyValue>,
    },
    /// Read.
    Range(RangeResult),
    /// Deleted.
    DeleteRange {
        /// How many keys.
        deleted: i64,
        /// What was there before, by key, if that was asked for.
        prev_kvs: Vec<KeyValue>,
    },
    /// Compared and done.
    Txn {
        /// Whether the comparisons held.
        succeeded: bool,
        /// One for each step taken.
        responses: Vec<OpResponse>,
    },
    /// Compacted.
    Compact,
    /// Granted.
    LeaseGrant {
        /// The lease.
        id: LeaseId,
        /// Time to live as granted, seconds.
        ttl_s: i64,
    },
    /// Revoked.
    LeaseRevoke,
    /// What is known of a lease.
    LeaseTimeToLive(LeaseStatus),
    /// All leases, ascending.
    Leases(Vec<LeaseId>),
    /// Alarms, ascending: all there are, or the one that was raised, or the one that ended if there was it.
    Alarms(Vec<Alarm>),
}

/// The answer to one step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpResponse {
    /// Revision of the store as this step left it.
    pub revision: MainRevision,
    /// What it brought.
    pub body: Body,
}

/// What a range brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeResult {
    /// The keys, in the order asked for.
    pub kvs: Vec<KeyValue>,
    /// Whether the limit left some out.
    pub more: bool,
    /// Keys in the interval, whatever limit and filters say.
    pub count: i64,
}

/// What is known of a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseStatus {
    /// Which.
    pub id: LeaseId,
    /// Time to live as granted, seconds; −1 if there is no such lease.
    pub granted_ttl_s: i64,
    /// Its keys, ascending, if they were asked for.
    pub keys: Vec<Vec<u8>>,
}

/// Why a request changed nothing. The texts are etcd's, byte for byte: clients compare them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An empty key.
    #[error("etcdserver: key is not provided")]
    EmptyKey,
    /// `ignore_value` with a value.
    #[error("etcdserver: value is provided")]
    ValueProvided,
    /// `ignore_lease` with a lease.
    #[error("etcdserver: lease is provided")]
    LeaseProvided,
    /// `ignore_value` or `ignore_lease` on a missing key.
    #[error("etcdserver: key not found")]
    KeyNotFound,
    /// Too many operations in a transaction.
    #[error("etcdserver: too many operations in txn request")]
    TooManyOps,
    /// A transaction would change a key twice.
    #[error("etcdserver: duplicate key given in txn request")]
    DuplicateKey,
    /// Larger than the log takes.
    #[error("etcdserver: request is too large")]
    TooLarge,
    /// A revision that was not reached yet.
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision,
    /// A revision that was compacted.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted,
    /// No such lease.
    #[error("etcdserver: requested lease not found")]
    LeaseNotFound,
    /// A lease of that name is there.
    #[error("etcdserver: lease already exists")]
    LeaseExists,
    /// A time to live beyond bounds.
    #[error("etcdserver: too large lease TTL")]
    LeaseTtlTooLarge,
    /// The state has outgrown a member's quota.
    #[error("etcdserver: mvcc: database space exceeded")]
    NoSpace,
    /// A member's state is not what the others have.
    #[error("etcdserver: corrupt cluster")]
    Corrupt,
}

impl Response {
    /// Whether its request changed keys; each that did used up one revision.
    pub fn changed(&self) -> bool {
        self.result.as_ref().is_ok_and(Body::changed)
    }
}

impl Body {
    /// Whether keys were changed. A revoked lease says nothing of its keys, so it counts as unchanged here.
    fn changed(&self) -> bool {
        match self {
            Body::Put { .. } => true,
            Body::DeleteRange { deleted, .. } => *deleted > 0,
            Body::Txn { responses, .. } => responses.iter().any(|step| step.body.changed()),
            _ => false,
        }
    }
}
