//! A server: a store behind a pipeline, in a data folder of its own. The store and raft meet only here.

use crate::clock::Clock;
use crate::measure::lock::LockTally;
use crate::measure::pipeline::{PipelineCounts, PipelineMeter};
use crate::measure::stage::Probe;
use crate::model::{Body, Request, Response, codec};
use crate::raft::{
    self, Delivered, Executed, Pipeline, PipelineError, Rejected, StateMachine, Waiter,
};
use crate::store::{Answer, ApplyPath, Digest, GlobalMutex, Sharded};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::oneshot;

mod applier;
mod folder;

pub use applier::ApplyOnly;
pub use folder::{DataFolder, FolderError};

/// The levers of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who may touch the store at once.
    pub path: PathKind,
    /// The pipeline in front of it.
    pub pipeline: raft::Config,
}

/// Which apply path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// One lock around each request.
    GlobalMutex,
    /// One lock per shard.
    Sharded {
        /// How many, a power of two.
        shards: u32,
    },
}

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data folder is not usable.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The pipeline is not usable.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
}

/// A request's outcome: the response with its stage clock, or why there is none.
pub type Outcome = Result<Delivered<Response>, Rejected>;

/// The apply path of `kind`, empty.
pub fn apply_path(kind: PathKind, probe: Probe) -> Arc<dyn ApplyPath> {
    match kind {
        PathKind::GlobalMutex => Arc::new(GlobalMutex::new(probe)),
        PathKind::Sharded { shards } => Arc::new(Sharded::new(shards, probe)),
    }
}

/// One running node.
pub struct Node {
    /// Dropped first: its threads use the folder.
    pipeline: Pipeline<Response, Reply>,
    store: Arc<dyn ApplyPath>,
    meter: Arc<PipelineMeter>,
    _folder: DataFolder,
}

impl Node {
    /// Starts a node in `folder`, created if absent; what its log holds is replayed first.
    pub fn start(
        config: Config,
        folder: &Path,
        clock: Clock,
        probe: Probe,
    ) -> Result<Node, NodeError> {
        let folder = DataFolder::open(folder)?;
        let store = apply_path(config.path, probe);
        let meter = Arc::new(PipelineMeter::default());
        let machine = Arc::new(Machine { store: store.clone() });
        let pipeline =
            raft::start(config.pipeline, &folder.log(), machine, meter.clone(), clock, probe)?;
        Ok(Node { pipeline, store, meter, _folder: folder })
    }

    /// Sends a request through the pipeline; reads are linearizable and need no log entry.
    pub async fn call(&self, request: Request) -> Outcome {
        self.submit(&request).await.unwrap_or(Err(Rejected::Stopped))
    }

    /// Sends requests in this order without waiting between them, and waits for all answers.
    pub fn call_all(&self, requests: &[Request]) -> Vec<Outcome> {
        wait_for_all(requests.iter().map(|request| self.submit(request)).collect())
    }

    /// What the pipeline did since the start.
    pub fn counts(&self) -> PipelineCounts {
        self.meter.counts()
    }

    /// The named locks, with how many share the name.
    pub fn locks(&self) -> Vec<(&'static str, LockTally, u32)> {
        let (store, count) = self.store.locks();
        vec![("store", store, count), ("inbox", self.pipeline.inbox().lock_tally(), 1)]
    }

    /// The state now.
    pub fn digest(&self) -> Digest {
        self.store.digest()
    }

    fn submit(&self, request: &Request) -> Answered {
        let (reply, answer) = oneshot::channel();
        let bytes = codec::encode(request);
        match request.is_write() {
            true => self.pipeline.inbox().write(bytes, Reply(reply)),
            false => self.pipeline.inbox().read(bytes, Reply(reply)),
        }
        answer
    }
}

/// An outcome on its way; it fails if the node ends without giving one.
type Answered = oneshot::Receiver<Outcome>;

/// Blocks until every answer is there, and gives them in order.
fn wait_for_all(answers: Vec<Answered>) -> Vec<Outcome> {
    let wait = |answer: Answered| answer.blocking_recv().unwrap_or(Err(Rejected::Stopped));
    answers.into_iter().map(wait).collect()
}

/// Wakes the task that waits for a reply.
struct Reply(oneshot::Sender<Outcome>);

impl Waiter<Response> for Reply {
    fn answer(self, outcome: Outcome) {
        // A client that stopped waiting does not want to know.
        let _ = self.0.send(outcome);
    }
}

/// The store as raft sees it: bytes in, replies out.
struct Machine {
    store: Arc<dyn ApplyPath>,
}

impl StateMachine for Machine {
    type Reply = Response;

    /// # Panics
    /// If a committed command is not a request: skipping it would let replicas diverge.
    fn apply(&self, commands: &[&[u8]]) -> Vec<Executed<Response>> {
        self.execute(commands.iter().map(|bytes| decoded(bytes)).collect())
    }

    /// # Panics
    /// If the query is a write: it would change this node and no log.
    fn read(&self, query: &[u8]) -> Executed<Response> {
        let request = decoded(query);
        assert!(!request.is_write(), "only reads go around the log");
        self.execute(vec![request]).pop().expect("one request has one answer")
    }
}

impl Machine {
    fn execute(&self, requests: Vec<Request>) -> Vec<Executed<Response>> {
        let mut answers = Vec::with_capacity(requests.len());
        self.store.apply(requests, &mut answers);
        answers.into_iter().map(executed).collect()
    }
}

fn decoded(bytes: &[u8]) -> Request {
    match codec::decode(bytes) {
        Ok(request) => request,
        Err(error) => panic!("a committed command cannot be applied: {error}"),
    }
}

fn executed(answer: Answer) -> Executed<Response> {
    Executed { reply: answer.response, locked: answer.locked, applied: answer.applied }
}

/// Whether a response's request changed the store; each such request used up one revision.
pub fn changed(response: &Response) -> bool {
    match &response.body {
        Body::Put => true,
        Body::Get(_) => false,
        Body::Delete(deleted) => *deleted > 0,
    }
}
