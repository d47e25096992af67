//! Systems within the process: nodes with their logs, an applier, a bare store.

use super::dial::asked;
use super::{Answer, CallError, answer, levers};
use crate::clock::Clock;
use crate::measure::lock::Visit;
use crate::measure::pipeline::PipelineCounts;
use crate::measure::spans::SpanCounts;
use crate::measure::stage::{Probe, Timeline};
use crate::model::{Position, Range, Request, Response};
use crate::node::{ApplyOnly, Cluster, Compaction, NodeError};
use crate::raft::Delivered;
use crate::scenario::spec::{self, Consistency};
use crate::store::{self, ApplyPath, Command, Digest};
use std::path::Path;
use std::sync::Arc;

/// Something in this process that answers requests.
pub enum Inside {
    /// Nodes with their logs.
    Raft(Box<Nodes>),
    /// An applier without a log.
    Apply(ApplyOnly),
    /// The bare apply path, run by the caller's own thread.
    Store(BareStore),
}

/// Nodes with their logs, and what clients ask of their reads.
pub struct Nodes {
    cluster: Cluster,
    consistency: Consistency,
    probe: Probe,
}

/// An apply path called directly.
pub struct BareStore {
    store: Arc<dyn ApplyPath>,
    compaction: Compaction,
    probe: Probe,
}

impl Inside {
    /// Starts nodes with their logs in `folder`.
    pub(super) fn raft(
        system: &spec::System,
        folder: &Path,
        clock: Clock,
    ) -> Result<Inside, NodeError> {
        let (config, size) = (levers::node(system), u64::from(system.nodes));
        let (probe, consistency) = (probe(system, clock), system.consistency);
        let cluster = Cluster::start(config, size, folder, clock, probe)?;
        Ok(Inside::Raft(Box::new(Nodes { cluster, consistency, probe })))
    }

    /// Starts an applier without a log.
    pub(super) fn apply(
        system: &spec::System,
        folder: &Path,
        clock: Clock,
    ) -> Result<Inside, NodeError> {
        let (store, compaction) = (levers::store(system), levers::compaction(system));
        Ok(Inside::Apply(ApplyOnly::start(store, compaction, folder, probe(system, clock))?))
    }

    /// Opens a bare store.
    pub(super) fn store(
        system: &spec::System,
        folder: &Path,
        clock: Clock,
    ) -> Result<Inside, NodeError> {
        let probe = probe(system, clock);
        let store = store::open(levers::store(system), folder, probe)?;
        Ok(Inside::Store(BareStore { store, compaction: levers::compaction(system), probe }))
    }

    /// Executes one request.
    pub(super) async fn call(&self, request: Request) -> Answer {
        match self {
            Inside::Raft(nodes) => nodes.call(request).await,
            Inside::Apply(applier) => answer(applier.call(request).await),
            Inside::Store(store) => Ok(store.call(request)),
        }
    }

    /// Executes requests in this order, as many at once as the layer takes.
    pub(super) fn call_all(&self, requests: &[Request]) -> Vec<Answer> {
        match self {
            Inside::Raft(nodes) => {
                nodes.cluster.call_all(requests).into_iter().map(answer).collect()
            }
            Inside::Apply(applier) => applier.call_all(requests).into_iter().map(answer).collect(),
            Inside::Store(store) => {
                requests.iter().map(|request| Ok(store.call(request.clone()))).collect()
            }
        }
    }

    /// Whether a call keeps the calling thread until it is answered.
    pub(super) fn blocks_its_caller(&self) -> bool {
        matches!(self, Inside::Store(_))
    }

    /// Whether its state outlives it.
    pub(super) fn has_log(&self) -> bool {
        matches!(self, Inside::Raft(_))
    }

    /// What the pipeline did since the start; zeros where there is none.
    pub(super) fn counts(&self) -> PipelineCounts {
        match self {
            Inside::Raft(nodes) => nodes.cluster.counts(),
            Inside::Apply(applier) => applier.counts(),
            Inside::Store(_) => PipelineCounts::default(),
        }
    }

    /// How long each sync of the log took since the start; nothing where there is no log.
    pub(super) fn fsync_times(&self) -> SpanCounts {
        match self {
            Inside::Raft(nodes) => nodes.cluster.fsync_times(),
            Inside::Apply(_) | Inside::Store(_) => SpanCounts::default(),
        }
    }

    /// Shows the locks.
    pub(super) fn visit_locks(&self, visit: Visit<'_>) {
        match self {
            Inside::Raft(nodes) => nodes.cluster.visit_locks(visit),
            Inside::Apply(applier) => applier.visit_locks(visit),
            Inside::Store(bare) => bare.store.visit_locks(visit),
        }
    }

    /// The state machine.
    pub(super) fn state(&self) -> Arc<dyn ApplyPath> {
        match self {
            Inside::Raft(nodes) => nodes.cluster.store(),
            Inside::Apply(applier) => applier.store().clone(),
            Inside::Store(bare) => bare.store.clone(),
        }
    }

    /// The state of every member now; the first is the one that answers.
    pub(super) fn digests(&self) -> Result<Vec<Digest>, CallError> {
        Ok(match self {
            Inside::Raft(nodes) => nodes.cluster.digests(),
            Inside::Apply(_) | Inside::Store(_) => vec![self.state().digest()],
        })
    }
}

fn probe(system: &spec::System, clock: Clock) -> Probe {
    match (system.instruments, system.lock_profile) {
        (true, true) => Probe::with_lock_profile(clock),
        (true, false) => Probe::on(clock),
        (false, _) => Probe::off(),
    }
}

impl Nodes {
    /// A serializable read takes the leader's state as it is, without asking the pipeline.
    async fn call(&self, request: Request) -> Answer {
        match asked(request, self.consistency) {
            request @ Request::Range(Range { serializable: true, .. }) => {
                let timeline = Timeline::submitted(self.probe.now());
                Ok(delivered(self.cluster.store().read(&request), timeline))
            }
            request => answer(self.cluster.call(request).await),
        }
    }
}

fn delivered(answer: store::Answer, mut timeline: Timeline) -> Delivered<Response> {
    timeline.apply(answer.stamps);
    Delivered { reply: answer.response, timeline }
}

impl BareStore {
    fn call(&self, request: Request) -> Delivered<Response> {
        let timeline = Timeline::submitted(self.probe.now());
        let answer = if request.is_write() {
            let mut answers = Vec::with_capacity(1);
            self.store
                .apply(&mut vec![Command { position: Position::default(), request }], &mut answers);
            if let Some(request) = self.compaction.due(&answers) {
                let compact = Command { position: Position::default(), request };
                self.store.apply(&mut vec![compact], &mut Vec::new());
            }
            answers.pop().expect("one request has one answer")
        } else {
            self.store.read(&request)
        };
        delivered(answer, timeline)
    }
}
