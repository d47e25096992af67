//! A group of nodes within the process, on a network that can be made bad, and members that can be ended and started again.

use super::nemesis::{self, Fault};
use super::system::{Called, Came, End, System, Told, Way};
use crate::clock::Clock;
use crate::measure::stage::Probe;
use crate::model::{Event, MainRevision, Request};
use crate::node::{Config, Node, NodeError, Peers};
use crate::raft::{Group, ImagePolicy, MemberId, Network, Rejected, Role, Status, Timing};
use crate::seed::Seed;
use crate::store::{WatchLimits, WatchResponse, WatchSpec, Watcher};
use crate::units::{ByteSize, Nanos};
use crate::verify::watch::Watched;
use rand_chacha::ChaCha8Rng;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Short, so that elections are frequent; long enough for a busy host.
pub(super) const TIMING: Timing =
    Timing { heartbeat: Nanos::from_millis(30), election: Nanos::from_millis(300) };
/// Images after few entries, so that logs are cut all the time and whoever was away needs one.
const IMAGES: ImagePolicy = ImagePolicy { entries: 100, bytes: ByteSize(1 << 20), keep: 20 };
/// Far beyond what agreeing takes once nothing is wrong any more.
const PATIENCE: Nanos = Nanos::from_millis(30_000);
/// Far beyond what closing an engine takes.
const CLOSING: Nanos = Nanos::from_millis(5_000);
/// After this a client gives up and does not know.
const CALL_TIMEOUT: Duration = Duration::from_millis(600);

/// How long a watcher waits for news.
const WAIT: Nanos = Nanos::from_millis(20);
/// Small, so that readers are too slow now and then and go back to the history.
const LIMITS: WatchLimits = WatchLimits {
    buffer_events: 64,
    buffer_bytes: 1 << 16,
    fragment_bytes: 1 << 20,
    history_revisions: 16,
};

/// The group.
pub(super) struct Rig {
    pub(super) network: Network,
    pub(super) clock: Clock,
    config: Config,
    size: u64,
    root: tempfile::TempDir,
    /// By member, from 1; empty while it is down.
    slots: Vec<RwLock<Option<Arc<Node>>>>,
}

impl Rig {
    pub(super) fn start(config: Config, size: u64, seed: u64) -> Result<Rig, NodeError> {
        let clock = Clock::start();
        let network =
            Network::start(clock, Seed(seed), Probe::off()).expect("a thread can be started");
        let root = tempfile::tempdir().expect("a temporary folder");
        let slots = (0..size).map(|_| RwLock::new(None)).collect();
        let rig = Rig { network, clock, config, size, root, slots };
        for me in 1..=size {
            rig.start_one(me)?;
        }
        rig.wait_for(|rig| rig.leader()).map(|_| rig).ok_or(NodeError::NoLeader)
    }

    pub(super) fn members(&self) -> impl Iterator<Item = MemberId> + use<> {
        1..=self.size
    }

    fn folder(&self, me: MemberId) -> PathBuf {
        self.root.path().join(format!("member-{me}"))
    }

    fn start_one(&self, me: MemberId) -> Result<(), NodeError> {
        let group = Group { timing: TIMING, images: IMAGES, ..Group::of(me, self.size) };
        let peers = Peers { group, transport: self.network.port(me) };
        let node =
            Node::start_among(self.config, peers, &self.folder(me), self.clock, Probe::off())?;
        self.network.join(me, node.door(), &node.incoming());
        *self.slot(me).write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(node));
        Ok(())
    }

    fn slot(&self, me: MemberId) -> &RwLock<Option<Arc<Node>>> {
        &self.slots[me as usize - 1]
    }

    /// The member, unless it is down.
    pub(super) fn node(&self, me: MemberId) -> Option<Arc<Node>> {
        self.slot(me).read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends members, waits until nobody uses them, and starts them again on what they left.
    pub(super) fn restart(&self, members: &[MemberId]) -> Result<(), NodeError> {
        let taken: Vec<Option<Arc<Node>>> = members
            .iter()
            .map(|me| self.slot(*me).write().unwrap_or_else(PoisonError::into_inner).take())
            .collect();
        let mut stores = Vec::new();
        for node in taken.into_iter().flatten() {
            while Arc::strong_count(&node) > 1 {
                self.clock.sleep(Nanos::from_millis(1));
            }
            stores.push(Arc::downgrade(&node.store()));
        }
        // Watchers hold them a little longer, and with them the engine's files: in processes of their own they would be gone.
        while stores.iter().any(|store| store.strong_count() > 0) {
            self.clock.sleep(Nanos::from_millis(1));
        }
        members.iter().try_for_each(|me| self.start_again(*me))
    }

    /// An engine may be closing still.
    fn start_again(&self, me: MemberId) -> Result<(), NodeError> {
        let began = self.clock.now();
        loop {
            match self.start_one(me) {
                Err(NodeError::Store(_)) if self.clock.now().since(began) < CLOSING => {
                    self.clock.sleep(Nanos::from_millis(5));
                }
                started => return started,
            }
        }
    }

    fn views(&self) -> Vec<Status> {
        self.members().filter_map(|me| Some(self.node(me)?.status())).collect()
    }

    /// Who leads in the eyes of a quorum.
    pub(super) fn leader(&self) -> Option<MemberId> {
        let views = self.views();
        let found = views.iter().filter(|view| view.role == Role::Leader).max_by_key(|v| v.term)?;
        let follow = views.iter().filter(|view| view.leader == found.me).count() as u64;
        (follow > self.size / 2).then_some(found.me)
    }

    /// Waits for something; nothing if it does not come.
    pub(super) fn wait_for<T>(&self, is_so: impl Fn(&Rig) -> Option<T>) -> Option<T> {
        let began = self.clock.now();
        while self.clock.now().since(began) < PATIENCE {
            if let Some(found) = is_so(self) {
                return Some(found);
            }
            self.clock.sleep(Nanos::from_millis(2));
        }
        None
    }
}

impl System for Rig {
    type Fault = Fault;
    type Way<'a> = Inside<'a>;

    const TELLS_PLACES: bool = true;

    fn clock(&self) -> Clock {
        self.clock
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn is_up(&self, me: MemberId) -> bool {
        self.node(me).is_some()
    }

    fn way(&self) -> Inside<'_> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        Inside { rig: self, runtime: runtime.expect("a runtime without threads") }
    }

    fn inject(&self, fault: Fault, random: &mut ChaCha8Rng) -> Came {
        nemesis::inject(self, fault, random)
    }

    fn agreed(&self, _way: &mut Inside<'_>) -> Option<u64> {
        self.wait_for(|rig| {
            let last = rig.node(rig.leader()?)?.status().last;
            let views = rig.views();
            let are_equal = views.iter().all(|view| view.applied == last);
            (are_equal && views.len() as u64 == rig.size).then_some(last)
        })
    }

    fn end(&self) -> Result<End, String> {
        let truth = self.node(1).map_or_else(Vec::new, |node| {
            let store = node.store();
            let last = store.published();
            if last < 2 { Vec::new() } else { store.events(2, last).unwrap_or_default() }
        });
        let end = |me| Some((format!("member {me}"), self.node(me)?.store().dump()));
        Ok(End { truth, members: self.members().filter_map(end).collect() })
    }
}

/// A client's way to members of its own process.
pub(super) struct Inside<'a> {
    rig: &'a Rig,
    runtime: tokio::runtime::Runtime,
}

impl Way for Inside<'_> {
    type Watch = Watcher;

    fn call(&mut self, me: MemberId, request: Request) -> Called {
        let Some(node) = self.rig.node(me) else { return Called::Refused };
        let called = async { tokio::time::timeout(CALL_TIMEOUT, node.call(request)).await };
        match self.runtime.block_on(called) {
            Ok(Ok(delivered)) => Called::Answered(delivered.reply),
            Ok(Err(rejected)) if is_surely_not_done(&rejected) => Called::Refused,
            Ok(Err(_)) | Err(_) => Called::Unknown,
        }
    }

    fn revision(&mut self, me: MemberId) -> Option<MainRevision> {
        Some(self.rig.node(me)?.store().published())
    }

    /// Whoever restarts a member waits for those who hold it, so the watch does not.
    fn watch(&mut self, me: MemberId, watched: &Watched) -> Option<Watcher> {
        let spec = WatchSpec {
            interval: watched.interval.clone(),
            start_revision: watched.progress + 1,
            prev_kv: watched.prev_kv,
            progress: true,
            ..WatchSpec::default()
        };
        Some(Watcher::new(&self.rig.node(me)?.store(), spec, LIMITS))
    }

    fn told(&mut self, watch: &mut Watcher) -> Option<Told> {
        match watch.next(WAIT.into())? {
            WatchResponse::Events { revision, events, .. } => {
                let events = events.iter().map(|event| Arc::new(Event::clone(event)));
                Some(Told::Events(vec![(revision, events.collect())]))
            }
            WatchResponse::Progress { revision } => Some(Told::Progress(revision)),
            WatchResponse::Cancelled { .. } => None,
        }
    }
}

/// Whether a rejection says that nothing was proposed.
fn is_surely_not_done(rejected: &Rejected) -> bool {
    matches!(rejected, Rejected::NoLeader | Rejected::Overloaded(_) | Rejected::NotLeader(_))
}

#[cfg(test)]
mod tests {
    use super::super::{Plan, config};
    use super::*;
    use crate::store::{EngineKind, PathKind};

    /// A member does not know that what it sent to the leader was lost, and what was asked later waits until it gives that up.
    #[test]
    fn a_group_has_settled_once_what_waits_behind_a_loss_is_done() {
        let (path, engine) = (PathKind::GlobalMutex, EngineKind::Memory);
        let plan = Plan { seed: 1, path, engine, nodes: 3, faults: vec![], operations_min: 0 };
        let rig = Rig::start(config(&plan), 3, 1).unwrap();
        let leader = rig.leader().unwrap();
        let follower = rig.members().find(|me| *me != leader).unwrap();
        let way = rig.way();
        let give_up = |key: &str| {
            let called = async {
                let node = rig.node(follower).unwrap();
                let patience = Duration::from_millis(30);
                tokio::time::timeout(patience, node.call(Request::put(key, "v"))).await
            };
            assert!(way.runtime.block_on(called).is_err(), "{key} was answered");
        };
        rig.network.cut(follower, leader);
        ["lost 1", "lost 2", "lost 3", "lost 4", "late"].into_iter().for_each(give_up);
        rig.network.heal();
        rig.settle().unwrap();
        let dump = rig.node(leader).unwrap().store().dump();
        let keys: Vec<&[u8]> = dump.keys.iter().map(|kept| &*kept.key).collect();
        assert_eq!(keys, [b"late"]);
    }
}
