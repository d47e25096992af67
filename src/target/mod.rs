//! What answers: anything that takes a request of the model and gives a response. The harness asks nothing else of what it
//! measures, so whoever implements [`Connect`], [`Target`] and [`Launch`] for a store of their own gets trials in pairs, intervals, verdicts
//! and reports for it (`examples/own_store.rs`). [`Builtin`] launches what scenario files describe: nodes within the
//! process, servers as processes of their own, and etcd.

mod before;
mod builtin;
mod dial;
mod etcd;
mod inside;
mod levers;
mod pages;
mod process;
mod remote;
mod served;

pub use builtin::{Builtin, System, SystemClient};
pub use dial::{Dial, RemoteClient};
pub use inside::{BareStore, Inside};
pub use levers::{flags, node as node_of};
pub use remote::Remote;

use crate::client::{ClientError, Endpoint};
use crate::clock::Clock;
use crate::measure::lock::{NamedContention, NamedLocks};
use crate::measure::pipeline::PipelineCounts;
use crate::measure::spans::SpanCounts;
use crate::model::{Request, Response};
use crate::node::{self, NodeError};
use crate::raft::{Delivered, Rejected};
use crate::scenario::spec;
use crate::store::{ApplyPath, Calibration, Digest};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where clients find their way in.
pub trait Connect: Send + Sync + 'static {
    /// What one client sends through.
    type Client: Client;

    /// A way in for each of `clients` clients of one load thread. It is called on that thread, within the runtime that the
    /// clients will use.
    fn connect(&self, clients: u32) -> impl Future<Output = Result<Vec<Self::Client>, CallError>>;

    /// Whether a call keeps the calling thread until it is answered. Such a target gets a load thread for every client;
    /// others get one for all.
    fn blocks_its_caller(&self) -> bool {
        false
    }
}

/// A system that answers requests. One is launched for every trial, and dropped at its end with all it started.
pub trait Target: Connect {
    /// Executes requests in this order, not as part of any measurement.
    fn call_all(&self, requests: &[Request]) -> Vec<Answer>;

    /// Executes requests that do not depend on one another, in any order, many at once if that is faster.
    fn call_any(&self, requests: &[Request]) -> Vec<Answer> {
        self.call_all(requests)
    }

    /// How clients of other processes, on other hosts, get in; none if nobody can from outside.
    fn dial(&self) -> Option<Dial> {
        None
    }

    /// The state of every replica now, the one that answers first. Two that hold the same have equal digests.
    fn digests(&self) -> Result<Vec<Digest>, CallError>;

    /// Whether launching again in the same folder, after this one was dropped, must give the same state back.
    fn comes_back(&self) -> bool {
        false
    }

    /// What its pipeline did since it was launched; zeros where that cannot be seen.
    fn counts(&self) -> PipelineCounts {
        PipelineCounts::default()
    }

    /// How long each sync of its log took since it was launched; nothing where that cannot be seen.
    fn fsync_times(&self) -> SpanCounts {
        SpanCounts::default()
    }

    /// The named locks; none where they cannot be seen. They are the same, in the same order, however often this is asked, unless the
    /// group changes its leader.
    fn locks(&self) -> Vec<NamedLocks> {
        Vec::new()
    }

    /// What the named locks cost by place since this was last asked; nothing unless it was launched with `lock_profile`.
    fn take_contention(&self) -> Vec<NamedContention> {
        Vec::new()
    }

    /// The most requests that were found under execution in the store at once since this was last asked; none where that
    /// cannot be seen.
    fn take_most_appliers(&self) -> Option<u32> {
        None
    }

    /// What sharing a batch among apply workers costs here, if it does.
    fn calibration(&self) -> Option<Calibration> {
        None
    }

    /// Processes on this machine that do its work, for the account of CPU time; none if it runs within this one.
    fn processes(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Where watchers listen; a target without watches cannot run phases with watchers.
    fn watched(&self) -> Watched {
        Watched::Nowhere
    }
}

/// What one client sends through. A request goes out once: what got no answer is an error.
pub trait Client: 'static {
    /// Executes one request.
    fn call(&self, request: Request) -> impl Future<Output = Answer>;
}

/// Starts what an arm of a scenario describes.
pub trait Launch {
    /// What it starts.
    type Target: Target;

    /// Starts a fresh system, or one with the state that an earlier one left in `folder`. Its files go there and nowhere
    /// else.
    fn launch(
        &self,
        arm: &spec::Arm,
        folder: &Path,
        clock: Clock,
    ) -> Result<Self::Target, LaunchError>;

    /// What sets an arm apart, as reports show it: name and value of each lever.
    fn levers(&self, arm: &spec::Arm) -> Vec<(&'static str, String)> {
        arm.system.levers()
    }

    /// Whether every kind of request is answered as the model says. If not, the arms' answers are compared on the
    /// scenario's own writes and reads of its keys alone.
    fn answers_everything(&self) -> bool {
        true
    }
}

/// A response with its stage clock, or why there is none.
pub type Answer = Result<Delivered<Response>, CallError>;

/// Why a request got no answer; what it asked for may or may not have been done.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct CallError(pub String);

/// Where watchers listen.
pub enum Watched {
    /// In the process.
    Store(Arc<dyn ApplyPath>),
    /// At a server.
    Server(Endpoint),
    /// There are no watches.
    Nowhere,
}

/// Why a system did not start.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A node in this process.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Nobody to talk to.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("{program} cannot be started: {source}")]
    Program {
        /// Which.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A process ended that should serve.
    #[error("{program} ended at once ({status}); it said:\n{said}")]
    Ended {
        /// Which.
        program: String,
        /// How.
        status: String,
        /// The end of what it wrote.
        said: String,
    },
    /// A server did not get ready.
    #[error("{address} was not ready within {seconds} s: {why}")]
    NotReady {
        /// Where.
        address: String,
        /// How long was waited.
        seconds: u64,
        /// What was wrong last.
        why: String,
    },
    /// A server that does not let the harness in, or is not trusted.
    #[error("{address} and this client do not get together: {why}")]
    Refused {
        /// Where.
        address: String,
        /// Why.
        why: ClientError,
    },
    /// A server that is not ours has keys already.
    #[error(
        "the servers at {address} are not empty (keys: {keys}); kvbench writes and deletes keys of its own making there"
    )]
    NotEmpty {
        /// Where.
        address: String,
        /// How many.
        keys: i64,
    },
    /// Something of one's own.
    #[error("{0}")]
    Other(String),
}

impl From<Rejected> for CallError {
    fn from(rejected: Rejected) -> CallError {
        CallError(rejected.to_string())
    }
}

impl From<ClientError> for CallError {
    fn from(error: ClientError) -> CallError {
        CallError(error.to_string())
    }
}

/// As the harness takes it.
fn answer(outcome: node::Outcome) -> Answer {
    outcome.map_err(CallError::from)
}
