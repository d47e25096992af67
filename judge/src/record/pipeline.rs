//! Where the time of a measurement went: stages, counts, locks and CPU by thread role.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Time in one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageTime {
    /// `queue`, `propose`, `append`, `fsync`, `replicate`, `commit`, `apply_wait`, `apply`, `respond`.
    pub stage: String,
    /// Mean ns per operation; within batches of more than 64 requests one in eight was looked at, which counts eight times.
    pub mean_ns: f64,
    /// Median, ns, within 3.2 %; absent in records of versions that kept sums alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ns: Option<u64>,
    /// 99th percentile, ns, within 3.2 %; absent likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ns: Option<u64>,
}

/// What the pipeline did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counters {
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

/// One named lock, or family of locks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LockUse {
    /// `store`, `leases`, `publication`, `turnstile`, `inbox` and others: METHODOLOGY says what each guards.
    pub name: String,
    /// How many locks share the name.
    pub locks: u32,
    /// Times taken.
    pub acquisitions: u64,
    /// Times somebody else held it.
    pub contended: u64,
    /// Time waited for it, ns.
    pub wait_ns: u64,
    /// Time it was held, ns, within large batches estimated from one request in eight; 0 if that was not timed, as of `publication`, `turnstile` and others that are held for a moment.
    pub hold_ns: u64,
}

/// CPU used by the threads of one role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleCpu {
    /// `load`, `raft`, `apply`, `watch`, `other`; `server` for the threads of servers that are processes of their own.
    pub role: String,
    /// On CPU, ns.
    pub cpu_ns: u64,
    /// Runnable but waiting for a CPU, ns.
    pub runqueue_ns: u64,
    /// Times that a thread of it was put on a CPU; absent in records of versions that did not count, and of load by agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switches: Option<u64>,
    /// System calls of its threads, and of those they started within the span; absent unless they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syscalls: Option<u64>,
}

/// What this process, and those of the system under test on this machine, held and asked of the kernel over the span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessUse {
    /// Resident memory when the span began, bytes. What an allocator keeps of an earlier trial is in it.
    pub resident_begin_bytes: u64,
    /// Resident memory when the span ended, bytes.
    pub resident_end_bytes: u64,
    /// The most of it within the span, bytes, each process at its own moment; absent where the kernel does not reset its mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident_peak_bytes: Option<u64>,
    /// Calls of read and write and their kin; other calls of the kernel are not among them. Absent where that cannot be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_calls: Option<u64>,
    /// Bytes that were sent to storage, by whoever wrote them; absent where that cannot be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
}

/// What this process asked of its allocator over the span, load included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Allocations {
    /// Allocations and reallocations.
    pub count: u64,
    /// Bytes that were allocated, and those that reallocations added.
    pub bytes: u64,
}
