//! How many heartbeats a member waits for a leader's word before it asks for votes: one to two election timeouts, drawn anew for each
//! term and role (Ongaro and Ousterhout 2014, section 5.2).
//!
//! The raft library draws this from the entropy of its thread. Here it comes from a seed, so that a simulation can be run again. The
//! library looks at it in its tick and nowhere else, so what is drawn here is put in the place of the library's before each tick.

use crate::seed::Seed;
use raft::StateRole;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

pub(super) struct ElectionTimeout {
    random: ChaCha8Rng,
    /// The shortest there is, in heartbeats.
    shortest: usize,
    drawn: usize,
    /// For which term and role it was drawn.
    of: Option<(u64, StateRole)>,
}

impl ElectionTimeout {
    /// Of one start of a member.
    pub(super) fn new(seed: Seed, incarnation: u64, shortest: usize) -> ElectionTimeout {
        let random = seed.stream("election-timeout", incarnation);
        ElectionTimeout { random, shortest, drawn: shortest, of: None }
    }

    /// For a member that has this role in this term.
    pub(super) fn of(&mut self, term: u64, role: StateRole) -> usize {
        if self.of != Some((term, role)) {
            self.of = Some((term, role));
            self.drawn = self.random.random_range(self.shortest..2 * self.shortest);
        }
        self.drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_drawn_for_each_term_and_role_within_its_bounds_and_repeats_with_its_seed() {
        let draw = |seed, incarnation| {
            let mut timeout = ElectionTimeout::new(Seed(seed), incarnation, 10);
            let terms = (1..200).map(|term| timeout.of(term, StateRole::Follower));
            terms.collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 1), draw(1, 1));
        assert_ne!(draw(1, 1), draw(2, 1));
        assert_ne!(draw(1, 1), draw(1, 2));
        let drawn = draw(1, 1);
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&10), Some(&19)));
        let mut timeout = ElectionTimeout::new(Seed(1), 1, 1000);
        let first = timeout.of(5, StateRole::Follower);
        assert_eq!(timeout.of(5, StateRole::Follower), first);
        assert_ne!(timeout.of(5, StateRole::PreCandidate), first);
    }
}
