//! What is expected: the [[target]] tables.

use super::field::{Field, Words};
use super::section::Section;
use crate::scenario::findings::{Findings, did_you_mean};
use crate::scenario::problem::quoted;
use crate::scenario::raw::Value;
use crate::scenario::spec::{
    Arm, Bound, CheckId, Checks, Expectation, Layer, Load, Measure, MetricRef, OpKind, Phase,
    Target,
};
use crate::units::Unit;

const TARGETS_MAX: usize = 64;
/// Longest claim, characters.
const CLAIM_MAX: usize = 120;
const RATIO_EXAMPLE: &str = "write \">= 10\" (at least ten times) or \"<= 0.1\" (at most a tenth)";

/// What targets may refer to.
pub(super) struct Known<'a> {
    /// What is compared.
    pub(super) arms: &'a [Arm],
    /// The phases; absent if they have problems of their own.
    pub(super) phases: Option<&'a [Phase]>,
    /// Kinds of operation in the results.
    pub(super) kinds: Vec<OpKind>,
    /// What is checked besides what every run checks.
    pub(super) checks: Checks,
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
    let claim = section.take("claim");
    let claim = claim.map_or(Some(String::new()), |field| claim_of(&field, findings));
    let expectation = expectation(&mut section, known, findings);
    section.finish(findings);
    Some(Target { id: id?, claim: claim?, expectation: expectation? })
}

/// A check, or a bound on the value of an arm, or else one on the ratio.
fn expectation(
    section: &mut Section<'_>,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Option<Expectation> {
    let [check, value, ratio, arm] =
        ["check", "value", "ratio", "arm"].map(|key| section.take(key));
    if let Some(check) = check {
        let others = [section.take("metric"), value, ratio, arm];
        if let Some(other) = others.into_iter().flatten().next() {
            let message = "a target is a check or about a metric, not both".to_owned();
            findings.wrong(other.key_place, message, "write a [[target]] for each");
            return None;
        }
        return check_of(&check, known, findings).map(Expectation::Check);
    }
    let metric = section.require("metric", "write \"saturate.throughput@50\"", findings);
    let metric = metric.and_then(|field| metric_of(&field, known, findings));
    match (value, ratio) {
        (Some(_), Some(ratio)) => {
            let message = "a target is about a ratio or a value, not both".to_owned();
            findings.wrong(ratio.key_place, message, "write a [[target]] for each");
            None
        }
        (Some(value), None) => {
            let arm = section.require("arm", "whose value? write arm = \"after\"", findings);
            let arm = arm.and_then(|field| arm_of(&field, known, findings));
            let metric = metric?;
            let bound = value_bound(&value, metric.measure.unit(), findings);
            Some(Expectation::Value { metric, arm: arm?, bound: bound? })
        }
        (None, _) => {
            let bound = section.require("ratio", RATIO_EXAMPLE, findings);
            let bound = bound.and_then(|field| ratio_bound(&field, findings));
            if let Some(arm) = arm {
                let message = "a ratio is of both arms".to_owned();
                findings.wrong(arm.key_place, message, "leave `arm` out, or write `value`");
            }
            Some(Expectation::Ratio { metric: metric?, bound: bound? })
        }
    }
}

/// One line for the scoreboard.
fn claim_of(field: &Field<'_>, findings: &mut Findings) -> Option<String> {
    let text = field.text(findings)?;
    let is_one_line = !text.is_empty() && !text.contains(char::is_control);
    if !is_one_line || text.chars().count() > CLAIM_MAX {
        let message = format!("{} is not one line of 1 to {CLAIM_MAX} characters", field.name);
        findings.wrong(field.place, message, "say more in `analysis`");
        return None;
    }
    Some(text.to_owned())
}

pub(super) fn arm_of(
    field: &Field<'_>,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Option<String> {
    let typed = field.text(findings)?;
    let names = || known.arms.iter().map(|arm| arm.name.as_str());
    if names().any(|name| name == typed) {
        return Some(typed.to_owned());
    }
    let message = format!("{} names arm `{}`, which does not exist", field.name, quoted(typed));
    let all = || format!("arms: {}", names().collect::<Vec<_>>().join(", "));
    findings.wrong(field.place, message, did_you_mean(typed, names()).unwrap_or_else(all));
    None
}

/// A check that this scenario will see run.
fn check_of(field: &Field<'_>, known: &Known<'_>, findings: &mut Findings) -> Option<CheckId> {
    const CHECK: Words<CheckId> =
        Words { allowed: CheckId::WORDS, planned: &[], from_word: CheckId::from_word };
    let check = field.word(&CHECK, findings)?;
    let layer = known.layer();
    let any_watchers =
        || known.phases.is_none_or(|phases| phases.iter().any(|phase| phase.watchers > 0));
    let hint = match check {
        CheckId::SameState | CheckId::AckedOnce => None,
        CheckId::Bank => (!known.checks.bank).then_some("write bank = true in [check]"),
        CheckId::Versions => (!known.checks.versions).then_some("write versions = true in [check]"),
        CheckId::Leases => (!known.checks.leases).then_some("write leases = true in [check]"),
        CheckId::Linearizable => {
            (!known.checks.linearizable).then_some("write linearizable = true in [check]")
        }
        CheckId::WatchComplete => {
            (!any_watchers()).then_some("write watchers = 100 in a [[phase]]")
        }
        CheckId::LogReplays => (!matches!(layer, Layer::Raft | Layer::Rpc))
            .then_some("use layer = \"raft\" or \"rpc\""),
        CheckId::MembersAgree => {
            let alone = known.arms.iter().all(|arm| arm.system.nodes == 1);
            alone.then_some("write nodes = 3 in [system]")
        }
    };
    if let Some(hint) = hint {
        let message = format!("{} is \"{check}\", which this scenario does not check", field.name);
        findings.wrong(field.place, message, hint);
        return None;
    }
    Some(check)
}

impl Known<'_> {
    /// That of all arms.
    fn layer(&self) -> Layer {
        self.arms[0].system.layer
    }
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

pub(super) fn metric_of(
    field: &Field<'_>,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Option<MetricRef> {
    let text = field.text(findings)?;
    let Some((phase, measure, clients)) = parts(text) else {
        let message =
            format!("{} is \"{}\", which is not phase.measure@clients", field.name, quoted(text));
        let hint = "write \"saturate.throughput@50\", or \"paced.p99\" where the load is open";
        findings.wrong(field.place, message, hint);
        return None;
    };
    let (op, measure) = match measure.split_once('.') {
        Some((op, measure)) => (Some(op_of(field, op, known, findings)?), measure),
        None => (None, measure),
    };
    let measure = measure_of(field, measure, known, findings);
    if let (Some(op), Some(measure)) = (op, measure)
        && !measure.is_of_op()
    {
        let message =
            format!("{} is of `{op}` alone, but `{measure}` is of the whole mix", field.name);
        findings.wrong(field.place, message, "throughput and service times are told apart by kind");
        return None;
    }
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
    Some(MetricRef { phase: phase.to_owned(), op, measure: measure?, clients })
}

/// A kind of operation that the scenario's own operations give.
fn op_of(
    field: &Field<'_>,
    typed: &str,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Option<OpKind> {
    let kinds: Vec<&str> = known.kinds.iter().map(|kind| kind.as_str()).collect();
    let kind = OpKind::from_word(typed).filter(|kind| known.kinds.contains(kind));
    if kind.is_none() {
        let message = format!("{} is of `{}`, which is not sent", field.name, quoted(typed));
        findings.wrong(field.place, message, format!("kinds of operation: {}", kinds.join(", ")));
    }
    kind
}

fn measure_of(
    field: &Field<'_>,
    typed: &str,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Option<Measure> {
    const MEASURE: Words<Measure> =
        Words { allowed: Measure::WORDS, planned: &[], from_word: Measure::from_word };
    let value = Value::Text(typed.to_owned());
    let name = format!("the measure of {}", field.name);
    let measure = Field { name, value: &value, ..*field }.word(&MEASURE, findings)?;
    if let Some((why, hint)) = not_measured(measure, known) {
        findings.wrong(field.place, format!("{why}, so `{typed}` is not measured"), hint);
    }
    Some(measure)
}

/// Why a measure does not exist where the scenario looks, and what to do.
fn not_measured(measure: Measure, known: &Known<'_>) -> Option<(String, &'static str)> {
    use Measure::{
        AppliersMax, AppliersMean, EntriesPerOp, FsyncsPerOp, InFlight, LockContended,
        LockWaitShare, LocksPerOp, LogBytesPerOp, SystemCoresBusy, SystemCpuPerOp,
    };
    let layer = known.layer();
    let needs_log = matches!(measure, FsyncsPerOp | EntriesPerOp | LogBytesPerOp | InFlight);
    let needs_inside = matches!(
        measure,
        EntriesPerOp
            | LogBytesPerOp
            | InFlight
            | AppliersMean
            | AppliersMax
            | LockWaitShare
            | LockContended
            | LocksPerOp
    );
    let needs_clocks = matches!(measure, InFlight | AppliersMean | AppliersMax | LockWaitShare);
    if needs_log && !layer.has_log() {
        let why = format!("layer `{layer}` has no log");
        return Some((why, "choose another measure, or use layer = \"raft\""));
    }
    if needs_inside && layer.is_remote() {
        let why = format!("servers of layer `{layer}` are not looked into");
        return Some((why, "choose another measure, or use layer = \"raft\""));
    }
    if matches!(measure, SystemCpuPerOp | SystemCoresBusy) && layer == Layer::Store {
        let why = format!("layer `{layer}` runs on the clients' threads");
        return Some((why, "use cpu_per_op or cores_busy, or another layer"));
    }
    if needs_clocks && known.arms.iter().any(|arm| !arm.system.instruments) {
        let why = "an arm has instruments = false".to_owned();
        return Some((why, "leave its instruments on, or choose another measure"));
    }
    None
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

/// `>= 10`, `<= 0.1` or `2 .. 5`, on after / before.
fn ratio_bound(field: &Field<'_>, findings: &mut Findings) -> Option<Bound> {
    let number = |text: &str| {
        let ratio =
            text.trim().parse().ok().filter(|ratio: &f64| ratio.is_finite() && *ratio > 0.0);
        ratio.ok_or_else(|| "allowed: a finite number above 0".to_owned())
    };
    bound_of(field, number, RATIO_EXAMPLE, findings)
}

/// The same on a value, in its unit.
fn value_bound(field: &Field<'_>, unit: Unit, findings: &mut Findings) -> Option<Bound> {
    let example = match unit {
        Unit::PerSecond => "write \">= 10k/s\"",
        Unit::Time => "write \"<= 5ms\"",
        Unit::Share => "write \"<= 1%\"",
        Unit::Bytes => "write \"<= 64MiB\"",
        Unit::Count => "write \">= 512\" or \"1 .. 5\"",
    };
    bound_of(field, |text| unit.parse(text), example, findings)
}

fn bound_of(
    field: &Field<'_>,
    number: impl Fn(&str) -> Result<f64, String>,
    example: &str,
    findings: &mut Findings,
) -> Option<Bound> {
    let text = match field.value {
        Value::Integer(_) | Value::Float(_) => "",
        _ => field.text(findings)?.trim(),
    };
    let bound = match (text.split_at_checked(2), text.split_once("..")) {
        (Some((">=", least)), None) => number(least).map(Bound::AtLeast),
        (Some(("<=", most)), None) => number(most).map(Bound::AtMost),
        (_, Some((least, most))) => number(least)
            .and_then(|least| Ok((least, number(most)?)))
            .and_then(|(least, most)| match least <= most {
                true => Ok(Bound::Within(least, most)),
                false => Err("allowed: from the smaller to the larger".to_owned()),
            }),
        _ => {
            let message = format!("{} does not begin with >= or <=", field.name);
            findings.wrong(field.place, message, example);
            return None;
        }
    };
    match bound {
        Ok(bound) => Some(bound),
        Err(why) => {
            let message = format!("{} is \"{}\"; {why}", field.name, quoted(text));
            findings.wrong(field.place, message, example);
            None
        }
    }
}
