//! Same log, same bytes: every path, engine, number of workers, hash seed, batch cut and order of claims gives the
//! responses, events and state that an independent oracle gives. Compared after every batch.
//!
//! `KVBENCH_DIFFERENTIAL=20000000 cargo test --release --test equivalence` runs more requests than the two million of CI;
//! the seed of a difference is printed with the shortest beginning of the log that shows it.

use crate::generate::{Generator, Hint, Shape, describe};
use crate::oracle::Oracle;
use kvbench::measure::stage::Probe;
use kvbench::model::{Event, Position, Request, Response};
use kvbench::seed::Seed;
use kvbench::store::{self, ApplyPath, Command, Config, EngineKind, Parallelism, PathKind};
use rand::Rng;
use std::sync::Arc;

/// Requests compared on the memory engine, each store's counted.
const MEMORY_REQUESTS: u64 = 2_000_000;
/// The same on RocksDB.
#[cfg(feature = "rocksdb")]
const ROCKSDB_REQUESTS: u64 = 200_000;
/// Requests per seed, each on a fresh store.
const CASE_REQUESTS: u64 = 4_000;

/// A store under test beside the oracle.
struct Subject {
    name: String,
    store: Arc<dyn ApplyPath>,
    _folder: tempfile::TempDir,
}

impl Subject {
    fn new(name: &str, config: Config) -> Subject {
        let folder = tempfile::tempdir().unwrap();
        let store = store::open(config, folder.path(), Probe::off()).unwrap();
        Subject { name: format!("{name} {config:?}"), store, _folder: folder }
    }

    /// Writes go through the log, in one batch as far as no read comes between them.
    fn execute(&self, batch: &[Request], from: u64) -> Vec<Response> {
        let mut responses = Vec::with_capacity(batch.len());
        let mut commands = Vec::new();
        for (request, index) in batch.iter().zip(from..) {
            if request.is_write() {
                let position = Position { index, offset: 0 };
                commands.push(Command { position, request: request.clone() });
            } else {
                self.apply(&mut commands, &mut responses);
                responses.push(self.store.read(request).response);
            }
        }
        self.apply(&mut commands, &mut responses);
        responses
    }

    fn apply(&self, commands: &mut Vec<Command>, responses: &mut Vec<Response>) {
        let mut answers = Vec::with_capacity(commands.len());
        self.store.apply(std::mem::take(commands), &mut answers);
        responses.extend(answers.into_iter().map(|answer| answer.response));
    }
}

/// The stores of one seed: both paths, and the parallel one with every number of workers.
fn subjects(engine: EngineKind, seed: u64) -> Vec<Subject> {
    let parallel = |workers| {
        let parallelism =
            Parallelism { parallel_from: Some(1), shuffled_claims: Some(seed ^ 0x5eed) };
        let path = PathKind::Sharded { shards: 1 << (seed % 10), workers };
        Config { path, engine, hash_seed: seed, parallelism }
    };
    let unshuffled = |workers| {
        let parallelism = Parallelism { parallel_from: Some(1), shuffled_claims: None };
        Config { parallelism, ..parallel(workers) }
    };
    let config =
        |path| Config { path, engine, hash_seed: seed, parallelism: Parallelism::default() };
    vec![
        Subject::new("global", config(PathKind::GlobalMutex)),
        Subject::new("sharded", config(PathKind::Sharded { shards: 16, workers: 1 })),
        Subject::new("parallel", parallel(2)),
        Subject::new("parallel", parallel(3)),
        Subject::new("parallel", parallel(4)),
        Subject::new("parallel, claims in order", unshuffled(2)),
    ]
}

/// What one seed's log is made of.
struct Case {
    seed: u64,
    generator: Generator,
    random: rand_chacha::ChaCha8Rng,
}

impl Case {
    fn new(seed: u64) -> Case {
        let shape = Shape { keys: 3 + (seed % 58) as usize, leases: 1 + (seed % 7) as usize };
        Case {
            seed,
            generator: Generator::new(Seed(seed), shape),
            random: Seed(seed).stream("differential", 0),
        }
    }

    fn batch(&mut self, oracle: &Oracle) -> Vec<Request> {
        let hint = Hint { revision: oracle.revision(), compacted: oracle.compacted() };
        let size = match self.random.random_range(0..4) {
            0 => 1,
            1 => self.random.random_range(2..=8),
            _ => self.random.random_range(9..=90),
        };
        (0..size).map(|_| self.generator.next(hint)).collect()
    }
}

/// Runs one seed's log and gives the number of requests compared.
fn run(seed: u64, subjects: &[Subject]) -> u64 {
    let (mut case, mut oracle) = (Case::new(seed), Oracle::new());
    let mut log: Vec<Request> = Vec::new();
    while (log.len() as u64) < CASE_REQUESTS {
        let batch = case.batch(&oracle);
        let from = log.len() as u64 + 1;
        let before = oracle.revision();
        log.extend(batch.iter().cloned());
        let expected: Vec<_> = batch.iter().map(|request| oracle.apply(request)).collect();
        for subject in subjects {
            let given = subject.execute(&batch, from);
            let difference = first_difference(&batch, &expected, &given)
                .or_else(|| state_difference(subject, &oracle, before));
            if let Some(difference) = difference {
                panic!(
                    "{} differs from the oracle, seed {}, after {} requests: {difference}\n\
                     the last batch:\n{}",
                    subject.name,
                    case.seed,
                    log.len(),
                    describe(&batch),
                );
            }
        }
    }
    log.len() as u64
}

fn first_difference(
    batch: &[Request],
    expected: &[Response],
    given: &[Response],
) -> Option<String> {
    assert_eq!(expected.len(), given.len());
    let pairs = expected.iter().zip(given).enumerate();
    let (at, (expected, given)) = pairs.into_iter().find(|(_, (a, b))| a != b)?;
    let request = describe(&batch[at..=at]);
    Some(format!(
        "request {at} of the batch: {request}\n  expected {expected:?}\n  given    {given:?}"
    ))
}

/// State, lease table, revision, and every event of the batch.
fn state_difference(subject: &Subject, oracle: &Oracle, before: i64) -> Option<String> {
    let (expected, given) = (oracle.dump(), subject.store.dump());
    if expected != given {
        return Some(format!("\n  expected {expected:?}\n  given    {given:?}"));
    }
    if expected.digest() != subject.store.digest() {
        return Some("the state hash".to_owned());
    }
    let from = (before + 1).max(oracle.compacted());
    let expected: Result<Vec<Event>, _> = oracle.events(from, oracle.revision());
    let given = subject.store.events(from, oracle.revision());
    (expected != given).then(|| format!("\n  expected {expected:?}\n  given    {given:?}"))
}

#[expect(clippy::print_stdout, reason = "how much was compared is a result")]
/// At least `wanted` requests, or as many as the environment asks for.
fn compare(wanted: u64, subjects: impl Fn(u64) -> Vec<Subject>) {
    let asked = std::env::var("KVBENCH_DIFFERENTIAL").ok().and_then(|text| text.parse().ok());
    let wanted: u64 = asked.unwrap_or(wanted);
    let (mut done, mut seed) = (0, 0);
    while done < wanted {
        let subjects = subjects(seed);
        done += run(seed, &subjects) * subjects.len() as u64;
        seed += 1;
    }
    println!("{done} requests over {seed} logs, 0 differences");
}

#[test]
fn every_store_in_memory_is_the_oracle() {
    compare(MEMORY_REQUESTS, |seed| subjects(EngineKind::Memory, seed));
}

/// All that RocksDB may sync, in turn.
#[cfg(feature = "rocksdb")]
#[test]
fn every_store_in_rocksdb_is_the_oracle() {
    use kvbench::store::StateSync;
    compare(ROCKSDB_REQUESTS, |seed| {
        let state_sync = match seed % 8 {
            0 => StateSync::PerOp,
            1 => StateSync::PerBatch,
            _ => StateSync::RaftLogOnly,
        };
        subjects(EngineKind::RocksDb { state_sync }, seed)
    });
}
