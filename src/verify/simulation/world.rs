//! One run: the group, and the order in which things happen within a tick.

use super::checker::Checker;
use super::clients::Clients;
use super::invariants::Violation;
use super::member::{Died, Member};
use super::network::{Letter, Network};
use super::operator::{Deed, Operator};
use super::schedule::{What, Whom};
use super::shape::{Shape, TICK};
use super::troubles::Active;
use super::{Plan, Ran};
use crate::raft::{self, Envelope, MemberId, Received, Report, Role};
use crate::seed::Seed;
use crate::units::Nanos;
use crate::verify::history::Outcome;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

/// Where images are written if it is there: syncs cost nothing in memory.
const MEMORY: &str = "/dev/shm";
pub(super) struct World<'a> {
    pub(super) plan: &'a Plan,
    pub(super) shape: Shape,
    pub(super) seed: Seed,
    pub(super) root: tempfile::TempDir,
    pub(super) tick: u64,
    pub(super) members: Vec<Member>,
    pub(super) network: Network,
    pub(super) clients: Clients,
    pub(super) operator: Operator,
    pub(super) checker: Checker,
    pub(super) active: Vec<Active>,
    pub(super) random: ChaCha8Rng,
    pub(super) trace: DefaultHasher,
    pub(super) faults: BTreeMap<&'static str, (u64, u64)>,
    pub(super) terms: u64,
    pub(super) highest: u64,
    /// Operations of its own.
    pub(super) asked: u64,
    /// Images that were copied, which names the copies.
    pub(super) copies: u64,
}

impl<'a> World<'a> {
    pub(super) fn new(plan: &'a Plan) -> io::Result<World<'a>> {
        let seed = Seed(plan.seed);
        let shape = Shape::of(seed);
        let root = match Path::new(MEMORY).is_dir() {
            true => tempfile::tempdir_in(MEMORY).or_else(|_| tempfile::tempdir())?,
            false => tempfile::tempdir()?,
        };
        let mut world = World {
            network: Network::new(seed, &shape),
            clients: Clients::new(seed, &shape),
            operator: Operator::default(),
            checker: Checker::default(),
            active: Vec::new(),
            random: seed.stream("simulation-world", 0),
            trace: DefaultHasher::new(),
            faults: BTreeMap::new(),
            terms: 0,
            highest: 0,
            asked: 0,
            copies: 0,
            members: Vec::new(),
            tick: 0,
            plan,
            shape,
            seed,
            root,
        };
        let founders = raft::Group::of(1, world.shape.size).founders;
        for id in 1..=world.shape.size {
            let member = world.new_member(id, founders.clone());
            world.members.push(member);
        }
        Ok(world)
    }

    pub(super) fn new_member(&self, id: MemberId, founders: Vec<raft::Member>) -> Member {
        let mut member = Member::new(id, founders, &self.shape, self.seed, self.root.path());
        member.starts = Some(self.tick);
        #[cfg(feature = "seeded-bugs")]
        {
            member.bug = self.plan.bug;
        }
        member
    }

    pub(super) fn now(&self) -> Nanos {
        Nanos(self.tick * TICK.0)
    }

    pub(super) fn run(mut self) -> Ran {
        let mut ran = Ran { members: self.shape.size, ..Ran::default() };
        let outcome = self.go_wrong().and_then(|()| self.come_right(&mut ran));
        ran.violation = outcome.err().map(|violation| (self.tick, violation));
        ran.ticks = self.tick;
        ran.trace = self.trace.finish();
        (ran.committed, ran.looks) = (self.checker.committed(), self.checker.looks);
        (ran.terms, ran.carried) = (self.terms, self.network.carried);
        ran.faults = self.faults;
        for member in &self.members {
            let counts = member.disk.counts();
            ran.disks.writes += counts.writes;
            ran.disks.syncs += counts.syncs;
            ran.disks.lost += counts.lost;
            ran.disks.torn += counts.torn;
            ran.disks.failed += counts.failed;
        }
        let of = |is: fn(&Outcome) -> bool| {
            self.clients.history.iter().filter(|one| is(&one.outcome)).count() as u64
        };
        ran.operations = [
            self.clients.history.len() as u64,
            of(|outcome| matches!(outcome, Outcome::Done(_))),
            of(|outcome| matches!(outcome, Outcome::Refused)),
            of(|outcome| matches!(outcome, Outcome::Unknown)),
        ];
        ran
    }

    pub(super) fn go_wrong(&mut self) -> Result<(), Violation> {
        while self.tick < self.plan.ticks {
            self.end_faults();
            self.begin_faults();
            self.pass(true)?;
        }
        Ok(())
    }

    /// One tick. What was done before has happened by now or is undone; then everybody goes on.
    pub(super) fn pass(&mut self, with_clients: bool) -> Result<(), Violation> {
        let now = self.now();
        self.start_members()?;
        for member in &self.members {
            if member.node.is_some() && !member.is_paused(now) {
                member.wake(now);
            }
        }
        self.post(now);
        self.clients.hear(&self.members, self.tick)?;
        self.checker.look(&mut self.members, now)?;
        self.note_views(now);
        self.deliver(now);
        if with_clients {
            self.clients.ask(&self.members, self.tick);
        }
        if let Some(deed) = self.operator.act(&self.members, self.tick, now) {
            self.have_it_so(deed);
        }
        self.step(now)?;
        self.tick += 1;
        Ok(())
    }

    pub(super) fn start_members(&mut self) -> Result<(), Violation> {
        let now = self.now();
        for member in &mut self.members {
            let is_due = member.starts.is_some_and(|starts| starts <= self.tick);
            if is_due && member.is_free(now) {
                (self.tick, member.id, "starts").hash(&mut self.trace);
                member.start(&self.shape, now).map_err(|error| Violation {
                    invariant: "no-member-gives-up",
                    words: format!("member {} cannot start: {error}", member.id),
                })?;
            }
        }
        Ok(())
    }

    /// What members have sent by now is on its way, or lost.
    pub(super) fn post(&mut self, now: Nanos) {
        for place in 0..self.members.len() {
            let from = self.members[place].id;
            for envelope in self.members[place].take_sent(now) {
                // Whoever has not joined yet is reached as little as who is down.
                let to = self.members.iter().find(|member| member.id == envelope.to);
                let life = to.map_or(0, |member| member.life);
                if !self.network.post(from, (envelope.to, life), &envelope, now) {
                    self.report_lost(from, &envelope);
                }
            }
        }
    }

    /// A leader sends nothing else to a member whose image it takes to be on its way, so it hears of one that is lost. Of other
    /// messages it hears now and then, as from a connection that is closed.
    pub(super) fn report_lost(&mut self, from: MemberId, envelope: &Envelope) {
        let report = match envelope.image {
            Some(_) => Report::Image(envelope.to, false),
            None if self.random.random_range(0..4) == 0 => Report::Unreachable(envelope.to),
            None => return,
        };
        self.report(from, report);
    }

    pub(super) fn report(&self, to: MemberId, report: Report) {
        let node = self.members.iter().find(|member| member.id == to);
        if let Some(door) = node.and_then(|member| member.node.as_ref()?.door().upgrade()) {
            door.report(report);
        }
    }

    pub(super) fn deliver(&mut self, now: Nanos) {
        loop {
            let members = &self.members;
            let paused = |letter: &Letter| {
                let member = addressee(members, letter).filter(|member| member.is_paused(now));
                member.map(Member::goes_on)
            };
            let Some((letter, is_carried)) = self.network.arrived(now, paused) else { return };
            let (to, at) = (letter.to.0, addressee(&self.members, &letter));
            let node = at.and_then(|member| member.node.as_ref()).filter(|_| is_carried);
            let Some(node) = node else {
                self.report_lost(letter.from, &letter.envelope);
                continue;
            };
            (self.tick, letter.from, to, &letter.envelope.bytes).hash(&mut self.trace);
            let (door, incoming) = (node.door(), node.incoming());
            let Letter { from, envelope: Envelope { bytes, image, .. }, .. } = letter;
            let Some(door) = door.upgrade() else { continue };
            let Some(image) = image else {
                self.network.carried.arrived += 1;
                door.receive(Received { from, bytes, image: None });
                continue;
            };
            self.copies += 1;
            let copied = copy(&image, &incoming, self.copies);
            let arrived = copied.is_ok();
            if let Ok(image) = copied {
                self.network.carried.images += 1;
                door.receive(Received { from, bytes, image: Some(image) });
            }
            self.report(from, Report::Image(to, arrived));
        }
    }

    pub(super) fn step(&mut self, now: Nanos) -> Result<(), Violation> {
        let count = self.members.len();
        for turn in 0..count {
            // Nobody is always the first.
            let place = (turn + self.tick as usize) % count;
            let member = &mut self.members[place];
            if member.node.is_none() || member.is_paused(now) || !member.is_free(now) {
                continue;
            }
            let id = member.id;
            let words = match member.step(now) {
                Ok(()) => continue,
                Err(Died::OfItsDisk) => {
                    (self.tick, id, "dies").hash(&mut self.trace);
                    let down = self.random.random_range(20..200);
                    self.members[place].starts = Some(self.tick + down);
                    for active in &mut self.active {
                        let is_it = matches!(active.fault.what, What::DiesAtWrite(..));
                        active.happened |= is_it && active.whom.contains(&id);
                    }
                    continue;
                }
                Err(Died::Gave(error)) => format!("member {id} ended: {error}"),
                Err(Died::Panicked(words)) => format!("member {id} panicked: {words}"),
            };
            return Violation::of("no-member-gives-up", words);
        }
        Ok(())
    }

    pub(super) fn note_views(&mut self, now: Nanos) {
        for member in &self.members {
            let Some(view) = member.view(now) else { continue };
            let role = match view.role {
                Role::Leader => 2,
                Role::Candidate => 1,
                Role::Follower => 0,
            };
            let numbers = [member.id, role, view.term, view.vote, view.committed, view.applied];
            (self.tick, numbers, view.has_lease).hash(&mut self.trace);
            if view.role == Role::Leader && view.term > self.highest {
                (self.highest, self.terms) = (view.term, self.terms + 1);
            }
        }
        if let Some(last) = self.clients.history.last() {
            (self.clients.history.len(), last.client, last.returned.0).hash(&mut self.trace);
        }
    }

    pub(super) fn leader(&self) -> Option<MemberId> {
        let now = self.now();
        let leads = |member: &Member| {
            let view = member.view(now).filter(|view| view.role == Role::Leader)?;
            Some((view.term, member.id))
        };
        self.members.iter().filter_map(leads).max().map(|(_, id)| id)
    }

    /// Whether a majority of the group follows one leader.
    pub(super) fn is_led(&self) -> bool {
        let (now, group) = (self.now(), self.group());
        let views: Vec<raft::View> = self
            .members
            .iter()
            .filter(|member| group.contains(&member.id))
            .filter_map(|member| member.view(now))
            .collect();
        let Some(leader) = self.leader() else { return false };
        let term = self.highest;
        let follow = views.iter().filter(|view| view.leader == leader && view.term >= term).count();
        follow > group.len() / 2
    }

    pub(super) fn member(&mut self, id: MemberId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    pub(super) fn resolve(&self, whom: Whom) -> Option<MemberId> {
        match whom {
            Whom::Leader => self.leader(),
            Whom::Member(id) => self
                .members
                .iter()
                .find(|member| member.id == id && !member.has_left)
                .map(|one| one.id),
        }
    }

    /// Who belongs to it by now; a change that is under way may still add to it.
    pub(super) fn group(&self) -> Vec<MemberId> {
        let (voters, learners) = self.checker.group().cloned().unwrap_or_default();
        let mut all: Vec<MemberId> = voters.into_iter().chain(learners).collect();
        if all.is_empty() {
            all = (1..=self.shape.size).collect();
        }
        all
    }

    /// The group is as the operator wanted it.
    pub(super) fn have_it_so(&mut self, deed: Deed) {
        match deed {
            Deed::Joins(id) => self.join(id),
            Deed::Votes => {}
            Deed::Left(id) => self.leave(id),
        }
    }

    pub(super) fn join(&mut self, id: MemberId) {
        let tick = self.tick;
        if let Some(member) = self.member(id) {
            if member.has_left {
                // It was taken for gone before anybody was seen to know that it had joined.
                (member.has_left, member.starts) = (false, Some(tick));
            }
            return;
        }
        let (voters, learners) = self.checker.group().cloned().unwrap_or_default();
        let of = |ids: Vec<MemberId>, is_learner| {
            let others = ids.into_iter().filter(move |other| *other != id);
            others.map(move |id| raft::Member { id, is_learner, about: Vec::new() })
        };
        let others = of(voters, false).chain(of(learners, true)).collect();
        let member = self.new_member(id, others);
        self.members.push(member);
    }

    pub(super) fn leave(&mut self, id: MemberId) {
        let now = self.now();
        if let Some(member) = self.member(id) {
            if member.node.is_some() && !member.crash(now, false) {
                member.node = None;
            }
            (member.starts, member.has_left) = (None, true);
        }
    }
}

/// The member that a letter is to, unless that start of it is over.
fn addressee<'a>(members: &'a [Member], letter: &Letter) -> Option<&'a Member> {
    let (to, life) = letter.to;
    members.iter().find(|member| member.id == to && member.life == life)
}

/// Copies `image` into the folder for what comes in, under a name of its own.
fn copy(image: &Path, incoming: &Path, number: u64) -> io::Result<PathBuf> {
    let path = incoming.join(format!("copy-{number}.part"));
    std::fs::copy(image, &path)?;
    Ok(path)
}
