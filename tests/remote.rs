//! Servers behind gRPC as targets: the layers `rpc` and `etcd`, through the same door as any scenario.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]
#![expect(clippy::print_stderr, reason = "what was skipped is said")]

use kvbench::clock::Clock;
use kvbench::load::Fanout;
use kvbench::model::{Body, Interval, Range, Refusal, Request};
use kvbench::scenario::spec::{Arm, Scenario};
use kvbench::scenario::{self, Options};
use kvbench::target::{Builtin, Client, Connect, Launch, System, Target};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

fn builtin() -> Builtin {
    Builtin { program: PathBuf::from(env!("CARGO_BIN_EXE_kvbench")) }
}

fn scenario(system: &str) -> Scenario {
    let text = format!(
        "schema = 1\nname = \"x\"\n[system]\n{system}\n[arms.before]\n[arms.after]\n[[op]]\nput = {{}}\n\
         [[phase]]\nname = \"a\"\nload.closed.clients = [1]"
    );
    scenario::parse("x.toml", &text, &Options::default()).unwrap()
}

fn arm(system: &str) -> Arm {
    scenario(system).before().clone()
}

fn launch(arm: &Arm, folder: &Path) -> System {
    builtin().launch(arm, folder, Clock::start()).unwrap()
}

fn has_etcd() -> bool {
    let version = Command::new("etcd").arg("--version").stdout(Stdio::null()).status();
    let is_there = version.is_ok_and(|status| status.success());
    if !is_there {
        eprintln!("skipped: etcd is not installed; ./scripts/setup etcd installs it");
    }
    is_there
}

/// Requests of every kind, and what a server must make of them.
fn answers_like_the_model(system: &System) {
    let put = |key: &str| Request::put(key, "v");
    let lease = Request::LeaseGrant { id: 7, ttl_s: 100 };
    let requests =
        [put("a"), put("b"), Request::delete("a"), lease, Request::get("b"), Request::Leases];
    let replies: Vec<_> =
        system.call_all(&requests).into_iter().map(|answer| answer.unwrap().reply).collect();
    let revisions: Vec<_> = replies.iter().map(|reply| reply.revision).collect();
    assert_eq!(revisions, [2, 3, 4, 4, 4, 4]);
    let Ok(Body::Range(found)) = &replies[4].result else { panic!("{:?}", replies[4]) };
    assert_eq!((found.kvs[0].mod_revision, found.kvs[0].version), (3, 1));
    assert_eq!(replies[5].result, Ok(Body::Leases(vec![7])));
    let refused = [put(""), Request::LeaseRevoke { id: 9 }, Request::Compact { revision: 99 }];
    let refused = system.call_all(&refused).into_iter().map(|answer| answer.unwrap().reply.result);
    let expected = [Refusal::EmptyKey, Refusal::LeaseNotFound, Refusal::FutureRevision];
    assert_eq!(refused.collect::<Vec<_>>(), expected.map(Err));
}

#[test]
fn a_served_node_answers_and_comes_back_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let arm = arm("layer = \"rpc\"");
    let system = launch(&arm, folder.path());
    answers_like_the_model(&system);
    let puts: Vec<_> = (0..200).map(|n| Request::put(format!("k{n}"), "v")).collect();
    assert!(system.call_any(&puts).iter().all(Result::is_ok));
    assert!(system.counts().fsyncs > 0 && system.counts().requests >= 200);
    let [process] = system.processes()[..] else { panic!("one server") };
    assert!(Path::new(&format!("/proc/{process}")).exists());
    let before = system.digests().unwrap();
    assert_eq!((before[0].revision, before[0].keys), (204, 201));
    assert!(system.comes_back());
    drop(system);
    assert!(!Path::new(&format!("/proc/{process}")).exists(), "the server is gone");
    assert_eq!(launch(&arm, folder.path()).digests().unwrap(), before);
}

#[test]
fn three_members_end_in_one_state() {
    ends_in_one_state("layer = \"rpc\"\nnodes = 3");
    if has_etcd() {
        ends_in_one_state("layer = \"etcd\"\nnodes = 3");
    }
}

fn ends_in_one_state(levers: &str) {
    let folder = tempfile::tempdir().unwrap();
    let system = launch(&arm(levers), folder.path());
    let puts: Vec<_> = (0..500).map(|n| Request::put(format!("k{}", n % 100), "v")).collect();
    assert!(system.call_any(&puts).iter().all(Result::is_ok));
    let digests = system.digests().unwrap();
    assert_eq!(digests.len(), 3);
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    assert_eq!((digests[0].revision, digests[0].keys), (501, 100));
    drop(system);
    // In the same folder, so with the same addresses: members know one another by them.
    assert_eq!(launch(&arm(levers), folder.path()).digests().unwrap(), digests);
}

#[test]
fn the_levers_reach_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let levers = "layer = \"rpc\"\napply = \"global-mutex\"\npropose = \"serial\"\nfsync = \"delay:2ms\"\n\
                  apply_on = \"apply-thread\"\ncommit_publish = \"next-ready\"";
    let system = launch(&arm(levers), folder.path());
    let puts: Vec<_> = (0..50).map(|n| Request::put(format!("k{n}"), "v")).collect();
    assert!(system.call_any(&puts).iter().all(Result::is_ok));
    let counts = system.counts();
    assert!(counts.fsync_ns >= counts.fsyncs * 2_000_000, "a sync is a sleep: {counts:?}");
    // One more for the leader's own.
    assert!((50..=52).contains(&counts.entries), "serial: an entry each, {counts:?}");
}

/// Clients share connections in turn; each call is answered on its own.
#[test]
fn clients_share_connections() {
    let folder = tempfile::tempdir().unwrap();
    for connections in ["2", "\"per-client\""] {
        let folder = folder.path().join(connections.trim_matches('"'));
        let arm = arm(&format!("layer = \"rpc\"\nconnections = {connections}"));
        let system = launch(&arm, &folder);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let clients = system.connect(5).await.unwrap();
            assert_eq!(clients.len(), 5);
            for (n, client) in clients.iter().enumerate() {
                client.call(Request::put(format!("k{n}"), n.to_string())).await.unwrap();
                let found = client.call(Request::get(format!("k{n}"))).await.unwrap().reply;
                let Ok(Body::Range(found)) = found.result else { panic!("{found:?}") };
                assert_eq!(found.kvs[0].value, n.to_string().into_bytes());
            }
        });
    }
}

#[test]
fn what_does_not_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = Builtin { program: PathBuf::from("/no/such/program") };
    let arm = arm("layer = \"rpc\"");
    let error = nowhere.launch(&arm, folder.path(), Clock::start()).err().unwrap().to_string();
    assert!(error.contains("/no/such/program cannot be started"), "{error}");
    let wrong = Builtin { program: PathBuf::from("/bin/false") };
    let error = wrong.launch(&arm, &folder.path().join("x"), Clock::start()).err().unwrap();
    assert!(error.to_string().contains("/bin/false ended at once (exit status: 1)"), "{error}");
}

/// Arms that name servers in use are compared with one another: their answers must not tell how long they were used.
#[test]
fn a_server_in_use_answers_as_a_fresh_one_and_is_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let running = launch(&arm("layer = \"rpc\""), folder.path());
    let theirs = Request::LeaseGrant { id: 77, ttl_s: 100 };
    for request in [Request::put("x", "v"), Request::delete("x"), theirs] {
        running.call_all(&[request])[0].as_ref().unwrap();
    }
    let kvbench::target::Watched::Server(endpoint) = running.watched() else { panic!("a server") };
    let text = format!(
        "schema = 1\nname = \"x\"\n[arms.before]\nlayer = \"etcd\"\netcd.endpoints = [\"http://{}\"]\n\
         [arms.after]\nlayer = \"rpc\"\n[trials]\naa = false\n[[op]]\nput = {{}}\n[[phase]]\nname = \"a\"\n\
         load.closed.clients = [1]",
        endpoint.address()
    );
    let scenario = scenario::parse("x.toml", &text, &Options::default()).unwrap();
    for _ in 0..2 {
        let named = launch(scenario.before(), folder.path());
        answers_like_the_model(&named);
        let fresh = launch(&arm("layer = \"rpc\""), tempfile::tempdir().unwrap().path());
        answers_like_the_model(&fresh);
        assert_eq!(named.digests().unwrap(), fresh.digests().unwrap());
    }
    let leases = running.call_all(&[Request::Leases]).remove(0).unwrap().reply.result;
    assert_eq!(leases, Ok(Body::Leases(vec![77])), "theirs stays, ours goes");
}

/// Ten thousand is the most that a phase may have; all of them are asked for at once.
#[test]
fn ten_thousand_watchers_are_given_everything() {
    let folder = tempfile::tempdir().unwrap();
    let running = launch(&arm("layer = \"rpc\""), folder.path());
    let watchers = Fanout::start(&running.watched(), 10_000, Clock::start()).unwrap();
    for put in [Request::put("a", "1"), Request::put("b", "2")] {
        running.call_all(&[put])[0].as_ref().unwrap();
    }
    let watched = watchers.finish(&AtomicBool::new(false)).unwrap();
    assert_eq!((watched.due, watched.revisions, watched.misplaced), (20_000, 20_000, 0));
}

#[test]
fn etcd_answers_the_same_and_ends_in_the_same_state() {
    if !has_etcd() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let etcd = launch(&arm("layer = \"etcd\""), &folder.path().join("etcd"));
    let ours = launch(&arm("layer = \"rpc\""), &folder.path().join("ours"));
    answers_like_the_model(&etcd);
    answers_like_the_model(&ours);
    assert_eq!(etcd.digests().unwrap(), ours.digests().unwrap());
    assert!(etcd.counts().fsyncs > 0);
}

#[test]
fn a_running_etcd_has_to_be_empty_and_is_left_so() {
    if !has_etcd() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let running = launch(&arm("layer = \"etcd\""), folder.path());
    let kvbench::target::Watched::Server(endpoint) = running.watched() else { panic!("a server") };
    let levers = format!(
        "layer = \"etcd\"\netcd = {{ endpoints = [\"http://{}\"] }}\n[trials]\naa = false",
        endpoint.address()
    );
    // It is one arm here, though a scenario would not let two name it.
    let text = format!(
        "schema = 1\nname = \"x\"\n[arms.before]\n{}\n[arms.after]\nlayer = \"rpc\"\n[trials]\naa = false\n\
         [[op]]\nput = {{}}\n[[phase]]\nname = \"a\"\nload.closed.clients = [1]",
        levers.split("\n[trials]").next().unwrap()
    );
    let scenario = scenario::parse("x.toml", &text, &Options::default()).unwrap();
    running.call_all(&[Request::put("mine", "v")])[0].as_ref().unwrap();
    let error = builtin().launch(scenario.before(), folder.path(), Clock::start()).err().unwrap();
    assert!(error.to_string().contains("are not empty (keys: 1)"), "{error}");
    let kept = running.call_all(&[Request::get("mine")]).remove(0).unwrap().reply;
    let Ok(Body::Range(kept)) = kept.result else { panic!("{kept:?}") };
    assert_eq!(kept.count, 1, "what was there is left alone");
    running.call_all(&[Request::delete("mine")])[0].as_ref().unwrap();

    let named = launch(scenario.before(), folder.path());
    assert_eq!(named.processes(), running.processes(), "found by its port");
    named.call_all(&[Request::put("a", "v")])[0].as_ref().unwrap();
    let digest = named.digests().unwrap()[0];
    assert_eq!((digest.revision, digest.keys), (2, 1), "counted from where the load began");
    assert!(!named.comes_back());
    drop(named);
    let all = Range { interval: Interval::everything(), ..Range::default() };
    let left = running.call_all(&[Request::Range(all)]).remove(0).unwrap().reply;
    let Ok(Body::Range(left)) = left.result else { panic!("{left:?}") };
    assert_eq!(left.count, 0);
}
