//! `kvbench serve` that is told by its environment to end at a site as by a crash (SIGABRT: nothing is flushed or dropped), under load, on
//! one folder all the time. What was acknowledged is there when it is started again, and nothing twice.

use kvbench::clock::Clock;
use kvbench::failpoint::{By, SITES, Site};
use kvbench::rpc::etcdserverpb::kv_client::KvClient;
use kvbench::rpc::etcdserverpb::lease_client::LeaseClient;
use kvbench::rpc::etcdserverpb::watch_client::WatchClient;
use kvbench::rpc::etcdserverpb::watch_request::RequestUnion;
use kvbench::rpc::etcdserverpb::{
    LeaseGrantRequest, PutRequest, RangeRequest, WatchCreateRequest, WatchRequest,
};
use kvbench::units::Nanos;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

/// What a process that ended as by a crash was ended by.
const SIGABRT: i32 = 6;
const WRITERS: u64 = 4;
/// Far beyond what any wait here takes.
const PATIENCE: Nanos = Nanos::from_millis(30_000);
/// A request without an answer after this long has an unknown outcome.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// Times that a site is passed before, where it is passed often.
const PASSES: u64 = 25;

/// A server with this in its environment; no address if it ends before it has one.
fn serve(folder: &Path, failpoints: &str) -> (Child, Option<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvbench"));
    command.args(["serve", "--listen-client-urls", "http://127.0.0.1:0"]);
    command.args(["--snapshot-count", "60", "--data-dir"]).arg(folder);
    command.env("FAILPOINTS", failpoints).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let url = line.split_once("clients at ").and_then(|(_, rest)| rest.split(',').next());
    (child, url.map(str::to_owned))
}

/// How it ended, and what it said.
fn ended(mut child: Child) -> (ExitStatus, String) {
    let clock = Clock::start();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if clock.now() > PATIENCE => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("the server goes on");
            }
            None => clock.sleep(Nanos::from_millis(5)),
        }
    };
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (status, said)
}

/// Keys of one writer, at most: long before that a server that is to end has ended.
const KEYS_MAX: usize = 1_000;

/// Keys with how many puts were acknowledged, and whether one more is unknown.
type Acked = BTreeMap<String, (i64, bool)>;

/// A load of all kinds that ends with the server, or when it should have ended.
async fn load(url: &str, round: usize) -> Acked {
    let endpoint = Endpoint::from_shared(url.to_owned()).unwrap().timeout(ANSWER_MAX);
    let watching = tokio::spawn(watch(endpoint.clone()));
    let leasing = tokio::spawn(lease(endpoint.clone()));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(count_up(endpoint.clone(), format!("{round}/{writer}"))))
        .collect();
    let mut acked = Acked::new();
    for writer in writers {
        acked.extend(writer.await.unwrap());
    }
    watching.abort();
    leasing.abort();
    acked
}

/// Counts a key up and reads it, until there is no answer. A put without one ends the key: it may or may not have happened.
async fn count_up(endpoint: Endpoint, name: String) -> Acked {
    let mut acked = Acked::new();
    let mut client = KvClient::new(endpoint.connect_lazy());
    let mut failures = 0;
    for number in 0..KEYS_MAX {
        let key = format!("{name}/{number}");
        let entry = acked.entry(key.clone()).or_default();
        for _ in 0..20 {
            let put = PutRequest { key: key.clone().into_bytes(), ..PutRequest::default() };
            match client.put(put).await {
                Ok(_) => entry.0 += 1,
                Err(_) => {
                    entry.1 = true;
                    failures += 1;
                    break;
                }
            }
        }
        let read = RangeRequest { key: key.into_bytes(), ..RangeRequest::default() };
        drop(client.range(read).await);
        // One failure may be the site's; several in a row are the server's end.
        if failures > 5 {
            break;
        }
    }
    acked
}

async fn lease(endpoint: Endpoint) {
    let mut client = LeaseClient::new(endpoint.connect_lazy());
    loop {
        drop(client.lease_grant(LeaseGrantRequest { ttl: 60, id: 0 }).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Watches everything from the beginning, over and over.
async fn watch(endpoint: Endpoint) {
    loop {
        if let Ok(channel) = endpoint.connect().await {
            drop(watch_on(channel).await);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn watch_on(channel: Channel) -> Result<(), tonic::Status> {
    let create = WatchCreateRequest {
        key: vec![0],
        range_end: vec![0],
        start_revision: 1,
        ..WatchCreateRequest::default()
    };
    let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let asked = tokio_stream::iter([create]);
    let mut told = WatchClient::new(channel).watch(asked).await?.into_inner();
    for _ in 0..50 {
        if told.message().await?.is_none() {
            break;
        }
    }
    Ok(())
}

/// Starts a server that nothing is asked of but its keys, and ends it.
async fn check(folder: &Path, acked: &Acked) {
    let (mut child, url) = serve(folder, "");
    let url = url.expect("a server without failpoints starts");
    let mut client = KvClient::new(Endpoint::from_shared(url).unwrap().connect().await.unwrap());
    let all = RangeRequest { key: vec![0], range_end: vec![0], ..RangeRequest::default() };
    let found = client.range(all).await.unwrap().into_inner().kvs;
    child.kill().unwrap();
    child.wait().unwrap();
    let versions: BTreeMap<_, _> = found.into_iter().map(|kv| (kv.key, kv.version)).collect();
    for (key, (count, is_open)) in acked {
        let version = versions.get(key.as_bytes()).copied().unwrap_or(0);
        let most = count + i64::from(*is_open);
        assert!(version >= *count, "{key}: {count} acknowledged, {version} there");
        assert!(version <= most, "{key}: put {version} times, at most {most} asked");
    }
}

/// Whether a server on its own comes there: it has nobody to send to or to hear from, its group does not change, it applies on the raft
/// thread, without workers, and keeps its state in memory.
fn is_reached_alone(site: &Site) -> bool {
    const ELSEWHERE: [&str; 5] = [
        "inbox::message",
        "ready::message",
        "ready::forwarded-proposal",
        "ready::before-send",
        "applier::hand-over",
    ];
    let other_levers = site.name.starts_with("workers::") || site.name.starts_with("rocksdb::");
    match site.by {
        By::Load if other_levers => false,
        By::Load => !ELSEWHERE.contains(&site.name),
        By::Start => true,
        By::Network => site.name.starts_with("server::"),
        By::Image | By::HandOver | By::Change | By::Occasion => false,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// On images there is one pass for each, or one after the other comes by within one.
fn passes(site: &Site) -> u64 {
    match site.by {
        By::Start => 0,
        _ if site.name.starts_with("image::") && site.name != "image::version" => 1,
        _ if ["log::sweep", "log::before-cut", "log::after-cut", "server::accept"]
            .contains(&site.name) =>
        {
            1
        }
        _ if ["ready::begin-image", "ready::note-image"].contains(&site.name) => 1,
        _ => PASSES,
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was tried is a result")]
fn a_server_that_crashes_at_a_site_has_what_it_acknowledged() {
    let clock = Clock::start();
    let runtime = runtime();
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("data");
    let mut acked = Acked::new();
    let mut count = 0;
    // Those on the way to a start last: there is an image by then.
    let (starts, others): (Vec<_>, Vec<_>) =
        SITES.iter().filter(|site| is_reached_alone(site)).partition(|site| site.by == By::Start);
    for (round, site) in others.into_iter().chain(starts).enumerate() {
        let failpoints = format!("{}={}*off->1*return(kill)", site.name, passes(site));
        let (child, url) = serve(&folder, &failpoints);
        // Others may be passed on the way to a start as well: the log is replayed, and an image may be due at its end.
        assert!(url.is_none() || site.by != By::Start, "{}", site.name);
        let told = url.map_or_else(Acked::new, |url| runtime.block_on(load(&url, round)));
        let (status, said) = ended(child);
        assert_eq!(status.signal(), Some(SIGABRT), "{}: {said}", site.name);
        assert!(said.contains("WITH FAILPOINTS, armed: 1"), "{said}");
        acked.extend(told);
        // Of some rounds at once, since the folder is the same.
        if round % 8 == 7 {
            runtime.block_on(check(&folder, &acked));
        }
        count += 1;
    }
    runtime.block_on(check(&folder, &acked));
    let puts: i64 = acked.values().map(|(count, _)| count).sum();
    let elapsed = clock.now().as_secs_f64();
    println!("{count} crashes at sites, {puts} acknowledged puts, in {elapsed:.1} s");
    assert!(puts > 100, "{puts} puts are no evidence");
}

/// Where a request or a connection is lost, the server goes on. Each action is asked for once, one after the other, then some passes, then
/// the end: that it ends says that all of them happened and that it went on.
#[test]
fn what_is_lost_between_a_client_and_a_server_is_its_only_loss() {
    let runtime = runtime();
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("data");
    for (round, (site, actions)) in [
        ("server::request", "1*return(error)->1*return(panic)->1*return(sleep 20ms)->9*off"),
        ("server::answer", "1*return(error)->1*return(panic)->1*return(sleep 20ms)->9*off"),
        ("server::accept", "1*return(error)->1*return(sleep 20ms)->1*off"),
    ]
    .into_iter()
    .enumerate()
    {
        let (child, url) = serve(&folder, &format!("{site}={actions}->1*return(kill)"));
        let acked = runtime.block_on(load(&url.unwrap(), round));
        let (status, said) = ended(child);
        assert_eq!(status.signal(), Some(SIGABRT), "{site}: {said}");
        runtime.block_on(check(&folder, &acked));
    }
}

#[test]
fn a_server_that_does_not_take_connections_any_more_ends() {
    let root = tempfile::tempdir().unwrap();
    let (child, url) = serve(&root.path().join("data"), "server::accept=1*return(panic)");
    let address = url.unwrap().trim_start_matches("http://").to_owned();
    drop(std::net::TcpStream::connect(address));
    let (status, said) = ended(child);
    assert_eq!(status.code(), Some(5), "{said}");
    assert!(said.contains("failpoint server::accept: panic"), "{said}");
    assert!(said.contains("an address is not served any more"), "{said}");
}

/// An error of the log, not of a request: nothing may be acknowledged after it.
#[test]
fn a_server_whose_log_fails_ends() {
    let runtime = runtime();
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("data");
    for (round, site) in ["log::sync", "log::before-write", "log::after-write"].iter().enumerate() {
        let (child, url) = serve(&folder, &format!("{site}=40*off->1*return(error)"));
        let acked = runtime.block_on(load(&url.unwrap(), round));
        let (status, said) = ended(child);
        assert_eq!(status.code(), Some(5), "{said}");
        assert!(said.contains(&format!("failpoint {site}: error")), "{said}");
        assert!(said.contains("nothing is acknowledged any more"), "{said}");
        runtime.block_on(check(&folder, &acked));
    }
}

#[test]
fn a_build_with_failpoints_says_so_and_knows_its_sites() {
    let mut version = Command::new(env!("CARGO_BIN_EXE_kvbench"));
    let version = version.arg("--version").output().unwrap();
    assert!(String::from_utf8(version.stdout).unwrap().contains("WITH FAILPOINTS"));
    let root = tempfile::tempdir().unwrap();
    for (failpoints, words) in [
        ("log::never=return(kill)", "there is no site \"log::never\""),
        ("ready::tick=return(error)", "nothing at ready::tick can error"),
        ("ready::tick=sometimes", "unrecognized command"),
    ] {
        let (child, url) = serve(&root.path().join("data"), failpoints);
        assert_eq!(url, None);
        let (status, said) = ended(child);
        assert_eq!(status.code(), Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    }
    assert!(!root.path().join("data").exists(), "a refused server leaves something behind");
}
