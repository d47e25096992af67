//! Whole short runs on hosts that are invented: which blocks count, and what is kept of those that do not.

use super::{Finished, Options, Progress, RunError, Surroundings, Watcher, run_amid};
use crate::agent::Agents;
use crate::compare::{self, Outcome};
use crate::record::{Disturbance, HostSpan, Warning};
use crate::scenario;
use crate::target::Builtin;
use std::path::PathBuf;

const SCENARIO: &str = "schema = 1\nname = \"x\"\n[system]\nlayer = \"store\"\n[arms.before]\n[arms.after]\n\
    [keys]\nspace = 100\n[[op]]\nput = {}\n[[phase]]\nname = \"a\"\n\
    load = { closed = { clients = [1, 2] } }\nwarmup = \"1ms\"\nduration = \"50ms\"\n\
    [[target]]\nid = \"t\"\nmetric = \"a.throughput@2\"\nratio = \">= 0.000001\"\n[trials]\naa = false\n";

/// A host on which others have these cores in the first block, in the second, and so on; afterwards it is quiet.
struct Invented {
    foreign_cores: Vec<f64>,
    begun: usize,
    looked_between: usize,
}

impl Surroundings for Invented {
    fn begin(&mut self) {
        self.begun += 1;
    }

    fn between(&mut self, _own: &[u32]) {
        self.looked_between += 1;
    }

    fn end(&mut self) -> HostSpan {
        let cores = self.foreign_cores.get(self.begun - 1).copied().unwrap_or(0.0);
        HostSpan { elapsed_s: 0.001, foreign_cores: Some(cores), ..HostSpan::default() }
    }
}

struct Nobody;

impl Watcher for Nobody {
    fn progress(&mut self, _progress: &Progress<'_>) {}
}

/// A run of so many blocks, and how often one was begun.
fn run(foreign_cores: &[f64], pairs: u32, policy: &str) -> (Finished, usize) {
    let text = format!(
        "{SCENARIO}on_disturbed = \"{policy}\"\npairs = {{ min = {pairs}, max = {pairs} }}\n"
    );
    let scenario = scenario::parse("x.toml", &text, &scenario::Options::default()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let options = Options {
        path: "x.toml".to_owned(),
        quick: false,
        count_syscalls: false,
        profile: None,
        scratch: scratch.path().to_path_buf(),
        agents: Agents::default(),
        interrupted: Default::default(),
    };
    let launch = Builtin { program: PathBuf::from("kvbench") };
    let foreign_cores = foreign_cores.to_vec();
    let mut host = Invented { foreign_cores, begun: 0, looked_between: 0 };
    let finished = run_amid(&scenario, &options, &launch, &mut Nobody, &mut host).unwrap();
    // Before the first of two client counts, between them, and after the last.
    assert_eq!(host.looked_between, 3 * host.begun);
    (finished, host.begun)
}

/// More than any machine has that this may be run on.
const HOG: f64 = 1e6;

#[test]
fn a_disturbed_block_is_measured_again() {
    let (finished, begun) = run(&[0.0, HOG], 6, "retry");
    let run = &finished.run;
    assert!(finished.failure.is_none() && run.complete);
    assert_eq!((begun, run.trials.len(), run.blocks.len()), (7, 12, 6));
    assert!(run.blocks.iter().all(|block| block.disturbed.is_empty()));
    assert_eq!(run.blocks.iter().map(|block| block.attempt).max(), Some(2));
    // What does not count is there, with why.
    let [voided] = run.voided.as_slice() else { panic!("{:?}", run.voided) };
    let host = voided.host.as_ref().unwrap();
    assert_eq!((voided.block, host.attempt, voided.trials.len()), (1, 1, 2));
    assert!(voided.trials.iter().all(|trial| trial.cells.len() == 2));
    assert!(matches!(host.disturbed.as_slice(), [Disturbance::Cpu { .. }]), "{host:?}");
    assert!(voided.reason.contains("others had"), "{}", voided.reason);
    let told =
        Warning::BlocksRepeated { blocks: 1, of: 6, repeats: 1, reason: voided.reason.clone() };
    assert!(run.warnings.contains(&told), "{:?}", run.warnings);
    // Six quiet pairs decide as if nothing had been.
    assert_eq!(compare::compare(run).outcome, Outcome::Met);
}

#[test]
fn measuring_again_has_an_end_and_then_nothing_is_decided() {
    let (finished, begun) = run(&[HOG; 99], 6, "retry");
    let run = &finished.run;
    // Half of six blocks, and no block more than three times.
    assert_eq!((begun, run.voided.len(), run.trials.len()), (9, 3, 12));
    let tries = |block: u32| run.voided.iter().filter(|voided| voided.block == block).count();
    assert_eq!((tries(0), tries(1), tries(2)), (2, 1, 0));
    assert!(run.complete && run.blocks.iter().all(|block| !block.disturbed.is_empty()));
    let comparison = compare::compare(run);
    assert_eq!(comparison.outcome, Outcome::Inconclusive);
    let reason = &comparison.verdicts[0].reason;
    assert!(reason.contains("disturbed in 6 of 6 blocks"), "{reason}");
    let is_told = |warning: &Warning| {
        matches!(warning, Warning::BlocksDisturbed { blocks: 6, of: 6, asked: false, .. })
    };
    assert!(run.warnings.iter().any(is_told), "{:?}", run.warnings);
}

#[test]
fn keep_marks_and_leaves_the_verdict() {
    let (finished, begun) = run(&[HOG; 99], 6, "keep");
    let run = &finished.run;
    assert_eq!((begun, run.voided.len(), run.trials.len()), (6, 0, 12));
    assert!(run.blocks.iter().all(|block| !block.disturbed.is_empty()));
    let is_told = |warning: &Warning| {
        matches!(warning, Warning::BlocksDisturbed { blocks: 6, asked: true, .. })
    };
    assert!(run.warnings.iter().any(is_told), "{:?}", run.warnings);
    assert_eq!(compare::compare(run).outcome, Outcome::Met);
}

#[test]
fn abort_ends_the_run_and_keeps_what_was_there() {
    let (finished, begun) = run(&[0.0, 0.0, HOG], 6, "abort");
    let run = &finished.run;
    assert_eq!((begun, run.trials.len(), run.voided.len()), (3, 4, 1));
    assert!(!run.complete && run.voided[0].trials.len() == 2);
    let Some(RunError::Disturbed { block: 2, reason }) = &finished.failure else {
        panic!("{:?}", finished.failure)
    };
    assert!(reason.contains("others had"), "{reason}");
    let is_repeat = |warning: &Warning| matches!(warning, Warning::BlocksRepeated { .. });
    assert!(!run.warnings.iter().any(is_repeat), "{:?}", run.warnings);
}
