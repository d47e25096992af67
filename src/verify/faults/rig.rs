//! A group of nodes within the process, on a network that can be made bad, and members that can be ended and started again.

use crate::clock::Clock;
use crate::measure::stage::Probe;
use crate::model::{Request, Response};
use crate::node::{Config, Node, NodeError, Peers};
use crate::raft::{Group, ImagePolicy, MemberId, Network, Rejected, Role, Status, Timing};
use crate::seed::Seed;
use crate::store::Dump;
use crate::units::{ByteSize, Nanos};
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
/// Longer than a message is on its way.
const QUIET: Nanos = Nanos::from_millis(200);
/// After this a client gives up and does not know.
const CALL_TIMEOUT: Duration = Duration::from_millis(600);

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
        for node in taken.into_iter().flatten() {
            while Arc::strong_count(&node) > 1 {
                self.clock.sleep(Nanos::from_millis(1));
            }
            drop(node);
        }
        members.iter().try_for_each(|me| self.start_one(*me))
    }

    /// Asks a member, and says what came of it: none if it is not known.
    pub(super) async fn call(&self, me: MemberId, request: Request) -> Called {
        let Some(node) = self.node(me) else { return Called::Refused };
        match tokio::time::timeout(CALL_TIMEOUT, node.call(request)).await {
            Ok(Ok(delivered)) => Called::Answered(delivered.reply),
            Ok(Err(rejected)) if is_surely_not_done(&rejected) => Called::Refused,
            Ok(Err(_)) | Err(_) => Called::Unknown,
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

    /// Once nothing is wrong: waits until all have applied all there is, and gives the time that took. What clients gave up may still
    /// come, so it returns when nothing has for a while.
    pub(super) fn settle(&self) -> Option<Nanos> {
        let began = self.clock.now();
        let mut last = self.agreed()?;
        let settled = self.clock.now().since(began);
        loop {
            self.clock.sleep(QUIET);
            match self.agreed()? {
                same if same == last => return Some(settled),
                later => last = later,
            }
        }
    }

    /// The last entry, once everybody has applied it.
    fn agreed(&self) -> Option<u64> {
        self.wait_for(|rig| {
            let last = rig.node(rig.leader()?)?.status().last;
            let views = rig.views();
            let are_equal = views.iter().all(|view| view.applied == last);
            (are_equal && views.len() as u64 == rig.size).then_some(last)
        })
    }

    /// The state of every member, by name.
    pub(super) fn ends(&self) -> Vec<(String, Dump)> {
        let end = |me| Some((format!("member {me}"), self.node(me)?.store().dump()));
        self.members().filter_map(end).collect()
    }
}

/// What came of a call.
pub(super) enum Called {
    Answered(Response),
    Refused,
    Unknown,
}

/// Whether a rejection says that nothing was proposed.
fn is_surely_not_done(rejected: &Rejected) -> bool {
    matches!(rejected, Rejected::NoLeader | Rejected::Overloaded(_) | Rejected::NotLeader(_))
}
