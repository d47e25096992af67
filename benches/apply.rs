//! What applying costs: ns per put for batches of several sizes, on a store that already holds its keys. Every case runs
//! once per round, in the same order as the table, so that a slow stretch of the host hits all of them; the table shows
//! the median of the rounds and their quartiles.
//!
//! `cargo bench --features rocksdb --bench apply` for all, `cargo bench --bench apply -- 1000` for the cases whose name contains `1000`.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use kvbench::clock::Clock;
use kvbench::measure::stage::Probe;
use kvbench::model::{Position, Request};
use kvbench::seed::Seed;
use kvbench::store::{self, ApplyPath, Command, EngineKind, PathKind};
use kvbench::units::Nanos;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

const KEYS: u64 = 100_000;
const VALUE_BYTES: usize = 256;
const ROUNDS: usize = 9;
/// Puts per case and round, and between two compactions.
const PUTS: usize = 30_000;
const MADE_AT_ONCE: usize = 500;
const KEPT_REVISIONS: i64 = 100_000;
const BATCHES: [usize; 5] = [1, 25, 100, 1_000, 10_000];

struct Case {
    name: String,
    store: Arc<dyn ApplyPath>,
    batch: usize,
    random: ChaCha8Rng,
    ns_per_put: Vec<f64>,
}

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut cases = Vec::new();
    for (engine_name, engine) in engines() {
        for (path_name, path, probe) in paths() {
            for batch in BATCHES {
                let name = format!("{engine_name}/{path_name}/{batch}");
                if wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())) {
                    let config = store::Config { engine, ..store::Config::in_memory(path) };
                    let folder = folder.path().join(cases.len().to_string());
                    let store = store::open(config, &folder, probe).expect("it opens");
                    cases.push(Case::new(name, store, batch));
                }
            }
        }
    }
    cases.iter_mut().for_each(Case::preload);
    for _ in 0..ROUNDS {
        cases.iter_mut().for_each(Case::round);
    }
    println!("{:32} {:>8} {:>8} {:>8}", "ns per put", "median", "25 %", "75 %");
    for case in &mut cases {
        case.ns_per_put.sort_by(f64::total_cmp);
        let quantile = |part: f64| case.ns_per_put[(ROUNDS as f64 * part) as usize];
        let (low, median, high) = (quantile(0.25), quantile(0.5), quantile(0.75));
        println!("{:32} {median:>8.0} {low:>8.0} {high:>8.0}", case.name);
    }
}

fn engines() -> Vec<(&'static str, EngineKind)> {
    let mut engines = vec![("memory", EngineKind::Memory)];
    if cfg!(feature = "rocksdb") {
        let state_sync = store::StateSync::RaftLogOnly;
        engines.push(("rocksdb", EngineKind::RocksDb { state_sync }));
    }
    engines
}

fn paths() -> Vec<(&'static str, PathKind, Probe)> {
    let sharded = |workers| PathKind::Sharded { shards: 512, workers };
    vec![
        ("global-mutex", PathKind::GlobalMutex, Probe::off()),
        ("global-mutex+probe", PathKind::GlobalMutex, Probe::on(Clock::start())),
        ("sharded/w1", sharded(1), Probe::off()),
        ("sharded/w1+probe", sharded(1), Probe::on(Clock::start())),
        ("sharded/w2", sharded(2), Probe::off()),
        ("sharded/w4", sharded(4), Probe::off()),
    ]
}

impl Case {
    fn new(name: String, store: Arc<dyn ApplyPath>, batch: usize) -> Case {
        let random = Seed(1).stream("apply", 0);
        Case { name, store, batch, random, ns_per_put: Vec::new() }
    }

    fn preload(&mut self) {
        let mut numbers: Vec<u64> = (0..KEYS).collect();
        numbers.shuffle(&mut self.random);
        let mut answers = Vec::new();
        for chunk in numbers.chunks(1_000) {
            answers.clear();
            self.store.apply(chunk.iter().map(|number| put(*number)).collect(), &mut answers);
        }
    }

    /// Requests are made shortly before they are applied, as if just decoded, and outside the measured time; so are
    /// answers dropped.
    fn round(&mut self) {
        let (clock, mut took, mut done) = (Clock::start(), Nanos::ZERO, 0);
        let mut answers = Vec::new();
        while done < PUTS {
            let chunk: Vec<Vec<Command>> = (0..MADE_AT_ONCE.div_ceil(self.batch))
                .map(|_| (0..self.batch).map(|_| put(self.random.random_range(0..KEYS))).collect())
                .collect();
            answers.clear();
            let began = clock.now();
            chunk.into_iter().for_each(|batch| self.store.apply(batch, &mut answers));
            took = took.after(clock.now().since(began));
            done += answers.len();
        }
        self.ns_per_put.push(took.0 as f64 / done as f64);
        let revision = self.store.published() - KEPT_REVISIONS;
        let compact =
            Command { position: Position::default(), request: Request::Compact { revision } };
        self.store.apply(vec![compact], &mut answers);
    }
}

fn put(number: u64) -> Command {
    let request = Request::put(format!("{number:016x}"), vec![0x6b; VALUE_BYTES]);
    Command { position: Position::default(), request }
}
