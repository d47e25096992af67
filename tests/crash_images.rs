//! What a crash may leave of a member's disk, and what a start makes of it: a short campaign for every build, and controls that show
//! that the checker accuses.

use kvbench::raft::Fsync;
use kvbench::verify::crashes::{self, Explored, Look, Mishap, Plan, Tally, Word};

const HONEST: Plan = Plan { seed: 1, requests: 40, word: Word::Kept, fsync: Fsync::Real };
/// A few are enough to be found out.
const SHORT: Plan = Plan { requests: 15, ..HONEST };

fn explore(plan: Plan) -> Explored {
    crashes::explore(&plan, Look::WHOLE).expect("a member starts in a new folder")
}

#[test]
fn whatever_a_crash_leaves_nothing_acknowledged_is_lost() {
    let mut sum = Tally::default();
    for seed in 1.. {
        let explored = explore(Plan { seed, ..HONEST });
        assert!(explored.answered >= HONEST.requests as u64, "{explored:?}");
        sum.add(&explored.tally);
        assert_eq!((sum.lost, sum.wrong), (0, 0), "{sum:#?}");
        if sum.images_in_all() >= 2_000 && all_kinds_were_tried(&sum) {
            break;
        }
        assert!(sum.images_in_all() < 20_000, "{sum:#?}");
    }
    assert!(sum.noise_refused < sum.images["noise"] / 20, "{sum:#?}");
}

/// How often a kind comes is chance: how requests share entries depends on who is how fast.
fn all_kinds_were_tried(sum: &Tally) -> bool {
    let kinds = sum.images.len() >= 8 && sum.images.values().all(|count| *count > 20);
    kinds && sum.names_lost > 20 && sum.flips_refused > 20
}

#[test]
fn a_disk_that_lies_about_syncs_is_found_out() {
    let lying = explore(Plan { word: Word::NoSyncs, ..SHORT });
    assert!(lying.tally.lost > 20, "{:#?}", lying.tally);
    let off = explore(Plan { fsync: Fsync::Off, ..SHORT });
    assert!(off.tally.lost > 20, "{:#?}", off.tally);
}

#[test]
fn a_disk_that_lies_about_names_is_found_out() {
    let lying = explore(Plan { word: Word::NoNames, ..SHORT });
    assert!(lying.tally.lost + lying.tally.wrong > 20, "{:#?}", lying.tally);
}

#[test]
fn after_a_mishap_nothing_that_is_not_safe_is_acknowledged() {
    // The campaign looks closer.
    let look = Look { every: 5, ..Look::WHOLE };
    for mishap in Mishap::ALL {
        let mut happened = 0;
        for after in [0, 1, 3, 8, 20, 40] {
            let survived =
                crashes::survive(1, mishap, after, look).expect("a member starts in a new folder");
            assert_eq!((survived.tally.lost, survived.tally.wrong), (0, 0), "{survived:#?}");
            happened += u32::from(survived.happened);
        }
        assert!(happened > 0, "{mishap:?} never happened");
    }
}
