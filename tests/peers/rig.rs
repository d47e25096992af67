//! Three members on loopback, each with a server for the others.

use kvbench::clock::Clock;
use kvbench::measure::stage::Probe;
use kvbench::model::{Request, Response};
use kvbench::node::{Compaction, Config, Node, Peers};
use kvbench::peer::{About, Admission, GrpcTransport, Hearsay, PeerService, Security};
use kvbench::raft::{
    self, ApplyOn, Batch, Change, Fsync, Group, ImagePolicy, Linger, Member, MemberId, Propose,
    Publish, Reads, Rejected, Role, Timing,
};
use kvbench::store::{self, PathKind};
use kvbench::units::{ByteSize, Nanos};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// Far beyond what any wait here takes.
const PATIENCE: Nanos = Nanos::from_millis(60_000);
pub(crate) const CLUSTER: u64 = 0xc1;

/// A member with its server.
pub(crate) struct Running {
    pub(crate) node: Arc<Node>,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<()>,
}

pub(crate) struct Rig {
    pub(crate) runtime: Runtime,
    root: tempfile::TempDir,
    pub(crate) addresses: BTreeMap<MemberId, String>,
    pub(crate) members: BTreeMap<MemberId, Running>,
}

fn config() -> Config {
    let bytes_max = ByteSize(1 << 20);
    let batch = Batch { ops_max: 100, bytes_max, linger: Linger::None, in_flight: 4 };
    Config {
        store: store::Config::in_memory(PathKind::Sharded { shards: 16, workers: 1 }),
        compaction: Compaction { keep_revisions: 1_000 },
        pipeline: raft::Config {
            propose: Propose::Batched(batch),
            apply_on: ApplyOn::RaftThread,
            publish: Publish::Ready,
            fsync: Fsync::Off,
            reads: Reads::Index,
        },
    }
}

impl Rig {
    pub(crate) fn start() -> Rig {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        // The ports are free again when they are used: nobody else asks for fixed ones here.
        let listeners: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses = listeners.iter().map(|one| one.local_addr().unwrap().to_string());
        let addresses = (1..).zip(addresses).collect();
        drop(listeners);
        let root = tempfile::tempdir().unwrap();
        let mut rig = Rig { runtime, root, addresses, members: BTreeMap::new() };
        (1..=3).for_each(|me| rig.start_one(me));
        rig
    }

    /// A fourth member that the group knows of and that runs, with a vote.
    pub(crate) fn add_fourth(&mut self) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        self.addresses.insert(4, address);
        let fourth = self.founders().pop().unwrap();
        until("a fourth member", || {
            let node = self.members[&self.leader()].node.clone();
            let changed = self.runtime.block_on(node.change_group(Change::Add(fourth.clone())));
            (changed.is_ok() || node.status().members.len() == 4).then_some(())
        });
        self.start_one(4);
    }

    pub(crate) fn founders(&self) -> Vec<Member> {
        let member = |(id, address): (&MemberId, &String)| {
            let peer_urls = vec![format!("http://{address}")];
            let about = About { name: format!("m{id}"), peer_urls, client_urls: Vec::new() };
            Member { id: *id, is_learner: false, about: about.to_bytes() }
        };
        self.addresses.iter().map(member).collect()
    }

    pub(crate) fn start_one(&mut self, me: MemberId) {
        let group = Group {
            founders: self.founders(),
            timing: Timing { heartbeat: Nanos::from_millis(30), election: Nanos::from_millis(300) },
            images: ImagePolicy { entries: 50, bytes: ByteSize(1 << 20), keep: 10 },
            ..Group::of(me, 3)
        };
        let handle = self.runtime.handle().clone();
        let transport = Arc::new(GrpcTransport::new(CLUSTER, me, Security::default(), handle));
        let peers = Peers { group, transport: transport.clone() };
        let folder = self.root.path().join(format!("m{me}"));
        let node = start_node(peers, &folder);
        let of_transport = Arc::downgrade(&node);
        let hearsay = Hearsay::default();
        let heard = hearsay.clone();
        transport.open(node.door(), move |id| {
            let members = of_transport.upgrade().map(|node| node.status().members);
            let found = members.and_then(|all| all.iter().find(|one| one.id == id).cloned());
            let told = |member: Member| About::from_bytes(&member.about).peer_urls;
            found.map_or_else(|| heard.peer_urls(id), told)
        });
        let of_service = Arc::downgrade(&node);
        let security = Security::default();
        let admission = Admission::new(CLUSTER, me, security, hearsay, move || {
            of_service.upgrade().map_or_else(Arc::default, |node| node.status().members)
        });
        let service = PeerService::new(admission, node.door(), node.incoming());
        let (stop, stopped) = oneshot::channel::<()>();
        let address = self.addresses[&me].parse().unwrap();
        let _inside = self.runtime.enter();
        let incoming = TcpIncoming::bind(address).unwrap();
        let serve = Server::builder().add_service(service);
        let served = self.runtime.spawn(async move {
            let stopped = async { drop(stopped.await) };
            serve.serve_with_incoming_shutdown(incoming, stopped).await.unwrap();
        });
        self.members.insert(me, Running { node, stop: Some(stop), served });
    }

    pub(crate) fn stop_one(&mut self, me: MemberId) {
        let running = self.members.remove(&me).unwrap();
        drop(running.stop);
        running.served.abort();
        let _ = self.runtime.block_on(running.served);
        // Whoever holds it for a moment lets go soon; the folder is locked until then.
        let mut node = Some(running.node);
        until("the node to end", || match Arc::try_unwrap(node.take().unwrap()) {
            Ok(last) => {
                drop(last);
                Some(())
            }
            Err(shared) => {
                node = Some(shared);
                None
            }
        });
    }

    pub(crate) fn leader(&self) -> MemberId {
        until("a leader", || {
            let views: Vec<_> =
                self.members.values().map(|running| running.node.status()).collect();
            let leader = views.iter().find(|view| view.role == Role::Leader)?.me;
            views.iter().all(|view| view.leader == leader).then_some(leader)
        })
    }

    pub(crate) fn put(&self, key: &str, value: &str) {
        until("an acknowledged put", || {
            let node = &self.members[&self.leader()].node;
            call(node, Request::put(key, value)).ok()
        });
    }

    pub(crate) fn check_equal(&self) {
        until("equal members", || {
            let last = self.members[&self.leader()].node.status().last;
            let mut all = self.members.values();
            all.all(|running| running.node.status().applied == last).then_some(())
        });
        let dumps: Vec<_> =
            self.members.values().map(|running| running.node.store().dump()).collect();
        for dump in &dumps {
            assert_eq!(dump, &dumps[0]);
        }
    }
}

fn start_node(peers: Peers, folder: &Path) -> Arc<Node> {
    let node = Node::start_among(config(), peers, folder, Clock::start(), Probe::off());
    Arc::new(node.unwrap())
}

pub(crate) fn call(node: &Node, request: Request) -> Result<Response, Rejected> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(node.call(request)).map(|delivered| delivered.reply)
}

pub(crate) fn until<T>(what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
    let clock = Clock::start();
    loop {
        if let Some(found) = is_so() {
            return found;
        }
        assert!(clock.now() < PATIENCE, "waited in vain for {what}");
        clock.sleep(Nanos::from_millis(5));
    }
}
