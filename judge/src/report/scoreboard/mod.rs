//! Several runs at a glance: every target, what was measured for it, the verdict, and why. Where a target decides somebody's
//! claim, the verdict says what became of the claim: it holds, or it is refuted, or neither is shown.
//!
//! A claim that is refuted is an answer like any other, so its reason comes from the figures of the run and not from an
//! expectation. The board is data ([`Scoreboard`]) that three forms render.

pub mod html;
pub mod markdown;
mod reasons;
#[cfg(test)]
mod sample;
pub mod terminal;

use crate::compare::{self, Comparison, Share, TargetVerdict, Verdict};
use crate::record::scoreboard::{
    BoardRun, BoardTarget, BoardVerdict, NotMeasured, OverallRatio, Scoreboard,
};
use crate::record::{Run, SCHEMA};
use crate::report::story;
use crate::report::words::{self, count};

/// A board that grows with every run; runs need not be kept for it.
#[derive(Debug, Default)]
pub struct Builder {
    board: Scoreboard,
    shares: Vec<Share>,
}

impl Builder {
    /// Adds a run, whose bundle is at `bundle` as seen from the board's folder.
    pub fn add(&mut self, run: &Run, cmp: &Comparison, bundle: String) {
        let board = &mut self.board;
        if board.runs.is_empty() {
            board.schema = SCHEMA;
            board.kvbench_version.clone_from(&run.kvbench_version);
            board.started_at.clone_from(&run.started_at);
            (board.host, board.build) = (story::host(run), story::build(run));
        }
        let failed = run.checks.iter().filter(|check| check.is_wrong());
        board.runs.push(BoardRun {
            scenario: run.scenario.name.clone(),
            workload: run.scenario.workload.clone(),
            bundle,
            stamps: story::stamps(run),
            failed_checks: failed.map(|check| format!("{}: {}", check.id, check.detail)).collect(),
            targets: cmp.verdicts.iter().map(|verdict| target(run, cmp, verdict)).collect(),
        });
        self.shares.extend(compare::shares(run));
    }

    /// Notes a scenario that was asked for and not measured.
    pub fn not_measured(&mut self, scenario: String, reason: String) {
        self.board.not_measured.push(NotMeasured { scenario, reason });
    }

    /// How many runs are on it.
    pub fn runs(&self) -> usize {
        self.board.runs.len()
    }

    /// The board.
    pub fn finish(self) -> Scoreboard {
        let overall =
            compare::overall(&self.shares).into_iter().map(|(kind, overall)| OverallRatio {
                measure: kind.measure,
                layer: kind.layer,
                fsync: kind.fsync,
                ratio: overall.ratio,
                interval: overall.interval,
                scenarios: overall.scenarios as u64,
            });
        Scoreboard { overall: overall.collect(), ..self.board }
    }
}

fn target(run: &Run, cmp: &Comparison, verdict: &TargetVerdict) -> BoardTarget {
    let (estimate, interval, n) = match (&verdict.value, verdict.estimate) {
        (Some(value), _) => (Some(value.value), value.interval, value.trials),
        (None, Some(ratio)) => (Some(ratio.ratio), ratio.interval, ratio.pairs),
        (None, None) => (None, None, 0),
    };
    BoardTarget {
        id: verdict.target.id.clone(),
        claim: verdict.target.claim.clone(),
        asked: story::asked(&verdict.target),
        measured: story::evidence(verdict),
        estimate,
        interval,
        n: n as u64,
        verdict: match verdict.verdict {
            Verdict::Met => BoardVerdict::Met,
            Verdict::Missed => BoardVerdict::Missed,
            Verdict::Inconclusive => BoardVerdict::Inconclusive,
        },
        why: reasons::why(run, cmp, verdict),
    }
}

/// `✔`, `✘` or `?`, as for a verdict.
fn mark(target: &BoardTarget) -> &'static str {
    story::verdict_mark(verdict(target))
}

fn verdict(target: &BoardTarget) -> Verdict {
    match target.verdict {
        BoardVerdict::Met => Verdict::Met,
        BoardVerdict::Missed => Verdict::Missed,
        BoardVerdict::Inconclusive => Verdict::Inconclusive,
    }
}

/// What became of the claim; of a target without one, its verdict.
fn word(target: &BoardTarget) -> &'static str {
    match (target.claim.is_empty(), target.verdict) {
        (true, _) => story::verdict_word(verdict(target)),
        (false, BoardVerdict::Met) => "claim holds",
        (false, BoardVerdict::Missed) => "claim refuted",
        (false, BoardVerdict::Inconclusive) => "undecided",
    }
}

/// What a target is about: the claim, or its name.
fn subject(target: &BoardTarget) -> &str {
    if target.claim.is_empty() { &target.id } else { &target.claim }
}

/// `12 claims hold, 9 are refuted, 3 undecided`; nothing without claims.
fn claims(board: &Scoreboard) -> Option<String> {
    let claims = || board.targets().filter(|target| !target.claim.is_empty());
    let of = |verdict| claims().filter(|target| target.verdict == verdict).count();
    claims().next()?;
    let (hold, refuted) = (of(BoardVerdict::Met), of(BoardVerdict::Missed));
    Some(format!(
        "{}, {refuted} {} refuted, {} undecided",
        count(hold, "claim holds", "claims hold"),
        if refuted == 1 { "is" } else { "are" },
        of(BoardVerdict::Inconclusive)
    ))
}

/// `41 targets of 26 scenarios: 20 met, 15 missed, 6 inconclusive`.
fn totals(board: &Scoreboard) -> String {
    let of = |verdict| board.targets().filter(|target| target.verdict == verdict).count();
    format!(
        "{} of {}: {} met, {} missed, {} inconclusive",
        count(board.targets().count(), "target", "targets"),
        count(board.runs.len(), "scenario", "scenarios"),
        of(BoardVerdict::Met),
        of(BoardVerdict::Missed),
        of(BoardVerdict::Inconclusive)
    )
}

/// `throughput at layer raft, fsync real: 3.20× [3.0, 3.4] over 6 scenarios`.
fn overall(figure: &OverallRatio) -> String {
    let fsync = match figure.fsync.as_str() {
        "" => String::new(),
        fsync => format!(", fsync {fsync}"),
    };
    let interval = match figure.interval {
        Some((low, high)) => {
            format!("[{}, {}]", words::lower_bound(low), words::upper_bound(high))
        }
        None => "without an interval, since a scenario has too few pairs".to_owned(),
    };
    format!(
        "{} at layer {}{fsync}: {} {interval} over {} scenarios",
        figure.measure,
        figure.layer,
        words::ratio(figure.ratio),
        figure.scenarios
    )
}

/// What the geometric means are worth.
const OVERALL_NOTE: &str = "Geometric means of after / before, each scenario weighing the same: of these scenarios and of no others.";
/// What a refuted claim means for the run.
const REFUTED_NOTE: &str = "A refuted claim is an answer: its interval lies on the other side of what was claimed. It says nothing against the run.";

/// Whether a claim was refuted, so that the note about it is due.
fn is_any_refuted(board: &Scoreboard) -> bool {
    board.targets().any(|t| !t.claim.is_empty() && t.verdict == BoardVerdict::Missed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample as runs;

    #[test]
    fn a_board_says_what_its_runs_say() {
        let (mut run, cmp) = runs::sample();
        run.targets = cmp.verdicts.iter().map(|verdict| verdict.target.clone()).collect();
        let mut builder = Builder::default();
        builder.add(&run, &cmp, "../a".to_owned());
        builder.add(&run, &cmp, "../b".to_owned());
        builder.not_measured("c".to_owned(), "no engine".to_owned());
        assert_eq!(builder.runs(), 2);
        let board = builder.finish();
        assert_eq!(totals(&board), "4 targets of 2 scenarios: 4 met, 0 missed, 0 inconclusive");
        assert_eq!(claims(&board), None);
        let target = &board.runs[1].targets[0];
        assert!(target.measured.starts_with("18.3×, at least"), "{target:?}");
        assert!(target.why.contains("propose pipelined earned most of it"), "{target:?}");
        assert_eq!(Scoreboard::from_json(&board.to_json().unwrap()).unwrap(), board);
    }

    #[test]
    fn claims_are_counted_apart() {
        let board = sample::board();
        assert_eq!(claims(&board).unwrap(), "1 claim holds, 1 is refuted, 1 undecided");
        let words: Vec<_> = board.targets().map(word).collect();
        assert_eq!(words, ["claim holds", "claim refuted", "undecided", "met"]);
        assert!(is_any_refuted(&board));
    }
}
