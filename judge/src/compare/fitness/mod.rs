//! Whether a machine and a program are fit to measure with, from the record alone: one finding per fact, each with what is
//! wrong and what to do, and a grade over all of them. It never looks at the machine itself.
//!
//! A grade says how far to trust a number from there on other days and other machines. It is no verdict: pairs of random
//! order hold on a poor machine too, only wider, and what does not hold there is voided or warned of elsewhere.

mod facts;
mod probes;
#[cfg(test)]
mod tests;

use crate::record::{Build, Host, HostProbes, Run};
pub use facts::{SLOW_GOVERNOR, is_handed_on, is_in_memory};
use std::fmt;

/// What the letters cost: so many points and more is worse than A, B, C.
const POINTS: [(u32, Letter); 3] = [(8, Letter::D), (4, Letter::C), (1, Letter::B)];
/// Most that unknown facts cost together: not knowing is no proof of anything bad.
const UNKNOWN_POINTS_MAX: u32 = 3;

/// What to do where nothing better is known.
const LOOK_OUTSIDE: &str = "look on the host itself: containers and virtual machines hide it";

/// How much a fact takes from the trust in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// Nothing.
    Fit,
    /// Nothing, but worth saying: something optional is not there.
    Note,
    /// It could not be seen: 1 point, 3 for all of those together.
    Unknown,
    /// It makes results vary, or costs a little: 2 points.
    Noise,
    /// It pushes results to one side, or may at any time: 4 points.
    Bias,
    /// Numbers from here mean little: grade D, whatever the rest.
    Void,
}

impl Gravity {
    /// As in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Gravity::Fit => "fit",
            Gravity::Note => "note",
            Gravity::Unknown => "unknown",
            Gravity::Noise => "noise",
            Gravity::Bias => "bias",
            Gravity::Void => "void",
        }
    }
}

/// From A, nothing to find fault with, to D, numbers mean little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Letter {
    /// Every fact known and fit.
    A,
    /// 1 to 3 points.
    B,
    /// 4 to 7 points.
    C,
    /// 8 points and more, or a fact that voids everything.
    D,
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_char())
    }
}

impl Letter {
    /// The letter itself.
    pub fn as_char(self) -> char {
        match self {
            Letter::A => 'A',
            Letter::B => 'B',
            Letter::C => 'C',
            Letter::D => 'D',
        }
    }
}

/// One fact, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub name: &'static str,
    /// What was seen.
    pub value: String,
    /// How much it matters.
    pub gravity: Gravity,
    /// Why it is not fit; empty if it is.
    pub reason: String,
    /// What to do about it; empty if there is nothing to do.
    pub hint: &'static str,
}

/// A letter, and every fact that took something from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grade {
    /// The grade.
    pub letter: Letter,
    /// What is unfit, the gravest first.
    pub reasons: Vec<Finding>,
    /// What could not be seen.
    pub unknown: Vec<&'static str>,
}

/// How fit the machine and the program of a run were.
pub fn grade(run: &Run) -> Grade {
    graded(&facts(&run.host, &run.build))
}

/// Every fact of a record, judged.
pub fn facts(host: &Host, build: &Build) -> Vec<Finding> {
    let mut findings = facts::of_host(host);
    findings.extend(facts::of_build(build));
    findings
}

/// Everything that was tried out, judged.
pub fn probes(probes: &HostProbes) -> Vec<Finding> {
    probes::judged(probes)
}

/// The grade over some findings.
pub fn graded(findings: &[Finding]) -> Grade {
    let count = |gravity: Gravity| {
        let found = findings.iter().filter(|finding| finding.gravity == gravity);
        u32::try_from(found.count()).unwrap_or(u32::MAX)
    };
    let points = count(Gravity::Unknown).min(UNKNOWN_POINTS_MAX)
        + 2 * count(Gravity::Noise)
        + 4 * count(Gravity::Bias);
    let letter = match count(Gravity::Void) {
        0 => POINTS
            .iter()
            .find(|(least, _)| points >= *least)
            .map_or(Letter::A, |(_, letter)| *letter),
        _ => Letter::D,
    };
    let unfit = |finding: &&Finding| finding.gravity > Gravity::Unknown;
    let mut reasons: Vec<_> = findings.iter().filter(unfit).cloned().collect();
    reasons.sort_by_key(|finding| std::cmp::Reverse(finding.gravity));
    let unseen = findings.iter().filter(|finding| finding.gravity == Gravity::Unknown);
    Grade { letter, reasons, unknown: unseen.map(|finding| finding.name).collect() }
}

impl Finding {
    fn fit(name: &'static str, value: impl Into<String>) -> Finding {
        Finding {
            name,
            value: value.into(),
            gravity: Gravity::Fit,
            reason: String::new(),
            hint: "",
        }
    }

    fn unfit(self, gravity: Gravity, reason: impl Into<String>, hint: &'static str) -> Finding {
        Finding { gravity, reason: reason.into(), hint, ..self }
    }

    /// A fact that could not be seen.
    fn unseen(name: &'static str, reason: &'static str, hint: &'static str) -> Finding {
        let value = crate::record::NOT_VISIBLE;
        let hint = if hint.is_empty() { LOOK_OUTSIDE } else { hint };
        Finding::fit(name, value).unfit(Gravity::Unknown, reason, hint)
    }
}
