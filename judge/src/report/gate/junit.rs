//! A gate for CI: a suite for each gated arm, a test case for each metric. A regression is a failure, what is not decided is skipped with
//! what would decide it, and what could not be measured or compared is an error, so that a gate that compared nothing is never green.

use super::{again, change, interval, problems, rows_of};
use crate::gate::{GateRow, GateVerdict};
use crate::record::contrast::Contrast;
use crate::record::gate::{GateRecord, GatedScenario, Inconclusive};
use crate::report::formats::FormatError;
use crate::report::formats::junit::{Answer, Case, Suite, document};

/// The whole document.
pub fn render(record: &GateRecord) -> Result<String, FormatError> {
    let of_contrast = |contrast: &Contrast| of_arm(record, contrast);
    let arms = record.first.contrasts.iter().map(of_contrast);
    let broken = record.scenarios.iter().filter(|scenario| !problems(scenario).is_empty());
    let mut suites: Vec<Suite> = arms.chain(broken.map(of_scenario)).collect();
    if suites.is_empty() {
        suites.push(alone("compared", "nothing compared", "nothing was compared"));
    }
    if !record.complete {
        suites.push(alone("complete", "cut short", "the gate was cut short"));
    }
    document(suites)
}

fn of_arm(record: &GateRecord, contrast: &Contrast) -> Suite {
    let mut suite = Suite::empty(&contrast.base.bundle);
    suite.add_property("base", &record.base);
    suite.add_property("head", &record.head);
    for reason in &contrast.not_comparable {
        suite.add(Case {
            class: "gate",
            name: "comparable".to_owned(),
            answer: Answer::Error("not comparable", reason.clone()),
            evidence: Vec::new(),
        });
    }
    for row in rows_of(record, contrast) {
        suite.add(metric(&row, record.inconclusive));
    }
    suite
}

fn metric(row: &GateRow<'_>, policy: Inconclusive) -> Case {
    let said = format!("{} {}", change(row.first), interval(row.first));
    let answer = match row.verdict {
        GateVerdict::Regressed => Answer::Failed("regression", said.clone()),
        GateVerdict::Improved | GateVerdict::Unchanged | GateVerdict::NotConfirmed => {
            Answer::Passed
        }
        GateVerdict::Undecided if policy == Inconclusive::Fail => {
            Answer::Failed("undecided", format!("{said}: {}", row.first.why))
        }
        GateVerdict::Undecided | GateVerdict::Shown => {
            Answer::Skipped(format!("{said}: {}", row.first.why))
        }
        GateVerdict::Suspected => Answer::Error("not confirmed, not cleared", said.clone()),
        GateVerdict::NoNumber => Answer::Error("invalid", row.first.why.clone()),
    };
    let evidence = std::iter::once(said).chain(again(row)).collect();
    Case { class: "gate", name: row.first.metric.clone(), answer, evidence }
}

/// What kept a scenario from being gated, and what it answered wrongly.
fn of_scenario(scenario: &GatedScenario) -> Suite {
    let mut suite = Suite::empty(&scenario.name);
    for problem in problems(scenario) {
        suite.add(Case {
            class: "gate",
            name: "measured".to_owned(),
            answer: Answer::Error("not measured", problem),
            evidence: Vec::new(),
        });
    }
    suite
}

/// An error of the whole, so that what is missing is not green.
fn alone(name: &str, what: &'static str, message: &str) -> Suite {
    let mut suite = Suite::empty("gate");
    suite.add(Case {
        class: "gate",
        name: name.to_owned(),
        answer: Answer::Error(what, message.to_owned()),
        evidence: Vec::new(),
    });
    suite
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_regression_is_a_failure_and_what_was_not_compared_an_error() {
        let text = render(&sample::gate()).unwrap();
        assert_eq!(text.matches("<failure").count(), 1, "{text}");
        // Without a number, not comparable, refused by base.
        assert_eq!(text.matches("<error").count(), 3, "{text}");
        assert!(text.contains("saturate.throughput@50") && text.contains("regression"), "{text}");
        let empty = render(&GateRecord::default()).unwrap();
        assert!(
            empty.contains("nothing was compared") && empty.contains("errors=\"2\""),
            "{empty}"
        );
    }

    #[test]
    fn text_is_text() {
        let text = render(&sample::hostile()).unwrap();
        assert!(
            !text.contains("<script") && !text.contains('\u{1b}') && !text.contains('\u{202e}')
        );
    }
}
