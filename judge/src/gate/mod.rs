//! The verdict of a pipeline: which metric got worse between two revisions, proven twice.
//!
//! One look finds by chance what is not there, however small the chance, and a pipeline looks every day. So whatever looks worse is
//! measured once more with fresh trials, and only what both sets find is a regression. A host that changes in the middle of a set
//! can deceive one of them; interleaved pairs keep it from deceiving both. It refuses to call it a pass if nothing was compared.

mod sitting;
mod slices;

pub use sitting::{Program, Shot, built_alike, joined};
pub use slices::without_sharers;

use crate::compare::contrast::Limit;
use crate::record::contrast::{Contrast, ContrastRow, ContrastUnit, Contrasts, RowVerdict};
use crate::record::gate::{GateRecord, Inconclusive};
use crate::stats::ALPHA;

/// The judgement of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateVerdict {
    /// Worse in both sets of trials, or in the only one if no second was asked for.
    Regressed,
    /// Worse in the first set, and the second one found it is not.
    NotConfirmed,
    /// Worse in the first set, and the second one did not say or was not finished.
    Suspected,
    /// Better.
    Improved,
    /// Not worse by more than is let pass.
    Unchanged,
    /// Not enough evidence.
    Undecided,
    /// It could not be measured: the load was not what it claims to be, or a side has no value.
    NoNumber,
    /// Shown and not judged: too few observations lie beyond the percentile.
    Shown,
}

/// One metric of one arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateRow<'a> {
    /// Which arm of which scenario.
    pub contrast: &'a Contrast,
    /// What the first set of trials said.
    pub first: &'a ContrastRow,
    /// What the second said, if it was asked.
    pub second: Option<&'a ContrastRow>,
    /// What follows.
    pub verdict: GateVerdict,
}

/// How a gate ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateOutcome {
    /// Nothing got worse, and everything was decided.
    Passed,
    /// Something got worse.
    Regressed,
    /// Something is not decided, or was not comparable, or nothing was compared; and that may not pass.
    Inconclusive,
    /// Head gave a wrong answer.
    WrongAnswer,
    /// A program could not be measured.
    Failed,
}

/// How many metrics were judged so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Worse, confirmed.
    pub regressed: usize,
    /// Worse at first and not again.
    pub not_confirmed: usize,
    /// Worse at first, and not decided again.
    pub suspected: usize,
    /// Better.
    pub improved: usize,
    /// Not worse.
    pub unchanged: usize,
    /// Not decided.
    pub undecided: usize,
    /// Without a number.
    pub no_number: usize,
}

/// Every metric that was looked at, in the order of the record.
pub fn rows(record: &GateRecord) -> Vec<GateRow<'_>> {
    let each = record.first.contrasts.iter();
    each.flat_map(|contrast| contrast.rows.iter().map(move |row| (contrast, row)))
        .map(|(contrast, first)| {
            let second = record.second.as_ref().and_then(|all| same(all, contrast, first));
            let verdict = verdict(first, second, record.confirms);
            GateRow { contrast, first, second, verdict }
        })
        .collect()
}

/// What the second set says of the same metric of the same arm.
fn same<'a>(all: &'a Contrasts, of: &Contrast, row: &ContrastRow) -> Option<&'a ContrastRow> {
    let is_it = |contrast: &&Contrast| {
        contrast.base.bundle == of.base.bundle && contrast.other.bundle == of.other.bundle
    };
    let contrast = all.contrasts.iter().find(is_it)?;
    contrast.rows.iter().find(|again| again.metric == row.metric)
}

/// What looked worse is a regression if the second set says so, and chance if it says that it is not so. Where it says neither, because
/// it was cut short, refused or too noisy, the suspicion stands.
fn verdict(first: &ContrastRow, second: Option<&ContrastRow>, confirms: bool) -> GateVerdict {
    match (first.verdict, second.map(|second| second.verdict)) {
        (RowVerdict::Worse, _) if !confirms => GateVerdict::Regressed,
        (RowVerdict::Worse, Some(RowVerdict::Worse)) => GateVerdict::Regressed,
        (RowVerdict::Worse, Some(RowVerdict::NotWorse | RowVerdict::Better)) => {
            GateVerdict::NotConfirmed
        }
        (RowVerdict::Worse, _) => GateVerdict::Suspected,
        (RowVerdict::Better, _) => GateVerdict::Improved,
        (RowVerdict::NotWorse, _) => GateVerdict::Unchanged,
        (RowVerdict::Shown, _) => GateVerdict::Shown,
        (RowVerdict::Undecided, _) if first.ratio.is_none() => GateVerdict::NoNumber,
        (RowVerdict::Undecided, _) => GateVerdict::Undecided,
    }
}

/// How many metrics were judged how.
pub fn tally(record: &GateRecord) -> Tally {
    let mut tally = Tally::default();
    for row in rows(record) {
        match row.verdict {
            GateVerdict::Regressed => tally.regressed += 1,
            GateVerdict::NotConfirmed => tally.not_confirmed += 1,
            GateVerdict::Suspected => tally.suspected += 1,
            GateVerdict::Improved => tally.improved += 1,
            GateVerdict::Unchanged => tally.unchanged += 1,
            GateVerdict::Undecided => tally.undecided += 1,
            GateVerdict::NoNumber => tally.no_number += 1,
            GateVerdict::Shown => {}
        }
    }
    tally
}

impl Tally {
    /// Metrics about which something is known.
    pub fn judged(&self) -> usize {
        self.regressed + self.not_confirmed + self.improved + self.unchanged
    }

    /// Metrics that were asked for and are not decided.
    pub fn open(&self) -> usize {
        self.undecided + self.no_number + self.suspected
    }
}

/// What all of it comes to. A wrong answer is worse than any slowness, and a regression worse than a doubt. Where the gate was cut short,
/// nothing was judged, a scenario was refused or a suspicion stands, nothing is said to be well, whatever is done about doubts.
pub fn outcome(record: &GateRecord) -> GateOutcome {
    let tally = tally(record);
    let contrasts = record.first.contrasts.iter();
    let refused = contrasts.filter(|one| !one.not_comparable.is_empty()).count();
    let is_refused = (refused > 0 && !record.first.forced)
        || record.scenarios.iter().any(|one| !one.not_comparable.is_empty());
    let failed = record.scenarios.iter().any(|scenario| !scenario.failure.is_empty());
    match () {
        () if record.scenarios.iter().any(|one| !one.wrong.is_empty()) => GateOutcome::WrongAnswer,
        () if tally.regressed > 0 => GateOutcome::Regressed,
        () if failed => GateOutcome::Failed,
        () if !record.complete || is_refused || tally.suspected > 0 => GateOutcome::Inconclusive,
        () if tally.judged() + tally.open() == 0 => GateOutcome::Inconclusive,
        () if tally.open() == 0 => GateOutcome::Passed,
        () => match record.inconclusive {
            // What passes has to have been compared at least in part.
            Inconclusive::Pass if tally.judged() > 0 => GateOutcome::Passed,
            Inconclusive::Fail => GateOutcome::Regressed,
            Inconclusive::Pass | Inconclusive::Tell => GateOutcome::Inconclusive,
        },
    }
}

/// What was asked for by name has to be decided: a metric that was withheld gets a row without a number, and one that is shown only is
/// undecided.
pub fn insist(contrast: &mut Contrast, limits: &[Limit]) {
    if !contrast.not_comparable.is_empty() && contrast.rows.is_empty() {
        return;
    }
    for limit in limits {
        let row = contrast.rows.iter_mut().find(|row| row.metric == limit.metric);
        match row {
            Some(row) if row.verdict == RowVerdict::Shown => row.verdict = RowVerdict::Undecided,
            Some(_) => {}
            None => {
                let starts = |why: &&String| why.starts_with(&format!("{}: ", limit.metric));
                let why = contrast.withheld.iter().find(starts).cloned();
                let why = why.unwrap_or_else(|| "nobody measured it".to_owned());
                contrast.rows.push(without_number(limit, why));
            }
        }
    }
}

fn without_number(limit: &Limit, why: String) -> ContrastRow {
    ContrastRow {
        metric: limit.metric.clone(),
        unit: ContrastUnit::Count,
        higher_is_better: true,
        base: None,
        other: None,
        ratio: None,
        interval: None,
        p_value: None,
        q_value: None,
        asked_floor: limit.floor,
        least: limit.least,
        floor: limit.floor,
        verdict: RowVerdict::Undecided,
        why,
    }
}

/// Turns without which no single regression among so many metrics can be significant: the smallest p-value of n pairs is 2 / 2^n, and
/// the first of m has to be at or below α / m (Benjamini and Hochberg).
pub fn turns_needed(metrics: usize) -> u32 {
    let smallest = |turns: u32| 2.0 / 2.0_f64.powi(turns as i32);
    let enough = |turns: &u32| smallest(*turns) * metrics.max(1) as f64 <= ALPHA;
    (1..).find(enough).unwrap_or(u32::MAX)
}

/// Names of the metrics of a contrast that have to be measured once more.
pub fn suspects(contrast: &Contrast) -> impl Iterator<Item = &str> {
    let worse = contrast.rows.iter().filter(|row| row.verdict == RowVerdict::Worse);
    worse.map(|row| row.metric.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::contrast::{Basis, Side, SideMean};
    use crate::record::gate::GatedScenario;

    fn row(metric: &str, verdict: RowVerdict) -> ContrastRow {
        let mean = Some(SideMean { value: 1.0, interval: None, trials: 10 });
        ContrastRow {
            metric: metric.into(),
            unit: ContrastUnit::Count,
            higher_is_better: true,
            base: mean,
            other: mean,
            ratio: Some(0.9),
            interval: Some((0.8, 0.95)),
            p_value: Some(0.001),
            q_value: Some(0.001),
            asked_floor: 0.05,
            least: 0.0,
            floor: 0.05,
            verdict,
            why: String::new(),
        }
    }

    fn contrasts(rows: Vec<ContrastRow>) -> Contrasts {
        let side =
            |arm: &str| Side { bundle: "s · after".into(), arm: arm.into(), ..Side::default() };
        let contrast = Contrast {
            base: side("base"),
            other: side("head"),
            basis: Basis::Pairs,
            not_comparable: vec![],
            notes: vec![],
            rows,
            withheld: vec![],
        };
        Contrasts { contrasts: vec![contrast], ..Contrasts::default() }
    }

    fn gate(first: Vec<ContrastRow>, second: Option<Vec<ContrastRow>>) -> GateRecord {
        GateRecord {
            complete: true,
            confirms: second.is_some(),
            first: contrasts(first),
            second: second.map(contrasts),
            scenarios: vec![GatedScenario { name: "s".into(), ..GatedScenario::default() }],
            ..GateRecord::default()
        }
    }

    #[test]
    fn only_what_is_found_twice_is_a_regression() {
        let worse = || row("a", RowVerdict::Worse);
        let once = gate(vec![worse()], None);
        assert_eq!(outcome(&once), GateOutcome::Regressed);
        assert_eq!(suspects(&once.first.contrasts[0]).collect::<Vec<_>>(), ["a"]);
        let twice = gate(vec![worse()], Some(vec![worse()]));
        assert_eq!(outcome(&twice), GateOutcome::Regressed);
        for again in [RowVerdict::NotWorse, RowVerdict::Better] {
            let chance = gate(vec![worse()], Some(vec![row("a", again)]));
            assert_eq!(rows(&chance)[0].verdict, GateVerdict::NotConfirmed);
            assert_eq!(outcome(&chance), GateOutcome::Passed);
        }
    }

    #[test]
    fn a_suspicion_that_was_not_cleared_does_not_pass() {
        let good = || row("b", RowVerdict::NotWorse);
        let worse = || row("a", RowVerdict::Worse);
        let cut_short = GateRecord { confirms: true, ..gate(vec![worse(), good()], None) };
        let too_noisy = gate(vec![worse(), good()], Some(vec![row("a", RowVerdict::Undecided)]));
        let of_another = gate(vec![worse(), good()], Some(vec![row("b", RowVerdict::Worse)]));
        for record in [cut_short, too_noisy, of_another] {
            assert_eq!(rows(&record)[0].verdict, GateVerdict::Suspected);
            for policy in [Inconclusive::Tell, Inconclusive::Pass] {
                let record = GateRecord { inconclusive: policy, ..record.clone() };
                assert_eq!(outcome(&record), GateOutcome::Inconclusive);
            }
        }
        let interrupted = GateRecord { complete: false, ..gate(vec![good()], None) };
        assert_eq!(outcome(&interrupted), GateOutcome::Inconclusive);
    }

    #[test]
    fn what_is_gated_by_name_has_to_be_decided() {
        let limit = |metric: &str| Limit { metric: metric.into(), floor: 0.05, least: 0.0 };
        let mut all = contrasts(vec![row("a", RowVerdict::NotWorse), row("b", RowVerdict::Shown)]);
        let contrast = &mut all.contrasts[0];
        contrast.withheld = vec!["c: 3 observations beyond it".into()];
        insist(contrast, &["a", "b", "c"].map(limit));
        let verdicts: Vec<_> = contrast.rows.iter().map(|row| row.verdict).collect();
        let undecided = RowVerdict::Undecided;
        assert_eq!(verdicts, [RowVerdict::NotWorse, undecided, undecided]);
        assert!(contrast.rows[2].why.contains("3 observations"));
        let record = GateRecord { inconclusive: Inconclusive::Tell, ..gate(vec![], None) };
        assert_eq!(outcome(&GateRecord { first: all, ..record }), GateOutcome::Inconclusive);
    }

    #[test]
    fn many_metrics_need_many_turns() {
        assert_eq!([1, 5, 25, 26].map(turns_needed), [6, 8, 10, 11]);
    }

    #[test]
    fn doubts_are_told_unless_something_else_is_asked() {
        let good = || row("a", RowVerdict::NotWorse);
        let doubt = || row("b", RowVerdict::Undecided);
        for (policy, with_good, alone) in [
            (Inconclusive::Tell, GateOutcome::Inconclusive, GateOutcome::Inconclusive),
            (Inconclusive::Pass, GateOutcome::Passed, GateOutcome::Inconclusive),
            (Inconclusive::Fail, GateOutcome::Regressed, GateOutcome::Regressed),
        ] {
            let of = |rows| GateRecord { inconclusive: policy, ..gate(rows, None) };
            assert_eq!(outcome(&of(vec![good(), doubt()])), with_good, "{policy:?}");
            assert_eq!(outcome(&of(vec![doubt()])), alone, "{policy:?}");
            let mut no_number = doubt();
            no_number.ratio = None;
            assert_eq!(outcome(&of(vec![good(), no_number])), with_good, "{policy:?}");
        }
    }

    #[test]
    fn where_nothing_was_compared_nothing_passes() {
        for policy in [Inconclusive::Tell, Inconclusive::Pass] {
            let of = |rows| GateRecord { inconclusive: policy, ..gate(rows, None) };
            assert_eq!(outcome(&of(vec![])), GateOutcome::Inconclusive);
            assert_eq!(outcome(&of(vec![row("a", RowVerdict::Shown)])), GateOutcome::Inconclusive);
            let mut refused = of(vec![row("a", RowVerdict::NotWorse)]);
            assert_eq!(outcome(&refused), GateOutcome::Passed);
            refused.first.contrasts[0].not_comparable.push("kernel: 6.1 against 6.2".into());
            assert_eq!(outcome(&refused), GateOutcome::Inconclusive);
            refused.first.forced = true;
            assert_eq!(outcome(&refused), GateOutcome::Passed);
        }
    }

    #[test]
    fn a_wrong_answer_is_worse_than_slowness_and_slowness_than_a_failure() {
        let mut record = gate(vec![row("a", RowVerdict::Worse)], None);
        record.scenarios[0].failure = "no space left".into();
        assert_eq!(outcome(&record), GateOutcome::Regressed);
        record.scenarios[0].wrong = vec!["same-state: …".into()];
        assert_eq!(outcome(&record), GateOutcome::WrongAnswer);
        let mut record = gate(vec![row("a", RowVerdict::NotWorse)], None);
        record.scenarios[0].failure = "no space left".into();
        assert_eq!(outcome(&record), GateOutcome::Failed);
    }
}
