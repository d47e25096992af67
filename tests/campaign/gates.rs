//! Gates between two programs with a known truth: several scenarios, base and head by turns, what looks worse once more with fresh
//! turns, all of it judged by the same code as real gates.

use super::{AFTER, BEFORE, Noise, World};
use kvbench::compare::contrast::{Entrant, FLOOR, Limit, Match, matched};
use kvbench::gate::{GateOutcome, GateVerdict, outcome, rows, suspects};
use kvbench::record::Run;
use kvbench::record::contrast::Contrasts;
use kvbench::record::gate::{GateRecord, GatedScenario};
use kvbench::seed::Seed;

/// Base and head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gates {
    pub(crate) noise: Noise,
    /// Turns of each set.
    pub(crate) turns: u32,
    /// Scenarios of which each gates one metric; the first one's may have changed.
    pub(crate) scenarios: u32,
    /// True throughput of head over base in the first scenario.
    pub(crate) change: f64,
}

/// How often what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gated {
    pub(crate) campaigns: u64,
    /// Something looked worse in the first set of turns.
    pub(crate) suspected: u64,
    /// The gate fails: something was worse in both sets.
    pub(crate) failed: u64,
    /// The first scenario is among it.
    pub(crate) found: u64,
    /// The gate passes.
    pub(crate) passed: u64,
}

impl Gates {
    /// Four scenarios, ten turns, nothing changed.
    pub(crate) const fn alike(noise: Noise) -> Gates {
        Gates { noise, turns: 10, scenarios: 4, change: 1.0 }
    }

    pub(crate) fn campaign(&self, campaigns: u64, name: &str) -> Gated {
        let mut gated = Gated { campaigns, ..Gated::default() };
        for campaign in 0..campaigns {
            gated.add(&self.gate(Seed(42).child(name, campaign)));
        }
        gated
    }

    fn gate(&self, seed: Seed) -> GateRecord {
        let all: Vec<u32> = (0..self.scenarios).collect();
        let first = self.set(&all, seed.child("first", 0));
        let suspected = |scenario: &u32| {
            let is_it = |one: &&_| suspects(one).next().is_some();
            let its = first.contrasts.iter().filter(is_it);
            its.map(|one| one.base.bundle.as_str()).any(|name| name == scenario.to_string())
        };
        let again: Vec<u32> = all.into_iter().filter(suspected).collect();
        let second = (!again.is_empty()).then(|| self.set(&again, seed.child("second", 0)));
        GateRecord {
            complete: true,
            confirms: true,
            first,
            second,
            scenarios: vec![GatedScenario::default()],
            ..GateRecord::default()
        }
    }

    /// One set of turns of these scenarios, judged as one family.
    fn set(&self, scenarios: &[u32], seed: Seed) -> Contrasts {
        let sit = |scenario: &u32| {
            let ratio = if *scenario == 0 { self.change } else { 1.0 };
            let world = World::new(ratio, self.noise).of_pairs(self.turns);
            (scenario.to_string(), world.sit(&[], seed.child("scenario", u64::from(*scenario))))
        };
        let runs: Vec<(String, Run)> = scenarios.iter().map(sit).collect();
        let metric = "saturate.throughput@50".to_owned();
        let limits = [Limit { metric, floor: FLOOR, least: 0.0 }];
        let mut matches = Vec::new();
        for (name, run) in &runs {
            let entrant = |arm| Entrant { bundle: name, run, arm };
            matches.push(Match { base: entrant(BEFORE), other: entrant(AFTER), limits: &limits });
        }
        matched(&matches, FLOOR, false).expect("the metric is one")
    }
}

impl Gated {
    fn add(&mut self, record: &GateRecord) {
        let outcome = outcome(record);
        let first = rows(record).first().map(|row| row.verdict);
        self.suspected += u64::from(record.second.is_some());
        self.failed += u64::from(outcome == GateOutcome::Regressed);
        self.passed += u64::from(outcome == GateOutcome::Passed);
        self.found += u64::from(first == Some(GateVerdict::Regressed));
    }

    pub(crate) fn share(&self, count: u64) -> f64 {
        count as f64 / self.campaigns as f64
    }
}
