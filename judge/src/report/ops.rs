//! One kind of operation as a row of text, the same in every form.

use super::words::{self, NOTHING, significant};
use crate::compare::{OpArm, OpRow};

/// What the columns are called, with the glossary's word for each.
pub(super) const COLUMNS: [(&str, &str); 8] = [
    ("operation", "operation"),
    ("ops/s", "throughput"),
    ("ratio", "ratio"),
    ("95 % CI", "interval"),
    ("p50, µs", "p50"),
    ("ratio", "ratio"),
    ("p99, µs", "p99"),
    ("ratio", "ratio"),
];

/// The cells of one row, in the order of [`COLUMNS`].
pub(super) fn cells(row: &OpRow) -> [String; 8] {
    let (before, after) = (&row.before, &row.after);
    let change = |text: fn(&OpArm) -> String| format!("{} → {}", text(before), text(after));
    let has_p99 = before.p99_ns.is_some() && after.p99_ns.is_some();
    [
        row.op.clone(),
        change(|arm| words::rate_if_any(arm.throughput_per_s)),
        words::estimate_ratio(&row.throughput),
        words::interval(&row.throughput),
        change(|arm| micros(Some(arm.p50_ns))),
        words::estimate_ratio(&row.p50),
        if has_p99 { change(|arm| micros(arm.p99_ns)) } else { "withheld".to_owned() },
        if has_p99 { words::estimate_ratio(&row.p99) } else { NOTHING.to_owned() },
    ]
}

fn micros(ns: Option<f64>) -> String {
    ns.filter(|ns| *ns > 0.0).map_or(NOTHING.to_owned(), |ns| significant(ns / 1e3))
}
