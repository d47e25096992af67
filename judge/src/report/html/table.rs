//! Real tables: a caption, headers with their scope, and a `?` beside each header that has a definition.

use crate::report::markup::text;
use crate::report::words;

/// A table under construction; every cell is text and is escaped here.
pub(in crate::report) struct Table {
    caption: String,
    /// One letter per column: `l` or `r`.
    sides: String,
    head: Vec<(String, Option<&'static str>)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// `sides` has one letter per column, `l` or `r`.
    pub(in crate::report) fn new(caption: &str, sides: &str) -> Table {
        Table {
            caption: caption.to_string(),
            sides: sides.to_string(),
            head: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Adds a column header, with the glossary's word that explains it, or "".
    pub(in crate::report) fn column(&mut self, name: &str, word: &str) {
        self.head.push((name.to_string(), words::canonical(word)));
    }

    /// Adds a row; its first cell is its header.
    pub(in crate::report) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Writes the table, which scrolls on its own if the window is narrow.
    pub(in crate::report) fn write(&self, out: &mut String) {
        out.push_str("<div class=\"scroll\"><table>\n");
        if !self.caption.is_empty() {
            out.push_str(&format!("<caption>{}</caption>\n", text(&self.caption)));
        }
        out.push_str("<thead><tr>");
        for (place, (name, word)) in self.head.iter().enumerate() {
            let class = self.class(place);
            // A header without words is none to whoever has it read out.
            match name.as_str() {
                "" => out.push_str("<td></td>"),
                _ => out
                    .push_str(&format!("<th scope=\"col\"{class}>{}</th>", explained(name, *word))),
            }
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            self.write_row(out, row);
        }
        out.push_str("</tbody></table></div>\n");
    }

    fn write_row(&self, out: &mut String, row: &[String]) {
        out.push_str("<tr>");
        for (place, cell) in row.iter().enumerate() {
            let class = match cell.as_str() {
                "▲" | "✔" => " class=\"up\"",
                "▼" | "✘" => " class=\"down\"",
                _ => self.class(place),
            };
            match place {
                0 if cell.is_empty() => out.push_str("<td></td>"),
                0 => out.push_str(&format!("<th scope=\"row\"{class}>{}</th>", text(cell))),
                _ => out.push_str(&format!("<td{class}>{}</td>", text(cell))),
            }
        }
        out.push_str("</tr>\n");
    }

    fn class(&self, place: usize) -> &'static str {
        if self.sides.as_bytes().get(place) == Some(&b'r') { " class=\"n\"" } else { "" }
    }
}

/// A header whose last word and `?` stay on one line.
fn explained(name: &str, word: Option<&str>) -> String {
    let Some(word) = word else { return text(name) };
    let (first, last) =
        name.rsplit_once(' ').map_or((String::new(), name), |(a, b)| (text(a) + " ", b));
    format!("{first}<span class=\"k\">{}{}</span>", text(last), help(word))
}

/// A `?` that shows a word's definition and leads to it; nothing for a word without one.
pub(super) fn help(word: &str) -> String {
    match words::definition(word) {
        Some(meaning) => format!(
            "<a class=\"q\" href=\"#w-{}\" title=\"{}\" aria-label=\"what {} means\">?</a>",
            slug(word),
            text(meaning),
            text(word)
        ),
        None => String::new(),
    }
}

/// A word as the name of an anchor.
pub(super) fn slug(word: &str) -> String {
    word.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect()
}
