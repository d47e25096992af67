//! What is compared: [system], the two arms over it, and the ladder of steps between them.

use super::field::Field;
use super::levers::{self, Typed};
use super::section::Section;
use crate::scenario::findings::Findings;
use crate::scenario::source::Place;
use crate::scenario::spec::{Arm, Layer, StepBothWays, System};

/// Most steps of a ladder; each costs a trial in every block.
const STEPS_MAX: usize = 16;

/// What is compared.
pub(super) struct Compared {
    /// Before, the rungs, those that are no rungs, after.
    pub(super) arms: Vec<Arm>,
    /// The steps, if they are measured both ways.
    pub(super) both_ways: Vec<StepBothWays>,
}

/// The steps between before and after.
#[derive(Default)]
struct Steps<'a> {
    /// The state after each of them, with where it is written.
    states: Vec<(System, Field<'a>)>,
    both_ways: bool,
}

/// `room`: most connections that a server here takes.
pub(super) fn read(root: &mut Section<'_>, room: Option<u32>, findings: &mut Findings) -> Compared {
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
        None => Steps::default(),
    };
    let mut systems = vec![&before, &after];
    systems.extend(steps.states.iter().map(|(state, _)| state));
    report_useless(&typed, &systems, findings);
    levers::report_crowded(&typed, shared, &systems, room, findings);
    if let Some((last, field)) = steps.states.last()
        && findings.count() == start
        && *last != after
    {
        report_end(last, &after, field, findings);
    }
    let states = steps.states.iter().map(|(state, _)| state.clone()).collect();
    let arms = named(before, states, after);
    match steps.both_ways {
        true => with_both_ways(arms, &steps),
        false => Compared { arms, both_ways: Vec::new() },
    }
}

/// Adds the arms that show each step alone and last, as far as no arm is that already.
fn with_both_ways(mut arms: Vec<Arm>, steps: &Steps<'_>) -> Compared {
    let items: Vec<&Field<'_>> = steps.states.iter().map(|(_, item)| item).collect();
    let before = arms[0].system.clone();
    let mut both_ways = Vec::new();
    for place in 0..items.len() {
        let lever = arms[place + 1].lever.clone();
        let number = place + 1;
        let alone = over(&before, &[items[place]]);
        let others: Vec<_> = items[..place].iter().chain(&items[place + 1..]).copied().collect();
        let without = over(&before, &others);
        both_ways.push((lever, number, alone, without));
    }
    let mut apart: Vec<Arm> = Vec::new();
    let mut name_of = |system: System, name: String, lever: String| -> String {
        let known = arms.iter().chain(&apart).find(|arm| arm.system == system);
        if let Some(known) = known {
            return known.name.clone();
        }
        apart.push(Arm { name: name.clone(), lever, apart: true, system });
        name
    };
    let both_ways = both_ways.into_iter().map(|(lever, number, alone, without)| StepBothWays {
        alone: name_of(alone, format!("alone-{number}"), format!("{lever} alone")),
        without: name_of(without, format!("without-{number}"), format!("without {lever}")),
        lever,
    });
    let both_ways = both_ways.collect();
    let last = arms.len() - 1;
    arms.splice(last..last, apart);
    Compared { arms, both_ways }
}

/// `before` with the levers of `items`, one after the other. Problems in them were found where the ladder was read.
fn over(before: &System, items: &[&Field<'_>]) -> System {
    let (mut state, mut known) = (before.clone(), Findings::default());
    for item in items {
        if let Some(section) = item.section(&mut known) {
            levers::read(section, &mut state, &mut known);
        }
    }
    state
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

/// The states after each step, each with its step. No steps at all are as no ladder: an override cannot take a section away.
fn ladder<'a>(
    field: &Field<'a>,
    before: &System,
    room: Option<u32>,
    findings: &mut Findings,
) -> Steps<'a> {
    let Some(mut section) = field.section(findings) else { return Steps::default() };
    let hint = "write steps = [{ propose = \"pipelined\" }, ...]";
    let steps = section.require("steps", hint, findings);
    let both_ways = section.take("both_ways").and_then(|field| field.flag(findings));
    section.finish(findings);
    let Some(steps) = steps else { return Steps::default() };
    let items = steps.list(findings).unwrap_or_default();
    if items.len() > STEPS_MAX {
        let message =
            format!("{} has {} steps; allowed: at most {STEPS_MAX}", steps.name, items.len());
        findings.wrong(steps.place, message, "");
        return Steps::default();
    }
    let mut state = before.clone();
    let mut states = Vec::new();
    for item in items {
        let next = step(&item, &state, room, findings);
        states.push((next.clone(), item));
        state = next;
    }
    Steps { states, both_ways: both_ways.unwrap_or(false) }
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
    let mut arms =
        vec![Arm { name: "before".to_owned(), lever: String::new(), apart: false, system: before }];
    for (index, system) in states.enumerate() {
        let name = if index < rungs { format!("rung-{}", index + 1) } else { "after".to_owned() };
        let lever =
            moved(&arms[index].system, &system).map(|(lever, value)| format!("{lever} {value}"));
        let lever = lever.collect::<Vec<_>>().join(", ");
        arms.push(Arm { name, lever, apart: false, system });
    }
    arms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::spec::{Apply, Propose, Scenario};
    use crate::scenario::{Options, parse};

    fn scenario(ladder: &str) -> Scenario {
        let text = format!(
            "schema = 1\nname = \"x\"\n[arms.before]\napply = \"global-mutex\"\npropose = \"serial\"\n\
             [arms.after]\n[ladder]\n{ladder}\nsteps = [\n{{ propose = \"pipelined\" }},\n{{ apply = \"sharded\" }},\n\
             {{ propose = \"batched\" }},\n]\n[[op]]\nput = {{}}\n[[phase]]\nname = \"a\"\nload.closed.clients = [1]\n"
        );
        parse("x.toml", &text, &Options::default()).unwrap()
    }

    #[test]
    fn steps_are_measured_alone_and_last_as_far_as_no_arm_is_that_already() {
        let scenario = scenario("both_ways = true");
        let names: Vec<_> = scenario.arms.iter().map(|arm| arm.name.as_str()).collect();
        assert_eq!(names, ["before", "rung-1", "rung-2", "alone-2", "without-2", "after"]);
        let step = |lever: &str, alone: &str, without: &str| StepBothWays {
            lever: lever.to_owned(),
            alone: alone.to_owned(),
            without: without.to_owned(),
        };
        let wanted = [
            // Batching does what pipelining does, so without it nothing changes.
            step("propose pipelined", "rung-1", "after"),
            step("apply sharded", "alone-2", "without-2"),
            // All but sharding is batching alone.
            step("propose batched", "without-2", "rung-2"),
        ];
        assert_eq!(scenario.both_ways, wanted);
        let arm = |name: &str| scenario.arms.iter().find(|arm| arm.name == name).unwrap();
        let (alone, without) = (arm("alone-2"), arm("without-2"));
        assert_eq!((alone.system.apply, alone.system.propose), (Apply::Sharded, Propose::Serial));
        assert_eq!(without.system.apply, Apply::GlobalMutex);
        assert_eq!(without.system.propose, Propose::Batched);
        assert_eq!(
            (alone.lever.as_str(), without.lever.as_str(), alone.apart),
            ("apply sharded alone", "without apply sharded", true)
        );
        assert!(!arm("rung-1").apart && !arm("after").apart);
    }

    #[test]
    fn nobody_pays_for_it_who_did_not_ask() {
        let scenario = scenario("");
        assert!(scenario.both_ways.is_empty());
        assert_eq!(scenario.arms.len(), 4);
    }
}
