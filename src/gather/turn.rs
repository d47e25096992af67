//! One system call for what many have to say. A batch of the log answers all its requests at once; the first answer would be sent as soon as it
//! is there, by a call of its own, and so would most others. Whoever waits a turn before it sends takes along what became ready meanwhile.

use futures_util::task::AtomicWaker;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Turns that a task is spared after one in which nobody had anything to add: with few clients waiting is for nothing.
const SPARED: u8 = 15;

/// Wakes once the runtime has run the tasks that are ready now, or, if there is no end of them, after some sixty; at once on a thread that
/// is no runtime's worker.
pub fn wake_after_ready_tasks(waker: &Waker) {
    // The runtime keeps the waker until then; whether this yields does not matter, since nobody waits for it.
    let _ = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(waker));
}

/// Turns of one task, one after the other: each comes once the runtime has run what was ready. The first comes at once.
pub(super) struct Turns {
    now: Arc<Turn>,
    is_awaited: bool,
    /// Whether the task ran for another reason while it waited, as it does when another answer is there.
    has_company: bool,
    /// Turns that it need not wait for.
    spared: u8,
}

/// The turn that is awaited, or was last.
#[derive(Default)]
struct Turn {
    has_come: AtomicBool,
    whose: AtomicWaker,
}

impl Turns {
    pub(super) fn new() -> Turns {
        Turns { now: Arc::default(), is_awaited: false, has_company: false, spared: 1 }
    }

    /// Ready once the turn has come; the task is woken then. However often it is polled for other reasons, it comes no sooner.
    /// `is_asked_again`: by a task that has not run for another reason since it asked last.
    pub(super) fn poll_come(&mut self, cx: &mut Context<'_>, is_asked_again: bool) -> Poll<()> {
        if self.spared > 0 {
            return Poll::Ready(());
        }
        self.now.whose.register(cx.waker());
        let was_awaited = self.is_awaited;
        if !self.is_awaited {
            (self.is_awaited, self.has_company) = (true, false);
            self.now.has_come.store(false, Ordering::Relaxed);
            wake_after_ready_tasks(&Waker::from(self.now.clone()));
        }
        match self.now.has_come.load(Ordering::Acquire) {
            true => Poll::Ready(()),
            false => {
                self.has_company |= was_awaited && !is_asked_again;
                Poll::Pending
            }
        }
    }

    /// The turn was used, or not waited for any longer.
    pub(super) fn end(&mut self) {
        let has_come = self.is_awaited && self.now.has_come.load(Ordering::Relaxed);
        self.spared = match self.spared {
            0 if has_come && !self.has_company => SPARED,
            spared => spared.saturating_sub(1),
        };
        self.is_awaited = false;
    }
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.has_come.store(true, Ordering::Release);
        self.whose.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::sync::Mutex;
    use tokio::runtime::Builder;

    /// Others that are ready go first, though each of them wakes whoever waits.
    #[test]
    fn a_turn_comes_after_all_who_are_ready_and_each_time_anew() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let waiter = Arc::new(AtomicWaker::new());
            let sender = tokio::spawn({
                let (said, waiter) = (said.clone(), waiter.clone());
                async move {
                    let mut turns = Turns::new();
                    turns.end();
                    for round in 0..2 {
                        poll_fn(|cx| {
                            waiter.register(cx.waker());
                            turns.poll_come(cx, false)
                        })
                        .await;
                        turns.end();
                        said.lock().unwrap().push(("sent", round));
                        // The others of the next round are ready by then.
                        (0..5).for_each(|_| spawn_one(&said, &waiter, round + 1));
                    }
                }
            });
            (0..5).for_each(|_| spawn_one(&said, &waiter, 0));
            sender.await.unwrap();
        });
        let said = said.lock().unwrap();
        let places: Vec<usize> = (0..said.len()).filter(|at| said[*at].0 == "sent").collect();
        assert_eq!(places, [5, 11], "{said:?}");
    }

    /// Who is alone waits once in sixteen times, and never at first.
    #[test]
    fn who_is_alone_is_spared_most_turns() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let waits = runtime.block_on(async {
            let (mut turns, mut waits) = (Turns::new(), Vec::new());
            for _ in 0..34 {
                let mut has_waited = false;
                poll_fn(|cx| {
                    let come = turns.poll_come(cx, false);
                    has_waited |= come.is_pending();
                    come
                })
                .await;
                turns.end();
                waits.push(has_waited);
            }
            waits
        });
        let at: Vec<usize> = (0..waits.len()).filter(|at| waits[*at]).collect();
        assert_eq!(at, [1, 17, 33]);
    }

    /// As one does that has more to say than may wait.
    #[test]
    fn who_does_not_wait_for_the_turn_is_spared_none() {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut turns = Turns::new();
            for _ in 0..3 {
                turns.end();
                let come = poll_fn(|cx| Poll::Ready(turns.poll_come(cx, false))).await;
                assert!(come.is_pending());
            }
        });
    }

    #[test]
    fn without_a_runtime_nobody_waits() {
        let turn = Arc::new(Turn::default());
        wake_after_ready_tasks(&Waker::from(turn.clone()));
        assert!(turn.has_come.load(Ordering::Acquire));
    }

    fn spawn_one(
        said: &Arc<Mutex<Vec<(&'static str, u32)>>>,
        waiter: &Arc<AtomicWaker>,
        round: u32,
    ) {
        let (said, waiter) = (said.clone(), waiter.clone());
        tokio::spawn(async move {
            said.lock().unwrap().push(("ready", round));
            waiter.wake();
        });
    }
}
