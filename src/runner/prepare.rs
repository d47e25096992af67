//! Before the load: a fresh target with the keys in it that the scenario wants there, untimed and accounted for.
//! After it: what the accounts of a bank hold.

use super::{RunError, Stage};
use crate::load::Acked;
use crate::model::{Body, KeyValue, Request, Response};
use crate::record::Bank;
use crate::scenario::spec::Arm;
use crate::target::{Launch, Target};
use crate::workload::{Workload, balance};
use std::path::{Path, PathBuf};

/// Requests besides the load that are under way at once: enough that batches form, few enough to bound what waits.
pub(super) const AT_ONCE: usize = 32;

/// Starts `arm` in `folder`.
pub(super) fn start_target<L: Launch>(
    stage: &Stage<'_, L>,
    arm: &Arm,
    folder: &Path,
) -> Result<L::Target, RunError> {
    let launched = stage.launch.launch(arm, folder, stage.clock);
    launched.map_err(|source| RunError::Launch { arm: arm.name.clone(), source })
}

/// Where a trial's node lives within the trial's own folder.
pub(super) fn data_folder(trial: &Path) -> PathBuf {
    trial.join("node")
}

/// Grants the leases that are to be held and puts the keys of the preload; gives what was acknowledged. Stopped early, it
/// leaves the rest out.
pub(super) fn fill<L: Launch>(
    stage: &Stage<'_, L>,
    target: &L::Target,
    arm: &str,
) -> Result<Acked, RunError> {
    let (workload, seed) = (Workload::of(stage.scenario), stage.scenario.seed);
    let mut acked = Acked::default();
    send_all(stage, target, arm, workload.grants(seed), &mut acked)?;
    send_all(stage, target, arm, workload.preload(seed), &mut acked)?;
    Ok(acked)
}

/// Sends `requests`, which do not depend on one another.
fn send_all<L: Launch>(
    stage: &Stage<'_, L>,
    target: &L::Target,
    arm: &str,
    mut requests: impl Iterator<Item = Request>,
    acked: &mut Acked,
) -> Result<(), RunError> {
    while !stage.stopped() {
        let some: Vec<Request> = requests.by_ref().take(AT_ONCE).collect();
        if some.is_empty() {
            break;
        }
        for response in answers(target, &some, arm, "preload")? {
            acked.note(true, false, &response);
        }
    }
    Ok(())
}

/// Reads every account.
pub(super) fn count_money<L: Launch>(
    stage: &Stage<'_, L>,
    target: &L::Target,
    arm: &str,
) -> Result<Bank, RunError> {
    let workload = Workload::of(stage.scenario);
    let accounts = stage.scenario.keys.space;
    let mut bank = Bank { accounts, found: 0, money: workload.money(), sum: 0 };
    for request in workload.read_all() {
        for response in answers(target, &[request], arm, "bank")? {
            let Ok(Body::Range(found)) = response.result else { continue };
            let balances = found.kvs.iter().filter_map(|kv: &KeyValue| balance(&kv.value));
            for balance in balances {
                bank.found += 1;
                bank.sum = bank.sum.saturating_add(balance);
            }
        }
    }
    Ok(bank)
}

/// The answers to `requests`, which do not depend on one another; a refusal is a failure.
pub(super) fn answers(
    target: &impl Target,
    requests: &[Request],
    arm: &str,
    doing: &str,
) -> Result<Vec<Response>, RunError> {
    let failed = |first: String| RunError::Operations {
        arm: arm.to_owned(),
        cell: doing.to_owned(),
        errors: 1,
        first,
    };
    let answers = target.call_any(requests).into_iter();
    let replies = answers.map(|answer| match answer {
        Ok(delivered) => match &delivered.reply.result {
            Ok(_) => Ok(delivered.reply),
            Err(refusal) => Err(failed(refusal.to_string())),
        },
        Err(error) => Err(failed(error.to_string())),
    });
    replies.collect()
}
