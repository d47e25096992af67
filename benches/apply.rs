//! What applying costs: ns per put for batches of several sizes, on a store that already holds its keys and has been written to for a
//! while: a young one has its keys in memory one behind the other, in the order in which they are forgotten, and is up to three times as
//! fast. Every case runs once per round, in the same order as the table, so that a slow stretch of the host hits all of them; the table
//! shows the median of the rounds and their quartiles.
//!
//! `cargo bench --features rocksdb --bench apply` for all, `cargo bench --bench apply -- 1000` for the cases whose name contains `1000`.
//! `--keys=1000` has so many keys and revisions of history, 100 000 if it is not said: few enough fit into the processor's caches.
//! With `--split` each case is sampled instead, and the table shows which step of applying the CPU time goes to; no step carries a
//! clock of its own, so splitting costs what is split nothing.
//!
//! `bare` is no apply path: a hash table that keeps values and lets go of them when the others do, and has nothing else. It fetches nothing
//! ahead, so it is something to hold the others against and not the least that can be.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use hashbrown::HashTable;
use kvbench::clock::Clock;
use kvbench::measure::stage::Probe;
use kvbench::model::{MainRevision, Position, Put, Request};
use kvbench::profile;
use kvbench::seed::Seed;
use kvbench::store::{self, Answer, ApplyPath, Command, EngineKind, PathKind};
use kvbench::units::Nanos;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

const KEYS: u64 = 100_000;
const VALUE_BYTES: usize = 256;
const ROUNDS: usize = 9;
/// Puts per case and round, and between two compactions.
const PUTS: usize = 30_000;
/// Rounds before what is measured, at least: from then on a put takes what it goes on taking. Four times the history, with 100 000 keys.
const ROUNDS_TO_AGE: usize = 14;
const MADE_AT_ONCE: usize = 500;
const BATCHES: [usize; 5] = [1, 25, 100, 1_000, 10_000];

struct Case {
    name: String,
    subject: Box<dyn Subject>,
    batch: usize,
    /// And revisions that are kept.
    keys: u64,
    random: ChaCha8Rng,
    ns_per_put: Vec<f64>,
}

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let keys = std::env::args().find_map(|arg| arg.strip_prefix("--keys=").map(str::to_owned));
    let keys = keys.map_or(KEYS, |keys| keys.parse().expect("--keys= takes a number"));
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut cases = Vec::new();
    for (engine_name, engine) in engines() {
        for (path_name, path, probe) in paths() {
            for batch in BATCHES {
                let name = format!("{engine_name}/{path_name}/{batch}");
                if is_wanted(&name) {
                    let config = store::Config { engine, ..store::Config::in_memory(path) };
                    let folder = folder.path().join(cases.len().to_string());
                    let store = store::open(config, &folder, probe).expect("it opens");
                    let path = Path { store, answers: Vec::new() };
                    cases.push(Case::new(name, Box::new(path), batch, keys));
                }
            }
        }
    }
    for batch in BATCHES {
        let name = format!("bare/{batch}");
        if is_wanted(&name) {
            cases.push(Case::new(name, Box::new(Bare::default()), batch, keys));
        }
    }
    for case in &mut cases {
        case.preload();
        let rounds = ROUNDS_TO_AGE.max(4 * keys as usize / PUTS);
        (0..rounds).for_each(|_| case.round());
        case.ns_per_put.clear();
    }
    if std::env::args().any(|arg| arg == "--split") {
        return split_all(&mut cases);
    }
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

/// The steps of applying, and what the names of their functions begin with. A sample belongs to the step whose function lies
/// deepest in its stack; memory that a step allocates, hashes or frees is that step's.
const STEPS: [(&str, &[&str]); 10] = [
    (
        "pre-pass",
        &[
            "store::prepare::",
            "store::footprint::",
            "store::tickets::new",
            "store::parallel::order",
        ],
    ),
    (
        "locks",
        &["measure::lock::", "store::sharded::lock", "store::sharded::leave", "store::tickets::"],
    ),
    ("ahead", &["store::ahead::next", "store::memory::prefetch", "store::sharded::prefetch"]),
    ("find", &["store::core::get", "store::memory::get", "store::rocks::get", "store::look::"]),
    (
        "evaluate",
        &[
            "store::evaluate::",
            "store::core::evaluate",
            "store::memory::version",
            "store::kv::over",
        ],
    ),
    ("keep", &["store::core::write", "store::memory::add", "store::rocks::add"]),
    (
        "forget",
        &[
            "store::memory::forget",
            "store::rocks::forget",
            "store::rocks::bury",
            "store::history::",
        ],
    ),
    ("stamp", &["store::publication::settle", "store::core::settle", "store::effects::"]),
    (
        "publish",
        &[
            "store::publication::publish",
            "store::publication::commit",
            "store::core::commit",
            "store::watch::",
        ],
    ),
    ("hand over", &["store::pool::", "store::parallel::take"]),
];

/// Samples each case for so many rounds; at 250 samples per CPU-second that is about a thousand of them.
const SPLIT_ROUNDS: usize = 60;

fn split_all(cases: &mut [Case]) {
    let names = STEPS.map(|(name, _)| format!("{name:>10}")).concat();
    println!("{:32} {:>8} {:>8}{names}{:>10}", "% of CPU", "ns/put", "samples", "rest");
    for case in cases {
        let session = profile::Session::start(profile::FREQUENCY_HZ).expect("the sampler starts");
        (0..SPLIT_ROUNDS).for_each(|_| case.round());
        let folded = session.finish().expect("the sampler reports").to_text();
        case.ns_per_put.sort_by(f64::total_cmp);
        let median = case.ns_per_put[SPLIT_ROUNDS / 2];
        let counts = split(&folded);
        let samples: u64 = counts.iter().sum();
        let percent = |count: u64| 100.0 * count as f64 / samples.max(1) as f64;
        let parts = counts.map(|count| format!("{:>10.1}", percent(count))).concat();
        println!("{:32} {median:>8.0} {samples:>8}{parts}", case.name);
    }
}

/// Samples within `apply`, by step; the last one counts those of no step. Compaction is not part of a put.
fn split(folded: &str) -> [u64; STEPS.len() + 1] {
    let mut counts = [0; STEPS.len() + 1];
    for line in folded.lines() {
        let Some((stack, count)) = line.rsplit_once(' ') else { continue };
        let applies = ["global", "sharded", "parallel"]
            .iter()
            .any(|path| stack.contains(&format!("store::{path}::apply")))
            || stack.contains("store::parallel::work");
        let applies = applies && !stack.contains("::compact");
        let count: u64 = count.parse().unwrap_or(0);
        if applies {
            counts[step_of(stack)] += count;
        }
    }
    counts
}

fn step_of(stack: &str) -> usize {
    let of_frame = |frame: &str| {
        STEPS.iter().position(|(_, names)| names.iter().any(|name| frame.contains(name)))
    };
    stack.split(';').rev().find_map(of_frame).unwrap_or(STEPS.len())
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
    fn new(name: String, subject: Box<dyn Subject>, batch: usize, keys: u64) -> Case {
        let random = Seed(1).stream("apply", 0);
        Case { name, subject, batch, keys, random, ns_per_put: Vec::new() }
    }

    fn preload(&mut self) {
        let mut numbers: Vec<u64> = (0..self.keys).collect();
        numbers.shuffle(&mut self.random);
        for chunk in numbers.chunks(1_000) {
            self.subject.apply(&mut chunk.iter().map(|number| put(*number)).collect());
            self.subject.drop_answers();
        }
    }

    /// Requests are made shortly before they are applied, as if just decoded, and outside the measured time; so are
    /// answers dropped.
    fn round(&mut self) {
        let (clock, mut took, mut done) = (Clock::start(), Nanos::ZERO, 0);
        while done < PUTS {
            let mut chunk: Vec<Vec<Command>> = (0..MADE_AT_ONCE.div_ceil(self.batch))
                .map(|_| {
                    (0..self.batch).map(|_| put(self.random.random_range(0..self.keys))).collect()
                })
                .collect();
            done += chunk.len() * self.batch;
            let began = clock.now();
            chunk.iter_mut().for_each(|batch| self.subject.apply(batch));
            took = took.after(clock.now().since(began));
            self.subject.drop_answers();
        }
        self.ns_per_put.push(took.0 as f64 / done as f64);
        self.subject.compact(self.keys as MainRevision);
    }
}

/// What is timed.
trait Subject {
    fn apply(&mut self, batch: &mut Vec<Command>);
    fn drop_answers(&mut self);
    /// From now on so many revisions are kept; what is older is let go with the puts that follow.
    fn compact(&mut self, kept: MainRevision);
}

struct Path {
    store: Arc<dyn ApplyPath>,
    answers: Vec<Answer>,
}

impl Subject for Path {
    fn apply(&mut self, batch: &mut Vec<Command>) {
        self.store.apply(batch, &mut self.answers);
    }

    fn drop_answers(&mut self) {
        self.answers.clear();
    }

    fn compact(&mut self, kept: MainRevision) {
        let request = Request::Compact { revision: self.store.published() - kept };
        self.apply(&mut vec![Command { position: Position::default(), request }]);
    }
}

/// Newest values by key, and older ones until they are let go.
#[derive(Default)]
struct Bare {
    newest: HashTable<(Vec<u8>, Vec<u8>)>,
    /// With the revision that put another in their place.
    older: VecDeque<(MainRevision, Vec<u8>)>,
    revision: MainRevision,
    compacted: MainRevision,
}

/// More than come with a put, so that a backlog shrinks.
const LET_GO_WITH_A_PUT: usize = 2;

impl Bare {
    fn put(&mut self, put: Put) {
        self.revision += 1;
        let hash_of = |(key, _): &(Vec<u8>, Vec<u8>)| xxh3_64(key);
        let hash = xxh3_64(&put.key);
        match self.newest.find_mut(hash, |(key, _)| *key == put.key) {
            Some((_, value)) => {
                self.older.push_back((self.revision, std::mem::replace(value, put.value)));
            }
            None => {
                self.newest.insert_unique(hash, (put.key, put.value), hash_of);
            }
        }
        for _ in 0..LET_GO_WITH_A_PUT {
            if self.older.front().is_some_and(|(replaced, _)| *replaced <= self.compacted) {
                self.older.pop_front();
            }
        }
    }
}

impl Subject for Bare {
    fn apply(&mut self, batch: &mut Vec<Command>) {
        for command in batch.drain(..) {
            let Request::Put(put) = command.request else { panic!("nothing but puts are applied") };
            self.put(put);
        }
    }

    fn drop_answers(&mut self) {}

    fn compact(&mut self, kept: MainRevision) {
        self.compacted = self.revision - kept;
    }
}

fn put(number: u64) -> Command {
    let request = Request::put(format!("{number:016x}"), vec![0x6b; VALUE_BYTES]);
    Command { position: Position::default(), request }
}
