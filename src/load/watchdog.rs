//! Whether anything is still answered. Load threads count what they send and what comes back; whoever waits for the load
//! looks at these counts meanwhile, and gives the load up when requests are under way and none was answered for too long.
//!
//! One answer of one client is enough to go on: a slow system is measured, only one that stands still is not. Clients that
//! think, or whose operations are not due yet, have nothing under way, so they may take as long as they like.

use super::Span;
use super::window::{WARMUP_STRETCH_MAX, Window};
use crate::units::Nanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one load thread sent, and what came back, counted by that thread alone; on cache lines of its own, so that counting
/// costs the others nothing. Relaxed: a look that misses the latest sees it the next time.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Pulse {
    sent: AtomicU64,
    ended: AtomicU64,
}

impl Pulse {
    /// A request goes out.
    pub(super) fn sent(&self) {
        Pulse::count(&self.sent);
    }

    /// A request was answered, or refused, or has failed.
    pub(super) fn ended(&self) {
        Pulse::count(&self.ended);
    }

    /// Nobody else writes, so it need not be one instruction.
    fn count(counter: &AtomicU64) {
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

/// How a system stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stalled {
    /// It answers nobody.
    #[error("{under_way} requests were under way {when}, and for {silent} none was answered")]
    Unanswered {
        /// How many wait.
        under_way: u64,
        /// For how long.
        silent: Nanos,
        /// Where the load was.
        when: Moment,
    },
    /// It answers, but does not tell what it counts, say since that needs a lock that is never given back.
    #[error("its counters and locks could not be read {when}, for {silent}")]
    Unread {
        /// For how long.
        silent: Nanos,
        /// Where the load was.
        when: Moment,
    },
}

/// Where a load is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the measured span.
    Warmup,
    /// Within it.
    Measurement,
    /// After it, when what was sent is still to be answered.
    End,
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Moment::Warmup => "in the warm-up",
            Moment::Measurement => "in the measured span",
            Moment::End => "after the measured span",
        })
    }
}

/// Looks at pulses.
pub(super) struct Watchdog {
    window: Arc<Window>,
    pulses: Vec<Arc<Pulse>>,
    silence: Silence,
    reading_max: Nanos,
}

impl Watchdog {
    pub(super) fn new(pulses: Vec<Arc<Pulse>>, window: Arc<Window>, span: &Span) -> Watchdog {
        let silence = Silence::from(window.clock.now(), span.patience);
        // At an agent, beginning is waiting for the other agents' warm-up as well.
        let warm = Nanos(span.warmup.0.saturating_mul(2 * WARMUP_STRETCH_MAX));
        let reading_max = span.patience.after(span.patience).after(warm);
        Watchdog { window, pulses, silence, reading_max }
    }

    /// Whether the system stands still.
    pub(super) fn look(&mut self) -> Result<(), Stalled> {
        let when = self.window.moment();
        if let Some((under_way, silent)) = self.unanswered() {
            return Err(Stalled::Unanswered { under_way, silent, when });
        }
        let silent = self.window.read_for();
        if silent > self.reading_max {
            return Err(Stalled::Unread { silent, when });
        }
        Ok(())
    }

    /// How many requests are under way, and for how long none was answered, if that is too long.
    fn unanswered(&mut self) -> Option<(u64, Nanos)> {
        let sum = |count: fn(&Pulse) -> &AtomicU64| -> u64 {
            self.pulses.iter().map(|pulse| count(pulse).load(Ordering::Relaxed)).sum()
        };
        // What has ended first: of what is sent in between, nothing is missing.
        let ended = sum(|pulse| &pulse.ended);
        let sent = sum(|pulse| &pulse.sent);
        self.silence.look(self.window.clock.now(), sent, ended)
    }
}

/// For how long nothing was answered although something was asked.
struct Silence {
    patience: Nanos,
    /// Answers at the last look.
    ended: u64,
    looked: Nanos,
    silent: Nanos,
}

/// Most that one look adds. A process that was stopped, or a machine that slept, was not silent meanwhile: nobody was
/// there to be answered.
const LOOK_MAX: Nanos = Nanos::from_millis(1_000);

impl Silence {
    fn from(now: Nanos, patience: Nanos) -> Silence {
        Silence { patience, ended: 0, looked: now, silent: Nanos::ZERO }
    }

    fn look(&mut self, now: Nanos, sent: u64, ended: u64) -> Option<(u64, Nanos)> {
        let since = now.since(self.looked).min(LOOK_MAX);
        self.looked = now;
        let under_way = sent.saturating_sub(ended);
        if ended != self.ended || under_way == 0 {
            (self.ended, self.silent) = (ended, Nanos::ZERO);
            return None;
        }
        self.silent = self.silent.after(since);
        (self.silent >= self.patience).then_some((under_way, self.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Nanos = Nanos::from_millis(3_000);

    /// Looks every half a second; gives what each found.
    fn looks(counts: &[(u64, u64)]) -> Vec<Option<(u64, Nanos)>> {
        let mut silence = Silence::from(Nanos::ZERO, PATIENCE);
        let at = |look: usize| Nanos::from_millis(500 * (look as u64 + 1));
        let looked = counts.iter().enumerate();
        looked.map(|(look, (sent, ended))| silence.look(at(look), *sent, *ended)).collect()
    }

    #[test]
    fn silence_counts_while_something_is_under_way() {
        let found = looks(&[(5, 2); 9]);
        // The first look finds two answers, the second the first half of a second without one.
        let told = found.iter().position(Option::is_some);
        assert_eq!((told, found[6]), (Some(6), Some((3, PATIENCE))));
    }

    #[test]
    fn one_answer_begins_it_anew_and_who_thinks_is_not_waited_for() {
        let slow: Vec<_> = (0..40).map(|look| (9 + look / 5, look / 5)).collect();
        assert!(looks(&slow).iter().all(Option::is_none));
        assert!(looks(&[(7, 7); 40]).iter().all(Option::is_none));
        // An open loop that is rarely due: one at a time, each answered before long.
        let rare: Vec<_> =
            (0..40).map(|look| (1 + look / 6, u64::from(look > 2) + look / 6)).collect();
        assert!(looks(&rare).iter().all(Option::is_none));
    }

    #[test]
    fn a_process_that_was_stopped_was_not_silent() {
        let mut silence = Silence::from(Nanos::ZERO, PATIENCE);
        let hour = Nanos::from_millis(3_600_000);
        assert_eq!(silence.look(hour, 1, 0), None);
        assert_eq!(silence.silent, LOOK_MAX);
    }
}
