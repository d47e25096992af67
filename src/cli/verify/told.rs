//! What came of a history, for programs and for people.

use super::plans::PROCESSES;
use super::{EngineArg, PathArg, VerifyArgs};
use crate::measure::{handles, process::ProcessSample};
use crate::record::verification::{
    Equivalence, FaultRecord, FaultTally, Finding, HistoryRecord, Recovery, Verification,
};
use crate::report::verification::word;
use crate::report::words::{count, plain};
use crate::units::Nanos;
use crate::verify::faults::{Came, Made, Plan};
use std::io::{self, Write};
use std::path::Path;

/// The record of a history.
pub(super) fn recorded<F>(
    campaign: &str,
    plan: &Plan<F>,
    path: PathArg,
    engine: EngineArg,
    made: &Made,
) -> HistoryRecord {
    let mut violations = made.violations();
    if !violations.is_empty() && !made.faults.is_empty() {
        violations.push(meanwhile(&made.faults));
    }
    let (finding, why) = match (&made.void, made.is_undecided()) {
        _ if !violations.is_empty() => (Finding::Violation, violations),
        (Some(void), _) => (Finding::Void, vec![void.clone()]),
        (None, true) => (Finding::Undecided, undecided(made)),
        (None, false) => (Finding::Passed, Vec::new()),
    };
    let witnessed = made.witness.clone().unwrap_or_default();
    let watches = made.watches.clone().unwrap_or_default();
    let ms = |span: Option<Nanos>| span.map(|span| span.as_secs_f64() * 1e3);
    let fault = |fault: &Came| FaultRecord {
        kind: fault.kind.to_owned(),
        happened: fault.happened,
        action: fault.action.clone(),
        led_ms: ms(fault.led),
        written_ms: ms(fault.written),
        level_ms: ms(fault.level),
    };
    HistoryRecord {
        seed: plan.seed,
        campaign: campaign.to_owned(),
        path: path.name().to_owned(),
        engine: engine.name().to_owned(),
        nodes: plan.nodes,
        operations: made.history.len() as u64,
        answered: witnessed.answered,
        unknown: witnessed.unknown,
        unknown_executed: witnessed.unknown_executed,
        revisions: witnessed.revisions,
        registers: made.registers.keys,
        register_operations: made.registers.calls,
        registers_undecided: made.registers.undecided,
        watchers: watches.watchers,
        watched_events: watches.events,
        watches_resumed: watches.resumed,
        faults: made.faults.iter().map(fault).collect(),
        settled_ms: ms(made.settled),
        elapsed_s: made.elapsed.as_secs_f64(),
        resident_bytes: ProcessSample::with(&[]).map(|sample| sample.resident_bytes),
        open_files: handles::handles(),
        threads: handles::threads(),
        finding,
        why,
    }
}

/// When what went wrong began, on the clock of the operations that an accusation quotes.
fn meanwhile(faults: &[Came]) -> String {
    let one = |fault: &Came| {
        let seen = if fault.happened { "" } else { " (not seen to happen)" };
        format!("{} at {:.3} ms{seen}", fault.kind, fault.struck.as_secs_f64() * 1e3)
    };
    let all: Vec<String> = faults.iter().map(one).collect();
    format!("what went wrong began: {}", all.join(", "))
}

fn undecided(made: &Made) -> Vec<String> {
    let witness = made.witness.as_ref().err().map(ToString::to_string);
    let registers = (made.registers.undecided > 0).then(|| {
        format!(
            "the search was given up for {} of {} registers",
            made.registers.undecided, made.registers.keys
        )
    });
    witness.into_iter().chain(registers).collect()
}

/// How apply paths stand to the oracle.
pub(super) fn compared(out: &mut dyn Write, sum: &Equivalence) -> io::Result<()> {
    let verdict = if sum.differences.is_empty() { "0 differences" } else { "DIFFERENT" };
    writeln!(
        out,
        "apply paths against the oracle: {} requests over {}, state compared after {} batches: {verdict} ({:.1} s)",
        sum.requests,
        count(sum.logs as usize, "log", "logs"),
        sum.batches,
        sum.elapsed_s
    )?;
    sum.differences.iter().try_for_each(|one| writeln!(out, "  {}", plain(one)))
}

/// A line for a history, and what is wrong with it.
pub(super) fn tell(
    out: &mut dyn Write,
    told: &HistoryRecord,
    number: u64,
    args: &VerifyArgs,
    kept: Option<&Path>,
) -> io::Result<()> {
    let of = if args.soak.is_some() { String::new() } else { format!("/{}", args.histories) };
    writeln!(
        out,
        "history {number}{of}, seed {}: {}, {}, {}: {} operations, {} revisions, {} · {} in {:.1} s",
        told.seed,
        told.path,
        told.engine,
        count(told.nodes as usize, "member", "members"),
        told.operations,
        told.revisions,
        count(told.faults.len(), "fault", "faults"),
        word(told.finding),
        told.elapsed_s
    )?;
    for why in &told.why {
        writeln!(out, "  {}", plain(why))?;
    }
    if told.finding != Finding::Passed {
        writeln!(out, "  {}", again(told, args))?;
    }
    if let Some(folder) = kept {
        writeln!(out, "  kept in {}", plain(&folder.display().to_string()))?;
    }
    out.flush()
}

/// How to make a history once more.
pub(super) fn again(told: &HistoryRecord, args: &VerifyArgs) -> String {
    // Those of processes are drawn for each history.
    let drawn = told.faults.iter().map(|fault| &fault.kind);
    let kinds: Vec<&String> = match told.campaign == PROCESSES && !told.faults.is_empty() {
        true => drawn.collect(),
        false => args.fault.iter().collect(),
    };
    let faults: String = kinds.iter().map(|kind| format!(" --fault {kind}")).collect();
    let HistoryRecord { campaign, seed, path, engine, nodes, .. } = told;
    format!(
        "again: kvbench verify --campaign {campaign} --histories 1 --seed {seed} --path {path} --engine {engine} --nodes {nodes} --operations {}{faults}",
        args.operations
    )
}

/// All of it in a few lines.
pub(super) fn summary(out: &mut dyn Write, record: &Verification) -> io::Result<()> {
    let histories = &record.histories;
    if histories.is_empty() {
        return Ok(());
    }
    let sum = |of: fn(&HistoryRecord) -> u64| histories.iter().map(of).sum::<u64>();
    let found = |finding| histories.iter().filter(|one| one.finding == finding).count();
    let all = [Finding::Passed, Finding::Violation, Finding::Undecided, Finding::Void];
    let findings: Vec<String> = all
        .into_iter()
        .filter(|finding| found(*finding) > 0 || *finding == Finding::Passed)
        .map(|finding| format!("{} {}", found(finding), word(finding)))
        .collect();
    writeln!(out, "\n{}: {}", count(histories.len(), "history", "histories"), findings.join(", "))?;
    writeln!(
        out,
        "  {} operations, {} of unknown outcome ({} executed), {} revisions",
        sum(|one| one.operations),
        sum(|one| one.unknown),
        sum(|one| one.unknown_executed),
        sum(|one| one.revisions)
    )?;
    writeln!(
        out,
        "  {} registers with {} operations checked without revisions, {} undecided",
        sum(|one| one.registers),
        sum(|one| one.register_operations),
        sum(|one| one.registers_undecided)
    )?;
    writeln!(
        out,
        "  {} watchers were told {} events over {} watches",
        sum(|one| one.watchers),
        sum(|one| one.watched_events),
        sum(|one| one.watches_resumed)
    )?;
    let kinds: Vec<String> = record
        .faults_by_kind()
        .into_iter()
        .map(|(kind, FaultTally { asked, happened })| match happened == asked {
            true => format!("{kind} {asked}"),
            false => format!("{kind} {happened} of {asked}"),
        })
        .collect();
    let kinds = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
    writeln!(out, "  faults that happened: {kinds}")?;
    for one in &record.skipped {
        writeln!(out, "  skipped: {}: {}", one.kind, plain(&one.why))?;
    }
    let recovery = |what: &str, of: fn(&FaultRecord) -> Option<f64>| {
        let times = histories.iter().flat_map(|one| &one.faults).filter_map(of);
        Recovery::of(times).map(|Recovery { count, median_ms, p99_ms, max_ms }| {
            format!("  {what}: median {median_ms:.0} ms, p99 {p99_ms:.0} ms, at most {max_ms:.0} ms, of {count}\n")
        })
    };
    for line in [
        recovery("from a lost leader until another led", |fault| fault.led_ms),
        recovery("from a fault until the next write was acknowledged", |fault| fault.written_ms),
        recovery("from a fault's end until all members were level", |fault| fault.level_ms),
    ] {
        write!(out, "{}", line.unwrap_or_default())?;
    }
    let settled: Vec<f64> = histories.iter().filter_map(|one| one.settled_ms).collect();
    let slowest = settled.iter().copied().fold(0.0, f64::max);
    writeln!(out, "  members had the same at most {slowest:.0} ms after the load")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accusation_says_when_what_went_wrong_began() {
        let came = |kind, struck, happened| Came {
            kind,
            action: None,
            happened,
            struck: Nanos(struck),
            led: None,
            written: None,
            level: None,
        };
        let faults =
            [came("leader-paused", 512_300_000, true), came("hand-over", 2_000_000_500, false)];
        let words = "what went wrong began: leader-paused at 512.300 ms, hand-over at 2000.001 ms (not seen to happen)";
        assert_eq!(meanwhile(&faults), words);
    }
}
