//! What scenario files describe, by their layer.

use super::inside::Inside;
use super::remote::Remote;
use super::{
    Answer, CallError, Client, Connect, Dial, Launch, LaunchError, RemoteClient, Target, Watched,
    etcd, served,
};
use crate::clock::Clock;
use crate::measure::lock::{NamedContention, NamedLocks, take_contention, tallies};
use crate::measure::pipeline::PipelineCounts;
use crate::measure::spans::SpanCounts;
use crate::model::Request;
use crate::scenario::spec::{self, Layer};
use crate::store::{Calibration, Digest};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Launches what scenario files describe.
#[derive(Clone, Debug)]
pub struct Builtin {
    /// This program, for layers whose servers are processes of their own.
    pub program: PathBuf,
}

/// A system that a scenario file describes.
pub enum System {
    /// In this process.
    Inside(Arc<Inside>),
    /// Servers behind gRPC.
    Remote(Box<Remote>),
}

/// What a client of such a system sends through.
pub enum SystemClient {
    /// In this process.
    Inside(Arc<Inside>),
    /// Servers behind gRPC.
    Remote(RemoteClient),
}

impl Launch for Builtin {
    type Target = System;

    fn launch(&self, arm: &spec::Arm, folder: &Path, clock: Clock) -> Result<System, LaunchError> {
        let system = &arm.system;
        let inside = match system.layer {
            Layer::Raft => Inside::raft(system, folder, clock)?,
            Layer::Apply => Inside::apply(system, folder, clock)?,
            Layer::Store => Inside::store(system, folder, clock)?,
            Layer::Rpc => return served::launch(&self.program, system, folder, clock).map(remote),
            Layer::Etcd => return etcd::launch(system, folder, clock).map(remote),
        };
        Ok(System::Inside(Arc::new(inside)))
    }
}

fn remote(remote: Remote) -> System {
    System::Remote(Box::new(remote))
}

impl Client for SystemClient {
    async fn call(&self, request: Request) -> Answer {
        match self {
            SystemClient::Inside(inside) => inside.call(request).await,
            SystemClient::Remote(remote) => remote.call(request).await,
        }
    }
}

impl Connect for System {
    type Client = SystemClient;

    async fn connect(&self, clients: u32) -> Result<Vec<SystemClient>, CallError> {
        match self {
            System::Inside(inside) => {
                Ok((0..clients).map(|_| SystemClient::Inside(inside.clone())).collect())
            }
            System::Remote(remote) => {
                let connected = remote.dial().connect(clients).await?;
                Ok(connected.into_iter().map(SystemClient::Remote).collect())
            }
        }
    }

    fn blocks_its_caller(&self) -> bool {
        matches!(self, System::Inside(inside) if inside.blocks_its_caller())
    }
}

impl Target for System {
    fn call_all(&self, requests: &[Request]) -> Vec<Answer> {
        match self {
            System::Inside(inside) => inside.call_all(requests),
            System::Remote(remote) => remote.call_all(requests),
        }
    }

    fn call_any(&self, requests: &[Request]) -> Vec<Answer> {
        match self {
            System::Inside(inside) => inside.call_all(requests),
            System::Remote(remote) => remote.call_any(requests),
        }
    }

    fn dial(&self) -> Option<Dial> {
        match self {
            System::Inside(_) => None,
            System::Remote(remote) => Some(remote.dial()),
        }
    }

    fn digests(&self) -> Result<Vec<Digest>, CallError> {
        match self {
            System::Inside(inside) => inside.digests(),
            System::Remote(remote) => remote.digests(),
        }
    }

    fn comes_back(&self) -> bool {
        match self {
            System::Inside(inside) => inside.has_log(),
            System::Remote(remote) => remote.is_ours(),
        }
    }

    fn counts(&self) -> PipelineCounts {
        match self {
            System::Inside(inside) => inside.counts(),
            System::Remote(remote) => remote.counts(),
        }
    }

    fn fsync_times(&self) -> SpanCounts {
        match self {
            System::Inside(inside) => inside.fsync_times(),
            System::Remote(_) => SpanCounts::default(),
        }
    }

    fn locks(&self) -> Vec<NamedLocks> {
        match self {
            System::Inside(inside) => tallies(|visit| inside.visit_locks(visit)),
            System::Remote(_) => Vec::new(),
        }
    }

    fn take_contention(&self) -> Vec<NamedContention> {
        match self {
            System::Inside(inside) => take_contention(|visit| inside.visit_locks(visit)),
            System::Remote(_) => Vec::new(),
        }
    }

    fn take_most_appliers(&self) -> Option<u32> {
        match self {
            System::Inside(inside) => inside.state().take_most_appliers(),
            System::Remote(_) => None,
        }
    }

    fn calibration(&self) -> Option<Calibration> {
        match self {
            System::Inside(inside) => inside.state().calibration(),
            System::Remote(_) => None,
        }
    }

    fn processes(&self) -> Vec<u32> {
        match self {
            System::Inside(_) => Vec::new(),
            System::Remote(remote) => remote.processes(),
        }
    }

    fn watched(&self) -> Watched {
        match self {
            System::Inside(inside) => Watched::Store(inside.state()),
            System::Remote(remote) => Watched::Server(remote.endpoint().clone()),
        }
    }
}
