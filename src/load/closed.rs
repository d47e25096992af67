//! A closed loop: the clients of one load thread, each of which sends, waits, thinks, and sends again.

use super::Span;
use super::client::{Client, connected};
use super::seen::Seen;
use super::window::Window;
use crate::target::{self, Connect};
use crate::units::Nanos;
use crate::workload::Stream;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::LocalSet;

/// One load thread: its clients as tasks of a runtime that never leaves it.
pub(super) fn run<T: Connect>(
    target: &T,
    streams: Vec<Stream>,
    span: &Span,
    think: Nanos,
    window: &Arc<Window>,
) -> std::io::Result<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = Rc::new(RefCell::new(Seen::nothing(1)));
    let tasks = LocalSet::new();
    let clients =
        tasks.block_on(&runtime, connected(target, streams.len() as u32, span, window, &seen));
    for (stream, client) in streams.into_iter().zip(clients) {
        tasks.spawn_local(repeat(client, stream, think));
    }
    runtime.block_on(tasks);
    Ok(Rc::into_inner(seen).expect("every client has ended").into_inner())
}

/// One client, until the load is over or a request fails.
async fn repeat<W: target::Client>(client: Client<W>, mut stream: Stream, think: Nanos) {
    let mut is_first = true;
    loop {
        let operation = stream.next_operation();
        if client.window.is_over() {
            return;
        }
        let done = client.operate(operation).await;
        if std::mem::take(&mut is_first) {
            client.window.answered.fetch_add(1, Ordering::Relaxed);
        }
        let Some(done) = done else { return };
        client.note(&done, done.sent);
        if think > Nanos::ZERO {
            client.think(think, done.done).await;
        }
    }
}

impl<W: target::Client> Client<W> {
    /// Pauses and notes how long it was: the runtime's timer counts in milliseconds.
    async fn think(&self, think: Nanos, since: Nanos) {
        tokio::time::sleep(Duration::from_nanos(think.0)).await;
        let now = self.window.clock.now();
        if self.window.holds(now) {
            self.seen.borrow_mut().thought.0 += now.since(since).0;
        }
    }
}
