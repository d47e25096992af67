//! Watchers on every member that begin, stop and go on where they were, while members come and go under them.

use super::rig::Rig;
use crate::model::{Interval, MainRevision};
use crate::raft::MemberId;
use crate::seed::Seed;
use crate::store::{WatchLimits, WatchResponse, WatchSpec, Watcher};
use crate::units::Nanos;
use crate::verify::watch::Watched;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::sync::atomic::{AtomicBool, Ordering};

/// How long a watcher is at one store before it begins again, at most.
const STAY: u32 = 12;
const WAIT: Nanos = Nanos::from_millis(20);
/// Small, so that readers are too slow now and then and go back to the history.
const LIMITS: WatchLimits = WatchLimits {
    buffer_events: 64,
    buffer_bytes: 1 << 16,
    fragment_bytes: 1 << 20,
    history_revisions: 16,
};

/// Watches on `member` until `stop`, then until it has been told of `end`.
pub(super) fn run(
    rig: &Rig,
    member: MemberId,
    number: u64,
    seed: Seed,
    stop: &AtomicBool,
    end: &dyn Fn() -> Option<MainRevision>,
) -> Watched {
    let mut random = seed.stream("watchers", member * 1_000 + number);
    let mut watched = begin(rig, member, number, &mut random);
    loop {
        let is_over = stop.load(Ordering::Relaxed);
        let end = if is_over { end() } else { None };
        if is_over && end.is_none_or(|end| watched.progress >= end) {
            return watched;
        }
        stay(rig, member, &mut watched, &mut random);
    }
}

fn begin(rig: &Rig, member: MemberId, number: u64, random: &mut ChaCha8Rng) -> Watched {
    let interval = match random.random_range(0..4) {
        0 => Interval::everything(),
        1 => Interval::prefix(*b"k"),
        2 => Interval::prefix(*b"register-"),
        _ => Interval::point(format!("k{:02}", random.random_range(0..12))),
    };
    let published = rig.node(member).map_or(1, |node| node.store().published());
    let from = (published + random.random_range(-100..=100)).max(2);
    Watched {
        name: format!("watcher {number} of member {member}"),
        interval,
        prev_kv: random.random_bool(0.5),
        from,
        may_begin_before: false,
        told: Vec::new(),
        progress: from - 1,
        resumed: 0,
    }
}

/// One watch, from where the last one ended.
fn stay(rig: &Rig, member: MemberId, watched: &mut Watched, random: &mut ChaCha8Rng) {
    let Some(node) = rig.node(member) else {
        rig.clock.sleep(WAIT);
        return;
    };
    let spec = WatchSpec {
        interval: watched.interval.clone(),
        start_revision: watched.progress + 1,
        prev_kv: watched.prev_kv,
        progress: true,
        ..WatchSpec::default()
    };
    let mut watcher = Watcher::new(&node.store(), spec, LIMITS);
    // Whoever restarts the member waits for those who hold it.
    drop(node);
    watched.resumed += 1;
    for _ in 0..random.random_range(1..=STAY) {
        match watcher.next(WAIT.into()) {
            Some(WatchResponse::Events { revision, events, .. }) => {
                watched.told.push((revision, events));
                watched.progress = watched.progress.max(revision);
            }
            Some(WatchResponse::Progress { revision }) => {
                watched.progress = watched.progress.max(revision);
            }
            Some(WatchResponse::Cancelled { .. }) | None => return,
        }
        // A reader that is slow.
        if random.random_range(0..50) == 0 {
            rig.clock.sleep(WAIT);
        }
    }
}
