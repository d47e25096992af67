//! What clients of open loads waited for, and the rates that searches found, as rows of text that are the same in every
//! form: one for each arm of each phase, and one for what after is to before.

use super::view;
use super::words::{self, NOTHING, percent, significant};
use crate::compare::{Comparison, Estimate, FoundRate, OpenArm, OpenRow, SearchRow};
use crate::record::Run;

/// What the columns are called, with the glossary's word for each.
pub(super) const COLUMNS: [(&str, &str); 8] = [
    ("phase", "open loop"),
    ("arm", "arm"),
    ("offered/s", "offered"),
    ("kept up", "unsustainable"),
    ("p50, ms", "p50"),
    ("p99, ms", "p99"),
    ("p99.9, ms", "p99.9"),
    ("sent late, ms", "send lag"),
];

/// The columns of what searches found.
pub(super) const FOUND_COLUMNS: [(&str, &str); 6] = [
    ("phase", "search"),
    ("condition", "search"),
    ("arm", "arm"),
    ("highest rate, ops/s", "search"),
    ("ratio", "ratio"),
    ("95 % CI", "interval"),
];

/// The rows of all open loads, in the order of phases and arms.
pub(super) fn rows(run: &Run, cmp: &Comparison) -> Vec<[String; 8]> {
    // A search ends at another rate for each arm, so its latencies cannot be compared.
    let rows = open_rows(cmp).filter(|(_, open)| open.search.is_none());
    rows.flat_map(|(phase, open)| of_phase(run, phase, open)).collect()
}

/// The rows of all searches.
pub(super) fn found(run: &Run, cmp: &Comparison) -> Vec<[String; 6]> {
    let searches = open_rows(cmp).filter_map(|(phase, open)| Some((phase, open.search.as_ref()?)));
    let rows = searches.flat_map(|(phase, search)| {
        search.arms.iter().map(move |found| found_cells(run, phase, search, found))
    });
    rows.collect()
}

fn open_rows(cmp: &Comparison) -> impl Iterator<Item = (&str, &OpenRow)> {
    let rows = cmp.phases.iter().flat_map(|table| table.rows.iter().map(move |row| (table, row)));
    rows.filter_map(|(table, row)| Some((table.phase.as_str(), row.open.as_ref()?)))
}

fn of_phase(run: &Run, phase: &str, open: &OpenRow) -> Vec<[String; 8]> {
    let mut rows: Vec<_> = open.arms.iter().map(|arm| cells(run, phase, open, arm)).collect();
    if let [before, .., after] = open.arms.as_slice() {
        let row = |name: String, text: fn(&Estimate) -> String| {
            let of = |at: usize| open.ratios[at].as_ref().map_or(NOTHING.to_owned(), text);
            let mut row = <[String; 8]>::default();
            (row[1], row[4], row[5], row[6]) = (name, of(0), of(2), of(3));
            row
        };
        rows.push(row(format!("{} / {}", after.arm, before.arm), words::estimate_ratio));
        rows.push(row("95 % CI".to_owned(), words::interval));
    }
    rows
}

fn cells(run: &Run, phase: &str, open: &OpenRow, arm: &OpenArm) -> [String; 8] {
    let is_sustained = arm.sustained == arm.trials;
    let latency = |at: usize| match arm.latency_ns[at] {
        Some(ns) => significant(ns / 1e6),
        None if arm.invalid.is_some() => words::INVALID.to_owned(),
        None if is_sustained => "withheld".to_owned(),
        None if at == 0 => "unsustainable".to_owned(),
        None => NOTHING.to_owned(),
    };
    [
        phase.to_owned(),
        view::arm_label(run, &arm.arm),
        format!("{} {}", words::rate(open.offered_per_s), open.course),
        match is_sustained {
            true => format!("{} of {}", arm.sustained, arm.trials),
            false => {
                let achieved = percent(arm.achieved);
                format!("{} of {}, at least {achieved}", arm.sustained, arm.trials)
            }
        },
        latency(0),
        latency(2),
        latency(3),
        significant(arm.lag_p99_ns / 1e6),
    ]
}

/// The ratio stands beside the last arm, which it is of.
fn found_cells(run: &Run, phase: &str, search: &SearchRow, found: &FoundRate) -> [String; 6] {
    let is_after = run.arms.last().is_some_and(|last| last.name == found.arm);
    let of_after = |text: String| if is_after { text } else { String::new() };
    let at_least = if found.is_at_limit { "≥ " } else { "" };
    [
        phase.to_owned(),
        search.condition.clone(),
        view::arm_label(run, &found.arm),
        match found.rate_per_s > 0.0 {
            true => format!("{at_least}{}", words::rate_within(found.rate_per_s, found.half_width)),
            false => "none tried".to_owned(),
        },
        of_after(words::estimate_ratio(&search.ratio)),
        of_after(words::interval(&search.ratio)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{html, markdown, sample, terminal};

    fn arm(name: &str, sustained: usize, p99: Option<f64>) -> OpenArm {
        OpenArm {
            arm: name.into(),
            invalid: None,
            trials: 12,
            sustained,
            achieved: if sustained == 12 { 1.0 } else { 0.61 },
            latency_ns: [p99.map(|p99| p99 / 8.0), p99.map(|p99| p99 / 2.0), p99, None],
            lag_p99_ns: 200_000.0,
        }
    }

    fn everywhere(open: OpenRow, wanted: &[&str]) {
        let (run, mut cmp) = sample::sample();
        let mut table = cmp.phases[0].clone();
        table.phase = "paced".into();
        table.rows.truncate(1);
        table.rows[0].open = Some(open);
        cmp.phases.push(table);
        let style = |width| terminal::Style { color: false, width };
        for width in [60, 80, 100] {
            let page = terminal::render(&run, &cmp, style(width));
            assert!(page.lines().all(|line| line.chars().count() <= width), "{page}");
        }
        let forms = [
            terminal::render(&run, &cmp, style(100)),
            markdown::render(&run, &cmp),
            html::render(&run, &cmp, &[]),
        ];
        for form in forms.map(|form| form.replace(['\u{a0}', '\u{202f}'], " ")) {
            for text in wanted {
                assert!(form.contains(text), "{text} is missing in {form}");
            }
        }
    }

    #[test]
    fn every_form_tells_what_clients_waited_for() {
        let estimate =
            Estimate { ratio: 0.14, interval: Some((0.121, 0.159)), pairs: 12, invalid: None };
        let arms = vec![arm("before", 12, Some(11.8e6)), arm("after", 12, Some(1.62e6))];
        let ratios = [Some(estimate), Some(estimate), Some(estimate), None];
        let course = "poisson".into();
        let open = OpenRow { offered_per_s: 3140.0, course, arms, ratios, search: None };
        everywhere(open, &["3 140", "12 of 12", "1.62", "0.140×", "0.121, 0.159", "0.200"]);
    }

    #[test]
    fn what_did_not_keep_up_has_no_percentile() {
        let arms = vec![arm("before", 3, None), arm("after", 12, Some(1.62e6))];
        let (course, ratios) = ("constant".into(), [None, None, None, None]);
        let open = OpenRow { offered_per_s: 9000.0, course, arms, ratios, search: None };
        everywhere(open, &["unsustainable", "61.0 %", "1.62"]);
    }

    #[test]
    fn every_form_tells_which_rate_was_found() {
        let found = |arm: &str, rate_per_s, is_at_limit| FoundRate {
            arm: arm.into(),
            rate_per_s,
            half_width: Some(0.05),
            is_at_limit,
        };
        let search = SearchRow {
            condition: "p99 <= 5ms".into(),
            arms: vec![found("before", 4200.0, false), found("after", 100_000.0, true)],
            ratio: Estimate { ratio: 23.8, interval: Some((20.0, 26.0)), pairs: 12, invalid: None },
        };
        let (course, ratios) = ("poisson".into(), [None, None, None, None]);
        let open =
            OpenRow { offered_per_s: 9000.0, course, arms: vec![], ratios, search: Some(search) };
        everywhere(open, &["4 200 ± 5.0 %", "≥ 100 000 ± 5.0 %", "23.8×"]);
    }
}
