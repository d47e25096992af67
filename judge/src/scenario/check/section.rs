//! One table while it is read. Keys are known by being asked for: whatever nobody asked for is an unknown key,
//! so there is no second list of them to keep in step.

use super::field::Field;
use crate::scenario::findings::{Findings, did_you_mean};
use crate::scenario::problem::quoted;
use crate::scenario::raw::Table;
use crate::scenario::source::Place;

/// A table and which of its keys were asked for.
pub(super) struct Section<'a> {
    /// How messages say where, e.g. `in [arms.after]`.
    label: String,
    /// Path as in `--set`; empty for the top level.
    path: String,
    /// Its header, braces, or key.
    pub(super) place: Place,
    table: &'a Table,
    asked: Vec<&'static str>,
    /// Keys of later versions: asked for, but not to be suggested.
    planned: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The top level of a file.
    pub(super) fn root(table: &'a Table) -> Section<'a> {
        let label = "at the top level".to_owned();
        Section {
            label,
            path: String::new(),
            place: Place::FILE,
            table,
            asked: Vec::new(),
            planned: Vec::new(),
        }
    }

    /// The table at `path`.
    pub(super) fn new(path: String, place: Place, table: &'a Table) -> Section<'a> {
        Section {
            label: format!("in [{path}]"),
            path,
            place,
            table,
            asked: Vec::new(),
            planned: Vec::new(),
        }
    }

    /// The same, with `label` for where it is.
    pub(super) fn labelled(self, label: String) -> Section<'a> {
        Section { label, ..self }
    }

    /// The field `key`, if it was typed.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.asked.push(key);
        self.field(key)
    }

    /// Like [`Section::take`] for a key of a later version, which is not suggested to anybody.
    pub(super) fn take_planned(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.planned.push(key);
        self.field(key)
    }

    fn field(&self, key: &'static str) -> Option<Field<'a>> {
        let entry = self.table.get(key)?;
        let name =
            if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Some(Field {
            name,
            key_place: entry.key_place,
            place: entry.node.place,
            value: &entry.node.value,
        })
    }

    /// The field `key`; its absence is a problem, and `hint` says what to write.
    pub(super) fn require(
        &mut self,
        key: &'static str,
        hint: &str,
        findings: &mut Findings,
    ) -> Option<Field<'a>> {
        let field = self.take(key);
        if field.is_none() {
            let message = format!("missing key `{key}` {}", self.label);
            findings.missing(self.place, message, hint);
        }
        field
    }

    /// Whether nothing at all was typed in it.
    pub(super) fn is_empty(&self) -> bool {
        self.table.entries.is_empty()
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self, findings: &mut Findings) {
        for entry in &self.table.entries {
            let key = entry.key.as_str();
            if self.asked.contains(&key) || self.planned.contains(&key) {
                continue;
            }
            let message = format!("unknown key `{}` {}", quoted(&entry.key), self.label);
            let close = did_you_mean(&entry.key, self.asked.iter().copied());
            let known = || format!("known keys: {}", self.asked.join(", "));
            findings.wrong(entry.key_place, message, close.unwrap_or_else(known));
        }
    }
}
