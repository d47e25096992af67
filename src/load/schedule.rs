//! When the operations of an open load are due: computed from a seed alone, so that every arm meets the same instants, and
//! no system can slow its own load down.

use crate::scenario::spec::{Arrival, Course};
use crate::seed::Seed;
use crate::units::Nanos;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};

/// Rates over a span and how operations are spaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// How operations are spaced.
    pub arrival: Arrival,
    /// How the rate goes.
    pub course: Course,
    /// The rates of that course, operations per second over all processes; at least one, all above zero.
    pub rates_per_s: Vec<f64>,
}

impl Schedule {
    /// Instants since the span began, ascending, all within `duration`.
    pub fn dues(&self, duration: Nanos, seed: Seed) -> Dues {
        Dues::of(self.arrival, self.parts(duration.as_secs_f64()), seed.stream("dues", 0))
    }

    /// The same at the first rate and without end.
    pub(super) fn warm_up(&self, seed: Seed) -> Dues {
        let rate = self.rates_per_s[0];
        let endless = Part { from: 0.0, length_s: f64::INFINITY, first: rate, last: rate };
        Dues::of(self.arrival, vec![endless], seed.stream("dues", 1))
    }

    /// Operations per second over the whole span.
    pub fn mean_per_s(&self) -> f64 {
        self.parts(1.0).iter().map(Part::operations).sum()
    }

    fn parts(&self, duration_s: f64) -> Vec<Part> {
        let pairs: Vec<(f64, f64)> = match (self.course, self.rates_per_s.as_slice()) {
            (Course::Ramp, rates @ [_, _, ..]) => {
                rates.windows(2).map(|two| (two[0], two[1])).collect()
            }
            (_, rates) => rates.iter().map(|rate| (*rate, *rate)).collect(),
        };
        let length_s = duration_s / pairs.len() as f64;
        let part = |(index, (first, last)): (usize, &(f64, f64))| Part {
            from: index as f64 * length_s,
            length_s,
            first: *first,
            last: *last,
        };
        pairs.iter().enumerate().map(part).collect()
    }
}

/// A stretch in which the rate is constant or goes straight from one value to another.
#[derive(Clone, Copy, Debug)]
struct Part {
    from: f64,
    length_s: f64,
    first: f64,
    last: f64,
}

impl Part {
    /// Expected number of operations in it.
    fn operations(&self) -> f64 {
        (self.first + self.last) / 2.0 * self.length_s
    }

    /// Seconds from its begin until `operations` are expected: the root of first·t + slope·t²/2 = operations, in the form
    /// that loses no digits where the slope is small.
    fn time_of(&self, operations: f64) -> f64 {
        let slope = (self.last - self.first) / self.length_s;
        let root = (self.first * self.first + 2.0 * slope * operations).max(0.0).sqrt();
        2.0 * operations / (self.first + root)
    }
}

/// An iterator over the instants at which operations are due.
#[derive(Debug)]
pub struct Dues {
    arrival: Arrival,
    parts: std::vec::IntoIter<Part>,
    part: Option<Part>,
    /// Expected operations from the begin of the part until the next one is due.
    ahead: f64,
    random: ChaCha8Rng,
}

impl Dues {
    /// A Poisson process whose rate varies is one of rate 1, seen on a clock that runs as fast as operations are expected
    /// (Çinlar 1975, "Introduction to Stochastic Processes", section 4.7).
    fn of(arrival: Arrival, parts: Vec<Part>, random: ChaCha8Rng) -> Dues {
        let mut parts = parts.into_iter();
        let part = parts.next();
        let mut dues = Dues { arrival, parts, part, ahead: 0.0, random };
        dues.ahead = match arrival {
            Arrival::Poisson => dues.gap(),
            Arrival::Constant => 0.5,
        };
        dues
    }

    fn gap(&mut self) -> f64 {
        match self.arrival {
            Arrival::Poisson => Exp1.sample(&mut self.random),
            Arrival::Constant => 1.0,
        }
    }
}

impl Iterator for Dues {
    type Item = Nanos;

    fn next(&mut self) -> Option<Nanos> {
        let mut part = self.part?;
        while self.ahead >= part.operations() {
            self.ahead -= part.operations();
            self.part = self.parts.next();
            part = self.part?;
        }
        let due_s = part.from + part.time_of(self.ahead);
        self.ahead += self.gap();
        Some(Nanos((due_s * 1e9) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = Nanos(1_000_000_000);

    fn dues(arrival: Arrival, course: Course, rates: &[f64], seconds: u64) -> Vec<Nanos> {
        let schedule = Schedule { arrival, course, rates_per_s: rates.to_vec() };
        schedule.dues(Nanos(seconds * SECOND.0), Seed(5)).collect()
    }

    fn within(dues: &[Nanos], from_s: f64, to_s: f64) -> f64 {
        let inside = |due: &&Nanos| (from_s..to_s).contains(&due.as_secs_f64());
        dues.iter().filter(inside).count() as f64
    }

    #[test]
    fn constant_arrivals_are_evenly_spaced() {
        let dues = dues(Arrival::Constant, Course::Steps, &[1000.0], 2);
        assert_eq!(dues.len(), 2000);
        assert_eq!(dues[0], Nanos(500_000));
        assert!(dues.windows(2).all(|two| two[1].since(two[0]).0.abs_diff(1_000_000) <= 1));
    }

    /// Mean and spread of the gaps, and of the counts, are those of a Poisson process within five standard errors.
    #[test]
    fn poisson_arrivals_know_nothing_of_one_another() {
        let dues = dues(Arrival::Poisson, Course::Steps, &[5000.0], 20);
        let count = dues.len() as f64;
        assert!((count - 100_000.0).abs() < 5.0 * 100_000_f64.sqrt(), "{count}");
        let gaps: Vec<f64> =
            dues.windows(2).map(|two| two[1].since(two[0]).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.02, "{}", variance.sqrt() / mean);
        let longer = gaps.iter().filter(|gap| **gap > mean).count() as f64 / gaps.len() as f64;
        assert!((longer - (-1.0_f64).exp()).abs() < 0.01, "{longer}");
    }

    #[test]
    fn steps_and_ramps_have_the_rates_they_are_given() {
        for arrival in [Arrival::Constant, Arrival::Poisson] {
            let steps = dues(arrival, Course::Steps, &[1000.0, 9000.0, 2000.0], 6);
            for (from, expected) in [(0.0, 2000.0), (2.0, 18_000.0), (4.0, 4000.0)] {
                let got = within(&steps, from, from + 2.0);
                assert!((got - expected).abs() < 5.0 * expected.sqrt(), "{arrival}: {got}");
            }
            // From 1000 to 5000 over four seconds: 1500, 2500, 3500, 4500 in each of them.
            let ramp = dues(arrival, Course::Ramp, &[1000.0, 5000.0], 4);
            for (second, expected) in [1500.0_f64, 2500.0, 3500.0, 4500.0].iter().enumerate() {
                let got = within(&ramp, second as f64, second as f64 + 1.0);
                assert!((got - expected).abs() < 5.0 * expected.sqrt(), "{arrival}: {got}");
            }
            assert!(ramp.is_sorted() && steps.is_sorted());
            assert!(ramp.iter().all(|due| *due < Nanos(4 * SECOND.0)));
        }
    }

    #[test]
    fn the_mean_rate_is_that_of_the_whole_span() {
        let mean = |course, rates: &[f64]| {
            Schedule { arrival: Arrival::Poisson, course, rates_per_s: rates.to_vec() }.mean_per_s()
        };
        assert!((mean(Course::Steps, &[1.0, 2.0, 6.0]) - 3.0).abs() < 1e-9);
        assert!((mean(Course::Ramp, &[1.0, 3.0]) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn the_same_seed_gives_the_same_instants() {
        let schedule = Schedule {
            arrival: Arrival::Poisson,
            course: Course::Ramp,
            rates_per_s: vec![10.0, 1000.0, 10.0],
        };
        let all = |seed| schedule.dues(SECOND, Seed(seed)).collect::<Vec<_>>();
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        let endless: Vec<_> = schedule.warm_up(Seed(1)).take(1000).collect();
        assert!(endless[999] > Nanos(50 * SECOND.0));
    }
}
