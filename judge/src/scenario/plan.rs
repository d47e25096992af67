//! What a scenario would run: every trial of every block in its order, with its seed, and what that costs.
//! Pure: the same scenario gives the same plan, on any machine; nothing is started or measured.

use super::spec::{Scenario, Values};
use crate::seed::Seed;
use crate::units::{ByteSize, Nanos};
use rand::seq::SliceRandom;

/// Start and stop of one trial: a fresh folder, a fresh node, and the checks at its end.
const TRIAL_OVERHEAD: Nanos = Nanos::from_millis(150);
/// Putting one key of a preload, supposed.
const PRELOAD_KEY: Nanos = Nanos(2_000);
/// Granting one lease, supposed: a request of its own each, and a sync on some arms.
const GRANT: Nanos = Nanos(200_000);
/// Log bytes of one request besides its key and its value.
const ENTRY_OVERHEAD_BYTES: u64 = 64;
/// Operations per second that the disk estimate supposes; a rough upper bound for a small machine.
const OPS_PER_SECOND_SUPPOSED: u64 = 100_000;

/// Everything that would run, and about what it costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One per block, the most there can be.
    pub blocks: Vec<Block>,
    /// Blocks that run in any case; later ones only while the ratios are not yet precise enough.
    pub pairs_min: u32,
    /// Number of arms.
    pub arms: usize,
    /// Measurements in one trial: the client counts of all phases.
    pub cells_per_trial: usize,
    /// Time of one trial, start and stop included.
    pub estimated_trial: Nanos,
    /// Time of the blocks that run in any case.
    pub estimated_min: Nanos,
    /// Time of all blocks.
    pub estimated_max: Nanos,
    /// Rough upper bound of the log of one trial; trials do not keep theirs.
    pub disk_bytes_max: ByteSize,
}

/// One trial of each arm. All of them are started, then each cell is measured on one after the other, so that the
/// two halves of a pair are a second apart and a disk that changes its mood meets both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Number of the block, from 0.
    pub index: u32,
    /// In the order in which they are started.
    pub trials: Vec<PlannedTrial>,
    /// For each cell of a trial (phase and client count, in scenario order): the trials in the order in which they
    /// are measured, as indexes into `trials`.
    pub orders: Vec<Vec<usize>>,
    /// Root of the block's randomness: its arms meet the same requests.
    pub seed: Seed,
}

/// One fresh start of one arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedTrial {
    /// Index into [`Scenario::arms`].
    pub arm_idx: usize,
    /// Whether this is the second trial of its arm in the block, compared only with the first.
    pub aa: bool,
}

impl Plan {
    /// The plan of `scenario`.
    pub fn of(scenario: &Scenario) -> Plan {
        let trials = scenario.trials;
        let blocks: Vec<_> = (0..trials.pairs_max).map(|index| block(scenario, index)).collect();
        let busy = trial_load(scenario);
        let preload = Nanos(PRELOAD_KEY.0.saturating_mul(scenario.keys.preload));
        let leases = Nanos(GRANT.0.saturating_mul(scenario.keys.leases));
        let estimated_trial = busy.after(TRIAL_OVERHEAD).after(preload).after(leases);
        let estimated = |blocks: &[Block]| {
            let count: usize = blocks.iter().map(|block| block.trials.len()).sum();
            Nanos(estimated_trial.0.saturating_mul(count as u64))
        };
        Plan {
            pairs_min: trials.pairs_min,
            arms: scenario.arms.len(),
            cells_per_trial: cells(scenario),
            estimated_trial,
            estimated_min: estimated(&blocks[..trials.pairs_min as usize]),
            estimated_max: estimated(&blocks),
            disk_bytes_max: disk_bytes(scenario, busy),
            blocks,
        }
    }

    /// Number of trials in all blocks.
    pub fn trials_max(&self) -> usize {
        self.blocks.iter().map(|block| block.trials.len()).sum()
    }

    /// Number of trials in the blocks that run in any case.
    pub fn trials_min(&self) -> usize {
        self.blocks.iter().take(self.pairs_min as usize).map(|block| block.trials.len()).sum()
    }
}

/// Every arm once; with A/A, `before` (even blocks) or `after` (odd ones) a second time. All orders are random.
fn block(scenario: &Scenario, index: u32) -> Block {
    let mut random = scenario.seed.stream("order", u64::from(index));
    let mut trials: Vec<_> =
        (0..scenario.arms.len()).map(|arm_idx| PlannedTrial { arm_idx, aa: false }).collect();
    if scenario.trials.aa {
        let arm_idx = if index.is_multiple_of(2) { 0 } else { scenario.arms.len() - 1 };
        trials.push(PlannedTrial { arm_idx, aa: true });
    }
    trials.shuffle(&mut random);
    let mut order: Vec<usize> = (0..trials.len()).collect();
    let mut shuffled = || {
        order.shuffle(&mut random);
        order.clone()
    };
    let orders = (0..cells(scenario)).map(|_| shuffled()).collect();
    Block { index, trials, orders, seed: scenario.seed.child("trial", u64::from(index)) }
}

/// Measurements in one trial.
fn cells(scenario: &Scenario) -> usize {
    scenario.phases.iter().map(|phase| phase.clients.len()).sum()
}

/// Time under load in one trial.
fn trial_load(scenario: &Scenario) -> Nanos {
    let phase_times = scenario.phases.iter().map(|phase| {
        let cell = phase.warmup.after(phase.duration);
        let measurements = phase.clients.len() as u64 * u64::from(phase.load.probes_max());
        cell.0.saturating_mul(measurements)
    });
    Nanos(phase_times.fold(0, u64::saturating_add))
}

fn disk_bytes(scenario: &Scenario, busy: Nanos) -> ByteSize {
    if !scenario.before().system.layer.has_log() {
        return ByteSize(0);
    }
    let value = match scenario.values {
        Values::Fixed(size) => size,
        Values::Uniform { max: size, .. } | Values::Lognormal { p99: size, .. } => size,
    };
    let entry = scenario.keys.size.0 + value.0 + ENTRY_OVERHEAD_BYTES;
    let load = busy.as_secs_f64() * (OPS_PER_SECOND_SUPPOSED * entry) as f64;
    let leases = ENTRY_OVERHEAD_BYTES * scenario.keys.leases;
    let preload = entry.saturating_mul(scenario.keys.preload).saturating_add(leases);
    ByteSize((load as u64).saturating_add(preload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Options, parse};

    fn plan(extra: &str) -> Plan {
        let text = format!(
            "schema = 1\nname = \"x\"\n[arms.before]\napply = \"global-mutex\"\n[arms.after]\n[[op]]\nput = {{}}\n\
             [[phase]]\nname = \"a\"\nload.closed.clients = [1, 10]\nwarmup = \"150ms\"\nduration = \"500ms\"\n{extra}"
        );
        Plan::of(&parse("x.toml", &text, &Options::default()).unwrap())
    }

    #[test]
    fn every_block_has_every_arm_and_one_arm_twice() {
        let plan = plan("");
        assert_eq!(plan.blocks.len(), 20);
        for (index, block) in plan.blocks.iter().enumerate() {
            let mut arms: Vec<_> =
                block.trials.iter().filter(|trial| !trial.aa).map(|trial| trial.arm_idx).collect();
            arms.sort_unstable();
            assert_eq!(arms, [0, 1]);
            let again: Vec<_> = block.trials.iter().filter(|trial| trial.aa).collect();
            assert_eq!((again.len(), again[0].arm_idx), (1, index % 2));
            assert_eq!(block.orders.len(), 2);
            for order in &block.orders {
                let mut order = order.clone();
                order.sort_unstable();
                assert_eq!(order, [0, 1, 2]);
            }
        }
        assert_ne!(plan.blocks[0].seed, plan.blocks[1].seed);
    }

    #[test]
    fn both_orders_come_up() {
        let plan = plan("[trials]\naa = false\npairs = { min = 50, max = 200 }\n");
        let before_first = |block: &&Block| block.trials[block.orders[0][0]].arm_idx == 0;
        let count = plan.blocks.iter().filter(before_first).count();
        assert!((70..=130).contains(&count), "{count} of 200");
        assert_eq!((plan.trials_min(), plan.trials_max()), (100, 400));
    }

    #[test]
    fn a_plan_repeats_and_follows_the_seed() {
        assert_eq!(plan(""), plan(""));
        let other = "[trials]\npairs = { min = 8, max = 20 }\n";
        assert_eq!(plan(other).blocks, plan("").blocks);
    }

    #[test]
    fn time_and_disk_are_estimated() {
        let plan = plan("");
        assert_eq!(plan.cells_per_trial, 2);
        assert_eq!(plan.estimated_trial, Nanos::from_millis(2 * 650 + 150));
        assert_eq!(plan.estimated_min, Nanos(plan.estimated_trial.0 * 3 * 8));
        assert_eq!(plan.estimated_max, Nanos(plan.estimated_trial.0 * 3 * 20));
        assert_eq!(plan.disk_bytes_max, ByteSize(100_000 * (16 + 256 + 64) * 13 / 10));
    }
}
