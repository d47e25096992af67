//! JUnit's XML, for CI: a scenario is a suite, every target and every check a test case. A missed target and a failed check are
//! failures, an undecided target is skipped with what would decide it, an invalid load is an error, as is a run that did not
//! end. Noise and the host are properties of the suite.
//!
//! Other judgements join a suite by [`Suite::add`].

use super::{FormatError, Judged, caveats, names, preamble, started};
use crate::compare::{Comparison, TargetVerdict, Verdict, fitness, invalid_target};
use crate::record::{Check, Run};
use crate::report::words::{self, plain};
use crate::report::{story, view};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// All runs, a suite each.
pub fn render(inputs: &[Judged<'_>]) -> Result<String, FormatError> {
    let suites = inputs.iter().zip(names(inputs));
    document(suites.map(|(one, name)| Suite::named(&name, one.run, one.comparison)).collect())
}

/// Suites as one document.
pub fn document(suites: Vec<Suite>) -> Result<String, FormatError> {
    let mut report = Report::new("kvbench");
    let time = suites.iter().filter_map(|suite| suite.inner.time).sum();
    report.set_time(time);
    report.add_test_suites(suites.into_iter().map(|suite| suite.inner));
    Ok(report.to_string()?)
}

/// One run's test cases.
#[derive(Clone, Debug)]
pub struct Suite {
    name: String,
    inner: TestSuite,
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What kind of question: `target`, `check`, …
    pub class: &'static str,
    /// Its name.
    pub name: String,
    /// The answer.
    pub answer: Answer,
    /// What the answer rests on; lines.
    pub evidence: Vec<String>,
}

/// What CI is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Good.
    Passed,
    /// Bad, and proven: what of, and how it shows.
    Failed(&'static str, String),
    /// Nothing was decided, and why.
    Skipped(String),
    /// The question could not be asked: what of, and why.
    Error(&'static str, String),
}

impl Suite {
    /// The targets and checks of a run.
    pub fn of(run: &Run, comparison: &Comparison) -> Suite {
        Suite::named(&run.scenario.name, run, comparison)
    }

    /// One without test cases, for judgements of another kind.
    pub fn empty(name: &str) -> Suite {
        Suite { name: plain(name), inner: TestSuite::new(plain(name)) }
    }

    fn named(name: &str, run: &Run, comparison: &Comparison) -> Suite {
        let mut inner = TestSuite::new(plain(name));
        if let Some(time) = started(run) {
            inner.set_timestamp(time);
        }
        if let Ok(time) = Duration::try_from_secs_f64(run.elapsed_s) {
            inner.set_time(time);
        }
        let mut suite = Suite { name: plain(name), inner };
        for (name, value) in properties(run, comparison) {
            suite.add_property(&name, &value);
        }
        if !run.complete {
            suite.add(incomplete(run));
        }
        comparison.verdicts.iter().for_each(|verdict| suite.add(target(run, verdict)));
        run.checks.iter().for_each(|done| suite.add(check(done)));
        suite
    }

    /// One more test case.
    pub fn add(&mut self, case: Case) {
        let mut test = TestCase::new(plain(&case.name), status(case.answer));
        test.set_classname(format!("{}.{}", self.name, case.class));
        if !case.evidence.is_empty() {
            let lines: Vec<String> = case.evidence.iter().map(|line| plain(line)).collect();
            test.set_system_out(lines.join("\n"));
        }
        self.inner.add_test_case(test);
    }

    /// One more fact about the whole.
    pub fn add_property(&mut self, name: &str, value: &str) {
        self.inner.add_property((plain(name), plain(value)));
    }
}

fn status(answer: Answer) -> TestCaseStatus {
    let bad = |kind, what: &'static str, message: &str| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_type(what).set_message(plain(message));
        status
    };
    match answer {
        Answer::Passed => TestCaseStatus::success(),
        Answer::Failed(what, message) => bad(NonSuccessKind::Failure, what, &message),
        Answer::Error(what, message) => bad(NonSuccessKind::Error, what, &message),
        Answer::Skipped(message) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(plain(&message));
            status
        }
    }
}

fn target(run: &Run, verdict: &TargetVerdict) -> Case {
    let told = match verdict.reason.as_str() {
        "" => story::evidence(verdict),
        reason => format!("{}: {reason}", story::evidence(verdict)),
    };
    let answer = match (invalid_target(run, &verdict.target), verdict.verdict) {
        (Some(why), _) => Answer::Error("invalid", why.to_string()),
        (None, Verdict::Met) => Answer::Passed,
        (None, Verdict::Missed) => Answer::Failed("missed", told.clone()),
        (None, Verdict::Inconclusive) => Answer::Skipped(told.clone()),
    };
    let claim = Some(&verdict.target.claim).filter(|claim| !claim.is_empty());
    let asked = story::asked(&verdict.target);
    let evidence = [Some(asked), claim.map(|claim| format!("claim: {claim}")), Some(told)];
    Case {
        class: "target",
        name: verdict.target.id.clone(),
        answer,
        evidence: evidence.into_iter().chain([story::basis(verdict)]).flatten().collect(),
    }
}

fn check(done: &Check) -> Case {
    let answer = match (done.passed, done.undecided) {
        (true, _) => Answer::Passed,
        (false, true) => Answer::Skipped(done.detail.clone()),
        (false, false) => Answer::Failed("check", done.detail.clone()),
    };
    Case { class: "check", name: done.id.clone(), answer, evidence: vec![done.detail.clone()] }
}

/// A run that did not end must not look green, whatever its targets say.
fn incomplete(run: &Run) -> Case {
    let stamps = story::stamps(run);
    let why = stamps.first().cloned().unwrap_or_default();
    let answer = Answer::Error("incomplete", why);
    Case { class: "run", name: "complete".to_owned(), answer, evidence: stamps }
}

/// What ran where, and how noisy it was.
fn properties(run: &Run, comparison: &Comparison) -> Vec<(String, String)> {
    let (blocks, with_repeats) = view::blocks(run);
    let mut properties: Vec<(String, String)> = [
        ("caveats", caveats(run, ", ", "none")),
        ("kvbench", run.kvbench_version.clone()),
        ("method", run.method.to_string()),
        ("revision", run.build.revision.clone()),
        ("scenario", run.scenario.path.clone()),
        ("seed", run.scenario.seed.to_string()),
        ("workload", run.scenario.workload.clone()),
        ("host", story::host(run)),
        ("build", story::build(run)),
        ("grade", fitness::grade(run).letter.to_string()),
        ("machine_key", run.host.details.machine_key.clone()),
        ("blocks", format!("{blocks}, {with_repeats} of them with an A/A trial")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    properties.extend(noise(comparison));
    let named = |name: &str, text: String, at: usize| (format!("{name}.{}", at + 1), text);
    // The first line says what ran, which stands above.
    let stamps = preamble(run).into_iter().skip(1).enumerate();
    properties.extend(stamps.map(|(at, stamp)| named("stamp", stamp, at)));
    let warnings = run.warnings.iter().map(story::warning).enumerate();
    properties.extend(warnings.map(|(at, warning)| named("warning", warning, at)));
    properties
}

/// How far an arm differs from itself, at every place.
fn noise(comparison: &Comparison) -> impl Iterator<Item = (String, String)> {
    let rows = comparison
        .phases
        .iter()
        .flat_map(|table| table.rows.iter().map(move |row| (table.phase.as_str(), row)));
    rows.map(|(phase, row)| {
        let place = match row.open {
            Some(_) => phase.to_owned(),
            None => format!("{phase}@{}", row.clients),
        };
        (format!("noise.{place}"), words::floor(row))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Warning;
    use crate::report::formats::tests::in_state;
    use crate::report::sample;
    use roxmltree::{Document, Node};

    fn text((run, comparison): &(Run, Comparison)) -> String {
        render(&[Judged { run, comparison }]).unwrap()
    }

    /// What an element may have: attributes that must be there, those that may, and children in this order.
    type Shape = (&'static [&'static str], &'static [&'static str], &'static [&'static str]);

    fn shape(element: &str) -> Shape {
        match element {
            "testsuites" => {
                (&["name", "tests", "failures", "errors", "skipped"], &["time"], &["testsuite"])
            }
            "testsuite" => (
                &["name", "tests", "failures", "errors", "skipped"],
                &["timestamp", "time"],
                &["properties", "testcase"],
            ),
            "properties" => (&[], &[], &["property"]),
            "property" => (&["name", "value"], &[], &[]),
            "testcase" => {
                (&["name", "classname"], &[], &["error", "failure", "skipped", "system-out"])
            }
            "failure" | "error" => (&["message", "type"], &[], &[]),
            "skipped" => (&["message"], &[], &[]),
            "system-out" => (&[], &[], &[]),
            other => panic!("<{other}> is no element of JUnit"),
        }
    }

    /// Checks one element and all within it, as a schema would.
    fn check(node: Node<'_, '_>) {
        let (must, may, children) = shape(node.tag_name().name());
        let has: Vec<&str> = node.attributes().map(|attribute| attribute.name()).collect();
        assert!(must.iter().all(|name| has.contains(name)), "{node:?}");
        assert!(has.iter().all(|name| must.contains(name) || may.contains(name)), "{node:?}");
        let place = |child: &Node<'_, '_>| {
            let name = child.tag_name().name();
            children.iter().position(|known| *known == name).unwrap_or_else(|| panic!("{child:?}"))
        };
        let inside: Vec<_> = node.children().filter(Node::is_element).collect();
        assert!(inside.is_sorted_by_key(place), "{node:?}");
        inside.into_iter().for_each(check);
    }

    fn cases<'d>(document: &'d Document<'_>) -> Vec<Node<'d, 'd>> {
        document.descendants().filter(|node| node.has_tag_name("testcase")).collect()
    }

    /// `passed`, or the element that says otherwise, with its message.
    fn answer(case: &Node<'_, '_>) -> (String, String) {
        let told =
            case.children().find(|node| node.is_element() && !node.has_tag_name("system-out"));
        told.map_or(("passed".to_owned(), String::new()), |node| {
            let message = node.attribute("message").unwrap_or_default();
            (node.tag_name().name().to_owned(), message.to_owned())
        })
    }

    fn checked(text: &str) -> Document<'_> {
        let document = Document::parse(text).unwrap();
        check(document.root_element());
        for suite in document.descendants().filter(|node| node.has_tag_name("testsuite")) {
            let inside: Vec<_> = suite.children().filter(|n| n.has_tag_name("testcase")).collect();
            let count = |wanted: &str| {
                inside.iter().filter(|case| answer(case).0 == wanted).count().to_string()
            };
            assert_eq!(suite.attribute("tests"), Some(inside.len().to_string().as_str()));
            for (attribute, kind) in
                [("failures", "failure"), ("errors", "error"), ("skipped", "skipped")]
            {
                assert_eq!(suite.attribute(attribute), Some(count(kind).as_str()), "{attribute}");
            }
        }
        document
    }

    #[test]
    fn a_good_run_is_green_and_says_where_it_ran() {
        let text = text(&in_state(sample::sample));
        let document = checked(&text);
        let cases = cases(&document);
        let names: Vec<_> = cases.iter().map(|case| case.attribute("name").unwrap()).collect();
        assert_eq!(names, ["10x", "latency-10x", "same-state", "acked-writes-survive"]);
        assert!(cases.iter().all(|case| answer(case).0 == "passed"));
        assert_eq!(cases[0].attribute("classname"), Some("put_parallel.target"));
        let suite = cases[0].parent().unwrap();
        assert_eq!(suite.attribute("timestamp"), Some("2026-11-03T14:12:00.000+00:00"));
        assert_eq!(suite.attribute("time"), Some("130.400"));
        let property = |wanted: &str| {
            let property =
                document.descendants().find(|node| node.attribute("name") == Some(wanted));
            property.unwrap().attribute("value").unwrap().to_owned()
        };
        assert_eq!(property("caveats"), "none");
        assert_eq!(property("noise.saturate@50"), "± 2.1 %");
        assert!(property("host").contains("AMD EPYC"));
    }

    #[test]
    fn every_answer_has_its_element() {
        let mut run = in_state(sample::sample);
        (run.1.verdicts[0].verdict, run.0.checks[0].passed) = (Verdict::Missed, false);
        (run.1.verdicts[1].verdict, run.1.verdicts[1].reason) =
            (Verdict::Inconclusive, "about 3 more pairs would decide it".into());
        let text = text(&run);
        let document = checked(&text);
        let answers: Vec<_> = cases(&document).iter().map(answer).collect();
        let kinds: Vec<&str> = answers.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["failure", "skipped", "failure", "passed"]);
        assert!(answers[0].1.starts_with("18.3×, at most "), "{answers:?}");
        assert!(answers[1].1.ends_with(": about 3 more pairs would decide it"), "{answers:?}");
    }

    #[test]
    fn an_invalid_load_and_a_run_cut_short_are_errors() {
        let mut run = in_state(sample::sample);
        let (arm, cell) = ("before".to_owned(), "saturate@50".to_owned());
        run.0.warnings.push(Warning::LoadGeneratorBusy { arm, cell, share: 0.9 });
        run.0.complete = false;
        let text = text(&run);
        let document = checked(&text);
        let errors: Vec<_> = cases(&document)
            .iter()
            .filter(|case| answer(case).0 == "error")
            .map(|case| (case.attribute("name").unwrap().to_owned(), answer(case).1))
            .collect();
        let why = "its generator was the bottleneck".to_owned();
        assert_eq!(errors[1..], [("10x".to_owned(), why.clone()), ("latency-10x".to_owned(), why)]);
        assert!(errors[0].0 == "complete" && errors[0].1.starts_with("INCOMPLETE"), "{errors:?}");
    }

    #[test]
    fn a_hostile_run_is_a_document_too() {
        let text = text(&in_state(sample::hostile));
        let document = checked(&text);
        let suite = document.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
        assert!(suite.attribute("name").unwrap().contains("\"><script>alert(1)</script>]]>"));
        assert_eq!(suite.attribute("timestamp"), None);
        checked(&super::tests::text(&in_state(sample::empty)));
    }

    #[test]
    fn other_judgements_join() {
        let (run, comparison) = sample::sample();
        let mut suite = Suite::of(&run, &comparison);
        suite.add(Case {
            class: "gate",
            name: "saturate.p99@50".into(),
            answer: Answer::Failed("worse", "+22 % \u{1b}[31m".into()),
            evidence: Vec::new(),
        });
        suite.add_property("base", "main");
        let text = document(vec![suite]).unwrap();
        let document = checked(&text);
        let last = *cases(&document).last().unwrap();
        assert_eq!(last.attribute("classname"), Some("put_parallel.gate"));
        assert_eq!(answer(&last), ("failure".to_owned(), "+22 % [31m".to_owned()));
    }

    #[test]
    fn several_runs_are_several_suites() {
        let (run, comparison) = sample::sample();
        let one = Judged { run: &run, comparison: &comparison };
        let text = render(&[one, one]).unwrap();
        let document = checked(&text);
        assert_eq!(document.root_element().attribute("tests"), Some("8"));
        let suites = document.descendants().filter(|node| node.has_tag_name("testsuite"));
        assert_eq!(suites.count(), 2);
    }
}
