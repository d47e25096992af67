//! Consensus over opaque bytes: a write is proposed, appended to the log, synced, committed, applied, answered.
//!
//! One thread runs the Ready loop (`ready`): it takes what clients left in the `inbox`, lets the
//! `proposer` decide how many requests make one log entry, persists what the raft library wants persisted
//! (`log`), and hands what is committed to the `applier`. Nothing is answered before the entry that carries
//! it was synced: the library counts an entry as persisted only after `LogStore::append` has returned.
//!
//! This is the only module that names the raft library. It knows neither keys nor requests: the state machine
//! behind [`StateMachine`] gets bytes and gives replies.
//!
//! Caveats: one voter; no snapshots, so the log is never compacted and a restart replays all of it.

use crate::measure::stage::Timeline;
use crate::units::{ByteSize, Nanos};

mod applier;
mod inbox;
mod log;
mod packing;
mod proposer;
mod ready;
mod sync_fs;
#[cfg(test)]
mod tests;

pub use inbox::Inbox;
pub use ready::{Pipeline, start};

/// What committed commands do. `apply` is deterministic: the same commands give the same replies on every node.
pub trait StateMachine: Send + Sync + 'static {
    /// What the client gets.
    type Reply: Send + 'static;

    /// Executes committed commands in log order; replies in the same order. After a restart it gets commands again that
    /// it may have kept; their places tell.
    fn apply(&self, commands: &[Command<'_>]) -> Vec<Executed<Self::Reply>>;

    /// Answers a query from the present state.
    fn read(&self, query: &[u8]) -> Executed<Self::Reply>;
}

/// A committed command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// Log index of its entry, from 1.
    pub index: u64,
    /// Its place within the entry, from 0.
    pub offset: u32,
    /// What was submitted.
    pub bytes: &'a [u8],
}

/// A reply with the two instants only the state machine knows.
#[derive(Debug)]
pub struct Executed<R> {
    /// What the client gets.
    pub reply: R,
    /// When the command had its lock.
    pub locked: Nanos,
    /// When it was done.
    pub applied: Nanos,
}

/// Who gets the reply. Called on a pipeline thread: it must not block.
pub trait Waiter<R>: Send + 'static {
    /// Exactly one call per submission, unless the pipeline's thread died.
    fn answer(self, outcome: Result<Delivered<R>, Rejected>);
}

/// A reply with everything the stage clock saw up to it.
#[derive(Debug)]
pub struct Delivered<R> {
    /// What the client gets.
    pub reply: R,
    /// Instants up to the end of apply.
    pub timeline: Timeline,
}

/// Why a submission was not executed, as far as this node knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Too many requests wait already; nothing was proposed.
    #[error("the node is overloaded: {0} requests wait already")]
    Overloaded(usize),
    /// The node stopped; a write may or may not be in the log.
    #[error("the node has stopped")]
    Stopped,
}

/// Why a pipeline could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The log cannot be read or written.
    #[error("the raft log failed: {0}")]
    Log(#[from] raft_engine::Error),
    /// The raft library refuses to go on.
    #[error("raft failed: {0}")]
    Raft(#[from] raft::Error),
    /// No thread could be started.
    #[error("no thread could be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// The levers of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How requests become entries.
    pub propose: Propose,
    /// Which thread applies.
    pub apply_on: ApplyOn,
    /// When committed entries go to apply.
    pub publish: Publish,
    /// What a sync of the log means.
    pub fsync: Fsync,
}

/// How requests become entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propose {
    /// One proposal in the pipeline at a time, one request in it.
    Serial,
    /// Every request its own entry; whatever waits is proposed at once and shares the next sync.
    Pipelined,
    /// Many requests in one entry.
    Batched(Batch),
}

/// Bounds of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Most requests in one entry, at least 1.
    pub ops_max: usize,
    /// Most bytes in one entry; a single larger request still goes alone.
    pub bytes_max: ByteSize,
    /// How long to wait for company.
    pub linger: Linger,
    /// Most entries proposed and not yet applied, at least 1.
    pub in_flight: usize,
}

/// How long a batch waits for company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linger {
    /// Not at all: it takes what is there.
    None,
    /// Until the next beat of a ticker.
    Ticker(Nanos),
    /// This long after its first request came.
    Armed(Nanos),
    /// Until the clients that were just answered are back, at most this long. Meant for one batch in flight.
    Siblings(Nanos),
}

/// Which thread applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyOn {
    /// The thread of the Ready loop, inline.
    RaftThread,
    /// A thread of its own, behind a bounded queue.
    ApplyThread,
}

/// When committed entries go to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publish {
    /// At once.
    Ready,
    /// After the next Ready has been persisted and synced, even if it holds nothing but the commit index.
    NextReady,
}

/// What a sync of the log means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// fdatasync.
    Real,
    /// Nothing.
    Off,
    /// A sleep in its place.
    Delay(Nanos),
}
