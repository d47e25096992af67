//! How many requests are executed at once, seen by those who execute them. Everybody counts on a line of their own, so that
//! looking does not make the threads wait for each other; now and then one of them adds the lines up.
//!
//! A thread that lost its CPU in the middle of a request is counted too: this is concurrency, not parallelism.

use crate::measure::sync::{AtomicU32, Ordering};
use crossbeam_utils::CachePadded;

/// Lines; a power of two. Threads that share one still add up.
const LINES: usize = 32;
/// How many requests of a line go by between two looks at all lines.
const REQUESTS_PER_LOOK: u32 = 16;

/// Counts requests under execution. All orderings are relaxed: a look adds up what it finds and orders nothing.
pub(super) struct Appliers {
    /// None if nobody is to look.
    lines: Option<Box<[CachePadded<Line>; LINES]>>,
    most: AtomicU32,
}

struct Line {
    busy: AtomicU32,
    begun: AtomicU32,
}

/// One request under execution, until it is dropped.
pub(super) struct Applying<'a>(Option<&'a Line>);

impl Appliers {
    /// Watches, or does nothing at no cost.
    pub(super) fn new(watch: bool) -> Appliers {
        let line = |_| CachePadded::new(Line { busy: AtomicU32::new(0), begun: AtomicU32::new(0) });
        let lines = watch.then(|| Box::new(std::array::from_fn(line)));
        Appliers { lines, most: AtomicU32::new(0) }
    }

    /// A request begins to be executed; it holds its locks.
    pub(super) fn enter(&self) -> Applying<'_> {
        let Some(lines) = &self.lines else { return Applying(None) };
        let line = &lines[line_of_thread()];
        line.busy.fetch_add(1, Ordering::Relaxed);
        let begun = line.begun.load(Ordering::Relaxed);
        line.begun.store(begun.wrapping_add(1), Ordering::Relaxed);
        if begun.is_multiple_of(REQUESTS_PER_LOOK) {
            let busy: u32 = lines.iter().map(|line| line.busy.load(Ordering::Relaxed)).sum();
            if self.most.load(Ordering::Relaxed) < busy {
                self.most.fetch_max(busy, Ordering::Relaxed);
            }
        }
        Applying(Some(line))
    }

    /// The most that were found at once since this was last asked; none if nobody looks.
    pub(super) fn take_most(&self) -> Option<u32> {
        self.lines.as_ref().map(|_| self.most.swap(0, Ordering::Relaxed))
    }
}

impl Drop for Applying<'_> {
    fn drop(&mut self) {
        if let Some(line) = self.0 {
            line.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Threads live in stacks of their own, so where a variable of this call lies tells them apart, to a MiB; a multiplication brings
/// the bits together. A thread whose stack reaches over such a border has two lines, which does no harm.
fn line_of_thread() -> usize {
    let here = 0_u8;
    let stack = std::ptr::from_ref(&here).addr() as u64 >> 20;
    stack.wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> (usize::BITS - LINES.ilog2())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn what_is_under_way_at_once_is_counted() {
        let appliers = Appliers::new(true);
        assert_eq!(appliers.take_most(), Some(0));
        let (all_in, looked) = (Barrier::new(4), Barrier::new(4));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let _applying = appliers.enter();
                    all_in.wait();
                    looked.wait();
                });
            }
            all_in.wait();
            // Whichever line it is on, one of so many looks.
            (0..REQUESTS_PER_LOOK).for_each(|_| drop(appliers.enter()));
            looked.wait();
        });
        assert_eq!(appliers.take_most(), Some(4));
        (0..REQUESTS_PER_LOOK).for_each(|_| drop(appliers.enter()));
        assert_eq!(appliers.take_most(), Some(1), "the others are gone");
    }

    #[test]
    fn switched_off_it_says_nothing() {
        let appliers = Appliers::new(false);
        drop(appliers.enter());
        assert_eq!(appliers.take_most(), None);
    }
}
