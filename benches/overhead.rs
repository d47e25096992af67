//! What measuring costs the system that is measured: the CPU sampler, and the clocks of requests and locks. Short spans with and
//! without it in turns of four (with, without, without, with, or the other way round, at random), one right after the other, without
//! syncs, where a cost per operation has nowhere to hide. A host that gets slower evenly during a turn changes nothing in it. Two
//! systems of one kind differ by some percent for as long as they live, so where the sides are two, each turn has systems of its own.
//!
//! `cargo bench --bench overhead`; `-- 100` for so many turns, `-- 'pipeline 99'` for rows that have these words. What lock profiles cost is `scenarios/lock_profile_cost.toml`.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use kvbench::clock::Clock;
use kvbench::load::{self, Pace, Share, Span, Watcher};
use kvbench::profile::{FREQUENCY_HZ, Session};
use kvbench::scenario::spec::{Arm, Scenario};
use kvbench::scenario::{self, Options};
use kvbench::seed::Seed;
use kvbench::stats::geometric_location;
use kvbench::target::{Builtin, Launch, System};
use kvbench::units::Nanos;
use kvbench::workload::Workload;
use rand::Rng;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const TURNS: u64 = 200;
/// Of one system with and without sampling: its log grows by about a gigabyte meanwhile.
const TURNS_PER_SYSTEM: u64 = 50;
/// The rate that profilers commonly use, and the one of `kvbench run`.
const RATES_HZ: [u16; 2] = [99, FREQUENCY_HZ];
const WARMUP: Nanos = Nanos::from_millis(20);
const DURATION: Nanos = Nanos::from_millis(100);

/// A scenario, and the load for it.
struct Case {
    name: &'static str,
    scenario: &'static str,
    set: &'static [&'static str],
    clients: u32,
}

const SAMPLED: [Case; 2] = [
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

/// Its `after` has the clocks, its `before` has none.
const CLOCKED: [Case; 3] = [
    Case {
        name: "the whole pipeline, 50 clients",
        scenario: "scenarios/instruments_cost.toml",
        set: &[],
        clients: 50,
    },
    Case {
        name: "the whole pipeline, 1000 clients",
        scenario: "scenarios/instruments_cost.toml",
        set: &[],
        clients: 1000,
    },
    Case {
        name: "the whole pipeline, synced, 1000 clients",
        scenario: "scenarios/instruments_cost.toml",
        set: &["system.fsync=\"real\""],
        clients: 1000,
    },
];

fn main() {
    let clock = Clock::start();
    let (numbers, words): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .partition(|arg| arg.parse::<u64>().is_ok());
    let turns = numbers.first().and_then(|number| number.parse().ok()).unwrap_or(TURNS);
    let is_wanted = |case: &Case, what: &str| {
        let row = format!("{} {what}", case.name);
        words.iter().flat_map(|words| words.split_whitespace()).all(|word| row.contains(word))
    };
    println!("| system | with | throughput with / without | 95 % interval | turns |");
    println!("|---|---|---|---|---|");
    for case in &SAMPLED {
        let scenario = case.load();
        for hz in RATES_HZ {
            let what = format!("{hz} samples per CPU-second");
            if !is_wanted(case, &what) {
                continue;
            }
            let sides = || {
                let system = Rc::new(Running::start(scenario.after(), clock));
                let (with, without) = (Some(hz), None);
                [Side { system: system.clone(), hz: with }, Side { system, hz: without }]
            };
            let contrasts =
                Contrasts { case, scenario: &scenario, clock, turns_each: TURNS_PER_SYSTEM };
            tell(case, &what, &contrasts.ratios(turns, sides));
        }
    }
    for case in CLOCKED.iter().filter(|case| is_wanted(case, "clocks")) {
        let scenario = case.load();
        let sides = || {
            [scenario.after(), scenario.before()]
                .map(|arm| Side { system: Rc::new(Running::start(arm, clock)), hz: None })
        };
        let contrasts = Contrasts { case, scenario: &scenario, clock, turns_each: 1 };
        tell(case, "clocks", &contrasts.ratios(turns, sides));
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

/// A system that answers.
struct Running {
    target: System,
    /// Where its files are.
    _folder: tempfile::TempDir,
}

impl Running {
    fn start(arm: &Arm, clock: Clock) -> Running {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = std::env::current_exe().expect("a program has a path");
        let launched = Builtin { program }.launch(arm, folder.path(), clock);
        Running { target: launched.expect("the system starts"), _folder: folder }
    }
}

/// A system, and how often it is sampled.
struct Side {
    system: Rc<Running>,
    hz: Option<u16>,
}

/// Contrasts of the same kind.
struct Contrasts<'a> {
    case: &'a Case,
    scenario: &'a Scenario,
    clock: Clock,
    /// Turns before systems are started anew.
    turns_each: u64,
}

impl Contrasts<'_> {
    /// The ratio of every turn; `sides` starts the side with it and the one without.
    fn ratios(&self, turns: u64, sides: impl Fn() -> [Side; 2]) -> Vec<f64> {
        let Contrasts { case, scenario, clock, turns_each } = *self;
        let mut ratios = Vec::new();
        while (ratios.len() as u64) < turns {
            let [with, without] = sides();
            let contrast = Contrast { case, scenario, clock, with, without };
            let begun = ratios.len() as u64;
            let end = turns.min(begun + turns_each);
            ratios.extend((begun..end).map(|turn| contrast.ratio(turn)));
        }
        ratios
    }
}

fn tell(case: &Case, what: &str, ratios: &[f64]) {
    let location = geometric_location(ratios).expect("rates are positive");
    let interval = location
        .interval
        .map_or("too few turns".to_owned(), |(low, high)| format!("[{low:.3}, {high:.3}]"));
    println!("| {} | {what} | {:.3} | {interval} | {} |", case.name, location.value, ratios.len());
}

/// Two sides under the same load.
struct Contrast<'a> {
    case: &'a Case,
    scenario: &'a Scenario,
    clock: Clock,
    with: Side,
    without: Side,
}

impl Contrast<'_> {
    /// Of one turn: the rates with it over those without, their geometric mean.
    fn ratio(&self, turn: u64) -> f64 {
        let seed = self.scenario.seed.child("overhead", turn);
        let with_first = seed.stream("order", 0).random_bool(0.5);
        let (outer, inner) =
            if with_first { (&self.with, &self.without) } else { (&self.without, &self.with) };
        let first = self.rate(outer, seed);
        let both_inner = self.rate(inner, seed) * self.rate(inner, seed);
        let both_outer = first * self.rate(outer, seed);
        let ratio = (both_outer / both_inner).sqrt();
        if with_first { ratio } else { 1.0 / ratio }
    }

    /// Operations per second in one span.
    fn rate(&self, side: &Side, seed: Seed) -> f64 {
        let pace = Pace::Closed { think: Nanos::ZERO };
        let (clients, warmup, duration) = (self.case.clients, WARMUP, DURATION);
        let span = Span { clients, share: Share::ALL, pace, warmup, duration, seed, sample: None };
        let (workload, stop) = (Workload::of(self.scenario), Arc::new(AtomicBool::new(false)));
        // Starting it takes some milliseconds, once in a trial of seconds; what it costs while it runs is asked here.
        let session = side.hz.map(|hz| Session::start(hz).expect("the sampler starts"));
        let seen =
            load::offer(&side.system.target, &workload, &span, self.clock, &stop, &mut Unwatched)
                .expect("the host gives threads");
        if let Some(session) = session {
            session.finish_counting().expect("the sampler reports");
        }
        assert_eq!(seen.recorder.errors(), 0, "{:?}", seen.first_error);
        seen.recorder.ops() as f64 / seen.elapsed.as_secs_f64()
    }
}

/// Nobody looks at the threads meanwhile.
struct Unwatched;

impl Watcher for Unwatched {
    fn begin(&mut self) {}
    fn end(&mut self) {}
}
