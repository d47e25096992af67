//! Which blocks count. A block in which the host was disturbed is measured again, kept and marked, or ends the run, as the
//! scenario says.
//!
//! The decision looks at the host and at nothing that was measured: to measure again what looks odd would be to choose the
//! result. It is made once for a whole block, so it treats all arms alike; the last try counts, whatever it shows.

use crate::record::{BlockHost, Disturbance, HostSpan, Trial};
use crate::scenario::plan::Plan;
use crate::scenario::spec::{OnDisturbed, Trials};
use crate::units::Nanos;

/// Share of the machine's cores that others may have. An arm that needs all of them loses at most a tenth then, which is
/// the precision that a run asks for by itself.
const CPU_SHARE_MAX: f64 = 0.1;
/// Bytes per second that others may move on disks; daemons of a quiet host write a few KiB, whoever keeps a disk busy far more.
const DISK_BYTES_PER_S_MAX: f64 = (1 << 20) as f64;
/// Slowest over fastest probe of one block; 1.5 was the most that quiet blocks showed.
const DRIFT_MAX: f64 = 3.0;
/// Probes that are all shorter than this, ns, differ by chance: no disk is that fast, a cache is.
const DRIFT_FROM_NS: u64 = 50_000;

/// Tries at one block.
const ATTEMPTS_MAX: u32 = 3;
/// What measuring again may cost, as a share of the plan: of its blocks, and of its time.
const BUDGET_SHARE: f64 = 0.5;

/// What of a span is beyond its limit, on a machine of so many cores.
pub(super) fn disturbances(span: &HostSpan, cores: u32) -> Vec<Disturbance> {
    let beyond = |value: Option<f64>, limit: f64| value.filter(|value| *value > limit);
    let (cpu, disk) = (CPU_SHARE_MAX * f64::from(cores.max(1)), DISK_BYTES_PER_S_MAX);
    let is_measurable = span.probes_ns.iter().any(|ns| *ns >= DRIFT_FROM_NS);
    let drift = span.disk_drift().filter(|_| is_measurable);
    let found = [
        beyond(span.cores_lost(), cpu).map(|cores| Disturbance::Cpu { cores, limit: cpu }),
        beyond(span.foreign_disk_bytes_per_s, disk)
            .map(|bytes_per_s| Disturbance::Disk { bytes_per_s, limit: disk }),
        beyond(drift, DRIFT_MAX).map(|factor| Disturbance::Drift { factor, limit: DRIFT_MAX }),
    ];
    found.into_iter().flatten().collect()
}

/// What becomes of a finished block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It counts.
    Keep,
    /// It does not, and is measured again.
    Again,
    /// The run ends.
    Abort,
}

/// What the scenario wants, and how much measuring again is left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeats {
    on_disturbed: OnDisturbed,
    blocks_left: u32,
    time_left: Nanos,
}

impl Repeats {
    /// The budget of a whole run.
    pub(super) fn of(trials: Trials, plan: &Plan) -> Repeats {
        Repeats {
            on_disturbed: trials.on_disturbed,
            blocks_left: (f64::from(trials.pairs_max) * BUDGET_SHARE).ceil() as u32,
            time_left: Nanos((plan.estimated_max.0 as f64 * BUDGET_SHARE) as u64),
        }
    }

    /// Decides on a block, and pays for another try.
    pub(super) fn decide(&mut self, block: &BlockHost) -> Decision {
        if block.disturbed.is_empty() {
            return Decision::Keep;
        }
        match self.on_disturbed {
            OnDisturbed::Keep => Decision::Keep,
            OnDisturbed::Abort => Decision::Abort,
            OnDisturbed::Retry => self.again(block),
        }
    }

    fn again(&mut self, block: &BlockHost) -> Decision {
        let cost = Nanos((block.host.elapsed_s * 1e9) as u64);
        if block.attempt >= ATTEMPTS_MAX || self.blocks_left == 0 || cost > self.time_left {
            return Decision::Keep;
        }
        self.blocks_left -= 1;
        self.time_left = self.time_left.since(cost);
        Decision::Again
    }
}

/// The facts of a finished block.
pub(super) fn facts(
    block: u32,
    attempt: u32,
    host: HostSpan,
    trials: &[Trial],
    cores: u32,
) -> BlockHost {
    let disturbed = disturbances(&host, cores);
    BlockHost { block, attempt, host, log_sync_ns: log_sync_ns(trials), disturbed }
}

/// Mean sync of the log in all measurements of a block.
fn log_sync_ns(trials: &[Trial]) -> Option<f64> {
    let counters = || trials.iter().flat_map(|trial| &trial.cells).map(|cell| cell.counters);
    let syncs: u64 = counters().map(|counters| counters.fsyncs).sum();
    let spent_ns: u64 = counters().map(|counters| counters.fsync_ns).sum();
    (syncs > 0 && spent_ns > 0).then(|| spent_ns as f64 / syncs as f64)
}

/// Why a block is disturbed, in words.
pub(super) fn reason(block: &BlockHost) -> String {
    let all: Vec<String> = block.disturbed.iter().map(ToString::to_string).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> HostSpan {
        HostSpan {
            elapsed_s: 10.0,
            foreign_cores: Some(0.03),
            stolen_cores: Some(0.01),
            foreign_disk_bytes_per_s: Some(20_000.0),
            cpu_pressure: Some(0.6),
            io_pressure: Some(0.9),
            probes_ns: vec![100_000, 120_000, 150_000],
        }
    }

    /// As seen on a quiet host whose own load keeps somebody waiting all the time.
    #[test]
    fn a_quiet_host_is_not_disturbed_and_neither_is_an_unknown_one() {
        assert_eq!(disturbances(&quiet(), 2), []);
        assert_eq!(disturbances(&HostSpan::default(), 2), []);
    }

    #[test]
    fn each_fact_has_its_limit() {
        let of = |span: HostSpan| disturbances(&span, 2);
        let cpu = |cores: f64| HostSpan { foreign_cores: Some(cores), ..quiet() };
        assert_eq!(of(cpu(0.19)), []);
        assert!(matches!(of(cpu(0.2))[..], [Disturbance::Cpu { .. }]), "stolen time is added");
        // A core of sixty-four is not missed.
        assert_eq!(disturbances(&cpu(1.0), 64), []);
        let stolen = HostSpan { stolen_cores: Some(0.5), ..quiet() };
        assert!(matches!(of(stolen)[..], [Disturbance::Cpu { .. }]));
        let disk = HostSpan { foreign_disk_bytes_per_s: Some(2e6), ..quiet() };
        assert!(matches!(of(disk)[..], [Disturbance::Disk { .. }]));
        let drift = |probes_ns: &[u64]| of(HostSpan { probes_ns: probes_ns.to_vec(), ..quiet() });
        assert_eq!(drift(&[100_000, 300_000]), []);
        assert!(matches!(drift(&[400_000, 100_000])[..], [Disturbance::Drift { factor: 4.0, .. }]));
        assert_eq!(drift(&[1_000, 9_000]), [], "no disk is so fast that this was one");
        assert_eq!(drift(&[100_000]), []);
        let all = HostSpan { probes_ns: vec![1, 9_000_000], ..cpu(1.5) };
        assert_eq!(of(all).len(), 2);
    }

    fn tried(attempt: u32, elapsed_s: f64) -> BlockHost {
        let host = HostSpan { elapsed_s, foreign_cores: Some(2.0), ..quiet() };
        facts(0, attempt, host, &[], 2)
    }

    fn repeats(blocks_left: u32, time_left: Nanos) -> Repeats {
        Repeats { on_disturbed: OnDisturbed::Retry, blocks_left, time_left }
    }

    #[test]
    fn blocks_and_time_bound_what_is_measured_again() {
        let long = Nanos::from_millis(3_600_000);
        let mut by_tries = repeats(99, long);
        assert_eq!(
            [1, 2, 3].map(|n| by_tries.decide(&tried(n, 1.0))),
            [Decision::Again, Decision::Again, Decision::Keep]
        );
        let mut by_blocks = repeats(1, long);
        assert_eq!(by_blocks.decide(&tried(1, 1.0)), Decision::Again);
        assert_eq!(by_blocks.decide(&tried(1, 1.0)), Decision::Keep);
        let mut by_time = repeats(99, Nanos::from_millis(1_500));
        assert_eq!(by_time.decide(&tried(1, 1.0)), Decision::Again);
        assert_eq!(by_time.decide(&tried(1, 1.0)), Decision::Keep);
        assert_eq!(by_time.decide(&tried(1, 0.4)), Decision::Again);
    }

    #[test]
    fn only_a_disturbed_block_is_in_question() {
        let quiet = facts(0, 1, quiet(), &[], 2);
        for on_disturbed in [OnDisturbed::Retry, OnDisturbed::Keep, OnDisturbed::Abort] {
            let mut repeats = Repeats { on_disturbed, ..repeats(9, Nanos(u64::MAX)) };
            assert_eq!(repeats.decide(&quiet), Decision::Keep);
        }
        let mut abort = Repeats { on_disturbed: OnDisturbed::Abort, ..repeats(9, Nanos(u64::MAX)) };
        assert_eq!(abort.decide(&tried(1, 1.0)), Decision::Abort);
    }
}
