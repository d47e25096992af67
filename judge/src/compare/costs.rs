//! What one arm did at one place: its throughput with an interval, and its cost per operation.
//!
//! Every figure is computed inside a trial first and summarised over trials after. It refuses to pool: the sum of
//! all trials' counters would let the longest trial speak for the others.

use super::align::{self, Place};
use super::metric::{Measure, Percentile};
use super::reading;
use super::{ArmSummary, Costs, LockCost, invalid, steadiness};
use crate::record::{Cell, HostUse, LockUse, Run, StageTime};
use crate::stats;

/// Summary of an arm over its trials at a place, A/A repeats left out.
pub(super) fn summary(run: &Run, arm: &str, place: Place<'_>) -> ArmSummary {
    let trials = run.trials.iter().filter(|trial| trial.arm == arm && !trial.aa);
    let cells: Vec<&Cell> = trials.filter_map(|trial| align::cell(trial, place)).collect();
    let rates: Vec<f64> =
        cells.iter().filter_map(|cell| reading::value(cell, Measure::Throughput)).collect();
    let invalid = invalid::of_arm(run, arm, place);
    let location = stats::geometric_location(&rates).filter(|_| invalid.is_none());
    ArmSummary {
        arm: arm.to_string(),
        trials: cells.len(),
        throughput_per_s: location.map_or(0.0, |location| location.value.min(f64::MAX)),
        steadiness: steadiness::of(&cells),
        half_width: location.and_then(|location| location.half_width()).filter(|w| w.is_finite()),
        costs: costs(&cells),
        invalid,
    }
}

/// `1 / (1 - f)`, f = share of the `queue` stage in the sum of the stages. None where nothing queues: without a pipeline
/// operations wait elsewhere, and this would bound nothing.
pub(super) fn queue_ceiling(costs: &Costs) -> Option<f64> {
    let total: f64 = costs.stages.iter().map(|(_, ns)| ns).sum();
    let (_, queue) = costs.stages.iter().find(|(stage, ns)| stage == "queue" && *ns > 0.0)?;
    amdahl(*queue, total)
}

/// `1 / (1 - f)`, f = waiting for the `store` lock as a share of the service time. None without that lock.
pub(super) fn lock_ceiling(costs: &Costs) -> Option<f64> {
    let store = costs.locks.iter().find(|lock| lock.name == "store")?;
    amdahl(store.wait_ns_per_op, costs.service_mean_ns)
}

/// Gain if `part` of `total` vanished and the rest stayed (Amdahl 1967). None unless it is finite.
fn amdahl(part: f64, total: f64) -> Option<f64> {
    let gain = total / (total - part);
    (total > 0.0 && (0.0..total).contains(&part) && gain.is_finite()).then_some(gain)
}

fn costs(cells: &[&Cell]) -> Costs {
    // Where the queue grows, what ends is not what began, and Little's law says nothing.
    let sustained: Vec<&Cell> = cells.iter().copied().filter(|cell| cell.is_sustained()).collect();
    Costs {
        fsyncs_per_op: typical(cells, |cell| cell.counters.fsyncs as f64 / cell.ops as f64),
        cpu_us_per_op: typical(cells, |cell| reading::cpu_ns(cell) / 1e3 / cell.ops as f64),
        cpu_roles: cpu_roles(cells),
        cores_busy: typical(cells, |cell| reading::cpu_ns(cell) / 1e9 / cell.elapsed_s),
        requests_per_ready: typical(cells, |cell| per_ready(cell, cell.counters.requests)),
        entries_per_ready: typical(cells, |cell| per_ready(cell, cell.counters.entries)),
        service_mean_ns: mean_of(cells.iter().map(|cell| cell.service.mean_ns)),
        p50_ns: typical(cells, |cell| cell.latency().p50_ns as f64),
        p99_ns: p99_ns(cells),
        stages: stages(cells),
        stage_spreads: stage_spreads(cells),
        locks: locks(cells),
        resident_peak_bytes: told(cells, Measure::ResidentPeak),
        io_calls_per_op: told(cells, Measure::IoCallsPerOp),
        syscalls_per_op: told(cells, Measure::SyscallsPerOp),
        disk_bytes_per_op: told(cells, Measure::DiskBytesPerOp),
        allocs_per_op: told(cells, Measure::AllocsPerOp),
        alloc_bytes_per_op: told(cells, Measure::AllocBytesPerOp),
        load_share: typical(cells, Cell::load_share),
        load_wait: typical(cells, Cell::load_wait),
        littles_gap: typical(&sustained, Cell::littles_gap),
        disturbance: seen(cells, HostUse::disturbance),
        cpu_pressure: seen(cells, |host| host.cpu_pressure),
    }
}

/// Median over the trials in which the value is a number; 0 if there is none.
fn typical(cells: &[&Cell], value: impl Fn(&Cell) -> f64) -> f64 {
    typical_of(cells.iter().map(|cell| value(cell)))
}

fn typical_of(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    stats::median(&values).unwrap_or(0.0)
}

/// Median over the trials in which it could be seen.
fn told(cells: &[&Cell], measure: Measure) -> Option<f64> {
    let values = cells.iter().filter_map(|cell| reading::of(cell, measure));
    stats::median(&values.collect::<Vec<_>>())
}

/// The same of what the machine did beside a measurement.
fn seen(cells: &[&Cell], value: impl Fn(&HostUse) -> Option<f64>) -> Option<f64> {
    let values = cells.iter().filter_map(|cell| value(cell.host.as_ref()?));
    stats::median(&values.filter(|value| value.is_finite()).collect::<Vec<_>>())
}

/// Mean of those that are numbers; 0 if there is none. For what has to add up: medians of parts do not.
fn mean_of(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn per_ready(cell: &Cell, count: u64) -> f64 {
    count as f64 / cell.counters.readies as f64
}

fn p99_ns(cells: &[&Cell]) -> Option<f64> {
    let shown = !cells.is_empty() && cells.iter().all(|cell| Percentile::P99.shown(cell));
    shown.then(|| typical(cells, |cell| cell.latency().p99_ns as f64))
}

fn cpu_roles(cells: &[&Cell]) -> Vec<(String, f64)> {
    let all = || cells.iter().flat_map(|cell| cell.cpu.iter().map(|role| (role, cell.ops as f64)));
    let of = |name: &str| {
        let same = all().filter(|(role, _)| role.role == name);
        typical_of(same.map(|(role, ops)| role.cpu_ns as f64 / 1e3 / ops))
    };
    distinct(all().map(|(role, _)| role.role.as_str()))
        .map(|name| (name.to_string(), of(name)))
        .collect()
}

fn stages(cells: &[&Cell]) -> Vec<(String, f64)> {
    let all = || cells.iter().flat_map(|cell| &cell.stages);
    let of = |name: &str| mean_of(all().filter(|s| s.stage == name).map(|s| s.mean_ns));
    distinct(all().map(|s| s.stage.as_str())).map(|name| (name.to_string(), of(name))).collect()
}

/// Quantiles of stages do not add up; they show which stage is where the slow ones are.
fn stage_spreads(cells: &[&Cell]) -> Vec<(String, f64, f64)> {
    let all = || cells.iter().flat_map(|cell| &cell.stages).filter(|stage| stage.mean_ns > 0.0);
    let of = |name: &str, pick: fn(&StageTime) -> Option<u64>| {
        let its = all().filter(|stage| stage.stage == name).filter_map(pick);
        typical_of(its.map(|ns| ns as f64))
    };
    let known = || all().filter(|stage| stage.p99_ns.is_some());
    let spread = |name: &str| (name.to_string(), of(name, |s| s.p50_ns), of(name, |s| s.p99_ns));
    distinct(known().map(|stage| stage.stage.as_str())).map(spread).collect()
}

fn locks(cells: &[&Cell]) -> Vec<LockCost> {
    let all = || {
        let all =
            cells.iter().flat_map(|cell| cell.locks.iter().map(|lock| (lock, cell.ops as f64)));
        all.filter(|(lock, _)| lock.acquisitions > 0)
    };
    let of = |name: &str, value: fn(&LockUse, f64) -> f64| {
        typical_of(all().filter(|(lock, _)| lock.name == name).map(|(lock, ops)| value(lock, ops)))
    };
    let cost = |name: &str| LockCost {
        name: name.to_string(),
        wait_ns_per_op: of(name, |lock, ops| lock.wait_ns as f64 / ops),
        hold_ns_per_op: Some(of(name, |lock, ops| lock.hold_ns as f64 / ops))
            .filter(|hold| *hold > 0.0),
        contended: of(name, |lock, _| lock.contended as f64 / lock.acquisitions as f64),
    };
    distinct(all().map(|(lock, _)| lock.name.as_str())).map(cost).collect()
}

/// The distinct values in order of first appearance.
pub(super) fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_nine_tenths_gives_ten_times() {
        assert_eq!(amdahl(90.0, 100.0), Some(10.0));
        assert_eq!(amdahl(0.0, 100.0), Some(1.0));
        for (part, total) in
            [(100.0, 100.0), (1.0, 0.0), (-1.0, 2.0), (f64::NAN, 1.0), (0.0, f64::NAN)]
        {
            assert_eq!(amdahl(part, total), None);
        }
    }

    #[test]
    fn typical_skips_what_is_no_number() {
        let typical = |values: &[f64]| format!("{:?}", typical_of(values.iter().copied()));
        assert_eq!(typical(&[f64::NAN, 3.0, f64::INFINITY, 1.0, 2.0]), "2.0");
        assert_eq!(typical(&[f64::NAN]), "0.0");
    }
}
