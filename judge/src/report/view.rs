//! Which part of a comparison a reader sees first, chosen once for all forms.
//! It selects and aligns what is there; it computes nothing.

use crate::compare::{ArmSummary, Comparison, Costs, Ladder, PhaseTable, Row};
use crate::record::{Arm, Cell, HostUse, Run, Trial, Warning};
use crate::report::words;
use std::collections::BTreeSet;

/// The phase and client count that the first screen is about.
#[derive(Clone, Copy)]
pub(super) struct Headline<'a> {
    pub(super) phase: &'a str,
    pub(super) row: &'a Row,
    pub(super) before: &'a ArmSummary,
    pub(super) after: &'a ArmSummary,
    pub(super) ladder: Option<&'a Ladder>,
}

impl<'a> Headline<'a> {
    /// The arms that were measured, in order.
    pub(super) fn measured(&self) -> impl Iterator<Item = &'a ArmSummary> {
        self.row.arms.iter().filter(|arm| arm.trials > 0)
    }
}

/// A cost that some hosts and builds tell and others do not.
pub(super) struct Asked {
    /// As a table heads it.
    pub(super) name: &'static str,
    /// Its word in the glossary.
    pub(super) word: &'static str,
    /// Its value in the unit of its name.
    pub(super) of: fn(&Costs) -> Option<f64>,
}

const MIB: f64 = (1 << 20) as f64;

/// What processes held, and asked of kernel and allocator.
pub(super) const ASKED: &[Asked] = &[
    Asked {
        name: "peak memory MiB",
        word: "resident peak",
        of: |costs| costs.resident_peak_bytes.map(|bytes| bytes / MIB),
    },
    Asked { name: "I/O calls per op", word: "io calls per op", of: |costs| costs.io_calls_per_op },
    Asked {
        name: "system calls per op",
        word: "syscalls per op",
        of: |costs| costs.syscalls_per_op,
    },
    Asked { name: "disk B per op", word: "disk bytes per op", of: |costs| costs.disk_bytes_per_op },
    Asked { name: "allocs per op", word: "allocs per op", of: |costs| costs.allocs_per_op },
    Asked {
        name: "alloc B per op",
        word: "alloc bytes per op",
        of: |costs| costs.alloc_bytes_per_op,
    },
];

/// What the first ladder is about, else the most clients of the first closed loop, else the first open load; nothing unless
/// both its first and its last arm were measured.
pub(super) fn headline(cmp: &Comparison) -> Option<Headline<'_>> {
    let of_ladder = cmp.ladders.first().and_then(|ladder| {
        let row = row(cmp, &ladder.phase, ladder.clients)?;
        Some((ladder.phase.as_str(), row, Some(ladder)))
    });
    let (phase, row, ladder) = of_ladder.or_else(|| {
        let is_closed = |table: &&PhaseTable| !is_open(table);
        let table = cmp.phases.iter().find(is_closed).or(cmp.phases.first())?;
        Some((table.phase.as_str(), table.rows.last()?, None))
    })?;
    let (before, after) = (row.arms.first()?, row.arms.last()?);
    (before.trials > 0 && after.trials > 0).then_some(Headline {
        phase,
        row,
        before,
        after,
        ladder,
    })
}

/// Whether the load of a phase was open.
pub(super) fn is_open(table: &PhaseTable) -> bool {
    table.rows.iter().any(|row| row.open.is_some())
}

/// How much was sent: `50 clients`, or `2 000 ops/s offered`.
pub(super) fn load(row: &Row) -> String {
    match &row.open {
        Some(open) => format!("{} offered", words::per_second(open.offered_per_s)),
        None => words::count(row.clients as usize, "client", "clients"),
    }
}

/// The row of one phase and client count.
pub(super) fn row<'a>(cmp: &'a Comparison, phase: &str, clients: u32) -> Option<&'a Row> {
    let table = cmp.phases.iter().find(|table| table.phase == phase)?;
    table.rows.iter().find(|row| row.clients == clients)
}

/// Whether there are arms between the first and the last.
pub(super) fn has_rungs(run: &Run) -> bool {
    rungs(run).count() > 2
}

/// The arms of the ladder: before, the rungs, after.
pub(super) fn rungs(run: &Run) -> impl Iterator<Item = &Arm> {
    run.arms.iter().filter(|arm| !arm.apart)
}

/// An arm in words: `before`, `+ propose pipelined`.
pub(super) fn arm_label(run: &Run, name: &str) -> String {
    match run.arms.iter().find(|arm| arm.name == name) {
        Some(Arm { lever, apart: true, .. }) => lever.clone(),
        Some(Arm { lever, .. }) if !lever.is_empty() && has_rungs(run) => format!("+ {lever}"),
        _ => name.to_string(),
    }
}

/// Stands for a lever that an arm does not have.
pub(super) const NOT_SET: &str = "not set";

/// The levers in which two arms differ: name, value in the first, value in the second.
pub(super) fn differing_levers<'a>(a: &'a Arm, b: &'a Arm) -> Vec<(&'a str, &'a str, &'a str)> {
    let keys: BTreeSet<&String> = a.levers.keys().chain(b.levers.keys()).collect();
    let value = |arm: &'a Arm, key: &String| arm.levers.get(key).map_or(NOT_SET, String::as_str);
    keys.into_iter()
        .map(|key| (key.as_str(), value(a, key), value(b, key)))
        .filter(|(_, before, after)| before != after)
        .collect()
}

/// Stage names of both arms in pipeline order.
pub(super) fn stage_names<'a>(before: &'a ArmSummary, after: &'a ArmSummary) -> Vec<&'a str> {
    let mut names: Vec<&str> = before.costs.stages.iter().map(|(name, _)| name.as_str()).collect();
    for (name, _) in &after.costs.stages {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

/// Mean ns of one stage, if that arm has it.
pub(super) fn stage_ns(arm: &ArmSummary, stage: &str) -> Option<f64> {
    arm.costs.stages.iter().find(|(name, _)| name == stage).map(|(_, ns)| *ns)
}

/// All stages of an arm laid end to end.
pub(super) fn stage_sum_ns(arm: &ArmSummary) -> f64 {
    arm.costs.stages.iter().map(|(_, ns)| ns).sum()
}

/// Names of the locks of both arms, in order of appearance.
pub(super) fn lock_names<'a>(before: &'a ArmSummary, after: &'a ArmSummary) -> Vec<&'a str> {
    let mut names = Vec::new();
    for lock in before.costs.locks.iter().chain(&after.costs.locks) {
        if !names.contains(&lock.name.as_str()) {
            names.push(lock.name.as_str());
        }
    }
    names
}

/// Arms whose log was not really synced, with their `fsync` lever; from the warnings and from the levers.
pub(super) fn not_synced(run: &Run) -> Vec<(&str, &str)> {
    let by_lever = run.arms.iter().filter_map(|arm| {
        let fsync = arm.levers.get("fsync")?;
        (fsync != "real").then_some((arm.name.as_str(), fsync.as_str()))
    });
    let by_warning = run.warnings.iter().filter_map(|warning| match warning {
        Warning::FsyncNotReal { arm, fsync } => Some((arm.as_str(), fsync.as_str())),
        _ => None,
    });
    let mut all: Vec<(&str, &str)> = Vec::new();
    for (arm, fsync) in by_lever.chain(by_warning) {
        if all.iter().all(|(known, _)| *known != arm) {
            all.push((arm, fsync));
        }
    }
    all
}

/// Throughputs of one block as measured, for the eye to check the estimate against.
pub(super) struct PairPoint {
    pub(super) block: u32,
    pub(super) before: Option<f64>,
    pub(super) after: Option<f64>,
    /// Second trials of either arm, used for A/A only.
    pub(super) again: Vec<f64>,
}

/// One point per block, in run order, at one phase and client count.
pub(super) fn pairs(run: &Run, phase: &str, clients: u32) -> Vec<PairPoint> {
    let (Some(first), Some(last)) = (run.arms.first(), run.arms.last()) else { return Vec::new() };
    let blocks: BTreeSet<u32> = run.trials.iter().map(|trial| trial.block).collect();
    let of = |block: u32, arm: &str, aa: bool| {
        run.trials
            .iter()
            .filter(move |t| t.block == block && t.aa == aa)
            .find(|t| t.arm == arm)
            .and_then(|t| throughput(t, phase, clients))
    };
    blocks
        .into_iter()
        .map(|block| PairPoint {
            block,
            before: of(block, &first.name, false),
            after: of(block, &last.name, false),
            again: [&first.name, &last.name]
                .iter()
                .filter_map(|arm| of(block, arm, true))
                .collect(),
        })
        .filter(|point| point.before.is_some() || point.after.is_some())
        .collect()
}

/// A measurement on the run's clock.
pub(super) struct Instant {
    pub(super) block: u32,
    pub(super) arm: String,
    pub(super) is_first_arm: bool,
    /// Whether it was measured again and does not count.
    pub(super) is_voided: bool,
    pub(super) from_s: f64,
    pub(super) until_s: f64,
    pub(super) throughput_per_s: f64,
    pub(super) p99_ms: Option<f64>,
    /// Cores that others kept busy or that the hypervisor gave away.
    pub(super) cores_lost: Option<f64>,
}

/// The run over time, at one place.
pub(super) struct Strip {
    pub(super) trials: Vec<Instant>,
    /// Median syncs without load: when, in seconds, and how long, in ms.
    pub(super) syncs: Vec<(f64, f64)>,
}

/// What the first and the last arm did at a phase and client count, and what the host did around it.
pub(super) fn strip(run: &Run, phase: &str, clients: u32) -> Strip {
    let ends = [run.arms.first(), run.arms.last()].map(|arm| arm.map(|arm| arm.name.as_str()));
    let voided = run.voided.iter().flat_map(|voided| &voided.trials).map(|trial| (trial, true));
    let all = run.trials.iter().map(|trial| (trial, false)).chain(voided);
    let of_ends = all.filter(|(trial, _)| ends.contains(&Some(trial.arm.as_str())));
    let instant = |(trial, is_voided): (&Trial, bool)| {
        let cell = trial.cells.iter().find(|c| c.phase == phase && c.clients == clients)?;
        Some(Instant {
            block: trial.block,
            arm: trial.arm.clone(),
            is_first_arm: ends[0] == Some(trial.arm.as_str()),
            is_voided,
            from_s: cell.started_s,
            until_s: cell.started_s + cell.elapsed_s,
            throughput_per_s: cell.throughput_per_s,
            p99_ms: (cell.latency().count >= OBSERVED_MIN && cell.is_sustained())
                .then(|| cell.latency().p99_ns as f64 / 1e6),
            cores_lost: cell.host.as_ref().and_then(HostUse::disturbance),
        })
    };
    let mut trials: Vec<Instant> = of_ends.filter_map(instant).collect();
    trials.sort_by(|a, b| a.from_s.total_cmp(&b.from_s));
    Strip { trials, syncs: syncs(run) }
}

/// Observations without which a 99th percentile is not shown: ten beyond it.
const OBSERVED_MIN: u64 = 1000;

/// The probes of each block, spread evenly over its time: when exactly each was is not in the record.
fn syncs(run: &Run) -> Vec<(f64, f64)> {
    let mut syncs = Vec::new();
    for block in &run.blocks {
        let of_block = run.trials.iter().filter(|trial| trial.block == block.block);
        let cells = || of_block.clone().flat_map(|trial| &trial.cells);
        let from = cells().map(|cell| cell.started_s).fold(f64::INFINITY, f64::min);
        let until = cells().map(|cell| cell.started_s + cell.elapsed_s).fold(0.0, f64::max);
        let probes = &block.host.probes_ns;
        for (place, ns) in probes.iter().enumerate().filter(|_| from.is_finite()) {
            let share = place as f64 / (probes.len().max(2) - 1) as f64;
            syncs.push((from + (until - from) * share, *ns as f64 / 1e6));
        }
    }
    syncs
}

fn throughput(trial: &Trial, phase: &str, clients: u32) -> Option<f64> {
    let same = |cell: &&Cell| cell.phase == phase && cell.clients == clients;
    trial.cells.iter().find(same).map(|cell| cell.throughput_per_s)
}

/// Blocks that ran, and blocks in which an arm also ran against itself.
pub(super) fn blocks(run: &Run) -> (usize, usize) {
    let count = |aa: bool| {
        let in_it = run.trials.iter().filter(|trial| trial.aa || !aa);
        in_it.map(|trial| trial.block).collect::<BTreeSet<u32>>().len()
    };
    (count(false), count(true))
}

/// CPU by thread role, µs per operation, in both arms; zero where an arm has no such thread.
pub(super) fn role_changes(before: &ArmSummary, after: &ArmSummary) -> Vec<(String, f64, f64)> {
    let of = |arm: &ArmSummary, name: &str| {
        arm.costs.cpu_roles.iter().find(|(role, _)| role == name).map_or(0.0, |(_, cost)| *cost)
    };
    let mut names: Vec<&String> = Vec::new();
    for (role, _) in before.costs.cpu_roles.iter().chain(&after.costs.cpu_roles) {
        if !names.contains(&role) {
            names.push(role);
        }
    }
    names.into_iter().map(|name| (words::plain(name), of(before, name), of(after, name))).collect()
}
