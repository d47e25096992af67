//! Who answers: the layer a scenario asks for, built from an arm's levers. This is where scenario words become
//! the system's own; below it nothing knows of scenarios.

use crate::clock::Clock;
use crate::measure::lock::LockTally;
use crate::measure::pipeline::PipelineCounts;
use crate::measure::stage::{Probe, Stage, Timeline};
use crate::model::{Position, Request, Response};
use crate::node::{self, ApplyOnly, Cluster, Compaction, NodeError, Outcome};
use crate::raft::{self, Delivered};
use crate::scenario::spec;
use crate::store::{
    self, ApplyPath, Calibration, Command, Digest, EngineKind, Parallelism, PathKind, StateSync,
};
use std::path::Path;
use std::sync::Arc;

/// Something that answers requests.
pub enum Target {
    /// Nodes with their logs.
    Raft(Box<Cluster>),
    /// An applier without a log.
    Apply(ApplyOnly),
    /// The bare apply path, run by the caller's own thread.
    Store(BareStore),
}

/// An apply path called directly.
pub struct BareStore {
    store: Arc<dyn ApplyPath>,
    compaction: Compaction,
    probe: Probe,
}

impl Target {
    /// Starts what `system` describes; only the raft layer writes to `folder`.
    pub fn start(system: &spec::System, folder: &Path, clock: Clock) -> Result<Target, NodeError> {
        let probe = if system.instruments { Probe::on(clock) } else { Probe::off() };
        let store = store(system);
        let compaction = Compaction { keep_revisions: system.auto_compaction };
        Ok(match system.layer {
            spec::Layer::Raft => {
                let config = node::Config { store, compaction, pipeline: pipeline(system) };
                let size = u64::from(system.nodes);
                Target::Raft(Box::new(Cluster::start(config, size, folder, clock, probe)?))
            }
            spec::Layer::Apply => {
                Target::Apply(ApplyOnly::start(store, compaction, folder, probe)?)
            }
            spec::Layer::Store => Target::Store(BareStore {
                store: store::open(store, folder, probe)?,
                compaction,
                probe,
            }),
        })
    }

    /// Executes one request.
    pub async fn call(&self, request: Request) -> Outcome {
        match self {
            Target::Raft(cluster) => cluster.call(request).await,
            Target::Apply(applier) => applier.call(request).await,
            Target::Store(store) => Ok(store.call(request)),
        }
    }

    /// Executes requests in this order, as many at once as the layer takes.
    pub fn call_all(&self, requests: &[Request]) -> Vec<Outcome> {
        match self {
            Target::Raft(cluster) => cluster.call_all(requests),
            Target::Apply(applier) => applier.call_all(requests),
            Target::Store(store) => {
                requests.iter().map(|request| Ok(store.call(request.clone()))).collect()
            }
        }
    }

    /// Whether a call keeps the calling thread until it is answered.
    pub fn blocks_its_caller(&self) -> bool {
        matches!(self, Target::Store(_))
    }

    /// What the pipeline did since the start; zeros where there is none.
    pub fn counts(&self) -> PipelineCounts {
        match self {
            Target::Raft(cluster) => cluster.counts(),
            Target::Apply(applier) => applier.counts(),
            Target::Store(_) => PipelineCounts::default(),
        }
    }

    /// The named locks, with how many share the name.
    pub fn locks(&self) -> Vec<(&'static str, LockTally, u32)> {
        match self {
            Target::Raft(cluster) => cluster.locks(),
            Target::Apply(applier) => applier.locks(),
            Target::Store(bare) => {
                let (tally, count) = bare.store.locks();
                vec![("store", tally, count)]
            }
        }
    }

    /// What sharing a batch among apply workers costs here; none with one worker.
    pub fn calibration(&self) -> Option<Calibration> {
        self.store().calibration()
    }

    /// The state machine, for watching.
    pub fn store(&self) -> Arc<dyn ApplyPath> {
        match self {
            Target::Raft(cluster) => cluster.store(),
            Target::Apply(applier) => applier.store().clone(),
            Target::Store(bare) => bare.store.clone(),
        }
    }

    /// The state of every member now; the first is the one that answers.
    pub fn digests(&self) -> Vec<Digest> {
        match self {
            Target::Raft(cluster) => cluster.digests(),
            Target::Apply(_) | Target::Store(_) => vec![self.store().digest()],
        }
    }
}

impl BareStore {
    fn call(&self, request: Request) -> Delivered<Response> {
        let mut timeline = Timeline::submitted(self.probe.now());
        let answer = if request.is_write() {
            let mut answers = Vec::with_capacity(1);
            self.store
                .apply(vec![Command { position: Position::default(), request }], &mut answers);
            if let Some(request) = self.compaction.due(&answers) {
                let compact = Command { position: Position::default(), request };
                self.store.apply(vec![compact], &mut Vec::new());
            }
            answers.pop().expect("one request has one answer")
        } else {
            self.store.read(&request)
        };
        timeline.end(Stage::ApplyWait, answer.locked);
        timeline.end(Stage::Apply, answer.applied);
        Delivered { reply: answer.response, timeline }
    }
}

/// What keys are hashed with in a run; no answer depends on it.
const HASH_SEED: u64 = 0;

fn store(system: &spec::System) -> store::Config {
    store::Config {
        path: match system.apply {
            spec::Apply::GlobalMutex => PathKind::GlobalMutex,
            spec::Apply::Sharded => {
                PathKind::Sharded { shards: system.shards, workers: system.apply_workers }
            }
        },
        engine: match system.engine {
            spec::Engine::Memory => EngineKind::Memory,
            spec::Engine::Rocksdb => {
                EngineKind::RocksDb { state_sync: state_sync(system.state_sync) }
            }
        },
        hash_seed: HASH_SEED,
        parallelism: Parallelism::default(),
    }
}

fn state_sync(state_sync: spec::StateSync) -> StateSync {
    match state_sync {
        spec::StateSync::PerOp => StateSync::PerOp,
        spec::StateSync::PerBatch => StateSync::PerBatch,
        spec::StateSync::RaftLogOnly => StateSync::RaftLogOnly,
    }
}

fn pipeline(system: &spec::System) -> raft::Config {
    raft::Config {
        propose: match system.propose {
            spec::Propose::Serial => raft::Propose::Serial,
            spec::Propose::Pipelined => raft::Propose::Pipelined,
            spec::Propose::Batched => raft::Propose::Batched(batch(system.batch)),
        },
        apply_on: match system.apply_on {
            spec::ApplyOn::RaftThread => raft::ApplyOn::RaftThread,
            spec::ApplyOn::ApplyThread => raft::ApplyOn::ApplyThread,
        },
        publish: match system.commit_publish {
            spec::CommitPublish::Ready => raft::Publish::Ready,
            spec::CommitPublish::NextReady => raft::Publish::NextReady,
        },
        fsync: match system.fsync {
            spec::Fsync::Real => raft::Fsync::Real,
            spec::Fsync::Off => raft::Fsync::Off,
            spec::Fsync::Delay(span) => raft::Fsync::Delay(span),
        },
    }
}

fn batch(batch: spec::Batch) -> raft::Batch {
    raft::Batch {
        ops_max: batch.ops_max as usize,
        bytes_max: batch.bytes_max,
        linger: match batch.linger {
            spec::Linger::None => raft::Linger::None,
            spec::Linger::Ticker(every) => raft::Linger::Ticker(every),
            spec::Linger::Armed(span) => raft::Linger::Armed(span),
            spec::Linger::Siblings(span) => raft::Linger::Siblings(span),
        },
        in_flight: batch.in_flight as usize,
    }
}
