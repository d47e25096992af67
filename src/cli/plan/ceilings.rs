//! What a lever could give at most on this host: Amdahl's bound from the stages of `before` in the trials that were measured.

use super::super::table::columns;
use super::words::ratio;
use crate::runner::pilot::Tried;
use crate::scenario::spec::Scenario;
use std::io::{self, Write};

/// Shares of the service time that a lever could remove.
const LEVERS: [(&str, &str); 3] = [
    ("sharing the log (stage queue)", "queue"),
    ("a disk without syncs (stage fsync)", "fsync"),
    ("an applier that is free (stage apply_wait)", "apply_wait"),
];

/// Writes `1 / (1 - f)` for each lever and client count; nothing where the stage clock was off.
pub(super) fn show(scenario: &Scenario, tried: &[Tried], out: &mut dyn Write) -> io::Result<()> {
    let before: Vec<&Tried> = tried
        .iter()
        .filter(|tried| tried.wanted.arm_idx == 0 && !tried.stages.is_empty())
        .collect();
    if before.is_empty() {
        return Ok(());
    }
    let name = &scenario.before().name;
    writeln!(out, "\nmost that a lever can give to {name} here, 1 / (1 - f) (Amdahl), f measured")?;
    let head = before.iter().map(|tried| format!("{} clients", tried.wanted.clients));
    let mut rows =
        vec![std::iter::once("if nothing were left of it".to_owned()).chain(head).collect()];
    for (lever, stage) in LEVERS {
        let bounds = before.iter().map(|tried| ratio(bound(stage_share(tried, stage))));
        rows.push(std::iter::once(lever.to_owned()).chain(bounds).collect());
    }
    let locks = before.iter().map(|tried| ratio(bound(tried.lock_share)));
    rows.push(std::iter::once("no wait for the store's lock".to_owned()).chain(locks).collect());
    columns(out, &rows)
}

fn stage_share(tried: &Tried, stage: &str) -> f64 {
    let total: f64 = tried.stages.iter().map(|stage| stage.mean_ns).sum();
    let part = tried.stages.iter().find(|named| named.stage == stage);
    part.map_or(0.0, |part| part.mean_ns) / total
}

/// Amdahl 1967: the gain if a share of the time vanished and the rest stayed.
fn bound(share: f64) -> f64 {
    1.0 / (1.0 - share)
}
