//! Small-sample statistics for trials, paired ones before all: estimates of location, intervals, tests, and what may
//! be said of many figures. Pure functions of numbers; no clock, no randomness but that of a
//! given seed, no knowledge of what the numbers mean.
//!
//! It refuses to decide from too little: below [`PAIRS_MIN`] pairs there is no interval, because no outcome
//! of the signed-rank test reaches [`ALPHA`] there. For pairs it refuses approximations too: the null distribution is
//! counted out at every n. The work grows with n³, which is nothing for tens of pairs and bearable for a thousand.
//! Where another file approximates, it says from which size on.
//!
//! Caveats: the signed-rank interval assumes that the differences are symmetric about their centre. Log-ratios
//! of two trials in random order are, when both arms spread alike.

mod bootstrap;
mod change_points;
mod family;
mod level_changes;
mod location;
mod mann_whitney;
mod overall;
mod quantile;
mod scalability;
mod shift;
mod signed_rank;
mod student;
mod tail;
mod trend;

pub use bootstrap::{Mean, RESAMPLES, bca_intervals, bootstrap_mean};
pub use change_points::{change_points, noise};
pub use family::{benjamini_hochberg, discoveries};
pub use level_changes::{CHANGE_ALPHA, LEVEL_RUNS_MIN, LevelChange, level_changes};
pub use location::{
    GeometricLocation, geometric_location, hodges_lehmann, pairs_needed, ratio_half_width,
};
pub use mann_whitney::{COUNTED_MAX, mann_whitney_p_value};
pub use overall::{Overall, overall_ratio};
pub use quantile::{median, quantile};
pub use scalability::{Figure, LEVELS_MIN, Scalability, TRIALS_MIN, Unfit, scalability};
pub use shift::{Shift, UnpairedRatio, shift, unpaired_ratio};
pub use signed_rank::{Interval, critical_value, signed_rank_interval, signed_rank_p_value};
pub use student::{Difference, difference as student_difference, student_mean};
pub use tail::{Admission, BEYOND_JUDGED_MIN, BEYOND_SHOWN_MIN, beyond, rank_interval};
pub use trend::{Trend, trend};

/// Two-sided level of every interval: at most this share of intervals misses the truth.
pub const ALPHA: f64 = 0.05;

/// Fewest differences with an interval at [`ALPHA`]: the smallest two-sided p of n differences is 2 / 2ⁿ.
pub const PAIRS_MIN: usize = 6;

/// Largest count that [`pairs_needed`] names; beyond it more pairs are not the answer.
pub const PAIRS_NEEDED_MAX: usize = 1000;
