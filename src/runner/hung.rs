//! Letting go of a system that hangs. Dropping it may wait for threads of its own that never end, and a load thread that it
//! keeps may hold it for good; neither may keep the run from telling what has happened.

use super::RunError;
use crate::clock::Clock;
use crate::units::Nanos;
use std::sync::Arc;

/// How long a system has to end, and those who used it to leave it.
const LEAVING_MAX: Nanos = Nanos::from_millis(5_000);
/// Between two looks.
const NAP: Nanos = Nanos::from_millis(1);

/// Does something to a system and lets go of it.
pub(super) fn with<T: Send + Sync + 'static, R>(
    target: T,
    clock: Clock,
    act: impl FnOnce(&Arc<T>) -> Result<R, RunError>,
) -> Result<R, RunError> {
    let target = Arc::new(target);
    let done = act(&target);
    if matches!(done, Err(RunError::Stalled { .. })) {
        leave(target, clock);
    }
    done
}

/// Lets go of a system that may hang: it ends on a thread of its own if nobody is left in it before long; otherwise it goes
/// with the process.
pub(super) fn leave<T: Send + Sync + 'static>(target: Arc<T>, clock: Clock) {
    let began = clock.now();
    let is_over = move || clock.now().since(began) > LEAVING_MAX;
    let end = move || {
        while Arc::strong_count(&target) > 1 && !is_over() {
            clock.sleep(NAP);
        }
        drop(target);
    };
    let Ok(ending) = std::thread::Builder::new().name("leave".to_owned()).spawn(end) else {
        return;
    };
    while !ending.is_finished() && clock.now().since(began) <= LEAVING_MAX {
        clock.sleep(NAP);
    }
}
