//! The schema of scenario files as an editor uses it: what ships is good by it, what is wrong is not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use kvbench::scenario::schema;
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// A TOML document as the JSON that editors hold against a schema.
fn tree(text: &str) -> Value {
    table(DeTable::parse(text).unwrap().get_ref())
}

fn table(table: &DeTable<'_>) -> Value {
    let entry = |(key, entry): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let key: &std::borrow::Cow<'_, str> = key.get_ref();
        (key.to_string(), value(entry.get_ref()))
    };
    Value::Object(table.iter().map(entry).collect::<Map<_, _>>())
}

fn value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => {
            Value::from(i64::from_str_radix(number.as_str(), number.radix()).unwrap())
        }
        DeValue::Float(number) => Value::from(number.as_str().parse::<f64>().unwrap()),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Datetime(date) => Value::from(date.to_string()),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| self::value(item.get_ref())).collect())
        }
        DeValue::Table(inner) => table(inner),
    }
}

/// Every `*.toml` in a folder and below it.
fn scenarios_under(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(scenarios_under(&path));
        } else if path.extension().is_some_and(|end| end == "toml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What the schema finds wrong, each with its place.
fn mistakes(text: &str) -> Vec<String> {
    let schema = serde_json::from_str(&schema::json()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let scenario = tree(text);
    let found = validator.iter_errors(&scenario);
    found.map(|mistake| format!("{}: {mistake}", mistake.instance_path())).collect()
}

#[test]
fn every_scenario_and_every_template_is_good() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = scenarios_under(&root.join("scenarios"));
    files.extend(scenarios_under(&root.join("src/cli/new")));
    assert!(files.len() >= 29, "{files:?}");
    for path in files {
        let found = mistakes(&fs::read_to_string(&path).unwrap());
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}

#[test]
fn every_mistake_shows_at_its_place() {
    const TEXT: &str = r#"schema = 2
name = "two words"
[system]
engine = "rocksd"
shards = 0
[arms.before]
propse = "batched"
[arms.after]
fsync = "delay:22"
[keys]
size = 16
dist = "zipf:x"
[values]
size = { lognormal = { median = "256B" } }
[[op]]
put = { weight = 0 }
[[phase]]
name = "a"
load = { closed = { clients = [] } }
duration = "10 parsecs"
[trials]
precision = 5
[[target]]
id = "t"
metric = "a.speed@50"
ratio = "> 10"
"#;
    let found = mistakes(TEXT);
    for place in [
        "/schema",
        "/name",
        "/system/engine",
        "/system/shards",
        "/arms/before",
        "/arms/after/fsync",
        "/keys/size",
        "/keys/dist",
        "/values/size",
        "/op/0/put/weight",
        "/phase/0/load/closed/clients",
        "/phase/0/duration",
        "/trials/precision",
        "/target/0/metric",
        "/target/0/ratio",
    ] {
        let is_there = found.iter().any(|mistake| mistake.starts_with(&format!("{place}:")));
        assert!(is_there, "{place}\n{found:#?}");
    }
    assert_eq!(found.len(), 15, "and nothing else: {found:#?}");
}

#[test]
fn quantities_are_taken_as_they_are_typed() {
    let base = "schema = 1\nname = \"x\"\n[arms]\nbefore = {}\nafter = {}\n[[op]]\nput = {}\n[[phase]]\nname = \"a\"\nload = { closed = { clients = [1, \"2k\"] } }\n";
    let check = |line: &str, is_good: bool| {
        let found = mistakes(&format!("{base}{line}\n"));
        assert_eq!(found.is_empty(), is_good, "{line}: {found:?}");
    };
    for good in ["1.5ms", "500 us", "20µs", "2m", ".5s"] {
        check(&format!("duration = \"{good}\""), true);
    }
    for bad in ["10", "ten s", "1h", "-1s", "1.2.3s", ""] {
        check(&format!("duration = \"{bad}\""), false);
    }
    check("watchers = \"1.5k\"", true);
    check("watchers = 10_000", true);
    check("watchers = 10_001", false);
    check("watchers = \"many\"", false);
}
