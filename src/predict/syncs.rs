//! How long a sync of the log takes: not at all, always the same, or as measured.

use super::spread::Spread;

/// Syncs of one disk.
#[derive(Clone, Debug, PartialEq)]
pub enum Syncs {
    /// None happen.
    Off,
    /// Alike, however much is written.
    Alike(Spread),
    /// As measured at several amounts, ascending; at least one.
    Measured(Vec<Level>),
}

/// Syncs of about the same amount.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// Bytes written between two syncs, mean.
    pub bytes: f64,
    /// How long they took.
    pub spread: Spread,
}

impl Syncs {
    /// As measured: levels in any order, those of the same amount once.
    pub fn measured(mut levels: Vec<Level>) -> Syncs {
        levels.sort_by(|a, b| a.bytes.total_cmp(&b.bytes));
        levels.dedup_by(|b, a| b.bytes <= a.bytes);
        if levels.is_empty() { Syncs::Off } else { Syncs::Measured(levels) }
    }

    /// A sync after `bytes` that a share (0..=1) of such syncs do not exceed, ns. Between two levels it follows the straight
    /// line, outside them the nearer one.
    pub fn quantile_ns(&self, bytes: f64, share: f64) -> f64 {
        let levels = match self {
            Syncs::Off => return 0.0,
            Syncs::Alike(spread) => return spread.quantile_ns(share),
            Syncs::Measured(levels) => levels,
        };
        let above = levels.partition_point(|level| level.bytes < bytes);
        let (Some(low), Some(high)) = (levels.get(above.wrapping_sub(1)), levels.get(above)) else {
            let nearest = if above == 0 { levels.first() } else { levels.last() };
            return nearest.map_or(0.0, |level| level.spread.quantile_ns(share));
        };
        let part = (bytes - low.bytes) / (high.bytes - low.bytes);
        low.spread.quantile_ns(share) * (1.0 - part) + high.spread.quantile_ns(share) * part
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these are exact")]
mod tests {
    use super::*;

    #[test]
    fn more_bytes_take_longer_within_what_was_measured() {
        let level = |bytes, ns| Level { bytes, spread: Spread::fixed(ns) };
        let syncs = Syncs::measured(vec![level(3000.0, 300.0), level(1000.0, 100.0)]);
        let at = |bytes| syncs.quantile_ns(bytes, 0.5);
        assert_eq!([at(10.0), at(1000.0), at(2000.0), at(3000.0)], [100.0, 100.0, 200.0, 300.0]);
        assert_eq!(at(1e9), 300.0);
        assert_eq!(Syncs::measured(Vec::new()), Syncs::Off);
        assert_eq!(Syncs::Off.quantile_ns(1.0, 0.5), 0.0);
    }
}
