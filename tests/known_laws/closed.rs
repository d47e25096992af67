//! Closed loops on known laws.

use crate::fake::{Fakes, Nature, Notes};
use crate::laws::{Law, Stall};
use crate::tool::{Told, amid_noise, run, scenario};
use crate::truth::{Within, agree, ended, near, service};
use kvbench::compare::Verdict;
use kvbench::record::{Cell, Trial, Warning};
use kvbench::report::words;
use kvbench::runner::RunError;
use kvbench::seed::Seed;
use kvbench::stats::hodges_lehmann;
use kvbench::units::Nanos;
use rand::Rng;
use rand_distr::StandardNormal;
use std::sync::Arc;

/// One block of one phase.
fn once(clients: &str, duration: &str) -> String {
    once_under(&format!("clients = [{clients}]"), duration)
}

fn once_under(closed: &str, duration: &str) -> String {
    scenario(&format!(
        "
[[phase]]
name     = \"p\"
load     = {{ closed = {{ {closed} }} }}
warmup   = \"50ms\"
duration = \"{duration}\"
[trials]
on_disturbed = \"keep\"
pairs = {{ min = 1, max = 1 }}
aa    = false
"
    ))
}

/// Everything that a closed loop says of every cell, against the notes of the fake that it ran on; then what is `known` of it.
fn every_cell_agrees(told: &Told, notes: &[Arc<Notes>], known: impl Fn(&Cell, &Within<'_>)) {
    assert!(told.failure.is_none(), "{:?}", told.failure);
    // Medians over trials, as reports judge them: 5 % for Little's law, 2 % for the stages.
    let doubts = |warning: &&Warning| {
        matches!(warning, Warning::LittlesLaw { .. } | Warning::StageGap { .. })
    };
    assert_eq!(told.run.warnings.iter().find(doubts), None);
    for (trial, notes) in told.run.trials.iter().zip(notes) {
        let calls = ended(notes);
        assert_eq!(trial.end.writes_acked, calls.len() as u64, "no call is lost or counted twice");
        for cell in &trial.cells {
            let within = agree(&calls, cell, |within| {
                within.has(&cell.service, service)?;
                within.has_stages(cell)?;
                near("in flight", cell.in_flight_mean, within.in_flight(), 0.1, 0.0)
            });
            near("stages", cell.stage_gap(), 0.0, 0.0, 0.005).unwrap();
            known(cell, &within);
        }
    }
    assert!(told.run.checks.iter().all(|check| check.passed), "{:?}", told.run.checks);
}

/// Most of the time is thought, and the pause that the end of the span cuts off is longer than all calls that are under way.
#[test]
fn a_client_that_thinks_keeps_littles_law() {
    amid_noise(|| {
        let think = Nanos::from_millis(50);
        let fakes = Fakes::new(|_, _| Nature::Law(Law::fixed(Nanos::from_millis(1))));
        let told = run(&once_under("clients = [1], think = \"50ms\"", "3s"), &fakes);
        every_cell_agrees(&told, &fakes.notes(), |cell, within| {
            let cycle_s = think.as_secs_f64() + within.mean_ns(service) / 1e9;
            near("throughput", cell.throughput_per_s, 1.0 / cycle_s, 0.06, 0.0).unwrap();
        });
    });
}

/// N clients on two servers that take S each: N / (S + Z) as long as there is a server for each, else 2 / S. Z is what the host
/// takes to wake a client, which the fake saw.
#[test]
fn a_fixed_service_time_gives_its_throughput_and_its_latency() {
    amid_noise(|| {
        let busy = Nanos::from_millis(4);
        let law = Law { servers: 2, ..Law::fixed(busy) };
        let fakes = Fakes::new(|_, _| Nature::Law(law));
        let told = run(&once("1, 2, 16", "400ms"), &fakes);
        every_cell_agrees(&told, &fakes.notes(), |cell, within| {
            let cycle_s = within.mean_ns(service) / 1e9;
            let servers_s = busy.as_secs_f64() / 2.0;
            let least_s = cycle_s / f64::from(cell.clients);
            near("throughput", cell.throughput_per_s, 1.0 / least_s, 0.03, 0.0).unwrap();
            if cell.clients > 2 {
                // A queue before the servers hides what the host takes; a pause longer than the queue does not happen.
                near("throughput", cell.throughput_per_s, 1.0 / servers_s, 0.03, 0.0).unwrap();
            }
            assert!(cell.service.p50_ns >= busy.0 / 1001 * 1000, "{}", cell.service.p50_ns);
        });
    });
}

/// N clients on one exponential server wait for N services, their own among them.
#[test]
fn an_exponential_service_time_keeps_its_whole_distribution() {
    amid_noise(|| {
        let fakes = Fakes::new(|_, _| Nature::Law(Law::exponential(Nanos(1_000_000))));
        let told = run(&once("16", "600ms"), &fakes);
        every_cell_agrees(&told, &fakes.notes(), |cell, within| {
            let busy_ns = within.mean_ns(|call| call.finished.since(call.started));
            near("mean", cell.service.mean_ns, 16.0 * busy_ns, 0.03, 0.0).unwrap();
            near("throughput", cell.throughput_per_s, 1e9 / busy_ns, 0.03, 0.0).unwrap();
        });
    });
}

/// A client that waits out a stall sends nothing meanwhile: one bad call among hundreds, and a 99th percentile that knows nothing.
/// That is coordinated omission, and why such latencies are called service times.
#[test]
fn a_closed_loop_does_not_see_a_stall_in_its_percentiles() {
    amid_noise(|| {
        let stall = Stall { every: Nanos::from_millis(500), length: Nanos::from_millis(120) };
        let law = Law { stall: Some(stall), ..Law::fixed(Nanos(1_000_000)) };
        let fakes = Fakes::new(|_, _| Nature::Law(law));
        let told = run(&once("1", "1200ms"), &fakes);
        every_cell_agrees(&told, &fakes.notes(), |cell, _| {
            // A call that comes when a stall has begun waits for its rest.
            assert!(cell.service.max_ns >= stall.length.0 / 10 * 9, "{}", cell.service.max_ns);
            assert!(cell.service.p99_ns < stall.length.0 / 4, "{}", cell.service.p99_ns);
        });
        told.shows("closed loop");
    });
}

/// Six blocks in which after is so many times as fast, with 3 % of noise between trials.
fn factor(factor: f64, repeat: bool, targets: &str) -> (Told, Vec<Arc<Notes>>) {
    let fakes = Fakes::new(|arm, number| {
        let noise = 0.03 * Seed(11).stream("noise", number as u64).sample::<f64, _>(StandardNormal);
        let speed = if arm.name == "after" { factor } else { 1.0 };
        Nature::Law(Law::fixed(Nanos((1e6 / speed * noise.exp()) as u64)))
    });
    // Many clients: the law holds through any pause of the host that is shorter than the queue, 12.8 ms on the faster arm.
    let text = scenario(&format!(
        "
[[phase]]
name     = \"p\"
load     = {{ closed = {{ clients = [128] }} }}
warmup   = \"20ms\"
duration = \"150ms\"
[trials]
on_disturbed = \"keep\"
pairs = {{ min = 6, max = 6 }}
aa    = {repeat}
{targets}
"
    ));
    (run(&text, &fakes), fakes.notes())
}

/// The true throughput of the only cell of a trial: one over the service time of its server.
fn true_throughput((trial, notes): (&Trial, &Arc<Notes>)) -> f64 {
    let calls = ended(notes);
    let within = agree(&calls, &trial.cells[0], |_| Ok(()));
    1e9 / within.mean_ns(|call| call.finished.since(call.started))
}

/// What the ratio should be: of the pairs' true throughputs.
fn true_ratio(told: &Told, notes: &[Arc<Notes>]) -> f64 {
    let truths: Vec<(u32, &str, f64)> = told
        .run
        .trials
        .iter()
        .zip(notes)
        .filter(|(trial, _)| !trial.aa)
        .map(|both| (both.0.block, both.0.arm.as_str(), true_throughput(both).ln()))
        .collect();
    let of = |block, arm| truths.iter().find(|t| t.0 == block && t.1 == arm).unwrap().2;
    let logs: Vec<f64> = (0..6).map(|block| of(block, "after") - of(block, "before")).collect();
    hodges_lehmann(&logs).unwrap().exp()
}

/// Checks the one ratio of a run and gives its verdicts.
fn ratio_agrees(told: &Told, notes: &[Arc<Notes>]) -> Vec<Verdict> {
    every_cell_agrees(told, notes, |_, _| {});
    let row = &told.comparison.phases[0].rows[0];
    assert_eq!(row.ratio.pairs, 6);
    near("ratio", row.ratio.ratio, true_ratio(told, notes), 0.02, 0.0).unwrap();
    told.shows(&words::estimate_ratio(&row.ratio));
    told.comparison.verdicts.iter().map(|verdict| verdict.verdict).collect()
}

const TENFOLD: &str = "
[[target]]
id     = \"tenfold\"
metric = \"p.throughput@128\"
ratio  = \">= 10\"
";

#[test]
fn a_true_twelvefold_is_certified_as_tenfold() {
    amid_noise(|| {
        let (told, notes) = factor(12.0, false, TENFOLD);
        assert_eq!(ratio_agrees(&told, &notes), [Verdict::Met]);
    });
}

#[test]
fn a_true_nine_and_a_half_is_not_certified_as_tenfold() {
    amid_noise(|| {
        let (told, notes) = factor(9.5, false, TENFOLD);
        assert_ne!(ratio_agrees(&told, &notes), [Verdict::Met]);
    });
}

/// Both the pairs and the A/A repeats say that nothing changed.
#[test]
fn equal_arms_are_told_equal() {
    amid_noise(|| {
        let (told, notes) = factor(
            1.0,
            true,
            "
[[target]]
id     = \"better\"
metric = \"p.throughput@128\"
ratio  = \">= 1.1\"
[[target]]
id     = \"worse\"
metric = \"p.throughput@128\"
ratio  = \"<= 0.9\"
",
        );
        assert_eq!(ratio_agrees(&told, &notes), [Verdict::Missed, Verdict::Missed]);
        let row = &told.comparison.phases[0].rows[0];
        assert_eq!(words::mark(&row.ratio, row.aa_floor), "·");
        assert!(row.aa_floor.is_some_and(|floor| floor < 0.15), "{:?}", row.aa_floor);
    });
}

/// N clients, and one lock that each holds for H of its cycle and leaves alone for R: it is waited for during the rest, N·H − H − R.
#[test]
fn a_lock_costs_what_it_costs() {
    amid_noise(|| {
        let (hold, rest) = (Nanos::from_millis(3), Nanos::from_millis(2));
        let fakes = Fakes::new(|_, _| Nature::Lock { hold, rest });
        let told = run(&once("6", "800ms"), &fakes);
        assert!(told.failure.is_none(), "{:?}", told.failure);
        for (trial, notes) in told.run.trials.iter().zip(fakes.notes()) {
            let (said, truth) = (&trial.cells[0].locks[0], notes.lock_use(0));
            near("taken", said.acquisitions as f64, truth.acquisitions as f64, 0.0, 1.0).unwrap();
            near("wait", said.wait_ns as f64, truth.wait_ns as f64, 0.05, 0.0).unwrap();
            near("hold", said.hold_ns as f64, truth.hold_ns as f64, 0.05, 0.0).unwrap();
            let calls = ended(&notes);
            let within = agree(&calls, &trial.cells[0], |within| {
                within.has(&trial.cells[0].service, service)
            });
            let held_ns = truth.hold_ns as f64 / truth.acquisitions as f64;
            let rested_ns = within.mean_ns(|call| call.finished.since(call.started)) - held_ns;
            let waited_ns = said.wait_ns as f64 / said.acquisitions as f64;
            near("wait", waited_ns, 5.0 * held_ns - rested_ns, 0.05, 0.0).unwrap();
            assert!(said.contended as f64 > 0.9 * said.acquisitions as f64, "{said:?}");
        }
        let costs = &told.comparison.phases[0].rows[0].arms[0].costs;
        let (cell, cost) = (
            &told.run.trials.iter().find(|t| t.arm == "before").unwrap().cells[0],
            &costs.locks[0],
        );
        near(
            "per op",
            cost.wait_ns_per_op,
            cell.locks[0].wait_ns as f64 / cell.ops as f64,
            1e-9,
            0.0,
        )
        .unwrap();
    });
}

/// A client whose call failed sends no more, and the run says how many did and why.
#[test]
fn every_error_is_counted() {
    amid_noise(|| {
        let fakes = Fakes::new(|_, _| Nature::Law(Law::fixed(Nanos(200_000)))).failing_every(50);
        let told = run(&once("5", "400ms"), &fakes);
        let failed: u64 = fakes.notes().iter().map(|notes| notes.failed()).sum();
        let Some(RunError::Operations { errors, first, .. }) = &told.failure else {
            panic!("{:?}", told.failure);
        };
        assert_eq!((*errors, failed), (5, 5));
        assert_eq!(first, "this call was bound to fail");
        assert!(!told.run.complete && told.run.trials.is_empty());
    });
}
