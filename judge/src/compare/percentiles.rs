//! Latency by percentile, as far as the data reaches: in each trial apart, then the median over trials. Nothing is pooled, so the longest
//! trial does not speak for the others, and the curve stops where a trial has fewer than ten observations beyond.

use super::align::{self, Place};
use super::invalid;
use crate::record::{Cell, Run};
use crate::stats::{self, Admission};

/// Steps of a decade: 1 in 1, 1 in 1.33, … 1 in 10.
const STEPS: i32 = 8;
/// One in a hundred million; no trial reaches it.
const DECADES: i32 = 8;

/// One point: what is exceeded by one operation in `one_in`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PercentilePoint {
    /// `1 / (1 - percentile)`: 100 stands for p99.
    pub one_in: f64,
    /// Median over trials, ns.
    pub ns: f64,
}

/// The curve of an arm at a place; empty if its load is invalid, if it did not keep up, or if a histogram cannot be read.
pub fn percentiles(run: &Run, arm: &str, phase: &str, clients: u32) -> Vec<PercentilePoint> {
    let place = Place { phase, clients };
    if invalid::of_arm(run, arm, place).is_some() {
        return Vec::new();
    }
    let trials = run.trials.iter().filter(|trial| trial.arm == arm && !trial.aa);
    let cells: Vec<&Cell> = trials.filter_map(|trial| align::cell(trial, place)).collect();
    if cells.is_empty() || !cells.iter().all(|cell| cell.is_sustained()) {
        return Vec::new();
    }
    let fewest = cells.iter().map(|cell| cell.latency().count).min().unwrap_or(0);
    let steps = (0..=STEPS * DECADES).map(|step| 10_f64.powf(f64::from(step) / f64::from(STEPS)));
    let one_ins: Vec<f64> = steps
        .take_while(|one_in| Admission::of((fewest as f64 / one_in) as u64) >= Admission::Shown)
        .collect();
    let quantiles: Vec<f64> = one_ins.iter().map(|one_in| 1.0 - 1.0 / one_in).collect();
    let seen: Option<Vec<Vec<u64>>> =
        cells.iter().map(|cell| cell.latency().quantiles_ns(&quantiles)).collect();
    let Some(seen) = seen else { return Vec::new() };
    let point = |(place, one_in): (usize, &f64)| {
        let of_trials: Vec<f64> = seen.iter().map(|trial| trial[place] as f64).collect();
        Some(PercentilePoint { one_in: *one_in, ns: stats::median(&of_trials)? })
    };
    one_ins.iter().enumerate().filter_map(point).collect()
}
