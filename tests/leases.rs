//! Leases of a real node end, and take their keys along: not before their time, soon after, and also after a restart. And
//! what a server refuses never reaches its log.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

use kvbench::clock::Clock;
use kvbench::measure::stage::Probe;
use kvbench::model::{Body, EventKind, Interval, LeaseId, Put, Refusal, Request, Response};
use kvbench::node::{Compaction, Config, Node};
use kvbench::raft::{self, ApplyOn, Fsync, Propose, Publish, Reads};
use kvbench::store::{self, PathKind, WatchResponse, WatchSpec, watch};
use kvbench::units::Nanos;
use std::path::Path;
use std::time::Duration;

/// etcd's and our shortest time to live.
const TTL_S: i64 = 2;
const TTL: Nanos = Nanos::from_millis(2000);

/// How much later than its time a lease may end here. A machine that is busy needs some of it.
const LATE: Nanos = Nanos::from_millis(1500);

fn start(folder: &Path, path: PathKind) -> Node {
    let store = store::Config::in_memory(path);
    let pipeline = raft::Config {
        propose: Propose::Pipelined,
        apply_on: ApplyOn::ApplyThread,
        publish: Publish::Ready,
        fsync: Fsync::Off,
        reads: Reads::Index,
    };
    Node::start(
        Config { store, compaction: Compaction::NEVER, pipeline },
        folder,
        Clock::start(),
        Probe::off(),
    )
    .unwrap()
}

fn call(node: &Node, request: Request) -> Response {
    node.call_all(&[request]).remove(0).unwrap().reply
}

fn grant(node: &Node, id: LeaseId) -> LeaseId {
    match call(node, Request::LeaseGrant { id, ttl_s: TTL_S }).result {
        Ok(Body::LeaseGrant { id, ttl_s: TTL_S }) => id,
        other => panic!("not granted: {other:?}"),
    }
}

fn put_leased(node: &Node, key: &str, lease: LeaseId) {
    let put = Put { key: key.into(), value: b"v".into(), lease, ..Put::default() };
    call(node, Request::Put(put)).result.unwrap();
}

/// Waits for deletions, which come in one revision, and gives the keys.
fn deleted(node: &Node) -> Vec<Vec<u8>> {
    let spec = WatchSpec { interval: Interval::everything(), no_put: true, ..WatchSpec::default() };
    match watch(&node.store(), spec).next(Duration::from_secs(20)) {
        Some(WatchResponse::Events { events, .. }) => {
            assert!(events.iter().all(|event| event.kind == EventKind::Delete));
            events.iter().map(|event| event.kv.key.clone()).collect()
        }
        other => panic!("nothing was deleted: {other:?}"),
    }
}

fn assert_in_time(span: Nanos) {
    assert!(span >= TTL && span <= TTL.after(LATE), "ended after {span:?}");
}

#[test]
fn a_lease_ends_and_takes_its_keys_along_in_one_revision() {
    for path in [PathKind::GlobalMutex, PathKind::Sharded { shards: 16, workers: 1 }] {
        let folder = tempfile::tempdir().unwrap();
        let node = start(folder.path(), path);
        let clock = Clock::start();
        let lease = grant(&node, 0);
        ["a", "b", "c"].into_iter().for_each(|key| put_leased(&node, key, lease));
        call(&node, Request::put("free", "v")).result.unwrap();
        let times = node.time_to_live(lease, true);
        assert_eq!((times.status.granted_ttl_s, times.status.keys.len()), (TTL_S, 3));
        assert!(times.remaining_s == 1, "{times:?}");
        assert_eq!(deleted(&node), [b"a", b"b", b"c"]);
        assert_in_time(clock.now());
        let times = node.time_to_live(lease, true);
        assert_eq!((times.status.granted_ttl_s, times.remaining_s), (-1, -1));
        assert_eq!(node.keep_alive(lease), Err(Refusal::LeaseNotFound));
    }
}

#[test]
fn a_lease_that_is_kept_alive_lives_on() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path(), PathKind::GlobalMutex);
    let lease = grant(&node, 7);
    put_leased(&node, "k", lease);
    let mut clock = Clock::start();
    for _ in 0..3 {
        clock.sleep(Nanos::from_millis(1000));
        clock = Clock::start();
        assert_eq!(node.keep_alive(lease), Ok(TTL_S));
    }
    assert_eq!(deleted(&node), [b"k"]);
    assert_in_time(clock.now());
}

#[test]
fn after_a_restart_a_lease_has_its_full_time_again_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = PathKind::Sharded { shards: 16, workers: 1 };
    let node = start(folder.path(), path);
    let lease = grant(&node, 0);
    let revoked = grant(&node, 0);
    put_leased(&node, "k", lease);
    call(&node, Request::LeaseRevoke { id: revoked }).result.unwrap();
    Clock::start().sleep(Nanos::from_millis(1500));
    drop(node);
    let clock = Clock::start();
    let node = start(folder.path(), path);
    assert_eq!(node.keep_alive(revoked), Err(Refusal::LeaseNotFound));
    assert_ne!(grant(&node, 0), lease);
    assert_eq!(deleted(&node), [b"k"]);
    assert_in_time(clock.now());
}

#[test]
fn what_is_refused_is_not_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path(), PathKind::GlobalMutex);
    let revision = call(&node, Request::put("k", "v")).revision;
    let before = node.counts().log_bytes;
    for (request, refusal) in [
        (Request::put("", "v"), Refusal::EmptyKey),
        (Request::get(""), Refusal::EmptyKey),
        (Request::put("k", vec![0; 2 << 20]), Refusal::TooLarge),
        (Request::LeaseGrant { id: 1, ttl_s: i64::MAX }, Refusal::LeaseTtlTooLarge),
    ] {
        assert_eq!(call(&node, request), Response { revision, result: Err(refusal) });
    }
    assert_eq!(node.counts().log_bytes, before);
    let layer = kvbench::node::ApplyOnly::start(
        store::Config::in_memory(PathKind::GlobalMutex),
        Compaction::NEVER,
        std::path::Path::new("unused"),
        Probe::off(),
    );
    let outcome = layer.unwrap().call_all(&[Request::delete("")]).remove(0).unwrap();
    assert_eq!(outcome.reply, Response { revision: 1, result: Err(Refusal::EmptyKey) });
}
