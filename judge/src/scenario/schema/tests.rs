//! The table against the checker: whatever one knows, the other does.

use super::*;
use crate::scenario::problem::Problems;
use crate::scenario::spec::Scenario;
use crate::scenario::{Options, parse};
use std::collections::BTreeSet;

/// A scenario in which every array has an item to descend into.
const BASE: &str = r#"schema = 1
name = "base"
[arms.before]
apply = "global-mutex"
[arms.after]
[ladder]
steps = [{ apply = "sharded" }]
[[op]]
put = {}
[[phase]]
name = "a"
load = { closed = { clients = [1, 50] } }
[[target]]
id = "t"
metric = "a.throughput@50"
ratio = ">= 1"
[[gate]]
metric = "a.throughput@50"
"#;

/// A key that is close to no other.
const STRANGER: &str = "zzzzzzzzzzzz";

fn with(sets: &[String]) -> Result<Scenario, Problems> {
    parse("base.toml", BASE, &Options { set: sets.to_vec(), ..Options::default() })
}

/// Every table with a path to it, as `--set` takes it.
fn sections() -> Vec<(String, &'static Section)> {
    fn within(path: &str, is: &'static Is, found: &mut Vec<(String, &'static Section)>) {
        match is {
            Is::Table(section) => below(path.to_owned(), section, found),
            Is::Tables { of, .. } => below(format!("{path}.0"), of, found),
            Is::List { of, .. } => within(&format!("{path}.0"), of, found),
            Is::Any(ways) => ways.iter().for_each(|way| within(path, way, found)),
            _ => {}
        }
    }
    fn below(path: String, section: &'static Section, found: &mut Vec<(String, &'static Section)>) {
        for key in section.keys {
            within(&join(&path, key.name), &key.is, found);
        }
        found.push((path, section));
    }
    let mut found = Vec::new();
    below(String::new(), &ROOT, &mut found);
    found
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[test]
fn every_table_has_the_keys_that_the_checker_asks_for() {
    let sections = sections();
    assert!(sections.len() > 30, "{}", sections.len());
    for (path, section) in sections {
        let stranger = join(&path, STRANGER);
        let problems = with(&[format!("{stranger}=1")]).expect_err("a stranger is no key");
        let told = problems.list.iter().find(|problem| problem.message.contains(STRANGER));
        let told = told.unwrap_or_else(|| panic!("nobody looks into `{path}`: {problems}"));
        assert!(told.message.starts_with("unknown key"), "{path}: {}", told.message);
        let hint = told.hint.as_deref().unwrap_or_default();
        let known = hint.strip_prefix("known keys: ").unwrap_or_else(|| panic!("{path}: {hint}"));
        let known: BTreeSet<_> = known.split(", ").collect();
        let listed: BTreeSet<_> = section.keys.iter().map(|key| key.name).collect();
        assert_eq!(listed, known, "left as in the schema, right as the checker asks, in `{path}`");
    }
}

/// The least and the most of a key, each as typed, with what lies beyond.
fn bounds(is: &Is) -> Option<([String; 2], Vec<String>)> {
    let typed = |least: u64, most: u64, unit: &str| {
        let text = |number: u64| format!("{number}{unit}");
        let below = least.checked_sub(1).map(text);
        let beyond = below.into_iter().chain(most.checked_add(1).map(text)).collect();
        Some(([text(least), text(most)], beyond))
    };
    match is {
        Is::Count { least, most } => typed(*least, *most, ""),
        Is::Integer { least, most } => {
            typed(u64::try_from(*least).ok()?, u64::try_from(*most).ok()?, "")
        }
        Is::Time { least, most } => typed(*least, *most, "ns"),
        Is::Size { least, most } => typed(*least, *most, "B"),
        _ => None,
    }
}

#[test]
fn bounds_are_those_of_the_checker() {
    let mut seen = 0;
    for (path, section) in sections() {
        for key in section.keys {
            let Some((within, beyond)) = bounds(&key.is) else { continue };
            seen += 1;
            let path = join(&path, key.name);
            let refused = |value: &str| {
                // Neither of two quantiles, or ends, is read alone.
                let both = [
                    "values.size.lognormal={ median = \"256B\", p99 = \"4KiB\" }",
                    "values.size.uniform={ min = \"0B\", max = \"1MiB\" }",
                ];
                let is_of = |both: &&str| both.split('=').any(|table| path.starts_with(table));
                let first = both.into_iter().find(is_of).map(str::to_owned);
                let sets: Vec<_> = first.into_iter().chain([format!("{path}={value}")]).collect();
                let problems = with(&sets);
                let is_it =
                    |message: &str| message.starts_with(&path) && message.contains("allowed");
                problems.is_err_and(|all| all.list.iter().any(|problem| is_it(&problem.message)))
            };
            for value in &within {
                assert!(!refused(value), "{path} = {value} is within, and the checker refuses it");
            }
            for value in &beyond {
                assert!(refused(value), "{path} = {value} is beyond, and the checker takes it");
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn words_are_those_of_the_checker() {
    for (path, section) in sections() {
        for key in section.keys {
            let path = join(&path, key.name);
            let ways = match &key.is {
                Is::Any(ways) => ways,
                other => std::slice::from_ref(other),
            };
            for way in ways {
                let values: Vec<String> = match way {
                    Is::Words(words) => words.iter().map(|word| (*word).to_owned()).collect(),
                    Is::Numbers(numbers) => numbers.iter().map(u64::to_string).collect(),
                    Is::TimeAfter(words) => {
                        words.iter().map(|word| format!("{word}:1ms")).collect()
                    }
                    _ => continue,
                };
                for value in values {
                    // A word may not fit the rest of the file; it is a word all the same.
                    let found = with(&[format!("{path}={value}")]);
                    let about = |message: &str| message.starts_with(&format!("{path} is "));
                    let complaint = found.err().into_iter().flat_map(|problems| problems.list);
                    let complaint = complaint.map(|problem| problem.message).find(|m| about(m));
                    assert_eq!(complaint, None);
                }
            }
        }
    }
}

/// What a scenario means, without how it was typed.
fn meaning(scenario: Scenario) -> Scenario {
    Scenario { text: String::new(), set: Vec::new(), ..scenario }
}

#[test]
fn defaults_are_what_the_checker_takes_where_nothing_is_typed() {
    // Levers do something on some layers only, and operations stand beside others.
    let worlds: [&[&str]; 7] = [
        &[],
        &["system.layer=rpc"],
        &["system.engine=rocksdb"],
        &["op.0.range={}", "op.0.delete_range={}", "op.0.lease_cycle={}"],
        &["op.0.txn={ kind = \"cas\" }", "op.0.get={}", "op.0.delete={}"],
        &[
            "phase.0.load={ open = { rate = \"1k/s\" } }",
            "target.0.metric=a.p50",
            "gate.0.metric=a.p50",
        ],
        &[
            "phase.0.load={ search = { rates = [\"1k/s\", \"9k/s\"], until = \"p99 <= 5ms\" } }",
            "target.0.metric=a.max_rate",
            "gate.0.metric=a.max_rate",
        ],
    ];
    for (path, section) in sections() {
        for key in section.keys {
            let Some(default) = key.default else { continue };
            let path = join(&path, key.name);
            // These are set in the scenario that the others are compared in.
            if path.starts_with("ladder") || path.starts_with("arms.before.apply") {
                continue;
            }
            let is_same = |world: &&[&str]| {
                let mut sets: Vec<String> = world.iter().map(|set| (*set).to_owned()).collect();
                let plain = with(&sets).expect("it is sound");
                sets.push(format!("{path}={default}"));
                with(&sets).is_ok_and(|typed| meaning(typed) == meaning(plain))
            };
            let found = worlds.iter().any(is_same);
            assert!(found, "{path} = {default} is not what it is where it is left out");
        }
    }
}

#[test]
fn what_must_be_there_is_missed() {
    for (path, section) in sections() {
        for key in section.keys.iter().filter(|key| key.must) {
            // An empty table in its place misses everything that must be in it.
            if path.is_empty() {
                continue;
            }
            let problems = with(&[format!("{path}={{}}")]).expect_err("something is missing");
            let missing = format!("missing key `{}`", key.name);
            let is_missed = problems.list.iter().any(|problem| problem.message.contains(&missing));
            assert!(is_missed, "{path}: {missing}\n{problems}");
        }
    }
    let nothing = parse("x.toml", "", &Options::default()).expect_err("nothing is there");
    for key in ROOT.keys.iter().filter(|key| key.must) {
        let missing = format!("missing key `{}`", key.name);
        assert!(nothing.to_string().contains(&missing), "{missing}");
    }
}

#[test]
fn every_definition_is_named_once_and_told() {
    let mut sections = BTreeMap::new();
    collect(&ROOT, &mut sections);
    let schema = schema();
    assert_eq!(schema["$defs"].as_object().map(Map::len), Some(sections.len() - 1));
    for section in sections.values() {
        assert!(section.says.ends_with('.'), "{}", section.name);
        let names: BTreeSet<_> = section.keys.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), section.keys.len(), "{}", section.name);
        for key in section.keys {
            assert!(key.says.ends_with('.'), "{}.{}", section.name, key.name);
        }
    }
}
