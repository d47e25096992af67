//! Names that others chose, in every form of a report: none opens a tag, ends a line or a cell, or steers a terminal.

use crate::driver::{Answer, Plan, fuzz};
use crate::json::{leaves, small_run};
use crate::tags::skeleton;
use kvbench::compare::{self, Comparison};
use kvbench::record::Run;
use kvbench::report::formats::github::Better;
use kvbench::report::formats::{Format, Judged};
use kvbench::report::terminal::Style;
use kvbench::report::{html, markdown, terminal};
use kvbench::seed::Seed;
use rand::Rng;
use serde_json::Value;
use std::collections::BTreeSet;

const STYLE: Style = Style { color: false, width: 100 };
const FORMS: u8 = 9;

/// What every form of the run is made of while nobody means harm.
struct Plain {
    value: Value,
    /// Where text may be anything.
    names: Vec<String>,
    page: BTreeSet<String>,
    markdown: BTreeSet<String>,
}

impl Plain {
    fn new() -> Plain {
        let value = serde_json::to_value(small_run()).unwrap();
        let names =
            leaves(&value, Value::is_string).into_iter().filter(|at| is_free(&value, at)).collect();
        let mut plain = Plain { value, names, page: BTreeSet::new(), markdown: BTreeSet::new() };
        // Parts that appear only with some text, such as an analysis, are there with any.
        for seed in 0..64 {
            let run = plain.with("harmless", seed);
            let comparison = compare::compare(&run);
            plain.page.extend(skeleton(&html::render(&run, &comparison, &[])));
            plain.markdown.extend(skeleton(&markdown::render(&run, &comparison)));
        }
        assert!(plain.names.len() > 30, "{:?}", plain.names);
        plain
    }

    /// The run with `name` in some of these places.
    fn with(&self, name: &str, seed: u64) -> Run {
        let mut rng = Seed(seed).stream("names", 0);
        let mut value = self.value.clone();
        let share = [0.02, 0.2, 0.7][rng.random_range(0..3)];
        for at in &self.names {
            if rng.random_bool(share) {
                *value.pointer_mut(at).unwrap() = Value::String(name.to_owned());
            }
        }
        serde_json::from_value(value).unwrap()
    }
}

/// Whether any text may stand there: not a word of a few.
fn is_free(value: &Value, at: &str) -> bool {
    let mut changed = value.clone();
    *changed.pointer_mut(at).unwrap() = Value::String("harmless".to_owned());
    serde_json::from_value::<Run>(changed).is_ok() && !at.ends_with("histogram")
}

/// Controls, and what turns text around.
fn steers(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

fn assert_quiet(text: &str) {
    let at = text.find(steers);
    assert_eq!(at.map(|at| text[at..].chars().take(40).collect::<String>()), None);
}

fn assert_within(found: &BTreeSet<String>, known: &BTreeSet<String>) {
    let new: Vec<_> = found.difference(known).collect();
    assert!(new.is_empty(), "{new:?}");
}

fn check(plain: &Plain, run: &Run, form: u8) -> Answer {
    let comparison = compare::compare(run);
    match form % FORMS {
        0 | 1 => {
            let page = html::render(run, &comparison, &[]);
            assert_quiet(&page.replace('\t', " "));
            assert_within(&skeleton(&page), &plain.page);
            format!("page {}", skeleton(&page).len()).into()
        }
        2 => {
            let text = markdown::render(run, &comparison);
            assert_quiet(&text.replace('\t', " "));
            assert_within(&skeleton(&text), &plain.markdown);
            assert!(
                !text.replace("\\]", "").contains("](javascript:"),
                "a link that is not escaped"
            );
            format!("markdown {}", text.lines().count() / 8).into()
        }
        3 => {
            let text = terminal::render(run, &comparison, STYLE);
            assert_quiet(&text);
            format!("terminal {}", text.lines().count() / 8).into()
        }
        form => other(run, &comparison, form),
    }
}

/// Forms for other programs: read back.
fn other(run: &Run, comparison: &Comparison, form: u8) -> Answer {
    let judged = [Judged { run, comparison }];
    let text = |format: Format| format.render(&judged).unwrap();
    match form {
        4 => {
            let text = text(Format::Csv);
            let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
            let width = reader.headers().unwrap().len();
            let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            for cell in rows.iter().flat_map(|row| row.iter()) {
                let is_formula = cell.starts_with(['=', '+', '@', '\t', '\r'])
                    || (cell.starts_with('-') && cell.parse::<f64>().is_err());
                assert!(!is_formula, "{cell:?}");
                assert_quiet(cell);
            }
            assert!(rows.iter().all(|row| row.len() == width));
            format!("csv {}", rows.len()).into()
        }
        5 => {
            let text = text(Format::Junit);
            let document = roxmltree::Document::parse(&text).unwrap();
            let known = [
                "testsuites",
                "testsuite",
                "testcase",
                "failure",
                "skipped",
                "error",
                "properties",
                "property",
                "system-out",
                "system-err",
            ];
            for node in document.descendants().filter(roxmltree::Node::is_element) {
                assert!(known.contains(&node.tag_name().name()), "{node:?}");
                node.attributes().for_each(|attribute| assert_quiet(attribute.value()));
            }
            "junit".into()
        }
        6 => {
            let text = text(Format::OpenMetrics);
            assert_quiet(&text);
            assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() >= 1);
            for line in text.lines() {
                let is_comment = line.starts_with("# ");
                let name = line.split(['{', ' ']).next().unwrap_or_default();
                let is_name = !name.is_empty()
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
                assert!(is_comment || is_name, "{line:?}");
            }
            format!("openmetrics {}", text.lines().count() / 16).into()
        }
        7 => {
            let text = text(Format::Benchfmt);
            assert_quiet(&text.replace('\t', " "));
            for line in text.lines().filter(|line| !line.is_empty()) {
                let is_known = line.starts_with("Benchmark")
                    || line.starts_with("# ")
                    || line.starts_with("Unit ")
                    || line.split_once(": ").is_some_and(|(key, _)| !key.contains(' '))
                    || line.ends_with(':');
                assert!(is_known, "{line:?}");
            }
            format!("benchfmt {}", text.lines().count() / 16).into()
        }
        _ => {
            let bmf: Value = serde_json::from_str(&text(Format::Bmf)).unwrap();
            let github: Value =
                serde_json::from_str(&text(Format::Github(Better::Smaller))).unwrap();
            assert!(bmf.is_object() && github.is_array());
            format!("json {}", github.as_array().map_or(0, Vec::len) / 4).into()
        }
    }
}

#[test]
fn names_in_every_form() {
    let plain = Plain::new();
    let check = |input: &[u8]| -> Answer {
        // Which form, where the name stands, the name.
        let (head, name) = input.split_at(input.len().min(3));
        let seed = head.iter().skip(1).fold(0, |seed, byte| seed << 8 | u64::from(*byte));
        let run = plain.with(&String::from_utf8_lossy(name), seed);
        check(&plain, &run, head.first().copied().unwrap_or(0))
    };
    let names = [
        "\"><script>alert(1)</script>",
        "]]>",
        "${jndi:ldap://x}",
        "\u{1b}]0;x\u{7}",
        "a\u{202e}b",
        "=1+1",
        "@SUM(A1)",
        "-2+3|cmd",
        "a,b\"c\nd",
        "[x](javascript:alert(1))",
        "| a | b |",
        "`code`",
        "</style><b>",
        "<!--",
        "&lt;b&gt;&#60;",
        "a\\\"b",
        "# EOF\nx 1",
        "x{y=\"z\"} 1",
        "Benchmark\n1 2 ns/op",
        "' onload='x",
        "javascript:alert(1)",
        "..",
        "../../etc/passwd",
        "\u{9b}31m",
        "\u{feff}",
        "",
        "e\u{301}",
        "𝕏",
        "a\tb\r\nc",
        "<svg onload=x>",
    ];
    let samples = (0..FORMS).flat_map(|form| {
        names
            .iter()
            .enumerate()
            .map(move |(n, name)| [&[form, n as u8, form], name.as_bytes()].concat())
    });
    let words: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    let samples = samples.collect();
    fuzz(Plan { name: "names", execs: 600, samples, words: &words, counts_bytes: false }, check);
}
