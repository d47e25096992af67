//! Counters of the pipeline: syncs, Ready rounds, entries, requests. Written by the system, read by the harness.

use super::spans::{SpanCounts, SpanTally};
use std::sync::atomic::{AtomicU64, Ordering};

/// Running totals since the node started. All orderings are relaxed: they are sums, they order nothing.
#[derive(Debug, Default)]
pub struct PipelineMeter {
    fsyncs: AtomicU64,
    fsync_ns: AtomicU64,
    fsync_times: SpanTally,
    readies: AtomicU64,
    entries: AtomicU64,
    requests: AtomicU64,
    apply_batches: AtomicU64,
    log_bytes: AtomicU64,
}

/// The totals at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PipelineCounts {
    /// Syncs of the log.
    pub fsyncs: u64,
    /// Time in them, ns.
    pub fsync_ns: u64,
    /// Ready rounds that had entries.
    pub readies: u64,
    /// Log entries appended.
    pub entries: u64,
    /// Requests within those entries.
    pub requests: u64,
    /// Calls of the apply path.
    pub apply_batches: u64,
    /// Bytes written to the log.
    pub log_bytes: u64,
}

impl PipelineMeter {
    /// One sync of the log that took `nanos`.
    pub fn fsync(&self, nanos: u64) {
        self.fsyncs.fetch_add(1, Ordering::Relaxed);
        self.fsync_ns.fetch_add(nanos, Ordering::Relaxed);
        self.fsync_times.add(nanos);
    }

    /// How long each sync of the log took.
    pub fn fsync_times(&self) -> SpanCounts {
        self.fsync_times.counts()
    }

    /// One Ready round with entries.
    pub fn ready(&self, entries: u64) {
        self.readies.fetch_add(1, Ordering::Relaxed);
        self.entries.fetch_add(entries, Ordering::Relaxed);
    }

    /// One call of the apply path with this many requests.
    pub fn apply_batch(&self, requests: u64) {
        self.apply_batches.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(requests, Ordering::Relaxed);
    }

    /// Bytes written to the log.
    pub fn log_bytes(&self, bytes: u64) {
        self.log_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The totals now.
    pub fn counts(&self) -> PipelineCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PipelineCounts {
            fsyncs: read(&self.fsyncs),
            fsync_ns: read(&self.fsync_ns),
            readies: read(&self.readies),
            entries: read(&self.entries),
            requests: read(&self.requests),
            apply_batches: read(&self.apply_batches),
            log_bytes: read(&self.log_bytes),
        }
    }
}

impl PipelineCounts {
    /// What came on top of `earlier`.
    pub fn since(self, earlier: PipelineCounts) -> PipelineCounts {
        PipelineCounts {
            fsyncs: self.fsyncs - earlier.fsyncs,
            fsync_ns: self.fsync_ns - earlier.fsync_ns,
            readies: self.readies - earlier.readies,
            entries: self.entries - earlier.entries,
            requests: self.requests - earlier.requests,
            apply_batches: self.apply_batches - earlier.apply_batches,
            log_bytes: self.log_bytes - earlier.log_bytes,
        }
    }
}
