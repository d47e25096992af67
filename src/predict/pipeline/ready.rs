//! The Ready loop of a member: take what is new, propose, send, write, sync, commit.

use super::{Event, LEADER, World};
use crate::predict::member::{Doing, Message};
use crate::raft::Publish;
use crate::raft::proposer::{Situation, Turn};
use crate::units::Nanos;
use rand::Rng;

/// Shortest wait that is slept, ns; as in `raft::ready`.
const SHORTEST_SLEEP_NS: f64 = 100_000.0;

impl World<'_> {
    /// Something is in the inbox of `member`; whether its thread had to be signalled.
    pub(super) fn signal(&mut self, member: usize) -> bool {
        match self.members[member].doing {
            Doing::Sleeps => {
                self.members[member].doing = Doing::Wakes;
                self.members[member].sleep += 1;
                let wake_ns = self.wake_ns();
                self.engine.after(wake_ns, Event::Runs(member));
                true
            }
            Doing::Yields => {
                self.members[member].doing = Doing::Works;
                self.members[member].sleep += 1;
                self.engine.after(0.0, Event::Turns(member));
                false
            }
            Doing::Wakes | Doing::Works => false,
        }
    }

    pub(super) fn slept_out(&mut self, member: usize, sleep: u64) {
        if self.members[member].sleep != sleep {
            return;
        }
        match self.members[member].doing {
            Doing::Yields => self.turn(member),
            _ => {
                self.members[member].doing = Doing::Wakes;
                let wake_ns = self.wake_ns();
                self.engine.after(wake_ns, Event::Runs(member));
            }
        }
    }

    /// One round: take what is new, propose, send, write.
    pub(super) fn turn(&mut self, at: usize) {
        let leads = at == LEADER;
        let member = &mut self.members[at];
        member.doing = Doing::Works;
        member.sleep += 1;
        member.take_news(leads);
        let due = if leads { self.propose() } else { None };
        if !self.members[at].has_work(leads) {
            return self.rest(at, due);
        }
        if leads && self.members[at].has_to_tell() {
            self.tell_followers();
        }
        let member = &mut self.members[at];
        (member.writing, member.kept) = (member.last, member.held);
        let (from, to) = (member.synced, member.last);
        let costs = self.question.costs;
        let round_ns = if to > from { costs.round_ns } else { 0.0 };
        let work_ns = round_ns + costs.propose_ns * self.requests(from, to) as f64;
        let thread = self.members[at].thread;
        self.engine.work(thread, work_ns, Event::Written(at));
    }

    /// All that the policy wants proposed; gives the instant it wants to be asked again.
    pub(super) fn propose(&mut self) -> Option<Nanos> {
        let now = Nanos(self.engine.now_ns() as u64);
        let leader = &mut self.members[LEADER];
        loop {
            let situation =
                Situation { waiting: &leader.waiting, in_flight: leader.in_flight, now };
            match leader.proposer.turn(situation) {
                Turn::Send(count) => {
                    self.log.push_back(leader.waiting.clients.drain(..count).collect());
                    leader.last += 1;
                    leader.in_flight += 1;
                }
                Turn::Wait(due) => return due,
            }
        }
    }

    pub(super) fn rest(&mut self, at: usize, due: Option<Nanos>) {
        let now_ns = self.engine.now_ns();
        let span_ns = due.map(|due| (due.0 as f64 - now_ns).max(0.0));
        let member = &mut self.members[at];
        member.doing = match span_ns {
            Some(span_ns) if span_ns < SHORTEST_SLEEP_NS => Doing::Yields,
            _ => Doing::Sleeps,
        };
        if let Some(span_ns) = span_ns {
            // A nanosecond more: instants of policies are whole.
            self.engine.after(span_ns + 1.0, Event::SleptOut(at, member.sleep));
        }
    }

    pub(super) fn tell_followers(&mut self) {
        let leader = &mut self.members[LEADER];
        (leader.sent_commit, leader.sent_read) = (leader.commit, leader.read_round);
        let (last, commit, read) = (leader.last, leader.commit, leader.read_round);
        for follower in 1..self.question.nodes {
            self.post(follower, Message::Append { last, commit, read });
        }
    }

    pub(super) fn post(&mut self, to: usize, message: Message) {
        let way_ns = self.question.rtt.0 as f64 / 2.0;
        self.engine.after(way_ns, Event::Arrives(to, message));
    }

    /// Entries are in the log: they are synced, and so is a commit index that held entries back.
    pub(super) fn written(&mut self, at: usize) {
        let member = &self.members[at];
        let (from, to) = (member.synced, member.writing);
        if to == from && member.kept == member.handed {
            return self.synced(at);
        }
        if at == LEADER {
            self.seen.synced();
        }
        let line = self.question.costs.log_bytes;
        let bytes = line.per_round + line.per_request * self.requests(from, to) as f64;
        let sync_ns = self.question.syncs.quantile_ns(bytes, self.sync_chance.random());
        self.engine.after(sync_ns, Event::Synced(at));
    }

    /// What is on disk may be committed, and what is committed goes to apply: now, or after the next sync.
    pub(super) fn synced(&mut self, at: usize) {
        let leads = at == LEADER;
        let member = &mut self.members[at];
        member.synced = member.writing;
        member.matched[at] = member.synced;
        member.commit = member.committed(leads);
        let publish_to = match self.question.levers.publish {
            Publish::Ready => member.commit,
            Publish::NextReady => member.kept,
        };
        member.held = member.commit;
        let from = std::mem::replace(&mut member.handed, publish_to);
        if leads {
            let waiting = member.waiting.clients.len() + member.new_writes.len();
            member.proposer.answering(waiting);
        } else if std::mem::take(&mut member.owes_ack) {
            let (synced, read) = (member.synced, member.read_round);
            self.post(LEADER, Message::Ack { from: at, synced, read });
        }
        match self.members[at].apply_thread {
            Some(_) => self.hand_over(at, from),
            None => self.execute(at, from),
        }
    }
}
