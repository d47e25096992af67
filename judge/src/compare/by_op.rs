//! One place told apart by kind of operation: before against after, over the same pairs as the whole.
//! A mix is judged as a whole; this shows which of its operations gained and which paid.

use super::align::{self, Pair, Place};
use super::costs::distinct;
use super::{Estimate, OpArm, OpRow};
use crate::record::{Cell, OpCell, Run};
use crate::stats;

/// Observations beyond a percentile in every trial, below which it is not shown (as for the whole).
const P99_COUNT_MIN: u64 = 100 * crate::stats::BEYOND_SHOWN_MIN;

/// One per kind of operation, in the order of the record; none if there is just one, which the whole says already.
pub(super) fn rows(run: &Run, place: Place<'_>) -> Vec<OpRow> {
    let pairs = align::before_after(run, place);
    let cells = pairs.iter().flat_map(|pair| [pair.base, pair.other]);
    let ops: Vec<&str> =
        distinct(cells.flat_map(|cell| cell.by_op.iter().map(|op| op.op.as_str()))).collect();
    if ops.len() < 2 {
        return Vec::new();
    }
    ops.into_iter().map(|op| row(run, &pairs, op, place)).collect()
}

fn row(run: &Run, pairs: &[Pair<'_>], op: &str, place: Place<'_>) -> OpRow {
    let ratio = |value: fn(&OpCell) -> f64| {
        let logs = align::log_ratios_of(pairs, |cell| of(cell, op).map(value));
        Estimate::from_log_ratios(&logs)
    };
    let arm = |arm: Option<&crate::record::Arm>| {
        arm.map_or(OpArm::default(), |arm| summary(run, &arm.name, op, place))
    };
    OpRow {
        op: op.to_owned(),
        before: arm(run.arms.first()),
        after: arm(run.arms.last()),
        throughput: ratio(|cell| cell.throughput_per_s),
        p50: ratio(|cell| cell.service.p50_ns as f64),
        p99: ratio(|cell| cell.service.p99_ns as f64),
    }
}

fn of<'a>(cell: &'a Cell, op: &str) -> Option<&'a OpCell> {
    cell.by_op.iter().find(|cell| cell.op == op)
}

fn summary(run: &Run, arm: &str, op: &str, place: Place<'_>) -> OpArm {
    let trials = run.trials.iter().filter(|trial| trial.arm == arm && !trial.aa);
    let cells: Vec<&OpCell> =
        trials.filter_map(|trial| of(align::cell(trial, place)?, op)).collect();
    let rates = cells.iter().map(|cell| cell.throughput_per_s);
    let rates: Vec<f64> = rates.filter(|rate| rate.is_finite() && *rate > 0.0).collect();
    let median = |value: fn(&OpCell) -> u64| {
        let values: Vec<f64> = cells.iter().map(|cell| value(cell) as f64).collect();
        stats::median(&values).unwrap_or(0.0)
    };
    let is_p99_shown =
        !cells.is_empty() && cells.iter().all(|cell| cell.service.count >= P99_COUNT_MIN);
    OpArm {
        throughput_per_s: stats::geometric_location(&rates)
            .map_or(0.0, |location| location.value.min(f64::MAX)),
        p50_ns: median(|cell| cell.service.p50_ns),
        p99_ns: is_p99_shown.then(|| median(|cell| cell.service.p99_ns)),
    }
}
