//! What is sent: one deterministic stream of requests per client. Same seed and client, same requests, on any
//! machine. It reads no clock and no entropy and knows nothing of answers.

use crate::model::Request;
use crate::scenario::spec::{KeyDist, Keys, OpKind, Scenario, Values};
use crate::seed::Seed;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::weighted::WeightedIndex;
use rand_distr::{Distribution, LogNormal, Zipf};
use std::sync::Arc;

/// Random bytes that values are cut from; long enough that neighbours differ.
const POOL_BYTES: usize = 1 << 20;
/// Largest value a lognormal draw may give.
const VALUE_BYTES_MAX: usize = 1 << 20;
/// Share of the key space that is hot, and share of the draws that go there.
const HOT_KEYS: f64 = 0.1;
const HOT_DRAWS: f64 = 0.9;
/// 99 % quantile of the standard normal distribution.
const NORMAL_P99: f64 = 2.326_347_874;

/// What every stream of a scenario shares.
#[derive(Clone, Debug)]
pub struct Workload {
    keys: Keys,
    values: Values,
    kinds: Vec<OpKind>,
    weights: WeightedIndex<f64>,
    pool: Arc<[u8]>,
}

impl Workload {
    /// The workload of `scenario`. The bytes of values depend on its seed only.
    pub fn of(scenario: &Scenario) -> Workload {
        let mut pool = vec![0; 2 * POOL_BYTES];
        rand::RngCore::fill_bytes(&mut scenario.seed.stream("values", 0), &mut pool);
        Workload {
            keys: scenario.keys,
            values: scenario.values,
            kinds: scenario.ops.iter().map(|op| op.kind).collect(),
            weights: WeightedIndex::new(scenario.ops.iter().map(|op| op.weight))
                .expect("a checked scenario has operations, all with positive weights"),
            pool: pool.into(),
        }
    }

    /// The requests of client number `client`.
    pub fn stream(&self, seed: Seed, client: u64) -> Stream {
        let key_client = if self.keys.dist == KeyDist::Shared { 0 } else { client };
        Stream {
            draw_key: KeyDraw::of(self.keys, key_client),
            draw_size: SizeDraw::of(self.values),
            key_random: seed.stream("keys", key_client),
            random: seed.stream("requests", client),
            workload: self.clone(),
        }
    }
}

/// An endless, repeatable sequence of requests.
#[derive(Clone, Debug)]
pub struct Stream {
    workload: Workload,
    draw_key: KeyDraw,
    draw_size: SizeDraw,
    key_random: ChaCha8Rng,
    random: ChaCha8Rng,
}

impl Stream {
    /// The next request.
    pub fn next_request(&mut self) -> Request {
        let kind = match self.workload.kinds.as_slice() {
            [only] => *only,
            kinds => kinds[self.workload.weights.sample(&mut self.random)],
        };
        let key = self.next_key();
        match kind {
            OpKind::Put => Request::Put { key, value: self.next_value() },
            OpKind::Get => Request::Get { key },
            OpKind::Delete => Request::Delete { key },
        }
    }

    fn next_key(&mut self) -> Vec<u8> {
        let number = self.draw_key.next(&mut self.key_random);
        let width = self.workload.keys.size.0 as usize;
        format!("{number:0width$x}").into_bytes()
    }

    fn next_value(&mut self) -> Vec<u8> {
        let size = self.draw_size.next(&mut self.random);
        let from = self.random.random_range(0..POOL_BYTES);
        self.workload.pool[from..from + size].to_vec()
    }
}

/// Draws key numbers in `0..space`.
#[derive(Clone, Debug)]
enum KeyDraw {
    Uniform { space: u64 },
    Zipf { space: u64, zipf: Zipf<f64> },
    Hotspot { space: u64, hot: u64 },
    Sequential { space: u64, next: u64 },
}

impl KeyDraw {
    fn of(keys: Keys, client: u64) -> KeyDraw {
        let space = keys.space;
        match keys.dist {
            KeyDist::Uniform | KeyDist::Shared => KeyDraw::Uniform { space },
            KeyDist::Zipf(exponent) => KeyDraw::Zipf {
                space,
                zipf: Zipf::new(space as f64, exponent)
                    .expect("a checked scenario has a key space >= 1 and a positive exponent"),
            },
            KeyDist::Hotspot => {
                KeyDraw::Hotspot { space, hot: ((space as f64 * HOT_KEYS) as u64).max(1) }
            }
            // A large odd stride: clients start far apart, whatever their number.
            KeyDist::Sequential => KeyDraw::Sequential {
                space,
                next: client.wrapping_mul(0x9e37_79b9_7f4a_7c15) % space,
            },
        }
    }

    fn next(&mut self, random: &mut ChaCha8Rng) -> u64 {
        match self {
            KeyDraw::Uniform { space } => random.random_range(0..*space),
            // Zipf draws ranks from 1; the multiplication scatters the popular ones over the space.
            KeyDraw::Zipf { space, zipf } => {
                let rank = zipf.sample(random) as u64 - 1;
                rank.wrapping_mul(0x9e37_79b9_7f4a_7c15) % *space
            }
            KeyDraw::Hotspot { space, hot } => {
                let among = if random.random_bool(HOT_DRAWS) { *hot } else { *space };
                random.random_range(0..among)
            }
            KeyDraw::Sequential { space, next } => {
                let number = *next;
                *next = (*next + 1) % *space;
                number
            }
        }
    }
}

/// Draws value sizes in bytes.
#[derive(Clone, Debug)]
enum SizeDraw {
    Fixed(usize),
    Lognormal(LogNormal<f64>),
}

impl SizeDraw {
    /// The lognormal's µ is ln(median), its σ = ln(p99 / median) / z(0.99).
    fn of(values: Values) -> SizeDraw {
        match values {
            Values::Fixed(size) => SizeDraw::Fixed(size.0 as usize),
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
            SizeDraw::Lognormal(sizes) => (sizes.sample(random) as usize).min(VALUE_BYTES_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::ByteSize;

    fn workload(dist: KeyDist, values: Values) -> Workload {
        Workload {
            keys: Keys { space: 1000, size: ByteSize(16), dist },
            values,
            kinds: vec![OpKind::Put, OpKind::Get],
            weights: WeightedIndex::new([3.0, 1.0]).unwrap(),
            pool: vec![7; 2 * POOL_BYTES].into(),
        }
    }

    fn take(workload: &Workload, client: u64, count: usize) -> Vec<Request> {
        let mut stream = workload.stream(Seed(1), client);
        (0..count).map(|_| stream.next_request()).collect()
    }

    #[test]
    fn streams_repeat_and_clients_differ() {
        let workload = workload(KeyDist::Uniform, Values::Fixed(ByteSize(256)));
        assert_eq!(take(&workload, 0, 50), take(&workload, 0, 50));
        assert_ne!(take(&workload, 0, 50), take(&workload, 1, 50));
        assert!(take(&workload, 0, 50).iter().all(|request| request.key().len() == 16));
    }

    #[test]
    fn the_mix_and_the_sizes_are_as_asked() {
        let sizes = Values::Lognormal { median: ByteSize(256), p99: ByteSize(4096) };
        let requests = take(&workload(KeyDist::Zipf(0.99), sizes), 0, 20_000);
        let mut lengths: Vec<usize> = requests
            .iter()
            .filter_map(|request| match request {
                Request::Put { value, .. } => Some(value.len()),
                _ => None,
            })
            .collect();
        lengths.sort_unstable();
        let share = lengths.len() as f64 / 20_000.0;
        assert!((share - 0.75).abs() < 0.02, "{share}");
        assert!((240..=272).contains(&lengths[lengths.len() / 2]));
        assert!((3300..=4900).contains(&lengths[lengths.len() * 99 / 100]));
    }

    #[test]
    fn distributions_keep_to_their_shape() {
        let fixed = Values::Fixed(ByteSize(8));
        let sequential = take(&workload(KeyDist::Sequential, fixed), 3, 1000);
        let distinct: std::collections::HashSet<_> = sequential.iter().map(Request::key).collect();
        assert_eq!(distinct.len(), 1000);
        let shared = workload(KeyDist::Shared, fixed);
        let keys = |client| -> Vec<Vec<u8>> {
            take(&shared, client, 20).iter().map(|request| request.key().to_vec()).collect()
        };
        assert_eq!(keys(0), keys(9));
        let hot = take(&workload(KeyDist::Hotspot, fixed), 0, 5000);
        let in_hot = hot
            .iter()
            .filter(|request| {
                u64::from_str_radix(std::str::from_utf8(request.key()).unwrap(), 16).unwrap() < 100
            })
            .count();
        assert!((0.88..0.94).contains(&(in_hot as f64 / 5000.0)), "{in_hot}");
    }
}
