//! Reading a store of any size page by page, in a time that grows with its keys and not with their square. An answer says how many keys its interval
//! holds, limit or not, so a server looks at all of them each time; so only the first page is asked for out of everything, and each
//! further one out of an interval that should hold about as many keys as fit, if they lie as densely as those before.

use crate::model::{Interval, RangeResult};

/// Which interval is read next. All pages have to be of one revision.
#[derive(Debug)]
pub(super) struct Pages {
    /// Most keys of a page.
    limit: usize,
    /// Keys that are not read yet; nothing before the first page.
    left: Option<i64>,
    interval: Interval,
    /// How far apart the ends of the next interval are, as a fraction in bytes, the most significant first; nothing if that is
    /// not known, or too far.
    width: Option<Vec<u8>>,
    /// How many pages in succession were not half full.
    sparse: u32,
}

impl Pages {
    /// Before the first page, of pages of at most `limit` keys, which is more than one.
    pub(super) fn of(limit: usize) -> Pages {
        Pages { limit, left: None, interval: Interval::everything(), width: None, sparse: 0 }
    }

    /// What to read; nothing once every key was.
    pub(super) fn next(&self) -> Option<Interval> {
        self.left.is_none_or(|left| left > 0).then(|| self.interval.clone())
    }

    /// Takes note of what was found there.
    pub(super) fn took(&mut self, found: &RangeResult) {
        *self.left.get_or_insert(found.count) -= found.kvs.len() as i64;
        let is_last = self.interval.range_end == END && !found.more;
        if is_last {
            self.left = Some(0);
        }
        let ends = found.kvs.first().zip(found.kvs.last()).filter(|_| found.more);
        let from = if let Some((first, last)) = ends {
            self.width = minus(&last.key, &first.key);
            self.sparse = 0;
            [last.key.as_slice(), &[0]].concat()
        } else {
            let is_sparse = found.kvs.len() < self.limit / 2;
            self.sparse = if is_sparse { self.sparse + 1 } else { 0 };
            // Faster and faster, or a gap a thousand bits wide would take a thousand pages.
            for _ in 0..self.sparse {
                self.width = self.width.as_ref().and_then(|width| plus(width, width));
            }
            self.interval.range_end.clone()
        };
        let end = self.width.as_ref().and_then(|width| plus(&from, width));
        self.interval = Interval { key: from, range_end: end.unwrap_or(END.to_vec()) };
    }
}

/// The end of an interval that has none.
const END: [u8; 1] = [0];

/// `a - b` of fractions, where `a` is not the smaller one; nothing if that is 0: zeros at the end of a key make it no larger.
fn minus(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let mut difference = vec![0; a.len().max(b.len())];
    let mut borrow = 0;
    for (at, digit) in difference.iter_mut().enumerate().rev() {
        let whole = 256 + digit_of(a, at) - digit_of(b, at) - borrow;
        *digit = (whole % 256) as u8;
        borrow = u16::from(whole < 256);
    }
    difference.iter().any(|digit| *digit > 0).then_some(difference)
}

/// `a + b` of fractions; nothing if that is 1 or more, beyond all keys.
fn plus(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let mut sum = vec![0; a.len().max(b.len())];
    let mut carry = 0;
    for (at, digit) in sum.iter_mut().enumerate().rev() {
        let whole = digit_of(a, at) + digit_of(b, at) + carry;
        *digit = (whole % 256) as u8;
        carry = whole / 256;
    }
    (carry == 0).then_some(sum)
}

fn digit_of(fraction: &[u8], at: usize) -> u16 {
    fraction.get(at).copied().map_or(0, u16::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KeyValue;
    use std::collections::BTreeSet;

    /// Reads `keys` in pages of `limit`, as a server gives them; how many keys it looked at, and how often it was asked.
    fn read(keys: &BTreeSet<Vec<u8>>, limit: usize) -> (usize, usize) {
        let (mut pages, mut read) = (Pages::of(limit), Vec::new());
        let (mut looked_at, mut asked) = (0, 0);
        while let Some(interval) = pages.next() {
            let within: Vec<_> = keys
                .range(interval.key.clone()..)
                .take_while(|key| interval.range_end == END || **key < interval.range_end)
                .collect();
            looked_at += within.len();
            asked += 1;
            let given = within.iter().take(limit);
            let kvs: Vec<_> =
                given.map(|key| KeyValue { key: (*key).clone(), ..KeyValue::default() }).collect();
            read.extend(kvs.iter().map(|kv| kv.key.clone()));
            let count = within.len() as i64;
            pages.took(&RangeResult { more: within.len() > kvs.len(), kvs, count });
        }
        assert!(read.iter().eq(keys.iter()), "each key once, in order");
        (looked_at, asked)
    }

    #[test]
    fn keys_of_a_workload_are_looked_at_a_few_times_each() {
        for count in [0, 1, 99, 100, 101, 60_000] {
            let keys = (0..count).map(|number| format!("{number:016x}").into_bytes()).collect();
            let (looked_at, asked) = read(&keys, 100);
            assert!(
                looked_at <= 6 * count && asked <= 1 + count / 10,
                "{count}: {looked_at}, {asked}"
            );
        }
    }

    #[test]
    fn keys_may_lie_as_they_like() {
        let crowds = |number: u32| {
            let (crowd, within) = (number / 3_000, number % 3_000);
            format!("{}/{within}", "x".repeat(crowd as usize * 40)).into_bytes()
        };
        let mut keys: BTreeSet<Vec<u8>> = (0..12_000).map(crowds).collect();
        let extremes =
            [vec![0], vec![0, 0], vec![0, 1], vec![255; 9], vec![255; 1024], vec![254, 7]];
        keys.extend(extremes);
        keys.extend(
            (0..5_000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes().to_vec()),
        );
        let (looked_at, asked) = read(&keys, 100);
        assert!(looked_at <= 20 * keys.len() && asked < keys.len(), "{looked_at}, {asked}");
        let (_, asked) = read(&keys, 2);
        assert!(asked <= 2 * keys.len(), "{asked}");
    }

    #[test]
    fn fractions_are_added_and_taken_away() {
        assert_eq!(plus(&[1, 255], &[0, 1]), Some(vec![2, 0]));
        assert_eq!(plus(&[1], &[0, 7, 9]), Some(vec![1, 7, 9]));
        assert_eq!(plus(&[255, 255], &[0, 1]), None);
        assert_eq!(minus(&[2], &[1, 255]), Some(vec![0, 1]));
        assert_eq!(minus(&[7, 0], &[7]), None);
    }
}
