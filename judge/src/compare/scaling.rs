//! How each arm's throughput grows with clients, in phases that measured enough client counts for a law.

use super::align::{self, Place};
use super::{Scaling, invalid, metric::Measure, reading};
use crate::record::Run;
use crate::seed::Seed;
use crate::stats::{self, ALPHA, LEVELS_MIN};

/// One for each arm that was measured, in the record's order; none below [`LEVELS_MIN`] client counts. Those where
/// the arm is invalid are left out.
pub(super) fn of_phase(run: &Run, phase: &str, clients: &[u32]) -> Vec<Scaling> {
    if clients.len() < LEVELS_MIN {
        return Vec::new();
    }
    let of_arm = |arm: &str| {
        let is_valid = |clients| invalid::of_arm(run, arm, Place { phase, clients }).is_none();
        let clients: &[u32] =
            &clients.iter().copied().filter(|clients| is_valid(*clients)).collect::<Vec<_>>();
        let trials = sweeps(run, arm, phase, clients);
        let seed = Seed(run.scenario.seed).child("scalability", 0);
        let law = stats::scalability(clients, &trials, ALPHA, seed);
        (!trials.is_empty()).then(|| Scaling { arm: arm.to_owned(), trials: trials.len(), law })
    };
    run.arms.iter().filter_map(|arm| of_arm(&arm.name)).collect()
}

/// Throughputs of each trial that measured every client count, A/A repeats left out.
fn sweeps(run: &Run, arm: &str, phase: &str, clients: &[u32]) -> Vec<Vec<f64>> {
    let trials = run.trials.iter().filter(|trial| trial.arm == arm && !trial.aa);
    let throughput = |trial, clients| {
        reading::value(align::cell(trial, Place { phase, clients })?, Measure::Throughput)
    };
    let sweep = |trial| clients.iter().map(|clients| throughput(trial, *clients)).collect();
    trials.filter_map(sweep).collect()
}
