//! Who sends when.

use super::words;
use crate::units::{Nanos, rate_text};
use std::fmt;

/// What decides when a request is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Load {
    /// Each client sends its next operation when the last one was answered.
    Closed {
        /// What it waits in between; 0 for not at all.
        think: Nanos,
    },
    /// Operations are sent when they are due, whatever became of those before.
    Open(Open),
    /// Open loads one after the other, until the highest rate is known that meets a condition.
    Search(Search),
}

/// When operations are due.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// How they are spaced at a given rate.
    pub arrival: Arrival,
    /// How the rate goes over the duration of the phase.
    pub course: Course,
    /// The rates of that course, at least one; a ramp has two or more.
    pub rates: Vec<Rate>,
}

/// What is looked for, and between which rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// How operations are spaced.
    pub arrival: Arrival,
    /// The lowest rate tried, operations per second.
    pub lowest_per_s: f64,
    /// The highest, above the lowest.
    pub highest_per_s: f64,
    /// What has to hold at a rate.
    pub condition: Condition,
}

/// What has to hold at a rate, besides that the system keeps up with it: a percentile of latency is at most so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Which percentile.
    pub percentile: SearchPercentile,
    /// Its bound.
    pub at_most: Nanos,
}

/// The percentiles that a search may bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchPercentile {
    /// Half are beyond.
    P50,
    /// One in ten is beyond.
    P90,
    /// One in a hundred is beyond.
    P99,
}

/// How operations are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// As from many who do not know of one another: a Poisson process.
    Poisson,
    /// Evenly.
    Constant,
}

/// How a rate goes over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Each rate holds for an equal part of the duration.
    Steps,
    /// From each rate straight to the next, in equal parts of the duration.
    Ramp,
}

/// Operations per second over all clients.
#[derive(Clone, Debug, PartialEq)]
pub enum Rate {
    /// As it was typed.
    Absolute(f64),
    /// Of what an arm reached in an earlier phase of the same block, the same rate for every arm.
    ShareOf {
        /// Fraction of it, > 0.
        share: f64,
        /// Which capacity.
        capacity: Capacity,
    },
}

/// The throughput of an arm, measured in a closed loop: `before.saturate@50`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Name of the arm.
    pub arm: String,
    /// Name of the phase.
    pub phase: String,
    /// One of its client counts.
    pub clients: u32,
}

/// Neighbouring rates of a search that are so close need none between them: its answer is known within this.
const SEARCH_STEP: f64 = 1.1;

impl Load {
    /// The load of whoever says nothing else.
    pub const CLOSED: Load = Load::Closed { think: Nanos::ZERO };

    /// Whether each client waits for its answer before it sends again.
    pub fn is_closed(&self) -> bool {
        matches!(self, Load::Closed { .. })
    }

    /// The capacities its rates are shares of.
    pub fn capacities(&self) -> impl Iterator<Item = &Capacity> {
        let rates = match self {
            Load::Open(open) => open.rates.as_slice(),
            Load::Closed { .. } | Load::Search(_) => &[],
        };
        rates.iter().filter_map(|rate| match rate {
            Rate::ShareOf { capacity, .. } => Some(capacity),
            Rate::Absolute(_) => None,
        })
    }

    /// Measurements that it takes at most, each with a warm-up of its own.
    pub fn probes_max(&self) -> u32 {
        match self {
            Load::Closed { .. } | Load::Open(_) => 1,
            Load::Search(search) => search.probes_max(),
        }
    }
}

impl Rate {
    /// In operations per second; `capacity` tells what was measured. None if it was not.
    pub fn per_second(&self, capacity: impl Fn(&Capacity) -> Option<f64>) -> Option<f64> {
        match self {
            Rate::Absolute(rate) => Some(*rate),
            Rate::ShareOf { share, capacity: of } => Some(share * capacity(of)?),
        }
    }
}

impl Search {
    /// The rates it may try, ascending, each at most a tenth above the one before.
    pub fn rates_per_s(&self) -> Vec<f64> {
        let span = (self.highest_per_s / self.lowest_per_s).ln();
        let steps = (span / SEARCH_STEP.ln()).ceil().max(1.0);
        let rate = |step: u32| self.lowest_per_s * (span * f64::from(step) / steps).exp();
        (0..=steps as u32).map(rate).collect()
    }

    /// Halving the rates takes so many tries.
    fn probes_max(&self) -> u32 {
        (self.rates_per_s().len() as u32 + 1).next_power_of_two().ilog2()
    }
}

words!(Arrival { Poisson = "poisson", Constant = "constant" });
words!(Course { Steps = "steps", Ramp = "ramp" });
words!(SearchPercentile { P50 = "p50", P90 = "p90", P99 = "p99" });

impl SearchPercentile {
    /// As a fraction of the operations.
    pub fn quantile(self) -> f64 {
        match self {
            SearchPercentile::P50 => 0.5,
            SearchPercentile::P90 => 0.9,
            SearchPercentile::P99 => 0.99,
        }
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}@{}", self.arm, self.phase, self.clients)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rate::Absolute(rate) => write!(f, "{}", rate_text(*rate)),
            Rate::ShareOf { share, capacity } => {
                write!(f, "{} % of {capacity}", (share * 1e4).round() / 100.0)
            }
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <= {}", self.percentile, self.at_most)
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Load::Closed { think: Nanos::ZERO } => write!(f, "closed loop"),
            Load::Closed { think } => write!(f, "closed loop with {think} of thinking"),
            Load::Open(open) => {
                let rates: Vec<String> = open.rates.iter().map(Rate::to_string).collect();
                let rates = match open.course {
                    Course::Steps => rates.join(", then "),
                    Course::Ramp => rates.join(" up or down to "),
                };
                write!(f, "open loop, {} at {rates}", open.arrival)
            }
            Load::Search(search) => {
                let (lowest, highest) =
                    (rate_text(search.lowest_per_s), rate_text(search.highest_per_s));
                write!(
                    f,
                    "the highest rate of {lowest} to {highest}, {}, at which {}",
                    search.arrival, search.condition
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(lowest_per_s: f64, highest_per_s: f64) -> Search {
        let condition = Condition { percentile: SearchPercentile::P99, at_most: Nanos(1) };
        Search { arrival: Arrival::Poisson, lowest_per_s, highest_per_s, condition }
    }

    #[test]
    fn a_search_knows_its_answer_within_a_tenth() {
        for (lowest, highest) in [(1.0, 1.01), (1e3, 2e5), (1.0, 1e6)] {
            let rates = search(lowest, highest).rates_per_s();
            assert!((rates[0] / lowest - 1.0).abs() < 1e-9);
            assert!((rates.last().unwrap() / highest - 1.0).abs() < 1e-9);
            assert!(rates.windows(2).all(|two| two[1] / two[0] < SEARCH_STEP + 1e-9));
        }
        assert_eq!(search(1e3, 2e5).rates_per_s().len(), 57);
        assert_eq!(Load::Search(search(1e3, 2e5)).probes_max(), 6);
        assert_eq!(Load::Search(search(1.0, 1.01)).probes_max(), 2);
    }
}
