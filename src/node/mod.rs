//! A server: a store behind a pipeline, in a data folder of its own. The store and raft meet only here.

use crate::clock::Clock;
use crate::measure::lock::LockTally;
use crate::measure::pipeline::{PipelineCounts, PipelineMeter};
use crate::measure::stage::{Probe, Timeline};
use crate::model::{
    Body, LeaseId, LeaseStatus, Position, Refusal, Request, Response, codec, validate,
};
use crate::raft::{
    self, Delivered, Executed, Inbox, Pipeline, PipelineError, Rejected, StateMachine, Waiter,
};
use crate::store::{self, Answer, ApplyPath, Command, Digest, StoreError};
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};
use tokio::sync::oneshot;

mod applier;
mod compaction;
mod folder;
mod leases;
mod lessor;

use leases::{Expiry, Names};
use lessor::Lessor;

pub use applier::ApplyOnly;
pub use compaction::Compaction;
pub use folder::{DataFolder, FolderError};

/// The levers of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The state machine.
    pub store: store::Config,
    /// How much of its history is kept.
    pub compaction: Compaction,
    /// The pipeline in front of it.
    pub pipeline: raft::Config,
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
    /// The store is not usable.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A request's outcome: the response with its stage clock, or why there is none.
pub type Outcome = Result<Delivered<Response>, Rejected>;

/// One running node.
pub struct Node {
    /// Dropped first: its thread uses the pipeline.
    _expiry: Expiry,
    /// Dropped next: its threads use the folder.
    pipeline: Pipeline<Response, Reply>,
    store: Arc<dyn ApplyPath>,
    meter: Arc<PipelineMeter>,
    lessor: Arc<Lessor>,
    lease_names: Names,
    probe: Probe,
    _folder: DataFolder,
}

/// What is known of a lease, and how long it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// What the store knows.
    pub status: LeaseStatus,
    /// Whole seconds until it expires, 0 once it has; −1 if there is no such lease.
    pub remaining_s: i64,
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
        let store = store::open(config.store, &folder.state(), probe)?;
        let meter = Arc::new(PipelineMeter::default());
        let lessor = Arc::new(Lessor::new(clock));
        let machine = Arc::new(Machine {
            store: store.clone(),
            lessor: lessor.clone(),
            compaction: config.compaction,
            inbox: OnceLock::new(),
        });
        let pipeline = raft::start(
            config.pipeline,
            &folder.log(),
            machine.clone(),
            meter.clone(),
            clock,
            probe,
        )?;
        // Not before the log is replayed: compactions that were proposed in earlier lives are in it.
        machine.inbox.get_or_init(|| Arc::downgrade(pipeline.inbox()));
        leases::renew_all(&*store, &lessor);
        let _expiry = Expiry::start(lessor.clone(), pipeline.inbox().clone())?;
        let lease_names = Names::after(store.applied());
        Ok(Node { _expiry, pipeline, store, meter, lessor, lease_names, probe, _folder: folder })
    }

    /// Sends a request through the pipeline; reads are linearizable and need no log entry.
    pub async fn call(&self, request: Request) -> Outcome {
        self.submit(&request).await.unwrap_or(Err(Rejected::Stopped))
    }

    /// Sends requests in this order without waiting between them, and waits for all answers.
    pub fn call_all(&self, requests: &[Request]) -> Vec<Outcome> {
        wait_for_all(requests.iter().map(|request| self.submit(request)).collect())
    }

    /// Gives lease `id` its full time to live again, and says how many seconds that is. Refused if there is no such lease
    /// or its time is over.
    pub fn keep_alive(&self, id: LeaseId) -> Result<i64, Refusal> {
        self.lessor.keep_alive(id).ok_or(Refusal::LeaseNotFound)
    }

    /// What is known of lease `id`; its keys only if wanted.
    pub fn time_to_live(&self, id: LeaseId, keys: bool) -> LeaseTimes {
        let status = leases::status(&*self.store, id, keys);
        let remaining = self.lessor.remaining(id).filter(|_| status.granted_ttl_s >= 0);
        let remaining_s = remaining.map_or(-1, leases::whole_seconds);
        LeaseTimes { status, remaining_s }
    }

    /// The state machine, for reading around the log and for watching.
    pub fn store(&self) -> &Arc<dyn ApplyPath> {
        &self.store
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
        if let Err(refusal) = validate(request) {
            refuse(reply, refusal, &*self.store, self.probe);
            return answer;
        }
        let bytes = match *request {
            Request::LeaseGrant { id: 0, ttl_s } => {
                let id = self.lease_names.free(&self.lessor);
                codec::encode(&Request::LeaseGrant { id, ttl_s })
            }
            _ => codec::encode(request),
        };
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

/// Answers a request that is not even tried: the log has none of it.
fn refuse(reply: oneshot::Sender<Outcome>, refusal: Refusal, store: &dyn ApplyPath, probe: Probe) {
    let response = Response { revision: store.published(), result: Err(refusal) };
    let timeline = Timeline::submitted(probe.now());
    // A client that stopped waiting does not want to know.
    let _ = reply.send(Ok(Delivered { reply: response, timeline }));
}

/// The store as raft sees it: bytes in, replies out. What happens to leases, the lessor is told in the order of the log.
struct Machine {
    store: Arc<dyn ApplyPath>,
    lessor: Arc<Lessor>,
    compaction: Compaction,
    /// Weak, since the inbox's threads hold the machine.
    inbox: OnceLock<Weak<Inbox<Response, Reply>>>,
}

impl StateMachine for Machine {
    type Reply = Response;

    /// # Panics
    /// If a committed command is not a request: skipping it would let replicas diverge.
    fn apply(&self, commands: &[raft::Command<'_>]) -> Vec<Executed<Response>> {
        let mut revoked = Vec::new();
        let mut batch = Vec::with_capacity(commands.len());
        for (place, command) in commands.iter().enumerate() {
            let request = decoded(command.bytes);
            if let Request::LeaseRevoke { id } = request {
                revoked.push((place, id));
            }
            let position = Position { index: command.index, offset: command.offset };
            batch.push(Command { position, request });
        }
        let mut answers = Vec::with_capacity(commands.len());
        self.store.apply(batch, &mut answers);
        self.tell_lessor(&answers, &revoked);
        self.propose_compaction(&answers);
        answers.into_iter().map(executed).collect()
    }

    /// # Panics
    /// If the query is a write: it would change this node and no log.
    fn read(&self, query: &[u8]) -> Executed<Response> {
        executed(self.store.read(&decoded(query)))
    }
}

impl Machine {
    /// Nobody waits for it: if it is rejected, the next one comes soon.
    fn propose_compaction(&self, answers: &[Answer]) {
        let inbox = self.inbox.get().and_then(Weak::upgrade);
        if let Some((inbox, compact)) = inbox.zip(self.compaction.due(answers)) {
            inbox.write(codec::encode(&compact), Reply(oneshot::channel().0));
        }
    }

    /// `revoked`: which answers are to a revocation, and of what; the answers do not say.
    fn tell_lessor(&self, answers: &[Answer], revoked: &[(usize, LeaseId)]) {
        let mut revoked = revoked.iter().copied().peekable();
        for (place, answer) in answers.iter().enumerate() {
            let id = revoked.next_if(|(revoked, _)| *revoked == place).map(|(_, id)| id);
            match (&answer.response.result, id) {
                (Ok(Body::LeaseGrant { id, ttl_s }), _) => self.lessor.granted(*id, *ttl_s),
                (Ok(Body::LeaseRevoke) | Err(Refusal::LeaseNotFound), Some(id)) => {
                    self.lessor.revoked(id);
                }
                _ => {}
            }
        }
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
