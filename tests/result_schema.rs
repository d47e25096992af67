//! The published schema of `result.json`: it knows every field that the code knows and no other, real records of this version
//! and of older ones are good by it, and the copy in `docs` is the one that `kvbench schema --result` prints.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use kvbench::record::bundle::Bundle;
use kvbench::record::{Run, SCHEMA, schema};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Written by version 0.1.0, before hosts were described in detail and before blocks were judged.
const REFERENCE: &str = "reports/reference/put_parallel-2026-11-23";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn published() -> Value {
    serde_json::from_str(&schema::json()).unwrap()
}

fn reference() -> Value {
    serde_json::from_slice(&fs::read(root().join(REFERENCE).join("result.json")).unwrap()).unwrap()
}

/// The schema with no room for fields that it does not name.
fn closed(mut part: Value) -> Value {
    close(&mut part);
    part
}

fn close(part: &mut Value) {
    match part {
        Value::Object(entries) => {
            entries.values_mut().for_each(close);
            // What is called "properties" may be a map of names; only one beside a type is the keyword.
            if entries.get("type") == Some(&json!("object")) && entries.contains_key("properties") {
                entries.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Every value that takes another way through `part`: all properties are there, and each alternative is taken once.
fn examples(schema: &Value, part: &Value) -> Vec<Value> {
    if let Some(pointer) = part.get("$ref") {
        let pointer = pointer.as_str().unwrap().strip_prefix('#').unwrap();
        return examples(schema, schema.pointer(pointer).unwrap());
    }
    if let Some(only) = part.get("const") {
        return vec![only.clone()];
    }
    if let Some(words) = part.get("enum") {
        return words.as_array().unwrap().clone();
    }
    if let Some(ways) = part.get("oneOf").or(part.get("anyOf")) {
        let ways = ways.as_array().unwrap();
        let some = ways.iter().filter(|way| way.get("type") != Some(&json!("null")));
        return some.flat_map(|way| examples(schema, way)).collect();
    }
    let kind = match &part["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| **kind != "null").unwrap(),
        kind => kind,
    };
    match kind.as_str().unwrap() {
        "object" => objects(schema, part),
        "array" => vec![Value::Array(examples(schema, &part["items"]))],
        "string" => vec![json!("text")],
        "integer" => vec![json!(7)],
        "number" => vec![json!(1.5)],
        "boolean" => vec![json!(true)],
        other => panic!("no type {other}"),
    }
}

/// As many as the property with the most alternatives has.
fn objects(schema: &Value, part: &Value) -> Vec<Value> {
    let Some(properties) = part.get("properties") else {
        let values = examples(schema, &part["additionalProperties"]);
        return values.into_iter().map(|value| json!({ "name": value })).collect();
    };
    let properties = properties.as_object().unwrap();
    let ways: Vec<_> =
        properties.iter().map(|(name, of)| (name.clone(), examples(schema, of))).collect();
    let most = ways.iter().map(|(_, ways)| ways.len()).max().unwrap_or(0);
    let pick =
        |at: usize| ways.iter().map(move |(name, of)| (name.clone(), of[at % of.len()].clone()));
    (0..most).map(|at| Value::Object(pick(at).collect::<Map<_, _>>())).collect()
}

/// A field that the code does not know is not read; one that the schema does not know is written and was not there.
#[test]
fn code_and_schema_know_the_same_fields() {
    let schema = published();
    let all = examples(&schema, &schema);
    assert!(all[0]["trials"][0]["cells"][0]["open"]["lag"]["p99_ns"].is_number());
    assert!(all[0]["warnings"].as_array().unwrap().len() > 15);
    for example in all {
        let run: Run = serde_json::from_value(example.clone()).unwrap();
        let written: Value = serde_json::from_slice(&run.to_json().unwrap()).unwrap();
        assert_eq!(written, example);
        let validator = jsonschema::validator_for(&closed(schema.clone())).unwrap();
        validator.validate(&written).unwrap();
    }
}

#[test]
fn real_records_are_good_by_it_and_broken_ones_are_not() {
    let validator = jsonschema::validator_for(&published()).unwrap();
    let strict = jsonschema::validator_for(&closed(published())).unwrap();
    let record = reference();
    strict.validate(&record).unwrap();
    let broken = |pointer: &str, value: Value| {
        let mut record = record.clone();
        *record.pointer_mut(pointer).unwrap() = value;
        !validator.is_valid(&record)
    };
    assert!(broken("/schema", json!(SCHEMA + 1)));
    assert!(broken("/trials/0/block", json!(-1)));
    assert!(broken("/trials/0/cells/0/service", json!({})));
    assert!(broken("/host/cores", json!("2")));
    let mut newer = record.clone();
    newer["host"]["temperature"] = json!(40);
    assert!(validator.is_valid(&newer) && !strict.is_valid(&newer), "open for what is added");
    let mut cut = record.clone();
    cut.as_object_mut().unwrap().remove("plan");
    assert!(!validator.is_valid(&cut));
}

#[test]
fn a_record_of_an_older_version_is_read() {
    let run = Bundle::open(&root().join(REFERENCE)).read_run().unwrap();
    assert_eq!((run.schema, run.arms.len(), run.trials.len()), (1, 5, 48));
    assert_eq!(run.host.details.machine_key, "not visible");
    assert!(run.blocks.is_empty() && run.plan.on_disturbed.is_empty());
}

#[test]
fn a_record_of_another_layout_is_refused_and_says_whose_it_is() {
    let refusal = |schema: Value| {
        let folder = tempfile::tempdir().unwrap();
        let mut record = reference();
        record["schema"] = schema;
        fs::write(folder.path().join("result.json"), record.to_string()).unwrap();
        Bundle::open(folder.path()).read_run().unwrap_err().to_string()
    };
    let newer = refusal(json!(SCHEMA + 1));
    assert!(
        newer.contains("has schema 2, this version reads 1: a newer kvbench wrote it"),
        "{newer}"
    );
    assert!(refusal(json!(0)).contains("no kvbench wrote it"));
    assert!(refusal(json!("1")).contains("is not a run file"));
    assert!(refusal(json!(null)).contains("is not a run file"));
}

/// KVBENCH_UPDATE_GOLDEN=1 writes it anew, so that a change of the layout is seen in review.
#[test]
fn the_copy_in_docs_is_what_is_printed() {
    let path: PathBuf = root().join("docs/result.schema.json");
    if std::env::var_os("KVBENCH_UPDATE_GOLDEN").is_some() {
        fs::write(&path, schema::json()).unwrap();
    }
    let copy = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(copy, schema::json(), "KVBENCH_UPDATE_GOLDEN=1 rewrites it");
}
