//! A server: a store behind a pipeline, in a data folder of its own. The store and raft meet only here.

use crate::clock::Clock;
use crate::failpoint;
use crate::gather::wake_after_ready_tasks;
use crate::measure::lock::Visit;
use crate::measure::pipeline::{PipelineCounts, PipelineMeter};
use crate::measure::spans::SpanCounts;
use crate::measure::stage::{Probe, Timeline};
use crate::model::{
    Body, LeaseId, LeaseStatus, Position, Refusal, Request, Response, codec, validate,
};
use crate::raft::{
    self, Change, Delivered, Door, Executed, Inbox, Medium, MemberId, Pipeline, PipelineError,
    Refusals, Rejected, StateMachine, Status, Transport, Waiter,
};
use crate::seed::Seed;
use crate::store::{self, Answer, ApplyPath, Command, Digest, Present, StoreError};
use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::task::Waker;
use std::time::Duration;
use tokio::sync::oneshot;

mod applier;
mod cluster;
mod compaction;
mod folder;
mod leases;
mod lessor;
mod status;
mod stepped;

use leases::{Expiry, Names};
use lessor::Lessor;

pub use applier::ApplyOnly;
pub use cluster::Cluster;
pub use compaction::Compaction;
pub use folder::{DataFolder, FolderError};
pub use stepped::{Call, Simulated, Stepped};

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
    /// An image of the state was not written.
    #[error("no image of the state: {0}")]
    Image(Rejected),
    /// The members of a group did not agree on a leader.
    #[error("no leader was elected within 30 s")]
    NoLeader,
}

/// How often is looked whether an image is finished.
const IMAGE_NAP: Duration = Duration::from_millis(20);
/// Looks before it is given up, two minutes: a full disk never finishes one.
const IMAGE_LOOKS: u32 = 6_000;

/// A request's outcome: the response with its stage clock, or why there is none.
pub type Outcome = Result<Delivered<Response>, Rejected>;

/// One running node.
pub struct Node {
    /// Dropped first: its thread uses the pipeline.
    _expiry: Expiry,
    /// Dropped next: its threads use the folder.
    pipeline: Pipeline<Response, Reply>,
    store: Present,
    meter: Arc<PipelineMeter>,
    lessor: Arc<Lessor>,
    lease_names: Names,
    probe: Probe,
    folder: Arc<DataFolder>,
}

/// The group a node belongs to, and its way to the others.
#[derive(Clone)]
pub struct Peers {
    /// The group.
    pub group: raft::Group,
    /// The way to the others.
    pub transport: Arc<dyn Transport>,
}

impl Peers {
    /// A node on its own.
    pub fn none() -> Peers {
        Peers { group: raft::Group::alone(), transport: Arc::new(raft::Nobody) }
    }
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
    /// Starts a node on its own in `folder`, created if absent; what its log holds is replayed first.
    pub fn start(
        config: Config,
        folder: &Path,
        clock: Clock,
        probe: Probe,
    ) -> Result<Node, NodeError> {
        Node::start_among(config, Peers::none(), folder, clock, probe)
    }

    /// Starts a member of a group. It answers once the group has a leader.
    pub fn start_among(
        config: Config,
        peers: Peers,
        folder: &Path,
        clock: Clock,
        probe: Probe,
    ) -> Result<Node, NodeError> {
        Node::start_in(config, peers, DataFolder::open(folder)?, clock, probe)
    }

    /// As [`Node::start_among`], in a folder that is open.
    pub fn start_in(
        config: Config,
        peers: Peers,
        folder: DataFolder,
        clock: Clock,
        probe: Probe,
    ) -> Result<Node, NodeError> {
        Node::start_on(Medium::default(), config, peers, folder, clock, probe)
    }

    /// As [`Node::start_in`], on another disk than the host's: the log and images of the state, that is; what the store itself
    /// keeps, and the folder's own few files, are on the host's.
    pub fn start_on(
        medium: Medium,
        config: Config,
        peers: Peers,
        folder: DataFolder,
        clock: Clock,
        probe: Probe,
    ) -> Result<Node, NodeError> {
        let folder = Arc::new(folder);
        // Nobody reads them any more. What cannot be removed is tried again with the next image.
        let _ = folder.remove_former_states(&[]);
        let store = store::open(config.store, &folder.state()?, probe)?;
        failpoint::may_fail("node::store-opened").map_err(PipelineError::Thread)?;
        let lessor = Arc::new(Lessor::new(clock, probe));
        let machine = Machine::new(config, store, folder.clone(), lessor.clone(), probe);
        let (store, machine) = (machine.store.clone(), Arc::new(machine));
        let meter = Arc::new(PipelineMeter::default());
        let me = peers.group.me;
        let setup = raft::Setup {
            config: config.pipeline,
            group: peers.group,
            log: &folder.log(),
            images: &folder.images(),
            medium,
            transport: peers.transport,
            meter: meter.clone(),
            seed: Seed(me),
            clock,
            probe,
        };
        let pipeline = raft::start(setup, machine.clone())?;
        failpoint::may_fail("node::started").map_err(PipelineError::Thread)?;
        machine.propose_in(pipeline.inbox());
        let _expiry = Expiry::start(lessor.clone(), pipeline.inbox().clone())?;
        let lease_names = Names::after(me, present(&store).applied());
        Ok(Node { _expiry, pipeline, store, meter, lessor, lease_names, probe, folder })
    }

    /// Where messages of other members are left, for a transport.
    pub fn door(&self) -> Weak<dyn Door> {
        let inbox: Weak<Inbox<Response, Reply>> = Arc::downgrade(self.pipeline.inbox());
        inbox
    }

    /// Where a transport puts images that come in.
    pub fn incoming(&self) -> PathBuf {
        self.folder.images()
    }

    /// What the node knows of its group.
    pub fn status(&self) -> Status {
        self.pipeline.status()
    }

    /// What was refused of other members.
    pub fn refusals(&self) -> &Refusals {
        self.pipeline.inbox().refusals()
    }

    /// Asks for votes without waiting for the election timeout.
    pub fn stand(&self) {
        self.pipeline.stand();
    }

    /// Changes the group; takes the leader.
    pub async fn change_group(&self, change: Change) -> Result<(), Rejected> {
        heard(|reply| self.pipeline.change(change, reply)).await
    }

    /// Hands leadership to member `to`, and waits until it leads; takes the leader.
    pub async fn hand_over(&self, to: MemberId) -> Result<(), Rejected> {
        heard(|reply| self.pipeline.transfer(to, reply)).await
    }

    /// Begins an image of the state, after which the log is cut.
    pub async fn write_image(&self) -> Result<(), Rejected> {
        heard(|reply| self.pipeline.write_image(reply)).await
    }

    /// An image of the state as it is now or a little later, written if there is none yet.
    pub async fn image(&self) -> Result<File, NodeError> {
        let io = |source| NodeError::Folder(FolderError::Io { path: self.incoming(), source });
        let applied = self.status().applied;
        let newest = || raft::newest_image(&self.incoming()).map_err(io);
        let mut found = newest()?.filter(|(index, _)| *index >= applied);
        for _ in 0..IMAGE_LOOKS {
            if found.is_some() {
                break;
            }
            // Each time: one that is under way may have begun too early.
            self.write_image().await.map_err(NodeError::Image)?;
            tokio::time::sleep(IMAGE_NAP).await;
            found = newest()?.filter(|(index, _)| *index >= applied);
        }
        // Replaced by a newer one meanwhile, it is not there any more: then that is the one.
        let (_, path) = found.and(newest()?).ok_or(NodeError::Image(Rejected::TimedOut))?;
        File::open(path).map_err(io)
    }

    /// Sends a request through the pipeline, at once, whether or not anybody waits for the outcome; reads are linearizable and need no
    /// log entry.
    pub fn call(&self, request: Request) -> impl Future<Output = Outcome> + use<> {
        let answer = self.submit(&request);
        async { answer.await.unwrap_or(Err(Rejected::Stopped)) }
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
        let status = leases::status(&*self.store(), id, keys);
        let remaining = self.lessor.remaining(id).filter(|_| status.granted_ttl_s >= 0);
        let remaining_s = remaining.map_or(-1, leases::whole_seconds);
        LeaseTimes { status, remaining_s }
    }

    /// The state machine, for reading around the log and for watching. A member that was away for long gets another one with the
    /// image it is sent; watchers go on there, whoever reads the old one reads what was.
    pub fn store(&self) -> Arc<dyn ApplyPath> {
        present(&self.store)
    }

    /// What the pipeline did since the start.
    pub fn counts(&self) -> PipelineCounts {
        self.meter.counts()
    }

    /// How long each sync of the log took since the start.
    pub fn fsync_times(&self) -> SpanCounts {
        self.meter.fsync_times()
    }

    /// Shows the locks of the store, of the pipeline and of the leases' deadlines.
    pub fn visit_locks(&self, visit: Visit<'_>) {
        self.store().visit_locks(visit);
        self.pipeline.visit_locks(visit);
        self.lessor.visit_locks(visit);
    }

    /// The state now.
    pub fn digest(&self) -> Digest {
        self.store().digest()
    }

    fn submit(&self, request: &Request) -> Answered {
        let (reply, answer) = oneshot::channel();
        if let Err(refusal) = validate(request) {
            refuse(reply, refusal, &*self.store(), self.probe);
            return answer;
        }
        let inbox = self.pipeline.inbox();
        match *request {
            Request::LeaseGrant { id: 0, ttl_s } => {
                let id = self.lease_names.free(&self.lessor);
                leave(inbox, &Request::LeaseGrant { id, ttl_s }, reply);
            }
            _ => leave(inbox, request, reply),
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

/// Leaves a request where the pipeline finds it. A pipeline that sleeps is woken by a write at once, and by reads once for all
/// that the runtime's ready tasks ask: they need no disk that could begin meanwhile.
fn leave(inbox: &Arc<Inbox<Response, Reply>>, request: &Request, reply: oneshot::Sender<Outcome>) {
    let encode = |to: &mut Vec<u8>| codec::encode_into(request, to);
    if request.is_write() {
        inbox.write(encode, Reply(reply));
    } else if inbox.read(encode, Reply(reply)) {
        wake_after_ready_tasks(&Waker::from(inbox.clone()));
    }
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

fn present(store: &Present) -> Arc<dyn ApplyPath> {
    store.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// What a wish came to.
async fn heard(
    wish: impl FnOnce(Box<dyn FnOnce(Result<(), Rejected>) + Send>),
) -> Result<(), Rejected> {
    let (tell, told) = oneshot::channel();
    // Who asked may have stopped waiting.
    wish(Box::new(move |outcome| drop(tell.send(outcome))));
    told.await.unwrap_or(Err(Rejected::Stopped))
}

/// The store as raft sees it: bytes in, replies out. What happens to leases, the lessor is told in the order of the log.
struct Machine {
    store: Present,
    config: store::Config,
    folder: Arc<DataFolder>,
    former: Former,
    probe: Probe,
    lessor: Arc<Lessor>,
    compaction: Compaction,
    leads: AtomicBool,
    /// Weak, since the inbox's threads hold the machine.
    inbox: OnceLock<Weak<Inbox<Response, Reply>>>,
}

/// States that images replaced, and where they lie. Watchers and readers may hold them for long, and with them the engine's open files.
#[derive(Default)]
struct Former(Mutex<Vec<(PathBuf, Weak<dyn ApplyPath>)>>);

impl Former {
    fn add(&self, path: PathBuf, store: &Arc<dyn ApplyPath>) {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        states.push((path, Arc::downgrade(store)));
    }

    /// Where those lie that somebody holds; the others are forgotten.
    fn still_read(&self) -> Vec<PathBuf> {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        states.retain(|(_, store)| store.strong_count() > 0);
        states.iter().map(|(path, _)| path.clone()).collect()
    }
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
        present(&self.store).apply(&mut batch, &mut answers);
        failpoint::pass("node::before-lessor");
        self.tell_lessor(&answers, &revoked);
        self.propose_compaction(&answers);
        answers.into_iter().map(executed).collect()
    }

    /// # Panics
    /// If the query is a write: it would change this node and no log.
    fn read(&self, query: &[u8]) -> Executed<Response> {
        executed(present(&self.store).read(&decoded(query)))
    }

    fn accepts(&self, command: &[u8]) -> bool {
        codec::decode(command).is_ok_and(|request| request.is_write())
    }

    fn is_image(&self, index: u64, image: &mut dyn Read) -> bool {
        store::check_image(image).is_ok_and(|position| position.index <= index)
    }

    fn holds(&self, image: &mut dyn Read) -> io::Result<bool> {
        // One that is damaged is found out when it is loaded.
        let position = store::position_of_image(image);
        Ok(position.is_ok_and(|position| present(&self.store).applied() >= position))
    }

    fn applied(&self) -> u64 {
        present(&self.store).applied().index
    }

    fn write_image(&self, to: &mut dyn Write, held: &mut dyn FnMut()) -> io::Result<()> {
        present(&self.store).write_image(to, held)
    }

    fn load_image(&self, from: &mut dyn Read) -> Result<(), Box<dyn Error + Send + Sync>> {
        // An engine that nobody holds may be closing still, with files of its own: what is left is tried again next time.
        let _ = self.folder.remove_former_states(&self.former.still_read());
        let former = self.folder.state()?;
        let folder = self.folder.next_state()?;
        let loaded = store::load(self.config, &folder, self.probe, from)?;
        self.folder.adopt_next_state()?;
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        let replaced = std::mem::replace(&mut *store, loaded);
        drop(store);
        self.former.add(former, &replaced);
        // Not before others find it: who begins to watch the old one meanwhile moves on as well.
        replaced.watches().succeed(&self.store);
        self.lessor.clear();
        leases::renew_all(&*present(&self.store), &self.lessor);
        Ok(())
    }

    /// Only a leader ends leases; it gives each its full time, since it does not know what the last one knew.
    fn lead(&self, leads: bool) {
        failpoint::pass("node::lead");
        // Relaxed: it orders nothing.
        self.leads.store(leads, Ordering::Relaxed);
        leases::renew_all(&*present(&self.store), &self.lessor);
        self.lessor.lead(leads);
    }
}

impl Machine {
    fn new(
        config: Config,
        store: Arc<dyn ApplyPath>,
        folder: Arc<DataFolder>,
        lessor: Arc<Lessor>,
        probe: Probe,
    ) -> Machine {
        Machine {
            store: Arc::new(RwLock::new(store)),
            config: config.store,
            folder,
            former: Former::default(),
            probe,
            lessor,
            compaction: config.compaction,
            leads: AtomicBool::new(false),
            inbox: OnceLock::new(),
        }
    }

    /// Compactions are proposed in `inbox` from now on. Not before the log is replayed: those of earlier lives are in it.
    fn propose_in(&self, inbox: &Arc<Inbox<Response, Reply>>) {
        self.inbox.get_or_init(|| Arc::downgrade(inbox));
    }

    /// Nobody waits for it: if it is rejected, the next one comes soon.
    fn propose_compaction(&self, answers: &[Answer]) {
        if !self.leads.load(Ordering::Relaxed) {
            return;
        }
        let inbox = self.inbox.get().and_then(Weak::upgrade);
        if let Some((inbox, compact)) = inbox.zip(self.compaction.due(answers)) {
            failpoint::pass("node::propose-compaction");
            leave(&inbox, &compact, oneshot::channel().0);
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
    Executed { reply: answer.response, stamps: answer.stamps }
}
