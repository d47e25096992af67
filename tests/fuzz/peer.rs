//! Messages of other members, to a member that runs: its Ready loop reads, guards and answers them, on a log of its own.
//!
//! What is left out is a lie within the rules, such as a leader's entries of another history: raft believes its members.

use crate::driver::{Answer, Plan, fuzz};
use kvbench::clock::Clock;
use kvbench::measure::pipeline::PipelineMeter;
use kvbench::measure::stage::{Probe, Stamps};
use kvbench::model::{Request, codec};
use kvbench::raft::{
    self as pipeline, ApplyOn, Command, Config, Delivered, Door, Envelope, Executed, Fsync, Group,
    ImagePolicy, Medium, Pipeline, Propose, Publish, Reads, Received, Rejected, Setup,
    StateMachine, Timing, Transport, Waiter,
};
use kvbench::units::Nanos;
use protobuf::Message as _;
use raft::eraftpb::{ConfState, Entry, EntryType, Message, MessageType};
use std::error::Error;
use std::io::{self, Read, Write};
use std::sync::Arc;

const ME: u64 = 1;
const LEADER: u64 = 2;
/// Inputs between two looks at the member.
const BATCH: u64 = 64;
/// Longest wait for it to have read what it was given.
const PATIENCE: Nanos = Nanos::from_millis(20_000);
/// Inputs after which it begins anew, with an empty log.
const LIFE: u64 = 50_000;

/// Takes what a server's state machine takes, and does nothing with it.
struct Machine;

impl StateMachine for Machine {
    type Reply = ();

    fn apply(&self, commands: &[Command<'_>]) -> Vec<Executed<()>> {
        commands.iter().map(|_| Executed { reply: (), stamps: Stamps::default() }).collect()
    }

    fn read(&self, _: &[u8]) -> Executed<()> {
        Executed { reply: (), stamps: Stamps::default() }
    }

    fn accepts(&self, command: &[u8]) -> bool {
        codec::decode(command).is_ok()
    }

    fn is_image(&self, _: u64, _: &mut dyn Read) -> bool {
        false
    }

    fn write_image(&self, _: &mut dyn Write, held: &mut dyn FnMut()) -> io::Result<()> {
        held();
        Ok(())
    }

    fn load_image(&self, _: &mut dyn Read) -> Result<(), Box<dyn Error + Send + Sync>> {
        Err("there is none".into())
    }
}

struct Unheard;

impl Transport for Unheard {
    fn send(&self, _: Vec<Envelope>) {}
}

struct NobodyWaits;

impl Waiter<()> for NobodyWaits {
    fn answer(self, _: Result<Delivered<()>, Rejected>) {}
}

struct Member {
    pipeline: Pipeline<(), NobodyWaits>,
    clock: Clock,
    given: u64,
    _folder: tempfile::TempDir,
}

impl Member {
    fn start() -> Member {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::start();
        let config = Config {
            propose: Propose::Pipelined,
            apply_on: ApplyOn::RaftThread,
            publish: Publish::Ready,
            fsync: Fsync::Off,
            reads: Reads::Index,
        };
        let images = ImagePolicy { entries: u64::MAX, ..ImagePolicy::default() };
        // It never stands by itself.
        let timing =
            Timing { heartbeat: Nanos::from_millis(100), election: Nanos::from_millis(3_600_000) };
        let (log, kept) = (folder.path().join("raft"), folder.path().join("images"));
        let setup = Setup {
            config,
            group: Group { timing, images, ..Group::of(ME, 3) },
            log: &log,
            images: &kept,
            medium: Medium::default(),
            seed: kvbench::seed::Seed(1),
            transport: Arc::new(Unheard),
            meter: Arc::new(PipelineMeter::default()),
            clock,
            probe: Probe::off(),
        };
        let pipeline = pipeline::start(setup, Arc::new(Machine)).unwrap();
        Member { pipeline, clock, given: 0, _folder: folder }
    }

    fn give(&mut self, from: u64, bytes: Vec<u8>) {
        self.given += 1;
        self.pipeline.inbox().receive(Received { from, bytes, image: None });
    }

    fn refused(&self) -> u64 {
        self.pipeline.inbox().refusals().counts().iter().map(|(_, count)| count).sum()
    }

    /// Waits until everything it was given has been looked at: a message that is surely refused was, after all of them.
    fn settle(&mut self) {
        let before = self.refused_as_stranger();
        self.give(LEADER, vec![0xff]);
        let since = self.clock.now();
        while self.refused_as_stranger() == before {
            assert!(!self.pipeline.status().stopped, "the Ready loop has ended");
            assert!(self.clock.now().since(since) < PATIENCE, "the Ready loop does not go on");
            std::thread::yield_now();
        }
    }

    fn refused_as_stranger(&self) -> u64 {
        let counts = self.pipeline.inbox().refusals().counts();
        counts
            .iter()
            .find(|(why, _)| *why == pipeline::Refused::Unreadable)
            .map_or(0, |(_, count)| *count)
    }
}

/// What a member in its right mind could send, of each kind, at term 5.
fn samples() -> Vec<Message> {
    let of = |kind| {
        let mut message = Message { from: LEADER, to: ME, term: 5, ..Message::default() };
        message.set_msg_type(kind);
        message
    };
    let entry = |index| {
        let data = codec::encode(&Request::put("k", "v"));
        let packed = [&(data.len() as u32).to_le_bytes(), &data[..]].concat();
        let id = [LEADER, 1, index].map(u64::to_le_bytes).concat();
        Entry { index, term: 1, data: packed.into(), context: id.into(), ..Entry::default() }
    };
    let mut append = of(MessageType::MsgAppend);
    append.set_entries(vec![entry(1), entry(2), entry(3)].into());
    let mut more = of(MessageType::MsgAppend);
    (more.index, more.log_term, more.commit) = (3, 1, 2);
    more.set_entries(vec![entry(4)].into());
    let mut change = entry(5);
    change.set_entry_type(EntryType::EntryConfChange);
    let mut changes = of(MessageType::MsgAppend);
    (changes.index, changes.log_term) = (4, 1);
    changes.set_entries(vec![change].into());
    let mut heartbeat = of(MessageType::MsgHeartbeat);
    heartbeat.commit = 1;
    let mut vote = of(MessageType::MsgRequestVote);
    (vote.index, vote.log_term, vote.from, vote.term) = (9, 1, 3, 6);
    let mut pre_vote = of(MessageType::MsgRequestPreVote);
    (pre_vote.index, pre_vote.log_term, pre_vote.from, pre_vote.term) = (9, 1, 3, 6);
    let mut propose = of(MessageType::MsgPropose);
    (propose.term, propose.from) = (0, 3);
    propose.set_entries(vec![Entry { index: 0, term: 0, ..entry(7) }].into());
    let mut question = of(MessageType::MsgReadIndex);
    (question.term, question.from) = (0, 3);
    let asked = [3, 1, 1].map(u64::to_le_bytes).concat();
    question.set_entries(vec![Entry { data: asked.into(), ..Entry::default() }].into());
    let mut answer = of(MessageType::MsgReadIndexResp);
    answer.set_entries(vec![Entry { data: vec![1; 24].into(), ..Entry::default() }].into());
    let mut snapshot = of(MessageType::MsgSnapshot);
    let metadata = snapshot.mut_snapshot().mut_metadata();
    (metadata.index, metadata.term) = (50, 1);
    metadata.set_conf_state(ConfState { voters: vec![1, 2, 3], ..ConfState::default() });
    let responses = [
        MessageType::MsgAppendResponse,
        MessageType::MsgHeartbeatResponse,
        MessageType::MsgRequestVoteResponse,
        MessageType::MsgRequestPreVoteResponse,
        MessageType::MsgTimeoutNow,
        MessageType::MsgHup,
        MessageType::MsgUnreachable,
    ];
    let mut all =
        vec![append, more, changes, heartbeat, vote, pre_vote, propose, question, answer, snapshot];
    all.extend(responses.map(of));
    all
}

/// Whether raft would believe it, and be right to within its rules. Entries here are of term 1, each of one content.
fn is_a_lie(message: &Message, from: u64) -> bool {
    use MessageType::*;
    let names_itself = message.from == from && message.to == ME;
    let is_known = samples();
    let honest = |entry: &Entry| {
        is_known.iter().flat_map(|sample| sample.get_entries()).any(|known| known == entry)
    };
    names_itself
        && match message.get_msg_type() {
            MsgAppend => {
                message.log_term != u64::from(message.index > 0)
                    || !message.get_entries().iter().all(honest)
            }
            // With votes it would lead, and its log be another.
            MsgRequestVoteResponse | MsgRequestPreVoteResponse => !message.reject,
            MsgSnapshot => true,
            _ => false,
        }
}

/// With the term of now in place of 5: what is of the past is answered without being looked at.
fn of_now(mut message: Message, term: u64) -> Message {
    match message.term {
        5 => message.term = term,
        6 => message.term = term + 1,
        _ => {}
    }
    message
}

#[test]
fn messages_of_members() {
    let mut member = Member::start();
    let mut check = |input: &[u8]| -> Answer {
        let Some((from, bytes)) = input.split_first() else { return "nothing".into() };
        let from = u64::from(*from % 4);
        if member.given >= LIFE {
            member.settle();
            member = Member::start();
        }
        let mut message = Message::default();
        let read = message.merge_from_bytes(bytes).is_ok();
        let (bytes, kind): (Vec<u8>, Answer) = match read {
            true if is_a_lie(&message, from) => return "a lie".into(),
            true => {
                let kind = format!("{:?} from {from}", message.get_msg_type());
                let now = of_now(message, member.pipeline.status().term.clamp(5, 1 << 40));
                (now.write_to_bytes().unwrap(), kind.into())
            }
            false => (bytes.to_vec(), "unreadable".into()),
        };
        member.give(from, bytes);
        if member.given.is_multiple_of(BATCH) {
            member.settle();
        }
        kind
    };
    let samples = samples();
    let samples = samples
        .iter()
        .map(|sample| [&[sample.from as u8], &sample.write_to_bytes().unwrap()[..]].concat());
    let words: &[&[u8]] = &[
        &[0x3a, 0],
        &[0x20, 0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0x4a, 2, 0x12, 0],
        &[0x1b],
        &[0x08, 1],
        &[0xff; 10],
    ];
    let plan =
        Plan { name: "peer", execs: 4_000, samples: samples.collect(), words, counts_bytes: false };
    fuzz(plan, &mut check);
    member.settle();
    assert!(member.refused() > 0);
}
