//! What a call costs the server that answers it: puts and gets of 1 000 keys, values of 256 B, a hundred at a time on one connection. Servers are
//! processes of their own with synced logs, of this program and of others, which run side by side and are asked by turns, for a tenth of a second
//! each, in an order that changes. The host is now fast and now slow, for tenths of seconds and for seconds; what it is, it is for both.
//!
//! `cargo bench --bench calls -- path/to/kvbench`; with a number, `-- path/to/kvbench 10`, for other than a hundred at a time.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use futures_util::future::join_all;
use kvbench::client::Connection;
use kvbench::clock::Clock;
use kvbench::model::Request;
use kvbench::units::Nanos;
use kvbench_judge::stats::geometric_location;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use served::{Asked, Server};
use std::fs;
use std::process::Child;

mod served;

const AT_A_TIME: u64 = 100;
const ROUNDS: usize = 200;
const BURST: Nanos = Nanos::from_millis(100);
const KEYS: u64 = 1_000;
const VALUE_BYTES: usize = 256;

/// What a server is asked.
#[derive(Clone, Copy)]
enum Kind {
    Put,
    Get,
}

impl Kind {
    fn request(self, key: u64) -> Request {
        let key = format!("{:016x}", key % KEYS);
        match self {
            Kind::Put => Request::put(key, vec![b'v'; VALUE_BYTES]),
            Kind::Get => Request::get(key),
        }
    }
}

/// A server, and what its calls cost so far, round by round.
struct Side<'a> {
    program: &'a str,
    server: Server,
    connection: Connection,
    cpu_us: Vec<f64>,
    calls_per_s: Vec<f64>,
}

fn main() {
    let asked = Asked::or(AT_A_TIME);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    for (name, kind) in [("puts", Kind::Put), ("gets", Kind::Get)] {
        println!("{name}, {} at a time", asked.number);
        let sides = runtime.block_on(by_turns(&asked, kind));
        println!("{:>28} {:>28} {:>28}", "CPU, µs", "ratio", "a second, ratio");
        for side in &sides {
            println!(
                "{:>28} {:>28} {:>28}  {}",
                located(side.cpu_us.iter().copied()),
                located(ratios(&side.cpu_us, &sides[0].cpu_us)),
                located(ratios(&side.calls_per_s, &sides[0].calls_per_s)),
                side.program
            );
        }
    }
}

/// The last program named is the first one, to which the others are held.
async fn by_turns(asked: &Asked, kind: Kind) -> Vec<Side<'_>> {
    let mut sides = Vec::new();
    for program in asked.programs.iter().rev() {
        let server = Server::start(program, "real");
        let connection = server.connect().await;
        for key in 0..KEYS {
            connection.call(Kind::Put.request(key)).await.expect("it is put");
        }
        let (cpu_us, calls_per_s) = (Vec::new(), Vec::new());
        sides.push(Side { program, server, connection, cpu_us, calls_per_s });
    }
    let clock = Clock::start();
    let mut order: Vec<usize> = (0..sides.len()).collect();
    let mut random = ChaCha8Rng::seed_from_u64(42);
    for _ in 0..ROUNDS {
        order.shuffle(&mut random);
        for number in &order {
            sides[*number].burst(kind, asked.number, clock).await;
        }
    }
    sides
}

impl Side<'_> {
    async fn burst(&mut self, kind: Kind, at_a_time: u64, clock: Clock) {
        let (began, cpu) = (clock.now(), cpu(&self.server.process));
        let until = began.after(BURST);
        let client = async |first: u64| {
            let mut calls = 0;
            while clock.now() < until {
                let request = kind.request(first + calls * at_a_time);
                self.connection.call(request).await.expect("an answer");
                calls += 1;
            }
            calls
        };
        let calls: u64 = join_all((0..at_a_time).map(client)).await.into_iter().sum();
        let cpu = self::cpu(&self.server.process).0 - cpu.0;
        let calls = calls as f64;
        self.cpu_us.push(cpu as f64 / 1e3 / calls);
        self.calls_per_s.push(calls / (clock.now().since(began).0 as f64 / 1e9));
    }
}

/// CPU time of all threads of a process, as the scheduler counts it. No thread that ends takes its time along: a server that is asked for
/// keys ends none.
fn cpu(process: &Child) -> Nanos {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).expect("it runs");
    let time = |task: fs::DirEntry| {
        let said = fs::read_to_string(task.path().join("schedstat")).ok()?;
        said.split_whitespace().next()?.parse::<u64>().ok()
    };
    Nanos(tasks.flatten().filter_map(time).sum())
}

fn ratios<'a>(those: &'a [f64], to: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    those.iter().zip(to).map(|(this, to)| this / to)
}

/// The centre of what varies by factors, with its interval of 95 %.
fn located(values: impl Iterator<Item = f64>) -> String {
    let values: Vec<f64> = values.collect();
    let located = geometric_location(&values).expect("there were rounds");
    let (lower, upper) = located.interval.expect("there were many");
    format!("{:.3} [{lower:.3}, {upper:.3}]", located.value)
}
