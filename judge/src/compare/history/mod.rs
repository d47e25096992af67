//! Runs over time: what a run leaves in a history, how its metrics went since, and which runs a new one may be held against.
//!
//! Runs are points of one series only if they were asked the same question under the same conditions: scenario to the letter,
//! machine, way of measuring, `--quick`, whether system calls were counted, cargo profile, number of load machines, arm. Everything else parts them, and nothing is
//! corrected for: a series that was parted says by what.
//!
//! Caveat: two runs share no block, so a host that changed within one machine key looks like a change of the program. That
//! the `before` arm, which is there to stay the same, changed at the same run is the sign of it.

mod entry;
mod level;
mod series;
#[cfg(test)]
mod tests;
mod trend;

pub use entry::{NoEntry, entry};
pub use level::{Blessing, NoLevel, Part, baseline, bless};
pub use trend::{Question, trends};

/// Newest runs of a series that are looked at: work grows with their square, and older ones decide nothing today.
pub const RUNS_MAX: usize = 500;
