//! Named random streams: every random choice of a run comes from one number.
//! A stream is reached by name and index, so adding one never shifts another.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The root of all randomness in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The random stream called `name`, number `index`. Same arguments, same numbers, on any machine.
    pub fn stream(self, name: &str, index: u64) -> ChaCha8Rng {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&self.0.to_le_bytes());
        key[8..16].copy_from_slice(&fnv1a(name.as_bytes()).to_le_bytes());
        key[16..24].copy_from_slice(&index.to_le_bytes());
        ChaCha8Rng::from_seed(key)
    }

    /// A seed of its own for part `index` of `name`.
    pub fn child(self, name: &str, index: u64) -> Seed {
        use rand_chacha::rand_core::RngCore;
        Seed(self.stream(name, index).next_u64())
    }
}

/// FNV-1a, 64 bit (Fowler, Noll, Vo): spreads the few stream names over the key space.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::RngCore;

    #[test]
    fn a_stream_repeats_and_differs_by_name_and_index() {
        let draw = |name, index| Seed(42).stream(name, index).next_u64();
        assert_eq!(draw("keys", 0), draw("keys", 0));
        assert_ne!(draw("keys", 0), draw("keys", 1));
        assert_ne!(draw("keys", 0), draw("values", 0));
        assert_ne!(Seed(42).child("trial", 1), Seed(43).child("trial", 1));
    }
}
