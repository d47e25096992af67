//! The clients of one load thread: each sends, waits, notes what it saw, and sends again.

use super::Seen;
use super::window::Window;
use crate::measure::stage::{STAGES, Stage, Timeline};
use crate::model::{Request, Response};
use crate::scenario::spec::OpKind;
use crate::target::{self, Connect};
use crate::units::Nanos;
use crate::workload::{Operation, Stream};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::task::LocalSet;

/// One load thread: its clients as tasks of a runtime that never leaves it.
pub(super) fn run_clients<T: Connect>(
    target: &T,
    streams: Vec<Stream>,
    window: &Arc<Window>,
) -> std::io::Result<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = Rc::new(RefCell::new(Seen::nothing(1)));
    let tasks = LocalSet::new();
    let ways = match tasks.block_on(&runtime, target.connect(streams.len() as u32)) {
        Ok(ways) => ways,
        Err(error) => {
            window.answered.fetch_add(streams.len() as u32, Ordering::Relaxed);
            seen.borrow_mut().failed(error.to_string());
            Vec::new()
        }
    };
    for (stream, way) in streams.into_iter().zip(ways) {
        let client = Client { way, window: window.clone(), seen: seen.clone() };
        tasks.spawn_local(client.run(stream));
    }
    runtime.block_on(tasks);
    Ok(Rc::into_inner(seen).expect("every client has ended").into_inner())
}

/// One client: send, wait, note, again.
struct Client<W> {
    /// What it sends through.
    way: W,
    window: Arc<Window>,
    seen: Rc<RefCell<Seen>>,
}

/// An operation that was answered to its end.
struct Done {
    kind: OpKind,
    sent: Nanos,
    done: Nanos,
    /// Where its time went, by stage, over all of its requests.
    spans: [Nanos; STAGES],
}

impl<W: target::Client> Client<W> {
    async fn run(self, mut stream: Stream) {
        let mut is_first = true;
        loop {
            let operation = stream.next_operation();
            if self.window.is_over() {
                return;
            }
            let done = self.operate(operation).await;
            if std::mem::take(&mut is_first) {
                self.window.answered.fetch_add(1, Ordering::Relaxed);
            }
            let Some(done) = done else { return };
            if self.window.holds(done.done) {
                let mut seen = self.seen.borrow_mut();
                let service = done.done.since(done.sent);
                seen.recorder.record(done.kind as usize, service, &done.spans);
            }
        }
    }

    /// Sends the requests of `operation` one after the other; nothing if one failed or the load is over.
    async fn operate(&self, operation: Operation) -> Option<Done> {
        let Operation { kind, mut request, mut transfer } = operation;
        let sent = self.window.clock.now();
        let mut spans = [Nanos::ZERO; STAGES];
        loop {
            let (response, timeline, done) = self.send(request).await?;
            for (sum, span) in spans.iter_mut().zip(timeline.spans()) {
                sum.0 += span.0;
            }
            match transfer.as_mut().and_then(|transfer| transfer.next(&response)) {
                None => return Some(Done { kind, sent, done, spans }),
                // What is not finished then has changed nothing yet: its requests read until the last one writes.
                Some(_) if self.window.is_over() => return None,
                Some(next) => request = next,
            }
        }
    }

    /// Sends one request and notes what was acknowledged; nothing if it failed. The workload sends nothing that a
    /// right system refuses, so a refusal is a failure as well.
    async fn send(&self, request: Request) -> Option<(Response, Timeline, Nanos)> {
        let is_write = request.is_write();
        let is_revoke = matches!(request, Request::LeaseRevoke { .. });
        let outcome = self.way.call(request).await;
        let done = self.window.clock.now();
        let mut seen = self.seen.borrow_mut();
        let mut delivered = match outcome {
            Ok(delivered) => delivered,
            Err(error) => {
                seen.failed(error.to_string());
                return None;
            }
        };
        if let Err(refusal) = &delivered.reply.result {
            seen.failed(refusal.to_string());
            return None;
        }
        seen.acked.note(is_write, is_revoke, &delivered.reply);
        if delivered.timeline.submitted_at() > Nanos::ZERO {
            delivered.timeline.end(Stage::Respond, done);
        }
        Some((delivered.reply, delivered.timeline, done))
    }
}
