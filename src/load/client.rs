//! What one client does with one operation: sends its requests, waits, notes what it saw.

use super::Span;
use super::sample::Sampler;
use super::seen::Seen;
use super::window::Window;
use crate::measure::recorder::Spans;
use crate::measure::stage::{Stage, Timeline};
use crate::model::{Request, Response};
use crate::scenario::spec::OpKind;
use crate::target::{self, Connect};
use crate::units::Nanos;
use crate::workload::Operation;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// One client.
pub(super) struct Client<W> {
    /// What it sends through.
    way: W,
    pub(super) window: Arc<Window>,
    pub(super) seen: Rc<RefCell<Seen>>,
    /// Whether an operation of several requests is given up once the load is over.
    gives_up: bool,
    /// Writes down what is seen of a few keys; none if nobody asked for that.
    sampler: Option<Rc<Sampler>>,
}

/// An operation that was answered to its end.
pub(super) struct Done {
    pub(super) kind: OpKind,
    pub(super) sent: Nanos,
    pub(super) done: Nanos,
    spans: Spans,
}

/// Clients with a way in each; none if there is no way in, which is noted.
pub(super) async fn connected<T: Connect>(
    target: &T,
    clients: u32,
    span: &Span,
    window: &Arc<Window>,
    seen: &Rc<RefCell<Seen>>,
) -> Vec<Client<T::Client>> {
    let ways = match target.connect(clients).await {
        Ok(ways) => ways,
        Err(error) => {
            window.answered.fetch_add(clients, Ordering::Relaxed);
            seen.borrow_mut().failed(error.to_string());
            Vec::new()
        }
    };
    let sampler = span.sample.clone().map(|sample| Rc::new(Sampler::new(sample)));
    let client = |way| Client {
        way,
        window: window.clone(),
        seen: seen.clone(),
        gives_up: true,
        sampler: sampler.clone(),
    };
    ways.into_iter().map(client).collect()
}

impl<W> Client<W> {
    /// From now on every operation is answered to its end.
    pub(super) fn finish_what_was_begun(&mut self) {
        self.gives_up = false;
    }
}

impl<W: target::Client> Client<W> {
    /// Sends the requests of `operation` one after the other; nothing if one failed or the load is over.
    pub(super) async fn operate(&self, operation: Operation) -> Option<Done> {
        let Operation { kind, mut request, mut transfer } = operation;
        let sent = self.window.clock.now();
        let mut spans = Spans::none();
        loop {
            let (response, timeline, done) = self.send(request).await?;
            spans.add(&timeline);
            match transfer.as_mut().and_then(|transfer| transfer.next(&response)) {
                None => {
                    self.read_again().await;
                    return Some(Done { kind, sent, done, spans });
                }
                // What is not finished then has changed nothing yet: its requests read until the last one writes.
                Some(_) if self.gives_up && self.window.is_over() => return None,
                Some(next) => request = next,
            }
        }
    }

    /// Notes an operation that was fired at `fired`, if it ended within the span.
    pub(super) fn note(&self, done: &Done, fired: Nanos) {
        if !self.window.holds(done.done) {
            return;
        }
        let mut seen = self.seen.borrow_mut();
        seen.recorder.record(done.kind as usize, done.done.since(done.sent), &done.spans);
        let opened = self.window.opened_at();
        let slot = self.window.slot;
        seen.series.record(
            slot,
            fired.since(opened),
            done.done.since(opened),
            done.done.since(fired),
        );
    }

    /// Reads a key that was written down as written, so that what was acknowledged shows at once. It counts as no operation of the load.
    async fn read_again(&self) {
        let Some(key) = self.sampler.as_ref().and_then(|sampler| sampler.due()) else { return };
        if !self.window.is_over() && self.send(Request::get(key)).await.is_some() {
            self.seen.borrow_mut().sampled_reads += 1;
        }
    }

    /// Sends one request and notes what was acknowledged; nothing if it failed. The workload sends nothing that a
    /// right system refuses, so a refusal is a failure as well.
    async fn send(&self, request: Request) -> Option<(Response, Timeline, Nanos)> {
        let is_write = request.is_write();
        let is_revoke = matches!(request, Request::LeaseRevoke { .. });
        let taken = self.sampler.as_ref().and_then(|sampler| sampler.take(&request, &self.window));
        let outcome = self.way.call(request).await;
        let done = self.window.clock.now();
        let mut seen = self.seen.borrow_mut();
        if let (Some(taken), Some(sampler)) = (taken, &self.sampler) {
            seen.sampled.during.push(sampler.seen(*taken, done, &outcome));
        }
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
        if delivered.timeline.stands_for() > 0 {
            delivered.timeline.end(Stage::Respond, done);
        }
        Some((delivered.reply, delivered.timeline, done))
    }
}
