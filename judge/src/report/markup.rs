//! Escaping for HTML and SVG: the one door through which text enters a page.
//! What comes out may stand between tags and inside a quoted attribute; it may not stand in a script, and in a URL only what [`address`] made of it.

use crate::report::words;

/// Text on one line, escaped; the space between groups of digits does not break.
pub(super) fn text(text: &str) -> String {
    let letters: Vec<char> = words::plain(text).chars().collect();
    let joined = letters.iter().enumerate().map(|(place, &c)| match c {
        ' ' if joins_digits(&letters, place) => '\u{202f}',
        _ => c,
    });
    escape(joined)
}

/// Whether the space at `place` stands between groups of one number: `1 876`, but not `p50 150`.
fn joins_digits(letters: &[char], place: usize) -> bool {
    let digits = |c: &&char| c.is_ascii_digit();
    let before = letters[..place].iter().rev().take_while(digits).count();
    let after = letters[place + 1..].iter().take_while(digits).count();
    let in_a_word = letters[..place - before].last().is_some_and(|c| c.is_alphabetic());
    (1..=3).contains(&before) && after == 3 && !in_a_word
}

/// Text as it was typed, with its lines, escaped.
pub(super) fn verbatim(text: &str) -> String {
    escape(words::plain_lines(text).chars())
}

/// A relative path as it may stand in a link: everything but plain letters, digits and separators as its bytes in hexadecimal, so
/// that it can name no scheme and end no attribute.
pub(super) fn address(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    // Two slashes at the beginning would name a host.
    if out.starts_with("//") { format!(".{out}") } else { out }
}

/// A whole document as the value of an attribute in double quotes; nothing is filtered.
pub(super) fn attribute(document: &str) -> String {
    document.replace('&', "&amp;").replace('"', "&quot;")
}

fn escape(text: impl Iterator<Item = char>) -> String {
    let mut out = String::new();
    for c in text {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_no_scheme_and_no_host() {
        assert_eq!(address("javascript:x\"<"), "javascript%3Ax%22%3C");
        assert_eq!(address("//host/x"), ".//host/x");
    }

    #[test]
    fn nothing_opens_a_tag_or_ends_an_attribute() {
        assert_eq!(text("\"><b>'&\u{1b}\u{202e}"), "&quot;&gt;&lt;b&gt;&#39;&amp;");
        assert_eq!(text("1 876 of 12 x"), "1\u{202f}876 of 12 x");
        assert_eq!(text("p50 150 ms"), "p50 150 ms");
        assert_eq!(verbatim("a <b>\n\tc 1 2"), "a &lt;b&gt;\n\tc 1 2");
        assert_eq!(attribute("<a b=\"c&d\">"), "<a b=&quot;c&amp;d&quot;>");
    }
}
