//! Decides how many of the waiting requests make the next entry, and when. Pure: it is told the time and what is
//! in flight, it sends nothing. Each policy is one lever position; there is no flag below the constructor. `predict` asks the same
//! policies on a clock that is simulated.

use super::{Batch, Linger, Propose};
use crate::units::Nanos;

/// Entries of the pipelined proposer that may be proposed and not applied: bounds what a stalled disk piles up.
const PIPELINED_IN_FLIGHT_MAX: usize = 4096;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Propose the first so many waiting requests (at least one) as one entry, and ask again.
    Send(usize),
    /// Nothing now; ask again when something changes, and at this instant at the latest.
    Wait(Option<Nanos>),
}

/// What the policy may look at.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// Sizes in bytes of the waiting requests, oldest first.
    pub waiting: &'a dyn Waiting,
    /// Entries proposed and not yet applied.
    pub in_flight: usize,
    /// Now, on the pipeline's clock.
    pub now: Nanos,
}

/// A queue of requests, seen from outside.
#[expect(clippy::len_without_is_empty, reason = "policies count, nobody asks for less")]
pub trait Waiting: std::fmt::Debug {
    /// How many wait.
    fn len(&self) -> usize;
    /// Size of number `index`, bytes.
    fn bytes(&self, index: usize) -> usize;
}

/// One policy.
pub trait Proposer: Send {
    /// The next entry, if one is due.
    fn turn(&mut self, situation: Situation<'_>) -> Turn;

    /// Committed requests are about to be answered, while `waiting` others wait.
    fn answering(&mut self, _waiting: usize) {}
}

/// The policy for `propose`.
pub fn proposer(propose: Propose) -> Box<dyn Proposer> {
    match propose {
        Propose::Serial => Box::new(OneAtATime),
        Propose::Pipelined => Box::new(OneEach),
        Propose::Batched(batch) => Box::new(Batched { batch, patience: patience(batch.linger) }),
    }
}

/// One proposal in the pipeline at a time.
struct OneAtATime;

impl Proposer for OneAtATime {
    fn turn(&mut self, situation: Situation<'_>) -> Turn {
        match situation.waiting.len() > 0 && situation.in_flight == 0 {
            true => Turn::Send(1),
            false => Turn::Wait(None),
        }
    }
}

/// Every waiting request at once, each in its own entry.
struct OneEach;

impl Proposer for OneEach {
    fn turn(&mut self, situation: Situation<'_>) -> Turn {
        match situation.waiting.len() > 0 && situation.in_flight < PIPELINED_IN_FLIGHT_MAX {
            true => Turn::Send(1),
            false => Turn::Wait(None),
        }
    }
}

/// Many requests in one entry, few entries in flight.
struct Batched {
    batch: Batch,
    patience: Box<dyn Patience>,
}

impl Proposer for Batched {
    fn turn(&mut self, situation: Situation<'_>) -> Turn {
        let Situation { waiting, in_flight, now } = situation;
        if in_flight >= self.batch.in_flight {
            return Turn::Wait(None);
        }
        let until = self.patience.wait_until(waiting.len(), now);
        if waiting.len() == 0 {
            return Turn::Wait(None);
        }
        let (count, full) = self.fill(waiting);
        match until {
            Some(until) if !full && now < until => Turn::Wait(Some(until)),
            _ => {
                self.patience.sent(count, waiting.len() - count, now);
                Turn::Send(count)
            }
        }
    }

    fn answering(&mut self, waiting: usize) {
        self.patience.answering(waiting);
    }
}

impl Batched {
    /// How many requests fit, and whether no further one would.
    fn fill(&self, waiting: &dyn Waiting) -> (usize, bool) {
        let most = waiting.len().min(self.batch.ops_max);
        let mut bytes = 0;
        for index in 0..most {
            bytes += waiting.bytes(index) as u64;
            if bytes > self.batch.bytes_max.0 {
                return (index.max(1), true);
            }
        }
        (most, most == self.batch.ops_max)
    }
}

/// How long a batch that is not full waits for company.
trait Patience: Send {
    /// Until when the `waiting` requests should wait; none to send them now. Asked whenever a batch may go, also
    /// while nothing waits.
    fn wait_until(&mut self, waiting: usize, now: Nanos) -> Option<Nanos>;

    /// A batch of `count` went, and `left` requests still wait.
    fn sent(&mut self, count: usize, left: usize, now: Nanos);

    /// Committed requests are about to be answered, while `waiting` others wait.
    fn answering(&mut self, _waiting: usize) {}
}

fn patience(linger: Linger) -> Box<dyn Patience> {
    match linger {
        Linger::None => Box::new(NoPatience),
        Linger::Ticker(every) => Box::new(Beat { every, due: None }),
        Linger::Armed(span) => Box::new(Armed { span, due: None }),
        Linger::Siblings(span) => Box::new(Siblings::new(span)),
    }
}

/// Takes what is there.
struct NoPatience;

impl Patience for NoPatience {
    fn wait_until(&mut self, _waiting: usize, _now: Nanos) -> Option<Nanos> {
        None
    }

    fn sent(&mut self, _count: usize, _left: usize, _now: Nanos) {}
}

/// Waits for the next beat of a ticker; what a due batch leaves behind goes at once.
struct Beat {
    every: Nanos,
    due: Option<Nanos>,
}

impl Patience for Beat {
    fn wait_until(&mut self, waiting: usize, now: Nanos) -> Option<Nanos> {
        if waiting == 0 {
            // Beats that passed while nobody waited are nobody's.
            self.due = None;
            return None;
        }
        Some(*self.due.get_or_insert(next_beat(now, self.every)))
    }

    fn sent(&mut self, _count: usize, left: usize, now: Nanos) {
        if left == 0 {
            self.due = Some(next_beat(now, self.every));
        }
    }
}

/// Waits a span from the first request of the batch on; what a due batch leaves behind goes at once.
struct Armed {
    span: Nanos,
    due: Option<Nanos>,
}

impl Patience for Armed {
    fn wait_until(&mut self, waiting: usize, now: Nanos) -> Option<Nanos> {
        (waiting > 0).then(|| *self.due.get_or_insert(now.after(self.span)))
    }

    fn sent(&mut self, _count: usize, left: usize, _now: Nanos) {
        if left == 0 {
            self.due = None;
        }
    }
}

/// Waits for the clients that were just answered, who often come again at once: until as many requests wait as were
/// under way when the last batch was answered, at most for a span. Without it, clients fall into two groups of which
/// one always waits for the other's sync. The idea is PostgreSQL's `commit_siblings` with `commit_delay`.
///
/// It waits only where that pays. A moment more delays all who are under way by that moment, and spares each who
/// comes in it a lap: the time from one batch to the next. So siblings are worth it while they come so fast that within a lap
/// all would be there. How fast they come is learned from the waits, and tried again now and then.
struct Siblings {
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
    /// Whether the next batch is such a one.
    trying: bool,
    /// The wait for the next batch, once somebody has looked.
    wait: Option<Wait>,
}

/// One wait for siblings.
#[derive(Clone, Copy)]
struct Wait {
    until: Nanos,
    /// When there first was a request that could have gone and did not, and how many there were then.
    since: Option<(Nanos, usize)>,
}

/// After how many batches that did not wait one waits all the same, to learn whether it would pay: at first, and at most.
/// Each time that it would not, twice as many: the thread that waits may lose its CPU for longer than it meant to.
const TRIED_AFTER: (u32, u32) = (16, 128);

impl Siblings {
    fn new(span: Nanos) -> Self {
        Self {
            span,
            last: 0,
            awaited: 0,
            went: None,
            lap: Recent::default(),
            coming: Recent::default(),
            unwaited: 0,
            tried_after: TRIED_AFTER.0,
            trying: false,
            wait: None,
        }
    }

    /// How long the next batch may wait, decided at the first look, when `waiting` requests wait.
    fn begin(&mut self, waiting: usize, now: Nanos) -> Wait {
        if let Some(went) = self.went.take() {
            self.lap.note(now.since(went).0 as f64, 1.0);
        }
        let waits = waiting < self.awaited && self.waits();
        Wait { until: if waits { now.after(self.span) } else { now }, since: None }
    }

    fn waits(&mut self) -> bool {
        if self.pays() {
            (self.unwaited, self.tried_after) = (0, TRIED_AFTER.0);
            return true;
        }
        if self.unwaited < self.tried_after {
            self.unwaited += 1;
            return false;
        }
        (self.unwaited, self.tried_after) = (0, (self.tried_after * 2).min(TRIED_AFTER.1));
        self.trying = true;
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
        let since = self.wait.as_mut().and_then(|wait| wait.since.take());
        if let Some((since, were)) = since.filter(|(since, _)| *since < now) {
            if std::mem::take(&mut self.trying) {
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

/// The first multiple of `every` after `now`.
fn next_beat(now: Nanos, every: Nanos) -> Nanos {
    Nanos((now.0 / every.0.max(1) + 1) * every.0.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::ByteSize;

    #[derive(Debug)]
    struct Sizes(Vec<usize>);

    impl Waiting for Sizes {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn bytes(&self, index: usize) -> usize {
            self.0[index]
        }
    }

    fn ask(policy: &mut dyn Proposer, sizes: &[usize], in_flight: usize, now: u64) -> Turn {
        let waiting = Sizes(sizes.to_vec());
        policy.turn(Situation { waiting: &waiting, in_flight, now: Nanos(now) })
    }

    fn batched(linger: Linger) -> Box<dyn Proposer> {
        let batch = Batch { ops_max: 4, bytes_max: ByteSize(100), linger, in_flight: 1 };
        proposer(Propose::Batched(batch))
    }

    #[test]
    fn serial_has_one_in_flight_and_pipelined_does_not_wait() {
        let mut serial = proposer(Propose::Serial);
        assert_eq!(ask(&mut *serial, &[9, 9], 0, 0), Turn::Send(1));
        assert_eq!(ask(&mut *serial, &[9], 1, 0), Turn::Wait(None));
        let mut pipelined = proposer(Propose::Pipelined);
        assert_eq!(ask(&mut *pipelined, &[9, 9], 0, 0), Turn::Send(1));
        assert_eq!(ask(&mut *pipelined, &[9], 1, 0), Turn::Send(1));
        assert_eq!(ask(&mut *pipelined, &[], 0, 0), Turn::Wait(None));
    }

    #[test]
    fn a_batch_takes_what_is_there_within_its_bounds() {
        let mut policy = batched(Linger::None);
        assert_eq!(ask(&mut *policy, &[10], 0, 0), Turn::Send(1));
        assert_eq!(ask(&mut *policy, &[10; 9], 0, 0), Turn::Send(4), "ops_max");
        assert_eq!(ask(&mut *policy, &[40, 40, 40], 0, 0), Turn::Send(2), "bytes_max");
        assert_eq!(ask(&mut *policy, &[500, 1], 0, 0), Turn::Send(1), "too large goes alone");
        assert_eq!(ask(&mut *policy, &[10], 1, 0), Turn::Wait(None), "in_flight");
    }

    #[test]
    fn an_armed_timer_starts_with_the_first_request() {
        let mut policy = batched(Linger::Armed(Nanos(50)));
        assert_eq!(ask(&mut *policy, &[10], 0, 100), Turn::Wait(Some(Nanos(150))));
        assert_eq!(ask(&mut *policy, &[10, 10], 0, 120), Turn::Wait(Some(Nanos(150))));
        assert_eq!(ask(&mut *policy, &[10, 10], 0, 151), Turn::Send(2));
        assert_eq!(ask(&mut *policy, &[10], 0, 200), Turn::Wait(Some(Nanos(250))));
        assert_eq!(ask(&mut *policy, &[10; 4], 0, 201), Turn::Send(4), "a full one does not wait");
    }

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

    #[test]
    fn a_ticker_beats_whoever_waits() {
        let mut policy = batched(Linger::Ticker(Nanos(50)));
        assert_eq!(ask(&mut *policy, &[10], 0, 120), Turn::Wait(Some(Nanos(150))));
        assert_eq!(ask(&mut *policy, &[10], 0, 150), Turn::Send(1));
        assert_eq!(ask(&mut *policy, &[10], 0, 160), Turn::Wait(Some(Nanos(200))));
        assert_eq!(ask(&mut *policy, &[10], 0, 200), Turn::Send(1));
        assert_eq!(ask(&mut *policy, &[], 0, 900), Turn::Wait(None));
        assert_eq!(ask(&mut *policy, &[10], 0, 910), Turn::Wait(Some(Nanos(950))), "after idling");
    }
}
