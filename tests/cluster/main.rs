//! Groups of nodes on a network that loses, repeats, delays and parts: what was acknowledged is in every member once, whoever led, however
//! far behind one was, and whichever members came and went.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

use kvbench::clock::Clock;
use kvbench::measure::stage::Probe;
use kvbench::model::{Body, Interval, Range, Refusal, Request, Response};
use kvbench::node::{Compaction, Config, DataFolder, Node, Peers};
use kvbench::raft::{
    self, ApplyOn, BadChange, Batch, Change, Faults, Fsync, Group, ImagePolicy, Linger, Member,
    MemberId, Network, Propose, Publish, Reads, Rejected, Role, Timing,
};
use kvbench::seed::Seed;
use kvbench::store::{self, EngineKind, PathKind};
use kvbench::units::{ByteSize, Nanos};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

mod images;
mod lease_reads;

/// Far beyond what any wait here takes.
const PATIENCE: Nanos = Nanos::from_millis(60_000);
/// Short, so that the tests are; long enough for a busy host.
const TIMING: Timing =
    Timing { heartbeat: Nanos::from_millis(30), election: Nanos::from_millis(300) };
/// Images after few entries, so that logs are cut all the time.
const OFTEN: ImagePolicy = ImagePolicy { entries: 50, bytes: ByteSize(1 << 20), keep: 10 };

struct Cluster {
    network: Network,
    config: Config,
    images: ImagePolicy,
    root: tempfile::TempDir,
    nodes: BTreeMap<MemberId, Arc<Node>>,
}

fn config(engine: EngineKind, path: PathKind) -> Config {
    let bytes_max = ByteSize(1 << 20);
    let batch = Batch { ops_max: 100, bytes_max, linger: Linger::None, in_flight: 4 };
    Config {
        store: store::Config { engine, ..store::Config::in_memory(path) },
        compaction: Compaction { keep_revisions: 1_000 },
        pipeline: raft::Config {
            propose: Propose::Batched(batch),
            apply_on: ApplyOn::ApplyThread,
            publish: Publish::Ready,
            fsync: Fsync::Off,
            reads: Reads::Index,
        },
    }
}

const SHARDED: PathKind = PathKind::Sharded { shards: 16, workers: 1 };

impl Cluster {
    fn start(config: Config, size: u64, images: ImagePolicy) -> Cluster {
        let network = Network::start(Clock::start(), Seed(1), Probe::off()).unwrap();
        let root = tempfile::tempdir().unwrap();
        let mut cluster = Cluster { network, config, images, root, nodes: BTreeMap::new() };
        (1..=size).for_each(|me| cluster.start_one(Group::of(me, size)));
        cluster
    }

    fn folder(&self, me: MemberId) -> PathBuf {
        self.root.path().join(format!("node-{me}"))
    }

    fn start_one(&mut self, group: Group) {
        let me = group.me;
        let group = Group { timing: TIMING, images: self.images, ..group };
        let peers = Peers { group, transport: self.network.port(me) };
        let (folder, probe) = (self.folder(me), Probe::off());
        let node = Node::start_among(self.config, peers, &folder, Clock::start(), probe).unwrap();
        self.network.join(me, node.door(), &node.incoming());
        self.nodes.insert(me, Arc::new(node));
    }

    /// Ends all nodes and starts them again on what they left.
    fn restart(&mut self) {
        let ids: Vec<_> = self.nodes.keys().copied().collect();
        self.nodes.clear();
        ids.into_iter().for_each(|me| self.start_one(Group::of(me, 3)));
    }

    /// Who leads in the eyes of a quorum.
    fn leader(&self) -> MemberId {
        self.leader_but(0)
    }

    /// The same once it is not `not`.
    fn leader_but(&self, not: MemberId) -> MemberId {
        until("a leader", || {
            let views: Vec<_> = self.nodes.values().map(|node| node.status()).collect();
            let leads = |id: MemberId| views.iter().filter(|view| view.leader == id).count();
            let found = views.iter().find(|view| view.role == Role::Leader && view.me != not)?;
            (leads(found.me) > views.len() / 2).then_some(found.me)
        })
    }

    fn node(&self, me: MemberId) -> &Arc<Node> {
        &self.nodes[&me]
    }

    /// Waits until all have applied the same, and compares everything.
    fn check_equal(&self) {
        until("equal members", || {
            let applied: Vec<_> = self.nodes.values().map(|node| node.status().applied).collect();
            let last = self.node(self.leader()).status().last;
            applied.iter().all(|index| *index == last).then_some(())
        });
        let dumps: Vec<_> = self.nodes.values().map(|node| node.store().dump()).collect();
        for dump in &dumps {
            assert_eq!(dump, &dumps[0]);
        }
    }
}

fn until<T>(what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
    let clock = Clock::start();
    let began = clock.now();
    loop {
        if let Some(found) = is_so() {
            return found;
        }
        assert!(clock.now().since(began) < PATIENCE, "waited in vain for {what}");
        Clock::start().sleep(Nanos::from_millis(5));
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn block_on_time<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn call(node: &Node, request: Request) -> Result<Response, Rejected> {
    block_on(node.call(request)).map(|delivered| delivered.reply)
}

/// Puts a key until it is acknowledged, and says how often it may have been put.
fn put_surely(cluster: &Cluster, key: &str, value: &str) {
    until("an acknowledged put", || {
        let leader = cluster.leader();
        call(cluster.node(leader), Request::put(key, value)).ok()
    });
}

fn get(node: &Node, key: &str) -> Result<Vec<u8>, Rejected> {
    let range = Range { interval: Interval::point(key.as_bytes()), ..Range::default() };
    match call(node, Request::Range(range))?.result {
        Ok(Body::Range(found)) => Ok(found.kvs.into_iter().next().map_or(vec![], |kv| kv.value)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_member_takes_writes_and_reads() {
    for size in [3, 5] {
        let cluster = Cluster::start(config(EngineKind::Memory, SHARDED), size, OFTEN);
        cluster.leader();
        for (number, node) in cluster.nodes.values().enumerate() {
            let value = number.to_string();
            call(node, Request::put("k", value.as_str())).unwrap();
            for node in cluster.nodes.values() {
                assert_eq!(get(node, "k").unwrap(), value.as_bytes());
            }
        }
        cluster.check_equal();
    }
}

/// What was sent on to a leader that is lost keeps nobody waiting once another leads, and no place in the pipeline: there
/// is one batch in flight here.
#[test]
fn what_a_lost_leader_was_given_is_refused_when_another_leads() {
    let mut config = config(EngineKind::Memory, SHARDED);
    config.pipeline.propose = Propose::Batched(Batch::default());
    let cluster = Cluster::start(config, 3, OFTEN);
    let old = cluster.leader();
    put_surely(&cluster, "k", "before");
    cluster.network.isolate(old);
    let others: Vec<_> = cluster.nodes.iter().filter(|(me, _)| **me != old).collect();
    // They still follow the old one, so it is sent on to nobody.
    let given: Vec<_> = others
        .iter()
        .map(|(me, node)| {
            let (node, key) = ((*node).clone(), format!("lost-{me}"));
            thread::spawn(move || call(&node, Request::put(key.as_str(), "v")))
        })
        .collect();
    for put in given {
        assert_eq!(put.join().unwrap(), Err(Rejected::LeaderChanged));
    }
    cluster.leader_but(old);
    for (me, node) in &others {
        call(node, Request::put(format!("after-{me}"), "v")).unwrap();
    }
    cluster.network.heal();
    cluster.check_equal();
}

#[test]
fn a_leader_that_is_cut_off_answers_nothing_and_comes_back_as_a_follower() {
    let cluster = Cluster::start(config(EngineKind::Memory, SHARDED), 3, OFTEN);
    let old = cluster.leader();
    put_surely(&cluster, "k", "before");
    cluster.network.isolate(old);
    // It cannot know that it is cut off yet; still neither of these may be answered.
    let node = cluster.node(old).clone();
    let write = thread::spawn({
        let node = node.clone();
        move || call(&node, Request::put("k", "lost?"))
    });
    let read = thread::spawn(move || get(&node, "k"));
    let new = cluster.leader_but(old);
    call(cluster.node(new), Request::put("k", "after")).unwrap();
    assert_eq!(get(cluster.node(new), "k").unwrap(), b"after");
    cluster.network.heal();
    // It was answered only if it is in the history of those who went on.
    if let Ok(response) = write.join().unwrap() {
        let store = cluster.node(new).store();
        let events = store.events(response.revision, response.revision).unwrap();
        assert_eq!(events[0].kv.value, b"lost?");
    }
    // Once it is back it may answer, but only with what is true by then.
    if let Ok(value) = read.join().unwrap() {
        assert_ne!(value, b"before");
    }
    cluster.check_equal();
}

/// Each writer counts its own key up, one put after the other acknowledged; unknown outcomes end its key and begin another. A put that was
/// applied twice would show as a version beyond its count.
#[test]
fn what_was_acknowledged_is_there_once_on_a_bad_network() {
    let faults = Faults {
        loss: 0.05,
        repeats: 0.1,
        delay: Nanos::from_millis(1),
        jitter: Nanos::from_millis(5),
    };
    for path in [PathKind::GlobalMutex, SHARDED] {
        let cluster = Cluster::start(config(EngineKind::Memory, path), 3, OFTEN);
        cluster.leader();
        cluster.network.set_faults(faults);
        let stop = AtomicBool::new(false);
        let acked: Vec<BTreeMap<String, (i64, bool)>> = thread::scope(|scope| {
            let (cluster, stop) = (&cluster, &stop);
            let writers: Vec<_> =
                (0..6).map(|writer| scope.spawn(move || count_up(cluster, writer, stop))).collect();
            for _ in 0..4 {
                Clock::start().sleep(Nanos::from_millis(700));
                cluster.network.isolate(cluster.leader());
                Clock::start().sleep(Nanos::from_millis(700));
                cluster.network.heal();
                cluster.network.set_faults(faults);
            }
            stop.store(true, Ordering::Relaxed);
            cluster.network.heal();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        cluster.check_equal();
        let dump = cluster.node(cluster.leader()).store().dump();
        let found: BTreeMap<_, _> = dump.keys.iter().map(|kv| (kv.key.clone(), kv)).collect();
        let mut puts = 0;
        for (key, (count, is_open)) in acked.iter().flatten() {
            let version = found.get(key.as_bytes()).map_or(0, |kv| kv.version);
            let most = count + i64::from(*is_open);
            assert!(version >= *count && version <= most, "{key}: {version}, acked {count}");
            puts += count;
        }
        assert!(puts > 100, "{puts} puts are no evidence");
    }
}

/// Keys with how many puts were acknowledged, and whether one more is unknown.
fn count_up(cluster: &Cluster, writer: u64, stop: &AtomicBool) -> BTreeMap<String, (i64, bool)> {
    let mut acked = BTreeMap::new();
    let mut generation = 0;
    let mut key = format!("{writer}/{generation}");
    while !stop.load(Ordering::Relaxed) {
        let node = cluster.node(1 + (writer + generation) % 3);
        let entry: &mut (i64, bool) = acked.entry(key.clone()).or_default();
        match call(node, Request::put(key.as_str(), (entry.0 + 1).to_string().as_str())) {
            Ok(_) => entry.0 += 1,
            Err(Rejected::NoLeader) => Clock::start().sleep(Nanos::from_millis(10)),
            Err(_) => {
                entry.1 = true;
                generation += 1;
                key = format!("{writer}/{generation}");
            }
        }
    }
    acked
}

fn engines() -> Vec<EngineKind> {
    let mut engines = vec![EngineKind::Memory];
    if cfg!(feature = "rocksdb") {
        engines.push(EngineKind::RocksDb { state_sync: store::StateSync::RaftLogOnly });
    }
    engines
}

#[test]
fn a_member_that_missed_too_much_gets_an_image() {
    for engine in engines() {
        let mut cluster = Cluster::start(config(engine, SHARDED), 3, OFTEN);
        let leader = cluster.leader();
        let behind = 1 + leader % 3;
        call(cluster.node(leader), Request::LeaseGrant { id: 7, ttl_s: 600 }).unwrap();
        cluster.network.isolate(behind);
        for number in 0..400 {
            put_surely(&cluster, &format!("k{}", number % 40), &number.to_string());
        }
        let last = cluster.node(leader).status().last;
        assert!(cluster.node(behind).status().applied + 200 < last);
        cluster.network.heal();
        cluster.check_equal();
        // Its log begins anew after the image; what comes then is applied on top, also after a restart of everybody.
        put_surely(&cluster, "after", "image");
        cluster.check_equal();
        let before = cluster.node(behind).store().dump();
        cluster.restart();
        cluster.check_equal();
        assert_eq!(cluster.node(behind).store().dump(), before);
        put_surely(&cluster, "after", "restart");
        cluster.check_equal();
    }
}

/// An image that covers all there is: nothing comes after it that would tell the library what is applied.
#[test]
fn a_member_that_has_just_got_an_image_may_stand_for_election() {
    let cluster = Cluster::start(config(EngineKind::Memory, SHARDED), 3, OFTEN);
    let leader = cluster.leader();
    let behind = 1 + leader % 3;
    cluster.network.isolate(behind);
    for number in 0..300 {
        put_surely(&cluster, &format!("k{}", number % 40), &number.to_string());
    }
    until("an image", || {
        // One that is being written already may be of a moment before.
        block_on(cluster.node(leader).write_image()).unwrap();
        let images = cluster.folder(leader).join("images");
        let name = format!("{:016x}-", cluster.node(leader).status().last);
        let files = std::fs::read_dir(images).ok()?.flatten();
        files
            .map(|file| file.file_name().to_string_lossy().into_owned())
            .find(|file| file.contains(&name))
    });
    cluster.network.heal();
    cluster.check_equal();
    cluster.network.isolate(behind);
    until("a candidate", || (cluster.node(behind).status().role == Role::Candidate).then_some(()));
    assert!(!cluster.node(behind).status().stopped);
    cluster.network.heal();
    put_surely(&cluster, "after", "all");
    cluster.check_equal();
}

#[test]
fn a_node_alone_starts_with_its_image_and_the_rest_of_its_log() {
    for engine in engines() {
        for path in [PathKind::GlobalMutex, SHARDED] {
            let mut cluster = Cluster::start(config(engine, path), 1, OFTEN);
            for round in 0..4 {
                for number in 0..130 {
                    put_surely(&cluster, &format!("k{}", number % 40), &round.to_string());
                }
                let before = cluster.node(1).store().dump();
                let images = cluster.folder(1).join("images");
                until("an image", || std::fs::read_dir(&images).ok()?.next()?.ok());
                cluster.nodes.clear();
                cluster.start_one(Group::of(1, 1));
                assert_eq!(cluster.node(1).store().dump(), before, "{engine:?} {path:?}");
            }
        }
    }
}

#[test]
fn a_copy_of_the_state_begins_another_life() {
    for engine in engines() {
        let cluster = Cluster::start(config(engine, SHARDED), 1, OFTEN);
        call(cluster.node(1), Request::LeaseGrant { id: 7, ttl_s: 600 }).unwrap();
        for number in 0..120 {
            put_surely(&cluster, &format!("k{}", number % 40), &number.to_string());
        }
        let mut image = block_on_time(cluster.node(1).image()).unwrap();
        let copy = cluster.root.path().join("copy");
        std::io::copy(&mut image, &mut std::fs::File::create(&copy).unwrap()).unwrap();
        let mut other = Cluster::start(config(engine, SHARDED), 0, OFTEN);
        let folder = DataFolder::open(&other.folder(1)).unwrap();
        assert!(folder.plant(&copy).unwrap());
        drop(folder);
        other.start_one(Group::of(1, 1));
        assert_eq!(other.node(1).store().dump(), cluster.node(1).store().dump());
        // It has a log of its own now, which is not given up for an image.
        put_surely(&other, "k1", "in another life");
        let before = other.node(1).store().dump();
        other.nodes.clear();
        let folder = DataFolder::open(&other.folder(1)).unwrap();
        assert!(!folder.plant(&copy).unwrap());
        drop(folder);
        other.start_one(Group::of(1, 1));
        assert_eq!(other.node(1).store().dump(), before);
    }
}

#[test]
fn members_come_and_go() {
    let mut cluster = Cluster::start(config(EngineKind::Memory, SHARDED), 3, OFTEN);
    let leader = cluster.leader();
    for number in 0..200 {
        put_surely(&cluster, &format!("k{number}"), "v");
    }
    let change = |cluster: &Cluster, change: Change| {
        block_on(cluster.node(cluster.leader()).change_group(change))
    };
    let newcomer = Member { id: 4, is_learner: true, about: b"the fourth".to_vec() };
    assert_eq!(change(&cluster, Change::Add(newcomer.clone())), Ok(()));
    let again = change(&cluster, Change::Add(newcomer.clone()));
    assert_eq!(again, Err(Rejected::BadChange(BadChange::Exists)));
    let too_early = change(&cluster, Change::Promote(4));
    assert_eq!(too_early, Err(Rejected::BadChange(BadChange::NotReady)));
    let founders = Group::of(4, 3).founders;
    cluster.start_one(Group { founders, ..Group::of(4, 3) });
    cluster.check_equal();
    until("promotion", || change(&cluster, Change::Promote(4)).ok());
    cluster.check_equal();
    let members = cluster.node(4).status().members;
    assert_eq!(members.len(), 4);
    assert_eq!(members[3], Member { is_learner: false, ..newcomer });
    // The old leader hands over and leaves; the rest goes on.
    assert_eq!(block_on(cluster.node(leader).hand_over(4)), Ok(()));
    assert_eq!(cluster.leader(), 4);
    let not_leader = block_on(cluster.node(leader).change_group(Change::Remove(1)));
    assert_eq!(not_leader, Err(Rejected::NotLeader(4)));
    assert_eq!(change(&cluster, Change::Remove(leader)), Ok(()));
    cluster.nodes.remove(&leader);
    put_surely(&cluster, "after", "all");
    cluster.check_equal();
    assert_eq!(cluster.node(4).status().members.len(), 3);
}

#[test]
fn leases_end_whoever_leads() {
    let cluster = Cluster::start(config(EngineKind::Memory, SHARDED), 3, OFTEN);
    let leader = cluster.leader();
    call(cluster.node(leader), Request::LeaseGrant { id: 7, ttl_s: 2 }).unwrap();
    cluster.network.isolate(leader);
    cluster.leader_but(leader);
    cluster.network.heal();
    until("the lease to end", || {
        let response = call(cluster.node(leader), Request::LeaseRevoke { id: 8 }).ok()?;
        assert_eq!(response.result, Err(Refusal::LeaseNotFound));
        let leases = cluster.node(leader).store().dump().leases;
        leases.is_empty().then_some(())
    });
    cluster.check_equal();
}
