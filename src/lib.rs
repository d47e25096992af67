//! kvbench: is the change worth it? A benchmarking and profiling harness for an etcd-like replicated
//! key-value store, which carries the system under test inside it. See ARCHITECTURE.md for the floors.

pub mod agent;
pub mod cli;
pub mod client;
pub mod clock;
pub mod failpoint;
pub mod gather;
pub mod host;
pub mod load;
pub mod measure;
pub mod model;
pub mod node;
pub mod peer;
pub mod predict;
pub mod profile;
pub mod raft;
pub mod rpc;
pub mod runner;
pub mod server;
pub mod store;
pub mod target;
pub mod verify;
pub mod workload;

pub use kvbench_judge::{compare, files, gate, record, report, scenario, seed, stats, units};
