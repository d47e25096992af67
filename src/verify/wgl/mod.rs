//! Was a history linearizable? A checker that knows a history and a model, and nothing of what made either.
//!
//! Wing & Gong 1993, "Testing and Verifying Concurrent Objects", search depth-first for an order of the calls that the
//! model could have answered; Lowe 2017, "Testing for Linearizability", adds the memo of configurations that were
//! visited: which calls are linearized, and the state they leave. The list of entries from which a call is lifted, and
//! to which it is unlifted, is that of Horn & Kroening 2015, "Faster Linearizability Checking via P-Compositionality";
//! Porcupine does the same.
//!
//! Calls with an unknown outcome never return, and may be left out. They have no entries: they are tried once no known
//! call can come next, and a configuration that used more of them than one that was visited, for the same known calls
//! and the same state, is not visited: whatever follows it can follow the other.
//!
//! A model may say which calls are pure and which are twins. Then fewer orders are tried, with the same verdict.
//!
//! Caveat: the problem is NP-complete (Gibbons & Korach 1997). A history that needs more steps than it was given is
//! [`Verdict::Undecided`], never taken for linearizable.

mod entries;
mod memo;
pub mod register;

use entries::{Entries, Entry};
use memo::{Linearized, Memo};
use std::hash::Hash;

/// Unknown calls among which twins are looked for.
const TWINS_APART_MAX: usize = 1_000;

/// What an object does when its operations come one at a time.
pub trait Model {
    /// What the object holds.
    type State: Clone + Eq + Hash;
    /// An operation together with its answer.
    type Op;

    /// The state before the first call.
    fn init(&self) -> Self::State;

    /// The state after `op`, or None if the object could not have answered that in `state`. With an unknown outcome
    /// (`known` false) the answer in `op` means nothing and is not held against it.
    fn step(&self, state: &Self::State, op: &Self::Op, known: bool) -> Option<Self::State>;

    /// Whether `op`, with a known outcome, leaves every state as it is in which it can be answered so; false if that is
    /// not known. Such a call is put next as soon as it can be, and no other order is tried: any order that has it later
    /// is also one with it here. So a read doubles nothing.
    fn is_pure(&self, _op: &Self::Op) -> bool {
        false
    }

    /// Whether two operations do the same in every state when their outcomes are unknown; false if that is not known.
    /// Of such calls the one that was invoked first is used first.
    fn are_twins(&self, _a: &Self::Op, _b: &Self::Op) -> bool {
        false
    }
}

/// One operation of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<O> {
    /// What was asked, and what was answered.
    pub op: O,
    /// When it was invoked, nanoseconds.
    pub invoked: u64,
    /// When its answer was there, nanoseconds; one before `invoked` counts as `invoked`. None if the outcome is unknown:
    /// it may have taken effect at any time since it was invoked, may still do so, or never.
    pub returned: Option<u64>,
}

/// What is known of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order of the calls that keeps to real time and that the model could have answered.
    Linearizable,
    /// There is none.
    Violation {
        /// A linearizable order of as many known calls as there is one of: indices into the calls. Those of unknown
        /// outcome are in it where they are needed.
        longest: Vec<usize>,
        /// The known calls of which one would have to come next, and none can: indices into the calls.
        stuck: Vec<usize>,
    },
    /// Neither was found.
    Undecided {
        /// Steps of the model that were tried.
        steps: u64,
    },
}

/// Whether `calls` are linearizable with respect to `model`; undecided after `steps_max` steps of the model.
///
/// A call comes before another if it returned before the other was invoked; at the same nanosecond they overlap.
/// Memory: at most one configuration per step, about 100 bytes each for a small state.
pub fn check<M: Model>(model: &M, calls: &[Call<M::Op>], steps_max: u64) -> Verdict {
    check_counting(model, calls, steps_max).0
}

/// As [`check`], with the number of steps it took.
pub fn check_counting<M: Model>(
    model: &M,
    calls: &[Call<M::Op>],
    steps_max: u64,
) -> (Verdict, u64) {
    let mut search = Search::new(model, calls, steps_max);
    let verdict = search.run();
    (verdict, search.steps)
}

/// A depth-first search through the configurations.
struct Search<'a, M: Model> {
    model: &'a M,
    calls: &'a [Call<M::Op>],
    /// Known calls by rank, which is their order of invocation: indices into `calls`.
    known: Vec<usize>,
    /// Which of them are pure, by rank.
    pure: Vec<bool>,
    /// Calls of unknown outcome in order of invocation: indices into `calls`.
    unknown: Vec<usize>,
    /// For each of these the last twin before it, by its place in `unknown`.
    twins: Vec<Option<usize>>,
    /// The known calls that are not linearized.
    entries: Entries,
    /// The calls that are.
    linearized: Linearized,
    /// How they came to be, first to last.
    frames: Vec<Frame<M::State>>,
    /// How many of them are known.
    known_in_order: usize,
    /// The state they leave.
    state: M::State,
    memo: Memo<M::State>,
    longest: Longest,
    steps: u64,
    steps_max: u64,
}

/// A call that may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Candidate {
    /// By rank.
    Known(usize),
    /// Number `index` of the unknown ones, at a time when the first known call to return does so at `until`.
    Unknown { index: usize, until: u64 },
}

/// Where to look for the next candidate. Pure calls come first, then the others that are known, then the unknown.
#[derive(Clone, Copy, Debug)]
enum Cursor {
    /// From this entry on, among the calls that are pure, or that are not.
    Entry { entry: usize, pure: bool },
    /// From this index on.
    Unknown { from: usize, until: u64 },
}

/// What became of a candidate.
enum Tried {
    /// It is next in the order.
    IsNext,
    /// The model could not have answered it.
    CannotBeNext,
    /// Whatever could follow it was or will be tried elsewhere.
    WasVisited,
}

/// A linearized call, with what it takes to undo it.
struct Frame<S> {
    candidate: Candidate,
    state_before: S,
    extent_before: memo::Extent,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, calls: &'a [Call<M::Op>], steps_max: u64) -> Self {
        let mut by_invocation: Vec<usize> = (0..calls.len()).collect();
        by_invocation.sort_by_key(|index| calls[*index].invoked);
        let (known, unknown): (Vec<usize>, Vec<usize>) =
            by_invocation.into_iter().partition(|index| calls[*index].returned.is_some());
        let spans = known.iter().map(|index| (calls[*index].invoked, returned(&calls[*index])));
        Search {
            model,
            calls,
            entries: Entries::new(spans),
            linearized: Linearized::new(known.len(), unknown.len()),
            frames: Vec::new(),
            known_in_order: 0,
            state: model.init(),
            memo: Memo::new(),
            longest: Longest::default(),
            pure: known.iter().map(|index| model.is_pure(&calls[*index].op)).collect(),
            twins: twins(model, calls, &unknown),
            known,
            unknown,
            steps: 0,
            steps_max,
        }
    }

    fn run(&mut self) -> Verdict {
        let mut cursor = self.start();
        while !self.entries.is_empty() {
            let next = match self.candidate(cursor) {
                Some(_) if self.steps >= self.steps_max => {
                    return Verdict::Undecided { steps: self.steps };
                }
                Some(candidate) => self.proceed(candidate),
                None => self.backtrack(),
            };
            match next {
                Some(next) => cursor = next,
                None => return self.violation(),
            }
        }
        Verdict::Linearizable
    }

    /// Where to go on after `candidate` was tried.
    fn proceed(&mut self, candidate: Candidate) -> Option<Cursor> {
        match self.linearize(candidate) {
            Tried::IsNext => Some(self.start()),
            Tried::CannotBeNext => Some(self.after(candidate)),
            // With a pure call next, all was tried that can follow.
            Tried::WasVisited if self.is_pure(candidate) => self.backtrack(),
            Tried::WasVisited => Some(self.after(candidate)),
        }
    }

    fn start(&self) -> Cursor {
        Cursor::Entry { entry: self.entries.first(), pure: true }
    }

    /// The first candidate from `cursor` on: calls that were invoked before any open one returned.
    fn candidate(&self, mut cursor: Cursor) -> Option<Candidate> {
        loop {
            cursor = match cursor {
                Cursor::Entry { entry, pure } => match self.entries.at(entry) {
                    Entry::Invoke(rank) if self.pure[rank] == pure => {
                        return Some(Candidate::Known(rank));
                    }
                    Entry::Invoke(rank) => {
                        Cursor::Entry { entry: self.entries.after_invoke(rank), pure }
                    }
                    Entry::Return(_) if pure => {
                        Cursor::Entry { entry: self.entries.first(), pure: false }
                    }
                    Entry::Return(rank) => {
                        Cursor::Unknown { from: 0, until: returned(&self.calls[self.known[rank]]) }
                    }
                },
                Cursor::Unknown { from, until } => return self.unknown_candidate(from, until),
            }
        }
    }

    fn unknown_candidate(&self, from: usize, until: u64) -> Option<Candidate> {
        (from..self.unknown.len())
            .take_while(|index| self.calls[self.unknown[*index]].invoked <= until)
            .find(|index| !self.linearized.has_unknown(*index) && !self.has_unused_twin(*index))
            .map(|index| Candidate::Unknown { index, until })
    }

    fn has_unused_twin(&self, index: usize) -> bool {
        self.twins[index].is_some_and(|twin| !self.linearized.has_unknown(twin))
    }

    fn after(&self, candidate: Candidate) -> Cursor {
        match candidate {
            Candidate::Known(rank) => {
                let entry = self.entries.after_invoke(rank);
                Cursor::Entry { entry, pure: self.pure[rank] }
            }
            Candidate::Unknown { index, until } => Cursor::Unknown { from: index + 1, until },
        }
    }

    /// Puts `candidate` next in the order, unless it cannot be there or nothing would be gained.
    fn linearize(&mut self, candidate: Candidate) -> Tried {
        self.steps += 1;
        let known = matches!(candidate, Candidate::Known(_));
        let op = &self.calls[self.call(candidate)].op;
        let Some(state) = self.model.step(&self.state, op, known) else {
            return Tried::CannotBeNext;
        };
        if !known && self.is_idle(op, &state) {
            return Tried::WasVisited;
        }
        let extent_before = self.linearized.extent();
        self.mark(candidate);
        if !self.memo.is_new(&self.linearized, &state) {
            self.unmark(candidate, extent_before);
            return Tried::WasVisited;
        }
        if let Candidate::Known(rank) = candidate {
            self.entries.lift(rank);
            self.known_in_order += 1;
        }
        let state_before = std::mem::replace(&mut self.state, state);
        self.frames.push(Frame { candidate, state_before, extent_before });
        Tried::IsNext
    }

    /// Whether an unknown call that leads to `state` makes itself, or the unknown calls right before it, superfluous.
    /// Without this, each subset of the unknown writes would be a configuration.
    fn is_idle(&mut self, op: &M::Op, state: &M::State) -> bool {
        if *state == self.state {
            return true;
        }
        let in_a_row = self.frames.iter().rev();
        for frame in in_a_row.take_while(|f| matches!(f.candidate, Candidate::Unknown { .. })) {
            self.steps += 1;
            if self.model.step(&frame.state_before, op, false).as_ref() == Some(state) {
                return true;
            }
        }
        false
    }

    /// Takes back the last call of the order that might not have been next, and those after it. Returns where to go on,
    /// or None if there was none.
    fn backtrack(&mut self) -> Option<Cursor> {
        self.longest.keep(&self.frames, self.known_in_order);
        while let Some(Frame { candidate, state_before, extent_before }) = self.frames.pop() {
            self.unmark(candidate, extent_before);
            self.state = state_before;
            if let Candidate::Known(rank) = candidate {
                self.entries.unlift(rank);
                self.known_in_order -= 1;
            }
            if !self.is_pure(candidate) {
                self.longest.went_back(self.frames.len());
                return Some(self.after(candidate));
            }
        }
        None
    }

    fn is_pure(&self, candidate: Candidate) -> bool {
        matches!(candidate, Candidate::Known(rank) if self.pure[rank])
    }

    fn mark(&mut self, candidate: Candidate) {
        match candidate {
            Candidate::Known(rank) => self.linearized.add_known(rank),
            Candidate::Unknown { index, .. } => self.linearized.flip_unknown(index),
        }
    }

    fn unmark(&mut self, candidate: Candidate, extent_before: memo::Extent) {
        match candidate {
            Candidate::Known(rank) => self.linearized.take_known(rank, extent_before),
            Candidate::Unknown { index, .. } => self.linearized.flip_unknown(index),
        }
    }

    /// Nothing can be tried any more, so nothing is linearized now: the longest order is looked up.
    fn violation(&mut self) -> Verdict {
        let longest = self.longest.needed();
        for candidate in longest {
            if let Candidate::Known(rank) = candidate {
                self.entries.lift(*rank);
            }
        }
        let stuck = self.entries.open().map(|rank| self.known[rank]).collect();
        let longest = longest.iter().map(|one| self.call(*one)).collect();
        Verdict::Violation { longest, stuck }
    }

    /// Index into the calls.
    fn call(&self, candidate: Candidate) -> usize {
        match candidate {
            Candidate::Known(rank) => self.known[rank],
            Candidate::Unknown { index, .. } => self.unknown[index],
        }
    }
}

/// For each unknown call the last one before it that does the same. Those far back are not looked for.
fn twins<M: Model>(model: &M, calls: &[Call<M::Op>], unknown: &[usize]) -> Vec<Option<usize>> {
    let op = |index: usize| &calls[unknown[index]].op;
    let twin = |index: usize| {
        let before = index.saturating_sub(TWINS_APART_MAX)..index;
        before.rev().find(|other| model.are_twins(op(*other), op(index)))
    };
    (0..unknown.len()).map(twin).collect()
}

/// When a known call returned.
fn returned<O>(call: &Call<O>) -> u64 {
    call.returned.map_or(u64::MAX, |at| at.max(call.invoked))
}

/// The longest order so far.
#[derive(Default)]
struct Longest {
    order: Vec<Candidate>,
    /// Known calls in it.
    known: usize,
    /// How much of it, from the start, is also the order of the search at this moment. So that a long history is not
    /// copied again each time its order gets longer.
    shared: usize,
}

impl Longest {
    /// Keeps the order of `frames`, with `known` known calls, if it is longer.
    fn keep<S>(&mut self, frames: &[Frame<S>], known: usize) {
        if known > self.known {
            self.known = known;
            self.order.truncate(self.shared);
            self.order.extend(frames[self.shared..].iter().map(|frame| frame.candidate));
            self.shared = self.order.len();
        }
    }

    /// The search went back to an order of this length.
    fn went_back(&mut self, length: usize) {
        self.shared = self.shared.min(length);
    }

    /// An unknown call is needed only if a known one follows.
    fn needed(&self) -> &[Candidate] {
        let last = self.order.iter().rposition(|one| matches!(one, Candidate::Known(_)));
        &self.order[..last.map_or(0, |last| last + 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::register::{Register, RegisterOp, Versioned, VersionedOp, VersionedRegister};
    use super::*;
    use crate::seed::Seed;
    use RegisterOp::{Cas, Delete, Read, Write};
    use rand::Rng;
    use rand::seq::IndexedRandom;

    const STEPS_MAX: u64 = 1_000_000;
    const EMPTY: Register<u64> = Register { initial: None };

    fn call<O>(op: O, invoked: u64, returned: u64) -> Call<O> {
        Call { op, invoked, returned: Some(returned) }
    }

    fn unknown<O>(op: O, invoked: u64) -> Call<O> {
        Call { op, invoked, returned: None }
    }

    fn cas(from: u64, to: u64, succeeded: bool) -> RegisterOp<u64> {
        Cas { from: Some(from), to, succeeded }
    }

    fn verdict(calls: &[Call<RegisterOp<u64>>]) -> Verdict {
        check(&EMPTY, calls, STEPS_MAX)
    }

    fn violation(longest: &[usize], stuck: &[usize]) -> Verdict {
        Verdict::Violation { longest: longest.to_vec(), stuck: stuck.to_vec() }
    }

    #[test]
    fn nothing_is_linearizable() {
        assert_eq!(verdict(&[]), Verdict::Linearizable);
        assert_eq!(verdict(&[unknown(Write(1), 0)]), Verdict::Linearizable);
        assert_eq!(check(&EMPTY, &[unknown(Write(1), 0)], 0), Verdict::Linearizable);
    }

    #[test]
    fn a_stale_read() {
        let stale = [call(Write(1), 0, 1), call(Write(2), 2, 3), call(Read(Some(1)), 4, 5)];
        assert_eq!(verdict(&stale), violation(&[0, 1], &[2]));
        // Overlapping the second write it may come before it; so it may when both touch.
        for invoked in [2, 3] {
            let fresh = [stale[0], stale[1], call(Read(Some(1)), invoked, 5)];
            assert_eq!(verdict(&fresh), Verdict::Linearizable);
        }
    }

    /// Herlihy & Wing 1990: what a read has seen no later read may miss, though the write still runs.
    #[test]
    fn a_write_that_was_seen_stays_seen() {
        let calls = [call(Write(1), 0, 9), call(Read(Some(1)), 1, 2), call(Read(None), 3, 4)];
        assert_eq!(verdict(&calls), violation(&[0, 1], &[2]));
    }

    #[test]
    fn a_lost_update() {
        let calls = [
            call(Write(1), 0, 1),
            call(cas(1, 2, true), 2, 5),
            call(cas(1, 3, true), 3, 6),
            call(Read(Some(3)), 7, 8),
        ];
        assert_eq!(verdict(&calls), violation(&[0, 1], &[2]));
        let mut told = calls;
        told[1].op = cas(1, 2, false);
        assert_eq!(verdict(&told), Verdict::Linearizable);
    }

    #[test]
    fn a_cas_that_failed_though_it_must_succeed() {
        let calls = [call(Write(1), 0, 1), call(cas(1, 2, false), 2, 3)];
        assert_eq!(verdict(&calls), violation(&[0], &[1]));
        let absent = [call(Cas { from: None, to: 2, succeeded: true }, 0, 1)];
        assert_eq!(verdict(&absent), Verdict::Linearizable);
    }

    #[test]
    fn an_unknown_write_may_be_seen_late_or_never() {
        let seen = [call(Write(1), 0, 1), unknown(Write(2), 2), call(Read(Some(2)), 50, 51)];
        assert_eq!(verdict(&seen), Verdict::Linearizable);
        let never = [seen[0], seen[1], call(Read(Some(1)), 50, 51)];
        assert_eq!(verdict(&never), Verdict::Linearizable);
        let twice =
            [seen[0], seen[1], seen[2], call(Write(3), 60, 61), call(Read(Some(2)), 70, 71)];
        assert_eq!(verdict(&twice), violation(&[0, 1, 2, 3], &[4]));
        let before_invoked = [unknown(Write(2), 5), call(Read(Some(2)), 0, 1)];
        assert_eq!(verdict(&before_invoked), violation(&[], &[1]));
    }

    #[test]
    fn unknown_calls_may_need_each_other() {
        let calls = [
            unknown(cas(1, 2, true), 0),
            unknown(cas(2, 3, true), 0),
            unknown(Write(1), 0),
            call(Read(Some(3)), 5, 6),
        ];
        assert_eq!(verdict(&calls), Verdict::Linearizable);
        assert_eq!(verdict(&calls[1..]), violation(&[], &[2]));
    }

    #[test]
    fn a_delete_leaves_nothing() {
        let calls = [call(Write(1), 0, 1), call(Delete, 2, 3), call(Read(None), 4, 5)];
        assert_eq!(verdict(&calls), Verdict::Linearizable);
        assert_eq!(verdict(&[calls[0], calls[2]]), violation(&[0], &[1]));
    }

    #[test]
    fn versions_tell_what_values_do_not() {
        let write = |version| VersionedOp::Write { value: 1, version };
        let read = |version| call(VersionedOp::Read(Some((1, version))), 8, 9);
        let judge = |calls: &[Call<VersionedOp<u64>>]| {
            check(&VersionedRegister::default(), calls, STEPS_MAX)
        };
        let writes = [call(write(Some(1)), 0, 1), call(write(None), 2, 3)];
        assert_eq!(judge(&[writes[0], writes[1], read(2)]), Verdict::Linearizable);
        assert_eq!(judge(&[writes[0], writes[1], read(1)]), violation(&[0, 1], &[2]));
        let gap = [writes[0], unknown(write(None), 2), call(write(Some(3)), 4, 5)];
        assert_eq!(judge(&gap), Verdict::Linearizable);
        let again =
            [writes[0], call(VersionedOp::Delete, 2, 3), call(write(Some(1)), 4, 5), read(1)];
        assert_eq!(judge(&again), Verdict::Linearizable);
        let twice =
            |succeeded, version| VersionedOp::Cas { from: Some(1), to: 2, succeeded, version };
        let from_seven = VersionedRegister { initial: Versioned { value: Some(1), version: 7 } };
        let calls = [call(twice(true, Some(8)), 0, 3), call(twice(false, None), 1, 2)];
        assert_eq!(check(&from_seven, &calls, STEPS_MAX), Verdict::Linearizable);
        assert_eq!(judge(&calls), violation(&[1], &[0]));
    }

    #[test]
    fn too_few_steps_are_undecided() {
        let calls = Simulated { values: 3, ..Simulated::default() }.history(1);
        let (decided, steps) = check_counting(&EMPTY, &calls, u64::MAX);
        assert_eq!(decided, Verdict::Linearizable);
        assert_eq!(check(&EMPTY, &calls, steps), decided);
        for few in [0, 1, steps / 2, steps - 1] {
            assert_eq!(check(&EMPTY, &calls, few), Verdict::Undecided { steps: few });
        }
    }

    /// A real register under clients that overlap in random ways.
    struct Simulated {
        clients: usize,
        calls: usize,
        /// Values that are written; 0: each write has its own.
        values: u64,
        /// Share of outcomes that are not known.
        unknown: f64,
    }

    impl Default for Simulated {
        fn default() -> Self {
            Simulated { clients: 6, calls: 200, values: 0, unknown: 0.05 }
        }
    }

    impl Simulated {
        /// Calls in the order of their invocation. Each tick one client does what comes next: it invokes, its operation
        /// takes effect, or it returns.
        fn history(&self, number: u64) -> Vec<Call<RegisterOp<u64>>> {
            let mut rng = Seed(7).stream("wgl", number);
            let mut calls: Vec<Call<RegisterOp<u64>>> = Vec::new();
            // The call of each client, and whether it took effect.
            let mut running: Vec<Option<(usize, bool)>> = vec![None; self.clients];
            // Unknown calls that may still take effect.
            let mut late: Vec<usize> = Vec::new();
            let mut held = None;
            for tick in 0.. {
                if calls.len() >= self.calls && running.iter().all(Option::is_none) {
                    break;
                }
                if !late.is_empty() && rng.random_bool(0.1) {
                    let index = late.swap_remove(rng.random_range(0..late.len()));
                    held = take_effect(&mut calls[index].op, held);
                }
                let client = rng.random_range(0..self.clients);
                running[client] = match running[client] {
                    None if calls.len() >= self.calls => None,
                    None => {
                        calls.push(unknown(self.random_op(&mut rng, calls.len()), tick));
                        Some((calls.len() - 1, false))
                    }
                    Some((index, false)) if rng.random_bool(self.unknown) => {
                        late.extend(rng.random_bool(0.7).then_some(index));
                        None
                    }
                    Some((index, false)) => {
                        held = take_effect(&mut calls[index].op, held);
                        Some((index, true))
                    }
                    Some((_, true)) if rng.random_bool(self.unknown) => None,
                    Some((index, true)) => {
                        calls[index].returned = Some(tick);
                        None
                    }
                };
            }
            calls
        }

        fn random_op(&self, rng: &mut impl Rng, number: usize) -> RegisterOp<u64> {
            let mut value = |own: u64| match self.values {
                0 => own,
                values => rng.random_range(0..values),
            };
            let (from, to) = (value(number.saturating_sub(3) as u64), value(number as u64));
            match rng.random_range(0..20) {
                0..8 => Read(None),
                8..14 => Write(to),
                14..19 => cas(from, to, false),
                _ => Delete,
            }
        }
    }

    /// The answer of `op`, and what the register holds then.
    fn take_effect(op: &mut RegisterOp<u64>, held: Option<u64>) -> Option<u64> {
        match op {
            Read(answer) => *answer = held,
            Cas { from, succeeded, .. } => *succeeded = *from == held,
            Write(_) | Delete => {}
        }
        EMPTY.step(&held, op, true).unwrap()
    }

    /// Fails unless `order` keeps to real time and the register could have answered that.
    fn assert_legal(calls: &[Call<RegisterOp<u64>>], order: &[usize]) {
        let mut held = None;
        for (at, &index) in order.iter().enumerate() {
            let (op, known) = (&calls[index].op, calls[index].returned.is_some());
            held = EMPTY.step(&held, op, known).unwrap();
            let later = &order[at + 1..];
            assert!(later.iter().all(|later| !comes_before(&calls[*later], &calls[index])));
            assert!(!later.contains(&index));
        }
    }

    fn comes_before<O>(a: &Call<O>, b: &Call<O>) -> bool {
        a.returned.is_some_and(|returned| returned.max(a.invoked) < b.invoked)
    }

    #[test]
    fn what_a_register_did_is_linearizable() {
        for number in 0..200 {
            let values = [0, 3, 10][number as usize % 3];
            let calls = Simulated { values, ..Simulated::default() }.history(number);
            assert_eq!(verdict(&calls), Verdict::Linearizable, "history {number}");
        }
    }

    #[test]
    fn a_value_that_nobody_wrote_is_a_violation() {
        for number in 0..50 {
            let mut calls = Simulated::default().history(number);
            let mut rng = Seed(8).stream("wgl", number);
            let is_read =
                |i: &usize| matches!(calls[*i].op, Read(_)) && calls[*i].returned.is_some();
            let reads: Vec<usize> = (0..calls.len()).filter(is_read).collect();
            let read = *reads.choose(&mut rng).unwrap();
            calls[read].op = Read(Some(u64::MAX));
            let Verdict::Violation { longest, stuck } = verdict(&calls) else {
                panic!("history {number}")
            };
            assert_legal(&calls, &longest);
            assert!(stuck.contains(&read) && !longest.contains(&read), "history {number}");
        }
    }

    /// With values of their own, and a write that was over when the next one began, which was over when the read began.
    #[test]
    fn a_stale_read_among_many_calls_is_a_violation() {
        let mut checked = 0;
        for number in 0..50 {
            let mut calls = Simulated::default().history(number);
            let written: Vec<usize> =
                (0..calls.len()).filter(|i| matches!(calls[*i].op, Write(_))).collect();
            let stale =
                (0..calls.len()).rev().filter(|i| calls[*i].returned.is_some()).find_map(|read| {
                    let Read(Some(_)) = calls[read].op else { return None };
                    let second =
                        *written.iter().rfind(|w| comes_before(&calls[**w], &calls[read]))?;
                    let first =
                        *written.iter().rfind(|w| comes_before(&calls[**w], &calls[second]))?;
                    Some((read, first))
                });
            let Some((read, first)) = stale else { continue };
            let Write(value) = calls[first].op else { unreachable!() };
            calls[read].op = Read(Some(value));
            assert!(matches!(verdict(&calls), Verdict::Violation { .. }), "history {number}");
            checked += 1;
        }
        assert!(checked > 40, "{checked}");
    }

    /// A call that is open from the first to the last leaves a window of more than 64 bits.
    #[test]
    fn a_call_may_be_open_during_all_others() {
        let mut calls: Vec<_> = (0..300).map(|i| call(Write(i), 10 * i + 1, 10 * i + 2)).collect();
        calls.push(call(Read(Some(250)), 0, 9_999));
        assert_eq!(verdict(&calls), Verdict::Linearizable);
        calls[300].op = Read(Some(300));
        let Verdict::Violation { longest, stuck } = verdict(&calls) else { panic!() };
        assert_eq!((longest.len(), stuck), (300, vec![300]));
    }

    #[test]
    fn a_long_history_needs_no_deep_stack() {
        let calls = Simulated { calls: 100_000, unknown: 0.0, ..Simulated::default() }.history(3);
        assert_eq!(check(&EMPTY, &calls, u64::MAX), Verdict::Linearizable);
    }

    /// Most known calls that an order of some of the calls can have, by trying all orders.
    fn brute_force(calls: &[Call<RegisterOp<u64>>], taken: u32, held: Option<u64>) -> usize {
        let left = || (0..calls.len()).filter(move |index| taken >> index & 1 == 0);
        let next = left().filter(|&i| !left().any(|other| comes_before(&calls[other], &calls[i])));
        let lengths = next.filter_map(|i| {
            let known = calls[i].returned.is_some();
            let held = EMPTY.step(&held, &calls[i].op, known)?;
            Some(usize::from(known) + brute_force(calls, taken | 1 << i, held))
        });
        lengths.max().unwrap_or(0)
    }

    #[test]
    fn agrees_with_trying_all_orders() {
        let mut rng = Seed(9).stream("wgl", 0);
        let mut violations = 0;
        for number in 0..20_000 {
            let unknown = [0.1, 0.3, 0.6][number as usize % 3];
            let simulated = Simulated { clients: 3, calls: 6, values: 3, unknown };
            let mut calls: Vec<_> = match number % 2 {
                0 => simulated.history(number),
                _ => {
                    let count = rng.random_range(1..=6);
                    (0..count).map(|_| random_call(&simulated, &mut rng)).collect()
                }
            };
            if number % 4 == 0 {
                let index = rng.random_range(0..calls.len());
                calls[index].op = random_call(&simulated, &mut rng).op;
            }
            let known = calls.iter().filter(|call| call.returned.is_some()).count();
            let most = brute_force(&calls, 0, None);
            match verdict(&calls) {
                Verdict::Linearizable => assert_eq!(most, known, "{calls:?}"),
                Verdict::Undecided { .. } => panic!("{calls:?}"),
                Verdict::Violation { longest, stuck } => {
                    assert_legal(&calls, &longest);
                    let known_in = longest.iter().filter(|i| calls[**i].returned.is_some()).count();
                    assert_eq!(known_in, most, "{calls:?}");
                    assert!(most < known && !stuck.is_empty(), "{calls:?}");
                    violations += 1;
                }
            }
        }
        assert!((5_000..15_000).contains(&violations), "{violations}");
    }

    fn random_call(simulated: &Simulated, rng: &mut impl Rng) -> Call<RegisterOp<u64>> {
        let mut op = simulated.random_op(rng, 0);
        take_effect(&mut op, [None, Some(0), Some(1), Some(2)][rng.random_range(0..4)]);
        let invoked = rng.random_range(0..12);
        let returned =
            (!rng.random_bool(simulated.unknown)).then(|| invoked + rng.random_range(0..8));
        Call { op, invoked, returned }
    }
}
