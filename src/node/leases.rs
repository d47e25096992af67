//! Leases as a node has them: their names, what the store knows of them, and the thread that ends them.

use super::lessor::Lessor;
use super::{NodeError, Reply, leave};
use crate::failpoint;
use crate::model::{Body, LeaseId, LeaseStatus, Position, Request, Response};
use crate::raft::{Inbox, MemberId, PipelineError, StopOnPanic};
use crate::store::ApplyPath;
use crate::units::Nanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Names for leases whose clients leave the choice to the node. They come from the log's end at the start and a counter:
/// whoever was named since an earlier start is in the log, so that it ended elsewhere then. No entropy is needed, and the
/// same run gives the same names. The node's number is mixed in, since other members give names too.
pub(super) struct Names {
    start: u64,
    /// Relaxed: only that no number is given twice matters.
    given: AtomicU64,
}

impl Names {
    /// Names of node `me` that starts when `last` is the last command applied.
    pub(super) fn after(me: MemberId, last: Position) -> Names {
        Names { start: mixed(me).wrapping_add(last.index << 32), given: AtomicU64::new(1) }
    }

    /// One that no lease has. A client that chooses the same at this moment is refused one of the two.
    pub(super) fn free(&self, lessor: &Lessor) -> LeaseId {
        loop {
            let number = self.start.wrapping_add(self.given.fetch_add(1, Ordering::Relaxed));
            let id = (mixed(number) >> 1) as LeaseId;
            if id != 0 && !lessor.knows(id) {
                return id;
            }
        }
    }
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood): different numbers give different ones that look random, so that
/// they do not meet those that clients choose by counting.
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Gives every lease in the store its full time to live.
pub(super) fn renew_all(store: &dyn ApplyPath, lessor: &Lessor) {
    let Ok(Body::Leases(ids)) = store.read(&Request::Leases).response.result else {
        unreachable!("leases can always be listed")
    };
    for id in ids {
        lessor.granted(id, status(store, id, false).granted_ttl_s);
    }
}

/// What the store knows of lease `id`.
pub(super) fn status(store: &dyn ApplyPath, id: LeaseId, keys: bool) -> LeaseStatus {
    match store.read(&Request::LeaseTimeToLive { id, keys }).response.result {
        Ok(Body::LeaseTimeToLive(status)) => status,
        other => unreachable!("a lease can always be asked for, got {other:?}"),
    }
}

/// Seconds that have not begun to pass are left out, as etcd does.
pub(super) fn whole_seconds(span: Nanos) -> i64 {
    (span.0 / 1_000_000_000) as i64
}

/// The thread that proposes to revoke what has expired. Dropping it ends it.
pub(super) struct Expiry {
    lessor: Arc<Lessor>,
    thread: Option<JoinHandle<()>>,
}

impl Expiry {
    pub(super) fn start(
        lessor: Arc<Lessor>,
        inbox: Arc<Inbox<Response, Reply>>,
    ) -> Result<Expiry, NodeError> {
        let for_thread = lessor.clone();
        let thread = std::thread::Builder::new()
            .name("lessor".into())
            .spawn(move || revoke_expired(&for_thread, &inbox))
            .map_err(PipelineError::Thread)?;
        Ok(Expiry { lessor, thread: Some(thread) })
    }
}

impl Drop for Expiry {
    fn drop(&mut self) {
        self.lessor.stop();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed where it happened.
            let _ = thread.join();
        }
    }
}

/// Nobody waits for the answers: the lessor hears of the revocation where it is applied, and names the lease again if
/// that did not happen.
fn revoke_expired(lessor: &Lessor, inbox: &Arc<Inbox<Response, Reply>>) {
    let _guard = StopOnPanic(&**inbox);
    while let Some(expired) = lessor.wait() {
        failpoint::pass("lessor::expired");
        revoke(&expired, inbox);
        lessor.pause();
    }
}

pub(super) fn revoke(expired: &[LeaseId], inbox: &Arc<Inbox<Response, Reply>>) {
    for id in expired {
        leave(inbox, &Request::LeaseRevoke { id: *id }, oneshot::channel().0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::measure::stage::Probe;
    use std::collections::HashSet;

    #[test]
    fn names_do_not_repeat_even_after_a_restart() {
        let lessor = Lessor::new(Clock::start(), Probe::off());
        let names = [(1, 0), (1, 1), (2, 0)];
        let names = names.map(|(me, index)| Names::after(me, Position { index, offset: 0 }));
        let ids = names.iter().flat_map(|names| (0..1000).map(|_| names.free(&lessor)));
        let ids: HashSet<LeaseId> = ids.inspect(|id| assert!(*id > 0)).collect();
        assert_eq!(ids.len(), 3000);
    }

    #[test]
    fn a_name_that_is_taken_is_passed_over() {
        let lessor = Lessor::new(Clock::start(), Probe::off());
        let first = Names::after(1, Position::default()).free(&lessor);
        lessor.granted(first, 60);
        assert_ne!(Names::after(1, Position::default()).free(&lessor), first);
    }
}
