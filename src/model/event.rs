//! What a watcher sees of a change.

use super::{KeyValue, Revision};

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Written or deleted.
    pub kind: EventKind,
    /// The key as it is now; of a deleted key just its name and the revision of its deletion.
    pub kv: KeyValue,
    /// The key as it was before, if that was asked for, there was something, and it is not compacted.
    pub prev_kv: Option<KeyValue>,
    /// Its place among the changes of its revision, from 0.
    pub sub: u32,
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was written.
    Put,
    /// It was deleted.
    Delete,
}

impl Event {
    /// When it happened.
    pub fn revision(&self) -> Revision {
        Revision { main: self.kv.mod_revision, sub: self.sub }
    }
}
