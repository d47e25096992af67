//! What a node says of itself, and what is asked of its store around the log.

use super::{LeaseTimes, Node};
use crate::model::{
    Alarm, Body, Interval, MainRevision, Range, RangeResult, Refusal, Request, Response, validate,
};
use crate::store::{HeldRange, Portion, WatchCounts};

impl Node {
    /// Newest revision a reader may name.
    pub fn revision(&self) -> MainRevision {
        self.store().published()
    }

    /// The newest raft term seen.
    pub fn term(&self) -> u64 {
        self.pipeline.term()
    }

    /// Answers a request that changes nothing from the state as this node has it, which may be behind others'.
    ///
    /// # Panics
    /// If it is a write.
    pub fn read_here(&self, request: &Request) -> Response {
        match validate(request) {
            Ok(()) => self.store().read(request).response,
            Err(refusal) => Response { revision: self.revision(), result: Err(refusal) },
        }
    }

    /// Answers `range`, which is one that may be asked, from the state as this node has it, unless that is more than `portion`.
    pub fn read_here_within(&self, portion: Portion, range: &Range) -> Option<Response> {
        self.store().read_within(portion, range)
    }

    /// Finds what `range`, which is one that may be asked, asks for in the state as this node has it, and holds on to it; with it the
    /// revision of that state.
    pub fn hold(&self, range: &Range) -> (MainRevision, Result<HeldRange, Refusal>) {
        self.store().hold(range)
    }

    /// Keys from `from` on as of `revision`, at most `limit`.
    pub fn page(
        &self,
        from: Vec<u8>,
        revision: MainRevision,
        limit: i64,
    ) -> Result<RangeResult, Refusal> {
        let interval = Interval::between(from, [0]);
        let range = Range { interval, revision, limit, ..Range::default() };
        match self.store().read(&Request::Range(range)).response.result? {
            Body::Range(result) => Ok(result),
            other => unreachable!("a range is answered with a range, got {other:?}"),
        }
    }

    /// Revision of the last compaction, 0 if none.
    pub fn compacted(&self) -> MainRevision {
        // What is asked for is older than any change: there is nothing to find but the compaction.
        self.store().events(0, 0).err().unwrap_or(0)
    }

    /// How large this node's state is, see [`crate::store::ApplyPath::bytes`].
    pub fn bytes(&self) -> u64 {
        self.store().bytes()
    }

    /// Forgets at once what compactions cover; takes its time.
    pub fn defragment(&self) {
        self.store().defragment();
    }

    /// The alarms as this node knows them, ascending.
    pub fn alarms(&self) -> Vec<Alarm> {
        match self.store().read(&Request::Alarms).response.result {
            Ok(Body::Alarms(alarms)) => alarms,
            other => unreachable!("alarms can always be listed, got {other:?}"),
        }
    }

    /// Who watches.
    pub fn watch_counts(&self) -> WatchCounts {
        self.store().watches().counts()
    }

    /// How many leases there are.
    pub fn lease_count(&self) -> usize {
        match self.store().read(&Request::Leases).response.result {
            Ok(Body::Leases(ids)) => ids.len(),
            _ => 0,
        }
    }
}

impl LeaseTimes {
    /// Whether there is such a lease.
    pub fn is_there(&self) -> bool {
        self.status.granted_ttl_s >= 0
    }
}
