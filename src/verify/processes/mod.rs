//! Histories of real processes: groups of `kvbench serve`, each member with its own folder and ports, asked over gRPC, while members are
//! killed, stopped, starved of their disks and replaced.
//!
//! Every fault is seen from outside to have happened: an exit by the signal, another leader, a trace of the failed call, an image received.
//! What a machine lacks for a fault is said, and that fault is left out.

mod ends;
mod fault;
mod gates;
mod group;
mod member;
mod nemesis;
mod tools;
mod trace;
mod wire;

pub use fault::Fault;
pub use tools::Tools;

use super::faults::{Made, Plan, campaign};
use group::Group;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port, a folder or a process.
    #[error("{0}")]
    Io(#[source] io::Error),
    /// A member ended before anything was asked of it, with these words.
    #[error("{0}")]
    Ended(String),
    /// Nobody led in time.
    #[error("the members did not get ready; one of them said last:\n{0}")]
    NotReady(String),
}

/// Makes a history of members that are `program serve`, and questions it. `interrupted` ends it early, and void; `tell` is told now and
/// then how many operations were answered.
pub fn make(
    plan: &Plan<Fault>,
    program: &Path,
    tools: &Tools,
    interrupted: &AtomicBool,
    tell: &mut dyn FnMut(u64),
) -> Result<Made, Error> {
    let group = Group::start(plan, program, tools)?;
    Ok(campaign::history(&group, plan, interrupted, tell))
}
