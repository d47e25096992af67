//! Fetching what the next requests of a batch will look at. Looking up a random key is waiting for memory, and a request cannot begin
//! before the one in front of it has ended; but its key is known, so that what it waits for can be under way by then. It is done for a
//! group of requests at once, which wait together. A hint only: nothing is decided by it. It takes only locks of the
//! path that are free; who wants one meanwhile waits for a moment.

use super::Command;
use crate::model::Request;
use smallvec::SmallVec;
use std::vec::Drain;

/// Requests that are dealt with together.
const GROUP: usize = 16;

/// Something for each request of a group.
pub(super) type Group<T> = SmallVec<[T; GROUP]>;

/// The requests of a batch, one by one.
pub(super) struct Coming<'a> {
    commands: Drain<'a, Command>,
    taken: usize,
}

impl Coming<'_> {
    /// Those of `batch`, which is empty afterwards.
    pub(super) fn new(batch: &mut Vec<Command>) -> Coming<'_> {
        Coming { commands: batch.drain(..), taken: 0 }
    }

    /// The next request. Now and then `fetch` is given the keys that it and a group of later ones will write.
    pub(super) fn next(&mut self, mut fetch: impl FnMut(&Group<&[u8]>)) -> Option<Command> {
        let mut fetch_group = |number: usize| {
            let commands = self.commands.as_slice().iter().skip(number * GROUP).take(GROUP);
            let keys: Group<_> = commands.filter_map(key).collect();
            // One alone would wait all the same.
            if keys.len() > 1 {
                fetch(&keys);
            }
        };
        if self.taken == 0 {
            fetch_group(0);
        }
        if self.taken.is_multiple_of(GROUP) {
            fetch_group(1);
        }
        self.taken += 1;
        self.commands.next()
    }
}

/// The key of a request that writes one and nothing else.
fn key(command: &Command) -> Option<&[u8]> {
    match &command.request {
        Request::Put(put) => Some(&put.key),
        _ => None,
    }
}

/// Has the line of `what` brought into the caches, and does not wait for it.
pub(super) fn prefetch<T>(what: &T) {
    #[cfg(target_arch = "x86_64")]
    safe_arch::prefetch_t0(what);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = what;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Interval, Position, Range};

    fn command(request: Request) -> Command {
        Command { position: Position::default(), request }
    }

    /// For each key that was fetched how many requests had been taken by then.
    fn fetched(batch: &mut Vec<Command>) -> Vec<(Vec<u8>, usize)> {
        let (mut fetched, mut taken) = (Vec::new(), 0);
        let mut coming = Coming::new(batch);
        while coming
            .next(|keys| fetched.extend(keys.iter().map(|key| (key.to_vec(), taken))))
            .is_some()
        {
            taken += 1;
        }
        fetched
    }

    #[test]
    fn every_put_is_fetched_once_before_its_turn() {
        let key = |number: usize| format!("{number:03}").into_bytes();
        for puts in [2, GROUP - 1, GROUP, GROUP + 2, 5 * GROUP] {
            let mut batch: Vec<_> =
                (0..puts).map(|number| command(Request::put(key(number), "v"))).collect();
            let fetched = fetched(&mut batch);
            assert!(batch.is_empty());
            assert_eq!(fetched.len(), puts);
            for (number, (fetched, taken)) in fetched.into_iter().enumerate() {
                assert_eq!(fetched, key(number));
                assert!(taken <= number.saturating_sub(GROUP), "{number} after {taken}");
            }
        }
    }

    #[test]
    fn what_writes_no_single_key_and_what_is_alone_is_not_fetched() {
        let range = Range { interval: Interval::everything(), ..Range::default() };
        let put = || command(Request::put("a", "1"));
        let mut batch = vec![put(), command(Request::Range(range)), put()];
        assert_eq!(fetched(&mut batch).len(), 2);
        assert_eq!(fetched(&mut vec![put()]), []);
    }
}
