//! One typed value and the ways to read it. Each reader reports what is wrong, with the allowed range, and gives
//! nothing then; the caller goes on with a default.

use super::section::Section;
use crate::scenario::findings::{Findings, did_you_mean};
use crate::scenario::problem::quoted;
use crate::scenario::raw::{Node, Value};
use crate::scenario::source::Place;
use crate::units::{self, ByteSize, Nanos};
use std::fmt::{self, Display};
use std::ops::RangeInclusive;

/// A value with its name and places.
#[derive(Clone)]
pub(super) struct Field<'a> {
    /// Path as in `--set`, e.g. `phase.0.duration`.
    pub(super) name: String,
    /// Where the key stands.
    pub(super) key_place: Place,
    /// Where the value stands.
    pub(super) place: Place,
    /// The value.
    pub(super) value: &'a Value,
}

/// The words of one key.
pub(super) struct Words<T> {
    /// All that can be typed.
    pub(super) allowed: &'static [&'static str],
    /// Words of later versions, which deserve a better answer than "unknown".
    pub(super) planned: &'static [&'static str],
    /// What a word means.
    pub(super) from_word: fn(&str) -> Option<T>,
}

/// A count that prints as it is best typed: 100k, 65536.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Count(u64);

impl<'a> Field<'a> {
    /// A string.
    pub(super) fn text(&self, findings: &mut Findings) -> Option<&'a str> {
        match self.value {
            Value::Text(text) => Some(text),
            _ => self.wrong_type("a string", findings),
        }
    }

    /// true or false.
    pub(super) fn flag(&self, findings: &mut Findings) -> Option<bool> {
        match self.value {
            Value::Flag(flag) => Some(*flag),
            _ => self.wrong_type("true or false", findings),
        }
    }

    /// An integer of any size.
    pub(super) fn integer(&self, findings: &mut Findings) -> Option<i128> {
        match self.value {
            Value::Integer(number) => Some(*number),
            _ => self.wrong_type("an integer", findings),
        }
    }

    /// A finite number > 0 and at most `max`.
    pub(super) fn positive(&self, max: f64, findings: &mut Findings) -> Option<f64> {
        let number = match self.value {
            Value::Integer(number) => *number as f64,
            Value::Float(number) => *number,
            _ => return self.wrong_type("a number", findings),
        };
        let good = number > 0.0 && number <= max;
        if !good {
            let message = format!("{} is {number}; allowed: above 0, up to {max}", self.name);
            findings.wrong(self.place, message, "");
        }
        good.then_some(number)
    }

    /// One of some words.
    pub(super) fn word<T>(&self, words: &Words<T>, findings: &mut Findings) -> Option<T> {
        let text = self.text(findings)?;
        let value = (words.from_word)(text);
        if value.is_none() {
            let (name, shown, allowed) = (&self.name, quoted(text), words.allowed.join(", "));
            if words.planned.contains(&text) {
                let message = format!("{name} is \"{shown}\", which is not built yet");
                findings.wrong(self.place, message, format!("allowed: {allowed}"));
            } else {
                let close = did_you_mean(text, words.allowed.iter().copied()).unwrap_or_default();
                findings.wrong(
                    self.place,
                    format!("{name} is \"{shown}\"; allowed: {allowed}"),
                    close,
                );
            }
        }
        value
    }

    /// A time with its unit.
    pub(super) fn time(
        &self,
        allowed: RangeInclusive<Nanos>,
        findings: &mut Findings,
    ) -> Option<Nanos> {
        self.quantity(units::parse_nanos, allowed, "a time", findings)
    }

    /// A size with its unit.
    pub(super) fn size(
        &self,
        allowed: RangeInclusive<ByteSize>,
        findings: &mut Findings,
    ) -> Option<ByteSize> {
        self.quantity(units::parse_bytes, allowed, "a size", findings)
    }

    /// An integer, or a string such as "100k".
    pub(super) fn count(
        &self,
        allowed: RangeInclusive<u64>,
        findings: &mut Findings,
    ) -> Option<u64> {
        let parse = |text: &str| units::parse_count(text).map(Count);
        let allowed = Count(*allowed.start())..=Count(*allowed.end());
        self.quantity(parse, allowed, "a count", findings).map(|count| count.0)
    }

    /// Like [`Field::count`], for ranges that fit 32 bits.
    pub(super) fn count32(
        &self,
        allowed: RangeInclusive<u32>,
        findings: &mut Findings,
    ) -> Option<u32> {
        let allowed = u64::from(*allowed.start())..=u64::from(*allowed.end());
        self.count(allowed, findings)
            .map(|count| u32::try_from(count).expect("its range fits 32 bits"))
    }

    fn quantity<T: Display + PartialOrd>(
        &self,
        parse: impl Fn(&str) -> Result<T, String>,
        allowed: RangeInclusive<T>,
        wanted: &str,
        findings: &mut Findings,
    ) -> Option<T> {
        let typed = match self.value {
            Value::Text(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            _ => return self.wrong_type(wanted, findings),
        };
        match parse(&typed) {
            Ok(value) if allowed.contains(&value) => Some(value),
            Ok(value) => {
                let (least, most) = (allowed.start(), allowed.end());
                let message = format!("{} is {value}; allowed: {least} to {most}", self.name);
                findings.wrong(self.place, message, "");
                None
            }
            Err(why) => self.unreadable(&typed, wanted, &why, findings),
        }
    }

    /// Reports `typed`, where `why` is of the form `what is wrong: expected an example`.
    pub(super) fn unreadable<T>(
        &self,
        typed: &str,
        wanted: &str,
        why: &str,
        findings: &mut Findings,
    ) -> Option<T> {
        let (name, shown) = (&self.name, quoted(typed));
        let (what, example) = why.split_once("expected ").unwrap_or((why, ""));
        let message = match what.trim_end_matches(": ") {
            "" => format!("{name} is \"{shown}\", which is not {wanted}"),
            what => format!("{name} is {shown}: {}", quoted(what)),
        };
        let hint = if example.is_empty() { String::new() } else { format!("write {example}") };
        findings.wrong(self.place, message, hint);
        None
    }

    /// Reports that the value is of the wrong type.
    pub(super) fn wrong_type<T>(&self, wanted: &str, findings: &mut Findings) -> Option<T> {
        let message = format!("{} is {}; {wanted} is wanted", self.name, self.value.kind());
        findings.wrong(self.place, message, "");
        None
    }

    /// A table.
    pub(super) fn section(&self, findings: &mut Findings) -> Option<Section<'a>> {
        match self.value {
            Value::Table(table) => Some(Section::new(self.name.clone(), self.place, table)),
            _ => self.wrong_type("a table", findings),
        }
    }

    /// The items of an array.
    pub(super) fn list(&self, findings: &mut Findings) -> Option<Vec<Field<'a>>> {
        let item = |(index, node): (usize, &'a Node)| Field {
            name: format!("{}.{index}", self.name),
            key_place: node.place,
            place: node.place,
            value: &node.value,
        };
        match self.value {
            Value::List(items) => Some(items.iter().enumerate().map(item).collect()),
            _ => self.wrong_type("an array", findings),
        }
    }

    /// The tables of an array of tables, `[[key]]`.
    pub(super) fn tables(&self, findings: &mut Findings) -> Vec<Section<'a>> {
        if let Value::Table(_) = self.value {
            let message = format!("[{}] is one table; an array of tables is wanted", self.name);
            findings.wrong(self.key_place, message, format!("write [[{}]]", self.name));
            return Vec::new();
        }
        let label = format!("in [[{}]]", self.name);
        let items = self.list(findings).unwrap_or_default();
        let sections = items.iter().filter_map(|item| item.section(findings));
        sections.map(|section| section.labelled(label.clone())).collect()
    }

    /// A name that is safe in file names: `[A-Za-z0-9._-]{1,64}`, not starting with `.` or `-`.
    pub(super) fn name(&self, findings: &mut Findings) -> Option<String> {
        self.word_of("letters, digits, `.`, `_`, `-`", |c| matches!(c, '.' | '_' | '-'), findings)
    }

    /// A name that is also safe in metrics and `--set` paths: as [`Field::name`], without dots.
    pub(super) fn label(&self, findings: &mut Findings) -> Option<String> {
        self.word_of("letters, digits, `_`, `-`", |c| matches!(c, '_' | '-'), findings)
    }

    fn word_of(
        &self,
        alphabet: &str,
        extra: fn(char) -> bool,
        findings: &mut Findings,
    ) -> Option<String> {
        let text = self.text(findings)?;
        let good = (1..=64).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || extra(c))
            && !text.starts_with(['.', '-']);
        if !good {
            let allowed = format!("1 to 64 of {alphabet}, not beginning with `.` or `-`");
            let message = format!("{} is \"{}\"; allowed: {allowed}", self.name, quoted(text));
            findings.wrong(self.place, message, mended(text, extra));
        }
        good.then(|| text.to_owned())
    }
}

/// A hint with the nearest good name, or nothing.
fn mended(text: &str, extra: fn(char) -> bool) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || extra(c);
    let begun = text.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let name: String = begun.chars().take(64).map(|c| if fits(c) { c } else { '_' }).collect();
    if name.is_empty() { name } else { format!("for example \"{name}\"") }
}

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            count if count > 0 && count.is_multiple_of(1_000_000) => {
                write!(f, "{}M", count / 1_000_000)
            }
            count if count > 0 && count.is_multiple_of(1_000) => write!(f, "{}k", count / 1_000),
            count => write!(f, "{count}"),
        }
    }
}
