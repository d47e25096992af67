//! Values: their sizes by the distribution asked for, their bytes cut from a pool of random ones.

use crate::scenario::spec::Values;
use crate::seed::Seed;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};
use std::sync::Arc;

/// Random bytes that values are cut from; long enough that neighbours differ.
const POOL_BYTES: usize = 1 << 20;
/// Largest value a lognormal draw may give.
const VALUE_BYTES_MAX: usize = 1 << 20;
/// 99 % quantile of the standard normal distribution.
const NORMAL_P99: f64 = 2.326_347_874;

/// Where the bytes of values come from; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Pool(Arc<[u8]>);

impl Pool {
    /// Twice as long as where cuts begin, so that the largest value fits behind each.
    pub(super) fn of(seed: Seed) -> Pool {
        let mut bytes = vec![0; 2 * POOL_BYTES];
        rand::RngCore::fill_bytes(&mut seed.stream("values", 0), &mut bytes);
        Pool(bytes.into())
    }

    pub(super) fn value(&self, size: &SizeDraw, random: &mut ChaCha8Rng) -> Vec<u8> {
        let size = size.next(random);
        let from = random.random_range(0..POOL_BYTES);
        self.0[from..from + size].to_vec()
    }
}

/// Draws value sizes in bytes.
#[derive(Clone, Debug)]
pub(super) enum SizeDraw {
    Fixed(usize),
    Uniform { min: usize, max: usize },
    Lognormal(LogNormal<f64>),
}

impl SizeDraw {
    /// The lognormal's µ is ln(median), its σ = ln(p99 / median) / z(0.99).
    pub(super) fn of(values: Values) -> SizeDraw {
        match values {
            Values::Fixed(size) => SizeDraw::Fixed(size.0 as usize),
            Values::Uniform { min, max } => {
                SizeDraw::Uniform { min: min.0 as usize, max: max.0 as usize }
            }
            Values::Lognormal { median, p99 } => {
                let (median, p99) = (median.0 as f64, p99.0 as f64);
                SizeDraw::Lognormal(
                    LogNormal::new(median.ln(), (p99 / median).ln() / NORMAL_P99)
                        .expect("a checked scenario has p99 >= median >= 1"),
                )
            }
        }
    }

    fn next(&self, random: &mut ChaCha8Rng) -> usize {
        match self {
            SizeDraw::Fixed(size) => *size,
            SizeDraw::Uniform { min, max } => random.random_range(*min..=*max),
            SizeDraw::Lognormal(sizes) => (sizes.sample(random) as usize).min(VALUE_BYTES_MAX),
        }
    }
}
