//! The kernel of parallel apply on loom's atomics: the store's own file, with every load that the memory model allows
//! tried out. Where shuttle asks who may run next, loom also asks what a thread may see.

#[path = "../../src/store/tickets.rs"]
#[allow(dead_code, reason = "only some of what is compiled here is used")]
mod tickets;

/// What the included file takes its atomics from.
mod measure {
    pub(crate) mod sync {
        pub(crate) use loom::sync::atomic::{AtomicU32, Ordering};
    }
}

/// The tickets of a batch, for tests outside.
pub struct Tickets(tickets::Tickets);

impl Tickets {
    /// The tickets of requests that touch these shards.
    pub fn new(requests: &[&[u32]], shard_count: usize) -> Tickets {
        Tickets(tickets::Tickets::new(requests.iter().copied(), shard_count))
    }

    /// Claims a request and runs whatever can run because of it.
    pub fn claim(&self, number: usize, run: impl FnMut(usize)) {
        self.0.claim(number, run);
    }
}
