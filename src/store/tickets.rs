//! Which request of a batch has to wait for which: the kernel of parallel apply, knowing nothing of requests.
//!
//! Every request takes a ticket on each shard it may touch, in log order; the tickets of a shard form a chain. A request
//! runs once everything before it on its shards has run. Nobody waits: whoever takes away the last reason why a request
//! cannot run, runs it (after Calvin's ordered locks, Thomson et al. 2012, without the lock manager). Whatever order
//! the requests are claimed in, each shard sees them in log order.

use crate::measure::sync::{AtomicU32, Ordering};

/// No further ticket on a shard.
const NONE: u32 = u32::MAX;

/// The tickets of a batch.
/// Invariant: edges go from lower to higher numbers only, so there is always a request that can run.
pub(super) struct Tickets {
    /// Reasons why a request cannot run yet: one for each shard on which another comes right before it, and one until
    /// it is claimed.
    pending: Vec<AtomicU32>,
    /// The tickets of request `i` are `offsets[i]..offsets[i + 1]`.
    offsets: Vec<u32>,
    /// The request that comes next on the shard of a ticket, or `NONE`.
    next: Vec<u32>,
    /// Most tickets on one shard.
    longest_chain: u32,
}

impl Tickets {
    /// The tickets of requests that touch these shards, each list distinct; all shards are below `shard_count`.
    pub(super) fn new<'a>(
        requests: impl Iterator<Item = &'a [u32]>,
        shard_count: usize,
    ) -> Tickets {
        let mut last = vec![NONE; shard_count];
        let mut lengths = vec![0_u32; shard_count];
        let mut tickets =
            Tickets { pending: Vec::new(), offsets: vec![0], next: Vec::new(), longest_chain: 0 };
        for (number, shards) in requests.enumerate() {
            let mut pending = 1;
            for &shard in shards {
                let ticket = tickets.next.len() as u32;
                tickets.next.push(NONE);
                let before = std::mem::replace(&mut last[shard as usize], ticket);
                if before != NONE {
                    tickets.next[before as usize] = number as u32;
                    pending += 1;
                }
                lengths[shard as usize] += 1;
            }
            tickets.pending.push(AtomicU32::new(pending));
            tickets.offsets.push(tickets.next.len() as u32);
        }
        tickets.longest_chain = lengths.into_iter().max().unwrap_or(0);
        tickets
    }

    /// How many requests there are.
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Most requests that have to run one after the other because of one shard.
    pub(super) fn longest_chain(&self) -> usize {
        self.longest_chain as usize
    }

    /// Claims request `number`, which nobody else may have claimed, and runs whatever can run because of it.
    pub(super) fn claim(&self, number: usize, mut run: impl FnMut(usize)) {
        let mut freed = vec![number as u32];
        while let Some(number) = freed.pop() {
            let number = number as usize;
            // AcqRel: who brings it to zero sees what every request before it did, and shows what it did itself.
            if self.pending[number].fetch_sub(1, Ordering::AcqRel) == 1 {
                run(number);
                let tickets = self.offsets[number] as usize..self.offsets[number + 1] as usize;
                freed.extend(self.next[tickets].iter().filter(|next| **next != NONE));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The order in which requests ran when claimed in the order of `claims`.
    fn ran(shards: &[Vec<u32>], claims: &[usize]) -> Vec<usize> {
        let tickets = Tickets::new(shards.iter().map(Vec::as_slice), 8);
        let mut ran = Vec::new();
        for claim in claims {
            tickets.claim(*claim, |number| ran.push(number));
        }
        ran
    }

    fn requests() -> impl Strategy<Value = Vec<Vec<u32>>> {
        let shards = prop::collection::btree_set(0..8_u32, 0..4);
        prop::collection::vec(shards.prop_map(|shards| shards.into_iter().collect()), 1..40)
    }

    proptest! {
        #[test]
        fn every_request_runs_once_and_each_shard_sees_log_order(
            (shards, claims) in requests().prop_flat_map(|shards| {
                let claims = (0..shards.len()).collect::<Vec<_>>();
                (Just(shards), Just(claims).prop_shuffle())
            }),
        ) {
            let ran = ran(&shards, &claims);
            let mut sorted = ran.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..shards.len()).collect::<Vec<_>>());
            for shard in 0..8 {
                let on_shard = ran.iter().filter(|number| shards[**number].contains(&shard));
                prop_assert!(on_shard.is_sorted());
            }
        }
    }

    #[test]
    fn a_chain_runs_when_its_first_is_claimed_last() {
        let shards = [vec![1], vec![1, 2], vec![2], vec![3]];
        assert_eq!(ran(&shards, &[3, 2, 1, 0]), [3, 0, 1, 2]);
        let tickets = Tickets::new(shards.iter().map(Vec::as_slice), 8);
        assert_eq!((tickets.len(), tickets.longest_chain()), (4, 2));
    }
}
