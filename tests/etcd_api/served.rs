//! A server of its own for each test, with clients.

use kvbench::clock::Clock;
use kvbench::measure::stage::Probe;
use kvbench::node::{self, Compaction, Node, Peers};
use kvbench::peer::{Hearsay, Security};
use kvbench::raft::{self, ApplyOn, Fsync, Propose, Publish, Reads};
use kvbench::rpc::etcdserverpb::cluster_client::ClusterClient;
use kvbench::rpc::etcdserverpb::kv_client::KvClient;
use kvbench::rpc::etcdserverpb::lease_client::LeaseClient;
use kvbench::rpc::etcdserverpb::maintenance_client::MaintenanceClient;
use kvbench::rpc::etcdserverpb::watch_client::WatchClient;
use kvbench::rpc::etcdserverpb::{PutRequest, RangeRequest, RangeResponse};
use kvbench::rpc::v3electionpb::election_client::ElectionClient;
use kvbench::rpc::v3lockpb::lock_client::LockClient;
use kvbench::server::{Config, Identity, Quota, Server};
use kvbench::store::{self, PathKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

/// A client for each service, over one connection.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) kv: KvClient<Channel>,
    pub(crate) watch: WatchClient<Channel>,
    pub(crate) lease: LeaseClient<Channel>,
    pub(crate) maintenance: MaintenanceClient<Channel>,
    pub(crate) cluster: ClusterClient<Channel>,
    pub(crate) lock: LockClient<Channel>,
    pub(crate) election: ElectionClient<Channel>,
}

/// Runs `test` against a fresh server.
pub(crate) fn served<F: Future<Output = ()>>(test: impl FnOnce(Client) -> F) {
    let (server, _folder) = start();
    block_on(async { test(connect(server.clients()[0]).await).await });
    server.stop();
}

/// Runs `test` with the server itself, too.
pub(crate) fn with_server<F: Future<Output = ()>>(test: impl FnOnce(Server, Client) -> F) {
    let (server, _folder) = start();
    let runtime = runtime();
    let client = runtime.block_on(connect(server.clients()[0]));
    runtime.block_on(test(server, client));
}

pub(crate) fn start() -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (start_in(folder.path(), Quota::of_bytes(0)), folder)
}

/// A server with its data in `folder`.
pub(crate) fn start_in(folder: &Path, quota: Quota) -> Server {
    start_on(Arc::new(node_in(folder)), quota)
}

/// A node with its data in `folder`.
pub(crate) fn node_in(folder: &Path) -> Node {
    let pipeline = raft::Config {
        propose: Propose::Pipelined,
        apply_on: ApplyOn::RaftThread,
        publish: Publish::Ready,
        fsync: Fsync::Off,
        reads: Reads::Index,
    };
    let store = store::Config::in_memory(PathKind::Sharded { shards: 16, workers: 1 });
    let config = node::Config { store, compaction: Compaction::NEVER, pipeline };
    let peers = Peers { group: identity().group(), ..Peers::none() };
    let (clock, probe) = (Clock::start(), Probe::off());
    Node::start_among(config, peers, folder, clock, probe).unwrap()
}

fn identity() -> Identity {
    Identity::alone("n1", vec!["http://p:1".into()], vec!["http://c:1".into()])
}

/// A server before a node that there is.
pub(crate) fn start_on(node: Arc<Node>, quota: Quota) -> Server {
    let any_port = "127.0.0.1:0".parse().unwrap();
    let config = Config {
        clients: vec![any_port],
        metrics: vec![any_port],
        peers: Vec::new(),
        peer_tls: None,
        peer_security: Security::default(),
        hearsay: Hearsay::default(),
        identity: identity(),
        tls: None,
        progress_interval: Duration::from_millis(300),
        connections_max: 100,
        profiles: false,
        quota,
    };
    Server::start(node, config).unwrap()
}

/// Runs `test` with a client of a server that there is.
pub(crate) fn with_client<F: Future<Output = ()>>(
    address: SocketAddr,
    test: impl FnOnce(Client) -> F,
) {
    block_on(async { test(connect(address).await).await });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = runtime();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), work).await.expect("the server answers")
    })
}

async fn connect(address: SocketAddr) -> Client {
    let url = format!("http://{address}");
    let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    Client {
        kv: KvClient::new(channel.clone()),
        watch: WatchClient::new(channel.clone()),
        lease: LeaseClient::new(channel.clone()),
        maintenance: MaintenanceClient::new(channel.clone()),
        cluster: ClusterClient::new(channel.clone()),
        lock: LockClient::new(channel.clone()),
        election: ElectionClient::new(channel),
    }
}

impl Client {
    /// Writes a key and gives the revision.
    pub(crate) async fn put(&self, key: &str, value: &str) -> i64 {
        self.put_leased(key, value, 0).await
    }

    pub(crate) async fn put_leased(&self, key: &str, value: &str, lease: i64) -> i64 {
        let put =
            PutRequest { key: key.into(), value: value.into(), lease, ..PutRequest::default() };
        self.kv.clone().put(put).await.unwrap().into_inner().header.unwrap().revision
    }

    /// The key's value.
    pub(crate) async fn get(&self, key: &str) -> Option<String> {
        let range = RangeRequest { key: key.into(), ..RangeRequest::default() };
        let mut kvs = self.range(range).await.kvs;
        kvs.pop().map(|kv| String::from_utf8(kv.value).unwrap())
    }

    pub(crate) async fn range(&self, range: RangeRequest) -> RangeResponse {
        self.kv.clone().range(range).await.unwrap().into_inner()
    }
}

pub(crate) async fn sleep(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
