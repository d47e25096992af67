//! Nothing of its own: `tests/` is what there is.
