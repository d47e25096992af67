//! Open loops on known laws. When a call was due is known beforehand: at constant rate from the rate, else from the seed.

use crate::fake::{Fakes, Nature, Notes};
use crate::laws::{Law, Stall, StalledConstant};
use crate::tool::{Told, amid_noise, run, scenario};
use crate::truth::{Call, in_flight, near};
use kvbench::load::Schedule;
use kvbench::record::{Cell, OpenCell, Trial, Warning};
use kvbench::scenario;
use kvbench::scenario::plan::Plan;
use kvbench::scenario::spec::{Arrival, Course};
use kvbench::units::Nanos;

const RATE: f64 = 500.0;

/// One block of one phase under an open load of the phase's own 50 streams.
fn paced(rate: f64, arrival: Arrival, duration: &str, targets: &str) -> String {
    scenario(&format!(
        "
[[phase]]
name     = \"paced\"
load     = {{ open = {{ rate = \"{rate}/s\", arrival = \"{arrival}\" }} }}
warmup   = \"50ms\"
duration = \"{duration}\"
[trials]
on_disturbed = \"keep\"
pairs = {{ min = 1, max = 1 }}
aa    = false
{targets}
"
    ))
}

/// The calls that were due within the span, in the order in which they were due.
struct Due {
    /// When each was due, with what became of it.
    calls: Vec<(Nanos, Call)>,
}

impl Due {
    /// The last calls that a fake saw are those of the span. Only when the span opened is not known: it is taken from the median
    /// lag, and must then agree with everything else that is said.
    fn of(notes: &Notes, trial: &Trial, dues: &[Nanos]) -> Due {
        let cell = &trial.cells[0];
        let open = open(cell);
        assert_eq!((open.scheduled, open.unsent), (dues.len() as u64, 0), "nothing is skipped");
        let mut calls = notes.calls();
        calls.sort_by_key(|call| call.arrived);
        assert_eq!(trial.end.writes_acked, calls.len() as u64, "no call is lost or made up");
        let started = Nanos((cell.started_s * 1e9) as u64);
        let since_start = calls.iter().filter(|call| call.arrived >= started).count();
        assert!(since_start >= dues.len(), "{since_start} calls reached the fake in the span");
        let calls = calls.split_off(calls.len() - dues.len());
        let mut begins: Vec<u64> =
            calls.iter().zip(dues).map(|(call, due)| call.arrived.since(*due).0).collect();
        begins.sort_unstable();
        let middle = begins[(dues.len() - 1) / 2];
        let opened = Nanos(middle).since(Nanos(open.lag.p50_ns));
        assert!(opened >= started && opened.0 <= begins[0] + 50_000, "the lag is another");
        let calls = dues.iter().map(|due| opened.after(*due)).zip(calls).collect();
        Due { calls }
    }

    /// A span of each call, ascending, ns.
    fn sorted(&self, span: fn(Nanos, &Call) -> Nanos) -> Vec<f64> {
        let mut spans: Vec<f64> =
            self.calls.iter().map(|(due, call)| span(*due, call).0 as f64).collect();
        spans.sort_by(f64::total_cmp);
        spans
    }
}

fn response(due: Nanos, call: &Call) -> Nanos {
    call.returned.since(due)
}

/// As the law has it, whatever the host took to wake the client.
fn lawful_response(due: Nanos, call: &Call) -> Nanos {
    call.finished.since(due)
}

fn open(cell: &Cell) -> &OpenCell {
    cell.open.as_ref().expect("the load is open")
}

/// The smallest value that such a share does not exceed.
fn quantile(sorted: &[f64], quantile: f64) -> f64 {
    sorted[((quantile * sorted.len() as f64).ceil() as usize).saturating_sub(1)]
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Instants of a constant rate: in the middle of equal parts.
fn constant(rate: f64, seconds: f64) -> Vec<Nanos> {
    let calls = (rate * seconds) as u32;
    (0..calls).map(|call| Nanos(((f64::from(call) + 0.5) / rate * 1e9) as u64)).collect()
}

/// What the open load says of every trial, within 2 % of what the fake wrote down; then what is `known` of it.
fn every_trial_agrees(
    told: &Told,
    notes: &[std::sync::Arc<Notes>],
    dues: &[Nanos],
    known: impl Fn(&Cell, &Due),
) {
    assert!(told.failure.is_none(), "{:?}", told.failure);
    assert_eq!(told.run.trials.len(), 2);
    for (trial, notes) in told.run.trials.iter().zip(notes) {
        let cell = &trial.cells[0];
        let (due, said) = (Due::of(notes, trial, dues), open(cell));
        let truth = due.sorted(response);
        // A preempted thread may see one call later than the fake did.
        let agree =
            |what: &str, said: f64, truth: f64| near(what, said, truth, 0.02, 20_000.0).unwrap();
        agree("mean", said.response.mean_ns, mean(&truth));
        agree("p50", said.response.p50_ns as f64, quantile(&truth, 0.5));
        agree("p90", said.response.p90_ns as f64, quantile(&truth, 0.9));
        agree("p99", said.response.p99_ns as f64, quantile(&truth, 0.99));
        let lag = due.sorted(|due, call| call.arrived.since(due));
        agree("lag p99", said.lag.p99_ns as f64, quantile(&lag, 0.99));
        agree("lag max", said.lag.max_ns as f64, lag[lag.len() - 1]);
        let counted = in_flight(&notes.calls(), cell);
        near("in flight", said.in_flight_counted, counted, 0.05, 0.05).unwrap();
        known(cell, &due);
    }
}

/// The open loop finds the stall at its true length, where a closed loop on the same system does not see it
/// (`closed::a_closed_loop_does_not_see_a_stall_in_its_percentiles`).
#[test]
fn an_open_loop_finds_the_true_length_of_a_stall() {
    amid_noise(|| {
        let stall = Stall { every: Nanos::from_millis(500), length: Nanos::from_millis(120) };
        let law = Law { stall: Some(stall), ..Law::fixed(Nanos(1_000_000)) };
        let fakes = Fakes::new(|_, _| Nature::Law(law));
        let told = run(&paced(RATE, Arrival::Constant, "2s", ""), &fakes);
        let truth = StalledConstant { rate: RATE, service_s: 1e-3, every_s: 0.5, length_s: 0.12 };
        every_trial_agrees(&told, &fakes.notes(), &constant(RATE, 2.0), |cell, due| {
            let lawful = due.sorted(lawful_response);
            // What a busy host adds on either side: calls that are sent late, and answers that are seen late.
            let lag_ns = quantile(&due.sorted(|due, call| call.arrived.since(due)), 0.99);
            let seen_ns = quantile(&due.sorted(|_, call| call.returned.since(call.finished)), 0.99);
            let said = &open(cell).response;
            for (q, said) in [(0.9, said.p90_ns), (0.99, said.p99_ns)] {
                let expected_ns = truth.quantile_s(q) * 1e9;
                // Four stalls of 60 calls each: neighbouring responses lie a millisecond apart.
                near("law", quantile(&lawful, q), expected_ns, 0.02, 1e6 + lag_ns).unwrap();
                near("stall", said as f64, expected_ns, 0.02, 1e6 + lag_ns + seen_ns).unwrap();
            }
            assert!(said.max_ns as f64 >= 0.98 * stall.length.0 as f64, "{}", said.max_ns);
        });
    });
}

/// The closed form of M/M/1 is what the law gives over millions of calls (`laws::tests`); the tool tells what this law gave.
#[test]
fn an_open_loop_tells_the_responses_of_mm1() {
    amid_noise(|| {
        let fakes = Fakes::new(|_, _| Nature::Law(Law::exponential(Nanos(1_000_000))));
        let text = paced(600.0, Arrival::Poisson, "1500ms", "");
        let told = run(&text, &fakes);
        let asked = scenario::Options::default();
        let scenario =
            scenario::parse("known_law", &text, &asked).unwrap_or_else(|p| panic!("{p}"));
        let streams = u64::from(told.run.trials[0].cells[0].clients);
        let seed = Plan::of(&scenario).blocks[0].seed.child("paced", streams);
        let schedule =
            Schedule { arrival: Arrival::Poisson, course: Course::Steps, rates_per_s: vec![600.0] };
        let dues: Vec<Nanos> = schedule.dues(Nanos::from_millis(1500), seed).collect();
        every_trial_agrees(&told, &fakes.notes(), &dues, |cell, _| {
            assert!(cell.littles_gap() < 0.05, "{}", cell.littles_gap());
            assert!(cell.is_sustained());
        });
    });
}

/// A server that takes 1 ms cannot answer 1500 calls a second: the report says so and shows no percentile.
#[test]
fn a_rate_beyond_the_capacity_has_no_percentile() {
    amid_noise(|| {
        let fakes = Fakes::new(|_, _| Nature::Law(Law::fixed(Nanos(1_000_000))));
        let target = "
[[target]]
id     = \"quick\"
metric = \"paced.p99\"
ratio  = \"<= 2\"
";
        let told = run(&paced(1500.0, Arrival::Constant, "600ms", target), &fakes);
        for (trial, notes) in told.run.trials.iter().zip(fakes.notes()) {
            let said = open(&trial.cells[0]);
            assert_eq!((said.scheduled, said.unsent), (900, 0), "nothing is skipped");
            assert_eq!(
                trial.end.writes_acked,
                notes.calls().len() as u64,
                "what was sent late is answered"
            );
            assert!(said.achieved() < 0.75 && !said.is_sustained(), "{}", said.achieved());
        }
        let behind = |warning: &&Warning| matches!(warning, Warning::Unsustained { .. });
        assert_eq!(told.run.warnings.iter().filter(behind).count(), 2);
        told.shows("unsustainable");
        for arm in &told.comparison.phases[0].rows[0].arms {
            assert_eq!(arm.costs.p99_ns, None);
        }
        let verdict = &told.comparison.verdicts[0];
        assert_eq!(verdict.verdict, kvbench::compare::Verdict::Inconclusive);
    });
}
