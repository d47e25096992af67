//! What has to come right: once nothing goes wrong any more the group finds a leader, catches up, agrees, answers, and all that clients
//! saw has an explanation.

use super::Ran;
use super::invariants::Violation;
use super::member::Member;
use super::shape::{TICK, TIMING};
use super::world::World;
use crate::model::{Event, Interval, Put, Range, Request};
use crate::node::Call;
use crate::raft::{self, MemberId};
use crate::store::Dump;
use crate::verify::history::{Operation, Outcome};
use crate::verify::witness;
use std::hash::Hash;

/// Ticks within which somebody leads once all is well: twenty election timeouts.
const LEADER_WITHIN: u64 = 20 * TIMING.election.0 / TICK.0;
/// Ticks within which everybody has caught up.
const WELL_WITHIN: u64 = 6_000;
/// Ticks in which somebody who is asked again in the end has to answer, and how often it is asked.
const ANSWERS_WITHIN: u64 = 2_000;
const ATTEMPTS: u32 = 3;

impl World<'_> {
    pub(super) fn come_right(&mut self, ran: &mut Ran) -> Result<(), Violation> {
        self.heal();
        let began = self.tick;
        let led = self.until(LEADER_WITHIN, |world| world.is_led())?;
        if !led {
            return Violation::of(
                "a-leader-in-time",
                format!("nobody led {LEADER_WITHIN} ticks after all was well"),
            );
        }
        let led = self.tick - began;
        self.until_equal()?;
        self.ask_everybody()?;
        self.clients.give_up();
        self.until_equal()?;
        ran.recovered = Some((led, self.tick - began));
        self.question(ran)
    }

    /// Nothing goes wrong any more; whoever belongs to the group runs, and nobody else.
    pub(super) fn heal(&mut self) {
        self.plan.ticks.hash(&mut self.trace);
        for active in &mut self.active {
            active.fault.ticks = 0;
        }
        self.end_faults();
        self.operator.rest();
        let group = self.group();
        for id in &group {
            self.join(*id);
        }
        let (tick, base) = (self.tick, self.shape.sync);
        let gone: Vec<MemberId> =
            self.members.iter().map(|member| member.id).filter(|id| !group.contains(id)).collect();
        gone.into_iter().for_each(|id| self.leave(id));
        for member in self.members.iter_mut().filter(|member| !member.has_left) {
            member.disk.set_sync(base);
            member.disk.fail_after(None);
            member.paused = 0;
            if member.node.is_none() {
                member.starts = Some(tick);
            }
        }
    }

    /// Lets time pass until it is so, at most so many ticks; says whether it is.
    pub(super) fn until(
        &mut self,
        ticks: u64,
        is_so: impl Fn(&World<'_>) -> bool,
    ) -> Result<bool, Violation> {
        for _ in 0..ticks {
            if is_so(self) {
                return Ok(true);
            }
            self.pass(false)?;
        }
        Ok(is_so(self))
    }

    pub(super) fn until_equal(&mut self) -> Result<(), Violation> {
        for _ in 0..WELL_WITHIN {
            if self.are_equal() {
                return Ok(());
            }
            self.follow_group();
            self.pass(false)?;
        }
        let now = self.now();
        let view = |member: &Member| format!("member {}: {:?}", member.id, member.view(now));
        let views: Vec<String> =
            self.members.iter().filter(|member| !member.has_left).map(view).collect();
        Violation::of(
            "all-catch-up",
            format!("{WELL_WITHIN} ticks after all was well there are {}", views.join("; ")),
        )
    }

    /// A change that was under way when all was made well is followed, too.
    pub(super) fn follow_group(&mut self) {
        let group = self.group();
        for id in &group {
            self.join(*id);
        }
        let gone: Vec<MemberId> = self
            .members
            .iter()
            .filter(|member| !member.has_left && !group.contains(&member.id))
            .map(|member| member.id)
            .collect();
        gone.into_iter().for_each(|id| self.leave(id));
    }

    /// Everybody has applied all there is, and nothing is on its way that could change that.
    pub(super) fn are_equal(&self) -> bool {
        let now = self.now();
        let group = self.group();
        let views: Vec<_> = self
            .members
            .iter()
            .filter(|member| group.contains(&member.id))
            .map(|member| Some((member.view(now)?, member.node.as_ref()?.last())))
            .collect();
        let last = self.checker.committed();
        let is_there = |view: &Option<(raft::View, u64)>| {
            view.as_ref().is_some_and(|(view, end)| view.applied == last && *end == last)
        };
        views.len() == group.len()
            && views.iter().all(is_there)
            && self.is_led()
            && self.clients.are_idle()
    }

    /// Every member answers a write and a read again.
    pub(super) fn ask_everybody(&mut self) -> Result<(), Violation> {
        for id in self.group() {
            let key = format!("at-the-end-{id}").into_bytes();
            let interval = Interval::point(key.clone());
            self.ask(id, |attempt| {
                let value = format!("{id}.{attempt}").into_bytes();
                Request::Put(Put { key: key.clone(), value, ..Put::default() })
            })?;
            self.ask(id, |_| {
                Request::Range(Range { interval: interval.clone(), ..Range::default() })
            })?;
        }
        Ok(())
    }

    /// Asks until there is an answer; nothing is sent twice.
    pub(super) fn ask(
        &mut self,
        id: MemberId,
        request: impl Fn(u32) -> Request,
    ) -> Result<(), Violation> {
        let mut came_to = String::new();
        for attempt in 0..ATTEMPTS {
            let (request, invoked) = (request(attempt), self.now());
            let member = self.members.iter().find(|member| member.id == id);
            let mut call = member.and_then(|member| member.call(&request)).unwrap_or(Call::Lost);
            while let Call::Waits(_) = call
                && self.now().since(invoked).0 < ANSWERS_WITHIN * TICK.0
            {
                self.pass(false)?;
                call = call.look();
            }
            came_to = format!("{call:?}");
            let (is_answered, outcome) = match call {
                Call::Ended(Ok(delivered)) => (true, Outcome::Done(delivered.reply)),
                _ => (false, Outcome::Unknown),
            };
            self.asked += 1;
            let (client, returned) = (u64::MAX - self.asked, self.now());
            let operation = Operation { client, request, invoked, returned, outcome };
            self.clients.history.push(operation);
            if is_answered {
                return Ok(());
            }
            // Somebody may be handing over still.
            self.until(TIMING.election.0 / TICK.0, |_| false)?;
        }
        Violation::of(
            "all-catch-up",
            format!("member {id} does not answer once all is well: {came_to}"),
        )
    }

    /// The witness checker on the whole history, and on the ends of all members.
    pub(super) fn question(&mut self, ran: &mut Ran) -> Result<(), Violation> {
        let group = self.group();
        let of_group = || self.members.iter().filter(|member| group.contains(&member.id));
        let end = |member: &Member| -> Option<(String, Dump)> {
            Some((format!("member {}", member.id), member.node.as_ref()?.store().dump()))
        };
        let ends: Vec<(String, Dump)> = of_group().filter_map(end).collect();
        let mut truth: Vec<Event> = Vec::new();
        if let Some(node) = of_group().find_map(|member| member.node.as_ref()) {
            let store = node.store();
            let last = store.published();
            if last > 1 {
                truth = store.events(2, last).unwrap_or_default();
            }
        }
        self.clients.history.sort_by_key(|operation| operation.invoked);
        match witness::check(&self.clients.history, &truth, &ends) {
            Ok(_) => Ok(()),
            Err(witness::Fault::Violation(words)) => Violation::of("strict-serializability", words),
            Err(witness::Fault::Undecided(words)) => {
                ran.undecided = Some(words);
                Ok(())
            }
        }
    }
}
