//! kvbench: is the change worth it? A benchmarking and profiling harness for an etcd-like replicated
//! key-value store, which carries the system under test inside it. See ARCHITECTURE.md for the floors.

pub mod agent;
pub mod cli;
pub mod client;
pub mod clock;
pub mod compare;
pub mod failpoint;
pub mod files;
pub mod gate;
pub mod host;
pub mod load;
pub mod measure;
pub mod model;
pub mod node;
pub mod peer;
pub mod predict;
pub mod profile;
pub mod raft;
pub mod record;
pub mod report;
pub mod rpc;
pub mod runner;
pub mod scenario;
pub mod seed;
pub mod server;
pub mod stats;
pub mod store;
pub mod target;
pub mod units;
pub mod verify;
pub mod workload;
