//! Instruments: what a request spent where, what locks cost, what threads used.
//! They record; they never judge, print or sleep. Each can be switched off, so that its own cost is measurable.

pub mod allocations;
pub mod contention;
pub mod cpu;
pub mod foreign;
pub mod handles;
pub mod host;
pub mod lock;
pub mod pipeline;
pub mod process;
pub mod recorder;
pub mod series;
pub mod spans;
pub mod stack;
pub mod stage;
pub(crate) mod sync;
pub mod syscalls;
