//! Three members, stepped by hand, whose messages the test carries: what arrives when is the test's to say.

use super::*;
use crate::clock::Clock;
use crate::measure::pipeline::PipelineMeter;
use crate::measure::stage::Probe;
use crate::raft::tests::Echo;
use crate::raft::{
    ApplyOn, Config, Delivered, Door, Envelope, Fsync, Group, Medium, Propose, Publish, Reads,
    Received, Transport, wire,
};
use crate::seed::Seed;
use ::raft::eraftpb::MessageType::{self, *};
use std::path::Path;
use std::sync::Mutex;

/// Far more rounds than anything here takes.
const ROUNDS_MAX: u32 = 1_000;
/// As many turns as an election takes, and more.
const TURNS: u32 = 20;

/// Where the answer to one question is noted.
#[derive(Clone, Default)]
struct Answer(Arc<Mutex<Option<Vec<u8>>>>);

impl Answer {
    fn is_there(&self) -> bool {
        self.0.lock().unwrap().is_some()
    }
}

impl Waiter<Vec<u8>> for Answer {
    fn answer(self, outcome: Result<Delivered<Vec<u8>>, Rejected>) {
        *self.0.lock().unwrap() = outcome.ok().map(|delivered| delivered.reply);
    }
}

/// What a member has sent, until the test carries it.
#[derive(Default)]
struct Outbox(Mutex<Vec<Envelope>>);

impl Transport for Outbox {
    fn send(&self, envelopes: Vec<Envelope>) {
        self.0.lock().unwrap().extend(envelopes);
    }
}

struct Members {
    nodes: Vec<Stepped<Echo, Answer>>,
    outboxes: Vec<Arc<Outbox>>,
    hands: Vec<Hand>,
}

/// A message with who sent it.
struct Letter(MemberId, Envelope);

impl Letter {
    fn kind(&self) -> MessageType {
        wire::message(&self.1.bytes).unwrap().get_msg_type()
    }
}

impl Members {
    /// Member 1 leads, and has committed an entry of its term.
    fn led_by_the_first(folder: &Path) -> Members {
        let mut members = Members { nodes: Vec::new(), outboxes: Vec::new(), hands: Vec::new() };
        (1..=3).for_each(|me| members.start(me, folder));
        members.nodes[0].stand();
        for me in (1..=3).cycle().take(3 * TURNS as usize) {
            members.run(me);
            members.sent_by(me).into_iter().for_each(|letter| members.bring(letter));
        }
        // They hear with the next heartbeat what is committed.
        members.beat();
        let views: Vec<View> = members.nodes.iter().map(Stepped::view).collect();
        assert!(views.iter().all(|view| view.leader == 1 && view.applied == 1), "{views:?}");
        members
    }

    fn start(&mut self, me: MemberId, folder: &Path) {
        let (clock, hand) = Clock::by_hand();
        let outbox = Arc::new(Outbox::default());
        let config = Config {
            propose: Propose::Pipelined,
            apply_on: ApplyOn::RaftThread,
            publish: Publish::Ready,
            fsync: Fsync::Off,
            reads: Reads::Index,
        };
        let setup = Setup {
            config,
            group: Group::of(me, 3),
            log: folder,
            images: &folder.join(format!("images-{me}")),
            medium: Medium::default(),
            transport: outbox.clone(),
            meter: Arc::new(PipelineMeter::default()),
            seed: Seed(me),
            clock,
            probe: Probe::off(),
        };
        let disk = SimulatedDisk::new(Seed(me), Nanos::ZERO);
        self.nodes.push(Stepped::start(setup, Arc::new(Echo), disk, hand).unwrap());
        self.outboxes.push(outbox);
        self.hands.push(hand);
    }

    /// Lets a member do what there is to do.
    fn run(&mut self, me: MemberId) {
        for _ in 0..ROUNDS_MAX {
            if let Step::Rest(_) = self.nodes[me as usize - 1].step().unwrap() {
                return;
            }
        }
        panic!("member {me} does not come to rest");
    }

    /// The leader's next heartbeat, and all that comes of it.
    fn beat(&mut self) {
        self.tick(1);
        for me in [1, 2, 3, 1, 2, 3] {
            self.run(me);
            self.sent_by(me).into_iter().for_each(|letter| self.bring(letter));
        }
        (1..=3).for_each(|me| self.run(me));
    }

    /// A heartbeat's time passes at member `me`.
    fn tick(&mut self, me: MemberId) {
        self.hands[me as usize - 1].pass(Group::alone().timing.heartbeat);
    }

    fn sent_by(&self, me: MemberId) -> Vec<Letter> {
        let sent = std::mem::take(&mut *self.outboxes[me as usize - 1].0.lock().unwrap());
        sent.into_iter().map(|envelope| Letter(me, envelope)).collect()
    }

    fn bring(&self, Letter(from, envelope): Letter) {
        let inbox = self.nodes[envelope.to as usize - 1].inbox();
        inbox.receive(Received { from, bytes: envelope.bytes, image: None });
    }

    /// Brings what is of this kind, and loses the rest; says how many that were.
    fn bring_only(&self, kind: MessageType, letters: Vec<Letter>) -> usize {
        let of_it: Vec<Letter> =
            letters.into_iter().filter(|letter| letter.kind() == kind).collect();
        let count = of_it.len();
        of_it.into_iter().for_each(|letter| self.bring(letter));
        count
    }

    fn read(&self, me: MemberId) -> Answer {
        let answer = Answer::default();
        let is_asleep =
            self.nodes[me as usize - 1].inbox().read(|to| to.extend(b"?"), answer.clone());
        assert!(!is_asleep, "whose rounds are stepped never sleeps");
        answer
    }
}

/// Member 2 asks, and asks again. An acknowledgment of the first time comes late, as to a leader that stood still: behind the question's
/// second time, and behind a read that came in between.
#[test]
fn an_acknowledgment_confirms_nothing_that_was_asked_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut members = Members::led_by_the_first(folder.path());
    let of_the_second = members.read(2);
    members.run(2);
    assert_eq!(members.bring_only(MsgReadIndex, members.sent_by(2)), 1);
    members.run(1);
    assert_eq!(members.bring_only(MsgHeartbeat, members.sent_by(1)), 2);
    members.run(2);
    members.run(3);
    let late = members.sent_by(3);
    assert_eq!(members.bring_only(MsgHeartbeatResponse, members.sent_by(2)), 1);
    members.run(1);
    let lost = members.sent_by(1);
    assert!(lost.iter().any(|letter| letter.kind() == MsgReadIndexResp), "it was answered");
    members.tick(2);
    members.run(2);
    let again = members.sent_by(2);

    let of_the_first = members.read(1);
    members.run(1);
    let heartbeats = members.sent_by(1);
    assert_eq!(members.bring_only(MsgReadIndex, again), 1);
    members.run(1);
    let more_heartbeats = members.sent_by(1);
    assert_eq!(members.bring_only(MsgHeartbeatResponse, late), 1);
    members.run(1);
    assert!(!of_the_first.is_there(), "nobody has acknowledged it");

    // What was sent for the read confirms it, and what was sent for the question's second time that.
    assert_eq!(members.bring_only(MsgHeartbeat, heartbeats), 2);
    members.run(3);
    assert_eq!(members.bring_only(MsgHeartbeatResponse, members.sent_by(3)), 1);
    members.run(1);
    assert!(of_the_first.is_there() && !of_the_second.is_there());
    assert_eq!(members.bring_only(MsgHeartbeat, more_heartbeats), 2);
    members.run(3);
    assert_eq!(members.bring_only(MsgHeartbeatResponse, members.sent_by(3)), 1);
    members.run(1);
    assert_eq!(members.bring_only(MsgReadIndexResp, members.sent_by(1)), 1);
    members.run(2);
    assert!(of_the_second.is_there());
}

/// The library's heartbeats carry the last question that waits, and with it all of them.
#[test]
fn a_read_of_the_leader_is_confirmed_by_a_later_heartbeat_if_the_first_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut members = Members::led_by_the_first(folder.path());
    let reads = [members.read(1)];
    members.run(1);
    let later = members.read(1);
    members.run(1);
    drop(members.sent_by(1));
    members.beat();
    assert!(reads[0].is_there() && later.is_there());
}
