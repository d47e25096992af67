//! Waiting for an instant more exactly than the runtime's timer does, which counts in milliseconds: a timer of the kernel
//! that wakes the thread like a socket.

use crate::units::Nanos;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Shortest sleep: what becomes due meanwhile is sent with it, so that waking costs little at high rates.
const NAP_MIN: Nanos = Nanos(50_000);

/// A timer of one thread.
pub(super) struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    /// Within a runtime, whose thread it will wake.
    pub(super) fn new() -> io::Result<Timer> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe code, for descriptors that are not owned"
        )]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Timer(timer))
    }

    /// Sleeps for `span`, and not much less than 50 µs. Dropped early, it leaves nothing behind that the next sleep sees.
    pub(super) async fn sleep(&self, span: Nanos) -> io::Result<()> {
        let span = span.max(NAP_MIN);
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let it_value = Timespec {
            tv_sec: (span.0 / 1_000_000_000) as i64,
            tv_nsec: (span.0 % 1_000_000_000) as _,
        };
        let once = Itimerspec { it_interval: never, it_value };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut ready = self.0.readable().await?;
            let mut expirations = [0; 8];
            let read =
                |timer: &AsyncFd<OwnedFd>| Ok(rustix::io::read(timer.get_ref(), &mut expirations)?);
            // A wake-up of an earlier sleep has no expiration for this one.
            match ready.try_io(read) {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => return Err(error),
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn sleeps_are_not_short_and_can_be_given_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (timer, clock) = (Timer::new().unwrap(), Clock::start());
            for span in [1_000, 200_000, 3_000_000] {
                let long = timer.sleep(Nanos(60_000_000_000));
                tokio::select! { biased; _ = long => panic!("too early"), () = std::future::ready(()) => {} }
                let began = clock.now();
                timer.sleep(Nanos(span)).await.unwrap();
                assert!(clock.now().since(began).0 >= span.max(NAP_MIN.0), "{span}");
            }
        });
    }
}
