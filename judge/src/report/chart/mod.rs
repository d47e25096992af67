//! Drawings for the page, as inline SVG with a title and a description for those who cannot see them.
//!
//! Colours come from the page's style sheet by class, so light, dark and print need no second drawing; shapes differ
//! where colours do. Each drawing stands next to a table with the same numbers and is never the only place for one.

pub(super) mod change;
pub(super) mod heat;
pub(super) mod interval;
pub(super) mod pairs;
pub(super) mod plot;
pub(super) mod roles;
mod scale;
pub(super) mod stages;
pub(super) mod strip;
mod svg;
pub(super) mod trend;

use svg::Svg;

/// Width of every drawing in its own units; the page scales it.
pub(super) const WIDTH: f64 = 880.0;
