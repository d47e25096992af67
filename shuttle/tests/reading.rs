//! Reading while a compaction goes by: a reader finds what was there at the revision it names, whole.

use kvbench_shuttle::measure::stage::Probe;
use kvbench_shuttle::model::{Body, Interval, Position, Range, Request};
use kvbench_shuttle::store::{self, ApplyPath, Command, Config, PathKind};
use shuttle::thread;
use std::sync::Arc;

/// Schedules tried, unless `SHUTTLE_SCHEDULES` says how many.
const SCHEDULES: usize = 10_000;

fn apply(store: &Arc<dyn ApplyPath>, request: Request) {
    store.apply(&mut vec![Command { position: Position::default(), request }], &mut Vec::new());
}

/// A key that is always there, read while it is overwritten and its old version forgotten.
#[test]
fn a_compaction_takes_nothing_from_under_a_reader() {
    let schedules = std::env::var("SHUTTLE_SCHEDULES").map_or(SCHEDULES, |n| n.parse().unwrap());
    shuttle::check_pct(
        || {
            let config = Config::in_memory(PathKind::Sharded { shards: 1, workers: 1 });
            let unused = std::path::Path::new("unused");
            let store = store::open(config, unused, Probe::off()).unwrap();
            apply(&store, Request::put("a", "1"));
            let writer = {
                let store = store.clone();
                thread::spawn(move || {
                    apply(&store, Request::put("a", "2"));
                    apply(&store, Request::Compact { revision: 3 });
                    // Every eighth write forgets, and a batch looks ahead under the reader's locks.
                    let put = |number: i32| Command {
                        position: Position::default(),
                        request: Request::put("b", number.to_string()),
                    };
                    store.apply(&mut (0..7).map(put).collect(), &mut Vec::new());
                })
            };
            let range = Range { interval: Interval::prefix("a"), ..Range::default() };
            for request in [Request::get("a"), Request::Range(range)] {
                let response = store.read(&request).response;
                let Ok(Body::Range(found)) = response.result else { panic!("{response:?}") };
                assert_eq!(found.kvs.len(), 1, "at {}", response.revision);
            }
            writer.join().unwrap();
        },
        schedules,
        3,
    );
}
