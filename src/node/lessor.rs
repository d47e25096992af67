//! When leases end. The store has no clock: it only knows which leases there are. The node that leads keeps their
//! deadlines, on the monotonic clock, and proposes to revoke what has expired, like any client. Deadlines are in no log: a
//! node that starts gives every lease its full time to live again, so a lease may live longer, never shorter.

use crate::clock::Clock;
use crate::measure::lock::{MeasuredGuard, MeasuredMutex, Visit};
use crate::measure::stage::Probe;
use crate::model::LeaseId;
use crate::units::Nanos;
use std::collections::{BTreeSet, HashMap};
use std::sync::Condvar;

/// Most leases revoked at once, so that many of the same deadline do not fill the inbox.
const EXPIRED_MAX: usize = 500;

/// How long after it was proposed to revoke a lease this is proposed again, if the lease is still there.
const RETRY: Nanos = Nanos::from_millis(1000);

/// Pause between two rounds of revoking while more leases have expired: 500 in 100 ms, like other clients' work.
const PAUSE: Nanos = Nanos::from_millis(100);

/// The deadlines.
pub(super) struct Lessor {
    state: MeasuredMutex<State>,
    changed: Condvar,
    clock: Clock,
}

#[derive(Default)]
struct State {
    leases: HashMap<LeaseId, Lease>,
    /// When something is to be done about which lease.
    agenda: BTreeSet<(Nanos, LeaseId)>,
    /// Only the member that leads ends leases.
    leads: bool,
    stop: bool,
}

#[derive(Clone, Copy)]
struct Lease {
    ttl_s: i64,
    /// When it expires; once it has, when it is proposed again to revoke it.
    due: Nanos,
    /// Whether it has; there is no way back.
    has_expired: bool,
}

impl Lessor {
    /// No leases.
    pub(super) fn new(clock: Clock, probe: Probe) -> Lessor {
        Lessor {
            state: MeasuredMutex::new(State::default(), probe),
            changed: Condvar::new(),
            clock,
        }
    }

    /// Shows its lock.
    pub(super) fn visit_locks(&self, visit: Visit<'_>) {
        visit("lease deadlines", &self.state);
    }

    /// A lease was granted, or found when the node started.
    pub(super) fn granted(&self, id: LeaseId, ttl_s: i64) {
        let due = self.deadline(ttl_s);
        self.state().set(id, Lease { ttl_s, due, has_expired: false });
        self.changed.notify_all();
    }

    /// A lease was revoked, or was not there to be revoked.
    pub(super) fn revoked(&self, id: LeaseId) {
        self.state().remove(id);
    }

    /// Gives a lease its full time to live again, and says how many seconds that is. `None` if there is no such lease or
    /// it has expired, revoked or not.
    pub(super) fn keep_alive(&self, id: LeaseId) -> Option<i64> {
        let mut state = self.state();
        let now = self.clock.now();
        let lease = *state.leases.get(&id).filter(|lease| lease.is_alive(now))?;
        state.set(id, Lease { due: self.deadline(lease.ttl_s), ..lease });
        Some(lease.ttl_s)
    }

    /// Time until it expires. `None` if there is no such lease.
    pub(super) fn remaining(&self, id: LeaseId) -> Option<Nanos> {
        let state = self.state();
        let lease = state.leases.get(&id)?;
        Some(if lease.has_expired { Nanos::ZERO } else { lease.due.since(self.clock.now()) })
    }

    /// Whether there is such a lease.
    pub(super) fn knows(&self, id: LeaseId) -> bool {
        self.state().leases.contains_key(&id)
    }

    /// Blocks until some leases have expired, and gives them; `None` once the lessor is stopped. Without leases it sleeps
    /// until there are some.
    pub(super) fn wait(&self) -> Option<Vec<LeaseId>> {
        let mut state = self.state();
        loop {
            if state.stop {
                return None;
            }
            if !state.leads {
                state = self.state.wait(state, &self.changed);
                continue;
            }
            let now = self.clock.now();
            let expired = state.expired(now);
            if !expired.is_empty() {
                return Some(expired);
            }
            state = match state.agenda.first().copied() {
                None => self.state.wait(state, &self.changed),
                Some((due, _)) => self.sleep(state, due.since(now)),
            };
        }
    }

    /// Leases that have expired, at once.
    pub(super) fn take_expired(&self) -> Vec<LeaseId> {
        let mut state = self.state();
        let now = self.clock.now();
        if state.leads { state.expired(now) } else { Vec::new() }
    }

    /// Lets others work before the next round.
    pub(super) fn pause(&self) {
        let state = self.state();
        if !state.stop {
            drop(self.sleep(state, PAUSE));
        }
    }

    /// Whether leases that expire are named from now on.
    pub(super) fn lead(&self, leads: bool) {
        self.state().leads = leads;
        self.changed.notify_all();
    }

    /// Forgets all leases.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.leases.clear();
        state.agenda.clear();
    }

    /// Ends [`Lessor::wait`].
    pub(super) fn stop(&self) {
        self.state().stop = true;
        self.changed.notify_all();
    }

    fn sleep<'a>(
        &'a self,
        state: MeasuredGuard<'a, State>,
        span: Nanos,
    ) -> MeasuredGuard<'a, State> {
        self.state.wait_timeout(state, &self.changed, span.into())
    }

    fn deadline(&self, ttl_s: i64) -> Nanos {
        let ttl_s = u64::try_from(ttl_s).unwrap_or(0);
        self.clock.now().after(Nanos(ttl_s.saturating_mul(1_000_000_000)))
    }

    fn state(&self) -> MeasuredGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn set(&mut self, id: LeaseId, lease: Lease) {
        self.remove(id);
        self.leases.insert(id, lease);
        self.agenda.insert((lease.due, id));
    }

    fn remove(&mut self, id: LeaseId) {
        if let Some(lease) = self.leases.remove(&id) {
            self.agenda.remove(&(lease.due, id));
        }
    }

    /// Leases that have expired by `now`, at most [`EXPIRED_MAX`]. Each is named again after a while if it is not revoked
    /// by then.
    fn expired(&mut self, now: Nanos) -> Vec<LeaseId> {
        let due = self.agenda.iter().take_while(|(due, _)| *due <= now);
        let expired: Vec<LeaseId> = due.take(EXPIRED_MAX).map(|(_, id)| *id).collect();
        for id in &expired {
            let lease = self.leases[id];
            self.set(*id, Lease { due: now.after(RETRY), has_expired: true, ..lease });
        }
        expired
    }
}

impl Lease {
    fn is_alive(&self, now: Nanos) -> bool {
        !self.has_expired && self.due > now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = Nanos::from_millis(1000);

    fn lessor() -> (Lessor, Clock) {
        let clock = Clock::start();
        (Lessor::new(clock, Probe::off()), clock)
    }

    #[test]
    fn a_lease_expires_once_its_time_has_come_and_again_until_it_is_revoked() {
        let (lessor, clock) = lessor();
        lessor.granted(7, 60);
        assert!(lessor.remaining(7).unwrap() > Nanos(59 * SECOND.0));
        let now = clock.now();
        assert!(lessor.state().expired(now.after(Nanos(59 * SECOND.0))).is_empty());
        let then = now.after(Nanos(61 * SECOND.0));
        assert_eq!(lessor.state().expired(then), [7]);
        assert!(lessor.state().expired(then).is_empty());
        assert_eq!((lessor.keep_alive(7), lessor.remaining(7)), (None, Some(Nanos::ZERO)));
        assert_eq!(lessor.state().expired(then.after(RETRY)), [7]);
        lessor.revoked(7);
        assert!(lessor.state().expired(then.after(SECOND).after(SECOND)).is_empty());
        assert_eq!(lessor.remaining(7), None);
    }

    #[test]
    fn keeping_a_lease_alive_moves_its_deadline() {
        let (lessor, clock) = lessor();
        lessor.granted(7, 60);
        clock.sleep(Nanos::from_millis(5));
        let left = lessor.remaining(7).unwrap();
        assert_eq!(lessor.keep_alive(7), Some(60));
        assert!(lessor.remaining(7).unwrap() > left);
        assert_eq!(lessor.keep_alive(8), None);
    }

    #[test]
    fn many_that_expire_at_once_come_in_rounds() {
        let (lessor, clock) = lessor();
        (1..=1201).for_each(|id| lessor.granted(id, 1));
        let then = clock.now().after(SECOND);
        let rounds = std::iter::repeat_with(|| lessor.state().expired(then).len());
        assert_eq!(rounds.take(4).collect::<Vec<_>>(), [500, 500, 201, 0]);
    }

    #[test]
    fn the_longest_time_to_live_does_not_overflow() {
        let (lessor, clock) = lessor();
        lessor.granted(7, crate::model::LEASE_TTL_MAX_S);
        assert!(lessor.state().expired(clock.now()).is_empty());
        lessor.stop();
        assert_eq!(lessor.wait(), None);
    }
}
