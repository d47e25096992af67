//! Alarms as a part of the state: which are raised, and what is refused meanwhile. They change by requests of the log alone, under every
//! lock of the path, so that whoever holds any of them finds one answer for as long as it holds it.

use super::effects::AlarmChange;
use crate::model::{Alarm, AlarmKind, Refusal, Request};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The alarms that are raised.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    raised: Mutex<BTreeSet<Alarm>>,
    /// A bit for each kind that is raised: looked at for every request. Relaxed, since the path's locks order it.
    kinds: AtomicU8,
}

impl Alarms {
    /// Those that an engine had kept.
    pub(super) fn of(kept: &[Alarm]) -> Alarms {
        let alarms = Alarms::default();
        kept.iter().for_each(|alarm| alarms.follow(AlarmChange::Raised(*alarm)));
        alarms
    }

    /// All of them, ascending.
    pub(super) fn list(&self) -> Vec<Alarm> {
        self.raised().iter().copied().collect()
    }

    /// Why `request` is refused, if it is. Of several reasons the worst is told.
    pub(super) fn refusal(&self, request: &Request) -> Option<Refusal> {
        match self.kinds.load(Ordering::Relaxed) {
            0 => None,
            kinds => {
                let raised =
                    AlarmKind::ALL.into_iter().rev().filter(|kind| kinds & bit(*kind) != 0);
                raised.into_iter().find_map(|kind| kind.refusal(request))
            }
        }
    }

    /// What `request` changes, and what it is answered.
    ///
    /// # Panics
    /// If it is about no alarm.
    pub(super) fn outcome(&self, request: &Request) -> (AlarmChange, Vec<Alarm>) {
        match *request {
            Request::AlarmActivate(alarm) if self.raised().contains(&alarm) => {
                (AlarmChange::None, vec![alarm])
            }
            Request::AlarmActivate(alarm) => (AlarmChange::Raised(alarm), vec![alarm]),
            Request::AlarmDeactivate(alarm) if self.raised().contains(&alarm) => {
                (AlarmChange::Ended(alarm), vec![alarm])
            }
            Request::AlarmDeactivate(_) => (AlarmChange::None, Vec::new()),
            _ => unreachable!("only what is about an alarm comes here"),
        }
    }

    /// Follows what a request did.
    pub(super) fn follow(&self, change: AlarmChange) {
        let mut raised = self.raised();
        match change {
            AlarmChange::None => return,
            AlarmChange::Raised(alarm) => drop(raised.insert(alarm)),
            AlarmChange::Ended(alarm) => drop(raised.remove(&alarm)),
        }
        let kinds = raised.iter().fold(0, |kinds, alarm| kinds | bit(alarm.kind));
        self.kinds.store(kinds, Ordering::Relaxed);
    }

    fn raised(&self) -> MutexGuard<'_, BTreeSet<Alarm>> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bit(kind: AlarmKind) -> u8 {
    1 << kind.number()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: [Alarm; 2] = [
        Alarm { kind: AlarmKind::NoSpace, member: 1 },
        Alarm { kind: AlarmKind::NoSpace, member: 2 },
    ];

    #[test]
    fn a_kind_refuses_until_its_last_alarm_has_ended() {
        let put = Request::put("k", "v");
        let alarms = Alarms::of(&FULL);
        for (ended, refusal) in
            [(FULL[1], Some(Refusal::NoSpace)), (FULL[1], Some(Refusal::NoSpace)), (FULL[0], None)]
        {
            let (change, _) = alarms.outcome(&Request::AlarmDeactivate(ended));
            alarms.follow(change);
            assert_eq!(alarms.refusal(&put), refusal);
        }
        assert!(alarms.list().is_empty());
    }

    #[test]
    fn of_both_kinds_corruption_is_told() {
        let alarms = Alarms::of(&FULL);
        alarms.follow(AlarmChange::Raised(Alarm { kind: AlarmKind::Corrupt, member: 9 }));
        assert_eq!(alarms.refusal(&Request::put("k", "v")), Some(Refusal::Corrupt));
        assert_eq!(alarms.list().len(), 3);
    }

    #[test]
    fn what_is_raised_already_changes_nothing() {
        let alarms = Alarms::of(&FULL[..1]);
        let again = alarms.outcome(&Request::AlarmActivate(FULL[0]));
        assert_eq!(again, (AlarmChange::None, vec![FULL[0]]));
        let absent = alarms.outcome(&Request::AlarmDeactivate(FULL[1]));
        assert_eq!(absent, (AlarmChange::None, Vec::new()));
    }
}
