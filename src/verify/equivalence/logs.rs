//! Random logs, cut into batches of all sizes; half of them without what would cut a batch of the parallel path.

use crate::model::{Request, RequestOp, Txn};
use crate::seed::Seed;
use crate::verify::generate::{Generator, Hint, Shape};
use crate::verify::oracle::Oracle;
use rand::Rng;

/// Requests per seed.
const CASE_REQUESTS: u64 = 4_000;

/// The log of one seed, as batches.
pub fn log_of(seed: u64) -> Vec<Vec<Request>> {
    let (mut case, mut oracle) = (Case::new(seed), Oracle::new());
    let mut log: Vec<Vec<Request>> = Vec::new();
    let mut requests = 0;
    while requests < CASE_REQUESTS {
        let batch = case.batch(&oracle);
        requests += batch.len() as u64;
        batch.iter().for_each(|request| drop(oracle.apply(request)));
        log.push(batch);
    }
    log
}

/// What one seed's log is made of.
struct Case {
    seed: u64,
    generator: Generator,
    random: rand_chacha::ChaCha8Rng,
}

impl Case {
    fn new(seed: u64) -> Case {
        let shape = Shape { keys: 3 + (seed % 58) as usize, leases: 1 + (seed % 7) as usize };
        Case {
            seed,
            generator: Generator::new(Seed(seed), shape),
            random: Seed(seed).stream("differential", 0),
        }
    }

    fn batch(&mut self, oracle: &Oracle) -> Vec<Request> {
        let hint = Hint { revision: oracle.revision(), compacted: oracle.compacted() };
        let size = match self.random.random_range(0..4) {
            0 => 1,
            1 => self.random.random_range(2..=8),
            _ => self.random.random_range(9..=90),
        };
        // A read cuts a batch, and so does what walks over an interval; where neither is, workers have most to share.
        let narrow = size > 1 && self.seed % 2 == 1;
        let mut next = || self.generator.next(hint);
        let requests = std::iter::from_fn(|| Some(next()));
        requests.filter(|request| !narrow || is_narrow(request)).take(size).collect()
    }
}

/// Whether it writes and names single keys only.
fn is_narrow(request: &Request) -> bool {
    match request {
        Request::DeleteRange(delete) => delete.interval.is_point(),
        Request::Txn(txn) => txn.is_write() && txn_is_narrow(txn),
        Request::Compact { .. } => false,
        other if other.is_alarm() => false,
        other => other.is_write(),
    }
}

fn txn_is_narrow(txn: &Txn) -> bool {
    let op_is_narrow = |op: &RequestOp| match op {
        RequestOp::Put(_) => true,
        RequestOp::Range(range) => range.interval.is_point(),
        RequestOp::DeleteRange(delete) => delete.interval.is_point(),
        RequestOp::Txn(inner) => txn_is_narrow(inner),
    };
    txn.compares.iter().all(|compare| compare.interval.is_point())
        && txn.success.iter().chain(&txn.failure).all(op_is_narrow)
}
