//! Runs of two programs, made by turns, as the one run that they are: each turn is a block with a trial of both, so that pairs,
//! A/A floors, disturbed blocks and invalid loads mean what they mean in any other run.

use crate::record::{Arm, BlockHost, Check, Run, Trial, Voided, Warning};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// What is compared with.
    Base,
    /// What is judged.
    Head,
}

impl Program {
    /// The name of its arm.
    pub fn name(self) -> &'static str {
        match self {
            Program::Base => "base",
            Program::Head => "head",
        }
    }
}

/// One run of one program: a single block of the scenario.
#[derive(Clone, Debug)]
pub struct Shot {
    /// Whose.
    pub program: Program,
    /// Which turn; one run of each program shares it.
    pub block: u32,
    /// Whether it is the program's second run in this turn, used only against the first (A/A).
    pub repeat: bool,
    /// When it began, since the gate began, seconds.
    pub began_s: f64,
    /// What it left.
    pub run: Run,
}

/// The trials that `arm` had in all of them, as one run with the arms `base` and `head`. None without a run of head.
pub fn joined(shots: &[Shot], arm: &str) -> Option<Run> {
    let of = |program| shots.iter().find(move |shot| shot.program == program);
    let (head, first) = (of(Program::Head)?, shots.first()?);
    let blocks = shots.iter().map(|shot| shot.block + 1).max()?;
    let mut plan = head.run.plan.clone();
    (plan.pairs_min, plan.pairs_max) = (blocks, blocks);
    let programs = [Program::Base, Program::Head].into_iter();
    let arms = programs.filter_map(|program| arm_of(&of(program)?.run, arm, program)).collect();
    let last = shots.last()?;
    Some(Run {
        started_at: first.run.started_at.clone(),
        elapsed_s: last.began_s - first.began_s + last.run.elapsed_s,
        complete: shots.iter().all(|shot| shot.run.complete),
        arms,
        both_ways: Vec::new(),
        targets: Vec::new(),
        gates: Vec::new(),
        plan,
        voided: shots.iter().flat_map(|shot| voided(shot, arm)).collect(),
        blocks: (0..blocks).filter_map(|block| host_of(shots, block)).collect(),
        trials: shots.iter().flat_map(|shot| trials(shot, arm, &shot.run.trials)).collect(),
        checks: checks(shots),
        profiles: Vec::new(),
        lock_profiles: Vec::new(),
        off_cpu: Vec::new(),
        off_cpu_absent: None,
        warnings: warnings(shots, arm),
        ..head.run.clone()
    })
}

/// What differs between two builds that were made the same way: it may be the very thing that is compared. None if nothing does.
pub fn built_alike(base: &Run, head: &Run) -> Vec<String> {
    let (a, b) = (&base.build, &head.build);
    let facts = [
        ("compiler", &a.rustc, &b.rustc),
        ("cargo profile", &a.profile, &b.profile),
        ("optimisation", &a.details.opt_level, &b.details.opt_level),
        ("LTO", &a.details.lto, &b.details.lto),
        ("target CPU", &a.details.target_cpu, &b.details.target_cpu),
        ("features", &a.details.features, &b.details.features),
        ("allocator", &a.details.allocator, &b.details.allocator),
    ];
    let differs = facts.into_iter().filter(|(_, a, b)| a != b);
    differs.map(|(what, a, b)| format!("{what}: {a} at base, {b} at head")).collect()
}

fn arm_of(run: &Run, arm: &str, program: Program) -> Option<Arm> {
    let arm = run.arms.iter().find(|one| one.name == arm)?;
    let lever = match program {
        Program::Base => String::new(),
        Program::Head => format!("revision {}", run.build.revision),
    };
    Some(Arm { name: program.name().to_owned(), lever, apart: false, levers: arm.levers.clone() })
}

fn trials(shot: &Shot, arm: &str, trials: &[Trial]) -> Vec<Trial> {
    let its = trials.iter().filter(|trial| trial.arm == arm && !trial.aa);
    let moved = its.map(|trial| {
        let mut trial = trial.clone();
        trial.block = shot.block;
        trial.arm = shot.program.name().to_owned();
        trial.aa = shot.repeat;
        trial.started_s += shot.began_s;
        trial.cells.iter_mut().for_each(|cell| cell.started_s += shot.began_s);
        trial
    });
    moved.collect()
}

fn voided(shot: &Shot, arm: &str) -> Vec<Voided> {
    let again = shot.run.voided.iter().map(|voided| Voided {
        block: shot.block,
        trials: trials(shot, arm, &voided.trials),
        ..voided.clone()
    });
    again.collect()
}

/// What the host did in a turn: disturbed if it was in any of its runs, since the pair then compares two hosts.
fn host_of(shots: &[Shot], block: u32) -> Option<BlockHost> {
    let of_turn = shots.iter().filter(|shot| shot.block == block);
    let hosts: Vec<&BlockHost> = of_turn.flat_map(|shot| &shot.run.blocks).collect();
    let worst = hosts.iter().find(|host| !host.disturbed.is_empty()).or(hosts.first())?;
    let disturbed = hosts.iter().flat_map(|host| host.disturbed.iter().copied()).collect();
    Some(BlockHost { block, disturbed, ..(*worst).clone() })
}

/// Each check once for each program: failed if it failed in any run.
fn checks(shots: &[Shot]) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    for shot in shots {
        for check in &shot.run.checks {
            let id = format!("{}: {}", shot.program.name(), check.id);
            match checks.iter_mut().find(|known| known.id == id) {
                // The gravest of all runs stands.
                Some(known) if known.passed || check.is_wrong() => {
                    *known = Check { id, ..check.clone() };
                }
                Some(_) => {}
                None => checks.push(Check { id, ..check.clone() }),
            }
        }
    }
    checks
}

/// Those about `arm`, under the program's name, and those about no arm, each once. What they say of blocks is of one block each, and
/// stands in the blocks themselves.
fn warnings(shots: &[Shot], arm: &str) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = Vec::new();
    for shot in shots {
        for warning in &shot.run.warnings {
            let mut warning = warning.clone();
            match warning.arm_mut() {
                Some(name) if name == arm => shot.program.name().clone_into(name),
                Some(_) => continue,
                None => {}
            }
            if !is_of_blocks(&warning) && !warnings.iter().any(|known| known.is_like(&warning)) {
                warnings.push(warning);
            }
        }
    }
    warnings
}

fn is_of_blocks(warning: &Warning) -> bool {
    use Warning::{BlocksDisturbed, BlocksRepeated, BlocksVoided};
    matches!(warning, BlocksVoided { .. } | BlocksRepeated { .. } | BlocksDisturbed { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::contrast::{Entrant, Match, matched};
    use crate::compare::tests;
    use crate::record::contrast::{Basis, RowVerdict};
    use crate::record::{Disturbance, HostSpan};

    fn shot(program: Program, block: u32, repeat: bool, throughput_per_s: f64) -> Shot {
        let mut run = tests::empty(&["before", "after"]);
        run.build.revision = format!("{}-revision", program.name());
        run.trials.push(tests::trial(0, "before", throughput_per_s * 0.1));
        run.trials.push(tests::trial(0, "after", throughput_per_s));
        Shot { program, block, repeat, began_s: f64::from(block) * 10.0, run }
    }

    /// Eight turns in which head is slower by `factor`, on a host that gets slower all the time.
    fn turns(factor: f64) -> Vec<Shot> {
        let mut shots = Vec::new();
        for block in 0..8 {
            let host = 1000.0 * 0.97_f64.powi(block as i32) * (1.0 + 0.004 * f64::from(block % 3));
            shots.push(shot(Program::Base, block, false, host));
            shots.push(shot(Program::Head, block, false, host * factor));
            let (again, rate) = match block % 2 {
                0 => (Program::Base, host * 1.01),
                _ => (Program::Head, host * factor * 0.99),
            };
            shots.push(shot(again, block, true, rate));
        }
        shots
    }

    fn verdict(run: &Run) -> RowVerdict {
        let entrant = |arm| Entrant { bundle: "s", run, arm };
        let one = Match { base: entrant("base"), other: entrant("head"), limits: &[] };
        let all = matched(&[one], 0.05, false).unwrap();
        let contrast = &all.contrasts[0];
        assert_eq!(contrast.basis, Basis::Pairs);
        let row = contrast.rows.iter().find(|row| row.metric.contains("throughput"));
        row.unwrap_or_else(|| panic!("{contrast:?}")).verdict
    }

    #[test]
    fn turns_of_two_programs_are_pairs_of_one_run() {
        let run = joined(&turns(0.9), "after").unwrap();
        let names: Vec<_> = run.arms.iter().map(|arm| arm.name.as_str()).collect();
        assert_eq!(names, ["base", "head"]);
        assert_eq!(run.arms[1].lever, "revision head-revision");
        assert_eq!((run.trials.len(), run.plan.pairs_max), (24, 8));
        assert_eq!(verdict(&run), RowVerdict::Worse);
        assert_eq!(verdict(&joined(&turns(1.0), "after").unwrap()), RowVerdict::NotWorse);
        assert_eq!(verdict(&joined(&turns(1.2), "after").unwrap()), RowVerdict::Better);
        // The other arm is a tenth as fast in both programs, which is nobody's change.
        assert_eq!(verdict(&joined(&turns(1.0), "before").unwrap()), RowVerdict::NotWorse);
        assert!(joined(&[], "after").is_none());
    }

    #[test]
    fn what_invalidates_one_run_is_told_of_its_program_alone() {
        let mut shots = turns(1.0);
        let busy = |arm: &str| Warning::LoadGeneratorBusy {
            arm: arm.to_owned(),
            cell: "saturate@50".to_owned(),
            share: 0.95,
        };
        // That of an arm that is not gated is passed over.
        shots[0].run.warnings = vec![busy("before"), Warning::DebugBuild];
        shots[1].run.warnings = vec![busy("after"), busy("after"), Warning::DebugBuild];
        let run = joined(&shots, "after").unwrap();
        assert_eq!(run.warnings, [Warning::DebugBuild, busy("head")]);
        assert_eq!(verdict(&run), RowVerdict::Undecided);
    }

    #[test]
    fn a_turn_is_disturbed_if_one_of_its_runs_was_and_a_check_fails_if_it_did_once() {
        let mut shots = turns(1.0);
        let host = |cores: Option<f64>| BlockHost {
            block: 0,
            attempt: 1,
            host: HostSpan::default(),
            log_sync_ns: None,
            disturbed: cores
                .map(|cores| Disturbance::Cpu { cores, limit: 0.2 })
                .into_iter()
                .collect(),
        };
        for (place, shot) in shots.iter_mut().enumerate() {
            shot.run.blocks = vec![host((place == 4).then_some(0.7))];
            let passed = place != 1;
            let detail = place.to_string();
            shot.run.checks = vec![Check::decided("same-state", passed, detail)];
        }
        let run = joined(&shots, "after").unwrap();
        let disturbed: Vec<_> =
            run.blocks.iter().map(|block| (block.block, block.disturbed.len())).collect();
        assert_eq!(disturbed[..3], [(0, 0), (1, 1), (2, 0)]);
        let checks: Vec<_> = run.checks.iter().map(|c| (c.id.as_str(), c.passed)).collect();
        assert_eq!(checks, [("base: same-state", true), ("head: same-state", false)]);
    }
}
