//! Histories as files under `--out`: those in which something is wrong or open always, the others if they are asked for.

use crate::record::verification::{Finding, HistoryRecord};
use crate::verify::faults::Made;
use crate::verify::kept;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of the histories' folders.
const HISTORIES: &str = "histories";

/// Keeps history `number` under `out` if it is of interest, or if `all` are; gives its folder then. What is wrong with it, and `again`, how
/// to make it once more, stand beside it.
pub(super) fn keep(
    out: &Path,
    number: u64,
    made: &Made,
    record: &HistoryRecord,
    again: &str,
    all: bool,
) -> io::Result<Option<PathBuf>> {
    let is_of_interest = matches!(record.finding, Finding::Violation | Finding::Undecided);
    if !all && !is_of_interest {
        return Ok(None);
    }
    let folder = out.join(HISTORIES).join(format!("{number:04}-seed-{}", record.seed));
    let mut accusation = record.why.clone();
    accusation.extend((!record.why.is_empty()).then(|| again.to_owned()));
    kept::write(&folder, &made.history, &accusation)?;
    Ok(Some(folder))
}

#[cfg(test)]
mod tests {
    use super::super::told;
    use super::super::{EngineArg, PathArg};
    use super::*;
    use crate::model::Request;
    use crate::store::{EngineKind, PathKind};
    use crate::units::Nanos;
    use crate::verify::faults::{Came, Fault, Plan, Registers, Watches};
    use crate::verify::{Operation, Outcome, witness};

    fn made(violation: Option<&str>) -> Made {
        let operation = Operation {
            client: 0,
            request: Request::put("a", "1"),
            invoked: Nanos(1),
            returned: Nanos(2),
            outcome: Outcome::Unknown,
        };
        let fault = |words: &str| Err(witness::Fault::Violation(words.to_owned()));
        Made {
            witness: violation.map_or(Ok(witness::Witnessed::default()), fault),
            registers: Registers::default(),
            watches: Ok(Watches::default()),
            disagree: None,
            faults: vec![Came {
                kind: Fault::Loss.name(),
                action: None,
                happened: true,
                struck: Nanos(1),
                led: None,
                written: None,
                level: None,
            }],
            history: vec![operation],
            settled: Some(Nanos(1)),
            elapsed: Nanos(1),
            void: None,
        }
    }

    #[test]
    fn a_wrong_history_is_kept_unasked_and_a_right_one_if_asked_for() {
        let out = tempfile::tempdir().unwrap();
        let plan = Plan {
            seed: 17,
            path: PathKind::GlobalMutex,
            engine: EngineKind::Memory,
            nodes: 3,
            faults: vec![Fault::Loss],
            operations_min: 1,
        };
        let keep_it = |made: &Made, all| {
            let record =
                told::recorded("faults", &plan, PathArg::GlobalMutex, EngineArg::Memory, made);
            keep(out.path(), 2, made, &record, "again: so", all).unwrap()
        };
        assert_eq!(keep_it(&made(None), false), None);
        let folder = keep_it(&made(None), true).unwrap();
        assert_eq!(folder, out.path().join("histories/0002-seed-17"));
        assert!(folder.join("history.edn").exists() && !folder.join("accusation.txt").exists());
        assert_eq!(keep_it(&made(Some("a lost write")), false), Some(folder.clone()));
        let accusation = std::fs::read_to_string(folder.join("accusation.txt")).unwrap();
        let began = "what went wrong began: loss at 0.000 ms";
        assert_eq!(accusation, format!("a lost write\n\n{began}\n\nagain: so\n\n"));
    }
}
