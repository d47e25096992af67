//! `--set path=value`, laid over the tree of the file before it is checked, so that a mistake in it is reported
//! like one in the file, at the `--set` itself. Paths name tables by key and array tables by index, name or id.

use super::findings::{Findings, did_you_mean};
use super::problem::quoted;
use super::raw::{self, DEPTH_MAX, Entry, Node, Table, Value};
use super::source::{Place, Sources};

/// One part of a path, with its place in the `--set` text.
struct Part<'t> {
    text: &'t str,
    place: Place,
}

/// Lays `sets` over `root`, the later ones over the earlier.
pub(super) fn apply(
    root: &mut Node,
    sets: &[String],
    sources: &mut Sources,
    findings: &mut Findings,
) {
    for set in sets {
        let source = sources.add_set(set);
        let Some((path, value)) = split(set, source, findings) else { continue };
        let node = raw::read_value(value, source, set.len() - value.len(), findings);
        assign(root, &path, node, findings);
    }
}

/// The parts of the path and the text of the value.
fn split<'t>(
    set: &'t str,
    source: usize,
    findings: &mut Findings,
) -> Option<(Vec<Part<'t>>, &'t str)> {
    let whole = Place { source, start: 0, end: set.len() };
    let example = "write it like --set trials.pairs.max=12";
    if set.contains(char::is_control) {
        findings.wrong(whole, "a --set may not hold control characters".to_owned(), example);
        return None;
    }
    let Some((path, value)) = set.split_once('=') else {
        findings.wrong(whole, "`=` is missing".to_owned(), example);
        return None;
    };
    let mut parts = Vec::new();
    let mut start = 0;
    for text in path.split('.') {
        parts.push(Part {
            text: text.trim(),
            place: Place { source, start, end: start + text.len() },
        });
        start += text.len() + 1;
    }
    if let Some(empty) = parts.iter().find(|part| part.text.is_empty()) {
        findings.wrong(empty.place, "a part of the path is empty".to_owned(), example);
        return None;
    }
    if parts.len() > DEPTH_MAX {
        findings.wrong(whole, format!("the path has more than {DEPTH_MAX} parts"), example);
        return None;
    }
    Some((parts, value))
}

fn assign(root: &mut Node, path: &[Part<'_>], node: Node, findings: &mut Findings) {
    let mut at = root;
    for part in path {
        match step(at, part, findings) {
            Some(next) => at = next,
            None => return,
        }
    }
    *at = node;
}

/// From `node` into its part `part`; a key that is not there yet becomes an empty table.
fn step<'n>(node: &'n mut Node, part: &Part<'_>, findings: &mut Findings) -> Option<&'n mut Node> {
    match &mut node.value {
        Value::Table(table) => Some(entry(table, part)),
        Value::List(items) => item(items, part, findings),
        other => {
            let message = format!("`{}` is not a key of {}", quoted(part.text), other.kind());
            findings.wrong(part.place, message, "a path leads through tables and array tables");
            None
        }
    }
}

fn entry<'n>(table: &'n mut Table, part: &Part<'_>) -> &'n mut Node {
    let index =
        table.entries.iter().position(|entry| entry.key == part.text).unwrap_or_else(|| {
            let empty = Node { place: part.place, value: Value::Table(Table::default()) };
            table.entries.push(Entry {
                key: part.text.to_owned(),
                key_place: part.place,
                node: empty,
            });
            table.entries.len() - 1
        });
    &mut table.entries[index].node
}

fn item<'n>(
    items: &'n mut [Node],
    part: &Part<'_>,
    findings: &mut Findings,
) -> Option<&'n mut Node> {
    let names: Vec<String> = items.iter().filter_map(called).map(str::to_owned).collect();
    let count = items.len();
    let index = match part.text.parse::<usize>() {
        Ok(index) if index < count => Some(index),
        _ => items.iter().position(|item| called(item) == Some(part.text)),
    };
    if index.is_none() {
        let message = format!("nothing here is called `{}`", quoted(part.text));
        let known = format!("an index below {count}, or one of: {}", quoted(&names.join(", ")));
        let close = did_you_mean(part.text, names.iter().map(String::as_str));
        findings.wrong(part.place, message, close.unwrap_or(known));
    }
    index.map(|index| &mut items[index])
}

/// The `name` or `id` of a table in an array.
fn called(node: &Node) -> Option<&str> {
    let Value::Table(table) = &node.value else { return None };
    match &table.get("name").or_else(|| table.get("id"))?.node.value {
        Value::Text(name) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "seed = 1\n[[phase]]\nname = \"a\"\n[[phase]]\nname = \"b\"\nclients = [1, 2]\n";

    fn applied(set: &str) -> (Node, String) {
        let mut findings = Findings::default();
        let mut sources = Sources::new("x.toml", TEXT);
        let mut root = raw::read(TEXT, &mut findings);
        apply(&mut root, &[set.to_owned()], &mut sources, &mut findings);
        (root, findings.into_problems(&sources).to_string())
    }

    #[test]
    fn paths_lead_through_tables_and_arrays() {
        let check = |set: &str, path: &[&str], expected: &str| {
            let (mut root, problems) = applied(set);
            assert!(problems.starts_with("0 problems"), "{problems}");
            let mut findings = Findings::default();
            let part = |text| Part { text, place: Place::FILE };
            let node = path.iter().fold(&mut root, |node, text| {
                step(node, &part(*text), &mut findings).expect("the path was just assigned")
            });
            assert_eq!(format!("{:?}", node.value), expected);
        };
        check("seed=7", &["seed"], "Integer(7)");
        check("phase.0.duration=1s", &["phase", "0", "duration"], "Text(\"1s\")");
        check("phase.b.duration=1s", &["phase", "1", "duration"], "Text(\"1s\")");
        check("phase.b.clients.1=4", &["phase", "1", "clients", "1"], "Integer(4)");
        check("trials.pairs.min=4", &["trials", "pairs", "min"], "Integer(4)");
        check("system.layer=store", &["system", "layer"], "Text(\"store\")");
    }

    #[test]
    fn bad_paths_are_problems_at_the_set() {
        let check = |set: &str, expected: &str| {
            let (_, problems) = applied(set);
            assert!(problems.contains(expected), "{problems}");
        };
        check("seed", "--set seed: `=` is missing");
        check("a..b=1", "a part of the path is empty");
        check("seed.x=1", "`x` is not a key of an integer");
        check("phase.2.x=1", "nothing here is called `2`");
        check("phase.c.x=1", "an index below 2, or one of: a, b");
        check("a=\u{1b}[2J", "may not hold control characters");
        check(&format!("{}a=1", "a.".repeat(9999)), "more than 16 parts");
    }
}
