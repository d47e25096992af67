//! Nodes alone: sites that a load does not come to by itself, and what those hear of it who wait.

use super::turn;
use kvbench::clock::Clock;
use kvbench::failpoint::{self, Action, After, By, SITES, Site};
use kvbench::measure::stage::Probe;
use kvbench::model::{Alarm, AlarmKind, Body, Interval, Range, Request};
use kvbench::node::{Compaction, Config, DataFolder, Node};
use kvbench::raft::{self, ApplyOn, Fsync, Propose, Publish, Reads, Rejected};
use kvbench::store::{self, Parallelism, PathKind};
use kvbench::units::Nanos;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

/// Keys that are there before anything goes wrong.
const KEYS: usize = 60;
/// Far beyond what any wait here takes.
const PATIENCE: Nanos = Nanos::from_millis(20_000);
/// Within this whoever asks has an answer, or a refusal.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Revisions after which a compaction is proposed.
const PERIOD: usize = 10_000;

fn config() -> Config {
    // Every batch is shared among workers.
    let parallelism = Parallelism { parallel_from: Some(1), shuffled_claims: Some(1) };
    let path = PathKind::Sharded { shards: 16, workers: 3 };
    Config {
        store: store::Config { parallelism, ..store::Config::in_memory(path) },
        compaction: Compaction { keep_revisions: 100 },
        pipeline: raft::Config {
            propose: Propose::Batched(raft::Batch::default()),
            apply_on: ApplyOn::ApplyThread,
            publish: Publish::Ready,
            fsync: Fsync::Off,
            reads: Reads::Index,
        },
    }
}

fn start(folder: &Path) -> Node {
    Node::start(config(), folder, Clock::start(), Probe::off()).unwrap()
}

fn key(number: usize) -> String {
    format!("key-{number:03}")
}

fn puts(numbers: std::ops::Range<usize>) -> Vec<Request> {
    numbers.map(|number| Request::put(key(number), number.to_string())).collect()
}

/// An answer or a refusal, in time.
fn ask(node: &Node, request: Request) -> Result<(), Rejected> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let asked = async { tokio::time::timeout(ANSWER_MAX, node.call(request)).await };
    runtime.block_on(asked).expect("whoever asks is not kept waiting").map(drop)
}

/// What brings a node to the site.
fn bring(node: &Node, site: &Site) {
    // What comes of the request is looked at afterwards.
    match site.name {
        "store::compaction" | "store::forget" => drop(ask(node, Request::Compact { revision: 9 })),
        "store::alarm" => {
            let alarm = Alarm { kind: AlarmKind::Corrupt, member: 7 };
            drop(ask(node, Request::AlarmActivate(alarm)));
        }
        "lessor::expired" => drop(ask(node, Request::LeaseGrant { id: 5, ttl_s: 1 })),
        "node::propose-compaction" => drop(node.call_all(&puts(0..PERIOD))),
        _ => drop(node.call_all(&puts(0..KEYS))),
    }
}

/// All keys with what was acknowledged for them.
fn check_keys(node: &Node) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let all = Range { interval: Interval::prefix(*b"key-"), ..Range::default() };
    let answer = runtime.block_on(node.call(Request::Range(all))).unwrap().reply;
    let Ok(Body::Range(found)) = answer.result else { panic!("{answer:?}") };
    assert!(found.kvs.len() >= KEYS, "{} keys are left", found.kvs.len());
    for number in 0..KEYS {
        let kv = found.kvs.iter().find(|kv| kv.key == key(number).as_bytes()).unwrap();
        assert_eq!(kv.value, number.to_string().as_bytes());
    }
}

/// Has it happen; then the node refuses or goes on, as the list says, and has everything when it is started again.
fn try_out(site: &'static Site, action: Action) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("node");
    let node = start(&folder);
    assert!(node.call_all(&puts(0..KEYS)).iter().all(Result::is_ok));
    let armed = failpoint::arm(site, action, 0);
    bring(&node, site);
    let clock = Clock::start();
    let must_stop = site.after(action) == Some(After::Stops);
    while armed.times() == 0 || (must_stop && !node.status().stopped) {
        assert!(clock.now() < PATIENCE, "{} {action}: {} times", site.name, armed.times());
        clock.sleep(Nanos::from_millis(2));
    }
    let outcome = ask(&node, Request::put("after", "it"));
    match must_stop {
        true => assert_eq!(outcome, Err(Rejected::Stopped), "{}", site.name),
        false => assert_eq!(outcome, Ok(()), "{}", site.name),
    }
    drop(armed);
    drop(node);
    let node = start(&folder);
    check_keys(&node);
    assert_eq!(ask(&node, Request::put("after", "it")), Ok(()));
}

#[test]
fn whatever_happens_on_an_occasion_ends_the_node_or_nothing() {
    let _turn = turn();
    let sites = SITES.iter().filter(|site| site.by == By::Occasion && site.name != "image::plant");
    for site in sites {
        for action in [Action::Panic, Action::Error, Action::Sleep(Nanos::from_millis(50))] {
            if site.takes(action) {
                try_out(site, action);
            }
        }
    }
}

/// Requests are under way at every stage when a thread of the pipeline panics: each gets an answer or a refusal, and so does who comes later.
#[test]
fn a_pipeline_that_panics_refuses_and_does_not_hang() {
    let _turn = turn();
    for name in [
        "inbox::take",
        "ready::before-append",
        "log::sync",
        "applier::hand-over",
        "applier::before-apply",
        "applier::before-answer",
        "store::before-commit",
        "workers::request",
        "image::before-sync",
    ] {
        let site = SITES.iter().find(|site| site.name == name).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let node = start(folder.path());
        let armed = failpoint::arm(site, Action::Panic, 1);
        let clock = Clock::start();
        while armed.times() == 0 {
            assert!(clock.now() < PATIENCE, "{name} is not reached");
            // It waits for all of them.
            let outcomes = node.call_all(&puts(0..KEYS));
            assert_eq!(outcomes.len(), KEYS);
            if name.starts_with("image::") {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                drop(runtime.block_on(node.write_image()));
            }
        }
        while !node.status().stopped {
            assert!(clock.now() < PATIENCE, "{name}: the node goes on");
            clock.sleep(Nanos::from_millis(1));
        }
        assert_eq!(ask(&node, Request::put("after", "it")), Err(Rejected::Stopped), "{name}");
        let read = Range { interval: Interval::point(*b"after"), ..Range::default() };
        assert_eq!(ask(&node, Request::Range(read)), Err(Rejected::Stopped), "{name}");
    }
}

#[test]
fn an_image_that_is_not_planted_whole_is_planted_again() {
    let _turn = turn();
    let site = SITES.iter().find(|site| site.name == "image::plant").unwrap();
    let root = tempfile::tempdir().unwrap();
    let from = root.path().join("from");
    let node = start(&from);
    assert!(node.call_all(&puts(0..KEYS)).iter().all(Result::is_ok));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    drop(runtime.block_on(node.image()).unwrap());
    let (_, image) = raft::newest_image(&node.incoming()).unwrap().unwrap();
    for action in [Action::Panic, Action::Error] {
        let into = root.path().join(action.to_string());
        let open = DataFolder::open(&into).unwrap();
        let armed = failpoint::arm(site, action, 0);
        let planted = catch_unwind(AssertUnwindSafe(|| open.plant(&image)));
        assert!(!matches!(planted, Ok(Ok(_))), "{planted:?}");
        assert_eq!(armed.times(), 1);
        drop(armed);
        assert!(open.plant(&image).unwrap(), "{action}: it is taken for planted");
        drop(open);
        check_keys(&start(&into));
    }
}
