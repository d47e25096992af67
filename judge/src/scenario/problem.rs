//! What is wrong with a scenario, worded and drawn for the person who typed it: place, line, caret, hint.
//! Text from the file is shown without control characters, and a long line only around the mistake.

use std::fmt;

/// One mistake in a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File name, or the `--set …` it is in.
    pub source: String,
    /// Line and column, both from 1 and in characters; absent if the problem is not at one place of a file.
    pub position: Option<(usize, usize)>,
    /// The source line with the mistake underlined; absent where there is no line to show.
    pub snippet: Option<Snippet>,
    /// What is wrong, lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A source line ready to be printed, with the columns to underline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet {
    /// Line number in front of it; absent for command line text.
    pub line: Option<usize>,
    /// The line, made printable.
    pub text: String,
    /// Terminal cells before the first caret.
    pub caret_start: usize,
    /// Number of carets, at least 1.
    pub caret_count: usize,
}

/// Every mistake found in a scenario, in the order of the file, those of `--set` last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file they are in.
    pub file: String,
    /// The mistakes; the first hundred of them if there are more.
    pub list: Vec<Problem>,
    /// How many there are; at least `list.len()`.
    pub total: usize,
}

impl Problem {
    /// A problem with the file as a whole.
    pub(super) fn of_file(name: &str, message: String, hint: &str) -> Problem {
        let hint = Some(hint.to_owned());
        Problem { source: printable(name), position: None, snippet: None, message, hint }
    }
}

impl Problems {
    /// One problem alone.
    pub(super) fn single(problem: Problem) -> Problems {
        Problems { file: problem.source.clone(), list: vec![problem], total: 1 }
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            writeln!(f, "{problem}\n")?;
        }
        match (self.total, self.total - self.list.len()) {
            (1, _) => write!(f, "1 problem in {}", self.file),
            (total, 0) => write!(f, "{total} problems in {}", self.file),
            (total, _) => {
                write!(
                    f,
                    "{total} problems in {}; the first {} are shown",
                    self.file,
                    self.list.len()
                )
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        let gutter = self.gutter();
        if let Some(snippet) = &self.snippet {
            let number = snippet.line.map(|line| line.to_string()).unwrap_or_default();
            let blank = " ".repeat(snippet.caret_start);
            let carets = "^".repeat(snippet.caret_count);
            write!(f, "\n{:gutter$} |\n{number:>gutter$} | {}", "", snippet.text)?;
            write!(f, "\n{:gutter$} | {blank}{carets}", "")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n{:gutter$} = hint: {hint}", ""),
            None => Ok(()),
        }
    }
}

impl Problem {
    /// Width of the line-number column.
    fn gutter(&self) -> usize {
        let digits = self.position.map_or(0, |(line, _)| line.to_string().len());
        digits.max(2)
    }
}

/// `text` without anything that could move a terminal's cursor or turn its direction of writing.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if hides(c) { '?' } else { c }).collect()
}

/// Like [`printable`], cut to a length fit for a message.
pub(super) fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    match text.char_indices().nth(CHARS_MAX) {
        Some((cut, _)) => format!("{}...", printable(&text[..cut])),
        None => printable(text),
    }
}

/// Control characters and the invisible ones that reorder text.
pub(super) fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_with_line_caret_and_hint() {
        let problem = Problem {
            source: "x.toml".to_owned(),
            position: Some((14, 3)),
            snippet: Some(Snippet {
                line: Some(14),
                text: "  propse = 1".to_owned(),
                caret_start: 2,
                caret_count: 6,
            }),
            message: "unknown key `propse`".to_owned(),
            hint: Some("did you mean `propose`?".to_owned()),
        };
        let expected = "\
x.toml:14:3: unknown key `propse`
   |
14 |   propse = 1
   |   ^^^^^^
   = hint: did you mean `propose`?";
        assert_eq!(problem.to_string(), expected);
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(printable("a\x1b]0;x\x07\u{202e}b"), "a?]0;x??b");
        assert_eq!(quoted(&"k".repeat(41)), format!("{}...", "k".repeat(40)));
    }
}
