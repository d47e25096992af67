//! Campaigns: a group under load while things go wrong in it, then every question that its history can answer.

pub(super) mod campaign;
mod clients;
#[cfg(feature = "failpoints")]
mod failpoints;
mod nemesis;
mod rig;
pub(super) mod system;
mod watchers;

#[cfg(feature = "failpoints")]
pub use failpoints::{at_each_site, at_random_sites};
pub use nemesis::Fault;
pub use system::Came;

use super::history::Operation;
use super::witness;
use crate::node::{Compaction, Config, NodeError};
use crate::raft::{self, ApplyOn, Batch, Fsync, Linger, Propose, Publish, Reads};
use crate::store::{self, EngineKind, PathKind};
use crate::units::{ByteSize, Nanos};
use rig::Rig;
use std::sync::atomic::AtomicBool;

/// One history to be made.
#[derive(Clone, Debug)]
pub struct Plan<F = Fault> {
    /// Decides what is asked and what goes wrong when.
    pub seed: u64,
    /// Which path to the state.
    pub path: PathKind,
    /// What keeps the state.
    pub engine: EngineKind,
    /// Members.
    pub nodes: u64,
    /// What goes wrong, one after the other, in an order of the seed's.
    pub faults: Vec<F>,
    /// Operations that the history must have; with fewer it is void.
    pub operations_min: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Made {
    /// What the witness checker says.
    pub witness: Result<witness::Witnessed, witness::Fault>,
    /// What was found register by register.
    pub registers: Registers,
    /// What watchers were told, or the first breach.
    pub watches: Result<Watches, String>,
    /// Why the members' ends do not agree, if they do not.
    pub disagree: Option<String>,
    /// Faults in the order in which they came.
    pub faults: Vec<Came>,
    /// Operations of any outcome, in the order in which they were sent.
    pub history: Vec<Operation>,
    /// From the end of the load until all members had the same, ns; none if they never had.
    pub settled: Option<Nanos>,
    /// From the first operation to the last.
    pub elapsed: Nanos,
    /// Why the history proves nothing, if so.
    pub void: Option<String>,
}

/// Registers, each checked without a look at revisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// How many.
    pub keys: u64,
    /// Operations on all of them.
    pub calls: u64,
    /// Those that no order explains, in words.
    pub violations: Vec<String>,
    /// Those for which the search was given up.
    pub undecided: u64,
}

/// What all watchers were told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watches {
    /// Watchers.
    pub watchers: u64,
    /// Events that they were told, all of them together.
    pub events: u64,
    /// Times they went on where they were.
    pub resumed: u64,
}

impl Made {
    /// What is wrong, in words; nothing if nothing was found.
    pub fn violations(&self) -> Vec<String> {
        let mut all = Vec::new();
        if let Err(witness::Fault::Violation(words)) = &self.witness {
            all.push(words.clone());
        }
        all.extend(self.registers.violations.iter().cloned());
        all.extend(self.watches.as_ref().err().cloned());
        all.extend(self.disagree.iter().cloned());
        if self.settled.is_none() {
            all.push("the members did not agree once everything was well again".to_owned());
        }
        all
    }

    /// Whether something could not be decided.
    pub fn is_undecided(&self) -> bool {
        matches!(self.witness, Err(witness::Fault::Undecided(_))) || self.registers.undecided > 0
    }
}

fn config(plan: &Plan) -> Config {
    let bytes_max = ByteSize(1 << 20);
    let batch = Batch { ops_max: 100, bytes_max, linger: Linger::None, in_flight: 4 };
    Config {
        store: store::Config { engine: plan.engine, ..store::Config::in_memory(plan.path) },
        // The truth is read at the end, all of it.
        compaction: Compaction::NEVER,
        pipeline: raft::Config {
            propose: Propose::Batched(batch),
            apply_on: ApplyOn::ApplyThread,
            publish: Publish::Ready,
            fsync: Fsync::Off,
            reads: Reads::Index,
        },
    }
}

/// Makes the history and questions it. `interrupted` ends it early, and void; `tell` is told now and then how many operations were answered.
pub fn make(
    plan: &Plan,
    interrupted: &AtomicBool,
    tell: &mut dyn FnMut(u64),
) -> Result<Made, NodeError> {
    let rig = Rig::start(config(plan), plan.nodes, plan.seed)?;
    Ok(campaign::history(&rig, plan, interrupted, tell))
}
