//! Known bugs of the pipeline and of its log: the simulation accuses each, and shrinks what it found.

use kvbench::raft::SeededBug as Pipeline;
use kvbench::verify::simulation::{Bug, Plan, run, shrink};

/// Within so many seeds each must be found.
const SEEDS_MAX: u64 = 3_000;
const TICKS: u64 = 5_000;
/// Runs in search of a smaller schedule.
const RUNS_MAX: u64 = 40;

/// How many seeds it took, and what the smallest schedule is.
fn hunt(bug: Bug) -> Option<String> {
    for seed in 1..=SEEDS_MAX {
        let plan = Plan { bug: Some(bug), ..Plan::of(seed, TICKS) };
        let ran = run(&plan).unwrap();
        let Some(shrunk) = shrink(&plan, &ran, RUNS_MAX, &|| false).unwrap() else { continue };
        let (tick, violation) = shrunk.ran.violation.unwrap();
        assert!(shrunk.plan.faults.len() <= plan.faults.len());
        return Some(format!(
            "{} | {seed} | {} of {} | {tick}",
            violation.invariant,
            shrunk.plan.faults.len(),
            plan.faults.len()
        ));
    }
    None
}

#[expect(clippy::print_stdout, reason = "what was found how soon is a result")]
#[test]
fn every_bug_of_the_pipeline_is_found_by_the_simulation() {
    for bug in Pipeline::ALL.map(Bug::Pipeline) {
        let found = hunt(bug);
        println!("| {bug:?} | {} |", found.as_deref().unwrap_or("NOT FOUND"));
        assert!(found.is_some(), "{bug:?} was not found within {SEEDS_MAX} seeds");
    }
}
