//! Groups of three under load: every site that a group comes to, with everything that can happen there.

use super::turn;
use kvbench::clock::Clock;
use kvbench::failpoint::SITES;
use kvbench::record::verification::{Finding, Verification};
use kvbench::store::{EngineKind, PathKind, StateSync};
use kvbench::verify::faults::{self, Fault, Made, Plan};
use std::process::Command;
use std::sync::atomic::AtomicBool;

/// Faults of one history.
const FAULTS: usize = 16;
/// Operations that each has at least; faults take their time, so there are more.
const OPERATIONS: u64 = 400;

/// Every engine of this build with what may go wrong there: on the second one only what the first has no part in.
fn engines() -> Vec<(EngineKind, Vec<Fault>)> {
    let mut all = vec![(EngineKind::Memory, faults::at_each_site(EngineKind::Memory))];
    if cfg!(feature = "rocksdb") {
        let engine = EngineKind::RocksDb { state_sync: StateSync::RaftLogOnly };
        let mut faults = faults::at_each_site(engine);
        faults
            .retain(|fault| ["rocksdb::", "store::"].iter().any(|of| fault.name().starts_with(of)));
        all.push((engine, faults));
    }
    all
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was tried is a result")]
fn whatever_happens_at_a_site_loses_nothing_and_repeats_nothing() {
    let _turn = turn();
    let paths = [
        PathKind::Sharded { shards: 16, workers: 1 },
        PathKind::GlobalMutex,
        PathKind::Sharded { shards: 16, workers: 3 },
    ];
    let clock = Clock::start();
    let (mut seed, mut count, mut operations) = (0, 0, 0);
    for (engine, all) in engines() {
        for faults in all.chunks(FAULTS) {
            let path = paths[seed as usize % paths.len()];
            let faults = faults.to_vec();
            let plan = Plan { seed, path, engine, nodes: 3, faults, operations_min: OPERATIONS };
            let made = faults::make(&plan, &AtomicBool::new(false), &mut |_| {}).unwrap();
            check(&plan, &made);
            seed += 1;
            count += made.faults.len();
            operations += made.history.len();
        }
    }
    println!(
        "{count} faults at sites in {seed} histories, {operations} operations, in {:.1} s",
        clock.now().as_secs_f64()
    );
}

fn check(plan: &Plan, made: &Made) {
    assert_eq!(made.violations(), Vec::<String>::new(), "{plan:?}");
    assert_eq!(made.void, None, "{plan:?}");
    assert!(!made.is_undecided(), "{:?}", made.witness);
    assert_eq!(made.faults.len(), plan.faults.len());
    assert!(made.watches.is_ok() && made.settled.is_some(), "{made:?}");
}

/// The campaign as its users meet it: each history names the sites, what happened there, and that it did.
#[test]
fn a_campaign_records_which_sites_were_hit() {
    let few = ["--campaign", "failpoints", "--histories", "3", "--operations", "400", "--json"];
    let mut verify = Command::new(env!("CARGO_BIN_EXE_kvbench"));
    let ran = verify.arg("verify").args(few).output().unwrap();
    let record = Verification::from_json(&ran.stdout).unwrap();
    assert_eq!(ran.status.code(), Some(0), "{:?}", record.histories);
    assert!(record.build.details.features.contains("failpoints"));
    assert_eq!(record.histories.len(), 3);
    for history in &record.histories {
        assert_eq!((history.nodes, history.finding), (3, Finding::Passed), "{history:?}");
        assert!((1..=2).contains(&history.faults.len()), "{history:?}");
        for fault in &history.faults {
            assert!(SITES.iter().any(|site| site.name == fault.kind), "{fault:?}");
            assert!(fault.happened && fault.action.is_some(), "{fault:?}");
        }
    }
}
