//! Who waited for a lock and who held it: how long each time, and a sample of call stacks that stands for all of the time.
//! Kept only where the probe asks for it, as in trials that are profiled.

use super::spans::SpanCounts;
use super::stack::Stack;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

/// One stack is taken for each so much waiting at one lock, and for each so much holding of it, ns; twice as much after every
/// 512 stacks. A stack costs some microseconds, during which the lock is held, and a hundred threads at one lock wait a
/// hundred seconds in one: without the doubling they would do little else than take stacks.
pub const PERIOD_NS: u64 = 2_000_000;
/// Stacks after which a lock takes them half as often.
const STACKS_PER_PERIOD: u64 = 512;

/// What a lock, or all locks of one name, cost by length and by place.
#[derive(Clone, Debug, Default)]
pub struct Contention {
    /// Times somebody waited.
    pub waits: Sampled,
    /// Times somebody held it.
    pub holds: Sampled,
}

/// Spans, and the stacks that stand for them.
#[derive(Clone, Debug)]
pub struct Sampled {
    /// How long each was.
    pub times: SpanCounts,
    /// The places, with what each stands for.
    pub stacks: HashMap<Stack, Weight>,
    dice: Dice,
}

/// What a stack stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weight {
    /// Stacks taken there.
    pub samples: u64,
    /// Time, ns: whole periods.
    pub nanos: u64,
    /// Spans, as far as the samples tell: a span is sampled in proportion to its length, so it stands for as many as
    /// would make up its periods (Hansen and Hurwitz, 1943).
    pub spans: f64,
}

impl Weight {
    fn add(&mut self, other: Weight) {
        self.samples += other.samples;
        self.nanos += other.nanos;
        self.spans += other.spans;
    }
}

/// Which instants are looked at: one at random in each period of the time that was spent, so that all of it is represented
/// and nothing that comes in turn is missed (stratified sampling: Cochran, Sampling Techniques, chapter 5).
#[derive(Clone, Debug)]
struct Dice {
    state: u64,
    period: u64,
    /// Instants looked at since the period became what it is.
    looks: u64,
    /// Where in its period the time stands, ns.
    at: u64,
    /// The instant of this period that is looked at, ns.
    instant: u64,
}

impl Default for Dice {
    fn default() -> Dice {
        let seed = RandomState::new().build_hasher().finish();
        let mut dice = Dice { state: seed | 1, period: PERIOD_NS, looks: 0, at: 0, instant: 0 };
        dice.at = dice.throw();
        dice.instant = dice.throw();
        dice
    }
}

impl Dice {
    /// Time that the instants stand for that are looked at within the next `nanos`, each for its period.
    fn pass(&mut self, nanos: u64) -> u64 {
        let end = self.at.saturating_add(nanos);
        let mut looks = u64::from(self.at <= self.instant && self.instant < end);
        let mut stands_for = looks * self.period;
        let periods = end / self.period;
        self.at = end % self.period;
        if periods > 0 {
            looks += periods - 1;
            stands_for += (periods - 1) * self.period;
            if self.looks + looks >= STACKS_PER_PERIOD {
                // Between two periods, so that no instant had two chances.
                self.period = self.period.saturating_mul(2);
                (self.looks, looks) = (0, 0);
            }
            self.instant = self.throw();
            let is_past = self.instant < self.at;
            looks += u64::from(is_past);
            stands_for += u64::from(is_past) * self.period;
        }
        self.looks += looks;
        stands_for
    }

    /// Uniform within a period (xorshift64: Marsaglia, Xorshift RNGs, 2003).
    fn throw(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % self.period
    }
}

impl Default for Sampled {
    fn default() -> Sampled {
        let (times, stacks) = (SpanCounts::default(), HashMap::new());
        Sampled { times, stacks, dice: Dice::default() }
    }
}

impl Sampled {
    /// One more span, that ended here and now. Whether a stack was taken, which takes its time.
    pub fn add(&mut self, nanos: u64) -> bool {
        self.add_from(nanos, Stack::here)
    }

    fn add_from(&mut self, nanos: u64, here: impl FnOnce() -> Stack) -> bool {
        self.times.add(nanos);
        let stands_for = self.dice.pass(nanos);
        if stands_for == 0 {
            return false;
        }
        let spans = stands_for as f64 / nanos as f64;
        self.stacks.entry(here()).or_default().add(Weight { samples: 1, nanos: stands_for, spans });
        true
    }

    /// By what the spans that the stacks stand for have to be multiplied to be as many as there were. What a short span stands
    /// for varies much, so their sum is off by up to a factor of two; their number is known.
    pub fn spans_scale(&self) -> f64 {
        let counted: u64 = self.times.values_ns().map(|(_, count)| count).sum();
        let told: f64 = self.stacks.values().map(|weight| weight.spans).sum();
        if told > 0.0 { counted as f64 / told } else { 0.0 }
    }

    /// Takes in what another lock of the name saw.
    pub fn merge(&mut self, other: Sampled) {
        self.times.merge(&other.times);
        for (stack, weight) in other.stacks {
            self.stacks.entry(stack).or_default().add(weight);
        }
    }
}

impl Contention {
    /// Takes in what another lock of the name saw.
    pub fn merge(&mut self, other: Contention) {
        self.waits.merge(other.waits);
        self.holds.merge(other.holds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(sampled: &Sampled) -> Weight {
        let mut sum = Weight::default();
        sampled.stacks.values().for_each(|weight| sum.add(*weight));
        sum
    }

    #[test]
    fn stacks_stand_for_all_of_the_time_but_two_periods() {
        let mut sampled = Sampled::default();
        (0..10_000).for_each(|_| {
            sampled.add(7_000);
        });
        sampled.add(50 * PERIOD_NS);
        let (spent, sum) = (10_000 * 7_000 + 50 * PERIOD_NS, total(&sampled));
        assert!(sum.nanos.abs_diff(spent) <= 2 * PERIOD_NS, "{sum:?} of {spent} ns");
        assert!(sum.samples <= 38, "one stack for a span however long: {sum:?}");
    }

    #[test]
    fn many_locks_with_little_each_are_seen_in_proportion() {
        let mut all = Sampled::default();
        let locks = 4_000u64;
        for _ in 0..locks {
            let mut one = Sampled::default();
            one.add(PERIOD_NS / 10);
            all.merge(one);
        }
        // One in ten takes a stack; five standard deviations of a binomial around it.
        let samples = total(&all).samples;
        assert!((305..=495).contains(&samples), "{samples} of {locks}");
        assert_eq!(all.times.values_ns().map(|(_, count)| count).sum::<u64>(), locks);
    }

    #[test]
    fn two_places_in_turn_share_by_time_and_by_number() {
        // Fifty turns fill a period exactly, which a look at equal steps would always meet at the same place.
        let (mut sampled, here, there) = (Sampled::default(), Stack::here(), Stack::here());
        assert_ne!(here, there, "two calls");
        for _ in 0..100_000 {
            sampled.add_from(30_000, || here.clone());
            sampled.add_from(10_000, || there.clone());
        }
        let (here, there, all) = (sampled.stacks[&here], sampled.stacks[&there], total(&sampled));
        // Five standard deviations: some 1000 stacks, three in four from here.
        let share = here.nanos as f64 / all.nanos as f64;
        assert!((share - 0.75).abs() < 0.07, "{share}");
        let turns = there.spans / here.spans;
        assert!((turns - 1.0).abs() < 0.4, "as often: {turns}");
    }

    #[test]
    fn who_waits_much_takes_stacks_less_and_less_often_and_still_stands_for_all() {
        let mut sampled = Sampled::default();
        let (spans, each) = (1_000_000u64, PERIOD_NS / 10);
        (0..spans).for_each(|_| {
            sampled.add_from(each, Stack::here);
        });
        let sum = total(&sampled);
        // 512 at 2 ms, 512 at 4 ms, …: after seven doublings 100 000 periods are over.
        assert!((512 * 7..=512 * 8).contains(&sum.samples), "{sum:?}");
        let longest = PERIOD_NS << 8;
        assert!(sum.nanos.abs_diff(spans * each) <= longest, "{sum:?}");
        assert!((sum.spans / spans as f64 - 1.0).abs() < 0.01, "{sum:?}");
        assert!((sum.spans * sampled.spans_scale() - spans as f64).abs() < 1e-3, "{sum:?}");
        assert!(Sampled::default().spans_scale() < 1e-9);
    }
}
