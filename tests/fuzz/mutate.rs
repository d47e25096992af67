//! Breaks samples: bits, bytes, numbers, stretches; a stretch of one sample within another.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// Changes to one sample at once, at most.
const CHANGES_MAX: u32 = 6;

/// Numbers at the edges of types, and the greatest lengths that are believed somewhere.
const EDGES: [u64; 18] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 53,
    (1 << 62) - 1,
    1 << 62,
    i64::MAX as u64,
    u64::MAX,
];

pub(crate) struct Mutator<'a> {
    pub(crate) rng: ChaCha8Rng,
    pub(crate) words: &'a [&'a [u8]],
    pub(crate) bytes_max: usize,
}

impl Mutator<'_> {
    /// One of the samples, changed in a few places.
    pub(crate) fn broken(&mut self, samples: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = samples.choose(&mut self.rng).cloned().unwrap_or_default();
        let mut changes = 1;
        while changes < CHANGES_MAX && self.rng.random_bool(0.5) {
            changes += 1;
        }
        for _ in 0..changes {
            self.change(&mut bytes, samples);
        }
        bytes.truncate(self.bytes_max);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, samples: &[Vec<u8>]) {
        match self.rng.random_range(0..13) {
            0 => self.at(bytes, |byte, rng| *byte ^= 1 << rng.random_range(0..8)),
            1 => self.at(bytes, |byte, rng| *byte = rng.random()),
            2 => self.at(bytes, |byte, rng| {
                let step = if rng.random_bool(0.5) { 1 } else { u8::MAX };
                *byte = byte.wrapping_add(step);
            }),
            3 | 4 => self.number(bytes),
            5 => {
                let stretch = self.stretch(bytes);
                bytes.drain(stretch);
            }
            6 => {
                let stretch = self.stretch(bytes);
                let again = bytes[stretch.clone()].to_vec();
                bytes.splice(stretch.end..stretch.end, again);
            }
            7 => {
                let stretch = self.stretch(bytes);
                bytes[stretch].fill(0);
            }
            8 => {
                let random: Vec<u8> =
                    (0..self.rng.random_range(1..9)).map(|_| self.rng.random()).collect();
                self.insert(bytes, &random);
            }
            9 => {
                if let Some(word) = self.words.choose(&mut self.rng) {
                    self.insert(bytes, word);
                }
            }
            10 => {
                if let Some(word) = self.words.choose(&mut self.rng) {
                    let stretch = self.stretch(bytes);
                    bytes.splice(stretch, word.iter().copied());
                }
            }
            11 => {
                let other = samples.choose(&mut self.rng).cloned().unwrap_or_default();
                let (into, of) = (self.stretch(bytes), self.stretch(&other));
                bytes.splice(into, other[of].iter().copied());
            }
            _ => bytes.truncate(self.rng.random_range(0..=bytes.len())),
        }
    }

    fn at(&mut self, bytes: &mut [u8], change: impl FnOnce(&mut u8, &mut ChaCha8Rng)) {
        if !bytes.is_empty() {
            let place = self.rng.random_range(0..bytes.len());
            change(&mut bytes[place], &mut self.rng);
        }
    }

    /// A number over what is there, of any width, either way round, or in digits over digits.
    fn number(&mut self, bytes: &mut Vec<u8>) {
        let edge = *EDGES.choose(&mut self.rng).unwrap_or(&0);
        let number = edge.wrapping_add(self.rng.random_range(0..3)).wrapping_sub(1);
        let width = 1 << self.rng.random_range(0..4);
        let (little, big) = (number.to_le_bytes(), number.to_be_bytes());
        match self.rng.random_range(0..3) {
            0 => self.over(bytes, &little[..width]),
            1 => self.over(bytes, &big[8 - width..]),
            _ => {
                let digits: Vec<usize> =
                    (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
                if let Some(&from) = digits.choose(&mut self.rng) {
                    let length =
                        bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                    let sign = if self.rng.random_bool(0.2) { "-" } else { "" };
                    bytes.splice(from..from + length, format!("{sign}{number}").into_bytes());
                }
            }
        }
    }

    fn over(&mut self, bytes: &mut [u8], with: &[u8]) {
        if bytes.len() >= with.len() {
            let place = self.rng.random_range(0..=bytes.len() - with.len());
            bytes[place..place + with.len()].copy_from_slice(with);
        }
    }

    fn insert(&mut self, bytes: &mut Vec<u8>, what: &[u8]) {
        let place = self.rng.random_range(0..=bytes.len());
        bytes.splice(place..place, what.iter().copied());
    }

    /// Mostly a short one.
    fn stretch(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let from = self.rng.random_range(0..=bytes.len());
        let most = bytes.len() - from;
        let most = if self.rng.random_bool(0.8) { most.min(16) } else { most };
        from..from + self.rng.random_range(0..=most)
    }
}
