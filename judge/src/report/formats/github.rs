//! Arrays for github-action-benchmark (`customBiggerIsBetter`, `customSmallerIsBetter`): the action takes one file for each
//! direction, so there are two lists. What is better in neither is in none.
//!
//! The action draws one line per name and alerts by ratio of the last two points, without an interval. So caveats are in the
//! name, and the interval is in `range`, for the eye.

use super::bmf::benchmark;
use super::{Judged, labelled, names};
use crate::compare::{ArmValue, Measured, measured};
use crate::record::Run;
use crate::report::words::plain;
use crate::units::Unit;
use serde_json::{Value, json};

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Rates.
    Bigger,
    /// Times and costs.
    Smaller,
}

/// What of all runs is better in that direction.
pub fn render(inputs: &[Judged<'_>], better: Better) -> String {
    let mut entries = Vec::new();
    for (one, name) in inputs.iter().zip(names(inputs)) {
        let name = labelled(&name, one.run);
        let wanted = Some(better == Better::Bigger);
        let measured = measured(one.run);
        let wanted = measured
            .iter()
            .filter(|measured| measured.is_usual && measured.higher_is_better == wanted);
        entries.extend(wanted.filter_map(|measured| entry(one.run, &name, measured)));
    }
    format!("{:#}\n", Value::Array(entries))
}

fn entry(run: &Run, name: &str, measured: &Measured<'_>) -> Option<Value> {
    let value = measured.value.as_ref().ok()?;
    let mut entry = json!({
        "name": format!("{} {}", benchmark(name, measured), measured.measure),
        "unit": unit(measured),
        "value": value.value,
    });
    if let Some((lower, upper)) = value.interval {
        entry["range"] = json!(format!("{lower} .. {upper}"));
    }
    entry["extra"] = json!(extra(run, value));
    Some(entry)
}

/// What the action shows when a point is pointed at.
fn extra(run: &Run, value: &ArmValue) -> String {
    let caveats = super::caveats(run, ", ", "none");
    plain(&format!(
        "{} trials; revision {}; caveats: {caveats}; machine {}",
        value.trials, run.build.revision, run.host.details.machine_key
    ))
}

fn unit(measured: &Measured<'_>) -> &'static str {
    match measured.unit {
        Unit::PerSecond if measured.measure == "watch_events" => "events/s",
        Unit::PerSecond => "ops/s",
        Unit::Time => "ns",
        Unit::Share => "fraction",
        Unit::Bytes => "bytes",
        Unit::Count => "count",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Comparison;
    use crate::record::Warning;
    use crate::report::formats::tests::in_state;
    use crate::report::sample;

    fn read((run, comparison): &(Run, Comparison), better: Better) -> Vec<Value> {
        let text = render(&[Judged { run, comparison }], better);
        let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
        for entry in &entries {
            assert!(entry["name"].is_string() && entry["unit"].is_string(), "{entry}");
            assert!(entry["value"].is_number() && entry["extra"].is_string(), "{entry}");
        }
        entries
    }

    /// The measures, each once.
    fn measures(entries: &[Value]) -> Vec<&str> {
        let mut measures: Vec<&str> = Vec::new();
        for entry in entries {
            let measure = entry["name"].as_str().unwrap().rsplit(' ').next().unwrap();
            if !measures.contains(&measure) {
                measures.push(measure);
            }
        }
        measures
    }

    #[test]
    fn each_direction_has_its_list() {
        let run = in_state(sample::sample);
        let (bigger, smaller) = (read(&run, Better::Bigger), read(&run, Better::Smaller));
        assert_eq!(measures(&bigger), ["throughput"]);
        assert_eq!(measures(&smaller), ["p50", "p99"]);
        assert_eq!(bigger.len(), 16);
        let entry = bigger
            .iter()
            .find(|entry| entry["name"] == "put_parallel/after/saturate@50 throughput")
            .unwrap();
        assert_eq!(entry["unit"], "ops/s");
        assert!(entry["range"].as_str().unwrap().contains(" .. "));
    }

    #[test]
    fn what_is_invalid_is_in_neither() {
        let mut run = in_state(sample::sample);
        let (arm, cell) = ("after".to_owned(), "saturate@50".to_owned());
        run.0.warnings.push(Warning::LoadGeneratorBusy { arm, cell, share: 0.9 });
        for better in [Better::Bigger, Better::Smaller] {
            let names: Vec<Value> =
                read(&run, better).iter().map(|entry| entry["name"].clone()).collect();
            let of = |arm: &str| {
                let place = format!("put_parallel/{arm}/saturate@50 ");
                names.iter().filter(|name| name.as_str().unwrap().starts_with(&place)).count()
            };
            assert_eq!((of("after"), of("before") > 0), (0, true));
        }
    }

    #[test]
    fn nothing_measured_is_an_empty_list() {
        assert_eq!(read(&in_state(sample::empty), Better::Bigger), Vec::<Value>::new());
    }
}
