//! Deterministic simulation: a whole group on one thread, with the real Ready loop, leases, images and stores, on clocks, disks and a
//! network that are simulated. One seed makes all of it: the group, its levers, the requests, and what goes wrong when. The same seed
//! gives the same run, to the last message.
//!
//! For so many ticks of a millisecond things go wrong (`schedule`) while clients ask (`clients`) and the `checker` looks at everybody;
//! then all is made well, and the group has to find a leader, to catch up, to agree and to answer again. Last, the witness checker
//! questions the whole history.
//!
//! What a step does takes effect when its syncs are over: messages leave, answers are heard and records are kept at instants of the
//! member's clock, and a crash at an earlier one makes all of them undone (`member`).

mod checker;
mod clients;
mod invariants;
mod member;
mod network;
mod operator;
mod recovery;
mod schedule;
mod shape;
mod shrink;
mod troubles;
mod world;

pub use invariants::{INVARIANTS, Violation};
pub use network::Carried;
pub use schedule::{Fault, What, Whom};
pub use shape::TICK;
pub use shrink::{Shrunk, shrink};

use crate::raft::DiskCounts;
use crate::seed::Seed;
use shape::Shape;
use std::collections::BTreeMap;
use std::io;
use world::World;

/// A known mistake, for `tests/seeded_bugs`.
#[cfg(feature = "seeded-bugs")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Of the pipeline or its log.
    Pipeline(crate::raft::SeededBug),
    /// Of the store.
    Store(crate::store::SeededBug),
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Makes all of it.
    pub seed: u64,
    /// For how many ticks things go wrong.
    pub ticks: u64,
    /// What goes wrong; all that the seed makes, or a part of it.
    pub faults: Vec<Fault>,
    /// What every member gets wrong.
    #[cfg(feature = "seeded-bugs")]
    pub bug: Option<Bug>,
}

impl Plan {
    /// All that `seed` makes within `ticks`.
    pub fn of(seed: u64, ticks: u64) -> Plan {
        let faults = schedule::drawn(Seed(seed), ticks, Shape::of(Seed(seed)).size);
        Plan {
            seed,
            ticks,
            faults,
            #[cfg(feature = "seeded-bugs")]
            bug: None,
        }
    }

    /// Of those faults only these, by number, each for so many parts of its time.
    pub fn keep(mut self, kept: &[Kept]) -> Plan {
        self.faults.retain_mut(|fault| {
            let found = kept.iter().find(|kept| kept.number == fault.number);
            if let Some(kept) = found {
                fault.ticks = (fault.ticks / kept.shorter.max(1)).max(1);
            }
            found.is_some()
        });
        self
    }
}

/// A fault that stays when others are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub number: usize,
    /// It lasts this part of its time: 1 all of it, 2 half.
    pub shorter: u64,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// A hash of every message, step, answer and view, in order: equal for equal runs.
    pub trace: u64,
    /// What did not hold, and at which tick.
    pub violation: Option<(u64, Violation)>,
    /// Ticks in all, those after things went wrong too.
    pub ticks: u64,
    /// Ticks from when all was well until somebody led, and until all had the same and answered.
    pub recovered: Option<(u64, u64)>,
    /// Members at the start.
    pub members: u64,
    /// Operations that clients sent, and how many of them were answered, refused and of unknown outcome.
    pub operations: [u64; 4],
    /// Entries that were committed.
    pub committed: u64,
    /// Terms in which somebody led.
    pub terms: u64,
    /// Looks at a member, each with every invariant.
    pub looks: u64,
    /// What became of messages.
    pub carried: Carried,
    /// What was done to all disks.
    pub disks: DiskCounts,
    /// Faults by kind: how many began, and of how many it was seen that they did something.
    pub faults: BTreeMap<&'static str, (u64, u64)>,
    /// Why nothing can be said of a part of it: the witness checker could not decide.
    pub undecided: Option<String>,
}

/// Runs it. An error is one of the host: files of images cannot be written.
pub fn run(plan: &Plan) -> io::Result<Ran> {
    Ok(World::new(plan)?.run())
}
