//! A group of three behind etcd's API, on a network that can be cut: what clients are told when there is no leader, when it changes,
//! when it takes too long and when there is too much of it, and what the server says of its own health meanwhile.

use crate::served::{Client, sleep, start_on, with_client};
use kvbench::clock::Clock;
use kvbench::measure::stage::Probe;
use kvbench::model::Request;
use kvbench::node::{self, Compaction, Node, Peers};
use kvbench::raft::{
    self, ApplyOn, Fsync, Group, Member, MemberId, Network, Propose, Publish, Reads, Rejected,
    Role, Timing,
};
use kvbench::rpc::etcdserverpb::{
    LeaseTimeToLiveRequest, MemberAddRequest, PutRequest, RangeRequest,
};
use kvbench::seed::Seed;
use kvbench::server::{Quota, Server};
use kvbench::store::{self, PathKind};
use kvbench::units::Nanos;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

const PATIENCE: Nanos = Nanos::from_millis(60_000);

/// Three members; clients speak to the first.
pub(crate) struct Trio {
    network: Network,
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) server: Server,
    _folder: TempDir,
}

fn config(fsync: Fsync) -> node::Config {
    let pipeline = raft::Config {
        propose: Propose::Serial,
        apply_on: ApplyOn::RaftThread,
        publish: Publish::Ready,
        fsync,
        reads: Reads::Index,
    };
    let store = store::Config::in_memory(PathKind::Sharded { shards: 16, workers: 1 });
    node::Config { store, compaction: Compaction::NEVER, pipeline }
}

impl Trio {
    fn start() -> Trio {
        Trio::start_with(Quota::NONE)
    }

    /// The first with a quota.
    pub(crate) fn start_with(quota: Quota) -> Trio {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::start();
        let network = Network::start(clock, Seed(7), Probe::off()).unwrap();
        let founders: Vec<_> = (1..=3).map(|id| Member { id, ..Member::default() }).collect();
        let nodes: Vec<_> = (1..=3)
            .map(|me| {
                let group = Group {
                    founders: founders.clone(),
                    timing: Timing {
                        heartbeat: Nanos::from_millis(20),
                        election: Nanos::from_millis(200),
                    },
                    ..Group::of(me, 3)
                };
                let peers = Peers { group, transport: network.port(me) };
                let folder = folder.path().join(format!("m{me}"));
                let node =
                    Node::start_among(config(Fsync::Off), peers, &folder, clock, Probe::off());
                let node = Arc::new(node.unwrap());
                network.join(me, node.door(), &node.incoming());
                node
            })
            .collect();
        let server = start_on(nodes[0].clone(), quota);
        Trio { network, nodes, server, _folder: folder }
    }

    /// Makes member 1 the leader and waits until it is.
    pub(crate) async fn first_leads(&self) {
        let clock = Clock::start();
        while self.nodes[0].status().role != Role::Leader {
            assert!(clock.now() < PATIENCE, "waited in vain for the first to lead");
            if let Some(leader) = self.nodes.iter().find(|node| node.status().role == Role::Leader)
            {
                // If it is none any more, the next one is asked.
                let _ = leader.hand_over(1).await;
            }
            sleep(20).await;
        }
        self.nodes[0].call(Request::put("k", "led")).await.unwrap();
    }

    /// Waits until member 1 knows of no leader, or of one again.
    async fn first_knows_a_leader(&self, knows: bool) {
        let clock = Clock::start();
        while (self.nodes[0].status().leader != 0) != knows {
            assert!(clock.now() < PATIENCE, "waited in vain");
            sleep(10).await;
        }
    }

    fn cut_off_the_first(&self) {
        self.network.isolate(1);
    }
}

async fn put(client: &Client) -> Result<(), Status> {
    let put = PutRequest { key: b"k".into(), ..PutRequest::default() };
    client.kv.clone().put(put).await.map(drop)
}

fn assert_told(outcome: Result<(), Status>, code: Code, text: &str) {
    let status = outcome.unwrap_err();
    assert_eq!((status.code(), status.message()), (code, text));
}

#[test]
fn without_a_leader_nothing_is_promised() {
    let running = Trio::start();
    let trio = &running;
    with_client(trio.server.clients()[0], |client| async move {
        trio.first_leads().await;
        trio.cut_off_the_first();
        // Proposed while it still takes itself for the leader: nobody can say what becomes of it.
        let late = put(&client).await;
        assert_told(late, Code::Unavailable, "etcdserver: request timed out");
        trio.first_knows_a_leader(false).await;
        let refused = put(&client).await;
        assert_told(refused, Code::Unavailable, "etcdserver: no leader");
        // Others may have acknowledged more since, so many keys are not told, as one is not, unless that does not matter to who asks.
        let many =
            RangeRequest { key: b"k".into(), range_end: b"l".into(), ..RangeRequest::default() };
        let late = client.kv.clone().range(many.clone()).await.map(drop);
        assert_told(late, Code::Unavailable, "etcdserver: request timed out");
        let here = RangeRequest { serializable: true, ..many };
        let found = client.kv.clone().range(here).await.unwrap().into_inner();
        assert_eq!(found.kvs[0].value, b"led");
        let asked = LeaseTimeToLiveRequest { id: 7, keys: false };
        let lease = client.lease.clone().lease_time_to_live(asked).await.map(drop);
        assert_told(lease, Code::Unavailable, "etcdserver: no leader");
        let peer_ur_ls = vec!["http://127.0.0.1:1".to_owned()];
        let add = MemberAddRequest { peer_ur_ls, is_learner: true };
        let member = client.cluster.clone().member_add(add).await.map(drop);
        assert_told(member, Code::Unavailable, "etcdserver: no leader");
    });
    running.server.stop();
}

#[test]
fn a_write_that_a_former_leader_took_is_unknown() {
    let running = Trio::start();
    let trio = &running;
    with_client(trio.server.clients()[0], |client| async move {
        trio.first_leads().await;
        trio.cut_off_the_first();
        let asked = tokio::spawn(async move { put(&client).await });
        let clock = Clock::start();
        while !trio.nodes[1..].iter().any(|node| node.status().role == Role::Leader) {
            assert!(clock.now() < PATIENCE, "waited in vain for another leader");
            sleep(10).await;
        }
        trio.network.heal();
        assert_told(asked.await.unwrap(), Code::Unavailable, "etcdserver: leader changed");
    });
    running.server.stop();
}

#[test]
fn health_follows_the_leader() {
    let trio = Trio::start();
    let metrics = trio.server.metrics()[0];
    with_client(trio.server.clients()[0], |client| async move {
        trio.first_leads().await;
        let url = format!("http://{}", trio.server.clients()[0]);
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        let mut health = HealthClient::new(channel);
        let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
        told(&mut watch, ServingStatus::Serving).await;
        assert_eq!(page(metrics).await, (200, "{\"health\":\"true\",\"reason\":\"\"}".to_owned()));
        trio.cut_off_the_first();
        told(&mut watch, ServingStatus::NotServing).await;
        let expected = "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}".to_owned();
        assert_eq!(page(metrics).await, (503, expected));
        trio.network.heal();
        trio.first_knows_a_leader(true).await;
        told(&mut watch, ServingStatus::Serving).await;
        put(&client).await.unwrap();
        // Whoever watches hears of the end, too.
        let Trio { server, .. } = trio;
        let stopped = tokio::task::spawn_blocking(|| server.stop());
        let last = watch.message().await.ok().flatten().map(|told| told.status());
        assert!(matches!(last, Some(ServingStatus::NotServing) | None), "{last:?}");
        stopped.await.unwrap();
    });
}

/// Waits until a watch of health says so.
async fn told(watch: &mut Streaming<HealthCheckResponse>, status: ServingStatus) {
    while watch.message().await.unwrap().unwrap().status() != status {}
}

/// Status and body of `/health`.
pub(crate) async fn page(address: SocketAddr) -> (u16, String) {
    let told = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).unwrap();
        told
    });
    let told = told.await.unwrap();
    let (head, body) = told.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// With a disk that takes a second for a sync, requests pile up; the next one is told so at once and is in nobody's log.
#[test]
fn a_full_backlog_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let slow = config(Fsync::Delay(Nanos::from_millis(1_000)));
    let me: MemberId = 1;
    let peers = Peers { group: Group::of(me, 1), ..Peers::none() };
    let node = Node::start_among(slow, peers, folder.path(), Clock::start(), Probe::off());
    let node = Arc::new(node.unwrap());
    let server = start_on(node.clone(), Quota::NONE);
    with_client(server.clients()[0], |client| async move {
        for _ in 0..20 {
            let mut overloaded = false;
            while !overloaded {
                let mut waiting = Box::pin(node.call(Request::put("k", "v")));
                // Submitted when it is asked for the first time; who waits for it does not matter.
                let first =
                    std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx)));
                overloaded = match first.await {
                    std::task::Poll::Ready(Err(Rejected::Overloaded(_))) => true,
                    std::task::Poll::Ready(other) => panic!("{other:?}"),
                    std::task::Poll::Pending => false,
                };
            }
            let put = PutRequest { key: b"k".into(), ..PutRequest::default() };
            // A place may have become free meanwhile: then it waits there, and this is tried again.
            let mut kv = client.kv.clone();
            let patience = std::time::Duration::from_millis(300);
            if let Ok(answer) = tokio::time::timeout(patience, kv.put(put)).await {
                let told = answer.map(drop);
                assert_told(told, Code::ResourceExhausted, "etcdserver: too many requests");
                return;
            }
        }
        panic!("twenty times there was room");
    });
    server.stop();
}
