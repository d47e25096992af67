//! What goes wrong: how a fault of the schedule begins and ends, and how it shows that it did something.

use super::network::{Carried, Weather};
use super::schedule::{Fault, What, Whom};
use super::world::World;
use crate::raft::MemberId;
use crate::units::Nanos;
use std::hash::Hash;

/// A fault that has begun.
pub(super) struct Active {
    pub(super) fault: Fault,
    /// The members it names, as they were when it began.
    pub(super) whom: Vec<MemberId>,
    carried: Carried,
    syncs: u64,
    pub(super) happened: bool,
}

impl World<'_> {
    pub(super) fn begin_faults(&mut self) {
        let due: Vec<Fault> =
            self.plan.faults.iter().filter(|fault| fault.from == self.tick).copied().collect();
        for fault in due {
            let named: &[Whom] = match &fault.what {
                What::OneWay(a, b) | What::Bridge(a, b) => &[*a, *b],
                What::CutOff(one) | What::Crash(one) | What::CrashKept(one) | What::Pause(one) => {
                    &[*one]
                }
                What::DiesAtWrite(one, _) | What::SlowDisk(one, _) => &[*one],
                What::HandOver(one) | What::Stand(one) | What::Image(one) | What::Shrink(one) => {
                    &[*one]
                }
                _ => &[],
            };
            let whom: Vec<MemberId> = named.iter().filter_map(|whom| self.resolve(*whom)).collect();
            let is_possible = whom.len() == named.len();
            let mut active =
                Active { carried: self.network.carried, syncs: 0, happened: false, fault, whom };
            if is_possible {
                self.begin(&mut active);
            }
            self.active.push(active);
        }
        self.make_weather();
    }

    pub(super) fn begin(&mut self, active: &mut Active) {
        let (now, tick) = (self.now(), self.tick);
        let Fault { what, ticks, .. } = active.fault;
        let until = tick + ticks;
        let first = active.whom.first().copied().unwrap_or(0);
        match what {
            What::Crash(_) => active.happened = self.crash(first, until, false),
            What::CrashKept(_) => active.happened = self.crash(first, until, true),
            What::AllCrash => {
                let all: Vec<MemberId> = self.members.iter().map(|member| member.id).collect();
                let each = all.into_iter().map(|id| self.crash(id, until, false));
                active.happened = each.filter(|crashed| *crashed).count() > 1;
            }
            What::DiesAtWrite(_, writes) => {
                if let Some(member) = self.member(first).filter(|member| member.node.is_some()) {
                    member.disk.fail_after(Some(writes));
                }
            }
            What::Pause(_) => {
                if let Some(member) = self.member(first).filter(|member| member.node.is_some()) {
                    member.paused = until;
                    active.happened = true;
                }
            }
            What::SlowDisk(_, millis) => {
                if let Some(member) = self.member(first) {
                    member.disk.set_sync(Nanos::from_millis(millis));
                    active.syncs = member.disk.counts().syncs;
                }
            }
            What::HandOver(_) => {
                let leader = self.leader().filter(|leader| *leader != first);
                if let Some(node) = leader.and_then(|id| self.member(id)?.node.as_ref()) {
                    node.hand_over(first);
                }
            }
            What::Stand(_) | What::Image(_) => {
                if let Some(node) = self.member(first).and_then(|member| member.node.as_ref()) {
                    match what {
                        What::Stand(_) => node.stand(),
                        _ => node.write_image(),
                    }
                    active.happened = true;
                }
            }
            What::Grow => {
                let group = self
                    .checker
                    .group()
                    .map_or(0, |(voters, learners)| voters.len() + learners.len());
                let id = self.members.iter().map(|member| member.id).max().unwrap_or(0) + 1;
                active.happened = group > 0 && self.operator.grow(id, group, tick);
            }
            What::Shrink(_) => {
                let voters = self.checker.group().map_or(0, |(voters, _)| voters.len());
                active.happened = self.operator.shrink(first, voters, tick);
            }
            _ => {}
        }
        (now.0, first, what.name()).hash(&mut self.trace);
    }

    pub(super) fn crash(&mut self, id: MemberId, until: u64, keeps_state: bool) -> bool {
        let now = self.now();
        let Some(member) = self.member(id) else { return false };
        let crashed = member.crash(now, keeps_state);
        if crashed {
            member.starts = Some(until);
        }
        crashed
    }

    pub(super) fn end_faults(&mut self) {
        let tick = self.tick;
        let over: Vec<Active> = self
            .active
            .extract_if(.., |active| active.fault.from + active.fault.ticks <= tick)
            .collect();
        for mut active in over {
            let (before, after) = (active.carried, self.network.carried);
            let first = active.whom.first().copied().unwrap_or(0);
            let leader = self.leader();
            let base = self.shape.sync;
            active.happened |= match active.fault.what {
                What::CutOff(_)
                | What::OneWay(..)
                | What::Bridge(..)
                | What::Split(_)
                | What::Ring => after.cut > before.cut,
                What::Loss(_) => after.lost > before.lost,
                What::Delay(_) => after.arrived > before.arrived,
                What::Reorder(_) => after.overtaken > before.overtaken,
                What::Repeats(_) => after.repeated > before.repeated,
                What::HandOver(_) => leader == Some(first),
                What::DiesAtWrite(..) => {
                    if let Some(member) = self.member(first) {
                        member.disk.fail_after(None);
                    }
                    false
                }
                What::SlowDisk(..) => self.member(first).is_some_and(|member| {
                    member.disk.set_sync(base);
                    member.disk.counts().syncs > active.syncs
                }),
                _ => false,
            };
            let counts = self.faults.entry(active.fault.what.name()).or_default();
            counts.0 += 1;
            counts.1 += u64::from(active.happened);
        }
        self.make_weather();
    }

    /// The network as all faults together make it.
    pub(super) fn make_weather(&mut self) {
        let mut weather = Weather::default();
        let ids: Vec<MemberId> = self.members.iter().map(|member| member.id).collect();
        let of_one = |a: &MemberId| ids.iter().map(|b| (*a, *b)).collect::<Vec<_>>();
        let pairs: Vec<(MemberId, MemberId)> = ids.iter().flat_map(of_one).collect();
        let pairs = || pairs.iter().copied();
        for active in &self.active {
            let place = |id: MemberId| ids.iter().position(|other| *other == id).unwrap_or(0);
            match (active.fault.what, &active.whom[..]) {
                (What::CutOff(_), [one]) => {
                    weather.cut.extend(pairs().filter(|(a, b)| a == one || b == one));
                }
                (What::OneWay(..), [a, b]) => drop(weather.cut.insert((*a, *b))),
                (What::Bridge(..), [a, b]) => weather.cut.extend([(*a, *b), (*b, *a)]),
                (What::Split(part), _) => {
                    let side = |id: MemberId| (part >> (id - 1)) & 1;
                    weather.cut.extend(pairs().filter(|(a, b)| side(*a) != side(*b)));
                }
                (What::Ring, _) => {
                    let apart = |a, b| {
                        let apart = place(a).abs_diff(place(b));
                        apart.min(ids.len() - apart)
                    };
                    weather.cut.extend(pairs().filter(|(a, b)| apart(*a, *b) > 1));
                }
                (What::Loss(percent), _) => weather.lost = weather.lost.max(percent),
                (What::Delay(millis), _) => {
                    weather.delay = weather.delay.max(Nanos::from_millis(millis));
                }
                (What::Reorder(millis), _) => {
                    weather.jitter = weather.jitter.max(Nanos::from_millis(millis));
                }
                (What::Repeats(percent), _) => weather.repeated = weather.repeated.max(percent),
                _ => {}
            }
        }
        self.network.weather = weather;
    }
}
