//! What people, files and other programs get wrong: each row is one mistake with the exit code or status and the words that answer it.
//! Whatever the mistake, nobody panics, nothing is written outside of what was named, and what was there stays.
//!
//! Scenario files have their rows in `tests/scenario_errors.rs`, the gRPC interface further ones in `tests/etcd_api`, other members theirs in
//! `tests/peers`. Each test here prints how many rows it went through.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]
#![expect(clippy::print_stderr, reason = "how many rows there were is said")]

mod access;
mod command_line;
mod desk;
mod files;
mod grpc;
mod names;
mod scenario_files;
#[path = "../etcd_api/served.rs"]
#[expect(dead_code, reason = "it serves other tests, too")]
mod served;
