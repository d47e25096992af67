//! What a member makes of what a crash left: all that was acknowledged, nothing else, everything once; and it goes on.

use super::life::{self, PANICKED};
use super::platter::Leftover;
use crate::model::{Put, Request};
use crate::node::{Config, Node, NodeError};
use crate::store::Digest;
use std::path::PathBuf;

/// Every so many leftovers the member is started once more.
const AGAIN: u64 = 8;

/// What may be found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds<'a> {
    /// The state after so many requests.
    pub(super) digests: &'a [Digest],
    /// So many were acknowledged before the crash.
    pub(super) answered: usize,
    /// So many were asked before the crash.
    pub(super) asked: usize,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The state after so many requests, all that were acknowledged among them.
    Right(usize),
    /// The state after so many requests: some that were acknowledged are lost.
    Lost(usize),
    /// The member refuses to start, and says why.
    Refused(String),
    /// Anything else.
    Wrong(String),
}

/// Starts members on leftovers, one after the other, in a folder of its own.
pub(super) struct Judge {
    root: PathBuf,
    config: Config,
    judged: u64,
}

impl Judge {
    pub(super) fn new(root: PathBuf, config: Config) -> Judge {
        Judge { root, config, judged: 0 }
    }

    /// What a member makes of `left`.
    pub(super) fn judge(
        &mut self,
        left: &Leftover,
        bounds: Bounds<'_>,
    ) -> Result<Found, NodeError> {
        self.judged += 1;
        let folder = life::laid_out(left, &self.root)?;
        let node = match life::start(self.config, life::medium(), folder) {
            Ok(node) => node,
            Err(why) if why.starts_with(PANICKED) => return Ok(Found::Wrong(why)),
            Err(why) => return Ok(Found::Refused(why)),
        };
        let found = bounds.place(node.digest());
        if let Found::Right(_) = found
            && let Some(words) = self.goes_on(node)
        {
            return Ok(Found::Wrong(words));
        }
        Ok(found)
    }

    /// What is wrong with how it goes on, if anything is: one more change, and now and then one more start.
    fn goes_on(&self, node: Node) -> Option<String> {
        let before = node.digest().revision;
        let put = Put { key: b"after".to_vec(), value: b"the crash".to_vec(), ..Put::default() };
        let outcome = node.call_all(&[Request::Put(put)]).pop();
        let revision = outcome.and_then(|outcome| outcome.ok()).map(|done| done.reply.revision);
        if revision != Some(before + 1) {
            return Some(format!("after revision {before} a put was answered {revision:?}"));
        }
        let digest = node.digest();
        drop(node);
        if !self.judged.is_multiple_of(AGAIN) {
            return None;
        }
        let folder = crate::node::DataFolder::open(&self.root).map_err(|error| error.to_string());
        match folder.and_then(|folder| life::start(self.config, life::medium(), folder)) {
            Ok(again) if again.digest() == digest => None,
            Ok(again) => Some(format!("{digest:?} became {:?} over a start", again.digest())),
            Err(why) => Some(format!("it started once and not again: {why}")),
        }
    }
}

impl Bounds<'_> {
    /// Which state this is. One that is there several times counts as the one that is right.
    fn place(&self, digest: Digest) -> Found {
        let is_this = |number: &usize| self.digests[*number] == digest;
        let possible = self.answered..=self.asked.min(self.digests.len() - 1);
        if let Some(number) = possible.clone().find(is_this) {
            return Found::Right(number);
        }
        match (0..self.digests.len()).find(is_this) {
            Some(number) if number < self.answered => Found::Lost(number),
            Some(number) => Found::Wrong(format!(
                "the state after {number} requests, when {} had been asked",
                self.asked
            )),
            None => Found::Wrong(format!(
                "the state after no number of requests, {digest:?}; {} were acknowledged, {} asked",
                self.answered, self.asked
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(hash: u128) -> Digest {
        Digest { revision: 1, compacted: 0, keys: 0, hash }
    }

    #[test]
    fn a_state_is_right_lost_or_nobodys() {
        let digests: Vec<Digest> = [0, 10, 20, 20, 30].map(digest).to_vec();
        let place = |hash| Bounds { digests: &digests, answered: 2, asked: 3 }.place(digest(hash));
        assert_eq!(place(20), Found::Right(2));
        assert_eq!(place(10), Found::Lost(1));
        assert!(matches!(place(30), Found::Wrong(_)), "it was not asked yet");
        assert!(matches!(place(40), Found::Wrong(_)), "such as one with a request in it twice");
    }
}
