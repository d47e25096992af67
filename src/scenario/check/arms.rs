//! What is compared: [system], the two arms over it, and the ladder of steps between them.

use super::field::Field;
use super::levers::{self, Typed};
use super::section::Section;
use crate::scenario::findings::Findings;
use crate::scenario::spec::{Arm, System};

/// Most steps of a ladder; each costs a trial in every block.
const STEPS_MAX: usize = 16;

/// The arms in ladder order: before, the rungs, after.
pub(super) fn read(root: &mut Section<'_>, findings: &mut Findings) -> Vec<Arm> {
    let start = findings.count();
    let mut base = levers::defaults();
    let mut typed = Vec::new();
    if let Some(system) = root.take("system").and_then(|field| field.section(findings)) {
        typed = levers::read(system, &mut base, findings);
    }
    let typed_for_both = typed.clone();
    let (mut before, mut after) = (base.clone(), base);
    let hint = "a scenario compares [arms.before] with [arms.after]";
    let arms = root.require("arms", hint, findings);
    if let Some(mut arms) = arms.and_then(|field| field.section(findings)) {
        let typed_before = arm(&mut arms, "before", &mut before, findings);
        let typed_after = arm(&mut arms, "after", &mut after, findings);
        report_layers(&before, &after, &typed_before, &typed_after, findings);
        levers::report_idle(&typed_before, &[&before], findings);
        levers::report_idle(&typed_after, &[&after], findings);
        typed.extend(typed_before.into_iter().chain(typed_after));
        arms.finish(findings);
    }
    levers::report_idle(&typed_for_both, &[&before, &after], findings);
    let steps = match root.take("ladder") {
        Some(field) => ladder(&field, &before, &mut typed, findings),
        None => Vec::new(),
    };
    levers::report_ignored(&typed, before.layer, findings);
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

fn report_layers(
    before: &System,
    after: &System,
    typed_before: &[Typed],
    typed_after: &[Typed],
    findings: &mut Findings,
) {
    if before.layer != after.layer {
        let layer = |typed: &&Typed| typed.lever == "layer";
        let typed = typed_after.iter().find(layer).or_else(|| typed_before.iter().find(layer));
        let place = typed.expect("layers differ only if an arm typed one").place;
        let message = format!("layer is {} before and {} after", before.layer, after.layer);
        findings.wrong(
            place,
            message,
            "ratios across layers mean nothing: set it once, in [system]",
        );
    }
}

/// The states after each step, each with its step.
fn ladder<'a>(
    field: &Field<'a>,
    before: &System,
    typed: &mut Vec<Typed>,
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
        let next = step(&item, &state, typed, findings);
        states.push((next.clone(), item));
        state = next;
    }
    states
}

fn step(
    item: &Field<'_>,
    from: &System,
    typed: &mut Vec<Typed>,
    findings: &mut Findings,
) -> System {
    let start = findings.count();
    let mut state = from.clone();
    let Some(section) = item.section(findings) else { return state };
    let typed_here = levers::read(section, &mut state, findings);
    if let Some(layer) =
        typed_here.iter().find(|typed| typed.lever == "layer" && state.layer != from.layer)
    {
        let message = "a step may not change the layer".to_owned();
        findings.wrong(layer.place, message, "ratios across layers mean nothing");
    }
    if findings.count() == start && state == *from {
        let hint = "each step moves at least one lever; the ladder starts at [arms.before]";
        findings.wrong(item.place, "this step changes nothing".to_owned(), hint);
    }
    levers::report_idle(&typed_here, &[&state], findings);
    typed.extend(typed_here);
    state
}

fn report_end(last: &System, after: &System, field: &Field<'_>, findings: &mut Findings) {
    let differing: Vec<String> = moved(last, after)
        .map(|(lever, there)| {
            let here = last.levers().into_iter().find(|(name, _)| *name == lever);
            let here = here.map(|(_, value)| value).unwrap_or_default();
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

/// The levers of `to` that differ from `from`, as spelled in scenario files.
fn moved(from: &System, to: &System) -> impl Iterator<Item = (&'static str, String)> {
    let pairs = from.levers().into_iter().zip(to.levers());
    pairs.filter(|(from, to)| from != to).map(|(_, to)| to)
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
