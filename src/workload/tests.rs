//! Streams: that they repeat, that the mix is as asked, and that what they send is what the words promise.

use super::*;
use crate::model::{Body, Response, validate};
use crate::scenario::{Options, parse};
use std::collections::HashSet;

/// A workload of a thousand keys, from what a scenario would say.
fn workload(keys: &str, values: &str, ops: &str) -> Workload {
    let text = format!(
        "schema = 1\nname = \"x\"\n[arms.before]\n[arms.after]\n[keys]\nspace = 1000\n{keys}\n\
         [values]\nsize = {values}\n[[op]]\n{ops}\n[[phase]]\nname = \"a\"\nload.closed.clients = [1]\n"
    );
    let scenario = parse("x.toml", &text, &Options::default());
    Workload::of(&scenario.unwrap_or_else(|problems| panic!("{problems}")))
}

const MIX: &str = "put = { weight = 3 }\nget = { weight = 1 }";

fn take(workload: &Workload, client: u64, count: usize) -> Vec<Operation> {
    let mut stream = workload.stream(Seed(1), client);
    (0..count).map(|_| stream.next_operation()).collect()
}

fn requests(workload: &Workload, client: u64, count: usize) -> Vec<Request> {
    take(workload, client, count).into_iter().map(|operation| operation.request).collect()
}

/// The first key a request is about.
fn key(request: &Request) -> Vec<u8> {
    match request {
        Request::Put(put) => put.key.clone(),
        Request::Range(range) => range.interval.key.clone(),
        other => panic!("{other:?} is not about a key"),
    }
}

#[test]
fn streams_repeat_and_clients_differ() {
    let all = "put = {}\nget = {}\nrange = {}\ndelete = {}\ndelete_range = {}\n\
               txn = { kind = \"create\", keys = 3 }\nlease_cycle = {}";
    let workload = workload("", "\"256B\"", all);
    assert_eq!(requests(&workload, 0, 500), requests(&workload, 0, 500));
    assert_ne!(requests(&workload, 0, 50), requests(&workload, 1, 50));
    for request in requests(&workload, 0, 500) {
        assert_eq!(validate(&request), Ok(()), "{request:?}");
    }
    let kinds: HashSet<_> =
        take(&workload, 0, 500).iter().map(|operation| operation.kind.as_str()).collect();
    assert_eq!(kinds.len(), 8, "{kinds:?}");
}

#[test]
fn the_mix_and_the_sizes_are_as_asked() {
    let sizes = "{ lognormal = { median = \"256B\", p99 = \"4KiB\" } }";
    let requests = requests(&workload("dist = \"zipf:0.99\"", sizes, MIX), 0, 20_000);
    let mut lengths: Vec<usize> = requests
        .iter()
        .filter_map(|request| match request {
            Request::Put(put) => Some(put.value.len()),
            _ => None,
        })
        .collect();
    lengths.sort_unstable();
    let share = lengths.len() as f64 / 20_000.0;
    assert!((share - 0.75).abs() < 0.02, "{share}");
    assert!((240..=272).contains(&lengths[lengths.len() / 2]));
    assert!((3300..=4900).contains(&lengths[lengths.len() * 99 / 100]));
}

#[test]
fn distributions_keep_to_their_shape() {
    let of = |dist: &str| workload(&format!("dist = \"{dist}\""), "\"8B\"", MIX);
    let keys = |workload: &Workload, client, count| -> Vec<Vec<u8>> {
        requests(workload, client, count).iter().map(key).collect()
    };
    let distinct: HashSet<_> = keys(&of("sequential"), 3, 1000).into_iter().collect();
    assert_eq!(distinct.len(), 1000);
    let shared = of("shared");
    assert_eq!(keys(&shared, 0, 20), keys(&shared, 9, 20));
    let number =
        |key: &Vec<u8>| u64::from_str_radix(std::str::from_utf8(key).unwrap(), 16).unwrap();
    let hot = keys(&of("hotspot"), 0, 5000).iter().filter(|key| number(key) < 100).count();
    assert!((0.88..0.94).contains(&(hot as f64 / 5000.0)), "{hot}");
}

#[test]
fn a_lease_is_granted_put_under_and_revoked_in_turn() {
    let workload = workload("", "\"8B\"", "lease_cycle = { keys = 2 }");
    let (mut granted, mut open, mut puts) = (HashSet::new(), 0, 0);
    for request in [requests(&workload, 0, 40), requests(&workload, 1, 40)].concat() {
        match request {
            Request::LeaseGrant { id, .. } => {
                assert!(id > 0 && granted.insert(id), "every lease has a name of its own");
                (open, puts) = (id, 0);
            }
            Request::Put(put) => {
                assert_eq!(put.lease, open);
                puts += 1;
            }
            Request::LeaseRevoke { id } => assert_eq!((id, puts), (open, 2)),
            other => panic!("{other:?} is no part of the cycle"),
        }
    }
    assert_eq!(granted.len(), 20);
}

#[test]
fn a_preload_puts_every_key_once_and_repeats() {
    let keys_of = |workload: &Workload| -> Vec<Vec<u8>> {
        let txns: Vec<_> = workload.preload(Seed(1)).collect();
        assert_eq!(txns, workload.preload(Seed(1)).collect::<Vec<_>>());
        let ops = txns.into_iter().flat_map(|request| {
            assert_eq!(validate(&request), Ok(()));
            let Request::Txn(txn) = request else { panic!("a preload is transactions") };
            txn.success
        });
        let put = |op| match op {
            RequestOp::Put(put) => put.key,
            other => panic!("{other:?} is no put"),
        };
        ops.map(put).collect()
    };
    let all = keys_of(&workload("preload = true", "\"1MiB\"", MIX));
    assert_eq!(all.len(), 1000);
    assert!(all.is_sorted() && all.iter().collect::<HashSet<_>>().len() == 1000);
    assert_eq!(keys_of(&workload("preload = 300", "\"8B\"", MIX)), all[..300]);
    assert!(keys_of(&workload("", "\"8B\"", MIX)).is_empty());
}

#[test]
fn preloaded_keys_hang_on_the_leases_that_were_granted_before() {
    let workload = workload("preload = true\nleases = 7", "\"8B\"", "lease_cycle = {}");
    let granted: Vec<LeaseId> = workload
        .grants(Seed(1))
        .map(|request| match request {
            Request::LeaseGrant { id, .. } => id,
            other => panic!("{other:?} is no grant"),
        })
        .collect();
    assert_eq!(granted.iter().filter(|id| **id > 0).collect::<HashSet<_>>().len(), 7);
    let puts = workload.preload(Seed(1)).flat_map(|request| match request {
        Request::Txn(txn) => txn.success,
        other => panic!("{other:?} is no transaction"),
    });
    let leases: Vec<LeaseId> = puts
        .map(|op| match op {
            RequestOp::Put(put) => put.lease,
            other => panic!("{other:?} is no put"),
        })
        .collect();
    assert!(leases.iter().zip(granted.iter().cycle()).all(|(on, granted)| on == granted));
    assert_eq!(leases.len(), 1000);
}

#[test]
fn a_bank_opens_with_all_its_money() {
    let bank = workload("preload = true", "\"32B\"", "txn = { kind = \"transfer\" }");
    let opened = bank.preload(Seed(1)).flat_map(|request| match request {
        Request::Txn(txn) => txn.success,
        other => panic!("{other:?} is no transaction"),
    });
    let balances = opened.filter_map(|op| match op {
        RequestOp::Put(put) => balance(&put.value),
        _ => None,
    });
    assert_eq!(balances.sum::<u64>(), bank.money());
    let accounts = bank.read_all().count();
    assert_eq!(accounts, 1, "a thousand accounts fit one answer");
    let refused = Response { revision: 1, result: Ok(Body::Compact) };
    for mut operation in take(&bank, 0, 5) {
        assert!(operation.kind == OpKind::Transfer && !operation.request.is_write());
        assert_eq!(operation.transfer.as_mut().unwrap().next(&refused), None);
    }
}
