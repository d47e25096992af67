//! Small-sample statistics for paired trials: one estimate of location, one exact interval, one test.
//! Pure functions of numbers; no clock, no randomness, no knowledge of what the numbers mean.
//!
//! It refuses to decide from too little: below [`PAIRS_MIN`] pairs there is no interval, because no outcome
//! of the signed-rank test reaches [`ALPHA`] there. It refuses approximations too: the null distribution is
//! counted out at every n. The work grows with n³, which is nothing for tens of pairs and bearable for a thousand.
//!
//! Caveats: the signed-rank interval assumes that the differences are symmetric about their centre. Log-ratios
//! of two trials in random order are, when both arms spread alike.

mod location;
mod quantile;
mod signed_rank;

pub use location::{
    GeometricLocation, geometric_location, hodges_lehmann, pairs_needed, ratio_half_width,
};
pub use quantile::{median, quantile};
pub use signed_rank::{Interval, critical_value, signed_rank_interval, signed_rank_p_value};

/// Two-sided level of every interval: at most this share of intervals misses the truth.
pub const ALPHA: f64 = 0.05;

/// Fewest differences with an interval at [`ALPHA`]: the smallest two-sided p of n differences is 2 / 2ⁿ.
pub const PAIRS_MIN: usize = 6;

/// Largest count that [`pairs_needed`] names; beyond it more pairs are not the answer.
pub const PAIRS_NEEDED_MAX: usize = 1000;
