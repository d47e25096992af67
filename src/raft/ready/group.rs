//! The group as the loop sees it: messages in and out, who leads, who belongs.

use super::{ReadyLoop, StateRole, reject};
use crate::raft::applier::CommittedEntry;
use crate::raft::inbox::{What, Wish, WishReply};
use crate::raft::log::LogStore;
use crate::raft::members::{BadChange, Change};
use crate::raft::packing::EntryId;
use crate::raft::status::Role;
use crate::raft::transport::{Envelope, Received, Report};
use crate::raft::{PipelineError, Rejected, StateMachine, Waiter};
use protobuf::Message as _;
use raft::SnapshotStatus;
use raft::eraftpb::{ConfChange, Entry, Message, MessageType};
use std::sync::Arc;

impl<M, W, L> ReadyLoop<M, W, L>
where
    M: StateMachine,
    W: Waiter<M::Reply>,
    L: LogStore,
{
    pub(super) fn send(&mut self, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        let envelopes =
            messages.into_iter().filter_map(|message| self.envelope(&message)).collect();
        self.transport.send(envelopes);
    }

    /// A message about an image that has been replaced meanwhile is not sent; the library asks again.
    pub(super) fn envelope(&mut self, message: &Message) -> Option<Envelope> {
        let mut image = None;
        if message.get_msg_type() == MessageType::MsgSnapshot {
            let index = message.get_snapshot().get_metadata().index;
            match self.images.newest().filter(|newest| newest.index == index) {
                Some(newest) => image = Some(newest.path.clone()),
                None => {
                    self.raft.report_snapshot(message.to, SnapshotStatus::Failure);
                    return None;
                }
            }
        }
        let bytes = message.write_to_bytes().expect("a message in memory can be written");
        Some(Envelope { to: message.to, bytes, image })
    }

    /// Whatever is wrong with a message, it is not worth more than not being heard.
    pub(super) fn receive(&mut self, received: Received) {
        let mut message = Message::default();
        let is_for_me = message.merge_from_bytes(&received.bytes).is_ok() && message.to == self.me;
        let brings_image = message.get_msg_type() == MessageType::MsgSnapshot;
        let is_whole = brings_image == received.image.is_some();
        if is_for_me && is_whole && self.may_step(&message) {
            // Unknown senders and the like; the library says which, and nobody could do anything.
            let _ = self.raft.step(message);
        }
        if let Some(path) = received.image {
            match self.raft.snap() {
                Some(_) if is_for_me => self.incoming = Some(path),
                // It came too late to be of use, or was for somebody else. Left behind, the next start removes it.
                _ => drop(std::fs::remove_file(path)),
            }
        }
    }

    /// Whether the library may see it: a forwarded proposal only by the leader, and once.
    pub(super) fn may_step(&mut self, message: &Message) -> bool {
        let mut ids = message.get_entries().iter().map(|entry| EntryId::from_bytes(&entry.context));
        match message.get_msg_type() {
            MessageType::MsgPropose => {
                self.raft.raft.state == StateRole::Leader
                    && ids.all(|id| id.is_some_and(|id| self.forwarded.is_new(id)))
            }
            _ => true,
        }
    }

    pub(super) fn note_report(&mut self, report: Report) {
        match report {
            Report::Unreachable(id) => self.raft.report_unreachable(id),
            Report::Image(id, true) => self.raft.report_snapshot(id, SnapshotStatus::Finish),
            Report::Image(id, false) => self.raft.report_snapshot(id, SnapshotStatus::Failure),
        }
    }

    pub(super) fn note_role(&mut self) {
        let leader = self.raft.raft.leader_id;
        let leads = self.raft.raft.state == StateRole::Leader;
        if leads != self.leads {
            self.leads = leads;
            self.machine.lead(leads);
        }
        self.leaderless = match leader {
            0 => self.leaderless.or(Some(self.clock.now())),
            _ => None,
        };
        if let Some((_, _, reply)) = self.transfer.take_if(|(to, ..)| *to == leader) {
            reply(Ok(()));
        }
        if leader != 0 {
            self.give_up_former_terms();
        }
    }

    /// What a former leader was given and has not committed by now may be lost with it, and keeps others from being
    /// proposed. It may still come to be: then it is applied, and nobody waits for it.
    fn give_up_former_terms(&mut self) {
        let term = self.raft.raft.term;
        for (_, group) in self.proposed.extract_if(|_, group| group.term < term) {
            self.in_flight -= 1;
            reject(group.submissions, &Rejected::LeaderChanged);
        }
    }

    pub(super) fn grant(&mut self, wish: Wish) {
        let leader = self.raft.raft.leader_id;
        let Wish { what, reply } = wish;
        match what {
            What::Image => {
                self.begin_image();
                reply(Ok(()));
            }
            What::Stand => {
                // A member without a vote, or one that leads, has nothing to ask for.
                let _ = self.raft.campaign();
                reply(Ok(()));
            }
            _ if leader == 0 => reply(Err(Rejected::NoLeader)),
            // What a member says of itself is sent on like any proposal.
            What::Change(ref change @ Change::Describe(id, _)) if id == self.me => {
                self.propose_wish(change, reply);
            }
            _ if leader != self.me => reply(Err(Rejected::NotLeader(leader))),
            What::Transfer(to) if to == self.me => reply(Ok(())),
            What::Transfer(to) if !self.members.conf.voters.contains(&to) => {
                reply(Err(Rejected::BadChange(BadChange::NotFound)));
            }
            What::Transfer(to) => {
                self.raft.transfer_leader(to);
                self.transfer = Some((to, self.clock.now(), reply));
            }
            What::Change(change) => self.propose_wish(&change, reply),
        }
    }

    pub(super) fn propose_wish(&mut self, change: &Change, reply: WishReply) {
        match self.propose_change(change) {
            Ok(sequence) => drop(self.changes.insert(sequence, (self.clock.now(), reply))),
            Err(rejected) => reply(Err(rejected)),
        }
    }

    pub(super) fn propose_change(&mut self, change: &Change) -> Result<u64, Rejected> {
        if self.raft.raft.has_pending_conf() {
            return Err(Rejected::BadChange(BadChange::Busy));
        }
        let last = self.raft.raft.raft_log.last_index();
        // etcd's measure of a learner that may vote.
        let is_ready = |id| {
            let matched = self.raft.raft.prs().get(id).map_or(0, |progress| progress.matched);
            matched * 10 >= last * 9
        };
        let change = self.members.proposal(change, is_ready).map_err(Rejected::BadChange)?;
        let id = self.next_id();
        match self.raft.propose_conf_change(id.to_bytes(), change) {
            Ok(()) => Ok(id.sequence),
            Err(_) => Err(Rejected::NoLeader),
        }
    }

    /// The group changes where the entry is committed; the state machine sees an entry without commands.
    pub(super) fn change_group(
        &mut self,
        entry: &Entry,
    ) -> Result<CommittedEntry<W>, PipelineError> {
        // A change that was in the members' list before is seen again after a restart.
        if entry.index > self.members.index {
            let mut change = ConfChange::default();
            change.merge_from_bytes(&entry.data).expect("a committed change can be read");
            let conf = self.raft.apply_conf_change(&change)?;
            self.members.follow(entry.index, &change, conf);
            self.raft.mut_store().put_members(&self.members)?;
            self.show_members();
        }
        let waiting = self.own_sequence(entry).and_then(|sequence| self.changes.remove(&sequence));
        self.committed_changes.extend(waiting.map(|(_, reply)| (entry.index, reply)));
        Ok(CommittedEntry { index: entry.index, data: Vec::new().into(), group: None })
    }

    pub(super) fn show_members(&self) {
        let members = Arc::new(self.members.list());
        self.board.change(|status| status.members = members);
    }

    pub(super) fn show(&self) {
        let raft = &self.raft.raft;
        let role = match raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Follower => Role::Follower,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
        };
        self.board.change(|status| {
            (status.me, status.role) = (self.me, role);
            (status.leader, status.term) = (raft.leader_id, raft.term);
            (status.last, status.committed) = (raft.raft_log.last_index(), raft.raft_log.committed);
            status.applied = self.applied;
        });
    }
}
