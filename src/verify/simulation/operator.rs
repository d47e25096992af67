//! Whoever changes the group: one wish at a time, repeated until it is heard, as operators do. A member joins as a learner, is started
//! when that is committed, and gets a vote when it has caught up; one that leaves is ended when that is committed.

use super::member::Member;
use crate::raft::{self, BadChange, Change, MemberId, Rejected, Role};
use crate::units::Nanos;
use std::sync::mpsc::{Receiver, TryRecvError};

/// Ticks after which a wish is given up.
const PATIENCE: u64 = 2_000;
/// Ticks between two attempts.
const PAUSE: u64 = 20;
/// Fewest voters that a group is brought down to, and most members that it is brought up to.
const VOTERS_MIN: usize = 3;
const MEMBERS_MAX: usize = 6;

/// What the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Learner(MemberId),
    Vote(MemberId),
    Leave(MemberId),
}

/// What it takes of the simulation to have it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// This member is one from now on, and has to be started.
    Joins(MemberId),
    /// This member has a vote.
    Votes,
    /// This member is none any more.
    Left(MemberId),
}

#[derive(Default)]
pub(super) struct Operator {
    wish: Option<Wish>,
    since: u64,
    asked: u64,
    told: Option<Receiver<Result<(), Rejected>>>,
}

impl Operator {
    /// Wants member `id` in the group, unless there is another wish or the group is large; says whether.
    pub(super) fn grow(&mut self, id: MemberId, group: usize, tick: u64) -> bool {
        self.want(Wish::Learner(id), group < MEMBERS_MAX, tick)
    }

    /// Wants member `id` out of the group.
    pub(super) fn shrink(&mut self, id: MemberId, voters: usize, tick: u64) -> bool {
        self.want(Wish::Leave(id), voters > VOTERS_MIN, tick)
    }

    fn want(&mut self, wish: Wish, may: bool, tick: u64) -> bool {
        if self.wish.is_some() || !may {
            return false;
        }
        (self.wish, self.since, self.asked, self.told) = (Some(wish), tick, 0, None);
        true
    }

    /// Asks, or hears what came of it.
    pub(super) fn act(&mut self, members: &[Member], tick: u64, now: Nanos) -> Option<Deed> {
        let wish = self.wish?;
        if tick > self.since + PATIENCE {
            self.wish = None;
            return None;
        }
        let Some(told) = &self.told else {
            if tick >= self.asked + PAUSE {
                self.asked = tick;
                self.told = ask(wish, members, now);
            }
            return None;
        };
        let outcome = match told.try_recv() {
            Err(TryRecvError::Empty) => return None,
            Ok(outcome) => is_so(&outcome),
            Err(TryRecvError::Disconnected) => false,
        };
        self.told = None;
        if !outcome {
            return None;
        }
        self.since = tick;
        let (deed, next) = match wish {
            Wish::Learner(id) => (Deed::Joins(id), Some(Wish::Vote(id))),
            Wish::Vote(_) => (Deed::Votes, None),
            Wish::Leave(id) => (Deed::Left(id), None),
        };
        self.wish = next;
        Some(deed)
    }

    /// Wants nothing any more.
    pub(super) fn rest(&mut self) {
        self.wish = None;
    }
}

fn ask(wish: Wish, members: &[Member], now: Nanos) -> Option<Receiver<Result<(), Rejected>>> {
    let leads = |member: &&Member| member.view(now).is_some_and(|view| view.role == Role::Leader);
    let leader = members.iter().find(leads)?.node.as_ref()?;
    Some(leader.change(match wish {
        Wish::Learner(id) => Change::Add(raft::Member { id, is_learner: true, about: Vec::new() }),
        Wish::Vote(id) => Change::Promote(id),
        Wish::Leave(id) => Change::Remove(id),
    }))
}

/// Also if an earlier attempt had done it, of which nobody heard.
fn is_so(outcome: &Result<(), Rejected>) -> bool {
    matches!(
        outcome,
        Ok(())
            | Err(Rejected::BadChange(
                BadChange::Exists | BadChange::NotALearner | BadChange::NotFound
            ))
    )
}
