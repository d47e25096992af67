//! Two sittings of one scenario with a known truth, held against each other by the same code as real bundles.

use super::{AFTER, BEFORE, Noise, World};
use kvbench::compare::contrast::{Entrant, FLOOR, Question, contrasts};
use kvbench::record::contrast::{Contrasts, RowVerdict};
use kvbench::seed::Seed;

/// A first sitting, and a second one in which something may have changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sittings {
    pub(crate) noise: Noise,
    /// Blocks of each.
    pub(crate) blocks: u32,
    /// True throughput of the second sitting's `after` over the first one's.
    pub(crate) change: f64,
    /// What the host makes of everything in the second sitting, as a factor.
    pub(crate) host: f64,
}

/// How often what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) campaigns: u64,
    /// Some arm is called worse.
    pub(crate) worse: u64,
    /// Some arm is called better.
    pub(crate) better: u64,
    /// Both arms are called not worse.
    pub(crate) not_worse: u64,
    /// `after` is called worse.
    pub(crate) found: u64,
}

impl Sittings {
    /// Nothing changed.
    pub(crate) const fn alike(noise: Noise) -> Sittings {
        Sittings { noise, blocks: 8, change: 1.0, host: 1.0 }
    }

    /// Holds both arms of so many second sittings against those of the first.
    pub(crate) fn campaign(&self, campaigns: u64, name: &str) -> Called {
        let mut called = Called { campaigns, ..Called::default() };
        for campaign in 0..campaigns {
            let seed = Seed(42).child(name, campaign);
            called.add(&self.held(seed));
        }
        called
    }

    fn held(&self, seed: Seed) -> Contrasts {
        let sit = |ratio, seed| World::new(ratio, self.noise).of_pairs(self.blocks).sit(&[], seed);
        let first = sit(1.0, seed.child("first", 0));
        let mut second = sit(self.change, seed.child("second", 0));
        for cell in second.trials.iter_mut().flat_map(|trial| &mut trial.cells) {
            cell.throughput_per_s *= self.host;
        }
        let metrics = ["saturate.throughput@50".to_owned()];
        let question = Question { floor: FLOOR, force: false, metrics: &metrics };
        let side = |run, arm| Entrant { bundle: "", run, arm };
        let arms = [BEFORE, AFTER].map(|arm| (side(&first, arm), side(&second, arm)));
        contrasts(&arms, &question).expect("the metric is one")
    }
}

impl Called {
    fn add(&mut self, all: &Contrasts) {
        let [_, after] = all.contrasts.as_slice() else { panic!("two arms: {all:?}") };
        self.worse += u64::from(all.count(RowVerdict::Worse) > 0);
        self.better += u64::from(all.count(RowVerdict::Better) > 0);
        self.not_worse += u64::from(all.count(RowVerdict::NotWorse) == 2);
        self.found += u64::from(after.rows[0].verdict == RowVerdict::Worse);
    }

    pub(crate) fn share(&self, count: u64) -> f64 {
        count as f64 / self.campaigns as f64
    }
}
