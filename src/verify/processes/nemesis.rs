//! What goes wrong, one thing at a time, and what was seen of it: a fault that did not happen proves nothing.

mod clocks;
mod membership;
mod syncs;

use super::fault::Fault;
use super::group::{ENTRIES_AWAY, Group, leads};
use super::member::{Start, address};
use super::wire::Wire;
use crate::client::scrape;
use crate::raft::MemberId;
use crate::rpc::etcdserverpb::{MoveLeaderRequest, MoveLeaderResponse};
use crate::units::Nanos;
use crate::verify::faults::system::{Came, System};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// How long most faults last.
const SPAN: Nanos = Nanos::from_millis(300);
/// How long one lasts at most that waits for something.
const SPAN_MAX: Nanos = Nanos::from_millis(20_000);
/// How long a leader may take to hand over.
const HAND_OVER_MAX: Duration = Duration::from_secs(5);

/// What was seen while a fault was there.
struct Strike {
    happened: bool,
    /// When.
    struck: Nanos,
    /// From then until another member led, if the leader was taken away.
    led: Option<Nanos>,
}

impl Strike {
    fn at(struck: Nanos, happened: bool) -> Strike {
        Strike { happened, struck, led: None }
    }
}

/// A fault under way: who leads, and who else is chosen.
struct Turn<'a, 'b> {
    group: &'a Group,
    way: &'b mut Wire<'a>,
    leader: MemberId,
    /// The leader itself if there is nobody else.
    follower: MemberId,
    random: &'b mut ChaCha8Rng,
}

/// Makes `fault` happen, ends it, and waits until everybody has what was committed by then.
pub(super) fn inject(group: &Group, fault: Fault, random: &mut ChaCha8Rng) -> Came {
    let mut way = group.way();
    let now = group.clock.now();
    let Some(leader) = group.wait_for_leader(&mut way) else {
        return Came::plain(fault.name(), false, now);
    };
    let others: Vec<MemberId> = group.all().into_iter().filter(|me| *me != leader).collect();
    let follower = match others[..] {
        [] => leader,
        _ => others[random.random_range(0..others.len())],
    };
    let mut turn = Turn { group, way: &mut way, leader, follower, random };
    let Strike { happened, struck, led } = turn.strike(fault);
    let level = group.level(&mut way);
    Came { led, level, ..Came::plain(fault.name(), happened, struck) }
}

impl Turn<'_, '_> {
    fn strike(&mut self, fault: Fault) -> Strike {
        match fault {
            Fault::FollowerKilled => self.kill(&[self.follower]),
            Fault::LeaderKilled => self.kill(&[self.leader]),
            Fault::AllKilled => self.kill(&self.group.all()),
            Fault::FollowerDiesAtSync => self.dies_at_sync(self.follower),
            Fault::LeaderDiesAtSync => self.dies_at_sync(self.leader),
            Fault::FollowerSyncFails => self.sync_fails(self.follower),
            Fault::LeaderSyncFails => self.sync_fails(self.leader),
            Fault::DiskFull => self.disk_full(),
            Fault::SlowSyncs => self.slow_syncs(),
            Fault::LeaderPaused => self.pause_leader(),
            Fault::FollowerPaused => self.pause_follower(),
            Fault::HandOver => self.hand_over(),
            Fault::MemberComesAndGoes => self.comes_and_goes(),
            Fault::MemberReplaced => self.replace(),
            Fault::NeedsImage => self.needs_image(),
            Fault::ConnectionsReset => self.reset(),
            Fault::ClockJumps => self.clock_jumps(),
            Fault::ClockRuns => self.clock_runs(),
        }
    }

    fn now(&self) -> Nanos {
        self.group.clock.now()
    }

    /// Some time, up to `most`.
    fn a_while(&mut self, most: Nanos) {
        self.group.clock.sleep(Nanos(self.random.random_range(0..most.0)));
    }

    /// Waits for what a fault is to bring about, but not for long.
    fn wait(&mut self, mut is_so: impl FnMut(&Group, &mut Wire<'_>) -> bool) -> bool {
        let (group, way) = (self.group, &mut *self.way);
        group.wait_for(SPAN_MAX, || is_so(group, way).then_some(())).is_some()
    }

    /// Starts a member that is down, and waits until it answers.
    fn back(&mut self, me: MemberId, start: &Start) -> bool {
        let is_started = self.group.start_one(me, start).is_ok();
        is_started && self.wait(|_, way| way.status(me).is_some())
    }

    /// Waits until another than `old` leads by its own word; gives the time since `struck`. In a group of one nobody can.
    fn led_again(&mut self, old: MemberId, struck: Nanos) -> Option<Nanos> {
        let (group, way) = (self.group, &mut *self.way);
        if group.all().len() < 2 {
            return None;
        }
        group.wait_for(SPAN_MAX, || {
            let views = group.views(way);
            let is_new = views.iter().any(|(me, view)| *me != old && leads(view));
            is_new.then(|| group.clock.now().since(struck))
        })
    }

    /// Kills members at once and starts them again after a while: they ended by the signal, and answer.
    fn kill(&mut self, members: &[MemberId]) -> Strike {
        let struck = self.now();
        let killed: Vec<bool> = members.iter().map(|me| self.group.kill(*me)).collect();
        let led = match members {
            [one] if *one == self.leader => self.led_again(*one, struck),
            _ => None,
        };
        self.a_while(SPAN);
        let mut happened = killed.into_iter().all(|killed| killed);
        for me in members {
            happened &= self.group.start_one(*me, &Start::default()).is_ok();
        }
        happened &= members.iter().all(|me| self.wait(|_, way| way.status(*me).is_some()));
        Strike { happened, struck, led }
    }

    /// The leader does nothing for as long as it takes another to lead, and a little longer.
    fn pause_leader(&mut self) -> Strike {
        let (leader, struck) = (self.leader, self.now());
        let is_stopped = self.group.member(leader).stop(self.group.clock);
        let led = self.led_again(leader, struck);
        self.a_while(SPAN);
        let goes_on = self.group.member(leader).go_on();
        Strike { happened: is_stopped && goes_on && led.is_some(), struck, led }
    }

    fn pause_follower(&mut self) -> Strike {
        let struck = self.now();
        let member = self.group.member(self.follower);
        let is_stopped = member.stop(self.group.clock);
        self.group.clock.sleep(SPAN);
        self.a_while(SPAN);
        Strike::at(struck, is_stopped && member.go_on())
    }

    fn hand_over(&mut self) -> Strike {
        let (leader, follower, struck) = (self.leader, self.follower, self.now());
        let header = self.way.status(follower).and_then(|view| view.header);
        let target_id = header.map_or(0, |header| header.member_id);
        let asked = MoveLeaderRequest { target_id };
        let path = "/etcdserverpb.Maintenance/MoveLeader";
        let answer: Option<MoveLeaderResponse> = self.way.ask(leader, path, &asked, HAND_OVER_MAX);
        let leads = |group: &Group, way: &mut Wire<'_>| group.leader(way) == Some(follower);
        let happened = answer.is_some() && self.wait(leads);
        Strike { happened, struck, led: happened.then(|| self.now().since(struck)) }
    }

    /// Killed, and away until the others are so far that the log has been cut behind it: its page of numbers counts the image.
    fn needs_image(&mut self) -> Strike {
        let (me, struck) = (self.follower, self.now());
        let behind = self.way.status(me).map_or(0, |view| view.raft_applied_index);
        let is_killed = self.group.kill(me);
        let is_far = self.wait(|group, way| {
            let ahead = group.views(way).iter().map(|(_, view)| view.raft_applied_index).max();
            ahead > Some(behind + ENTRIES_AWAY)
        });
        let is_back = self.back(me, &Start::default());
        let numbers = address(self.group.member(me).ports.numbers);
        let has_image = self.wait(|_, _| {
            scrape(&numbers).is_ok_and(|page| page.count("kvbench_images_received_total") > 0)
        });
        Strike::at(struck, behind > 0 && is_killed && is_far && is_back && has_image)
    }

    /// Between members, all at once.
    fn reset(&mut self) -> Strike {
        let (struck, before) = (self.now(), self.group.gates.broken());
        self.group.gates.break_all();
        Strike::at(struck, self.wait(|group, _| group.gates.broken() > before))
    }
}
