//! How far a campaign is and how long the rest will take, on a terminal; elsewhere what comes of each history is enough.

use super::super::progress::Shown;
use super::VerifyArgs;
use crate::runner::{Progress, Watcher};

/// Shows it until dropped.
pub(super) struct Watched(Option<Shown<'static>>);

impl Watched {
    /// On a terminal if `live`.
    pub(super) fn new(live: bool) -> Watched {
        Watched(live.then(Shown::live))
    }

    /// So much of what is planned is done.
    pub(super) fn at(&mut self, doing: &str, done: u64, planned: u64) {
        if let Some(shown) = &mut self.0 {
            let done = done.min(planned);
            shown.progress(&Progress { doing, pair: 0, pairs: 0, done, planned, ratio: None });
        }
    }

    /// In the history after `done` ones so many operations have ended; all sittings together took `spent_s`.
    pub(super) fn history(&mut self, args: &VerifyArgs, done: u64, operations: u64, spent_s: f64) {
        if self.0.is_none() {
            return;
        }
        let number = done + 1;
        match args.soak {
            Some(soak) => {
                let doing = format!("history {number} · {operations} operations");
                self.at(&doing, (spent_s * 1e3) as u64, soak.0 / 1_000_000);
            }
            None => {
                let doing =
                    format!("history {number} of {} · {operations} operations", args.histories);
                let whole = done.saturating_mul(args.operations);
                let planned = args.histories.saturating_mul(args.operations);
                self.at(&doing, whole + operations.min(args.operations), planned);
            }
        }
    }

    /// Has something else written while the line is away.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(shown) => shown.aside(write),
            None => write(),
        }
    }
}
