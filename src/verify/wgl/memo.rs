//! The configurations that were visited, small in memory: the linearized known calls are a prefix in the order of
//! invocation and a window of bits, since a call can only overtake those that were open with it.

use std::collections::HashMap;
use std::hash::Hash;

const BITS: usize = u64::BITS as usize;

/// Which calls are linearized.
pub(super) struct Linearized {
    /// One bit for each known call, by rank.
    known: Vec<u64>,
    extent: Extent,
    /// One bit for each call of unknown outcome.
    unknown: Vec<u64>,
}

/// Where the bits of the known calls change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// All ranks below are linearized, this one is not.
    prefix: usize,
    /// No rank from here on is linearized.
    end: usize,
}

impl Linearized {
    /// None of so many calls.
    pub(super) fn new(known: usize, unknown: usize) -> Linearized {
        Linearized {
            known: vec![0; known.div_ceil(BITS)],
            extent: Extent { prefix: 0, end: 0 },
            unknown: vec![0; unknown.div_ceil(BITS)],
        }
    }

    /// What [`Linearized::take_known`] wants back.
    pub(super) fn extent(&self) -> Extent {
        self.extent
    }

    /// Adds the known call of this rank, which is not linearized.
    pub(super) fn add_known(&mut self, rank: usize) {
        self.known[rank / BITS] |= 1 << (rank % BITS);
        self.extent.end = self.extent.end.max(rank + 1);
        while self.extent.prefix < self.extent.end && self.has_known(self.extent.prefix) {
            self.extent.prefix += 1;
        }
    }

    /// Takes back the known call that was added last, when the extent was this.
    pub(super) fn take_known(&mut self, rank: usize, before: Extent) {
        self.known[rank / BITS] &= !(1 << (rank % BITS));
        self.extent = before;
    }

    /// Adds a call of unknown outcome, or takes it back.
    pub(super) fn flip_unknown(&mut self, index: usize) {
        self.unknown[index / BITS] ^= 1 << (index % BITS);
    }

    /// Whether a call of unknown outcome is linearized.
    pub(super) fn has_unknown(&self, index: usize) -> bool {
        self.unknown[index / BITS] >> (index % BITS) & 1 == 1
    }

    fn has_known(&self, rank: usize) -> bool {
        self.known[rank / BITS] >> (rank % BITS) & 1 == 1
    }

    /// 64 bits from this rank on.
    fn bits_from(&self, rank: usize) -> u64 {
        let (word, shift) = (rank / BITS, rank % BITS);
        let high = match (shift, self.known.get(word + 1)) {
            (0, _) | (_, None) => 0,
            (_, Some(next)) => next << (BITS - shift),
        };
        self.known[word] >> shift | high
    }

    /// Invariant: equal sets have equal windows; the last word of a window is never 0, because of `end`.
    fn window(&self) -> Window {
        let Extent { prefix, end } = self.extent;
        let mut words = (prefix + 1..end).step_by(BITS).map(|rank| self.bits_from(rank));
        Window { prefix, first: words.next().unwrap_or(0), further: words.collect() }
    }
}

/// The linearized known calls: all ranks below `prefix`, and those after it whose bit is set.
#[derive(PartialEq, Eq, Hash)]
struct Window {
    prefix: usize,
    first: u64,
    /// Empty, which takes no memory, unless a call was open during 64 invocations.
    further: Box<[u64]>,
}

/// For each set of known calls and each state: the sets of unknown calls they were visited with, one after the other.
/// Invariant: none of these contains another.
pub(super) struct Memo<S> {
    visited: HashMap<(Window, S), Box<[u64]>>,
}

impl<S: Clone + Eq + Hash> Memo<S> {
    /// Nothing was visited.
    pub(super) fn new() -> Memo<S> {
        Memo { visited: HashMap::new() }
    }

    /// Adds a configuration; false if one was there from which all can follow that can follow this one.
    pub(super) fn is_new(&mut self, linearized: &Linearized, state: &S) -> bool {
        let used = &linearized.unknown;
        let key = (linearized.window(), state.clone());
        let Some(visited) = self.visited.get_mut(&key) else {
            self.visited.insert(key, used.clone().into_boxed_slice());
            return true;
        };
        if used.is_empty() || visited.chunks_exact(used.len()).any(|set| is_subset(set, used)) {
            return false;
        }
        let kept = visited.chunks_exact(used.len()).filter(|set| !is_subset(used, set));
        *visited = kept.flatten().chain(used).copied().collect();
        true
    }
}

fn is_subset(small: &[u64], large: &[u64]) -> bool {
    small.iter().zip(large).all(|(s, l)| s & !l == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_begins_after_the_prefix() {
        let mut linearized = Linearized::new(200, 0);
        for rank in [0, 1, 3, 130] {
            linearized.add_known(rank);
        }
        let before = linearized.extent();
        let window = linearized.window();
        assert_eq!((window.prefix, window.first, window.further.to_vec()), (2, 1, vec![1 << 63]));
        linearized.add_known(2);
        let window = linearized.window();
        assert_eq!((window.prefix, window.first, window.further.to_vec()), (4, 0, vec![1 << 61]));
        linearized.take_known(2, before);
        assert!(linearized.window() == Linearized::window(&linearized));
        assert_eq!(linearized.extent(), before);
    }

    #[test]
    fn what_used_more_unknown_calls_is_not_new() {
        let mut memo = Memo::new();
        let mut linearized = Linearized::new(3, 70);
        let mut is_new = |unknown: &[usize], state: u8| {
            unknown.iter().for_each(|index| linearized.flip_unknown(*index));
            let is_new = memo.is_new(&linearized, &state);
            unknown.iter().for_each(|index| linearized.flip_unknown(*index));
            is_new
        };
        assert!(is_new(&[1, 69], 7));
        assert!(!is_new(&[1, 3, 69], 7));
        assert!(is_new(&[1, 3, 69], 8));
        assert!(is_new(&[2], 7));
        assert!(is_new(&[1], 7));
        assert!(!is_new(&[1, 69], 7));
        assert!(is_new(&[], 7));
        assert!(!is_new(&[2], 7));
    }
}
