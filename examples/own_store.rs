//! Measures a store of one's own with everything kvbench has: trials in random pairs, intervals, a verdict, checks, a report.
//!
//! Two stores that know put and get: one map behind one lock, and sixteen maps with a lock each. The first is `before`, the
//! second `after`; which is which is decided in `Launch`, and everything else is kvbench's.
//!
//! ```sh
//! cargo run --release --example own_store
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints")]

use kvbench::agent::Agents;
use kvbench::clock::Clock;
use kvbench::compare;
use kvbench::measure::stage::Timeline;
use kvbench::model::{Body, KeyValue, Put, RangeResult, Request, Response};
use kvbench::raft::Delivered;
use kvbench::report::terminal;
use kvbench::runner::{self, Options, Progress};
use kvbench::scenario;
use kvbench::scenario::spec::Arm;
use kvbench::store::Digest;
use kvbench::target::{Answer, CallError, Client, Connect, Launch, LaunchError, Target};
use std::collections::BTreeMap;
use std::error::Error;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The question. Layer `store` says that clients call the store on threads of their own.
const SCENARIO: &str = r#"
schema = 1
name   = "own_store"
[system]
layer = "store"
[arms.before]
[arms.after]
[keys]
space = "10k"
[[op]]
put = { weight = 1 }
[[op]]
get = { weight = 1 }
[[phase]]
name     = "busy"
load     = { closed = { clients = [1, 2, 8] } }
warmup   = "50ms"
duration = "200ms"
[[target]]
id     = "faster"
metric = "busy.throughput@8"
ratio  = ">= 1.2"
"#;

/// A map for each lock.
struct Maps {
    maps: Vec<Mutex<BTreeMap<Vec<u8>, KeyValue>>>,
    /// Revision of the last put; a fresh store is at 1.
    revision: AtomicI64,
}

impl Maps {
    fn of(locks: usize) -> Maps {
        let maps = (0..locks).map(|_| Mutex::default()).collect();
        Maps { maps, revision: AtomicI64::new(1) }
    }

    fn map(&self, key: &[u8]) -> &Mutex<BTreeMap<Vec<u8>, KeyValue>> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        &self.maps[hash as usize % self.maps.len()]
    }

    fn put(&self, put: Put) -> Response {
        let mut map = self.map(&put.key).lock().unwrap_or_else(PoisonError::into_inner);
        let revision = self.revision.fetch_add(1, Ordering::Relaxed) + 1;
        let kv = map.entry(put.key.clone()).or_insert_with(|| KeyValue {
            key: put.key,
            create_revision: revision,
            ..KeyValue::default()
        });
        kv.value = put.value;
        kv.mod_revision = revision;
        kv.version += 1;
        Response { revision, result: Ok(Body::Put { prev_kv: None }) }
    }

    fn get(&self, key: &[u8]) -> Response {
        let map = self.map(key).lock().unwrap_or_else(PoisonError::into_inner);
        let kvs: Vec<KeyValue> = map.get(key).cloned().into_iter().collect();
        let result = RangeResult { count: kvs.len() as i64, kvs, more: false };
        Response {
            revision: self.revision.load(Ordering::Relaxed),
            result: Ok(Body::Range(result)),
        }
    }

    fn execute(&self, request: Request) -> Answer {
        let reply = match request {
            Request::Put(put) => self.put(put),
            Request::Range(range) if range.interval.is_point() => self.get(&range.interval.key),
            other => return Err(CallError(format!("this store does not know {other:?}"))),
        };
        Ok(Delivered { reply, timeline: Timeline::default() })
    }
}

/// The store under test. A store of one's own would open a connection, or its files, in `launch`.
struct OwnStore(Arc<Maps>);

struct OwnClient(Arc<Maps>);

impl Client for OwnClient {
    async fn call(&self, request: Request) -> Answer {
        self.0.execute(request)
    }
}

impl Connect for OwnStore {
    type Client = OwnClient;

    async fn connect(&self, clients: u32) -> Result<Vec<OwnClient>, CallError> {
        Ok((0..clients).map(|_| OwnClient(self.0.clone())).collect())
    }

    fn blocks_its_caller(&self) -> bool {
        true
    }
}

impl Target for OwnStore {
    fn call_all(&self, requests: &[Request]) -> Vec<Answer> {
        requests.iter().map(|request| self.0.execute(request.clone())).collect()
    }

    /// With it kvbench sees that no put was lost or done twice, and that both stores end in the same state.
    fn digests(&self) -> Result<Vec<Digest>, CallError> {
        let revision = self.0.revision.load(Ordering::Relaxed);
        let mut digest = Digest { revision, compacted: 0, keys: 0, hash: 0 };
        for map in &self.0.maps {
            for kv in map.lock().unwrap_or_else(PoisonError::into_inner).values() {
                let hash = BuildHasherDefault::<DefaultHasher>::default();
                let told = (&kv.key, &kv.value, kv.create_revision, kv.mod_revision, kv.version);
                digest.keys += 1;
                digest.hash = digest.hash.wrapping_add(hash.hash_one(told).into());
            }
        }
        Ok(vec![digest])
    }
}

/// Which arm is which store.
struct Stores;

impl Stores {
    fn locks(arm: &Arm) -> usize {
        if arm.name == "before" { 1 } else { 16 }
    }
}

impl Launch for Stores {
    type Target = OwnStore;

    fn launch(&self, arm: &Arm, _: &Path, _: Clock) -> Result<OwnStore, LaunchError> {
        Ok(OwnStore(Arc::new(Maps::of(Stores::locks(arm)))))
    }

    fn levers(&self, arm: &Arm) -> Vec<(&'static str, String)> {
        vec![("locks", Stores::locks(arm).to_string())]
    }

    fn answers_everything(&self) -> bool {
        false
    }
}

/// Shows where the run is.
struct Line;

impl runner::Watcher for Line {
    fn progress(&mut self, progress: &Progress<'_>) {
        eprint!("\rpair {} of {} · {}        ", progress.pair, progress.pairs, progress.doing);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = scenario::Options { quick: true, ..scenario::Options::default() };
    let scenario = scenario::parse("own_store", SCENARIO, &options).map_err(|p| p.to_string())?;
    let scratch = tempfile::tempdir()?;
    let options = Options {
        path: "examples/own_store.rs".to_owned(),
        quick: true,
        profile: None,
        scratch: scratch.path().to_path_buf(),
        count_syscalls: false,
        agents: Agents::default(),
        interrupted: Arc::default(),
    };
    let finished = runner::run(&scenario, &options, &Stores, &mut Line)?;
    let comparison = compare::compare(&finished.run);
    let style = terminal::Style { color: false, width: 100 };
    println!("\r{}", terminal::render(&finished.run, &comparison, style));
    Ok(())
}
