//! What the CPU sampler costs the system it looks at: spans with it and without it, in pairs of random order one right after the other on
//! one system, without syncs, where a cost per operation has nowhere to hide.
//!
//! `cargo bench --bench sampler`; `-- 100` for so many pairs. What lock profiles cost is `scenarios/lock_profile_cost.toml`.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use kvbench::clock::Clock;
use kvbench::load::{self, Pace, Share, Span, Watcher};
use kvbench::profile::{FREQUENCY_HZ, Session};
use kvbench::scenario::spec::Scenario;
use kvbench::scenario::{self, Options};
use kvbench::seed::Seed;
use kvbench::stats::geometric_location;
use kvbench::target::{Builtin, Launch, System};
use kvbench::units::Nanos;
use kvbench::workload::Workload;
use rand::Rng;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const PAIRS: u64 = 60;
/// The rate that profilers commonly use, and the one of `kvbench run`.
const RATES_HZ: [u16; 2] = [99, FREQUENCY_HZ];
const WARMUP: Nanos = Nanos::from_millis(20);
const DURATION: Nanos = Nanos::from_millis(200);

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
            let system = Running::start(case, &scenario);
            let ratios: Vec<f64> = (0..pairs).map(|pair| system.ratio(hz, pair)).collect();
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

/// A system, and the load for it.
struct Running<'a> {
    case: &'a Case,
    scenario: &'a Scenario,
    target: System,
    clock: Clock,
    /// Where its files are.
    _folder: tempfile::TempDir,
}

impl<'a> Running<'a> {
    fn start(case: &'a Case, scenario: &'a Scenario) -> Running<'a> {
        let (clock, folder) = (Clock::start(), tempfile::tempdir().expect("a temporary folder"));
        let program = std::env::current_exe().expect("a program has a path");
        let launched = Builtin { program }.launch(scenario.after(), folder.path(), clock);
        let target = launched.expect("the system starts");
        Running { case, scenario, target, clock, _folder: folder }
    }

    /// Of one pair: the rate with the sampler over that without.
    fn ratio(&self, hz: u16, pair: u64) -> f64 {
        let seed = self.scenario.seed.child("sampler", pair);
        let is_sampled_first = seed.stream("order", u64::from(hz)).random_bool(0.5);
        let rate = |is_sampled: bool| self.rate(is_sampled.then_some(hz), seed);
        let first = rate(is_sampled_first);
        let second = rate(!is_sampled_first);
        if is_sampled_first { first / second } else { second / first }
    }

    /// Operations per second in one span.
    fn rate(&self, hz: Option<u16>, seed: Seed) -> f64 {
        let pace = Pace::Closed { think: Nanos::ZERO };
        let (clients, warmup, duration) = (self.case.clients, WARMUP, DURATION);
        let span = Span { clients, share: Share::ALL, pace, warmup, duration, seed };
        let mut sampler = Sampler { hz, session: None };
        let (workload, stop) = (Workload::of(self.scenario), Arc::new(AtomicBool::new(false)));
        let seen = load::offer(&self.target, &workload, &span, self.clock, &stop, &mut sampler)
            .expect("the host gives threads");
        assert_eq!(seen.recorder.errors(), 0, "{:?}", seen.first_error);
        seen.recorder.ops() as f64 / seen.elapsed.as_secs_f64()
    }
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
