//! Known bugs in the real parallel path, one store at a time: each must be caught, and the store without one accused by
//! nobody. The bugs are in `src/store/seeded.rs`; those of other designs, in stores of their own, in `tests/equivalence`.
//!
//! `cargo test --release --features seeded-bugs --test seeded_bugs -- --nocapture` prints the table of
//! `docs/seeded-bugs.md`.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

mod checks;
mod simulation;

use checks::Check;
use kvbench::clock::Clock;
use kvbench::store::SeededBug;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Within this each bug must be caught.
const SECONDS_MAX: f64 = 60.0;

/// A check that says nothing for so long hangs.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Times that every check looks at the store that is right.
const CONTROL_ROUNDS: u64 = 8;

/// In the order in which they get to look.
const CHECKS: [Check; 4] =
    [checks::by_the_oracle, checks::by_watchers, checks::by_replay, checks::by_a_reader];

/// A round of `check` on a thread of its own, which is left behind if it hangs.
fn round(check: Check, bug: Option<SeededBug>, seed: u64) -> Option<String> {
    let (tell, told) = channel();
    thread::spawn(move || tell.send(check(bug, seed)));
    match told.recv_timeout(SILENCE_MAX) {
        Ok(verdict) => verdict,
        Err(RecvTimeoutError::Disconnected) => Some("panic".to_owned()),
        Err(RecvTimeoutError::Timeout) => Some("no answer".to_owned()),
    }
}

/// Lets the checks look in turn until one of them accuses.
fn hunt(bug: SeededBug) -> Option<(String, f64)> {
    let clock = Clock::start();
    for seed in 0.. {
        for check in CHECKS {
            let caught = round(check, Some(bug), seed);
            let seconds = clock.now().as_secs_f64();
            if seconds > SECONDS_MAX {
                return None;
            }
            if let Some(by) = caught {
                return Some((by, seconds));
            }
        }
    }
    None
}

#[expect(clippy::print_stdout, reason = "who caught what is a result")]
#[test]
fn every_seeded_bug_is_caught() {
    for bug in SeededBug::ALL {
        let Some((by, seconds)) = hunt(bug) else {
            panic!("{bug:?} was not caught within {SECONDS_MAX} s");
        };
        println!("| {bug:?} | {by} | {seconds:.2} |");
    }
}

#[test]
fn the_store_without_a_bug_is_accused_by_nobody() {
    for seed in 0..CONTROL_ROUNDS {
        for check in CHECKS {
            assert_eq!(round(check, None, seed), None, "seed {seed}");
        }
    }
}
