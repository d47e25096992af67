//! A group of nodes within the process: every member with its own folder, log and store, on a network without faults. Requests go to
//! the member that led first; should another lead later, they are sent on.

use super::{Config, FolderError, Node, NodeError, Outcome, Peers};
use crate::clock::Clock;
use crate::measure::lock::Visit;
use crate::measure::pipeline::PipelineCounts;
use crate::measure::spans::SpanCounts;
use crate::measure::stage::Probe;
use crate::model::Request;
use crate::raft::{Group, MemberId, Network, Role};
use crate::seed::Seed;
use crate::store::{ApplyPath, Digest};
use crate::units::Nanos;
use std::path::Path;
use std::sync::Arc;

/// How long a new group may take to find its leader, and members to catch up at the end.
const PATIENCE: Nanos = Nanos::from_millis(30_000);
/// How often is looked.
const NAP: Nanos = Nanos::from_millis(1);

/// Nodes of one group, or a node on its own.
pub struct Cluster {
    /// Dropped first: they use the network.
    nodes: Vec<Node>,
    network: Option<Network>,
    leader: usize,
    clock: Clock,
}

impl Cluster {
    /// Starts `size` members in `folder`; a node on its own uses it directly. Returns when there is a leader.
    pub fn start(
        config: Config,
        size: u64,
        folder: &Path,
        clock: Clock,
        probe: Probe,
    ) -> Result<Cluster, NodeError> {
        if size == 1 {
            let nodes = vec![Node::start(config, folder, clock, probe)?];
            return Ok(Cluster { nodes, network: None, leader: 0, clock });
        }
        let io = |source| FolderError::Io { path: folder.to_path_buf(), source };
        let network = Network::start(clock, Seed(0), probe).map_err(io)?;
        let mut nodes = Vec::new();
        for me in 1..=size {
            let peers = Peers { group: Group::of(me, size), transport: network.port(me) };
            let folder = folder.join(format!("member-{me}"));
            let node = Node::start_among(config, peers, &folder, clock, probe)?;
            network.join(me, node.door(), &node.incoming());
            nodes.push(node);
        }
        let mut cluster = Cluster { nodes, network: Some(network), leader: 0, clock };
        // Nobody has to wait out an election timeout.
        cluster.nodes[0].stand();
        let found = cluster.wait_for(|cluster| cluster.find_leader());
        cluster.leader = found.ok_or(NodeError::NoLeader)?;
        Ok(cluster)
    }

    /// The member that every member follows.
    fn find_leader(&self) -> Option<usize> {
        let views: Vec<_> = self.nodes.iter().map(Node::status).collect();
        let leader = views.iter().position(|view| view.role == Role::Leader)?;
        let id: MemberId = views[leader].me;
        let is_known = views.iter().all(|view| view.leader == id);
        // Not before its first entry is applied: until then it answers no reads.
        (is_known && views[leader].applied == views[leader].last).then_some(leader)
    }

    fn wait_for<T>(&self, found: impl Fn(&Cluster) -> Option<T>) -> Option<T> {
        let began = self.clock.now();
        loop {
            let found = found(self);
            if found.is_some() || self.clock.now().since(began) > PATIENCE {
                return found;
            }
            self.clock.sleep(NAP);
        }
    }

    /// The member that requests go to.
    pub fn leader(&self) -> &Node {
        &self.nodes[self.leader]
    }

    /// Executes one request.
    pub async fn call(&self, request: Request) -> Outcome {
        self.leader().call(request).await
    }

    /// Executes requests in this order, without waiting between them.
    pub fn call_all(&self, requests: &[Request]) -> Vec<Outcome> {
        self.leader().call_all(requests)
    }

    /// What the leader's pipeline did.
    pub fn counts(&self) -> PipelineCounts {
        self.leader().counts()
    }

    /// How long each sync of the leader's log took since the start.
    pub fn fsync_times(&self) -> SpanCounts {
        self.leader().fsync_times()
    }

    /// Shows the leader's locks and that of the links to the others.
    pub fn visit_locks(&self, visit: Visit<'_>) {
        self.leader().visit_locks(visit);
        if let Some(network) = &self.network {
            network.visit_locks(visit);
        }
    }

    /// The leader's store.
    pub fn store(&self) -> Arc<dyn ApplyPath> {
        self.leader().store()
    }

    /// The state of every member once all have applied what the leader has, as far as they do so soon; the leader's first.
    pub fn digests(&self) -> Vec<Digest> {
        let last = self.leader().status().last;
        self.wait_for(|cluster| {
            cluster.nodes.iter().all(|node| node.status().applied >= last).then_some(())
        });
        let others = self.nodes.iter().enumerate().filter(|(place, _)| *place != self.leader);
        let others = others.map(|(_, node)| node.digest());
        std::iter::once(self.leader().digest()).chain(others).collect()
    }
}
