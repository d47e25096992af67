//! What a watcher is told as it happens is what the oracle says happened, previous versions included, whatever a request did to one key.

use kvbench::measure::stage::Probe;
use kvbench::model::{Event, Position};
use kvbench::store::{self, ApplyPath, Command, Config, PathKind, WatchResponse, WatchSpec, watch};
use kvbench::verify::equivalence::log_of;
use kvbench::verify::oracle::Oracle;
use std::sync::Arc;

fn apply(store: &Arc<dyn ApplyPath>, index: u64, batch: Vec<kvbench::model::Request>) {
    let commands = batch.into_iter().enumerate().map(|(offset, request)| Command {
        position: Position { index, offset: offset as u32 },
        request,
    });
    store.apply(&mut commands.collect(), &mut Vec::new());
}

#[test]
fn a_watcher_that_keeps_up_is_told_what_happened() {
    for (seed, path) in (0..12).zip(
        [
            PathKind::GlobalMutex,
            PathKind::Sharded { shards: 16, workers: 1 },
            PathKind::Sharded { shards: 16, workers: 3 },
        ]
        .into_iter()
        .cycle(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let store = store::open(Config::in_memory(path), folder.path(), Probe::off()).unwrap();
        let spec = WatchSpec {
            interval: kvbench::model::Interval::everything(),
            prev_kv: true,
            ..WatchSpec::default()
        };
        let (mut watcher, mut oracle) = (watch(&store, spec), Oracle::new());
        assert!(watcher.is_synced());
        let mut compared = 0;
        for (batch, index) in log_of(seed).into_iter().zip(1..) {
            // What is compacted before it was told is told otherwise; here it is about what is told.
            let writes = batch.into_iter().filter(|request| {
                request.is_write() && !matches!(request, kvbench::model::Request::Compact { .. })
            });
            let batch: Vec<_> = writes.collect();
            let before = oracle.revision();
            batch.iter().for_each(|request| drop(oracle.apply(request)));
            apply(&store, index, batch);
            let mut told: Vec<Event> = Vec::new();
            while let Some(WatchResponse::Events { events, .. }) = watcher.try_next() {
                told.extend(events.iter().map(|event| (**event).clone()));
            }
            let expected = oracle.events(before + 1, oracle.revision()).unwrap();
            assert_eq!(told, expected, "seed {seed}, {path:?}");
            compared += told.len();
        }
        assert!(compared > 1_000, "{compared} events are no evidence");
    }
}
