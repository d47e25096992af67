//! The lines that GitHub Actions turns into annotations (workflow commands): an error for each regression and each wrong answer, a
//! warning for whatever is not decided.

use super::{change, interval, problems, word};
use crate::gate::{self, GateRow, GateVerdict};
use crate::record::gate::GateRecord;
use crate::report::words::plain;

/// One line for each annotation, with a line end.
pub fn annotations(record: &GateRecord) -> String {
    let mut out = String::new();
    for row in gate::rows(record) {
        let command = match row.verdict {
            GateVerdict::Regressed => "error",
            GateVerdict::NotConfirmed
            | GateVerdict::Suspected
            | GateVerdict::Undecided
            | GateVerdict::NoNumber => "warning",
            GateVerdict::Improved => "notice",
            GateVerdict::Unchanged | GateVerdict::Shown => continue,
        };
        let title = format!("{} {}", row.contrast.base.bundle, row.first.metric);
        out.push_str(&annotation(command, &title, &said(&row)));
    }
    for scenario in &record.scenarios {
        for problem in problems(scenario) {
            let command = if scenario.wrong.is_empty() { "warning" } else { "error" };
            out.push_str(&annotation(command, &scenario.name, &problem));
        }
    }
    for contrast in &record.first.contrasts {
        for reason in &contrast.not_comparable {
            let text = format!("not comparable: {reason}");
            out.push_str(&annotation("warning", &contrast.base.bundle, &text));
        }
    }
    out
}

fn said(row: &GateRow<'_>) -> String {
    match row.verdict {
        GateVerdict::NoNumber => format!("{}: {}", word(row.verdict), row.first.why),
        _ => format!("{}: {} {}", word(row.verdict), change(row.first), interval(row.first)),
    }
}

/// `::error title=…::…`. Percent signs and line ends are data here, colons and commas end a property.
fn annotation(command: &str, title: &str, text: &str) -> String {
    let data = |text: &str| plain(text).replace('%', "%25").replace(['\r', '\n'], " ");
    let title = data(title).replace(':', "%3A").replace(',', "%2C");
    format!("::{command} title={title}::{}\n", data(text))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn regressions_are_errors_and_doubts_are_warnings() {
        let text = annotations(&sample::gate());
        let lines: Vec<&str> = text.lines().collect();
        let starts = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
        assert_eq!((starts("::error "), starts("::notice ")), (1, 1), "{text}");
        assert!(starts("::warning ") >= 3, "{text}");
        assert!(lines[0].contains("saturate.throughput@50::worse"), "{text}");
        assert!(lines[0].contains("%25"), "a percent sign is escaped: {text}");
        assert!(text.contains("not comparable%25").then_some(()).is_none());
    }

    #[test]
    fn text_cannot_begin_a_command_of_its_own() {
        let text = annotations(&sample::hostile());
        assert!(!text.is_empty());
        for line in text.lines() {
            assert!(
                ["::error ", "::warning ", "::notice "].iter().any(|c| line.starts_with(c)),
                "{line}"
            );
            let title = line.split_once("title=").unwrap().1.split_once("::").unwrap().0;
            assert!(!title.contains([':', ',']), "{line}");
        }
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    }
}
