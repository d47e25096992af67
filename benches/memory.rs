//! What a key costs in memory beyond its own bytes and its value's: resident memory of the process before and after, for
//! stores of a million keys. `cargo bench --bench memory`.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use kvbench::measure::stage::Probe;
use kvbench::model::{Interval, Position, Range, Request};
use kvbench::store::{self, ApplyPath, Command, PathKind};
use std::path::Path;
use std::sync::Arc;

const KEYS: u64 = 1_000_000;
const KEY_BYTES: usize = 16;
const VALUE_BYTES: usize = 256;
const PAGE_BYTES: u64 = 4_096;
const BATCH: u64 = 1_000;

fn main() {
    println!("bytes beyond {KEY_BYTES} B of key and {VALUE_BYTES} B of value, {KEYS} keys");
    // One path only: a second store would be given the memory of the first.
    let path = PathKind::Sharded { shards: 512, workers: 1 };
    let store = store::open(store::Config::in_memory(path), Path::new("unused"), Probe::off());
    let store = store.expect("a store in memory opens");
    let empty = resident_bytes();
    write_all(&store);
    show("one version", empty, 1);
    range_over(&store);
    show("and the ordered index", empty, 1);
    write_all(&store);
    show("two versions, per version", empty, 2);
}

fn show(what: &str, empty: u64, versions: u64) {
    let used = resident_bytes().saturating_sub(empty) as f64 / (KEYS * versions) as f64;
    println!("{what:26} {:>6.0}", used - (KEY_BYTES + VALUE_BYTES) as f64);
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux says how much is used");
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("the second number is resident pages") * PAGE_BYTES
}

fn write_all(store: &Arc<dyn ApplyPath>) {
    let mut answers = Vec::new();
    for first in (0..KEYS).step_by(BATCH as usize) {
        answers.clear();
        store.apply(&mut (first..first + BATCH).map(put).collect(), &mut answers);
    }
}

/// The ordered index is built when an interval is first walked.
fn range_over(store: &Arc<dyn ApplyPath>) {
    let interval = Interval::everything();
    store.read(&Request::Range(Range { interval, count_only: true, ..Range::default() }));
}

fn put(number: u64) -> Command {
    let request = Request::put(format!("{number:0KEY_BYTES$x}"), vec![0x6b; VALUE_BYTES]);
    Command { position: Position::default(), request }
}
