//! The texts a scenario is made of, and places in them: the file, and one text for every `--set`.
//! Turns a place into line, column and the line as it is shown.

use super::problem::{Snippet, hides, printable, quoted};
use std::ops::Range;

/// A stretch of bytes of one source. An empty stretch at the start of the file stands for the file as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// 0 is the file, the others are `--set` texts in order.
    pub(super) source: usize,
    /// First byte.
    pub(super) start: usize,
    /// One past the last byte.
    pub(super) end: usize,
}

/// The file and the `--set` texts.
pub(super) struct Sources(Vec<Source>);

struct Source {
    name: String,
    text: String,
    /// Byte offset of the start of every line.
    line_starts: Vec<usize>,
    is_file: bool,
}

impl Place {
    /// Bytes `span` of the file.
    pub(super) fn in_file(span: Range<usize>) -> Place {
        Place { source: 0, start: span.start, end: span.end }
    }

    /// The file as a whole.
    pub(super) const FILE: Place = Place { source: 0, start: 0, end: 0 };
}

impl Sources {
    /// The file alone.
    pub(super) fn new(file_name: &str, text: &str) -> Sources {
        Sources(vec![Source::new(printable(file_name), text, true)])
    }

    /// Adds a `--set` text and returns its number, for [`Place::source`].
    pub(super) fn add_set(&mut self, text: &str) -> usize {
        self.0.push(Source::new(format!("--set {}", quoted(text)), text, false));
        self.0.len() - 1
    }

    /// Name of the file.
    pub(super) fn file_name(&self) -> &str {
        &self.0[0].name
    }

    /// What the source of `place` is called.
    pub(super) fn name(&self, place: Place) -> &str {
        &self.0[place.source].name
    }

    /// Line of `place` in the file, from 1; absent outside the file.
    pub(super) fn line(&self, place: Place) -> Option<usize> {
        let source = &self.0[place.source];
        source.is_file.then(|| source.line_index(place) + 1)
    }

    /// Line and column of `place`, from 1; absent outside the file.
    pub(super) fn position(&self, place: Place) -> Option<(usize, usize)> {
        let source = &self.0[place.source];
        source.is_file.then(|| {
            let (line, span) = source.line_span(place);
            (line + 1, source.line(line)[..span.start].chars().count() + 1)
        })
    }

    /// The line of `place`, ready to be shown; absent for the file as a whole.
    pub(super) fn snippet(&self, place: Place) -> Option<Snippet> {
        if place == Place::FILE {
            return None;
        }
        let source = &self.0[place.source];
        let (line, span) = source.line_span(place);
        let (text, caret_start, caret_count) = drawn(source.line(line), span);
        Some(Snippet { line: source.is_file.then_some(line + 1), text, caret_start, caret_count })
    }
}

impl Source {
    fn new(name: String, text: &str, is_file: bool) -> Source {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_breaks).collect();
        Source { name, text: text.to_owned(), line_starts, is_file }
    }

    fn line_index(&self, place: Place) -> usize {
        self.line_starts.partition_point(|start| *start <= place.start) - 1
    }

    /// Number of the line (from 0) where `place` starts, and the part of the place within that line.
    fn line_span(&self, place: Place) -> (usize, Range<usize>) {
        let line = self.line_index(place);
        let text = self.line(line);
        let within = |offset: usize| {
            text.floor_char_boundary(offset.saturating_sub(self.line_starts[line]).min(text.len()))
        };
        (line, within(place.start)..within(place.end.max(place.start)))
    }

    fn line(&self, line: usize) -> &str {
        let end = self.line_starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let text = &self.text[self.line_starts[line]..end];
        text.strip_suffix('\r').unwrap_or(text)
    }
}

/// `line` made printable and cut around `span`, with the first underlined cell and the number of them.
fn drawn(line: &str, span: Range<usize>) -> (String, usize, usize) {
    const CELLS_MAX: usize = 100;
    const CELLS_BEFORE_MAX: usize = 60;
    let chars_before = line[..span.start].chars().count();
    let skipped =
        if chars_before > CELLS_BEFORE_MAX { chars_before - CELLS_BEFORE_MAX / 2 } else { 0 };
    let mut text = if skipped > 0 { "...".to_owned() } else { String::new() };
    let mut cells = text.len();
    let (mut caret_start, mut caret_end) = (None, cells);
    for (offset, c) in line.char_indices().skip(skipped) {
        if cells >= CELLS_MAX {
            text.push_str("...");
            break;
        }
        if offset >= span.start {
            caret_start.get_or_insert(cells);
        }
        cells += draw(c, &mut text);
        if offset < span.end {
            caret_end = cells;
        }
    }
    let caret_start = caret_start.unwrap_or(cells);
    (text, caret_start, caret_end.saturating_sub(caret_start).max(1))
}

/// Appends `c` to `text` as it is shown and returns how many terminal cells it takes.
fn draw(c: char, text: &mut String) -> usize {
    match c {
        '\t' => text.push_str("    "),
        _ if hides(c) => text.push('?'),
        _ => text.push(c),
    }
    match c {
        '\t' => 4,
        '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' => 0,
        // East Asian wide blocks and emoji; rough, and only the caret depends on it.
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' => 2,
        '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' => 2,
        '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let sources = Sources::new("x.toml", "a = 1\r\nü = \"ß\" # x\n\tb = 2");
        let check = |needle: &str, expected: (usize, usize)| {
            let start = sources.0[0].text.find(needle).unwrap();
            let place = Place::in_file(start..start + needle.len());
            assert_eq!(sources.position(place), Some(expected), "{needle}");
        };
        check("a", (1, 1));
        check("1", (1, 5));
        check("\"ß\"", (2, 5));
        check("b", (3, 2));
        let past_the_end = Place::in_file(900..901);
        assert_eq!(sources.position(past_the_end), Some((3, 7)));
    }

    #[test]
    fn carets_stand_under_what_they_mean() {
        let check = |line: &str, needle: &str, expected: (&str, usize, usize)| {
            let start = line.find(needle).unwrap();
            let (text, caret_start, caret_count) = drawn(line, start..start + needle.len());
            assert_eq!((text.as_str(), caret_start, caret_count), expected);
        };
        check("ü = bad", "bad", ("ü = bad", 4, 3));
        check("\tx = bad", "bad", ("    x = bad", 8, 3));
        check("\"键\" = bad", "bad", ("\"键\" = bad", 7, 3));
        check("a\u{1b}[2J", "[", ("a?[2J", 2, 1));
        check("short", "", ("short", 0, 1));
        let long = format!("{}bad{}", "a".repeat(200), "b".repeat(200));
        let shown = format!("...{}bad{}...", "a".repeat(30), "b".repeat(64));
        check(&long, "bad", (&shown, 33, 3));
    }

    #[test]
    fn the_last_line_may_be_empty() {
        let sources = Sources::new("x.toml", "a =\n");
        let place = Place::in_file(4..4);
        assert_eq!(sources.position(place), Some((2, 1)));
        assert_eq!(sources.snippet(place).unwrap().caret_count, 1);
        assert_eq!(sources.snippet(Place::FILE), None);
    }
}
