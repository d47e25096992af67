//! Decides how many of the waiting requests make the next entry, and when. Pure: it is told the time and what is
//! in flight, it sends nothing. Each policy is one lever position; there is no flag below the constructor. `predict` asks the same
//! policies on a clock that is simulated.

use super::siblings::Siblings;
use super::{Batch, Linger, Propose};
use crate::units::Nanos;

/// Entries of the pipelined proposer that may be proposed and not applied: bounds what a stalled disk piles up.
const PIPELINED_IN_FLIGHT_MAX: usize = 4096;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Propose the first so many waiting requests (at least one) as one entry, and ask again.
    Send(usize),
    /// Nothing now; ask again when something changes, and at this instant at the latest.
    Wait(Option<Nanos>),
}

/// What the policy may look at.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// Sizes in bytes of the waiting requests, oldest first.
    pub waiting: &'a dyn Waiting,
    /// Entries proposed and not yet applied.
    pub in_flight: usize,
    /// Now, on the pipeline's clock.
    pub now: Nanos,
}

/// A queue of requests, seen from outside.
#[expect(clippy::len_without_is_empty, reason = "policies count, nobody asks for less")]
pub trait Waiting: std::fmt::Debug {
    /// How many wait.
    fn len(&self) -> usize;
    /// Size of number `index`, bytes.
    fn bytes(&self, index: usize) -> usize;
}

/// One policy.
pub trait Proposer: Send {
    /// The next entry, if one is due.
    fn turn(&mut self, situation: Situation<'_>) -> Turn;

    /// Committed requests are about to be answered, while `waiting` others wait.
    fn answering(&mut self, _waiting: usize) {}
}

/// The policy for `propose`.
pub fn proposer(propose: Propose) -> Box<dyn Proposer> {
    match propose {
        Propose::Serial => Box::new(OneAtATime),
        Propose::Pipelined => Box::new(OneEach),
        Propose::Batched(batch) => Box::new(Batched { batch, patience: patience(batch.linger) }),
    }
}

/// One proposal in the pipeline at a time.
struct OneAtATime;

impl Proposer for OneAtATime {
    fn turn(&mut self, situation: Situation<'_>) -> Turn {
        match situation.waiting.len() > 0 && situation.in_flight == 0 {
            true => Turn::Send(1),
            false => Turn::Wait(None),
        }
    }
}

/// Every waiting request at once, each in its own entry.
struct OneEach;

impl Proposer for OneEach {
    fn turn(&mut self, situation: Situation<'_>) -> Turn {
        match situation.waiting.len() > 0 && situation.in_flight < PIPELINED_IN_FLIGHT_MAX {
            true => Turn::Send(1),
            false => Turn::Wait(None),
        }
    }
}

/// Many requests in one entry, few entries in flight.
struct Batched {
    batch: Batch,
    patience: Box<dyn Patience>,
}

impl Proposer for Batched {
    fn turn(&mut self, situation: Situation<'_>) -> Turn {
        let Situation { waiting, in_flight, now } = situation;
        if in_flight >= self.batch.in_flight {
            return Turn::Wait(None);
        }
        let until = self.patience.wait_until(waiting.len(), now);
        if waiting.len() == 0 {
            return Turn::Wait(None);
        }
        let (count, full) = self.fill(waiting);
        match until {
            Some(until) if !full && now < until => Turn::Wait(Some(until)),
            _ => {
                self.patience.sent(count, waiting.len() - count, now);
                Turn::Send(count)
            }
        }
    }

    fn answering(&mut self, waiting: usize) {
        self.patience.answering(waiting);
    }
}

impl Batched {
    /// How many requests fit, and whether no further one would.
    fn fill(&self, waiting: &dyn Waiting) -> (usize, bool) {
        let most = waiting.len().min(self.batch.ops_max);
        let mut bytes = 0;
        for index in 0..most {
            bytes += waiting.bytes(index) as u64;
            if bytes > self.batch.bytes_max.0 {
                return (index.max(1), true);
            }
        }
        (most, most == self.batch.ops_max)
    }
}

/// How long a batch that is not full waits for company.
pub(super) trait Patience: Send {
    /// Until when the `waiting` requests should wait; none to send them now. Asked whenever a batch may go, also
    /// while nothing waits.
    fn wait_until(&mut self, waiting: usize, now: Nanos) -> Option<Nanos>;

    /// A batch of `count` went, and `left` requests still wait.
    fn sent(&mut self, count: usize, left: usize, now: Nanos);

    /// Committed requests are about to be answered, while `waiting` others wait.
    fn answering(&mut self, _waiting: usize) {}
}

fn patience(linger: Linger) -> Box<dyn Patience> {
    match linger {
        Linger::None => Box::new(NoPatience),
        Linger::Ticker(every) => Box::new(Beat { every, due: None }),
        Linger::Armed(span) => Box::new(Armed { span, due: None }),
        Linger::Siblings(span) => Box::new(Siblings::new(span)),
    }
}

/// Takes what is there.
struct NoPatience;

impl Patience for NoPatience {
    fn wait_until(&mut self, _waiting: usize, _now: Nanos) -> Option<Nanos> {
        None
    }

    fn sent(&mut self, _count: usize, _left: usize, _now: Nanos) {}
}

/// Waits for the next beat of a ticker; what a due batch leaves behind goes at once.
struct Beat {
    every: Nanos,
    due: Option<Nanos>,
}

impl Patience for Beat {
    fn wait_until(&mut self, waiting: usize, now: Nanos) -> Option<Nanos> {
        if waiting == 0 {
            // Beats that passed while nobody waited are nobody's.
            self.due = None;
            return None;
        }
        Some(*self.due.get_or_insert(next_beat(now, self.every)))
    }

    fn sent(&mut self, _count: usize, left: usize, now: Nanos) {
        if left == 0 {
            self.due = Some(next_beat(now, self.every));
        }
    }
}

/// Waits a span from the first request of the batch on; what a due batch leaves behind goes at once.
struct Armed {
    span: Nanos,
    due: Option<Nanos>,
}

impl Patience for Armed {
    fn wait_until(&mut self, waiting: usize, now: Nanos) -> Option<Nanos> {
        (waiting > 0).then(|| *self.due.get_or_insert(now.after(self.span)))
    }

    fn sent(&mut self, _count: usize, left: usize, _now: Nanos) {
        if left == 0 {
            self.due = None;
        }
    }
}

/// The first multiple of `every` after `now`.
fn next_beat(now: Nanos, every: Nanos) -> Nanos {
    Nanos((now.0 / every.0.max(1) + 1) * every.0.max(1))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::units::ByteSize;

    #[derive(Debug)]
    struct Sizes(Vec<usize>);

    impl Waiting for Sizes {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn bytes(&self, index: usize) -> usize {
            self.0[index]
        }
    }

    pub(in crate::raft) fn ask(
        policy: &mut dyn Proposer,
        sizes: &[usize],
        in_flight: usize,
        now: u64,
    ) -> Turn {
        let waiting = Sizes(sizes.to_vec());
        policy.turn(Situation { waiting: &waiting, in_flight, now: Nanos(now) })
    }

    pub(in crate::raft) fn batched(linger: Linger) -> Box<dyn Proposer> {
        let batch = Batch { ops_max: 4, bytes_max: ByteSize(100), linger, in_flight: 1 };
        proposer(Propose::Batched(batch))
    }

    #[test]
    fn serial_has_one_in_flight_and_pipelined_does_not_wait() {
        let mut serial = proposer(Propose::Serial);
        assert_eq!(ask(&mut *serial, &[9, 9], 0, 0), Turn::Send(1));
        assert_eq!(ask(&mut *serial, &[9], 1, 0), Turn::Wait(None));
        let mut pipelined = proposer(Propose::Pipelined);
        assert_eq!(ask(&mut *pipelined, &[9, 9], 0, 0), Turn::Send(1));
        assert_eq!(ask(&mut *pipelined, &[9], 1, 0), Turn::Send(1));
        assert_eq!(ask(&mut *pipelined, &[], 0, 0), Turn::Wait(None));
    }

    #[test]
    fn a_batch_takes_what_is_there_within_its_bounds() {
        let mut policy = batched(Linger::None);
        assert_eq!(ask(&mut *policy, &[10], 0, 0), Turn::Send(1));
        assert_eq!(ask(&mut *policy, &[10; 9], 0, 0), Turn::Send(4), "ops_max");
        assert_eq!(ask(&mut *policy, &[40, 40, 40], 0, 0), Turn::Send(2), "bytes_max");
        assert_eq!(ask(&mut *policy, &[500, 1], 0, 0), Turn::Send(1), "too large goes alone");
        assert_eq!(ask(&mut *policy, &[10], 1, 0), Turn::Wait(None), "in_flight");
    }

    #[test]
    fn an_armed_timer_starts_with_the_first_request() {
        let mut policy = batched(Linger::Armed(Nanos(50)));
        assert_eq!(ask(&mut *policy, &[10], 0, 100), Turn::Wait(Some(Nanos(150))));
        assert_eq!(ask(&mut *policy, &[10, 10], 0, 120), Turn::Wait(Some(Nanos(150))));
        assert_eq!(ask(&mut *policy, &[10, 10], 0, 151), Turn::Send(2));
        assert_eq!(ask(&mut *policy, &[10], 0, 200), Turn::Wait(Some(Nanos(250))));
        assert_eq!(ask(&mut *policy, &[10; 4], 0, 201), Turn::Send(4), "a full one does not wait");
    }

    #[test]
    fn a_ticker_beats_whoever_waits() {
        let mut policy = batched(Linger::Ticker(Nanos(50)));
        assert_eq!(ask(&mut *policy, &[10], 0, 120), Turn::Wait(Some(Nanos(150))));
        assert_eq!(ask(&mut *policy, &[10], 0, 150), Turn::Send(1));
        assert_eq!(ask(&mut *policy, &[10], 0, 160), Turn::Wait(Some(Nanos(200))));
        assert_eq!(ask(&mut *policy, &[10], 0, 200), Turn::Send(1));
        assert_eq!(ask(&mut *policy, &[], 0, 900), Turn::Wait(None));
        assert_eq!(ask(&mut *policy, &[10], 0, 910), Turn::Wait(Some(Nanos(950))), "after idling");
    }
}
