//! Load from several machines. An agent is a process that runs its share of the clients of a cell when a run tells it to;
//! the run keeps one stream to each of its agents, learns how far their clocks are off its own, lets all of them count from
//! one instant on, and adds up what they saw. What an agent sends is what the run itself would: the scenario file goes to
//! it, and a client has the same stream of operations wherever it lives.

mod clocks;
mod drive;
mod fleet;
mod link;
mod service;
mod session;
mod wire;

pub use fleet::{AgentHost, AgentSeen, Driven, Fleet};
pub use link::Agents;
pub use service::{AgentServer, Listen, ListenError};

use std::time::Duration;

/// Largest message between a run and an agent: a scenario file with certificates, or histograms of every kind.
const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// A quiet connection is asked so often whether the other side lives, and has so long to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// Messages that may wait on a stream.
const WAITING_MAX: usize = 16;

/// Which build this is; agents and runs of different builds may send different things.
const VERSION: &str = env!("CARGO_PKG_VERSION");
const REVISION: &str = env!("KVBENCH_REVISION");

/// Why agents offer no load.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AgentError {
    /// Not reached, or it does not want to.
    #[error("agent {address}: {why}")]
    Refused {
        /// Which, `host:port`.
        address: String,
        /// What it, or the network, said.
        why: String,
    },
    /// It was there, and is not any more.
    #[error("agent {address} was lost: {why}")]
    Lost {
        /// Which, `host:port`.
        address: String,
        /// What was noticed.
        why: String,
    },
    /// The system cannot be reached from outside this process.
    #[error("agents cannot get in to this system: it runs within this process")]
    NoWayIn,
    /// The threads for talking to agents could not be started.
    #[error("the threads for talking to agents could not be started: {0}")]
    Runtime(String),
}
