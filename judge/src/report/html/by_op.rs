//! The section that tells a mix apart by kind of operation, at every client count.

use super::sections::{close, open};
use super::table::Table;
use crate::compare::{Comparison, PhaseTable, Row};
use crate::record::Run;
use crate::report::ops;
use crate::report::view;

/// Nothing where every measurement sent one kind only.
pub(super) fn section(out: &mut String, run: &Run, cmp: &Comparison) {
    let rows = || {
        let of = |phase| move |row| (phase, row);
        cmp.phases.iter().flat_map(move |phase| phase.rows.iter().map(of(phase)))
    };
    if rows().all(|(_, row): (&PhaseTable, &Row)| row.ops.is_empty()) {
        return;
    }
    open(out, "operations", "By operation", "operation");
    for (phase, row) in rows().filter(|(_, row)| !row.ops.is_empty()) {
        table(out, run, phase, row);
    }
    close(out);
}

fn table(out: &mut String, run: &Run, phase: &PhaseTable, row: &Row) {
    let (Some(before), Some(after)) = (run.arms.first(), run.arms.last()) else { return };
    let (before, after) = (&before.name, &after.name);
    let at = view::load(row);
    let caption = format!(
        "{}, {at}: {before} → {after}, service time in closed loop, medians over trials",
        phase.phase
    );
    let mut table = Table::new(&caption, "lrrrrrrr");
    for (name, word) in ops::COLUMNS {
        table.column(name, word);
    }
    row.ops.iter().for_each(|row| table.row(ops::cells(row).into()));
    table.write(out);
}
