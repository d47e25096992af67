//! Invented sweeps over client counts that follow Gunther's law, and how often the judge's intervals hold its parameters.

use super::record::{self, Blank};
use super::{AFTER, BEFORE, Noise, World};
use kvbench::compare::{Scalability, compare};
use kvbench::record::Run;
use kvbench::seed::Seed;
use rand::Rng;
use rand_distr::StandardNormal;

const CLIENTS: [u32; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

/// X(N) = λN / (1 + σ(N − 1) + κN(N − 1)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Law {
    /// λ, per second.
    pub(crate) per_client: f64,
    /// σ.
    pub(crate) contention: f64,
    /// κ.
    pub(crate) coherency: f64,
}

impl Law {
    pub(crate) fn at(&self, clients: u32) -> f64 {
        let n = f64::from(clients);
        let shared = 1.0 + self.contention * (n - 1.0) + self.coherency * n * (n - 1.0);
        self.per_client * n / shared
    }

    /// N*.
    pub(crate) fn peak(&self) -> f64 {
        ((1.0 - self.contention) / self.coherency).sqrt()
    }

    /// How many of the four intervals of a fitted law hold the truth: λ, σ, κ, N*.
    fn held_by(&self, fitted: &Scalability) -> [bool; 4] {
        let truth = [self.per_client, self.contention, self.coherency, self.peak()];
        let peak = fitted.peak.as_ref().and_then(|peak| peak.interval);
        let intervals = [
            fitted.per_client.interval,
            fitted.contention.interval,
            fitted.coherency.interval,
            peak,
        ];
        std::array::from_fn(|k| {
            intervals[k].is_some_and(|(lower, upper)| (lower..=upper).contains(&truth[k]))
        })
    }
}

/// Two arms, each with a law.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sweep {
    pub(crate) before: Law,
    pub(crate) after: Law,
    /// Standard deviation of the logarithm of each throughput.
    pub(crate) noise: f64,
    pub(crate) trials: u32,
}

impl Sweep {
    fn run(&self, seed: Seed) -> Run {
        let mut random = seed.stream("sweep", 0);
        let mut run = Blank::of(&World::new(1.0, Noise::white(0.0)), &[]).run();
        // The resamples of an interval come from the scenario's seed.
        run.scenario.seed = seed.0;
        for block in 0..self.trials {
            for (arm, law) in [(BEFORE, self.before), (AFTER, self.after)] {
                let mut noisy = |clients: &u32| {
                    let off = self.noise * random.sample::<f64, _>(StandardNormal);
                    (*clients, law.at(*clients) * off.exp())
                };
                let measured: Vec<(u32, f64)> = CLIENTS.iter().map(&mut noisy).collect();
                run.trials.push(record::sweep(block, arm, &measured));
            }
        }
        run
    }

    /// In how many of so many sweeps, two arms each, the intervals of λ, σ, κ and N* hold the truth.
    pub(crate) fn held(&self, sweeps: u64, name: &str) -> [u64; 4] {
        let mut held = [0; 4];
        for sweep in 0..sweeps {
            let comparison = compare(&self.run(Seed(42).child(name, sweep)));
            for (scaling, law) in comparison.phases[0].scaling.iter().zip([self.before, self.after])
            {
                let fitted = scaling.law.as_ref().expect("it follows the law");
                for (held, holds) in held.iter_mut().zip(law.held_by(fitted)) {
                    *held += u64::from(holds);
                }
            }
        }
        held
    }
}
