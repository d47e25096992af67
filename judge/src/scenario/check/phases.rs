//! How the load is sent: the [[phase]] tables.

use super::load;
use super::section::Section;
use crate::scenario::findings::Findings;
use crate::scenario::spec::{Arm, Connections, Layer, Load, Phase, WeightedOp};
use crate::units::Nanos;

const PHASES_MAX: usize = 16;
const WATCHERS_MAX: u32 = 10_000;
const WARMUP_DEFAULT: Nanos = Nanos::from_millis(150);
const WARMUP_MAX: Nanos = Nanos::from_millis(60_000);
const DURATION_DEFAULT: Nanos = Nanos::from_millis(500);
const DURATION_MIN: Nanos = Nanos::from_millis(50);
const DURATION_MAX: Nanos = Nanos::from_millis(24 * 3_600_000);

/// The phases in the order of the file; their loads fit `arms` and `ops`, and `room`, the most connections that a server here takes.
pub(super) fn read(
    root: &mut Section<'_>,
    arms: &[Arm],
    ops: &[WeightedOp],
    room: Option<u32>,
    findings: &mut Findings,
) -> Vec<Phase> {
    let hint = "add [[phase]] with a name and load = { closed = { clients = [50] } }";
    let Some(field) = root.require("phase", hint, findings) else { return Vec::new() };
    let start = findings.count();
    let sections = field.tables(findings);
    if sections.is_empty() && findings.count() == start {
        findings.wrong(field.place, "there is no phase".to_owned(), hint);
    }
    if sections.len() > PHASES_MAX {
        let message = format!("there are {} phases; allowed: 1 to {PHASES_MAX}", sections.len());
        findings.wrong(field.key_place, message, "");
        return Vec::new();
    }
    let room = room.filter(|_| arms.iter().any(connects_each_client));
    let mut phases: Vec<Phase> = Vec::new();
    for section in sections {
        let phase = phase(section, load::Known { arms, ops, earlier: &phases, room }, findings);
        phases.push(phase);
    }
    phases
}

/// Whether every client has a connection of its own to a server that is started here.
fn connects_each_client(arm: &Arm) -> bool {
    arm.system.layer == Layer::Rpc && arm.system.connections == Connections::PerClient
}

fn phase(mut section: Section<'_>, known: load::Known<'_>, findings: &mut Findings) -> Phase {
    let name = name(&mut section, known.earlier, findings);
    let load = section.require("load", load::EXAMPLE, findings);
    let load = load.and_then(|field| load::read(&field, known, findings));
    let (load, clients) = load.unwrap_or((Load::CLOSED, Vec::new()));
    let mut time = |key, allowed, default| {
        let field = section.take(key);
        field.and_then(|field| field.time(allowed, findings)).unwrap_or(default)
    };
    let warmup = time("warmup", Nanos::ZERO..=WARMUP_MAX, WARMUP_DEFAULT);
    let duration = time("duration", DURATION_MIN..=DURATION_MAX, DURATION_DEFAULT);
    let watchers = section.take("watchers");
    let watchers =
        watchers.and_then(|field| field.count32(0..=WATCHERS_MAX, findings)).unwrap_or(0);
    section.finish(findings);
    Phase { name, load, clients, warmup, duration, watchers }
}

fn name(section: &mut Section<'_>, earlier: &[Phase], findings: &mut Findings) -> String {
    let hint = "metrics name their phase, e.g. `name = \"saturate\"`";
    let Some(field) = section.require("name", hint, findings) else { return String::new() };
    let name = field.label(findings).unwrap_or_default();
    if !name.is_empty() && earlier.iter().any(|phase| phase.name == name) {
        let message = format!("an earlier phase is called `{name}`");
        findings.wrong(field.place, message, "phase names are unique");
    }
    name
}
