//! A history that another tool recorded, checked register by register.

use super::super::{Exit, Terminal};
use crate::files;
use crate::report::words::{count, plain};
use crate::verify::edn::{self, Recorded, Shape};
use crate::verify::wgl::register::{Register, RegisterOp, VersionedOp, VersionedRegister};
use crate::verify::wgl::{self, Model, Verdict};
use std::collections::BTreeMap;
use std::path::Path;

/// Steps in search of an order of one register's operations.
const STEPS_MAX: u64 = 20_000_000;

pub(super) fn check(
    file: &Path,
    keyed: bool,
    versioned: bool,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Exit> {
    let name = plain(&file.display().to_string());
    let text = files::read_text(file, edn::BYTES_MAX as u64).map_err(|error| error.to_string());
    let judged = text.and_then(|text| match versioned {
        true => {
            judge::<VersionedOp<u64>, _>(&text, keyed, versioned, &VersionedRegister::default())
        }
        false => judge::<RegisterOp<u64>, _>(&text, keyed, versioned, &Register::default()),
    });
    match judged {
        Ok(judged) => tell(&name, &judged, terminal),
        Err(words) => {
            let hint =
                "Jepsen's history.edn or its log; --keyed if values are pairs of key and value";
            writeln!(terminal.err, "error: {name}: {}\n  hint: {hint}", plain(&words))?;
            Ok(Exit::Usage)
        }
    }
}

/// Each register with its number of operations and what is said of it.
type Judged = BTreeMap<Option<u64>, (usize, Verdict)>;

fn judge<O: Recorded, M: Model<Op = O>>(
    text: &str,
    keyed: bool,
    versioned: bool,
    model: &M,
) -> Result<Judged, String> {
    let records =
        edn::import(text, Shape { keyed, versioned }).map_err(|error| error.to_string())?;
    let registers = edn::calls::<O>(&records).map_err(|error| error.to_string())?;
    let judged = registers
        .into_iter()
        .map(|(key, calls)| (key, (calls.len(), wgl::check(model, &calls, STEPS_MAX))));
    Ok(judged.collect())
}

fn tell(name: &str, judged: &Judged, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let mut exit = Exit::Met;
    for (key, (operations, verdict)) in judged {
        let key = key.map_or_else(String::new, |key| format!(" key {key}:"));
        let (words, its) = match verdict {
            Verdict::Linearizable => continue,
            Verdict::Violation { longest, .. } => (
                format!("not linearizable: no order explains more than {} of them", longest.len()),
                Exit::WrongAnswer,
            ),
            Verdict::Undecided { steps } => {
                (format!("undecided after {steps} steps"), Exit::Inconclusive)
            }
        };
        let operations = count(*operations, "operation", "operations");
        writeln!(terminal.out, "{name}:{key} {operations}, {words}")?;
        exit = exit.worse(its);
    }
    let operations: usize = judged.values().map(|(operations, _)| operations).sum();
    let fine = judged.values().filter(|(_, verdict)| matches!(verdict, Verdict::Linearizable));
    writeln!(
        terminal.out,
        "{name}: {} of {} linearizable, {} in all",
        fine.count(),
        count(judged.len(), "register", "registers"),
        count(operations, "operation", "operations")
    )?;
    Ok(exit)
}
