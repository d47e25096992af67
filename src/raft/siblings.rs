//! Waiting for the clients that were just answered, where it pays. Part of the batched proposer, and pure like it.

use super::proposer::Patience;
use crate::units::Nanos;

/// Waits for the clients that were just answered, who often come again at once: until as many requests wait as were
/// under way when the last batch was answered, at most for a span. Without it, clients fall into two groups of which
/// one always waits for the other's sync. The idea is PostgreSQL's `commit_siblings` with `commit_delay`.
///
/// It waits only where that pays. A moment more delays all who are under way by that moment, and spares each who
/// comes in it a lap: the time from one batch to the next. So siblings are worth it while they come so fast that within a lap
/// all would be there. How fast they come is learned from the waits, and tried again now and then.
pub(super) struct Siblings {
    span: Nanos,
    /// Requests in the last batch.
    last: usize,
    /// How many requests were under way when it was answered; counted before anybody could come again.
    awaited: usize,
    /// When the last batch went; none once its lap was counted.
    went: Option<Nanos>,
    /// Nanoseconds from a batch to when the next one could go, waiting left out.
    lap: Recent,
    /// Requests that come within a nanosecond while siblings are awaited.
    coming: Recent,
    /// Batches in a row that did not wait, since it did not pay.
    unwaited: u32,
    /// After how many of those one waits all the same.
    tried_after: u32,
    /// The wait for the next batch, once somebody has looked.
    wait: Option<Wait>,
}

/// One wait for siblings.
#[derive(Clone, Copy)]
struct Wait {
    until: Nanos,
    /// Whether it is one that shall show whether waiting would pay.
    tries: bool,
    /// When there first was a request that could have gone and did not, and how many there were then.
    since: Option<(Nanos, usize)>,
}

/// After how many batches that did not wait one waits all the same, to learn whether it would pay: at first, and at most.
/// Each time that it would not, twice as many: the thread that waits may lose its CPU for longer than it meant to.
const TRIED_AFTER: (u32, u32) = (16, 128);

impl Siblings {
    pub(super) fn new(span: Nanos) -> Self {
        Self {
            span,
            last: 0,
            awaited: 0,
            went: None,
            lap: Recent::default(),
            coming: Recent::default(),
            unwaited: 0,
            tried_after: TRIED_AFTER.0,
            wait: None,
        }
    }

    /// How long the next batch may wait, decided at the first look, when `waiting` requests wait.
    fn begin(&mut self, waiting: usize, now: Nanos) -> Wait {
        if let Some(went) = self.went.take() {
            self.lap.note(now.since(went).0 as f64, 1.0);
        }
        let pays = self.pays();
        let tries = waiting < self.awaited && !pays && self.is_time_to_try();
        if pays {
            (self.unwaited, self.tried_after) = (0, TRIED_AFTER.0);
        }
        let waits = waiting < self.awaited && (pays || tries);
        Wait { until: if waits { now.after(self.span) } else { now }, tries, since: None }
    }

    /// Counts a batch for which waiting does not pay; true if it is one that waits all the same.
    fn is_time_to_try(&mut self) -> bool {
        if self.unwaited < self.tried_after {
            self.unwaited += 1;
            return false;
        }
        (self.unwaited, self.tried_after) = (0, (self.tried_after * 2).min(TRIED_AFTER.1));
        true
    }

    /// Whether all would be there within a lap, as fast as they come. Taken to be so until something else is known.
    fn pays(&self) -> bool {
        match (self.coming.mean(), self.lap.mean()) {
            (Some(coming), Some(lap)) => coming * lap >= self.awaited as f64,
            _ => true,
        }
    }
}

impl Patience for Siblings {
    fn wait_until(&mut self, waiting: usize, now: Nanos) -> Option<Nanos> {
        let mut wait = self.wait.unwrap_or_else(|| self.begin(waiting, now));
        if waiting > 0 && now < wait.until {
            wait.since.get_or_insert((now, waiting));
        }
        self.wait = Some(wait);
        (waiting < self.awaited).then_some(wait.until)
    }

    fn sent(&mut self, count: usize, left: usize, now: Nanos) {
        if let Some(wait) = &mut self.wait
            && let Some((since, were)) = wait.since.take().filter(|(since, _)| *since < now)
        {
            if wait.tries {
                // What was so before, one wait in which the thread lost its CPU above all, shall not stand against what is seen now.
                self.coming = Recent::default();
            }
            let came = (count + left).saturating_sub(were);
            self.coming.note(came as f64, now.since(since).0 as f64);
        }
        self.last = count;
        self.went = Some(now);
    }

    fn answering(&mut self, waiting: usize) {
        if self.went.is_none() {
            // Since the last look no batch went, so nobody else was answered: reads, or what other members proposed.
            return;
        }
        self.awaited = self.last + waiting;
        self.wait = None;
    }
}

/// A mean that forgets: each later note leaves seven eighths of an earlier one's weight.
#[derive(Default)]
struct Recent {
    total: f64,
    weight: f64,
}

impl Recent {
    /// So much in all, over so much.
    fn note(&mut self, total: f64, weight: f64) {
        self.total = self.total * 0.875 + total;
        self.weight = self.weight * 0.875 + weight;
    }

    /// None before the first note.
    fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.total / self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::super::proposer::tests::{ask, batched};
    use super::super::proposer::{Turn, proposer};
    use super::super::{Batch, Linger, Propose};
    use super::*;
    use crate::units::ByteSize;

    #[test]
    fn siblings_are_awaited_but_not_for_long() {
        let mut policy = batched(Linger::Siblings(Nanos(50)));
        assert_eq!(ask(&mut *policy, &[10, 10], 0, 0), Turn::Send(2), "nobody was answered yet");
        assert_eq!(ask(&mut *policy, &[10], 1, 10), Turn::Wait(None), "in flight");
        policy.answering(1);
        assert_eq!(ask(&mut *policy, &[10], 0, 100), Turn::Wait(Some(Nanos(150))), "two answered");
        assert_eq!(ask(&mut *policy, &[10, 10, 10], 0, 120), Turn::Send(3), "all three are here");
        policy.answering(0);
        assert_eq!(ask(&mut *policy, &[], 0, 200), Turn::Wait(None));
        assert_eq!(ask(&mut *policy, &[10], 0, 210), Turn::Wait(Some(Nanos(250))), "of three");
        assert_eq!(ask(&mut *policy, &[10], 0, 250), Turn::Send(1), "two went away");
        policy.answering(0);
        assert_eq!(ask(&mut *policy, &[10], 0, 300), Turn::Send(1), "nobody else is expected");
    }

    /// A thousand clients in two halves: of the half just answered, `back` come again in the 50 ns after the first look.
    /// Gives which of `laps.len()` batches waited; a lap takes as long as `laps` says.
    fn waits_of_a_thousand(laps: &[u64], back: usize) -> Vec<usize> {
        let batch = Batch {
            ops_max: 10_000,
            bytes_max: ByteSize(1 << 20),
            linger: Linger::Siblings(Nanos(50)),
            in_flight: 1,
        };
        let mut policy = proposer(Propose::Batched(batch));
        let mut now = 0;
        assert_eq!(ask(&mut *policy, &[10; 500], 0, now), Turn::Send(500));
        let mut waited = Vec::new();
        for (number, lap) in laps.iter().enumerate() {
            now += lap;
            policy.answering(500);
            let wait = match ask(&mut *policy, &[10; 500], 0, now) {
                Turn::Wait(until) => until.expect("a bound").0 - now,
                Turn::Send(_) => continue,
            };
            assert_eq!(wait, 50);
            waited.push(number);
            now += wait;
            let here = vec![10; 500 + back];
            assert_eq!(ask(&mut *policy, &here, 0, now), Turn::Send(here.len()));
        }
        waited
    }

    #[test]
    fn siblings_are_awaited_where_all_would_be_there_within_a_lap() {
        let all: Vec<usize> = (0..64).collect();
        assert_eq!(waits_of_a_thousand(&[10_000; 64], 20), all, "4 000 would come in a lap");
        assert_eq!(waits_of_a_thousand(&[2_600; 64], 20), all, "1 040 would, of 1 020");
        assert_eq!(
            waits_of_a_thousand(&[2_460; 64], 20),
            [0, 17, 50],
            "984, and the wait is no part of a lap"
        );
    }

    #[test]
    fn what_does_not_pay_is_tried_ever_more_rarely_until_it_pays() {
        let tried = [0, 17, 50, 115, 244, 373];
        assert_eq!(waits_of_a_thousand(&[1_000; 400], 20), tried, "after 16, 32, 64, 128, 128");
        assert_eq!(
            waits_of_a_thousand(&[10_000; 400], 0),
            tried,
            "nobody comes because of an answer"
        );
        let slower: Vec<u64> = [vec![1_000; 60], vec![20_000; 40]].concat();
        let waited = waits_of_a_thousand(&slower, 20);
        assert_eq!(waited[..3], [0, 17, 50]);
        assert_eq!(waited[3..], (60..100).collect::<Vec<_>>(), "from the first long lap on");
    }

    #[test]
    fn one_try_decides_whatever_was_before() {
        let mut policy = batched(Linger::Siblings(Nanos(50)));
        let mut now = 0;
        let mut waits = Vec::new();
        // Three clients, of whom two are away for the first wait, which takes very long, and come at once ever after.
        for number in 0..40 {
            assert_eq!(ask(&mut *policy, &[10; 3], 0, now), Turn::Send(3));
            now += 100;
            policy.answering(0);
            if ask(&mut *policy, &[10], 0, now) != Turn::Send(1) {
                waits.push(number);
                now += if number == 0 { 1_000_000 } else { 10 };
                let here = if number == 0 { 1 } else { 3 };
                assert_eq!(ask(&mut *policy, &[10; 3][..here], 0, now), Turn::Send(here));
            }
            policy.answering(0);
            now += 100;
        }
        assert_eq!(waits[..3], [0, 17, 18], "{waits:?}");
    }

    #[test]
    fn answers_to_others_neither_prolong_a_wait_nor_raise_who_is_awaited() {
        let mut policy = batched(Linger::Siblings(Nanos(50)));
        assert_eq!(ask(&mut *policy, &[10, 10, 10], 0, 0), Turn::Send(3));
        policy.answering(0);
        assert_eq!(ask(&mut *policy, &[10], 0, 100), Turn::Wait(Some(Nanos(150))));
        policy.answering(1);
        assert_eq!(ask(&mut *policy, &[10, 10], 0, 140), Turn::Wait(Some(Nanos(150))));
        policy.answering(2);
        assert_eq!(ask(&mut *policy, &[10, 10, 10], 0, 145), Turn::Send(3), "all are back");
    }

    #[test]
    fn a_lone_client_never_waits_for_siblings() {
        let mut policy = batched(Linger::Siblings(Nanos(50)));
        for now in [0, 100, 200] {
            assert_eq!(ask(&mut *policy, &[10], 0, now), Turn::Send(1));
            policy.answering(0);
            // It may be back before the policy is asked again, or after.
            assert_eq!(ask(&mut *policy, &[], 0, now + 90), Turn::Wait(None));
        }
    }
}
