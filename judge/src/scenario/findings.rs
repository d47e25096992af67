//! Collects what is wrong while a scenario is read, so that one pass finds everything.
//! Findings carry places; they become [`Problem`]s, with lines and carets, only at the end.

use super::problem::{Problem, Problems};
use super::source::{Place, Sources};
use std::collections::BTreeSet;

/// Most problems that are drawn; a hopeless file need not fill the screen.
const SHOWN_MAX: usize = 100;

/// What was found so far.
#[derive(Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
}

struct Finding {
    kind: Kind,
    place: Place,
    message: String,
    hint: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The text is not TOML.
    Syntax,
    /// Something that must be there is not.
    Missing,
    /// Something that is there is wrong.
    Wrong,
}

impl Findings {
    /// The text is not TOML at `place`.
    pub(super) fn syntax(&mut self, place: Place, message: String, hint: Option<String>) {
        self.list.push(Finding { kind: Kind::Syntax, place, message, hint });
    }

    /// Something that must be there is not.
    pub(super) fn missing(&mut self, place: Place, message: String, hint: impl Into<String>) {
        self.list.push(Finding { kind: Kind::Missing, place, message, hint: Some(hint.into()) });
    }

    /// What stands at `place` is wrong. An empty hint is no hint.
    pub(super) fn wrong(&mut self, place: Place, message: String, hint: impl Into<String>) {
        let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        self.list.push(Finding { kind: Kind::Wrong, place, message, hint });
    }

    /// Whether all is well.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are; comparing two counts tells whether a part was clean.
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    /// Draws the findings, in the order of the file.
    pub(super) fn into_problems(mut self, sources: &Sources) -> Problems {
        self.drop_echoes(sources);
        self.list.sort_by_key(|finding| finding.place);
        self.list.dedup_by(|b, a| {
            (b.kind, b.place) == (Kind::Syntax, a.place) && b.message == a.message
        });
        let total = self.list.len();
        let shown = self.list.into_iter().take(SHOWN_MAX).map(|finding| finding.drawn(sources));
        Problems { file: sources.file_name().to_owned(), list: shown.collect(), total }
    }

    /// Broken syntax hides keys and garbles its line and, if a bracket is open, the next: what is missing, or wrong
    /// there, may be its echo.
    fn drop_echoes(&mut self, sources: &Sources) {
        let line = |finding: &Finding| sources.line(finding.place);
        let broken: BTreeSet<_> =
            self.list.iter().filter(|f| f.kind == Kind::Syntax).map(&line).collect();
        if !broken.is_empty() {
            self.list.retain(|finding| match finding.kind {
                Kind::Syntax => true,
                Kind::Missing => false,
                Kind::Wrong => {
                    let line = line(finding);
                    !broken.contains(&line) && !broken.contains(&line.map(|line| line - 1))
                }
            });
        }
    }
}

impl Finding {
    fn drawn(self, sources: &Sources) -> Problem {
        Problem {
            source: sources.name(self.place).to_owned(),
            position: sources.position(self.place),
            snippet: sources.snippet(self.place),
            message: self.message,
            hint: self.hint,
        }
    }
}

/// "did you mean …?" if one of `words` is close to `typed`, else nothing.
pub(super) fn did_you_mean<'w>(
    typed: &str,
    words: impl IntoIterator<Item = &'w str>,
) -> Option<String> {
    const CHARS_MAX: usize = 64;
    if typed.chars().count() > CHARS_MAX {
        return None;
    }
    let typed = typed.to_ascii_lowercase();
    words
        .into_iter()
        .map(|word| (edits(&typed, word), word))
        .filter(|(edits, word)| {
            let length = word.chars().count();
            *edits <= length.div_ceil(3) && *edits < length
        })
        .min()
        .map(|(_, word)| format!("did you mean `{word}`?"))
}

/// Insertions, deletions, replacements and swaps of neighbours between `a` and `b` (optimal string alignment).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, _) => j,
                (_, 0) => i,
                _ => {
                    let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1)
                }
            };
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                rows[i][j] = rows[i][j].min(rows[i - 2][j - 2] + 1);
            }
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_words_are_suggested() {
        let words = ["propose", "apply", "apply_on"];
        let check = |typed: &str, expected: Option<&str>| {
            let expected = expected.map(|word| format!("did you mean `{word}`?"));
            assert_eq!(did_you_mean(typed, words), expected, "{typed}");
        };
        check("propse", Some("propose"));
        check("porpose", Some("propose"));
        check("aply", Some("apply"));
        check("PROPOSE", Some("propose"));
        check("apply-on", Some("apply_on"));
        check("extends", None);
        assert_eq!(did_you_mean("c", ["a"]), None);
        check("", None);
        check(&"propose".repeat(100_000), None);
    }

    #[test]
    fn broken_syntax_hides_its_echoes() {
        let sources = Sources::new("x.toml", "a = \n\nb = 1\n");
        let mut findings = Findings::default();
        findings.wrong(Place::in_file(7..8), "third".to_owned(), "");
        findings.missing(Place::FILE, "first".to_owned(), "add it");
        findings.wrong(Place::in_file(0..1), "echo".to_owned(), "");
        findings.syntax(Place::in_file(4..4), "second".to_owned(), None);
        let problems = findings.into_problems(&sources);
        let messages: Vec<_> = problems.list.iter().map(|p| p.message.as_str()).collect();
        assert_eq!(messages, ["second", "third"]);
        assert_eq!(problems.total, 2);
    }
}
