//! The Ready loop: take what is new, propose, send, persist, commit, apply; one thread, in that order. A leader's appends are
//! on their way to the others before its own sync begins; what a follower answers waits for its sync.

use crate::clock::Clock;
use crate::failpoint;
use crate::measure::pipeline::PipelineMeter;
use crate::measure::stage::Probe;
use crate::raft::applier::{self, Applier, Committed, CommittedEntry, Group, GroupTimes};
use crate::raft::forwarded::Forwarded;
use crate::raft::images::Images;
use crate::raft::inbox::{Applied, Backlog, Inbox, News, Submission, Submissions, WishReply};
use crate::raft::lease::Lease;
use crate::raft::log::{LogStore, Round, Written};
use crate::raft::members::Members;
use crate::raft::packing::EntryId;
use crate::raft::pipeline::Setup;
use crate::raft::proposer::{self, Proposer, Situation, Turn, Waiting};
use crate::raft::reads::{self, WaitingReads};
use crate::raft::status::Board;
use crate::raft::transport::{MemberId, Transport};
use crate::raft::{ImagePolicy, PipelineError, Publish, Rejected, StateMachine, Timing, Waiter};
use crate::units::Nanos;
use raft::eraftpb::{Entry, EntryType, HardState};
use raft::{RawNode, StateRole};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;

mod group;
mod imaging;
mod timeout;
mod view;
mod waiting;

pub use view::View;

use timeout::ElectionTimeout;
use waiting::WaitingWrites;

/// Shortest wait that is slept; the kernel's default timer slack is 50 µs.
const SHORTEST_SLEEP: Nanos = Nanos(100_000);
/// Ready rounds a lone voter may need to elect itself and commit its first entry; it needs three.
const ELECTION_ROUNDS_MAX: u32 = 1000;
/// How long a request may wait for the log, beside two elections; etcd's number.
const PATIENCE: Nanos = Nanos::from_millis(5000);

/// What the loop works with.
pub(super) struct Parts<M: StateMachine, W, L> {
    pub(super) log: L,
    pub(super) inbox: Arc<Inbox<M::Reply, W>>,
    pub(super) board: Arc<Board>,
    pub(super) applier: Box<dyn Applier<W>>,
    pub(super) machine: Arc<M>,
    pub(super) members: Members,
    pub(super) images: Images,
}

/// What comes after a round of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The next one, at once.
    Round,
    /// Nothing before there is news, and at this instant at the latest.
    Rest(Nanos),
    /// The end, which was asked for.
    End,
}

pub(super) struct ReadyLoop<M: StateMachine, W, L: LogStore> {
    me: MemberId,
    raft: RawNode<L>,
    incarnation: u64,
    inbox: Arc<Inbox<M::Reply, W>>,
    /// What the inbox is given in place of its news, so that nobody waits for memory meanwhile.
    next: News<W>,
    board: Arc<Board>,
    transport: Arc<dyn Transport>,
    proposer: Box<dyn Proposer>,
    applier: Box<dyn Applier<W>>,
    publish: Publish,
    machine: Arc<M>,
    meter: Arc<PipelineMeter>,
    clock: Clock,
    probe: Probe,
    timing: Timing,
    members: Members,
    /// Writes not yet proposed, oldest first.
    waiting: WaitingWrites<W>,
    /// Own proposals not yet applied, by sequence.
    proposed: HashMap<u64, Group<W>>,
    /// Own changes of the group that are not committed yet, by sequence, with when they were proposed.
    changes: HashMap<u64, (Nanos, WishReply)>,
    /// Own changes that are committed, by index: whoever wants another one has to wait until they are applied.
    committed_changes: Vec<(u64, WishReply)>,
    /// Who shall lead, since when it was asked, and who wants to know.
    transfer: Option<(MemberId, Nanos, WishReply)>,
    sequence: u64,
    /// Own entries proposed and not yet applied.
    in_flight: usize,
    /// Committed entries kept back until the next Ready is persisted.
    held: Vec<Entry>,
    /// Hard state that changed only in its commit index: written with the next entries, since replay recovers it.
    hard_state: Option<HardState>,
    reads: WaitingReads<W>,
    lease: Lease,
    /// Until when this member gives nobody its vote.
    abstains_until: Nanos,
    applied: u64,
    next_tick: Nanos,
    election_timeout: ElectionTimeout,
    /// Since when no leader is known.
    leaderless: Option<Nanos>,
    leads: bool,
    forwarded: Forwarded,
    images: Images,
    image_policy: ImagePolicy,
    /// Whether an image is being written.
    imaging: bool,
    /// The file that came with the last message about an image.
    incoming: Option<PathBuf>,
    /// Bytes of the log when it was cut last.
    bytes_at_image: u64,
    #[cfg(feature = "seeded-bugs")]
    bug: Option<crate::raft::SeededBug>,
}

impl<M, W, L> ReadyLoop<M, W, L>
where
    M: StateMachine,
    W: Waiter<M::Reply>,
    L: LogStore,
{
    pub(super) fn new(
        parts: Parts<M, W, L>,
        config: &raft::Config,
        setup: Setup<'_>,
    ) -> Result<ReadyLoop<M, W, L>, PipelineError> {
        let Parts { log, inbox, board, applier, machine, members, images } = parts;
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let (clock, timing) = (setup.clock, setup.group.timing);
        let incarnation = log.incarnation();
        let mut ready_loop = ReadyLoop {
            me: setup.group.me,
            incarnation,
            raft: RawNode::new(config, log, &logger)?,
            inbox,
            next: News::none(),
            board,
            transport: setup.transport,
            proposer: proposer::proposer(setup.config.propose),
            applier,
            publish: setup.config.publish,
            machine,
            bytes_at_image: setup.meter.counts().log_bytes,
            meter: setup.meter,
            clock,
            probe: setup.probe,
            timing,
            members,
            waiting: WaitingWrites::new(),
            proposed: HashMap::new(),
            changes: HashMap::new(),
            committed_changes: Vec::new(),
            transfer: None,
            sequence: 0,
            in_flight: 0,
            held: Vec::new(),
            hard_state: None,
            reads: WaitingReads::new(),
            lease: Lease::new(setup.config.reads, timing),
            abstains_until: Nanos::ZERO,
            applied: config.applied,
            next_tick: clock.now().after(timing.heartbeat),
            election_timeout: ElectionTimeout::new(setup.seed, incarnation, config.election_tick),
            leaderless: None,
            leads: false,
            forwarded: Forwarded::default(),
            images,
            image_policy: setup.group.images,
            imaging: false,
            incoming: None,
            #[cfg(feature = "seeded-bugs")]
            bug: None,
        };
        ready_loop.abstain();
        ready_loop.show_members();
        ready_loop.show();
        Ok(ready_loop)
    }

    /// A member that is the only voter elects itself, and goes on until everything in the log is committed and applied.
    pub(super) fn lead_if_alone(&mut self) -> Result<(), PipelineError> {
        if !self.members.is_only_voter(self.me) {
            return Ok(());
        }
        self.raft.campaign()?;
        let mut rounds = 0;
        while !self.caught_up() {
            rounds += 1;
            let raft = &self.raft.raft;
            assert!(
                rounds < ELECTION_ROUNDS_MAX,
                "a lone voter elects itself: {:?} of term {} with {} applied and {} committed of {}",
                raft.state,
                raft.term,
                self.applied,
                raft.raft_log.committed,
                raft.raft_log.last_index()
            );
            if self.raft.has_ready() || !self.held.is_empty() {
                self.turn()?;
            } else if self.raft.raft.state == StateRole::Follower {
                // The library lets nobody stand while a committed change of the group is not applied: then it was asked too early.
                self.raft.campaign()?;
            } else {
                self.inbox.wait(self.timing.heartbeat);
            }
            for applied in self.inbox.take_applied() {
                self.note_applied(applied);
            }
        }
        self.note_role();
        Ok(())
    }

    fn caught_up(&self) -> bool {
        let raft = &self.raft.raft;
        let last = raft.raft_log.last_index();
        raft.state == StateRole::Leader && self.applied == last && raft.raft_log.committed == last
    }

    pub(super) fn run(mut self) {
        // After a panic too: whoever waits or comes later is refused and does not hang.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.serve()));
        self.board.change(|status| status.stopped = true);
        let rest = self.inbox.close();
        let refused =
            rest.writes.each.into_iter().chain(rest.reads.each).chain(self.waiting.take_all().each);
        for submission in refused.chain(self.reads.drain()) {
            submission.waiter.answer(Err(Rejected::Stopped));
        }
        for (_, group) in self.proposed.drain() {
            reject(group.submissions, &Rejected::Stopped);
        }
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("the raft pipeline failed: {error}"),
            Err(panic) => resume_unwind(panic),
        }
    }

    fn serve(&mut self) -> Result<(), PipelineError> {
        loop {
            match self.round()? {
                Next::Round => {}
                Next::Rest(until) => self.rest(until.since(self.clock.now())),
                Next::End => return Ok(()),
            }
        }
    }

    /// Everything that can be done now, once, without waiting.
    pub(super) fn round(&mut self) -> Result<Next, PipelineError> {
        if self.take_news()? {
            return Ok(Next::End);
        }
        self.tick();
        let wake_by = self.propose()?;
        self.inbox.still_waiting(self.backlog());
        if self.raft.has_ready() || !self.held.is_empty() {
            self.turn()?;
            return Ok(Next::Round);
        }
        Ok(Next::Rest(wake_by.map_or(self.next_tick, |due| due.min(self.next_tick))))
    }

    /// Requests that were taken and are neither proposed nor read.
    fn backlog(&self) -> Backlog {
        let mut backlog = self.waiting.backlog();
        backlog.add(self.reads.backlog());
        backlog
    }

    /// Waits for news, at most for `span`. A timed sleep overshoots by 50 µs and more, so a shorter wait only lets
    /// others run.
    fn rest(&self, span: Nanos) {
        if span < SHORTEST_SLEEP {
            std::thread::yield_now();
        } else {
            self.inbox.wait(span);
        }
    }

    /// Moves what is new to where it belongs; true if the loop shall end.
    fn take_news(&mut self) -> Result<bool, PipelineError> {
        let next = std::mem::replace(&mut self.next, News::none());
        let news = self.inbox.take(self.backlog(), next);
        self.next = news.next();
        let News { writes, reads, applied, messages, reports, wishes, image, stop } = news;
        self.waiting.extend(writes);
        applied.into_iter().for_each(|applied| self.note_applied(applied));
        messages.into_iter().for_each(|received| self.receive(received));
        reports.into_iter().for_each(|report| self.note_report(report));
        wishes.into_iter().for_each(|wish| self.grant(wish));
        if let Some(image) = image {
            self.note_image(image)?;
        }
        if !reads.each.is_empty() {
            self.ask_read_index(reads);
        }
        self.serve_reads();
        Ok(stop)
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        if now < self.next_tick {
            return;
        }
        failpoint::pass("ready::tick");
        let raft = &mut self.raft.raft;
        raft.set_randomized_election_timeout(self.election_timeout.of(raft.term, raft.state));
        self.raft.tick();
        self.next_tick = now.after(self.timing.heartbeat);
        let again = self.reads.to_be_asked(self.raft.raft.term);
        again.into_iter().for_each(|question| self.ask_for_reads(question));
        self.renew_lease(now);
        self.give_up(now);
    }

    /// Answers what waited too long. It may still come to be.
    fn give_up(&mut self, now: Nanos) {
        let patience = PATIENCE.after(self.timing.election).after(self.timing.election);
        let before = Nanos(now.0.saturating_sub(patience.0));
        while let Some(group) = self.reads.overdue(before) {
            reject(group.queries.each, &Rejected::TimedOut);
        }
        for (_, group) in self.proposed.extract_if(|_, group| group.proposed < before) {
            self.in_flight -= 1;
            reject(group.submissions, &Rejected::TimedOut);
        }
        for (_, (_, reply)) in self.changes.extract_if(|_, (proposed, _)| *proposed < before) {
            reply(Err(Rejected::TimedOut));
        }
        if let Some((_, _, reply)) = self.transfer.take_if(|(_, asked, _)| *asked < before) {
            reply(Err(Rejected::TimedOut));
        }
        let nobody = self.leaderless.is_some_and(|since| {
            since.after(self.timing.election).after(self.timing.election) < now
        });
        if nobody {
            reject(self.waiting.take_all().each, &Rejected::NoLeader);
        }
    }

    /// Proposes all that the policy wants proposed; gives the instant it wants to be asked again.
    fn propose(&mut self) -> Result<Option<Nanos>, PipelineError> {
        if self.leaderless.is_some() {
            return Ok(None);
        }
        loop {
            let now = self.clock.now();
            let situation = Situation { waiting: &self.waiting, in_flight: self.in_flight, now };
            match self.proposer.turn(situation) {
                Turn::Send(count) => self.propose_first(count, now)?,
                Turn::Wait(due) => return Ok(due),
            }
        }
    }

    /// A follower's raft library sends the proposal on to the leader.
    fn propose_first(&mut self, count: usize, taken: Nanos) -> Result<(), PipelineError> {
        failpoint::may_fail("ready::before-propose")?;
        let Submissions { packed, each: submissions } = self.waiting.take(count);
        let id = self.next_id();
        match self.raft.propose(id.to_bytes(), packed) {
            Ok(()) => {}
            Err(raft::Error::ProposalDropped) => {
                reject(submissions, &Rejected::NoLeader);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        let times = GroupTimes { taken: self.stamp(taken), ..GroupTimes::default() };
        let group = Group { submissions, times, proposed: taken, term: self.raft.raft.term };
        self.proposed.insert(id.sequence, group);
        self.in_flight += 1;
        failpoint::may_fail("ready::after-propose")?;
        Ok(())
    }

    fn next_id(&mut self) -> EntryId {
        self.sequence += 1;
        EntryId { node: self.me, incarnation: self.incarnation, sequence: self.sequence }
    }

    /// The instant, if stage stamps are wanted.
    fn stamp(&self, now: Nanos) -> Nanos {
        if self.probe.is_on() { now } else { Nanos::ZERO }
    }

    /// One Ready: send, persist, then commit, then publish.
    fn turn(&mut self) -> Result<(), PipelineError> {
        let kept = std::mem::take(&mut self.held);
        let mut committed = Vec::new();
        let mut synced = false;
        if self.raft.has_ready() {
            let mut ready = self.raft.ready();
            self.send(ready.take_messages());
            for state in ready.take_read_states() {
                if let Some(question) = reads::question(&state.request_ctx)
                    && !self.lease.confirm(question)
                {
                    self.reads.confirm(question, state.index);
                }
            }
            let imaged = ready.snapshot().get_metadata().index;
            if !ready.snapshot().is_empty() {
                self.install(&ready.snapshot().clone())?;
            }
            committed = ready.take_committed_entries();
            let entries = ready.take_entries();
            synced = ready.must_sync();
            self.hard_state = ready.hs().cloned().or(self.hard_state.take());
            self.persist(&entries, synced)?;
            self.send(ready.take_persisted_messages());
            let mut light = self.raft.advance_append(ready);
            if imaged > 0 {
                // Else the library would look for what it thinks is not applied when it next stands for election, in a log that
                // begins after the image.
                self.raft.advance_apply_to(imaged);
            }
            self.remember_commit(light.commit_index());
            self.send(light.take_messages());
            committed.extend(light.take_committed_entries());
        }
        if !kept.is_empty() && !synced {
            // The next Ready brings nothing but the commit index; upstream synced that too before it published.
            self.persist(&[], true)?;
        }
        let now = self.probe.now();
        for entry in &committed {
            if let Some(times) = self.times_of(entry) {
                times.replicated = now;
            }
        }
        self.note_role();
        self.proposer.answering(self.waiting.len() + self.inbox.writes());
        self.publish(kept, committed)?;
        self.serve_reads();
        self.show();
        Ok(())
    }

    fn persist(&mut self, entries: &[Entry], sync: bool) -> Result<(), PipelineError> {
        if !sync && entries.is_empty() {
            return Ok(());
        }
        failpoint::may_fail("ready::before-append")?;
        let handed = self.probe.now();
        let hard_state = self.hard_state.take();
        let round = Round { entries, hard_state: hard_state.as_ref(), sync };
        let written = self.raft.mut_store().append(&round)?;
        let done = self.probe.now();
        failpoint::may_fail("ready::after-append")?;
        if !entries.is_empty() {
            self.meter.ready(entries.len() as u64);
        }
        for entry in entries {
            if let Some(times) = self.times_of(entry) {
                times.persisted(handed, done, written);
            }
        }
        Ok(())
    }

    /// Keeps the commit index for the next write of the hard state.
    fn remember_commit(&mut self, commit: Option<u64>) {
        if commit.is_some() {
            self.hard_state = Some(self.raft.raft.hard_state());
        }
    }

    fn times_of(&mut self, entry: &Entry) -> Option<&mut GroupTimes> {
        let sequence = self.own_sequence(entry)?;
        self.proposed.get_mut(&sequence).map(|group| &mut group.times)
    }

    /// The sequence of an entry that this start of this node proposed.
    fn own_sequence(&self, entry: &Entry) -> Option<u64> {
        let id = EntryId::from_bytes(&entry.context)?;
        (id.node == self.me && id.incarnation == self.incarnation).then_some(id.sequence)
    }

    /// Sends `kept` to apply, and `committed` too unless it has to wait for the next Ready.
    fn publish(&mut self, kept: Vec<Entry>, committed: Vec<Entry>) -> Result<(), PipelineError> {
        let mut entries = kept;
        match self.publish {
            Publish::Ready => entries.extend(committed),
            Publish::NextReady => self.held = committed,
        }
        let Some(last) = entries.last() else { return Ok(()) };
        failpoint::may_fail("ready::before-publish")?;
        let index = last.index;
        let mut own = Vec::with_capacity(entries.len());
        for entry in entries {
            own.push(match entry.get_entry_type() {
                EntryType::EntryNormal => self.own(entry),
                _ => self.change_group(&entry)?,
            });
        }
        if let Some(applied) = self.applier.publish(Committed { index, entries: own }) {
            self.note_applied(applied);
        }
        failpoint::may_fail("ready::after-publish")?;
        Ok(())
    }

    /// The entry with whoever waits for it here.
    fn own(&mut self, entry: Entry) -> CommittedEntry<W> {
        let published = self.probe.now();
        let group = self.own_sequence(&entry).and_then(|sequence| self.proposed.remove(&sequence));
        let group = group.map(|mut group| {
            group.times.published = published;
            group
        });
        CommittedEntry { index: entry.index, data: entry.data, group }
    }

    fn note_applied(&mut self, applied: Applied) {
        self.in_flight -= applied.own_entries;
        if applied.index > self.applied {
            self.applied = applied.index;
            self.raft.advance_apply_to(applied.index);
            self.raft.mut_store().applied(applied.index);
        }
        for (_, reply) in self.committed_changes.extract_if(.., |(index, _)| *index <= self.applied)
        {
            reply(Ok(()));
        }
        self.image_if_due();
    }

    fn ask_read_index(&mut self, queries: Submissions<W>) {
        let (question, now) = (self.next_id().to_bytes(), self.clock.now());
        self.reads.add(question.clone(), now, self.probe.now(), queries);
        if self.may_answer(now) {
            let committed = self.raft.raft.raft_log.committed;
            self.reads.confirm(&question, committed);
        } else {
            self.ask_for_reads(question);
        }
    }

    fn ask_for_reads(&mut self, question: Vec<u8>) {
        if let Some(term) = self.ask(question.clone()) {
            self.reads.are_asked_for_in(term, &question);
        }
    }

    fn serve_reads(&mut self) {
        while let Some(group) = self.reads.due(self.applied) {
            failpoint::pass("ready::before-read");
            applier::answer_reads(&*self.machine, group.queries, group.taken);
        }
    }
}

fn reject<R, W: Waiter<R>>(
    submissions: impl IntoIterator<Item = Submission<W>>,
    rejected: &Rejected,
) {
    for submission in submissions {
        submission.waiter.answer(Err(rejected.clone()));
    }
}

impl GroupTimes {
    /// The write took from `handed` to `done`; its sync came last.
    fn persisted(&mut self, handed: Nanos, done: Nanos, written: Written) {
        self.handed = handed;
        self.synced = done;
        self.appended = Nanos(done.0.saturating_sub(written.sync.0));
    }
}
