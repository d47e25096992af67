//! For how long a leader may answer reads without asking anybody (Ongaro's thesis, section 6.4.1).
//!
//! With every heartbeat the leader asks a quorum whether it still leads. Whoever agrees votes for nobody else within the next election
//! timeout, so from the instant of *asking* on, not of hearing, there is no other leader for that long, less what clocks may differ.
//!
//! The raft library has reads by lease as well, and they are not used: it counts a leader as one until a whole election timeout without a
//! quorum has passed *after a look*, so up to two, and others may have elected another leader by then.
//!
//! What it takes for granted: monotonic clocks of members run at the same speed within a tenth, and a member that was stopped (a
//! virtual machine that is moved) finds its clock gone on. Members that use it, all of them, keep two more promises: one that
//! was restarted does not vote within its first election timeout, since it does not know whom it agreed with (`ReadyLoop::may_vote`), and
//! none stands for election while it knows a leader, unless its election timeout has passed.

use super::{Reads, Timing};
use crate::units::Nanos;
use std::collections::VecDeque;

/// A leader's lease. Members that do not lead have one that never holds.
pub(super) struct Lease {
    /// How long it lasts; zero where reads ask each time.
    span: Nanos,
    /// The term in which this member leads, while it may have a lease.
    term: Option<u64>,
    /// A term whose leader has told another member to take over: nobody keeps a promise to it.
    given_away: Option<u64>,
    until: Nanos,
    /// What was asked and not confirmed yet, with when, oldest first.
    asked: VecDeque<(Vec<u8>, Nanos)>,
}

/// What the raft library says of this member now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// The present term.
    pub(super) term: u64,
    /// Whether this member leads.
    pub(super) leads: bool,
    /// Whether it has told another member to take over.
    pub(super) hands_over: bool,
}

impl Lease {
    pub(super) fn new(reads: Reads, timing: Timing) -> Lease {
        let span = match reads {
            Reads::Index => Nanos::ZERO,
            Reads::Lease => span(timing),
        };
        let asked = VecDeque::new();
        Lease { span, term: None, given_away: None, until: Nanos::ZERO, asked }
    }

    /// Makes it last longer than it may, where it is used.
    #[cfg(feature = "seeded-bugs")]
    pub(super) fn stretch(&mut self, timing: Timing) {
        if self.is_used() {
            self.span = Nanos(2 * timing.election.0);
        }
    }

    /// Whether leases are used at all.
    pub(super) fn is_used(&self) -> bool {
        self.span > Nanos::ZERO
    }

    /// Has to be told often enough to see every leadership that is handed over, and before every look.
    pub(super) fn follow(&mut self, standing: Standing) {
        if standing.leads && standing.hands_over {
            self.given_away = Some(standing.term);
        }
        let may = standing.leads && self.given_away != Some(standing.term);
        let term = may.then_some(standing.term);
        if self.term != term {
            self.end();
            self.term = term;
        }
    }

    /// Whether there may be a lease now, so that it is worth asking for.
    pub(super) fn is_worth_asking(&self) -> bool {
        self.is_used() && self.term.is_some()
    }

    /// A quorum is asked this question from `now` on.
    pub(super) fn ask(&mut self, question: Vec<u8>, now: Nanos) {
        // An answer that comes later than this is of no use.
        while self.asked.front().is_some_and(|(_, asked)| asked.after(self.span) < now) {
            self.asked.pop_front();
        }
        self.asked.push_back((question, now));
    }

    /// A quorum agreed; says whether it was asked for the lease.
    pub(super) fn confirm(&mut self, question: &[u8]) -> bool {
        let Some(place) = self.asked.iter().position(|(asked, _)| asked == question) else {
            return false;
        };
        let (_, asked) = self.asked.drain(..=place).next_back().expect("it was found there");
        self.until = self.until.max(asked.after(self.span));
        true
    }

    /// Whether nobody else can lead at `now`.
    pub(super) fn holds(&self, now: Nanos) -> bool {
        self.term.is_some() && now < self.until
    }

    /// As a look at `now` would find it, without being told of anything.
    pub(super) fn would_hold(&self, standing: Standing, now: Nanos) -> bool {
        let Standing { term, leads, hands_over } = standing;
        let may = leads && !hands_over && self.given_away != Some(term);
        may && self.term == Some(term) && self.holds(now)
    }

    /// What was agreed on counts no more: another quorum decides from now on, or another term.
    pub(super) fn end(&mut self) {
        self.until = Nanos::ZERO;
        self.asked.clear();
    }
}

/// A member counts in heartbeats and its first may end at once, so a promise is one heartbeat shorter than the timeout; and a tenth of the
/// rest is for clocks.
fn span(timing: Timing) -> Nanos {
    let heartbeat = timing.heartbeat.0.max(1);
    let promised = (timing.election.0 / heartbeat).saturating_sub(1) * heartbeat;
    Nanos(promised / 10 * 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing =
        Timing { heartbeat: Nanos::from_millis(100), election: Nanos::from_millis(1000) };
    const LEADS: Standing = Standing { term: 3, leads: true, hands_over: false };

    fn ms(count: u64) -> Nanos {
        Nanos::from_millis(count)
    }

    fn leading() -> Lease {
        let mut lease = Lease::new(Reads::Lease, TIMING);
        lease.follow(LEADS);
        lease
    }

    #[test]
    fn it_counts_from_asking_and_is_shorter_than_an_election() {
        let mut lease = leading();
        assert!(lease.is_worth_asking() && !lease.holds(ms(0)));
        lease.ask(b"1".to_vec(), ms(100));
        assert!(!lease.holds(ms(100)), "nobody has agreed");
        assert!(!lease.confirm(b"of a read"));
        assert!(lease.confirm(b"1"));
        assert!(lease.holds(ms(909)));
        assert!(!lease.holds(ms(910)), "nine tenths of nine heartbeats");
        assert!(!lease.confirm(b"1"), "once");
    }

    #[test]
    fn answers_may_come_late_and_out_of_turn() {
        let mut lease = leading();
        lease.ask(b"1".to_vec(), ms(100));
        lease.ask(b"2".to_vec(), ms(200));
        assert!(lease.confirm(b"2"));
        assert!(lease.holds(ms(1_009)) && !lease.holds(ms(1_010)));
        assert!(!lease.confirm(b"1"), "an older one says nothing more");
        assert!(lease.holds(ms(1_009)));
    }

    #[test]
    fn it_ends_with_the_term_and_with_the_quorum() {
        let with_lease = || {
            let mut lease = leading();
            lease.ask(b"1".to_vec(), ms(100));
            lease.confirm(b"1");
            assert!(lease.holds(ms(200)));
            lease
        };
        let mut lease = with_lease();
        lease.ask(b"2".to_vec(), ms(150));
        lease.follow(Standing { leads: false, ..LEADS });
        assert!(!lease.holds(ms(200)) && !lease.is_worth_asking());
        lease.follow(Standing { term: 4, ..LEADS });
        assert!(!lease.holds(ms(200)), "another term begins without");
        assert!(!lease.confirm(b"2"), "what was asked in another term");
        let mut lease = with_lease();
        lease.end();
        assert!(!lease.holds(ms(200)) && lease.is_worth_asking());
    }

    #[test]
    fn a_leader_that_handed_over_has_none_for_the_rest_of_its_term() {
        let mut lease = leading();
        lease.ask(b"1".to_vec(), ms(100));
        lease.confirm(b"1");
        lease.follow(Standing { hands_over: true, ..LEADS });
        assert!(!lease.holds(ms(200)));
        lease.follow(LEADS);
        assert!(!lease.is_worth_asking(), "whoever was told may stand later");
        lease.follow(Standing { term: 5, ..LEADS });
        assert!(lease.is_worth_asking());
    }

    #[test]
    fn reads_that_ask_each_time_have_none() {
        let mut lease = Lease::new(Reads::Index, TIMING);
        lease.follow(LEADS);
        assert!(!lease.is_used() && !lease.is_worth_asking());
    }
}
