//! How large the state is: the bytes of what is held of it, history included, as an image of it would have them. Both engines keep the
//! same versions, so it says the same of both until one of them is behind with forgetting what a compaction covers.

use super::kv::Kv;
use crossbeam_utils::CachePadded;
use std::sync::atomic::{AtomicI64, Ordering};

/// A version's numbers.
const VERSION_HEAD_BYTES: u64 = 44;
/// What an image has beside versions, leases and alarms: its head, its end and its hash.
pub(super) const FRAME_BYTES: u64 = 80;
/// A lease and its time to live.
pub(super) const LEASE_BYTES: u64 = 16;

/// Counters that share the work: with one for all, requests on different shards would wait for its cache line.
const STRIPES: usize = 8;

/// Bytes of one version.
pub(super) fn of_version(kv: &Kv) -> u64 {
    of_version_with(kv.key().len() + kv.value_bytes())
}

/// Bytes of a version whose key and value have so many together.
pub(super) fn of_version_with(bytes: usize) -> u64 {
    VERSION_HEAD_BYTES + bytes as u64
}

/// Bytes that come and go on many threads. Exact when none of them is at it.
#[derive(Debug, Default)]
pub(super) struct Striped([CachePadded<AtomicI64>; STRIPES]);

impl Striped {
    /// Whichever `stripe` is named; what comes and what goes may differ in it.
    pub(super) fn add(&self, stripe: u64, bytes: u64) {
        self.stripe(stripe).fetch_add(bytes.cast_signed(), Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, stripe: u64, bytes: u64) {
        self.stripe(stripe).fetch_sub(bytes.cast_signed(), Ordering::Relaxed);
    }

    pub(super) fn total(&self) -> u64 {
        let total: i64 = self.0.iter().map(|stripe| stripe.load(Ordering::Relaxed)).sum();
        u64::try_from(total).unwrap_or(0)
    }

    fn stripe(&self, stripe: u64) -> &AtomicI64 {
        &self.0[stripe as usize % STRIPES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripes_add_up_wherever_bytes_come_and_go() {
        let striped = Striped::default();
        (0..100).for_each(|stripe| striped.add(stripe, stripe));
        striped.subtract(3, 4_000);
        assert_eq!(striped.total(), 950);
        striped.subtract(4, 1_000);
        assert_eq!(striped.total(), 0, "a moment of imbalance is no size");
    }
}
