//! What the CPU sampler costs the system it looks at: trials with it and without it, in pairs of random order on fresh systems, without
//! syncs, where a cost per operation has nowhere to hide.
//!
//! `cargo bench --bench sampler`; `-- 40` for so many pairs. What lock profiles cost is `scenarios/lock_profile_cost.toml`.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use kvbench::clock::Clock;
use kvbench::load::{self, Pace, Share, Span, Watcher};
use kvbench::profile::{FREQUENCY_HZ, Session};
use kvbench::scenario::spec::{Arm, Scenario};
use kvbench::scenario::{self, Options};
use kvbench::seed::Seed;
use kvbench::stats::geometric_location;
use kvbench::target::{Builtin, Launch};
use kvbench::units::Nanos;
use kvbench::workload::Workload;
use rand::Rng;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const PAIRS: u64 = 24;
/// The rate that profilers commonly use, and the one of `kvbench run`.
const RATES_HZ: [u16; 2] = [99, FREQUENCY_HZ];
const WARMUP: Nanos = Nanos::from_millis(100);
const DURATION: Nanos = Nanos::from_millis(400);

/// A system under load, by a scenario's `after`.
struct Case {
    name: &'static str,
    scenario: &'static str,
    set: &'static [&'static str],
    clients: u32,
}

const CASES: [Case; 2] = [
    Case {
        name: "the whole pipeline, 50 clients",
        scenario: "scenarios/put_parallel.toml",
        set: &["system.fsync=off"],
        clients: 50,
    },
    Case {
        name: "the store alone, 2 threads",
        scenario: "scenarios/store_put.toml",
        set: &[],
        clients: 2,
    },
];

fn main() {
    let pairs = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(PAIRS);
    println!(
        "| system | samples per CPU-second | throughput with / without | 95 % interval | pairs |"
    );
    println!("|---|---|---|---|---|");
    for case in &CASES {
        let scenario = case.load();
        for hz in RATES_HZ {
            let ratios: Vec<f64> =
                (0..pairs).map(|pair| ratio(case, &scenario, hz, pair)).collect();
            let location = geometric_location(&ratios).expect("rates are positive");
            let told = location
                .interval
                .map_or("too few pairs".to_owned(), |(low, high)| format!("[{low:.3}, {high:.3}]"));
            println!("| {} | {hz} | {:.3} | {told} | {pairs} |", case.name, location.value);
        }
    }
}

impl Case {
    fn load(&self) -> Scenario {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.scenario);
        let set = self.set.iter().map(|set| (*set).to_owned()).collect();
        let options = Options { set, quick: false, connections_max: None };
        scenario::load(&path, &options).expect("a scenario of this repository")
    }
}

/// Of one pair: the rate with the sampler over that without.
fn ratio(case: &Case, scenario: &Scenario, hz: u16, pair: u64) -> f64 {
    let seed = scenario.seed.child("sampler", pair);
    let sampled_first = seed.stream("order", u64::from(hz)).random_bool(0.5);
    let measure = |sampled: bool| rate(case, scenario, sampled.then_some(hz), seed);
    let (with, without) = match sampled_first {
        true => {
            let with = measure(true);
            (with, measure(false))
        }
        false => {
            let without = measure(false);
            (measure(true), without)
        }
    };
    with / without
}

/// Operations per second on a fresh system.
fn rate(case: &Case, scenario: &Scenario, hz: Option<u16>, seed: Seed) -> f64 {
    let (clock, folder) = (Clock::start(), tempfile::tempdir().expect("a temporary folder"));
    let arm: &Arm = scenario.after();
    let program = std::env::current_exe().expect("a program has a path");
    let target = Builtin { program }.launch(arm, folder.path(), clock).expect("the system starts");
    let pace = Pace::Closed { think: Nanos::ZERO };
    let (clients, warmup, duration) = (case.clients, WARMUP, DURATION);
    let span = Span { clients, share: Share::ALL, pace, warmup, duration, seed };
    let mut sampler = Sampler { hz, session: None };
    let (workload, stop) = (Workload::of(scenario), Arc::new(AtomicBool::new(false)));
    let seen = load::offer(&target, &workload, &span, clock, &stop, &mut sampler)
        .expect("the host gives threads");
    assert_eq!(seen.recorder.errors(), 0, "{:?}", seen.first_error);
    seen.recorder.ops() as f64 / seen.elapsed.as_secs_f64()
}

/// Samples the measured span, or does not.
struct Sampler {
    hz: Option<u16>,
    session: Option<Session>,
}

impl Watcher for Sampler {
    fn begin(&mut self) {
        self.session = self.hz.map(|hz| Session::start(hz).expect("the sampler starts"));
    }

    fn end(&mut self) {
        if let Some(session) = self.session.take() {
            session.finish_counting().expect("the sampler reports");
        }
    }
}
