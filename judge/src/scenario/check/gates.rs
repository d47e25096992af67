//! What may not get worse: the [[gate]] tables.

use super::field::Field;
use super::section::Section;
use super::targets::{Known, arm_of, metric_of};
use crate::scenario::findings::Findings;
use crate::scenario::problem::quoted;
use crate::scenario::spec::{Gate, Measure, MetricRef};
use crate::units::parse_percent;

const GATES_MAX: usize = 64;
/// Least change that counts if nothing is said: what a good host still tells apart.
const WORSE_DEFAULT: f64 = 0.05;
/// Largest change that may be let pass: twice as bad again.
const WORSE_MAX: f64 = 10.0;

/// The gates in the order of the file.
pub(super) fn read(
    root: &mut Section<'_>,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Vec<Gate> {
    let Some(field) = root.take("gate") else { return Vec::new() };
    let sections = field.tables(findings);
    if sections.len() > GATES_MAX {
        let message = format!("there are {} gates; allowed: 0 to {GATES_MAX}", sections.len());
        findings.wrong(field.key_place, message, "");
        return Vec::new();
    }
    let mut gates: Vec<Gate> = Vec::new();
    for section in sections {
        if let Some(gate) = gate(section, known, &gates, findings) {
            gates.push(gate);
        }
    }
    gates
}

fn gate(
    mut section: Section<'_>,
    known: &Known<'_>,
    earlier: &[Gate],
    findings: &mut Findings,
) -> Option<Gate> {
    let example = "write metric = \"saturate.throughput@50\"";
    let field = section.require("metric", example, findings);
    let metric = field.as_ref().and_then(|field| gated_metric(field, known, findings));
    let arm = section.take("arm");
    let last = || known.arms.last().map(|arm| arm.name.clone());
    let arm = arm.map_or_else(last, |field| arm_of(&field, known, findings));
    let worse = section.take("worse");
    let worse = worse.map_or(Some(WORSE_DEFAULT), |field| share(&field, findings));
    let least = section.take("least");
    let measure = metric.as_ref().map(|metric| metric.measure);
    let least = least.map_or(Some(0.0), |field| absolute(&field, measure?, findings));
    section.finish(findings);
    let gate = Gate { metric: metric?, arm: arm?, worse: worse?, least: least? };
    let again = earlier.iter().any(|one| (&one.metric, &one.arm) == (&gate.metric, &gate.arm));
    if let (true, Some(field)) = (again, field) {
        let message = format!("an earlier gate is on {} of {}", gate.metric, gate.arm);
        findings.wrong(field.place, message, "one [[gate]] for each metric of an arm");
        return None;
    }
    Some(gate)
}

fn gated_metric(
    field: &Field<'_>,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Option<MetricRef> {
    let metric = metric_of(field, known, findings)?;
    if !metric.measure.has_a_good_side() {
        let message =
            format!("{}: more {} is neither better nor worse", field.name, metric.measure);
        findings.wrong(field.place, message, "a gate needs a measure that can get worse");
        return None;
    }
    Some(metric)
}

fn share(field: &Field<'_>, findings: &mut Findings) -> Option<f64> {
    let text = field.text(findings)?;
    let share = parse_percent(text).ok().filter(|share| *share > 0.0 && *share <= WORSE_MAX);
    if share.is_none() {
        let message = format!("{} is \"{}\"; allowed: above 0% to 1000%", field.name, quoted(text));
        findings.wrong(field.place, message, "write \"5%\"");
    }
    share
}

/// In the measure's own unit.
fn absolute(field: &Field<'_>, measure: Measure, findings: &mut Findings) -> Option<f64> {
    let text = field.text(findings)?;
    match measure.unit().parse(text) {
        Ok(least) => Some(least),
        Err(why) => {
            let message = format!("{} is \"{}\"; {why}", field.name, quoted(text));
            findings.wrong(field.place, message, format!("it is in the unit of {measure}"));
            None
        }
    }
}
