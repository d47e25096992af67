//! What a member has found that needs an operator, as etcd has it: a part of the state, so that every member knows of it.

use super::{Refusal, Request};

/// An alarm that a member raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alarm {
    /// What is wrong.
    pub kind: AlarmKind,
    /// With whom.
    pub member: u64,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlarmKind {
    /// The member's state has outgrown its quota.
    NoSpace,
    /// The member's state is not what the others have.
    Corrupt,
}

impl AlarmKind {
    /// Every one, in ascending order.
    pub const ALL: [AlarmKind; 2] = [AlarmKind::NoSpace, AlarmKind::Corrupt];

    /// Why `request` is refused while such an alarm is raised. What only reads goes around the log and is answered all the same, and
    /// an alarm can always be ended.
    pub fn refusal(self, request: &Request) -> Option<Refusal> {
        let (refuses, refusal) = match self {
            AlarmKind::NoSpace => (request.grows_by() > 0, Refusal::NoSpace),
            AlarmKind::Corrupt => (request.is_write() && !request.is_alarm(), Refusal::Corrupt),
        };
        refuses.then_some(refusal)
    }

    /// The number that stands for it in logs, images and databases: etcd's.
    pub fn number(self) -> u8 {
        match self {
            AlarmKind::NoSpace => 1,
            AlarmKind::Corrupt => 2,
        }
    }

    /// The one that `number` stands for.
    pub fn from_number(number: u8) -> Option<AlarmKind> {
        AlarmKind::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Put, Range, RequestOp, Txn};

    fn alarm() -> Alarm {
        Alarm { kind: AlarmKind::NoSpace, member: 7 }
    }

    fn txn(op: RequestOp) -> Request {
        Request::Txn(Txn { failure: vec![op], ..Txn::default() })
    }

    #[test]
    fn without_space_nothing_may_grow_and_all_else_goes_on() {
        let put = RequestOp::Put(Put { key: b"k".to_vec(), ..Put::default() });
        let nested = RequestOp::Txn(Txn { success: vec![put.clone()], ..Txn::default() });
        let grant = Request::LeaseGrant { id: 1, ttl_s: 60 };
        for request in [Request::put("k", "v"), txn(put), txn(nested), grant] {
            let refusal = AlarmKind::NoSpace.refusal(&request);
            assert_eq!(refusal, Some(Refusal::NoSpace), "{request:?}");
        }
        for request in [
            Request::get("k"),
            Request::delete("k"),
            txn(RequestOp::Range(Range::default())),
            txn(RequestOp::DeleteRange(crate::model::DeleteRange::default())),
            Request::Compact { revision: 3 },
            Request::LeaseRevoke { id: 1 },
            Request::AlarmActivate(alarm()),
            Request::AlarmDeactivate(alarm()),
        ] {
            assert_eq!(AlarmKind::NoSpace.refusal(&request), None, "{request:?}");
        }
    }

    #[test]
    fn a_corrupt_cluster_changes_nothing_but_its_alarms() {
        let delete = RequestOp::DeleteRange(crate::model::DeleteRange::default());
        for request in [
            Request::put("k", "v"),
            Request::delete("k"),
            txn(delete),
            Request::Compact { revision: 3 },
            Request::LeaseGrant { id: 1, ttl_s: 60 },
            Request::LeaseRevoke { id: 1 },
        ] {
            let refusal = AlarmKind::Corrupt.refusal(&request);
            assert_eq!(refusal, Some(Refusal::Corrupt), "{request:?}");
        }
        for request in [
            Request::get("k"),
            txn(RequestOp::Range(Range::default())),
            Request::Leases,
            Request::Alarms,
            Request::AlarmActivate(alarm()),
            Request::AlarmDeactivate(alarm()),
        ] {
            assert_eq!(AlarmKind::Corrupt.refusal(&request), None, "{request:?}");
        }
    }

    #[test]
    fn numbers_stand_for_one_kind_each() {
        for kind in AlarmKind::ALL {
            assert_eq!(AlarmKind::from_number(kind.number()), Some(kind));
        }
        assert_eq!((AlarmKind::from_number(0), AlarmKind::from_number(3)), (None, None));
    }
}
