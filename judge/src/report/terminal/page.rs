//! Lines of text within a width: wrapping, labels, colour.
//! Every piece of text passes through [`words::plain`] here, so nothing from a file can steer the terminal.

use super::Style;
use super::grid::Grid;
use crate::report::words;

const WIDTH_MIN: usize = 60;
const WIDTH_MAX: usize = 100;
/// Where the text after a label begins.
const LABEL_COLUMN: usize = 10;
/// Where the text after a target's name begins, unless the name is longer.
const TARGET_COLUMN: usize = 18;
/// Where tables and the text under a heading begin.
pub(super) const INDENT: usize = 3;

/// Marks and their colours; both are also told apart by shape.
const PAINTED: [(&str, &str); 5] = [
    ("▲", "\u{1b}[36m"),
    ("✔", "\u{1b}[36m"),
    ("▼", "\u{1b}[33m"),
    ("✘", "\u{1b}[33m"),
    ("!", "\u{1b}[33m"),
];
const BOLD: &str = "\u{1b}[1m";
const RESET: &str = "\u{1b}[0m";

/// Text under construction.
pub(in crate::report) struct Page {
    out: String,
    color: bool,
    width: usize,
}

impl Page {
    pub(in crate::report) fn new(style: Style) -> Page {
        Page {
            out: String::new(),
            color: style.color,
            width: style.width.clamp(WIDTH_MIN, WIDTH_MAX),
        }
    }

    pub(in crate::report) fn finish(self) -> String {
        self.out
    }

    /// An empty line, but never two.
    pub(in crate::report) fn blank(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    /// What the page is about.
    pub(in crate::report) fn title(&mut self, text: &str) {
        for line in wrap(text, self.width - 1) {
            self.emphasised(1, &line, "");
        }
    }

    /// A warning that no reader may miss.
    pub(in crate::report) fn stamp(&mut self, text: &str) {
        for line in wrap(text, self.width - 5) {
            self.emphasised(1, &format!("*** {line}"), "");
        }
    }

    /// ` HEADING  note`, after an empty line.
    pub(in crate::report) fn heading(&mut self, heading: &str, note: &str) {
        self.blank();
        let room = self.width.saturating_sub(heading.chars().count() + 3);
        self.emphasised(1, heading, &words::short(note, room));
    }

    /// ` label    text`, wrapped under itself.
    pub(in crate::report) fn item(&mut self, label: &str, text: &str) {
        let label = words::short(label, LABEL_COLUMN - 2);
        self.hanging(1, &label, LABEL_COLUMN, text);
    }

    /// ` ✔ name    text`, wrapped under itself.
    pub(in crate::report) fn verdict(&mut self, mark: &str, name: &str, text: &str) {
        let name = words::short(name, self.width / 3);
        let column = TARGET_COLUMN.max(name.chars().count() + 5);
        self.hanging(1, &format!("{mark} {name}"), column, text);
    }

    /// Text under a heading.
    pub(in crate::report) fn prose(&mut self, text: &str) {
        self.prose_at(INDENT, text);
    }

    /// Text at a column.
    pub(in crate::report) fn prose_at(&mut self, column: usize, text: &str) {
        self.hanging(0, "", column, text);
    }

    /// The first table that fits; if none does, the last, with its cells wrapped.
    pub(in crate::report) fn grid(&mut self, forms: &[Grid]) {
        let room = self.width - INDENT;
        let fitting = forms.iter().find_map(|grid| grid.fitted(room));
        let lines = fitting.or_else(|| forms.last().map(|grid| grid.wrapped(room)));
        for line in lines.unwrap_or_default() {
            self.line(INDENT, &line);
        }
    }

    fn hanging(&mut self, indent: usize, label: &str, column: usize, text: &str) {
        let lines = wrap(text, self.width.saturating_sub(column));
        for (place, line) in lines.iter().enumerate() {
            let label = if place == 0 { label } else { "" };
            let gap = column.saturating_sub(indent);
            self.line(indent, &format!("{label:<gap$}{line}"));
        }
    }

    fn emphasised(&mut self, indent: usize, strong: &str, rest: &str) {
        let strong = words::plain(strong);
        let strong = if self.color { format!("{BOLD}{strong}{RESET}") } else { strong };
        let line = format!("{:indent$}{strong}  {}", "", words::plain(rest));
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    fn line(&mut self, indent: usize, text: &str) {
        let mut text = words::plain(text);
        if self.color {
            for (mark, color) in PAINTED {
                text = text.replace(mark, &format!("{color}{mark}{RESET}"));
            }
        }
        self.out.push_str(format!("{:indent$}{text}", "").trim_end());
        self.out.push('\n');
    }
}

/// Breaks text at spaces, and inside words longer than a line. Runs of spaces become one.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let text = words::plain(text);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace().flat_map(|word| chunks(word, width)) {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        }
        let Some(line) = lines.last_mut() else { continue };
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(&word);
        used += length;
    }
    lines
}

fn chunks(word: &str, width: usize) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    letters.chunks(width.max(1)).map(|chunk| chunk.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_keeps_every_letter() {
        assert_eq!(wrap("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("", 10), [""]);
    }

    #[test]
    fn numbers_stay_whole_in_labels() {
        let mut page = Page::new(Style { color: false, width: 100 });
        page.item("a label that is long", "x");
        assert_eq!(page.finish(), " a label…x\n".replace("…x", "… x"));
    }
}
