//! Whatever a decoder, a checker or a page is given: it answers or refuses, at once, and keeps to what it promises.
//!
//! Each target is a function of bytes with properties that hold for all of them. The driver takes valid samples, breaks them a little,
//! and goes on from those that were answered in a way not seen before. The same seed gives the same inputs.
//!
//! Some thousand inputs each are tried with every test. For longer, and all with one figure each:
//!
//!     FUZZ_EXECS=1000000 FUZZ_SEED=7 cargo test --release --test fuzz -- --nocapture
//!
//! What was found by it has a row of its own where the code is that was mended.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]
#![expect(clippy::print_stderr, reason = "figures, and what was tried when something broke")]

mod bounds;
mod codec;
mod driver;
mod edn;
mod grpc;
mod image;
mod json;
mod logfile;
mod mutate;
mod pages;
mod peer;
mod records;
mod scenario;
mod served;
mod tags;

/// What every input allocates is counted, so that a length that is believed shows.
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;
