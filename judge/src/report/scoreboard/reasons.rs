//! Why a target came out as it did, from the figures of its run: the ladder, the wait for the store's lock, the syncs that
//! operations share, and where a before operation spends its time. It offers what is known and draws no further conclusion.

use crate::compare::{ArmSummary, Comparison, Ladder, TargetVerdict, Verdict};
use crate::record::Run;
use crate::report::story;
use crate::report::view;
use crate::report::words::{percent, ratio, significant};

/// Syncs per operation have to differ by this factor to be worth a word.
const FSYNC_FACTOR: f64 = 1.5;
/// So much of an operation has a stage to take to be named.
const STAGE_SHARE: f64 = 0.25;

/// In a few clauses; empty for a check, whose evidence says it all.
pub(super) fn why(run: &Run, cmp: &Comparison, verdict: &TargetVerdict) -> String {
    let mut clauses = Vec::new();
    if !verdict.reason.is_empty() {
        clauses.push(verdict.reason.clone());
    }
    if let Some(ladder) = ladder_of(cmp, verdict) {
        clauses.extend(of_ladder(run, cmp, ladder, verdict));
    }
    clauses.join("; ")
}

/// That of the place the target is about.
fn ladder_of<'a>(cmp: &'a Comparison, verdict: &TargetVerdict) -> Option<&'a Ladder> {
    let (path, clients) = verdict.target.metric.rsplit_once('@')?;
    let clients: u32 = clients.parse().ok()?;
    let is_here = |ladder: &&Ladder| {
        let inside = path.strip_prefix(&ladder.phase).is_some_and(|rest| rest.starts_with('.'));
        inside && ladder.clients == clients
    };
    cmp.ladders.iter().find(is_here)
}

fn of_ladder(run: &Run, cmp: &Comparison, ladder: &Ladder, verdict: &TargetVerdict) -> Vec<String> {
    let ends = view::row(cmp, &ladder.phase, ladder.clients)
        .and_then(|row| Some((row.arms.first()?, row.arms.last()?)))
        .filter(|(before, after)| before.trials > 0 && after.trials > 0);
    let credit = story::credit(run, ladder);
    let has_credit = credit.is_some();
    let mut clauses: Vec<String> = credit.into_iter().collect();
    if !has_credit {
        clauses.extend(ladder.lock_ceiling.map(lock));
    }
    if let Some((before, after)) = ends {
        clauses.extend(shared_syncs(before, after));
        if verdict.verdict == Verdict::Missed {
            clauses.extend(longest_stage(before));
        }
    }
    clauses
}

fn lock(ceiling: f64) -> String {
    let share = if ceiling >= 1.0 { 1.0 - 1.0 / ceiling } else { 0.0 };
    format!(
        "{} of a before operation is waiting for the store's lock, worth at most {}",
        percent(share),
        ratio(ceiling)
    )
}

fn shared_syncs(before: &ArmSummary, after: &ArmSummary) -> Option<String> {
    let (before, after) = (before.costs.fsyncs_per_op, after.costs.fsyncs_per_op);
    let differ = before > 0.0
        && after > 0.0
        && !(1.0 / FSYNC_FACTOR..FSYNC_FACTOR).contains(&(before / after));
    let shared = |per_op: f64| significant(1.0 / per_op);
    differ.then(|| format!("operations per fsync {} → {}", shared(before), shared(after)))
}

/// What a before operation does longest.
fn longest_stage(before: &ArmSummary) -> Option<String> {
    let total = view::stage_sum_ns(before);
    let (name, ns) = before.costs.stages.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let share = ns / total;
    (total > 0.0 && share >= STAGE_SHARE)
        .then(|| format!("{} of a before operation is {name}", percent(share)))
}
