//! How the locks of the shards lie in memory. Two that share a cache line are fought over by two cores although nobody
//! wants the same lock; that is a cost like any other, so it can be measured.

use crossbeam_utils::CachePadded;
use std::ops::Deref;

/// What becomes of a lock in a row of them. Chosen with the type of the path, so no operation asks for it.
pub(super) trait Layout: Send + Sync + 'static {
    /// A lock in its place.
    type Place<T: Send + Sync>: Deref<Target = T> + From<T> + Send + Sync;
}

/// Each begins on a cache line of its own.
pub(super) struct Padded;

/// Each begins where the one before it ends.
pub(super) struct Packed;

/// Something as it is.
pub(super) struct Bare<T>(T);

impl Layout for Padded {
    type Place<T: Send + Sync> = CachePadded<T>;
}

impl Layout for Packed {
    type Place<T: Send + Sync> = Bare<T>;
}

impl<T> From<T> for Bare<T> {
    fn from(value: T) -> Bare<T> {
        Bare(value)
    }
}

impl<T> Deref for Bare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::lock::MeasuredMutex;
    use crate::store::memory;

    /// Bytes from each to the next.
    fn steps<L: Layout>() -> Vec<usize> {
        let places: Vec<L::Place<[u8; 72]>> = (0..8).map(|n| [n; 72].into()).collect();
        let at = |place: &L::Place<[u8; 72]>| std::ptr::from_ref::<[u8; 72]>(place).addr();
        places.windows(2).map(|two| at(&two[1]) - at(&two[0])).collect()
    }

    #[test]
    fn padded_ones_share_no_line_and_packed_ones_leave_no_gap() {
        assert_eq!(steps::<Packed>(), [72; 7]);
        let line = align_of::<CachePadded<u8>>();
        assert!(line >= 64 && steps::<Padded>().iter().all(|step| step.is_multiple_of(line)));
    }

    /// Otherwise packed locks would begin on lines of their own, too, and there would be nothing to compare.
    #[test]
    fn a_lock_with_what_it_guards_fills_no_whole_lines() {
        let size = size_of::<MeasuredMutex<memory::Part>>();
        assert!(!size.is_multiple_of(64), "{size}");
    }
}
