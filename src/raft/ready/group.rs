//! The group as the loop sees it: messages in and out, who leads, who belongs.

use super::{ReadyLoop, StateRole, reject};
use crate::failpoint;
use crate::raft::applier::CommittedEntry;
use crate::raft::guard::{self, View};
use crate::raft::inbox::{What, Wish, WishReply};
use crate::raft::lease::Standing;
use crate::raft::log::LogStore;
use crate::raft::members::{BadChange, Change};
use crate::raft::packing::{EntryId, unpack};
use crate::raft::reads;
use crate::raft::refusals::Refused;
use crate::raft::status::Role;
use crate::raft::transport::{Envelope, MemberId, Received, Report};
use crate::raft::{PipelineError, Rejected, StateMachine, Waiter, wire};
use crate::units::Nanos;
use protobuf::Message as _;
use raft::eraftpb::{ConfChange, Entry, EntryType, Message, MessageType};
use raft::{CAMPAIGN_TRANSFER, SnapshotStatus};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

impl<M, W, L> ReadyLoop<M, W, L>
where
    M: StateMachine,
    W: Waiter<M::Reply>,
    L: LogStore,
{
    pub(super) fn send(&mut self, mut messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        failpoint::pass("ready::before-send");
        messages.iter_mut().for_each(unname_answer);
        let envelopes = messages.iter().filter_map(|message| self.envelope(message)).collect();
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

    /// Whatever is wrong with a message, it is not worth more than not being heard, and counted.
    pub(super) fn receive(&mut self, received: Received) {
        let Received { from, bytes, mut image } = received;
        if let Err(why) = self.hear(from, &bytes, &mut image) {
            self.inbox.refusals().note(from, why);
        }
        if let Some(path) = image {
            // It came too late to be of use, or is none. Left behind, the next start removes it.
            drop(std::fs::remove_file(path));
        }
    }

    fn hear(
        &mut self,
        from: MemberId,
        bytes: &[u8],
        image: &mut Option<PathBuf>,
    ) -> Result<(), Refused> {
        failpoint::pass("ready::message");
        let mut message = wire::message(bytes)?;
        guard::check(&message, from, &self.view())?;
        match message.get_msg_type() {
            MessageType::MsgSnapshot => return self.hear_of_image(message, image),
            _ if image.is_some() => return Err(Refused::Image),
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote
                if !self.may_vote(&message) =>
            {
                return Ok(());
            }
            // Sent to who does not lead, they are lost: whoever sent them asks again, and sent on they would come from somebody else.
            MessageType::MsgPropose | MessageType::MsgReadIndex if !self.is_leader() => {
                return Ok(());
            }
            MessageType::MsgReadIndex => self.name_question(&mut message),
            MessageType::MsgPropose if !self.is_new_proposal(&message)? => return Ok(()),
            _ => {}
        }
        // What the library does not want after all, nobody could do anything about.
        let _ = self.raft.step(message);
        Ok(())
    }

    fn view(&self) -> View {
        let raft = &self.raft.raft;
        View {
            me: self.me,
            term: raft.term,
            leader: raft.leader_id,
            last: raft.raft_log.last_index(),
        }
    }

    fn is_leader(&self) -> bool {
        self.raft.raft.state == StateRole::Leader
    }

    /// Keeps the image if the library wants it: a damaged one, installed, would end this member for good.
    fn hear_of_image(
        &mut self,
        message: Message,
        image: &mut Option<PathBuf>,
    ) -> Result<(), Refused> {
        let path = image.as_ref().ok_or(Refused::Image)?;
        let index = message.get_snapshot().get_metadata().index;
        let raft = &self.raft.raft;
        if index > raft.raft_log.committed && message.term >= raft.term {
            let file = File::open(path).ok();
            let is_image = file.is_some_and(|mut file| self.machine.is_image(index, &mut file));
            if !is_image {
                return Err(Refused::Image);
            }
        }
        let wanted = self.wanted_image();
        let _ = self.raft.step(message);
        if self.wanted_image() == Some(index) && wanted != Some(index) {
            // What was wanted before is removed in its place.
            std::mem::swap(&mut self.incoming, image);
        }
        Ok(())
    }

    /// Up to where the image goes that the library has taken and not seen installed.
    fn wanted_image(&self) -> Option<u64> {
        self.raft.snap().map(|snapshot| snapshot.get_metadata().index)
    }

    /// Whether a forwarded proposal comes for the first time; refused if it must not be in the log.
    fn is_new_proposal(&mut self, message: &Message) -> Result<bool, Refused> {
        failpoint::pass("ready::forwarded-proposal");
        let mut ids = Vec::new();
        for entry in message.get_entries() {
            let id = EntryId::from_bytes(&entry.context).filter(|id| id.node == message.from);
            ids.push(id.ok_or(Refused::Proposal)?);
            self.check_proposal(message.from, entry)?;
        }
        #[cfg(feature = "seeded-bugs")]
        if self.bug == Some(crate::raft::SeededBug::ForwardedTwice) {
            return Ok(true);
        }
        Ok(ids.into_iter().all(|id| self.forwarded.is_new(id)))
    }

    /// Commands that can be applied, or what a member says of itself.
    fn check_proposal(&self, from: MemberId, entry: &Entry) -> Result<(), Refused> {
        let is_sound = match entry.get_entry_type() {
            EntryType::EntryNormal => {
                let mut commands = Vec::new();
                let unpacked = unpack(entry.index, &entry.data, &mut commands);
                unpacked.is_ok()
                    && commands.iter().all(|command| self.machine.accepts(command.bytes))
            }
            EntryType::EntryConfChange => {
                self.members.is_description(from, &wire::change(&entry.data)?)
            }
            EntryType::EntryConfChangeV2 => false,
        };
        if is_sound { Ok(()) } else { Err(Refused::Proposal) }
    }

    /// A member whose leader has a lease does not vote after a restart until it cannot have promised anything that still counts.
    /// A leader that hands over has given its lease up.
    fn may_vote(&self, message: &Message) -> bool {
        !self.abstains() || message.context == CAMPAIGN_TRANSFER
    }

    fn abstains(&self) -> bool {
        self.clock.now() < self.abstains_until
    }

    /// For an election timeout from now on, unless this member is new and has promised nothing.
    pub(super) fn abstain(&mut self) {
        let is_new = self.raft.raft.term == 0 && self.raft.raft.raft_log.last_index() == 0;
        if self.lease.is_used() && !is_new {
            self.abstains_until = self.clock.now().after(self.timing.election);
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let raft = &self.raft.raft;
        let leads = raft.state == StateRole::Leader;
        Standing { term: raft.term, leads, hands_over: raft.lead_transferee.is_some() }
    }

    /// Whether reads may be answered from what is committed now.
    pub(super) fn may_answer(&mut self, now: Nanos) -> bool {
        #[cfg(feature = "seeded-bugs")]
        if self.bug == Some(crate::raft::SeededBug::ReadUnasked) && self.is_leader() {
            return true;
        }
        self.lease.follow(self.standing());
        self.lease.holds(now)
    }

    /// From now on it has this bug.
    #[cfg(feature = "seeded-bugs")]
    pub(in crate::raft) fn seed_bug(&mut self, bug: Option<crate::raft::SeededBug>) {
        self.bug = bug;
        if bug == Some(crate::raft::SeededBug::LeaseTooLong) {
            self.lease.stretch(self.timing);
        }
    }

    /// With every heartbeat.
    pub(super) fn renew_lease(&mut self, now: Nanos) {
        self.lease.follow(self.standing());
        if self.lease.is_worth_asking() {
            let question = self.next_id().to_bytes();
            self.lease.ask(question.clone(), now);
            self.ask(question);
        }
    }

    /// Asks a quorum whether this member leads; one that does not asks whoever does. Gives the term if in it the library asks until there
    /// is an answer.
    pub(super) fn ask(&mut self, question: Vec<u8>) -> Option<u64> {
        let leads = self.is_leader();
        let asked = if leads { self.named(&question) } else { question };
        self.raft.read_index(asked);
        // Before it has committed something in its term, a leader's library drops questions.
        let raft = &self.raft.raft;
        (leads && raft.commit_to_current_term()).then_some(raft.term)
    }

    /// Another member's question, which the library is to know by a name of this one's.
    fn name_question(&mut self, message: &mut Message) {
        for entry in message.mut_entries() {
            entry.data = self.named(&entry.data).into();
        }
    }

    fn named(&mut self, question: &[u8]) -> Vec<u8> {
        #[cfg(feature = "seeded-bugs")]
        if self.bug == Some(crate::raft::SeededBug::QuestionsUnnamed) {
            return question.to_owned();
        }
        reads::name(question, self.next_id())
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
            failpoint::pass("ready::new-role");
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
            // It may have promised a leader not to.
            What::Stand if self.lease.is_used() && (leader != 0 || self.abstains()) => {
                reply(Ok(()))
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
                failpoint::pass("ready::hand-over");
                self.raft.transfer_leader(to);
                // It may be called off before the next look.
                self.lease.follow(self.standing());
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
            failpoint::may_fail("ready::change-group")?;
            let mut change = ConfChange::default();
            change.merge_from_bytes(&entry.data).expect("a committed change can be read");
            let conf = self.raft.apply_conf_change(&change)?;
            self.leave_if_removed();
            self.lease.end();
            self.members.follow(entry.index, &change, conf);
            self.raft.mut_store().put_members(&self.members)?;
            self.show_members();
        }
        let waiting = self.own_sequence(entry).and_then(|sequence| self.changes.remove(&sequence));
        self.committed_changes.extend(waiting.map(|(_, reply)| (entry.index, reply)));
        Ok(CommittedEntry { index: entry.index, data: Vec::new().into(), group: None })
    }

    /// A leader that is removed leads on in the library, which then misses it among those whose progress it counts, and panics at the next
    /// answer. It follows nobody instead, and the others elect.
    fn leave_if_removed(&mut self) {
        let raft = &mut self.raft.raft;
        if raft.state == StateRole::Leader && raft.prs().get(raft.id).is_none() {
            raft.become_follower(raft.term, raft::INVALID_ID);
        }
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
            (status.first, status.last) = (raft.raft_log.first_index(), raft.raft_log.last_index());
            status.committed = raft.raft_log.committed;
            status.applied = self.applied;
        });
    }
}

/// Who asked knows the question as it was asked.
fn unname_answer(message: &mut Message) {
    if message.get_msg_type() == MessageType::MsgReadIndexResp {
        for entry in message.mut_entries() {
            if let Some(question) = reads::question(&entry.data) {
                entry.data = question.to_vec().into();
            }
        }
    }
}
