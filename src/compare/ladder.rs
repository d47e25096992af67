//! The gain lever by lever: every arm against the one before it and against the first, by pairs of the same blocks.
//! It refuses to multiply steps into a total: the total has pairs of its own.

use super::align::Place;
use super::metric::Metric;
use super::{ArmSummary, Estimate, Ladder, PhaseTable, Row, Rung, costs};
use crate::record::Run;

/// One ladder per closed loop that a target names and that was measured; else one at the most clients of the first phase.
/// Under an open load all arms have the same throughput, so there is nothing to climb.
pub(super) fn ladders(run: &Run, phases: &[PhaseTable]) -> Vec<Ladder> {
    let named = run.targets.iter().filter_map(|target| Metric::parse(&target.metric, run));
    let ladders: Vec<Ladder> = costs::distinct(named.map(|metric| metric.place))
        .filter_map(|place| ladder(run, place, row(phases, place)?))
        .collect();
    if !ladders.is_empty() {
        return ladders;
    }
    default_place(phases).and_then(|(place, row)| ladder(run, place, row)).into_iter().collect()
}

/// The table row of a place.
fn row<'a>(phases: &'a [PhaseTable], place: Place<'_>) -> Option<&'a Row> {
    let table = phases.iter().find(|table| table.phase == place.phase)?;
    table.rows.iter().find(|row| row.clients == place.clients)
}

fn default_place(phases: &[PhaseTable]) -> Option<(Place<'_>, &Row)> {
    let table = phases.first()?;
    let row = table.rows.last()?;
    Some((Place { phase: &table.phase, clients: row.clients }, row))
}

fn ladder(run: &Run, place: Place<'_>, row: &Row) -> Option<Ladder> {
    if row.open.is_some() {
        return None;
    }
    let before = row.arms.first()?;
    let best = fastest(&row.arms)?;
    let valid = before.invalid.is_none();
    Some(Ladder {
        phase: place.phase.to_string(),
        clients: place.clients,
        rungs: rungs(run, place, row),
        best: (best.arm.clone(), best.throughput_per_s),
        simpler_is_faster: simpler_is_faster(run, place, &row.arms),
        ceiling: valid.then(|| costs::queue_ceiling(&before.costs)).flatten(),
        lock_ceiling: valid.then(|| costs::lock_ceiling(&before.costs)).flatten(),
    })
}

fn rungs(run: &Run, place: Place<'_>, row: &Row) -> Vec<Rung> {
    let ratio = |base: usize, other: usize| {
        Estimate::of_throughput(run, &run.arms[base].name, &run.arms[other].name, place)
    };
    let rung = |(i, arm): (usize, &ArmSummary)| Rung {
        arm: arm.arm.clone(),
        lever: run.arms[i].lever.clone(),
        throughput_per_s: arm.throughput_per_s,
        invalid: arm.invalid,
        step: i.checked_sub(1).map(|previous| ratio(previous, i)),
        total: (i > 0).then(|| ratio(0, i)),
    };
    row.arms.iter().enumerate().map(rung).collect()
}

/// After over the fastest other arm, if all of the interval is below 1.
///
/// The fastest of several is fastest partly by luck: with equal arms and 8 pairs, simulated, it speaks up in 2 % of the
/// runs with one other arm, 6 % with four and 8 % with six. It is a hint to look at a simpler configuration, and no
/// verdict rests on it.
fn simpler_is_faster(
    run: &Run,
    place: Place<'_>,
    arms: &[ArmSummary],
) -> Option<(String, Estimate)> {
    let (after, others) = arms.split_last()?;
    // Of invalid arms none is the fastest: their throughput is 0.
    let rival = fastest(others)?;
    let estimate = Estimate::of_throughput(run, &rival.arm, &after.arm, place);
    let beaten = estimate.interval.is_some_and(|(_, upper)| upper < 1.0);
    beaten.then(|| (rival.arm.clone(), estimate))
}

fn fastest(arms: &[ArmSummary]) -> Option<&ArmSummary> {
    arms.iter().max_by(|a, b| a.throughput_per_s.total_cmp(&b.throughput_per_s))
}
