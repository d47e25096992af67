//! One member of a simulated group: its disk and its clock, which outlive its crashes, and the node that runs on them now.

use super::network::Outbox;
use super::shape::{Shape, TICK, TIMING};
use crate::clock::{Clock, Hand};
use crate::model::Request;
use crate::node::{Call, DataFolder, NodeError, Peers, Simulated, Stepped};
use crate::raft::{self, Envelope, Group, MemberId, PipelineError, SimulatedDisk, Step, View};
use crate::seed::Seed;
use crate::store::ApplyPath;
use crate::units::Nanos;
use rand::Rng;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

/// Rounds of one tick, at most.
const ROUNDS_MAX: u32 = 16;

pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) node: Option<Stepped>,
    /// Which start of it this is.
    pub(super) life: u64,
    /// When it starts again, if it is down and will.
    pub(super) starts: Option<u64>,
    /// Until when it stands still.
    pub(super) paused: u64,
    /// It left the group for good.
    pub(super) has_left: bool,
    pub(super) disk: SimulatedDisk,
    pub(super) outbox: Outbox,
    clock: Clock,
    hand: Hand,
    /// Millionths of the simulation's time.
    rate: u64,
    offset: Nanos,
    /// The group as it was told when it joined.
    founders: Vec<raft::Member>,
    seed: Seed,
    folder: PathBuf,
    /// Its state, where the next start finds it as an engine on disk had kept it.
    kept: Option<Arc<dyn ApplyPath>>,
    /// The last step dealt with an image: its files are as they are after it.
    has_imaged: bool,
    #[cfg(feature = "seeded-bugs")]
    pub(super) bug: Option<super::Bug>,
}

/// How a round went that went wrong.
pub(super) enum Died {
    /// Its disk failed, as it was told to.
    OfItsDisk,
    /// It gave up.
    Gave(PipelineError),
    /// It panicked.
    Panicked(String),
}

impl Member {
    pub(super) fn new(
        id: MemberId,
        founders: Vec<raft::Member>,
        shape: &Shape,
        seed: Seed,
        root: &std::path::Path,
    ) -> Member {
        let seed = seed.child("simulation-member", id);
        let mut random = seed.stream("clock", 0);
        let (clock, hand) = Clock::by_hand();
        Member {
            id,
            node: None,
            life: 0,
            starts: None,
            paused: 0,
            has_left: false,
            disk: SimulatedDisk::new(seed, shape.sync),
            outbox: Outbox::default(),
            clock,
            hand,
            rate: Shape::rate(&mut random),
            offset: Nanos(random.random_range(0..1_000_000_000)),
            founders,
            seed,
            folder: root.join(format!("member-{id}")),
            kept: None,
            has_imaged: false,
            #[cfg(feature = "seeded-bugs")]
            bug: None,
        }
    }

    /// What its clock shows when the simulation's shows `now`, unless a sync has brought it further.
    pub(super) fn local(&self, now: Nanos) -> Nanos {
        self.offset.after(Nanos(now.0 / 1_000 * self.rate / 1_000))
    }

    /// Whether all that it did has happened by `now`; else it still waits for its disk.
    pub(super) fn is_free(&self, now: Nanos) -> bool {
        self.clock.now() <= self.local(now)
    }

    /// Whether it stands still at `now`.
    pub(super) fn is_paused(&self, now: Nanos) -> bool {
        now < self.goes_on()
    }

    /// Until when it stands still; in the past if it does not.
    pub(super) fn goes_on(&self) -> Nanos {
        Nanos(self.paused * TICK.0)
    }

    /// Brings its clock up to `now`.
    pub(super) fn wake(&self, now: Nanos) {
        self.hand.reach(self.local(now));
    }

    /// The node, if what it did last has happened by `now`.
    pub(super) fn settled(&self, now: Nanos) -> Option<&Stepped> {
        self.node.as_ref().filter(|_| self.is_free(now))
    }

    /// Starts it on what its disk and its folder have.
    pub(super) fn start(&mut self, shape: &Shape, now: Nanos) -> Result<(), NodeError> {
        self.wake(now);
        let group = Group {
            me: self.id,
            founders: self.founders.clone(),
            timing: TIMING,
            images: shape.images,
        };
        let peers = Peers { group, transport: self.outbox.port(self.clock) };
        let simulated = Simulated {
            seed: self.seed,
            disk: self.disk.clone(),
            clock: self.clock,
            hand: self.hand,
            kept: self.kept.take(),
        };
        #[cfg(feature = "seeded-bugs")]
        let simulated = self.mistaken(simulated);
        let folder = DataFolder::open(&self.folder)?;
        let node = Stepped::start(shape.config, peers, folder, simulated)?;
        #[cfg(feature = "seeded-bugs")]
        let node = self.with_bug(node);
        (self.node, self.starts) = (Some(node), None);
        self.life += 1;
        Ok(())
    }

    /// It is gone at `now`: so is all that it would have done later. Not within a step that put an image in its place, since files are
    /// not the simulated disk's; then it lives a little longer, and false is returned.
    pub(super) fn crash(&mut self, now: Nanos, keeps_state: bool) -> bool {
        let (is_free, local) = (self.is_free(now), self.local(now));
        if self.node.is_none() || (self.has_imaged && !is_free) {
            return false;
        }
        // What was applied within the last step may not have happened.
        self.kept = self.node.as_ref().filter(|_| keeps_state && is_free).map(Stepped::store);
        self.outbox.end(local);
        self.end(local);
        true
    }

    fn end(&mut self, local: Nanos) {
        self.node = None;
        self.disk.crash(local);
    }

    /// All that it can do within the tick that begins at `now`.
    pub(super) fn step(&mut self, now: Nanos) -> Result<(), Died> {
        self.wake(now);
        let until = self.clock.now().after(TICK);
        let Some(node) = &mut self.node else { return Ok(()) };
        let imaged = node.view().imaged;
        for _ in 0..ROUNDS_MAX {
            let failed = self.disk.counts().failed;
            match catch_unwind(AssertUnwindSafe(|| node.step())) {
                Ok(Ok(Step::Again)) if self.clock.now() < until => {}
                Ok(Ok(Step::Rest(due))) if due < until => self.hand.reach(due),
                Ok(Ok(_)) => break,
                Ok(Err(_)) if self.disk.counts().failed > failed => {
                    self.end(self.clock.now());
                    return Err(Died::OfItsDisk);
                }
                Ok(Err(error)) => return Err(Died::Gave(error)),
                Err(panic) => return Err(Died::Panicked(words(&*panic))),
            }
        }
        self.has_imaged = node.view().imaged != imaged;
        Ok(())
    }

    /// What it has sent by `now`, also if it is gone since.
    pub(super) fn take_sent(&self, now: Nanos) -> Vec<Envelope> {
        self.outbox.take(self.local(now))
    }

    #[cfg(feature = "seeded-bugs")]
    fn mistaken(&self, mut simulated: Simulated) -> Simulated {
        match self.bug {
            Some(super::Bug::Pipeline(bug)) => self.disk.seed_bug(Some(bug)),
            Some(super::Bug::Store(bug)) => {
                let opened = || crate::store::open_seeded(Some(bug), self.id);
                simulated.kept = Some(simulated.kept.unwrap_or_else(opened));
            }
            None => {}
        }
        simulated
    }

    #[cfg(feature = "seeded-bugs")]
    fn with_bug(&self, mut node: Stepped) -> Stepped {
        if let Some(super::Bug::Pipeline(bug)) = self.bug {
            node.seed_bug(Some(bug));
        }
        node
    }

    pub(super) fn call(&self, request: &Request) -> Option<Call> {
        Some(self.node.as_ref()?.call(request))
    }

    /// What it is, if it runs and its last step has happened.
    pub(super) fn view(&self, now: Nanos) -> Option<View> {
        Some(self.settled(now)?.view())
    }
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
}
