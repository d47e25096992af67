//! Images of the state: when one is written, what it lets the log forget, and how one that the leader sent is taken in.

use super::ReadyLoop;
use crate::failpoint;
use crate::raft::images::Image;
use crate::raft::inbox::WrittenImage;
use crate::raft::log::LogStore;
use crate::raft::members::Members;
use crate::raft::{PipelineError, StateMachine, Waiter};
use raft::eraftpb::Snapshot;

impl<M, W, L> ReadyLoop<M, W, L>
where
    M: StateMachine,
    W: Waiter<M::Reply>,
    L: LogStore,
{
    pub(super) fn image_if_due(&mut self) {
        let imaged = self.images.newest().map_or(0, |image| image.index);
        let entries = self.applied.saturating_sub(imaged);
        let bytes = self.meter.counts().log_bytes.saturating_sub(self.bytes_at_image);
        let policy = self.image_policy;
        if entries > 0 && (entries >= policy.entries || bytes >= policy.bytes.0) {
            self.begin_image();
        }
    }

    /// Whatever was published is in it.
    pub(super) fn begin_image(&mut self) {
        if !self.imaging {
            failpoint::pass("ready::begin-image");
            self.imaging = true;
            self.bytes_at_image = self.meter.counts().log_bytes;
            self.applier.write_image(self.images.unfinished(self.applied));
        }
    }

    /// An image that could not be written is tried again when the next one is due: the log is longer for it, nothing else.
    pub(super) fn note_image(&mut self, written: WrittenImage) -> Result<(), PipelineError> {
        failpoint::may_fail("ready::note-image")?;
        self.imaging = false;
        let WrittenImage { index, path, outcome } = written;
        let newest = self.images.newest().map_or(0, |image| image.index);
        if outcome.is_err() || index <= newest {
            self.images.discard(&path);
            return Ok(());
        }
        let term = self.raft.raft.raft_log.term(index)?;
        match self.images.finish(&path, index, term) {
            Ok(()) => self.cut_log(),
            Err(_) => Ok(()),
        }
    }

    pub(super) fn cut_log(&mut self) -> Result<(), PipelineError> {
        let keep = self.image_policy.keep;
        if let Some(image) = self.images.newest().cloned() {
            self.raft.mut_store().imaged(&image, keep)?;
        }
        Ok(())
    }

    /// Puts an image that the leader sent in place of the state and of the log before it.
    pub(super) fn install(&mut self, snapshot: &Snapshot) -> Result<(), PipelineError> {
        failpoint::may_fail("ready::before-install")?;
        let metadata = snapshot.get_metadata();
        let (index, term) = (metadata.index, metadata.term);
        let path = self.incoming.take().expect("an image came with the message about it");
        let members = Members::from_bytes(&snapshot.data).expect("the leader says who belongs");
        // Before the image: a start that finds it must not look for these changes in the log.
        if members.index > self.members.index {
            self.members = members;
            self.raft.mut_store().put_members(&self.members)?;
            self.show_members();
        }
        self.images.finish(&path, index, term)?;
        let Image { path, .. } = self.images.newest().cloned().expect("it was just finished");
        self.applier.load_image(&path)?;
        // What was applied before has been reported by now, and is older.
        for applied in self.inbox.take_applied() {
            self.in_flight -= applied.own_entries;
        }
        self.held.clear();
        self.cut_log()?;
        failpoint::may_fail("ready::after-install")?;
        self.applied = index;
        self.board.change(|status| status.images += 1);
        Ok(())
    }
}
