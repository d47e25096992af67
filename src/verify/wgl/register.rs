//! Models of one register: reads, writes, compare-and-set and deletes, as Knossos' `cas-register`.
//!
//! The versioned register is the trick of Jepsen's test of etcd: answers carry the version of the key, which says where
//! in the order of the writes they belong. With it nearly every history is decided without going back.

use super::Model;
use std::hash::Hash;

/// A register that holds one value or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Register<V> {
    /// What it holds at first.
    pub initial: Option<V>,
}

/// An operation on a [`Register`], with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterOp<V> {
    /// The value that was read; None if there was none.
    Read(Option<V>),
    /// A write of this value.
    Write(V),
    /// Compare-and-set: `to` is written if the register holds `from`.
    Cas {
        /// None: if it holds nothing.
        from: Option<V>,
        /// The new value.
        to: V,
        /// Whether the answer was that it did.
        succeeded: bool,
    },
    /// The register holds nothing afterwards.
    Delete,
}

impl<V: Copy + Eq + Hash> Model for Register<V> {
    type State = Option<V>;
    type Op = RegisterOp<V>;

    fn init(&self) -> Option<V> {
        self.initial
    }

    fn step(&self, held: &Option<V>, op: &RegisterOp<V>, known: bool) -> Option<Option<V>> {
        match *op {
            RegisterOp::Read(read) => (!known || read == *held).then_some(*held),
            RegisterOp::Write(value) => Some(Some(value)),
            RegisterOp::Cas { from, to, succeeded } => {
                let holds = from == *held;
                let after = if holds { Some(to) } else { *held };
                (!known || succeeded == holds).then_some(after)
            }
            RegisterOp::Delete => Some(None),
        }
    }

    fn is_pure(&self, op: &RegisterOp<V>) -> bool {
        matches!(op, RegisterOp::Read(_) | RegisterOp::Cas { succeeded: false, .. })
    }

    fn are_twins(&self, a: &RegisterOp<V>, b: &RegisterOp<V>) -> bool {
        a == b
    }
}

/// A register that counts the writes since it last held nothing, as etcd's `version` of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VersionedRegister<V> {
    /// What it holds at first.
    pub initial: Versioned<V>,
}

/// What a [`VersionedRegister`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Versioned<V> {
    /// The value, if there is one.
    pub value: Option<V>,
    /// Writes since there was none: 1 for the first, 0 if there is none.
    pub version: u64,
}

impl<V> Default for Versioned<V> {
    fn default() -> Self {
        Versioned { value: None, version: 0 }
    }
}

impl<V> Versioned<V> {
    fn with(&self, value: V) -> Versioned<V> {
        Versioned { value: Some(value), version: self.version.saturating_add(1) }
    }
}

/// An operation on a [`VersionedRegister`], with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionedOp<V> {
    /// Value and version that were read; None if there was no value.
    Read(Option<(V, u64)>),
    /// A write.
    Write {
        /// The new value.
        value: V,
        /// The version it got, if the answer told it.
        version: Option<u64>,
    },
    /// Compare-and-set: `to` is written if the register holds `from`.
    Cas {
        /// None: if it holds nothing.
        from: Option<V>,
        /// The new value.
        to: V,
        /// Whether the answer was that it did.
        succeeded: bool,
        /// The version that `to` got, if the answer told it.
        version: Option<u64>,
    },
    /// The register holds nothing afterwards, and counts from the start.
    Delete,
}

impl<V: Copy + Eq + Hash> Model for VersionedRegister<V> {
    type State = Versioned<V>;
    type Op = VersionedOp<V>;

    fn init(&self) -> Versioned<V> {
        self.initial
    }

    fn step(&self, held: &Versioned<V>, op: &VersionedOp<V>, known: bool) -> Option<Versioned<V>> {
        let (after, answered) = match *op {
            VersionedOp::Read(read) => {
                (*held, read == held.value.map(|value| (value, held.version)))
            }
            VersionedOp::Write { value, version } => {
                let after = held.with(value);
                (after, is_told(version, after))
            }
            VersionedOp::Cas { from, to, succeeded, version } if from == held.value => {
                let after = held.with(to);
                (after, succeeded && is_told(version, after))
            }
            VersionedOp::Cas { succeeded, .. } => (*held, !succeeded),
            VersionedOp::Delete => (Versioned::default(), true),
        };
        (!known || answered).then_some(after)
    }

    fn is_pure(&self, op: &VersionedOp<V>) -> bool {
        matches!(op, VersionedOp::Read(_) | VersionedOp::Cas { succeeded: false, .. })
    }

    fn are_twins(&self, a: &VersionedOp<V>, b: &VersionedOp<V>) -> bool {
        a == b
    }
}

fn is_told<V>(version: Option<u64>, after: Versioned<V>) -> bool {
    version.is_none_or(|told| told == after.version)
}
