//! Transactions as Elle reads them: lists of `[:r key value]`, `[:w key value]` and `[:append key value]`.
//!
//! *Registers* (`--model rw-register`): what a history wrote and read plainly, key by key; of other keys nothing is told. A projection of
//! a strictly serializable history on some of its keys is one, too. Left out are keys that something may have deleted or put on a lease,
//! since Elle knows no delete; that were written without saying what; and that a transaction of unknown outcome writes on a condition,
//! since which of its branches was taken nobody knows.
//!
//! *Lists* (`--model list-append`): a transaction that compares the revision of a list and puts the list with one more element has read
//! what it puts but for the last element.

use super::LIST;
use super::text::quoted;
use super::turns::{Span, by_time};
use crate::model::{Body, Interval, Put, Range, Request, RequestOp, Response, Txn};
use crate::verify::history::{Operation, Outcome, each_put};
use std::collections::BTreeSet;
use std::io::{self, Write};

/// A transaction, as asked and as answered.
struct Told {
    span: Span,
    /// How it ended: `ok`, `fail` or `info`.
    kind: &'static str,
    asked: Vec<String>,
    answered: Vec<String>,
}

/// Reads and writes of keys that Elle can follow.
pub(super) fn write_registers(out: &mut impl Write, history: &[Operation]) -> io::Result<()> {
    let unfit = Unfit::of(history);
    write(out, history.iter().filter_map(|one| registers(one, &unfit)).collect())
}

/// Reads of lists, and what was appended.
pub(super) fn write_lists(out: &mut impl Write, history: &[Operation]) -> io::Result<()> {
    write(out, history.iter().filter_map(list).collect())
}

fn write(out: &mut impl Write, told: Vec<Told>) -> io::Result<()> {
    let spans: Vec<Span> = told.iter().map(|one| one.span).collect();
    for (index, turn) in by_time(&spans).into_iter().enumerate() {
        let Told { span, kind, asked, answered } = &told[turn.operation];
        let (kind, steps) = match turn.is_begin {
            true => ("invoke", asked),
            false => (*kind, answered),
        };
        writeln!(
            out,
            "{{:index {index}, :time {}, :type :{kind}, :process {}, :f :txn, :value [{}]}}",
            turn.at,
            span.process,
            steps.join(" ")
        )?;
    }
    Ok(())
}

/// A transaction of what an operation did; nothing of one that tells nothing.
fn transaction(operation: &Operation, asked: Vec<String>, answered: Vec<String>) -> Option<Told> {
    let kind = match &operation.outcome {
        Outcome::Done(Response { result: Ok(_), .. }) => "ok",
        Outcome::Done(_) | Outcome::Refused => "fail",
        Outcome::Unknown => "info",
    };
    let returned = (kind != "info").then_some(operation.returned.0);
    let span = Span { process: operation.client, invoked: operation.invoked.0, returned };
    (!asked.is_empty()).then_some(Told { span, kind, asked, answered })
}

/// Keys that cannot be followed.
struct Unfit<'a> {
    keys: BTreeSet<&'a [u8]>,
    /// Whatever lies in these.
    deleted: Vec<&'a Interval>,
}

impl<'a> Unfit<'a> {
    fn of(history: &'a [Operation]) -> Unfit<'a> {
        let mut unfit = Unfit { keys: BTreeSet::new(), deleted: Vec::new() };
        for operation in history {
            let is_open = operation.is_unknown() && is_conditional(&operation.request);
            each_put(&operation.request, &mut |put| {
                if is_open || put.lease != 0 || put.ignore_value || put.ignore_lease {
                    unfit.keys.insert(&put.key);
                }
            });
            match &operation.request {
                Request::DeleteRange(delete) => unfit.deleted.push(&delete.interval),
                Request::Txn(txn) => deletes(txn, &mut unfit.deleted),
                _ => {}
            }
        }
        let mut seen = BTreeSet::new();
        unfit.deleted.retain(|interval| seen.insert((&interval.key, &interval.range_end)));
        unfit
    }

    fn has(&self, key: &[u8]) -> bool {
        self.keys.contains(key) || self.deleted.iter().any(|interval| interval.contains(key))
    }
}

fn deletes<'a>(txn: &'a Txn, intervals: &mut Vec<&'a Interval>) {
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            RequestOp::DeleteRange(delete) => intervals.push(&delete.interval),
            RequestOp::Txn(inner) => deletes(inner, intervals),
            RequestOp::Put(_) | RequestOp::Range(_) => {}
        }
    }
}

fn is_conditional(request: &Request) -> bool {
    fn is(txn: &Txn) -> bool {
        let inner = |op: &RequestOp| matches!(op, RequestOp::Txn(inner) if is(inner));
        !txn.compares.is_empty() || txn.success.iter().any(inner)
    }
    matches!(request, Request::Txn(txn) if is(txn))
}

fn registers(operation: &Operation, unfit: &Unfit<'_>) -> Option<Told> {
    let body = operation.response().and_then(|response| response.result.as_ref().ok());
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    let mut steps = Steps { unfit, asked: &mut asked, answered: &mut answered };
    match &operation.request {
        Request::Put(put) => steps.put(put),
        Request::Range(range) => steps.range(range, body),
        Request::Txn(txn) => steps.txn(txn, body),
        _ => return None,
    }
    // A read without an answer tells nothing.
    let says_something = body.is_some() || asked.iter().any(|step| step.starts_with("[:w"));
    transaction(operation, asked, answered).filter(|_| says_something)
}

/// What a request did step by step, as far as it can be told.
struct Steps<'s, 'a> {
    unfit: &'s Unfit<'a>,
    asked: &'s mut Vec<String>,
    answered: &'s mut Vec<String>,
}

impl Steps<'_, '_> {
    fn put(&mut self, put: &Put) {
        if !self.unfit.has(&put.key) {
            let step = format!("[:w {} {}]", quoted(&put.key), quoted(&put.value));
            self.asked.push(step.clone());
            self.answered.push(step);
        }
    }

    fn range(&mut self, range: &Range, body: Option<&Body>) {
        if !is_plain(range) || self.unfit.has(&range.interval.key) {
            return;
        }
        let key = quoted(&range.interval.key);
        let value = match body {
            Some(Body::Range(found)) => found.kvs.first().map(|kv| quoted(&kv.value)),
            _ => None,
        };
        self.asked.push(format!("[:r {key} nil]"));
        self.answered.push(format!("[:r {key} {}]", value.as_deref().unwrap_or("nil")));
    }

    /// The branch that was taken; of one that was not executed the first, and of one of unknown outcome, too: if that is conditional, what
    /// it writes is unfit.
    fn txn(&mut self, txn: &Txn, body: Option<&Body>) {
        let (succeeded, bodies) = match body {
            Some(Body::Txn { succeeded, responses }) => {
                (*succeeded, responses.iter().map(|one| Some(&one.body)).collect())
            }
            _ => (true, vec![None; txn.success.len()]),
        };
        let taken = if succeeded { &txn.success } else { &txn.failure };
        for (op, body) in taken.iter().zip(bodies) {
            match op {
                RequestOp::Put(put) => self.put(put),
                RequestOp::Range(range) => self.range(range, body),
                RequestOp::Txn(inner) => self.txn(inner, body),
                RequestOp::DeleteRange(_) => {}
            }
        }
    }
}

/// Whether a read is of one key, now, and tells its value.
fn is_plain(range: &Range) -> bool {
    // Neither order nor a limit does anything to one key.
    let plain = Range {
        interval: range.interval.clone(),
        limit: range.limit,
        sort_order: range.sort_order,
        sort_target: range.sort_target,
        revision: range.revision.min(0),
        ..Range::default()
    };
    range.interval.is_point() && plain == *range
}

/// A plain read of a list, or an append.
fn list(operation: &Operation) -> Option<Told> {
    let body = operation.response().and_then(|response| response.result.as_ref().ok());
    match &operation.request {
        Request::Range(range) if is_list(&range.interval.key) && is_plain(range) => {
            let Some(Body::Range(found)) = body else { return None };
            let key = quoted(&range.interval.key);
            let elements = found.kvs.first().map_or(&b""[..], |kv| &kv.value);
            let read = format!("[:r {key} {}]", vector(&split(elements)));
            transaction(operation, vec![format!("[:r {key} nil]")], vec![read])
        }
        Request::Txn(Txn { compares, success, .. }) if !compares.is_empty() => {
            let [RequestOp::Put(put)] = success.as_slice() else { return None };
            if !is_list(&put.key) {
                return None;
            }
            let mut elements = split(&put.value);
            let (key, last) = (quoted(&put.key), elements.pop()?);
            let append = format!("[:append {key} {}]", quoted(last));
            let asked = vec![format!("[:r {key} nil]"), append.clone()];
            let read = format!("[:r {key} {}]", vector(&elements));
            match (&operation.outcome, body) {
                (_, Some(Body::Txn { succeeded: true, .. })) => {
                    transaction(operation, asked, vec![read, append])
                }
                (Outcome::Unknown, _) => transaction(operation, asked.clone(), asked),
                // It met another list, or was refused: nothing was appended.
                _ => transaction(operation, asked.clone(), asked)
                    .map(|told| Told { kind: "fail", ..told }),
            }
        }
        _ => None,
    }
}

fn is_list(key: &[u8]) -> bool {
    key.starts_with(LIST.as_bytes())
}

fn split(list: &[u8]) -> Vec<&[u8]> {
    list.split(|byte| *byte == b' ').filter(|element| !element.is_empty()).collect()
}

fn vector(elements: &[&[u8]]) -> String {
    let all: Vec<String> = elements.iter().map(|element| quoted(element)).collect();
    format!("[{}]", all.join(" "))
}
