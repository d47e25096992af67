//! What the process says when it ends; stable, so that scripts may rely on it.

use crate::compare::Outcome;

/// Exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All targets met, or there were none; every check passed. Nothing got worse (`compare`).
    Met = 0,
    /// A target was missed, proven by its interval. Something got worse (`compare`).
    Missed = 1,
    /// The command line or a scenario is wrong; nothing ran.
    Usage = 2,
    /// No target was missed, but one could not be decided. Undecided, or not comparable (`compare`).
    Inconclusive = 3,
    /// The system gave a wrong answer; its speed does not matter.
    WrongAnswer = 4,
    /// The system or the host failed.
    Failed = 5,
    /// Interrupted; the partial report is marked.
    Interrupted = 130,
}

impl Exit {
    /// The process's exit status.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The more urgent of two: what a run of several scenarios ends with.
    pub fn worse(self, other: Exit) -> Exit {
        let urgency = |exit: Exit| match exit {
            Exit::Met => 0,
            Exit::Inconclusive => 1,
            Exit::Missed => 2,
            Exit::Usage => 3,
            Exit::Failed => 4,
            Exit::WrongAnswer => 5,
            Exit::Interrupted => 6,
        };
        if urgency(other) > urgency(self) { other } else { self }
    }
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Exit {
        match outcome {
            Outcome::Met | Outcome::NoTarget => Exit::Met,
            Outcome::Missed => Exit::Missed,
            Outcome::Inconclusive => Exit::Inconclusive,
            Outcome::WrongAnswer => Exit::WrongAnswer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_scenarios_end_with_the_most_urgent() {
        assert_eq!(Exit::Met.worse(Exit::Inconclusive), Exit::Inconclusive);
        assert_eq!(Exit::Inconclusive.worse(Exit::Missed), Exit::Missed);
        assert_eq!(Exit::WrongAnswer.worse(Exit::Missed), Exit::WrongAnswer);
        assert_eq!(Exit::Interrupted.code(), 130);
    }
}
