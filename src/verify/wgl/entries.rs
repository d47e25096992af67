//! The invocations and returns of a history in the order of time, as a doubly linked list from which a call is lifted
//! and to which it is unlifted in constant time (Knuth's dancing links).

/// One entry of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The call of this rank is invoked.
    Invoke(usize),
    /// The call of this rank returns.
    Return(usize),
}

/// Head and end of the list.
const HEAD: usize = 0;

/// The list. Invariant: an entry that was unlinked keeps its own links, so unlifting in reverse order restores it.
pub(super) struct Entries {
    next: Vec<usize>,
    previous: Vec<usize>,
    /// What each entry is; that of `HEAD` means nothing.
    what: Vec<Entry>,
    /// The entries of each call, by rank.
    of_rank: Vec<(usize, usize)>,
}

impl Entries {
    /// The entries of calls that were invoked and returned at these times, by rank, the order of their invocation.
    pub(super) fn new(spans: impl Iterator<Item = (u64, u64)>) -> Entries {
        let mut events = Vec::new();
        let mut count = 0;
        for (rank, (invoked, returned)) in spans.enumerate() {
            events.push((invoked, Entry::Invoke(rank)));
            events.push((returned, Entry::Return(rank)));
            count += 1;
        }
        // At the same time invocations come first: such calls overlap.
        events.sort_by_key(|(at, entry)| (*at, matches!(entry, Entry::Return(_))));
        let last = events.len();
        let mut of_rank = vec![(HEAD, HEAD); count];
        let mut what = vec![Entry::Return(0)];
        for (_, entry) in events {
            match entry {
                Entry::Invoke(rank) => of_rank[rank].0 = what.len(),
                Entry::Return(rank) => of_rank[rank].1 = what.len(),
            }
            what.push(entry);
        }
        Entries {
            next: (1..=last).chain([HEAD]).collect(),
            previous: [last].into_iter().chain(0..last).collect(),
            what,
            of_rank,
        }
    }

    /// Whether every call is lifted.
    pub(super) fn is_empty(&self) -> bool {
        self.first() == HEAD
    }

    /// The first entry; an invocation, unless the list is empty.
    pub(super) fn first(&self) -> usize {
        self.next[HEAD]
    }

    /// What an entry of a list that is not empty is.
    pub(super) fn at(&self, entry: usize) -> Entry {
        self.what[entry]
    }

    /// The entry after the invocation of a call in the list; there is one, since its return follows.
    pub(super) fn after_invoke(&self, rank: usize) -> usize {
        self.next[self.of_rank[rank].0]
    }

    /// Ranks of the calls that were invoked before any call in the list returned.
    pub(super) fn open(&self) -> impl Iterator<Item = usize> {
        let entries = std::iter::successors(Some(self.first()), |entry| Some(self.next[*entry]));
        entries.take_while(|entry| *entry != HEAD).map_while(|entry| match self.what[entry] {
            Entry::Invoke(rank) => Some(rank),
            Entry::Return(_) => None,
        })
    }

    /// Takes a call out of the list.
    pub(super) fn lift(&mut self, rank: usize) {
        let (invoke, returned) = self.of_rank[rank];
        self.unlink(invoke);
        self.unlink(returned);
    }

    /// Puts back the call that was lifted last.
    pub(super) fn unlift(&mut self, rank: usize) {
        let (invoke, returned) = self.of_rank[rank];
        self.relink(returned);
        self.relink(invoke);
    }

    fn unlink(&mut self, entry: usize) {
        let (before, after) = (self.previous[entry], self.next[entry]);
        self.next[before] = after;
        self.previous[after] = before;
    }

    fn relink(&mut self, entry: usize) {
        let (before, after) = (self.previous[entry], self.next[entry]);
        self.next[before] = entry;
        self.previous[after] = entry;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(entries: &Entries) -> Vec<Entry> {
        let mut list = Vec::new();
        let mut entry = entries.first();
        while entry != HEAD {
            list.push(entries.at(entry));
            entry = entries.next[entry];
        }
        list
    }

    #[test]
    fn unlifting_undoes_lifting() {
        let mut entries = Entries::new([(0, 5), (1, 2), (3, 9), (5, 6)].into_iter());
        let all = listed(&entries);
        let (i, r) = (Entry::Invoke, Entry::Return);
        // Call 3 is invoked as call 0 returns: they overlap.
        assert_eq!(all, [i(0), i(1), r(1), i(2), i(3), r(0), r(3), r(2)]);
        assert_eq!(entries.open().collect::<Vec<_>>(), [0, 1]);
        for rank in [1, 0, 3] {
            entries.lift(rank);
        }
        assert_eq!(listed(&entries), [i(2), r(2)]);
        entries.lift(2);
        assert!(entries.is_empty());
        for rank in [2, 3, 0, 1] {
            entries.unlift(rank);
        }
        assert_eq!(listed(&entries), all);
    }

    #[test]
    fn a_history_without_calls() {
        assert!(Entries::new(std::iter::empty()).is_empty());
    }
}
