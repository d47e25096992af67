//! What is expected: the [[target]] tables.

use super::field::{Field, Words};
use super::section::Section;
use crate::scenario::findings::{Findings, did_you_mean};
use crate::scenario::problem::quoted;
use crate::scenario::spec::{Bound, Layer, Load, Measure, MetricRef, Phase, Target};

const TARGETS_MAX: usize = 64;
const RATIO_EXAMPLE: &str = "write \">= 10\" (at least ten times) or \"<= 0.1\" (at most a tenth)";

/// What targets may refer to.
pub(super) struct Known<'a> {
    /// Layer of all arms.
    pub(super) layer: Layer,
    /// The phases; absent if they have problems of their own.
    pub(super) phases: Option<&'a [Phase]>,
}

/// The targets in the order of the file.
pub(super) fn read(
    root: &mut Section<'_>,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Vec<Target> {
    let Some(field) = root.take("target") else { return Vec::new() };
    let sections = field.tables(findings);
    if sections.len() > TARGETS_MAX {
        let message = format!("there are {} targets; allowed: 0 to {TARGETS_MAX}", sections.len());
        findings.wrong(field.key_place, message, "");
        return Vec::new();
    }
    let mut ids = Vec::new();
    let targets =
        sections.into_iter().filter_map(|section| target(section, known, &mut ids, findings));
    targets.collect()
}

fn target(
    mut section: Section<'_>,
    known: &Known<'_>,
    ids: &mut Vec<String>,
    findings: &mut Findings,
) -> Option<Target> {
    let id = section.require("id", "verdicts name their target, e.g. `id = \"10x\"`", findings);
    let id = id.and_then(|field| id_of(&field, ids, findings));
    let metric = section.require("metric", "write \"saturate.throughput@50\"", findings);
    let metric = metric.and_then(|field| metric_of(&field, known, findings));
    let bound = section.require("ratio", RATIO_EXAMPLE, findings);
    let bound = bound.and_then(|field| bound_of(&field, findings));
    section.finish(findings);
    Some(Target { id: id?, metric: metric?, bound: bound? })
}

fn id_of(field: &Field<'_>, ids: &mut Vec<String>, findings: &mut Findings) -> Option<String> {
    let id = field.label(findings)?;
    if ids.contains(&id) {
        let message = format!("an earlier target has the id `{id}`");
        findings.wrong(field.place, message, "target ids are unique");
        return None;
    }
    ids.push(id.clone());
    Some(id)
}

fn metric_of(field: &Field<'_>, known: &Known<'_>, findings: &mut Findings) -> Option<MetricRef> {
    let text = field.text(findings)?;
    let Some((phase, measure, clients)) = parts(text) else {
        let message =
            format!("{} is \"{}\", which is not phase.measure@clients", field.name, quoted(text));
        let hint = "write \"saturate.throughput@50\", or \"paced.p99\" where the load is open";
        findings.wrong(field.place, message, hint);
        return None;
    };
    let measure = measure_of(field, measure, known.layer, findings);
    if let Some(phases) = known.phases
        && let Some(found) = phase_of(field, phases, phase, findings)
    {
        check_clients(field, found, clients, findings);
        match measure {
            Some(Measure::WatchEvents) => check_watchers(field, found, findings),
            Some(Measure::MaxRate) => check_search(field, found, findings),
            _ => {}
        }
    }
    Some(MetricRef { phase: phase.to_owned(), measure: measure?, clients })
}

fn measure_of(
    field: &Field<'_>,
    typed: &str,
    layer: Layer,
    findings: &mut Findings,
) -> Option<Measure> {
    const MEASURE: Words<Measure> =
        Words { allowed: Measure::WORDS, planned: &[], from_word: Measure::from_word };
    let value = crate::scenario::raw::Value::Text(typed.to_owned());
    let name = format!("the measure of {}", field.name);
    let measure = Field { name, value: &value, ..*field }.word(&MEASURE, findings)?;
    if measure == Measure::FsyncsPerOp && !layer.has_log() {
        let message = format!("layer `{layer}` has no log, so `{typed}` is not measured");
        findings.wrong(field.place, message, "choose another measure, or use layer = \"raft\"");
    }
    if measure == Measure::SystemCpuPerOp && layer == Layer::Store {
        let message =
            format!("layer `{layer}` runs on the clients' threads, so `{typed}` is not measured");
        findings.wrong(field.place, message, "use cpu_per_op, or another layer");
    }
    Some(measure)
}

/// `phase.measure@clients`, or without the clients.
fn parts(text: &str) -> Option<(&str, &str, Option<u32>)> {
    let (path, clients) = match text.rsplit_once('@') {
        Some((path, clients)) => (path, Some(clients.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let (phase, measure) = path.split_once('.')?;
    Some((phase, measure, clients))
}

fn phase_of<'a>(
    field: &Field<'_>,
    phases: &'a [Phase],
    name: &str,
    findings: &mut Findings,
) -> Option<&'a Phase> {
    let names = || phases.iter().map(|phase| phase.name.as_str());
    let found = phases.iter().find(|phase| phase.name == name);
    if found.is_none() {
        let message =
            format!("{} names phase `{}`, which does not exist", field.name, quoted(name));
        let known = || format!("phases: {}", names().collect::<Vec<_>>().join(", "));
        findings.wrong(field.place, message, did_you_mean(name, names()).unwrap_or_else(known));
    }
    found
}

/// A closed loop is measured at several client counts, an open load once.
fn check_clients(field: &Field<'_>, phase: &Phase, clients: Option<u32>, findings: &mut Findings) {
    let (metric, name) = (&field.name, &phase.name);
    let counts: Vec<String> = phase.clients.iter().map(u32::to_string).collect();
    let counts = counts.join(", ");
    match clients {
        None if phase.load.is_closed() => {
            let message = format!("{metric} says no client count of the closed loop `{name}`");
            findings.wrong(field.place, message, format!("add @ and one of: {counts}"));
        }
        Some(clients) if !phase.load.is_closed() => {
            let message =
                format!("{metric} names {clients} clients, but `{name}` is no closed loop");
            findings.wrong(field.place, message, format!("leave @{clients} out"));
        }
        Some(clients) if !phase.clients.contains(&clients) => {
            let message = format!("{metric} names {clients} clients, which `{name}` does not run");
            findings.wrong(field.place, message, format!("its client counts: {counts}"));
        }
        _ => {}
    }
}

/// Where nobody watches, no event is given to anybody.
fn check_watchers(field: &Field<'_>, phase: &Phase, findings: &mut Findings) {
    if phase.watchers == 0 {
        let message = format!("{} is about watchers, but `{}` has none", field.name, phase.name);
        findings.wrong(field.place, message, "write watchers = 100 in its [[phase]]");
    }
}

/// Only a search finds a rate.
fn check_search(field: &Field<'_>, phase: &Phase, findings: &mut Findings) {
    if !matches!(phase.load, Load::Search(_)) {
        let message =
            format!("{} is what a search finds, but `{}` searches nothing", field.name, phase.name);
        findings.wrong(field.place, message, "write load = { search = { … } } in its [[phase]]");
    }
}

fn bound_of(field: &Field<'_>, findings: &mut Findings) -> Option<Bound> {
    let text = match field.value {
        crate::scenario::raw::Value::Integer(_) | crate::scenario::raw::Value::Float(_) => "",
        _ => field.text(findings)?.trim(),
    };
    let bound = match text.split_at_checked(2) {
        Some((">=", ratio)) => ratio_of(ratio).map(Bound::AtLeast),
        Some(("<=", ratio)) => ratio_of(ratio).map(Bound::AtMost),
        _ => {
            let message = format!("{} does not begin with >= or <=", field.name);
            findings.wrong(field.place, message, RATIO_EXAMPLE);
            return None;
        }
    };
    if bound.is_none() {
        let message =
            format!("{} is \"{}\"; allowed: a finite number above 0", field.name, quoted(text));
        findings.wrong(field.place, message, RATIO_EXAMPLE);
    }
    bound
}

fn ratio_of(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|ratio: &f64| ratio.is_finite() && *ratio > 0.0)
}
