//! What is sent: one deterministic stream of operations per client. Same seed and client, same operations, on any
//! machine. It reads no clock and no entropy. Only a transfer looks at an answer, because it has to.

mod bank;
mod keys;
mod preload;
#[cfg(test)]
mod tests;
mod values;

pub use bank::{Transfer, balance};
pub use preload::Preload;

use crate::model::{
    Compare, CompareResult, DeleteRange, Interval, LeaseId, Operand, Put, Range, Request,
    RequestOp, Txn,
};
use crate::scenario::spec::{
    self, KeyDist, Keys, Op, OpKind, RangeAnswer, Scenario, TxnKind, Values,
};
use crate::seed::Seed;
use keys::{KeyDraw, Names};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::Distribution;
use rand_distr::weighted::WeightedIndex;
use values::{Pool, SizeDraw};

/// Time to live of the leases: longer than any run, so that they end only when they are revoked.
const LEASE_TTL_S: i64 = 86_400;
/// Accounts that one request reads.
const ACCOUNTS_READ: u64 = 10_000;

/// What every stream of a scenario shares.
#[derive(Clone, Debug)]
pub struct Workload {
    keys: Keys,
    names: Names,
    sizes: SizeDraw,
    ops: Vec<Op>,
    weights: WeightedIndex<f64>,
    pool: Pool,
    /// Digits of a balance, if the keys are accounts.
    balance_width: Option<usize>,
}

impl Workload {
    /// The workload of `scenario`. The bytes of values depend on its seed only.
    pub fn of(scenario: &Scenario) -> Workload {
        let balance_width = match scenario.values {
            Values::Fixed(size) if scenario.is_bank() => Some(size.0 as usize),
            _ => None,
        };
        Workload {
            keys: scenario.keys,
            names: Names::of(scenario.keys),
            sizes: SizeDraw::of(scenario.values),
            ops: scenario.ops.iter().map(|weighted| weighted.op).collect(),
            weights: WeightedIndex::new(scenario.ops.iter().map(|weighted| weighted.weight))
                .expect("a checked scenario has operations, all with positive weights"),
            pool: Pool::of(scenario.seed),
            balance_width,
        }
    }

    /// The operations of client number `client`.
    pub fn stream(&self, seed: Seed, client: u64) -> Stream {
        let key_client = if self.keys.dist == KeyDist::Shared { 0 } else { client };
        Stream {
            draw_key: KeyDraw::of(self.keys, key_client),
            key_random: seed.stream("keys", key_client),
            random: seed.stream("requests", client),
            leases: Leases { first: seed.child("leases", client).0, granted: 0, puts_left: None },
            workload: self.clone(),
        }
    }

    /// The requests that grant the leases a fresh store is to hold.
    pub fn grants(&self, seed: Seed) -> impl Iterator<Item = Request> + use<> {
        let first = held_leases(seed);
        let grant =
            move |number| Request::LeaseGrant { id: lease_id(first, number), ttl_s: LEASE_TTL_S };
        (0..self.keys.leases).map(grant)
    }

    /// The requests that fill a fresh store; none if it starts empty. Its leases have to be granted first.
    pub fn preload(&self, seed: Seed) -> Preload {
        Preload::of(self.clone(), seed)
    }

    /// The requests that together read every key there may be.
    pub fn read_all(&self) -> impl Iterator<Item = Request> {
        let starts = (0..self.keys.space).step_by(ACCOUNTS_READ as usize);
        starts.map(|from| {
            let interval = self.names.interval(from, ACCOUNTS_READ.min(self.keys.space - from));
            Request::Range(Range { interval, ..Range::default() })
        })
    }

    /// All the money there is.
    pub fn money(&self) -> u64 {
        self.keys.space * bank::OPENING
    }
}

/// What a client does as one: a request, or several of which each follows from the answer to the one before.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Under which name it counts.
    pub kind: OpKind,
    /// What is sent first.
    pub request: Request,
    /// What decides what is sent after that; nothing if one request is all.
    pub transfer: Option<Transfer>,
}

/// An endless, repeatable sequence of operations.
#[derive(Clone, Debug)]
pub struct Stream {
    workload: Workload,
    draw_key: KeyDraw,
    key_random: ChaCha8Rng,
    random: ChaCha8Rng,
    leases: Leases,
}

/// Where a client is in its cycle of leases. Its lease ids count up from a number of its own, so that no two clients
/// meet, nor the clients of two measurements on one store.
#[derive(Clone, Debug)]
struct Leases {
    first: u64,
    granted: u64,
    /// Puts before the revoke; nothing if a grant is next.
    puts_left: Option<u32>,
}

impl Leases {
    /// The lease granted last.
    fn id(&self) -> LeaseId {
        lease_id(self.first, self.granted)
    }
}

/// Where the ids of the leases begin that are held from the start.
fn held_leases(seed: Seed) -> u64 {
    seed.child("held leases", 0).0
}

/// The id so many after `first`; never 0, which is no lease.
fn lease_id(first: u64, number: u64) -> LeaseId {
    let id = first.wrapping_add(number) & i64::MAX as u64;
    id.max(1) as LeaseId
}

impl Stream {
    /// The next operation.
    pub fn next_operation(&mut self) -> Operation {
        let op = match self.workload.ops.as_slice() {
            [only] => *only,
            ops => ops[self.workload.weights.sample(&mut self.random)],
        };
        let (kind, request) = match op {
            Op::Put => (OpKind::Put, self.put(0)),
            Op::Get => (OpKind::Get, Request::get(self.next_key())),
            Op::Range(range) => (OpKind::Range, self.range(range)),
            Op::Delete => (OpKind::Delete, Request::delete(self.next_key())),
            Op::DeleteRange { keys } => {
                let interval = self.next_interval(keys);
                let delete = DeleteRange { interval, prev_kv: false };
                (OpKind::DeleteRange, Request::DeleteRange(delete))
            }
            Op::Txn { kind: TxnKind::Transfer, .. } => return self.transfer(),
            Op::Txn { kind, keys } => (OpKind::Txn, self.txn(kind, keys)),
            Op::LeaseCycle { keys } => self.lease_step(keys),
        };
        Operation { kind, request, transfer: None }
    }

    fn put(&mut self, lease: LeaseId) -> Request {
        let number = self.draw_key.next_written(&mut self.key_random);
        let (key, value) = (self.workload.names.key(number), self.next_value());
        Request::Put(Put { key, value, lease, ..Put::default() })
    }

    fn range(&mut self, range: spec::Range) -> Request {
        let interval = self.next_interval(range.keys);
        Request::Range(Range {
            interval,
            limit: i64::from(range.limit),
            keys_only: range.answer == RangeAnswer::KeysOnly,
            count_only: range.answer == RangeAnswer::CountOnly,
            ..Range::default()
        })
    }

    fn txn(&mut self, kind: TxnKind, keys: u32) -> Request {
        let keys = self.next_keys(keys);
        let puts = keys.iter().map(|key| {
            let value = self.workload.pool.value(&self.workload.sizes, &mut self.random);
            RequestOp::Put(Put { key: key.clone(), value, ..Put::default() })
        });
        let success = puts.collect();
        let compares = |result, operand: Operand| {
            let compare = |key: &Vec<u8>| Compare {
                interval: Interval::point(key.clone()),
                result,
                operand: operand.clone(),
            };
            keys.iter().map(compare).collect()
        };
        let read = |key: &Vec<u8>| {
            let interval = Interval::point(key.clone());
            RequestOp::Range(Range { interval, ..Range::default() })
        };
        Request::Txn(match kind {
            TxnKind::Create => Txn {
                compares: compares(CompareResult::Equal, Operand::Create(0)),
                success,
                failure: keys.iter().map(read).collect(),
            },
            // A missing key has version 0, which is above -1 as well.
            TxnKind::Cas | TxnKind::Transfer => Txn {
                compares: compares(CompareResult::Greater, Operand::Version(-1)),
                success,
                failure: Vec::new(),
            },
        })
    }

    fn transfer(&mut self) -> Operation {
        let mut keys = self.next_keys(2).into_iter();
        let (from, to) = keys.next().zip(keys.next()).expect("two keys were asked for");
        let amount = self.random.random_range(1..=bank::AMOUNT_MAX);
        let width = self.workload.balance_width.unwrap_or_default();
        let transfer = Transfer::new(from, to, amount, width);
        let request = transfer.read();
        Operation { kind: OpKind::Transfer, request, transfer: Some(transfer) }
    }

    fn lease_step(&mut self, keys: u32) -> (OpKind, Request) {
        match self.leases.puts_left {
            None => {
                self.leases.granted += 1;
                self.leases.puts_left = Some(keys);
                let (id, ttl_s) = (self.leases.id(), LEASE_TTL_S);
                (OpKind::LeaseGrant, Request::LeaseGrant { id, ttl_s })
            }
            Some(0) => {
                self.leases.puts_left = None;
                (OpKind::LeaseRevoke, Request::LeaseRevoke { id: self.leases.id() })
            }
            Some(left) => {
                self.leases.puts_left = Some(left - 1);
                (OpKind::Put, self.put(self.leases.id()))
            }
        }
    }

    fn next_number(&mut self) -> u64 {
        self.draw_key.next(&mut self.key_random)
    }

    fn next_key(&mut self) -> Vec<u8> {
        let number = self.next_number();
        self.workload.names.key(number)
    }

    /// Distinct keys.
    fn next_keys(&mut self, count: u32) -> Vec<Vec<u8>> {
        let names = self.workload.names;
        let numbers = names.distinct(count as usize, || self.next_number());
        numbers.into_iter().map(|number| names.key(number)).collect()
    }

    fn next_interval(&mut self, keys: u32) -> Interval {
        let number = self.next_number();
        self.workload.names.interval(number, u64::from(keys))
    }

    fn next_value(&mut self) -> Vec<u8> {
        self.workload.pool.value(&self.workload.sizes, &mut self.random)
    }
}
