//! Members that reach each other over gRPC on loopback: they elect, replicate, send an image to one that was away, and hear nothing
//! from another group.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

mod hostile;
mod rig;

use kvbench::peer::group_of;
use kvbench::raft::Refused;
use kvbench::rpc::kvbenchpb::peer_client::PeerClient;
use kvbench::rpc::kvbenchpb::{Address, MessageBatch};
use rig::{CLUSTER, Rig, until};
use tonic::Code;

#[test]
fn members_replicate_over_grpc_and_one_that_was_away_gets_an_image() {
    let mut rig = Rig::start();
    for number in 0..50 {
        rig.put(&format!("k{number}"), "v");
    }
    rig.check_equal();
    let away = 1 + rig.leader() % 3;
    rig.stop_one(away);
    for number in 0..300 {
        rig.put(&format!("k{}", number % 60), &number.to_string());
    }
    rig.start_one(away);
    rig.check_equal();
    // The leader goes, the rest goes on, and it follows when it is back.
    let leader = rig.leader();
    rig.stop_one(leader);
    rig.put("after", "the leader left");
    rig.start_one(leader);
    rig.put("after", "it is back");
    rig.check_equal();
}

#[test]
fn strangers_are_refused_and_newcomers_are_told_who_is_there() {
    let rig = Rig::start();
    rig.leader();
    let url = format!("http://{}", rig.addresses[&1]);
    let (cluster, members) = rig.runtime.block_on(group_of(&url, None)).unwrap();
    assert_eq!((cluster, members), (CLUSTER, rig.founders()));
    let send = |cluster_id, from, to, messages: Vec<Vec<u8>>| {
        rig.runtime.block_on(async {
            let mut client = PeerClient::connect(url.clone()).await.unwrap();
            let address = Some(Address { cluster_id, from, to });
            let batch = tokio_stream::iter([MessageBatch { address, messages }]);
            client.messages(batch).await
        })
    };
    let status = send(CLUSTER + 1, 2, 1, Vec::new()).unwrap_err();
    assert_eq!(status.message(), "cluster ID mismatch");
    assert_eq!(send(CLUSTER, 3, 2, Vec::new()).unwrap_err().message(), "this is another member");
    for nobody in [0, 1, 9] {
        let status = send(CLUSTER, nobody, 1, Vec::new()).unwrap_err();
        assert_eq!(status.message(), "the sender is no member here", "{nobody}");
    }
    let many = send(CLUSTER, 2, 1, vec![Vec::new(); 5_000]).unwrap_err();
    assert_eq!(many.code(), Code::ResourceExhausted);
    // What is no message of the library is not heard, and hurts nobody.
    let garbage = vec![b"garbage".to_vec(), vec![0x1b; 1_000_000], Vec::new()];
    send(CLUSTER, 2, 1, garbage).unwrap();
    rig.put("k", "still here");
    rig.check_equal();
    let refusals = rig.members[&1].node.refusals();
    let counted = |why| refusals.counts().iter().find(|(found, _)| *found == why).map(|it| it.1);
    let expected = [
        (Refused::OtherCluster, 1),
        (Refused::OtherMember, 1),
        (Refused::Stranger, 3),
        (Refused::TooLarge, 1),
        (Refused::Unreadable, 2),
        // Nothing at all is a message of the first kind, from nobody.
        (Refused::OtherSender, 1),
    ];
    for (why, count) in expected {
        assert_eq!(counted(why), Some(count), "{why:?}");
    }
    let told: Vec<_> = refusals.take_news().into_iter().map(|(from, _)| from).collect();
    assert_eq!(told, [2, 3, 0, 1, 9], "each is told of once");
}

/// The group grew while a member was away, and the newcomer leads: the member has never heard of it, and follows it all the same.
#[test]
fn a_member_that_was_away_follows_a_leader_that_came_meanwhile() {
    let mut rig = Rig::start();
    rig.put("k", "three");
    let away = 1 + rig.leader() % 3;
    rig.stop_one(away);
    rig.add_fourth();
    rig.put("k", "four");
    until("the fourth to lead", || {
        let leader = rig.members[&rig.leader()].node.clone();
        // Refused until it has caught up.
        rig.runtime.block_on(leader.hand_over(4)).ok()
    });
    rig.start_one(away);
    until("the fourth to lead all", || (rig.leader() == 4).then_some(()));
    rig.put("k", "led by the fourth");
    rig.check_equal();
}
