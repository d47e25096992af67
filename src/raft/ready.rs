//! The Ready loop: take what is new, propose, persist, commit, apply; one thread, in that order.

use super::applier::{Applier, Committed, CommittedEntry, Group, GroupTimes, Tools};
use super::inbox::{Applied, Inbox, Submission};
use super::log::{EngineLog, LogStore, Round, Written};
use super::packing::{EntryId, pack};
use super::proposer::{Proposer, Situation, Turn, Waiting};
use super::{Config, PipelineError, Publish, Rejected, StateMachine, Waiter, applier, proposer};
use crate::clock::Clock;
use crate::measure::pipeline::PipelineMeter;
use crate::measure::stage::Probe;
use crate::units::Nanos;
use raft::eraftpb::{Entry, HardState};
use raft::{RawNode, StateRole};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// The only voter.
const NODE: u64 = 1;
/// Length of a raft tick.
const TICK: Nanos = Nanos::from_millis(100);
/// Shortest wait that is slept; the kernel's default timer slack is 50 µs.
const SHORTEST_SLEEP: Nanos = Nanos(100_000);
/// Most bytes of committed entries handed out at once; bounds memory while a long log is replayed.
const COMMITTED_BYTES_MAX: u64 = 64 << 20;
/// Ready rounds a lone voter may need to elect itself and commit its first entry; it needs three.
const ELECTION_ROUNDS_MAX: u32 = 1000;

/// A running pipeline. Dropping it stops its threads and waits for them.
pub struct Pipeline<R, W: Waiter<R>> {
    inbox: Arc<Inbox<R, W>>,
    threads: Vec<JoinHandle<()>>,
}

/// Opens the log in `folder`, replays it into `machine`, and starts the Ready loop.
/// When it returns, the node leads and everything in the log is applied.
pub fn start<M, W>(
    config: Config,
    folder: &Path,
    machine: Arc<M>,
    meter: Arc<PipelineMeter>,
    clock: Clock,
    probe: Probe,
) -> Result<Pipeline<M::Reply, W>, PipelineError>
where
    M: StateMachine,
    W: Waiter<M::Reply>,
{
    let log = EngineLog::open(folder, NODE, config.fsync, clock, meter.clone())?;
    start_on(log, config, machine, meter, clock, probe)
}

/// As [`start`], on any log.
pub(super) fn start_on<M, W, L>(
    log: L,
    config: Config,
    machine: Arc<M>,
    meter: Arc<PipelineMeter>,
    clock: Clock,
    probe: Probe,
) -> Result<Pipeline<M::Reply, W>, PipelineError>
where
    M: StateMachine,
    W: Waiter<M::Reply>,
    L: LogStore + Send + 'static,
{
    let inbox = Arc::new(Inbox::new(probe));
    let tools = Tools { machine: machine.clone(), meter: meter.clone() };
    let (applier, apply_thread) = applier::applier(config.apply_on, tools, &inbox)?;
    let mut ready_loop = ReadyLoop {
        incarnation: log.incarnation(),
        raft: RawNode::new(&raft_config(), log, &slog::Logger::root(slog::Discard, slog::o!()))?,
        inbox: inbox.clone(),
        proposer: proposer::proposer(config.propose),
        applier,
        publish: config.publish,
        machine,
        meter,
        clock,
        probe,
        waiting: VecDeque::new(),
        proposed: HashMap::new(),
        sequence: 0,
        in_flight: 0,
        held: Vec::new(),
        hard_state: None,
        reads: VecDeque::new(),
        queries: 0,
        applied: 0,
        next_tick: clock.now().after(TICK),
    };
    ready_loop.lead()?;
    let raft_thread =
        std::thread::Builder::new().name("raft-1".into()).spawn(move || ready_loop.run())?;
    Ok(Pipeline {
        inbox,
        threads: [Some(raft_thread), apply_thread].into_iter().flatten().collect(),
    })
}

fn raft_config() -> raft::Config {
    raft::Config {
        id: NODE,
        election_tick: 10,
        heartbeat_tick: 1,
        max_size_per_msg: 1 << 20,
        max_inflight_msgs: 256,
        max_committed_size_per_ready: COMMITTED_BYTES_MAX,
        ..raft::Config::default()
    }
}

impl<R, W: Waiter<R>> Pipeline<R, W> {
    /// Where requests are left.
    pub fn inbox(&self) -> &Arc<Inbox<R, W>> {
        &self.inbox
    }
}

impl<R, W: Waiter<R>> Drop for Pipeline<R, W> {
    fn drop(&mut self) {
        self.inbox.stop();
        for thread in self.threads.drain(..) {
            // A panic of the thread was printed where it happened; clients see their replies vanish.
            let _ = thread.join();
        }
    }
}

struct ReadyLoop<M: StateMachine, W, L: LogStore> {
    raft: RawNode<L>,
    incarnation: u64,
    inbox: Arc<Inbox<M::Reply, W>>,
    proposer: Box<dyn Proposer>,
    applier: Box<dyn Applier<W>>,
    publish: Publish,
    machine: Arc<M>,
    meter: Arc<PipelineMeter>,
    clock: Clock,
    probe: Probe,
    /// Writes not yet proposed, oldest first.
    waiting: VecDeque<Submission<W>>,
    /// Own proposals not yet applied, by sequence.
    proposed: HashMap<u64, Group<W>>,
    sequence: u64,
    /// Own entries proposed and not yet applied.
    in_flight: usize,
    /// Committed entries kept back until the next Ready is persisted.
    held: Vec<Entry>,
    /// Hard state that changed only in its commit index: written with the next entries, since replay recovers it.
    hard_state: Option<HardState>,
    /// Queries that wait for an index to be applied, oldest first.
    reads: VecDeque<WaitingReads<W>>,
    /// How many queries are in `reads`.
    queries: usize,
    applied: u64,
    next_tick: Nanos,
}

struct WaitingReads<W> {
    /// Answered once this is applied; none until raft has confirmed an index.
    index: Option<u64>,
    /// Ties the confirmation to these queries.
    context: Vec<u8>,
    taken: Nanos,
    queries: Vec<Submission<W>>,
}

impl<W> std::fmt::Debug for Submission<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Submission({} bytes)", self.command.len())
    }
}

impl<W> Waiting for VecDeque<Submission<W>> {
    fn len(&self) -> usize {
        VecDeque::len(self)
    }

    fn bytes(&self, index: usize) -> usize {
        self[index].command.len()
    }
}

impl<M, W, L> ReadyLoop<M, W, L>
where
    M: StateMachine,
    W: Waiter<M::Reply>,
    L: LogStore,
{
    /// Elects itself, and goes on until everything in the log is committed and applied.
    fn lead(&mut self) -> Result<(), PipelineError> {
        self.raft.campaign()?;
        let mut rounds = 0;
        while !self.caught_up() {
            rounds += 1;
            assert!(rounds < ELECTION_ROUNDS_MAX, "a lone voter elects itself");
            if self.raft.has_ready() || !self.held.is_empty() {
                self.turn()?;
            } else {
                self.inbox.wait(TICK);
            }
            self.take_applied();
        }
        Ok(())
    }

    fn caught_up(&self) -> bool {
        let raft = &self.raft.raft;
        let last = raft.raft_log.last_index();
        raft.state == StateRole::Leader && self.applied == last && raft.raft_log.committed == last
    }

    fn run(mut self) {
        // After a panic too: whoever waits or comes later is refused and does not hang.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.serve()));
        let rest = self.inbox.close();
        let queries = self.reads.drain(..).flat_map(|reads| reads.queries);
        let refused = rest.writes.into_iter().chain(rest.reads).chain(self.waiting.drain(..));
        for submission in refused.chain(queries) {
            submission.waiter.answer(Err(Rejected::Stopped));
        }
        for (_, group) in self.proposed.drain() {
            group
                .submissions
                .into_iter()
                .for_each(|lost| lost.waiter.answer(Err(Rejected::Stopped)));
        }
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("the raft pipeline failed: {error}"),
            Err(panic) => resume_unwind(panic),
        }
    }

    fn serve(&mut self) -> Result<(), PipelineError> {
        loop {
            if self.take_news() {
                return Ok(());
            }
            self.tick();
            let wake_by = self.propose()?;
            self.inbox.still_waiting(self.waiting.len() + self.queries);
            if self.raft.has_ready() || !self.held.is_empty() {
                self.turn()?;
            } else {
                let by = wake_by.map_or(self.next_tick, |due| due.min(self.next_tick));
                self.rest(by.since(self.clock.now()));
            }
        }
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
    fn take_news(&mut self) -> bool {
        let news = self.inbox.take(self.waiting.len() + self.queries);
        self.waiting.extend(news.writes);
        news.applied.into_iter().for_each(|applied| self.note_applied(applied));
        if !news.reads.is_empty() {
            self.ask_read_index(news.reads);
        }
        self.serve_reads();
        news.stop
    }

    /// Before clients exist there is nothing but progress to take.
    fn take_applied(&mut self) {
        let news = self.inbox.take(0);
        assert!(!news.stop, "the apply thread replays the log to its end");
        news.applied.into_iter().for_each(|applied| self.note_applied(applied));
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        if now >= self.next_tick {
            self.raft.tick();
            self.next_tick = now.after(TICK);
        }
    }

    /// Proposes all that the policy wants proposed; gives the instant it wants to be asked again.
    fn propose(&mut self) -> Result<Option<Nanos>, PipelineError> {
        loop {
            let now = self.clock.now();
            let situation = Situation { waiting: &self.waiting, in_flight: self.in_flight, now };
            match self.proposer.turn(situation) {
                Turn::Send(count) => self.propose_first(count, now)?,
                Turn::Wait(due) => return Ok(due),
            }
        }
    }

    fn propose_first(&mut self, count: usize, taken: Nanos) -> Result<(), PipelineError> {
        let submissions: Vec<_> = self.waiting.drain(..count).collect();
        let data = pack(submissions.iter().map(|submission| submission.command.as_slice()));
        self.sequence += 1;
        let id = EntryId { node: NODE, incarnation: self.incarnation, sequence: self.sequence };
        self.raft.propose(id.to_bytes(), data)?;
        let times = GroupTimes { taken: self.stamp(taken), ..GroupTimes::default() };
        self.proposed.insert(self.sequence, Group { submissions, times });
        self.in_flight += 1;
        Ok(())
    }

    /// The instant, if stage stamps are wanted.
    fn stamp(&self, now: Nanos) -> Nanos {
        if self.probe.is_on() { now } else { Nanos::ZERO }
    }

    /// One Ready: persist, then commit, then publish.
    fn turn(&mut self) -> Result<(), PipelineError> {
        let kept = std::mem::take(&mut self.held);
        let mut committed = Vec::new();
        let mut synced = false;
        if self.raft.has_ready() {
            let mut ready = self.raft.ready();
            for state in ready.take_read_states() {
                self.confirm_reads(&state.request_ctx, state.index);
            }
            committed = ready.take_committed_entries();
            let entries = ready.take_entries();
            synced = ready.must_sync();
            self.hard_state = ready.hs().cloned().or(self.hard_state.take());
            self.persist(&entries, synced)?;
            let mut light = self.raft.advance_append(ready);
            self.remember_commit(light.commit_index());
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
        self.proposer.answering(self.waiting.len() + self.inbox.writes());
        self.publish(kept, committed);
        self.serve_reads();
        Ok(())
    }

    fn persist(&mut self, entries: &[Entry], sync: bool) -> Result<(), PipelineError> {
        if !sync && entries.is_empty() {
            return Ok(());
        }
        let handed = self.probe.now();
        let hard_state = self.hard_state.take();
        let round = Round { entries, hard_state: hard_state.as_ref(), sync };
        let written = self.raft.mut_store().append(&round)?;
        let done = self.probe.now();
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
        (id.node == NODE && id.incarnation == self.incarnation).then_some(id.sequence)
    }

    /// Sends `kept` to apply, and `committed` too unless it has to wait for the next Ready.
    fn publish(&mut self, kept: Vec<Entry>, committed: Vec<Entry>) {
        let mut entries = kept;
        match self.publish {
            Publish::Ready => entries.extend(committed),
            Publish::NextReady => self.held = committed,
        }
        let Some(last) = entries.last() else { return };
        let index = last.index;
        let entries = entries.into_iter().map(|entry| self.own(entry)).collect();
        if let Some(applied) = self.applier.publish(Committed { index, entries }) {
            self.note_applied(applied);
        }
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
        self.applied = applied.index;
        self.in_flight -= applied.own_entries;
        self.raft.advance_apply_to(applied.index);
        self.raft.mut_store().applied(applied.index);
    }

    /// Asks raft up to which index these queries must wait (ReadIndex, Ongaro's thesis section 6.4).
    fn ask_read_index(&mut self, queries: Vec<Submission<W>>) {
        self.sequence += 1;
        let id = EntryId { node: NODE, incarnation: self.incarnation, sequence: self.sequence };
        let context = id.to_bytes();
        self.raft.read_index(context.clone());
        let taken = self.probe.now();
        self.queries += queries.len();
        self.reads.push_back(WaitingReads { index: None, context, taken, queries });
    }

    fn confirm_reads(&mut self, context: &[u8], index: u64) {
        if let Some(reads) = self.reads.iter_mut().find(|reads| reads.context == context) {
            reads.index = Some(index);
        }
    }

    fn serve_reads(&mut self) {
        while let Some(reads) = self.reads.front() {
            if reads.index.is_none_or(|index| index > self.applied) {
                return;
            }
            let Some(reads) = self.reads.pop_front() else { return };
            self.queries -= reads.queries.len();
            for query in reads.queries {
                applier::answer_read(&*self.machine, query, reads.taken);
            }
        }
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
