//! How far a run is: one redrawn line on a terminal, a plain line now and then elsewhere.

use crate::clock::Clock;
use crate::runner::{Progress, Watcher};
use crate::units::Nanos;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;

/// Time between two plain lines.
const PLAIN_EVERY: Nanos = Nanos::from_millis(10_000);
const LINE: &str = " {bar:12} {eta} left · {wide_msg}";

/// Shows a run's progress until dropped.
pub(super) enum Shown<'a> {
    /// One line that redraws itself.
    Live(ProgressBar),
    /// Lines for a log.
    Plain {
        /// Where they go.
        err: &'a mut dyn Write,
        /// Time since the run began.
        clock: Clock,
        /// When the next line is due.
        next: Nanos,
    },
}

impl<'a> Shown<'a> {
    /// For a terminal if `live`, else for a log.
    pub(super) fn new(live: bool, err: &'a mut dyn Write) -> Shown<'a> {
        match live {
            true => Shown::live(),
            false => Shown::Plain { err, clock: Clock::start(), next: PLAIN_EVERY },
        }
    }

    /// On the terminal behind stderr.
    pub(super) fn live() -> Shown<'a> {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(LINE).expect("the template is a constant");
        bar.set_style(style);
        Shown::Live(bar)
    }

    /// Has something else written while the line that redraws itself is away.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match self {
            Shown::Live(bar) => bar.suspend(write),
            Shown::Plain { .. } => write(),
        }
    }
}

impl Watcher for Shown<'_> {
    fn progress(&mut self, progress: &Progress<'_>) {
        let text = describe(progress);
        match self {
            Shown::Live(bar) => {
                bar.set_length(progress.planned.max(progress.done));
                bar.set_position(progress.done);
                bar.set_message(text);
                bar.tick();
            }
            Shown::Plain { err, clock, next } => {
                let now = clock.now();
                if now >= *next {
                    let left = left(now, progress);
                    // A log that cannot be written must not end the run.
                    let _ = writeln!(
                        err,
                        "{text} · {:.0} s gone, about {left:.0} s left",
                        now.as_secs_f64()
                    );
                    *next = now.after(PLAIN_EVERY);
                }
            }
        }
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if let Shown::Live(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// Trials without pairs are those of a prediction.
fn describe(progress: &Progress<'_>) -> String {
    if progress.pairs == 0 {
        return progress.doing.to_owned();
    }
    let ratio = progress.ratio.map_or(String::new(), |ratio| format!(" · {ratio:.1}× so far"));
    format!("pair {} of {}{ratio} · {}", progress.pair, progress.pairs, progress.doing)
}

/// Seconds left if the rest goes like what is done.
fn left(elapsed: Nanos, progress: &Progress<'_>) -> f64 {
    let rest = progress.planned.saturating_sub(progress.done) as f64;
    elapsed.as_secs_f64() * rest / progress.done.max(1) as f64
}
