//! The revision witness: every answer carries the revision of the store, so the server itself names the order in which it says that it
//! executed everything. Checking that order takes O(n log n) for the whole keyspace, transactions, ranges and leases included:
//!
//! 1. The changes of all revisions, as one member has them, are the truth that is questioned. Each revision is claimed by one operation:
//!    the one that was answered with it and says that it changed something, else one whose outcome nobody knows and that would have
//!    done just this. A revision nobody asked for is a phantom, or an operation applied twice.
//! 2. The operations are executed in that order by the oracle. Every answer must be its answer, every change its change.
//! 3. What changed nothing was seen at the revision of its answer.
//! 4. An operation that was sent after another was answered comes after it; one that changed something, strictly.
//! 5. Every member ends in the state that the oracle ends in.
//!
//! An order that is legal and respects real time is a witness of strict serializability (Herlihy and Wing 1990; Papadimitriou 1979). That
//! a server which lies about its revisions consistently passes is what `wgl` is for, which does not look at them.
//!
//! A refusal that came over gRPC tells no revision: the oracle must refuse the same at one that its place in time allows.
//!
//! A lease has no revision. Its grant is answered with what was asked for. It is taken for granted from when it is first needed if its grant was sent before the answer
//! that needs it,
//! and a refusal for want of it is believed unless it must have been there.

mod refusals;
#[cfg(test)]
mod tests;

use super::history::{
    Operation, each_put, leases_of, may_be_behind, may_delete, revision_of, says_that_it_changed,
};
use super::oracle::Oracle;
use crate::model::{Event, EventKind, LeaseId, MainRevision, Refusal, Request};
use crate::store::Dump;
use crate::units::Nanos;
use refusals::Unplaced;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// A history that has a witness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Witnessed {
    /// Operations whose answers were compared.
    pub answered: u64,
    /// Operations that surely were not executed.
    pub refused: u64,
    /// Operations whose outcome no client knows.
    pub unknown: u64,
    /// Those of them that were executed after all.
    pub unknown_executed: u64,
    /// Changes of the store, the first revision left out.
    pub revisions: u64,
    /// Events in them.
    pub events: u64,
}

/// Why a history has none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No order explains it.
    #[error("{0}")]
    Violation(String),
    /// There may be one; what would tell is not known.
    #[error("undecided: {0}")]
    Undecided(String),
}

impl Fault {
    fn with(self, more: &str) -> Fault {
        match self {
            Fault::Violation(words) => Fault::Violation(words + more),
            Fault::Undecided(words) => Fault::Undecided(words + more),
        }
    }
}

/// Revisions before and after the one in question that are shown, each.
const AROUND: MainRevision = 4;

/// What happened before and after `revision`: where a part of the log was executed again, it shows here.
fn around(truth: &[Event], revision: MainRevision) -> String {
    let near =
        truth.iter().filter(|event| event.kv.mod_revision.abs_diff(revision) <= AROUND as u64);
    let near: Vec<Event> = near.cloned().collect();
    let each = near
        .chunk_by(|a, b| a.kv.mod_revision == b.kv.mod_revision)
        .map(|changes| format!("\n  {}: {}", changes[0].kv.mod_revision, shown(changes)));
    format!("\n  around it:{}", each.collect::<String>())
}

fn violation<T>(words: String) -> Result<T, Fault> {
    Err(Fault::Violation(words))
}

/// Ways that are followed to their end before it is left undecided, and those that wait meanwhile: several operations of unknown outcome may explain
/// a revision.
const WAYS_MAX: usize = 100;

/// Checks `history` against `truth`, every change from revision 2 on in order, and the `ends` of all members by name. Where more than one operation of
/// unknown outcome explains a revision, the one sent first is taken, and the others if that leads nowhere.
pub fn check(
    history: &[Operation],
    truth: &[Event],
    ends: &[(String, Dump)],
) -> Result<Witnessed, Fault> {
    let revisions: Vec<&[Event]> =
        truth.chunk_by(|a, b| a.kv.mod_revision == b.kv.mod_revision).collect();
    let question = Question { truth, revisions, ends };
    let checker = Checker::new(history);
    checker.whoever_saw_more_than(question.last())?;
    let mut ways = Ways::default();
    let mut outcome = question.follow(Way { checker, executed: 0 }, &mut ways);
    let words = match outcome {
        Ok(witnessed) => return Ok(witnessed),
        Err(Stop::Nobodys(words)) => words,
        // Who made what matters to who is left to explain a revision, and, where a lease may be gone with its keys, to the state.
        Err(Stop::Fault(Fault::Violation(words))) if ways.differ => words,
        Err(Stop::Fault(fault)) => return Err(fault),
    };
    for _ in 1..WAYS_MAX {
        let Some(way) = ways.waiting.pop() else { break };
        outcome = question.follow(way, &mut ways);
        if let Ok(witnessed) = outcome {
            return Ok(witnessed);
        }
    }
    match ways.is_cut || !ways.waiting.is_empty() {
        true => Err(Fault::Undecided(words)),
        false => Err(Fault::Violation(words)),
    }
}

/// Why a way goes no further.
enum Stop {
    /// Nobody is left who may have made a revision.
    Nobodys(String),
    /// Something else is wrong.
    Fault(Fault),
}

impl Stop {
    fn with(self, more: &str) -> Stop {
        match self {
            Stop::Nobodys(words) => Stop::Nobodys(words + more),
            Stop::Fault(fault) => Stop::Fault(fault.with(more)),
        }
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault)
    }
}

/// What is asked of a history.
struct Question<'a> {
    truth: &'a [Event],
    /// The same, by revision from 2 on.
    revisions: Vec<&'a [Event]>,
    ends: &'a [(String, Dump)],
}

/// A checker that has executed so many of the revisions from 2 on.
struct Way<'a> {
    checker: Checker<'a>,
    executed: usize,
}

/// Ways that were not followed yet, the next one last.
#[derive(Default)]
struct Ways<'a> {
    waiting: Vec<Way<'a>>,
    /// Whether some had no room.
    is_cut: bool,
    /// Whether some leave another state: of two who delete the same keys, one also ends the lease that they hang on.
    differ: bool,
}

impl<'a> Ways<'a> {
    fn add(&mut self, others: Vec<Checker<'a>>, executed: usize) {
        let room = WAYS_MAX - self.waiting.len();
        self.is_cut |= others.len() > room;
        // The likeliest are the last.
        let kept = others.into_iter().rev().take(room);
        let mut kept: Vec<_> = kept.map(|checker| Way { checker, executed }).collect();
        kept.reverse();
        self.waiting.append(&mut kept);
    }
}

impl Question<'_> {
    fn last(&self) -> MainRevision {
        self.truth.last().map_or(1, |event| event.kv.mod_revision)
    }

    /// Goes on to the end, or to where it goes no further. Adds ways that it could have gone.
    fn follow<'h>(&self, way: Way<'h>, ways: &mut Ways<'h>) -> Result<Witnessed, Stop> {
        let Way { mut checker, mut executed } = way;
        loop {
            let revision = executed as MainRevision + 1;
            checker.see(revision)?;
            checker.see_refusals(revision, self.last())?;
            let Some(changes) = self.revisions.get(executed) else { break };
            let (given, expected) = (changes[0].kv.mod_revision, revision + 1);
            if given != expected {
                let words = format!("revision {expected} is missing, {given} follows");
                return Err(Fault::Violation(words).into());
            }
            let others = checker
                .execute(given, changes)
                .map_err(|stop| stop.with(&around(self.truth, given)))?;
            executed += 1;
            ways.differ |= others.iter().any(|other| other.leaves_another_state_than(&checker));
            ways.add(others, executed);
        }
        checker.respects_time()?;
        checker.grants_are_as_asked()?;
        for (member, end) in self.ends {
            checker.ends_in(member, end)?;
        }
        Ok(checker.witnessed(self.truth))
    }
}

/// Operations that are told of a revision nobody made, at most.
const ASKED_MAX: usize = 3;

#[derive(Clone)]
struct Checker<'a> {
    history: &'a [Operation],
    oracle: Oracle,
    /// Answered operations by the revision of their answer, in the order of the history.
    by_revision: BTreeMap<MainRevision, Vec<usize>>,
    /// When a revision, or a later one, was in an answer first, by the revisions of answers.
    seen: Rc<BTreeMap<MainRevision, Nanos>>,
    /// Writes of unknown outcome that were not found executed, oldest first.
    unknown: Vec<usize>,
    /// Revisions of those that were.
    executed: HashMap<usize, MainRevision>,
    /// Operations that have a revision of their own.
    changed: HashSet<usize>,
    leases: HashMap<LeaseId, LeaseLife>,
    /// Refusals of no revision that the oracle has not made yet.
    refusals: Vec<Unplaced>,
}

/// What is known of a lease that is granted and revoked at most once.
#[derive(Clone, Copy, Debug, Default)]
struct LeaseLife {
    /// The operations.
    grant: Option<usize>,
    revoke: Option<usize>,
    /// Whether the oracle had it and has it no more.
    is_over: bool,
}

impl<'a> Checker<'a> {
    fn new(history: &'a [Operation]) -> Checker<'a> {
        let mut by_revision: BTreeMap<MainRevision, Vec<usize>> = BTreeMap::new();
        let mut leases: HashMap<LeaseId, LeaseLife> = HashMap::new();
        let mut unknown = Vec::new();
        for (number, operation) in history.iter().enumerate() {
            match (revision_of(operation), &operation.request) {
                (_, Request::LeaseGrant { id, .. }) => {
                    leases.entry(*id).or_default().grant = Some(number);
                }
                (Some(revision), _) => by_revision.entry(revision).or_default().push(number),
                (None, request) if operation.is_unknown() && request.is_write() => {
                    unknown.push(number);
                }
                _ => {}
            }
            if let Request::LeaseRevoke { id } = operation.request {
                leases.entry(id).or_default().revoke = Some(number);
            }
        }
        unknown.sort_by_key(|number| history[*number].invoked);
        let mut first = Nanos(u64::MAX);
        let earliest = |(revision, answered): (&MainRevision, &Vec<usize>)| {
            let returned = answered.iter().map(|number| history[*number].returned).min();
            first = first.min(returned.unwrap_or(first));
            (*revision, first)
        };
        let seen = by_revision.iter().rev().map(earliest).collect();
        Checker {
            history,
            oracle: Oracle::new(),
            by_revision,
            seen: Rc::new(seen),
            unknown,
            executed: HashMap::new(),
            changed: HashSet::new(),
            leases,
            refusals: refusals::of(history),
        }
    }

    fn told(&self, number: usize) -> String {
        let Operation { client, request, invoked, returned, outcome } = &self.history[number];
        let request = super::generate::describe(std::slice::from_ref(request));
        let (invoked, returned) = (invoked.0 as f64 / 1e6, returned.0 as f64 / 1e6);
        let request = request.trim_start_matches([' ', '0']).trim();
        format!("client {client}, {invoked:.3} to {returned:.3} ms: {request} -> {outcome:?}")
    }

    /// Nothing was answered with a revision that is not there: what was acknowledged is in the store.
    fn whoever_saw_more_than(&self, last: MainRevision) -> Result<(), Fault> {
        match self.by_revision.range(last + 1..).next() {
            Some((revision, who)) => violation(format!(
                "the store ends at revision {last}, and revision {revision} was answered: {}",
                self.told(who[0])
            )),
            None => Ok(()),
        }
    }

    /// Finds who made `revision` and has the oracle do the same. Gives what it would be if others had made it who may have.
    fn execute(
        &mut self,
        revision: MainRevision,
        changes: &[Event],
    ) -> Result<Vec<Checker<'a>>, Stop> {
        let answered = self.by_revision.get(&revision).cloned().unwrap_or_default();
        let says =
            |number: &usize| self.history[*number].response().is_some_and(says_that_it_changed);
        let mut claims: Vec<usize> = answered.iter().copied().filter(says).collect();
        if claims.is_empty() {
            // A revocation does not say, and one that found no keys was answered with the revision of whoever came before.
            let revokes = |number: &usize| self.revokes_something(*number, changes);
            claims.extend(answered.into_iter().filter(revokes));
        }
        match claims[..] {
            [] => self.explain(revision, changes),
            [number] => {
                self.need_leases(number);
                self.note_revoked(number);
                self.changed.insert(number);
                let expected = self.oracle.apply(&self.history[number].request);
                let given = self.history[number].response();
                if given != Some(&expected) {
                    let told = self.told(number);
                    let words = format!("{told}\n  but it must be {expected:?}");
                    return Err(Fault::Violation(words).into());
                }
                Ok(self.same_changes(revision, changes, number).map(|()| Vec::new())?)
            }
            [one, other, ..] => Err(Stop::Fault(Fault::Violation(format!(
                "two operations have revision {revision}:\n  {}\n  {}",
                self.told(one),
                self.told(other)
            )))),
        }
    }

    /// Whether it revoked a lease on which just the keys hang that `changes` deletes.
    fn revokes_something(&self, number: usize, changes: &[Event]) -> bool {
        let Request::LeaseRevoke { id } = self.history[number].request else { return false };
        let dump = |keys: &[Vec<u8>]| {
            keys.iter().eq(changes.iter().map(|event| &event.kv.key))
                && changes.iter().all(|event| event.kind == EventKind::Delete)
        };
        self.oracle.keys_of(id).is_some_and(|keys| dump(&keys))
    }

    /// Nobody was answered with `revision`: one whose outcome is unknown must have made it.
    fn explain(
        &mut self,
        revision: MainRevision,
        changes: &[Event],
    ) -> Result<Vec<Checker<'a>>, Stop> {
        // Whoever asked after it was seen did not make it.
        let seen = self.seen.range(revision..).next().map(|(_, seen)| *seen);
        let fits = |number: &usize| {
            let Operation { request, invoked, .. } = &self.history[*number];
            seen.is_none_or(|seen| *invoked <= seen) && may_have_made(request, changes)
        };
        let candidates: Vec<usize> = self.unknown.iter().copied().filter(fits).collect();
        let mut explaining: Vec<(usize, Oracle)> = Vec::new();
        for number in candidates {
            let request = &self.history[number].request;
            // Of two who asked for the same the one sent first will do.
            if explaining.iter().any(|(other, _)| self.history[*other].request == *request) {
                continue;
            }
            let before = self.oracle.clone();
            self.need_leases(number);
            self.oracle.apply(&self.history[number].request);
            if self.same_changes(revision, changes, number).is_ok() {
                explaining.push((number, std::mem::replace(&mut self.oracle, before)));
            } else {
                self.oracle = before;
            }
        }
        // The one sent first: what would explain this would explain later ones, too.
        let mut explaining = explaining.into_iter();
        let Some((number, after)) = explaining.next() else {
            return Err(self.nobodys(revision, changes));
        };
        // The next best last, since that is tried first.
        let made_by = |(number, after)| {
            let mut other = self.clone();
            other.believe(number, revision, after);
            other
        };
        let others = explaining.rev().map(made_by).collect();
        self.believe(number, revision, after);
        Ok(others)
    }

    /// Whether it has leases that the other has not, or the other way round.
    fn leaves_another_state_than(&self, other: &Checker<'_>) -> bool {
        self.leases.keys().any(|id| self.oracle.has_lease(*id) != other.oracle.has_lease(*id))
    }

    /// Goes on as if `number` had made `revision`, with the oracle as it is `after` that.
    fn believe(&mut self, number: usize, revision: MainRevision, after: Oracle) {
        self.oracle = after;
        self.unknown.retain(|unknown| *unknown != number);
        self.executed.insert(number, revision);
        self.changed.insert(number);
        self.note_revoked(number);
    }

    fn nobodys(&self, revision: MainRevision, changes: &[Event]) -> Stop {
        let asked = |number: &usize| may_have_made(&self.history[*number].request, changes);
        let all = (0..self.history.len()).filter(asked).take(ASKED_MAX);
        let before = |number: usize| {
            let revision = self.executed.get(&number).copied();
            let revision = revision.or_else(|| revision_of(&self.history[number]));
            revision.map_or_else(String::new, |revision| format!(" (at revision {revision})"))
        };
        let asked: String =
            all.map(|number| format!("\n  {}{}", self.told(number), before(number))).collect();
        let words = format!(
            "revision {revision} is nobody's, or was made a second time: {}; asked for by{}",
            shown(changes),
            if asked.is_empty() { " nobody" } else { &asked }
        );
        Stop::Nobodys(words)
    }

    fn same_changes(
        &self,
        revision: MainRevision,
        changes: &[Event],
        number: usize,
    ) -> Result<(), Fault> {
        let expected = self.oracle.events(revision, revision).unwrap_or_default();
        if self.oracle.revision() == revision && expected == changes {
            return Ok(());
        }
        violation(format!(
            "revision {revision} is {}\n  but {} must make it {}",
            shown(changes),
            self.told(number),
            shown(&expected)
        ))
    }

    /// Has the oracle answer what was answered at `revision` and changed nothing.
    fn see(&mut self, revision: MainRevision) -> Result<(), Fault> {
        for number in self.by_revision.remove(&revision).unwrap_or_default() {
            if self.changed.contains(&number) {
                continue;
            }
            let operation = &self.history[number];
            let Some(given) = operation.response() else { continue };
            if given.result == Err(Refusal::LeaseNotFound) {
                self.may_lack_lease(number)?;
                continue;
            }
            self.need_leases(number);
            let expected = self.oracle.apply(&operation.request);
            if expected != *given {
                let told = self.told(number);
                return violation(format!("{told}\n  but it must be {expected:?}"));
            }
            self.note_revoked(number);
        }
        Ok(())
    }

    /// Has the oracle refuse what was refused at `revision` or before it, if a refusal that tells no revision may have been of it.
    fn see_refusals(&mut self, revision: MainRevision, last: MainRevision) -> Result<(), Fault> {
        let open = std::mem::take(&mut self.refusals);
        let (now, later): (Vec<Unplaced>, Vec<Unplaced>) =
            open.into_iter().partition(|one| one.from <= revision);
        self.refusals = later;
        for one in now {
            let given = self.history[one.number].response().map(|answer| &answer.result);
            if given == Some(&Err(Refusal::LeaseNotFound)) {
                self.may_lack_lease(one.number)?;
                continue;
            }
            let before = self.oracle.clone();
            self.need_leases(one.number);
            let expected = self.oracle.apply(&self.history[one.number].request);
            self.oracle = before;
            if given == Some(&expected.result) {
                continue;
            }
            if revision >= one.until.min(last) {
                return violation(format!(
                    "{}\n  but nothing was so between the revisions {} and {revision}",
                    self.told(one.number),
                    one.from
                ));
            }
            self.refusals.push(one);
        }
        Ok(())
    }

    /// Grants the leases that an operation needs, if they may have been there.
    fn need_leases(&mut self, number: usize) {
        let operation = &self.history[number];
        for id in leases_of(&operation.request) {
            let life = self.leases.entry(id).or_default();
            let sent_before = |grant: &usize| {
                operation.is_unknown() || self.history[*grant].invoked < operation.returned
            };
            let was_granted =
                |grant: &usize| self.history[*grant].outcome != super::Outcome::Refused;
            let grant = life.grant.filter(sent_before).filter(was_granted);
            let must_be_there = !life.is_over && !self.oracle.has_lease(id);
            if let (true, Some(grant)) = (must_be_there, grant) {
                self.oracle.apply(&self.history[grant].request);
            }
        }
    }

    /// After a revocation that was executed nobody may have the lease.
    fn note_revoked(&mut self, number: usize) {
        if let Request::LeaseRevoke { id } = self.history[number].request {
            self.leases.entry(id).or_default().is_over = true;
        }
    }

    /// A refusal for want of a lease is a lie if it was granted before and nobody had revoked it.
    fn may_lack_lease(&self, number: usize) -> Result<(), Fault> {
        let operation = &self.history[number];
        let surely_there = |id: &LeaseId| {
            let life = self.leases.get(id).copied().unwrap_or_default();
            let granted = life.grant.map(|grant| &self.history[grant]);
            let is_granted = granted.is_some_and(|grant| {
                grant.response().is_some() && grant.returned < operation.invoked
            });
            let revoked = life.revoke.map(|revoke| &self.history[revoke]);
            is_granted && revoked.is_none_or(|revoke| revoke.invoked > operation.returned)
        };
        let leases = leases_of(&operation.request);
        match leases.iter().all(surely_there) && !leases.is_empty() {
            true => violation(format!("{}\n  but the lease was there", self.told(number))),
            false => Ok(()),
        }
    }

    /// Sweeps the history by time.
    fn respects_time(&self) -> Result<(), Fault> {
        let known = |number: usize| {
            revision_of(&self.history[number]).or_else(|| self.executed.get(&number).copied())
        };
        let is_stale = |number: usize| {
            let request = &self.history[number].request;
            may_be_behind(request) || matches!(request, Request::LeaseGrant { .. })
        };
        let placed = || (0..self.history.len()).filter(|number| !is_stale(*number));
        let mut sent: Vec<(Nanos, usize, MainRevision)> = placed()
            .filter_map(|number| Some((self.history[number].invoked, number, known(number)?)))
            .collect();
        let mut answered: Vec<(Nanos, usize, MainRevision)> = placed()
            .filter_map(|number| {
                let operation = &self.history[number];
                Some((operation.returned, number, revision_of(operation)?))
            })
            .collect();
        sent.sort_unstable();
        answered.sort_unstable();
        let (mut newest, mut ended) = (None, answered.into_iter().peekable());
        for (invoked, number, revision) in sent {
            while let Some((_, other, seen)) = ended.next_if(|(returned, ..)| *returned < invoked) {
                if newest.is_none_or(|(_, most)| seen > most) {
                    newest = Some((other, seen));
                }
            }
            let Some((other, seen)) = newest else { continue };
            let is_late =
                if self.changed.contains(&number) { revision <= seen } else { revision < seen };
            if is_late {
                return violation(format!(
                    "at revision {revision}: {}\n  but revision {seen} was answered before that was sent: {}",
                    self.told(number),
                    self.told(other)
                ));
            }
        }
        Ok(())
    }

    /// A grant has no place in the order, but there is one answer that it may get: each lease is asked for once.
    fn grants_are_as_asked(&self) -> Result<(), Fault> {
        for (number, operation) in self.history.iter().enumerate() {
            let (Request::LeaseGrant { .. }, Some(given)) =
                (&operation.request, operation.response())
            else {
                continue;
            };
            let expected = Oracle::new().apply(&operation.request).result;
            if given.result != expected {
                let told = self.told(number);
                return violation(format!("{told}\n  but it must be {expected:?}"));
            }
        }
        Ok(())
    }

    /// Compares a member's end with the oracle's, leases of unknown outcome as the member has them.
    fn ends_in(&mut self, member: &str, end: &Dump) -> Result<(), Fault> {
        let grants: Vec<(LeaseId, LeaseLife)> =
            self.leases.iter().map(|(id, life)| (*id, *life)).collect();
        let has = |id: LeaseId| end.leases.iter().any(|lease| lease.id == id);
        for (id, life) in grants {
            let is_granted =
                life.grant.is_some_and(|grant| match self.history[grant].is_unknown() {
                    true => has(id),
                    false => {
                        self.history[grant].response().is_some_and(|answer| answer.result.is_ok())
                    }
                });
            if let (true, false, false, Some(grant)) =
                (is_granted, life.is_over, self.oracle.has_lease(id), life.grant)
            {
                self.oracle.apply(&self.history[grant].request);
            }
            let revoked = life.revoke.filter(|revoke| self.history[*revoke].is_unknown());
            let has_no_keys = self.oracle.keys_of(id).is_some_and(|keys| keys.is_empty());
            if let (Some(revoke), true, false) = (revoked, has_no_keys, has(id)) {
                self.oracle.apply(&self.history[revoke].request);
            }
        }
        let expected = self.oracle.dump();
        match expected == *end {
            true => Ok(()),
            false => violation(format!("{member} ends otherwise: {}", difference(&expected, end))),
        }
    }

    fn witnessed(&self, truth: &[Event]) -> Witnessed {
        let count = |is: fn(&Operation) -> bool| self.history.iter().filter(|one| is(one)).count();
        Witnessed {
            answered: count(|one| one.response().is_some()) as u64,
            refused: count(|one| one.outcome == super::Outcome::Refused) as u64,
            unknown: count(Operation::is_unknown) as u64,
            unknown_executed: self.executed.len() as u64,
            revisions: self.oracle.revision() as u64 - 1,
            events: truth.len() as u64,
        }
    }
}

/// A first look at whether `request` may have made `changes`, before the oracle tries.
fn may_have_made(request: &Request, changes: &[Event]) -> bool {
    changes.iter().all(|event| match event.kind {
        EventKind::Delete => may_delete(request, &event.kv.key),
        EventKind::Put => {
            let mut puts_it = false;
            each_put(request, &mut |put| {
                // One that keeps the value writes whatever was there.
                let is_value = put.ignore_value || put.value == event.kv.value;
                puts_it |= put.key == event.kv.key && is_value;
            });
            puts_it
        }
    })
}

fn shown(changes: &[Event]) -> String {
    let each = changes.iter().map(|event| {
        let (key, value) = (event.kv.key.escape_ascii(), event.kv.value.escape_ascii());
        match event.kind {
            EventKind::Put => format!("put {key}={value}"),
            EventKind::Delete => format!("delete {key}"),
        }
    });
    let all: Vec<String> = each.collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}

/// The first thing in which two states differ.
fn difference(expected: &Dump, given: &Dump) -> String {
    if expected.revision != given.revision {
        return format!("at revision {}, not {}", given.revision, expected.revision);
    }
    let mut keys = expected.keys.iter().zip(&given.keys);
    if let Some((expected, given)) = keys.find(|(expected, given)| expected != given) {
        return format!("{given:?}, not {expected:?}");
    }
    if expected.keys.len() != given.keys.len() {
        return format!("{} keys, not {}", given.keys.len(), expected.keys.len());
    }
    format!("leases {:?}, not {:?}", given.leases, expected.leases)
}
