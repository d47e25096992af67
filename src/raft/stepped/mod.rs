//! A member that runs only when it is told to, for simulations: the same Ready loop, packing, forwarding, leases, images and applier as
//! behind [`super::start`], one round at a time on the caller's thread, on a clock that is set by hand and a log in memory.
//!
//! Nothing in it depends on threads, on the host's clock or on entropy: the same messages, requests and instants give the same rounds.

mod disk;
mod log;
#[cfg(test)]
mod tests;

pub use super::ready::View;
pub use disk::{DiskCounts, SimulatedDisk};

use super::applier;
use super::inbox::{Inbox, What};
use super::members::Change;
use super::pipeline::{Begun, Setup, begin};
use super::ready::{Next, ReadyLoop};
use super::transport::MemberId;
use super::{PipelineError, Rejected, StateMachine, Waiter};
use crate::clock::Hand;
use crate::units::Nanos;
use log::SimulatedLog;
use std::sync::Arc;

/// A member between two rounds. Dropping it is a crash: what its disk had not kept yet is the disk's to tell.
pub struct Stepped<M: StateMachine, W: Waiter<M::Reply>> {
    ready_loop: ReadyLoop<M, W, SimulatedLog>,
    inbox: Arc<Inbox<M::Reply, W>>,
}

/// What comes after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Another round, at once.
    Again,
    /// Nothing before there is news, and at this instant at the latest.
    Rest(Nanos),
}

/// An entry of a log, without what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its place.
    pub index: u64,
    /// The term of the leader that appended it.
    pub term: u64,
    /// A hash of its kind, its proposal's name and its bytes.
    pub digest: u64,
    /// Whose proposal it is: member, start and number; none if it is a leader's first entry.
    pub proposal: Option<[u64; 3]>,
}

impl<M, W> Stepped<M, W>
where
    M: StateMachine,
    W: Waiter<M::Reply>,
{
    /// Brings `machine` to where `disk` says it was. Syncs move the clock by `hand`, which is that of the setup's clock. Of
    /// the setup, the log's folder, the levers `apply_on` and `fsync` have no meaning here.
    pub fn start(
        setup: Setup<'_>,
        machine: Arc<M>,
        disk: SimulatedDisk,
        hand: Hand,
    ) -> Result<Stepped<M, W>, PipelineError> {
        let log = SimulatedLog::open(disk, setup.clock, hand)?;
        let begun =
            begin(log, setup, machine, |tools, inbox| Ok(applier::without_threads(tools, inbox)))?;
        let Begun { ready_loop, inbox, .. } = begun;
        Ok(Stepped { ready_loop, inbox })
    }

    /// Where requests and messages are left.
    pub fn inbox(&self) -> &Arc<Inbox<M::Reply, W>> {
        &self.inbox
    }

    /// One round.
    pub fn step(&mut self) -> Result<Step, PipelineError> {
        Ok(match self.ready_loop.round()? {
            Next::Round => Step::Again,
            // Nobody asks it to end.
            Next::Rest(_) | Next::End if self.inbox.has_news() => Step::Again,
            Next::Rest(until) => Step::Rest(until),
            Next::End => Step::Rest(Nanos(u64::MAX)),
        })
    }

    /// What it is.
    pub fn view(&self) -> View {
        self.ready_loop.observe()
    }

    /// Who votes, as far as it knows.
    pub fn voters(&self) -> &[MemberId] {
        self.ready_loop.voters()
    }

    /// Who gets the log and does not vote.
    pub fn learners(&self) -> &[MemberId] {
        self.ready_loop.learners()
    }

    /// The last entry that its log no longer has, with its term; zeros if it has all.
    pub fn cut(&self) -> (u64, u64) {
        self.ready_loop.log().cut()
    }

    /// The last entry of its log.
    pub fn last(&self) -> u64 {
        self.ready_loop.log().last()
    }

    /// The entries of its log from `index` on.
    pub fn entries(&self, index: u64) -> impl Iterator<Item = Logged> + '_ {
        self.ready_loop.log().logged(index)
    }

    /// The lowest index at which its log was written since this was last asked; none if it was not.
    pub fn take_changed(&mut self) -> Option<u64> {
        self.ready_loop.log().take_changed()
    }

    /// From now on it has this bug; those of its log are its disk's.
    #[cfg(feature = "seeded-bugs")]
    pub fn seed_bug(&mut self, bug: Option<super::SeededBug>) {
        self.ready_loop.seed_bug(bug);
    }

    /// As [`super::Pipeline::change`].
    pub fn change(
        &self,
        change: Change,
        reply: impl FnOnce(Result<(), Rejected>) + Send + 'static,
    ) {
        self.inbox.wish(What::Change(change), Box::new(reply));
    }

    /// As [`super::Pipeline::transfer`].
    pub fn transfer(
        &self,
        to: MemberId,
        reply: impl FnOnce(Result<(), Rejected>) + Send + 'static,
    ) {
        self.inbox.wish(What::Transfer(to), Box::new(reply));
    }

    /// As [`super::Pipeline::stand`].
    pub fn stand(&self) {
        self.inbox.wish(What::Stand, Box::new(|_| {}));
    }

    /// As [`super::Pipeline::write_image`].
    pub fn write_image(&self) {
        self.inbox.wish(What::Image, Box::new(|_| {}));
    }
}
