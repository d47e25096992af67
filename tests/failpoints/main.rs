//! Something goes wrong at every named place: each is reached, it happens, and whoever ended starts again and has all that was acknowledged.
//!
//! `cargo test --release --features failpoints --test failpoints`
//!
//! Sites belong to the process, so tests that arm them here take turns; `processes` arms them in servers of their own.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

mod groups;
mod network;
mod occasions;
mod processes;
mod registry;
#[path = "../peers/rig.rs"]
#[expect(dead_code, reason = "another test's rig, of which only some is used here")]
mod rig;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by the test whose turn it is.
static TURN: Mutex<()> = Mutex::new(());

/// Nobody else arms anything until this is dropped.
fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
