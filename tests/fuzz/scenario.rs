//! Scenario files, and what `--set` lays over them.

use crate::driver::{Answer, Plan as Trial, fuzz};
use kvbench::scenario::plan::Plan;
use kvbench::scenario::{Options, parse};
use std::fs;
use std::path::Path;

/// A scenario is planned; what is none is told, each mistake with a place and without anything that steers a terminal.
fn check(input: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(input);
    // What stands behind a form feed, which no scenario has, is laid over it.
    let (text, set) = text.split_once('\u{c}').unwrap_or((&text, ""));
    let set: Vec<String> = set.lines().map(str::to_owned).collect();
    let quick = text.len() % 3 == 0;
    let (wide, options) = (text.len() < 100, Options { set, quick, connections_max: None });
    match parse("x.toml", text, &options) {
        Ok(scenario) => {
            let plan = Plan::of(&scenario);
            assert!(!plan.blocks.is_empty());
            let kinds = (scenario.arms.len(), scenario.phases.len(), scenario.targets.len());
            format!("{kinds:?}").into()
        }
        Err(problems) => {
            let shown = problems.to_string();
            assert!(problems.total > 0 && problems.list.len() <= problems.total);
            let steers =
                |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
            assert!(!shown.contains(steers), "{shown:?}");
            assert!(
                wide || shown.len() < 2_000 * problems.list.len() + 400,
                "{} bytes",
                shown.len()
            );
            let first = problems.list.first().map(|problem| problem.message.clone());
            let words: String = first
                .unwrap_or_default()
                .chars()
                .filter(|c| c.is_ascii_lowercase() || *c == ' ')
                .collect();
            words.chars().take(40).collect::<String>().into()
        }
    }
}

fn samples() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut samples = Vec::new();
    for folder in [".", "claims", "curated", "gate"] {
        let entries = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
        let files = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "toml"));
        samples.extend(files.map(|path| fs::read(path).unwrap()));
    }
    samples.sort();
    let set =
        "\u{c}trials.pairs.min=4\nphase.0.duration=1s\nsystem.layer=store\nkeys.dist=zipf:0.99";
    let with_set = samples[0].iter().chain(set.as_bytes()).copied().collect();
    samples.push(with_set);
    samples
}

#[test]
fn scenarios() {
    let words: &[&[u8]] = &[
        b"[",
        b"]",
        b"{",
        b"}",
        b"=",
        b"\"",
        b"'''",
        b"\n",
        b"[[phase]]",
        b"[[target]]",
        b"[arms.before]",
        b"nan",
        b"inf",
        b"-inf",
        b"1e999",
        b"0x7fffffffffffffff",
        b"9223372036854775807",
        b"99999999999999999999",
        b"\"5ms\"",
        b"\"zipf:0.99\"",
        b"true",
        b"1979-05-27",
        b"steps",
        b"weight",
        b"load = { open = { rate = \"1/s\" } }",
        "\u{feff}".as_bytes(),
        "\u{202e}".as_bytes(),
        b"\x1b",
        b"\0",
        b"a.b.c",
        b"\x0cseed=",
        b"ratio = \">= 2\"",
        b"value = \">= 1/s\"",
        b"# ",
        b"\\u0000",
        b"\\U0010ffff",
    ];
    let plan =
        Trial { name: "scenario", execs: 1_500, samples: samples(), words, counts_bytes: true };
    fuzz(plan, check);
}
