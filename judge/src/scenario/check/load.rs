//! Who sends when: the key `load` of a [[phase]].

use super::field::{Field, Words};
use super::levers::HINT_ROOM;
use super::section::Section;
use crate::scenario::findings::{Findings, did_you_mean};
use crate::scenario::problem::quoted;
use crate::scenario::spec::{
    Arm, Arrival, Capacity, Condition, Course, Layer, Load, Open, Phase, Rate, Search,
    SearchPercentile, WeightedOp,
};
use crate::units::{Nanos, parse_nanos, parse_percent, parse_rate, rate_text};

const CLIENT_COUNTS_MAX: usize = 16;
const CLIENTS_MAX: u32 = 10_000;
const THINK_MIN: Nanos = Nanos::from_millis(1);
const THINK_MAX: Nanos = Nanos::from_millis(60_000);
/// Streams that the operations of an open load are taken from, unless the scenario says how many.
const STREAMS_DEFAULT: u32 = 64;
const RATE_MIN: f64 = 0.1;
const RATE_MAX: f64 = 10_000_000.0;
const RATES_MAX: usize = 16;
/// A rate beyond twice a capacity shows a queue that grows and nothing else.
const SHARE_MAX: f64 = 2.0;

pub(super) const EXAMPLE: &str = "write load = { closed = { clients = [1, 10, 50] } }";
const OPEN_EXAMPLE: &str =
    "write load = { open = { rate = \"2k/s\" } }, or with rate = \"70% of before.saturate@50\"";
const SEARCH_EXAMPLE: &str =
    "write load = { search = { rates = [\"1k/s\", \"100k/s\"], until = \"p99 <= 5ms\" } }";

/// What a load may refer to.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) arms: &'a [Arm],
    pub(super) ops: &'a [WeightedOp],
    /// Phases that run before it.
    pub(super) earlier: &'a [Phase],
    /// Most clients where each has a connection of its own to a server here.
    pub(super) room: Option<u32>,
}

/// A load and its client counts.
pub(super) fn read(
    field: &Field<'_>,
    known: Known<'_>,
    findings: &mut Findings,
) -> Option<(Load, Vec<u32>)> {
    let mut section = field.section(findings)?;
    let place = section.place;
    let [closed, open, search] = ["closed", "open", "search"].map(|form| section.take(form));
    section.finish(findings);
    [&open, &search].into_iter().flatten().for_each(|form| report_unfit(form, known, findings));
    let told = [closed.is_some(), open.is_some(), search.is_some()];
    // All of them are read, so that all problems are told.
    let forms = [
        closed.and_then(|field| self::closed(&field, known, findings)),
        open.and_then(|field| self::open(&field, known, findings)),
        search.and_then(|field| self::search(&field, known, findings)),
    ];
    match told.into_iter().filter(|told| *told).count() {
        1 => return forms.into_iter().flatten().next(),
        0 => findings.missing(place, format!("{} says no load", field.name), EXAMPLE),
        _ => {
            let message = format!("{} has more than one of closed, open, search", field.name);
            findings.wrong(place, message, "write a [[phase]] for each");
        }
    }
    None
}

fn closed(
    field: &Field<'_>,
    known: Known<'_>,
    findings: &mut Findings,
) -> Option<(Load, Vec<u32>)> {
    let mut section = field.section(findings)?;
    let clients = section.require("clients", EXAMPLE, findings);
    let think = section.take("think");
    section.finish(findings);
    let think = match think {
        Some(field) => think_time(&field, findings)?,
        None => Nanos::ZERO,
    };
    Some((Load::Closed { think }, client_counts(&clients?, known, findings)?))
}

/// `0s` or what a timer of the load's runtime can tell apart.
fn think_time(field: &Field<'_>, findings: &mut Findings) -> Option<Nanos> {
    let think = field.time(Nanos::ZERO..=THINK_MAX, findings)?;
    if think > Nanos::ZERO && think < THINK_MIN {
        let message =
            format!("{} is {think}; allowed: 0s, or {THINK_MIN} to {THINK_MAX}", field.name);
        findings.wrong(field.place, message, "for shorter pauses use load = { open = { … } }");
        return None;
    }
    Some(think)
}

/// The client counts of a closed loop, ascending.
fn client_counts(field: &Field<'_>, known: Known<'_>, findings: &mut Findings) -> Option<Vec<u32>> {
    let items = field.list(findings)?;
    if !(1..=CLIENT_COUNTS_MAX).contains(&items.len()) {
        let (name, count) = (&field.name, items.len());
        let message =
            format!("{name} has {count} client counts; allowed: 1 to {CLIENT_COUNTS_MAX}");
        findings.wrong(field.place, message, "");
        return None;
    }
    let mut counts = Vec::new();
    for item in items {
        let Some(count) = client_count(&item, known, findings) else { continue };
        if counts.contains(&count) {
            let message = format!("{count} clients are there twice");
            findings.wrong(item.place, message, "name each count once");
        }
        counts.push(count);
    }
    counts.sort_unstable();
    Some(counts)
}

fn client_count(field: &Field<'_>, known: Known<'_>, findings: &mut Findings) -> Option<u32> {
    let count = field.count32(1..=CLIENTS_MAX, findings)?;
    match known.room {
        Some(room) if count > room => {
            let message = format!(
                "{} is {count}; allowed: 1 to {room} here, with connections = \"per-client\"",
                field.name
            );
            findings.wrong(field.place, message, HINT_ROOM);
            None
        }
        _ => Some(count),
    }
}

/// A layer that keeps its caller has no operation that is sent while another is under way; and what depends on an
/// earlier answer cannot be due at a time of its own.
fn report_unfit(field: &Field<'_>, known: Known<'_>, findings: &mut Findings) {
    if known.arms.iter().any(|arm| arm.system.layer == Layer::Store) {
        let message =
            format!("{}: layer `store` keeps its caller until it has answered", field.name);
        findings.wrong(field.key_place, message, "use a closed loop, or layer = \"raft\"");
    }
    if known.ops.iter().any(|op| op.op.is_lease_cycle()) {
        let message = format!(
            "{}: a lease_cycle waits for its answers, so its requests cannot be due",
            field.name
        );
        findings.wrong(field.key_place, message, "use a closed loop, or other operations");
    }
}

fn open(field: &Field<'_>, known: Known<'_>, findings: &mut Findings) -> Option<(Load, Vec<u32>)> {
    let mut section = field.section(findings)?;
    let forms = ["rate", "steps", "ramp"].map(|form| section.take(form));
    let (arrival, clients) = spacing(&mut section, known, findings);
    let place = section.place;
    section.finish(findings);
    let told = forms.iter().flatten().count();
    let [rate, steps, ramp] = forms;
    let rate = rate.map(|rate| rate_of(&rate, known, findings).map(|rate| vec![rate]));
    let steps = steps.map(|steps| rates_of(&steps, 1, known, findings));
    let ramp = ramp.map(|ramp| rates_of(&ramp, 2, known, findings));
    match told {
        1 => {}
        0 => {
            findings.missing(place, format!("missing key `rate` in [{}]", field.name), OPEN_EXAMPLE)
        }
        _ => {
            let message = format!("{} has more than one of rate, steps, ramp", field.name);
            findings.wrong(place, message, OPEN_EXAMPLE);
        }
    }
    let course = if ramp.is_some() { Course::Ramp } else { Course::Steps };
    let rates = rate.or(steps).or(ramp)?;
    Some((Load::Open(Open { arrival: arrival?, course, rates: rates? }), vec![clients?]))
}

fn search(
    field: &Field<'_>,
    known: Known<'_>,
    findings: &mut Findings,
) -> Option<(Load, Vec<u32>)> {
    let mut section = field.section(findings)?;
    let rates = section.require("rates", SEARCH_EXAMPLE, findings);
    let until = section.require("until", SEARCH_EXAMPLE, findings);
    let (arrival, clients) = spacing(&mut section, known, findings);
    section.finish(findings);
    let bounds = rates.and_then(|field| search_bounds(&field, findings));
    let condition = until.and_then(|field| condition(&field, findings));
    let (lowest_per_s, highest_per_s) = bounds?;
    let search = Search { arrival: arrival?, lowest_per_s, highest_per_s, condition: condition? };
    Some((Load::Search(search), vec![clients?]))
}

/// How operations are spaced, and from how many streams they come.
fn spacing(
    section: &mut Section<'_>,
    known: Known<'_>,
    findings: &mut Findings,
) -> (Option<Arrival>, Option<u32>) {
    const ARRIVAL: Words<Arrival> =
        Words { allowed: Arrival::WORDS, planned: &[], from_word: Arrival::from_word };
    let arrival = match section.take("arrival") {
        Some(field) => field.word(&ARRIVAL, findings),
        None => Some(Arrival::Poisson),
    };
    let clients = match section.take("clients") {
        Some(field) => client_count(&field, known, findings),
        None => Some(STREAMS_DEFAULT),
    };
    (arrival, clients)
}

fn rates_of(
    field: &Field<'_>,
    least: usize,
    known: Known<'_>,
    findings: &mut Findings,
) -> Option<Vec<Rate>> {
    let items = field.list(findings)?;
    if !(least..=RATES_MAX).contains(&items.len()) {
        let message =
            format!("{} has {} rates; allowed: {least} to {RATES_MAX}", field.name, items.len());
        findings.wrong(field.place, message, "");
        return None;
    }
    // All of them are read, so that all problems are told.
    let rates: Vec<_> = items.iter().map(|item| rate_of(item, known, findings)).collect();
    rates.into_iter().collect()
}

/// `2k/s`, or `70% of before.saturate@50`.
fn rate_of(field: &Field<'_>, known: Known<'_>, findings: &mut Findings) -> Option<Rate> {
    let text = field.text(findings)?;
    match text.split_once(" of ") {
        Some((share, capacity)) => {
            let share = share_of(field, share, findings);
            let capacity = capacity_of(field, capacity.trim(), known, findings);
            Some(Rate::ShareOf { share: share?, capacity: capacity? })
        }
        None => absolute(field, text, findings).map(Rate::Absolute),
    }
}

fn absolute(field: &Field<'_>, text: &str, findings: &mut Findings) -> Option<f64> {
    match parse_rate(text) {
        Ok(rate) if (RATE_MIN..=RATE_MAX).contains(&rate) => Some(rate),
        Ok(rate) => {
            let (least, most) = (rate_text(RATE_MIN), rate_text(RATE_MAX));
            let message =
                format!("{} is {}; allowed: {least} to {most}", field.name, rate_text(rate));
            findings.wrong(field.place, message, "");
            None
        }
        Err(why) => field.unreadable(text, "a rate", &why, findings),
    }
}

fn share_of(field: &Field<'_>, text: &str, findings: &mut Findings) -> Option<f64> {
    let share = match parse_percent(text) {
        Ok(share) => share,
        Err(why) => return field.unreadable(text, "a share", &why, findings),
    };
    let good = share > 0.0 && share <= SHARE_MAX;
    if !good {
        let message = format!(
            "{} is {}; allowed: above 0, up to {} %",
            field.name,
            quoted(text.trim()),
            SHARE_MAX * 100.0
        );
        findings.wrong(field.place, message, "");
    }
    good.then_some(share)
}

/// `arm.phase@clients`: an arm of the scenario, at a client count of a closed loop that runs before.
fn capacity_of(
    field: &Field<'_>,
    text: &str,
    known: Known<'_>,
    findings: &mut Findings,
) -> Option<Capacity> {
    let parts = text.rsplit_once('@').and_then(|(path, clients)| {
        let (arm, phase) = path.split_once('.')?;
        Some((arm, phase, clients.parse::<u32>().ok()?))
    });
    let Some((arm, phase, clients)) = parts else {
        let message =
            format!("{} names \"{}\", which is not arm.phase@clients", field.name, quoted(text));
        findings.wrong(field.place, message, "write \"70% of before.saturate@50\"");
        return None;
    };
    let arms = || known.arms.iter().map(|arm| arm.name.as_str());
    if !arms().any(|name| name == arm) {
        let message = format!("{} names arm `{}`, which does not exist", field.name, quoted(arm));
        let names = || format!("arms: {}", arms().collect::<Vec<_>>().join(", "));
        findings.wrong(field.place, message, did_you_mean(arm, arms()).unwrap_or_else(names));
        return None;
    }
    let closed = || known.earlier.iter().filter(|phase| phase.load.is_closed());
    let Some(found) = closed().find(|earlier| earlier.name == phase) else {
        let message = format!(
            "{} names phase `{}`, which is no closed loop before this one",
            field.name,
            quoted(phase)
        );
        let names: Vec<&str> = closed().map(|phase| phase.name.as_str()).collect();
        let hint = match names.is_empty() {
            true => "put a [[phase]] with load = { closed = { clients = [50] } } before it".into(),
            false => format!("closed loops before it: {}", names.join(", ")),
        };
        findings.wrong(field.place, message, hint);
        return None;
    };
    if !found.clients.contains(&clients) {
        let counts: Vec<String> = found.clients.iter().map(u32::to_string).collect();
        let message =
            format!("{} names {clients} clients, which `{phase}` does not run", field.name);
        findings.wrong(field.place, message, format!("its client counts: {}", counts.join(", ")));
        return None;
    }
    Some(Capacity { arm: arm.to_owned(), phase: phase.to_owned(), clients })
}

/// The lowest and the highest rate of a search.
fn search_bounds(field: &Field<'_>, findings: &mut Findings) -> Option<(f64, f64)> {
    let items = field.list(findings)?;
    let [lowest, highest] = items.as_slice() else {
        let message = format!("{} has {} rates; allowed: 2", field.name, items.len());
        findings.wrong(field.place, message, SEARCH_EXAMPLE);
        return None;
    };
    let mut rate = |field: &Field<'_>| absolute(field, field.text(findings)?, findings);
    let (low, high) = (rate(lowest), rate(highest));
    let (low, high) = (low?, high?);
    if low >= high {
        let message = format!("the first of {} is not below the second", field.name);
        findings.wrong(field.place, message, SEARCH_EXAMPLE);
        return None;
    }
    Some((low, high))
}

/// `p99 <= 5ms`.
fn condition(field: &Field<'_>, findings: &mut Findings) -> Option<Condition> {
    let text = field.text(findings)?;
    let parts = text.split_once("<=").and_then(|(percentile, bound)| {
        Some((SearchPercentile::from_word(percentile.trim())?, bound.trim()))
    });
    let Some((percentile, bound)) = parts else {
        let (name, words) = (&field.name, SearchPercentile::WORDS.join(", "));
        let message = format!("{name} is \"{}\", which is no condition", quoted(text));
        findings.wrong(field.place, message, format!("write \"p99 <= 5ms\"; percentiles: {words}"));
        return None;
    };
    match parse_nanos(bound) {
        Ok(at_most) if at_most > Nanos::ZERO => Some(Condition { percentile, at_most }),
        Ok(_) => {
            findings.wrong(field.place, format!("{} bounds at 0", field.name), SEARCH_EXAMPLE);
            None
        }
        Err(why) => field.unreadable(bound, "a time", &why, findings),
    }
}
