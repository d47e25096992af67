//! Histories, one after the other, until there are enough: of nodes within this process, or of servers as processes of their own.

use super::watched::Watched;
use super::{Sitting, VerifyArgs, kept, plans, told};
use crate::cli::Terminal;
use crate::record::verification::{HistoryRecord, Skipped};
use crate::report::words::plain;
use crate::verify::faults::{self, Made};
use crate::verify::processes::{self, Tools};
use anyhow::Context;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// A history, and what is kept of it.
type Recorded = (Made, HistoryRecord);

impl Sitting {
    /// Of nodes within this process.
    pub(super) fn within(
        &mut self,
        args: &VerifyArgs,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<()> {
        let campaign = plans::campaign(args.campaign);
        let make = |number: u64, interrupted: &AtomicBool, tell: &mut dyn FnMut(u64)| {
            let (plan, path, engine) = plans::within(args, number);
            let made = faults::make(&plan, interrupted, tell)?;
            let record = told::recorded(campaign, &plan, path, engine, &made);
            Ok((made, record))
        };
        self.histories(args, make, terminal)
    }

    /// Of servers as processes, under what this machine has the tools for.
    pub(super) fn processes(
        &mut self,
        args: &VerifyArgs,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<()> {
        let tools = Tools::look();
        let program = std::env::current_exe().context("looking for this program")?;
        let wanted = |fault: &&processes::Fault| plans::is_wanted(args, fault.name());
        let (skipped, possible): (Vec<_>, Vec<_>) = processes::Fault::OF_SEVERAL
            .iter()
            .filter(wanted)
            .partition(|fault| tools.obstacle(**fault).is_some());
        let skip = |fault: &processes::Fault| Skipped {
            kind: fault.name().to_owned(),
            why: tools.obstacle(*fault).unwrap_or_default().to_owned(),
        };
        self.record.skipped = skipped.into_iter().map(skip).collect();
        for one in &self.record.skipped {
            writeln!(terminal.err, "skipped: {}: {}", one.kind, plain(&one.why))?;
        }
        if possible.is_empty() && !plans::is_without_faults(args) {
            return self.keep();
        }
        let possible: Vec<processes::Fault> = possible.into_iter().copied().collect();
        let make = |number: u64, interrupted: &AtomicBool, tell: &mut dyn FnMut(u64)| {
            let (plan, path, engine) = plans::of_processes(args, number, &possible);
            let made = processes::make(&plan, &program, &tools, interrupted, tell)?;
            let record = told::recorded(plans::PROCESSES, &plan, path, engine, &made);
            Ok((made, record))
        };
        self.histories(args, make, terminal)
    }

    /// A history that was interrupted shows nothing, and the next sitting makes it again.
    fn histories(
        &mut self,
        args: &VerifyArgs,
        make: impl Fn(u64, &AtomicBool, &mut dyn FnMut(u64)) -> anyhow::Result<Recorded>,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<()> {
        let mut shown = Watched::new(terminal.live);
        loop {
            let done = self.record.histories.len() as u64;
            let spent_s = || self.elapsed_before_s + self.clock.now().as_secs_f64();
            let is_over = match args.soak {
                Some(soak) => spent_s() >= soak.as_secs_f64(),
                None => done >= args.histories,
            };
            if is_over || terminal.interrupted.load(Ordering::Relaxed) {
                return Ok(());
            }
            let mut tell = |operations| shown.history(args, done, operations, spent_s());
            let (made, record) =
                make(done, &terminal.interrupted, &mut tell).context("a group did not start")?;
            let interrupted = terminal.interrupted.load(Ordering::Relaxed);
            if interrupted && made.violations().is_empty() {
                return Ok(());
            }
            let folder = self.keep_history(args, done + 1, &made, &record)?;
            if !args.json {
                let out = &mut *terminal.out;
                shown.aside(|| told::tell(out, &record, done + 1, args, folder.as_deref()))?;
            }
            self.record.histories.push(record);
            self.keep()?;
        }
    }

    /// Before the record says that it was made: should this process end in between, it is made again.
    fn keep_history(
        &self,
        args: &VerifyArgs,
        number: u64,
        made: &Made,
        record: &HistoryRecord,
    ) -> anyhow::Result<Option<PathBuf>> {
        let Some(out) = &args.out else { return Ok(None) };
        let again = told::again(record, args);
        kept::keep(out, number, made, record, &again, args.keep_histories).with_context(|| {
            format!("cannot keep a history in {}", plain(&out.display().to_string()))
        })
    }
}
