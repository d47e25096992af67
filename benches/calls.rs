//! What a call costs the server that answers it: puts and gets of 1 000 keys, values of 256 B, a hundred at a time on one connection. Servers are
//! processes of their own with synced logs, of this program and of others, which run side by side and are asked by turns, for a tenth of a second
//! each, in an order that changes. The host is now fast and now slow, for tenths of seconds and for seconds; what it is, it is for all. Servers are
//! started anew for each block of rounds, whose sums are what is compared: what one process happens to be is in the interval.
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
use std::collections::BTreeMap;
use std::fs;
use std::process::Child;

mod served;

const AT_A_TIME: u64 = 100;
/// With fresh servers.
const BLOCKS: usize = 12;
/// Of each block.
const ROUNDS: usize = 16;
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

/// A program's server, of one block.
struct Side {
    server: Server,
    connection: Connection,
    sum: Sum,
}

/// What calls cost, block by block.
struct Costs<'a> {
    program: &'a str,
    blocks: Vec<Sum>,
}

/// Of a block.
#[derive(Clone, Copy, Default)]
struct Sum {
    calls: f64,
    cpu_ns: f64,
    time_ns: f64,
}

impl Sum {
    fn cpu_us(&self) -> f64 {
        self.cpu_ns / 1e3 / self.calls
    }

    fn calls_per_s(&self) -> f64 {
        self.calls / (self.time_ns / 1e9)
    }
}

fn main() {
    let asked = Asked::or(AT_A_TIME);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    for (name, kind) in [("puts", Kind::Put), ("gets", Kind::Get)] {
        println!("{name}, {} at a time", asked.number);
        let programs = runtime.block_on(by_turns(&asked, kind));
        println!("{:>28} {:>28} {:>28}", "CPU, µs", "ratio", "a second, ratio");
        for costs in &programs {
            let ratio = |value: fn(&Sum) -> f64| {
                let pairs = costs.blocks.iter().zip(&programs[0].blocks);
                located(pairs.map(|(this, to)| value(this) / value(to)))
            };
            let cpu_us = located(costs.blocks.iter().map(Sum::cpu_us));
            let (cpu, calls) = (ratio(Sum::cpu_us), ratio(Sum::calls_per_s));
            println!("{cpu_us:>28} {cpu:>28} {calls:>28}  {}", costs.program);
        }
    }
}

/// The last program named is the first one, to which the others are held.
async fn by_turns(asked: &Asked, kind: Kind) -> Vec<Costs<'_>> {
    let programs = asked.programs.iter().rev();
    let mut costs: Vec<Costs<'_>> =
        programs.map(|program| Costs { program, blocks: Vec::new() }).collect();
    let mut random = ChaCha8Rng::seed_from_u64(42);
    for _ in 0..BLOCKS {
        let mut sides = Vec::new();
        for costs in &costs {
            sides.push(Side::start(costs.program).await);
        }
        let mut order: Vec<usize> = (0..sides.len()).collect();
        for _ in 0..ROUNDS {
            order.shuffle(&mut random);
            for number in &order {
                sides[*number].burst(kind, asked.number).await;
            }
        }
        costs.iter_mut().zip(sides).for_each(|(costs, side)| costs.blocks.push(side.sum));
    }
    costs
}

impl Side {
    async fn start(program: &str) -> Side {
        let server = Server::start(program, "real");
        let connection = server.connect().await;
        for key in 0..KEYS {
            connection.call(Kind::Put.request(key)).await.expect("it is put");
        }
        Side { server, connection, sum: Sum::default() }
    }

    async fn burst(&mut self, kind: Kind, at_a_time: u64) {
        let (clock, threads) = (Clock::start(), threads(&self.server.process));
        let client = async |first: u64| {
            let mut calls = 0;
            while clock.now() < BURST {
                let request = kind.request(first + calls * at_a_time);
                self.connection.call(request).await.expect("an answer");
                calls += 1;
            }
            calls
        };
        let calls: u64 = join_all((0..at_a_time).map(client)).await.into_iter().sum();
        let time = clock.now();
        let now = self::threads(&self.server.process);
        let ran = |(thread, ns): (&u64, &u64)| ns - threads.get(thread).copied().unwrap_or(0);
        self.sum.calls += calls as f64;
        self.sum.cpu_ns += now.iter().map(ran).sum::<u64>() as f64;
        self.sum.time_ns += time.0 as f64;
    }
}

/// CPU time of each thread of a process, ns, as the scheduler counts it. What a thread took that ends within a burst is not counted: the one that
/// writes an image is such a thread, once in a hundred thousand puts.
fn threads(process: &Child) -> BTreeMap<u64, u64> {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).expect("it runs");
    let time = |task: fs::DirEntry| {
        let said = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let ns = said.split_whitespace().next()?.parse().ok()?;
        Some((task.file_name().to_str()?.parse().ok()?, ns))
    };
    let times: BTreeMap<_, _> = tasks.flatten().filter_map(time).collect();
    assert!(!times.is_empty(), "the system counts");
    times
}

/// The centre of what varies by factors, with its interval of 95 %.
fn located(values: impl Iterator<Item = f64>) -> String {
    let values: Vec<f64> = values.collect();
    let located = geometric_location(&values).expect("there were blocks");
    let (lower, upper) = located.interval.expect("there were many");
    format!("{:.3} [{lower:.3}, {upper:.3}]", located.value)
}
