//! Which locks of one name are hot: a cell for each, the darker the more it was taken.

use super::svg::Anchor;
use super::{Svg, WIDTH};
use crate::record::{LockProfile, ProfiledLock};
use crate::report::words::{self, micros, percent};

const COLUMNS: usize = 64;
const LEFT: f64 = 56.0;
const TOP: f64 = 22.0;
/// Steps of the scale; each twice the load of the one before, and the lowest is everything below a quarter of an even share.
const STEPS: [f64; 6] = [0.25, 0.5, 1.0, 2.0, 4.0, f64::INFINITY];
/// Fewest locks that make a picture, and most.
const LOCKS: std::ops::RangeInclusive<usize> = 8..=4096;

/// The drawing; nothing unless there are enough locks of that name, and not too many to tell apart.
pub(in crate::report) fn render(profile: &LockProfile, lock: &ProfiledLock) -> Option<String> {
    let taken = &lock.acquisitions_each;
    let all = lock.acquisitions();
    if !LOCKS.contains(&taken.len()) || all == 0 {
        return None;
    }
    let rows = taken.len().div_ceil(COLUMNS);
    let cell = ((WIDTH - LEFT - 8.0) / COLUMNS.min(taken.len()) as f64).min(24.0);
    let legend = TOP + cell * rows as f64 + 12.0;
    let title =
        format!("{}: which of its {} {} locks are hot", profile.arm, taken.len(), lock.name);
    let mut svg = Svg::new(WIDTH, legend + 22.0, &title, &describe(lock));
    svg.text("small", (0.0, 12.0), Anchor::Start, &words::short(&title, 100));
    let even = all as f64 / taken.len() as f64;
    for (place, count) in taken.iter().enumerate() {
        let (column, row) = (place % COLUMNS, place / COLUMNS);
        let corner = (LEFT + cell * column as f64, TOP + cell * row as f64);
        if column == 0 {
            let at = (LEFT - 6.0, corner.1 + cell * 0.5 + 4.0);
            svg.text("small", at, Anchor::End, &place.to_string());
        }
        let tip = tip(lock, place, *count, all);
        svg.rect(&format!("heat h{}", step(*count as f64 / even)), corner, (cell, cell), &tip);
    }
    svg.text("small", (0.0, legend + 12.0), Anchor::Start, "share");
    for (place, most) in STEPS.iter().enumerate() {
        let x = LEFT + 118.0 * place as f64;
        svg.rect(&format!("heat h{place}"), (x, legend), (14.0, 14.0), "");
        let text = match most.is_finite() {
            true => format!("\u{2264} {most} \u{d7} even"),
            false => "more".to_string(),
        };
        svg.text("small", (x + 20.0, legend + 12.0), Anchor::Start, &text);
    }
    Some(svg.finish())
}

fn step(of_even: f64) -> usize {
    STEPS.iter().position(|most| of_even <= *most).unwrap_or(STEPS.len() - 1)
}

fn tip(lock: &ProfiledLock, place: usize, count: u64, all: u64) -> String {
    let waited = lock.wait_ns_each.get(place).copied().unwrap_or(0) as f64;
    let share = percent(count as f64 / all as f64);
    format!(
        "{} {place}: taken {count} times, {share} of all, waited for {} \u{b5}s",
        lock.name,
        micros(waited)
    )
}

/// The hottest, and how much more than its share it has.
fn describe(lock: &ProfiledLock) -> String {
    let taken = &lock.acquisitions_each;
    let all = lock.acquisitions();
    let hottest = taken.iter().enumerate().max_by_key(|(_, count)| **count);
    let told = |(place, count): (usize, &u64)| {
        let of_even = *count as f64 * taken.len() as f64 / all as f64;
        format!(
            "the hottest is number {place}, {} times an even share",
            words::significant(of_even)
        )
    };
    hottest.map_or(String::new(), told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_hottest_is_told_and_a_few_locks_make_no_picture() {
        let profile = sample::lock_profile("after");
        let mut lock = profile.locks[0].clone();
        lock.acquisitions_each = vec![100; 512];
        lock.acquisitions_each[77] = 100 * 12;
        lock.wait_ns_each = vec![0; 512];
        let svg = render(&profile, &lock).unwrap();
        assert!(svg.contains("the hottest is number 77, 11.7 times an even share"), "{svg}");
        assert_eq!(svg.matches("class=\"heat h5\"").count(), 2, "one cell, one in the legend");
        lock.acquisitions_each.truncate(1);
        assert!(render(&profile, &lock).is_none());
        lock.acquisitions_each = vec![0; 512];
        assert!(render(&profile, &lock).is_none());
    }

    #[test]
    fn steps_double() {
        assert_eq!([0.0, 0.25, 0.3, 1.0, 1.1, 4.0, 4.1].map(step), [0, 0, 1, 2, 3, 4, 5]);
    }
}
