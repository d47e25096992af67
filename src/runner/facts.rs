//! What the record says about when, what was asked, and on what; machine and program are described by `host`.

use crate::agent;
use crate::record::{AgentHost, Arm, GatedMetric, ScenarioText, StepBothWays, Target};
use crate::scenario::spec::{self, Expectation, Scenario, Values};
use crate::target::Launch;
use std::time::SystemTime;

/// Now, UTC, to the second.
#[expect(clippy::disallowed_methods, reason = "the one place where a date enters a run")]
pub fn utc_now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// The question, with one line on the workload.
pub(super) fn scenario_text(scenario: &Scenario, path: &str) -> ScenarioText {
    let mut kinds: Vec<_> = scenario.ops.iter().map(|op| (op.op.to_string(), op.weight)).collect();
    let total: f64 = kinds.iter().map(|(_, weight)| weight).sum();
    let ops: Vec<_> = match kinds.as_mut_slice() {
        [(only, _)] => vec![std::mem::take(only)],
        kinds => kinds.iter().map(|(kind, weight)| share(kind, weight / total)).collect(),
    };
    let values = match scenario.values {
        Values::Fixed(size) => size.to_string(),
        Values::Uniform { min, max } => format!("{min} to {max}"),
        Values::Lognormal { median, p99 } => format!("{median} (p99 {p99})"),
    };
    let preloaded = match scenario.keys.preload {
        0 => String::new(),
        all if all == scenario.keys.space => " preloaded".to_owned(),
        some => format!(" ({some} preloaded)"),
    };
    let leases = match scenario.keys.leases {
        0 => String::new(),
        1 => ", 1 lease held".to_owned(),
        leases => format!(", {leases} leases held"),
    };
    ScenarioText {
        name: scenario.name.clone(),
        analysis: scenario.analysis.clone(),
        path: path.to_owned(),
        text: scenario.text.clone(),
        workload: format!(
            "{}, keys {} of {}{preloaded}, values {values}{leases}",
            ops.join(", "),
            scenario.keys.size,
            scenario.keys.space
        ),
        seed: scenario.seed.0,
    }
}

fn share(kind: &str, share: f64) -> String {
    format!("{:.0} % {kind}", share * 100.0)
}

/// What may not get worse.
pub(super) fn gate(gate: &spec::Gate) -> GatedMetric {
    let (metric, arm) = (gate.metric.to_string(), gate.arm.clone());
    GatedMetric { metric, arm, worse: gate.worse, least: gate.least }
}

/// An arm with all its levers.
pub(super) fn arm<L: Launch>(launch: &L, arm: &spec::Arm) -> Arm {
    let levers = launch.levers(arm).into_iter();
    Arm {
        name: arm.name.clone(),
        lever: arm.lever.clone(),
        apart: arm.apart,
        levers: levers.map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

/// A step both ways.
pub(super) fn step(step: &spec::StepBothWays) -> StepBothWays {
    let spec::StepBothWays { lever, alone, without } = step.clone();
    StepBothWays { lever, alone, without }
}

/// An expectation, as text.
pub(super) fn target(target: &spec::Target) -> Target {
    let of_id = Target { id: target.id.clone(), claim: target.claim.clone(), ..Target::default() };
    match &target.expectation {
        Expectation::Ratio { metric, bound } => {
            Target { metric: metric.to_string(), bound: bound.text(None), ..of_id }
        }
        Expectation::Value { metric, arm, bound } => Target {
            metric: metric.to_string(),
            bound: bound.text(Some(metric.measure.unit())),
            arm: Some(arm.clone()),
            ..of_id
        },
        Expectation::Check(check) => Target { check: Some(check.to_string()), ..of_id },
    }
}

/// A machine that offers load, as its agent told.
pub(super) fn agent_host(host: &agent::AgentHost) -> AgentHost {
    AgentHost {
        address: host.address.clone(),
        host: host.host.clone(),
        cores: host.cores,
        kernel: host.kernel.clone(),
    }
}
