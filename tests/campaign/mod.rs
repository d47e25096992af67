//! Simulated sittings with a known truth, judged by the same code as real records: blocks are added, looked at and
//! ended as `runner` does it. Only the system and the host are invented. All draws come from seeds.

mod gates;
mod record;
mod sittings;
mod sweep;

pub(crate) use gates::Gates;
use kvbench::compare::{Comparison, Estimate, Verdict, compare, looks, precision_reached};
use kvbench::record::Run;
use kvbench::report::words;
use kvbench::seed::Seed;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_distr::StandardNormal;
use record::Blank;
pub(crate) use sittings::Sittings;
pub(crate) use sweep::{Law, Sweep};

/// How a host disturbs trials. All figures are of the logarithm of throughput.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Noise {
    /// Standard deviation of what each trial draws for itself.
    pub(crate) white: f64,
    /// Standard deviation of what the host carries on from one trial to the next (AR(1), stationary).
    pub(crate) slow: f64,
    /// Share of that which the next trial inherits, 0..1.
    pub(crate) memory: f64,
    /// Fraction by which the host has slowed down, evenly, when all blocks of the plan are used up.
    pub(crate) drift: f64,
}

impl Noise {
    pub(crate) const fn white(white: f64) -> Noise {
        Noise { white, slow: 0.0, memory: 0.0, drift: 0.0 }
    }

    /// White noise of 3 % over slow noise of 3 %.
    pub(crate) const SLOW: Noise = Noise { white: 0.03, slow: 0.03, memory: 0.8, drift: 0.0 };

    pub(crate) const fn drifting(self, drift: f64) -> Noise {
        Noise { drift, ..self }
    }
}

/// What is true, and how it is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct World {
    /// True throughput of after over before.
    pub(crate) ratio: f64,
    pub(crate) noise: Noise,
    /// Blocks at least and at most.
    pub(crate) pairs: (u32, u32),
    /// Half-width at which no more are added.
    pub(crate) precision: f64,
    /// Whether chance orders the trials of a block, as in every plan; otherwise before always goes first.
    pub(crate) random_order: bool,
}

impl World {
    /// The plan that a scenario has which asks for nothing else.
    pub(crate) const fn new(ratio: f64, noise: Noise) -> World {
        World { ratio, noise, pairs: (8, 20), precision: 0.10, random_order: true }
    }

    /// With neither more nor fewer than so many pairs.
    pub(crate) const fn of_pairs(self, pairs: u32) -> World {
        World { pairs: (pairs, pairs), ..self }
    }

    pub(crate) const fn to_within(self, precision: f64) -> World {
        World { precision, ..self }
    }

    /// One sitting, ended when the judge has seen enough. Targets ask for these bounds on the ratio.
    pub(crate) fn sit(&self, bounds: &[&str], seed: Seed) -> Run {
        let (least, most) = self.pairs;
        let blank = Blank::of(self, bounds);
        let mut run = blank.run();
        let mut host = Host::new(self, seed);
        let mut looks = looks(least, most);
        let mut until = looks.next().unwrap_or(least);
        for block in 0..most {
            if block == until {
                if precision_reached(&run) {
                    break;
                }
                until = looks.next().unwrap_or(most);
            }
            for (position, (arm, is_repeat)) in host.order(block).into_iter().enumerate() {
                let ratio = if arm == AFTER { self.ratio } else { 1.0 };
                let throughput_per_s = 1000.0 * ratio * host.next_trial();
                run.trials.push(blank.trial(
                    block,
                    position as u32,
                    arm,
                    is_repeat,
                    throughput_per_s,
                ));
            }
        }
        run
    }

    /// What becomes of so many sittings; the name tells their draws from those of other campaigns.
    pub(crate) fn campaign(&self, bounds: &[&str], sittings: u64, name: &str) -> Rates {
        let mut rates = Rates { sittings, ..Rates::default() };
        for sitting in 0..sittings {
            let run = self.sit(bounds, Seed(42).child(name, sitting));
            rates.add(self.ratio, &compare(&run));
        }
        rates
    }
}

pub(crate) const BEFORE: &str = "before";
pub(crate) const AFTER: &str = "after";

/// The host of one sitting: who is next on it, and how fast it is just now.
struct Host {
    world: World,
    random: rand_chacha::ChaCha8Rng,
    slow: f64,
    trials: u32,
}

/// Trials of a block: each arm once and one of them a second time.
const TRIALS_PER_BLOCK: u32 = 3;

impl Host {
    fn new(world: &World, seed: Seed) -> Host {
        let mut random = seed.stream("host", 0);
        let slow = world.noise.slow * random.sample::<f64, _>(StandardNormal);
        Host { world: *world, random, slow, trials: 0 }
    }

    /// The trials of a block in the order they are measured, and which of them is the A/A repeat.
    fn order(&mut self, block: u32) -> Vec<(&'static str, bool)> {
        let twice = if block.is_multiple_of(2) { BEFORE } else { AFTER };
        let mut order = vec![(BEFORE, false), (AFTER, false), (twice, true)];
        if self.world.random_order {
            order.shuffle(&mut self.random);
        }
        order
    }

    /// Speed of the host during the next trial, 1 on average at first.
    fn next_trial(&mut self) -> f64 {
        let Noise { white, slow, memory, drift } = self.world.noise;
        let mut normal = || -> f64 { self.random.sample(StandardNormal) };
        // With this much that is new, the spread stays what it is (Box & Jenkins, first-order autoregression).
        let new = slow * (1.0 - memory * memory).sqrt() * normal();
        let own = white * normal();
        self.slow = memory * self.slow + new;
        let all = self.world.pairs.1 * TRIALS_PER_BLOCK;
        let slowed = 1.0 - drift * f64::from(self.trials) / f64::from(all);
        self.trials += 1;
        slowed * (self.slow + own).exp()
    }
}

/// How often a campaign came to which answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    pub(crate) sittings: u64,
    /// One per target, in their order.
    pub(crate) verdicts: Vec<Verdicts>,
    /// Intervals that lie wholly above or wholly below the true ratio.
    pub(crate) too_high: u64,
    pub(crate) too_low: u64,
    /// Ratios that reports mark as more or as less than 1 beyond doubt.
    pub(crate) marked: u64,
    /// All pairs measured.
    pub(crate) pairs: u64,
}

/// Verdicts on one target.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Verdicts {
    pub(crate) met: u64,
    pub(crate) missed: u64,
    pub(crate) inconclusive: u64,
}

impl Rates {
    fn add(&mut self, truth: f64, comparison: &Comparison) {
        self.verdicts.resize(comparison.verdicts.len(), Verdicts::default());
        for (sum, verdict) in self.verdicts.iter_mut().zip(&comparison.verdicts) {
            match verdict.verdict {
                Verdict::Met => sum.met += 1,
                Verdict::Missed => sum.missed += 1,
                Verdict::Inconclusive => sum.inconclusive += 1,
            }
        }
        let row = &comparison.phases[0].rows[0];
        let (lower, upper) = row.ratio.interval.expect("a sitting has six pairs and more");
        self.too_high += u64::from(truth < lower);
        self.too_low += u64::from(upper < truth);
        self.marked += u64::from(words::mark(&row.ratio, row.aa_floor) != "·");
        self.pairs += row.ratio.pairs as u64;
    }

    /// Share of the sittings, 0..=1.
    pub(crate) fn share(&self, count: u64) -> f64 {
        count as f64 / self.sittings as f64
    }

    /// Share of intervals that miss the truth.
    pub(crate) fn wrong(&self) -> f64 {
        self.share(self.too_high + self.too_low)
    }
}

/// The judged ratio of a sitting.
pub(crate) fn ratio(run: &Run) -> Estimate {
    compare(run).phases[0].rows[0].ratio
}
