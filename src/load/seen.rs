//! What the clients of one process saw in one measured span.

use crate::measure::recorder::{Recorder, Services};
use crate::measure::series::Series;
use crate::model::Response;
use crate::units::Nanos;
use crate::verify::Operation;
use crate::verify::sampled::Sampled;

/// What the clients saw.
#[derive(Debug)]
pub struct Seen {
    /// Operations that finished within the span, with their service times.
    pub recorder: Recorder,
    /// The same over time.
    pub series: Series,
    /// Requests acknowledged, within or outside it.
    pub acked: Acked,
    /// What was due within the span; none in a closed loop.
    pub due: Option<Due>,
    /// Pauses of the clients that ended within the span.
    pub thought: Nanos,
    /// Length of the measured span, as it was.
    pub elapsed: Nanos,
    /// Threads that sent.
    pub threads: u32,
    /// The first error of an operation, if any.
    pub first_error: Option<String>,
    /// What was seen of a few keys, if that was asked for.
    pub sampled: Sampled,
    /// Reads that were sent for its sake.
    pub sampled_reads: u64,
}

/// The operations of an open load that were due within the span, whenever they were answered.
#[derive(Clone, Debug, Default)]
pub struct Due {
    /// How many there were.
    pub scheduled: u64,
    /// Those of them that were not answered when the span ended.
    pub unfinished: u64,
    /// Those of them that were never sent, since too many were under way when the span ended.
    pub unsent: u64,
    /// From the intended send time to the answer, of all that were answered.
    pub responses: Recorder,
    /// From the intended to the real send time, of those that did not have to wait for others to be answered.
    pub lag: Services,
    /// Operations under way, summed over the span: divided by its length, their mean number.
    pub under_way: Nanos,
}

/// What was acknowledged; the state at the end has to show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acked {
    /// Writes.
    pub writes: u64,
    /// Those of them that used up a revision each.
    pub changes: u64,
    /// Leases revoked; each used up a revision if it still had keys, which its answer does not say.
    pub revokes: u64,
}

impl Acked {
    /// One answered request.
    pub fn note(&mut self, is_write: bool, is_revoke: bool, response: &Response) {
        self.writes += u64::from(is_write);
        self.changes += u64::from(response.changed());
        self.revokes += u64::from(is_revoke);
    }

    /// Adds what others saw.
    pub fn add(&mut self, other: Acked) {
        self.writes += other.writes;
        self.changes += other.changes;
        self.revokes += other.revokes;
    }
}

impl Due {
    /// Adds what was due elsewhere in the same span.
    fn merge(&mut self, other: &Due) {
        self.scheduled += other.scheduled;
        self.unfinished += other.unfinished;
        self.unsent += other.unsent;
        self.responses.merge(&other.responses);
        self.lag.merge(&other.lag);
        self.under_way.0 += other.under_way.0;
    }
}

impl Seen {
    /// Before anything was sent, from so many threads.
    pub fn nothing(threads: u32) -> Seen {
        Seen {
            recorder: Recorder::default(),
            series: Series::default(),
            acked: Acked::default(),
            due: None,
            thought: Nanos::ZERO,
            elapsed: Nanos::ZERO,
            threads,
            first_error: None,
            sampled: Sampled::default(),
            sampled_reads: 0,
        }
    }

    /// Counts reads of sampled keys by the harness; one that failed is an error of the load.
    pub(super) fn read(&mut self, reads: Result<Vec<Operation>, String>) -> Vec<Operation> {
        match reads {
            Ok(reads) => {
                self.sampled_reads += reads.len() as u64;
                reads
            }
            Err(error) => {
                self.failed(error);
                Vec::new()
            }
        }
    }

    pub(super) fn failed(&mut self, error: String) {
        self.recorder.record_error();
        self.first_error.get_or_insert(error);
    }

    /// Takes in what others saw in the same span, from threads of their own; the longer of both lengths holds.
    pub fn merge(&mut self, other: Seen) {
        self.recorder.merge(&other.recorder);
        self.series.merge(&other.series);
        self.acked.add(other.acked);
        match (&mut self.due, other.due) {
            (Some(due), Some(more)) => due.merge(&more),
            (due @ None, more) => *due = more,
            (Some(_), None) => {}
        }
        self.thought.0 += other.thought.0;
        self.threads += other.threads;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.first_error = self.first_error.take().or(other.first_error);
        self.sampled.during.extend(other.sampled.during);
        self.sampled_reads += other.sampled_reads;
    }
}
