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

/// What of the stage clock only the apply path knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// When the request had its lock.
    pub locked: Nanos,
    /// When it was done.
    pub applied: Nanos,
    /// For how many requests these instants stand, this one among them; 0 if they were not looked at.
    pub stands_for: u32,
}

/// The instant at which the stage of the same number ends; `submitted` is where the first begins.
/// Invariant: instants that were passed never decrease. One not passed is zero, and its stage takes no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    submitted: Nanos,
    ends: [Nanos; STAGES],
    stands_for: u32,
}

impl Timeline {
    /// A request submitted at `now`; at zero the clock is off.
    pub fn submitted(now: Nanos) -> Timeline {
        let stands_for = u32::from(now > Nanos::ZERO);
        Timeline { submitted: now, ends: [Nanos::ZERO; STAGES], stands_for }
    }

    /// Marks the end of `stage`.
    pub fn end(&mut self, stage: Stage, now: Nanos) {
        self.ends[stage as usize] = now;
    }

    /// When it was submitted.
    pub fn submitted_at(&self) -> Nanos {
        self.submitted
    }

    /// Marks what the apply path saw.
    pub fn apply(&mut self, stamps: Stamps) {
        self.end(Stage::ApplyWait, stamps.locked);
        self.end(Stage::Apply, stamps.applied);
        self.stands_for = self.stands_for.min(1) * stamps.stands_for;
    }

    /// For how many requests it stands, this one among them; 0 if its instants mean nothing.
    pub fn stands_for(&self) -> u32 {
        self.stands_for
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

/// Batches up to this size have every request stamped: their requests take so long that reading the clock does not show.
const ALL_UP_TO: usize = 64;
/// Of a larger batch one request in so many is. A power of two.
const ONE_IN: u32 = 8;

/// Which requests of a batch are stamped, and for how many each of those stands. Thrown for each request by itself, so that nothing
/// about a request or its place in the batch makes it more likely.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    /// None if all are stamped.
    dice: Option<u64>,
}

impl Sampling {
    /// Every request.
    pub const ALL: Sampling = Sampling { dice: None };

    /// For a batch of so many requests. Where locks take call stacks, it is every one.
    pub fn of_batch(requests: usize, probe: Probe) -> Sampling {
        if requests <= ALL_UP_TO || !probe.is_on() || probe.profiles_locks() {
            return Sampling::ALL;
        }
        // The golden ratio spreads instants that lie close together over all states (Knuth, TAOCP 6.4); none may be zero.
        let seed = probe.now().0.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Sampling { dice: Some(seed) }
    }

    /// For how many requests the next one's instants stand; 0 if nobody is to look at the clock for it.
    pub fn draw(&mut self) -> u32 {
        let Some(state) = &mut self.dice else { return 1 };
        // xorshift64*: Vigna, An experimental exploration of Marsaglia's xorshift generators, 2016.
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        let thrown = state.wrapping_mul(0x2545_f491_4f6c_dd1d);
        if thrown >> (64 - ONE_IN.trailing_zeros()) == 0 { ONE_IN } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_large_batch_is_stamped_in_part_and_nobody_counts_more_than_another() {
        let (clock, hand) = Clock::by_hand();
        let (batches, size) = (4_000, 1_000);
        let mut stood_for = vec![0u32; size];
        for batch in 0..batches {
            hand.reach(Nanos(1 + batch * 1_000));
            let mut sampling = Sampling::of_batch(size, Probe::on(clock));
            stood_for.iter_mut().for_each(|sum| *sum += sampling.draw());
        }
        // Each is binomial: 4000 throws of 1/8, times 8, have a deviation of 167; six of them for a thousand places.
        for (place, sum) in stood_for.iter().enumerate() {
            assert!(sum.abs_diff(batches as u32) < 1_003, "place {place}: {sum}");
        }
        let all: u32 = stood_for.iter().sum();
        assert!(all.abs_diff(4_000_000) < 6 * 5_292, "{all}");
    }

    #[test]
    fn small_batches_and_lock_profiles_are_stamped_in_full() {
        let clock = Clock::start();
        let every = |requests, probe| {
            let mut sampling = Sampling::of_batch(requests, probe);
            (0..requests).all(|_| sampling.draw() == 1)
        };
        assert!(every(ALL_UP_TO, Probe::on(clock)));
        assert!(!every(1_000, Probe::on(clock)));
        assert!(every(1_000, Probe::with_lock_profile(clock)));
    }

    #[test]
    fn a_timeline_stands_for_what_the_apply_path_says_if_the_clock_is_on() {
        let stamps = Stamps { locked: Nanos(7), applied: Nanos(9), stands_for: 8 };
        for (submitted, stands_for) in [(5, 8), (0, 0)] {
            let mut line = Timeline::submitted(Nanos(submitted));
            line.apply(stamps);
            assert_eq!(line.stands_for(), stands_for);
        }
        let mut line = Timeline::submitted(Nanos(5));
        line.apply(Stamps::default());
        assert_eq!(line.stands_for(), 0);
    }

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
