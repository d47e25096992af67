//! Circumstances a reader must know, found in the record itself. Data, not prints.

use super::validity;
use crate::compare::fitness::{SLOW_GOVERNOR, is_handed_on, is_in_memory};
use crate::record::{BlockHost, Cell, Run, Voided, Warning};
use crate::scenario::spec::{Layer, OnDisturbed};
use crate::stats::median;
use std::collections::{BTreeMap, BTreeSet};

/// Share of its threads' time from which the load generator may be the bottleneck.
const LOAD_SHARE_MAX: f64 = 0.7;
/// Share of its threads' time from which the load generator's wait for a CPU is told.
const LOAD_WAIT_MAX: f64 = 0.05;
/// Gap between rate × time and clients from which generator or clock is doubtful.
const LITTLES_GAP_MAX: f64 = 0.05;
/// How late one in a hundred operations of an open load may be sent.
const SEND_LAG_MAX_NS: f64 = 1e6;
/// Gap between the stages' sum and the measured time from which a stage is missing.
const STAGE_GAP_MAX: f64 = 0.02;
/// Share of the span by which an agent may be off before its operations are another span's.
const OUT_OF_STEP_MAX: f64 = 0.01;
/// Cores kept busy by others from which they are told; half a core was seen to cost a fifth of the throughput.
const FOREIGN_CORES_MAX: f64 = 0.25;
/// How a build says that it has no line tables. Stacks do not depend on them, nor on frame pointers; names do.
const NO_DEBUG_INFO: &str = "none";
/// Load average per core from which the host counts as busy.
const BUSY_LOAD_PER_CORE: f64 = 0.7;

/// Adds what the record shows.
pub(super) fn add(run: &mut Run) {
    if run.build.profile != "release" {
        run.warnings.push(Warning::DebugBuild);
    }
    if cfg!(feature = "count-allocations") {
        run.warnings.push(Warning::CountsAllocations);
    }
    if cfg!(feature = "failpoints") {
        run.warnings.push(Warning::CanBeToldToFail);
    }
    if run.counts_syscalls {
        run.warnings.push(Warning::CountsSyscalls);
    }
    let absent = cells(run).find_map(|cell| cell.syscalls_absent.clone());
    if let Some(reason) = absent {
        run.warnings.push(Warning::SyscallsNotCounted { reason });
    }
    if run.host.load_average > BUSY_LOAD_PER_CORE * f64::from(run.host.cores) {
        run.warnings.push(Warning::BusyHost { load_average: run.host.load_average });
    }
    let mut has_any_log = false;
    for arm in &run.arms {
        let fsync = arm.levers.get("fsync").map_or("real", String::as_str);
        let has_log = arm
            .levers
            .get("layer")
            .and_then(|layer| Layer::from_word(layer))
            .is_some_and(Layer::has_log);
        has_any_log |= has_log;
        if has_log && fsync != "real" {
            let fsync = fsync.to_owned();
            run.warnings.push(Warning::FsyncNotReal { arm: arm.name.clone(), fsync });
        }
    }
    if has_any_log {
        run.warnings.extend(of_filesystem(&run.host.filesystem));
    }
    if run.host.governor == SLOW_GOVERNOR {
        run.warnings.push(Warning::SlowGovernor { governor: run.host.governor.clone() });
    }
    if !(run.profiles.is_empty() && run.lock_profiles.is_empty())
        && run.build.details.debug_info == NO_DEBUG_INFO
    {
        run.warnings.push(Warning::BareFrames);
    }
    let found: Vec<Warning> = of_blocks(run).into_iter().chain(of_cells(run)).collect();
    run.warnings.extend(found);
}

fn cells(run: &Run) -> impl Iterator<Item = &Cell> {
    run.trials.iter().flat_map(|trial| &trial.cells)
}

/// What a sync does there.
fn of_filesystem(filesystem: &str) -> Option<Warning> {
    let filesystem = filesystem.to_owned();
    match () {
        () if is_in_memory(&filesystem) => Some(Warning::NoDisk { filesystem }),
        () if is_handed_on(&filesystem) => Some(Warning::DoubtfulDisk { filesystem }),
        () => None,
    }
}

/// Blocks that did not count, and blocks that count although they were disturbed.
fn of_blocks(run: &Run) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let (repeated, lost): (Vec<&Voided>, Vec<_>) =
        run.voided.iter().partition(|voided| voided.host.is_some());
    if let Some(first) = lost.first() {
        let (blocks, reason) = (lost.len() as u32, first.reason.clone());
        warnings.push(Warning::BlocksVoided { blocks, reason });
    }
    let of = run.blocks.len() as u32;
    // Where the scenario wants no disturbed block, the run has ended instead.
    let is_abort = run.plan.on_disturbed == OnDisturbed::Abort.as_str();
    if let Some(first) = repeated.first().filter(|_| !is_abort) {
        let blocks = repeated.iter().map(|voided| voided.block).collect::<BTreeSet<_>>().len();
        let (blocks, repeats) = (blocks as u32, repeated.len() as u32);
        let reason = first.reason.clone();
        warnings.push(Warning::BlocksRepeated { blocks, of, repeats, reason });
    }
    let disturbed: Vec<&BlockHost> =
        run.blocks.iter().filter(|block| !block.disturbed.is_empty()).collect();
    if let Some(first) = disturbed.first() {
        let asked = run.plan.on_disturbed == OnDisturbed::Keep.as_str();
        let (blocks, reason) = (disturbed.len() as u32, validity::reason(first));
        warnings.push(Warning::BlocksDisturbed { blocks, of, asked, reason });
    }
    warnings
}

/// Medians over the trials of each arm and cell, against the limits.
fn of_cells(run: &Run) -> Vec<Warning> {
    let mut cells: BTreeMap<(&str, String), Vec<&Cell>> = BTreeMap::new();
    for trial in run.trials.iter().filter(|trial| !trial.aa) {
        for cell in &trial.cells {
            cells.entry((&trial.arm, cell.place())).or_default().push(cell);
        }
    }
    let mut warnings = Vec::new();
    for ((arm, cell), trials) in cells {
        let middle = |of: fn(&Cell) -> f64| {
            median(&trials.iter().map(|cell| of(cell)).collect::<Vec<_>>()).unwrap_or(0.0)
        };
        let has_generator = !keeps_its_caller(run, arm, &trials);
        let (arm, share) = (arm.to_owned(), middle(Cell::load_share));
        if has_generator && share > LOAD_SHARE_MAX {
            let (arm, cell) = (arm.clone(), cell.clone());
            warnings.push(Warning::LoadGeneratorBusy { arm, cell, share });
        }
        let share = middle(Cell::load_wait);
        if has_generator && share > LOAD_WAIT_MAX {
            let (arm, cell) = (arm.clone(), cell.clone());
            warnings.push(Warning::LoadWaited { arm, cell, share });
        }
        // Where the queue grows, what ends is not what began.
        let sustained = || trials.iter().filter(|cell| cell.is_sustained());
        let gaps: Vec<f64> = sustained().map(|cell| cell.littles_gap()).collect();
        let gap = median(&gaps).unwrap_or(0.0);
        if has_generator && gap > LITTLES_GAP_MAX {
            warnings.push(Warning::LittlesLaw { arm: arm.clone(), cell: cell.clone(), gap });
        }
        if let Some(behind) = unsustained(&arm, &cell, &trials) {
            warnings.push(behind);
        } else {
            // A generator that waits for room is late for the system's sake.
            let p99_ns = middle(|cell| cell.open.as_ref().map_or(0.0, |o| o.lag.p99_ns as f64));
            if p99_ns > SEND_LAG_MAX_NS {
                warnings.push(Warning::SendLag { arm: arm.clone(), cell: cell.clone(), p99_ns });
            }
        }
        let gap = middle(Cell::out_of_step);
        if gap > OUT_OF_STEP_MAX {
            warnings.push(Warning::AgentsOutOfStep { arm: arm.clone(), cell: cell.clone(), gap });
        }
        let cores = middle(|cell| cell.host.and_then(|host| host.disturbance()).unwrap_or(0.0));
        if cores > FOREIGN_CORES_MAX {
            let share = cores / f64::from(run.host.cores.max(1));
            let (arm, cell) = (arm.clone(), cell.clone());
            warnings.push(Warning::Disturbed { arm, cell, cores, share });
        }
        let gap = middle(Cell::stage_gap);
        if gap > STAGE_GAP_MAX {
            warnings.push(Warning::StageGap { arm, cell, gap });
        }
    }
    warnings
}

/// That an arm did not keep up with an open load in some trial.
fn unsustained(arm: &str, cell: &str, trials: &[&Cell]) -> Option<Warning> {
    let behind = trials.iter().filter(|cell| !cell.is_sustained()).count();
    let opens = || trials.iter().filter_map(|cell| cell.open.as_ref());
    let offered: Vec<f64> = opens().map(|open| open.offered_per_s()).collect();
    // A search looks for where that begins.
    let is_search = trials.iter().any(|cell| cell.search.is_some());
    (behind > 0 && !is_search).then(|| Warning::Unsustained {
        arm: arm.to_owned(),
        cell: cell.to_owned(),
        trials: behind as u32,
        of: trials.len() as u32,
        offered_per_s: median(&offered).unwrap_or(0.0),
        achieved: opens().map(|open| open.achieved()).fold(1.0, f64::min),
    })
}

/// In the store layer the load threads are the system, and what a client spends on making its next request is part of the
/// throughput. A store of somebody else's has no layer; there it shows in that no other role ran.
fn keeps_its_caller(run: &Run, arm: &str, trials: &[&Cell]) -> bool {
    let levers = run.arms.iter().find(|known| known.name == arm).map(|arm| &arm.levers);
    if let Some(layer) = levers.and_then(|levers| Layer::from_word(levers.get("layer")?)) {
        return layer == Layer::Store;
    }
    let system = ["raft", "apply"];
    let roles = || trials.iter().flat_map(|cell| &cell.cpu);
    !roles().any(|used| system.contains(&used.role.as_str()) && used.cpu_ns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_told_by_what_a_sync_reaches() {
        let kind = |filesystem: &str| match of_filesystem(filesystem) {
            Some(Warning::NoDisk { .. }) => "memory",
            Some(Warning::DoubtfulDisk { .. }) => "elsewhere",
            _ => "disk",
        };
        let cases = [
            ("tmpfs", "memory"),
            ("ramfs", "memory"),
            ("overlay", "elsewhere"),
            ("nfs4", "elsewhere"),
            ("fuse.sshfs", "elsewhere"),
            ("9p", "elsewhere"),
            ("ext4", "disk"),
            ("btrfs", "disk"),
            ("not visible", "disk"),
        ];
        for (filesystem, wanted) in cases {
            assert_eq!(kind(filesystem), wanted, "{filesystem}");
        }
    }
}
