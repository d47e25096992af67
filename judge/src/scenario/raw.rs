//! A scenario as typed: the TOML tree with the place of everything in it. It judges syntax and nothing else.

use super::findings::Findings;
use super::problem::{printable, quoted};
use super::source::Place;
use toml::de::{DeTable, DeValue};

/// No key of a scenario lies deeper; what does is reported and not followed.
pub(super) const DEPTH_MAX: usize = 16;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The value's own place; for a table with a header, the header.
    pub(super) place: Place,
    /// The value.
    pub(super) value: Value,
}

/// A TOML value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A string.
    Text(String),
    /// An integer; beyond 128 bits it saturates, which is out of every range here.
    Integer(i128),
    /// A float, perhaps not finite.
    Float(f64),
    /// true or false.
    Flag(bool),
    /// A date or time, which no key takes.
    Date,
    /// An array, or an array of tables.
    List(Vec<Node>),
    /// A table, inline or not.
    Table(Table),
}

/// The keys of one table, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// The entries; keys are distinct.
    pub(super) entries: Vec<Entry>,
}

/// One key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key, unquoted.
    pub(super) key: String,
    /// Where the key stands.
    pub(super) key_place: Place,
    /// What it is set to.
    pub(super) node: Node,
}

impl Value {
    /// What it is, with its article, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Flag(_) => "a boolean",
            Value::Date => "a date",
            Value::List(_) => "an array",
            Value::Table(_) => "a table",
        }
    }
}

impl Table {
    /// The entry for `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// Reads the file's text, best effort: what is not TOML becomes a finding and is left out.
pub(super) fn read(text: &str, findings: &mut Findings) -> Node {
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let place = error.span().map_or(Place::FILE, Place::in_file);
        let (message, hint) = reworded(error.message(), place, text);
        findings.syntax(place, message, hint);
    }
    let mut reader = Reader { source: 0, offset: 0, findings };
    Node { place: Place::FILE, value: Value::Table(reader.table(root.get_ref(), 0)) }
}

/// Reads the value of a `--set`: as TOML if it is, else as a string, so that words and quantities need no quotes.
pub(super) fn read_value(
    text: &str,
    source: usize,
    offset: usize,
    findings: &mut Findings,
) -> Node {
    match DeValue::parse(text) {
        Ok(value) => Reader { source, offset, findings }.node(value.span(), value.get_ref(), 0),
        Err(_) => Node {
            place: Place { source, start: offset, end: offset + text.len() },
            value: Value::Text(text.to_owned()),
        },
    }
}

/// The parser's `X, expected Y` as message and hint, said better where a beginner would stumble over it.
fn reworded(message: &str, place: Place, text: &str) -> (String, Option<String>) {
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, "nothing"));
    let typed = text.get(place.start..place.end).unwrap_or_default();
    let no_value =
        typed.is_empty() && text.get(..place.start).is_some_and(|t| t.trim_end().ends_with('='));
    let (what, hint) = match what {
        _ if no_value => ("the value is missing".to_owned(), None),
        "duplicate key" => {
            let hint = "each key and each table may be given once";
            (format!("duplicate key `{}`", quoted(typed)), Some(hint.to_owned()))
        }
        // The parser's own limit, far beyond what any key needs.
        "recursion limit" | "cannot recurse further; max recursion depth met" => (
            "tables and arrays are nested too deep".to_owned(),
            Some(format!("no key of a scenario lies more than {DEPTH_MAX} deep")),
        ),
        "string values must be quoted" => (
            format!("`{}` is not a TOML value", quoted(typed)),
            Some("text and quantities need quotes".to_owned()),
        ),
        _ => (printable(what), Some(format!("expected {}", printable(expected)))),
    };
    (what, hint.filter(|hint| hint != "expected nothing"))
}

struct Reader<'f> {
    source: usize,
    /// Added to every span: where the parsed text starts in its source.
    offset: usize,
    findings: &'f mut Findings,
}

impl Reader<'_> {
    fn place(&self, span: std::ops::Range<usize>) -> Place {
        Place { source: self.source, start: span.start + self.offset, end: span.end + self.offset }
    }

    fn node(&mut self, span: std::ops::Range<usize>, value: &DeValue<'_>, depth: usize) -> Node {
        let place = self.place(span);
        if depth > DEPTH_MAX {
            let message = format!("tables and arrays are nested more than {DEPTH_MAX} deep");
            self.findings.wrong(place, message, "");
            return Node { place, value: Value::Date };
        }
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => Value::Integer(integer(number.as_str(), number.radix())),
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Datetime(_) => Value::Date,
            DeValue::Array(items) => Value::List(
                items
                    .iter()
                    .map(|item| self.node(item.span(), item.get_ref(), depth + 1))
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table, depth + 1)),
        };
        Node { place, value }
    }

    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> Table {
        let mut entries = Vec::new();
        for (key, value) in table {
            entries.push(Entry {
                key: key.get_ref().to_string(),
                key_place: self.place(key.span()),
                node: self.node(value.span(), value.get_ref(), depth),
            });
        }
        entries.sort_by_key(|entry| entry.key_place);
        Table { entries }
    }
}

fn integer(digits: &str, radix: u32) -> i128 {
    let saturated = if digits.starts_with('-') { i128::MIN } else { i128::MAX };
    i128::from_str_radix(digits, radix).unwrap_or(saturated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::source::Sources;

    #[test]
    fn numbers_saturate() {
        assert_eq!(integer("ff", 16), 255);
        assert_eq!(integer(&"9".repeat(60), 10), i128::MAX);
        assert_eq!(integer(&format!("-{}", "9".repeat(60)), 10), i128::MIN);
    }

    #[test]
    fn deep_nesting_is_refused_without_following_it() {
        let nested = format!("a = {}1{}", "[".repeat(500), "]".repeat(500));
        let dotted = format!("{}b = 1", "a.".repeat(79));
        let both = "k.".repeat(79) + "k = { ";
        let worst = both.repeat(79) + "x = 1" + &" }".repeat(79);
        let far_too_deep = format!("{}b = 1", "a.".repeat(500));
        for text in [nested, dotted, worst, far_too_deep] {
            let mut findings = Findings::default();
            read(&text, &mut findings);
            let told = findings.into_problems(&Sources::new("x.toml", &text)).to_string();
            assert!(told.contains("deep"), "{told}");
        }
    }

    #[test]
    fn set_values_need_no_quotes() {
        let check = |text: &str, expected: &str| {
            let node = read_value(text, 1, 5, &mut Findings::default());
            assert_eq!(format!("{:?}", node.value), expected);
            assert_eq!(node.place, Place { source: 1, start: 5, end: 5 + text.len() });
        };
        check("store", "Text(\"store\")");
        check("\"store\"", "Text(\"store\")");
        check("5%", "Text(\"5%\")");
        check("12", "Integer(12)");
        check("1 2", "Text(\"1 2\")");
        check("true", "Flag(true)");
        check("", "Text(\"\")");
    }
}
