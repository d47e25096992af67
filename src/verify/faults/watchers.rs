//! Watchers on every member that begin, stop and go on where they were, while members come and go under them.

use super::system::{System, Told, Way};
use crate::model::{Interval, MainRevision};
use crate::raft::MemberId;
use crate::seed::Seed;
use crate::units::Nanos;
use crate::verify::watch::Watched;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::sync::atomic::{AtomicBool, Ordering};

/// How long a watcher is at one store before it begins again, at most.
const STAY: u32 = 12;
/// How long one waits for a member that is down, and who reads slowly.
const WAIT: Nanos = Nanos::from_millis(20);

/// Watches on `member` until `stop`, then until it has been told of `end`.
pub(super) fn run<S: System>(
    system: &S,
    member: MemberId,
    number: u64,
    seed: Seed,
    stop: &AtomicBool,
    end: &dyn Fn() -> Option<MainRevision>,
) -> Watched {
    let mut random = seed.stream("watchers", member * 1_000 + number);
    let mut way = system.way();
    let mut watched = begin::<S>(&mut way, member, number, &mut random);
    loop {
        let is_over = stop.load(Ordering::Relaxed);
        let end = if is_over { end() } else { None };
        if is_over && end.is_none_or(|end| watched.progress >= end) {
            return watched;
        }
        match system.is_up(member) {
            true => stay(system, &mut way, member, &mut watched, &mut random),
            false => system.clock().sleep(WAIT),
        }
    }
}

fn begin<S: System>(
    way: &mut S::Way<'_>,
    member: MemberId,
    number: u64,
    random: &mut ChaCha8Rng,
) -> Watched {
    let interval = match random.random_range(0..4) {
        0 => Interval::everything(),
        1 => Interval::prefix(*b"k"),
        2 => Interval::prefix(*b"register-"),
        _ => Interval::point(format!("k{:02}", random.random_range(0..12))),
    };
    let published = way.revision(member).unwrap_or(1);
    let from = (published + random.random_range(-100..=100)).max(2);
    Watched {
        name: format!("watcher {number} of member {member}"),
        interval,
        prev_kv: random.random_bool(0.5),
        from,
        may_begin_before: false,
        knows_places: S::TELLS_PLACES,
        told: Vec::new(),
        progress: from - 1,
        resumed: 0,
    }
}

/// One watch, from where the last one ended.
fn stay<S: System>(
    system: &S,
    way: &mut S::Way<'_>,
    member: MemberId,
    watched: &mut Watched,
    random: &mut ChaCha8Rng,
) {
    let Some(mut watch) = way.watch(member, watched) else {
        system.clock().sleep(WAIT);
        return;
    };
    watched.resumed += 1;
    for _ in 0..random.random_range(1..=STAY) {
        match way.told(&mut watch) {
            Some(Told::Events(told)) => {
                let last = told.last().map_or(0, |(revision, _)| *revision);
                watched.progress = watched.progress.max(last);
                watched.told.extend(told);
            }
            Some(Told::Progress(revision)) => watched.progress = watched.progress.max(revision),
            None => return,
        }
        // A reader that is slow.
        if random.random_range(0..50) == 0 {
            system.clock().sleep(WAIT);
        }
    }
}
