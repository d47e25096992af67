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
mod tests;
