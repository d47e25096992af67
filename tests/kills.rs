//! Servers that are killed (SIGKILL) and started again, over and over, under load: alone and as three, on both engines. Nothing that was
//! acknowledged is lost, nothing is applied twice, and in the end all members have the same hash.
//!
//! `KVBENCH_KILLS=100 cargo test --release --features rocksdb --test kills -- --nocapture` kills more often than CI does.
//!
//! `KVBENCH_FAILOVERS=100 KVBENCH_ELECTION_MS=1000 cargo test --release --test kills -- --nocapture leader` times what clients see of it when the
//! leader of three is killed: nothing here judges how long.
//!
//! Caveat: a kill leaves what the kernel had taken; nothing here cuts the power.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

use kvbench::clock::Clock;
use kvbench::rpc::etcdserverpb::kv_client::KvClient;
use kvbench::rpc::etcdserverpb::maintenance_client::MaintenanceClient;
use kvbench::rpc::etcdserverpb::{HashKvRequest, PutRequest, RangeRequest, StatusRequest};
use kvbench::seed::Seed;
use kvbench::units::Nanos;
use rand::Rng;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

/// Kills of one kind of cluster in CI.
const KILLS: u64 = 8;
const WRITERS: u64 = 6;
/// Leaders killed in CI.
const FAILOVERS: usize = 3;
/// Between two puts that are tried at one member while there is no leader.
const BETWEEN_PUTS: Duration = Duration::from_millis(5);
/// Election timeout: short, so that the tests are.
const ELECTION_MS: u64 = 300;
/// Far beyond what any wait here takes.
const PATIENCE: Nanos = Nanos::from_millis(60_000);
/// A request without an answer after this long has an unknown outcome.
const ANSWER_MAX: Duration = Duration::from_secs(3);

struct Cluster {
    engine: &'static str,
    election_ms: u64,
    root: tempfile::TempDir,
    /// Ports for clients and for members.
    ports: Vec<(u16, u16)>,
    servers: Vec<Option<Child>>,
}

impl Cluster {
    fn start(size: usize, engine: &'static str, election_ms: u64) -> Cluster {
        // All at once, so that they differ; free again when they are used.
        let listeners: Vec<_> =
            (0..2 * size).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let ports = listeners.chunks(2).map(|two| (port(&two[0]), port(&two[1]))).collect();
        drop(listeners);
        let servers = (0..size).map(|_| None).collect();
        let root = tempfile::tempdir().unwrap();
        let mut cluster = Cluster { engine, election_ms, root, ports, servers };
        (0..size).for_each(|member| cluster.start_one(member));
        cluster
    }

    fn folder(&self, member: usize) -> PathBuf {
        self.root.path().join(format!("m{member}"))
    }

    fn start_one(&mut self, member: usize) {
        let (clients, peers) = self.ports[member];
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvbench"));
        command.args(["serve", "--name", &format!("m{member}"), "--engine", self.engine]);
        command.arg("--data-dir").arg(self.folder(member));
        command.args(["--listen-client-urls", &format!("http://127.0.0.1:{clients}")]);
        command.args(["--heartbeat-interval", &(self.election_ms / 10).to_string()]);
        command.args(["--election-timeout", &self.election_ms.to_string()]);
        // Images all the time.
        command.args(["--snapshot-count", "300"]);
        if self.ports.len() > 1 {
            let named = self.ports.iter().enumerate();
            let named =
                named.map(|(member, (_, port))| format!("m{member}=http://127.0.0.1:{port}"));
            command.args(["--listen-peer-urls", &format!("http://127.0.0.1:{peers}")]);
            command.args(["--initial-cluster", &named.collect::<Vec<_>>().join(",")]);
        }
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.servers[member] = Some(quiet.spawn().unwrap());
    }

    fn kill(&mut self, member: usize) {
        let mut server = self.servers[member].take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        let endpoint = |(port, _): &(u16, u16)| {
            let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
            endpoint.timeout(ANSWER_MAX)
        };
        self.ports.iter().map(endpoint).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for server in self.servers.iter_mut().flatten() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// Keys with how many puts were acknowledged, and whether one more is unknown.
type Acked = BTreeMap<String, (i64, bool)>;

/// Counts keys up at one member, one acknowledged put after the other. No put is tried again: one without an answer ends its key.
async fn count_up(endpoint: Endpoint, writer: u64, stop: Arc<AtomicBool>) -> Acked {
    let mut client = KvClient::new(endpoint.connect_lazy());
    let mut acked = Acked::new();
    let mut generation = 0;
    while !stop.load(Ordering::Relaxed) {
        let key = format!("{writer}/{generation}");
        let entry = acked.entry(key.clone()).or_default();
        let value = (entry.0 + 1).to_string().into_bytes();
        let put = PutRequest { key: key.into_bytes(), value, ..PutRequest::default() };
        match client.put(put).await {
            Ok(_) => entry.0 += 1,
            Err(_) => {
                entry.1 = true;
                generation += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    acked
}

async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut is_so: impl FnMut() -> F) -> T {
    let clock = Clock::start();
    loop {
        if let Some(found) = is_so().await {
            return found;
        }
        assert!(clock.now() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The hash of all members, once all have applied the same.
async fn hash(endpoints: &[Endpoint]) -> u32 {
    until("equal members", || async {
        let (mut indexes, mut hashes) = (Vec::new(), Vec::new());
        for endpoint in endpoints {
            let channel: Channel = endpoint.connect().await.ok()?;
            let mut client = MaintenanceClient::new(channel);
            let status = client.status(StatusRequest {}).await.ok()?.into_inner();
            indexes.push((status.raft_applied_index, status.raft_index));
            let asked = HashKvRequest::default();
            hashes.push(client.hash_kv(asked).await.ok()?.into_inner().hash);
        }
        let settled =
            indexes.iter().all(|(applied, last)| *applied == *last && *last == indexes[0].1);
        if settled {
            assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
        }
        settled.then_some(hashes[0])
    })
    .await
}

/// Says how many puts were acknowledged.
async fn run(size: usize, engine: &'static str, kills: u64) -> i64 {
    let mut cluster = Cluster::start(size, engine, ELECTION_MS);
    let endpoints = cluster.endpoints();
    hash(&endpoints).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let endpoint = endpoints[writer as usize % size].clone();
            tokio::spawn(count_up(endpoint, writer, stop.clone()))
        })
        .collect();
    let mut random = Seed(kills).stream("kills", size as u64);
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(random.random_range(100..700))).await;
        let member = random.random_range(0..size);
        cluster.kill(member);
        tokio::time::sleep(Duration::from_millis(random.random_range(0..300))).await;
        cluster.start_one(member);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    let mut acked = Acked::new();
    for writer in writers {
        acked.extend(writer.await.unwrap());
    }
    hash(&endpoints).await;
    check(&endpoints[0], &acked).await
}

async fn check(endpoint: &Endpoint, acked: &Acked) -> i64 {
    let mut client = KvClient::new(endpoint.connect().await.unwrap());
    let all = RangeRequest { key: vec![0], range_end: vec![0], ..RangeRequest::default() };
    let found = client.range(all).await.unwrap().into_inner().kvs;
    let versions: BTreeMap<_, _> = found.into_iter().map(|kv| (kv.key, kv.version)).collect();
    let mut puts = 0;
    for (key, (count, is_open)) in acked {
        let version = versions.get(key.as_bytes()).copied().unwrap_or(0);
        let most = count + i64::from(*is_open);
        assert!(version >= *count, "{key}: {count} acknowledged, {version} there");
        assert!(version <= most, "{key}: put {version} times, at most {most} asked");
        puts += count;
    }
    puts
}

/// A number from the environment.
fn asked(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Which member leads, once all are there, agree, and have applied the same.
async fn leader(endpoints: &[Endpoint]) -> usize {
    hash(endpoints).await;
    until("a leader", || async {
        let (mut members, mut leaders) = (Vec::new(), Vec::new());
        for endpoint in endpoints {
            let mut client = MaintenanceClient::new(endpoint.connect().await.ok()?);
            let status = client.status(StatusRequest {}).await.ok()?.into_inner();
            members.push(status.header?.member_id);
            leaders.push(status.leader);
        }
        let agreed = leaders.iter().all(|leader| *leader == leaders[0]);
        members.iter().position(|member| agreed && *member == leaders[0])
    })
    .await
}

/// Puts keys at both members that are left, whether earlier puts were answered or not, until one is acknowledged; says when, and
/// under which keys others were.
async fn first_put(left: [Channel; 2], round: usize, clock: Clock) -> (Nanos, Vec<String>) {
    let mut puts = tokio::task::JoinSet::new();
    let mut answered = None;
    let mut acked = Vec::new();
    for number in 0u64.. {
        for (member, channel) in left.iter().enumerate() {
            let (key, mut client) =
                (format!("{round}/{member}/{number}"), KvClient::new(channel.clone()));
            puts.spawn(async move {
                let key = key.into_bytes();
                let put = PutRequest { key: key.clone(), ..PutRequest::default() };
                let outcome = client.put(put).await;
                outcome.ok().map(|_| (clock.now(), String::from_utf8(key).unwrap()))
            });
        }
        tokio::time::sleep(BETWEEN_PUTS).await;
        while let Some(put) = puts.try_join_next() {
            if let Some((at, key)) = put.unwrap() {
                answered = Some(answered.map_or(at, |earlier: Nanos| earlier.min(at)));
                acked.push(key);
            }
        }
        if answered.is_some() {
            break;
        }
        assert!(number < 10_000, "nobody answers");
    }
    acked.extend(puts.join_all().await.into_iter().flatten().map(|(_, key)| key));
    (answered.unwrap(), acked)
}

/// How long clients of three members had no answer, for each leader that was killed. What was acknowledged stays.
async fn kill_leaders(rounds: usize, election_ms: u64) -> Vec<Nanos> {
    let mut cluster = Cluster::start(3, "memory", election_ms);
    let endpoints = cluster.endpoints();
    let (mut spans, mut acked) = (Vec::new(), Acked::new());
    for round in 0..rounds {
        let lost = leader(&endpoints).await;
        let left = [(lost + 1) % 3, (lost + 2) % 3].map(|member| endpoints[member].connect_lazy());
        let clock = Clock::start();
        cluster.kill(lost);
        let (answered, keys) = first_put(left, round, clock).await;
        spans.push(answered);
        acked.extend(keys.into_iter().map(|key| (key, (1, false))));
        cluster.start_one(lost);
    }
    hash(&endpoints).await;
    check(&endpoints[0], &acked).await;
    spans.sort_unstable();
    spans
}

#[test]
#[expect(clippy::print_stdout, reason = "how long it took is a result")]
fn a_killed_leader_is_replaced_and_what_was_acknowledged_stays() {
    let rounds = asked("KVBENCH_FAILOVERS").map_or(FAILOVERS, |rounds| rounds.max(1) as usize);
    let election_ms = asked("KVBENCH_ELECTION_MS").unwrap_or(ELECTION_MS).clamp(100, 10_000);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let spans = runtime.block_on(kill_leaders(rounds, election_ms));
    let election = election_ms as f64 / 1e3;
    let at = |share: f64| {
        let span = spans[((spans.len() - 1) as f64 * share).round() as usize];
        format!("{span} ({:.2}x)", span.as_secs_f64() / election)
    };
    println!(
        "{rounds} leaders killed, election timeout {election_ms}ms; from the kill until a put is acknowledged, and in election timeouts: \
         p50 {}, p90 {}, p99 {}, most {}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was tried is a result")]
fn killed_servers_lose_nothing_and_repeat_nothing() {
    let kills = asked("KVBENCH_KILLS").unwrap_or(KILLS);
    let engines: &[&str] =
        if cfg!(feature = "rocksdb") { &["memory", "rocksdb"] } else { &["memory"] };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for engine in engines {
        for size in [1, 3] {
            let puts = runtime.block_on(run(size, engine, kills));
            println!(
                "{engine}, {size} nodes: {kills} kills, {puts} acknowledged puts, 0 lost, 0 twice"
            );
            assert!(puts > 100, "{puts} puts are no evidence");
        }
    }
}
