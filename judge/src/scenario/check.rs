//! From what was typed to what it means. Every check reports and goes on with a stand-in, so that one pass finds
//! all problems; the scenario returned is only good if nothing was found. It reads no file and runs nothing.

mod arms;
mod field;
mod gates;
mod levers;
mod load;
mod ops;
mod phases;
mod section;
mod targets;
mod trials;
mod workload;

use self::section::Section;
use super::findings::Findings;
use super::raw::{Node, Value};
use super::source::Place;
use super::spec::Scenario;
use crate::seed::Seed;

/// The only layout of scenario files so far.
const SCHEMA: u64 = 1;

/// Checks the whole tree; `text` is kept for the record. `room`: most connections that a server here takes.
pub(super) fn scenario(
    root: &Node,
    text: String,
    set: Vec<String>,
    room: Option<u32>,
    findings: &mut Findings,
) -> Scenario {
    let mut root = match &root.value {
        Value::Table(table) => Section::root(table),
        _ => unreachable!("a TOML document is a table"),
    };
    schema(&mut root, findings);
    let name = name(&mut root, findings);
    let analysis = analysis(&mut root, findings);
    let seed = seed(&mut root, findings);
    let arms::Compared { arms, both_ways } = arms::read(&mut root, room, findings);
    let start = findings.count();
    let (keys, values) =
        (workload::keys(&mut root, findings), workload::values(&mut root, findings));
    let ops = ops::read(&mut root, findings);
    if findings.count() == start {
        ops::report_misfits(&ops, &keys, values, findings);
    }
    let checks = ops::checks(&mut root, &ops, &keys, &arms, findings);
    let kinds = ops::kinds(&ops);
    let ops = ops::weighted(&ops);
    let before_phases = findings.count();
    let phases = phases::read(&mut root, &arms, &ops, room, findings);
    let known = targets::Known {
        arms: &arms,
        phases: (findings.count() == before_phases).then_some(phases.as_slice()),
        kinds,
        checks,
    };
    let trials = trials::read(&mut root, findings);
    arms::report_shared(&arms, trials.aa, findings);
    let targets = targets::read(&mut root, &known, findings);
    let gates = gates::read(&mut root, &known, findings);
    root.finish(findings);
    Scenario {
        name,
        analysis,
        seed,
        arms,
        both_ways,
        keys,
        values,
        ops,
        phases,
        trials,
        targets,
        gates,
        checks,
        text,
        set,
    }
}

fn schema(root: &mut Section<'_>, findings: &mut Findings) {
    let hint = format!("this version reads `schema = {SCHEMA}`");
    if let Some(field) = root.require("schema", &hint, findings)
        && let Some(found) = field.integer(findings)
        && found != i128::from(SCHEMA)
    {
        findings.wrong(field.place, format!("schema is {found}; allowed: {SCHEMA}"), hint);
    }
}

fn name(root: &mut Section<'_>, findings: &mut Findings) -> String {
    let field = root.require(
        "name",
        "reports are filed under it, e.g. `name = \"put_parallel\"`",
        findings,
    );
    field.and_then(|field| field.name(findings)).unwrap_or_default()
}

fn analysis(root: &mut Section<'_>, findings: &mut Findings) -> String {
    let Some(field) = root.take("analysis") else { return String::new() };
    let text = field.text(findings).unwrap_or_default();
    if text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') {
        findings.wrong(
            field.place,
            "analysis holds control characters".to_owned(),
            "write plain text",
        );
    }
    text.to_owned()
}

fn seed(root: &mut Section<'_>, findings: &mut Findings) -> Seed {
    const DEFAULT: u64 = 42;
    let allowed = 0..=i128::from(i64::MAX);
    let Some(field) = root.take("seed") else { return Seed(DEFAULT) };
    let seed = field.integer(findings).filter(|seed| {
        let good = allowed.contains(seed);
        if !good {
            findings.wrong(field.place, format!("seed is {seed}; allowed: 0 to {}", i64::MAX), "");
        }
        good
    });
    Seed(seed.and_then(|seed| u64::try_from(seed).ok()).unwrap_or(DEFAULT))
}

/// Two things that must agree were typed in two places: the one from `--set` is to blame, else the later one.
fn to_blame(a: Place, b: Place) -> Place {
    a.max(b)
}
