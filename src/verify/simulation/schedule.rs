//! What goes wrong in a simulation, and when: all of it drawn from the seed before anything runs, so that parts of it can be left out.

use crate::raft::MemberId;
use crate::seed::Seed;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::fmt;

/// Whom a fault befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Whoever leads when it begins.
    Leader,
    /// This member, if it is in the group by then.
    Member(MemberId),
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It reaches nobody, and nobody reaches it.
    CutOff(Whom),
    /// What the first sends to the second does not arrive.
    OneWay(Whom, Whom),
    /// Two do not reach each other.
    Bridge(Whom, Whom),
    /// Two parts that do not reach each other; bit n is for member n + 1.
    Split(u64),
    /// Each reaches only its neighbours.
    Ring,
    /// So many of a hundred messages get lost.
    Loss(u64),
    /// Messages take so many milliseconds more.
    Delay(u64),
    /// Messages take up to so many milliseconds more, each its own time, so that they overtake each other.
    Reorder(u64),
    /// So many of a hundred messages arrive twice, the second time later.
    Repeats(u64),
    /// It crashes; what its disk had not kept yet is cut off somewhere.
    Crash(Whom),
    /// It crashes, and its state is as an engine on disk had kept it.
    CrashKept(Whom),
    /// Everybody crashes at once.
    AllCrash,
    /// A write of its log fails, so many writes from now.
    DiesAtWrite(Whom, u64),
    /// It stands still, and its clock goes on.
    Pause(Whom),
    /// Its syncs take up to so many milliseconds.
    SlowDisk(Whom, u64),
    /// The leader hands over.
    HandOver(Whom),
    /// It asks for votes, whoever leads.
    Stand(Whom),
    /// It writes an image of its state and cuts its log.
    Image(Whom),
    /// A new member joins, as a learner, and gets a vote.
    Grow,
    /// A member leaves for good.
    Shrink(Whom),
}

impl What {
    /// Names of all kinds, for coverage.
    pub const KINDS: [&'static str; 20] = [
        "cut-off",
        "one-way",
        "bridge",
        "split",
        "ring",
        "loss",
        "delay",
        "reorder",
        "repeats",
        "crash",
        "crash-kept",
        "all-crash",
        "dies-at-write",
        "pause",
        "slow-disk",
        "hand-over",
        "stand",
        "image",
        "grow",
        "shrink",
    ];

    /// The name of its kind.
    pub fn name(self) -> &'static str {
        What::KINDS[self.place()]
    }

    fn place(self) -> usize {
        match self {
            What::CutOff(_) => 0,
            What::OneWay(..) => 1,
            What::Bridge(..) => 2,
            What::Split(_) => 3,
            What::Ring => 4,
            What::Loss(_) => 5,
            What::Delay(_) => 6,
            What::Reorder(_) => 7,
            What::Repeats(_) => 8,
            What::Crash(_) => 9,
            What::CrashKept(_) => 10,
            What::AllCrash => 11,
            What::DiesAtWrite(..) => 12,
            What::Pause(_) => 13,
            What::SlowDisk(..) => 14,
            What::HandOver(_) => 15,
            What::Stand(_) => 16,
            What::Image(_) => 17,
            What::Grow => 18,
            What::Shrink(_) => 19,
        }
    }
}

/// A fault in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its number among all that the seed makes.
    pub number: usize,
    /// The tick at which it begins.
    pub from: u64,
    /// How many ticks it lasts; crashed members start again after that.
    pub ticks: u64,
    /// What it is.
    pub what: What,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { number, from, ticks, what } = self;
        write!(f, "#{number} at tick {from} for {ticks}: {what:?}")
    }
}

/// Most ticks between two faults that begin, and that one lasts.
const APART_MAX: u64 = 700;
const TICKS_MAX: u64 = 600;

/// All faults of a seed within `ticks`, in a group that begins with `size` members.
pub(super) fn drawn(seed: Seed, ticks: u64, size: u64) -> Vec<Fault> {
    let mut random = seed.stream("simulation-faults", 0);
    // Some groups live in rough times, some in quiet ones.
    let apart = random.random_range(60..=APART_MAX);
    let mut faults = Vec::new();
    let mut from = random.random_range(100..300);
    while from < ticks {
        let what = what(&mut random, size);
        let ticks = random.random_range(20..=TICKS_MAX);
        faults.push(Fault { number: faults.len(), from, ticks, what });
        from += random.random_range(10..=2 * apart);
    }
    faults
}

fn what(random: &mut ChaCha8Rng, size: u64) -> What {
    let whom = |random: &mut ChaCha8Rng| match random.random_range(0..3) {
        0 => Whom::Leader,
        // One more than there are at first: whoever joins.
        _ => Whom::Member(random.random_range(1..=size + 1)),
    };
    match random.random_range(0..What::KINDS.len()) {
        0 => What::CutOff(whom(random)),
        1 => What::OneWay(whom(random), whom(random)),
        2 => What::Bridge(whom(random), whom(random)),
        3 => What::Split(random.random_range(1..(1 << size) - 1)),
        4 => What::Ring,
        5 => What::Loss(random.random_range(5..=40)),
        6 => What::Delay(random.random_range(2..=60)),
        7 => What::Reorder(random.random_range(5..=80)),
        8 => What::Repeats(random.random_range(10..=50)),
        9 => What::Crash(whom(random)),
        10 => What::CrashKept(whom(random)),
        11 => What::AllCrash,
        12 => What::DiesAtWrite(whom(random), random.random_range(0..40)),
        13 => What::Pause(whom(random)),
        14 => What::SlowDisk(whom(random), random.random_range(5..=60)),
        15 => What::HandOver(whom(random)),
        16 => What::Stand(whom(random)),
        17 => What::Image(whom(random)),
        18 => What::Grow,
        _ => What::Shrink(whom(random)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_has_one_schedule_and_seeds_together_all_kinds() {
        assert_eq!(drawn(Seed(3), 10_000, 3), drawn(Seed(3), 10_000, 3));
        let all = (0..60).flat_map(|seed| drawn(Seed(seed), 10_000, 3));
        let kinds: BTreeSet<&str> = all.map(|fault| fault.what.name()).collect();
        assert_eq!(kinds, What::KINDS.into_iter().collect());
        // A shorter run has the same faults, as far as it gets.
        let (long, short) = (drawn(Seed(3), 10_000, 3), drawn(Seed(3), 2_000, 3));
        assert_eq!(long[..short.len()], short[..]);
    }
}
