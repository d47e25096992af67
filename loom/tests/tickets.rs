//! Tickets take the place of locks: what requests do to a shard lies in a cell that nothing else guards, and loom
//! complains of any two of them that nothing orders.

use kvbench_loom::Tickets;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// More preemptions than any known bug of this kind takes; without a bound three threads have too many schedules.
const PREEMPTIONS_MAX: usize = 3;

/// A batch under way.
struct Batch {
    requests: &'static [&'static [u32]],
    tickets: Tickets,
    /// Which requests ran on each shard, in the order in which they found each other.
    shards: Vec<UnsafeCell<Vec<usize>>>,
    /// How often each request ran.
    runs: Vec<UnsafeCell<u32>>,
}

// Cells may be shared, for loom checks every access; that none is missed is what is tested.
unsafe impl Sync for Batch {}
unsafe impl Send for Batch {}

impl Batch {
    fn new(requests: &'static [&'static [u32]]) -> Batch {
        let shard_count = requests.iter().copied().flatten().max().map_or(0, |max| max + 1);
        let cells = 0..shard_count;
        Batch {
            requests,
            tickets: Tickets::new(requests, shard_count as usize),
            shards: cells.map(|_| UnsafeCell::new(Vec::new())).collect(),
            runs: requests.iter().map(|_| UnsafeCell::new(0)).collect(),
        }
    }

    fn claim(&self, claims: &[usize]) {
        for claim in claims {
            self.tickets.claim(*claim, |number| self.run(number));
        }
    }

    /// As a request does that reads and writes each of its shards.
    fn run(&self, number: usize) {
        self.runs[number].with_mut(|runs| unsafe { *runs += 1 });
        for &shard in self.requests[number] {
            let before: Vec<_> = self.before(number, shard).collect();
            self.shards[shard as usize].with_mut(|ran| {
                let ran = unsafe { &mut *ran };
                assert_eq!(*ran, before, "a request sees what came before it on its shards");
                ran.push(number);
            });
        }
    }

    /// The requests that come before `number` on `shard`.
    fn before(&self, number: usize, shard: u32) -> impl Iterator<Item = usize> + '_ {
        (0..number).filter(move |before| self.requests[*before].contains(&shard))
    }

    fn check_all_ran(&self) {
        for runs in &self.runs {
            runs.with(|runs| assert_eq!(unsafe { *runs }, 1, "each request runs once"));
        }
    }
}

/// Each of `claims` on a thread of its own; the first on the one that waits for the others.
fn check(requests: &'static [&'static [u32]], claims: &'static [&'static [usize]]) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS_MAX);
    builder.check(move || {
        let batch = Arc::new(Batch::new(requests));
        let others = claims[1..].iter().map(|claims| {
            let batch = batch.clone();
            thread::spawn(move || batch.claim(claims))
        });
        let others: Vec<_> = others.collect();
        batch.claim(claims[0]);
        others.into_iter().for_each(|other| other.join().unwrap());
        batch.check_all_ran();
    });
}

#[test]
fn three_on_one_shard() {
    check(&[&[0], &[0], &[0]], &[&[0], &[1], &[2]]);
}

/// The second waits for both others' shards, the fourth for the third through it.
#[test]
fn a_request_on_two_shards_joins_their_chains() {
    check(&[&[0], &[1], &[0, 1], &[1]], &[&[0, 3], &[1], &[2]]);
}

#[test]
fn chains_part_and_meet_again() {
    check(&[&[0, 1], &[0], &[1], &[0, 1]], &[&[3, 0], &[1], &[2]]);
}

#[test]
fn five_requests_of_which_one_touches_nothing() {
    check(&[&[0], &[], &[0, 2], &[1, 2], &[1]], &[&[0, 3], &[1, 4], &[2]]);
}

#[test]
fn six_requests_claimed_against_their_order() {
    check(&[&[0], &[0, 1], &[1], &[1, 2], &[2, 0], &[0]], &[&[5, 2], &[4, 1], &[3, 0]]);
}
