//! Transactions as Elle's checkers want them: reads and writes of a few keys at once that nothing deletes, and lists that grow by one
//! element at a time, each on the condition that it is still what was read.

use crate::model::{
    Body, Compare, CompareResult, Interval, KeyValue, MainRevision, Operand, Put, Range, Request,
    RequestOp, Txn,
};
use crate::verify::history::Outcome;
use crate::verify::kept::LIST;
use rand::Rng;

/// What the names of keys begin with that whole transactions read and write.
const CELL: &str = "tx-";
/// Keys at once.
const CELLS: u64 = 3;
/// Lists at once.
const LISTS: u64 = 2;
/// Reads and writes of one transaction, at most.
const STEPS_MAX: usize = 4;
/// Revisions until other keys and lists take the place of these, so that no list gets long.
const GENERATION: MainRevision = 2_000;

/// What is kept here, and deleted by nobody.
pub(super) const KEPT: [&str; 2] = [CELL, LIST];

/// A list as a client has read it.
#[derive(Clone, Debug)]
pub(super) struct ListSeen {
    key: Vec<u8>,
    mod_revision: MainRevision,
    elements: Vec<u8>,
}

impl ListSeen {
    /// What a request and its outcome say of a list.
    pub(super) fn of(request: &Request, outcome: &Outcome) -> Option<ListSeen> {
        let (Request::Range(range), Outcome::Done(answer)) = (request, outcome) else {
            return None;
        };
        let (key, Ok(Body::Range(found))) = (&range.interval.key, &answer.result) else {
            return None;
        };
        let nothing = KeyValue::default();
        let kv = found.kvs.first().unwrap_or(&nothing);
        key.starts_with(LIST.as_bytes()).then(|| ListSeen {
            key: key.clone(),
            mod_revision: kv.mod_revision,
            elements: kv.value.clone(),
        })
    }

    /// Puts the list with one more element, unless somebody else did.
    pub(super) fn append(self, element: &[u8]) -> Request {
        let ListSeen { key, mod_revision, elements: mut value } = self;
        if !value.is_empty() {
            value.push(b' ');
        }
        value.extend(element);
        let interval = Interval::point(key.clone());
        let operand = Operand::Mod(mod_revision);
        Request::Txn(Txn {
            compares: vec![Compare { interval, result: CompareResult::Equal, operand }],
            success: vec![RequestOp::Put(Put { key, value, ..Put::default() })],
            failure: Vec::new(),
        })
    }
}

/// Reads a list of those that are in use at `revision`.
pub(super) fn read_list(revision: MainRevision, random: &mut impl Rng) -> Request {
    let key = name(LIST, revision, random.random_range(0..LISTS));
    Request::Range(Range { interval: Interval::point(key), ..Range::default() })
}

/// Reads and writes some keys at once, none of them written twice.
pub(super) fn on_cells(
    revision: MainRevision,
    random: &mut impl Rng,
    mut value: impl FnMut() -> Vec<u8>,
) -> Request {
    let mut success: Vec<RequestOp> = Vec::new();
    for _ in 0..random.random_range(1..=STEPS_MAX) {
        let key = name(CELL, revision, random.random_range(0..CELLS));
        let is_written =
            success.iter().any(|op| matches!(op, RequestOp::Put(put) if put.key == key));
        success.push(match random.random_bool(0.5) && !is_written {
            true => RequestOp::Put(Put { key, value: value(), ..Put::default() }),
            false => RequestOp::Range(Range { interval: Interval::point(key), ..Range::default() }),
        });
    }
    Request::Txn(Txn { compares: Vec::new(), success, failure: Vec::new() })
}

fn name(prefix: &str, revision: MainRevision, place: u64) -> Vec<u8> {
    format!("{prefix}{}-{place}", revision / GENERATION).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use crate::verify::oracle::Oracle;

    #[test]
    fn a_list_grows_only_if_it_is_what_was_read() {
        let (mut oracle, mut random) = (Oracle::new(), Seed(1).stream("lists", 0));
        let read = read_list(1, &mut random);
        let seen =
            |oracle: &mut Oracle| ListSeen::of(&read, &Outcome::Done(oracle.apply(&read))).unwrap();
        let (first, late) = (seen(&mut oracle), seen(&mut oracle));
        oracle.apply(&first.append(b"1.1"));
        oracle.apply(&late.append(b"2.1"));
        let grown = seen(&mut oracle);
        assert_eq!(grown.elements, b"1.1");
        oracle.apply(&grown.append(b"2.2"));
        assert_eq!(seen(&mut oracle).elements, b"1.1 2.2");
    }

    #[test]
    fn a_store_takes_what_is_asked_of_cells() {
        let (mut oracle, mut random, mut number) = (Oracle::new(), Seed(2).stream("cells", 0), 0);
        for _ in 0..200 {
            let request = on_cells(1, &mut random, || {
                number += 1;
                format!("{number}").into_bytes()
            });
            assert!(oracle.apply(&request).result.is_ok(), "{request:?}");
        }
        assert!(number > 100);
    }
}
