//! Clients that ask for a bit of everything, one operation at a time, and write down what they saw.
//!
//! Every value is written once in a run, so that whoever sees one knows who wrote it. A client whose operation ended in the unknown goes
//! on under another number, since its last one may still happen. No operation is ever sent twice.

use super::system::{Called, System, Way};
use super::transactions::{self, ListSeen};
use crate::model::{
    DeleteRange, Interval, LeaseId, MainRevision, Put, Range, Request, RequestOp, Txn,
};
use crate::raft::MemberId;
use crate::seed::Seed;
use crate::units::Nanos;
use crate::verify::generate::{Generator, Hint, Shape};
use crate::verify::history::{Operation, Outcome, may_delete};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Keys of operations that concern several, and of what the generator makes up.
const KEYS: usize = 24;
/// Registers: keys that only operations on a single key ask for, so that they can be checked one by one.
const REGISTERS_AT_ONCE: u64 = 6;
/// What their names begin with; nothing that the generator makes up deletes what begins so.
const REGISTER: &str = "register-";
/// Operations on a register before another takes its place: what a checker of orders can bear.
const REGISTER_OPERATIONS: u64 = 250;
/// How long a member is left alone that gave no answer.
const AVOIDED: Nanos = Nanos::from_millis(500);
/// Long enough that no lease ends by itself.
const TTL_S: i64 = 3_600;

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
    number: u64,
    generator: Generator,
    random: ChaCha8Rng,
    written: u64,
    /// Newest revision seen.
    revision: MainRevision,
    lease: Option<LeaseId>,
    leases: i64,
    /// A list that it has read, and not tried to append to since.
    list: Option<ListSeen>,
    /// Whom it does not ask until then.
    avoided: Option<(MemberId, Nanos)>,
}

/// Runs client `number` until it is stopped.
pub(super) fn run<S: System>(shared: &Shared<'_, S>, number: u64) -> Vec<Operation> {
    let (system, clock) = (shared.system, shared.system.clock());
    let mut way = system.way();
    let stream = |name| shared.seed.stream(name, number);
    let mut client = Client {
        shared,
        number,
        generator: Generator::new(
            Seed(stream("client-requests").random()),
            Shape { keys: KEYS, leases: 4 },
        ),
        random: stream("client-choices"),
        written: 0,
        revision: 1,
        lease: None,
        leases: 0,
        list: None,
        avoided: None,
    };
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
        let client = self.number;
        let outcome = match called {
            Called::Answered(response) => {
                self.revision = self.revision.max(response.revision);
                Outcome::Done(response)
            }
            Called::Refused => {
                self.shared.system.clock().sleep(Nanos::from_millis(2));
                Outcome::Refused
            }
            Called::Unknown => {
                self.number += self.shared.clients;
                Outcome::Unknown
            }
        };
        self.follow_lease(&request, &outcome);
        self.list = ListSeen::of(&request, &outcome).or_else(|| self.list.take());
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
            _ => members[self.random.random_range(0..members.len())],
        }
    }

    /// A lease is used from when it is surely there until somebody asked for its end.
    fn follow_lease(&mut self, request: &Request, outcome: &Outcome) {
        match request {
            Request::LeaseGrant { id, .. } => {
                let is_there = matches!(outcome, Outcome::Done(answer) if answer.result.is_ok());
                self.lease = is_there.then_some(*id);
            }
            Request::LeaseRevoke { .. } if *outcome != Outcome::Refused => self.lease = None,
            _ => {}
        }
    }

    fn next(&mut self) -> Request {
        match self.random.random_range(0..100) {
            0..35 => self.on_a_register(),
            35..37 => self.on_leases(),
            37..41 => self.on_a_list(),
            41..45 => self.on_cells(),
            _ => self.made_up(),
        }
    }

    /// Reads, writes, deletes or compares and sets one key that nothing else touches.
    fn on_a_register(&mut self) -> Request {
        let so_far = self.shared.registers.fetch_add(1, Ordering::Relaxed);
        let generation = so_far / (REGISTERS_AT_ONCE * REGISTER_OPERATIONS);
        let place = self.random.random_range(0..REGISTERS_AT_ONCE);
        let key = format!("{REGISTER}{generation}-{place}").into_bytes();
        match self.random.random_range(0..100) {
            0..45 => Request::Range(Range { interval: Interval::point(key), ..Range::default() }),
            45..92 => Request::Put(Put { key, value: self.value(), ..Put::default() }),
            _ => Request::DeleteRange(DeleteRange {
                interval: Interval::point(key),
                ..DeleteRange::default()
            }),
        }
    }

    /// Reads a list, and the next time appends to it.
    fn on_a_list(&mut self) -> Request {
        match self.list.take() {
            Some(seen) => seen.append(&self.value()),
            None => transactions::read_list(self.revision, &mut self.random),
        }
    }

    fn on_cells(&mut self) -> Request {
        let (number, written) = (self.number, &mut self.written);
        transactions::on_cells(self.revision, &mut self.random, || unique(number, written))
    }

    fn on_leases(&mut self) -> Request {
        match self.lease {
            Some(id) => Request::LeaseRevoke { id },
            None => {
                self.leases += 1;
                // One of its own each time, whoever it calls itself by then.
                let id = 1 + self.leases * 1_000_000 + (self.number as i64);
                Request::LeaseGrant { id, ttl_s: TTL_S }
            }
        }
    }

    /// Whatever the generator thinks of, but for what would take the truth away or order nothing: compactions, alarms, questions about
    /// leases. Values are made unique, leases the client's own.
    fn made_up(&mut self) -> Request {
        loop {
            let mut request = self.generator.next(Hint { revision: self.revision, compacted: 0 });
            match &mut request {
                Request::Put(put) => self.own(put),
                Request::Txn(txn) => self.own_all(txn),
                Request::Range(_) | Request::DeleteRange(_) => {}
                _ => continue,
            }
            let mut kept = transactions::KEPT.into_iter().chain([REGISTER]);
            if !kept.any(|prefix| may_delete(&request, prefix.as_bytes())) {
                return request;
            }
        }
    }

    fn own_all(&mut self, txn: &mut Txn) {
        for op in txn.success.iter_mut().chain(&mut txn.failure) {
            match op {
                RequestOp::Put(put) => self.own(put),
                RequestOp::Txn(inner) => self.own_all(inner),
                RequestOp::Range(_) | RequestOp::DeleteRange(_) => {}
            }
        }
    }

    fn own(&mut self, put: &mut Put) {
        if !put.ignore_value {
            put.value = self.value();
        }
        if put.lease != 0 {
            put.lease = self.lease.unwrap_or(0);
        }
    }

    fn value(&mut self) -> Vec<u8> {
        unique(self.number, &mut self.written)
    }
}

/// A value that nobody else writes, nor this client again.
fn unique(client: u64, written: &mut u64) -> Vec<u8> {
    *written += 1;
    format!("{client}.{written}").into_bytes()
}
