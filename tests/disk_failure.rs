//! A disk that fails under a server: one failed sync of the log ends it with exit code 5, nobody is told that the write is safe, and
//! whatever was acknowledged before is there after the next start. The failure is put in by strace, which makes the kernel say EIO once.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]
#![expect(clippy::print_stderr, reason = "what was skipped is said")]

use kvbench::clock::Clock;
use kvbench::rpc::etcdserverpb::kv_client::KvClient;
use kvbench::rpc::etcdserverpb::{PutRequest, RangeRequest};
use kvbench::units::Nanos;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Far beyond what any wait here takes.
const PATIENCE: Nanos = Nanos::from_millis(60_000);
/// Puts that are tried; each is one sync, since they come one at a time.
const PUTS: usize = 60;
/// Which sync of a thread fails. Only this one: a second try would succeed, and the server would go on. (The log's files are synced once more
/// as they are closed; nobody is told of that.)
const FAILS: &str = "inject=fdatasync:error=EIO:when=20";

/// Why strace cannot put failures in here, if it cannot.
fn obstacle() -> Option<&'static str> {
    let inject = "inject=fdatasync:error=EIO:when=1";
    let args = ["-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject, "true"];
    match Command::new("strace").args(args).output() {
        Err(_) => Some("strace is not installed; ./scripts/setup installs it"),
        Ok(output) if !output.status.success() => Some("strace may not trace or inject here"),
        Ok(_) => None,
    }
}

/// A server, with this in front of its command, and where its clients connect.
fn serve(folder: &Path, front: &[&str]) -> (Child, String) {
    let program = env!("CARGO_BIN_EXE_kvbench");
    let words: Vec<&str> = front.iter().copied().chain([program, "serve"]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["--listen-client-urls", "http://127.0.0.1:0", "--data-dir"]);
    command.arg(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let url = line.split_once("clients at ").and_then(|(_, rest)| rest.split(',').next());
    (child, url.unwrap_or_else(|| panic!("{line:?}")).to_owned())
}

/// The exit code and what was said, once it has ended by itself.
fn ended(mut child: Child) -> (Option<i32>, String) {
    let clock = Clock::start();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if clock.now() > PATIENCE => {
                child.kill().unwrap();
                panic!("the server goes on after its log failed");
            }
            None => clock.sleep(Nanos::from_millis(20)),
        }
    };
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (status.code(), said)
}

async fn client(url: &str) -> KvClient<tonic::transport::Channel> {
    let endpoint = tonic::transport::Endpoint::from_shared(url.to_owned()).unwrap();
    KvClient::new(endpoint.timeout(Duration::from_secs(20)).connect().await.unwrap())
}

/// Puts one key after the other until one is refused; says how many were acknowledged.
async fn put_until_refused(url: &str) -> usize {
    let mut client = client(url).await;
    for number in 0..PUTS {
        let key = format!("{number:04}").into_bytes();
        let put = PutRequest { key, value: vec![b'v'; 64], ..PutRequest::default() };
        if client.put(put).await.is_err() {
            return number;
        }
    }
    PUTS
}

/// All keys, in their order.
async fn keys(url: &str) -> Vec<Vec<u8>> {
    let all = RangeRequest { key: vec![0], range_end: vec![0], ..RangeRequest::default() };
    let found = client(url).await.range(all).await.unwrap().into_inner();
    found.kvs.into_iter().map(|kv| kv.key).collect()
}

#[test]
fn a_failed_sync_ends_the_server() {
    if let Some(reason) = obstacle() {
        eprintln!("skipped: {reason}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let root = tempfile::tempdir().unwrap();
    let (data, trace) = (root.path().join("data"), root.path().join("trace"));
    let traced = ["strace", "-f", "-qq", "-e", "trace=fdatasync", "-e", FAILS, "-o"];
    let front: Vec<&str> = traced.into_iter().chain(trace.to_str()).collect();
    let (server, url) = serve(&data, &front);
    let acknowledged = runtime.block_on(put_until_refused(&url));
    let (code, said) = ended(server);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("nothing is acknowledged any more"), "{said}");
    assert!(acknowledged < PUTS, "no put was refused: {said}");
    assert!(acknowledged > 5, "{acknowledged} puts are no evidence");

    let trace = std::fs::read_to_string(trace).unwrap();
    assert!(trace.contains("EIO"), "no sync failed:\n{trace}");

    let (mut server, url) = serve(&data, &[]);
    let found = runtime.block_on(keys(&url));
    server.kill().unwrap();
    server.wait().unwrap();
    // The one whose sync failed may have got there.
    assert!(found.len() == acknowledged || found.len() == acknowledged + 1, "{found:?}");
    for (number, key) in found.iter().enumerate() {
        assert_eq!(*key, format!("{number:04}").into_bytes());
    }
}
