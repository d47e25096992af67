//! Forgotten versions, to be written over. As many are forgotten as are written once a store has aged, and giving memory back and asking for
//! it again takes longer than all the rest of a write: what lies around a freed version has to be looked at, and none of it is in the caches.

use super::history::FORGET_TOGETHER;
use super::kv::Kv;
use crossbeam_utils::CachePadded;
use std::sync::{Mutex, TryLockError};

/// Lists that share the work, so that appliers on different keys rarely want the same one.
const STRIPES: usize = 8;

/// In each list, at most: about what two goes of forgetting give. Those beyond are freed.
const MOST: usize = 2 * FORGET_TOGETHER;

/// Versions that nobody looks at any more. Whoever finds a list taken does without, and allocates or frees.
#[derive(Default)]
pub(super) struct Spares([CachePadded<Mutex<Vec<Kv>>>; STRIPES]);

impl Spares {
    /// The one that was given last, and so is likely to be in the caches.
    pub(super) fn take(&self, stripe: u64) -> Option<Kv> {
        self.with(stripe, Vec::pop).flatten()
    }

    /// Keeps those of `forgotten` that are fit for it, and has them brought into the caches.
    pub(super) fn give(&self, stripe: u64, forgotten: impl Iterator<Item = Kv>) {
        let mut fit = forgotten.filter(Kv::is_spare);
        self.with(stripe, |spares| {
            let more = MOST.saturating_sub(spares.len());
            spares.extend(fit.by_ref().take(more).inspect(Kv::prefetch_room));
        });
        // The rest is freed here, with the list free.
        drop(fit);
    }

    fn with<T>(&self, stripe: u64, what: impl FnOnce(&mut Vec<Kv>) -> T) -> Option<T> {
        match self.0[stripe as usize % STRIPES].try_lock() {
            Ok(mut spares) => Some(what(&mut spares)),
            // Whatever is in it is spare.
            Err(TryLockError::Poisoned(spares)) => Some(what(&mut spares.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kv::Written;
    use super::*;

    fn version(value: &[u8]) -> Kv {
        let written = Written { create: 1, modified: 1, version: 1, lease: 0, sub: 0 };
        Kv::new(b"k", value, written)
    }

    #[test]
    fn the_last_one_comes_first_and_the_list_is_short() {
        let spares = Spares::default();
        assert!(spares.take(3).is_none());
        spares.give(3, (0..100_u8).map(|byte| version(&[byte])));
        let taken: Vec<u8> =
            std::iter::from_fn(|| spares.take(3)).map(|kv| kv.value()[0]).collect();
        assert_eq!(taken, (0..MOST as u8).rev().collect::<Vec<_>>());
    }

    #[test]
    fn long_ones_are_not_kept() {
        let spares = Spares::default();
        spares.give(0, [version(&[0; 100_000]), version(b"v")].into_iter());
        assert_eq!(spares.take(0).map(|kv| kv.value_bytes()), Some(1));
        assert!(spares.take(0).is_none());
    }

    #[test]
    fn who_finds_a_list_taken_does_without() {
        let spares = Spares::default();
        spares.give(0, [version(b"v")].into_iter());
        let held = spares.0[0].lock().unwrap();
        assert!(spares.take(0).is_none());
        spares.give(0, [version(b"w")].into_iter());
        drop(held);
        assert_eq!(spares.take(0).map(|kv| kv.value().to_vec()), Some(b"v".to_vec()));
        assert!(spares.take(0).is_none());
    }
}
