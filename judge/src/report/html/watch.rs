//! The section on what watchers got, at every client count.

use super::sections::{close, open};
use super::table::Table;
use crate::compare::Comparison;
use crate::record::Run;
use crate::report::watch;

/// Nothing where nobody watched.
pub(super) fn section(out: &mut String, run: &Run, cmp: &Comparison) {
    let rows = watch::rows(run, cmp);
    if rows.is_empty() {
        return;
    }
    open(out, "watchers", "Watchers", "watchers");
    let caption = "each watches the whole key space; medians over trials";
    let mut table = Table::new(caption, "llrrrrrr");
    for (name, word) in watch::COLUMNS {
        table.column(name, word);
    }
    rows.into_iter().for_each(|row| table.row(row.into()));
    table.write(out);
    close(out);
}
