//! The section on how throughput grows with clients, where enough client counts were measured.

use super::sections::{close, open};
use super::table::Table;
use crate::compare::Comparison;
use crate::record::Run;
use crate::report::html::text;
use crate::report::scaling;

/// Nothing where too few were.
pub(super) fn section(out: &mut String, run: &Run, cmp: &Comparison) {
    if cmp.phases.iter().all(|table| table.scaling.is_empty()) {
        return;
    }
    open(out, "scalability", "Scalability", "scalability law");
    for table in cmp.phases.iter().filter(|table| !table.scaling.is_empty()) {
        let caption = format!("{}, fitted over all trials of an arm", table.phase);
        let mut grid = Table::new(&caption, "lllllr");
        for (name, word) in scaling::COLUMNS {
            grid.column(name, word);
        }
        let rows = scaling::rows(run, table);
        if !rows.is_empty() {
            rows.into_iter().for_each(|row| grid.row(row.into()));
            grid.write(out);
        }
        for misfit in scaling::misfits(run, table) {
            out.push_str(&format!("<p>{}</p>\n", text(&misfit)));
        }
    }
    close(out);
}
