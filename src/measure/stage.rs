//! The stage clock: ten instants carried by each request, nine stages between them.
//! It travels inside the request because thread-locals do not cross threads or awaits.

use crate::clock::Clock;
use crate::units::Nanos;

/// What a request waits for or works on, in pipeline order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Submitted, not yet taken by the proposer.
    Queue,
    /// Taken: packed, proposed, on its way to the log.
    Propose,
    /// Encoded and written to the log, not synced.
    Append,
    /// The sync of the log.
    Fsync,
    /// Persisted here, not yet on a quorum.
    Replicate,
    /// On a quorum, not yet handed to the applier.
    Commit,
    /// Waiting for the applier, for earlier requests of the batch and for the lock.
    ApplyWait,
    /// Executing under the lock.
    Apply,
    /// Done, but the client does not run yet.
    Respond,
}

/// Number of stages.
pub const STAGES: usize = 9;

impl Stage {
    /// All stages in pipeline order.
    pub const ALL: [Stage; STAGES] = [
        Stage::Queue,
        Stage::Propose,
        Stage::Append,
        Stage::Fsync,
        Stage::Replicate,
        Stage::Commit,
        Stage::ApplyWait,
        Stage::Apply,
        Stage::Respond,
    ];

    /// Its name in records and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Queue => "queue",
            Stage::Propose => "propose",
            Stage::Append => "append",
            Stage::Fsync => "fsync",
            Stage::Replicate => "replicate",
            Stage::Commit => "commit",
            Stage::ApplyWait => "apply_wait",
            Stage::Apply => "apply",
            Stage::Respond => "respond",
        }
    }
}

/// The instant at which the stage of the same number ends; `submitted` is where the first begins.
/// Invariant: instants that were passed never decrease. One not passed is zero, and its stage takes no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    submitted: Nanos,
    ends: [Nanos; STAGES],
}

impl Timeline {
    /// A request submitted at `now`.
    pub fn submitted(now: Nanos) -> Timeline {
        Timeline { submitted: now, ends: [Nanos::ZERO; STAGES] }
    }

    /// Marks the end of `stage`.
    pub fn end(&mut self, stage: Stage, now: Nanos) {
        self.ends[stage as usize] = now;
    }

    /// When it was submitted.
    pub fn submitted_at(&self) -> Nanos {
        self.submitted
    }

    /// Time per stage, in pipeline order; they add up to the last instant minus `submitted`.
    pub fn spans(&self) -> [Nanos; STAGES] {
        let mut previous = self.submitted;
        self.ends.map(|end| {
            let span = end.since(previous);
            previous = previous.max(end);
            span
        })
    }
}

/// Reads the clock for the stage and lock instruments, or reads zero when they are off.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    clock: Option<Clock>,
    profiles_locks: bool,
}

impl Probe {
    /// A probe on `clock`.
    pub fn on(clock: Clock) -> Probe {
        Probe { clock: Some(clock), profiles_locks: false }
    }

    /// A probe on `clock` that has the locks take call stacks besides.
    pub fn with_lock_profile(clock: Clock) -> Probe {
        Probe { clock: Some(clock), profiles_locks: true }
    }

    /// A probe that costs nothing and shows nothing.
    pub fn off() -> Probe {
        Probe { clock: None, profiles_locks: false }
    }

    /// Whether stamps mean anything.
    pub fn is_on(&self) -> bool {
        self.clock.is_some()
    }

    /// Whether locks take call stacks.
    pub fn profiles_locks(&self) -> bool {
        self.profiles_locks
    }

    /// The present instant; zero when off.
    pub fn now(&self) -> Nanos {
        self.clock.as_ref().map_or(Nanos::ZERO, Clock::now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_add_up_and_skipped_ones_are_empty() {
        let mut line = Timeline::submitted(Nanos(100));
        line.end(Stage::Queue, Nanos(130));
        line.end(Stage::Fsync, Nanos(200));
        line.end(Stage::Respond, Nanos(250));
        let spans = line.spans();
        assert_eq!(spans[Stage::Queue as usize], Nanos(30));
        assert_eq!(spans[Stage::Append as usize], Nanos(0));
        assert_eq!(spans[Stage::Fsync as usize], Nanos(70));
        assert_eq!(spans.iter().map(|span| span.0).sum::<u64>(), 150);
    }
}
