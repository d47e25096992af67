//! Records to break: a small run, and changes to JSON that leave it JSON.

use kvbench::record::Run;
use kvbench::record::bundle::Bundle;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::path::Path;

/// The reference run, cut down to what renders fast: two arms, two pairs, one place.
pub(crate) fn small_run() -> Run {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/reference/put_parallel-2026-11-23");
    let mut run = Bundle::open(&folder).read_run().unwrap();
    let ends = [run.arms[0].name.clone(), run.arms[run.arms.len() - 1].name.clone()];
    run.arms.retain(|arm| ends.contains(&arm.name));
    run.trials.retain(|trial| ends.contains(&trial.arm) && trial.block < 2);
    for trial in &mut run.trials {
        trial.cells.retain(|cell| cell.clients == 50);
    }
    run.blocks.truncate(2);
    run.voided.truncate(1);
    run.both_ways.clear();
    run.targets.truncate(2);
    run
}

/// Every leaf for which `is_one` holds, as JSON pointers.
pub(crate) fn leaves(value: &Value, is_one: fn(&Value) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    collect(value, String::new(), is_one, &mut found);
    found
}

fn collect(value: &Value, at: String, is_one: fn(&Value) -> bool, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(n, item)| collect(item, format!("{at}/{n}"), is_one, found));
        }
        Value::Object(fields) => fields.iter().for_each(|(key, field)| {
            let key = key.replace('~', "~0").replace('/', "~1");
            collect(field, format!("{at}/{key}"), is_one, found);
        }),
        leaf if is_one(leaf) => found.push(at),
        _ => {}
    }
}

/// Changes one place of `value`: a number to another, a field away, an item twice, one value in place of another.
pub(crate) fn change(value: &mut Value, rng: &mut ChaCha8Rng) {
    let mut at = value;
    // Down to some depth, into the larger parts mostly, since there are more of them.
    for _ in 0..rng.random_range(1..9) {
        if !is_inner(at) {
            break;
        }
        at = child(at, rng);
    }
    match (rng.random_range(0..6), at) {
        (0, Value::Array(items)) if !items.is_empty() => {
            drop(items.remove(rng.random_range(0..items.len())))
        }
        (1 | 2, Value::Array(items)) if !items.is_empty() => {
            let item = items[rng.random_range(0..items.len())].clone();
            items.push(item);
        }
        (3, Value::Array(items)) => items.clear(),
        (0 | 1, Value::Object(fields)) if !fields.is_empty() => {
            let place = rng.random_range(0..fields.len());
            if let Some(key) = fields.keys().nth(place).cloned() {
                fields.shift_remove(&key);
            }
        }
        (_, Value::Number(number)) => *number = other_number(rng),
        (0..3, Value::String(text)) => {
            let cut = text
                .char_indices()
                .map(|(at, _)| at)
                .nth(rng.random_range(0..=text.chars().count().min(40)));
            text.truncate(cut.unwrap_or(0));
        }
        (_, at) => *at = another(rng),
    }
}

fn is_inner(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty())
        || value.as_object().is_some_and(|fields| !fields.is_empty())
}

fn child<'v>(value: &'v mut Value, rng: &mut ChaCha8Rng) -> &'v mut Value {
    match value {
        Value::Array(items) => {
            let place = rng.random_range(0..items.len());
            &mut items[place]
        }
        Value::Object(fields) => {
            let place = rng.random_range(0..fields.len());
            fields.values_mut().nth(place).unwrap()
        }
        leaf => leaf,
    }
}

fn other_number(rng: &mut ChaCha8Rng) -> serde_json::Number {
    let whole =
        [0, 1, 2, 3, 1_000, u64::MAX, u64::MAX - 1, 1 << 53, 1 << 62, 1 << 31, u64::from(u32::MAX)];
    let broken =
        [0.0, -0.0, -1.0, 1e-300, 1e300, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 0.5, 1e18, -1e18];
    match rng.random_bool(0.5) {
        true => (*whole.choose(rng).unwrap()).into(),
        false => serde_json::Number::from_f64(*broken.choose(rng).unwrap()).unwrap(),
    }
}

fn another(rng: &mut ChaCha8Rng) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(""),
        json!("\u{1b}[2J\u{202e}<b>"),
        json!([]),
        json!({}),
        json!([0, 0]),
        json!({ "kind": "no-profile", "reason": "x" }),
        json!(-1),
    ];
    values.choose(rng).unwrap().clone()
}
