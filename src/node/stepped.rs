//! A node that runs only when it is told to, for simulations: the same store, leases and pipeline, without a thread. What its log
//! keeps is a simulated disk's to say; images of its state are files in its folder.

use super::lessor::Lessor;
use super::{
    Answered, Config, DataFolder, Machine, NodeError, Outcome, Peers, Present, Reply, leases,
    leave, present, refuse,
};
use crate::clock::{Clock, Hand};
use crate::measure::pipeline::PipelineMeter;
use crate::measure::stage::Probe;
use crate::model::{Request, Response, validate};
use crate::raft::{
    self, Change, Door, Inbox, Logged, MemberId, PipelineError, Rejected, SimulatedDisk, Step, View,
};
use crate::seed::Seed;
use crate::store::{self, ApplyPath};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Weak};
use tokio::sync::oneshot;

/// A node between two rounds. Dropping it is a crash.
pub struct Stepped {
    pipeline: raft::Stepped<Machine, Reply>,
    store: Present,
    lessor: Arc<Lessor>,
    folder: Arc<DataFolder>,
}

/// What a simulation gives a node beside what any other has.
pub struct Simulated {
    /// Decides how long it waits for a leader each time.
    pub seed: Seed,
    /// What is under its log.
    pub disk: SimulatedDisk,
    /// Its time.
    pub clock: Clock,
    /// What moves that clock, also while a sync takes its time.
    pub hand: Hand,
    /// The state as an engine kept it over the last crash; none: the node begins with its image and its log.
    pub kept: Option<Arc<dyn ApplyPath>>,
}

/// What became of a request so far.
#[derive(Debug)]
pub enum Call {
    /// There is no answer yet.
    Waits(oneshot::Receiver<Outcome>),
    /// It was answered, or rejected.
    Ended(Outcome),
    /// The node is gone, and took the answer with it.
    Lost,
}

impl Call {
    /// A look at it now.
    pub fn look(self) -> Call {
        let Call::Waits(mut answer) = self else { return self };
        match answer.try_recv() {
            Ok(outcome) => Call::Ended(outcome),
            Err(oneshot::error::TryRecvError::Empty) => Call::Waits(answer),
            Err(oneshot::error::TryRecvError::Closed) => Call::Lost,
        }
    }
}

impl Stepped {
    /// Starts a member of a group; what its disk says its log holds is replayed as it is found committed.
    pub fn start(
        config: Config,
        peers: Peers,
        folder: DataFolder,
        simulated: Simulated,
    ) -> Result<Stepped, NodeError> {
        let (folder, probe) = (Arc::new(folder), Probe::off());
        let Simulated { seed, disk, clock, hand, kept } = simulated;
        let store = match kept {
            Some(kept) => kept,
            None => store::open(config.store, &folder.state()?, probe)?,
        };
        let lessor = Arc::new(Lessor::new(clock, probe));
        let machine = Machine::new(config, store, folder.clone(), lessor.clone(), probe);
        let (store, machine) = (machine.store.clone(), Arc::new(machine));
        let setup = raft::Setup {
            config: config.pipeline,
            group: peers.group,
            log: &folder.log(),
            images: &folder.images(),
            medium: raft::Medium::default(),
            transport: peers.transport,
            meter: Arc::new(PipelineMeter::default()),
            seed,
            clock,
            probe,
        };
        let pipeline = raft::Stepped::start(setup, machine.clone(), disk, hand)?;
        machine.propose_in(pipeline.inbox());
        Ok(Stepped { pipeline, store, lessor, folder })
    }

    /// One round, after what has expired is proposed to be revoked.
    pub fn step(&mut self) -> Result<Step, PipelineError> {
        leases::revoke(&self.lessor.take_expired(), self.pipeline.inbox());
        self.pipeline.step()
    }

    /// Sends a request through the pipeline.
    pub fn call(&self, request: &Request) -> Call {
        let (reply, answer): (_, Answered) = oneshot::channel();
        match validate(request) {
            Ok(()) => leave(self.pipeline.inbox(), request, reply),
            Err(refusal) => refuse(reply, refusal, &*self.store(), Probe::off()),
        }
        Call::Waits(answer)
    }

    /// Where messages of other members are left.
    pub fn door(&self) -> Weak<dyn Door> {
        let inbox: Weak<Inbox<Response, Reply>> = Arc::downgrade(self.pipeline.inbox());
        inbox
    }

    /// Where a transport puts images that come in.
    pub fn incoming(&self) -> PathBuf {
        self.folder.images()
    }

    /// The state machine.
    pub fn store(&self) -> Arc<dyn ApplyPath> {
        present(&self.store)
    }

    /// What it is.
    pub fn view(&self) -> View {
        self.pipeline.view()
    }

    /// Who votes, as far as it knows.
    pub fn voters(&self) -> &[MemberId] {
        self.pipeline.voters()
    }

    /// Who gets the log and does not vote.
    pub fn learners(&self) -> &[MemberId] {
        self.pipeline.learners()
    }

    /// The last entry that its log no longer has, with its term; zeros if it has all.
    pub fn cut(&self) -> (u64, u64) {
        self.pipeline.cut()
    }

    /// The last entry of its log.
    pub fn last(&self) -> u64 {
        self.pipeline.last()
    }

    /// The entries of its log from `index` on.
    pub fn entries(&self, index: u64) -> impl Iterator<Item = Logged> + '_ {
        self.pipeline.entries(index)
    }

    /// Wants the group changed; hears when that is committed, or why it is not.
    pub fn change(&self, change: Change) -> Receiver<Result<(), Rejected>> {
        let (tell, told) = channel();
        // Who asked may have stopped waiting.
        self.pipeline.change(change, move |outcome| drop(tell.send(outcome)));
        told
    }

    /// Hands leadership to member `to`, if it leads.
    pub fn hand_over(&self, to: MemberId) {
        self.pipeline.transfer(to, drop);
    }

    /// Asks for votes at once.
    pub fn stand(&self) {
        self.pipeline.stand();
    }

    /// Begins an image of the state, after which the log is cut.
    pub fn write_image(&self) {
        self.pipeline.write_image();
    }

    /// The lowest index at which its log was written since this was last asked.
    pub fn take_changed(&mut self) -> Option<u64> {
        self.pipeline.take_changed()
    }

    /// From now on its pipeline has this bug.
    #[cfg(feature = "seeded-bugs")]
    pub fn seed_bug(&mut self, bug: Option<raft::SeededBug>) {
        self.pipeline.seed_bug(bug);
    }
}
