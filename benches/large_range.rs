//! What a range as large as the state costs, over gRPC: time until the client has it, how much more memory the server takes meanwhile, and how
//! long the slowest of puts waits that come every two milliseconds on another connection. Fresh servers each time, as processes of their
//! own, three rounds; the table shows the median and the extremes.
//!
//! `cargo bench --bench large_range`; `-- 100000` for another number of keys, `-- path/to/kvbench` for another program by turns with this one.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use kvbench::client::Connection;
use kvbench::clock::Clock;
use kvbench::model::{Body, Interval, Range, Request};
use meanwhile::{Puts, spread};
use served::{Asked, Server};
use tokio::task::JoinSet;

#[path = "served/meanwhile.rs"]
mod meanwhile;
mod served;

const KEYS: u64 = 1_000_000;
const VALUE_BYTES: usize = 256;
/// Puts under way at once while keys are written.
const AT_ONCE: u64 = 500;

/// What one range cost.
struct Cost {
    seconds: f64,
    /// Most memory beyond what the server had before.
    more_mb: f64,
    slowest_put_ms: f64,
}

fn main() {
    let asked = Asked::or(KEYS);
    println!("{} keys of 16 B, values of {VALUE_BYTES} B", asked.number);
    println!("{:>22} {:>22} {:>22}", "s", "more memory, MB", "slowest put, ms");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for (program, costs) in asked.by_turns(|program, keys| runtime.block_on(cost(program, keys))) {
        println!(
            "{:>22} {:>22} {:>22}  {program}",
            spread(&costs, |cost| cost.seconds),
            spread(&costs, |cost| cost.more_mb),
            spread(&costs, |cost| cost.slowest_put_ms)
        );
    }
}

async fn cost(program: &str, keys: u64) -> Cost {
    let server = Server::start(program, "off");
    let (reader, writer) = (server.connect().await, server.connect().await);
    fill(&writer, keys).await;
    let clock = Clock::start();
    forget_peak(&server);
    let before_mb = memory_mb(&server, "VmRSS:");
    let puts = Puts::begin(writer, clock);
    let began = clock.now();
    let all = Range { interval: Interval::everything(), ..Range::default() };
    let answer = reader.call(Request::Range(all)).await.expect("an answer");
    let took = clock.now().since(began);
    let slowest_put_ms = puts.end().await;
    let Ok(Body::Range(found)) = answer.result else { panic!("a range finds a range") };
    assert_eq!(found.kvs.len() as u64, keys);
    Cost {
        seconds: took.0 as f64 / 1e9,
        more_mb: memory_mb(&server, "VmHWM:") - before_mb,
        slowest_put_ms,
    }
}

/// From now on the most memory is that of what follows.
fn forget_peak(server: &Server) {
    let path = format!("/proc/{}/clear_refs", server.process.id());
    std::fs::write(path, "5").expect("the peak can be set back");
}

/// A line of what the kernel says of its memory, like `VmRSS:`.
fn memory_mb(server: &Server, line: &str) -> f64 {
    let path = format!("/proc/{}/status", server.process.id());
    let status = std::fs::read_to_string(path).expect("the process is there");
    let kib = status.lines().find_map(|found| found.strip_prefix(line));
    let kib = kib.and_then(|kib| kib.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<f64>().ok()).expect("a number of KiB") / 1024.0
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
