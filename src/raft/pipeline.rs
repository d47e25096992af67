//! Starting and ending a member: its log, its state from the newest image, its threads.

use super::applier::{self, Applier, Tools};
use super::disk::Medium;
use super::images::Images;
use super::inbox::{Inbox, What};
use super::log::{EngineLog, LogStore, on_a_thread_of_its_own};
use super::members::{Change, Members};
use super::ready::{Parts, ReadyLoop};
use super::status::{Board, Status};
use super::transport::{MemberId, Transport};
use super::{Config, Group, PipelineError, Rejected, StateMachine, Waiter};
use crate::clock::Clock;
use crate::measure::lock::Visit;
use crate::measure::pipeline::PipelineMeter;
use crate::measure::stage::Probe;
use crate::seed::Seed;
use raft::ReadOnlyOption;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Most bytes of committed entries handed out at once; bounds memory while a long log is replayed.
const COMMITTED_BYTES_MAX: u64 = 64 << 20;

/// What a member is started with.
pub struct Setup<'a> {
    /// The levers.
    pub config: Config,
    /// The group it belongs to.
    pub group: Group,
    /// Folder of its log.
    pub log: &'a Path,
    /// Folder of images of its state.
    pub images: &'a Path,
    /// What both lie on.
    pub medium: Medium,
    /// The way to the other members.
    pub transport: Arc<dyn Transport>,
    /// Counts what it does.
    pub meter: Arc<PipelineMeter>,
    /// Decides how long it waits for a leader each time; members of a group need different ones.
    pub seed: Seed,
    /// Its time.
    pub clock: Clock,
    /// Its stage clock.
    pub probe: Probe,
}

/// A running pipeline. Dropping it stops its threads and waits for them.
pub struct Pipeline<R, W: Waiter<R>> {
    inbox: Arc<Inbox<R, W>>,
    board: Arc<Board>,
    threads: Vec<JoinHandle<()>>,
}

/// Opens the log, brings `machine` to the newest image, and starts the Ready loop. When it returns, a member that is its group's only
/// voter leads and everything in its log is applied; a member of a larger group has yet to find its leader.
pub fn start<M, W>(
    setup: Setup<'_>,
    machine: Arc<M>,
) -> Result<Pipeline<M::Reply, W>, PipelineError>
where
    M: StateMachine,
    W: Waiter<M::Reply>,
{
    on_a_thread_of_its_own(|| {
        let (fsync, meter) = (setup.config.fsync, setup.meter.clone());
        let log = EngineLog::open(setup.log, &setup.medium, fsync, setup.clock, meter)?;
        start_on(log, setup, machine)
    })?
}

/// As [`start`], on any log.
pub(super) fn start_on<M, W, L>(
    log: L,
    setup: Setup<'_>,
    machine: Arc<M>,
) -> Result<Pipeline<M::Reply, W>, PipelineError>
where
    M: StateMachine,
    W: Waiter<M::Reply>,
    L: LogStore + Send + 'static,
{
    let (apply_on, mut apply_thread) = (setup.config.apply_on, None);
    let Begun { ready_loop, inbox, board } = begin(log, setup, machine, |tools, inbox| {
        let (applier, thread) = applier::applier(apply_on, tools, inbox)?;
        apply_thread = thread;
        Ok(applier)
    })?;
    let raft_thread =
        std::thread::Builder::new().name("raft-1".into()).spawn(move || ready_loop.run())?;
    let threads = [Some(raft_thread), apply_thread].into_iter().flatten().collect();
    Ok(Pipeline { inbox, board, threads })
}

/// A loop that is ready to run, and what it shares with others.
pub(super) struct Begun<M: StateMachine, W, L: LogStore> {
    pub(super) ready_loop: ReadyLoop<M, W, L>,
    pub(super) inbox: Arc<Inbox<M::Reply, W>>,
    pub(super) board: Arc<Board>,
}

/// Brings `machine` to the newest image and, if it is the only voter, through its log.
pub(super) fn begin<M, W, L>(
    mut log: L,
    setup: Setup<'_>,
    machine: Arc<M>,
    applier: impl FnOnce(
        Tools<M>,
        &Arc<Inbox<M::Reply, W>>,
    ) -> Result<Box<dyn Applier<W>>, PipelineError>,
) -> Result<Begun<M, W, L>, PipelineError>
where
    M: StateMachine,
    W: Waiter<M::Reply>,
    L: LogStore,
{
    let members = match log.members() {
        Some(members) => members,
        None => {
            let members = Members::founded_by(&setup.group.founders);
            log.put_members(&members)?;
            members
        }
    };
    let images = Images::open(setup.images, setup.medium.disk.clone())?;
    let mut begun_at = 0;
    if let Some(image) = images.newest() {
        if !machine.holds(&mut File::open(&image.path)?)? {
            applier::load_image(&*machine, &image.path)?;
        }
        log.imaged(image, setup.group.images.keep)?;
        begun_at = image.index;
    }
    let first = log.first_index()?;
    if first > begun_at + 1 {
        return Err(PipelineError::NoImage { first });
    }
    let inbox = Arc::new(Inbox::new(setup.probe));
    let board = Arc::new(Board::new(setup.probe));
    let tools = Tools {
        machine: machine.clone(),
        meter: setup.meter.clone(),
        board: board.clone(),
        disk: setup.medium.disk.clone(),
    };
    let applier = applier(tools, &inbox)?;
    let raft = raft_config(&setup.group, begun_at);
    let (for_loop, board_of_loop) = (inbox.clone(), board.clone());
    let parts =
        Parts { log, inbox: for_loop, board: board_of_loop, applier, machine, members, images };
    let mut ready_loop = ReadyLoop::new(parts, &raft, setup)?;
    ready_loop.lead_if_alone()?;
    Ok(Begun { ready_loop, inbox, board })
}

fn raft_config(group: &Group, applied: u64) -> raft::Config {
    let ticks = group.timing.election.0 / group.timing.heartbeat.0.max(1);
    raft::Config {
        id: group.me,
        election_tick: usize::try_from(ticks).unwrap_or(usize::MAX).max(2),
        heartbeat_tick: 1,
        max_size_per_msg: 1 << 20,
        max_inflight_msgs: 256,
        max_committed_size_per_ready: COMMITTED_BYTES_MAX,
        check_quorum: true,
        pre_vote: true,
        applied,
        // Leases are the loop's own: `lease` says why.
        read_only_option: ReadOnlyOption::Safe,
        ..raft::Config::default()
    }
}

impl<R: 'static, W: Waiter<R>> Pipeline<R, W> {
    /// Where requests are left.
    pub fn inbox(&self) -> &Arc<Inbox<R, W>> {
        &self.inbox
    }

    /// Shows its locks.
    pub fn visit_locks(&self, visit: Visit<'_>) {
        self.inbox.visit_locks(visit);
        self.board.visit_locks(visit);
    }

    /// What the member knows of its group.
    pub fn status(&self) -> Status {
        self.board.read()
    }

    /// The present term, as of a moment ago.
    pub fn term(&self) -> u64 {
        self.board.term()
    }

    /// Changes the group; `reply` hears when the change is committed, or is dropped if the pipeline ends.
    pub fn change(
        &self,
        change: Change,
        reply: impl FnOnce(Result<(), Rejected>) + Send + 'static,
    ) {
        self.inbox.wish(What::Change(change), Box::new(reply));
    }

    /// Asks for votes at once.
    pub fn stand(&self) {
        self.inbox.wish(What::Stand, Box::new(|_| {}));
    }

    /// Hands leadership to a member; `reply` hears when it leads.
    pub fn transfer(
        &self,
        to: MemberId,
        reply: impl FnOnce(Result<(), Rejected>) + Send + 'static,
    ) {
        self.inbox.wish(What::Transfer(to), Box::new(reply));
    }

    /// Writes an image of the state now and cuts the log, whatever the policy says; `reply` hears when it is begun.
    pub fn write_image(&self, reply: impl FnOnce(Result<(), Rejected>) + Send + 'static) {
        self.inbox.wish(What::Image, Box::new(reply));
    }
}

impl<R, W: Waiter<R>> Drop for Pipeline<R, W> {
    fn drop(&mut self) {
        self.inbox.stop();
        for thread in self.threads.drain(..) {
            // A panic of the thread was printed where it happened; clients see their replies vanish.
            let _ = thread.join();
        }
    }
}
