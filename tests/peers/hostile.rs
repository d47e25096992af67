//! A live group is sent what no member would send: broken bytes, messages under other names, and messages that the raft library
//! takes for the end of the world. It goes on, and its members stay equal.
//!
//! What is not sent is a lie within the rules, such as a leader's message with other entries in it: raft believes its members.

use crate::rig::{CLUSTER, Rig, call, until};
use kvbench::model::Request;
use kvbench::raft::{MemberId, Role};
use kvbench::rpc::kvbenchpb::peer_client::PeerClient;
use kvbench::rpc::kvbenchpb::{Address, ImageChunk, MessageBatch};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use protobuf::Message as _;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use std::collections::BTreeSet;
use tonic::transport::Channel;

/// Batches of hostile messages; each goes to every member.
const ROUNDS: u64 = 60;
/// Messages in one.
const BATCH: usize = 40;

const KINDS: [MessageType; 19] = [
    MessageType::MsgHup,
    MessageType::MsgBeat,
    MessageType::MsgPropose,
    MessageType::MsgAppend,
    MessageType::MsgAppendResponse,
    MessageType::MsgRequestVote,
    MessageType::MsgRequestVoteResponse,
    MessageType::MsgSnapshot,
    MessageType::MsgHeartbeat,
    MessageType::MsgHeartbeatResponse,
    MessageType::MsgUnreachable,
    MessageType::MsgSnapStatus,
    MessageType::MsgCheckQuorum,
    MessageType::MsgTransferLeader,
    MessageType::MsgTimeoutNow,
    MessageType::MsgReadIndex,
    MessageType::MsgReadIndexResp,
    MessageType::MsgRequestPreVote,
    MessageType::MsgRequestPreVoteResponse,
];

/// A number that is small, at an end, or anything.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..200, Just(u64::MAX), Just(u64::MAX - 1), Just(1 << 63), any::<u64>()]
}

prop_compose! {
    fn entry()(
        kind in prop_oneof![
            Just(EntryType::EntryNormal),
            Just(EntryType::EntryConfChange),
            Just(EntryType::EntryConfChangeV2),
        ],
        (term, index) in (number(), number()),
        data in prop::collection::vec(any::<u8>(), 0..40),
        context in prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 24..=24)],
    ) -> Entry {
        let mut entry = Entry { term, index, ..Entry::default() };
        entry.set_entry_type(kind);
        (entry.data, entry.context) = (data.into(), context.into());
        entry
    }
}

prop_compose! {
    /// Any message; who it is from, to whom and of which term is set where it is sent.
    fn message()(
        kind in prop::sample::select(KINDS.to_vec()),
        (log_term, index, commit, commit_term) in (number(), number(), number(), number()),
        (request_snapshot, reject, reject_hint) in (prop_oneof![Just(0), number()], any::<bool>(), number()),
        entries in prop::collection::vec(entry(), 0..4),
        snapshot in (number(), number(), prop::collection::vec(number(), 0..3), any::<Vec<u8>>()),
    ) -> Message {
        let mut message = Message {
            log_term, index, commit, commit_term, request_snapshot, reject, reject_hint,
            ..Message::default()
        };
        message.set_msg_type(kind);
        message.set_entries(entries.into());
        if kind == MessageType::MsgSnapshot {
            let (index, term, voters, data) = snapshot;
            let metadata = message.mut_snapshot().mut_metadata();
            (metadata.index, metadata.term) = (index, term);
            metadata.mut_conf_state().voters = voters;
            message.mut_snapshot().data = data.into();
        }
        message
    }
}

/// Whether a member could mean it, or a stranger's word for it would be believed: those lies are within the rules.
fn could_be_meant(message: &Message) -> bool {
    use MessageType::*;
    match message.get_msg_type() {
        // An answer that claims entries: its sender would not be sent them any more.
        MsgAppendResponse => true,
        // Votes and answers to them: a candidate's own business.
        MsgRequestVote | MsgRequestVoteResponse | MsgRequestPreVote | MsgRequestPreVoteResponse => {
            true
        }
        MsgHeartbeatResponse | MsgReadIndex => true,
        _ => false,
    }
}

struct Attack<'a> {
    rig: &'a Rig,
    runner: TestRunner,
    kinds: BTreeSet<i32>,
}

impl Attack<'_> {
    fn draw<T: std::fmt::Debug>(&mut self, strategy: impl Strategy<Value = T>) -> T {
        strategy.new_tree(&mut self.runner).unwrap().current()
    }

    /// Messages to member `to`, under the name of member `from`, which does not lead.
    fn batch(&mut self, from: MemberId, to: MemberId) -> Vec<Vec<u8>> {
        let term = self.rig.members[&to].node.status().term;
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let mut message = self.draw(message());
            (message.from, message.to) = (from, to);
            // Of the past or of now, or of a term that nobody reaches: with the next term, whoever is not lying leads.
            message.term = match self.draw(0..10) {
                0 => 0,
                1 => term.saturating_sub(1),
                2 => u64::MAX,
                3 => self.draw(1_u64 << 40..u64::MAX),
                _ => term,
            };
            match self.draw(0..10) {
                0 => message.from = self.draw(number()),
                1 => message.to = self.draw(number()),
                _ if message.term == term && could_be_meant(&message) => continue,
                _ => {}
            }
            self.kinds.insert(message.get_msg_type() as i32);
            batch.push(message.write_to_bytes().unwrap());
            let mut broken = batch[batch.len() - 1].clone();
            let (place, with) = (self.draw(0..broken.len()), self.draw(any::<u8>()));
            broken.truncate(place);
            broken.push(with);
            // Cut off like this it cannot name its sender, or ends within a field; if it does not, it is the same message or less.
            let mut read = Message::default();
            if read.merge_from_bytes(&broken).is_err() {
                batch.push(broken);
            }
        }
        batch
    }

    async fn send(
        client: &mut PeerClient<Channel>,
        from: MemberId,
        to: MemberId,
        batch: Vec<Vec<u8>>,
    ) {
        let address = Some(Address { cluster_id: CLUSTER, from, to });
        let batch = MessageBatch { address, messages: batch };
        client.messages(tokio_stream::iter([batch])).await.unwrap();
    }
}

fn members_that_follow(rig: &Rig) -> Vec<MemberId> {
    let leader = rig.leader();
    (1..=3).filter(|member| *member != leader).collect()
}

/// Nobody's pipeline has ended, and a write gets through.
fn lives(rig: &Rig, key: &str) {
    assert!(rig.members.values().all(|member| !member.node.status().stopped), "a member stopped");
    rig.put(key, "still here");
}

#[test]
fn a_live_group_survives_whatever_it_is_sent() {
    let rig = Rig::start();
    rig.put("k", "before");
    let seed = [7; 32];
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut attack = Attack { rig: &rig, runner, kinds: BTreeSet::new() };
    for round in 0..ROUNDS {
        let followers = members_that_follow(&rig);
        for to in 1..=3 {
            let from = *followers.iter().find(|from| **from != to).unwrap();
            let batch = attack.batch(from, to);
            rig.runtime.block_on(async {
                let url = format!("http://{}", rig.addresses[&to]);
                let mut client = PeerClient::connect(url).await.unwrap();
                Attack::send(&mut client, from, to, batch).await;
            });
        }
        lives(&rig, &format!("round-{round}"));
    }
    rig.check_equal();
    assert_eq!(attack.kinds.len(), KINDS.len(), "every kind was sent");
    let refused: u64 = rig
        .members
        .values()
        .flat_map(|member| member.node.refusals().counts())
        .map(|(_, count)| count)
        .sum();
    assert!(refused > ROUNDS * 3 * BATCH as u64 / 2, "{refused} were refused");
}

/// Sends one message to `to`, as its leader or another member.
fn send_one(rig: &Rig, from: MemberId, to: MemberId, change: impl FnOnce(&mut Message, u64)) {
    let status = rig.members[&to].node.status();
    let mut message = Message { from, to, term: status.term, ..Message::default() };
    change(&mut message, status.last);
    let bytes = message.write_to_bytes().unwrap();
    rig.runtime.block_on(async {
        let url = format!("http://{}", rig.addresses[&to]);
        let mut client = PeerClient::connect(url).await.unwrap();
        Attack::send(&mut client, from, to, vec![bytes]).await;
    });
}

/// The leader's own name does not help: each of these ends a process whose library sees it.
#[test]
fn what_ends_the_raft_library_is_not_let_in_even_from_the_leader() {
    let rig = Rig::start();
    rig.put("k", "before");
    let leader = rig.leader();
    let follower = members_that_follow(&rig)[0];
    send_one(&rig, leader, follower, |message, last| {
        message.set_msg_type(MessageType::MsgHeartbeat);
        message.commit = last + 1_000_000;
    });
    send_one(&rig, leader, follower, |message, last| {
        message.set_msg_type(MessageType::MsgAppend);
        // Of an entry that is not there the library says term 0, and so takes this for the next.
        (message.index, message.log_term, message.commit) = (last + 10, 0, last + 20);
        let entry = Entry { index: last + 11, term: message.term, ..Entry::default() };
        message.set_entries(vec![entry].into());
    });
    send_one(&rig, follower, leader, |message, _| {
        message.set_msg_type(MessageType::MsgPropose);
        message.term = 0;
    });
    send_one(&rig, follower, leader, |message, _| {
        message.set_msg_type(MessageType::MsgReadIndex);
        message.term = 0;
    });
    lives(&rig, "after");
    // No state machine could apply this, on any member.
    for sequence in 0..3_u64 {
        send_one(&rig, follower, leader, |message, _| {
            message.set_msg_type(MessageType::MsgPropose);
            message.term = 0;
            let id = [follower, u64::MAX, sequence].map(u64::to_le_bytes).concat();
            let mut entry = Entry { context: id.into(), ..Entry::default() };
            match sequence {
                0 => entry.data = b"no commands".to_vec().into(),
                1 => entry.data = vec![1, 0, 0, 0, 0xff].into(),
                _ => entry.set_entry_type(EntryType::EntryConfChange),
            }
            message.set_entries(vec![entry].into());
        });
    }
    lives(&rig, "and after that");
    rig.check_equal();
    let counts: u64 = rig
        .members
        .values()
        .flat_map(|member| member.node.refusals().counts())
        .map(|it| it.1)
        .sum();
    assert_eq!(counts, 7);
}

/// A damaged image would be found out where it is too late: installed.
#[test]
fn a_damaged_image_is_not_taken() {
    let rig = Rig::start();
    rig.put("k", "before");
    let (leader, follower) = (rig.leader(), members_that_follow(&rig)[0]);
    let status = rig.members[&follower].node.status();
    let mut message =
        Message { from: leader, to: follower, term: status.term, ..Message::default() };
    message.set_msg_type(MessageType::MsgSnapshot);
    // The group as the log keeps it: index, conf state, and what is known of each.
    let conf = raft::eraftpb::ConfState { voters: vec![1, 2, 3], ..Default::default() };
    let conf_bytes = conf.write_to_bytes().unwrap();
    let mut group = 0_u64.to_le_bytes().to_vec();
    group.extend(u32::try_from(conf_bytes.len()).unwrap().to_le_bytes());
    group.extend(conf_bytes);
    let snapshot = message.mut_snapshot();
    snapshot.data = group.into();
    let metadata = snapshot.mut_metadata();
    (metadata.index, metadata.term) = (status.last + 1_000, status.term);
    metadata.set_conf_state(conf);
    let head = ImageChunk {
        address: Some(Address { cluster_id: CLUSTER, from: leader, to: follower }),
        message: message.write_to_bytes().unwrap(),
        data: Vec::new(),
    };
    let body = ImageChunk {
        data: b"kvbench image 1\nand then something else".to_vec(),
        ..ImageChunk::default()
    };
    rig.runtime.block_on(async {
        let url = format!("http://{}", rig.addresses[&follower]);
        let mut client = PeerClient::connect(url).await.unwrap();
        client.image(tokio_stream::iter([head, body])).await.unwrap();
    });
    let node = &rig.members[&follower].node;
    let reasons = until("a refusal", || {
        let counts = node.refusals().counts();
        (!counts.is_empty()).then_some(counts)
    });
    assert_eq!(reasons, [(kvbench::raft::Refused::Image, 1)]);
    lives(&rig, "after");
    rig.check_equal();
    assert!(node.status().role == Role::Follower || call(node, Request::get("k")).is_ok());
}
