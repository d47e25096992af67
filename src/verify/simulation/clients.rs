//! Clients of a simulated group: each sends one request at a time to a member of its choice, and writes down what it saw.

use super::invariants::Violation;
use super::member::Member;
use super::shape::{Shape, TICK};
use crate::model::{MainRevision, Request, Response};
use crate::node::Call;
use crate::raft::{MemberId, Rejected};
use crate::seed::Seed;
use crate::units::Nanos;
use crate::verify::history::{Operation, Outcome, says_that_it_changed};
use crate::verify::requests::Requests;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// After so many ticks a client gives up and does not know.
const PATIENCE: u64 = 800;

pub(super) struct Clients {
    clients: Vec<Client>,
    random: ChaCha8Rng,
    thinks: u64,
    registers: u64,
    pub(super) history: Vec<Operation>,
    answers: Answers,
}

/// What all answers together say.
#[derive(Default)]
struct Answers {
    /// Newest revision that anybody was answered with.
    newest: MainRevision,
    /// Which operation made which revision, as far as answers say.
    changes: BTreeMap<MainRevision, String>,
}

struct Client {
    requests: Requests,
    waiting: Option<Waiting>,
    /// When it has thought enough.
    free: u64,
}

struct Waiting {
    call: Call,
    /// Which start of whom was asked.
    asked: (MemberId, u64),
    request: Request,
    invoked: u64,
    /// The newest revision that anybody had been answered with by then.
    floor: MainRevision,
}

impl Clients {
    pub(super) fn new(seed: Seed, shape: &Shape) -> Clients {
        let requests = |number| Requests::new(seed, number, shape.clients);
        let client = |number| Client { requests: requests(number), waiting: None, free: 0 };
        Clients {
            clients: (0..shape.clients).map(client).collect(),
            random: seed.stream("simulation-clients", 0),
            thinks: shape.thinks,
            registers: 0,
            history: Vec::new(),
            answers: Answers::default(),
        }
    }

    /// Looks what came of requests, as of `tick`.
    pub(super) fn hear(&mut self, members: &[Member], tick: u64) -> Result<(), Violation> {
        let now = Nanos(tick * TICK.0);
        for client in &mut self.clients {
            let Some(mut waiting) = client.waiting.take() else { continue };
            let member = members.iter().find(|member| member.id == waiting.asked.0);
            let is_there =
                |member: &&Member| member.life == waiting.asked.1 && member.node.is_some();
            let called = match member.filter(is_there) {
                None => Call::Lost,
                // An answer that a sync still keeps back is none yet.
                Some(member) if !member.is_free(now) => waiting.call,
                Some(_) => waiting.call.look(),
            };
            let outcome = match called {
                Call::Waits(answer) if tick < waiting.invoked + PATIENCE => {
                    waiting.call = Call::Waits(answer);
                    client.waiting = Some(waiting);
                    continue;
                }
                Call::Ended(Ok(delivered)) => Outcome::Done(delivered.reply),
                Call::Ended(Err(rejected)) if is_surely_not_done(&rejected) => Outcome::Refused,
                Call::Ended(Err(_)) | Call::Waits(_) | Call::Lost => Outcome::Unknown,
            };
            if let Outcome::Done(response) = &outcome {
                self.answers.take(&waiting.request, response, waiting.floor, waiting.asked.0)?;
            }
            let number = client.requests.number();
            client.requests.note(&waiting.request, &outcome);
            client.free = tick + self.random.random_range(0..=self.thinks);
            self.history.push(Operation {
                client: number,
                request: waiting.request,
                invoked: Nanos(waiting.invoked * TICK.0),
                returned: now,
                outcome,
            });
        }
        Ok(())
    }

    /// Whoever has thought enough asks a member.
    pub(super) fn ask(&mut self, members: &[Member], tick: u64) {
        let running: Vec<&Member> = members.iter().filter(|member| member.node.is_some()).collect();
        if running.is_empty() {
            return;
        }
        for client in &mut self.clients {
            if client.waiting.is_some() || tick < client.free {
                continue;
            }
            let member = running[client.requests.choose(running.len())];
            let registers = &mut self.registers;
            let request = client.requests.next(|| {
                *registers += 1;
                *registers - 1
            });
            let Some(call) = member.call(&request) else { continue };
            let floor = self.answers.newest;
            let asked = (member.id, member.life);
            client.waiting = Some(Waiting { call, asked, request, invoked: tick, floor });
        }
    }

    pub(super) fn are_idle(&self) -> bool {
        self.clients.iter().all(|client| client.waiting.is_none())
    }

    /// Gives up what is not answered by now.
    pub(super) fn give_up(&mut self) {
        for client in &mut self.clients {
            if let Some(waiting) = client.waiting.take() {
                self.history.push(Operation {
                    client: client.requests.number(),
                    request: waiting.request,
                    invoked: Nanos(waiting.invoked * TICK.0),
                    returned: Nanos::ZERO,
                    outcome: Outcome::Unknown,
                });
            }
        }
    }
}

impl Answers {
    fn take(
        &mut self,
        request: &Request,
        response: &Response,
        floor: MainRevision,
        by: MemberId,
    ) -> Result<(), Violation> {
        let revision = response.revision;
        let changed = says_that_it_changed(response);
        let is_serializable = matches!(request, Request::Range(range) if range.serializable);
        if !is_serializable && (revision < floor || (changed && revision == floor)) {
            return Violation::of(
                "no-stale-answer",
                format!(
                    "member {by} answered {request:?} with revision {revision}, though {floor} had been answered before it was asked"
                ),
            );
        }
        if changed {
            let who = format!("{request:?}");
            if let Some(other) = self.changes.insert(revision, who.clone()) {
                return Violation::of(
                    "one-change-per-revision",
                    format!("revision {revision} was given to {other} and to {who}"),
                );
            }
        }
        self.newest = self.newest.max(revision);
        Ok(())
    }
}

/// Whether a rejection says that nothing was proposed.
fn is_surely_not_done(rejected: &Rejected) -> bool {
    matches!(rejected, Rejected::NoLeader | Rejected::Overloaded(_) | Rejected::NotLeader(_))
}
