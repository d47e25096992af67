//! The store's own files on shuttle's locks: every lock and atomic of `measure::sync` is a place where another thread may
//! take over. What the memory engine locks for a moment stays as it is: nothing is waited for while it is held.

#![allow(dead_code, missing_docs, reason = "only some of what is compiled here is used")]

#[path = "../../src/clock.rs"]
pub mod clock;
#[path = "../../src/failpoint/mod.rs"]
pub mod failpoint;
pub mod measure;
#[path = "../../src/model/mod.rs"]
pub mod model;
#[path = "../../src/store/mod.rs"]
pub mod store;
#[path = "../../judge/src/units.rs"]
pub mod units;
