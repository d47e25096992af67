//! Watching keys. A watcher gets every change of its interval from a revision on, in order, the changes of one revision
//! together, none twice and none left out; or it is told that a compaction took some of them.
//!
//! Nothing runs in the background: whoever reads a watcher does its work. A watcher that is *joined* has its events put
//! into a bounded buffer by whoever publishes them (`hub`). One that is *behind*, because it begins in the past or was
//! too slow for its buffer, reads the history in pieces and joins when there is no more of it (`watcher`).
//!
//! Two facts carry the proof. An event is in the buffers before its revision is published, and a reader takes nothing
//! out above the published revision: so what it takes is complete. And the hub stays locked until the revision is
//! published: so a watcher that holds that lock and has read up to the published revision has missed nothing.

use crate::model::{Interval, MainRevision};
use std::sync::Arc;

mod hub;
mod index;
mod seat;
mod shared;
#[cfg(test)]
mod tests;
mod watcher;

pub use hub::{Present, WatchCounts, WatchHub};
pub use shared::SharedEvent;
pub use watcher::{Watcher, watch};

/// Most events that wait for a reader; a reader that leaves more goes back to the history.
pub const BUFFER_EVENTS_MAX: usize = 8192;

/// Most bytes of events that wait for a reader (16 MiB), counted once for each watcher although they are shared. One that another watcher
/// was sent has its bytes on the wire besides.
pub const BUFFER_BYTES_MAX: usize = 16 << 20;

/// Most bytes of events in one response that may be split (etcd's default request size: 1.5 MiB).
pub const FRAGMENT_BYTES_MAX: usize = 1_572_864;

/// Most revisions of history read at once, since the store's locks are held for it.
pub const HISTORY_REVISIONS_MAX: MainRevision = 512;

/// What is watched, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchSpec {
    /// Which keys.
    pub interval: Interval,
    /// The first revision wanted; 0 or less for what comes from now on.
    pub start_revision: MainRevision,
    /// Tell what was there before, too.
    pub prev_kv: bool,
    /// Leave out writes.
    pub no_put: bool,
    /// Leave out deletions.
    pub no_delete: bool,
    /// Tell the revision reached when a wait ends without an event.
    pub progress: bool,
    /// Split what is too large for one response.
    pub fragment: bool,
}

/// What a watcher holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    /// Events that wait for the reader.
    pub buffer_events: usize,
    /// Bytes of events that wait for the reader.
    pub buffer_bytes: usize,
    /// Bytes in a response that may be split; a single larger event still goes alone.
    pub fragment_bytes: usize,
    /// Revisions of history read at once, at least 1.
    pub history_revisions: MainRevision,
}

impl Default for WatchLimits {
    fn default() -> WatchLimits {
        WatchLimits {
            buffer_events: BUFFER_EVENTS_MAX,
            buffer_bytes: BUFFER_BYTES_MAX,
            fragment_bytes: FRAGMENT_BYTES_MAX,
            history_revisions: HISTORY_REVISIONS_MAX,
        }
    }
}

/// What a reader of a watcher gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchResponse {
    /// The changes of one revision, in the order of execution.
    Events {
        /// Which revision.
        revision: MainRevision,
        /// At least one.
        events: Vec<Arc<SharedEvent>>,
        /// Whether the next response has more of this revision.
        fragment: bool,
    },
    /// Every change up to a revision was told.
    Progress {
        /// Which revision.
        revision: MainRevision,
    },
    /// A compaction took changes that were not told yet. Nothing else follows.
    Cancelled {
        /// The oldest revision from which a new watcher may start.
        compact_revision: MainRevision,
    },
}
