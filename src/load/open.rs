//! An open loop: operations are sent when they are due, each as a task of its own, whatever became of those before.
//!
//! Before the span opens, operations are due at its first rate. What is due within the span is sent, however late; only
//! when the span has ended while as many operations as may be are still under way, the rest is left, and counted.

use super::client::{Client, connected};
use super::pace::Timer;
use super::schedule::{Dues, Schedule};
use super::seen::{Due, Seen};
use super::window::Window;
use super::{Share, Span};
use crate::target::{self, Connect};
use crate::units::Nanos;
use crate::workload::Stream;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::Notify;
use tokio::task::LocalSet;

/// Operations under way at once, at most. More than a server takes before it refuses; whoever has so many waiting is
/// far below the offered rate.
const UNDER_WAY_MAX: u64 = 4_000;
/// Operations that are sent before the answers that came meanwhile are looked at.
const BURST: u32 = 16;

/// One load thread: all operations that fall to this process.
pub(super) fn run<T: Connect>(
    target: &T,
    streams: Vec<Stream>,
    span: &Span,
    schedule: &Schedule,
    window: &Arc<Window>,
) -> std::io::Result<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = Rc::new(RefCell::new(Seen::nothing(1)));
    let due = Rc::new(Accounts::new(window.clone()));
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, async {
        let mut clients = connected(target, streams.len() as u32, span, window, &seen).await;
        clients.iter_mut().for_each(Client::finish_what_was_begun);
        if clients.is_empty() {
            return Ok(());
        }
        let clients = clients.into_iter().map(Rc::new).collect();
        let timer = Timer::new()?;
        let mut driver = Driver {
            clients,
            streams,
            share: span.share,
            all: span.clients,
            timer,
            due: due.clone(),
            window,
            burst: 0,
        };
        driver.warm_up(schedule.warm_up(span.seed)).await?;
        driver.measure(schedule.dues(span.duration, span.seed)).await
    })?;
    // What is under way is answered; nothing is given up, since the state at the end has to show it.
    runtime.block_on(tasks);
    let mut seen = Rc::into_inner(seen).expect("every operation has ended").into_inner();
    seen.due = Some(due.closed());
    Ok(seen)
}

/// Sends what is due.
struct Driver<'a, W> {
    clients: Vec<Rc<Client<W>>>,
    /// One for each client.
    streams: Vec<Stream>,
    share: Share,
    /// Clients of all processes.
    all: u32,
    timer: Timer,
    due: Rc<Accounts>,
    window: &'a Arc<Window>,
    /// Operations since answers were looked at.
    burst: u32,
}

impl<W: target::Client> Driver<'_, W> {
    /// Until the span opens.
    async fn warm_up(&mut self, dues: Dues) -> std::io::Result<()> {
        let began = self.window.clock.now();
        for (number, due) in dues.enumerate() {
            let Some(client) = self.client(number) else { continue };
            let due = began.after(due);
            while self.window.clock.now() < due && !self.window.is_open() {
                tokio::select! {
                    slept = self.timer.sleep(due.since(self.window.clock.now())) => slept?,
                    () = self.window.opening.notified() => {}
                }
            }
            self.make_room().await;
            if self.window.is_open() || self.window.is_over() {
                break;
            }
            self.send(client, due, None);
            self.look_at_answers().await;
        }
        while !self.window.is_open() && !self.window.is_over() {
            self.window.opening.notified().await;
        }
        Ok(())
    }

    /// Everything that is due within the span.
    async fn measure(&mut self, dues: Dues) -> std::io::Result<()> {
        let opened = self.window.opened_at();
        let mut is_left = self.window.is_stopped();
        for (number, due) in dues.enumerate() {
            let Some(client) = self.client(number) else { continue };
            self.due.counts.borrow_mut().scheduled += 1;
            if is_left {
                self.due.counts.borrow_mut().unsent += 1;
                continue;
            }
            let due = opened.after(due);
            while self.window.clock.now() < due {
                self.timer.sleep(due.since(self.window.clock.now())).await?;
            }
            let was_held = self.make_room().await;
            is_left = self.window.is_stopped() || self.due.is_full();
            if is_left {
                self.due.counts.borrow_mut().unsent += 1;
                continue;
            }
            self.send(client, due, Some(Held(was_held)));
            self.look_at_answers().await;
        }
        Ok(())
    }

    /// Whose turn operation `number` is, over all processes; none if another process has that client.
    fn client(&self, number: usize) -> Option<usize> {
        let client = number as u32 % self.all;
        let is_own = client % self.share.of == self.share.index;
        is_own.then_some((client / self.share.of) as usize)
    }

    /// Waits while too many operations are under way and the load is not over; whether it had to.
    async fn make_room(&self) -> bool {
        let is_full = self.due.is_full();
        while self.due.is_full() && !self.window.is_over() {
            // The window closes without a word, so somebody has to look.
            let nap = std::time::Duration::from_millis(20);
            let _ = tokio::time::timeout(nap, self.due.answered.notified()).await;
        }
        is_full
    }

    async fn look_at_answers(&mut self) {
        self.burst += 1;
        if self.burst == BURST {
            self.burst = 0;
            tokio::task::yield_now().await;
        }
    }

    /// Sends the next operation of `client`; it counts as due within the span if `held` is told.
    fn send(&mut self, client: usize, due: Nanos, held: Option<Held>) {
        let operation = self.streams[client].next_operation();
        let client = self.clients[client].clone();
        let accounts = self.due.clone();
        accounts.handed_on.set(accounts.handed_on.get() + 1);
        tokio::task::spawn_local(async move {
            // Under way from here, and not since it was due: until then it waits for this thread, which is the lag.
            accounts.change(1);
            let done = client.operate(operation).await;
            accounts.change(-1);
            accounts.handed_on.set(accounts.handed_on.get() - 1);
            accounts.answered.notify_one();
            accounts.note_first(&client.window);
            let Some(done) = done else { return };
            client.note(&done, due);
            let Some(Held(was_held)) = held else { return };
            let mut counts = accounts.counts.borrow_mut();
            counts.responses.record_time(done.kind as usize, done.done.since(due));
            if !was_held {
                counts.lag.record(done.sent.since(due));
            }
            if done.done < client.window.closed_at() {
                accounts.finished.set(accounts.finished.get() + 1);
            }
        });
    }
}

/// Whether an operation had to wait until others were answered.
#[derive(Clone, Copy)]
struct Held(bool);

/// What became of what was due, and how many operations are under way.
struct Accounts {
    counts: RefCell<Due>,
    /// Of those that were due within the span, those that were answered within it.
    finished: Cell<u64>,
    /// Operations that were given to their clients and are not answered.
    handed_on: Cell<u64>,
    /// Those of them that were sent.
    under_way: Cell<u64>,
    /// When that number changed last.
    changed: Cell<Nanos>,
    /// That number over time, within the span.
    sum: Cell<u64>,
    /// Told of each answer.
    answered: Notify,
    is_first: Cell<bool>,
    window: Arc<Window>,
}

impl Accounts {
    fn new(window: Arc<Window>) -> Accounts {
        Accounts {
            counts: RefCell::default(),
            finished: Cell::default(),
            handed_on: Cell::default(),
            under_way: Cell::default(),
            changed: Cell::default(),
            sum: Cell::default(),
            answered: Notify::new(),
            is_first: Cell::new(true),
            window,
        }
    }

    fn is_full(&self) -> bool {
        self.handed_on.get() >= UNDER_WAY_MAX
    }

    /// One more is under way, or one fewer.
    fn change(&self, by: i64) {
        let now = self.window.clock.now();
        let from = self.changed.get().max(self.window.opened_at());
        let span = now.min(self.window.closed_at()).since(from);
        self.sum.set(self.sum.get() + span.0 * self.under_way.get());
        self.changed.set(now);
        self.under_way.set(self.under_way.get().saturating_add_signed(by));
    }

    /// The first answer may be what the warm-up waits for.
    fn note_first(&self, window: &Window) {
        if self.is_first.replace(false) {
            window.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counts, when everything was answered.
    fn closed(&self) -> Due {
        let mut due = self.counts.take();
        due.unfinished = due.scheduled - self.finished.get();
        due.under_way = Nanos(self.sum.get());
        due
    }
}
