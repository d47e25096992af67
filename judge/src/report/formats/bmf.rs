//! Bencher Metric Format: one JSON object of benchmarks, each with its measures, each with a value and its interval
//! (bencher.dev/docs/reference/bencher-metric-format). Throughput in operations per second and times in ns, as Bencher's own
//! measures are.
//!
//! A benchmark is an arm at a place. The format has no comments: a run with caveats has them in the name, and so a line of its
//! own. What has no number is not there.

use super::{Judged, NAME_MAX, labelled, names};
use crate::compare::{Measured, measured};
use crate::report::words::short;
use serde_json::{Map, Value, json};

/// All runs in one object.
pub fn render(inputs: &[Judged<'_>]) -> String {
    let mut benchmarks = Map::new();
    for (one, name) in inputs.iter().zip(names(inputs)) {
        let name = labelled(&name, one.run);
        for measured in measured(one.run).iter().filter(|measured| measured.is_usual) {
            let Some(metric) = metric(measured) else { continue };
            let measures =
                benchmarks.entry(benchmark(&name, measured)).or_insert_with(|| json!({}));
            measures[slug(measured)] = metric;
        }
    }
    format!("{:#}\n", Value::Object(benchmarks))
}

/// `put_parallel/after/saturate@50`, and `/get` for one kind of operation.
pub(super) fn benchmark(run: &str, measured: &Measured<'_>) -> String {
    let word = |name: &str| short(name, NAME_MAX);
    let op = measured.op.map_or(String::new(), |op| format!("/{}", word(op)));
    format!("{run}/{}/{}{op}", word(measured.arm), word(&measured.place))
}

/// A value with its 95 % interval, if it has one.
fn metric(measured: &Measured<'_>) -> Option<Value> {
    let value = measured.value.as_ref().ok()?;
    Some(match value.interval {
        Some((lower, upper)) => {
            json!({ "value": value.value, "lower_value": lower, "upper_value": upper })
        }
        None => json!({ "value": value.value }),
    })
}

/// Bencher's slugs have hyphens.
fn slug(measured: &Measured<'_>) -> String {
    measured.measure.replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Comparison;
    use crate::record::{Run, Warning};
    use crate::report::formats::tests::in_state;
    use crate::report::sample;

    fn read((run, comparison): &(Run, Comparison)) -> Value {
        let text = render(&[Judged { run, comparison }]);
        let value = serde_json::from_str(&text).unwrap();
        let schema = json!({
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": { "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$" },
                "additionalProperties": {
                    "type": "object",
                    "properties": {
                        "value": { "type": "number" },
                        "lower_value": { "type": "number" },
                        "upper_value": { "type": "number" }
                    },
                    "required": ["value"],
                    "additionalProperties": false
                }
            },
            "propertyNames": { "minLength": 1, "maxLength": 1024 }
        });
        jsonschema::validator_for(&schema).unwrap().validate(&value).unwrap();
        value
    }

    #[test]
    fn a_value_lies_in_its_interval() {
        let all = read(&in_state(sample::sample));
        let throughput = &all["put_parallel/after/saturate@50"]["throughput"];
        let number = |key: &str| throughput[key].as_f64().unwrap();
        assert!(number("lower_value") < number("value") && number("value") < number("upper_value"));
        assert!((number("value") / 81_900.0 - 1.0).abs() < 0.05);
        assert!(all["put_parallel/after/saturate@50"].get("cores-busy").is_none());
    }

    #[test]
    fn hostile_and_empty_runs_are_objects_too() {
        let mut run = in_state(sample::hostile);
        run.0.scenario.name = run.0.scenario.name.repeat(100);
        let hostile = read(&run);
        assert!(hostile.as_object().unwrap().keys().all(|name| name.starts_with("\"><script>")));
        assert_eq!(read(&in_state(sample::empty)), json!({}));
    }

    #[test]
    fn a_short_run_has_no_interval_and_another_name() {
        let all = read(&in_state(sample::short));
        let throughput = &all["put_parallel (quick, unsynced)/after/saturate@50"]["throughput"];
        assert!(throughput["value"].is_number() && throughput.get("lower_value").is_none());
    }

    #[test]
    fn what_is_invalid_is_not_there() {
        let mut run = in_state(sample::sample);
        let (arm, cell) = ("after".to_owned(), "saturate@50".to_owned());
        run.0.warnings.push(Warning::LoadGeneratorBusy { arm, cell, share: 0.9 });
        let all = read(&run);
        assert!(all.get("put_parallel/after/saturate@50").is_none());
        assert!(all.get("put_parallel/before/saturate@50").is_some());
    }
}
