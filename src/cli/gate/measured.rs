//! What was measured of a scenario: for each gated arm the trials of both sides, or of head alone where the base is no run.

use super::slices::SLICE;
use super::turns::Ended;
use crate::compare::contrast::{Entrant, Limit, Match, Newcomer};
use crate::gate::{Program, Shot, built_alike, joined};
use crate::record::Run;
use crate::record::gate::GatedScenario;
use crate::scenario::spec::Scenario;

/// One scenario measured.
pub(super) struct Measured {
    pub(super) scenario: GatedScenario,
    pub(super) sides: Vec<Sides>,
    /// What ran as base; none if nothing did.
    pub(super) base_revision: Option<String>,
}

/// Base and head of one arm, with what is asked of them.
pub(super) struct Sides {
    /// As tables head it: `put_parallel · after`.
    pub(super) name: String,
    pub(super) arm: String,
    pub(super) limits: Vec<Limit>,
    pub(super) trials: Trials,
    pub(super) notes: Vec<String>,
}

/// Where their trials are.
pub(super) enum Trials {
    /// Arms `base` and `head` of one run.
    Joined(Box<Run>),
    /// The gated arm of two runs.
    Apart(Box<Run>, Box<Run>),
    /// The gated arm of one run; what it is held against is not a run.
    Alone(Box<Run>),
}

/// An arm, and what may not get worse in it; nothing for what is usual.
pub(super) struct GatedArm {
    pub(super) name: String,
    pub(super) limits: Vec<Limit>,
}

impl Sides {
    fn entrant<'a>(&'a self, run: &'a Run, arm: &'a str) -> Entrant<'a> {
        Entrant { bundle: &self.name, run, arm }
    }

    /// Base and head; none if the base is no run.
    pub(super) fn matching(&self) -> Option<Match<'_>> {
        let (base, other) = match &self.trials {
            Trials::Joined(run) => {
                (self.entrant(run, Program::Base.name()), self.entrant(run, Program::Head.name()))
            }
            Trials::Apart(base, head) => {
                (self.entrant(base, &self.arm), self.entrant(head, &self.arm))
            }
            Trials::Alone(_) => return None,
        };
        Some(Match { base, other, limits: &self.limits })
    }

    pub(super) fn newcomer(&self) -> Newcomer<'_> {
        Newcomer { head: self.entrant(self.run(), &self.arm), limits: &self.limits }
    }

    /// The raw trials of head, and of base if they are in it.
    pub(super) fn run(&self) -> &Run {
        match &self.trials {
            Trials::Joined(run) | Trials::Apart(_, run) | Trials::Alone(run) => run,
        }
    }

    /// The same without base, under the arm's own name.
    pub(super) fn head_alone(&self) -> Run {
        let mut run = self.run().clone();
        let name = match &self.trials {
            Trials::Joined(_) => Program::Head.name(),
            Trials::Apart(..) | Trials::Alone(_) => &self.arm,
        };
        run.arms.retain(|arm| arm.name == name);
        run.trials.retain(|trial| trial.arm == name && !trial.aa);
        run.arms.iter_mut().for_each(|arm| self.arm.clone_into(&mut arm.name));
        run.trials.iter_mut().for_each(|trial| self.arm.clone_into(&mut trial.arm));
        run.targets.clear();
        run
    }
}

impl GatedArm {
    /// The arms that a scenario gates, in its order; the last one where it has no gate.
    pub(super) fn all(scenario: &Scenario) -> Vec<GatedArm> {
        let mut arms: Vec<GatedArm> = Vec::new();
        for gate in &scenario.gates {
            let (metric, floor, least) = (gate.metric.to_string(), gate.worse, gate.least);
            let limit = Limit { metric, floor, least };
            match arms.iter_mut().find(|arm| arm.name == gate.arm) {
                Some(arm) => arm.limits.push(limit),
                None => arms.push(GatedArm { name: gate.arm.clone(), limits: vec![limit] }),
            }
        }
        if arms.is_empty() {
            arms.push(GatedArm { name: scenario.after().name.clone(), limits: Vec::new() });
        }
        arms
    }

    pub(super) fn sides(&self, scenario: &str, trials: Trials, notes: Vec<String>) -> Sides {
        Sides {
            name: format!("{scenario} · {}", self.name),
            arm: self.name.clone(),
            limits: self.limits.clone(),
            trials,
            notes,
        }
    }
}

impl Measured {
    /// Nothing yet.
    pub(super) fn nothing(scenario: &Scenario, path: &std::path::Path) -> Measured {
        let (name, path) = (scenario.name.clone(), path.display().to_string());
        let scenario = GatedScenario { name, path, ..GatedScenario::default() };
        Measured { scenario, sides: Vec::new(), base_revision: None }
    }

    /// Takes over what runs by turns left. `force`: builds of different profiles are compared all the same.
    pub(super) fn take_turns(&mut self, arms: &[GatedArm], ended: Ended, force: bool) {
        let Ended { shots, failure, wrong, repeated, by_slices } = ended;
        self.scenario.slice_ms = by_slices.then(|| SLICE.as_secs_f64() * 1e3);
        self.scenario.failure = failure.unwrap_or_default();
        self.scenario.wrong = wrong;
        let of = |program| shots.iter().find(move |shot: &&Shot| shot.program == program);
        let (Some(base), Some(head)) = (of(Program::Base), of(Program::Head)) else { return };
        self.base_revision = Some(base.run.build.revision.clone());
        if let Some(why) = not_comparable(&base.run, &head.run).filter(|_| !force) {
            self.scenario.not_comparable = why;
            return;
        }
        let mut notes = built_alike(&base.run, &head.run);
        if repeated > 0 {
            notes.push(format!(
                "{repeated} turns were measured again, since the host was disturbed"
            ));
        }
        for arm in arms {
            if let Some(run) = joined(&shots, &arm.name) {
                let trials = Trials::Joined(Box::new(run));
                self.sides.push(arm.sides(&self.scenario.name, trials, notes.clone()));
            }
        }
    }
}

/// What makes the speed of two programs no subject of one comparison.
fn not_comparable(base: &Run, head: &Run) -> Option<String> {
    let (a, b) = (base.method, head.method);
    if a != b {
        return Some(format!("method version: {a} at base, {b} at head"));
    }
    let (a, b) = (&base.build.profile, &head.build.profile);
    (a != b).then(|| format!("cargo profile: {a} at base, {b} at head"))
}

/// The limit of a metric that was gated by name, or as one of the usual ones.
pub(super) fn limit(sides: &Sides, metric: &str, floor: f64) -> Limit {
    let named = sides.limits.iter().find(|limit| limit.metric == metric).cloned();
    named.unwrap_or_else(|| Limit { metric: metric.to_owned(), floor, least: 0.0 })
}

/// Each failed check with its evidence.
pub(super) fn failed_checks(run: &Run) -> impl Iterator<Item = String> {
    let failed = run.checks.iter().filter(|check| check.is_wrong());
    failed.map(|check| format!("{}: {}", check.id, check.detail))
}
