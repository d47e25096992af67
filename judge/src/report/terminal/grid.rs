//! Tables without lines, laid out by comfy-table.
//! Refuses to guess: a table either fits the room as it is, or the caller offers a narrower form.

use crate::report::words;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// Longest text of one cell; anything longer is cut.
const CELL_MAX: usize = 44;

/// A table of text: one letter of `columns` per column, `l` or `r` for its alignment.
pub(in crate::report) struct Grid {
    columns: &'static str,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    pub(in crate::report) fn new(columns: &'static str, head: &[&str]) -> Grid {
        Grid {
            columns,
            head: head.iter().map(|text| (*text).to_string()).collect(),
            rows: Vec::new(),
        }
    }

    pub(in crate::report) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The lines, with the widest gap between columns at which they fit; nothing if they do not.
    pub(super) fn fitted(&self, room: usize) -> Option<Vec<String>> {
        [3, 2, 1].into_iter().find_map(|gap| {
            let lines = self.lines(gap, None);
            lines.iter().all(|line| line.chars().count() <= room).then_some(lines)
        })
    }

    /// The lines with cells wrapped to fit; cut if even that is not enough.
    pub(super) fn wrapped(&self, room: usize) -> Vec<String> {
        let lines = self.lines(1, Some(room));
        lines.iter().map(|line| words::short(line, room)).collect()
    }

    fn lines(&self, gap: u16, room: Option<usize>) -> Vec<String> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        match room.and_then(|room| u16::try_from(room).ok()) {
            Some(room) => {
                table.set_content_arrangement(ContentArrangement::Dynamic).set_width(room)
            }
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        if self.head.iter().any(|text| !text.is_empty()) {
            table.set_header(clean(&self.head));
        }
        for row in &self.rows {
            table.add_row(clean(row));
        }
        self.align(&mut table, gap);
        table.lines().map(|line| line.trim_end().to_string()).collect()
    }

    fn align(&self, table: &mut Table, gap: u16) {
        for (place, side) in self.columns.chars().enumerate() {
            let Some(column) = table.column_mut(place) else { continue };
            column.set_padding((if place == 0 { 0 } else { gap }, 0));
            column.set_cell_alignment(if side == 'r' {
                CellAlignment::Right
            } else {
                CellAlignment::Left
            });
        }
    }
}

fn clean(cells: &[String]) -> Vec<String> {
    cells.iter().map(|cell| words::short(cell, CELL_MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_shrink_until_it_fits() {
        let mut grid = Grid::new("lr", &["name", "n"]);
        grid.row(vec!["a".into(), "1 000".into()]);
        assert_eq!(
            grid.fitted(20),
            Some(vec!["name       n".to_string(), "a      1 000".to_string()])
        );
        assert_eq!(grid.fitted(10), Some(vec!["name     n".to_string(), "a    1 000".to_string()]));
        assert_eq!(grid.fitted(9), None);
        assert!(grid.wrapped(6).iter().all(|line| line.chars().count() <= 6));
    }
}
