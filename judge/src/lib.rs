//! The side of kvbench that measures nothing: what a run is asked ([`scenario`]), what it leaves ([`record`]), and what is made of
//! that ([`stats`], [`compare`], [`gate`], [`report`]). It does not know the system under test. See ARCHITECTURE.md for the floors.

pub mod compare;
pub mod files;
pub mod gate;
pub mod record;
pub mod report;
pub mod scenario;
pub mod seed;
pub mod stats;
pub mod units;
