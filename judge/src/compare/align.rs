//! Pairs: two trials of the same block, compared at the same place; one log-ratio each.
//!
//! A pair exists or it does not: an interrupted block, a missing cell or a value that has no logarithm gives none,
//! and nothing is filled in. Blocks share their minutes, so a host that drifts slows both sides of a pair alike.

use super::Estimate;
use super::invalid::{self, Invalid};
use super::metric::Measure;
use super::reading;
use crate::record::{Cell, Run, Trial};
use crate::stats;

/// Log-ratios beyond this are no measurement; it also keeps every e^d finite.
const LOG_RATIO_MAX: f64 = 700.0;

/// One phase at one client count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// Phase name.
    pub(super) phase: &'a str,
    /// Closed-loop clients; streams of an open load.
    pub(super) clients: u32,
}

/// The same place in two trials of one block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    /// What is divided by.
    pub(super) base: &'a Cell,
    /// What is divided.
    pub(super) other: &'a Cell,
}

/// The cell of a trial at a place.
pub(super) fn cell<'a>(trial: &'a Trial, place: Place<'_>) -> Option<&'a Cell> {
    trial.cells.iter().find(|cell| cell.phase == place.phase && cell.clients == place.clients)
}

/// As metrics and warnings name it: `saturate@50`, or `paced` where the load was open.
pub(super) fn name(run: &Run, place: Place<'_>) -> String {
    let measured = run.trials.iter().find_map(|trial| cell(trial, place));
    measured.map_or_else(|| format!("{}@{}", place.phase, place.clients), Cell::place)
}

/// Pairs of arm `other` over arm `base`, one per block that has both. None of an arm with itself.
pub(super) fn pairs<'a>(run: &'a Run, base: &str, other: &str, place: Place<'_>) -> Vec<Pair<'a>> {
    if base == other {
        return Vec::new();
    }
    let of_base = run.trials.iter().filter(|trial| trial.arm == base && !trial.aa);
    of_base
        .filter_map(|trial| pair(trial, partner(run, trial.block, other, false)?, place))
        .collect()
}

/// Pairs of the last arm over the first.
pub(super) fn before_after<'a>(run: &'a Run, place: Place<'_>) -> Vec<Pair<'a>> {
    match run.arms.as_slice() {
        [before, .., after] => pairs(run, &before.name, &after.name, place),
        _ => Vec::new(),
    }
}

/// Pairs of an arm's second trial in a block over its first, of every arm: what no lever explains.
pub(super) fn repeats<'a>(run: &'a Run, place: Place<'_>) -> Vec<Pair<'a>> {
    let is_valid = |trial: &&Trial| invalid::of_arm(run, &trial.arm, place).is_none();
    let second = run.trials.iter().filter(|trial| trial.aa).filter(is_valid);
    second
        .filter_map(|trial| pair(partner(run, trial.block, &trial.arm, false)?, trial, place))
        .collect()
}

/// One ln(other / base) per pair in which both values are above zero.
pub(super) fn log_ratios(pairs: &[Pair<'_>], measure: Measure) -> Vec<f64> {
    log_ratios_of(pairs, |cell| reading::value(cell, measure))
}

/// The same for any value of a cell.
pub(super) fn log_ratios_of(pairs: &[Pair<'_>], value: impl Fn(&Cell) -> Option<f64>) -> Vec<f64> {
    let value = |cell: &Cell| value(cell).filter(|value| value.is_finite() && *value > 0.0);
    let log = |pair: &Pair<'_>| {
        let (base, other) = (value(pair.base)?, value(pair.other)?);
        Some((other / base).ln()).filter(|d| d.abs() < LOG_RATIO_MAX)
    };
    pairs.iter().filter_map(log).collect()
}

/// How far an arm differs from itself at a place, as a fraction: `exp(max(|lower|, |upper|)) - 1` of the interval
/// of the A/A log-ratios of throughput. None below [`stats::PAIRS_MIN`] pairs; those of an invalid arm are none.
pub(super) fn aa_floor(run: &Run, place: Place<'_>) -> Option<f64> {
    aa_floor_of(run, place, |cell| reading::value(cell, Measure::Throughput))
}

/// The same for any value of a cell.
pub(super) fn aa_floor_of(
    run: &Run,
    place: Place<'_>,
    value: impl Fn(&Cell) -> Option<f64>,
) -> Option<f64> {
    let logs = log_ratios_of(&repeats(run, place), value);
    let interval = stats::signed_rank_interval(&logs, stats::ALPHA)?;
    Some(interval.lower.abs().max(interval.upper.abs()).exp() - 1.0)
}

fn pair<'a>(base: &'a Trial, other: &'a Trial, place: Place<'_>) -> Option<Pair<'a>> {
    Some(Pair { base: cell(base, place)?, other: cell(other, place)? })
}

fn partner<'a>(run: &'a Run, block: u32, arm: &str, aa: bool) -> Option<&'a Trial> {
    run.trials.iter().find(|trial| trial.block == block && trial.arm == arm && trial.aa == aa)
}

impl Estimate {
    /// From the log-ratio of each pair: e^(Hodges-Lehmann) with the exact signed-rank interval at
    /// [`stats::ALPHA`], taken back to ratios.
    pub fn from_log_ratios(logs: &[f64]) -> Estimate {
        let interval = stats::signed_rank_interval(logs, stats::ALPHA);
        Estimate {
            ratio: stats::hodges_lehmann(logs).map_or(1.0, f64::exp),
            interval: interval.map(|i| (i.lower.exp(), i.upper.exp())),
            pairs: logs.len(),
            invalid: None,
        }
    }

    /// No number at all, since a side of it is invalid.
    pub(super) fn refused(why: Invalid) -> Estimate {
        Estimate { ratio: 1.0, interval: None, pairs: 0, invalid: Some(why) }
    }

    /// Half-width of the interval as a fraction of the ratio, see [`stats::ratio_half_width`].
    pub fn half_width(&self) -> Option<f64> {
        self.interval.map(|(lower, upper)| stats::ratio_half_width(lower, upper))
    }

    /// Throughput of arm `other` over arm `base`.
    pub(super) fn of_throughput(run: &Run, base: &str, other: &str, place: Place<'_>) -> Estimate {
        let invalid = [base, other].into_iter().find_map(|arm| invalid::of_arm(run, arm, place));
        if let Some(why) = invalid {
            return Estimate::refused(why);
        }
        Estimate::from_log_ratios(&log_ratios(&pairs(run, base, other, place), Measure::Throughput))
    }
}
