//! Intervals: what they hold, and what reads and deletions make of them.

use crate::driver::{Answer, Plan, fuzz};
use kvbench::measure::stage::Probe;
use kvbench::model::{Body, DeleteRange, Interval, Position, Put, Range, Request};
use kvbench::store::{self, Answer as Applied, ApplyPath, Command, Config, PathKind};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Keys, most of an interval's ends near them.
const KEYS: [&[u8]; 12] = [
    b"\0",
    b"\0\0",
    b"a",
    b"a\0",
    b"aa",
    b"ab",
    b"b",
    b"\x7f",
    b"\xfe\xff",
    b"\xff",
    b"\xff\0",
    b"\xff\xff",
];

/// As etcd's documentation has it, `range_end`: empty is the key alone, a zero byte all keys from it on, else those below the end.
fn holds(interval: &Interval, key: &[u8]) -> bool {
    match interval.range_end.as_slice() {
        [] => interval.key == key,
        [0] => interval.key.as_slice() <= key,
        end => interval.key.as_slice() <= key && key < end,
    }
}

fn keys_of(body: Result<Body, impl std::fmt::Debug>) -> Vec<Vec<u8>> {
    match body.unwrap() {
        Body::Range(found) => found.kvs.into_iter().map(|kv| kv.key).collect(),
        other => panic!("{other:?}"),
    }
}

struct Stores {
    stores: Vec<Arc<dyn ApplyPath>>,
    index: u64,
    keys: BTreeSet<Vec<u8>>,
}

impl Stores {
    fn new() -> Stores {
        let paths = [
            PathKind::GlobalMutex,
            PathKind::Sharded { shards: 1, workers: 1 },
            PathKind::Sharded { shards: 16, workers: 1 },
        ];
        let open =
            |path| store::open(Config::in_memory(path), Path::new("unused"), Probe::off()).unwrap();
        Stores { stores: paths.into_iter().map(open).collect(), index: 0, keys: BTreeSet::new() }
    }

    fn apply(&mut self, request: &Request) -> Vec<Applied> {
        self.index += 1;
        let position = Position { index: self.index, offset: 0 };
        let mut all = Vec::new();
        for store in &self.stores {
            store.apply(&mut vec![Command { position, request: request.clone() }], &mut all);
        }
        all
    }

    fn put_all(&mut self) {
        for key in KEYS {
            if self.keys.insert(key.to_vec()) {
                self.apply(&Request::Put(Put { key: key.to_vec(), ..Put::default() }));
            }
        }
    }

    fn check(&mut self, interval: &Interval) -> usize {
        self.put_all();
        let held: Vec<Vec<u8>> =
            self.keys.iter().filter(|key| holds(interval, key)).cloned().collect();
        for key in KEYS {
            assert_eq!(interval.contains(key), holds(interval, key), "{interval:?} and {key:?}");
        }
        let is_empty =
            !interval.is_point() && interval.range_end != [0] && interval.range_end <= interval.key;
        assert_eq!(interval.is_empty(), is_empty, "{interval:?}");
        let range = Request::Range(Range { interval: interval.clone(), ..Range::default() });
        for store in &self.stores {
            assert_eq!(keys_of(store.read(&range).response.result), held, "{interval:?}");
        }
        let delete = DeleteRange { interval: interval.clone(), prev_kv: true };
        for answer in self.apply(&Request::DeleteRange(delete)) {
            match answer.response.result.unwrap() {
                Body::DeleteRange { deleted, prev_kvs } => {
                    assert_eq!((deleted as usize, prev_kvs.len()), (held.len(), held.len()));
                    assert!(prev_kvs.iter().map(|kv| &kv.key).eq(&held), "{interval:?}");
                }
                other => panic!("{other:?}"),
            }
        }
        self.keys.retain(|key| !holds(interval, key));
        held.len()
    }
}

/// A prefix holds what begins with it, and nothing else.
fn check_prefix(prefix: &[u8]) {
    let interval = Interval::prefix(prefix);
    for key in KEYS {
        assert_eq!(
            interval.contains(key),
            key.starts_with(prefix),
            "prefix {prefix:?} and {key:?}"
        );
    }
}

#[test]
fn intervals() {
    let mut stores = Stores::new();
    let mut done = 0_u32;
    let check = |input: &[u8]| -> Answer {
        // A length, the key, the end.
        let Some((length, rest)) = input.split_first() else { return "nothing".into() };
        let (key, range_end) = rest.split_at(usize::from(*length).min(rest.len()));
        check_prefix(key);
        done += 1;
        if done.is_multiple_of(500) {
            stores = Stores::new();
        }
        let interval = Interval { key: key.to_vec(), range_end: range_end.to_vec() };
        let kind = (interval.is_point(), interval.is_empty(), interval.end().is_none());
        format!("{kind:?} {}", stores.check(&interval)).into()
    };
    let mut samples = Vec::new();
    for key in KEYS {
        for end in [&b""[..], b"\0", b"b", b"\xff"] {
            samples.push([&[key.len() as u8], key, end].concat());
        }
    }
    let words: &[&[u8]] = &[b"\0", b"\xff", b"a", b"\xff\xff", b"b"];
    fuzz(Plan { name: "bounds", execs: 4_000, samples, words, counts_bytes: true }, check);
}
