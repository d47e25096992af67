//! The state machine: one table of keys, two ways to reach it. Both paths execute requests with the same
//! function (`table`); they differ only in which lock they hold meanwhile. The store knows no raft and no log.

use crate::measure::lock::LockTally;
use crate::model::{MainRevision, Request, Response};
use crate::units::Nanos;

mod global;
mod sharded;
mod table;

pub use global::GlobalMutex;
pub use sharded::Sharded;

/// Executes committed requests. Answers are in the order of the batch, whatever order they ran in.
/// Reading and writing through any number of threads at once is safe; each request is atomic.
pub trait ApplyPath: Send + Sync {
    /// Executes every request of `batch` and appends one answer each to `answers`.
    fn apply(&self, batch: Vec<Request>, answers: &mut Vec<Answer>);

    /// The state as a reader would find it now. Locks everything; meant for checks, not for the hot path.
    fn digest(&self) -> Digest;

    /// What the path's locks cost so far, and how many there are.
    fn locks(&self) -> (LockTally, u32);
}

/// A response, with the two instants of the stage clock that only the apply path knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the client gets.
    pub response: Response,
    /// When the request had its lock.
    pub locked: Nanos,
    /// When it was done.
    pub applied: Nanos,
}

/// A summary of the whole state that two stores share exactly when they hold the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Main revision.
    pub revision: MainRevision,
    /// Keys present.
    pub keys: u64,
    /// Sum of a 128-bit hash of each key with its value and revisions; the order of the keys does not matter.
    pub hash: u128,
}
