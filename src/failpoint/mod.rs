//! Named places at which a test, or an operator who wants to see it, lets something go wrong. Only builds with feature `failpoints` have
//! them; in all others the calls are empty and go away, names and all.
//!
//! A place says that it is passed: [`pass`] where nothing can fail, [`may_fail`] where the caller has a way to say so. What happens there
//! is asked for by name, from within (`arm`) or by the environment of `kvbench serve`:
//!
//! ```text
//! FAILPOINTS='log::before-write=3*off->1*return(kill);peer::send=5%return(sleep 20ms)' kvbench serve
//! ```
//!
//! That is: nothing three times, then the end of the process as by a crash; and a pause before one batch in twenty. What may stand in
//! `return(…)` is an `Action`; what may stand before it, and `pause`, is the language of the crate `fail`. `sites` lists all places.

#[cfg(feature = "failpoints")]
mod armed;
#[cfg(feature = "failpoints")]
mod sites;

#[cfg(feature = "failpoints")]
pub use armed::{Action, Armed, Environment, arm, from_environment, may_fail, pass};
#[cfg(feature = "failpoints")]
pub use sites::{After, By, SITES, Site};

/// `site` is passed, where nothing can fail. Nothing happens: this build has no failpoints.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn pass(_site: &'static str) {}

/// `site` is passed, where the caller can fail. Never fails: this build has no failpoints.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn may_fail(_site: &'static str) -> std::io::Result<()> {
    Ok(())
}
