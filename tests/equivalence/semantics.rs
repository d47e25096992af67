//! The oracle itself, against cases worked out by hand from etcd's rules: what the stores are measured by must not be
//! right merely because they agree with it.

use kvbench::model::{
    Body, Compare, CompareResult, DeleteRange, EventKind, Interval, KeyValue, LeaseStatus,
    OpResponse, Operand, Put, Range, RangeResult, Refusal, Request, RequestOp, Response, SortOrder,
    SortTarget, Txn, validate,
};
use kvbench::seed::Seed;
use kvbench::verify::generate::{Generator, Hint, Shape, describe};
use kvbench::verify::oracle::Oracle;
use std::collections::BTreeSet;

// Words to write the cases in.

fn kv(key: &str, value: &str, create: i64, modified: i64, version: i64) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: value.into(),
        create_revision: create,
        mod_revision: modified,
        version,
        lease: 0,
    }
}

fn leased(key: &str, lease: i64) -> Put {
    Put { key: key.into(), value: b"v".to_vec(), lease, ..Put::default() }
}

fn plain(key: &str, value: &str) -> Put {
    Put { key: key.into(), value: value.into(), ..Put::default() }
}

fn everything() -> Range {
    Range { interval: Interval::everything(), ..Range::default() }
}

fn at(key: &str, revision: i64) -> Range {
    Range { interval: Interval::point(key), revision, ..Range::default() }
}

fn put_step(key: &str, value: &str) -> RequestOp {
    RequestOp::Put(plain(key, value))
}

fn delete_step(key: &str) -> RequestOp {
    RequestOp::DeleteRange(DeleteRange { interval: Interval::point(key), prev_kv: true })
}

fn compare(key: &str, result: CompareResult, operand: Operand) -> Compare {
    Compare { interval: Interval::point(key), result, operand }
}

fn always(success: Vec<RequestOp>) -> Txn {
    Txn { success, ..Txn::default() }
}

fn put(oracle: &mut Oracle, key: &str, value: &str) {
    oracle.apply(&Request::put(key, value)).result.unwrap();
}

fn range(oracle: &mut Oracle, range: Range) -> RangeResult {
    match oracle.apply(&Request::Range(range)).result {
        Ok(Body::Range(result)) => result,
        other => panic!("not a range: {other:?}"),
    }
}

/// The keys a range answers with, as text.
fn keys(oracle: &mut Oracle, asked: Range) -> Vec<String> {
    let kvs = range(oracle, asked).kvs;
    kvs.into_iter().map(|kv| String::from_utf8(kv.key).unwrap()).collect()
}

fn txn(oracle: &mut Oracle, txn: Txn) -> (bool, Vec<OpResponse>) {
    match oracle.apply(&Request::Txn(txn)).result {
        Ok(Body::Txn { succeeded, responses }) => (succeeded, responses),
        other => panic!("not a transaction: {other:?}"),
    }
}

fn refused(oracle: &mut Oracle, request: &Request) -> Refusal {
    let before = oracle.dump();
    let response = oracle.apply(request);
    assert_eq!(oracle.dump(), before, "a refused request changed something");
    assert_eq!(response.revision, before.revision);
    response.result.unwrap_err()
}

fn grant(oracle: &mut Oracle, id: i64) {
    oracle.apply(&Request::LeaseGrant { id, ttl_s: 60 }).result.unwrap();
}

// The cases.

#[test]
fn a_put_counts_revisions_and_versions_even_of_the_same_value() {
    let mut oracle = Oracle::new();
    assert_eq!((oracle.revision(), oracle.compacted()), (1, 0));
    put(&mut oracle, "a", "1");
    let again = Put { prev_kv: true, ..plain("a", "1") };
    let response = oracle.apply(&Request::Put(again));
    let prev_kv = Some(kv("a", "1", 2, 2, 1));
    assert_eq!(response, Response { revision: 3, result: Ok(Body::Put { prev_kv }) });
    let silent = oracle.apply(&Request::put("a", "2"));
    assert_eq!(silent.result, Ok(Body::Put { prev_kv: None }));
    assert_eq!(oracle.dump().keys, [kv("a", "2", 2, 4, 3)]);
}

#[test]
fn a_key_that_comes_back_starts_a_new_life() {
    let mut oracle = Oracle::new();
    put(&mut oracle, "a", "1");
    put(&mut oracle, "a", "2");
    let delete = DeleteRange { interval: Interval::point("a"), prev_kv: true };
    let response = oracle.apply(&Request::DeleteRange(delete.clone()));
    let gone = Body::DeleteRange { deleted: 1, prev_kvs: vec![kv("a", "2", 2, 3, 2)] };
    assert_eq!(response, Response { revision: 4, result: Ok(gone) });
    let nothing = Body::DeleteRange { deleted: 0, prev_kvs: Vec::new() };
    let again = oracle.apply(&Request::DeleteRange(delete));
    assert_eq!(again, Response { revision: 4, result: Ok(nothing) });
    put(&mut oracle, "a", "3");
    assert_eq!(oracle.dump().keys, [kv("a", "3", 5, 5, 1)]);
    assert_eq!(range(&mut oracle, at("a", 3)).kvs, [kv("a", "2", 2, 3, 2)]);
    assert_eq!(range(&mut oracle, at("a", 4)), RangeResult::default());
}

#[test]
fn what_is_ignored_is_kept_and_has_to_be_there() {
    let mut oracle = Oracle::new();
    let value = Put { ignore_value: true, ..leased("a", 0) };
    let value = Put { value: Vec::new(), ..value };
    let lease = Put { ignore_lease: true, ..plain("a", "2") };
    assert_eq!(refused(&mut oracle, &Request::Put(value.clone())), Refusal::KeyNotFound);
    assert_eq!(refused(&mut oracle, &Request::Put(lease.clone())), Refusal::KeyNotFound);
    grant(&mut oracle, 7);
    oracle.apply(&Request::Put(leased("a", 7))).result.unwrap();
    oracle.apply(&Request::Put(lease)).result.unwrap();
    assert_eq!(oracle.dump().keys, [KeyValue { lease: 7, ..kv("a", "2", 2, 3, 2) }]);
    oracle.apply(&Request::Put(value)).result.unwrap();
    assert_eq!(oracle.dump().keys, [kv("a", "2", 2, 4, 3)]);
    assert!(oracle.dump().leases[0].keys.is_empty(), "a put without a lease leaves the old one");
}

#[test]
fn which_reason_a_put_is_refused_for_depends_on_where_it_stands() {
    let mut oracle = Oracle::new();
    let both = Put { key: b"a".to_vec(), lease: 9, ignore_value: true, ..Put::default() };
    assert_eq!(refused(&mut oracle, &Request::Put(both.clone())), Refusal::LeaseNotFound);
    let within = Request::Txn(always(vec![RequestOp::Put(both)]));
    assert_eq!(refused(&mut oracle, &within), Refusal::KeyNotFound);
}

#[test]
fn a_range_delete_is_one_revision_in_key_order() {
    let mut oracle = Oracle::new();
    for key in ["c", "a", "b", "d"] {
        put(&mut oracle, key, key);
    }
    let delete = DeleteRange { interval: Interval::between("a", "d"), prev_kv: true };
    let response = oracle.apply(&Request::DeleteRange(delete));
    let prev_kvs = vec![kv("a", "a", 3, 3, 1), kv("b", "b", 4, 4, 1), kv("c", "c", 2, 2, 1)];
    let body = Body::DeleteRange { deleted: 3, prev_kvs: prev_kvs.clone() };
    assert_eq!(response, Response { revision: 6, result: Ok(body) });
    let events = oracle.events(6, 6).unwrap();
    for (sub, (event, prev)) in events.iter().zip(&prev_kvs).enumerate() {
        assert_eq!((event.kind, event.sub as usize), (EventKind::Delete, sub));
        let name = KeyValue { key: prev.key.clone(), mod_revision: 6, ..KeyValue::default() };
        assert_eq!(event.kv, name);
        assert_eq!(event.prev_kv.as_ref(), Some(prev));
    }
    assert_eq!(events.len(), 3);
}

#[test]
fn intervals_hold_what_etcd_says() {
    let mut oracle = Oracle::new();
    for key in ["\0", "a", "a\0", "ab", "b"] {
        put(&mut oracle, key, "v");
    }
    for (interval, expected) in [
        (Interval::point("a"), vec!["a"]),
        (Interval::between("a", "b"), vec!["a", "a\0", "ab"]),
        (Interval::between("a", "a\0"), vec!["a"]),
        (Interval::between("ab", "\0"), vec!["ab", "b"]),
        (Interval::prefix("a"), vec!["a", "a\0", "ab"]),
        (Interval::everything(), vec!["\0", "a", "a\0", "ab", "b"]),
        (Interval::between("b", "a"), vec![]),
    ] {
        let asked = Range { interval, ..Range::default() };
        assert_eq!(keys(&mut oracle, asked.clone()), expected, "{asked:?}");
    }
}

#[test]
fn limit_count_and_filters() {
    let mut oracle = Oracle::new();
    for key in ["a", "b", "c", "d", "a"] {
        put(&mut oracle, key, "v"); // a: created 2, last written 6
    }
    let cut = range(&mut oracle, Range { limit: 3, ..everything() });
    assert_eq!((cut.kvs.len(), cut.more, cut.count), (3, true, 4));
    let whole = range(&mut oracle, Range { limit: 4, ..everything() });
    assert_eq!((whole.kvs.len(), whole.more, whole.count), (4, false, 4));
    let unlimited = range(&mut oracle, Range { limit: -1, ..everything() });
    assert_eq!((unlimited.kvs.len(), unlimited.more), (4, false));
    let counted = range(&mut oracle, Range { count_only: true, limit: 1, ..everything() });
    assert_eq!(counted, RangeResult { kvs: Vec::new(), more: false, count: 4 });
    let bare = range(&mut oracle, Range { keys_only: true, limit: 1, ..everything() });
    assert_eq!(bare.kvs, [kv("a", "", 2, 6, 2)]);
    let late = Range { min_mod_revision: 5, limit: 2, ..everything() };
    let result = range(&mut oracle, late.clone());
    assert_eq!((result.more, result.count), (false, 4), "the limit applies after the filter");
    assert_eq!(keys(&mut oracle, late), ["a", "d"]);
    let early = Range { max_mod_revision: 4, ..everything() };
    assert_eq!(keys(&mut oracle, early), ["b", "c"]);
    let created =
        Range { min_create_revision: 2, max_create_revision: 3, limit: 1, ..everything() };
    let result = range(&mut oracle, created);
    assert_eq!((result.kvs.len(), result.more, result.count), (1, true, 4));
}

#[test]
fn sorting_leaves_ties_ascending_by_key_in_both_directions() {
    let mut oracle = Oracle::new();
    for (key, value) in [("a", "y"), ("b", "x"), ("c", "y"), ("d", "z"), ("b", "x")] {
        put(&mut oracle, key, value);
    }
    let mut sorted = |sort_target, sort_order| {
        keys(&mut oracle, Range { sort_target, sort_order, ..everything() }).concat()
    };
    assert_eq!(sorted(SortTarget::Value, SortOrder::None), "bacd");
    assert_eq!(sorted(SortTarget::Value, SortOrder::Descend), "dacb");
    assert_eq!(sorted(SortTarget::Version, SortOrder::Ascend), "acdb");
    assert_eq!(sorted(SortTarget::Version, SortOrder::Descend), "bacd");
    assert_eq!(sorted(SortTarget::Create, SortOrder::Descend), "dcba");
    assert_eq!(sorted(SortTarget::Mod, SortOrder::Ascend), "acdb");
    assert_eq!(sorted(SortTarget::Key, SortOrder::Descend), "dcba");
    let top = Range { sort_order: SortOrder::Descend, limit: 1, ..everything() };
    assert_eq!(keys(&mut oracle, top), ["d"], "the limit applies after sorting");
}

#[test]
fn a_target_without_an_order_sorts_just_the_first_keys() {
    let mut oracle = Oracle::new();
    ["c", "b", "a"].iter().for_each(|key| put(&mut oracle, key, ""));
    let by_revision = Range { limit: 1, sort_target: SortTarget::Mod, ..everything() };
    // Of a and b, which are fetched for a limit of 1, b is the older; c is older still.
    assert_eq!(keys(&mut oracle, by_revision.clone()), ["b"]);
    let ordered = Range { sort_order: SortOrder::Ascend, ..by_revision.clone() };
    assert_eq!(keys(&mut oracle, ordered), ["c"]);
    let filtered = Range { min_mod_revision: 1, ..by_revision };
    assert_eq!(keys(&mut oracle, filtered), ["c"]);
}

#[test]
fn compares_of_missing_keys_and_of_intervals() {
    use CompareResult::{Equal, Greater, Less, NotEqual};
    let mut oracle = Oracle::new();
    put(&mut oracle, "a", "1"); // 2
    put(&mut oracle, "b", "1"); // 3
    put(&mut oracle, "b", "2"); // 4
    let both = Interval::between("a", "c");
    let none = Interval::between("x", "z");
    for (interval, result, operand, expected) in [
        (Interval::point("x"), Equal, Operand::Version(0), true),
        (Interval::point("x"), Less, Operand::Mod(1), true),
        (Interval::point("x"), Greater, Operand::Create(0), false),
        (Interval::point("x"), Equal, Operand::Lease(0), true),
        (Interval::point("x"), NotEqual, Operand::Value(b"1".to_vec()), false),
        (Interval::point("x"), Equal, Operand::Value(Vec::new()), false),
        (none.clone(), Equal, Operand::Create(0), true),
        (none, NotEqual, Operand::Value(b"1".to_vec()), false),
        (both.clone(), Greater, Operand::Version(0), true),
        (both.clone(), Greater, Operand::Version(1), false),
        (both.clone(), Less, Operand::Mod(5), true),
        (both.clone(), NotEqual, Operand::Value(b"1".to_vec()), false),
        (both, NotEqual, Operand::Value(b"3".to_vec()), true),
        (Interval::point("b"), Equal, Operand::Create(3), true),
        (Interval::point("b"), Equal, Operand::Mod(4), true),
    ] {
        let compare = Compare { interval, result, operand };
        let asked = Txn { compares: vec![compare.clone()], ..Txn::default() };
        assert_eq!(txn(&mut oracle, asked).0, expected, "{compare:?}");
    }
    assert_eq!(oracle.revision(), 4, "nothing was changed");
}

#[test]
fn nested_compares_see_the_state_before_the_outermost_transaction() {
    let mut oracle = Oracle::new();
    let missing = compare("a", CompareResult::Equal, Operand::Version(0));
    let inner = Txn {
        compares: vec![missing.clone()],
        success: vec![put_step("b", "missing")],
        failure: vec![put_step("b", "there")],
    };
    let steps = vec![put_step("a", "1"), RequestOp::Txn(inner)];
    txn(&mut oracle, Txn { compares: vec![missing], ..always(steps) });
    assert_eq!(oracle.dump().keys, [kv("a", "1", 2, 2, 1), kv("b", "missing", 2, 2, 1)]);
}

#[test]
fn steps_see_earlier_steps_and_the_revision_as_they_left_it() {
    let mut oracle = Oracle::new();
    put(&mut oracle, "a", "old");
    let read = || RequestOp::Range(at("a", 0));
    let history = RequestOp::Range(at("a", 2));
    let nested = RequestOp::Txn(always(vec![read(), put_step("a", "new"), history]));
    let (succeeded, responses) = txn(&mut oracle, always(vec![read(), nested, read()]));
    assert!(succeeded);
    let seen = |revision, found: KeyValue| OpResponse {
        revision,
        body: Body::Range(RangeResult { kvs: vec![found], more: false, count: 1 }),
    };
    let (old, new) = (kv("a", "old", 2, 2, 1), kv("a", "new", 2, 3, 2));
    let written = OpResponse { revision: 3, body: Body::Put { prev_kv: None } };
    let inner = vec![seen(2, old.clone()), written, seen(3, old.clone())];
    let nested = OpResponse { revision: 3, body: Body::Txn { succeeded: true, responses: inner } };
    assert_eq!(responses, [seen(2, old), nested, seen(3, new)]);
}

#[test]
fn a_key_written_and_deleted_at_once_has_two_changes_of_one_revision() {
    let mut oracle = Oracle::new();
    put(&mut oracle, "a", "1");
    let within = |step| RequestOp::Txn(always(vec![step]));
    let steps = vec![within(put_step("a", "2")), within(delete_step("a"))];
    let request = Request::Txn(always(steps));
    assert_eq!(validate(&request), Ok(()));
    assert_eq!(oracle.apply(&request).revision, 3);
    let events = oracle.events(3, 9).unwrap();
    let seen: Vec<_> = events.iter().map(|event| (event.kind, event.revision().sub)).collect();
    assert_eq!(seen, [(EventKind::Put, 0), (EventKind::Delete, 1)]);
    let before = Some(kv("a", "1", 2, 2, 1));
    assert!(events.iter().all(|event| event.prev_kv == before), "one revision earlier, for both");
    assert!(oracle.dump().keys.is_empty());
    assert_eq!(range(&mut oracle, at("a", 3)).count, 0);
    assert_eq!(range(&mut oracle, at("a", 2)).count, 1);
}

#[test]
fn a_refused_step_undoes_the_whole_transaction_unless_it_is_not_taken() {
    let mut oracle = Oracle::new();
    put(&mut oracle, "a", "1");
    let ahead = RequestOp::Range(at("a", 3));
    let deep = RequestOp::Txn(always(vec![ahead.clone()]));
    let request = Request::Txn(always(vec![put_step("a", "2"), deep]));
    assert_eq!(refused(&mut oracle, &request), Refusal::FutureRevision);
    let unknown = RequestOp::Put(leased("b", 5));
    let first_wins = Request::Txn(always(vec![unknown, ahead.clone()]));
    assert_eq!(refused(&mut oracle, &first_wins), Refusal::LeaseNotFound);
    let kept = RequestOp::Put(Put { ignore_lease: true, ..plain("b", "v") });
    let not_there_before = Request::Txn(always(vec![put_step("c", "1"), kept]));
    assert_eq!(refused(&mut oracle, &not_there_before), Refusal::KeyNotFound);
    let not_taken = Txn { failure: vec![ahead], ..always(vec![put_step("a", "2")]) };
    assert!(txn(&mut oracle, not_taken).0);
    assert_eq!(oracle.revision(), 3);
}

#[test]
fn revisions_that_cannot_be_read_are_refused() {
    let mut oracle = Oracle::new();
    for value in ["1", "2", "3", "4"] {
        put(&mut oracle, "a", value); // 2, 3, 4, 5
    }
    let mut compact = |revision| oracle.apply(&Request::Compact { revision });
    assert_eq!(compact(6).result, Err(Refusal::FutureRevision));
    assert_eq!(compact(0).result, Err(Refusal::Compacted));
    assert_eq!(compact(4), Response { revision: 5, result: Ok(Body::Compact) });
    assert_eq!(compact(4).result, Err(Refusal::Compacted));
    assert_eq!(compact(3).result, Err(Refusal::Compacted));
    assert_eq!(oracle.compacted(), 4);
    assert_eq!(refused(&mut oracle, &Request::Range(at("a", 3))), Refusal::Compacted);
    assert_eq!(refused(&mut oracle, &Request::Range(at("a", 6))), Refusal::FutureRevision);
    assert_eq!(range(&mut oracle, at("a", 4)).kvs, [kv("a", "3", 2, 4, 3)]);
    assert_eq!(range(&mut oracle, at("a", -1)).kvs, [kv("a", "4", 2, 5, 4)]);
}

#[test]
fn compaction_keeps_what_still_counts_then_and_the_events_from_there_on() {
    let mut oracle = Oracle::new();
    put(&mut oracle, "a", "1"); // 2
    put(&mut oracle, "b", "1"); // 3
    oracle.apply(&Request::delete("b")); // 4
    put(&mut oracle, "c", "1"); // 5
    put(&mut oracle, "b", "2"); // 6
    oracle.apply(&Request::Compact { revision: 5 }).result.unwrap();
    let then = range(&mut oracle, Range { revision: 5, ..everything() });
    assert_eq!(then.kvs, [kv("a", "1", 2, 2, 1), kv("c", "1", 5, 5, 1)]);
    assert_eq!(oracle.dump().keys.len(), 3);
    assert_eq!(oracle.events(4, 6), Err(5));
    put(&mut oracle, "c", "2"); // 7
    let events = oracle.events(5, 7).unwrap();
    let before: Vec<_> = events.iter().map(|event| event.prev_kv.clone()).collect();
    assert_eq!(before, [None, None, Some(kv("c", "1", 5, 5, 1))]);
    assert_eq!(oracle.events(8, 100), Ok(Vec::new()));
    oracle.apply(&Request::Compact { revision: 7 }).result.unwrap();
    let at_compaction = oracle.events(7, 7).unwrap();
    assert_eq!(at_compaction[0].prev_kv, None, "what was before is forgotten");
}

#[test]
fn leases_are_granted_listed_and_refused() {
    let mut oracle = Oracle::new();
    let mut ask = |id, ttl_s| oracle.apply(&Request::LeaseGrant { id, ttl_s });
    assert_eq!(ask(0, 9_000_000_001).result, Err(Refusal::LeaseNotFound));
    assert_eq!(ask(8, 9_000_000_001).result, Err(Refusal::LeaseTtlTooLarge));
    let granted = Ok(Body::LeaseGrant { id: 8, ttl_s: 2 });
    assert_eq!(ask(8, -3), Response { revision: 1, result: granted });
    assert_eq!(ask(8, 60).result, Err(Refusal::LeaseExists));
    assert_eq!(ask(8, 9_000_000_001).result, Err(Refusal::LeaseTtlTooLarge));
    let longest = Ok(Body::LeaseGrant { id: 3, ttl_s: 9_000_000_000 });
    assert_eq!(ask(3, 9_000_000_000).result, longest);
    assert_eq!(oracle.apply(&Request::Leases).result, Ok(Body::Leases(vec![3, 8])));
    let unknown = oracle.apply(&Request::LeaseTimeToLive { id: 4, keys: true }).result;
    let status = LeaseStatus { id: 4, granted_ttl_s: -1, keys: Vec::new() };
    assert_eq!(unknown, Ok(Body::LeaseTimeToLive(status)));
}

#[test]
fn a_revoked_lease_takes_its_keys_along_but_not_those_that_left_it() {
    let mut oracle = Oracle::new();
    grant(&mut oracle, 7);
    grant(&mut oracle, 8);
    for key in ["d", "b", "a", "c", "e"] {
        oracle.apply(&Request::Put(leased(key, 7))).result.unwrap(); // 2 to 6
    }
    put(&mut oracle, "c", "free"); // 7
    oracle.apply(&Request::Put(leased("d", 8))).result.unwrap(); // 8
    oracle.apply(&Request::delete("e")).result.unwrap(); // 9
    let attached = oracle.apply(&Request::LeaseTimeToLive { id: 7, keys: true }).result;
    let keys = vec![b"a".to_vec(), b"b".to_vec()];
    let status = LeaseStatus { id: 7, granted_ttl_s: 60, keys };
    assert_eq!(attached, Ok(Body::LeaseTimeToLive(status)));
    let response = oracle.apply(&Request::LeaseRevoke { id: 7 });
    assert_eq!(response, Response { revision: 10, result: Ok(Body::LeaseRevoke) });
    let events = oracle.events(10, 10).unwrap();
    let gone: Vec<_> = events.iter().map(|event| (event.kv.key.as_slice(), event.sub)).collect();
    assert_eq!(gone, [(b"a".as_slice(), 0), (b"b", 1)]);
    assert_eq!(refused(&mut oracle, &Request::LeaseRevoke { id: 7 }), Refusal::LeaseNotFound);
    oracle.apply(&Request::delete("d")).result.unwrap(); // 11
    let idle = oracle.apply(&Request::LeaseRevoke { id: 8 });
    assert_eq!(idle.revision, 11, "no keys, no revision");
    assert!(oracle.dump().leases.is_empty());
}

// The requests.

/// `count` generated requests with the answers to them.
fn generated(seed: u64, count: usize) -> Vec<(Request, Response)> {
    let mut generator = Generator::new(Seed(seed), Shape { keys: 30, leases: 6 });
    let mut oracle = Oracle::new();
    let answer = |_| {
        let hint = Hint { revision: oracle.revision(), compacted: oracle.compacted() };
        let request = generator.next(hint);
        let response = oracle.apply(&request);
        (request, response)
    };
    (0..count).map(answer).collect()
}

#[test]
fn generated_requests_are_valid_and_repeatable() {
    let first = generated(1, 5_000);
    for (request, _) in &first {
        assert_eq!(validate(request), Ok(()), "{request:?}");
    }
    assert!(first == generated(1, 5_000));
    assert!(first != generated(2, 5_000));
}

#[test]
fn generated_requests_meet_every_answer_there_is() {
    let answered = generated(3, 20_000);
    let kinds = answered.iter().map(|(_, response)| match &response.result {
        Err(refusal) => format!("{refusal:?}"),
        Ok(Body::Range(result)) => format!("range more={}", result.more),
        Ok(Body::DeleteRange { deleted, .. }) => format!("delete {}", (*deleted).min(2)),
        Ok(Body::Txn { succeeded, .. }) => {
            format!("txn {succeeded} changed={}", response.changed())
        }
        Ok(body) => format!("{:?}", std::mem::discriminant(body)),
    });
    let kinds: BTreeSet<String> = kinds.collect();
    // 7 refusals that a valid request can meet, 2 ranges, 3 deletes, 4 transactions, 7 others.
    assert_eq!(kinds.len(), 7 + 2 + 3 + 4 + 7, "{kinds:#?}");
    let refusals = answered.iter().filter(|(_, response)| response.result.is_err()).count();
    assert!(refusals < answered.len() / 5, "{refusals} refused");
}

#[test]
fn a_description_is_one_line_a_request() {
    let compares = vec![compare("a", CompareResult::Less, Operand::Mod(5))];
    let success = vec![put_step("b", "\n"), delete_step("c")];
    let requests = [
        Request::Put(Put { prev_kv: true, ..leased("a\0", 3) }),
        Request::Range(Range { limit: 2, revision: 4, ..everything() }),
        Request::Txn(Txn { compares, ..always(success) }),
        Request::put([b'x'; 300], "v"),
    ];
    let text = describe(&requests);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(lines[0], r#"   0  put "a\x00"="v" lease=3 prev_kv"#);
    assert_eq!(lines[1], r#"   1  range ["\x00", ∞) rev=4 limit=2"#);
    assert_eq!(
        lines[2],
        r#"   2  txn if mod("a") < 5 then {put "b"="\n"; delete "c" prev_kv} else {}"#
    );
    assert!(lines[3].ends_with(r#"xxx…" (300 bytes)="v""#), "{}", lines[3]);
    let many: Vec<Request> = generated(4, 500).into_iter().map(|(request, _)| request).collect();
    assert_eq!(describe(&many).lines().count(), 500);
}
