//! The scenario file as a JSON Schema (2020-12), for editors that complete and check while one types. All of it is in one
//! table, `table`; the checker does not read it, so tests below compare the two: same keys in every table, same bounds,
//! same defaults. What only the checker knows (which levers a layer ignores, which phases a target may name) is not here.

mod table;
#[cfg(test)]
mod tests;

use crate::units::{ByteSize, Nanos};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use table::{Is, Key, ROOT, Section};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// A number as the units take it.
const NUMBER: &str = r"([0-9]+\.?[0-9]*|\.[0-9]+)";
const TIME_UNITS: &str = "(ns|us|µs|ms|s|m)";

/// The schema as text, indented, with a line end.
pub fn json() -> String {
    format!("{:#}\n", schema())
}

fn schema() -> Value {
    let mut sections = BTreeMap::new();
    collect(&ROOT, &mut sections);
    let definitions: Map<String, Value> = sections
        .iter()
        .filter(|(name, _)| **name != ROOT.name)
        .map(|(name, section)| ((*name).to_owned(), object(section)))
        .collect();
    let mut schema = json!({ "$schema": DIALECT, "title": "kvbench scenario" });
    let whole = schema.as_object_mut().zip(object(&ROOT).as_object().cloned());
    if let Some((schema, root)) = whole {
        schema.extend(root);
        schema.insert("$defs".to_owned(), Value::Object(definitions));
    }
    schema
}

/// `section` and all below it, by name.
fn collect(section: &'static Section, into: &mut BTreeMap<&'static str, &'static Section>) {
    if into.insert(section.name, section).is_none() {
        for key in section.keys {
            collect_within(&key.is, into);
        }
    }
}

fn collect_within(is: &'static Is, into: &mut BTreeMap<&'static str, &'static Section>) {
    match is {
        Is::Table(section) | Is::Tables { of: section, .. } => collect(section, into),
        Is::List { of, .. } => collect_within(of, into),
        Is::Any(ways) => ways.iter().for_each(|way| collect_within(way, into)),
        _ => {}
    }
}

/// A table: its keys and no others.
fn object(section: &Section) -> Value {
    let properties: Map<String, Value> =
        section.keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<_> = section.keys.iter().filter(|key| key.must).map(|key| key.name).collect();
    json!({
        "description": section.says,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Value {
    let mut property = kind(&key.is);
    let Some(fields) = property.as_object_mut() else { return property };
    let range = range(&key.is).map_or(String::new(), |range| format!(" {range}."));
    fields.insert("description".to_owned(), json!(format!("{}{range}", key.says)));
    // A word that is not JSON is a string.
    if let Some(default) = key.default {
        let value = serde_json::from_str(default).unwrap_or_else(|_| json!(default));
        fields.insert("default".to_owned(), value);
    }
    property
}

fn kind(is: &Is) -> Value {
    match is {
        Is::Flag => json!({ "type": "boolean" }),
        Is::Text => json!({ "type": "string" }),
        Is::Like(pattern) => json!({ "type": "string", "pattern": pattern }),
        Is::Words(words) => json!({ "enum": words }),
        Is::Numbers(numbers) => json!({ "enum": numbers }),
        Is::Integer { least, most } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Is::Count { least, most } => json!({ "anyOf": [
            { "type": "integer", "minimum": least, "maximum": most },
            { "type": "string", "pattern": format!(r"^[ \t]*{NUMBER}[ \t]*[kM]?[ \t]*$") },
        ] }),
        Is::Positive { most } => {
            json!({ "type": "number", "exclusiveMinimum": 0, "maximum": most })
        }
        Is::Time { .. } => {
            json!({ "type": "string", "pattern": format!(r"^[ \t]*{NUMBER}[ \t]*{TIME_UNITS}[ \t]*$") })
        }
        Is::TimeAfter(words) => json!({
            "type": "string",
            "pattern": format!(r"^({}):[ \t]*{NUMBER}[ \t]*{TIME_UNITS}[ \t]*$", words.join("|")),
        }),
        Is::Size { .. } => json!({
            "type": "string",
            "pattern": format!(r"^[ \t]*{NUMBER}[ \t]*(B|KiB|MiB|GiB)[ \t]*$"),
        }),
        Is::Percent => json!({ "type": "string", "pattern": format!(r"^[ \t]*{NUMBER}[ \t]*%$") }),
        Is::Metric(measures) => json!({
            "type": "string",
            "pattern": format!(r"^[A-Za-z0-9_-]+(\.[a-z_]+)?\.({})(@[0-9]+)?$", measures.join("|")),
        }),
        Is::Table(section) => reference(section),
        Is::Tables { of, least, most } => json!({
            "type": "array", "items": reference(of), "minItems": least, "maxItems": most,
        }),
        Is::List { of, least, most } => json!({
            "type": "array", "items": kind(of), "minItems": least, "maxItems": most,
        }),
        Is::Any(ways) => json!({ "anyOf": ways.iter().map(kind).collect::<Vec<_>>() }),
    }
}

fn reference(section: &Section) -> Value {
    json!({ "$ref": format!("#/$defs/{}", section.name) })
}

/// What patterns cannot say.
fn range(is: &Is) -> Option<String> {
    match is {
        Is::Time { least, most } => Some(format!("From {} to {}", Nanos(*least), Nanos(*most))),
        Is::Size { least, most } => {
            Some(format!("From {} to {}", ByteSize(*least), ByteSize(*most)))
        }
        Is::Count { least, most } => Some(format!("From {least} to {most}")),
        Is::Percent => Some("Above 0% and below 100%".to_owned()),
        Is::Any(ways) => ways.iter().find_map(range),
        _ => None,
    }
}
