//! The value of a measure in one cell. Every figure is of one trial; nothing is pooled here.

use super::metric::Measure;
use crate::record::{Cell, LockUse, OpCell, RoleCpu, SeriesCell};
use crate::stats;

/// The value of a measure in a cell, if it has one above zero.
pub(super) fn value(cell: &Cell, measure: Measure) -> Option<f64> {
    of(cell, measure).filter(|value| *value > 0.0)
}

/// The value of a measure in a cell, if it has one that is finite and not below zero.
pub(super) fn of(cell: &Cell, measure: Measure) -> Option<f64> {
    let value = match measure {
        Measure::Throughput => cell.throughput_per_s,
        Measure::Mean | Measure::Percentile(_) | Measure::Max if !cell.is_sustained() => {
            return None;
        }
        Measure::Mean => cell.latency().mean_ns,
        Measure::Percentile(percentile) => percentile.ns(cell.latency()) as f64,
        Measure::Max => cell.latency().max_ns as f64,
        Measure::MaxRate => cell.search.as_ref()?.found_per_s?,
        Measure::CpuPerOp => cpu_ns(cell) / cell.ops as f64,
        Measure::SystemCpuPerOp => system_cpu_ns(cell) / cell.ops as f64,
        Measure::CoresBusy => cpu_ns(cell) / 1e9 / cell.elapsed_s,
        Measure::SystemCoresBusy => system_cpu_ns(cell) / 1e9 / cell.elapsed_s,
        Measure::FsyncsPerOp => cell.counters.fsyncs as f64 / cell.ops as f64,
        Measure::EntriesPerOp => cell.counters.entries as f64 / cell.ops as f64,
        Measure::LogBytesPerOp => cell.counters.log_bytes as f64 / cell.ops as f64,
        Measure::SwitchesPerOp => of_roles(cell, |role| role.switches)? / cell.ops as f64,
        Measure::SyscallsPerOp => of_roles(cell, |role| role.syscalls)? / cell.ops as f64,
        Measure::InFlight => in_stages(cell, &IN_THE_LOG)?,
        Measure::AppliersMean => in_stages(cell, &["apply"])?,
        Measure::AppliersMax => f64::from(cell.appliers_max?),
        Measure::LockWaitShare => {
            let waited: u64 = store_locks(cell)?.map(|lock| lock.wait_ns).sum();
            waited as f64 / cell.ops as f64 / cell.service.mean_ns
        }
        Measure::LockContended => {
            let lock = store_lock(cell)?;
            lock.contended as f64 / lock.acquisitions as f64
        }
        Measure::LocksPerOp => store_lock(cell)?.acquisitions as f64 / cell.ops as f64,
        Measure::WatchEvents => cell.watch.as_ref()?.events_per_s,
        Measure::ThroughputDrift => throughput_drift(cell.series.as_ref()?)?,
        Measure::P99Drift => p99_drift(cell.series.as_ref()?)?,
        Measure::ResidentDrift => {
            let memory = cell.process.as_ref()?;
            memory.resident_end_bytes as f64 / memory.resident_begin_bytes as f64
        }
        Measure::ResidentPeak => cell.process.as_ref()?.resident_peak_bytes? as f64,
        Measure::IoCallsPerOp => cell.process.as_ref()?.io_calls? as f64 / cell.ops as f64,
        Measure::DiskBytesPerOp => cell.process.as_ref()?.disk_bytes? as f64 / cell.ops as f64,
        Measure::AllocsPerOp => cell.allocations.as_ref()?.count as f64 / cell.ops as f64,
        Measure::AllocBytesPerOp => cell.allocations.as_ref()?.bytes as f64 / cell.ops as f64,
    };
    (value.is_finite() && value >= 0.0).then_some(value)
}

/// The same for one kind of operation; costs and counts are known for the whole mix alone.
pub(super) fn of_op(op: &OpCell, measure: Measure) -> Option<f64> {
    let value = match measure {
        Measure::Throughput => op.throughput_per_s,
        Measure::Mean => op.service.mean_ns,
        Measure::Percentile(percentile) => percentile.ns(&op.service) as f64,
        Measure::Max => op.service.max_ns as f64,
        _ => return None,
    };
    (value.is_finite() && value >= 0.0).then_some(value)
}

/// From being taken by the proposer to being committed.
const IN_THE_LOG: [&str; 5] = ["propose", "append", "fsync", "replicate", "commit"];

/// Mean number of operations in these stages: their rate times the mean time in them (Little 1961). None without stages.
fn in_stages(cell: &Cell, stages: &[&str]) -> Option<f64> {
    let within = cell.stages.iter().filter(|stage| stages.contains(&stage.stage.as_str()));
    let ns: f64 = within.map(|stage| stage.mean_ns).sum();
    (!cell.stages.is_empty()).then_some(cell.throughput_per_s * ns / 1e9)
}

/// The locks of the state machine that guard keys or order what becomes visible. Those within the engine are taken by whoever holds
/// these, or by readers. None if they do not show.
fn store_locks(cell: &Cell) -> Option<impl Iterator<Item = &LockUse>> {
    const NAMES: [&str; 4] = ["store", "leases", "publication", "turnstile"];
    let of_the_store = |lock: &&LockUse| NAMES.contains(&lock.name.as_str());
    store_lock(cell).map(|_| cell.locks.iter().filter(of_the_store))
}

/// The locks that guard keys.
fn store_lock(cell: &Cell) -> Option<&LockUse> {
    cell.locks.iter().find(|lock| lock.name == "store")
}

/// A count of everybody's; none if it is not known of one of them.
fn of_roles(cell: &Cell, count: fn(&RoleCpu) -> Option<u64>) -> Option<f64> {
    let all: Option<u64> = cell.cpu.iter().map(count).sum();
    all.map(|all| all as f64)
}

/// CPU time of everybody in a cell, ns.
pub(super) fn cpu_ns(cell: &Cell) -> f64 {
    cell.cpu.iter().map(|role| role.cpu_ns as f64).sum()
}

/// Roles that are the harness's own. What is left over in this process counts as the system's: an engine has threads too.
const OF_HARNESS: [&str; 2] = ["load", "watch"];

/// CPU time of the system under test in a cell, ns.
fn system_cpu_ns(cell: &Cell) -> f64 {
    let of_system = cell.cpu.iter().filter(|role| !OF_HARNESS.contains(&role.role.as_str()));
    of_system.map(|role| role.cpu_ns as f64).sum()
}

/// Throughput of the last third of the slots over that of the first. The last slot may be cut short and is left out.
fn throughput_drift(series: &SeriesCell) -> Option<f64> {
    let (first, last) = thirds(&series.done)?;
    let done = |slots: &[u64]| slots.iter().sum::<u64>() as f64;
    Some(done(last) / done(first))
}

/// The median over the last third of the slots of what the 99th percentile was in each, over that of the first: a stall
/// within one slot is no drift. Slots in which nothing was fired have none.
fn p99_drift(series: &SeriesCell) -> Option<f64> {
    let (first, last) = thirds(&series.p99_ns)?;
    let typical = |slots: &[u64]| {
        let seen: Vec<f64> = slots.iter().filter(|ns| **ns > 0).map(|ns| *ns as f64).collect();
        stats::median(&seen)
    };
    Some(typical(last)? / typical(first)?)
}

/// The first and the last third of all slots but the last one; none where a third would be empty.
fn thirds(slots: &[u64]) -> Option<(&[u64], &[u64])> {
    let whole = slots.split_last()?.1;
    let third = whole.len() / 3;
    (third > 0).then(|| (&whole[..third], &whole[whole.len() - third..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drift_is_the_last_third_over_the_first() {
        // The slot at the end was cut short; one stall in the middle of the first third is no drift of the typical one.
        let done = vec![100, 90, 110, 7, 8, 9, 60, 70, 80, 1];
        let p99_ns = vec![10, 900, 12, 1, 1, 1, 24, 0, 26, 5];
        let series = SeriesCell { slot_s: 0.1, done, p99_ns };
        assert!((throughput_drift(&series).unwrap() - 0.7).abs() < 1e-12);
        assert!((p99_drift(&series).unwrap() - 25.0 / 12.0).abs() < 1e-12);
        for slots in [vec![], vec![5], vec![5; 3]] {
            let short = SeriesCell { slot_s: 0.1, done: slots.clone(), p99_ns: slots };
            assert_eq!((throughput_drift(&short), p99_drift(&short)), (None, None));
        }
    }
}
