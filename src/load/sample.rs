//! A few keys of the load, of which everything is written down that clients ask and are answered while they are measured, so that it can be
//! questioned afterwards (`verify::sampled`). The clients send what they would send anyway. Beside that, a key is read right after a write to
//! it was answered, as long as such reads are few among all requests, and all keys are read before and after the load.
//!
//! The keys are those that the clients' own streams name first, so that a key which is asked for often is in the sample more likely.

use super::window::Window;
use crate::clock::Clock;
use crate::model::{Request, Response};
use crate::target::{Answer, Client, Connect};
use crate::units::Nanos;
use crate::verify::sampled::key_of;
use crate::verify::{Operation, Outcome};
use crate::workload::Stream;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Keys of one measurement.
const KEYS: usize = 64;
/// Operations that are written down of one key: what a search for an order bears, with as many clients at it as there may be.
const OPERATIONS_MAX: u32 = 200;
/// Operations that are looked through for the keys.
const DRAWS_MAX: usize = 4_096;
/// Requests of the load for each read that is sent for the sample's sake, at least.
const REQUESTS_PER_READ: u64 = 200;
/// Bits of the first look at a key.
const FILTER_BITS: usize = 4_096;

/// The keys, shared by all load threads of a measurement.
#[derive(Debug)]
pub struct Sample {
    keys: HashMap<Vec<u8>, Recorded>,
    /// Almost all other keys have no bit here, which costs less to see than that they are not in the map.
    filter: [u64; FILTER_BITS / 64],
}

/// How far a key was written down. All orderings are relaxed: the counters order nothing else, and are read when the load has ended.
#[derive(Debug)]
struct Recorded {
    operations: AtomicU32,
    /// When the first operation was sent that is not written down, ns; the largest number while there is none.
    cut: AtomicU64,
}

impl Sample {
    /// The first keys of `streams`, in turn.
    pub fn of(mut streams: Vec<Stream>) -> Sample {
        let mut sample = Sample { keys: HashMap::new(), filter: [0; FILTER_BITS / 64] };
        for draw in 0..DRAWS_MAX {
            let Some(count) = std::num::NonZeroUsize::new(streams.len()) else { break };
            let operation = streams[draw % count].next_operation();
            if let Some(key) = key_of(&operation.request) {
                sample.add(key);
            }
            if sample.keys.len() == KEYS {
                break;
            }
        }
        sample
    }

    fn add(&mut self, key: &[u8]) {
        let bit = bit_of(key);
        self.filter[bit / 64] |= 1 << (bit % 64);
        let fresh = || Recorded { operations: AtomicU32::new(0), cut: AtomicU64::new(u64::MAX) };
        self.keys.entry(key.to_vec()).or_insert_with(fresh);
    }

    /// When keys were written down no more; those that were to the end are not in it.
    pub(super) fn cut(&self) -> BTreeMap<Vec<u8>, Nanos> {
        let cut = |(key, recorded): (&Vec<u8>, &Recorded)| {
            let at = recorded.cut.load(Ordering::Relaxed);
            (at != u64::MAX).then(|| (key.clone(), Nanos(at)))
        };
        self.keys.iter().filter_map(cut).collect()
    }

    /// Whether an operation of `key` that is sent `now` is to be written down.
    fn takes(&self, key: &[u8], now: impl FnOnce() -> Nanos) -> Option<Nanos> {
        let bit = bit_of(key);
        if self.filter[bit / 64] & (1 << (bit % 64)) == 0 {
            return None;
        }
        let recorded = self.keys.get(key)?;
        let now = now();
        if recorded.operations.fetch_add(1, Ordering::Relaxed) < OPERATIONS_MAX {
            return Some(now);
        }
        recorded.cut.fetch_min(now.0, Ordering::Relaxed);
        None
    }
}

/// Keys of a workload differ at their ends. The factor is 2^64 divided by the golden ratio (Knuth, TAOCP 3, §6.4).
fn bit_of(key: &[u8]) -> usize {
    let tail = &key[key.len().saturating_sub(8)..];
    let number = tail.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS.trailing_zeros())) as usize
}

/// What one load thread writes down.
pub(super) struct Sampler {
    sample: Arc<Sample>,
    requests: Cell<u64>,
    /// Of those, reads for the sample's sake.
    reads: Cell<u64>,
    /// A key that was written, to be read when the next operation ends.
    due: RefCell<Option<Vec<u8>>>,
}

/// A request that is under way.
pub(super) struct Taken {
    request: Request,
    invoked: Nanos,
}

impl Sampler {
    pub(super) fn new(sample: Arc<Sample>) -> Sampler {
        Sampler { sample, requests: Cell::new(0), reads: Cell::new(0), due: RefCell::new(None) }
    }

    /// Takes a request that is about to be sent, if it is of a key in the sample. Boxed, since almost none is.
    pub(super) fn take(&self, request: &Request, window: &Window) -> Option<Box<Taken>> {
        self.requests.set(self.requests.get() + 1);
        let invoked = self.sample.takes(key_of(request)?, || window.clock.now())?;
        Some(Box::new(Taken { request: request.clone(), invoked }))
    }

    /// What came of it.
    pub(super) fn seen(&self, taken: Taken, returned: Nanos, answer: &Answer) -> Operation {
        let Taken { request, invoked } = taken;
        let is_due = answer.is_ok() && request.is_write();
        if let Some(key) = key_of(&request).filter(|_| is_due) {
            self.due.replace(Some(key.to_vec()));
        }
        let outcome = match answer {
            Ok(delivered) => Outcome::Done(delivered.reply.clone()),
            Err(_) => Outcome::Unknown,
        };
        Operation { client: 0, request, invoked, returned, outcome }
    }

    /// The key that is to be read now, if that is not too much.
    pub(super) fn due(&self) -> Option<Vec<u8>> {
        let key = self.due.take()?;
        if (self.reads.get() + 1) * REQUESTS_PER_READ > self.requests.get() {
            return None;
        }
        self.reads.set(self.reads.get() + 1);
        Some(key)
    }
}

/// Reads all keys in the way of a client, while nobody else asks; what went wrong in words.
pub(super) fn read_all<T: Connect>(
    target: &T,
    sample: &Sample,
    clock: Clock,
) -> std::io::Result<Result<Vec<Operation>, String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async {
        let ways = target.connect(1).await.map_err(|error| error.to_string())?;
        let way = ways.into_iter().next().ok_or("there is no way in")?;
        let mut keys: Vec<&Vec<u8>> = sample.keys.keys().collect();
        keys.sort_unstable();
        let mut reads = Vec::with_capacity(keys.len());
        for key in keys {
            let request = Request::get(key.as_slice());
            let invoked = clock.now();
            let reply: Response =
                way.call(request.clone()).await.map_err(|error| error.to_string())?.reply;
            if let Err(refusal) = &reply.result {
                return Err(refusal.to_string());
            }
            let (returned, outcome) = (clock.now(), Outcome::Done(reply));
            reads.push(Operation { client: 0, request, invoked, returned, outcome });
        }
        Ok(reads)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(keys: &[&str]) -> Sample {
        let mut sample = Sample { keys: HashMap::new(), filter: [0; FILTER_BITS / 64] };
        keys.iter().for_each(|key| sample.add(key.as_bytes()));
        sample
    }

    #[test]
    fn only_its_keys_are_written_down_and_so_many_of_each() {
        let sample = sample(&["00000001", "0000abcd", "k"]);
        let mut taken = 0;
        for number in 0..2_000_u64 {
            for key in [format!("{number:08x}"), "k".to_owned()] {
                let is_taken = sample.takes(key.as_bytes(), || Nanos(number)).is_some();
                taken += u32::from(is_taken);
                assert!(!is_taken || ["00000001", "k"].contains(&key.as_str()), "{key}");
            }
        }
        assert_eq!(taken, 1 + OPERATIONS_MAX);
        let cut = BTreeMap::from([(b"k".to_vec(), Nanos(u64::from(OPERATIONS_MAX)))]);
        assert_eq!(sample.cut(), cut);
    }

    #[test]
    fn reads_for_its_sake_are_few() {
        let sampler = Sampler::new(Arc::new(sample(&["k"])));
        let mut reads = 0;
        for _ in 0..10_000 {
            sampler.requests.set(sampler.requests.get() + 1);
            sampler.due.replace(Some(b"k".to_vec()));
            reads += u64::from(sampler.due().is_some());
        }
        assert_eq!(reads, 10_000 / REQUESTS_PER_READ);
        assert_eq!(sampler.due(), None);
    }
}
