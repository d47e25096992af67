//! The `apply` layer: requests queue for one applier thread that runs the apply path on whatever waits; no log.
//! It shows what the apply path could do if committing cost nothing.

use super::{Answered, Compaction, NodeError, Outcome, refuse, wait_for_all};
use crate::measure::lock::{MeasuredMutex, Visit};
use crate::measure::pipeline::{PipelineCounts, PipelineMeter};
use crate::measure::stage::{Probe, Stage, Timeline};
use crate::model::{Position, Request, validate};
use crate::raft::{Delivered, PipelineError, Rejected};
use crate::store::{self, Answer, ApplyPath, Command};
use crate::units::Nanos;
use std::path::Path;
use std::sync::{Arc, Condvar};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long the applier sleeps at most before it looks again.
const NAP: Duration = Duration::from_millis(100);

/// A store with one applier thread.
pub struct ApplyOnly {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    queue: MeasuredMutex<Queue>,
    wake: Condvar,
    store: Arc<dyn ApplyPath>,
    compaction: Compaction,
    meter: PipelineMeter,
    probe: Probe,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    sleeping: bool,
    stop: bool,
}

struct Waiting {
    request: Request,
    timeline: Timeline,
    reply: oneshot::Sender<Outcome>,
}

impl ApplyOnly {
    /// Starts the applier; only a store that keeps things on disk touches `folder`.
    pub fn start(
        config: store::Config,
        compaction: Compaction,
        folder: &Path,
        probe: Probe,
    ) -> Result<ApplyOnly, NodeError> {
        let shared = Arc::new(Shared {
            queue: MeasuredMutex::new(Queue::default(), probe),
            wake: Condvar::new(),
            store: store::open(config, folder, probe)?,
            compaction,
            meter: PipelineMeter::default(),
            probe,
        });
        let for_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("apply-1".into())
            .spawn(move || for_thread.run())
            .map_err(PipelineError::Thread)?;
        Ok(ApplyOnly { shared, thread: Some(thread) })
    }

    /// Sends a request to the applier.
    pub async fn call(&self, request: Request) -> Outcome {
        self.submit(request).await.unwrap_or(Err(Rejected::Stopped))
    }

    /// Sends requests in this order without waiting between them, and waits for all answers.
    pub fn call_all(&self, requests: &[Request]) -> Vec<Outcome> {
        wait_for_all(requests.iter().map(|request| self.submit(request.clone())).collect())
    }

    fn submit(&self, request: Request) -> Answered {
        let (reply, answer) = oneshot::channel();
        if let Err(refusal) = validate(&request) {
            refuse(reply, refusal, &*self.shared.store, self.shared.probe);
            return answer;
        }
        let timeline = Timeline::submitted(self.shared.probe.now());
        self.shared.push(Waiting { request, timeline, reply });
        answer
    }

    /// What was done since the start.
    pub fn counts(&self) -> PipelineCounts {
        self.shared.meter.counts()
    }

    /// Shows the locks of the store and the one on the queue.
    pub fn visit_locks(&self, visit: Visit<'_>) {
        self.shared.store.visit_locks(visit);
        visit("inbox", &self.shared.queue);
    }

    /// The state machine.
    pub fn store(&self) -> &Arc<dyn ApplyPath> {
        &self.shared.store
    }
}

impl Drop for ApplyOnly {
    fn drop(&mut self) {
        self.shared.queue.lock().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed where it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn push(&self, waiting: Waiting) {
        let mut queue = self.queue.lock();
        queue.waiting.push(waiting);
        let must_wake = std::mem::take(&mut queue.sleeping);
        drop(queue);
        if must_wake {
            self.wake.notify_one();
        }
    }

    fn run(&self) {
        loop {
            let mut queue = self.queue.lock();
            if queue.waiting.is_empty() {
                if queue.stop {
                    return;
                }
                queue.sleeping = true;
                let mut queue = self.queue.wait_timeout(queue, &self.wake, NAP);
                queue.sleeping = false;
                continue;
            }
            let waiting = std::mem::take(&mut queue.waiting);
            drop(queue);
            self.apply(waiting);
        }
    }

    fn apply(&self, waiting: Vec<Waiting>) {
        let taken = self.probe.now();
        self.meter.apply_batch(waiting.len() as u64);
        let mut commands = Vec::with_capacity(waiting.len());
        let mut replies = Vec::with_capacity(waiting.len());
        for Waiting { request, timeline, reply } in waiting {
            if request.is_write() {
                commands.push(Command { position: Position::default(), request });
                replies.push((timeline, reply));
            } else {
                answer(timeline, reply, taken, self.store.read(&request));
            }
        }
        let mut answers = Vec::with_capacity(commands.len());
        self.store.apply(&mut commands, &mut answers);
        let compact = self.compaction.due(&answers);
        for ((timeline, reply), applied) in replies.into_iter().zip(answers) {
            answer(timeline, reply, taken, applied);
        }
        if let Some(request) = compact {
            let compact = Command { position: Position::default(), request };
            self.store.apply(&mut vec![compact], &mut Vec::new());
        }
    }
}

fn answer(mut timeline: Timeline, reply: oneshot::Sender<Outcome>, taken: Nanos, answer: Answer) {
    timeline.end(Stage::Queue, taken);
    timeline.apply(answer.stamps);
    // A client that stopped waiting does not want to know.
    let _ = reply.send(Ok(Delivered { reply: answer.response, timeline }));
}
