//! Predictions beside measured trials of the same arms, clients and syncs on this host.

use super::super::table::columns;
use super::super::{Exit, Terminal};
use super::what_if::{Desk, Host};
use super::words::{error, rate, share, time};
use crate::runner::pilot::{Pilot, Tried, Wanted};
use crate::scenario::spec::Fsync;
use crate::units::Nanos;
use std::io::{self, Write};
use std::sync::atomic::Ordering;

/// The grid.
const CLIENTS: [u32; 5] = [1, 10, 50, 100, 1000];
const FSYNCS: [Fsync; 5] = [
    Fsync::Off,
    Fsync::Real,
    Fsync::Delay(Nanos::from_millis(2)),
    Fsync::Delay(Nanos::from_millis(10)),
    Fsync::Delay(Nanos::from_millis(22)),
];
/// Longest time for its trials; with what comes before, two minutes.
const SPAN_MAX: Nanos = Nanos::from_millis(100_000);
/// Within this a prediction is good enough.
const GOOD: f64 = 0.20;

/// Measures the grid and holds predictions against it.
pub(super) fn validate(desk: &Desk<'_>, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let Some(pilot) = desk.pilot(true, terminal)? else { return Ok(Exit::Interrupted) };
    let arms = 0..desk.scenario.arms.len();
    // By fsync first: a grid that runs out of time has all arms of what it has.
    let of_fsync = |fsync| {
        arms.clone()
            .flat_map(move |arm_idx| CLIENTS.map(|clients| Wanted { arm_idx, fsync, clients }))
    };
    let wanted: Vec<Wanted> = FSYNCS.into_iter().flat_map(of_fsync).collect();
    let tried = desk.trials(&wanted, SPAN_MAX, terminal)?;
    let out: &mut dyn Write = terminal.out;
    writeln!(out, "{}  predicted against measured on this host", desk.scenario.name)?;
    show(desk, &pilot, &tried, out)?;
    let interrupted = desk.options.interrupted.load(Ordering::Relaxed);
    let left = wanted.len() - tried.len();
    if left > 0 {
        let why = if interrupted { "interrupted" } else { "the time was up" };
        writeln!(out, "  {left} of {} cells were not measured: {why}", wanted.len())?;
    }
    Ok(if interrupted { Exit::Interrupted } else { Exit::Met })
}

/// One line per trial, and the largest error.
pub(super) fn show(
    desk: &Desk<'_>,
    pilot: &Pilot,
    tried: &[Tried],
    out: &mut dyn Write,
) -> io::Result<()> {
    let head = [
        "arm",
        "fsync",
        "clients",
        "predicted ops/s",
        "measured",
        "error",
        "predicted p50",
        "measured",
        "error",
        "predicted p99",
        "measured",
        "error",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut errors: Vec<(f64, String)> = Vec::new();
    for tried in tried {
        let Wanted { arm_idx, fsync, clients } = tried.wanted;
        let arm = &desk.scenario.arms[arm_idx].name;
        let predicted = desk.predicted_here(pilot, tried.wanted);
        let off = predicted.throughput_per_s / tried.throughput_per_s - 1.0;
        if off.is_finite() {
            errors.push((off, format!("{arm}, fsync {fsync}, {clients} clients")));
        }
        let mut row = vec![arm.clone(), fsync.to_string(), clients.to_string()];
        row.extend([rate(predicted.throughput_per_s), rate(tried.throughput_per_s), error(off)]);
        match tried.service_ns {
            Some([_, p50_ns, p99_ns]) => {
                for (is, was) in [(predicted.p50_ns, p50_ns), (predicted.p99_ns, p99_ns)] {
                    row.extend([time(is), time(was), error(is / was - 1.0)]);
                }
            }
            None => row.extend([time(predicted.p50_ns), "too short".to_owned()]),
        }
        rows.push(row);
    }
    columns(out, &rows)?;
    let Some((worst, place)) = errors.iter().max_by(|a, b| a.0.abs().total_cmp(&b.0.abs())) else {
        return writeln!(out, "  nothing was measured, so the error is unknown");
    };
    let good = errors.iter().filter(|(off, _)| off.abs() <= GOOD).count();
    writeln!(
        out,
        "  predicted throughput: largest error {} ({place}); within {} in {good} of {} cells",
        error(*worst),
        share(GOOD),
        errors.len()
    )
}

impl Desk<'_> {
    /// The same trial as predicted; a delay is a sleep here.
    fn predicted_here(&self, pilot: &Pilot, wanted: Wanted) -> crate::predict::Predicted {
        let fsync = Some(wanted.fsync);
        let here = Host { cores: pilot.cores, fsync, sleeps: true, rtt: Nanos::ZERO };
        self.predicted(pilot, (wanted.arm_idx, wanted.clients), &here)
    }
}
