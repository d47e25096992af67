//! How large the state may become. As in etcd, a member looks at its own state before it proposes what makes it larger; if there is no
//! room it raises an alarm through the log, so that all members refuse such requests until an operator ends it.

use super::context::Context;
use crate::model::{Alarm, AlarmKind, Refusal, Request};

/// The quota where nothing is said, bytes (etcd's default).
const DEFAULT_BYTES: u64 = 2 << 30;

/// The largest size of a member's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// None: no limit.
    bytes_max: Option<u64>,
}

impl Quota {
    /// No limit.
    pub const NONE: Quota = Quota { bytes_max: None };

    /// As etcd reads its `--quota-backend-bytes`: 0 is the default, and a negative number no limit.
    pub fn of_bytes(bytes: i64) -> Quota {
        match bytes {
            0 => Quota { bytes_max: Some(DEFAULT_BYTES) },
            bytes => Quota { bytes_max: u64::try_from(bytes).ok() },
        }
    }

    /// Bytes that the state may have; none if there is no limit.
    pub(super) fn bytes_max(self) -> Option<u64> {
        self.bytes_max
    }

    /// Whether a state of `bytes` may grow by `grows_by`.
    fn has_room(self, bytes: impl FnOnce() -> u64, grows_by: u64) -> bool {
        self.bytes_max.is_none_or(|most| bytes().saturating_add(grows_by) < most)
    }
}

impl Context {
    /// Whether there is room for `request`; if not, there is an alarm afterwards. Requests that are under way are not counted, so the state
    /// may outgrow its quota by those.
    pub(super) async fn check_quota(&self, request: &Request) -> Result<(), Refusal> {
        let grows_by = request.grows_by();
        if grows_by == 0 || self.quota.has_room(|| self.node.bytes(), grows_by) {
            return Ok(());
        }
        let alarm = Alarm { kind: AlarmKind::NoSpace, member: self.identity.member_id };
        if !self.node.alarms().contains(&alarm) {
            // If it cannot be raised now, whoever is refused next raises it.
            let _ = self.send(Request::AlarmActivate(alarm)).await;
        }
        Err(Refusal::NoSpace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_means_what_it_means_to_etcd() {
        assert_eq!(Quota::of_bytes(0).bytes_max(), Some(2 * 1024 * 1024 * 1024));
        assert_eq!(Quota::of_bytes(-1), Quota::NONE);
        assert_eq!(Quota::of_bytes(i64::MIN), Quota::NONE);
        assert_eq!(Quota::of_bytes(1).bytes_max(), Some(1));
    }

    #[test]
    fn what_would_reach_the_quota_has_no_room() {
        let quota = Quota::of_bytes(1_000);
        assert!(quota.has_room(|| 700, 299));
        assert!(!quota.has_room(|| 700, 300));
        assert!(!quota.has_room(|| u64::MAX, 1));
        assert!(Quota::NONE.has_room(|| u64::MAX, u64::MAX));
    }
}
