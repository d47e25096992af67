//! What if the host were another one: a small discrete-event simulation of the write pipeline (load thread, inbox, proposer, log, sync,
//! applier, members) with stage costs that were measured on this host. Pure: no clock, no I/O; one seed gives one prediction.
//!
//! It asks the pipeline's own proposers what to do next, and repeats the order of the Ready loop (`raft::ready`) around them; what
//! a stage costs it is told. Caveats: a thread is as fast on another host as here; syncs do not depend on each other; images of the
//! state, compactions, watchers and the width of networks and memories are left out.

mod costs;
mod engine;
mod member;
mod pipeline;
mod seen;
mod spread;
mod syncs;
#[cfg(test)]
mod tests;

pub use costs::{Costs, Line, Observed, Shape, Wakes};
pub use spread::Spread;
pub use syncs::{Level, Syncs};

use crate::raft;
use crate::seed::Seed;
use crate::units::Nanos;

/// One arm on one host under one load.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The pipeline's levers; what a sync means is said by `syncs`.
    pub levers: raft::Config,
    /// Members of the group, at least 1.
    pub nodes: usize,
    /// What the stages cost.
    pub costs: &'a Costs,
    /// What a sync takes.
    pub syncs: &'a Syncs,
    /// Cores that all threads share. With a round trip between members, each has a machine with so many.
    pub cores: u32,
    /// Round trip between two members; zero for members of one process.
    pub rtt: Nanos,
    /// Closed-loop clients on one load thread, at least 1.
    pub clients: u32,
    /// What they send.
    pub mix: Mix,
    /// Load before the measured span of a trial, and its length.
    pub warmup: Nanos,
    /// A span goes on until every client was answered twice.
    pub duration: Nanos,
    /// Where chance comes from.
    pub seed: Seed,
}

/// Shares of operations, 0..=1; the rest are writes of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mix {
    /// One linearizable read, around the log.
    pub reads: f64,
    /// A read and then a write.
    pub transfers: f64,
}

impl Mix {
    /// Requests in an operation, mean.
    pub fn requests_per_op(self) -> f64 {
        1.0 + self.transfers
    }
}

/// What is predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Predicted {
    /// Operations per second.
    pub throughput_per_s: f64,
    /// Mean service time, closed loop, ns.
    pub mean_ns: f64,
    /// Median of it, ns.
    pub p50_ns: f64,
    /// 99th percentile of it, ns.
    pub p99_ns: f64,
    /// Syncs of the leader's log per operation.
    pub fsyncs_per_op: f64,
    /// Share of its time that the load thread is on a CPU, 0..=1.
    pub load_share: f64,
    /// The same of the leader's raft thread.
    pub raft_share: f64,
    /// The same of the leader's apply thread; 0 without one.
    pub apply_share: f64,
}

/// Simulates what is asked.
pub fn predict(question: &Question<'_>) -> Predicted {
    pipeline::simulate(question)
}
