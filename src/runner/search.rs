//! The highest rate at which a condition holds: open loads one after the other, halving the rates that are left.
//!
//! A rate is tried once, so luck may decide at its edge. That is noise of this trial like any other: every trial searches
//! for itself, and the pairs show how much it is.

use super::cell::{self, At, Measured};
use super::{RunError, Stage};
use crate::load::{Acked, Pace, Schedule};
use crate::record::{Cell, Sampled, SearchCell, SearchProbe};
use crate::scenario::spec::{Course, Search, SearchPercentile};
use crate::target::Launch;

/// Searches on `target`; `at` says where a measurement belongs that has this pace. Stopped early, it gives what it has.
pub(super) fn run<'a, L: Launch>(
    stage: &mut Stage<'_, L>,
    target: &L::Target,
    search: &Search,
    at: impl Fn(Pace) -> At<'a>,
) -> Result<Measured, RunError> {
    let rates = search.rates_per_s();
    let (mut held, mut failed) = (0, rates.len() + 1);
    let (mut acked, mut sampled) = (Acked::default(), None::<Sampled>);
    let (mut probes, mut best, mut lowest) = (Vec::new(), None, None);
    // Rates before number `held` met the condition, those from number `failed` on did not.
    while failed - held > 1 && (probes.is_empty() || !stage.stopped()) {
        let middle = (held + failed) / 2;
        let rate_per_s = rates[middle - 1];
        let schedule = Schedule {
            arrival: search.arrival,
            course: Course::Steps,
            rates_per_s: vec![rate_per_s],
        };
        let tried = cell::measure(stage, target, &at(Pace::Open(schedule)))?;
        acked.add(tried.acked);
        if let Some(more) = &tried.sampled {
            sampled.get_or_insert_default().add(more);
        }
        let probe = probe(search, rate_per_s, &tried.cell);
        if probe.held {
            (held, best) = (middle, Some(tried.cell));
        } else {
            (failed, lowest) = (middle, Some(tried.cell));
        }
        probes.push(probe);
    }
    let found_per_s = held.checked_sub(1).map(|index| rates[index]);
    let cell = best.or(lowest).expect("there is a rate to try, and it is tried first");
    let found = SearchCell {
        condition: search.condition.to_string(),
        found_per_s,
        highest_per_s: search.highest_per_s,
        probes,
    };
    Ok(Measured { cell: Cell { search: Some(found), ..cell }, acked, sampled })
}

fn probe(search: &Search, rate_per_s: f64, cell: &Cell) -> SearchProbe {
    let latency = cell.latency();
    let latency_ns = match search.condition.percentile {
        SearchPercentile::P50 => latency.p50_ns,
        SearchPercentile::P90 => latency.p90_ns,
        SearchPercentile::P99 => latency.p99_ns,
    };
    let achieved = cell.open.as_ref().map_or(1.0, |open| open.achieved());
    let held = cell.is_sustained() && latency_ns <= search.condition.at_most.0;
    SearchProbe { rate_per_s, achieved, latency_ns, held }
}
