//! The pipeline as events: clients on a load thread, the Ready loop of every member, its syncs, its applier, messages between members.
//! One round of a member is `turn` > `written` > `synced` > `executed` > `answer_next` > `turn`, as in `raft::ready`.

mod apply;
mod load;
mod ready;

use super::engine::Engine;
use super::member::{Client, LEADER, Member, Message};
use super::seen::Seen;
use super::{Predicted, Question};
use crate::raft::ApplyOn;
use crate::raft::proposer::proposer;
use crate::units::Nanos;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// Events after which a trial ends without a span.
const EVENTS_MAX: u64 = 5_000_000;
/// The load thread, the first one made.
const LOAD: usize = 0;

/// What happens, and to which member or client.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The load thread was signalled and runs.
    LoadRuns,
    /// It looks for the next answer.
    LoadLooks,
    /// It has taken an answer and made the client's next request.
    Sends(Client),
    /// A Ready loop that slept runs.
    Runs(usize),
    /// A sleep is over, if it is still that one.
    SleptOut(usize, u64),
    /// A Ready loop begins a round.
    Turns(usize),
    /// Its entries are in the log.
    Written(usize),
    /// Its log is on disk.
    Synced(usize),
    /// What was committed is executed.
    Executed(usize),
    /// It answers the next client.
    Answers(usize),
    /// An apply thread looks for entries.
    ApplierLooks(usize),
    /// It has executed them, up to here.
    ApplierExecuted(usize, u64),
    /// It answers the next client.
    ApplierAnswers(usize, u64),
    /// A message is there.
    Arrives(usize, Message),
}

/// Everything that is simulated.
struct World<'q> {
    question: &'q Question<'q>,
    engine: Engine<Event>,
    wake_chance: ChaCha8Rng,
    sync_chance: ChaCha8Rng,
    op_chance: ChaCha8Rng,
    /// Clients whose answers the load thread has not taken.
    answered: VecDeque<Client>,
    load_runs: bool,
    /// What each client does now.
    clients: Vec<Doings>,
    members: Vec<Member>,
    /// Entries that some member has yet to apply: who waits for them. The first has index `log_from`.
    log: VecDeque<Vec<Client>>,
    log_from: u64,
    seen: Seen,
}

/// One client's operation.
#[derive(Clone, Copy, Debug, Default)]
struct Doings {
    /// Whether it has sent anything yet, and was answered.
    began: bool,
    was_answered: bool,
    /// When its operation was sent, ns.
    sent_ns: f64,
    /// Whether the next request of it is a read.
    reads: bool,
    /// Whether a write follows.
    then_writes: bool,
}

/// Trials as a run would measure them, each from rest: how clients fall into groups at the start can last.
pub(super) fn simulate(question: &Question<'_>) -> Predicted {
    let mut seen = Seen::new(question.clients as usize, question.warmup, question.duration);
    while !seen.is_enough() {
        seen.begin_trial();
        let mut world = World::new(question, seen);
        for _ in 0..EVENTS_MAX {
            if world.seen.trial_is_over() {
                break;
            }
            let Some(event) = world.engine.next() else { break };
            world.happens(event);
        }
        seen = world.seen;
    }
    seen.predicted()
}

impl<'q> World<'q> {
    /// Before anything was sent: all clients are about to.
    fn new(question: &'q Question<'q>, seen: Seen) -> World<'q> {
        let nodes = question.nodes;
        let machines = if question.rtt == Nanos::ZERO { 1 } else { nodes };
        let mut engine = Engine::new(vec![f64::from(question.cores); machines]);
        engine.thread(0);
        let request_bytes = question.costs.log_bytes.per_request as usize;
        let member = |member: usize| {
            let machine = member.min(machines - 1);
            let thread = engine.thread(machine);
            let applies = question.levers.apply_on == ApplyOn::ApplyThread;
            let apply_thread = applies.then(|| engine.thread(machine));
            let proposer = proposer(question.levers.propose);
            Member::new((thread, apply_thread), proposer, request_bytes, nodes)
        };
        let members = (0..nodes).map(member).collect();
        engine.after(0.0, Event::LoadRuns);
        let clients = question.clients as usize;
        let chance = |name: &str| question.seed.stream(name, u64::from(seen.trial()));
        World {
            question,
            engine,
            wake_chance: chance("predicted wakes"),
            sync_chance: chance("predicted syncs"),
            op_chance: chance("predicted operations"),
            answered: (0..clients).collect(),
            load_runs: true,
            clients: vec![Doings::default(); clients],
            members,
            log: VecDeque::new(),
            log_from: 1,
            seen,
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::LoadRuns => {
                let round_ns = self.question.costs.load_round_ns;
                self.engine.work(LOAD, round_ns, Event::LoadLooks);
            }
            Event::LoadLooks => self.take_answer(),
            Event::Sends(client) => self.send(client),
            Event::Runs(member) | Event::Turns(member) => self.turn(member),
            Event::SleptOut(member, sleep) => self.slept_out(member, sleep),
            Event::Written(member) => self.written(member),
            Event::Synced(member) => self.synced(member),
            Event::Executed(member) => self.executed(member),
            Event::Answers(member) => self.answer_next(member),
            Event::ApplierLooks(member) => self.apply_next(member),
            Event::ApplierExecuted(member, to) => self.applier_executed(member, to),
            Event::ApplierAnswers(member, to) => self.applier_answers(member, to),
            Event::Arrives(member, message) => {
                self.members[member].messages.push(message);
                self.signal(member);
            }
        }
    }

    fn wake_ns(&mut self) -> f64 {
        self.question.costs.wakes.latency.quantile_ns(self.wake_chance.random())
    }

    /// CPU time used so far by load, raft and apply thread of the leader.
    fn used_ns(&self) -> [f64; 3] {
        let leader = &self.members[LEADER];
        let applier_ns = leader.apply_thread.map_or(0.0, |thread| self.engine.used_ns(thread));
        [self.engine.used_ns(LOAD), self.engine.used_ns(leader.thread), applier_ns]
    }

    /// Requests in the entries after `from` up to `to`.
    fn requests(&self, from: u64, to: u64) -> usize {
        self.entries(from, to).map(Vec::len).sum()
    }

    fn clients_of(&self, from: u64, to: u64) -> Vec<Client> {
        self.entries(from, to).flatten().copied().collect()
    }

    fn entries(&self, from: u64, to: u64) -> impl Iterator<Item = &Vec<Client>> {
        let place = |index: u64| (index + 1 - self.log_from) as usize;
        self.log.range(place(from)..place(to))
    }
}
