//! What clients send: the operations of a scenario with their options, and the names under which results are told
//! apart. An operation of a scenario and a kind of result are not the same: a lease cycle gives grants, puts and revokes.

use super::words;
use std::fmt;

/// One operation and its share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightedOp {
    /// What is sent.
    pub op: Op,
    /// Relative frequency, > 0.
    pub weight: f64,
}

/// An operation with its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Write a key.
    Put,
    /// Read a key, linearizably.
    Get,
    /// Read an interval of keys, linearizably.
    Range(Range),
    /// Delete a key.
    Delete,
    /// Delete an interval of keys, all in one revision.
    DeleteRange {
        /// Neighbouring keys the interval spans.
        keys: u32,
    },
    /// Compare and act on several keys, atomically.
    Txn {
        /// What is compared, and what done.
        kind: TxnKind,
        /// Distinct keys it touches.
        keys: u32,
    },
    /// Grant a lease, put keys that hang on it, revoke it: one request at a time, then the next lease.
    LeaseCycle {
        /// Puts between grant and revoke.
        keys: u32,
    },
}

/// A range read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Neighbouring keys the interval spans.
    pub keys: u32,
    /// Most keys in the answer, 0 for all.
    pub limit: u32,
    /// What the answer holds.
    pub answer: RangeAnswer,
}

/// What a range answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeAnswer {
    /// Keys with their values.
    Full,
    /// Keys without values.
    KeysOnly,
    /// Just how many there are.
    CountOnly,
}

/// What a transaction compares and does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnKind {
    /// If none of the keys is there, put all, else read all: what a lock or an election does.
    Create,
    /// Compare a key's version with a number it always exceeds, for each key, then put all. It never fails, so that
    /// arms do the same work and what contention costs is time, not attempts.
    Cas,
    /// Move money between two accounts: read both, then put both if neither was written meanwhile, else again.
    Transfer,
}

/// The names under which results are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OpKind {
    /// A put, leased or not.
    Put,
    /// A read of one key.
    Get,
    /// A read of an interval.
    Range,
    /// A delete of one key.
    Delete,
    /// A delete of an interval.
    DeleteRange,
    /// A transaction that is one request.
    Txn,
    /// A transfer: at least two requests, one operation.
    Transfer,
    /// A lease granted.
    LeaseGrant,
    /// A lease revoked, its keys with it.
    LeaseRevoke,
}

impl OpKind {
    /// All of them; each stands at the place of its number.
    pub const ALL: [OpKind; 9] = [
        OpKind::Put,
        OpKind::Get,
        OpKind::Range,
        OpKind::Delete,
        OpKind::DeleteRange,
        OpKind::Txn,
        OpKind::Transfer,
        OpKind::LeaseGrant,
        OpKind::LeaseRevoke,
    ];
}

impl Op {
    /// The keys of `[[op]]`, in the order of the documentation.
    pub const WORDS: [&'static str; 7] =
        ["put", "get", "range", "delete", "delete_range", "txn", "lease_cycle"];

    /// Its key in `[[op]]`.
    pub fn word(self) -> &'static str {
        match self {
            Op::Put => "put",
            Op::Get => "get",
            Op::Range(_) => "range",
            Op::Delete => "delete",
            Op::DeleteRange { .. } => "delete_range",
            Op::Txn { .. } => "txn",
            Op::LeaseCycle { .. } => "lease_cycle",
        }
    }

    /// Whether it changes nothing.
    pub fn is_read(self) -> bool {
        matches!(self, Op::Get | Op::Range(_))
    }

    /// Whether each of its requests follows from the answer to the one before.
    pub fn is_lease_cycle(self) -> bool {
        matches!(self, Op::LeaseCycle { .. })
    }

    /// Under which names its results are told apart.
    pub fn kinds(self) -> &'static [OpKind] {
        match self {
            Op::Put => &[OpKind::Put],
            Op::Get => &[OpKind::Get],
            Op::Range(_) => &[OpKind::Range],
            Op::Delete => &[OpKind::Delete],
            Op::DeleteRange { .. } => &[OpKind::DeleteRange],
            Op::Txn { kind: TxnKind::Transfer, .. } => &[OpKind::Transfer],
            Op::Txn { .. } => &[OpKind::Txn],
            Op::LeaseCycle { .. } => &[OpKind::LeaseGrant, OpKind::Put, OpKind::LeaseRevoke],
        }
    }

    /// Whether it moves money.
    pub fn is_transfer(self) -> bool {
        matches!(self, Op::Txn { kind: TxnKind::Transfer, .. })
    }

    /// Neighbouring or distinct keys it needs; no more than there are.
    pub fn keys(self) -> u32 {
        match self {
            Op::Put | Op::Get | Op::Delete => 1,
            Op::Range(range) => range.keys,
            Op::DeleteRange { keys } | Op::Txn { keys, .. } | Op::LeaseCycle { keys } => keys,
        }
    }
}

/// As in reports: `PUT`, `RANGE of 10`, `TXN cas of 5`.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word().to_uppercase())?;
        match self {
            Op::Put | Op::Get | Op::Delete => Ok(()),
            Op::Range(Range { keys, answer: RangeAnswer::Full, .. }) => write!(f, " of {keys}"),
            Op::Range(Range { keys, answer: RangeAnswer::KeysOnly, .. }) => {
                write!(f, " of {keys}, keys only")
            }
            Op::Range(Range { keys, answer: RangeAnswer::CountOnly, .. }) => {
                write!(f, " of {keys}, count only")
            }
            Op::DeleteRange { keys } | Op::LeaseCycle { keys } => write!(f, " of {keys}"),
            Op::Txn { kind, keys } => write!(f, " {kind} of {keys}"),
        }
    }
}

words!(TxnKind { Create = "create", Cas = "cas", Transfer = "transfer" });
words!(OpKind {
    Put = "put",
    Get = "get",
    Range = "range",
    Delete = "delete",
    DeleteRange = "delete_range",
    Txn = "txn",
    Transfer = "transfer",
    LeaseGrant = "lease_grant",
    LeaseRevoke = "lease_revoke",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_stand_at_the_place_of_their_number() {
        for (place, kind) in OpKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
            assert_eq!(OpKind::WORDS[place], kind.as_str());
        }
    }
}
