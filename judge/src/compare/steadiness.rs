//! How throughput went within trials: by its levels in time windows, and whether it drifts.
//!
//! A trial counts as steady where the last eight windows or more have one level and no trend (as Barrett et al. 2017,
//! "Virtual Machine Warmup Blows Hot and Cold", do with iterations). What is not told from noise is no change.

use super::Steadiness;
use crate::record::Cell;
use crate::stats;

/// Windows that a steady end has at least; fewer than twice as many say nothing.
const WINDOWS_MIN: usize = 8;
/// Levels that differ by less are the same to any reader.
const CHANGE_MIN: f64 = 0.05;
/// Told from twenty windows, noise may come out a third too small, and levels of nothing too large for it.
const NOISE_MARGIN: f64 = 1.5;
/// A trend this sure, and as steep as [`CHANGE_MIN`] over its windows, is one.
const TREND_P_MAX: f64 = 0.01;

/// How one trial went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Flat,
    Warmed,
    Slowed,
    Unsteady,
}

/// Trials by class; those without windows enough are in none, nor are those of a load whose rate changes.
pub(super) fn of(cells: &[&Cell]) -> Steadiness {
    let mut all = Steadiness::default();
    for class in cells.iter().filter_map(|cell| class(&windows(cell)?)) {
        match class {
            Class::Flat => all.flat += 1,
            Class::Warmed => all.warmed += 1,
            Class::Slowed => all.slowed += 1,
            Class::Unsteady => all.unsteady += 1,
        }
    }
    all
}

/// Logarithms of the operations that ended in each whole window.
fn windows(cell: &Cell) -> Option<Vec<f64>> {
    if cell.open.as_ref().is_some_and(|open| open.rates_per_s.len() > 1) {
        return None;
    }
    let series = cell.series.as_ref()?;
    let whole = (cell.elapsed_s / series.slot_s).floor() as usize;
    // A window in which nothing ended counts as half an operation, so that it has a logarithm.
    let done = |at: usize| (series.done.get(at).copied().unwrap_or(0) as f64).max(0.5).ln();
    Some((0..whole).map(done).collect())
}

fn class(logs: &[f64]) -> Option<Class> {
    if logs.len() < 2 * WINDOWS_MIN {
        return None;
    }
    // Below a fifth of what matters, noise would make levels of nothing.
    let noise = (NOISE_MARGIN * stats::noise(logs)?).max(CHANGE_MIN / 5.0);
    let cuts = stats::change_points(logs, noise)?;
    let from = cuts.last().copied().unwrap_or(0);
    let (earlier, tail) = logs.split_at(from);
    if tail.len() < WINDOWS_MIN {
        return without_a_last_level(logs, earlier, tail);
    }
    let rise = if earlier.is_empty() { 0.0 } else { change(earlier, tail)? };
    Some(match drift(tail)? {
        Some(class) => class,
        None if rise >= CHANGE_MIN => Class::Warmed,
        None if rise <= -CHANGE_MIN => Class::Slowed,
        None => Class::Flat,
    })
}

/// A few odd windows at the end, a drift that looks like a stair, or no level that lasts.
fn without_a_last_level(logs: &[f64], earlier: &[f64], tail: &[f64]) -> Option<Class> {
    Some(match drift(logs)? {
        Some(class) => class,
        None if change(earlier, tail)?.abs() < CHANGE_MIN => Class::Flat,
        None => Class::Unsteady,
    })
}

/// Which way a series drifts, if it does.
fn drift(logs: &[f64]) -> Option<Option<Class>> {
    let trend = stats::trend(logs)?;
    let drifted = trend.slope * logs.len() as f64;
    let is_drifting = trend.p_value < TREND_P_MAX && drifted.abs() >= CHANGE_MIN;
    Some(is_drifting.then_some(if drifted < 0.0 { Class::Slowed } else { Class::Warmed }))
}

/// From one level to another, as a logarithm.
fn change(from: &[f64], to: &[f64]) -> Option<f64> {
    Some(stats::median(to)? - stats::median(from)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use rand::Rng;

    /// Windows at the given levels, each with so many of them, with noise of three percent.
    fn series(levels: &[(usize, f64)]) -> Vec<f64> {
        let mut random = Seed(11).stream("windows", 0);
        let mut noisy = |level: f64| level.ln() + random.random_range(-0.05..0.05);
        let all = levels.iter().flat_map(|(count, level)| vec![*level; *count]);
        all.map(&mut noisy).collect()
    }

    #[test]
    fn trials_are_told_apart() {
        let ramp: Vec<(usize, f64)> =
            (0..24).map(|at| (1, 1000.0 * (1.0 - 0.02 * f64::from(at)))).collect();
        for (levels, wanted) in [
            (vec![(20, 1000.0)], Some(Class::Flat)),
            (vec![(6, 500.0), (18, 1000.0)], Some(Class::Warmed)),
            (vec![(10, 1000.0), (12, 600.0)], Some(Class::Slowed)),
            (ramp, Some(Class::Slowed)),
            (vec![(9, 1000.0), (6, 300.0), (5, 700.0)], Some(Class::Unsteady)),
            (vec![(15, 1000.0)], None),
        ] {
            assert_eq!(class(&series(&levels)), wanted, "{levels:?}");
        }
    }

    /// Nothing but noise is flat in nearly all worlds.
    #[test]
    fn noise_is_flat() {
        let flat = (0..500).filter(|world| {
            let mut random = Seed(*world).stream("windows", 0);
            let logs: Vec<f64> = (0..20).map(|_| random.random_range(-0.2..0.2)).collect();
            class(&logs) == Some(Class::Flat)
        });
        let flat = flat.count();
        assert!(flat >= 475, "{flat} of 500");
    }
}
