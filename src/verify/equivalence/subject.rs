//! A store beside the oracle: where they first differ, and the shortest log that shows it.

use crate::measure::stage::Probe;
use crate::model::{Position, Request, Response};
use crate::store::{self, ApplyPath, Command, Config};
use crate::verify::generate::describe;
use crate::verify::oracle::Oracle;
use std::sync::Arc;

/// Logs tried in search of a shorter one.
const ATTEMPTS: usize = 3_000;

/// A store under test.
pub struct Subject {
    /// The store.
    pub store: Arc<dyn ApplyPath>,
}

impl Subject {
    /// Writes go through the log, in one batch as far as no read comes between them.
    pub fn execute(&self, batch: &[Request], from: u64) -> Vec<Response> {
        let mut responses = Vec::with_capacity(batch.len());
        let mut commands = Vec::new();
        for (request, index) in batch.iter().zip(from..) {
            if request.is_write() {
                let position = Position { index, offset: 0 };
                commands.push(Command { position, request: request.clone() });
            } else {
                self.apply(&mut commands, &mut responses);
                responses.push(self.store.read(request).response);
            }
        }
        self.apply(&mut commands, &mut responses);
        responses
    }

    fn apply(&self, commands: &mut Vec<Command>, responses: &mut Vec<Response>) {
        let mut answers = Vec::with_capacity(commands.len());
        self.store.apply(commands, &mut answers);
        responses.extend(answers.into_iter().map(|answer| answer.response));
    }
}

/// What differs, and in which batch.
pub struct Difference {
    /// Counts from 0.
    pub batch: usize,
    what: String,
}

/// Executes `log` on a fresh store of `config`, see [`difference_in`].
///
/// # Panics
/// If no store can be opened in a temporary folder.
pub fn first_difference(config: Config, log: &[Vec<Request>]) -> Option<Difference> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = store::open(config, folder.path(), Probe::off()).expect("a new store opens");
    difference_in(store, log)
}

/// Executes `log` batch by batch on an empty store and on the oracle, and compares everything after each batch.
pub fn difference_in(store: Arc<dyn ApplyPath>, log: &[Vec<Request>]) -> Option<Difference> {
    let (subject, mut oracle) = (Subject { store }, Oracle::new());
    let mut from = 1;
    for (number, batch) in log.iter().enumerate() {
        let before = oracle.revision();
        let expected: Vec<_> = batch.iter().map(|request| oracle.apply(request)).collect();
        let given = subject.execute(batch, from);
        from += batch.len() as u64;
        let what = response_difference(&expected, &given)
            .or_else(|| state_difference(&subject, &oracle, before));
        if let Some(what) = what {
            return Some(Difference { batch: number, what });
        }
    }
    None
}

fn response_difference(expected: &[Response], given: &[Response]) -> Option<String> {
    if expected.len() != given.len() {
        let (asked, given) = (expected.len(), given.len());
        return Some(format!("{given} responses to {asked} requests"));
    }
    let mut pairs = expected.iter().zip(given).enumerate();
    let (at, (expected, given)) = pairs.find(|(_, (expected, given))| expected != given)?;
    Some(format!("request {at} of the last batch\n  expected {expected:?}\n  given    {given:?}"))
}

/// State, lease table, revision, and every event of the batch.
pub fn state_difference(subject: &Subject, oracle: &Oracle, before: i64) -> Option<String> {
    let (expected, given) = (oracle.dump(), subject.store.dump());
    if expected != given {
        return Some(format!("the state\n  expected {expected:?}\n  given    {given:?}"));
    }
    if expected.digest() != subject.store.digest() {
        return Some("the state hash".to_owned());
    }
    let from = (before + 1).max(oracle.compacted());
    let expected = oracle.events(from, oracle.revision());
    let given = subject.store.events(from, oracle.revision());
    let differ = expected != given;
    differ.then(|| format!("the events\n  expected {expected:?}\n  given    {given:?}"))
}

/// The shortest log found by leaving out batches, then requests, that still shows a difference; in words.
pub fn shortest(config: Config, mut log: Vec<Vec<Request>>, found: Difference) -> String {
    let mut found = found;
    log.truncate(found.batch + 1);
    let mut attempts = 0;
    for whole_batches in [true, false] {
        let mut at = 0;
        while let Some(shorter) = without(&log, at, whole_batches) {
            attempts += 1;
            match first_difference(config, &shorter) {
                Some(difference) => {
                    log = shorter;
                    log.truncate(difference.batch + 1);
                    found = difference;
                }
                None => at += 1,
            }
            if attempts == ATTEMPTS {
                break;
            }
        }
    }
    let batches: Vec<_> = log.iter().map(|batch| describe(batch)).collect();
    format!("{}\nafter this log, one paragraph a batch:\n{}", found.what, batches.join("\n"))
}

/// `log` without its `at`-th batch, or without its `at`-th request; nothing if there is none.
fn without(log: &[Vec<Request>], at: usize, whole_batches: bool) -> Option<Vec<Vec<Request>>> {
    let mut log = log.to_vec();
    if whole_batches {
        (at < log.len()).then(|| drop(log.remove(at)))?;
        return Some(log);
    }
    let mut before = 0;
    let batch = log.iter_mut().find(|batch| {
        before += batch.len();
        before > at
    })?;
    let place = at + batch.len() - before;
    batch.remove(place);
    log.retain(|batch| !batch.is_empty());
    Some(log)
}
