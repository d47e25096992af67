//! What an operation waits for, one thing after the other, in a sentence: the longest first.

use crate::compare::{ArmSummary, Costs};
use crate::report::view::Headline;
use crate::report::words::percent;

/// Parts named, at most, and the share of the operation from which a part is.
const PARTS_MAX: usize = 4;
const SHARE_LEAST: f64 = 0.01;

/// What the time in a stage is, in words that name whom the operation waits for.
const MEANINGS: [(&str, &str); 9] = [
    ("queue", "its turn, while others are written and synced"),
    ("propose", "being packed and proposed"),
    ("append", "being written to the log"),
    ("fsync", "its own sync"),
    ("replicate", "a quorum of the others"),
    ("commit", "being handed to the applier"),
    ("apply_wait", "the applier, behind others of its batch"),
    ("apply", "being executed"),
    ("respond", "its client to run again"),
];
/// The parts of waiting to be applied, and of being executed, that are locks: those on keys, and those on what comes after them.
const LOCK: &str = "the store's lock";
const INNER: &str = "locks on leases and the order of changes";
/// Waiting to be applied where nobody stands before the store.
const ON_THE_WAY: &str = "getting to the store";
const ELSEWHERE: &str = "everything else";

/// A sentence for each arm at the headline; none for an arm without a stage clock and without locks.
pub(super) fn sentences(headline: &Headline<'_>) -> Vec<String> {
    [headline.before, headline.after].into_iter().filter_map(sentence).collect()
}

fn sentence(arm: &ArmSummary) -> Option<String> {
    let mut parts = parts(&arm.costs)?;
    let whole: f64 = parts.iter().map(|(_, ns)| ns).sum();
    parts.retain(|(_, ns)| *ns / whole >= SHARE_LEAST);
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    parts.truncate(PARTS_MAX);
    let told = parts.iter().map(|(name, ns)| format!("{} {name}", percent(ns / whole)));
    (!parts.is_empty())
        .then(|| format!("an op of {}: {}", arm.arm, told.collect::<Vec<_>>().join(" · ")))
}

/// What an operation's time is made of, ns. Without a pipeline it is the lock and the rest.
fn parts(costs: &Costs) -> Option<Vec<(&'static str, f64)>> {
    let waited = |names: [&str; 2]| -> f64 {
        let its = costs.locks.iter().filter(|lock| names.contains(&lock.name.as_str()));
        its.map(|lock| lock.wait_ns_per_op).sum()
    };
    // The inner ones are taken by whoever holds the outer ones, while it executes.
    let (locked, inner) = (waited(["store", "turnstile"]), waited(["leases", "publication"]));
    if costs.stages.iter().all(|(_, ns)| *ns <= 0.0) {
        let rest = costs.service_mean_ns - locked - inner;
        return (!costs.locks.is_empty() && rest > 0.0)
            .then(|| vec![(LOCK, locked), (INNER, inner), (ELSEWHERE, rest)]);
    }
    let has_pipeline = costs.stages.iter().any(|(stage, ns)| stage == "queue" && *ns > 0.0);
    let mut parts = Vec::new();
    for (stage, ns) in costs.stages.iter().filter(|(_, ns)| *ns > 0.0) {
        let known = MEANINGS.iter().find(|(name, _)| name == stage);
        let meaning = known.map_or(ELSEWHERE, |(_, meaning)| *meaning);
        match stage.as_str() {
            "apply_wait" => {
                let lock = locked.min(*ns);
                let rest = if has_pipeline { meaning } else { ON_THE_WAY };
                parts.extend([(LOCK, lock), (rest, ns - lock)]);
            }
            "apply" => {
                let lock = inner.min(*ns);
                parts.extend([(INNER, lock), (meaning, ns - lock)]);
            }
            _ => parts.push((meaning, *ns)),
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::report::view;

    /// The sentence of an operation that spends nine tenths in one stage.
    fn stalled(stage: &str) -> String {
        let (_, cmp) = sample::sample();
        let mut arm = view::headline(&cmp).unwrap().before.clone();
        let others = MEANINGS.iter().filter(|(name, _)| *name != stage);
        arm.costs.stages = others.map(|(name, _)| ((*name).to_owned(), 1_250.0)).collect();
        arm.costs.stages.push((stage.to_owned(), 90_000.0));
        arm.costs.locks.clear();
        sentence(&arm).unwrap()
    }

    #[test]
    fn a_stall_is_named_whatever_the_stage() {
        for (stage, meaning) in MEANINGS {
            let wanted = format!("an op of before: 90.0 % {meaning} · ");
            assert!(stalled(stage).starts_with(&wanted), "{stage}: {}", stalled(stage));
        }
    }

    #[test]
    fn the_lock_is_told_apart_from_the_batch() {
        let (_, cmp) = sample::sample();
        let mut arm = view::headline(&cmp).unwrap().before.clone();
        arm.costs.stages = vec![("apply_wait".into(), 8_000.0), ("apply".into(), 2_000.0)];
        arm.costs.locks[0].wait_ns_per_op = 6_000.0;
        arm.costs.locks[1].name = "publication".into();
        arm.costs.locks[1].wait_ns_per_op = 1_000.0;
        let wanted = "an op of before: 60.0 % the store's lock · 20.0 % getting to the store · \
                      10.0 % locks on leases and the order of changes · 10.0 % being executed";
        assert_eq!(sentence(&arm).unwrap(), wanted);
        arm.costs.stages.push(("queue".into(), 10.0));
        assert!(sentence(&arm).unwrap().contains("the applier, behind others of its batch"));
    }

    #[test]
    fn without_a_pipeline_there_is_the_lock_and_the_rest() {
        let (_, cmp) = sample::sample();
        let mut arm = view::headline(&cmp).unwrap().after.clone();
        arm.costs.stages.clear();
        arm.costs.service_mean_ns = 10_000.0;
        arm.costs.locks.iter_mut().for_each(|lock| lock.wait_ns_per_op = 8_000.0);
        let wanted = "an op of after: 80.0 % the store's lock · 20.0 % everything else";
        assert_eq!(sentence(&arm).unwrap(), wanted);
        arm.costs.locks.clear();
        assert_eq!(sentence(&arm), None);
    }
}
