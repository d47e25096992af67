//! What starting again costs: time and memory of a node that held a million keys, from its log alone, and from an image with the rest of the
//! log behind it; and what the first range takes then, since keys may not be in order yet. Each case runs three times, each time in a
//! process of its own that wrote nothing, so that time and memory are those of a restart alone; the table shows the median and the extremes.
//!
//! `cargo bench --features rocksdb --bench restart`; `-- 100000` for another number of keys.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use kvbench::clock::Clock;
use kvbench::measure::stage::Probe;
use kvbench::model::{Interval, Range, Request};
use kvbench::node::{Compaction, Config, Node, Peers};
use kvbench::raft::{self, ApplyOn, Batch, Fsync, Group, ImagePolicy, Propose, Publish, Reads};
use kvbench::store::{self, EngineKind, PathKind};
use kvbench::units::{ByteSize, Nanos};
use std::path::Path;
use std::process::Command;

const KEYS: u64 = 1_000_000;
const VALUE_BYTES: usize = 256;
const AT_ONCE: u64 = 2_000;
const ROUNDS: usize = 3;

/// First argument of a process that only starts again; engine, folder and number of keys follow.
const CHILD: &str = "start-again";

/// What a restart took.
struct Restart {
    seconds: f64,
    /// Most memory of the process, until it answered.
    peak_kib: u64,
    /// From then until a range of a few keys was answered.
    first_range_seconds: f64,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [word, engine, folder, keys] = args.as_slice()
        && word == CHILD
    {
        return start_again(engine, Path::new(folder), keys.parse().expect("a number of keys"));
    }
    let asked = args.iter().find_map(|arg| arg.parse().ok());
    let keys: u64 = asked.unwrap_or(KEYS);
    println!("{keys} keys of 16 B, values of {VALUE_BYTES} B");
    println!(
        "{:16} {:>20} {:>20} {:>10} {:>16}",
        "", "s until it answers", "s of a first range", "folder MB", "peak MB"
    );
    for (name, engine) in engines() {
        for (begun, images) in [("log", false), ("image", true)] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            fill(engine, folder.path(), keys, images);
            let bytes = size(folder.path());
            let restarts: Vec<_> =
                (0..ROUNDS).map(|_| restart(name, folder.path(), keys)).collect();
            println!(
                "{:16} {:>20} {:>20} {:>10} {:>16}",
                format!("{name}, {begun}"),
                spread(&restarts, 2, |restart| restart.seconds),
                spread(&restarts, 2, |restart| restart.first_range_seconds),
                bytes >> 20,
                spread(&restarts, 0, |restart| (restart.peak_kib >> 10) as f64)
            );
        }
    }
}

/// Median and extremes of what `value` says.
fn spread(restarts: &[Restart], decimals: usize, value: fn(&Restart) -> f64) -> String {
    let mut values: Vec<_> = restarts.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    let (least, median, most) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    format!("{median:.decimals$} [{least:.decimals$}, {most:.decimals$}]")
}

fn engines() -> Vec<(&'static str, EngineKind)> {
    let mut engines = Vec::new();
    if cfg!(feature = "rocksdb") {
        let state_sync = store::StateSync::RaftLogOnly;
        engines.push(("rocksdb", EngineKind::RocksDb { state_sync }));
    }
    engines.push(("memory", EngineKind::Memory));
    engines
}

fn start(engine: EngineKind, folder: &Path) -> Node {
    let path = PathKind::Sharded { shards: 512, workers: 1 };
    let config = Config {
        store: store::Config { engine, ..store::Config::in_memory(path) },
        compaction: Compaction { keep_revisions: 100_000 },
        pipeline: raft::Config {
            propose: Propose::Batched(Batch::default()),
            apply_on: ApplyOn::RaftThread,
            publish: Publish::Ready,
            fsync: Fsync::Real,
            reads: Reads::Index,
        },
    };
    // Images only when they are asked for.
    let never = ImagePolicy { entries: u64::MAX, bytes: ByteSize(u64::MAX), keep: 5_000 };
    let group = Group { images: never, ..Group::alone() };
    let peers = Peers { group, ..Peers::none() };
    Node::start_among(config, peers, folder, Clock::start(), Probe::off()).expect("it starts")
}

fn fill(engine: EngineKind, folder: &Path, keys: u64, image: bool) {
    let node = start(engine, folder);
    for first in (0..keys).step_by(AT_ONCE as usize) {
        let last = keys.min(first + AT_ONCE);
        let put = |number| Request::put(key(number), vec![0x6b; VALUE_BYTES]);
        let puts: Vec<Request> = (first..last).map(put).collect();
        assert!(node.call_all(&puts).iter().all(Result::is_ok));
    }
    if image {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(node.write_image()).expect("an image is begun");
        let clock = Clock::start();
        let is_there = || size(&node.incoming()) > 0 && parts(&node.incoming()) == 0;
        while !is_there() {
            assert!(clock.now() < Nanos::from_millis(120_000), "the image is not finished");
            clock.sleep(Nanos::from_millis(50));
        }
    }
}

/// Keys come in no order, as those of real loads: an odd factor gives each number another place among all of 64 bits.
fn key(number: u64) -> String {
    format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Files that are not finished.
fn parts(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter(|file| file.path().extension().is_some_and(|end| end == "part")).count()
}

/// Starts again in a new process.
fn restart(engine: &str, folder: &Path, keys: u64) -> Restart {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([CHILD, engine]).arg(folder).arg(keys.to_string());
    let output = command.output().expect("the process starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let words: Vec<_> = said.split_whitespace().collect();
    let [seconds, peak_kib, first_range] = words[..] else {
        panic!("{said}{}", String::from_utf8_lossy(&output.stderr));
    };
    Restart {
        seconds: seconds.parse().expect("seconds"),
        peak_kib: peak_kib.parse().expect("a number of KiB"),
        first_range_seconds: first_range.parse().expect("seconds"),
    }
}

/// What the new process does: seconds and KiB go to standard output.
fn start_again(engine: &str, folder: &Path, keys: u64) {
    let known = engines().into_iter().find(|(name, _)| *name == engine);
    let clock = Clock::start();
    let node = start(known.expect("an engine of this build").1, folder);
    let (seconds, peak) = (clock.now().as_secs_f64(), peak_kib());
    let clock = Clock::start();
    let interval = Interval::between("8000", "80001");
    let range = Request::Range(Range { interval, ..Range::default() });
    assert!(node.call_all(&[range]).iter().all(Result::is_ok));
    let first_range = clock.now().as_secs_f64();
    // Afterwards: it reads everything.
    assert_eq!(node.digest().keys, keys);
    println!("{seconds} {peak} {first_range}");
}

fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.path() {
            path if path.is_dir() => size(&path),
            path => path.metadata().map_or(0, |file| file.len()),
        })
        .sum()
}

/// Most memory that this process has used, KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.unwrap_or(0)
}
