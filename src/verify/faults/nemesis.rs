//! What goes wrong, one thing at a time, and whether it did: a fault that did not happen proves nothing.

use super::rig::Rig;
use super::system::Came;
use crate::raft::{Faults, MemberId, NetworkCounts};
use crate::units::Nanos;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The leader is cut off from everybody, both ways, until another leads.
    LeaderCutOff,
    /// A follower is.
    FollowerCutOff,
    /// What the leader sends to one follower is lost, what it hears from it is not.
    OneWay,
    /// Two members do not reach each other; both reach the third.
    Bridge,
    /// A fifth of all messages is lost.
    Loss,
    /// Messages take 5 to 10 ms.
    Delay,
    /// Messages overtake each other, by up to 60 ms.
    Reorder,
    /// Every third message comes twice.
    Repeats,
    /// Loss, delay and repetitions at once.
    BadNetwork,
    /// The leader hands over to another member.
    HandOver,
    /// A follower is ended and started again.
    FollowerRestarts,
    /// The leader is.
    LeaderRestarts,
    /// Everybody is, at once.
    AllRestart,
    /// A follower is cut off until the log no longer has what it lacks, so that it needs an image.
    NeedsImage,
    /// Something happens once at a named site, in whichever member comes there.
    #[cfg(feature = "failpoints")]
    At(&'static crate::failpoint::Site, crate::failpoint::Action),
}

impl Fault {
    /// All that a group of three can have.
    pub const OF_THREE: [Fault; 14] = [
        Fault::LeaderCutOff,
        Fault::FollowerCutOff,
        Fault::OneWay,
        Fault::Bridge,
        Fault::Loss,
        Fault::Delay,
        Fault::Reorder,
        Fault::Repeats,
        Fault::BadNetwork,
        Fault::HandOver,
        Fault::FollowerRestarts,
        Fault::LeaderRestarts,
        Fault::AllRestart,
        Fault::NeedsImage,
    ];
    /// All that a node on its own can have.
    pub const OF_ONE: [Fault; 1] = [Fault::AllRestart];

    /// Its name, for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Fault::LeaderCutOff => "leader-cut-off",
            Fault::FollowerCutOff => "follower-cut-off",
            Fault::OneWay => "one-way",
            Fault::Bridge => "bridge",
            Fault::Loss => "loss",
            Fault::Delay => "delay",
            Fault::Reorder => "reorder",
            Fault::Repeats => "repeats",
            Fault::BadNetwork => "bad-network",
            Fault::HandOver => "hand-over",
            Fault::FollowerRestarts => "follower-restarts",
            Fault::LeaderRestarts => "leader-restarts",
            Fault::AllRestart => "all-restart",
            Fault::NeedsImage => "needs-image",
            #[cfg(feature = "failpoints")]
            Fault::At(site, _) => site.name,
        }
    }
}

impl Fault {
    /// What happens, where its name only says at which site.
    pub fn action(self) -> Option<String> {
        match self {
            #[cfg(feature = "failpoints")]
            Fault::At(_, action) => Some(action.to_string()),
            _ => None,
        }
    }
}

/// How long most faults last.
const SPAN: Nanos = Nanos::from_millis(250);
/// How long one lasts at most that waits for something.
const SPAN_MAX: Nanos = Nanos::from_millis(10_000);

/// Makes `fault` happen, ends it, and says whether it happened.
pub(super) fn inject(rig: &Rig, fault: Fault, random: &mut ChaCha8Rng) -> Came {
    let struck = rig.clock.now();
    let happened = happens(rig, fault, random);
    Came { action: fault.action(), ..Came::plain(fault.name(), happened, struck) }
}

fn happens(rig: &Rig, fault: Fault, random: &mut ChaCha8Rng) -> bool {
    let before = rig.network.counts();
    let Some(leader) = rig.wait_for(|rig| rig.leader()) else { return false };
    let others: Vec<MemberId> = rig.members().filter(|me| *me != leader).collect();
    let follower = match others[..] {
        [] => leader,
        _ => others[random.random_range(0..others.len())],
    };
    let happened = match fault {
        #[cfg(feature = "failpoints")]
        Fault::At(site, action) => super::failpoints::inject(rig, site, action, random),
        Fault::LeaderCutOff => {
            rig.network.isolate(leader);
            let is_replaced = |rig: &Rig| rig.leader().filter(|now| *now != leader);
            wait(rig, |rig| is_replaced(rig).is_some()) && cut(rig, before) > 0
        }
        Fault::FollowerCutOff => {
            rig.network.isolate(follower);
            rig.clock.sleep(SPAN);
            cut(rig, before) > 0
        }
        Fault::OneWay => {
            rig.network.cut(leader, follower);
            rig.clock.sleep(SPAN);
            cut(rig, before) > 0
        }
        Fault::Bridge => {
            rig.network.cut(leader, follower);
            rig.network.cut(follower, leader);
            rig.clock.sleep(SPAN);
            cut(rig, before) > 0
        }
        Fault::Loss | Fault::Delay | Fault::Reorder | Fault::Repeats | Fault::BadNetwork => {
            rig.network.set_faults(chances(fault));
            rig.clock.sleep(SPAN);
            shows(fault, before, rig.network.counts())
        }
        Fault::HandOver => {
            let asked = rig.node(leader).is_some_and(|node| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
                let runtime = runtime.expect("a runtime without threads");
                let limit = SPAN_MAX.into();
                let handed = async { tokio::time::timeout(limit, node.hand_over(follower)).await };
                matches!(runtime.block_on(handed), Ok(Ok(())))
            });
            asked && wait(rig, |rig| rig.leader() == Some(follower))
        }
        Fault::FollowerRestarts => rig.restart(&[follower]).is_ok(),
        Fault::LeaderRestarts => rig.restart(&[leader]).is_ok(),
        Fault::AllRestart => rig.restart(&rig.members().collect::<Vec<_>>()).is_ok(),
        Fault::NeedsImage => {
            rig.network.isolate(follower);
            // Whoever leads by then has no longer what it lacks.
            let is_far = wait(rig, |rig| {
                let next = rig.node(follower).map(|node| node.status().last + 1);
                let mut others = rig.members().filter(|me| *me != follower);
                others.all(|me| rig.node(me).map(|node| node.status().first) > next)
            });
            rig.network.heal();
            let images = || rig.network.counts().images > before.images;
            is_far && wait(rig, |_| images())
        }
    };
    rig.network.heal();
    happened
}

fn chances(fault: Fault) -> Faults {
    let none = Faults::default();
    let (delay, jitter) = (Nanos::from_millis(5), Nanos::from_millis(5));
    match fault {
        Fault::Loss => Faults { loss: 0.2, ..none },
        Fault::Delay => Faults { delay, jitter, ..none },
        Fault::Reorder => Faults { jitter: Nanos::from_millis(60), ..none },
        Fault::Repeats => Faults { repeats: 0.33, ..none },
        _ => Faults { loss: 0.05, repeats: 0.1, delay: Nanos::from_millis(1), jitter },
    }
}

fn shows(fault: Fault, before: NetworkCounts, after: NetworkCounts) -> bool {
    let (lost, repeated) = (after.lost > before.lost, after.repeated > before.repeated);
    let (delayed, overtaken) = (after.delayed > before.delayed, after.overtaken > before.overtaken);
    match fault {
        Fault::Loss => lost,
        Fault::Delay => delayed,
        Fault::Reorder => overtaken,
        Fault::Repeats => repeated,
        _ => lost && repeated && delayed,
    }
}

fn cut(rig: &Rig, before: NetworkCounts) -> u64 {
    rig.network.counts().cut - before.cut
}

/// Waits for what a fault is to bring about, but not for long.
pub(super) fn wait(rig: &Rig, is_so: impl Fn(&Rig) -> bool) -> bool {
    let began = rig.clock.now();
    while !is_so(rig) {
        if rig.clock.now().since(began) > SPAN_MAX {
            return false;
        }
        rig.clock.sleep(Nanos::from_millis(2));
    }
    true
}
