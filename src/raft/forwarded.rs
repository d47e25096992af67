//! Proposals that other members send on to the leader. A network may repeat a message, and the raft library would append it each
//! time; so each is taken once. Whoever does not lead when one arrives drops it and does not send it on: it would be another
//! member's to know what it has taken. The proposer finds out by its patience.
//!
//! Caveat: what was taken is forgotten with the process; a transport must not deliver what it took before the receiver's last start.

use super::packing::EntryId;
use super::transport::MemberId;
use std::collections::{BTreeSet, HashMap};

/// Sequences remembered for each start of a member. One older than all of these was sent thousands of proposals ago.
const REMEMBERED: usize = 1 << 14;

/// Which forwarded proposals were taken.
#[derive(Debug, Default)]
pub(super) struct Forwarded {
    /// Of the latest start of each member.
    taken: HashMap<MemberId, (u64, BTreeSet<u64>)>,
}

impl Forwarded {
    /// Whether this is the first time that the proposal arrives.
    pub(super) fn is_new(&mut self, id: EntryId) -> bool {
        let (incarnation, taken) = self.taken.entry(id.node).or_default();
        if id.incarnation < *incarnation {
            return false;
        }
        if id.incarnation > *incarnation {
            (*incarnation, *taken) = (id.incarnation, BTreeSet::new());
        }
        let is_full = taken.len() >= REMEMBERED;
        if is_full && taken.first().is_some_and(|oldest| id.sequence < *oldest) {
            return false;
        }
        let is_new = taken.insert(id.sequence);
        if taken.len() > REMEMBERED {
            taken.pop_first();
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_new_once_in_any_order() {
        let mut forwarded = Forwarded::default();
        let id = |node, incarnation, sequence| EntryId { node, incarnation, sequence };
        for sequence in [3, 1, 2] {
            assert!(forwarded.is_new(id(1, 5, sequence)));
            assert!(!forwarded.is_new(id(1, 5, sequence)));
        }
        assert!(forwarded.is_new(id(2, 5, 1)));
        assert!(forwarded.is_new(id(1, 6, 1)));
        assert!(!forwarded.is_new(id(1, 5, 9)), "its sender has started again since");
        let many = 2 * REMEMBERED as u64;
        assert!((2..many).all(|sequence| forwarded.is_new(id(1, 6, sequence))));
        assert!(!forwarded.is_new(id(1, 6, 2)), "too old to tell");
    }
}
