//! One block: a fresh target of each arm, every cell measured on all of them in the planned order, then their ends.

use super::cell::{self, Measured};
use super::prepare::{self, data_folder, start_target};
use super::{RunError, Stage, audit, search};
use crate::load::{Acked, Pace, Schedule};
use crate::record::{Replayed, Sharing, Trial, TrialEnd};
use crate::scenario::plan::{Block, PlannedTrial};
use crate::scenario::spec::{Arm, Capacity, Load, Open, Phase};
use crate::store::{Calibration, Digest};
use crate::target::{Launch, Target};
use std::path::Path;

/// A target under measurement.
struct Running<T> {
    target: T,
    /// Removed with everything in it when the trial ends.
    folder: tempfile::TempDir,
    trial: Trial,
    acked: Acked,
}

/// Runs `block`; none if the run was stopped meanwhile: a block with a hole in it compares nothing.
pub(super) fn run<L: Launch>(
    stage: &mut Stage<'_, L>,
    block: &Block,
) -> Result<Option<Vec<Trial>>, RunError> {
    let mut running = Vec::with_capacity(block.trials.len());
    for planned in &block.trials {
        running.push(start(stage, block, planned)?);
        if stage.stopped() {
            return Ok(None);
        }
    }
    let cells = stage
        .scenario
        .phases
        .iter()
        .flat_map(|phase| phase.clients.iter().map(move |clients| (phase, *clients)));
    let own: Vec<u32> = running.iter().flat_map(|running| running.target.processes()).collect();
    stage.surroundings.between(&own);
    for ((phase, clients), order) in cells.zip(&block.orders) {
        let Some(paced) = paced(&phase.load, &running) else { return Ok(None) };
        for (position, trial) in order.iter().enumerate() {
            let at = Place { phase, clients, paced: &paced, position: position as u32 };
            measure(stage, &mut running[*trial], &at, block)?;
            if stage.stopped() {
                return Ok(None);
            }
        }
        stage.surroundings.between(&own);
    }
    // Restarting costs time and shows the same each time: once per arm and run is enough.
    let restart = block.index == 0;
    running
        .into_iter()
        .map(|running| end(stage, running, restart))
        .collect::<Result<_, _>>()
        .map(Some)
}

/// Starts a target and fills it; all of that is preparation and none of it is measured.
fn start<L: Launch>(
    stage: &mut Stage<'_, L>,
    block: &Block,
    planned: &PlannedTrial,
) -> Result<Running<L::Target>, RunError> {
    let arm = &stage.scenario.arms[planned.arm_idx];
    let folder = tempfile::Builder::new().prefix("trial-").tempdir_in(&stage.options.scratch)?;
    let began = stage.clock.now();
    let target = start_target(stage, arm, &data_folder(folder.path()))?;
    let acked = prepare::fill(stage, &target, &arm.name)?;
    let trial = Trial {
        block: block.index,
        arm: arm.name.clone(),
        aa: planned.aa,
        started_s: began.as_secs_f64(),
        prepare_s: stage.clock.now().since(began).as_secs_f64(),
        sharing: target.calibration().map(sharing),
        cells: Vec::new(),
        end: TrialEnd {
            revision: 0,
            keys: 0,
            state_hash: String::new(),
            members: Vec::new(),
            writes_acked: 0,
            changes_acked: 0,
            revokes_acked: 0,
            bank: None,
            versions: None,
            leases: None,
            sampled: None,
            replayed: None,
        },
    };
    Ok(Running { target, folder, trial, acked })
}

/// What is measured, of a trial.
struct Place<'a> {
    phase: &'a Phase,
    clients: u32,
    paced: &'a Paced<'a>,
    position: u32,
}

/// When requests are sent, with every rate known: the same for all trials of a block.
enum Paced<'a> {
    /// One measurement.
    Once(Pace),
    /// As many as it takes to find a rate.
    Search(&'a crate::scenario::spec::Search),
}

/// The pace of `load`. None if it is a share of what was not measured, as when the load was stopped meanwhile.
fn paced<'a, T>(load: &'a Load, running: &[Running<T>]) -> Option<Paced<'a>> {
    Some(match load {
        Load::Closed { think } => Paced::Once(Pace::Closed { think: *think }),
        Load::Search(search) => Paced::Search(search),
        Load::Open(Open { arrival, course, rates }) => {
            let rate = |rate: &crate::scenario::spec::Rate| {
                rate.per_second(|capacity| reached(capacity, running)).filter(|rate| *rate > 0.0)
            };
            let rates_per_s = rates.iter().map(rate).collect::<Option<_>>()?;
            Paced::Once(Pace::Open(Schedule { arrival: *arrival, course: *course, rates_per_s }))
        }
    })
}

/// The throughput that an arm reached in this block.
fn reached<T>(capacity: &Capacity, running: &[Running<T>]) -> Option<f64> {
    let trial = &running.iter().find(|r| r.trial.arm == capacity.arm && !r.trial.aa)?.trial;
    let there = |cell: &&crate::record::Cell| {
        cell.phase == capacity.phase && cell.clients == capacity.clients
    };
    trial.cells.iter().find(there).map(|cell| cell.throughput_per_s)
}

fn measure<L: Launch>(
    stage: &mut Stage<'_, L>,
    running: &mut Running<L::Target>,
    place: &Place<'_>,
    block: &Block,
) -> Result<(), RunError> {
    let Place { phase, clients, position, .. } = *place;
    stage.step(&format!("{} {}", phase.place(clients), running.trial.arm));
    let seed = block.seed.child(&phase.name, u64::from(clients));
    let at = |pace| cell::At { arm: &running.trial.arm, phase, clients, pace, position, seed };
    let Measured { cell, acked, sampled } = match place.paced {
        Paced::Once(pace) => cell::measure(stage, &running.target, &at(pace.clone()))?,
        Paced::Search(search) => search::run(stage, &running.target, search, at)?,
    };
    running.acked.add(acked);
    if let Some(sampled) = sampled {
        running.trial.end.sampled.get_or_insert_default().add(&sampled);
    }
    running.trial.cells.push(cell);
    Ok(())
}

/// Notes the state, and with `restart` also what the log gives back to a node started on it.
fn end<L: Launch>(
    stage: &Stage<'_, L>,
    running: Running<L::Target>,
    restart: bool,
) -> Result<Trial, RunError> {
    let Running { target, folder, mut trial, acked } = running;
    if stage.scenario.checks.bank {
        trial.end.bank = Some(prepare::count_money(stage, &target, &trial.arm)?);
    }
    if stage.scenario.checks.versions {
        trial.end.versions = Some(audit::versions(stage, &target, &trial.arm)?);
    }
    if stage.scenario.checks.leases {
        trial.end.leases = Some(audit::leases(stage, &target, &trial.arm)?);
    }
    let digests = digests(&target, &trial.arm)?;
    let comes_back = target.comes_back();
    drop(target);
    note_end(&mut trial.end, &digests, acked);
    if restart && comes_back {
        let arm = stage.scenario.arms.iter().find(|arm| arm.name == trial.arm);
        let arm = arm.expect("a trial runs an arm of the scenario");
        trial.end.replayed = Some(replay(stage, arm, &data_folder(folder.path())));
    }
    Ok(trial)
}

/// A system that does not even start on its own log gave nothing back; the check that reads this says so.
fn replay<L: Launch>(stage: &Stage<'_, L>, arm: &Arm, folder: &Path) -> Replayed {
    let again = start_target(stage, arm, folder).and_then(|target| digests(&target, &arm.name));
    match again.map(|digests| digests[0]) {
        Ok(again) => Replayed { revision: again.revision, state_hash: hex(again.hash) },
        Err(error) => Replayed { revision: 0, state_hash: format!("not started: {error}") },
    }
}

/// The state of every replica, at least one.
pub(super) fn digests(target: &impl Target, arm: &str) -> Result<Vec<Digest>, RunError> {
    let unknown = |first: String| RunError::Operations {
        arm: arm.to_owned(),
        cell: "digest".to_owned(),
        errors: 1,
        first,
    };
    let digests = target.digests().map_err(|error| unknown(error.to_string()))?;
    if digests.is_empty() {
        Err(unknown("the target told no state".to_owned()))
    } else {
        Ok(digests)
    }
}

fn note_end(end: &mut TrialEnd, digests: &[Digest], acked: Acked) {
    let digest = digests[0];
    end.members = digests.iter().map(|digest| hex(digest.hash)).collect();
    end.revision = digest.revision;
    end.keys = digest.keys;
    end.state_hash = hex(digest.hash);
    end.writes_acked = acked.writes;
    end.changes_acked = acked.changes;
    end.revokes_acked = acked.revokes;
}

fn sharing(measured: Calibration) -> Sharing {
    Sharing {
        evaluate_ns: measured.evaluate_ns,
        dispatch_ns: measured.dispatch_ns,
        wake_ns: measured.wake_ns,
        parallel_from: measured.parallel_from,
    }
}

fn hex(hash: u128) -> String {
    format!("{hash:032x}")
}
