//! Requests that were let in, on the stores and on the oracle.

use kvbench::measure::stage::Probe;
use kvbench::model::{Put, Request};
use kvbench::store::{self, Config, PathKind};
use kvbench::verify::equivalence::difference_in;
use std::path::Path;

/// Executes `asked` among others on a store with one lock and one with shards, each held against the oracle.
pub(crate) fn check_on_stores(asked: &Request) {
    let put = |key: &str, lease| {
        Request::Put(Put { key: key.into(), value: b"v".to_vec(), lease, ..Put::default() })
    };
    let grant = |id| Request::LeaseGrant { id, ttl_s: 60 };
    let log = [
        vec![grant(7), put("a", 7), put("k", 0), put("k", 7)],
        vec![asked.clone(), put("b", 0), asked.clone()],
        vec![Request::LeaseRevoke { id: 7 }, put("a", 0), Request::get("a")],
    ];
    for path in [PathKind::GlobalMutex, PathKind::Sharded { shards: 4, workers: 1 }] {
        let store =
            store::open(Config::in_memory(path), Path::new("unused"), Probe::off()).unwrap();
        assert!(
            difference_in(store, &log).is_none(),
            "{path:?} and the oracle differ on {asked:?}"
        );
    }
}
