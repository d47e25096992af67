//! Same requests, same bytes: whichever path, engine, lock, proposer and thread carry them, requests in one order give the
//! responses, the events and the state that an independent oracle gives.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

mod differential;
mod images;
mod pipelines;
mod seeded;
mod semantics;
mod size;
mod watchers;
