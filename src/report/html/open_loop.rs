//! The section on latency under open loads, and on the rates that searches found.

use super::sections::{close, open};
use super::table::Table;
use crate::compare::Comparison;
use crate::record::Run;
use crate::report::open_loop;

/// Nothing where every load was a closed loop.
pub(super) fn section(out: &mut String, run: &Run, cmp: &Comparison) {
    let rows = open_loop::rows(run, cmp);
    if rows.is_empty() {
        return;
    }
    open(out, "open-loop", "Latency, open loop", "open loop");
    let caption = "from the intended send time; the same operations at the same instants for all arms; medians over trials";
    let mut table = Table::new(caption, "llrlrrrr");
    for (name, word) in open_loop::COLUMNS {
        table.column(name, word);
    }
    rows.into_iter().for_each(|row| table.row(row.into()));
    table.write(out);
    let found = open_loop::found(run, cmp);
    if !found.is_empty() {
        let mut table = Table::new("the highest rate that met its condition", "lllrrl");
        for (name, word) in open_loop::FOUND_COLUMNS {
            table.column(name, word);
        }
        found.into_iter().for_each(|row| table.row(row.into()));
        table.write(out);
    }
    close(out);
}
