//! How often what was answered how, for the page of numbers. A stream counts once, when it begins: it is answered then, and
//! how it ends is not seen here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tonic::Code;

/// Under which name calls of methods that are not there are counted: a stranger must not be able to add names.
const UNKNOWN: &str = "unimplemented";

/// gRPC's codes, from 0 on.
const CODES: usize = 17;

/// How often what was answered how.
#[derive(Default)]
pub(super) struct Tally {
    /// By path, then by code.
    counts: Mutex<BTreeMap<String, [u64; CODES]>>,
}

impl Tally {
    pub(super) fn count(&self, path: &str, code: Code) {
        let path = if code == Code::Unimplemented { UNKNOWN } else { path };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(path) {
            Some(counts) => counts[code as usize] += 1,
            None => counts.entry(path.to_owned()).or_default()[code as usize] += 1,
        }
    }

    /// All that was answered so far.
    pub(super) fn counts(&self) -> Vec<(String, Code, u64)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for (path, counts) in counts.iter() {
            let counted = counts.iter().enumerate().filter(|(_, count)| **count > 0);
            found.extend(
                counted.map(|(code, count)| (path.clone(), Code::from(code as i32), *count)),
            );
        }
        found
    }
}
