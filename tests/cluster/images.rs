//! When an image of the state is due, and that nobody waits for it.

use super::*;
use kvbench::store::{WatchResponse, WatchSpec, watch};
use std::path::Path;
use std::time::Duration;

/// Values of this many bytes.
const VALUE_BYTES: usize = 8 << 10;
/// Bytes of log after which an image is due.
const LOG_BYTES: u64 = 1 << 20;
/// Puts after which some log should have been cut long ago.
const PUTS_MAX: u32 = 100_000;

/// Index of the newest image, 0 if there is none.
fn newest(folder: &Path) -> u64 {
    kvbench::raft::newest_image(folder).unwrap().map_or(0, |(index, _)| index)
}

fn put_bytes(node: &Node, count: usize) {
    let value = "v".repeat(VALUE_BYTES);
    let puts: Vec<_> =
        (0..count).map(|number| Request::put(number.to_string(), value.as_str())).collect();
    for put in puts {
        call(node, put).unwrap();
    }
}

/// Large values fill the log long before there are many entries.
#[test]
fn an_image_is_due_after_so_many_bytes_of_log() {
    let by_bytes = ImagePolicy { entries: u64::MAX, bytes: ByteSize(LOG_BYTES), keep: 10 };
    let cluster = Cluster::start(config(EngineKind::Memory, SHARDED), 1, by_bytes);
    let (node, folder) = (cluster.node(1), cluster.folder(1).join("images"));
    // Values are compressed in the log, if it pays: these bytes are what is written, at most.
    let mut last = 0;
    for _ in 0..2 {
        let (bytes, indexes) = (node.counts().log_bytes, node.status().last);
        put_bytes(node, 1);
        let each = (node.counts().log_bytes - bytes).max(1);
        let enough = usize::try_from(LOG_BYTES.div_ceil(each)).unwrap();
        put_bytes(node, enough / 2);
        assert_eq!(newest(&folder), last, "half of the bytes are not enough");
        put_bytes(node, enough);
        let found = until("an image", || Some(newest(&folder)).filter(|index| *index > last));
        assert!(found > indexes, "{found}");
        // Whatever was put since counts for the next one.
        clean(node, &folder);
        last = newest(&folder);
    }
}

/// Begins the count of bytes anew.
fn clean(node: &Node, folder: &Path) {
    let applied = node.status().applied;
    block_on_time(node.write_image()).unwrap();
    until("an image on demand", || (newest(folder) >= applied).then_some(()));
}

/// While a state of many megabytes is written out, puts are answered as before: they wait for no more than taking the revision.
#[test]
#[expect(clippy::print_stdout, reason = "the longest stall is a result")]
fn puts_go_on_while_an_image_is_written() {
    const KEYS: usize = 60_000;
    let never = ImagePolicy { entries: u64::MAX, bytes: ByteSize(u64::MAX), keep: 10 };
    for engine in engines() {
        let cluster = Cluster::start(config(engine, SHARDED), 1, never);
        let (node, folder) = (cluster.node(1), cluster.folder(1).join("images"));
        let value = "v".repeat(256);
        let keys = (0..KEYS).map(|key| Request::put(format!("{key:08}"), value.as_str()));
        let fill: Vec<_> = keys.collect();
        assert!(node.call_all(&fill).iter().all(Result::is_ok));
        let clock = Clock::start();
        let longest = |while_it_is: &mut dyn FnMut(usize) -> bool| {
            let (mut longest, mut count) = (Nanos::ZERO, 0);
            while while_it_is(count) {
                let began = clock.now();
                call(node, Request::put("live", value.as_str())).unwrap();
                longest = longest.max(clock.now().since(began));
                count += 1;
            }
            (longest, count)
        };
        let (usual, _) = longest(&mut |count| count < 2_000);
        block_on_time(node.write_image()).unwrap();
        let (stalled, count) = longest(&mut |_| newest(&folder) == 0);
        println!(
            "{engine:?}, {KEYS} keys: the longest of 2000 puts took {usual}, the longest of {count} while an image was written {stalled}"
        );
        assert!(count > 0, "every put waited until the image was written");
    }
}

/// Whoever watches at a member that is sent images is told everything all the same, once, and keeps no state that was replaced from going.
#[test]
fn watchers_at_a_member_that_is_sent_images_miss_nothing() {
    for engine in engines() {
        let mut cluster = Cluster::start(config(engine, SHARDED), 3, OFTEN);
        let leader = cluster.leader();
        let behind = 1 + leader % 3;
        let spec = || WatchSpec { interval: Interval::everything(), ..WatchSpec::default() };
        let mut watcher = watch(&cluster.node(behind).store(), spec());
        // Nobody reads this one, so it holds the first state to the end.
        let idle = watch(&cluster.node(behind).store(), spec());
        let began = cluster.node(behind).store().published();
        let mut told = Vec::new();
        for round in 0..3 {
            let images = cluster.network.counts().images;
            cluster.network.isolate(behind);
            // Until no other member's log goes back to where its own ends.
            let lacks = || {
                let next = cluster.node(behind).status().last + 1;
                let mut others = (1..=3).filter(|me| *me != behind);
                others.all(|me| cluster.node(me).status().first > next)
            };
            let mut numbers = 0..PUTS_MAX;
            while !lacks() {
                let number = numbers.next().expect("logs are cut");
                put_surely(&cluster, &format!("k{}", number % 40), &format!("{round}.{number}"));
            }
            cluster.network.heal();
            cluster.check_equal();
            assert!(cluster.network.counts().images > images, "{engine:?}: round {round}");
            while let Some(WatchResponse::Events { events, .. }) =
                watcher.next(Duration::from_millis(50))
            {
                told.extend(events.iter().map(|event| event.revision()));
            }
        }
        let store = cluster.node(behind).store();
        let history = store.events(began + 1, store.published()).unwrap();
        let expected: Vec<_> = history.iter().map(|event| event.revision()).collect();
        assert!(told == expected, "{engine:?}: {} of {}", told.len(), expected.len());
        // Once nobody can read them any more, states that were replaced are gone.
        drop((watcher, idle, store));
        cluster.restart();
        let states = states(&cluster.folder(behind));
        assert!(states <= 1, "{engine:?}: {states}");
    }
}

/// Folders of states, in use or not.
fn states(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).unwrap().flatten();
    names.filter(|entry| entry.file_name().to_string_lossy().starts_with("state")).count()
}
