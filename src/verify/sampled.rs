//! What clients saw of a few keys among many, questioned without the rest: blindly, key by key, and by the revisions in their answers.
//!
//! A history of a whole store that is linearizable is so on each of its keys (Herlihy and Wing 1990, locality), so what is recorded of a
//! few keys may be asked alone. That needs everything that was done to them: until the moment from which on it is not recorded any more.
//! What was still under way then may have met what is not recorded. A read of that time is left out, and a write counts as one of unknown
//! outcome.
//!
//! *By revisions*: no two changes have one revision; what was sent after another was answered has no older one; a read at a revision finds
//! the newest change up to there.

use super::history::{Operation, Outcome, revision_of, says_that_it_changed};
use super::registers;
use super::wgl::register::Register;
use super::wgl::{self, Verdict};
use crate::model::{Body, KeyValue, MainRevision, Put, Request, Response};
use crate::units::Nanos;
use std::collections::BTreeMap;

/// Steps in search of an order of one key's operations: about a tenth of a second.
const STEPS_MAX: u64 = 200_000;
/// Operations that a finding quotes, at most.
const QUOTED_MAX: usize = 3;
/// Bytes of a value that are shown, at most.
const SHOWN_MAX: usize = 12;

/// What was recorded of some keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sampled {
    /// Reads of all of them before anybody else asked, none of them under way when the others were sent.
    pub before: Vec<Operation>,
    /// What clients asked meanwhile and after it.
    pub during: Vec<Operation>,
    /// When it was recorded no more, by key; keys that are not in it were to the end.
    pub cut: BTreeMap<Vec<u8>, Nanos>,
}

/// What is said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Keys on which something was done.
    pub keys: u64,
    /// Those on which more was done than was recorded.
    pub cut: u64,
    /// Operations of unknown outcome, not counting those that were under way at a cut.
    pub unknown: u64,
    /// Keys for which the search was given up.
    pub undecided: u64,
    /// What no order explains, in words.
    pub wrong: Vec<String>,
}

/// Questions what was recorded.
pub fn check(sampled: &Sampled) -> Found {
    let history = usable(sampled);
    let mut found = Found {
        unknown: sampled.during.iter().filter(|one| one.is_unknown()).count() as u64,
        cut: sampled.cut.len() as u64,
        ..Found::default()
    };
    blindly(&history, &mut found);
    found.wrong.extend(by_revisions(&history, &sampled.before));
    found
}

/// What may be asked: what was there at first as writes before all others, and of the rest what no unrecorded operation can have met.
/// Clients are numbered by place, so that each call is found again.
fn usable(sampled: &Sampled) -> Vec<Operation> {
    let first = sampled.before.iter().filter_map(as_written);
    let during = sampled.during.iter().filter_map(|operation| {
        let cut = key_of(&operation.request).and_then(|key| sampled.cut.get(key));
        let Some(cut) = cut else { return Some(operation.clone()) };
        let is_late = operation.returned >= *cut || operation.is_unknown();
        match () {
            () if operation.invoked >= *cut => None,
            () if is_late && !operation.request.is_write() => None,
            () if is_late => Some(Operation { outcome: Outcome::Unknown, ..operation.clone() }),
            () => Some(operation.clone()),
        }
    });
    let mut history: Vec<Operation> = first.chain(during).collect();
    history.sort_by_key(|operation| operation.invoked);
    for (place, operation) in history.iter_mut().enumerate() {
        operation.client = place as u64;
    }
    history
}

/// A value that was found, as the write that must have been there before.
fn as_written(read: &Operation) -> Option<Operation> {
    let kv = found_by(read)??;
    let put = Put { key: kv.key.clone(), value: kv.value.clone(), ..Put::default() };
    let response = Response { revision: kv.mod_revision, result: Ok(Body::Put { prev_kv: None }) };
    Some(Operation {
        client: 0,
        request: Request::Put(put),
        // Nothing else is as early, and all of these are about different keys.
        invoked: Nanos::ZERO,
        returned: Nanos::ZERO,
        outcome: Outcome::Done(response),
    })
}

/// What a read was answered with; nothing if it is no read, or has no answer.
fn found_by(operation: &Operation) -> Option<Option<&KeyValue>> {
    match &operation.response()?.result {
        Ok(Body::Range(found)) => Some(found.kvs.first()),
        _ => None,
    }
}

/// The key of an operation on one key.
pub fn key_of(request: &Request) -> Option<&[u8]> {
    match request {
        Request::Put(put) => Some(&put.key),
        Request::Range(range) if range.interval.is_point() => Some(&range.interval.key),
        Request::DeleteRange(delete) if delete.interval.is_point() => Some(&delete.interval.key),
        _ => None,
    }
}

fn blindly(history: &[Operation], found: &mut Found) {
    for (key, sent) in registers::by_client(history).by_key {
        found.keys += 1;
        let calls: Vec<_> = sent.iter().map(|(_, call)| *call).collect();
        match wgl::check(&Register::default(), &calls, STEPS_MAX) {
            Verdict::Linearizable => {}
            Verdict::Undecided { .. } => found.undecided += 1,
            Verdict::Violation { longest, stuck } => {
                let quote = |place: &usize| told(&history[sent[*place].0 as usize]);
                let last = longest.last().map(|place| format!("after {}, ", quote(place)));
                let stuck: Vec<String> = stuck.iter().take(QUOTED_MAX).map(quote).collect();
                found.wrong.push(format!(
                    "key {}: no order explains more than {} of {} operations: {}nothing explains {}",
                    key.escape_ascii(),
                    longest.len(),
                    calls.len(),
                    last.unwrap_or_default(),
                    stuck.join(" or ")
                ));
            }
        }
    }
}

/// The first breach of each kind, in words.
fn by_revisions(history: &[Operation], before: &[Operation]) -> Vec<String> {
    let start = before.iter().filter_map(revision_of).max().unwrap_or(0);
    let all = [one_change_each(history), respects_time(history, start), reads_the_newest(history)];
    all.into_iter().flatten().collect()
}

fn one_change_each(history: &[Operation]) -> Option<String> {
    let mut makers: BTreeMap<MainRevision, &Operation> = BTreeMap::new();
    history.iter().filter(|one| is_change(one) && one.returned > Nanos::ZERO).find_map(|one| {
        let other = makers.insert(revision_of(one)?, one)?;
        Some(format!("two changes have one revision: {} and {}", told(other), told(one)))
    })
}

fn is_change(operation: &Operation) -> bool {
    operation.response().is_some_and(says_that_it_changed)
}

/// Sweeps all keys by time. `start` is the newest revision seen before.
fn respects_time(history: &[Operation], start: MainRevision) -> Option<String> {
    let answered = |one: &&Operation| revision_of(one).is_some() && one.returned > Nanos::ZERO;
    let mut by_end: Vec<&Operation> = history.iter().filter(answered).collect();
    by_end.sort_by_key(|one| one.returned);
    let (mut newest, mut latest) = (start, None);
    let mut ended = by_end.into_iter().peekable();
    for operation in history.iter().filter(answered) {
        while let Some(other) = ended.next_if(|other| other.returned < operation.invoked) {
            let revision = revision_of(other)?;
            if revision > newest {
                (newest, latest) = (revision, Some(other));
            }
        }
        let revision = revision_of(operation)?;
        if revision < newest || (revision == newest && is_change(operation)) {
            let seen = latest.map_or_else(|| format!("revision {start}"), told);
            return Some(format!(
                "{} was sent after {seen} was answered, and has no newer revision",
                told(operation)
            ));
        }
    }
    None
}

fn reads_the_newest(history: &[Operation]) -> Option<String> {
    let mut by_key: BTreeMap<&[u8], Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        if let Some(key) = key_of(&operation.request) {
            by_key.entry(key).or_default().push(operation);
        }
    }
    by_key.into_values().find_map(|its| reads_the_newest_of(&its))
}

fn reads_the_newest_of(operations: &[&Operation]) -> Option<String> {
    // What an operation of unknown outcome did may have been found or not.
    let is_open = operations.iter().any(|one| one.is_unknown() && one.request.is_write());
    let changes: BTreeMap<MainRevision, &Operation> = operations
        .iter()
        .filter(|one| is_change(one))
        .filter_map(|one| Some((revision_of(one)?, *one)))
        .collect();
    operations.iter().find_map(|read| {
        let (found, revision) = (found_by(read)?, revision_of(read)?);
        let newest = changes.range(..=revision).next_back();
        let expected = newest.filter(|(_, change)| matches!(change.request, Request::Put(_)));
        let is_it = match (found, expected) {
            (Some(kv), Some((made, change))) => {
                let is_newer = is_open && kv.mod_revision > *made && kv.mod_revision <= revision;
                (kv.mod_revision == *made && is_value(&change.request, kv)) || is_newer
            }
            (None, None) => true,
            (Some(kv), None) => {
                let least = newest.map_or(0, |(made, _)| *made);
                is_open && kv.mod_revision > least && kv.mod_revision <= revision
            }
            (None, Some(_)) => is_open,
        };
        let change = newest.map_or_else(|| "nothing".to_owned(), |(_, change)| told(change));
        (!is_it).then(|| format!("{} should have found what was newest: {change}", told(read)))
    })
}

fn is_value(request: &Request, kv: &KeyValue) -> bool {
    matches!(request, Request::Put(put) if put.value == kv.value)
}

/// An operation in a line: when, what, and how it ended.
pub fn told(operation: &Operation) -> String {
    let value = |bytes: &[u8]| {
        let more = if bytes.len() > SHOWN_MAX { "…" } else { "" };
        format!("{}{more}", bytes[..bytes.len().min(SHOWN_MAX)].escape_ascii())
    };
    let asked = match &operation.request {
        Request::Put(put) => format!("put {}={}", put.key.escape_ascii(), value(&put.value)),
        Request::DeleteRange(delete) => format!("delete {}", delete.interval.key.escape_ascii()),
        Request::Range(range) => format!("get {}", range.interval.key.escape_ascii()),
        other => format!("{other:?}"),
    };
    let ended = match (&operation.outcome, found_by(operation)) {
        (Outcome::Unknown, _) => "unknown".to_owned(),
        (Outcome::Refused, _) => "refused".to_owned(),
        (Outcome::Done(answer), Some(Some(kv))) => {
            format!(
                "revision {}: {} of revision {}",
                answer.revision,
                value(&kv.value),
                kv.mod_revision
            )
        }
        (Outcome::Done(answer), Some(None)) => format!("revision {}: no such key", answer.revision),
        (Outcome::Done(Response { revision, result: Err(refusal) }), None) => {
            format!("revision {revision}: {refusal}")
        }
        (Outcome::Done(answer), None) => format!("revision {}", answer.revision),
    };
    if operation.returned == Nanos::ZERO {
        return format!("`{asked}` before the load ({ended})");
    }
    let ms = |at: Nanos| at.0 as f64 / 1e6;
    format!(
        "`{asked}` at {:.3} to {:.3} ms ({ended})",
        ms(operation.invoked),
        ms(operation.returned)
    )
}

#[cfg(test)]
mod tests;
