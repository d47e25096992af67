//! The witness before histories that are right, and before each kind of lie.

use super::*;
use crate::model::{Body, Interval, Put, Range, RangeResult, RequestOp, Response, Txn};
use crate::verify::Outcome;
use crate::verify::equivalence::log_of;
use crate::verify::generate::describe;

/// A store that is right, and clients that ask it one after the other or two at once.
struct Made {
    history: Vec<Operation>,
    oracle: Oracle,
}

fn put(key: &str, value: &str) -> Request {
    Request::put(key, value)
}

fn get(key: &str) -> Request {
    Request::Range(Range { interval: Interval::point(key), ..Range::default() })
}

impl Made {
    fn new() -> Made {
        Made { history: Vec::new(), oracle: Oracle::new() }
    }

    /// One more operation, after all others.
    fn ask(&mut self, request: Request) -> &mut Operation {
        let response = self.oracle.apply(&request);
        let now = 10 * self.history.len() as u64;
        self.history.push(Operation {
            client: 1,
            request,
            invoked: Nanos(now),
            returned: Nanos(now + 5),
            outcome: Outcome::Done(response),
        });
        self.history.last_mut().unwrap()
    }

    fn truth(&self) -> Vec<Event> {
        self.oracle.events(2, self.oracle.revision().max(2)).unwrap()
    }

    fn check(&self) -> Result<Witnessed, Fault> {
        self.check_with(&self.truth())
    }

    fn check_with(&self, truth: &[Event]) -> Result<Witnessed, Fault> {
        check(&self.history, truth, &[("member 1".to_owned(), self.oracle.dump())])
    }
}

fn violates(found: Result<Witnessed, Fault>, words: &str) {
    match found {
        Err(Fault::Violation(said)) => assert!(said.contains(words), "{said}"),
        other => panic!("{other:?}, not {words}"),
    }
}

fn small() -> Made {
    let mut made = Made::new();
    for request in [put("a", "1"), get("a"), put("b", "2"), put("a", "3"), get("b"), get("a")] {
        made.ask(request);
    }
    made
}

#[test]
fn what_a_right_store_did_has_a_witness() {
    for seed in 0..40 {
        let mut made = Made::new();
        let all = log_of(seed).into_iter().flatten().take(400);
        for request in all.filter(|request| {
            !matches!(request, Request::Compact { .. } | Request::LeaseTimeToLive { .. } | Request::Leases)
                && !request.is_alarm()
                // A lease is granted once in a history.
                && !matches!(request, Request::LeaseGrant { .. } | Request::LeaseRevoke { .. })
        }) {
            made.ask(request);
        }
        let found = made.check().unwrap_or_else(|fault| {
            let requests: Vec<_> = made.history.iter().map(|one| one.request.clone()).collect();
            panic!("seed {seed}: {fault}\n{}", describe(&requests))
        });
        assert_eq!(found.revisions as i64, made.oracle.revision() - 1);
    }
    assert_eq!(small().check().unwrap().answered, 6);
}

#[test]
fn leases_come_and_go() {
    let leased = |key: &str, lease| {
        Request::Put(Put { key: key.into(), value: b"v".to_vec(), lease, ..Put::default() })
    };
    let mut made = Made::new();
    made.ask(Request::LeaseGrant { id: 7, ttl_s: 60 });
    made.ask(leased("a", 7));
    made.ask(leased("b", 7));
    made.ask(Request::LeaseRevoke { id: 7 });
    made.ask(leased("c", 7));
    made.ask(Request::LeaseGrant { id: 8, ttl_s: 60 });
    made.ask(Request::LeaseRevoke { id: 8 });
    made.check().unwrap();
    // The revoke answers with the revision before the one that it made.
    let Outcome::Done(revoked) = &mut made.history[3].outcome else { unreachable!() };
    revoked.revision -= 1;
    violates(made.check(), "but it must be");
    let mut lost = Made::new();
    lost.ask(Request::LeaseGrant { id: 7, ttl_s: 60 });
    let refused = Response { revision: 1, result: Err(Refusal::LeaseNotFound) };
    lost.ask(get("a")).request = leased("a", 7);
    lost.history[1].outcome = Outcome::Done(refused);
    violates(lost.check(), "the lease was there");
}

fn delete(keys: &[&str]) -> Request {
    let delete = |key: &&str| match Request::delete(*key) {
        Request::DeleteRange(delete) => RequestOp::DeleteRange(delete),
        _ => unreachable!(),
    };
    Request::Txn(Txn { success: keys.iter().map(delete).collect(), ..Txn::default() })
}

/// Who made what may stay open in thousands of ways; what is wrong in all of them is wrong.
#[test]
fn what_no_choice_can_change_is_no_open_question() {
    let mut made = Made::new();
    for number in 0..12 {
        made.ask(put("a", &number.to_string()));
        let other = made.ask(get("a"));
        (other.request, other.outcome) = (delete(&["a", &format!("z{number}")]), Outcome::Unknown);
        made.ask(delete(&["a"])).outcome = Outcome::Unknown;
    }
    made.check().unwrap();
    let mut other = made.oracle.clone();
    other.apply(&put("more", "1"));
    let ends = [("member 2".to_owned(), other.dump())];
    violates(check(&made.history, &made.truth(), &ends), "member 2 ends otherwise");
}

/// Both delete all that hangs on the lease; what is answered later tells which it was, though it was not the one sent first.
#[test]
fn a_lease_that_may_be_gone_is_there_if_it_was_used_since() {
    let leased = |value: &str| {
        let (key, value) = (b"a".to_vec(), value.as_bytes().to_vec());
        Request::Put(Put { key, value, lease: 7, ..Put::default() })
    };
    let mut made = Made::new();
    made.ask(Request::LeaseGrant { id: 7, ttl_s: 60 });
    made.ask(leased("1"));
    let revoke = made.ask(get("a"));
    (revoke.request, revoke.outcome) = (Request::LeaseRevoke { id: 7 }, Outcome::Unknown);
    made.ask(Request::delete("a")).outcome = Outcome::Unknown;
    made.ask(leased("2"));
    assert_eq!(made.check().unwrap().unknown_executed, 1);
}

/// Whoever asked after a revision was seen did not make it, even if nobody else is left.
#[test]
fn nobody_made_what_was_seen_before_they_asked() {
    let mut made = Made::new();
    made.ask(put("a", "1"));
    made.oracle.apply(&delete(&["a"]));
    made.ask(get("a"));
    let late = made.ask(get("a"));
    (late.request, late.outcome) = (delete(&["a"]), Outcome::Unknown);
    violates(made.check(), "revision 3 is nobody's");
}

/// The one sent first would explain it, and is missing later, where nothing else does.
#[test]
fn another_who_may_have_made_a_revision_is_tried_too() {
    let made_of = |second: &[&str]| {
        let mut made = Made::new();
        made.ask(put("a", "1"));
        // Sent first and executed last.
        let early = made.ask(get("a"));
        (early.request, early.outcome) = (delete(second), Outcome::Unknown);
        made.ask(delete(&["a"])).outcome = Outcome::Unknown;
        made.ask(put("a", "2"));
        made.ask(put("b", "3"));
        made
    };
    let mut made = made_of(&["a", "b"]);
    made.oracle.apply(&delete(&["a", "b"]));
    assert_eq!(made.check().unwrap().unknown_executed, 2);
    // Whichever made the first, nobody made the last.
    let mut made = made_of(&["a", "c"]);
    made.oracle.apply(&delete(&["a", "b"]));
    violates(made.check(), "revision 6 is nobody's");
}

#[test]
fn a_grant_of_something_else_is_found() {
    for (id, ttl_s) in [(7, 61), (8, 60)] {
        let mut made = Made::new();
        let grant = made.ask(Request::LeaseGrant { id: 7, ttl_s: 60 });
        let granted = Ok(Body::LeaseGrant { id, ttl_s });
        grant.outcome = Outcome::Done(Response { revision: 1, result: granted });
        violates(made.check(), "but it must be Ok(LeaseGrant { id: 7, ttl_s: 60 })");
    }
}

#[test]
fn an_acknowledged_write_that_is_gone_is_found() {
    let mut made = small();
    let truth = made.truth();
    made.oracle = small().oracle;
    violates(made.check_with(&truth[..2]), "the store ends at revision 3");
}

fn small_whose_last_read_finds_the_first_value(revision: i64) -> Made {
    let mut made = small();
    let kv = made.truth()[0].kv.clone();
    let found = RangeResult { kvs: vec![kv], more: false, count: 1 };
    made.history[5].outcome = Outcome::Done(Response { revision, result: Ok(Body::Range(found)) });
    made
}

#[test]
fn a_stale_read_is_found() {
    // As of revision 3, when revision 4 was answered long ago.
    let mut made = small_whose_last_read_finds_the_first_value(3);
    violates(made.check(), "revision 4 was answered before that was sent");
    // Had it been sent before, it would be right.
    made.history[5].invoked = Nanos(31);
    made.history[3].returned = Nanos(36);
    made.check().unwrap();
}

#[test]
fn a_wrong_value_under_the_right_revision_is_found() {
    let made = small_whose_last_read_finds_the_first_value(4);
    violates(made.check(), "but it must be");
}

#[test]
fn a_write_that_was_applied_twice_is_found() {
    let mut made = small();
    made.oracle.apply(&put("a", "3"));
    violates(made.check(), "revision 5 is nobody's, or was made a second time");
}

#[test]
fn two_operations_with_one_revision_are_found() {
    let mut made = small();
    made.history[3].outcome = made.history[2].outcome.clone();
    violates(made.check(), "two operations have revision 3");
}

#[test]
fn a_member_that_ends_otherwise_is_found() {
    let made = small();
    let mut other = made.oracle.dump();
    other.keys[0].value = b"x".to_vec();
    let found = check(&made.history, &made.truth(), &[("member 2".to_owned(), other)]);
    violates(found, "member 2 ends otherwise");
}

#[test]
fn a_gap_in_the_revisions_is_found() {
    let made = small();
    let mut truth = made.truth();
    truth.remove(1);
    violates(made.check_with(&truth), "revision 3 is missing");
}

#[test]
fn an_unknown_outcome_may_be_either() {
    let mut made = small();
    made.ask(put("a", "late")).outcome = Outcome::Unknown;
    let executed = made.check().unwrap();
    assert_eq!((executed.unknown, executed.unknown_executed), (1, 1));
    let mut not = small();
    let (oracle, dump) = (small().oracle, small().oracle.dump());
    not.ask(put("a", "never")).outcome = Outcome::Unknown;
    not.oracle = oracle;
    assert_eq!(not.check().unwrap().unknown_executed, 0);
    assert_eq!(not.oracle.dump(), dump);
    // One that keeps the value writes it again.
    let mut kept = small();
    let again = Put { key: b"a".to_vec(), ignore_value: true, ..Put::default() };
    kept.ask(Request::Put(again)).outcome = Outcome::Unknown;
    assert_eq!(kept.check().unwrap().unknown_executed, 1);
    // Of one that surely was not executed nothing may be there.
    let mut refused = small();
    refused.ask(put("a", "refused")).outcome = Outcome::Refused;
    violates(refused.check(), "revision 5 is nobody's");
    // It cannot have been seen before it was sent.
    let mut early = small();
    early.ask(put("a", "early")).outcome = Outcome::Unknown;
    early.ask(get("a"));
    early.history[7].invoked = Nanos(41);
    early.history[7].returned = Nanos(44);
    violates(early.check(), "revision 5 is nobody's");
}
