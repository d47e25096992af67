//! Keys: fixed-width hexadecimal numbers, so that their order is the order of the numbers, and how numbers are drawn.

use crate::model::Interval;
use crate::scenario::spec::{KeyDist, Keys};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Zipf};

/// Share of the key space that is hot, and share of the draws that go there.
const HOT_KEYS: f64 = 0.1;
const HOT_DRAWS: f64 = 0.9;
/// Exponent by which what was written last is read more often, as in YCSB's workload D.
const LATEST_EXPONENT: f64 = 0.99;
/// A key above all others: `g` comes after every hexadecimal digit.
const ABOVE_ALL: &[u8] = b"g";

/// How numbers are written as keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    space: u64,
    width: usize,
}

impl Names {
    pub(super) fn of(keys: Keys) -> Names {
        Names { space: keys.space, width: keys.size.0 as usize }
    }

    pub(super) fn key(self, number: u64) -> Vec<u8> {
        let width = self.width;
        format!("{number:0width$x}").into_bytes()
    }

    /// `count` neighbouring keys from number `from` on. One that would run over the end begins earlier, so that every
    /// interval is as long as asked.
    pub(super) fn interval(self, from: u64, count: u64) -> Interval {
        let from = from.min(self.space.saturating_sub(count));
        let end = (from + count).min(self.space);
        let range_end = if end == self.space { ABOVE_ALL.to_vec() } else { self.key(end) };
        Interval { key: self.key(from), range_end }
    }

    /// Numbers drawn by `draw`, all different: one that is taken gives way to its next neighbour. There have to be as
    /// many as `count`.
    pub(super) fn distinct(self, count: usize, mut draw: impl FnMut() -> u64) -> Vec<u64> {
        let mut numbers = Vec::with_capacity(count);
        while numbers.len() < count {
            let mut number = draw();
            while numbers.contains(&number) {
                number = (number + 1) % self.space;
            }
            numbers.push(number);
        }
        numbers
    }
}

/// Draws key numbers in `0..space`.
#[derive(Clone, Debug)]
pub(super) enum KeyDraw {
    Uniform { space: u64 },
    Zipf { space: u64, zipf: Zipf<f64> },
    Hotspot { space: u64, hot: u64 },
    Sequential { space: u64, next: u64 },
    Latest { space: u64, next: u64, ages: Zipf<f64> },
}

impl KeyDraw {
    pub(super) fn of(keys: Keys, client: u64) -> KeyDraw {
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
            KeyDist::Sequential => KeyDraw::Sequential { space, next: place_of(client, space) },
            KeyDist::Latest => KeyDraw::Latest {
                space,
                next: place_of(client, space),
                ages: Zipf::new(space as f64, LATEST_EXPONENT)
                    .expect("a checked scenario has a key space >= 1"),
            },
        }
    }

    /// The next key to write.
    pub(super) fn next_written(&mut self, random: &mut ChaCha8Rng) -> u64 {
        match self {
            KeyDraw::Latest { space, next, .. } => {
                *next = (*next + 1) % *space;
                *next
            }
            _ => self.next(random),
        }
    }

    /// The next key to read.
    pub(super) fn next(&mut self, random: &mut ChaCha8Rng) -> u64 {
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
            KeyDraw::Latest { space, next, ages } => {
                let age = ages.sample(random) as u64 - 1;
                (*next + *space - age) % *space
            }
        }
    }
}

/// Where a client begins: by a large odd stride, so that clients start far apart, whatever their number.
fn place_of(client: u64, space: u64) -> u64 {
    client.wrapping_mul(0x9e37_79b9_7f4a_7c15) % space
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::ByteSize;

    fn names(space: u64, size: u64) -> Names {
        let dist = KeyDist::Uniform;
        Names::of(Keys { space, size: ByteSize(size), dist, preload: 0, leases: 0 })
    }

    /// How many of the keys there are an interval holds.
    fn held(names: Names, interval: &Interval) -> usize {
        (0..names.space).filter(|number| interval.contains(&names.key(*number))).count()
    }

    #[test]
    fn intervals_are_as_long_as_asked_at_the_end_too() {
        // 256 keys of 2 digits: the number after the last one would need a third.
        for names in [names(256, 2), names(200, 2), names(100, 8)] {
            for from in [0, 1, 90, 99, names.space - 10, names.space - 1] {
                assert_eq!(held(names, &names.interval(from, 10)), 10, "{from} of {names:?}");
            }
            assert_eq!(held(names, &names.interval(3, names.space)), names.space as usize);
        }
    }

    #[test]
    fn what_was_written_last_is_read_most() {
        let dist = KeyDist::Latest;
        let keys = Keys { space: 1000, size: ByteSize(4), dist, preload: 0, leases: 0 };
        let mut draw = KeyDraw::of(keys, 3);
        let mut random = crate::seed::Seed(7).stream("keys", 0);
        let written: Vec<u64> = (0..500).map(|_| draw.next_written(&mut random)).collect();
        assert!(written.windows(2).all(|two| two[1] == (two[0] + 1) % 1000));
        let mut read_of_age = [0_u32; 1000];
        for _ in 0..20_000 {
            let age = (written[499] + 1000 - draw.next(&mut random)) % 1000;
            read_of_age[age as usize] += 1;
        }
        assert!(read_of_age[0] > 1500, "{}", read_of_age[0]);
        assert!(read_of_age[0] > read_of_age[1] && read_of_age[1] > read_of_age[30]);
    }

    #[test]
    fn distinct_numbers_differ_however_they_are_drawn() {
        assert_eq!(names(4, 1).distinct(4, || 2), [2, 3, 0, 1]);
        assert_eq!(names(4, 1).distinct(1, || 2), [2]);
    }
}
