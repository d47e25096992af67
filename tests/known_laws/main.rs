//! Does kvbench tell the truth? Systems whose law is known run through the whole tool: launched, loaded, measured, recorded to
//! disk, read back, compared and reported. What is reported is held against what the system itself wrote down, call by call,
//! so a busy host makes the numbers bad but never the test.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod closed;
mod fake;
mod laws;
mod open;
mod stalls;
mod tool;
mod truth;
