//! What this process asks of its allocator, where the program was built with feature `count-allocations`. Counting is two atomic
//! additions for each call, so such a build is for this question and not for speed.

/// Running totals since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllocationCounts {
    /// Allocations and reallocations.
    pub count: u64,
    /// Bytes that were allocated, and those that reallocations added.
    pub bytes: u64,
}

impl AllocationCounts {
    /// What was asked since `earlier`.
    pub fn since(self, earlier: AllocationCounts) -> AllocationCounts {
        AllocationCounts { count: self.count - earlier.count, bytes: self.bytes - earlier.bytes }
    }
}

/// The totals now; none unless the program counts.
#[cfg(feature = "count-allocations")]
pub fn counted() -> Option<AllocationCounts> {
    let stats = stats_alloc::INSTRUMENTED_SYSTEM.stats();
    // The library may be linked by a program that has another allocator: then nothing was ever counted.
    (stats.allocations > 0).then_some(AllocationCounts {
        count: (stats.allocations + stats.reallocations) as u64,
        bytes: stats.bytes_allocated as u64,
    })
}

/// The totals now; none unless the program counts.
#[cfg(not(feature = "count-allocations"))]
pub fn counted() -> Option<AllocationCounts> {
    None
}
