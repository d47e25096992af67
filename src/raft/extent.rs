//! What a log decides, whatever it is kept in: what a start begins with, where an image lets it be cut, and what there is to say about an
//! image. The log in files and the simulated one ask here, so that what is simulated is what is run.

use super::images::Image;
use super::members::Members;
use raft::eraftpb::{HardState, Snapshot};
use raft::{RaftState, StorageError};

/// What a log has.
pub(super) struct Extent<'a> {
    /// Index and term of the last entry that it no longer has; 0 if it has all.
    pub(super) cut: (u64, u64),
    /// Index of the last entry.
    pub(super) last: u64,
    /// The newest image.
    pub(super) image: Option<&'a Image>,
    /// The group as it was put last.
    pub(super) members: Option<&'a Members>,
}

/// Where a log is cut.
pub(super) struct Cut {
    /// Index and term of the last entry that goes.
    pub(super) at: (u64, u64),
    /// Whether the log has the entry that the image ends with; if it has not, all of it goes.
    pub(super) has_it: bool,
}

impl Extent<'_> {
    /// What the library begins with, if `stored` is what was written last.
    pub(super) fn initial_state(&self, stored: &HardState) -> RaftState {
        let conf_state = self.members.map(|members| members.conf.clone()).unwrap_or_default();
        let mut hard_state = stored.clone();
        // The commit index is written by and by; what is cut off was committed, and its term was known.
        hard_state.term = hard_state.term.max(self.cut.1);
        let imaged = self.image.map_or(0, |image| image.index).min(self.last);
        hard_state.commit = hard_state.commit.max(self.cut.0).max(imaged);
        RaftState { hard_state, conf_state }
    }

    /// Where `image` lets the log be cut, if of the entries before its end the last `keep` are to stay; `term` tells an entry's term.
    pub(super) fn cut_by(
        &self,
        image: &Image,
        keep: u64,
        term: impl Fn(u64) -> raft::Result<u64>,
    ) -> Result<Cut, raft_engine::Error> {
        let term = |index| term(index).map_err(|_| raft_engine::Error::EntryCompacted);
        let has_it = image.index <= self.last
            && (image.index < self.cut.0 || term(image.index)? == image.term);
        if !has_it {
            return Ok(Cut { at: (image.index, image.term), has_it });
        }
        let index = image.index.saturating_sub(keep).max(self.cut.0);
        Ok(Cut { at: (index, term(index)?), has_it })
    }

    /// What there is to say about the newest image, if it reaches `request_index`; the state itself travels as a file.
    pub(super) fn snapshot(&self, request_index: u64) -> raft::Result<Snapshot> {
        let newest = self.image.filter(|image| image.index >= request_index);
        let (image, members) =
            newest.zip(self.members).ok_or(StorageError::SnapshotTemporarilyUnavailable)?;
        let mut snapshot = Snapshot { data: members.to_bytes().into(), ..Snapshot::default() };
        let metadata = snapshot.mut_metadata();
        (metadata.index, metadata.term) = (image.index, image.term);
        metadata.set_conf_state(members.conf.clone());
        Ok(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(index: u64, term: u64) -> Image {
        Image { index, term, path: "x".into() }
    }

    #[test]
    fn an_image_cuts_what_it_covers_and_replaces_what_it_does_not_go_on_from() {
        let extent = Extent { cut: (10, 1), last: 30, image: None, members: None };
        let cut = |image: Image, keep| {
            let Cut { at, has_it } = extent.cut_by(&image, keep, |_| Ok(2)).unwrap();
            (at, has_it)
        };
        assert_eq!(cut(image(20, 2), 0), ((20, 2), true));
        assert_eq!(cut(image(20, 2), 5), ((15, 2), true));
        // Never before where it was cut already, also by an image that is older than that.
        assert_eq!(cut(image(20, 2), 50), ((10, 2), true));
        assert_eq!(cut(image(4, 1), 0), ((10, 2), true));
        // Another entry is there, or none.
        assert_eq!(cut(image(20, 3), 5), ((20, 3), false));
        assert_eq!(cut(image(31, 2), 5), ((31, 2), false));
    }

    #[test]
    fn what_is_cut_off_or_in_an_image_was_committed() {
        let newest = image(25, 2);
        let of = |image, last| Extent { cut: (10, 3), last, image, members: None };
        let stored = HardState { term: 2, commit: 5, ..HardState::default() };
        let begins = |extent: Extent<'_>| {
            let state = extent.initial_state(&stored).hard_state;
            (state.term, state.commit)
        };
        assert_eq!(begins(of(None, 30)), (3, 10));
        assert_eq!(begins(of(Some(&newest), 30)), (3, 25));
        assert_eq!(begins(of(Some(&newest), 20)), (3, 20));
    }
}
