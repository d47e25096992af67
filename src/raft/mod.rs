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
//! A group has one member or several, which reach each other through a [`Transport`]. Once the log has grown enough, an image of the
//! state is written beside it (`images`) and the log is cut; a restart, or a member that was away for long, begins with the image.

use crate::measure::stage::{Stamps, Timeline};
use crate::units::{ByteSize, Nanos};
use std::error::Error;
use std::io::{self, Read, Write};

mod applier;
mod damage;
mod disk;
mod extent;
mod forwarded;
mod guard;
mod images;
mod inbox;
mod lease;
mod log;
mod members;
mod network;
mod packing;
mod pipeline;
pub mod proposer;
mod reads;
mod ready;
mod refusals;
#[cfg(feature = "seeded-bugs")]
mod seeded;
mod siblings;
mod status;
mod stepped;
mod sync_fs;
#[cfg(test)]
mod tests;
mod transport;
mod wire;

pub use damage::damage_in;
pub use disk::{Disk, DiskFile, HostDisk, Medium};
pub use images::{newest_image, plant_image};
pub use inbox::{Inbox, StopOnPanic};
pub use members::{BadChange, Change, Member};
pub use network::{Faults, Network, NetworkCounts};
pub use pipeline::{Pipeline, Setup, start};
pub use refusals::{Refusals, Refused};
#[cfg(feature = "seeded-bugs")]
pub use seeded::SeededBug;
pub use status::{Role, Status};
pub use stepped::{DiskCounts, Logged, SimulatedDisk, Step, Stepped, View};
pub use transport::{Door, Envelope, MemberId, Nobody, Received, Report, Transport};

/// What committed commands do. `apply` is deterministic: the same commands give the same replies on every node.
pub trait StateMachine: Send + Sync + 'static {
    /// What the client gets.
    type Reply: Send + 'static;

    /// Executes committed commands in log order; replies in the same order. After a restart it gets commands again that
    /// it may have kept; their places tell.
    fn apply(&self, commands: &[Command<'_>]) -> Vec<Executed<Self::Reply>>;

    /// Answers a query from the present state.
    fn read(&self, query: &[u8]) -> Executed<Self::Reply>;

    /// Whether `apply` can be given this: asked of what another member proposes, before it is in anybody's log.
    fn accepts(&self, _command: &[u8]) -> bool {
        true
    }

    /// Whether this is a whole image of the state after the entry at `index`, or an earlier one.
    fn is_image(&self, _index: u64, _image: &mut dyn Read) -> bool {
        true
    }

    /// Whether it kept over a restart, by itself, all that an image holds.
    fn holds(&self, _image: &mut dyn Read) -> io::Result<bool> {
        Ok(false)
    }

    /// Index of the last entry that something in the state is of, if it kept state over a restart by itself: then it may be ahead of what
    /// [`StateMachine::apply`] was given since.
    fn applied(&self) -> u64 {
        0
    }

    /// Writes the state as it is now, between two calls of [`StateMachine::apply`]; calls `held` when the next one may come.
    fn write_image(&self, to: &mut dyn Write, held: &mut dyn FnMut()) -> io::Result<()>;

    /// Puts the state that an image holds in place of its own; on an error its own stays.
    fn load_image(&self, from: &mut dyn Read) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// This member leads from now on, or does not any more.
    fn lead(&self, _leads: bool) {}
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

/// A reply, with what of the stage clock only the state machine knows.
#[derive(Debug)]
pub struct Executed<R> {
    /// What the client gets.
    pub reply: R,
    /// When it had its lock and was done.
    pub stamps: Stamps,
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
    /// The group has no leader that this node knows; nothing was proposed.
    #[error("no leader")]
    NoLeader,
    /// This takes the leader, which is another member.
    #[error("not leader")]
    NotLeader(MemberId),
    /// Another term began before it was committed; a write may or may not be in the log.
    #[error("leader changed")]
    LeaderChanged,
    /// No answer within the time for one; a write may or may not be in the log, or get there yet.
    #[error("request timed out")]
    TimedOut,
    /// The group cannot be changed like this; nothing was proposed.
    #[error(transparent)]
    BadChange(BadChange),
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
    /// No thread could be started, or a file beside the log could not be used.
    #[error("a thread could not be started, or a file beside the raft log not be used: {0}")]
    Thread(#[from] io::Error),
    /// What the log no longer has is in no image.
    #[error(
        "the raft log begins with entry {first}, and no image holds the state before that\n  hint: restore the images, or remove this member from its group and add it anew with an empty folder"
    )]
    NoImage {
        /// Its first entry.
        first: u64,
    },
    /// An image of the state cannot be loaded.
    #[error("an image of the state: {0}")]
    Image(Box<dyn Error + Send + Sync>),
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
    /// How reads are made linearizable; the same for all members.
    pub reads: Reads,
}

/// The group as one member sees it when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// This member.
    pub me: MemberId,
    /// Who is in a group that begins with this start; not looked at once there is a log.
    pub founders: Vec<Member>,
    /// When members give up on each other.
    pub timing: Timing,
    /// When the log is cut.
    pub images: ImagePolicy,
}

impl Group {
    /// A group of one.
    pub fn alone() -> Group {
        Group::of(1, 1)
    }

    /// Member `me` of a group of the members 1 to `size`.
    pub fn of(me: MemberId, size: u64) -> Group {
        let founders = (1..=size).map(|id| Member { id, ..Member::default() }).collect();
        let (timing, images) = (Timing::default(), ImagePolicy::default());
        Group { me, founders, timing, images }
    }
}

/// Intervals of the election; the defaults are etcd's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats of a leader; also the step of the clock.
    pub heartbeat: Nanos,
    /// Without a leader's word for this long, up to twice, a member asks for votes. At least two heartbeats.
    pub election: Nanos,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing { heartbeat: Nanos::from_millis(100), election: Nanos::from_millis(1000) }
    }
}

/// How reads are made linearizable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// A quorum confirms the leader each time (ReadIndex).
    Index,
    /// The leader trusts clocks: a quorum agreed so shortly ago that nobody else can lead yet. What other members are asked goes
    /// by ReadIndex.
    Lease,
}

/// When an image of the state is written and the log is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImagePolicy {
    /// After so many entries; etcd's default.
    pub entries: u64,
    /// After so many bytes of the log, if that is earlier.
    pub bytes: ByteSize,
    /// Entries before the image that stay, for members that are a little behind.
    pub keep: u64,
}

impl Default for ImagePolicy {
    fn default() -> ImagePolicy {
        ImagePolicy { entries: 100_000, bytes: ByteSize(1 << 30), keep: 5_000 }
    }
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

impl Default for Batch {
    /// As scenarios have it: takes what is there, one batch at a time.
    fn default() -> Batch {
        let bytes_max = ByteSize(1 << 20);
        Batch { ops_max: 1024, bytes_max, linger: Linger::None, in_flight: 1 }
    }
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
    /// Until the clients that were just answered are back, where that pays, at most this long. Meant for one batch in flight.
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
