//! Open loads: what was due, how late it was sent, and the search for the highest rate that meets a condition.

use super::Latency;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An open load: what was due within the span, whenever it was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OpenCell {
    /// `poisson` or `constant`.
    pub arrival: String,
    /// `steps` or `ramp`.
    pub course: String,
    /// The rates of that course, operations per second.
    pub rates_per_s: Vec<f64>,
    /// Operations due.
    pub scheduled: u64,
    /// Those of them that were not answered when the span ended.
    pub unfinished: u64,
    /// Those of them that were never sent: as many as may be were still under way when the span ended.
    pub unsent: u64,
    /// From the intended send time to the answer.
    pub response: Latency,
    /// From the intended to the real send time, of those that did not wait for room.
    pub lag: Lag,
    /// Mean number of operations under way, counted.
    pub in_flight_counted: f64,
}

/// Share of what was due that may be unanswered at the end of the span before the system did not keep up.
const UNFINISHED_MAX: f64 = 0.05;
/// So many may be unanswered in any case: short spans at low rates end while something is under way.
const UNFINISHED_ALWAYS: u64 = 10;

impl OpenCell {
    /// Operations due per second, over the mean of the course.
    pub fn offered_per_s(&self) -> f64 {
        let rates = &self.rates_per_s;
        match (self.course.as_str(), rates.as_slice()) {
            ("ramp", [_, .., _]) => {
                let middle = |two: &[f64]| (two[0] + two[1]) / 2.0;
                rates.windows(2).map(middle).sum::<f64>() / (rates.len() - 1) as f64
            }
            _ => rates.iter().sum::<f64>() / rates.len().max(1) as f64,
        }
    }

    /// Share of what was due that was answered within the span, 0..=1.
    pub fn achieved(&self) -> f64 {
        1.0 - self.unfinished as f64 / self.scheduled.max(1) as f64
    }

    /// Whether the system kept up: all was sent, and what was still under way at the end is no growing queue.
    pub fn is_sustained(&self) -> bool {
        let allowed = (self.scheduled as f64 * UNFINISHED_MAX) as u64;
        self.unsent == 0 && self.unfinished <= allowed.max(UNFINISHED_ALWAYS)
    }
}

/// How late operations were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lag {
    /// Median, ns.
    pub p50_ns: u64,
    /// 99th percentile, ns.
    pub p99_ns: u64,
    /// Largest, ns.
    pub max_ns: u64,
}

/// A search for the highest rate that meets a condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchCell {
    /// `p99 <= 5ms`.
    pub condition: String,
    /// That rate, operations per second; absent if not even the lowest met it.
    pub found_per_s: Option<f64>,
    /// Highest rate that could have been found.
    pub highest_per_s: f64,
    /// What was tried, in this order.
    pub probes: Vec<SearchProbe>,
}

/// One rate that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchProbe {
    /// Operations per second.
    pub rate_per_s: f64,
    /// Share of what was due that was answered within the span.
    pub achieved: f64,
    /// The percentile that the condition bounds, ns.
    pub latency_ns: u64,
    /// Whether the system kept up and met the condition.
    pub held: bool,
}
