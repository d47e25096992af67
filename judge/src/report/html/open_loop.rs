//! The section on latency under open loads, and on the rates that searches found.

use super::sections::{close, open};
use super::table::Table;
use crate::compare::Comparison;
use crate::record::Run;
use crate::report::open_loop;

/// Nothing where every load was a closed loop.
pub(super) fn section(out: &mut String, run: &Run, cmp: &Comparison) {
    let (rows, found) = (open_loop::rows(run, cmp), open_loop::found(run, cmp));
    if rows.is_empty() && found.is_empty() {
        return;
    }
    open(out, "open-loop", "Latency, open loop", "open loop");
    let caption = "from the intended send time; the same operations at the same instants for all arms; medians over trials";
    table(out, caption, "llrlrrrr", open_loop::COLUMNS, rows);
    table(
        out,
        "the highest rate that met its condition",
        "lllrrl",
        open_loop::FOUND_COLUMNS,
        found,
    );
    close(out);
}

/// Nothing without rows.
fn table<const N: usize>(
    out: &mut String,
    caption: &str,
    sides: &str,
    columns: [(&str, &str); N],
    rows: Vec<[String; N]>,
) {
    if rows.is_empty() {
        return;
    }
    let mut table = Table::new(caption, sides);
    for (name, word) in columns {
        table.column(name, word);
    }
    rows.into_iter().for_each(|row| table.row(row.into()));
    table.write(out);
}
