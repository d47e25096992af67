//! Groups on one thread, made by a seed: nothing goes wrong that was not meant to, and the same seed is the same run.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

use kvbench::verify::simulation::{Kept, Plan, Ran, What, run};
use std::collections::{BTreeMap, BTreeSet};

/// Few and short enough for every test run; `kvbench verify --campaign simulation --seeds 300` is the campaign.
const SEEDS: u64 = 40;
const TICKS: u64 = 3_000;
/// Kinds of faults, of twenty, that have to be seen to do something in so few seeds; a campaign sees all.
const KINDS_MIN: usize = 15;

fn ran(plan: &Plan) -> Ran {
    let ran = run(plan).unwrap();
    let again = format!(
        "kvbench verify --campaign simulation --seeds 1 --seed {} --ticks {}",
        plan.seed, plan.ticks
    );
    assert_eq!(ran.violation, None, "again: {again}");
    assert_eq!(ran.undecided, None, "again: {again}");
    ran
}

#[test]
fn whatever_goes_wrong_every_invariant_holds_and_all_comes_right() {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut answered, mut images, mut lost, mut sizes) = (0, 0, 0, BTreeSet::new());
    for seed in 1..=SEEDS {
        let ran = ran(&Plan::of(seed, TICKS));
        // A run in which nothing happened would show nothing.
        assert!(ran.committed > 10 && ran.terms > 0 && ran.looks > TICKS, "{ran:?}");
        let (led, equal) = ran.recovered.unwrap();
        assert!(led <= 2_000 && equal >= led, "{ran:?}");
        answered += ran.operations[1];
        images += ran.carried.images;
        lost += ran.disks.lost;
        sizes.insert(ran.members);
        for (kind, (_, happened)) in ran.faults {
            *kinds.entry(kind).or_default() += happened;
        }
    }
    assert!(answered > 50 * SEEDS && images > 0 && lost > 0, "{answered} {images} {lost}");
    assert!(sizes.contains(&3) && sizes.len() > 1, "{sizes:?}");
    let happened: BTreeSet<&str> =
        kinds.into_iter().filter(|(_, count)| *count > 0).map(|(kind, _)| kind).collect();
    let missing: Vec<&str> =
        What::KINDS.into_iter().filter(|kind| !happened.contains(kind)).collect();
    assert!(happened.len() >= KINDS_MIN, "these did nothing: {missing:?}");
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_another() {
    let plan = Plan::of(11, TICKS);
    let (first, second) = (ran(&plan), ran(&plan));
    assert_eq!(first, second);
    assert_ne!(first.trace, ran(&Plan::of(12, TICKS)).trace);
    // Without one of its faults it is another one, too, and that again the same.
    let kept: Vec<Kept> =
        plan.faults.iter().skip(1).map(|one| Kept { number: one.number, shorter: 2 }).collect();
    let fewer = plan.clone().keep(&kept);
    assert_eq!(fewer.faults.len() + 1, plan.faults.len());
    let fewer = ran(&fewer);
    assert_ne!(fewer.trace, first.trace);
    assert_eq!(fewer, ran(&plan.keep(&kept)));
}

/// The one that found it: the leader was removed, and panicked at the next answer.
#[test]
fn a_leader_that_is_removed_leads_no_more() {
    let ran = ran(&Plan::of(225, 10_000));
    assert!(ran.faults.contains_key("shrink"), "{ran:?}");
}

/// The one that found it: a state that was kept over a crash was ahead of the log, and its image was given the log's index.
#[test]
fn no_image_is_written_of_a_state_that_is_ahead_of_the_log() {
    let ran = ran(&Plan::of(334, 10_000));
    assert!(ran.faults["crash-kept"].1 > 0 && ran.faults["image"].1 > 0, "{ran:?}");
}
