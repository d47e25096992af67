//! What a range as large as the state costs, over gRPC: time until the client has it, how much more memory the server takes meanwhile, and how
//! long the slowest of puts waits that come every two milliseconds on another connection. Fresh servers each time, as processes of their
//! own, three rounds; the table shows the median and the extremes.
//!
//! `cargo bench --bench large_range`; `-- 100000` for another number of keys, `-- path/to/kvbench` for another program by turns with this one.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use kvbench::client::{Connection, Endpoint};
use kvbench::clock::Clock;
use kvbench::model::{Body, Interval, Range, Request};
use kvbench::units::Nanos;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::task::JoinSet;

const KEYS: u64 = 1_000_000;
const VALUE_BYTES: usize = 256;
/// Puts under way at once while keys are written.
const AT_ONCE: u64 = 500;
const ROUNDS: usize = 3;
const PUT_EVERY: Duration = Duration::from_millis(2);

/// What one range cost.
struct Cost {
    seconds: f64,
    /// Most memory beyond what the server had before.
    more_mb: f64,
    slowest_put_ms: f64,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let keys = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(KEYS);
    let mut programs = vec![env!("CARGO_BIN_EXE_kvbench").to_owned()];
    programs.extend(args.into_iter().filter(|arg| arg.parse::<u64>().is_err()));
    println!("{keys} keys of 16 B, values of {VALUE_BYTES} B");
    println!("{:>22} {:>22} {:>22}", "s", "more memory, MB", "slowest put, ms");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut costs: Vec<Vec<Cost>> = programs.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (program, costs) in programs.iter().zip(&mut costs) {
            costs.push(runtime.block_on(cost(program, keys)));
        }
    }
    for (program, costs) in programs.iter().zip(&costs) {
        println!(
            "{:>22} {:>22} {:>22}  {program}",
            spread(costs, |cost| cost.seconds),
            spread(costs, |cost| cost.more_mb),
            spread(costs, |cost| cost.slowest_put_ms)
        );
    }
}

/// Median and extremes of what `value` says.
fn spread(costs: &[Cost], value: fn(&Cost) -> f64) -> String {
    let mut values: Vec<_> = costs.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    let (least, median, most) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    format!("{median:.2} [{least:.2}, {most:.2}]")
}

/// A server that ends with this.
struct Server {
    process: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(program: &str) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(program);
        command.args(["serve", "--listen-client-urls", "http://127.0.0.1:0", "--fsync", "off"]);
        command.arg("--data-dir").arg(folder.path().join("data")).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the program starts");
        let mut line = String::new();
        let said = process.stdout.as_mut().expect("it is piped");
        BufReader::new(said).read_line(&mut line).expect("it says that it is ready");
        let url = line.split_whitespace().find(|word| word.starts_with("http://"));
        let url = url.expect("it says where").trim_end_matches([',', ';']).to_owned();
        Server { process, url, _folder: folder }
    }

    async fn connect(&self) -> Connection {
        let endpoint = Endpoint::parse(&self.url, None).expect("it is one");
        Connection::open(&endpoint).await.expect("it listens")
    }

    /// From now on the most memory is that of what follows.
    fn forget_peak(&self) {
        let path = format!("/proc/{}/clear_refs", self.process.id());
        std::fs::write(path, "5").expect("the peak can be set back");
    }

    fn memory_mb(&self, line: &str) -> f64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).expect("the process is there");
        let kib = status.lines().find_map(|found| found.strip_prefix(line));
        let kib = kib.and_then(|kib| kib.split_whitespace().next());
        kib.and_then(|kib| kib.parse::<f64>().ok()).expect("a number of KiB") / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn cost(program: &str, keys: u64) -> Cost {
    let server = Server::start(program);
    let (reader, writer) = (server.connect().await, server.connect().await);
    fill(&writer, keys).await;
    let clock = Clock::start();
    server.forget_peak();
    let before_mb = server.memory_mb("VmRSS:");
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let puts = tokio::spawn(slowest_put(writer, clock, stopped));
    let began = clock.now();
    let all = Range { interval: Interval::everything(), ..Range::default() };
    let answer = reader.call(Request::Range(all)).await.expect("an answer");
    let took = clock.now().since(began);
    stop.send(true).expect("puts are under way");
    let slowest = puts.await.expect("puts are answered");
    let Ok(Body::Range(found)) = answer.result else { panic!("a range finds a range") };
    assert_eq!(found.kvs.len() as u64, keys);
    Cost {
        seconds: took.0 as f64 / 1e9,
        more_mb: server.memory_mb("VmHWM:") - before_mb,
        slowest_put_ms: slowest.0 as f64 / 1e6,
    }
}

async fn fill(writer: &Connection, keys: u64) {
    for first in (0..keys).step_by(AT_ONCE as usize) {
        let mut puts = JoinSet::new();
        for number in first..keys.min(first + AT_ONCE) {
            let writer = writer.clone();
            let put = Request::put(format!("{number:016x}"), vec![0x6b; VALUE_BYTES]);
            puts.spawn(async move { writer.call(put).await.expect("an answer") });
        }
        puts.join_all().await;
    }
}

/// Puts to one key until it is told to stop.
async fn slowest_put(
    writer: Connection,
    clock: Clock,
    stopped: tokio::sync::watch::Receiver<bool>,
) -> Nanos {
    let mut slowest = Nanos::ZERO;
    while !*stopped.borrow() {
        let began = clock.now();
        writer.call(Request::put(format!("{:016x}", 0), "x")).await.expect("an answer");
        slowest = slowest.max(clock.now().since(began));
        tokio::time::sleep(PUT_EVERY).await;
    }
    slowest
}
