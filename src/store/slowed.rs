//! A store that is slower than it need be, so that `kvbench gate` has something to find: `scripts/gate_demo` holds such a program
//! against the same one at full speed. Only in builds with feature `slowed-apply`, so that no other build carries it.

use crate::clock::Clock;
use crate::units::Nanos;

/// The variable that says by how many percent each evaluation is drawn out, read when a store is opened.
const PERCENT: &str = "KVBENCH_SLOWED_APPLY";

/// No evaluation of what the demonstration asks takes so long.
const LONGEST: Nanos = Nanos(50_000);

/// Draws evaluations out.
pub(super) struct Slowed {
    clock: Clock,
    percent: u64,
}

impl Slowed {
    /// By as much as the environment says; by nothing if it says nothing.
    pub(super) fn from_environment() -> Slowed {
        let percent = std::env::var(PERCENT).ok().and_then(|text| text.parse().ok());
        Slowed { clock: Clock::start(), percent: percent.unwrap_or(0) }
    }

    /// Does `work`, and then waits on the CPU in proportion to the time it took; what takes longer than [`LONGEST`] was kept from the CPU.
    pub(super) fn draw_out<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = self.clock.now();
        let done = work();
        let now = self.clock.now();
        let took = now.since(began).min(LONGEST);
        let until = now.after(Nanos(took.0 * self.percent / 100));
        while self.clock.now() < until {
            std::hint::spin_loop();
        }
        done
    }
}
