//! What the checks of a sample say of stories that are right, wrong and open.

use super::*;
use crate::model::{DeleteRange, Interval};
use crate::verify::oracle::Oracle;

/// Clients of a store that is right, each operation right after the other; then something is made wrong.
struct Story {
    oracle: Oracle,
    sampled: Sampled,
}

fn put(key: &str, value: &str) -> Request {
    Request::put(key, value)
}

fn get(key: &str) -> Request {
    Request::get(key)
}

fn delete(key: &str) -> Request {
    Request::DeleteRange(DeleteRange { interval: Interval::point(key), ..DeleteRange::default() })
}

impl Story {
    /// `a` is there from the start, `b` is not.
    fn new() -> Story {
        let mut story = Story { oracle: Oracle::new(), sampled: Sampled::default() };
        story.oracle.apply(&put("a", "0"));
        for key in ["a", "b"] {
            let read = story.asked(get(key), 1);
            story.sampled.before.push(read);
        }
        story
    }

    fn asked(&mut self, request: Request, at: u64) -> Operation {
        let outcome = Outcome::Done(self.oracle.apply(&request));
        Operation { client: 0, request, invoked: Nanos(at), returned: Nanos(at + 5), outcome }
    }

    fn ask(&mut self, request: Request) -> &mut Operation {
        let at = 10 + 10 * self.sampled.during.len() as u64;
        let operation = self.asked(request, at);
        self.sampled.during.push(operation);
        self.sampled.during.last_mut().unwrap()
    }

    fn of(requests: impl IntoIterator<Item = Request>) -> Story {
        let mut story = Story::new();
        for request in requests {
            story.ask(request);
        }
        story
    }
}

fn usual() -> Story {
    let requests = [
        get("a"),
        put("a", "1"),
        get("a"),
        put("b", "2"),
        delete("a"),
        get("a"),
        get("b"),
        put("a", "3"),
        get("a"),
    ];
    Story::of(requests)
}

/// That each of `words` is said, and nothing else is wrong.
fn wrong(story: &Story, words: &[&str]) {
    let found = check(&story.sampled).wrong;
    assert_eq!(found.len(), words.len(), "{found:#?}");
    for (said, words) in found.iter().zip(words) {
        assert!(said.contains(words), "{said}");
    }
}

fn revision(operation: &mut Operation) -> &mut MainRevision {
    match &mut operation.outcome {
        Outcome::Done(answer) => &mut answer.revision,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_right_store_said_is_explained() {
    let found = check(&usual().sampled);
    assert_eq!(found, Found { keys: 2, ..Found::default() });
}

#[test]
fn a_stale_read_is_named_with_its_key() {
    let mut story = usual();
    // Before the write, though the write was answered by then.
    story.sampled.during[2].outcome = story.sampled.during[0].outcome.clone();
    wrong(
        &story,
        &[
            "key a: no order explains more than",
            "`get a` at 0.000 to 0.000 ms (revision 2: 0 of revision 2) was sent after `put a=1`",
        ],
    );
}

/// A server that lies about revisions as well is found by the search, one that only lies about them by the sweep.
#[test]
fn revisions_alone_are_found_out_too() {
    let mut story = usual();
    *revision(&mut story.sampled.during[6]) -= 3;
    wrong(&story, &["was sent after", "should have found what was newest: nothing"]);
    let mut story = usual();
    *revision(&mut story.sampled.during[7]) = 3;
    let found = check(&story.sampled).wrong;
    assert!(found[0].starts_with("two changes have one revision: `put a=1`"), "{found:#?}");
}

#[test]
fn a_lost_write_is_found_by_the_read_after_it() {
    let mut story = Story::of([put("b", "1")]);
    let before_it = story.sampled.before[1].outcome.clone();
    story.ask(get("b")).outcome = before_it;
    *revision(story.sampled.during.last_mut().unwrap()) = 3;
    wrong(
        &story,
        &["key b: no order explains more than 1 of 2", "should have found what was newest"],
    );
}

#[test]
fn an_unknown_write_may_be_found_or_not() {
    for is_found in [false, true] {
        let mut story = Story::new();
        if is_found {
            story.ask(put("b", "1")).outcome = Outcome::Unknown;
            story.ask(get("b"));
        } else {
            story.ask(get("b"));
            let mut unknown = story.sampled.during[0].clone();
            (unknown.request, unknown.outcome) = (put("b", "1"), Outcome::Unknown);
            story.sampled.during.insert(0, unknown);
        }
        let found = check(&story.sampled);
        assert_eq!((found.unknown, found.wrong), (1, Vec::new()));
    }
}

/// From a cut on not everything is recorded: what it explains nobody can say.
#[test]
fn what_may_have_met_unrecorded_operations_is_not_asked() {
    let mut story = usual();
    // As if the write that this read found had come from somebody who is not recorded.
    let late = story.sampled.during.remove(7);
    let words = ["key a: no order explains", "should have found what was newest"];
    wrong(&story, &words);
    story.sampled.cut.insert(b"a".to_vec(), late.invoked);
    let found = check(&story.sampled);
    assert_eq!((found.cut, found.wrong), (1, Vec::new()));
    // Before the cut it is asked as ever.
    story.sampled.during[2].outcome = story.sampled.during[0].outcome.clone();
    assert!(check(&story.sampled).wrong[0].starts_with("key a: "));
}

#[test]
fn too_much_at_once_is_undecided_and_never_passed() {
    let mut story = Story::new();
    let all = (0..40).map(|number| story.asked(put("b", &number.to_string()), 10));
    let mut all: Vec<Operation> = all.collect();
    // Nobody wrote what this one found, and only a search through all orders of the others shows it.
    let mut odd = story.asked(get("b"), 10);
    if let Outcome::Done(Response { result: Ok(Body::Range(found)), .. }) = &mut odd.outcome {
        found.kvs[0].value = b"none of them".to_vec();
    }
    all.push(odd);
    story.sampled.during = all;
    let found = check(&story.sampled);
    assert_eq!(found.undecided, 1, "{found:?}");
}
