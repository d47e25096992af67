//! What clients under faults ask: a bit of everything, made so that its history can be questioned.
//!
//! Every value is written once in a run, so that whoever sees one knows who wrote it. A client whose operation ended in the unknown goes
//! on under another number, since its last one may still happen.

use super::generate::{Generator, Hint, Shape};
use super::history::{Outcome, may_delete};
use super::transactions::{self, ListSeen};
use crate::model::{
    DeleteRange, Interval, LeaseId, MainRevision, Put, Range, Request, RequestOp, Txn,
};
use crate::seed::Seed;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Keys of operations that concern several, and of what the generator makes up.
const KEYS: usize = 24;
/// Registers: keys that only operations on a single key ask for, so that they can be checked one by one.
const REGISTERS_AT_ONCE: u64 = 6;
/// What their names begin with; nothing that the generator makes up deletes what begins so.
const REGISTER: &str = "register-";
/// Operations on a register before another takes its place: what a checker of orders can bear.
const REGISTER_OPERATIONS: u64 = 250;
/// Long enough that no lease ends by itself.
const TTL_S: i64 = 3_600;

/// What one client asks.
pub(super) struct Requests {
    /// Under which number it goes now.
    number: u64,
    /// How many clients there are.
    clients: u64,
    generator: Generator,
    random: ChaCha8Rng,
    written: u64,
    /// Newest revision seen.
    revision: MainRevision,
    lease: Option<LeaseId>,
    leases: i64,
    /// A list that it has read, and not tried to append to since.
    list: Option<ListSeen>,
}

impl Requests {
    /// Of client `number` of `clients`.
    pub(super) fn new(seed: Seed, number: u64, clients: u64) -> Requests {
        let generator_seed = Seed(seed.stream("client-requests", number).random());
        Requests {
            number,
            clients,
            generator: Generator::new(generator_seed, Shape { keys: KEYS, leases: 4 }),
            random: seed.stream("client-choices", number),
            written: 0,
            revision: 1,
            lease: None,
            leases: 0,
            list: None,
        }
    }

    /// Under which number the client goes now.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// A number below `end`, for what else the client has to choose.
    pub(super) fn choose(&mut self, end: usize) -> usize {
        self.random.random_range(0..end)
    }

    /// Takes note of what came of a request.
    pub(super) fn note(&mut self, request: &Request, outcome: &Outcome) {
        match outcome {
            Outcome::Done(response) => self.revision = self.revision.max(response.revision),
            Outcome::Refused => {}
            Outcome::Unknown => self.number += self.clients,
        }
        self.follow_lease(request, outcome);
        self.list = ListSeen::of(request, outcome).or_else(|| self.list.take());
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

    /// The next request; `registers` counts those on registers of all clients.
    pub(super) fn next(&mut self, registers: impl FnOnce() -> u64) -> Request {
        match self.random.random_range(0..100) {
            0..35 => self.on_a_register(registers()),
            35..37 => self.on_leases(),
            37..41 => self.on_a_list(),
            41..45 => self.on_cells(),
            _ => self.made_up(),
        }
    }

    /// Reads, writes, deletes or compares and sets one key that nothing else touches.
    fn on_a_register(&mut self, so_far: u64) -> Request {
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
