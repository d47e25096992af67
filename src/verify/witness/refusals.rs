//! Refusals that tell no revision, as those over gRPC: between which revisions they must have been made, by what others were answered before
//! and after.

use crate::model::{MainRevision, Request};
use crate::units::Nanos;
use crate::verify::history::{Operation, may_be_behind, revision_of, says_that_it_changed};

/// A refusal of no revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unplaced {
    /// Which operation.
    pub(super) number: usize,
    /// Not before this revision: somebody had been answered with it when this was sent.
    pub(super) from: MainRevision,
    /// Not after this one: somebody who asked when this had been refused was answered with it.
    pub(super) until: MainRevision,
}

/// All of a history. A lease's grant has no place among the revisions and is left out.
pub(super) fn of(history: &[Operation]) -> Vec<Unplaced> {
    let placed = || {
        let orders = |one: &&Operation| {
            !may_be_behind(&one.request) && !matches!(one.request, Request::LeaseGrant { .. })
        };
        history.iter().filter(orders).filter_map(|one| Some((one, revision_of(one)?)))
    };
    let mut answered: Vec<(Nanos, MainRevision)> =
        placed().map(|(one, revision)| (one.returned, revision)).collect();
    // Whoever made a revision comes after what was refused before it asked.
    let own = |one: &Operation| one.response().is_some_and(says_that_it_changed);
    let mut sent: Vec<(Nanos, MainRevision)> = placed()
        .map(|(one, revision)| (one.invoked, revision - MainRevision::from(own(one))))
        .collect();
    answered.sort_unstable();
    sent.sort_unstable();
    // The newest so far, and the oldest from there on.
    let mut newest = 1;
    for (_, revision) in &mut answered {
        newest = newest.max(*revision);
        *revision = newest;
    }
    let mut oldest = MainRevision::MAX;
    for (_, revision) in sent.iter_mut().rev() {
        oldest = oldest.min(*revision);
        *revision = oldest;
    }
    let bounds = |(number, one): (usize, &Operation)| {
        let before = answered.partition_point(|(at, _)| *at < one.invoked);
        let after = sent.partition_point(|(at, _)| *at <= one.returned);
        let from = match may_be_behind(&one.request) {
            true => 1,
            false => before.checked_sub(1).map_or(1, |last| answered[last].1),
        };
        Unplaced { number, from, until: sent.get(after).map_or(MainRevision::MAX, |it| it.1) }
    };
    let is_unplaced = |one: &Operation| {
        let refused = one.response().is_some_and(|answer| answer.result.is_err());
        refused && revision_of(one).is_none() && !matches!(one.request, Request::LeaseGrant { .. })
    };
    history.iter().enumerate().filter(|(_, one)| is_unplaced(one)).map(bounds).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Put, Refusal, Response};
    use crate::verify::Outcome;
    use crate::verify::oracle::Oracle;
    use crate::verify::witness::{Fault, Witnessed, check};

    fn keeping(key: &str) -> Request {
        Request::Put(Put { key: key.into(), ignore_value: true, ..Put::default() })
    }

    fn operation(request: Request, invoked: u64, response: Response) -> Operation {
        let (invoked, returned) = (Nanos(invoked), Nanos(invoked + 5));
        Operation {
            client: invoked.0,
            request,
            invoked,
            returned,
            outcome: Outcome::Done(response),
        }
    }

    /// Key `a` is put at 0, read at 20, and deleted at 40; the refusal of a put that keeps its value is told no revision.
    fn refused_at(invoked: u64, returned: u64) -> Result<Witnessed, Fault> {
        let mut oracle = Oracle::new();
        let mut history = Vec::new();
        let delete = crate::model::DeleteRange {
            interval: crate::model::Interval::point("a"),
            ..Default::default()
        };
        let get = crate::model::Range {
            interval: crate::model::Interval::point("a"),
            ..Default::default()
        };
        for (at, request) in [
            (10, Request::put("a", "1")),
            (20, Request::Range(get.clone())),
            (40, Request::DeleteRange(delete)),
            (50, Request::Range(get)),
        ] {
            let response = oracle.apply(&request);
            history.push(operation(request, at, response));
        }
        let refusal = Response { revision: 0, result: Err(Refusal::KeyNotFound) };
        let refused = operation(keeping("a"), invoked, refusal);
        history.push(Operation { returned: Nanos(returned), ..refused });
        history.sort_by_key(|one| one.invoked);
        let truth = oracle.events(2, oracle.revision()).unwrap();
        check(&history, &truth, &[("member 1".to_owned(), oracle.dump())])
    }

    #[test]
    fn a_refusal_without_a_revision_must_have_been_so_at_some_time() {
        for (invoked, returned) in [(0, 5), (0, 12), (12, 18), (30, 42), (60, 65), (0, 70)] {
            let found = refused_at(invoked, returned);
            assert!(found.is_ok(), "{invoked} to {returned}: {found:?}");
        }
        // It was there all the time: from when it was put until somebody asked for its end.
        let found = refused_at(26, 30);
        assert!(
            matches!(&found, Err(Fault::Violation(words)) if words.contains("nothing was so")),
            "{found:?}"
        );
    }
}
