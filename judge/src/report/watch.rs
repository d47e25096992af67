//! What watchers got, as rows of text that are the same in every form: one for each arm of each measurement.

use super::view;
use super::words::{self, NOTHING, significant};
use crate::compare::{Comparison, Row, WatchArm, WatchRow};
use crate::record::Run;

/// What the columns are called, with the glossary's word for each.
pub(super) const COLUMNS: [(&str, &str); 8] = [
    ("at", "closed loop"),
    ("arm", "arm"),
    ("watchers", "watchers"),
    ("events/s", "watch events"),
    ("ratio", "ratio"),
    ("95 % CI", "interval"),
    ("resyncs", "resyncs"),
    ("lag, ms", "watch lag"),
];

/// The rows, in the order of phases, client counts and arms; none if nobody watched.
pub(super) fn rows(run: &Run, cmp: &Comparison) -> Vec<[String; 8]> {
    let places = cmp.phases.iter().flat_map(|table| table.rows.iter().map(move |row| (table, row)));
    let rows = places.flat_map(|(table, row)| of_place(run, &table.phase, row));
    rows.collect()
}

fn of_place(run: &Run, phase: &str, row: &Row) -> Vec<[String; 8]> {
    let Some(watch) = &row.watch else { return Vec::new() };
    let at = format!("{phase}@{}", row.clients);
    watch.arms.iter().map(|arm| cells(run, &at, watch, arm)).collect()
}

/// The ratio stands beside the last arm, which it is of.
fn cells(run: &Run, at: &str, watch: &WatchRow, arm: &WatchArm) -> [String; 8] {
    let is_after = run.arms.last().is_some_and(|last| last.name == arm.arm);
    let of_after = |text: String| if is_after { text } else { String::new() };
    [
        at.to_owned(),
        view::arm_label(run, &arm.arm),
        watch.watchers.to_string(),
        words::rate_if_any(arm.events_per_s),
        of_after(words::estimate_ratio(&watch.events)),
        of_after(words::interval(&watch.events)),
        words::grouped(arm.resyncs.ceil()),
        lag(arm.lag_ns),
    ]
}

/// Milliseconds; what is shorter than waking a thread is next to nothing.
fn lag(ns: f64) -> String {
    match ns {
        ns if !ns.is_finite() => NOTHING.to_owned(),
        ns if ns < 1e4 => "< 0.01".to_owned(),
        ns => significant(ns / 1e6),
    }
}
