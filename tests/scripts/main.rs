//! Stories about the store, told as scripts with their expected output. Every script is run on every path, engine and number
//! of workers, and all have to give the same text.
//!
//! After an intended change: `UPDATE_GOLDENFILES=1 cargo test --release --test scripts`, then read the difference.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

mod parse;
mod print;

use goldenscript::{Command as Line, Runner};
use kvbench::measure::stage::Probe;
use kvbench::model::{Position, Request, Response, validate};
use kvbench::store::{self, ApplyPath, Command, Config, EngineKind, Parallelism, PathKind};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Every store a script is run on.
fn configs() -> Vec<Config> {
    let mut engines = vec![EngineKind::Memory];
    if cfg!(feature = "rocksdb") {
        engines.push(EngineKind::RocksDb { state_sync: store::StateSync::RaftLogOnly });
    }
    let sharded = |shards, workers| PathKind::Sharded { shards, workers };
    let paths = [
        PathKind::GlobalMutex,
        sharded(1, 1),
        sharded(16, 1),
        sharded(512, 1),
        sharded(16, 2),
        sharded(512, 4),
    ];
    let parallelism = Parallelism { parallel_from: Some(1), shuffled_claims: Some(5) };
    let with = |engine| {
        paths.iter().map(move |path| Config {
            engine,
            hash_seed: 1,
            parallelism,
            ..Config::in_memory(*path)
        })
    };
    engines.into_iter().flat_map(with).collect()
}

/// A store and where its log stands.
struct Stage {
    store: Arc<dyn ApplyPath>,
    position: Position,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new(config: Config) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let store = store::open(config, folder.path(), Probe::off()).unwrap();
        Stage { store, position: Position::default(), _folder: folder }
    }

    /// Requests as one batch of the log, except that what a server refuses does not get there.
    fn execute(&mut self, requests: Vec<Request>) -> Vec<String> {
        if let [request] = requests.as_slice() {
            if let Err(refusal) = validate(request) {
                return vec![format!("invalid: {refusal}")];
            }
            if !request.is_write() {
                return vec![print::response(&self.store.read(request).response)];
            }
        }
        self.apply(requests).iter().map(print::response).collect()
    }

    fn apply(&mut self, requests: Vec<Request>) -> Vec<Response> {
        let command = |request| {
            self.position.index += 1;
            Command { position: self.position, request }
        };
        let mut answers = Vec::new();
        self.store.apply(&mut requests.into_iter().map(command).collect(), &mut answers);
        answers.into_iter().map(|answer| answer.response).collect()
    }

    fn events(&self, range: &str) -> Result<Vec<String>, Box<dyn Error>> {
        let (from, to) = range.split_once("..").ok_or("events FROM..TO")?;
        Ok(match self.store.events(from.parse()?, to.parse()?) {
            Ok(events) => events.iter().map(print::event).collect(),
            Err(compacted) => vec![format!("compacted at {compacted}")],
        })
    }
}

impl Runner for Stage {
    /// `do "request"` for one request, `batch "request" "request"` for several in one batch, `events from..to`, `dump`.
    fn run(&mut self, line: &Line) -> Result<String, Box<dyn Error>> {
        let texts: Vec<&str> = line.args.iter().map(|arg| arg.value.as_str()).collect();
        let lines = match (line.name.as_str(), texts.as_slice()) {
            ("do" | "batch", texts) => {
                let requests = texts.iter().map(|text| parse::request(text));
                self.execute(requests.collect::<Result<_, _>>()?)
            }
            ("events", [range]) => self.events(range)?,
            ("dump", []) => print::dump(&self.store.dump()),
            (name, _) => return Err(format!("no command {name} with these arguments").into()),
        };
        Ok(lines.join("\n"))
    }
}

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/stories");
    let mut scripts: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    scripts
}

#[test]
fn every_store_tells_the_same_stories() {
    assert!(scripts().len() >= 10);
    for script in scripts() {
        for (number, config) in configs().into_iter().enumerate() {
            let mut stage = Stage::new(config);
            if number == 0 {
                goldenscript::run(&mut stage, &script).unwrap();
                continue;
            }
            let told = std::fs::read_to_string(&script).unwrap();
            let given = goldenscript::generate(&mut stage, &told).unwrap();
            assert_eq!(given, told, "{} on {config:?}", script.display());
        }
    }
}
