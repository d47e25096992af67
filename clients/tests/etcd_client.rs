//! What the crate etcd-client is answered by `kvbench serve`, value by value. `KVBENCH` names the program.

use etcd_client::*;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server on a port that the system chose, ended with the test.
struct Served {
    server: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Served {
    fn start() -> Served {
        let program =
            std::env::var("KVBENCH").expect("KVBENCH names the program; see scripts/clients");
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.args([
            "serve",
            "--until-stdin-closes",
            "--listen-client-urls",
            "http://127.0.0.1:0",
        ]);
        command.arg("--data-dir").arg(folder.path().join("data"));
        let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let url = ready.split_whitespace().find(|word| word.starts_with("http://"));
        let url = url.unwrap_or_else(|| panic!("no address in {ready:?}"));
        let url = url.trim_end_matches(',').to_owned();
        Served { server, url, _folder: folder }
    }

    async fn client(&self) -> Client {
        Client::connect([&self.url], None).await.unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Whatever does not come is a failure, not a hang.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("no answer within 20 s")
}

fn message(error: Error) -> (String, String) {
    match error {
        Error::GRpcStatus(status) => (format!("{:?}", status.code()), status.message().to_owned()),
        other => panic!("{other:?} is no status"),
    }
}

fn refused(code: &str, text: &str) -> (String, String) {
    (code.to_owned(), text.to_owned())
}

#[tokio::test]
async fn keys() {
    let server = Served::start();
    let mut client = server.client().await;
    for (revision, key) in (2..).zip(["a", "b", "c", "d"]) {
        let put = client.put(key, format!("v{key}"), None).await.unwrap();
        assert_eq!(put.header().unwrap().revision(), revision);
        assert!(put.header().unwrap().cluster_id() != 0 && put.header().unwrap().member_id() != 0);
        assert!(put.header().unwrap().raft_term() > 0);
    }
    let again = client.put("a", "new", Some(PutOptions::new().with_prev_key())).await.unwrap();
    assert_eq!(again.prev_key().unwrap().value(), b"va");

    let found = client.get("a", None).await.unwrap();
    let kv = &found.kvs()[0];
    assert_eq!((kv.value_str().unwrap(), kv.create_revision(), kv.mod_revision()), ("new", 2, 6));
    assert_eq!((kv.version(), kv.lease()), (2, 0));
    let old = client.get("a", Some(GetOptions::new().with_revision(3))).await.unwrap();
    assert_eq!(old.kvs()[0].value(), b"va");
    let sorted = GetOptions::new().with_all_keys().with_limit(2);
    let sorted = sorted.with_sort(SortTarget::Mod, SortOrder::Descend);
    let sorted = client.get("", Some(sorted)).await.unwrap();
    assert_eq!(sorted.kvs().iter().map(|kv| kv.key()).collect::<Vec<_>>(), [b"a", b"d"]);
    assert!(sorted.more() && sorted.count() == 4);
    let counted = GetOptions::new().with_prefix().with_count_only();
    assert_eq!(client.get("b", Some(counted)).await.unwrap().count(), 1);
    let keys_only = GetOptions::new().with_range("c").with_keys_only().with_serializable();
    let keys_only = client.get("a", Some(keys_only)).await.unwrap();
    assert!(keys_only.kvs().len() == 2 && keys_only.kvs().iter().all(|kv| kv.value().is_empty()));

    let options = DeleteOptions::new().with_range("d").with_prev_key();
    let deleted = client.delete("b", Some(options)).await.unwrap();
    assert_eq!((deleted.deleted(), deleted.prev_kvs().len()), (2, 2));
    assert_eq!(deleted.prev_kvs()[1].value(), b"vc");

    client.compact(6, Some(CompactionOptions::new().with_physical())).await.unwrap();
    let compacted = client.get("a", Some(GetOptions::new().with_revision(5))).await.unwrap_err();
    let text = "etcdserver: mvcc: required revision has been compacted";
    assert_eq!(message(compacted), refused("OutOfRange", text));
    let future = client.get("a", Some(GetOptions::new().with_revision(99))).await.unwrap_err();
    let text = "etcdserver: mvcc: required revision is a future revision";
    assert_eq!(message(future), refused("OutOfRange", text));
    let empty = client.put("", "v", None).await.unwrap_err();
    assert_eq!(message(empty), refused("InvalidArgument", "etcdserver: key is not provided"));
}

#[tokio::test]
async fn transactions() {
    let server = Served::start();
    let mut client = server.client().await;
    client.put("a", "1", None).await.unwrap();
    let txn = Txn::new()
        .when([
            Compare::value("a", CompareOp::Equal, "1"),
            Compare::version("a", CompareOp::Less, 2),
            Compare::create_revision("none", CompareOp::Equal, 0),
            Compare::mod_revision("a", CompareOp::Greater, 1),
            Compare::lease("a", CompareOp::NotEqual, 7),
        ])
        .and_then([
            TxnOp::put("b", "2", None),
            TxnOp::get("b", None),
            TxnOp::delete("a", Some(DeleteOptions::new().with_prev_key())),
        ])
        .or_else([TxnOp::get("a", None)]);
    let done = client.txn(txn.clone()).await.unwrap();
    assert!(done.succeeded());
    assert_eq!(done.header().unwrap().revision(), 3);
    let responses = done.op_responses();
    let TxnOpResponse::Get(got) = &responses[1] else { panic!("{:?}", responses[1]) };
    assert_eq!((got.kvs()[0].value(), got.kvs()[0].mod_revision()), (&b"2"[..], 3));
    let TxnOpResponse::Delete(deleted) = &responses[2] else { panic!("{:?}", responses[2]) };
    assert_eq!((deleted.deleted(), deleted.prev_kvs()[0].value()), (1, &b"1"[..]));

    let not_again = client.txn(txn).await.unwrap();
    assert!(!not_again.succeeded());
    let nested = Txn::new().and_then([TxnOp::put("n", "1", None)]);
    let outer = Txn::new().and_then([TxnOp::txn(nested), TxnOp::put("o", "1", None)]);
    let TxnOpResponse::Txn(inner) = &client.txn(outer).await.unwrap().op_responses()[0] else {
        panic!("not nested")
    };
    assert!(inner.succeeded() && inner.op_responses().len() == 1);
    let twice = Txn::new().and_then([TxnOp::put("k", "1", None), TxnOp::put("k", "2", None)]);
    let text = "etcdserver: duplicate key given in txn request";
    let twice = client.txn(twice).await.unwrap_err();
    assert_eq!(message(twice), refused("InvalidArgument", text));
}

#[tokio::test]
async fn leases() {
    let server = Served::start();
    let mut client = server.client().await;
    let chosen = LeaseGrantOptions::new().with_id(77);
    let granted = client.lease_grant(60, Some(chosen)).await.unwrap();
    assert_eq!((granted.id(), granted.ttl()), (77, 60));
    let other = client.lease_grant(60, None).await.unwrap().id();
    client.put("k", "v", Some(PutOptions::new().with_lease(77))).await.unwrap();
    assert_eq!(client.get("k", None).await.unwrap().kvs()[0].lease(), 77);

    let (mut keeper, mut kept) = client.lease_keep_alive(77).await.unwrap();
    assert_eq!(keeper.id(), 77);
    for _ in 0..3 {
        keeper.keep_alive().await.unwrap();
        let answer = soon(kept.message()).await.unwrap().unwrap();
        assert_eq!((answer.id(), answer.ttl()), (77, 60));
    }
    let options = LeaseTimeToLiveOptions::new().with_keys();
    let lives = client.lease_time_to_live(77, Some(options)).await.unwrap();
    assert_eq!((lives.granted_ttl(), lives.keys()), (60, &[b"k".to_vec()][..]));
    assert!((1..=60).contains(&lives.ttl()));
    let all = client.leases().await.unwrap();
    let mut ids: Vec<i64> = all.leases().iter().map(LeaseStatus::id).collect();
    let mut expected = [77, other];
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);

    client.lease_revoke(77).await.unwrap();
    assert_eq!(client.get("k", None).await.unwrap().count(), 0);
    assert_eq!(client.lease_time_to_live(77, None).await.unwrap().ttl(), -1);
    let gone = client.lease_revoke(77).await.unwrap_err();
    assert_eq!(message(gone), refused("NotFound", "etcdserver: requested lease not found"));
}

#[tokio::test]
async fn watches() {
    let server = Served::start();
    let mut client = server.client().await;
    client.put("a1", "old", None).await.unwrap();
    client.put("a2", "old", None).await.unwrap();
    let options = WatchOptions::new().with_prefix().with_start_revision(2).with_prev_key();
    let mut stream = client.watch("a", Some(options)).await.unwrap();
    let created = soon(stream.message()).await.unwrap().unwrap();
    assert!(created.created());
    let id = created.watch_id();
    client.put("b", "not watched", None).await.unwrap();
    client.put("a1", "new", None).await.unwrap();
    client.delete("a2", None).await.unwrap();
    let mut events = Vec::new();
    while events.len() < 4 {
        let answer = soon(stream.message()).await.unwrap().unwrap();
        assert_eq!(answer.watch_id(), id);
        events.extend(answer.events().to_vec());
    }
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            let (kv, old) = (event.kv().unwrap(), event.prev_kv().map(|kv| kv.value().to_vec()));
            (event.event_type(), kv.key().to_vec(), kv.mod_revision(), old)
        })
        .collect();
    let old = || Some(b"old".to_vec());
    assert_eq!(
        told,
        [
            (EventType::Put, b"a1".to_vec(), 2, None),
            (EventType::Put, b"a2".to_vec(), 3, None),
            (EventType::Put, b"a1".to_vec(), 5, old()),
            (EventType::Delete, b"a2".to_vec(), 6, old()),
        ]
    );

    stream.request_progress().await.unwrap();
    let progress = soon(stream.message()).await.unwrap().unwrap();
    assert_eq!((progress.events().len(), progress.header().unwrap().revision()), (0, 6));
    let filtered = WatchOptions::new().with_filters([WatchFilterType::NoPut]).with_watch_id(9);
    stream.watch("f", Some(filtered)).await.unwrap();
    let created = soon(stream.message()).await.unwrap().unwrap();
    assert_eq!((created.created(), created.watch_id()), (true, 9));
    client.put("f", "v", None).await.unwrap();
    client.delete("f", None).await.unwrap();
    let deleted = soon(stream.message()).await.unwrap().unwrap();
    assert_eq!(deleted.events().len(), 1);
    assert_eq!(deleted.events()[0].event_type(), EventType::Delete);
    stream.cancel(id).await.unwrap();
    let cancelled = soon(stream.message()).await.unwrap().unwrap();
    assert!(cancelled.canceled() && cancelled.watch_id() == id);

    client.compact(6, None).await.unwrap();
    let options = WatchOptions::new().with_start_revision(2).with_watch_id(10);
    stream.watch("a", Some(options)).await.unwrap();
    loop {
        let answer = soon(stream.message()).await.unwrap().unwrap();
        if answer.canceled() {
            assert_eq!((answer.watch_id(), answer.compact_revision()), (10, 6));
            break;
        }
        assert!(answer.created());
    }
}

#[tokio::test]
async fn locks() {
    let server = Served::start();
    let mut client = server.client().await;
    let lease = client.lease_grant(60, None).await.unwrap().id();
    let options = || Some(LockOptions::new().with_lease(lease));
    let held = soon(client.lock("door", options())).await.unwrap();
    assert!(held.key().starts_with(b"door/"));
    assert_eq!(client.get(held.key(), None).await.unwrap().kvs()[0].lease(), lease);

    let mut second = server.client().await;
    let other = second.lease_grant(60, None).await.unwrap().id();
    let waiting = tokio::spawn(async move {
        second.lock("door", Some(LockOptions::new().with_lease(other))).await
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished(), "it is locked");
    client.unlock(held.key()).await.unwrap();
    let next = soon(waiting).await.unwrap().unwrap();
    assert_ne!(next.key(), held.key());
    assert_eq!(client.get(held.key(), None).await.unwrap().count(), 0);
}

#[tokio::test]
async fn elections() {
    let server = Served::start();
    let mut client = server.client().await;
    let lease = client.lease_grant(60, None).await.unwrap().id();
    let won = soon(client.campaign("seat", "first", lease)).await.unwrap();
    let leader = won.leader().unwrap().clone();
    assert_eq!((leader.name(), leader.lease()), (&b"seat"[..], lease));
    let mut observed = client.observe("seat").await.unwrap();
    let seen = soon(observed.message()).await.unwrap().unwrap();
    assert_eq!(seen.kv().unwrap().value(), b"first");
    let options = ProclaimOptions::new().with_leader(leader.clone());
    client.proclaim("second", Some(options)).await.unwrap();
    let seen = soon(observed.message()).await.unwrap().unwrap();
    assert_eq!(seen.kv().unwrap().value(), b"second");
    let now = client.leader("seat").await.unwrap();
    assert_eq!(
        (now.kv().unwrap().value(), now.kv().unwrap().key()),
        (&b"second"[..], leader.key())
    );
    client.resign(Some(ResignOptions::new().with_leader(leader))).await.unwrap();
    assert_eq!(message(client.leader("seat").await.unwrap_err()).1, "election: no leader");
}

#[tokio::test]
async fn maintenance_and_members() {
    let server = Served::start();
    let mut client = server.client().await;
    client.put("k", "v", None).await.unwrap();
    let status = client.status().await.unwrap();
    let me = status.header().unwrap().member_id();
    assert_eq!(status.leader(), me);
    assert!(status.raft_index() > 0 && status.raft_applied_index() > 0 && !status.is_learner());
    assert!(!status.version().is_empty() && status.db_size() > 0);
    let (first, again) = (client.hash_kv(0).await.unwrap(), client.hash_kv(2).await.unwrap());
    assert_eq!((first.hash(), first.compact_version()), (again.hash(), again.compact_version()));
    assert_ne!(client.hash().await.unwrap().hash(), 0);
    client.put("k", "w", None).await.unwrap();
    assert_ne!(client.hash_kv(0).await.unwrap().hash(), first.hash());
    client.defragment().await.unwrap();
    let alarms = client.alarm(AlarmAction::Get, AlarmType::None, None).await.unwrap();
    assert!(alarms.alarms().is_empty());
    let (mut snapshot, mut bytes) = (client.snapshot().await.unwrap(), 0);
    while let Some(part) = soon(snapshot.message()).await.unwrap() {
        bytes += part.blob().len();
        if part.remaining_bytes() == 0 {
            break;
        }
    }
    assert!(bytes > 0);

    let members = client.member_list().await.unwrap();
    assert_eq!(members.members().len(), 1);
    assert_eq!((members.members()[0].id(), members.members()[0].name()), (me, "default"));
    assert_eq!(members.members()[0].client_urls(), [server.url.as_str()]);
    let moved = client.move_leader(12_345).await.unwrap_err();
    assert_eq!(message(moved), refused("FailedPrecondition", "etcdserver: bad leader transferee"));
    let unknown = client.member_remove(12_345).await.unwrap_err();
    assert_eq!(message(unknown), refused("NotFound", "etcdserver: member not found"));
    let url = ["http://127.0.0.1:1"];
    let added =
        client.member_add(url, Some(MemberAddOptions::new().with_is_learner())).await.unwrap();
    let learner = added.member().unwrap().id();
    assert!(added.member().unwrap().is_learner() && added.member_list().len() == 2);
    client.member_remove(learner).await.unwrap();
    assert_eq!(client.member_list().await.unwrap().members().len(), 1);
    let auth = client.auth_enable().await.unwrap_err();
    assert_eq!(message(auth).0, "Unimplemented");
}
