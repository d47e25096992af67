//! What it costs that many wait for one lock, over gRPC: time until all stand in line, time until each has had its turn, and how long the
//! slowest of puts waits that come every two milliseconds on another connection. Fresh servers each time, as processes of their own, three
//! rounds; the table shows the median and the extremes.
//!
//! `cargo bench --bench long_line`; `-- 500` for another number that wait, `-- path/to/kvbench` for another program by turns with this one.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use kvbench::client::Connection;
use kvbench::clock::Clock;
use kvbench::model::{Body, Interval, Range, Request};
use kvbench::rpc::v3lockpb::lock_client::LockClient;
use kvbench::rpc::v3lockpb::{LockRequest, UnlockRequest};
use meanwhile::{Puts, spread};
use served::{Asked, Server};
use std::time::Duration;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

#[path = "served/meanwhile.rs"]
mod meanwhile;
mod served;

const WAITING: u64 = 2_000;
/// Who waits on one connection, at most.
const ON_ONE: u64 = 100;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What one line cost.
struct Cost {
    standing_s: f64,
    turns_s: f64,
    slowest_put_ms: f64,
}

fn main() {
    let asked = Asked::or(WAITING);
    println!("{} wait for one lock", asked.number);
    println!("{:>22} {:>22} {:>22}", "all stand, s", "all turns, s", "slowest put, ms");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for (program, costs) in asked.by_turns(|program, line| runtime.block_on(cost(program, line))) {
        println!(
            "{:>22} {:>22} {:>22}  {program}",
            spread(&costs, |cost| cost.standing_s),
            spread(&costs, |cost| cost.turns_s),
            spread(&costs, |cost| cost.slowest_put_ms)
        );
    }
}

async fn cost(program: &str, waiting: u64) -> Cost {
    let server = Server::start(program, "off");
    let (reader, writer) = (server.connect().await, server.connect().await);
    let mut holder = lock_client(&server).await;
    let key = lock(&mut holder).await;
    let clock = Clock::start();
    let puts = Puts::begin(writer, clock);
    let began = clock.now();
    let mut line = JoinSet::new();
    for first in (0..waiting).step_by(ON_ONE as usize) {
        let client = lock_client(&server).await;
        for _ in first..waiting.min(first + ON_ONE) {
            line.spawn(turn(client.clone()));
        }
    }
    while in_line(&reader).await <= waiting {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let all_stand = clock.now();
    unlock(&mut holder, key).await;
    line.join_all().await;
    let all_had_turns = clock.now();
    Cost {
        standing_s: all_stand.since(began).0 as f64 / 1e9,
        turns_s: all_had_turns.since(all_stand).0 as f64 / 1e9,
        slowest_put_ms: puts.end().await,
    }
}

async fn lock_client(server: &Server) -> LockClient<Channel> {
    let endpoint = Endpoint::from_shared(server.url.clone()).expect("it is one");
    LockClient::new(endpoint.connect().await.expect("it listens"))
}

/// Waits, and goes away at once when its turn has come.
async fn turn(mut client: LockClient<Channel>) {
    let key = lock(&mut client).await;
    unlock(&mut client, key).await;
}

async fn lock(client: &mut LockClient<Channel>) -> Vec<u8> {
    let request = LockRequest { name: b"line".into(), lease: 0 };
    client.lock(request).await.expect("its turn comes").into_inner().key
}

async fn unlock(client: &mut LockClient<Channel>, key: Vec<u8>) {
    client.unlock(UnlockRequest { key }).await.expect("an answer");
}

/// How many stand in line, the holder among them.
async fn in_line(reader: &Connection) -> u64 {
    let interval = Interval::prefix(b"line/");
    let count = Range { interval, count_only: true, ..Range::default() };
    let answer = reader.call(Request::Range(count)).await.expect("an answer");
    let Ok(Body::Range(found)) = answer.result else { panic!("a range finds a range") };
    found.count as u64
}
