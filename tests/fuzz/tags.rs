//! What a page is made of: its tags with the names of their attributes, read as a browser does.

use std::collections::BTreeSet;

/// Every tag with its attributes' names, as `a href`; `<style>` and its like are read to their end.
pub(crate) fn skeleton(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let is_tag =
            rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
        if !is_tag {
            continue;
        }
        let (tag, after) = tag(rest);
        rest = after;
        if let Some(raw) =
            ["style", "script", "title", "textarea"].iter().find(|raw| tag.starts_with(**raw))
        {
            let end = rest.find(&format!("</{raw}")).unwrap_or(rest.len());
            rest = &rest[end..];
        }
        found.insert(tag);
    }
    found
}

/// The tag that begins here, and what follows it.
fn tag(text: &str) -> (String, &str) {
    let mut words = vec![String::new()];
    let (mut quote, mut in_value) = (None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => (quote, in_value) = (None, false),
            (Some(_), _) => {}
            (None, '"' | '\'') if in_value => quote = Some(c),
            (None, '>') => return (words.join(" ").trim().to_ascii_lowercase(), &text[at + 1..]),
            (None, '=') => in_value = true,
            (None, c) if c.is_ascii_whitespace() => {
                in_value = false;
                if words.last().is_some_and(|word| !word.is_empty()) {
                    words.push(String::new());
                }
            }
            (None, _) if in_value => {}
            (None, c) => words.last_mut().unwrap().push(c),
        }
    }
    (words.join(" ").trim().to_ascii_lowercase(), "")
}

#[test]
fn a_page_is_read_as_a_browser_does() {
    let page = "<!doctype html><p class=\"a > b\" id=x>1 < 2 <br/><style>a > b { }</style><a href='\"'>x</a>";
    let wanted = ["!doctype html", "p class id", "br/", "style", "/style", "a href", "/p", "/a"];
    let mut expected: BTreeSet<String> = wanted.iter().map(|tag| (*tag).to_owned()).collect();
    expected.remove("/p");
    assert_eq!(skeleton(page), expected);
}
