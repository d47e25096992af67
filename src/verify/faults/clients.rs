//! Clients that ask for a bit of everything, one operation at a time, and write down what they saw.
//!
//! No operation is ever sent twice.

use super::system::{Called, System, Way};
use crate::model::Request;
use crate::raft::MemberId;
use crate::seed::Seed;
use crate::units::Nanos;
use crate::verify::history::{Operation, Outcome};
use crate::verify::requests::Requests;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How long a member is left alone that gave no answer.
const AVOIDED: Nanos = Nanos::from_millis(500);

/// What all clients of a run share.
pub(super) struct Shared<'a, S> {
    pub(super) system: &'a S,
    pub(super) stop: &'a AtomicBool,
    pub(super) clients: u64,
    pub(super) seed: Seed,
    /// Operations on registers so far.
    pub(super) registers: &'a AtomicU64,
    /// Operations that were answered, so that faults and the end can wait for load.
    pub(super) answered: &'a AtomicU64,
}

struct Client<'a, S> {
    shared: &'a Shared<'a, S>,
    requests: Requests,
    /// Whom it does not ask until then.
    avoided: Option<(MemberId, Nanos)>,
}

/// Runs client `number` until it is stopped.
pub(super) fn run<S: System>(shared: &Shared<'_, S>, number: u64) -> Vec<Operation> {
    let (system, clock) = (shared.system, shared.system.clock());
    let mut way = system.way();
    let requests = Requests::new(shared.seed, number, shared.clients);
    let mut client = Client { shared, requests, avoided: None };
    let mut history = Vec::new();
    while !shared.stop.load(Ordering::Relaxed) {
        let member = client.member();
        if !system.is_up(member) {
            clock.sleep(Nanos::from_millis(1));
            continue;
        }
        let request = client.next();
        let invoked = clock.now();
        let called = way.call(member, request.clone());
        let returned = clock.now();
        if matches!(called, Called::Unknown) {
            client.avoided = Some((member, returned.after(AVOIDED)));
        }
        let is_answered = matches!(called, Called::Answered(_));
        history.push(client.note(request, invoked, returned, called));
        shared.answered.fetch_add(u64::from(is_answered), Ordering::Relaxed);
    }
    history
}

impl<S: System> Client<'_, S> {
    fn note(
        &mut self,
        request: Request,
        invoked: Nanos,
        returned: Nanos,
        called: Called,
    ) -> Operation {
        let client = self.requests.number();
        let outcome = match called {
            Called::Answered(response) => Outcome::Done(response),
            Called::Refused => {
                self.shared.system.clock().sleep(Nanos::from_millis(2));
                Outcome::Refused
            }
            Called::Unknown => Outcome::Unknown,
        };
        self.requests.note(&request, &outcome);
        Operation { client, request, invoked, returned, outcome }
    }

    /// Whom to ask: anybody but who gave no answer a moment ago.
    fn member(&mut self) -> MemberId {
        let now = self.shared.system.clock().now();
        self.avoided = self.avoided.filter(|(_, until)| now < *until);
        let avoided = self.avoided.map(|(member, _)| member);
        let all = 1..=self.shared.system.size();
        let members: Vec<MemberId> = all.filter(|member| Some(*member) != avoided).collect();
        match members[..] {
            [] => 1,
            _ => members[self.requests.choose(members.len())],
        }
    }

    fn next(&mut self) -> Request {
        let registers = self.shared.registers;
        self.requests.next(|| registers.fetch_add(1, Ordering::Relaxed))
    }
}
