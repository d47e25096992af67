//! What is compared: [system], the two arms over it, and the ladder of steps between them.

use super::field::Field;
use super::levers::{self, Typed};
use super::section::Section;
use crate::scenario::findings::Findings;
use crate::scenario::source::Place;
use crate::scenario::spec::{Arm, Layer, System};

/// Most steps of a ladder; each costs a trial in every block.
const STEPS_MAX: usize = 16;

/// The arms in ladder order: before, the rungs, after. `room`: most connections that a server here takes.
pub(super) fn read(root: &mut Section<'_>, room: Option<u32>, findings: &mut Findings) -> Vec<Arm> {
    let start = findings.count();
    let mut base = System::default();
    let mut typed = Vec::new();
    if let Some(system) = root.take("system").and_then(|field| field.section(findings)) {
        typed = levers::read(system, &mut base, findings);
    }
    let shared = base.connections;
    let (mut before, mut after) = (base.clone(), base);
    let hint = "a scenario compares [arms.before] with [arms.after]";
    let arms = root.require("arms", hint, findings);
    if let Some(mut arms) = arms.and_then(|field| field.section(findings)) {
        let typed_before = arm(&mut arms, "before", &mut before, findings);
        let typed_after = arm(&mut arms, "after", &mut after, findings);
        report_layers(&before, &after, &typed_before, &typed_after, findings);
        for (typed, arm) in [(&typed_before, &before), (&typed_after, &after)] {
            report_useless(typed, &[arm], findings);
            levers::report_crowded(typed, arm.connections, &[arm], room, findings);
        }
        arms.finish(findings);
    }
    let steps = match root.take("ladder") {
        Some(field) => ladder(&field, &before, room, findings),
        None => Vec::new(),
    };
    let mut systems = vec![&before, &after];
    systems.extend(steps.iter().map(|(state, _)| state));
    report_useless(&typed, &systems, findings);
    levers::report_crowded(&typed, shared, &systems, room, findings);
    if let Some((last, field)) = steps.last()
        && findings.count() == start
        && *last != after
    {
        report_end(last, &after, field, findings);
    }
    let states = steps.into_iter().map(|(state, _)| state).collect();
    named(before, states, after)
}

/// Reads one arm over `system` and returns which levers were typed.
fn arm(
    arms: &mut Section<'_>,
    key: &'static str,
    system: &mut System,
    findings: &mut Findings,
) -> Vec<Typed> {
    let hint = format!("add [arms.{key}]; it may be empty");
    let field = arms.require(key, &hint, findings);
    let section = field.and_then(|field| field.section(findings));
    section.map(|section| levers::read(section, system, findings)).unwrap_or_default()
}

/// Reports levers that were typed for `systems` although none of these makes anything of them.
fn report_useless(typed: &[Typed], systems: &[&System], findings: &mut Findings) {
    let layers: Vec<Layer> = systems.iter().map(|system| system.layer).collect();
    levers::report_ignored(typed, &layers, findings);
    levers::report_idle(typed, systems, findings);
}

/// Whether a ratio between two layers means anything: both are the same, or both are servers behind gRPC.
fn are_comparable(a: Layer, b: Layer) -> bool {
    a == b || a.is_remote() && b.is_remote()
}

/// Reports servers that run already and would have to take two trials of a block at once.
pub(super) fn report_shared(arms: &[Arm], aa: bool, findings: &mut Findings) {
    let mut named: Vec<&Arm> =
        arms.iter().filter(|arm| !arm.system.etcd.endpoints.is_empty()).collect();
    named.retain(|arm| arm.system.layer == Layer::Etcd);
    let ends = [arms.first(), arms.last()];
    if aa && let Some(arm) = named.iter().find(|arm| ends.contains(&Some(**arm))) {
        let message = format!(
            "etcd.endpoints of {} are one store, and trials.aa would run two trials on them at once",
            arm.name
        );
        findings.wrong(Place::FILE, message, "add [trials] aa = false");
    }
    for (index, arm) in named.iter().enumerate() {
        let same = |other: &&&Arm| other.system.etcd.endpoints == arm.system.etcd.endpoints;
        if let Some(earlier) = named[..index].iter().find(same) {
            let message = format!("{} and {} name the same servers", earlier.name, arm.name);
            let hint =
                "trials of a block run side by side: give each its own, or leave the endpoints out";
            findings.wrong(Place::FILE, message, hint);
        }
    }
}

fn report_layers(
    before: &System,
    after: &System,
    typed_before: &[Typed],
    typed_after: &[Typed],
    findings: &mut Findings,
) {
    if !are_comparable(before.layer, after.layer) {
        let layer = |typed: &&Typed| typed.lever == "layer";
        let typed = typed_after.iter().find(layer).or_else(|| typed_before.iter().find(layer));
        let place = typed.expect("layers differ only if an arm typed one").place;
        let message = format!("layer is {} before and {} after", before.layer, after.layer);
        findings.wrong(
            place,
            message,
            "ratios across layers mean nothing, but for rpc and etcd: set it once, in [system]",
        );
    }
}

/// The states after each step, each with its step.
fn ladder<'a>(
    field: &Field<'a>,
    before: &System,
    room: Option<u32>,
    findings: &mut Findings,
) -> Vec<(System, Field<'a>)> {
    let Some(mut section) = field.section(findings) else { return Vec::new() };
    let hint = "write steps = [{ propose = \"pipelined\" }, ...]";
    let steps = section.require("steps", hint, findings);
    section.finish(findings);
    let Some(steps) = steps else { return Vec::new() };
    let items = steps.list(findings).unwrap_or_default();
    if items.len() > STEPS_MAX {
        let message =
            format!("{} has {} steps; allowed: 1 to {STEPS_MAX}", steps.name, items.len());
        findings.wrong(steps.place, message, "");
        return Vec::new();
    }
    if items.is_empty() && matches!(steps.value, crate::scenario::raw::Value::List(_)) {
        findings.wrong(steps.place, format!("{} is empty", steps.name), "leave [ladder] out");
    }
    let mut state = before.clone();
    let mut states = Vec::new();
    for item in items {
        let next = step(&item, &state, room, findings);
        states.push((next.clone(), item));
        state = next;
    }
    states
}

fn step(item: &Field<'_>, from: &System, room: Option<u32>, findings: &mut Findings) -> System {
    let start = findings.count();
    let mut state = from.clone();
    let Some(section) = item.section(findings) else { return state };
    let typed_here = levers::read(section, &mut state, findings);
    if !are_comparable(from.layer, state.layer)
        && let Some(layer) = typed_here.iter().find(|typed| typed.lever == "layer")
    {
        let message = "a step may not change the layer".to_owned();
        let hint = "ratios across layers mean nothing, but for rpc and etcd";
        findings.wrong(layer.place, message, hint);
    }
    if findings.count() == start && state == *from {
        let hint = "each step moves at least one lever; the ladder starts at [arms.before]";
        findings.wrong(item.place, "this step changes nothing".to_owned(), hint);
    }
    report_useless(&typed_here, &[&state], findings);
    levers::report_crowded(&typed_here, state.connections, &[&state], room, findings);
    state
}

fn report_end(last: &System, after: &System, field: &Field<'_>, findings: &mut Findings) {
    let here = last.levers();
    let differing: Vec<String> = moved(last, after)
        .map(|(lever, there)| {
            let here = here.iter().find(|(name, _)| *name == lever);
            let here = here.map_or("not set", |(_, value)| value.as_str());
            format!("{lever} is {here}, not {there}")
        })
        .collect();
    let message = format!("the ladder does not arrive at [arms.after]: {}", differing.join(", "));
    findings.wrong(
        field.place,
        message,
        "the last step must make all levers equal to [arms.after]",
    );
}

/// The levers of `to` that differ from `from`, as spelled in scenario files. Another layer has other levers: then it is
/// the layer alone.
fn moved(from: &System, to: &System) -> impl Iterator<Item = (&'static str, String)> {
    let (before, is_same_layer) = (from.levers(), from.layer == to.layer);
    let moved = to.levers().into_iter().filter(move |lever| !before.contains(lever));
    moved.filter(move |(lever, _)| is_same_layer || *lever == "layer")
}

fn named(before: System, steps: Vec<System>, after: System) -> Vec<Arm> {
    let rungs = steps.len().saturating_sub(1);
    let states = steps.into_iter().take(rungs).chain([after]);
    let mut arms = vec![Arm { name: "before".to_owned(), lever: String::new(), system: before }];
    for (index, system) in states.enumerate() {
        let name = if index < rungs { format!("rung-{}", index + 1) } else { "after".to_owned() };
        let lever =
            moved(&arms[index].system, &system).map(|(lever, value)| format!("{lever} {value}"));
        let lever = lever.collect::<Vec<_>>().join(", ");
        arms.push(Arm { name, lever, system });
    }
    arms
}
